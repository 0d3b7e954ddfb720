//! A moving window over a stream of bytes: records are parsed in place, and only the incomplete
//! one at its end is moved when more is read.

use std::io::{self, Read};

/// How much is read at a time.
const READ: usize = 1 << 20;

/// The bytes of a stream that have been read and not yet consumed.
pub(super) struct Window {
    /// `None` for an image that is in memory as a whole.
    reader: Option<Box<dyn Read + Send>>,
    buffer: Vec<u8>,
    /// The unread bytes are `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Where in the stream `buffer[0]` stands.
    base: u64,
}

impl Window {
    /// Over a whole image.
    pub(super) fn memory(image: Vec<u8>) -> Window {
        let end = image.len();
        Window { reader: None, buffer: image, start: 0, end, base: 0 }
    }

    /// Over a reader.
    pub(super) fn stream(reader: Box<dyn Read + Send>) -> Window {
        Window { reader: Some(reader), buffer: vec![0; READ], start: 0, end: 0, base: 0 }
    }

    /// The unread bytes that are here.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Where in the stream [`Window::bytes`] begins.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// Where in the stream the bytes that are here end.
    pub(super) fn read_to(&self) -> u64 {
        self.base + self.end as u64
    }

    /// Moves past `count` bytes; they must be here.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start);
        self.start += count;
    }

    /// Reads until at least `wanted` bytes are here, or the stream has ended: then there are fewer.
    /// Grows the buffer for one record that is longer; callers bound `wanted`.
    pub(super) fn fill(&mut self, wanted: usize) -> io::Result<()> {
        while self.end - self.start < wanted {
            if self.start + wanted > self.buffer.len() || self.start == self.end {
                self.make_room(wanted);
            }
            let Some(reader) = &mut self.reader else { return Ok(()) };
            match reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(()),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Moves the unread bytes to the front. An image in memory stays where it is.
    fn make_room(&mut self, wanted: usize) {
        if self.reader.is_none() {
            return;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
    }

    /// Moves past `count` bytes, here or still to be read; returns how many there were.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<u64> {
        let mut left = count;
        loop {
            let here = self.bytes().len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.consume(here);
            left -= here as u64;
            if left == 0 {
                return Ok(count);
            }
            self.fill(1)?;
            if self.bytes().is_empty() {
                return Ok(count - left);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most `step` bytes a read.
    struct Dribble {
        data: Vec<u8>,
        at: usize,
        step: usize,
    }

    impl Read for Dribble {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.step.min(out.len()).min(self.data.len() - self.at);
            out[..count].copy_from_slice(&self.data[self.at..self.at + count]);
            self.at += count;
            Ok(count)
        }
    }

    #[test]
    fn a_stream_in_pieces_reads_as_the_whole_image() {
        let data: Vec<u8> = (0..3 * READ as u32 + 12_345).map(|i| (i * 7 % 251) as u8).collect();
        let mut window = Window::stream(Box::new(Dribble { data: data.clone(), at: 0, step: 65_537 }));
        let mut read = Vec::new();
        for len in (1..).map(|i| i * 37 % 9_000 + 1) {
            window.fill(len).unwrap();
            assert_eq!(window.offset(), read.len() as u64);
            let here = window.bytes().len().min(len);
            read.extend_from_slice(&window.bytes()[..here]);
            window.consume(here);
            if here < len {
                break;
            }
        }
        assert!(read == data);
    }

    #[test]
    fn a_record_longer_than_the_buffer_fits() {
        let data = vec![5; 2 * READ];
        let mut window = Window::stream(Box::new(io::Cursor::new(data)));
        window.fill(10).unwrap();
        window.consume(10);
        window.fill(2 * READ - 10).unwrap();
        assert_eq!(window.bytes().len(), 2 * READ - 10);
    }

    #[test]
    fn skipping_runs_over_what_has_not_been_read_and_tells_the_end() {
        let data: Vec<u8> = (0..=255).cycle().take(3 * READ).collect();
        let mut window = Window::stream(Box::new(io::Cursor::new(data)));
        window.fill(4).unwrap();
        assert_eq!(window.skip(2 * READ as u64 + 7).unwrap(), 2 * READ as u64 + 7);
        window.fill(1).unwrap();
        assert_eq!(window.bytes()[0], 7);
        assert_eq!(window.offset(), 2 * READ as u64 + 7);
        assert_eq!(window.skip(u64::MAX).unwrap(), READ as u64 - 7);
    }
}
