//! Files whose content and name survive what they are said to survive.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::error::StoreError;

/// What a stored file is to survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A killed process. For a replay, which can be repeated: no sync, so it costs no wait.
    Process,
    /// A power cut.
    PowerLoss,
}

impl Durability {
    /// Syncs a file's content.
    pub(crate) fn sync(self, file: &File) -> io::Result<()> {
        match self {
            Durability::Process => Ok(()),
            Durability::PowerLoss => file.sync_data(),
        }
    }

    /// Syncs the names in a folder.
    pub(crate) fn sync_folder(self, folder: &Path) -> io::Result<()> {
        match self {
            Durability::Process => Ok(()),
            Durability::PowerLoss => File::open(folder)?.sync_all(),
        }
    }

    /// Makes a folder and those above it, up to `root`, which exists.
    pub(crate) fn make_folders(self, root: &Path, folder: &Path) -> Result<(), StoreError> {
        if folder.is_dir() {
            return Ok(());
        }
        std::fs::create_dir_all(folder).map_err(StoreError::file("create", folder))?;
        for made in folder.ancestors() {
            if made == root {
                break;
            }
            if let Some(parent) = made.parent() {
                self.sync_folder(parent).map_err(StoreError::file("sync", parent))?;
            }
        }
        Ok(())
    }
}

/// Replaces a file's content as a whole: a reader sees the old or the new one, also after a crash.
pub(crate) fn replace(path: &Path, content: &[u8], durability: Durability) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    std::fs::write(&new, content).map_err(StoreError::file("write", &new))?;
    let synced = File::open(&new).and_then(|file| durability.sync(&file));
    synced.map_err(StoreError::file("sync", &new))?;
    std::fs::rename(&new, path).map_err(StoreError::file("replace", path))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    durability.sync_folder(folder).map_err(StoreError::file("sync", folder))
}
