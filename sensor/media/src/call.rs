//! One call's audio: packets of all its streams in, frames of its recording out.

use nightjar_schema::{GapCause, StreamUse};
use nightjar_wire::{Format, Nanos, RtpTime};
use serde::{Deserialize, Serialize};

use crate::clock::ClockFit;
use crate::dtmf::DigitLog;
use crate::frame::{AudioFrame, FRAME, FRAME_SAMPLES, FrameSink, SAMPLE_NANOS, nanos_at, sample_at};
use crate::gaps::{AudioGap, Explained, GapLog};
use crate::held::Held;
use crate::playout::FramePlace;
use crate::stream::AudioStream;
use crate::summary::{AudioSummary, Mark};
use crate::timeline::{Step, Timeline};
use crate::{AudioConfig, ChannelLayout, Decision, Fate, StreamSpec, StreamSummary};

/// Most streams of one call; packets of further ones are not taken.
const MAX_STREAMS: usize = 256;

/// Most times in which no sensor ran that are told apart.
const MAX_OUTAGES: usize = 64;

/// Most times in which a ring was full that are told apart; then the last one grows.
const MAX_RING_LOSSES: usize = 256;

/// How far before its packet's stamp a sample may have its place, in samples: the place is that of the
/// stream's fastest packets. 100 ms.
const EARLY: i64 = 800;

/// How far behind it: what a clock that is not measured well yet is off by, in samples. 20 ms.
const OFF: i64 = 160;

/// A call's audio. About 10 KB with two streams of G.711, most of it packets that wait. Saved and
/// read back it goes on as if nothing had been.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallAudio {
    config: AudioConfig,
    /// `None` while the call rings.
    decided: Option<Dialogs>,
    held: Held,
    streams: Vec<AudioStream>,
    timeline: Option<Timeline>,
    /// The caller is on the right, because it was heard there before anybody knew that it is the
    /// caller.
    mirrored: bool,
    /// Frames are closed up to this moment, or would be if the call were decided.
    watermark: Nanos,
    gaps: GapLog,
    digits: DigitLog,
    clock_jumped: bool,
    /// Times in which no sensor ran, on the grid, with their cause.
    outages: Vec<(i64, i64, GapCause)>,
    /// Times in which a ring lost frames, on the grid, in order.
    ring_losses: Vec<(i64, i64)>,
}

/// Whose streams are mixed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Dialogs {
    All,
    /// These, and the streams of no dialog.
    Answered(Vec<u16>),
}

impl CallAudio {
    /// The audio of a new call.
    pub fn new(config: &AudioConfig, decision: Decision) -> CallAudio {
        CallAudio {
            config: config.clone(),
            decided: match decision {
                Decision::Undecided => None,
                Decision::Answered(dialog) => Some(Dialogs::Answered(vec![dialog])),
                Decision::Everything => Some(Dialogs::All),
            },
            held: Held::default(),
            // Two parties are the rule; a growing vector would make room for four.
            streams: Vec::with_capacity(2),
            timeline: None,
            mirrored: false,
            watermark: Nanos::ZERO,
            gaps: GapLog::default(),
            digits: DigitLog::default(),
            clock_jumped: false,
            outages: Vec::new(),
            ring_losses: Vec::new(),
        }
    }

    /// Makes a stream known. A number that is known already is described anew: who has been heard
    /// stays on its channel, and its partner on the other.
    pub fn open_stream(&mut self, spec: StreamSpec) {
        if let Some(stream) = self.stream_mut(spec.stream) {
            stream.set_formats(spec.formats.clone());
            stream.set_use(spec.use_);
            let heard_on = stream.heard_on;
            stream.spec = spec.clone();
            self.keep_channel(&spec, heard_on);
        } else if self.streams.len() < MAX_STREAMS {
            self.streams.push(AudioStream::new(spec));
        }
    }

    /// Changes what a stream's payload types stand for, from the next packet on.
    pub fn set_formats(&mut self, stream: u32, formats: Vec<Format>) {
        if let Some(stream) = self.stream_mut(stream) {
            stream.set_formats(formats);
        }
    }

