//! Findings in plain words: what was seen, what to change, and where.

use super::finding::{CodecPackets, CutBy, Finding, Link};

/// A finding as an operator reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    /// What is the matter, with its counts.
    pub what: String,
    /// What to change; empty when nothing is to be.
    pub change: &'static str,
    /// Where; empty when nothing is to be changed.
    pub place: &'static str,
}

/// Puts a finding into words.
pub fn words(finding: &Finding) -> Wording {
    let (change, place) = advice(finding);
    Wording { what: what(finding), change, place }
}

fn what(finding: &Finding) -> String {
    match finding {
        Finding::NoPackets { interface, link } => {
            let link = match link {
                Link::Up => ": it has a link, but nothing is sent to it",
                Link::None => ": it has no link",
                Link::Down => ": it is switched off on this host",
                Link::Unknown => "",
            };
            format!("No packets came by {interface}{link}.")
        }
        Finding::OwnFramesOnly { own, to_groups } => format!(
            "Only frames of this host itself ({own}) and to all or to groups ({to_groups}) arrive: nothing is mirrored, or a switch keeps it back."
        ),
        Finding::NoTelephony { frames } => {
            format!("{frames} frames arrive, but no SIP and no RTP is among them.")
        }
        Finding::OneDirectionMedia { one_way, flows } => {
            format!("{one_way} of {flows} media flows go one way only: one party of these calls is missing.")
        }
        Finding::OneDirectionSignalling { requests, responses } => {
            format!("Signalling goes one way only: {requests} requests and {responses} responses.")
        }
        Finding::SignallingWithoutMedia { answered, without_media } => {
            format!("Of {answered} answered calls {without_media} have no media here.")
        }
        Finding::MediaWithoutSignalling { flows, tcp_segments, tls_segments } => {
            format!(
                "{flows} media flows, but no SIP over UDP; on signalling ports there are {tcp_segments} TCP segments, on the TLS port {tls_segments}. (If no call began or ended meanwhile that may be chance: listen longer with --seconds.)"
            )
        }
        Finding::SignallingByTcp { tcp_segments } => format!(
            "Signalling comes by TCP ({tcp_segments} segments on signalling ports), and none by UDP. The sensor reads SIP over UDP."
        ),
        Finding::EncryptedSignalling { tls_segments, via_tls, messages } => format!(
            "Signalling is encrypted: {tls_segments} segments of SIP over TLS (port 5061); {via_tls} of {messages} readable messages came by TLS or a secure WebSocket on another part of their way."
        ),
        Finding::EncryptedMedia { calls, dtls_flows, zrtp_flows } => format!(
            "Media are encrypted: {calls} calls agree on SRTP, {dtls_flows} flows on keys by DTLS, {zrtp_flows} by ZRTP."
        ),
        Finding::UndecodableCodecs { codecs } => {
            format!(
                "Codecs that cannot be decoded: {}. Their calls are recorded as packets, without sound.",
                list(codecs)
            )
        }
        Finding::TruncatedFrames { by, cut, frames } => {
            let by = match by {
                CutBy::Capture => "the capture was made with a short snap length",
                CutBy::Mirror => "they are cut before they arrive here",
            };
            format!("{cut} of {frames} frames are cut: {by}.")
        }
        _ => what_of_host(finding),
    }
}

fn what_of_host(finding: &Finding) -> String {
    match finding {
        Finding::QueueFull { interface, missed } => {
            format!("{interface} had no room for {missed} frames: a receive queue of the NIC is full.")
        }
        Finding::CoreFull { core, dropped } => {
            format!("The kernel dropped {dropped} frames on core {core}: its backlog is full.")
        }
        Finding::CoreBusy { core, percent } => {
            format!("Core {core} spends {percent} % of its time receiving: it is full.")
        }
        Finding::RingFull { frames } => {
            format!("{frames} frames found this program's ring full: the host is slower than the mirror.")
        }
        Finding::BrokenFrames { interface, broken } => {
            format!("{broken} frames arrived at {interface} with a bad checksum or length.")
        }
        Finding::EveryPacketTwice { packets, copies, by_other_interface, in_other_vlan } => format!(
            "Packets come twice: {copies} of {packets} packets of telephony are copies ({by_other_interface} by another interface, {in_other_vlan} in another VLAN)."
        ),
        Finding::VlanTagsStripped { frames } => format!(
            "VLAN tags were taken out on the way: {frames} untagged frames are padded to a length that only a tagged one has. Sites with the same addresses cannot be told apart."
        ),
        Finding::ClockJumps { backwards, forwards, worst_ms } => format!(
            "The capture's clock jumps: {backwards} times back, {forwards} times ahead while media went on; {worst_ms} ms at most."
        ),
        Finding::HostClockSet { by_ms } => format!("This host's clock was set by {by_ms} ms meanwhile."),
        Finding::DirectionsOnDifferentQueues { pairs, apart } => {
            format!("Of {pairs} calls' media {apart} have their two directions on different receive queues.")
        }
        Finding::AllOnOneQueue { interface, queues, queue, flows } => format!(
            "All {flows} media flows of {interface} arrive by queue {queue}, though it has {queues}: one core does all the work."
        ),
        Finding::GreTunnel { sessions, frames } => format!(
            "The mirror comes by GRE or ERSPAN ({frames} frames, {sessions} sessions). All packets of a session look alike to a NIC and land on one queue, however many it has."
        ),
        _ => what_else(finding),
    }
}

