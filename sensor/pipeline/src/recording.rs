//! One call's recording in the making: frames to container bytes, which wait in the spool until
//! the call ends and then become a file.

use std::collections::BTreeMap;

use nightjar_journal::SpooledCall;
use nightjar_media::{
    AudioFrame, AudioSummary, ChannelLayout, Encoder, EncoderConfig, EncoderPoint, FRAME_SAMPLES, SAMPLE_RATE,
};
use nightjar_schema::{Call, Recording, RecordingKind, RecordingState, recording_id};
use nightjar_store::{Container, StoredRecording};
use nightjar_wire::Nanos;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::closing::Unstored;
use crate::row::timestamp;

/// Bytes that a call keeps in memory before they go to the spool.
const SPILL_AFTER: usize = 2 << 10;
/// The same where they go to a file of their own: it is opened for each part.
const GROW_AFTER: usize = 64 << 10;
/// Bytes that a call keeps in memory while the disk takes none; beyond them its recording is lost.
const BACKLOG: usize = 1 << 20;

/// How recordings are made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordingConfig {
    /// Container, codec and channels.
    pub encoder: EncoderConfig,
    /// Samples per channel, whole frames of them, from one cut of a recording to the next. Where it is
    /// cut it can be continued after a crash to the very same bytes; to stay the same whether there is
    /// a crash or not, every recording is cut.
    pub cut_every: u64,
}

impl RecordingConfig {
    /// Recordings that are cut each minute.
    pub fn new(encoder: EncoderConfig) -> RecordingConfig {
        RecordingConfig { encoder, cut_every: 60 * u64::from(SAMPLE_RATE) }
    }

    /// How the file is packed.
    pub fn container(&self) -> Container {
        match self.encoder {
            EncoderConfig::Wav { .. } => Container::Wav,
            EncoderConfig::OggOpus { .. } => Container::Opus,
        }
    }

    /// Container, codec and sample rate as `calls.jsonl` names them.
    fn names(&self) -> (&'static str, &'static str, u32) {
        match self.encoder {
            EncoderConfig::Wav { .. } => ("wav", "pcm_s16le", SAMPLE_RATE),
            EncoderConfig::OggOpus { .. } => ("ogg", "opus", 48_000),
        }
    }
}