    /// Changes who speaks and listens on a stream, from the next frame on.
    pub fn relabel(&mut self, stream: u32, leg: Option<u16>, receiver: Option<u16>) {
        if let Some(stream) = self.stream_mut(stream) {
            (stream.spec.leg, stream.spec.receiver) = (leg, receiver);
            let (spec, heard_on) = (stream.spec.clone(), stream.heard_on);
            self.keep_channel(&spec, heard_on);
        }
    }

    /// The stream was away (its sender was sent to other ports, or on hold) and is back with the packet
    /// that comes at `at`: of the numbers missing before it `lost` are a gap, right behind its last one.
    pub fn note_return(&mut self, stream: u32, at: Nanos, lost: u16) {
        if let Some(stream) = self.stream_mut(stream) {
            stream.note_return(at, lost);
        }
    }

    /// Changes what becomes of a stream (it turned out to be a copy, for one), from the next frame
    /// on.
    pub fn set_use(&mut self, stream: u32, use_: StreamUse) {
        if let Some(stream) = self.stream_mut(stream) {
            stream.set_use(use_);
        }
    }

    /// Takes one packet of a stream: the datagram from the RTP header on, and its capture time.
    /// Packets of a stream that was not opened are [`Fate::Discarded`] and not counted.
    pub fn handle_packet(&mut self, stream: u32, arrival: Nanos, datagram: &[u8]) -> Fate {
        if self.decided.is_some() && self.held.is_empty() {
            return self.handle_now(stream, arrival, datagram);
        }
        if self.held.size() + datagram.len() > self.config.max_hold {
            if self.decided.is_none() {
                self.decided = Some(Dialogs::All);
            }
            // What is held goes on with the next `advance`; until then there is some room more.
            if self.held.size() > 2 * self.config.max_hold {
                return self.stream_mut(stream).map_or(Fate::Discarded, AudioStream::discard);
            }
        }
        self.held.push(stream, arrival, datagram);
        Fate::Held
    }

    /// A dialog was answered: what the losing forks have sent is left out, of what is held and of
    /// what comes. A second dialog that is answered joins the first.
    pub fn handle_answered(&mut self, dialog: u16, _at: Nanos) {
        match &mut self.decided {
            Some(Dialogs::Answered(dialogs)) if dialogs.contains(&dialog) => {}
            Some(Dialogs::Answered(dialogs)) => dialogs.push(dialog),
            decided => *decided = Some(Dialogs::Answered(vec![dialog])),
        }
    }

    /// Nothing was captured between these moments for `cause`: what is missing there is no loss on
    /// the wire.
    pub fn note_outage(&mut self, from: Nanos, to: Nanos, cause: GapCause) {
        if self.outages.len() < MAX_OUTAGES {
            self.outages.push((sample_at(from), sample_at(to), cause));
        }
    }

    /// A ring of ours lost frames between these moments: what a stream lacks there is no loss on the wire.
    pub fn note_ring_loss(&mut self, from: Nanos, to: Nanos) {
        let (from, to) = (sample_at(from) - EARLY, sample_at(to) + OFF);
        let full = self.ring_losses.len() == MAX_RING_LOSSES;
        match self.ring_losses.last_mut().filter(|(start, end)| full || (*start..=*end).contains(&from)) {
            Some((_, end)) => *end = to.max(*end),
            None => self.ring_losses.push((from, to)),
        }
    }

    /// Gives every frame that no packet can change any more to `sink`: those whose wait for late
    /// packets ends at `watermark` or before.
    pub fn advance(&mut self, watermark: Nanos, sink: &mut impl FrameSink) {
        if self.decided.is_none() {
            return self.held.note_watermark(watermark);
        }
        self.release_held(watermark, sink);
        self.close_frames(self.jumped_after(watermark), u64::MAX, sink);
    }

