//! The media worker: reads its lanes, mixes and encodes the calls that it owns, and finishes them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use nightjar_journal::{Record, RecordKind, SpooledCall};
use nightjar_media::{
    AudioConfig, AudioFrame, AudioSummary, CallAudio, Decision, FRAME_SAMPLES, Fate, FrameSink, StreamSpec,
};
use nightjar_schema::{Call, GapCause, StreamUse};
use nightjar_wire::{CallKey, MediaKind, Nanos};
use uuid::Uuid;

use crate::audio_ledger::{AudioLedger, SharedAudioLedger};
use crate::event::CoreEvent;
use crate::journalled::{EventReader, Told, Watermark};
use crate::recording::{Recorder, RecordingConfig, RecordingTarget};
use crate::row;

/// What a worker keeps of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Its row and its audio.
    Audio,
    /// Its row alone: the packets stay where they are, in the journal.
    RowsOnly,
}

/// Settings of a worker.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// How audio is placed and mixed.
    pub audio: AudioConfig,
    /// How it is encoded.
    pub recording: RecordingConfig,
    /// What is kept.
    pub keep: Keep,
    /// CPU seconds of the calling thread so far: a wall clock would count what other threads take.
    pub cpu_seconds: fn() -> f64,
}

/// A call that is done.
#[derive(Debug)]
pub struct Finished {
    /// Its number in order of closing.
    pub order: u64,
    /// Its final row.
    pub row: Box<Call>,
    /// What went wrong with its recording, if anything did.
    pub error: Option<String>,
}

/// A call that the worker mixes.
struct CallInProgress {
    audio: CallAudio,
    recorder: Recorder,
    /// The end of the recording, once signalling has said so.
    ends_at: Option<Nanos>,
    /// Streams that repeat others, for the counts.
    copies: Vec<u32>,
    /// RTCP datagrams.
    rtcp: u64,
    /// The journal block that its first record lies in; `None` while an earlier run's is read again.
    first_block: Option<u64>,
}

/// Calls in progress on their way from one worker to others.
#[derive(Default)]
pub struct OpenCalls {
    calls: BTreeMap<CallKey, CallInProgress>,
    owner: HashMap<u32, CallKey>,
    /// What is encoded of them.
    spooled: BTreeMap<Uuid, SpooledCall>,
}

/// One worker's calls.
pub struct MediaWorker<T> {
    config: WorkerConfig,
    target: T,
    events: EventReader,
    calls: BTreeMap<CallKey, CallInProgress>,
    owner: HashMap<u32, CallKey>,
    ledger: AudioLedger,
    /// The same, for other threads.
    shared_ledger: Arc<SharedAudioLedger>,
    finished: Vec<Finished>,
    /// The block of the current record.
    block: Option<u64>,
    /// The latest watermark.
    clock: Nanos,
    /// CPU time spent encoding, for the figures.
    encode_seconds: f64,
}

impl<T: RecordingTarget> MediaWorker<T> {
    /// A worker without calls that leaves its recordings at `target`.
    pub fn new(config: WorkerConfig, target: T) -> MediaWorker<T> {
        MediaWorker {
            config,
            target,
            events: EventReader::default(),
            calls: BTreeMap::new(),
            owner: HashMap::new(),
            ledger: AudioLedger::default(),
            shared_ledger: Arc::default(),
            finished: Vec::new(),
            block: None,
            clock: Nanos::ZERO,
            encode_seconds: 0.0,
        }
    }

    /// What became of the packets so far.
    pub fn ledger(&self) -> &AudioLedger {
        &self.ledger
    }

    /// The same for another thread, as of the last commit.
    pub fn shared_ledger(&self) -> Arc<SharedAudioLedger> {
        Arc::clone(&self.shared_ledger)
    }

    /// Calls in progress.
    pub fn open_calls(&self) -> usize {
        self.calls.len()
    }

    /// Seconds that encoding took.
    pub fn encode_seconds(&self) -> f64 {
        self.encode_seconds
    }

    /// Calls finished since the last time.
    pub fn take_finished(&mut self) -> Vec<Finished> {
        std::mem::take(&mut self.finished)
    }

    /// Packets that the lane lost before the worker could read them.
    pub fn handle_lost(&mut self, packets: u64) {
        self.ledger.lost += packets;
    }

    /// How many calls have been finished since the last time they were taken.
    pub fn finished_calls(&self) -> usize {
        self.finished.len()
    }

    /// Calls have been finished since the last time they were taken.
    pub fn has_finished(&self) -> bool {
        !self.finished.is_empty()
    }