/// Where recordings go: a spool for those in the making, files for those that are done.
pub trait RecordingTarget {
    /// Keeps more bytes of a call's recording.
    ///
    /// # Errors
    /// In plain words, when the disk refuses.
    fn append(&mut self, part: &Part<'_>) -> Result<(), String>;

    /// Saves what a call goes on with behind what was appended so far. It counts when the next
    /// [`commit`](RecordingTarget::commit) has succeeded.
    ///
    /// # Errors
    /// In plain words, when the disk refuses.
    fn save(&mut self, save: &Save<'_>) -> Result<(), String>;

    /// Goes back to the first `appended` bytes of a call of an earlier run, which `adopt` was given.
    ///
    /// # Errors
    /// In plain words, when they are not there.
    fn resume(&mut self, from: &ResumedFile) -> Result<(), String>;

    /// Makes the file: `header`, what was appended, `tail`. What was appended stays until
    /// [`discard`](RecordingTarget::discard): a crash may come before the call's row is durable.
    ///
    /// # Errors
    /// In plain words, when the disk refuses.
    fn store(&mut self, file: &NewFile<'_>) -> Result<StoredRecording, String>;

    /// Forgets what was appended and saved.
    fn discard(&mut self, call: Uuid);

    /// Gives what was appended of all calls away, for another target of the same disk to adopt.
    ///
    /// # Errors
    /// In plain words, when the disk refuses; what was appended is then lost.
    fn give_away(&mut self) -> Result<BTreeMap<Uuid, SpooledCall>, String>;

    /// Takes what another target has given away of a call.
    fn adopt(&mut self, call: Uuid, spooled: SpooledCall);

    /// Makes what was appended and saved durable; called a few times a second.
    ///
    /// # Errors
    /// In plain words, when the disk refuses; it is tried again with the next commit.
    fn commit(&mut self) -> Result<(), String>;
}

/// What a call goes on with after a crash.
#[derive(Clone, Copy, Debug)]
pub struct Save<'a> {
    /// Whose it is.
    pub call: Uuid,
    /// How the file will be packed.
    pub container: Container,
    /// Bytes of the recording that it goes on behind; more may have been appended since.
    pub appended: u64,
    /// Audio before this is in them.
    pub through: Nanos,
    /// The state.
    pub state: &'a [u8],
}

/// The part of a recording that an earlier run has made.
#[derive(Clone, Copy, Debug)]
pub struct ResumedFile {
    /// Whose it is.
    pub call: Uuid,
    /// How the file will be packed.
    pub container: Container,
    /// The first sample's moment, if there is one yet.
    pub started_at: Nanos,
    /// Bytes that are known.
    pub appended: u64,
}

/// More of a recording in the making.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Whose it is.
    pub call: Uuid,
    /// How the file will be packed.
    pub container: Container,
    /// How many bytes were appended before.
    pub at: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// What a file is made of.
#[derive(Clone, Copy, Debug)]
pub struct NewFile<'a> {
    /// Whose it is.
    pub call: Uuid,
    /// The first sample's moment; files lie in folders by its date.
    pub started_at: Nanos,
    /// How it is packed.
    pub container: Container,
    /// The call's revision.
    pub revision: u32,
    /// Bytes before what was appended.
    pub header: &'a [u8],
    /// How many bytes were appended.
    pub appended: u64,
    /// Bytes behind it.
    pub tail: &'a [u8],
}

/// Takes a call's frames.
pub(crate) struct Recorder {
    config: RecordingConfig,
    /// The call's id, by which the target knows what was appended.
    call: Uuid,
    /// The recording's id.
    id: Uuid,
    /// Made with the first frame: most calls that fail never need one.
    encoder: Option<Encoder>,
    bytes: Vec<u8>,
    /// Silent samples per channel at the end so far. They are encoded when something follows:
    /// silence behind a call's end, while the end is not known yet, is not part of it.
    silence: u64,
    /// Samples per channel that were encoded.
    samples: u64,
    /// Something was heard.
    heard: bool,
    /// Bytes that were appended.
    appended: u64,
    /// Bytes that wait before the disk is asked again, when it has refused.
    ask_again_at: usize,
    error: Option<String>,
}

/// A recorder that was cut, and of which everything was appended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedRecorder {
    config: RecordingConfig,
    call: Uuid,
    point: Option<EncoderPoint>,
    silence: u64,
    samples: u64,
    heard: bool,
    appended: u64,
}

impl SavedRecorder {
    /// Whose recording it is.
    pub(crate) fn call(&self) -> Uuid {
        self.call
    }

    /// Bytes that were appended.
    pub(crate) fn appended(&self) -> u64 {
        self.appended
    }
}

/// Why there is no file.
pub(crate) struct Refused {
    /// In plain words.
    pub(crate) error: String,
    /// What it can still be made of; `None` when a part was lost.
    pub(crate) unstored: Option<Box<Unstored>>,
}

impl Recorder {
    pub(crate) fn new(config: &RecordingConfig, call: Uuid) -> Recorder {
        Recorder {
            config: config.clone(),
            call,
            id: recording_id(call, "audio", 0),
            encoder: None,
            bytes: Vec::new(),
            silence: 0,
            samples: 0,
            heard: false,
            appended: 0,
            ask_again_at: 0,
            error: None,
        }
    }

