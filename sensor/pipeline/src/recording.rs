//! One call's recording in the making: frames to container bytes, which wait in the spool until
//! the call ends and then become a file.

use std::collections::BTreeMap;

use nightjar_journal::SpooledCall;
use nightjar_media::{
    AudioFrame, AudioSummary, ChannelLayout, Encoder, EncoderConfig, FRAME_SAMPLES, SAMPLE_RATE,
};
use nightjar_schema::{Call, Recording, RecordingKind, RecordingState, recording_id};
use nightjar_store::{Container, StoredRecording};
use nightjar_wire::Nanos;
use uuid::Uuid;

use crate::row::timestamp;

/// Bytes that a call keeps in memory before they go to the spool.
const SPILL_AFTER: usize = 2 << 10;
/// The same where they go to a file of their own: it is opened for each part.
const GROW_AFTER: usize = 64 << 10;
/// Bytes of a WAV header, for which room is left.
const WAV_HEADER: usize = 44;

/// How recordings are made.
#[derive(Clone, Debug)]
pub struct RecordingConfig {
    /// Container, codec and channels.
    pub encoder: EncoderConfig,
}

impl RecordingConfig {
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

    /// Makes the file: `header`, what was appended, `tail`; and forgets what was appended.
    ///
    /// # Errors
    /// In plain words, when the disk refuses.
    fn store(&mut self, file: &NewFile<'_>) -> Result<StoredRecording, String>;

    /// Forgets what was appended.
    fn discard(&mut self, call: Uuid);

    /// Gives what was appended of all calls away, for another target of the same disk to adopt.
    ///
    /// # Errors
    /// In plain words, when the disk refuses; what was appended is then lost.
    fn give_away(&mut self) -> Result<BTreeMap<Uuid, SpooledCall>, String>;

    /// Takes what another target has given away of a call.
    fn adopt(&mut self, call: Uuid, spooled: SpooledCall);

    /// Makes what was appended durable; called a few times a second.
    fn commit(&mut self);
}

/// More of a recording in the making.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Whose it is.
    pub call: Uuid,
    /// How the file will be packed.
    pub container: Container,
    /// Bytes of the header that will come last and stand first; 0 where there is none.
    pub reserve: usize,
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
    appended: bool,
    error: Option<String>,
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
            appended: false,
            error: None,
        }
    }

    /// Whose recording it is.
    pub(crate) fn call(&self) -> Uuid {
        self.call
    }

    /// Takes the next frame. What has been encoded moves to the spool when it is much: an hour on
    /// hold comes in one go, and must not be in memory in one piece.
    pub(crate) fn frame<T: RecordingTarget>(&mut self, frame: &AudioFrame, target: &mut T) {
        let channels = self.config.encoder.channels();
        if (0..channels.count()).all(|channel| !frame.heard(channel)) {
            self.silence += frame.len as u64;
            return;
        }
        self.encode_silence(channels, target);
        self.heard = true;
        self.encode(frame, target);
    }

    /// What was appended so far is lost.
    pub(crate) fn fail(&mut self, error: &str) {
        if self.appended {
            self.error.get_or_insert_with(|| error.to_owned());
        }
    }

    /// Ends the recording and adds it to the row; a call in which nothing was heard has none.
    ///
    /// # Errors
    /// In plain words, when the file could not be written.
    pub(crate) fn finish<T: RecordingTarget>(
        mut self,
        row: &mut Call,
        summary: &AudioSummary,
        ends_at: Option<Nanos>,
        target: &mut T,
    ) -> Result<(), String> {
        let (true, Some(started_at)) = (self.heard, summary.started_at) else {
            if self.appended {
                target.discard(row.id);
            }
            return Ok(());
        };
        let limit =
            ends_at.map_or(u64::MAX, |end| (end - started_at).0 / (1_000_000_000 / u64::from(SAMPLE_RATE)));
        self.silence = self.silence.min(limit.saturating_sub(self.samples));
        self.encode_silence(self.config.encoder.channels(), target);
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
            tail: &self.bytes,
        };
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
        result
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

    fn encode_silence<T: RecordingTarget>(&mut self, channels: ChannelLayout, target: &mut T) {
        let mut frame = AudioFrame::silent(channels);
        while self.silence > 0 {
            frame.position = self.samples;
            frame.len = self.silence.min(FRAME_SAMPLES as u64) as usize;
            self.silence -= frame.len as u64;
            self.encode(&frame, target);
        }
    }

    fn encode<T: RecordingTarget>(&mut self, frame: &AudioFrame, target: &mut T) {
        if self.encoder.is_none() && self.error.is_none() {
            // The Ogg stream's number: from the recording's id, so that it is the same each time.
            let serial = self.id.as_bytes()[12..].iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
            match Encoder::new(&self.config.encoder, serial, &mut self.bytes) {
                Ok(encoder) => self.encoder = Some(encoder),
                Err(error) => self.error = Some(error.to_string()),
            }
        }
        if let Some(encoder) = &mut self.encoder {
            encoder.frame(frame, &mut self.bytes);
            self.samples += frame.len as u64;
        }
        self.spill(target);
    }

    fn spill<T: RecordingTarget>(&mut self, target: &mut T) {
        let container = self.config.container();
        let (after, reserve) = match container {
            Container::Opus => (SPILL_AFTER, 0),
            Container::Wav => (GROW_AFTER, WAV_HEADER),
        };
        if self.bytes.len() < after {
            return;
        }
        if self.error.is_none() {
            let part = Part { call: self.call, container, reserve, bytes: &self.bytes };
            match target.append(&part) {
                Ok(()) => self.appended = true,
                Err(error) => {
                    // A part of a recording is of no use, and takes room that others need.
                    target.discard(self.call);
                    self.error = Some(error);
                }
            }
        }
        match container {
            // Thousands of calls are between two pages most of the time.
            Container::Opus => self.bytes = Vec::new(),
            Container::Wav => self.bytes.clear(),
        }
    }
}