fn what_else(finding: &Finding) -> String {
    match finding {
        Finding::UnconfiguredPhones { phones, first } => {
            let first: Vec<String> = first.0.iter().map(ToString::to_string).collect();
            let more = if *phones as usize > first.len() { ", …" } else { "" };
            format!("{phones} hosts take part in calls and are not configured: {}{more}.", first.join(", "))
        }
        Finding::UnconfiguredPorts { ports, messages } => {
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            format!("{messages} SIP messages use ports that are not configured: {}.", ports.join(", "))
        }
        Finding::VlanTagsOneWay { pairs } => {
            format!("{pairs} media flows have a VLAN tag in one direction and none in the other.")
        }
        Finding::VxlanTunnel { sessions, frames } => {
            format!("The mirror comes by VXLAN ({frames} frames, {sessions} sessions).")
        }
        Finding::TooMuchToFollow { flows, calls } => {
            format!(
                "There is more than the doctor follows: it judged by {flows} media flows and {calls} calls."
            )
        }
        Finding::CallsSeen { calls, answered, messages } => {
            format!(
                "Signalling is readable in both directions: {messages} messages of {calls} calls, {answered} of them answered meanwhile."
            )
        }
        Finding::BothDirections { flows } => {
            format!("{flows} media flows have both their directions here.")
        }
        Finding::DecodableCodecs { codecs } => format!("Codecs that are decoded: {}.", list(codecs)),
        _ => String::new(),
    }
}

fn list(codecs: &[CodecPackets]) -> String {
    let each = codecs.iter().map(|codec| format!("{} ({} packets)", codec.codec, codec.packets));
    each.collect::<Vec<_>>().join(", ")
}

/// What to change, and where.
fn advice(finding: &Finding) -> (&'static str, &'static str) {
    match finding {
        Finding::NoPackets { link: Link::None, .. } => (
            "Plug the cable in, fit the right transceiver, and enable the switch port.",
            "cable and the switch's port",
        ),
        Finding::NoPackets { link: Link::Down, .. } => (
            "Switch the interface on (ip link set X up), also for the next start.",
            "this host: network configuration",
        ),
        Finding::NoPackets { .. } => (
            "Check that the mirror session is active and that its destination is the port that this interface is plugged into.",
            "the switch: mirror (SPAN) session",
        ),
        Finding::OwnFramesOnly { .. } => (
            "On a virtual switch allow the sensor's port promiscuous mode (VMware: port group, Security, Promiscuous mode: Accept; Hyper-V: Port mirroring: Destination; Open vSwitch: a mirror with this port as output-port). On a real one configure the mirror session.",
            "the virtual switch or hypervisor, else the switch's mirror session",
        ),
        Finding::NoTelephony { .. } => (
            "Mirror the ports or VLANs of the call server, the SBC and the phones, not others.",
            "the switch: sources of the mirror session",
        ),
        Finding::OneDirectionMedia { .. } | Finding::OneDirectionSignalling { .. } => (
            "Mirror both directions of the source ports (Cisco: `both`; Juniper: ingress and egress). With a tap that has a port per direction, give both interfaces. If the two ways take different routes, mirror both.",
            "the switch: direction of the mirror session; or the sensor: capture.interfaces",
        ),
        Finding::SignallingWithoutMedia { .. } => (
            "Mirror also where media flow: phones may talk to each other directly, past the call server. Take the phones' VLAN or the media gateway's port as a further source.",
            "the switch: sources of the mirror session",
        ),
        Finding::MediaWithoutSignalling { tls_segments: 0, .. } => (
            "Mirror also the call server's or SBC's port that signalling uses; if it is SIP over TCP, let the call server use UDP.",
            "the switch: sources of the mirror session; the call server: transport",
        ),
        Finding::SignallingByTcp { .. } => (
            "Let the part of the way that is mirrored use SIP over UDP.",
            "the call server or SBC: transport of the trunk or of the phones",
        ),
        Finding::EncryptedSignalling { .. } | Finding::MediaWithoutSignalling { .. } => (
            "Let the part of the way that is mirrored use SIP without TLS (between SBC and call server, for one), or mirror a part that does.",
            "the call server or SBC: transport of the trunk or of the phones",
        ),
        Finding::EncryptedMedia { .. } => (
            "Let the part of the way that is mirrored use plain RTP (RTP/AVP), or mirror behind the SBC that ends SRTP.",
            "the call server or SBC: media encryption of the trunk or of the phones",
        ),
        Finding::UndecodableCodecs { .. } => (
            "Let the phones or the trunk prefer a codec that is decoded (PCMA, PCMU).",
            "the call server or SBC: codec preference",
        ),
        Finding::TruncatedFrames { by: CutBy::Capture, .. } => {
            ("Capture whole packets (tcpdump -s 0).", "the capture's command")
        }
        Finding::TruncatedFrames { by: CutBy::Mirror, .. } => (
            "Switch packet slicing off; allow the mirror's destination, and a tunnel on the way, an MTU that holds whole frames.",
            "the switch or packet broker: truncation and MTU of the mirror session; the sensor's interface: MTU",
        ),
        _ => advice_of_host(finding),
    }
}