    /// Goes on with a recording of an earlier run. What is missing of it is its error.
    pub(crate) fn resume<T: RecordingTarget>(
        saved: SavedRecorder,
        started_at: Option<Nanos>,
        target: &mut T,
    ) -> Recorder {
        let SavedRecorder { config, call, point, silence, samples, heard, appended } = saved;
        let container = config.container();
        let mut recorder = Recorder { silence, samples, heard, appended, ..Recorder::new(&config, call) };
        match point.map(|point| Encoder::resume(&config.encoder, point)) {
            Some(Ok(Some(encoder))) => recorder.encoder = Some(encoder),
            Some(Ok(None)) => recorder.error = Some("a saved recording contradicts itself".into()),
            Some(Err(error)) => recorder.error = Some(error.to_string()),
            None => {}
        }
        if appended > 0 {
            let started_at = started_at.unwrap_or(Nanos::ZERO);
            let from = ResumedFile { call, container, started_at, appended };
            recorder.error = target.resume(&from).err().or(recorder.error);
        }
        recorder
    }

    /// Appends everything, and says what to go on with behind it; `None` while there is no such
    /// place: something was encoded since the last cut, or the disk refuses.
    pub(crate) fn save<T: RecordingTarget>(&mut self, target: &mut T) -> Option<SavedRecorder> {
        let point = match &self.encoder {
            Some(encoder) => Some(encoder.point()?),
            None => None,
        };
        self.append(target);
        (self.error.is_none() && self.bytes.is_empty()).then(|| SavedRecorder {
            config: self.config.clone(),
            call: self.call,
            point,
            silence: self.silence,
            samples: self.samples,
            heard: self.heard,
            appended: self.appended,
        })
    }