    /// As [`advance`](CallAudio::advance), but gives no frame that begins at `position` of the
    /// recording or behind it. True when the recording has come exactly there: a call that is
    /// saved then is saved at a place that depends on nothing but the recording. The same watermark
    /// is to be given to `advance` before the next packet.
    pub fn advance_to(&mut self, watermark: Nanos, position: u64, sink: &mut impl FrameSink) -> bool {
        if self.decided.is_none() || !self.held.is_empty() {
            return false;
        }
        self.close_frames(self.jumped_after(watermark), position, sink);
        self.timeline.as_ref().is_some_and(|timeline| timeline.position == position)
    }

    /// The watermark, or where a stream's clock has jumped to if that is later.
    fn jumped_after(&self, watermark: Nanos) -> Nanos {
        let jumped = self.streams.iter().filter_map(AudioStream::jumped_to).max();
        watermark.max(jumped.unwrap_or(Nanos::ZERO))
    }

    /// Ends the recording exactly at `end` and says what it came to; later if frames beyond `end`
    /// were given already. A call that was never answered is recorded with everything that was held.
    pub fn finish(&mut self, end: Nanos, sink: &mut impl FrameSink) -> AudioSummary {
        if self.decided.is_none() {
            self.decided = Some(Dialogs::All);
        }
        self.release_held(end, sink);
        let end = sample_at(self.jumped_after(end));
        self.begin_timeline(end - 1);
        self.close_until(end, u64::MAX, sink);
        if let Some(timeline) = &self.timeline {
            let rest = end - timeline.next;
            if rest > 0 && (self.is_heard_before(end) || timeline.silent_step() == Step::Record) {
                let mut frame = AudioFrame::silent(self.config.channels);
                self.record_frame(&mut frame, rest as usize, sink);
            }
        }
        for stream in &mut self.streams {
            stream.discard_queued();
        }
        self.progress()
    }

    /// Where the next frame begins, counted from the start of the recording.
    pub fn position(&self) -> u64 {
        self.timeline.as_ref().map_or(0, |timeline| timeline.position)
    }

    /// When the next frame begins; what was said before is in the frames that were given. Zero
    /// before the first.
    pub fn given_until(&self) -> Nanos {
        self.timeline.as_ref().map_or(Nanos::ZERO, |timeline| nanos_at(timeline.next))
    }

    /// When the recording begins, if it is known.
    pub fn started_at(&self) -> Option<Nanos> {
        self.timeline.as_ref().map(|timeline| nanos_at(timeline.origin))
    }

    /// The streams that were opened.
    pub fn streams(&self) -> impl Iterator<Item = u32> {
        self.streams.iter().map(|stream| stream.spec.stream)
    }

    /// What it has come to so far.
    pub fn progress(&self) -> AudioSummary {
        let (mut outages, mut ring_losses) = (Vec::new(), Vec::new());
        if let Some(timeline) = &self.timeline {
            let position = |at| position_on(timeline, at);
            outages
                .extend(self.outages.iter().map(|&(from, to, cause)| (position(from), position(to), cause)));
            outages.sort_unstable_by_key(|&(from, to, _)| (from, to));
            ring_losses.extend(self.ring_losses.iter().map(|&(from, to)| (position(from), position(to))));
        }
        let holes: Vec<(u64, u64)> = outages.iter().map(|&(from, to, _)| (from, to)).collect();
        let explained = Explained { outages: &holes, ring_losses: &ring_losses };
        let of_stream = |stream: &AudioStream| StreamSummary {
            lost_in_ring: self.gaps.lost_in_ring(stream.spec.stream, explained),
            ..stream.summary()
        };
        let (unlisted, unlisted_ms) = self.gaps.unlisted();
        let mut summary = AudioSummary {
            started_at: self.timeline.as_ref().map(|timeline| nanos_at(timeline.origin)),
            samples: self.timeline.as_ref().map_or(0, |timeline| timeline.position),
            skipped_samples: self.timeline.as_ref().map_or(0, |timeline| timeline.skipped),
            streams: self.streams.iter().map(of_stream).collect(),
            gaps: self.list_gaps(&outages, explained),
            unlisted_gaps: (unlisted, unlisted_ms),
            digits: self.digits.list(),
            ..AudioSummary::default()
        };
        summary.duration = Nanos(summary.samples * SAMPLE_NANOS as u64);
        summary.heard =
            summary.streams.iter().filter(|stream| stream.heard_samples > 0).map(|s| s.stream).collect();
        summary.channel_legs = self.channel_legs();
        summary.marks = self.marks(&summary);
        summary
    }

