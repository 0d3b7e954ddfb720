//! Killing a sensor and starting it again, and what its rows may lack for it.

use std::time::Duration;

use nightjar_load::{CallExpected, Random};
use nightjar_schema::{Call, Gap, GapCause, Timestamp};
use nightjar_wire::Nanos;
use rustix::process::Signal;

use crate::moments::{now, wait_until};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::rows::assert_gaps_of_stalls;
use crate::sensor::Place;
use crate::stalls::Stalls;

/// What a killed sensor may not have committed yet.
pub const UNCOMMITTED: Nanos = Nanos::from_millis(250);
/// From a call's first or last message to the answer of it, at most.
const EXCHANGE: Nanos = Nanos::from_millis(200);

/// A time in which no sensor ran.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// Right before the kill.
    pub killed_after: Nanos,
    /// When the process was gone.
    pub gone_at: Nanos,
    /// Right before the next start.
    pub started_at: Nanos,
    /// When the next sensor said that it captures.
    pub capturing_at: Nanos,
}

/// Kills the sensor, lets `meanwhile` look at what it left, and starts it again after `pause`.
pub fn kill_and_restart(
    sensor: Process,
    place: &mut Place,
    namespace: &Namespace,
    pause: Duration,
    meanwhile: impl FnOnce(&mut Place),
) -> (Process, Outage) {
    let killed_after = now();
    sensor.signal(Signal::KILL);
    let ended = sensor.wait(Duration::from_secs(10));
    assert!(!ended.status.success(), "{ended:?}");
    let gone_at = now();
    std::thread::sleep(pause);
    meanwhile(place);
    let started_at = now();
    let sensor = place.start(namespace);
    let capturing_at = said_at(&sensor.stderr(), "capturing from");
    (sensor, Outage { killed_after, gone_at, started_at, capturing_at })
}

/// A pause of some ten to some hundred milliseconds.
pub fn any_pause(random: &mut Random) -> Duration {
    Duration::from_millis(random.between(20, 400))
}

/// The stamp of the log line that holds `text`.
fn said_at(log: &str, text: &str) -> Nanos {
    let line = log.lines().find(|line| line.contains(text)).expect("the line was waited for");
    let stamp = line.split_whitespace().next().unwrap_or_default();
    let at: Timestamp =
        serde_json::from_value(stamp.into()).unwrap_or_else(|error| panic!("{error}: {line}"));
    nanos(at)
}

/// A row's time as the generator counts it.
pub fn nanos(at: Timestamp) -> Nanos {
    Nanos(u64::try_from(at.0).unwrap_or(0) * 1_000)
}

impl Outage {
    /// From where on something may be missing, until when.
    fn window(&self, uncommitted: Nanos) -> (Nanos, Nanos) {
        (self.killed_after - uncommitted, self.capturing_at)
    }

    /// Whether a part of `from..to` falls into it.
    pub fn touches(&self, from: Nanos, to: Nanos, uncommitted: Nanos) -> bool {
        let (start, end) = self.window(uncommitted);
        from < end && to > start
    }

    /// Whether all of `from..to` is on both sides of it.
    pub fn is_within(&self, from: Nanos, to: Nanos, uncommitted: Nanos) -> bool {
        let (start, end) = self.window(uncommitted);
        from < start && to > end
    }
}

/// How a call's messages and an outage met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// All of its messages were journalled.
    Whole,
    /// Its beginning was; its end may not have been.
    Beginning,
    /// Its beginning may not have been.
    NotBeginning,
}

/// What the sensor must have seen of a call in spite of the outages; `uncommitted` may be lost before
/// each.
pub fn seen(call: &CallExpected, outages: &[Outage], stalls: &Stalls, uncommitted: Nanos) -> Seen {
    let (from, to) = (nanos(call.started_at), nanos(call.ended_at.expect("every call ends")));
    let answered = call.answered_at.map_or(to, nanos);
    let hit = |from: Nanos, to: Nanos| {
        let to = stalls.sent_at(to) + EXCHANGE;
        outages.iter().any(|outage| outage.touches(from, stalls.sent_at(to), uncommitted))
    };
    match (hit(from, answered), hit(to, to)) {
        (true, _) => Seen::NotBeginning,
        (false, true) => Seen::Beginning,
        (false, false) => Seen::Whole,
    }
}

