//! Finished recordings: `recordings/YYYY/MM/DD/<call id>.<opus|wav>` under the output folder, by
//! the UTC date of the recording's start. A file appears whole, under its name, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nightjar_schema::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::durable::Durability;
use crate::error::StoreError;

/// Where files lie until they are whole; on the same file system as where they go.
const INCOMING: &str = "recordings/.incoming";

/// How a recording is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// Ogg Opus (RFC 7845).
    Opus,
    /// RIFF WAVE, 16 bits.
    Wav,
}

impl Container {
    /// The file's extension.
    pub fn extension(self) -> &'static str {
        match self {
            Container::Opus => "opus",
            Container::Wav => "wav",
        }
    }
}

/// What a recording's path is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingName {
    /// The call.
    pub call: Uuid,
    /// Number of the segment, from 0. From 1 on it is part of the name.
    pub segment: u32,
    /// The recording's first sample; its UTC date names the folder.
    pub started_at: Timestamp,
    /// How it is packed.
    pub container: Container,
}

impl RecordingName {
    /// The path under the output folder, as `calls.jsonl` has it.
    pub fn path(&self) -> String {
        let at = self.started_at.to_string();
        let date = at.get(..10).unwrap_or("0000-00-00").replace('-', "/");
        format!("recordings/{date}/{}", self.file_name())
    }

    /// The last part of the path.
    fn file_name(&self) -> String {
        let (call, extension) = (self.call, self.container.extension());
        match self.segment {
            0 => format!("{call}.{extension}"),
            segment => format!("{call}-{segment}.{extension}"),
        }
    }
}

/// A stored file, as `calls.jsonl` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecording {
    /// Relative to the output folder.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// The recordings under one output folder. Shared by all media workers.
#[derive(Clone, Debug)]
pub struct RecordingStore {
    /// The output folder.
    root: PathBuf,
    /// What a finished file is to survive.
    durability: Durability,
}

impl RecordingStore {
    /// Opens the output folder, made when it is missing. What an earlier run left unfinished is
    /// removed, so only one process may have the folder.
    ///
    /// # Errors
    /// When the folder cannot be made, read or written.
    pub fn new(out_dir: &Path, durability: Durability) -> Result<RecordingStore, StoreError> {
        let incoming = out_dir.join(INCOMING);
        fs::create_dir_all(&incoming).map_err(StoreError::file("create", &incoming))?;
        for entry in fs::read_dir(&incoming).map_err(StoreError::file("read", &incoming))? {
            let path = entry.map_err(StoreError::file("read", &incoming))?.path();
            fs::remove_file(&path).map_err(StoreError::file("remove", &path))?;
        }
        Ok(RecordingStore { root: out_dir.to_path_buf(), durability })
    }

    /// Lets a recording grow in its own file, which is open only for this call: bytes at its end,
    /// behind room for a header of `reserve` bytes when it is new. [`RecordingStore::resume`] goes
    /// on with it. `started_at` need not be known yet.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn grow(&self, name: &RecordingName, reserve: usize, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.root.join(INCOMING).join(name.file_name());
        let open = OpenOptions::new().append(true).create(true).open(&path);
        let mut file = open.map_err(StoreError::file("create", &path))?;
        let is_new = file.metadata().map_err(StoreError::file("read", &path))?.len() == 0;
        let header = if is_new { vec![0; reserve] } else { Vec::new() };
        let written = file.write_all(&header).and_then(|()| file.write_all(bytes));
        written.map_err(StoreError::file("write", &path))
    }

    /// True when parts of the recording have grown in its own file.
    pub fn has_grown(&self, name: &RecordingName) -> bool {
        self.root.join(INCOMING).join(name.file_name()).exists()
    }

    /// Opens a recording that has grown, to overwrite its header, add its end and finish it.
    ///
    /// # Errors
    /// When it has not grown, or the disk refuses.
    pub fn resume(&self, name: RecordingName) -> Result<RecordingFile, StoreError> {
        let path = self.root.join(INCOMING).join(name.file_name());
        let file = OpenOptions::new().read(true).append(true).open(&path);
        let file = file.map_err(StoreError::file("open", &path))?;
        let bytes = file.metadata().map_err(StoreError::file("read", &path))?.len();
        let file = BufWriter::with_capacity(64 << 10, file);
        Ok(RecordingFile { store: self.clone(), name, incoming: path, file, hash: None, bytes })
    }

    /// Removes what has grown.
    pub fn discard(&self, name: &RecordingName) {
        // Nothing may have grown.
        let _ = fs::remove_file(self.root.join(INCOMING).join(name.file_name()));
    }

    /// Begins a recording. It is to be written from front to back.
    ///
    /// # Errors
    /// When the file cannot be made; also when the same recording is being written already.
    pub fn begin(&self, name: RecordingName) -> Result<RecordingFile, StoreError> {
        let path = self.root.join(INCOMING).join(name.file_name());
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(StoreError::file("create", &path))?;
        Ok(RecordingFile {
            store: self.clone(),
            name,
            incoming: path,
            file: BufWriter::with_capacity(64 << 10, file),
            hash: Some(Sha256::new()),
            bytes: 0,
        })
    }
}

