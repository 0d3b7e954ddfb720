//! What settings were before they were changed: a file that is there while they are changed, so that the next
//! start can set back what a killed process has left.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::setting::Step;

/// Bytes of a state file at most.
const MAX_LENGTH: u64 = 4 << 20;

/// The file, taken for this process alone.
#[derive(Debug)]
pub struct Saved {
    path: PathBuf,
    /// Locked as long as it is open; the kernel lets go of it when the process ends, however it ends.
    _lock: File,
    /// The changes that were made, in the order in which they were made.
    steps: Vec<Step>,
}

impl Saved {
    /// Takes the file, with what a killed process has left in it.
    ///
    /// # Errors
    /// When another process has it, or it cannot be read or made.
    pub fn open(path: &Path) -> Result<Saved, String> {
        let cannot =
            |what: &str, error: &dyn std::fmt::Display| format!("cannot {what} {}: {error}", path.display());
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|error| cannot("make the folder of", &error))?;
        }
        let lock = File::create(path.with_extension("lock")).map_err(|error| cannot("lock", &error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                format!(
                    "another `profile apply` has {}; stop it, which sets back what it has set",
                    path.display()
                )
            }
            TryLockError::Error(error) => cannot("lock", &error),
        })?;
        let steps = match fs::metadata(path) {
            Err(_) => Vec::new(),
            Ok(file) if file.len() > MAX_LENGTH => return Err(cannot("use", &"it is not a state file")),
            Ok(_) => {
                let text = fs::read(path).map_err(|error| cannot("read", &error))?;
                serde_json::from_slice(&text).map_err(|error| cannot("use", &error))?
            }
        };
        Ok(Saved { path: path.to_owned(), _lock: lock, steps })
    }

    /// The changes that were made.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Notes a change before it is made: who is killed in between leaves one too many, which does no harm.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note(&mut self, step: &Step) -> Result<(), String> {
        self.steps.push(step.clone());
        self.write()
    }

    /// Keeps only these; without any the file goes.
    ///
    /// # Errors
    /// When the file cannot be written or removed.
    pub fn keep(&mut self, steps: Vec<Step>) -> Result<(), String> {
        self.steps = steps;
        if !self.steps.is_empty() {
            return self.write();
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("cannot remove {}: {error}", self.path.display()))
            }
            _ => Ok(()),
        }
    }

    fn write(&self) -> Result<(), String> {
        let text = serde_json::to_vec_pretty(&self.steps).expect("settings have no keys that are no texts");
        let new = self.path.with_extension("new");
        let written = File::create(&new)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&new, &self.path));
        written.map_err(|error| format!("cannot write {}: {error}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::setting::Setting;
    use super::*;

    #[test]
    fn what_was_noted_is_found_again_and_only_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/profile.json");
        let step = Step {
            interface: "eth1".into(),
            from: Setting::ReceiveRing(512),
            to: Setting::ReceiveRing(4096),
        };
        let mut first = Saved::open(&path).unwrap();
        first.note(&step).unwrap();
        assert!(Saved::open(&path).unwrap_err().contains("another"));
        drop(first);
        let mut second = Saved::open(&path).unwrap();
        assert_eq!(second.steps(), [step]);
        second.keep(Vec::new()).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_none_of_ours_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.json");
        fs::write(&path, "not ours").unwrap();
        assert!(Saved::open(&path).unwrap_err().contains("cannot use"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "not ours");
    }
}
