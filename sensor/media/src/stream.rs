//! One stream on its way from datagrams to samples: order, kind, place, queue.

use nightjar_codec::{Codec, Decoder};
use nightjar_schema::StreamUse;
use nightjar_wire::{Format, Nanos, RtpTime, RtpView};
use serde::{Deserialize, Serialize};

use crate::clock::{ClockFit, Placement, SenderTime, Timing};
use crate::dtmf::{DigitLog, EventPacket, EventTracker};
use crate::frame::{FRAME_SAMPLES, nanos_at};
use crate::gaps::GapLog;
use crate::payload::{PayloadKind, payload_kind};
use crate::playout::{FramePlace, Heard, MAX_PACKET_SAMPLES, Playout};
use crate::queue::{PacketQueue, QueuedPacket};
use crate::sequence::{Order, SequenceWindow};
use crate::{Fate, StreamCounts, StreamSpec, StreamSummary};

/// Stamps that go back by more than this are a jump of the clock, not an order of packets.
pub(crate) const MAX_BACKWARDS: Nanos = Nanos::from_secs(1);

/// A very old packet's RTP time lies behind the latest by less than this, in ticks: 3 minutes.
const MAX_OLD_TICKS: i32 = 180 * 8000;

/// Numbers of a time before still go on with the speech when its RTP time does, within this many
/// ticks: 1 s.
const MAX_GOES_ON_TICKS: i32 = 8000;

/// Out of order, a packet lies within this of its neighbour, in samples: 1 s.
const MAX_NEIGHBOUR: i64 = 8000;

/// One stream of a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AudioStream {
    pub(crate) spec: StreamSpec,
    pub(crate) counts: StreamCounts,
    pub(crate) heard_samples: u64,
    /// The channel that it was last heard on.
    pub(crate) heard_on: Option<usize>,
    window: SequenceWindow,
    clock: ClockFit,
    queue: PacketQueue,
    playout: Playout,
    events: EventTracker,
    /// The latest packet of speech: its RTP time, and that counted on over wraps.
    latest_time: Option<(RtpTime, i64)>,
    /// The payload type of the latest packet of speech, to spare the search.
    #[serde(skip)]
    known: Option<(u8, Codec)>,
    /// When it is back after it was away, and how many packets it lost when it left.
    returns: Option<(Nanos, u16)>,
    /// The latest arrival.
    latest: Nanos,
    /// What stamps lack since the clock jumped back.
    behind_clock: Nanos,
}

/// A packet's number, as far as it is of use.
#[derive(Clone, Copy, Debug)]
struct Numbered {
    sequence: i64,
    /// Numbers missing before it; `None` when the sender began anew.
    missing: Option<u16>,
    in_order: bool,
}

impl AudioStream {
    pub(crate) fn new(spec: StreamSpec) -> AudioStream {
        AudioStream {
            spec,
            counts: StreamCounts::default(),
            heard_samples: 0,
            heard_on: None,
            window: SequenceWindow::default(),
            clock: ClockFit::default(),
            queue: PacketQueue::default(),
            playout: Playout::default(),
            events: EventTracker::default(),
            latest_time: None,
            known: None,
            returns: None,
            latest: Nanos::ZERO,
            behind_clock: Nanos::ZERO,
        }
    }

    /// The numbers missing before the packet of this moment were given to packets elsewhere, but for
    /// `lost`.
    pub(crate) fn note_return(&mut self, at: Nanos, lost: u16) {
        self.returns = Some((at, lost));
    }

    /// Changes what payload types stand for, from the next packet on.
    pub(crate) fn set_formats(&mut self, formats: Vec<Format>) {
        self.spec.formats = formats;
        self.known = None;
    }

    /// Changes what becomes of it; what is queued is dropped when it is no longer heard.
    pub(crate) fn set_use(&mut self, use_: StreamUse) {
        self.spec.use_ = use_;
        if use_ != StreamUse::Mixed {
            self.discard_queued();
        }
    }

    /// Counts a packet that is not to be heard.
    pub(crate) fn discard(&mut self) -> Fate {
        self.counts.discarded += 1;
        Fate::Discarded
    }

    /// Packets that are still queued are not in the recording after all.
    pub(crate) fn discard_queued(&mut self) {
        let queued = self.queue.clear();
        self.counts.encoded -= queued;
        self.counts.discarded += queued;
    }

    /// The clock that a successor on the same flow goes on with.
    pub(crate) fn clock(&self) -> &ClockFit {
        &self.clock
    }

    /// Goes on after its predecessor's audio when nothing has come yet, and with its RTP time if that
    /// is known.
    pub(crate) fn follow(&mut self, (predecessor, time): &(ClockFit, Option<(RtpTime, i64)>)) {
        if !self.clock.is_anchored() && self.clock.cursor().is_none() {
            let goes_on = if time.is_some() { SenderTime::GoesOn } else { SenderTime::BeginsAnew };
            self.clock.follow(predecessor, goes_on);
            self.latest_time = self.latest_time.or(*time);
        }
    }

