//! One stream's clock fit: RTP time onto the capture clock, anchored by the stream's own arrivals.
//!
//! A packet's last sample was spoken when the packet could be sent, so the fit compares a packet's
//! *end* with its arrival (and a change of packet time moves nothing). The difference is the
//! packet's delay; its least value over 8 to 16 s of capture time is the part that is no jitter,
//! and the fit keeps it at zero, to within [`DEAD_BAND`]:
//!
//! - in speech by stretching or shrinking a packet by one sample, at most each second packet
//!   (3 ‰ of speed, enough for a drift of 3,000 ppm);
//! - in a pause of [`PAUSE`] or more at once, by making the pause longer or shorter;
//! - for 150 ms after an anchor by moving everything that was placed since, while none of it has
//!   been heard: an anchor's first packet is as jittery as any other.
//!
//! A timestamp that is not to be believed (reset, frozen, hours away) is replaced by the arrival.

use nightjar_wire::Nanos;
use serde::{Deserialize, Serialize};

use crate::frame::{SAMPLE_NANOS, nanos_at, sample_at};

/// Length of one window of the least delay; the last two count.
const WINDOW: Nanos = Nanos::from_secs(8);

/// Least delay, either way, that is corrected, in ns.
const DEAD_BAND: i64 = 1_000_000;

/// Samples of silence before a packet that make it the first after a pause: 10 ms.
const PAUSE: i64 = 80;

/// How long an anchor may still be moved.
const SETTLE: Nanos = Nanos::from_millis(150);

/// A packet may come this much before its end's time, in ns; earlier, its timestamp is wrong. After
/// what its timestamp calls a pause, less is enough to see that there was none.
const MAX_EARLY: i64 = 100_000_000;
const MAX_EARLY_AFTER_PAUSE: i64 = 30_000_000;

/// Samples by which audio may run ahead of its arrival before packets are refused: 500 ms.
const MAX_AHEAD: i64 = 4000;

/// Samples between where a packet should follow and where its arrival puts it, within which it
/// follows although its timestamp is broken: 60 ms.
const FOLLOWS: i64 = 480;

/// Without a packet for this long the anchor is taken anew.
const MAX_IDLE: Nanos = Nanos::from_secs(30);

/// Packets shorter than this are not stretched.
const MIN_STRETCH: i64 = 40;

/// One packet of audio, later in sequence than all before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) arrival: Nanos,
    /// Its first sample's RTP time, counted on over wraps, in samples.
    pub(crate) ticks: i64,
    /// Samples that it holds.
    pub(crate) samples: i64,
    /// Numbers missing before it; `None` when the sender began anew.
    pub(crate) missing: Option<u16>,
    /// Its count in the sequence.
    pub(crate) sequence: i64,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    At(Place),
    /// Its frame has closed.
    Late,
    /// It runs too far ahead of its arrival.
    Ahead,
}

/// Where a packet lies on the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its first sample.
    pub(crate) at: i64,
    /// Samples that it is longer (1) or shorter (-1) than what it holds.
    pub(crate) stretch: i8,
    /// All packets from `sequence` on move earlier by `samples`.
    pub(crate) moved: Option<Moved>,
}

/// A move of what an anchor has placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) since: i64,
    pub(crate) samples: i64,
}

/// A run of packets that all came too late: at a steady pace, their time has moved for good.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct LateRun {
    count: u32,
    since: Nanos,
    least: i64,
    greatest: i64,
}

/// The moves that are still allowed after an anchor.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Settling {
    until: Nanos,
    /// First packet, as counted and as placed.
    sequence: i64,
    first: i64,
    /// End of what was placed before the anchor.
    floor: i64,
}

/// Whether a stream that continues another one goes on with its RTP time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SenderTime {
    /// The same source on other ports.
    GoesOn,
    /// Another source.
    BeginsAnew,
}

