//! RTCP packets of a compound datagram, as views (RFC 3550, 6; RFC 5506 reduced size).

/// Why a datagram is not RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpError {
    /// Shorter than its header or than its own length field says.
    Short,
    /// The version is not 2 or the packet type is outside 192..=223.
    Type,
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug)]
pub struct RtcpView<'a> {
    bytes: &'a [u8],
}

impl<'a> RtcpView<'a> {
    /// The packet type: 200 SR, 201 RR, 202 SDES, 203 BYE, 204 APP, 205 and 206 feedback, 207 XR.
    pub fn packet_type(&self) -> u8 {
        self.bytes[1]
    }

    /// The first SSRC of the body, `None` for a body without one.
    pub fn ssrc(&self) -> Option<u32> {
        self.bytes.get(4..8).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// The whole packet with its header.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// The packets of a compound datagram, in order; ends after the first error.
#[derive(Clone, Debug)]
pub struct RtcpPackets<'a> {
    rest: &'a [u8],
}

impl<'a> RtcpPackets<'a> {
    /// Walks `datagram`.
    pub fn new(datagram: &'a [u8]) -> RtcpPackets<'a> {
        RtcpPackets { rest: datagram }
    }
}

impl<'a> Iterator for RtcpPackets<'a> {
    type Item = Result<RtcpView<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match take(self.rest) {
            Ok((packet, rest)) => {
                self.rest = rest;
                Some(Ok(packet))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

fn take(bytes: &[u8]) -> Result<(RtcpView<'_>, &[u8]), RtcpError> {
    if bytes.len() < 4 {
        return Err(RtcpError::Short);
    }
    if bytes[0] >> 6 != 2 || !(192..=223).contains(&bytes[1]) {
        return Err(RtcpError::Type);
    }
    let len = 4 * (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])) + 1);
    if len > bytes.len() {
        return Err(RtcpError::Short);
    }
    let (packet, rest) = bytes.split_at(len);
    Ok((RtcpView { bytes: packet }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compound_is_walked_packet_by_packet() {
        let mut bytes = [0u8; 8 + 8];
        bytes[..8].copy_from_slice(&[0x80, 201, 0, 1, 0, 0, 0, 7]);
        bytes[8..].copy_from_slice(&[0x81, 203, 0, 1, 0, 0, 0, 7]);
        let types: alloc::vec::Vec<u8> = RtcpPackets::new(&bytes).map(|p| p.unwrap().packet_type()).collect();
        assert_eq!(types, [201, 203]);
        assert_eq!(RtcpPackets::new(&bytes).next().unwrap().unwrap().ssrc(), Some(7));
    }

    #[test]
    fn a_length_past_the_end_stops_the_walk() {
        let bytes = [0x80, 200, 0, 9, 0, 0, 0, 7];
        let mut packets = RtcpPackets::new(&bytes);
        assert_eq!(packets.next().unwrap().unwrap_err(), RtcpError::Short);
        assert!(packets.next().is_none());
    }
}
