//! What the delivering thread does: in order, at least once, for as long as it takes.
//!
//! Before a `recorded` event goes, control has its recordings. What an answer does:
//! a network error or a 5xx waits 0.5 s to 30 s and tries again, for ever; 401, 403, 404 and
//! redirects wait too, with a clear warning, because a person has to change a setting; what
//! control will never take (400, 409, 413, 415, 422) is set aside in `rejected.ndjson`, counted
//! and warned of, and the events behind it go on. While there is nothing to deliver, a batch without
//! events is sent at a steady interval: it tells control that the sensor lives.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, select};
use nightjar_schema::Recording;
use tracing::{info, warn};
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::client::{Answer, Client};
use crate::error::StoreError;
use crate::outbox_reader::{OutboxReader, PendingEvent};
use crate::upload::{Progress, UploadState};

/// Events of one request.
const BATCH_EVENTS: usize = 100;

/// While there is nothing to deliver, control is told so often that the sensor lives.
const SIGN_INTERVAL: Duration = Duration::from_secs(10);

/// How long events wait for uploads of other events in their batch.
const UPLOAD_TIME: Duration = Duration::from_millis(500);

/// What to do after a round.
enum Round {
    /// Something was delivered or set aside: go on.
    Again,
    /// There is nothing to deliver.
    Empty,
    /// Wait before the next attempt.
    Wait,
}

/// What is waited for.
#[derive(Clone, Copy)]
enum Pause {
    /// Work, or the moment to say that the sensor lives.
    Idle(Instant),
    /// Time to pass after a failure: new events are no reason to try sooner.
    Failed(Duration),
}

/// The thread's state.
pub(crate) struct Delivery {
    /// Control.
    client: Client,
    /// What is to be delivered.
    outbox: OutboxReader,
    /// Where recordings lie.
    out_dir: PathBuf,
    /// What others see.
    progress: Arc<Progress>,
    /// The waits.
    backoff: Backoff,
    /// Tells when to end.
    drained: Receiver<Instant>,
    /// When to end at the latest; `None` before a drain.
    until: Option<Instant>,
    /// When control is to hear of the sensor again, if nothing is delivered before.
    next_sign: Instant,
    /// Events of the next request: fewer while a wrong one is looked for.
    most: usize,
    /// The next event, alone, was refused once.
    doubted: bool,
    /// Recordings that control has and whose events it does not have yet.
    uploaded: BTreeSet<Uuid>,
}

impl Delivery {
    /// Nothing delivered yet.
    pub fn new(
        client: Client,
        outbox: OutboxReader,
        out_dir: &Path,
        progress: Arc<Progress>,
        drained: Receiver<Instant>,
    ) -> Delivery {
        Delivery {
            client,
            outbox,
            out_dir: out_dir.to_path_buf(),
            progress,
            backoff: Backoff::new(),
            drained,
            until: None,
            next_sign: Instant::now() + SIGN_INTERVAL,
            most: BATCH_EVENTS,
            doubted: false,
            uploaded: BTreeSet::new(),
        }
    }

    /// Until the drain is over.
    pub fn run(mut self) {
        loop {
            let round = match self.round() {
                Ok(round) => round,
                Err(error) => self.waits(UploadState::Waiting(error.to_string())),
            };
            let pause = match round {
                Round::Again => continue,
                Round::Empty if self.until.is_some() => return,
                Round::Empty => Pause::Idle(self.next_sign),
                Round::Wait => Pause::Failed(self.backoff.next()),
            };
            if !self.pause(pause) {
                return;
            }
        }
    }

    /// Waits; false when it is time to end.
    fn pause(&mut self, pause: Pause) -> bool {
        let now = Instant::now();
        let failed = matches!(pause, Pause::Failed(_));
        let at = match pause {
            Pause::Idle(at) => at,
            Pause::Failed(span) => now + span,
        };
        let until = match self.until {
            Some(until) if until <= now => return false,
            Some(until) => until.min(at),
            None => at,
        };
        let woken = &self.outbox.woken;
        let deadline = crossbeam_channel::at(until);
        let never = crossbeam_channel::never();
        let woken = if failed { &never } else { woken };
        let drained = self.drained.clone();
        select! {
            recv(woken) -> message => {
                if message.is_err() {
                    // The writer is gone: nothing will come but the drain.
                    self.until = drained.recv().ok();
                    return self.until.is_some();
                }
            }
            recv(drained) -> message => {
                match message {
                    Ok(until) => {
                        self.until = Some(until);
                        self.backoff.reset();
                    }
                    // The uploader was dropped without a drain, or the drain has begun before.
                    Err(_) if self.until.is_none() => return false,
                    Err(_) => std::thread::sleep(until.saturating_duration_since(now)),
                }
            }
            recv(deadline) -> _ => {}
        }
        true
    }

