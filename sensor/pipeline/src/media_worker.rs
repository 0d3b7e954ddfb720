//! The media worker: reads its lanes, mixes and encodes the calls that it owns, and finishes them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use nightjar_journal::{Record, RecordKind, SpooledCall};
use nightjar_media::{AudioConfig, AudioSummary, CallAudio, Decision, Fate, StreamSpec};
use nightjar_schema::{Call, GapCause, StreamUse};
use nightjar_wire::{CallKey, MediaKind, Nanos};
use uuid::Uuid;

use crate::audio_ledger::{AudioLedger, SharedAudioLedger};
use crate::call_in_progress::{CallInProgress, EncodeTime, Unsaved};
use crate::closing::ClosingCalls;
use crate::event::{CoreEvent, StreamTold};
use crate::journalled::{EventReader, RingLost, Told, Watermark};
use crate::recent_losses::RecentLosses;
use crate::recording::{Recorder, RecordingConfig, RecordingTarget, Refused, Save};
use crate::row;
use crate::saved::{Checkpoint, LaneKey, Place, Resumed, Saved, SavedCall};

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

/// Calls in progress on their way from one worker to others.
#[derive(Default)]
pub struct OpenCalls {
    calls: BTreeMap<CallKey, CallInProgress>,
    owner: HashMap<u32, CallKey>,
    /// What is encoded of them.
    spooled: BTreeMap<Uuid, SpooledCall>,
    /// Calls that are over.
    closing: ClosingCalls,
    /// Held by each call that an earlier run's journal is needed for.
    earlier: Arc<()>,
}

impl OpenCalls {
    /// Says, later on too, whether an earlier run's journal is still needed.
    pub fn earlier(&self) -> EarlierRuns {
        EarlierRuns(Arc::clone(&self.earlier))
    }
}

/// Whether the journal of earlier runs is needed for some call.
pub struct EarlierRuns(Arc<()>);