    /// The first journal block that a call in progress has a record in.
    pub fn oldest_block(&self) -> Option<u64> {
        self.calls.values().find_map(|call| call.first_block)
    }

    /// Makes what is spooled durable.
    pub fn commit(&mut self) {
        self.shared_ledger.publish(&self.ledger);
        self.target.commit();
    }

    /// Moves the open calls out, for the worker that goes on with them.
    pub fn take_calls(&mut self) -> OpenCalls {
        let spooled = self.target.give_away().unwrap_or_else(|error| {
            self.calls.values_mut().for_each(|call| call.recorder.fail(&error));
            BTreeMap::new()
        });
        let (calls, owner) = (std::mem::take(&mut self.calls), std::mem::take(&mut self.owner));
        OpenCalls { calls, owner, spooled }
    }

    /// Goes on with the calls of `open` that are this worker's: those with `key % workers == index`.
    pub fn adopt(&mut self, open: &mut OpenCalls, index: u32, workers: u32) {
        let mine: Vec<CallKey> = open.calls.keys().copied().filter(|key| key.0 % workers == index).collect();
        for key in mine {
            let Some(call) = open.calls.remove(&key) else { continue };
            if let Some(spooled) = open.spooled.remove(&call.recorder.call()) {
                self.target.adopt(call.recorder.call(), spooled);
            }
            // All that this run's lane will hold of it is needed, should there be another crash.
            self.calls.insert(key, CallInProgress { first_block: Some(0), ..call });
        }
        let calls = &self.calls;
        self.owner.extend(open.owner.iter().filter(|(_, key)| calls.contains_key(key)));
    }

    /// Takes the next record of the lane, which lies in the given block of it.
    pub fn handle_record(&mut self, block: Option<u64>, record: &Record<'_>) {
        self.block = block;
        let header = record.header;
        match header.kind {
            RecordKind::Media => self.handle_media(header.stream, header.arrival, record.bytes),
            RecordKind::Rtcp => match self.calls.get_mut(&CallKey(header.stream)) {
                Some(call) => call.rtcp += 1,
                None => self.ledger.discarded.not_wanted += 1,
            },
            RecordKind::Datagram => self.ledger.discarded.not_wanted += 1,
            RecordKind::Event => match self.events.handle_record(record.bytes) {
                Told::Event(event) => self.handle_event(event),
                Told::Watermark(watermark) => self.handle_watermark(watermark),
                Told::Part | Told::Unreadable => {}
            },
        }
    }

    /// Takes a packet.
    pub(crate) fn handle_media(&mut self, stream: u32, arrival: Nanos, datagram: &[u8]) {
        let call = self.owner.get(&stream).and_then(|key| self.calls.get_mut(key));
        let Some(call) = call else {
            self.ledger.discarded.not_wanted += 1;
            return;
        };
        // The counts are taken from the call's summary, when it is final.
        let _: Fate = call.audio.handle_packet(stream, arrival, datagram);
    }

    /// Closes the frames of the lane's calls up to its watermark.
    pub(crate) fn handle_watermark(&mut self, watermark: Watermark) {
        self.clock = self.clock.max(watermark.at);
        for (_, call) in self.calls.iter_mut().filter(|(key, _)| watermark.covers(**key)) {
            // Nothing after the end belongs to the recording.
            let until = call.ends_at.map_or(watermark.at, |end| end.min(watermark.at));
            let (target, seconds) = (&mut self.target, &mut self.encode_seconds);
            let clock = self.config.cpu_seconds;
            let mut sink = Encoding { recorder: &mut call.recorder, target, seconds, clock };
            call.audio.advance(until, &mut sink);
        }
    }

