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
        RecordingStore::reopen(out_dir, durability, |_| false)
    }

    /// As [`RecordingStore::new`], but what an earlier run has let grow of the calls that `goes_on`
    /// knows stays, for [`RecordingStore::cut_back`].
    ///
    /// # Errors
    /// As [`RecordingStore::new`].
    pub fn reopen(
        out_dir: &Path,
        durability: Durability,
        goes_on: impl Fn(Uuid) -> bool,
    ) -> Result<RecordingStore, StoreError> {
        let incoming = out_dir.join(INCOMING);
        fs::create_dir_all(&incoming).map_err(StoreError::file("create", &incoming))?;
        for entry in fs::read_dir(&incoming).map_err(StoreError::file("read", &incoming))? {
            let path = entry.map_err(StoreError::file("read", &incoming))?.path();
            let call = path.file_stem().and_then(|stem| Uuid::try_parse(stem.to_str()?).ok());
            if !call.is_some_and(&goes_on) {
                fs::remove_file(&path).map_err(StoreError::file("remove", &path))?;
            }
        }
        Ok(RecordingStore { root: out_dir.to_path_buf(), durability })
    }

    /// Lets a recording grow in its own file, which is open only for this call. `at` is how many
    /// bytes the file has, the room for its header included: 0 is a new one, and what a disk that
    /// filled up took of an earlier attempt is overwritten. [`RecordingStore::resume`] goes on with
    /// it. `started_at` need not be known yet.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn grow(&self, name: &RecordingName, at: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.incoming(name);
        let open = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(StoreError::file("create", &path))?;
        file.write_all_at(bytes, at).map_err(StoreError::file("write", &path))
    }

    /// Makes durable what has grown so far.
    ///
    /// # Errors
    /// When it has not grown, or the disk refuses.
    pub fn sync_grown(&self, name: &RecordingName) -> Result<(), StoreError> {
        let path = self.incoming(name);
        let file = File::open(&path).map_err(StoreError::file("open", &path))?;
        self.durability.sync(&file).map_err(StoreError::file("sync", &path))?;
        let folder = self.root.join(INCOMING);
        self.durability.sync_folder(&folder).map_err(StoreError::file("sync", &folder))
    }

    /// Goes back to the first `bytes` of what an earlier run has let grow: what came behind them is
    /// made again. A file that had its final name already gets back to the growing ones.
    ///
    /// # Errors
    /// When there is no such file, it is shorter, or the disk refuses.
    pub fn cut_back(&self, name: &RecordingName, bytes: u64) -> Result<(), StoreError> {
        let (path, target) = (self.incoming(name), self.root.join(name.path()));
        if !path.exists() {
            fs::rename(&target, &path).map_err(StoreError::file("open", &target))?;
        }
        let file = OpenOptions::new().write(true).open(&path).map_err(StoreError::file("open", &path))?;
        let len = file.metadata().map_err(StoreError::file("read", &path))?.len();
        if len < bytes {
            return Err(StoreError::file("read", &path)(io::ErrorKind::UnexpectedEof.into()));
        }
        file.set_len(bytes).map_err(StoreError::file("shorten", &path))
    }

    /// Where a recording lies until it is whole.
    fn incoming(&self, name: &RecordingName) -> PathBuf {
        self.root.join(INCOMING).join(name.file_name())
    }

    /// True when parts of the recording have grown in its own file.
    pub fn has_grown(&self, name: &RecordingName) -> bool {
        self.incoming(name).exists()
    }

    /// Opens a recording that has grown to `bytes`, to overwrite its header, add its end and finish
    /// it. Dropped before it is finished it stays, to be resumed again.
    ///
    /// # Errors
    /// When it has not grown, or the disk refuses.
    pub fn resume(&self, name: RecordingName, bytes: u64) -> Result<RecordingFile, StoreError> {
        let path = self.incoming(&name);
        let file = OpenOptions::new().read(true).append(true).open(&path);
        let file = file.map_err(StoreError::file("open", &path))?;
        file.set_len(bytes).map_err(StoreError::file("shorten", &path))?;
        let file = BufWriter::with_capacity(64 << 10, file);
        let leftover = Leftover::Kept;
        Ok(RecordingFile { store: self.clone(), name, incoming: path, file, hash: None, bytes, leftover })
    }

    /// Removes what has grown.
    pub fn discard(&self, name: &RecordingName) {
        // Nothing may have grown.
        let _ = fs::remove_file(self.incoming(name));
    }

    /// Begins a recording. It is to be written from front to back.
    ///
    /// # Errors
    /// When the file cannot be made; also when the same recording is being written already.
    pub fn begin(&self, name: RecordingName) -> Result<RecordingFile, StoreError> {
        let path = self.incoming(&name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(StoreError::file("create", &path))?;
        Ok(RecordingFile {
            store: self.clone(),
            name,
            incoming: path,
            file: BufWriter::with_capacity(64 << 10, file),
            hash: Some(Sha256::new()),
            bytes: 0,
            leftover: Leftover::Removed,
        })
    }
}

/// What becomes of a recording's file when it is dropped before it is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leftover {
    /// It can be made again.
    Removed,
    /// It holds what has grown.
    Kept,
}

/// A recording that is being written. Dropped before it is finished, it leaves nothing but what has
/// grown before.
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
    /// When it is dropped.
    leftover: Leftover,
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
        if self.leftover == Leftover::Removed {
            // Gone already when the file has its name.
            let _ = fs::remove_file(&self.incoming);
        }
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
