//! Packet sources: pcap files, AF_PACKET.