/// A recording that is being written. Dropped before it is finished, it leaves nothing.
#[derive(Debug)]
pub struct RecordingFile {
    /// Where it belongs.
    store: RecordingStore,
    /// Its name.
    name: RecordingName,
    /// Where it is now.
    incoming: PathBuf,
    /// The file.
    file: BufWriter<File>,
    /// Of what was written so far; `None` after an overwrite, when it is taken at the end.
    hash: Option<Sha256>,
    /// Bytes written so far.
    bytes: u64,
}

impl RecordingFile {
    /// Replaces bytes that were written before: a header that holds a length. The hash is then
    /// taken by reading the file once more at the end.
    ///
    /// # Errors
    /// When they were not written before, or the disk refuses.
    pub fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset + bytes.len() as u64 > self.bytes {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.file.flush()?;
        self.hash = None;
        // A handle of its own: on one that appends, Linux would write at the end.
        OpenOptions::new().write(true).open(&self.incoming)?.write_all_at(bytes, offset)
    }

    /// Puts the file under its name. `revision` is the call's; `held` is the call's revision in
    /// `calls.jsonl`, if it is there ([`crate::CallsFile::held`]). A file that is there already
    /// stays when it is the same, and is replaced when the call's row is of an older revision or
    /// was never written.
    ///
    /// # Errors
    /// When the disk refuses, or another recording of this or a later revision is there. Nothing
    /// is left of this one then.
    pub fn finish(mut self, revision: u32, held: Option<u32>) -> Result<StoredRecording, StoreError> {
        self.file.flush().map_err(StoreError::file("write", &self.incoming))?;
        let digest = match self.hash.take() {
            Some(hash) => hash.finalize().into(),
            None => hash_file(&self.incoming).map_err(StoreError::file("read", &self.incoming))?,
        };
        let durability = self.store.durability;
        durability.sync(self.file.get_ref()).map_err(StoreError::file("sync", &self.incoming))?;

        let path = self.name.path();
        let target = self.store.root.join(&path);
        let folder = target.parent().unwrap_or(&self.store.root).to_path_buf();
        let stored = StoredRecording { path, bytes: self.bytes, sha256: hex(&digest) };
        if let Some(held) = held.filter(|held| *held >= revision)
            && target.exists()
        {
            if hash_file(&target).map_err(StoreError::file("read", &target))? == digest {
                return Ok(stored);
            }
            return Err(StoreError::Superseded { path: target, held, offered: revision });
        }
        durability.make_folders(&self.store.root, &folder)?;
        fs::rename(&self.incoming, &target).map_err(StoreError::file("create", &target))?;
        durability.sync_folder(&folder).map_err(StoreError::file("sync", &folder))?;
        Ok(stored)
    }
}

impl Write for RecordingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        if let Some(hash) = &mut self.hash {
            hash.update(&bytes[..written]);
        }
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for RecordingFile {
    fn drop(&mut self) {
        // Gone already when the file has its name.
        let _ = fs::remove_file(&self.incoming);
    }
}

/// A file's SHA-256.
fn hash_file(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; 64 << 10]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&chunk[..read]),
        }
    }
}

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