    /// What one that continues it goes on with: the clock, and the latest RTP time for the same source
    /// on other ports.
    pub(crate) fn followed_by(&self, ssrc: u32) -> (ClockFit, Option<(RtpTime, i64)>) {
        (self.clock.clone(), self.latest_time.filter(|_| self.spec.ssrc == ssrc))
    }

    /// An arrival on a clock that does not go back, and whether it jumped: later than `closed`, up
    /// to which frames are closed, and than the packets before, but for small disorder.
    pub(crate) fn steady_arrival(&mut self, stamp: Nanos, closed: Nanos) -> (Nanos, bool) {
        if self.behind_clock > Nanos::ZERO && stamp >= self.latest {
            self.behind_clock = Nanos::ZERO;
        }
        let mut arrival = stamp + self.behind_clock;
        let floor = self.latest.max(closed);
        let jumped = arrival + MAX_BACKWARDS < floor;
        if jumped {
            self.behind_clock = self.behind_clock + (floor - arrival);
            arrival = floor;
        }
        self.latest = self.latest.max(arrival);
        (arrival, jumped)
    }

    /// The latest arrival of a stream whose stamps have jumped back.
    pub(crate) fn jumped_to(&self) -> Option<Nanos> {
        (self.behind_clock > Nanos::ZERO).then_some(self.latest)
    }

    /// Takes a datagram and counts it.
    pub(crate) fn handle(
        &mut self,
        arrival: Nanos,
        datagram: &[u8],
        late_after: Nanos,
        digits: &mut DigitLog,
    ) -> Fate {
        let fate = self.sort(arrival, datagram, late_after, digits);
        let counts = &mut self.counts;
        match fate {
            Fate::Queued => counts.encoded += 1,
            Fate::Event => (counts.encoded, counts.events) = (counts.encoded + 1, counts.events + 1),
            Fate::ComfortNoise => {
                (counts.encoded, counts.comfort_noise) = (counts.encoded + 1, counts.comfort_noise + 1);
            }
            Fate::Duplicate => counts.duplicate += 1,
            Fate::Late => counts.late += 1,
            Fate::Undecodable => {
                (counts.discarded, counts.undecodable) = (counts.discarded + 1, counts.undecodable + 1);
            }
            Fate::Discarded | Fate::Held => counts.discarded += 1,
        }
        fate
    }

    fn sort(&mut self, arrival: Nanos, datagram: &[u8], late_after: Nanos, digits: &mut DigitLog) -> Fate {
        let Ok(rtp) = RtpView::parse(datagram) else {
            self.counts.malformed += 1;
            return Fate::Discarded;
        };
        let numbered = match self.number(arrival, &rtp) {
            Ok(numbered) => numbered,
            Err(fate) => return fate,
        };
        let fate = match self.kind(&rtp) {
            PayloadKind::Audio(codec) => match codec.decoder().samples(rtp.payload()) {
                Ok(samples @ 1..=MAX_PACKET_SAMPLES) => {
                    return self.place(arrival, &rtp, numbered, (codec, samples as u16), late_after);
                }
                Ok(0) => Fate::Discarded,
                _ => Fate::Undecodable,
            },
            PayloadKind::Event { clock_rate } => {
                let packet = EventPacket {
                    arrival,
                    stream: self.spec.stream,
                    timestamp: rtp.timestamp(),
                    marker: rtp.marker(),
                    clock_rate,
                    payload: rtp.payload(),
                };
                self.events.observe(&packet, digits);
                Fate::Event
            }
            PayloadKind::ComfortNoise => Fate::ComfortNoise,
            // An empty packet of a type that nobody knows holds a NAT open (RFC 6263, 4.6).
            PayloadKind::Unknown if rtp.payload().is_empty() => Fate::Discarded,
            PayloadKind::Unknown => Fate::Undecodable,
        };
        if numbered.in_order {
            self.queue.note_speechless(numbered.sequence, arrival);
        } else {
            self.queue.note_speechless_behind(numbered.sequence, arrival);
        }
        fate
    }

    fn kind(&mut self, rtp: &RtpView<'_>) -> PayloadKind {
        if let Some((payload_type, codec)) = self.known
            && payload_type == rtp.payload_type()
        {
            return PayloadKind::Audio(codec);
        }
        let kind = payload_kind(&self.spec.formats, rtp.payload_type(), rtp.payload());
        if let PayloadKind::Audio(codec) = kind {
            self.known = Some((rtp.payload_type(), codec));
        }
        kind
    }