/// The fit of one stream.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ClockFit {
    /// The grid's number of the sample at tick 0; `None` before the first packet.
    shift: Option<i64>,
    /// The same of the fit that it follows, if RTP time goes on.
    former_shift: Option<i64>,
    /// End of the latest packet that was placed; `None` before the first.
    cursor: Option<i64>,
    last_ticks: i64,
    last_arrival: Nanos,
    /// Start of the current window, its least delay so far, and the one before's, in ns.
    window_from: Nanos,
    least: i64,
    least_before: i64,
    /// Packets since the last stretch.
    unstretched: u32,
    late: Option<LateRun>,
    settling: Option<Settling>,
}

impl ClockFit {
    /// Continues `other`'s audio under another SSRC: the first packet follows its last one. `time` says
    /// whether its RTP time goes on too: then what was lost between the two stays silent.
    pub(crate) fn follow(&mut self, other: &ClockFit, time: SenderTime) {
        let (last_ticks, settling) = (0, None);
        let former_shift = other.shift.filter(|_| time == SenderTime::GoesOn);
        *self = ClockFit { shift: None, former_shift, last_ticks, settling, ..other.clone() };
    }

    /// Whether a packet was placed.
    pub(crate) fn is_anchored(&self) -> bool {
        self.shift.is_some()
    }

    /// End of the latest packet, on the grid.
    pub(crate) fn cursor(&self) -> Option<i64> {
        self.cursor
    }

    /// Places a packet that is later in sequence than all before.
    pub(crate) fn place(&mut self, packet: &Timing, late_after: Nanos) -> Placement {
        let mut at = match self.shift {
            Some(shift) if !self.is_broken(packet, shift) => self.follow_timestamp(packet, shift),
            _ => self.follow_arrival(packet),
        };
        self.last_ticks = packet.ticks;
        self.last_arrival = packet.arrival;
        let mut delay = delay(packet, at);
        if packet.arrival >= nanos_at(at) + late_after {
            self.note_late(packet.arrival, delay);
            return Placement::Late;
        }
        self.late = None;
        if at + packet.samples > sample_at(packet.arrival) + MAX_AHEAD {
            return Placement::Ahead;
        }
        let moved = self.settle(packet.arrival, delay, late_after);
        if let Some(moved) = moved {
            at -= moved.samples;
            delay += moved.samples * SAMPLE_NANOS;
        }
        self.observe(packet.arrival, delay);
        let stretch = self.stretch(packet, at);
        self.cursor = Some(at + packet.samples + i64::from(stretch));
        Placement::At(Place { at, stretch, moved })
    }

    /// Whether the timestamp says nothing about when this was spoken.
    fn is_broken(&self, packet: &Timing, shift: i64) -> bool {
        let at = packet.ticks + shift;
        let delay = delay(packet, at);
        let pause = self.settling.is_none() && self.cursor.is_some_and(|cursor| at - cursor >= PAUSE);
        packet.missing.is_none()
            || packet.ticks <= self.last_ticks
            || packet.arrival - self.last_arrival > MAX_IDLE
            || delay < -(if pause { MAX_EARLY_AFTER_PAUSE } else { MAX_EARLY })
            || self.late.is_some_and(|run| run.is_steady(packet.arrival, delay))
    }

    fn follow_timestamp(&mut self, packet: &Timing, shift: i64) -> i64 {
        let mut at = packet.ticks + shift;
        let cursor = self.cursor.unwrap_or(at);
        if at < cursor {
            // The sender's timestamps advance less than its samples: follow what came before.
            at = cursor;
        } else if at - cursor >= PAUSE && self.estimate().abs() >= DEAD_BAND {
            let correction = (self.estimate() / SAMPLE_NANOS).max(cursor - at);
            self.shift_fit(correction);
            at += correction;
        }
        self.shift = Some(at - packet.ticks);
        at
    }

