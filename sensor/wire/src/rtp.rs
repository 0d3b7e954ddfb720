//! The RTP header as a view (RFC 3550, 5.1; RFC 8285 extensions stay opaque).

use crate::{PayloadType, RtpTime, SeqNumber};

/// Why a datagram is not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtpError {
    /// Shorter than the header, its CSRCs or its extension say.
    Short,
    /// The version is not 2.
    Version,
    /// The padding count is zero or longer than the payload.
    Padding,
}

/// A checked RTP packet: every accessor stays within the bytes.
#[derive(Clone, Copy, Debug)]
pub struct RtpView<'a> {
    bytes: &'a [u8],
    payload_start: usize,
    payload_end: usize,
}

impl<'a> RtpView<'a> {
    /// Length of the fixed header in bytes.
    pub const HEADER_LEN: usize = 12;

    /// Checks `bytes`, a datagram from the RTP header on.
    ///
    /// # Errors
    /// [`RtpError`] says which rule of RFC 3550 the bytes break.
    pub fn parse(bytes: &'a [u8]) -> Result<RtpView<'a>, RtpError> {
        if bytes.len() < Self::HEADER_LEN {
            return Err(RtpError::Short);
        }
        if bytes[0] >> 6 != 2 {
            return Err(RtpError::Version);
        }
        let csrc_count = usize::from(bytes[0] & 0x0f);
        let mut start = Self::HEADER_LEN + 4 * csrc_count;
        if bytes[0] & 0x10 != 0 {
            let header = bytes.get(start..start + 4).ok_or(RtpError::Short)?;
            let words = usize::from(u16::from_be_bytes([header[2], header[3]]));
            start += 4 + 4 * words;
        }
        if start > bytes.len() {
            return Err(RtpError::Short);
        }
        let mut end = bytes.len();
        if bytes[0] & 0x20 != 0 {
            let padding = usize::from(bytes[end - 1]);
            if padding == 0 || padding > end - start {
                return Err(RtpError::Padding);
            }
            end -= padding;
        }
        Ok(RtpView { bytes, payload_start: start, payload_end: end })
    }

    /// The synchronisation source of a datagram that is taken for RTP; 0 when it is shorter than the header.
    pub fn ssrc_of(datagram: &[u8]) -> u32 {
        datagram.first_chunk().map_or(0, |[.., a, b, c, d]: &[u8; 12]| u32::from_be_bytes([*a, *b, *c, *d]))
    }

    /// The whole datagram.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The marker bit.
    pub fn marker(&self) -> bool {
        self.bytes[1] & 0x80 != 0
    }

    /// The payload type, 0..=127.
    pub fn payload_type(&self) -> PayloadType {
        self.bytes[1] & 0x7f
    }

    /// The sequence number.
    pub fn sequence(&self) -> SeqNumber {
        SeqNumber(u16::from_be_bytes([self.bytes[2], self.bytes[3]]))
    }

    /// The timestamp in ticks of the format's clock rate.
    pub fn timestamp(&self) -> RtpTime {
        RtpTime(u32::from_be_bytes([self.bytes[4], self.bytes[5], self.bytes[6], self.bytes[7]]))
    }

    /// The synchronisation source.
    pub fn ssrc(&self) -> u32 {
        u32::from_be_bytes([self.bytes[8], self.bytes[9], self.bytes[10], self.bytes[11]])
    }

    /// The payload, without padding.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.payload_start..self.payload_end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 16] = [0x80, 0x88, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 9, 8, 7, 6];

    #[test]
    fn fields_are_where_rfc_3550_puts_them() {
        let rtp = RtpView::parse(&PLAIN).unwrap();
        assert!(rtp.marker());
        assert_eq!(rtp.payload_type(), 8);
        assert_eq!(rtp.sequence(), SeqNumber(1));
        assert_eq!(rtp.timestamp(), RtpTime(160));
        assert_eq!(rtp.ssrc(), 0x0102_0304);
        assert_eq!(rtp.payload(), [9, 8, 7, 6]);
    }

    #[test]
    fn csrcs_extension_and_padding_are_taken_off() {
        let mut bytes = [0u8; 12 + 4 + 4 + 4 + 5];
        bytes[0] = 0x80 | 0x20 | 0x10 | 1;
        bytes[12 + 4 + 3] = 1; // one extension word
        let last = bytes.len() - 1;
        bytes[last] = 3;
        let rtp = RtpView::parse(&bytes).unwrap();
        assert_eq!(rtp.payload().len(), 2);
    }

    #[test]
    fn lengths_that_lie_are_errors() {
        assert_eq!(RtpView::parse(&PLAIN[..11]).unwrap_err(), RtpError::Short);
        let mut version = PLAIN;
        version[0] = 0x40;
        assert_eq!(RtpView::parse(&version).unwrap_err(), RtpError::Version);
        let mut csrc = PLAIN;
        csrc[0] = 0x8f;
        assert_eq!(RtpView::parse(&csrc).unwrap_err(), RtpError::Short);
        let mut extension = PLAIN;
        extension[0] = 0x90;
        extension[14] = 0xff;
        assert_eq!(RtpView::parse(&extension).unwrap_err(), RtpError::Short);
        for padding in [0, 5] {
            let mut padded = PLAIN;
            padded[0] = 0xa0;
            padded[15] = padding;
            assert_eq!(RtpView::parse(&padded).unwrap_err(), RtpError::Padding);
        }
    }
}