    fn number(&mut self, arrival: Nanos, rtp: &RtpView<'_>) -> Result<Numbered, Fate> {
        let number = rtp.sequence();
        if let Some((_, lost)) = self.returns.take_if(|(at, _)| arrival >= *at)
            && self.window.is_ahead(number)
        {
            let sequence = self.window.resume(number, lost);
            return Ok(Numbered { sequence, missing: Some(0), in_order: true });
        }
        match self.window.observe(number) {
            Order::First { sequence } => Ok(Numbered { sequence, missing: Some(0), in_order: true }),
            Order::Ahead { sequence, missing } => {
                Ok(Numbered { sequence, missing: Some(missing), in_order: true })
            }
            Order::Behind { sequence } => Ok(Numbered { sequence, missing: Some(0), in_order: false }),
            Order::Duplicate => Err(Fate::Duplicate),
            // Digits that are numbered by themselves among the speech look like a sender that begins
            // anew with each packet: the RTP time tells that it goes on.
            Order::Stale if !(-MAX_GOES_ON_TICKS..0).contains(&self.behind(rtp)) => Err(Fate::Late),
            Order::Stale | Order::Wild => {
                let behind = self.behind(rtp);
                if self.window.behind(number).is_some() && behind > 0 && behind < MAX_OLD_TICKS {
                    return Err(Fate::Late);
                }
                Ok(Numbered { sequence: self.window.restart(number), missing: None, in_order: true })
            }
        }
    }

    /// How far a packet's RTP time lies behind the latest speech; 0 when there was none.
    fn behind(&self, rtp: &RtpView<'_>) -> i32 {
        self.latest_time.map_or(0, |(latest, _)| latest.since(rtp.timestamp()))
    }

    /// RTP time counted on over wraps.
    fn ticks(&self, time: RtpTime) -> i64 {
        self.latest_time.map_or(i64::from(time.0), |(latest, ticks)| ticks + i64::from(time.since(latest)))
    }

    fn place(
        &mut self,
        arrival: Nanos,
        rtp: &RtpView<'_>,
        numbered: Numbered,
        (codec, samples): (Codec, u16),
        late_after: Nanos,
    ) -> Fate {
        let ticks = self.ticks(rtp.timestamp());
        let Numbered { sequence, missing, in_order } = numbered;
        let (at, stretch) = if in_order {
            self.latest_time = Some((rtp.timestamp(), ticks));
            let timing = Timing { arrival, ticks, samples: i64::from(samples), missing, sequence };
            match self.clock.place(&timing, late_after) {
                Placement::Late => return Fate::Late,
                Placement::Ahead => return Fate::Discarded,
                Placement::At(place) => {
                    if let Some(moved) = place.moved {
                        self.queue.move_earlier(moved.since, moved.samples);
                    }
                    (place.at, place.stretch)
                }
            }
        } else {
            match self.place_between(arrival, sequence, ticks, late_after) {
                Some(at) => (at, 0),
                None => return Fate::Late,
            }
        };
        let packet = QueuedPacket { sequence, ticks, at, samples, stretch, codec, payload: Vec::new() };
        if self.queue.is_full() {
            return Fate::Discarded;
        }
        self.queue.insert(packet, rtp.payload());
        Fate::Queued
    }

    /// The place of a packet that comes after a later one: relative to the one that follows it, or
    /// else to the one before, and between the two. `None` when its time has passed.
    fn place_between(&self, arrival: Nanos, sequence: i64, ticks: i64, late_after: Nanos) -> Option<i64> {
        if self.playout.has_passed(sequence) {
            return None;
        }
        let (before, after) = self.queue.open_neighbours(sequence, arrival, late_after)?;
        let near = |distance: &i64| (1..=MAX_NEIGHBOUR).contains(distance);
        let by_next = after.and_then(|next| Some(next.at - Some(next.ticks - ticks).filter(near)?));
        let by_last = before.and_then(|last| Some(last.at + Some(ticks - last.ticks).filter(near)?));
        let at = by_next.or(by_last)?;
        let at = at.max(before.map_or(at, QueuedPacket::end)).min(after.map_or(at, |next| next.at));
        (arrival < nanos_at(at) + late_after).then_some(at)
    }

    /// First sample that waits, on the grid.
    pub(crate) fn first_at(&self) -> Option<i64> {
        self.queue.first_at()
    }

    /// Whether it has nothing to say in a frame that ends at `end`.
    pub(crate) fn is_silent_before(&self, end: i64) -> bool {
        self.playout.is_idle() && self.queue.first_at().is_none_or(|at| at >= end)
    }

    /// Writes one frame; see [`Playout::render`].
    pub(crate) fn render(
        &mut self,
        frame: FramePlace,
        gaps: &mut GapLog,
        plane: &mut [i16; FRAME_SAMPLES],
    ) -> bool {
        let heard = Heard { stream: self.spec.stream, leg: self.spec.leg };
        let samples = self.playout.render(&mut self.queue, frame, heard, gaps, plane);
        self.heard_samples += samples as u64;
        let missed = std::mem::take(&mut self.playout.missed);
        self.counts.encoded -= missed;
        self.counts.late += missed;
        samples > 0
    }

    pub(crate) fn summary(&self) -> StreamSummary {
        StreamSummary {
            stream: self.spec.stream,
            leg: self.spec.leg,
            counts: self.counts,
            heard_samples: self.heard_samples,
            lost_in_ring: 0,
        }
    }
}
