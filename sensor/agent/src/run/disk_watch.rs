//! Says when the journal's disk fills up or fails, and when it works again.

use std::path::{Path, PathBuf};

use nightjar_journal::{JournalFigures, JournalState};

/// What was last said of the disk.
pub(super) struct DiskWatch {
    directory: PathBuf,
    state: JournalState,
    /// The first trouble of this run, in plain words.
    trouble: Option<String>,
}

impl DiskWatch {
    /// Of the journal in `directory`.
    pub(super) fn new(directory: &Path) -> DiskWatch {
        DiskWatch { directory: directory.to_owned(), state: JournalState::Writing, trouble: None }
    }

    /// Logs a change. Cheap when there is none.
    pub(super) fn look_at(&mut self, state: JournalState) {
        if state == self.state {
            return;
        }
        self.state = state;
        let path = self.directory.display();
        let trouble = match state {
            JournalState::Writing => return tracing::info!("journal {path}: the disk takes it again"),
            JournalState::Full => format!(
                "journal {path}: the disk or its limit is full; free space or raise journal.limit_mib, \
                 until then a crash loses what is not stored yet"
            ),
            JournalState::Failing(errno) => {
                let error = std::io::Error::from_raw_os_error(errno);
                format!("journal {path}: the disk fails: {error}; a crash loses what is not stored yet")
            }
        };
        tracing::error!("{trouble}");
        self.trouble.get_or_insert(trouble);
    }

    /// What the end of the run has to say about it.
    pub(super) fn report(self, figures: &JournalFigures) -> Option<String> {
        let lost = figures.lost_packets;
        self.trouble.map(|trouble| format!("{trouble} ({lost} packets reached no segment)"))
    }
}
