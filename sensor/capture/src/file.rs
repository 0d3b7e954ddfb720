//! A capture file as a packet source: pcap or pcapng, plain, gzip or zstd, from a path, standard
//! input or memory. What it is is told from its bytes alone.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use crate::SourceError;
use crate::source::{PacketSource, RawFrame, Received, SourceStatistics};
use classic::Classic;
use input::Input;
use interfaces::Interfaces;
use ng::Ng;
use window::Window;

mod chain;
mod classic;
mod held;
mod input;
mod interfaces;
mod ng;
mod ticks;
mod window;

pub use chain::CaptureFiles;

/// Frames that one call gives at most.
const BATCH: usize = 512;
/// The longest frame, as libpcap's MAXIMUM_SNAPLEN.
const MAX_FRAME: usize = 256 << 10;

/// A capture file, read once from its beginning to its end.
pub struct CaptureFile {
    name: String,
    input: Input,
    format: Format,
    interfaces: Interfaces,
    statistics: SourceStatistics,
    /// Found behind frames that were given in the same call; told in the next one.
    fault: Option<Fault>,
    ended: bool,
}

enum Format {
    Classic(Classic),
    Ng(Ng),
}

impl fmt::Debug for CaptureFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl CaptureFile {
    /// Opens the file at `path`; `-` is standard input.
    ///
    /// # Errors
    /// [`SourceError`], one variant per reason: missing, not readable, a directory, empty, no
    /// capture, a link type that is not decoded, cut off within its header.
    pub fn open(path: impl AsRef<Path>) -> Result<CaptureFile, SourceError> {
        CaptureFile::open_onto(path.as_ref(), Interfaces::default())
    }

    /// Reads a capture from memory (a `Vec`, an `Arc`): tests, benchmarks. It may be compressed.
    ///
    /// # Errors
    /// As [`CaptureFile::open`].
    pub fn from_bytes(image: impl AsRef<[u8]> + Send + 'static) -> Result<CaptureFile, SourceError> {
        let name = "memory".to_owned();
        let input = input::from_image(image, &name)?;
        CaptureFile::start(name, input, Interfaces::default())
    }

    /// Opens a file whose interfaces are numbered behind those of earlier files.
    fn open_onto(path: &Path, interfaces: Interfaces) -> Result<CaptureFile, SourceError> {
        let name = display_name(path);
        let input = input::open(path, &name)?;
        CaptureFile::start(name, input, interfaces)
    }

    /// Recognises the format and reads its header.
    fn start(name: String, mut input: Input, mut interfaces: Interfaces) -> Result<CaptureFile, SourceError> {
        match recognise(&mut input.window, &mut interfaces) {
            Ok(format) => {
                let statistics = SourceStatistics::default();
                Ok(CaptureFile { name, input, format, interfaces, statistics, fault: None, ended: false })
            }
            Err(fault) => Err(fault.explain(&name, &input)),
        }
    }

    /// What was taken off the file before it could be read: `gzip` or `zstd`.
    pub fn compression(&self) -> Option<&'static str> {
        self.input.compression
    }

    /// The file's path, or what stands for it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl PacketSource for CaptureFile {
    fn receive(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> Result<Received, SourceError> {
        if let Some(fault) = self.fault.take() {
            self.ended = true;
            return Err(fault.explain(&self.name, &self.input));
        }
        if self.ended {
            return Ok(Received::End);
        }
        let before = self.statistics.received;
        let window = &mut self.input.window;
        let step = match &mut self.format {
            Format::Classic(classic) => classic.batch(window, &mut self.statistics, sink),
            Format::Ng(ng) => ng.batch(window, &mut self.interfaces, &mut self.statistics, sink),
        };
        let frames = (self.statistics.received - before) as usize;
        match step {
            Ok(Step::More) => {}
            Ok(Step::End) => self.ended = true,
            Err(fault) if frames > 0 => self.fault = Some(fault),
            Err(fault) => {
                self.ended = true;
                return Err(fault.explain(&self.name, &self.input));
            }
        }
        Ok(if self.ended && frames == 0 { Received::End } else { Received::Frames(frames) })
    }

    fn interfaces(&self) -> &[String] {
        self.interfaces.names()
    }

    fn statistics(&mut self) -> SourceStatistics {
        self.statistics
    }

    fn progress(&self) -> Option<(u64, u64)> {
        let total = self.input.total?;
        let stored = self.input.done.load(Ordering::Relaxed);
        let done = if self.input.compression.is_some() { stored } else { self.input.window.offset() };
        Some((done.min(total), total))
    }
}

