//! Where the pages of one call lie in the spool, append by append, and which of them still count.

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use nightjar_wire::Nanos;

use crate::spool::SpoolError;
use crate::spool_file::{PagesHeader, SpoolFile};

/// A call in the spool. Once forgotten, its id is not to be used again.
#[derive(Debug, Default)]
pub struct SpooledCall {
    /// Bytes of its pages so far.
    pub bytes: u64,
    /// Audio before this is in the pages that a state was last saved behind.
    pub encoded_through: Nanos,
    /// That state, as far as an earlier run has left it; empty when none was saved.
    pub resume_state: Vec<u8>,
    /// Bytes of the pages that it goes on behind.
    resume_at: u64,
    /// Its appends, in order.
    pub(crate) extents: Vec<Extent>,
}

impl SpooledCall {
    /// The files that hold pages of it, each once: a call's appends never return to a file.
    fn files(&self) -> impl Iterator<Item = &Arc<SpoolFile>> {
        let first = self.extents.first().into_iter();
        let rest = self.extents.windows(2).filter(|pair| !Arc::ptr_eq(&pair[0].file, &pair[1].file));
        first.map(|extent| &extent.file).chain(rest.map(|pair| &pair[1].file))
    }

    /// Takes one more append in.
    pub(crate) fn push(&mut self, extent: Extent) {
        if self.extents.last().is_none_or(|last| !Arc::ptr_eq(&last.file, &extent.file)) {
            extent.file.enter();
        }
        self.bytes += u64::from(extent.header.pages);
        if extent.header.state > 0 {
            self.encoded_through = extent.header.encoded_through;
        }
        self.extents.push(extent);
    }

    /// Takes in what was found of it. False when pages before it are missing.
    pub(crate) fn recover(&mut self, extent: Extent, state: Vec<u8>) -> bool {
        let header = extent.header;
        if header.at > self.bytes {
            return false;
        }
        if header.state > 0 {
            (self.resume_at, self.resume_state) = (header.at, state);
        } else {
            self.cut_back(header.at);
            if header.at != self.bytes {
                return false;
            }
        }
        self.push(extent);
        true
    }

    /// The pages behind the last state are void: what has made them is not known.
    pub(crate) fn cut_back_to_state(&mut self) {
        self.cut_back(self.resume_at);
    }

    /// Takes the pages from byte `at` on back.
    fn cut_back(&mut self, at: u64) {
        let behind = |extent: &&mut Extent| !extent.void && extent.header.pages > 0 && extent.header.at >= at;
        for extent in self.extents.iter_mut().filter(behind) {
            extent.void = true;
            self.bytes -= u64::from(extent.header.pages);
        }
    }

    /// Lets its files go.
    pub(crate) fn release(&self) {
        for file in self.files() {
            file.leave();
        }
    }
}

/// Where one append of a call lies.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    /// In which file.
    pub file: Arc<SpoolFile>,
    /// Where its record begins.
    pub offset: u64,
    /// Its header.
    pub header: PagesHeader,
    /// Its pages were taken back: a crash came before a state was saved behind them.
    pub void: bool,
}

impl Extent {
    /// Copies the append's pages from its file piece by piece, and checks them.
    pub(crate) fn copy_pages(&self, piece: &mut [u8], out: &mut impl Write) -> Result<(), SpoolError> {
        let failed = |source| SpoolError::File { path: self.file.path().to_path_buf(), source };
        let start = self.pages_at();
        let (mut done, mut crc) = (0, 0);
        let pages = self.header.pages as usize;
        while done < pages {
            let want = piece.len().min(pages - done);
            let part = &mut piece[..want];
            self.file.file().read_exact_at(part, start + done as u64).map_err(failed)?;
            crc = crc32c::crc32c_append(crc, part);
            out.write_all(part).map_err(SpoolError::Output)?;
            done += want;
        }
        if crc == self.header.pages_crc {
            return Ok(());
        }
        Err(SpoolError::Damaged { path: self.file.path().to_path_buf(), offset: self.offset })
    }

    /// Where in the file its pages begin.
    pub(crate) fn pages_at(&self) -> u64 {
        self.offset + self.header.pages_at()
    }
}
