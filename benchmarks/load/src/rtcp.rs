//! Sender reports (RFC 3550, 6.4.1) with a CNAME (6.5.1).

use nightjar_wire::Nanos;

/// What a sender reports of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SenderReport {
    pub ssrc: u32,
    pub at: Nanos,
    pub rtp_timestamp: u32,
    pub packets: u32,
    pub octets: u32,
}

/// Seconds from 1900, where NTP begins, to 1970.
const NTP_EPOCH: u64 = 2_208_988_800;

impl SenderReport {
    /// Appends the compound of SR and SDES.
    pub fn append(&self, out: &mut Vec<u8>) {
        let seconds = (self.at.0 / 1_000_000_000 + NTP_EPOCH) as u32;
        let fraction = (((self.at.0 % 1_000_000_000) << 32) / 1_000_000_000) as u32;
        out.extend_from_slice(&[0x80, 200, 0, 6]);
        for word in [self.ssrc, seconds, fraction, self.rtp_timestamp, self.packets, self.octets] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        let name = format!("{:08x}@example.test", self.ssrc);
        let mut chunk = self.ssrc.to_be_bytes().to_vec();
        chunk.extend_from_slice(&[1, name.len() as u8]);
        chunk.extend_from_slice(name.as_bytes());
        // At least one zero ends the items; the chunk fills whole words.
        chunk.resize((chunk.len() / 4 + 1) * 4, 0);
        out.extend_from_slice(&[0x81, 202, 0, (chunk.len() / 4) as u8]);
        out.extend_from_slice(&chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightjar_wire::RtcpPackets;

    #[test]
    fn the_compound_is_walked_by_its_lengths() {
        let report =
            SenderReport { ssrc: 5, at: Nanos(1_500_000_000), rtp_timestamp: 1, packets: 2, octets: 3 };
        let mut bytes = Vec::new();
        report.append(&mut bytes);
        let types: Vec<u8> = RtcpPackets::new(&bytes).map(|p| p.unwrap().packet_type()).collect();
        assert_eq!(types, [200, 202]);
        assert_eq!(bytes[8..16], [0x83, 0xaa, 0x7e, 0x81, 0x80, 0, 0, 0]);
    }
}
