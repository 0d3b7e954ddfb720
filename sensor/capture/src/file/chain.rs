//! Several capture files as one source, in the order of their stamps: a rotation in any order (a
//! shell sorts `cap10` before `cap2`), the taps of two directions, one file per queue.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};

use nightjar_wire::Nanos;

use super::held::HeldFrames;
use super::interfaces::Interfaces;
use super::{BATCH, CaptureFile, display_name};
use crate::SourceError;
use crate::source::{PacketSource, RawFrame, Received, SourceStatistics};

/// Files that are open at the same time; one more waits until another has ended, whatever its
/// stamps.
const MAX_OPEN: usize = 64;

/// A set of capture files as one source. A file is opened when its first frame is due, and files
/// that run at the same time are merged frame by frame; within a file frames keep their order,
/// whatever their stamps. Interfaces of the same name in several files are one.
///
/// Where one of the files is a pipe, its stamps cannot be looked at first: all are then read one
/// after the other, in the order given.
#[derive(Debug)]
pub struct CaptureFiles {
    /// Files still to be opened, the next one last.
    waiting: Vec<Waiting>,
    open: Vec<OpenFile>,
    /// The interfaces seen so far.
    interfaces: Interfaces,
    /// Counts of the files that have been read.
    earlier: SourceStatistics,
    /// Stored bytes of the files that have been read.
    earlier_bytes: u64,
    /// Stored bytes of all files; `None` when one of them is a pipe.
    total: Option<u64>,
}

#[derive(Debug)]
struct Waiting {
    path: PathBuf,
    /// Its place among the files given: the earlier one goes first where stamps are equal.
    place: usize,
    /// Its first frame's stamp; the latest there is where files are read one after the other.
    first: Nanos,
}

#[derive(Debug)]
struct OpenFile {
    file: CaptureFile,
    place: usize,
    /// Frames that were read and are not due yet.
    held: HeldFrames,
    /// How it ended, once it has.
    end: Option<Result<(), SourceError>>,
}

impl CaptureFiles {
    /// The files at `paths`, each opened when its turn comes; `-` is standard input.
    ///
    /// # Errors
    /// The [`SourceError`] of the first path that cannot be read, before any file is: missing, not
    /// readable, a directory, empty.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<CaptureFiles, SourceError> {
        let mut total = Some(0u64);
        for path in paths {
            let len = check(path.as_ref())?;
            total = total.zip(len).map(|(sum, len)| sum.saturating_add(len));
        }
        let merged = total.is_some() && paths.len() > 1;
        let mut waiting = Vec::with_capacity(paths.len());
        let mut first = if merged { Nanos::ZERO } else { Nanos::MAX };
        for (place, path) in paths.iter().enumerate() {
            let path = path.as_ref();
            // What holds no frame, or cannot be read, stays behind the file before it.
            first = if merged { first_stamp(path).unwrap_or(first) } else { first };
            waiting.push(Waiting { path: path.to_owned(), place, first });
        }
        waiting.sort_by_key(|file| Reverse((file.first, file.place)));
        Ok(CaptureFiles {
            waiting,
            open: Vec::new(),
            interfaces: Interfaces::default(),
            earlier: SourceStatistics::default(),
            earlier_bytes: 0,
            total,
        })
    }

    /// The file that is being read now, or else the one that comes next.
    pub fn current(&self) -> Option<String> {
        let next = || self.waiting.last().map(|file| display_name(&file.path));
        self.open.first().map(|open| open.file.name().to_owned()).or_else(next)
    }

    /// Opens the file that comes next.
    fn open_next(&mut self) -> Result<(), SourceError> {
        let Some(Waiting { path, place, .. }) = self.waiting.pop() else { return Ok(()) };
        let mut file = CaptureFile::open_onto(&path, self.interfaces.clone())?;
        self.interfaces = std::mem::take(&mut file.interfaces);
        self.open.push(OpenFile { file, place, held: HeldFrames::default(), end: None });
        Ok(())
    }

    /// The stamp from which on another file has to be opened.
    fn horizon(&self) -> Nanos {
        self.waiting.last().filter(|_| self.open.len() < MAX_OPEN).map_or(Nanos::MAX, |next| next.first)
    }

    /// Puts a file away that has ended and holds nothing more.
    fn finish(&mut self, index: usize) -> Result<(), SourceError> {
        let mut ended = self.open.swap_remove(index);
        self.earlier.add(&ended.file.statistics());
        self.earlier_bytes += ended.file.input.total.unwrap_or(0);
        ended.end.unwrap_or(Ok(()))
    }

    /// Reads a batch of the only open file: frames before `horizon` go to the sink, the rest waits.
    fn pass(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> usize {
        let horizon = self.horizon();
        let CaptureFiles { open, interfaces, .. } = self;
        let mut given = 0;
        open[0].read(interfaces, &mut |held, frame| {
            if held.is_empty() && frame.at < horizon {
                given += 1;
                sink(frame);
            } else {
                held.push(&frame);
            }
        });
        given
    }

    /// The open file whose next frame is due first, and its stamp; `None` when none is open.
    fn due(&mut self) -> Option<(Nanos, usize)> {
        let CaptureFiles { open, interfaces, .. } = self;
        for file in &mut *open {
            while file.held.is_empty() && file.end.is_none() {
                file.read(interfaces, &mut |held, frame| held.push(&frame));
            }
        }
        let heads = open.iter().enumerate().map(|(index, file)| {
            // One that has ended is put away before anything else.
            let at = file.held.first().map_or(Nanos::ZERO, |frame| frame.at);
            (!file.held.is_empty(), at, file.place, index)
        });
        heads.min().map(|(_, at, _, index)| (at, index))
    }
}