fn advice_of_host(finding: &Finding) -> (&'static str, &'static str) {
    match finding {
        Finding::QueueFull { .. } => (
            "Enlarge the receive rings (ethtool -G X rx MAX), spread flows over more queues (ethtool -L), or mirror less.",
            "this host: the NIC's rings and queues; the switch: sources of the mirror session",
        ),
        Finding::CoreFull { .. } => (
            "Enlarge net.core.netdev_max_backlog, spread the NIC's interrupts over cores (/proc/irq/*/smp_affinity), and keep other work off this one.",
            "this host: sysctl and interrupt affinity",
        ),
        Finding::CoreBusy { .. } => (
            "Spread flows over more queues (ethtool -L, -X) and their interrupts over cores.",
            "this host: the NIC's queues and interrupt affinity",
        ),
        Finding::RingFull { .. } => (
            "Enlarge capture.ring_mib, keep other work off this host, or mirror less.",
            "the sensor's configuration",
        ),
        Finding::BrokenFrames { .. } => (
            "Clean or replace cable and transceiver; set speed, duplex and MTU alike at both ends.",
            "cable, the switch's port, the sensor's interface",
        ),
        Finding::EveryPacketTwice { by_other_interface, copies, .. } if by_other_interface * 2 >= *copies => {
            (
                "Mirror each source to one of the interfaces only.",
                "the switch: sources of the mirror sessions",
            )
        }
        Finding::EveryPacketTwice { .. } => (
            "Mirror a VLAN or its ports, not both; of ports that talk to each other, mirror one direction only (ingress). The sensor counts copies once, but they cost half of its capacity.",
            "the switch: sources and direction of the mirror session",
        ),
        Finding::VlanTagsStripped { .. } => (
            "Let the mirror keep tags (Cisco: destination … encapsulation replicate), and switch the NIC's stripping off (ethtool -K X rxvlan off).",
            "the switch: destination of the mirror session; this host: the NIC's offloads",
        ),
        Finding::ClockJumps { .. } | Finding::HostClockSet { .. } => (
            "Let NTP or PTP slew the clock, not step it (chrony: makestep only at the start); join captures of different machines only when their clocks agree.",
            "the host that captures: time synchronisation",
        ),
        Finding::DirectionsOnDifferentQueues { .. } => (
            "Make the NIC's hash symmetric (ethtool -X X xfrm symmetric-xor, or a key that repeats 6d:5a) and over addresses alone or with ports (ethtool -N X rx-flow-hash udp4 sdfn).",
            "this host: the NIC's RSS key and fields",
        ),
        Finding::AllOnOneQueue { .. } => (
            "Hash UDP by addresses and ports (ethtool -N X rx-flow-hash udp4 sdfn) and spread the table over all queues (ethtool -X X equal N); look for ntuple rules (ethtool -n X).",
            "this host: the NIC's RSS fields and table",
        ),
        Finding::GreTunnel { .. } => (
            "Split the mirror into several sessions with different addresses, use VXLAN (its source port spreads), or a local mirror port.",
            "the switch: destination of the mirror session",
        ),
        Finding::UnconfiguredPhones { .. } => (
            "Add their network to capture.phones, or take them out of the mirror if they are not to be recorded.",
            "the sensor's configuration; else the switch: sources of the mirror session",
        ),
        Finding::UnconfiguredPorts { .. } => {
            ("Add these ports to capture.signalling_ports.", "the sensor's configuration")
        }
        Finding::VlanTagsOneWay { .. } | Finding::VxlanTunnel { .. } | Finding::TooMuchToFollow { .. } => {
            ("", "")
        }
        _ => ("", ""),
    }
}