    /// A stream that has been heard got another place: the sides are exchanged rather than that a
    /// party changes its channel within the recording.
    fn keep_channel(&mut self, spec: &StreamSpec, heard_on: Option<usize>) {
        if heard_on.is_some_and(|channel| channel != channel_of(spec, self.config.channels, self.mirrored)) {
            self.mirrored = !self.mirrored;
        }
    }

    fn stream_mut(&mut self, stream: u32) -> Option<&mut AudioStream> {
        self.streams.iter_mut().find(|known| known.spec.stream == stream)
    }

    fn handle_now(&mut self, number: u32, stamp: Nanos, datagram: &[u8]) -> Fate {
        let Some(index) = self.streams.iter().position(|known| known.spec.stream == number) else {
            return Fate::Discarded;
        };
        let predecessor = self.predecessor(index);
        let stream = &mut self.streams[index];
        let (arrival, jumped) = stream.steady_arrival(stamp, self.watermark);
        self.clock_jumped |= jumped;
        let answered = match (&self.decided, stream.spec.dialog) {
            (Some(Dialogs::Answered(dialogs)), Some(dialog)) => dialogs.contains(&dialog),
            _ => true,
        };
        if !answered || stream.spec.use_ != StreamUse::Mixed {
            return stream.discard();
        }
        if let Some(predecessor) = predecessor {
            stream.follow(&predecessor);
        }
        stream.handle(arrival, datagram, self.config.late_after, &mut self.digits)
    }

    /// What the stream that this one continues leaves to it, as long as it has no clock of its own.
    fn predecessor(&self, index: usize) -> Option<(ClockFit, Option<(RtpTime, i64)>)> {
        let stream = &self.streams[index];
        let continues = stream.spec.continues.filter(|_| !stream.clock().is_anchored())?;
        let predecessor = self.streams.iter().find(|known| known.spec.stream == continues)?;
        Some(predecessor.followed_by(stream.spec.ssrc))
    }

    /// Lets held packets go on, once it is known whose they are, in order of arrival; frames close
    /// between them, so that the queues stay short.
    fn release_held(&mut self, watermark: Nanos, sink: &mut impl FrameSink) {
        let mut held = std::mem::take(&mut self.held);
        held.drain(|stream, arrival, told, datagram| {
            self.close_frames(arrival.min(watermark), u64::MAX, sink);
            self.watermark = self.watermark.max(told);
            self.handle_now(stream, arrival, datagram);
        });
    }

    fn close_frames(&mut self, watermark: Nanos, position: u64, sink: &mut impl FrameSink) {
        self.watermark = self.watermark.max(watermark);
        if let Some(horizon) = watermark.0.checked_sub(self.config.late_after.0) {
            self.close_until(sample_at(Nanos(horizon)), position, sink);
        }
    }

    /// Closes all frames that end at `horizon` or before and begin before `position` of the recording.
    fn close_until(&mut self, horizon: i64, position: u64, sink: &mut impl FrameSink) {
        self.begin_timeline(horizon - FRAME);
        let mut frame = AudioFrame::silent(self.config.channels);
        let goes_on = |timeline: &Timeline| timeline.next + FRAME <= horizon && timeline.position < position;
        while let Some(timeline) = self.timeline.as_mut().filter(|timeline| goes_on(timeline)) {
            let end = timeline.next + FRAME;
            let heard = self.streams.iter().any(|stream| !stream.is_silent_before(end));
            if heard || timeline.silent_step() == Step::Record {
                self.record_frame(&mut frame, FRAME_SAMPLES, sink);
            } else {
                let first = self.streams.iter().filter_map(AudioStream::first_at).min();
                // The last whole frame before the horizon, or the one where somebody speaks again.
                timeline.skip_to(first.unwrap_or(i64::MAX).min(horizon));
                self.clock_jumped = true;
            }
        }
    }

