//! Ogg pages (RFC 3533), written so that a stream can be continued: whoever has the serial, the
//! next page's number and the granule position goes on where another stopped.

/// Bytes of a page before its lacing values (RFC 3533, 6).
const HEADER_LEN: usize = 27;

/// Most lacing values of a page.
const MAX_SEGMENTS: usize = 255;

/// A page's flags (RFC 3533, 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageFlag {
    None = 0,
    FirstOfStream = 2,
    LastOfStream = 4,
}

/// One logical stream's pages. Packets never span pages here: pages of a second hold far less than
/// a page may.
#[derive(Clone, Debug)]
pub(crate) struct PageWriter {
    serial: u32,
    /// The next page's number.
    sequence: u32,
    lacing: Vec<u8>,
    body: Vec<u8>,
}

impl PageWriter {
    /// A stream whose next page has the number `sequence`.
    pub(crate) fn new(serial: u32, sequence: u32) -> PageWriter {
        PageWriter { serial, sequence, lacing: Vec::new(), body: Vec::new() }
    }

    /// The next page's number.
    pub(crate) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Whether a packet of `len` bytes fits into the open page.
    pub(crate) fn fits(&self, len: usize) -> bool {
        self.lacing.len() + len / 255 < MAX_SEGMENTS
    }

    /// Adds a packet to the open page.
    ///
    /// # Panics
    /// When it does not fit.
    pub(crate) fn push(&mut self, packet: &[u8]) {
        assert!(self.fits(packet.len()), "a packet of {} bytes on a full page", packet.len());
        self.lacing.extend(std::iter::repeat_n(255, packet.len() / 255));
        self.lacing.push((packet.len() % 255) as u8);
        if self.body.capacity() - self.body.len() < packet.len() {
            // A page's size is soon known: doubling would only waste.
            self.body.reserve_exact(packet.len() + 256);
        }
        self.body.extend_from_slice(packet);
    }

    /// Appends the open page to `out` and begins the next one.
    pub(crate) fn flush(&mut self, granule: u64, flag: PageFlag, out: &mut Vec<u8>) {
        let start = out.len();
        out.reserve_exact(HEADER_LEN + self.lacing.len() + self.body.len());
        out.extend_from_slice(b"OggS\0");
        out.push(flag as u8);
        out.extend_from_slice(&granule.to_le_bytes());
        out.extend_from_slice(&self.serial.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.push(self.lacing.len() as u8);
        out.extend_from_slice(&self.lacing);
        out.extend_from_slice(&self.body);
        let crc = checksum(&out[start..]);
        out[start + 22..start + 26].copy_from_slice(&crc.to_le_bytes());
        self.sequence += 1;
        self.lacing.clear();
        self.body.clear();
    }
}

static TABLE: [u32; 256] = checksum_table();

/// CRC-32 with polynomial 0x04c11db7, the high bit first, no inversion (RFC 3533, 6).
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc, &byte| crc << 8 ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)])
}

const fn checksum_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000_0000 != 0 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use ogg::PacketReader;

    #[test]
    fn another_reader_finds_every_packet() {
        let packets: Vec<Vec<u8>> =
            [0usize, 1, 254, 255, 256, 510, 1276].iter().map(|&len| vec![len as u8; len]).collect();
        let mut writer = PageWriter::new(0x1234_5678, 0);
        let mut out = Vec::new();
        writer.push(b"head");
        writer.flush(0, PageFlag::FirstOfStream, &mut out);
        for packet in &packets {
            writer.push(packet);
        }
        writer.flush(960, PageFlag::LastOfStream, &mut out);
        let mut reader = PacketReader::new(std::io::Cursor::new(out));
        assert_eq!(reader.read_packet_expected().unwrap().data, b"head");
        for packet in &packets {
            let read = reader.read_packet_expected().unwrap();
            assert_eq!(&read.data, packet);
            assert_eq!((read.stream_serial(), read.absgp_page()), (0x1234_5678, 960));
        }
        assert!(reader.read_packet().unwrap().is_none());
    }

    #[test]
    fn a_page_holds_no_more_than_255_segments() {
        let mut writer = PageWriter::new(1, 0);
        for _ in 0..254 {
            writer.push(b"x");
        }
        assert!(writer.fits(254));
        assert!(!writer.fits(255));
    }
}