    /// Takes the anchor from the arrival, or from the packet before where the arrival agrees.
    fn follow_arrival(&mut self, packet: &Timing) -> i64 {
        let natural = sample_at(packet.arrival) - packet.samples;
        let former = self.former_shift.take().zip(self.cursor);
        let missing = former
            .map(|(shift, cursor)| packet.ticks + shift - cursor)
            .filter(|missing| (0..=FOLLOWS).contains(missing))
            .unwrap_or(i64::from(packet.missing.unwrap_or(0)) * packet.samples);
        self.late = None;
        let at = match self.cursor {
            Some(cursor) if (natural - cursor - missing).abs() <= FOLLOWS => cursor + missing,
            cursor => {
                let at = natural.max(cursor.unwrap_or(natural));
                (self.least, self.least_before) = (i64::MAX, i64::MAX);
                self.window_from = packet.arrival;
                self.settling = Some(Settling {
                    until: packet.arrival + SETTLE,
                    sequence: packet.sequence,
                    first: at,
                    floor: cursor.unwrap_or(i64::MIN),
                });
                at
            }
        };
        self.shift = Some(at - packet.ticks);
        at
    }

    /// A packet that came earlier than the anchor's moves all since the anchor, unless some of it
    /// may have been heard already.
    fn settle(&mut self, arrival: Nanos, delay: i64, late_after: Nanos) -> Option<Moved> {
        let settling = self.settling.as_mut()?;
        if arrival > settling.until {
            self.settling = None;
            return None;
        }
        let samples = (-delay).div_euclid(SAMPLE_NANOS).min(settling.first.saturating_sub(settling.floor));
        if samples <= 0 || arrival >= nanos_at(settling.first - samples) + late_after {
            return None;
        }
        settling.first -= samples;
        let since = settling.sequence;
        self.shift_fit(-samples);
        self.shift = self.shift.map(|shift| shift - samples);
        Some(Moved { since, samples })
    }

    /// One sample more or less where the fit is off.
    fn stretch(&mut self, packet: &Timing, at: i64) -> i8 {
        self.unstretched = self.unstretched.saturating_add(1);
        let estimate = self.estimate();
        if estimate.abs() < DEAD_BAND || self.unstretched < 2 || packet.samples < MIN_STRETCH {
            return 0;
        }
        self.unstretched = 0;
        let stretch = estimate.signum();
        self.shift_fit(stretch);
        self.shift = Some(at - packet.ticks + stretch);
        stretch as i8
    }

    /// The delay that is no jitter, in ns.
    fn estimate(&self) -> i64 {
        match self.least.min(self.least_before) {
            i64::MAX => 0,
            least => least,
        }
    }

    fn observe(&mut self, arrival: Nanos, delay: i64) {
        if arrival - self.window_from >= WINDOW {
            self.least_before = self.least;
            self.least = delay;
            self.window_from = arrival;
        } else {
            self.least = self.least.min(delay);
        }
    }

    /// Delays that were measured count from places that are now `samples` later.
    fn shift_fit(&mut self, samples: i64) {
        for least in [&mut self.least, &mut self.least_before] {
            if *least != i64::MAX {
                *least -= samples * SAMPLE_NANOS;
            }
        }
    }

    fn note_late(&mut self, arrival: Nanos, delay: i64) {
        let run =
            self.late.get_or_insert(LateRun { count: 0, since: arrival, least: delay, greatest: delay });
        run.count += 1;
        run.least = run.least.min(delay);
        run.greatest = run.greatest.max(delay);
    }
}

impl LateRun {
    /// A burst after a stall comes at once, each packet less late than the one before. Packets that
    /// keep their pace while late will stay late: after 100 ms if even, after 500 ms in any case.
    fn is_steady(&self, arrival: Nanos, delay: i64) -> bool {
        let span = arrival - self.since;
        let spread = self.greatest.max(delay) - self.least.min(delay);
        let even = self.count >= 5 && span >= Nanos::from_millis(80) && spread <= 40_000_000;
        even || self.count >= 25 && span >= Nanos::from_millis(500)
    }
}

/// How long after its last sample's time a packet came, in ns.
fn delay(packet: &Timing, at: i64) -> i64 {
    packet.arrival.signed_since(nanos_at(at + packet.samples))
}