    /// The recording begins with the first sample of all streams, if it lies at `latest` or before:
    /// none can come any more that is earlier.
    fn begin_timeline(&mut self, latest: i64) {
        if self.timeline.is_none() {
            let origin = self.streams.iter().filter_map(AudioStream::first_at).min();
            self.timeline = origin
                .filter(|&origin| origin <= latest)
                .map(|origin| Timeline::new(origin, self.config.max_silence));
        }
    }

    fn is_heard_before(&self, end: i64) -> bool {
        self.streams.iter().any(|stream| !stream.is_silent_before(end))
    }

    /// Records the next `samples` (a frame, or less at the end), in `frame`.
    fn record_frame(&mut self, frame: &mut AudioFrame, samples: usize, sink: &mut impl FrameSink) {
        let Some(timeline) = &mut self.timeline else { return };
        let place = FramePlace {
            at: timeline.next,
            position: timeline.position,
            samples: samples as i64,
            deadline: nanos_at(timeline.next + FRAME) + self.config.late_after,
        };
        frame.begin(place.position, samples);
        let end = place.at + samples as i64;
        let mut heard = false;
        let (layout, mirrored) = (self.config.channels, self.mirrored);
        for stream in self.streams.iter_mut().filter(|stream| !stream.is_silent_before(end)) {
            let channel = channel_of(&stream.spec, layout, mirrored);
            let gaps = &mut self.gaps;
            frame.mix(channel, |plane| {
                let played = stream.render(place, gaps, plane);
                heard |= played;
                if played {
                    stream.heard_on = Some(channel);
                }
                played
            });
        }
        timeline.advance(samples, heard);
        sink.frame(frame);
    }

    fn list_gaps(&self, outages: &[(u64, u64, GapCause)], explained: Explained<'_>) -> Vec<AudioGap> {
        let mut gaps = self.gaps.list(explained);
        gaps.extend(outages.iter().filter(|(from, to, _)| from < to).map(|&(from, to, cause)| AudioGap {
            stream: None,
            leg: None,
            at_ms: from / 8,
            duration_ms: (to - from).div_ceil(8),
            cause,
        }));
        gaps.sort_by_key(|gap| (gap.at_ms, gap.stream));
        gaps
    }

    fn channel_legs(&self) -> Vec<Vec<u16>> {
        let mut legs = vec![Vec::new(); self.config.channels.count()];
        for stream in self.streams.iter().filter(|stream| stream.heard_samples > 0) {
            legs[channel_of(&stream.spec, self.config.channels, self.mirrored)].extend(stream.spec.leg);
        }
        for channel in &mut legs {
            channel.sort_unstable();
            channel.dedup();
        }
        legs
    }

    fn marks(&self, summary: &AudioSummary) -> Vec<Mark> {
        let mut sides: Vec<usize> = self
            .streams
            .iter()
            .filter(|stream| summary.heard.contains(&stream.spec.stream))
            .map(|stream| channel_of(&stream.spec, ChannelLayout::Stereo, false))
            .collect();
        sides.sort_unstable();
        sides.dedup();
        let mut marks = Vec::new();
        marks.extend((sides.len() == 1).then_some(Mark::OneSided));
        marks.extend((summary.counts().undecodable > 0).then_some(Mark::Undecodable));
        marks.extend(self.clock_jumped.then_some(Mark::ClockJump));
        marks
    }
}

/// The caller is heard left, all others right, unless the sides are mirrored; an unnamed source
/// where its listener's partner is.
fn channel_of(spec: &StreamSpec, layout: ChannelLayout, mirrored: bool) -> usize {
    if layout == ChannelLayout::Mono {
        return 0;
    }
    let right = match (spec.leg, spec.receiver) {
        (Some(0), _) => false,
        (Some(_), _) | (None, Some(0)) => true,
        (None, _) => false,
    };
    usize::from(right != mirrored)
}

/// Where a sample of the grid lies in the recording so far; a rough place where time was skipped.
fn position_on(timeline: &Timeline, at: i64) -> u64 {
    let behind = timeline.next - at;
    timeline.position.saturating_add_signed(-behind).min(timeline.position)
}