impl EarlierRuns {
    /// False once every call of an earlier run was saved in this one, or is written down.
    pub fn are_needed(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
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
    /// The current record's place; `None` in an earlier run's journal.
    place: Option<Place>,
    /// The lane, when it is journalled: calls are saved then.
    lane: Option<LaneKey>,
    closing: ClosingCalls,
    /// States in the next commit: the call, and the block from which on its records are needed then.
    committing: Vec<(CallKey, u64)>,
    /// Where an earlier run was with the calls that go on.
    resumed: Vec<Resumed>,
    /// Calls whose pages lie in the spool without a state: they are mixed again, if the journal has
    /// their beginning.
    stateless: Vec<Uuid>,
    /// The latest times in which a ring lost frames.
    ring_losses: RecentLosses,
    /// The latest watermark.
    clock: Nanos,
    /// CPU time spent encoding, for the figures.
    encode: EncodeTime,
}

impl<T: RecordingTarget> MediaWorker<T> {
    /// A worker without calls that leaves its recordings at `target`.
    pub fn new(config: WorkerConfig, target: T) -> MediaWorker<T> {
        MediaWorker {
            encode: EncodeTime { clock: config.cpu_seconds, seconds: 0.0 },
            config,
            target,
            events: EventReader::default(),
            calls: BTreeMap::new(),
            owner: HashMap::new(),
            ledger: AudioLedger::default(),
            shared_ledger: Arc::default(),
            finished: Vec::new(),
            place: None,
            lane: None,
            closing: ClosingCalls::default(),
            committing: Vec::new(),
            resumed: Vec::new(),
            stateless: Vec::new(),
            ring_losses: RecentLosses::default(),
            clock: Nanos::ZERO,
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
        self.encode.seconds
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

    /// The first journal block that is needed for some call.
    pub fn oldest_block(&self) -> Option<u64> {
        let open = self.calls.values().filter_map(|call| call.first_block).min();
        open.into_iter().chain(self.closing.oldest_block()).min()
    }

    /// From now on records come from this lane of the journal: calls are saved.
    pub fn journalled_in(&mut self, lane: LaneKey) {
        self.lane = Some(lane);
    }

    /// Makes what is spooled durable, and the states of those calls whose packets are: those are in
    /// blocks below `durable` of the lane.
    pub fn commit(&mut self, durable: u64) {
        self.shared_ledger.publish(&self.ledger);
        for (key, call) in &mut self.calls {
            let Some(unsaved) = call.unsaved.take_if(|unsaved| unsaved.read < durable) else { continue };
            let Unsaved { appended, through, .. } = unsaved;
            let (id, container) = (call.recorder.call(), call.recorder.container());
            let save = Save { call: id, container, appended, through, state: &unsaved.state };
            // What the disk refuses is made anew at the next cut.
            if self.target.save(&save).is_ok() {
                self.committing.push((*key, unsaved.keep_from));
            }
        }
        if self.target.commit().is_ok() {
            self.closing.handle_committed();
            for (key, block) in self.committing.drain(..) {
                if let Some(call) = self.calls.get_mut(&key) {
                    (call.first_block, call.earlier) = (Some(block), None);
                }
            }
        }
    }

    /// Lets calls go whose rows are durable, and tries again to store what a disk has refused.
    pub fn settle(&mut self, is_durable: impl FnMut(Uuid) -> bool) {
        let stored = self.closing.settle(&mut self.target, is_durable);
        self.finished.extend(stored);
    }

    /// Goes on with what an earlier run has saved, but for calls that `is_done` knows. Whoever reads
    /// its journal again passes over what they have read.
    pub fn resume(&mut self, spooled: BTreeMap<Uuid, SpooledCall>, is_done: impl Fn(Uuid) -> bool) {
        for (id, mut spooled) in spooled {
            let state = std::mem::take(&mut spooled.resume_state);
            self.target.adopt(id, spooled);
            match Saved::from_bytes(&state) {
                Some(Saved::InProgress(saved)) if !is_done(id) => self.resume_call(*saved),
                Some(Saved::Ended(unstored)) => self.closing.resume(unstored),
                None if !is_done(id) => self.stateless.push(id),
                Some(Saved::InProgress(_)) | None => self.target.discard(id),
            }
        }
    }

    fn resume_call(&mut self, saved: SavedCall) {
        let SavedCall { key, marks, checkpoint, audio, recorder, until, ends_at, copies, rtcp, packets } =
            saved;
        let id = recorder.call();
        let recorder = Recorder::resume(recorder, audio.started_at(), &mut self.target);
        self.owner.extend(audio.streams().map(|stream| (stream, key)));
        let (first_block, earlier) = (None, None);
        let (checkpoint_of_this_run, unsaved) = (None, None);
        let mut call = CallInProgress {
            audio,
            recorder,
            ends_at,
            copies,
            rtcp,
            first_block,
            earlier,
            packets,
            checkpoint: checkpoint_of_this_run,
            unsaved,
        };
        call.advance(until, &mut self.target, &mut self.encode);
        self.calls.insert(key, call);
        self.resumed.push(Resumed { key, id, marks, until, packets, checkpoint });
    }

    /// Where an earlier run was with the calls that go on.
    pub(crate) fn take_resumed(&mut self) -> Vec<Resumed> {
        std::mem::take(&mut self.resumed)
    }

    /// The journal was read again: pages of calls that it does not know are needed no more.
    pub(crate) fn discard_stateless(&mut self) {
        for id in std::mem::take(&mut self.stateless) {
            let goes_on = self.calls.values().any(|call| call.recorder.call() == id);
            if !goes_on && !self.closing.contains(id) {
                self.target.discard(id);
            }
        }
    }

    /// Moves the open calls out, for the worker that goes on with them.
    pub fn take_calls(&mut self) -> OpenCalls {
        let spooled = self.target.give_away().unwrap_or_else(|error| {
            self.calls.values_mut().for_each(|call| call.recorder.fail(&error));
            BTreeMap::new()
        });
        let (calls, owner) = (std::mem::take(&mut self.calls), std::mem::take(&mut self.owner));
        let closing = std::mem::take(&mut self.closing);
        OpenCalls { calls, owner, spooled, closing, earlier: Arc::default() }
    }

    /// Goes on with the calls of `open` that are this worker's: those with `key % workers == index`.
    pub fn adopt(&mut self, open: &mut OpenCalls, index: u32, workers: u32) {
        let mine: Vec<CallKey> = open.calls.keys().copied().filter(|key| key.0 % workers == index).collect();
        for key in mine {
            let Some(call) = open.calls.remove(&key) else { continue };
            if let Some(spooled) = open.spooled.remove(&call.recorder.call()) {
                self.target.adopt(call.recorder.call(), spooled);
            }
            // Until it is saved again, all that this run's lane will hold of it is needed, and what
            // earlier runs' do.
            let (first_block, earlier) = (Some(0), Some(Arc::clone(&open.earlier)));
            self.calls.insert(key, CallInProgress { first_block, earlier, ..call });
        }
        if index == 0 {
            open.closing.calls_of_an_earlier_run(&open.earlier);
            self.closing.append(&mut open.closing);
        }
        let calls = &self.calls;
        self.owner.extend(open.owner.iter().filter(|(_, key)| calls.contains_key(key)));
    }

    /// Takes the next record of the lane, which lies in the given block of it.
    pub fn handle_record(&mut self, block: Option<u64>, record: &Record<'_>) {
        let before = self.place;
        self.place = block.map(|block| match before {
            Some(place) if place.block == block => Place { block, record: place.record + 1 },
            _ => Place { block, record: 0 },
        });
        let header = record.header;
        match header.kind {
            RecordKind::Media | RecordKind::Rtcp | RecordKind::Datagram => self.handle_packet(record),
            RecordKind::Event => match self.events.handle_record(record.bytes) {
                Told::Event(event) => self.handle_event(event),
                Told::Watermark(watermark) => self.handle_watermark(watermark),
                Told::RingLost(lost) => self.handle_ring_lost(lost),
                Told::Part | Told::Unreadable => {}
            },
        }
    }

    /// Takes a packet of any kind.
    pub(crate) fn handle_packet(&mut self, record: &Record<'_>) {
        let header = record.header;
        match header.kind {
            RecordKind::Media => self.handle_media(header.stream, header.arrival, record.bytes),
            RecordKind::Rtcp => match self.calls.get_mut(&CallKey(header.stream)) {
                Some(call) => {
                    call.rtcp += 1;
                    call.packets += 1;
                }
                None => self.ledger.discarded.not_wanted += 1,
            },
            RecordKind::Datagram | RecordKind::Event => self.ledger.discarded.not_wanted += 1,
        }
    }

    fn handle_media(&mut self, stream: u32, arrival: Nanos, datagram: &[u8]) {
        let call = self.owner.get(&stream).and_then(|key| self.calls.get_mut(key));
        let Some(call) = call else {
            self.ledger.discarded.not_wanted += 1;
            return;
        };
        call.packets += 1;
        // The counts are taken from the call's summary, when it is final.
        let _: Fate = call.audio.handle_packet(stream, arrival, datagram);
    }

    /// Closes the frames of the lane's calls up to its watermark.
    pub(crate) fn handle_watermark(&mut self, watermark: Watermark) {
        self.clock = self.clock.max(watermark.at);
        let place = self.lane.zip(self.place);
        for (key, call) in self.calls.iter_mut().filter(|(key, _)| watermark.share.covers(**key)) {
            // Nothing after the end belongs to the recording.
            let until = call.ends_at.map_or(watermark.at, |end| end.min(watermark.at));
            let (target, time) = (&mut self.target, &mut self.encode);
            if let Some(place) = place.filter(|_| call.wants_to_be_saved())
                && call.advance_to_cut(until, target, time)
            {
                call.save(*key, place, until, target);
            }
            call.advance(until, target, time);
        }
    }

    /// What is missing of the lane's calls at this time is the sensor's loss.
    pub(crate) fn handle_ring_lost(&mut self, lost: RingLost) {
        for (_, call) in self.calls.iter_mut().filter(|(key, _)| lost.share.covers(**key)) {
            call.audio.note_ring_loss(lost.from, lost.to);
        }
        self.ring_losses.push(lost.from, lost.to);
    }

    /// Takes an event of a call.
    pub(crate) fn handle_event(&mut self, event: CoreEvent) {
        match event {
            CoreEvent::Opened { call, id, at, answered } => self.open(call, id, at, answered),
            CoreEvent::Stream(told) => self.open_stream(told),
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
            CoreEvent::Shed { call, at, shed } => {
                if let Some(call) = self.calls.get_mut(&call) {
                    // Until its end, whenever that is.
                    call.audio.note_outage(at, Nanos::MAX, shed.gap_cause());
                }
            }
            CoreEvent::Checkpoint { call, checkpoint } => self.handle_checkpoint(call, checkpoint),
            CoreEvent::Snapshot { .. } => {}
        }
    }

    fn open(&mut self, key: CallKey, id: Uuid, at: Nanos, answered: bool) {
        if self.config.keep == Keep::RowsOnly {
            return;
        }
        let decision = if answered { Decision::Everything } else { Decision::Undecided };
        let mut audio = CallAudio::new(&self.config.audio, decision);
        // Its media may have waited for what opened it.
        self.ring_losses.since(at).for_each(|(from, to)| audio.note_ring_loss(from, to));
        let call = CallInProgress {
            audio,
            recorder: Recorder::new(&self.config.recording, id),
            ends_at: None,
            copies: Vec::new(),
            rtcp: 0,
            first_block: self.place.map(|place| place.block),
            earlier: None,
            packets: 0,
            checkpoint: None,
            unsaved: None,
        };
        self.calls.insert(key, call);
    }

    /// Keeps the checkpoint for when the call is saved: at the next cut of its recording, or now if
    /// nothing was recorded since the last one, as in a long silence.
    fn handle_checkpoint(&mut self, key: CallKey, checkpoint: Checkpoint) {
        let (Some(place), Some(call)) = (self.lane.zip(self.place), self.calls.get_mut(&key)) else { return };
        call.checkpoint = Some((place.1, Box::new(checkpoint)));
        if call.wants_to_be_saved() && call.recorder.is_cut() {
            call.save(key, place, Nanos::ZERO, &mut self.target);
        }
    }

    fn open_stream(&mut self, told: StreamTold) {
        let Some(call) = self.calls.get_mut(&told.call) else { return };
        self.owner.insert(told.stream, told.call);
        let use_ = match (told.copy_of, told.kind) {
            (Some(_), _) => StreamUse::Copy,
            (None, MediaKind::Audio) => StreamUse::Mixed,
            (None, _) => StreamUse::Counted,
        };
        if use_ == StreamUse::Copy && !call.copies.contains(&told.stream) {
            call.copies.push(told.stream);
        }
        call.audio.open_stream(StreamSpec {
            stream: told.stream,
            dialog: told.dialog,
            leg: told.speaker,
            receiver: told.receiver,
            ssrc: told.ssrc,
            formats: told.formats,
            use_,
            continues: told.continues,
        });
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
        let summary = call.finish(end, &mut self.target, &mut self.encode);
        self.count(&call, &summary);
        row::add_audio(&mut row, &summary, streams);
        let finished = call.recorder.finish(order, &mut row, &summary, call.ends_at, &mut self.target);
        let (error, unstored) = match finished {
            Ok(()) => (None, None),
            Err(Refused { error, unstored }) => (Some(error), unstored),
        };
        self.closing.push(row.id, call.first_block, call.earlier, unstored);
        self.finished.push(Finished { order, row, error });
    }

    /// Forgets a call that nothing more will be heard of; its packets are counted.
    fn abandon(&mut self, key: CallKey) {
        let Some(mut call) = self.calls.remove(&key) else { return };
        self.owner.retain(|_, owner| *owner != key);
        let summary = call.finish(self.clock, &mut self.target, &mut self.encode);
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
