//! Recordings and their peaks as files: written beside, synced, then moved into place, so that a file that is there
//! is whole. Folders are the owner's alone (0700), files too (0600).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nightjar_schema::Timestamp;
use uuid::Uuid;

use crate::token::fresh_token;

/// The folders under `data_dir`.
#[derive(Clone, Debug)]
pub struct AudioFiles {
    recordings: PathBuf,
    peaks: PathBuf,
    incoming: PathBuf,
}

/// A file that is being written; gone when it is dropped before it was kept.
#[derive(Debug)]
pub struct Incoming {
    path: PathBuf,
    kept: bool,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.kept {
            // What is left behind is removed at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl AudioFiles {
    /// Makes the folders where they are missing, and removes what an earlier run left half written.
    ///
    /// # Errors
    ///
    /// Where a folder cannot be made or written.
    pub fn open(data_dir: &Path) -> io::Result<AudioFiles> {
        let folder = |name| -> io::Result<PathBuf> {
            let path = data_dir.join(name);
            make_folder(&path)?;
            Ok(path)
        };
        let files = AudioFiles {
            recordings: folder("recordings")?,
            peaks: folder("peaks")?,
            incoming: folder("incoming")?,
        };
        for left in fs::read_dir(&files.incoming)? {
            fs::remove_file(left?.path())?;
        }
        Ok(files)
    }

    /// Begins a file.
    ///
    /// # Errors
    ///
    /// Where it cannot be made.
    pub fn begin(&self) -> io::Result<(Incoming, File)> {
        let path = self.incoming.join(&fresh_token()[..32]);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((Incoming { path, kept: false }, file))
    }

    /// Where a recording goes: a folder per day, after the time in its id (a UUIDv7), so that a day is found,
    /// copied and removed as one.
    pub fn recording_path(id: Uuid, content_type: &str) -> String {
        let extension = if content_type == "audio/wav" { "wav" } else { "ogg" };
        format!("{}/{id}.{extension}", day_of(id))
    }

    /// Moves a written and synced file to `path` below the recordings, over what a crash may have left there.
    ///
    /// # Errors
    ///
    /// Where it cannot be moved.
    pub fn keep_recording(&self, incoming: Incoming, path: &str) -> io::Result<()> {
        keep(incoming, &self.recordings.join(path))
    }

    /// A recording's file.
    pub fn recording(&self, path: &str) -> PathBuf {
        self.recordings.join(path)
    }

    /// Stores a recording's peaks.
    ///
    /// # Errors
    ///
    /// Where they cannot be written.
    pub fn keep_peaks(&self, id: Uuid, bytes: &[u8]) -> io::Result<()> {
        let (incoming, mut file) = self.begin()?;
        file.write_all(bytes)?;
        file.sync_all()?;
        keep(incoming, &self.peaks(id))
    }

    /// A recording's peaks.
    pub fn peaks(&self, id: Uuid) -> PathBuf {
        self.peaks.join(day_of(id)).join(format!("{id}.peaks"))
    }
}

/// `2026-11-20`, or `undated` for an id that holds no time.
fn day_of(id: Uuid) -> String {
    let Some(time) = id.get_timestamp() else { return "undated".to_owned() };
    let micros = i64::try_from(time.to_unix().0).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    Timestamp(micros).to_string()[..10].to_owned()
}

fn keep(mut incoming: Incoming, to: &Path) -> io::Result<()> {
    let folder = to.parent().unwrap_or(to);
    // The names have to survive a power cut as the content does.
    if !folder.is_dir() {
        make_folder(folder)?;
        File::open(folder.parent().unwrap_or(folder))?.sync_all()?;
    }
    fs::rename(&incoming.path, to)?;
    incoming.kept = true;
    File::open(folder)?.sync_all()
}

/// Makes a folder, readable by its owner alone, and those above it.
///
/// # Errors
///
/// Where it cannot be made.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let files = AudioFiles::open(&data_dir).unwrap();
        let id = nightjar_schema::recording_id(Uuid::now_v7(), "audio", 0);
        let path = AudioFiles::recording_path(id, "audio/ogg");
        let (incoming, mut file) = files.begin().unwrap();
        file.write_all(b"abc").unwrap();
        assert!(!files.recording(&path).exists());
        files.keep_recording(incoming, &path).unwrap();
        assert_eq!(fs::read(files.recording(&path)).unwrap(), b"abc");
        assert_eq!(mode(&files.recording(&path)), 0o600);
        assert_eq!(mode(files.recording(&path).parent().unwrap()), 0o700);
        assert_eq!(mode(&data_dir), 0o700);
        drop(files.begin().unwrap());
        assert_eq!(fs::read_dir(data_dir.join("incoming")).unwrap().count(), 0);
    }

    #[test]
    fn leftovers_go_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        AudioFiles::open(folder.path()).unwrap();
        fs::write(folder.path().join("incoming/x"), b"half").unwrap();
        AudioFiles::open(folder.path()).unwrap();
        assert!(!folder.path().join("incoming/x").exists());
    }

    #[test]
    fn a_day_is_a_folder() {
        let id = Uuid::parse_str("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        assert_eq!(AudioFiles::recording_path(id, "audio/wav"), format!("2023-06-30/{id}.wav"));
        assert!(AudioFiles::recording_path(Uuid::from_u128(1), "audio/ogg").starts_with("undated/"));
    }
}