/// A call's gap in which nobody was heard because no sensor ran, in capture time.
fn outage_gaps(row: &Call) -> Vec<(Nanos, Nanos)> {
    let Some(recording) = row.recordings.first() else { return Vec::new() };
    let start = nanos(recording.started_at);
    let whole = |gap: &&Gap| gap.cause == GapCause::SensorDown && gap.stream.is_none();
    let at = |gap: &Gap| {
        let from = start + Nanos::from_millis(gap.at_ms);
        (from, from + Nanos::from_millis(gap.duration_ms))
    };
    row.gaps.iter().filter(whole).map(at).collect()
}

/// Each outage within the call's media is one gap: from at most `uncommitted` before the kill to
/// the moment that the next sensor captured; and nothing else is missing.
///
/// # Panics
/// When that is not so.
pub fn assert_gaps(row: &Call, outages: &[&Outage], stalls: &Stalls, uncommitted: Nanos) {
    let gaps = outage_gaps(row);
    assert_eq!(gaps.len(), outages.len(), "{}: {:?} of {outages:?}", row.id, row.gaps);
    // Positions are whole milliseconds, and the samples' grid has steps of an eighth.
    let slack = Nanos::from_millis(2);
    for ((from, to), outage) in gaps.iter().zip(outages) {
        // A machine that stands still does not commit.
        let stalled = stalls.within(outage.killed_after - Nanos::from_secs(1), outage.gone_at);
        let earliest = outage.killed_after - uncommitted - stalled;
        assert!(*from + slack >= earliest, "{}: {from:?} in {outage:?}", row.id);
        assert!(*from <= outage.gone_at + slack, "{}: {from:?} in {outage:?}", row.id);
        assert!(*to + slack >= outage.started_at, "{}: {to:?} in {outage:?}", row.id);
        assert!(*to <= outage.capturing_at + slack, "{}: {to:?} in {outage:?}", row.id);
    }
    assert_gaps_of_stalls(row, stalls);
    let known = [GapCause::SensorDown, GapCause::Wire];
    assert!(row.gaps.iter().all(|gap| known.contains(&gap.cause)), "{}: {:?}", row.id, row.gaps);
}

/// Every packet that a call's streams lack was sent in an outage; there were as many as that took.
///
/// # Panics
/// When that is not so.
pub fn assert_packets(row: &Call, call: &CallExpected, stalls: &Stalls) {
    let down: u64 = outage_gaps(row).iter().map(|&(from, to)| (to - from).as_millis()).sum();
    let outages = outage_gaps(row).len() as u64;
    for sent in call.streams.iter().filter(|stream| stream.packets > 0) {
        let stream = row.streams.iter().find(|stream| (&stream.src, &stream.dst) == (&sent.src, &sent.dst));
        let stream = stream.unwrap_or_else(|| panic!("{}: no stream {}", row.id, sent.src));
        assert_eq!(stream.packets + stream.lost_ours, sent.packets, "{}: {stream:?}", row.id);
        assert_eq!(stream.lost, stream.lost_ours, "{}: {stream:?}", row.id);
        let ptime = u64::from(sent.ptimes_ms[0]);
        // At either end of an outage a packet may stand on either side, and it may be sent late.
        let unsure = outages * 4 + stalls.total().as_millis() / ptime;
        let missed = stream.lost_ours;
        assert!(missed.abs_diff(down / ptime) <= unsure, "{}: {missed} packets in {down} ms", row.id);
    }
}

/// Whether a row names the call's Call-ID.
pub fn is_row_of(row: &Call, call: &CallExpected) -> bool {
    row.call_ids.iter().any(|known| Some(known) == call.call_id.as_ref())
}

/// Waits until each of these calls is written down.
///
/// # Panics
/// When that takes longer than 30 s.
pub fn wait_for_calls(place: &Place, calls: &[&CallExpected]) {
    let mut missing = Vec::new();
    let done = wait_until(Duration::from_secs(30), || {
        let rows = place.rows();
        missing = calls.iter().filter(|call| !rows.iter().any(|row| is_row_of(row, call))).collect();
        missing.is_empty()
    });
    assert!(done, "no rows of {missing:#?}");
}