    /// Takes an event of a call.
    pub(crate) fn handle_event(&mut self, event: CoreEvent) {
        match event {
            CoreEvent::Opened { call, id, answered, .. } => self.open(call, id, answered),
            CoreEvent::Stream { .. } => self.open_stream(event),
            CoreEvent::Answered { call, dialog, at } => {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.audio.handle_answered(dialog, at);
                }
            }
            CoreEvent::Ended { call, at } => {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.ends_at = Some(at);
                }
            }
            CoreEvent::Closed { call, order, row, streams } => self.close(call, order, row, &streams),
            CoreEvent::Outage { call, from, to } => {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.audio.note_outage(from, to, GapCause::SensorDown);
                }
            }
            CoreEvent::Abandoned { call } => self.abandon(call),
            CoreEvent::Returned { call, stream, at, lost } => {
                if let Some(call) = self.calls.get_mut(&call) {
                    call.audio.note_return(stream, at, lost);
                }
            }
            CoreEvent::Snapshot { .. } => {}
        }
    }

    fn open(&mut self, key: CallKey, id: Uuid, answered: bool) {
        if self.config.keep == Keep::RowsOnly {
            return;
        }
        let decision = if answered { Decision::Everything } else { Decision::Undecided };
        let call = CallInProgress {
            audio: CallAudio::new(&self.config.audio, decision),
            recorder: Recorder::new(&self.config.recording, id),
            ends_at: None,
            copies: Vec::new(),
            rtcp: 0,
            first_block: self.block,
        };
        self.calls.insert(key, call);
    }

    fn open_stream(&mut self, event: CoreEvent) {
        let CoreEvent::Stream {
            call: key,
            stream,
            flow: _,
            dialog,
            speaker,
            receiver,
            ssrc,
            kind,
            formats,
            copy_of,
            continues,
        } = event
        else {
            return;
        };
        let Some(call) = self.calls.get_mut(&key) else { return };
        self.owner.insert(stream, key);
        let use_ = match (copy_of, kind) {
            (Some(_), _) => StreamUse::Copy,
            (None, MediaKind::Audio) => StreamUse::Mixed,
            (None, _) => StreamUse::Counted,
        };
        if use_ == StreamUse::Copy && !call.copies.contains(&stream) {
            call.copies.push(stream);
        }
        let leg = speaker;
        call.audio.open_stream(StreamSpec { stream, dialog, leg, receiver, ssrc, formats, use_, continues });
    }

    fn close(&mut self, key: CallKey, order: u64, mut row: Box<Call>, streams: &[u32]) {
        let Some(mut call) = self.calls.remove(&key) else {
            self.finished.push(Finished { order, row, error: None });
            return;
        };
        for stream in streams {
            self.owner.remove(stream);
        }
        let end = call.ends_at.unwrap_or(self.clock);
        let (target, seconds) = (&mut self.target, &mut self.encode_seconds);
        let clock = self.config.cpu_seconds;
        let mut sink = Encoding { recorder: &mut call.recorder, target, seconds, clock };
        let summary = call.audio.finish(end, &mut sink);
        self.count(&call, &summary);
        row::add_audio(&mut row, &summary, streams);
        let error = call.recorder.finish(&mut row, &summary, call.ends_at, &mut self.target).err();
        self.finished.push(Finished { order, row, error });
    }

    /// Forgets a call that nothing more will be heard of; its packets are counted.
    fn abandon(&mut self, key: CallKey) {
        let Some(mut call) = self.calls.remove(&key) else { return };
        self.owner.retain(|_, owner| *owner != key);
        let (target, seconds) = (&mut self.target, &mut self.encode_seconds);
        let clock = self.config.cpu_seconds;
        let mut sink = Encoding { recorder: &mut call.recorder, target, seconds, clock };
        let summary = call.audio.finish(self.clock, &mut sink);
        self.count(&call, &summary);
        self.target.discard(call.recorder.call());
    }

    fn count(&mut self, call: &CallInProgress, summary: &AudioSummary) {
        let ledger = &mut self.ledger;
        ledger.discarded.rtcp += call.rtcp;
        for stream in &summary.streams {
            let counts = &stream.counts;
            ledger.encoded += counts.encoded;
            ledger.duplicate += counts.duplicate;
            ledger.late += counts.late;
            ledger.discarded.undecodable += counts.undecodable;
            ledger.discarded.malformed += counts.malformed;
            let other = counts.discarded - counts.undecodable - counts.malformed;
            if call.copies.contains(&stream.stream) {
                ledger.discarded.copy += other;
            } else {
                ledger.discarded.not_wanted += other;
            }
        }
    }
}

/// Encodes frames as they close, and estimates how long that takes.
struct Encoding<'a, T> {
    recorder: &'a mut Recorder,
    target: &'a mut T,
    seconds: &'a mut f64,
    clock: fn() -> f64,
}

/// Every so many frames one is timed and stands for all: the clock costs as much as a WAV frame.
const TIMED: u64 = 16;

impl<T: RecordingTarget> FrameSink for Encoding<'_, T> {
    fn frame(&mut self, frame: &AudioFrame) {
        if !(frame.position / FRAME_SAMPLES as u64).is_multiple_of(TIMED) {
            return self.recorder.frame(frame, self.target);
        }
        let started = (self.clock)();
        self.recorder.frame(frame, self.target);
        *self.seconds += ((self.clock)() - started) * TIMED as f64;
    }
}