impl OpenFile {
    /// Reads a batch, with the interfaces of all files for its own.
    fn read(&mut self, interfaces: &mut Interfaces, each: &mut impl FnMut(&mut HeldFrames, RawFrame<'_>)) {
        let held = &mut self.held;
        std::mem::swap(&mut self.file.interfaces, interfaces);
        let received = self.file.receive(&mut |frame| each(held, frame));
        std::mem::swap(&mut self.file.interfaces, interfaces);
        match received {
            Ok(Received::End) => self.end = Some(Ok(())),
            Ok(_) => {}
            Err(error) => self.end = Some(Err(error)),
        }
    }
}

/// Looks at one path without reading from it (a pipe's bytes would be lost); its stored length.
fn check(path: &Path) -> Result<Option<u64>, SourceError> {
    if path == Path::new("-") || fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Ok(None);
    }
    let name = display_name(path);
    let len = super::input::stored_len(path, &name)?;
    if len == 0 { Err(SourceError::Empty { file: name }) } else { Ok(Some(len)) }
}

/// The stamp of a file's first frame; `None` when it has none or cannot be read.
fn first_stamp(path: &Path) -> Option<Nanos> {
    let mut file = CaptureFile::open(path).ok()?;
    let mut first = None;
    while first.is_none() {
        let received = file.receive(&mut |frame| first = first.or(Some(frame.at)));
        if !matches!(received, Ok(Received::Frames(_))) {
            break;
        }
    }
    first
}

impl PacketSource for CaptureFiles {
    fn receive(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> Result<Received, SourceError> {
        let mut given = 0;
        while given < BATCH {
            let alone = self.open.len() == 1 && self.open[0].held.is_empty() && self.open[0].end.is_none();
            if alone && given == 0 {
                given = self.pass(sink);
                if given > 0 {
                    break;
                }
                continue;
            }
            let Some((at, index)) = self.due() else {
                if self.waiting.is_empty() {
                    return Ok(Received::End);
                }
                self.open_next()?;
                continue;
            };
            let ended = self.open[index].held.is_empty();
            let opens = !ended && self.horizon() <= at;
            if given > 0 && (alone || ended || opens) {
                // A fault that comes next is told by a call of its own.
                break;
            }
            if ended {
                self.finish(index)?;
            } else if opens {
                self.open_next()?;
            } else {
                self.open[index].held.pop(sink);
                given += 1;
            }
        }
        Ok(Received::Frames(given))
    }

    fn interfaces(&self) -> &[String] {
        self.interfaces.names()
    }

    fn statistics(&mut self) -> SourceStatistics {
        let mut sum = self.earlier;
        for open in &mut self.open {
            sum.add(&open.file.statistics());
        }
        sum
    }

    fn progress(&self) -> Option<(u64, u64)> {
        let total = self.total?;
        let open = self.open.iter().filter_map(|open| open.file.progress());
        let done: u64 = open.map(|(done, _)| done).sum();
        Some(((self.earlier_bytes + done).min(total), total))
    }
}