/// How a batch ended.
enum Step {
    /// There may be more.
    More,
    /// The stream has ended between two records.
    End,
}

/// What is wrong with a stream; the file's name is added by [`Fault::explain`].
enum Fault {
    NotACapture(String),
    UnknownLink(u32),
    CutOff { offset: u64, what: String },
    Corrupt { offset: u64, what: String },
    Read(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Read(error)
    }
}

impl Fault {
    /// The stream ends in the record that begins here.
    fn cut_off(window: &Window, what: String) -> Fault {
        Fault::CutOff { offset: window.offset(), what }
    }

    /// The record that begins here contradicts itself.
    fn corrupt(window: &Window, what: String) -> Fault {
        Fault::Corrupt { offset: window.offset(), what }
    }

    /// With the place where its record begins.
    fn at(self, offset: u64) -> Fault {
        match self {
            Fault::Corrupt { what, .. } => Fault::Corrupt { offset, what },
            other => other,
        }
    }

    fn explain(self, name: &str, input: &Input) -> SourceError {
        let file = name.to_owned();
        match self {
            Fault::NotACapture(what) => SourceError::NotACapture { file, what },
            Fault::UnknownLink(number) => SourceError::UnknownLink { file, number },
            Fault::CutOff { offset, what } => SourceError::CutOff { file, offset, what },
            Fault::Corrupt { offset, what } => SourceError::Corrupt { file, offset, what },
            Fault::Read(source) => explain_read(source, file, input),
        }
    }
}

/// A failed read is the system's fault, or the compression's: a decoder's errors have no number.
fn explain_read(source: io::Error, file: String, input: &Input) -> SourceError {
    let offset = input.window.read_to();
    match input.compression {
        _ if source.kind() == io::ErrorKind::IsADirectory => SourceError::Directory { file },
        Some(kind) if source.kind() == io::ErrorKind::UnexpectedEof => {
            SourceError::CutOff { file, offset, what: format!("the {kind} stream ends too early") }
        }
        Some(kind) if source.raw_os_error().is_none() => SourceError::Corrupt {
            file,
            offset,
            what: format!("the {kind} stream cannot be read ({source})"),
        },
        _ => SourceError::Read { file, offset, source },
    }
}

/// Tells the format from the stream's first bytes and reads its header.
fn recognise(window: &mut Window, interfaces: &mut Interfaces) -> Result<Format, Fault> {
    window.fill(4)?;
    let head = window.bytes();
    if ng::recognise(head) {
        return Ok(Format::Ng(Ng::new()));
    }
    if !classic::recognise(head) {
        return Err(Fault::NotACapture(looks_like(&head[..head.len().min(4)])));
    }
    let interface = interfaces.index_of_unnamed(0).unwrap_or_default();
    Classic::open(window, interface).map(Format::Classic)
}

/// What a stream that is no capture begins with, with the name of some formats that are met.
fn looks_like(head: &[u8]) -> String {
    match head {
        [] => "there is nothing in it".to_owned(),
        [0xfd, b'7', b'z', b'X'] => "it is compressed with xz (unpack it first)".to_owned(),
        [b'B', b'Z', b'h', _] => "it is compressed with bzip2 (unpack it first)".to_owned(),
        [0x04, 0x22, 0x4d, 0x18] => "it is compressed with lz4 (unpack it first)".to_owned(),
        [b'P', b'K', 3, 4] => "it is a zip archive (unpack it first)".to_owned(),
        _ => {
            let bytes: Vec<String> = head.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("it begins with the bytes {}", bytes.join(" "))
        }
    }
}

/// How a path is called in messages.
fn display_name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// Reads a whole capture from memory and gives each frame to `sink`: for fuzzing and tools.
///
/// # Errors
/// As [`CaptureFile::open`] and [`PacketSource::receive`], after the frames before the fault.
pub fn read_capture_bytes(
    bytes: &[u8],
    mut sink: impl FnMut(RawFrame<'_>),
) -> Result<SourceStatistics, SourceError> {
    let mut file = CaptureFile::from_bytes(bytes.to_vec())?;
    while file.receive(&mut sink)? != Received::End {}
    Ok(file.statistics())
}