    /// Whether nothing was encoded since the last cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.encoder.as_ref().is_none_or(|encoder| encoder.point().is_some())
    }

    /// How the file will be packed.
    pub(crate) fn container(&self) -> Container {
        self.config.container()
    }

    /// The first place behind `position` at which the recording is cut.
    pub(crate) fn next_cut(&self, position: u64) -> u64 {
        (position / self.config.cut_every + 1) * self.config.cut_every
    }

    /// Whose recording it is.
    pub(crate) fn call(&self) -> Uuid {
        self.call
    }

    /// Takes the next frame. What has been encoded moves to the spool when it is much: an hour on
    /// hold comes in one go, and must not be in memory in one piece.
    pub(crate) fn frame<T: RecordingTarget>(&mut self, frame: &AudioFrame, target: &mut T) {
        let channels = self.config.encoder.channels();
        let cut = self.next_cut(frame.position);
        if (0..channels.count()).all(|channel| !frame.heard(channel)) {
            self.silence += frame.len as u64;
        } else {
            self.encode_silence(channels, cut, target);
            self.heard = true;
            self.encode(frame, cut, target);
        }
        if frame.position + frame.len as u64 == cut
            && let Some(encoder) = &mut self.encoder
        {
            encoder.cut(self.silence / FRAME_SAMPLES as u64, &mut self.bytes);
        }
    }

    /// What was appended so far is lost.
    pub(crate) fn fail(&mut self, error: &str) {
        if self.appended > 0 {
            self.error.get_or_insert_with(|| error.to_owned());
        }
    }

    /// Ends the recording and adds it to the row; a call in which nothing was heard has none.
    ///
    /// # Errors
    /// [`Refused`], when the file could not be written.
    pub(crate) fn finish<T: RecordingTarget>(
        mut self,
        order: u64,
        row: &mut Call,
        summary: &AudioSummary,
        ends_at: Option<Nanos>,
        target: &mut T,
    ) -> Result<(), Refused> {
        let (true, Some(started_at)) = (self.heard, summary.started_at) else { return Ok(()) };
        let limit =
            ends_at.map_or(u64::MAX, |end| (end - started_at).0 / (1_000_000_000 / u64::from(SAMPLE_RATE)));
        self.silence = self.silence.min(limit.saturating_sub(self.samples));
        self.encode_silence(self.config.encoder.channels(), u64::MAX, target);
        let header = match &mut self.encoder {
            Some(encoder) => {
                encoder.finish(&mut self.bytes);
                encoder.header()
            }
            None => Vec::new(),
        };
        let mut recording = self.describe(summary, started_at);
        let file = NewFile {
            call: row.id,
            started_at,
            container: self.config.container(),
            revision: row.revision,
            header: &header,
            appended: self.appended,
            tail: &self.bytes,
        };
        let is_whole = self.error.is_none();
        let stored = match self.error.take() {
            Some(error) => Err(error),
            None => target.store(&file),
        };
        let result = stored.map(|stored| {
            recording.state = RecordingState::Final;
            recording.path = Some(stored.path);
            recording.bytes = Some(stored.bytes);
            recording.sha256 = Some(stored.sha256);
        });
        row.recordings.push(recording);
        result.map_err(|error| {
            let unstored = is_whole.then(|| {
                let (row, is_wav) = (Box::new(row.clone()), self.config.container() == Container::Wav);
                let (appended, tail) = (self.appended, std::mem::take(&mut self.bytes));
                Box::new(Unstored { order, row, started_at, is_wav, header, appended, tail })
            });
            Refused { error, unstored }
        })
    }

    fn describe(&self, summary: &AudioSummary, started_at: Nanos) -> Recording {
        let (container, codec, sample_rate) = self.config.names();
        Recording {
            id: self.id,
            kind: RecordingKind::Audio,
            segment: 0,
            started_at: timestamp(started_at),
            state: RecordingState::Pending,
            path: None,
            container: Some(container.into()),
            codec: Some(codec.into()),
            channels: Some(self.config.encoder.channels().count() as u16),
            channel_legs: summary.channel_legs.clone(),
            sample_rate: Some(sample_rate),
            duration_ms: Some(self.samples * 1000 / u64::from(SAMPLE_RATE)),
            bytes: None,
            sha256: None,
        }
    }

    fn encode_silence<T: RecordingTarget>(&mut self, channels: ChannelLayout, cut: u64, target: &mut T) {
        let mut frame = AudioFrame::silent(channels);
        while self.silence > 0 {
            frame.position = self.samples;
            frame.len = self.silence.min(FRAME_SAMPLES as u64) as usize;
            self.silence -= frame.len as u64;
            self.encode(&frame, cut, target);
        }
    }

    /// Encodes a frame of a recording that is cut at `cut` next.
    fn encode<T: RecordingTarget>(&mut self, frame: &AudioFrame, cut: u64, target: &mut T) {
        if self.encoder.is_none() && self.error.is_none() {
            // The Ogg stream's number: from the recording's id, so that it is the same each time.
            let serial = self.id.as_bytes()[12..].iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
            match Encoder::new(&self.config.encoder, serial, &mut self.bytes) {
                Ok(encoder) => self.encoder = Some(encoder),
                Err(error) => self.error = Some(error.to_string()),
            }
        }
        if let Some(encoder) = &mut self.encoder {
            encoder.expect_cut(cut);
            encoder.frame(frame, &mut self.bytes);
            self.samples += frame.len as u64;
        }
        self.spill(target);
    }

    /// Appends what there is when it is much.
    fn spill<T: RecordingTarget>(&mut self, target: &mut T) {
        let after = match self.config.container() {
            Container::Opus => SPILL_AFTER,
            Container::Wav => GROW_AFTER,
        };
        if self.bytes.len() >= after.max(self.ask_again_at) {
            self.append(target);
        }
    }

    /// Appends what there is. What a disk refuses stays for a while: room may come.
    fn append<T: RecordingTarget>(&mut self, target: &mut T) {
        if self.bytes.is_empty() {
            return;
        }
        if self.error.is_none() {
            let (container, at) = (self.config.container(), self.appended);
            match target.append(&Part { call: self.call, container, at, bytes: &self.bytes }) {
                Ok(()) => (self.appended, self.ask_again_at) = (at + self.bytes.len() as u64, 0),
                Err(_) if self.bytes.len() < BACKLOG => {
                    self.ask_again_at = self.bytes.len() + GROW_AFTER;
                    return;
                }
                Err(error) => {
                    // A part of a recording is of no use, and takes room that others need.
                    target.discard(self.call);
                    self.error = Some(error);
                }
            }
        }
        match self.config.container() {
            // Thousands of calls are between two pages most of the time.
            Container::Opus => self.bytes = Vec::new(),
            Container::Wav => self.bytes.clear(),
        }
    }
}