    /// One request for events, after the uploads that they need.
    fn round(&mut self) -> Result<Round, StoreError> {
        self.outbox.make_room()?;
        let mut events = self.outbox.batch(self.most)?;
        let Some(first) = events.first() else { return Ok(self.sign()) };
        if first.outline.is_none() {
            return self.reject(&events[0], "not an event");
        }
        // Only what comes before the first unreadable line.
        let readable = events.iter().position(|event| event.outline.is_none()).unwrap_or(events.len());
        events.truncate(readable);
        let start = Instant::now();
        for at in 0..events.len() {
            if at > 0 && start.elapsed() > UPLOAD_TIME {
                events.truncate(at);
                break;
            }
            match self.upload_all(&events[at]) {
                Answer::Taken => {}
                Answer::Never(reason) if at == 0 => return self.reject(&events[0], &reason),
                answer if at == 0 => return Ok(self.not_taken(answer)),
                // What comes before it can go.
                _ => {
                    events.truncate(at);
                    break;
                }
            }
        }
        self.send(&events)
    }

    /// Tells control that the sensor lives, when it is time to.
    fn sign(&mut self) -> Round {
        if self.until.is_some() || Instant::now() < self.next_sign {
            return Round::Empty;
        }
        match self.client.events(&[], 0) {
            Answer::Taken => {
                self.goes_on(&[]);
                Round::Empty
            }
            answer => self.not_taken(answer),
        }
    }

    /// Sends events whose recordings control has.
    fn send(&mut self, events: &[PendingEvent]) -> Result<Round, StoreError> {
        let lines: Vec<u8> = events.iter().flat_map(|event| event.line.iter().copied()).collect();
        match self.client.events(&lines, events.len()) {
            Answer::Taken => {
                self.outbox.delivered(events)?;
                self.goes_on(events);
                self.most = (self.most * 2).min(BATCH_EVENTS);
                Ok(Round::Again)
            }
            Answer::Never(_) if events.len() > 1 => {
                // One of them is refused: halve until it is alone.
                self.most = events.len() / 2;
                Ok(Round::Again)
            }
            // A body that broke off on its way is refused like a wrong one: ask again, once.
            Answer::Never(reason) if !self.doubted => {
                self.doubted = true;
                self.most = 1;
                Ok(self.waits(UploadState::Waiting(reason)))
            }
            Answer::Never(reason) => self.reject(&events[0], &reason),
            answer => Ok(self.not_taken(answer)),
        }
    }

    /// Delivers an event's recordings. One whose file is gone is passed over: the event still
    /// says that the call was.
    fn upload_all(&mut self, event: &PendingEvent) -> Answer {
        for (call, recording) in event.uploads() {
            if self.uploaded.contains(&recording.id) {
                continue;
            }
            match self.upload(call, recording) {
                Answer::Taken => self.uploaded.insert(recording.id),
                answer => return answer,
            };
        }
        Answer::Taken
    }

    /// Delivers one recording.
    fn upload(&self, call: Uuid, recording: &Recording) -> Answer {
        let (Some(path), Some(sha256)) = (&recording.path, &recording.sha256) else { return Answer::Taken };
        let path = Path::new(path);
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Answer::Never("the recording's path leaves the output folder".to_owned());
        }
        let path = self.out_dir.join(path);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.progress.missing.fetch_add(1, Ordering::Relaxed);
                warn!(path = %path.display(), "a recording was removed before control had it");
                return Answer::Taken;
            }
            Err(error) => return Answer::Later(StoreError::file("open", &path)(error).to_string()),
        };
        let container = recording.container.as_deref().unwrap_or("ogg");
        let answer = self.client.recording(recording.id, call, container, sha256, file);
        if answer == Answer::Taken {
            self.progress.recordings.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// Sets the next event aside.
    fn reject(&mut self, event: &PendingEvent, reason: &str) -> Result<Round, StoreError> {
        self.outbox.reject(event, reason)?;
        self.goes_on(std::slice::from_ref(event));
        let call = event.outline.as_ref().map(|outline| outline.call.id.to_string()).unwrap_or_default();
        warn!(call, reason, "control refuses an event for good: it is in rejected.ndjson");
        Ok(Round::Again)
    }

    /// What an answer other than yes and never does.
    fn not_taken(&self, answer: Answer) -> Round {
        match answer {
            Answer::Barred(reason) => self.waits(UploadState::Barred(reason)),
            Answer::Later(reason) | Answer::Never(reason) => self.waits(UploadState::Waiting(reason)),
            Answer::Taken => Round::Again,
        }
    }

    /// Says why nothing is delivered, once.
    fn waits(&self, state: UploadState) -> Round {
        let mut shown = self.progress.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown != state {
            match &state {
                UploadState::Delivering => {}
                UploadState::Waiting(reason) => warn!(reason, "delivery to control waits"),
                UploadState::Barred(reason) => {
                    warn!(reason, "control refuses this sensor; nothing is delivered until it is put right");
                }
            }
            *shown = state;
        }
        Round::Wait
    }

    /// Control has taken events, or a sign of life; or an event was set aside.
    fn goes_on(&mut self, events: &[PendingEvent]) {
        for (_, recording) in events.iter().flat_map(PendingEvent::uploads) {
            self.uploaded.remove(&recording.id);
        }
        self.backoff.reset();
        self.next_sign = Instant::now() + SIGN_INTERVAL;
        self.doubted = false;
        let mut shown = self.progress.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown != UploadState::Delivering {
            info!("delivery to control goes on");
            *shown = UploadState::Delivering;
        }
    }
}
