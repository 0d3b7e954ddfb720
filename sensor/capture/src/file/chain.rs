//! Several capture files read one after the other, in the order given.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use super::interfaces::Interfaces;
use super::{CaptureFile, display_name};
use crate::SourceError;
use crate::source::{PacketSource, RawFrame, Received, SourceStatistics};

/// A row of capture files as one source. Interfaces of the same name in several files are one.
#[derive(Debug)]
pub struct CaptureFiles {
    waiting: VecDeque<PathBuf>,
    current: Option<CaptureFile>,
    /// The interfaces seen so far, while no file is open.
    interfaces: Interfaces,
    /// Counts of the files that have been read.
    earlier: SourceStatistics,
    /// Stored bytes of the files that have been read.
    earlier_bytes: u64,
    /// Stored bytes of all files; `None` when one of them is a pipe.
    total: Option<u64>,
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
        Ok(CaptureFiles {
            waiting: paths.iter().map(|path| path.as_ref().to_owned()).collect(),
            current: None,
            interfaces: Interfaces::default(),
            earlier: SourceStatistics::default(),
            earlier_bytes: 0,
            total,
        })
    }

    /// The file that is being read now, or else the one that comes next.
    pub fn current(&self) -> Option<String> {
        let next = || self.waiting.front().map(|path| display_name(path));
        self.current.as_ref().map(|file| file.name().to_owned()).or_else(next)
    }

    /// Puts the file that has ended away.
    fn finish(&mut self) {
        if let Some(mut file) = self.current.take() {
            self.earlier.add(&file.statistics());
            self.earlier_bytes += file.input.total.unwrap_or(0);
            self.interfaces = file.interfaces;
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

impl PacketSource for CaptureFiles {
    fn receive(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> Result<Received, SourceError> {
        loop {
            if let Some(file) = &mut self.current {
                match file.receive(sink) {
                    Ok(Received::End) => self.finish(),
                    Ok(received) => return Ok(received),
                    Err(error) => {
                        self.finish();
                        return Err(error);
                    }
                }
            }
            let Some(path) = self.waiting.pop_front() else { return Ok(Received::End) };
            self.current = Some(CaptureFile::open_onto(&path, self.interfaces.clone())?);
        }
    }

    fn interfaces(&self) -> &[String] {
        self.current.as_ref().map_or(self.interfaces.names(), CaptureFile::interfaces)
    }

    fn statistics(&mut self) -> SourceStatistics {
        let mut sum = self.earlier;
        if let Some(file) = &mut self.current {
            sum.add(&file.statistics());
        }
        sum
    }

    fn progress(&self) -> Option<(u64, u64)> {
        let total = self.total?;
        let done = self.current.as_ref().and_then(CaptureFile::progress).map_or(0, |(done, _)| done);
        Some(((self.earlier_bytes + done).min(total), total))
    }
}
