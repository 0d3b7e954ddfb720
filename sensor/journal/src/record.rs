//! One record: what was appended at one moment for one stream, and how it lies in a block.

use nightjar_wire::Nanos;

/// Bytes of a record's header.
pub const RECORD_HEADER_BYTES: usize = 16;

/// The longest record body, in bytes. A UDP datagram that IP fragments may be longer; nothing that
/// carries media is, and an event that is must be split by who writes it.
pub const RECORD_LIMIT: usize = 48 * 1024;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// An RTP packet, from its header on.
    Media = 1,
    /// A compound RTCP packet.
    Rtcp = 2,
    /// Another datagram of a media endpoint (T.38, unknown).
    Datagram = 3,
    /// What the directory decided: call opened, endpoint bound, format, verdict, pause, end.
    Event = 4,
}

impl RecordKind {
    /// The kind that a stored byte names.
    pub const fn from_byte(byte: u8) -> Option<RecordKind> {
        match byte {
            1 => Some(RecordKind::Media),
            2 => Some(RecordKind::Rtcp),
            3 => Some(RecordKind::Datagram),
            4 => Some(RecordKind::Event),
            _ => None,
        }
    }

    /// Whether it stands for a received packet, and so for a unit of the ledger.
    pub const fn is_packet(self) -> bool {
        !matches!(self, RecordKind::Event)
    }
}

/// What stands before a record's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Bytes that follow, without the padding to the next multiple of 8.
    pub len: u16,
    /// What they are.
    pub kind: RecordKind,
    /// The stream's number within this run of the sensor; its meaning is the pipeline's.
    pub stream: u32,
    /// The packet's stamp on the capture clock.
    pub arrival: Nanos,
}

impl RecordHeader {
    /// As two little-endian words: `len:16 kind:8 0:8 stream:32`, `arrival:64`.
    pub(crate) fn words(self) -> [u64; 2] {
        let first = u64::from(self.len) | u64::from(self.kind as u8) << 16 | u64::from(self.stream) << 32;
        [first, self.arrival.0]
    }

    /// The inverse of [`RecordHeader::words`]; `None` for a kind that this version does not know
    /// or bits that must be 0.
    pub(crate) fn from_words(words: [u64; 2]) -> Option<RecordHeader> {
        let kind = RecordKind::from_byte((words[0] >> 16) as u8)?;
        if (words[0] >> 24) as u8 != 0 {
            return None;
        }
        let stream = (words[0] >> 32) as u32;
        Some(RecordHeader { len: words[0] as u16, kind, stream, arrival: Nanos(words[1]) })
    }
}

/// One record, viewed where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its header.
    pub header: RecordHeader,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Words that a record of `len` bytes takes in a block.
pub(crate) const fn record_words(len: usize) -> usize {
    RECORD_HEADER_BYTES / 8 + len.div_ceil(8)
}

/// The records of a block's payload, in the order of their appends.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    /// What is not yet read; begins at a record.
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// Over payload bytes that begin at a record.
    pub(crate) fn new(payload: &'a [u8]) -> Records<'a> {
        Records { rest: payload }
    }

    /// Bytes that could not be read as records; 0 after the last record of a sound payload.
    pub fn unread(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let (header, body) = self.rest.split_at_checked(RECORD_HEADER_BYTES)?;
        let (words, _) = header.as_chunks::<8>();
        let words = [u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])];
        let header = RecordHeader::from_words(words)?;
        let len = usize::from(header.len);
        let bytes = body.get(..len)?;
        self.rest = body.get(len.next_multiple_of(8)..)?;
        Some(Record { header, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: RecordHeader =
        RecordHeader { len: 3, kind: RecordKind::Rtcp, stream: 0xdead_beef, arrival: Nanos(u64::MAX - 1) };

    fn bytes_of(header: RecordHeader, body: &[u8]) -> Vec<u8> {
        let mut bytes: Vec<u8> = header.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend_from_slice(body);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    #[test]
    fn a_header_is_read_back_as_it_was_written() {
        assert_eq!(RecordHeader::from_words(HEADER.words()), Some(HEADER));
        let bytes = bytes_of(HEADER, b"abc");
        assert_eq!(bytes.len(), 24);
        let mut records = Records::new(&bytes);
        assert_eq!(records.next(), Some(Record { header: HEADER, bytes: b"abc" }));
        assert_eq!(records.next(), None);
        assert_eq!(records.unread(), 0);
    }

    #[test]
    fn a_header_that_names_more_than_there_is_ends_the_walk() {
        let mut bytes = bytes_of(HEADER, b"abc");
        bytes[0] = 9;
        let mut records = Records::new(&bytes);
        assert_eq!(records.next(), None);
        assert_eq!(records.unread(), 24);
    }

    #[test]
    fn unknown_kinds_and_reserved_bits_are_refused() {
        let mut bytes = bytes_of(HEADER, b"abc");
        bytes[2] = 5;
        assert_eq!(Records::new(&bytes).next(), None);
        let mut bytes = bytes_of(HEADER, b"abc");
        bytes[3] = 1;
        assert_eq!(Records::new(&bytes).next(), None);
    }
}
