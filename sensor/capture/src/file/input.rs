//! Opens what a capture is read from (a file, standard input, memory) and takes off the
//! compression, which is recognised by its magic bytes and never by the name.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::window::Window;
use crate::SourceError;

/// How much of a compressed file is read at a time.
const COMPRESSED_READ: usize = 256 << 10;
/// How much is decompressed at a time: what a corrupt stream can take with it.
const DECOMPRESSED_READ: usize = 64 << 10;

/// An opened, decompressed stream and how far it has been read.
pub(super) struct Input {
    pub(super) window: Window,
    /// Bytes read from the file as it is stored.
    pub(super) done: Arc<AtomicU64>,
    /// The file's length as it is stored; `None` for a pipe.
    pub(super) total: Option<u64>,
    /// What was taken off, for messages.
    pub(super) compression: Option<&'static str>,
}

/// Opens the file at `path`, or standard input for `-`.
pub(super) fn open(path: &Path, name: &str) -> Result<Input, SourceError> {
    if path == Path::new("-") {
        return decompress(Box::new(io::stdin()), None, name);
    }
    let (opened, metadata) = open_file(path, name)?;
    decompress(Box::new(opened), metadata.is_file().then_some(metadata.len()), name)
}

/// The length of the file at `path`, as it is stored, after a trial that it can be opened.
pub(super) fn stored_len(path: &Path, name: &str) -> Result<u64, SourceError> {
    Ok(open_file(path, name)?.1.len())
}

fn open_file(path: &Path, name: &str) -> Result<(File, Metadata), SourceError> {
    let file = name.to_owned();
    let opened = File::open(path).and_then(|opened| {
        let metadata = opened.metadata()?;
        Ok((opened, metadata))
    });
    match opened {
        Ok((_, metadata)) if metadata.is_dir() => Err(SourceError::Directory { file }),
        Ok(opened) => Ok(opened),
        Err(source) => Err(match source.kind() {
            io::ErrorKind::NotFound => SourceError::Missing { file },
            io::ErrorKind::PermissionDenied => SourceError::Refused { file },
            _ => SourceError::Read { file, offset: 0, source },
        }),
    }
}

/// Reads from a whole image in memory, compressed or not.
pub(super) fn from_image(image: Vec<u8>, name: &str) -> Result<Input, SourceError> {
    if image.is_empty() {
        return Err(SourceError::Empty { file: name.to_owned() });
    }
    let total = image.len() as u64;
    if compression(&image).is_some() {
        return decompress(Box::new(Cursor::new(image)), Some(total), name);
    }
    let done = Arc::new(AtomicU64::new(total));
    Ok(Input { window: Window::memory(image), done, total: Some(total), compression: None })
}

#[derive(Clone, Copy)]
enum Compression {
    Gzip,
    Zstd,
}

/// The compression that a stream begins with.
fn compression(head: &[u8]) -> Option<Compression> {
    match head {
        // RFC 1952, 2.3.1: ID1, ID2, and CM 8, the only one that exists.
        [0x1f, 0x8b, 8, ..] => Some(Compression::Gzip),
        // RFC 8878, 3.1: a frame, or a skippable frame before it.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Compression::Zstd),
        _ => None,
    }
}

/// Counts what is read from `source`, looks at its first bytes, takes the compression off.
fn decompress(source: Box<dyn Read + Send>, total: Option<u64>, name: &str) -> Result<Input, SourceError> {
    let done = Arc::new(AtomicU64::new(0));
    let mut counted = Counted { source, done: Arc::clone(&done) };
    let mut head = Vec::with_capacity(4);
    (&mut counted).take(4).read_to_end(&mut head).map_err(|source| SourceError::Read {
        file: name.to_owned(),
        offset: 0,
        source,
    })?;
    if head.is_empty() {
        return Err(SourceError::Empty { file: name.to_owned() });
    }
    let compression = compression(&head);
    let whole = Cursor::new(head).chain(counted);
    let (reader, compression): (Box<dyn Read + Send>, _) = match compression {
        None => (Box::new(whole), None),
        Some(Compression::Gzip) => {
            let members =
                flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(COMPRESSED_READ, whole));
            (Box::new(Stepwise(members)), Some("gzip"))
        }
        Some(Compression::Zstd) => {
            let frames =
                zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(COMPRESSED_READ, whole))
                    .map_err(|source| SourceError::Read { file: name.to_owned(), offset: 0, source })?;
            (Box::new(Stepwise(frames)), Some("zstd"))
        }
    };
    Ok(Input { window: Window::stream(reader), done, total, compression })
}

/// Counts the bytes that pass.
struct Counted {
    source: Box<dyn Read + Send>,
    done: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(out)?;
        self.done.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Decompresses in small steps: a decoder that fails forgets what it made in that step.
struct Stepwise<R>(R);

impl<R: Read> Read for Stepwise<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let step = out.len().min(DECOMPRESSED_READ);
        self.0.read(&mut out[..step])
    }
}
