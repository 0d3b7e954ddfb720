//! Counts one stream while it is sent: what is lost, repeated and reordered on the wire.

use nightjar_wire::Nanos;

use crate::expected::{StreamExpected, timestamp};
use crate::g711::Codec;

/// The account of one stream.
#[derive(Clone, Debug)]
pub(crate) struct StreamCount {
    expected: StreamExpected,
    /// Positions in the sender's sequence, not wrapped: the least, the highest, how many.
    lowest: u64,
    highest: u64,
    distinct: u64,
    /// The last position that one of its packets was given, sent or lost.
    last_numbered: Option<u64>,
    /// Runs of positions that were given elsewhere while it was away: the first, and how many.
    elsewhere: Vec<(u64, u64)>,
    last_source: Option<usize>,
    last_event: Option<u32>,
}

impl StreamCount {
    /// A stream of which nothing has been sent.
    pub fn new(expected: StreamExpected) -> StreamCount {
        StreamCount {
            expected,
            lowest: u64::MAX,
            highest: 0,
            distinct: 0,
            last_numbered: None,
            elsewhere: Vec::new(),
            last_source: None,
            last_event: None,
        }
    }

    /// Whether it is this stream.
    pub fn is(&self, ssrc: &str, src: &str, dst: &str) -> bool {
        let known = &self.expected;
        (known.ssrc.as_str(), known.src.as_str(), known.dst.as_str()) == (ssrc, src, dst)
    }

    /// One of its packets is given a position, whatever the network does with it.
    pub fn numbered(&mut self, position: u64) {
        if let Some(last) = self.last_numbered.replace(position)
            && position > last + 1
        {
            self.elsewhere.push((last + 1, position - last - 1));
        }
    }

    /// Counts an RTP packet at `at`; `repeated` when its position was sent before.
    pub fn packet(&mut self, at: Nanos, position: u64, repeated: bool) {
        let stamp = timestamp(at);
        self.expected.first_at.get_or_insert(stamp);
        self.expected.last_at = Some(stamp);
        self.expected.packets += 1;
        if repeated {
            self.expected.duplicates += 1;
            return;
        }
        if self.distinct > 0 && position < self.highest {
            self.expected.reordered += 1;
        }
        self.distinct += 1;
        self.lowest = self.lowest.min(position);
        self.highest = self.highest.max(position);
    }

    /// Notes the format and sound of a packet; `source` names the combination.
    pub fn sound(&mut self, source: usize, codec: Codec, ptime_ms: u16, tone_hz: Option<u32>) {
        if self.last_source.replace(source) == Some(source) {
            return;
        }
        push_changed(&mut self.expected.codecs, codec);
        push_changed(&mut self.expected.ptimes_ms, ptime_ms);
        if let Some(hz) = tone_hz {
            push_changed(&mut self.expected.tones_hz, hz);
        }
    }

    /// Notes a telephone-event's packet; one event keeps its timestamp.
    pub fn digit(&mut self, digit: char, rtp_timestamp: u32) {
        if self.last_event.replace(rtp_timestamp) != Some(rtp_timestamp) {
            self.expected.digits.push(digit);
        }
    }

    /// Counts an RTCP datagram.
    pub fn rtcp(&mut self) {
        self.expected.rtcp += 1;
    }

    /// The account, `None` when nothing was sent.
    pub fn finish(mut self) -> Option<StreamExpected> {
        if self.distinct > 0 {
            let within = self.elsewhere.iter().filter(|(at, _)| (self.lowest..self.highest).contains(at));
            self.expected.elsewhere = within.map(|(_, count)| count).sum();
            self.expected.lost = self.highest - self.lowest + 1 - self.expected.elsewhere - self.distinct;
        }
        (self.expected.packets > 0).then_some(self.expected)
    }
}

fn push_changed<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if list.last() != Some(&item) {
        list.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expected::{Speaker, StreamKind};

    fn blank() -> StreamExpected {
        StreamExpected {
            speaker: Speaker::Caller,
            kind: StreamKind::Audio,
            ssrc: String::new(),
            src: String::new(),
            dst: String::new(),
            codecs: vec![],
            ptimes_ms: vec![],
            tones_hz: vec![],
            digits: String::new(),
            packets: 0,
            lost: 0,
            elsewhere: 0,
            duplicates: 0,
            reordered: 0,
            rtcp: 0,
            first_at: None,
            last_at: None,
        }
    }

    #[test]
    fn what_is_missing_late_and_repeated_is_told_apart() {
        let mut count = StreamCount::new(blank());
        for (position, repeated) in [(10, false), (12, false), (11, false), (12, true), (15, false)] {
            count.packet(Nanos(1), position, repeated);
        }
        let stream = count.finish().unwrap();
        assert_eq!((stream.packets, stream.lost, stream.duplicates, stream.reordered), (5, 2, 1, 1));
    }

    #[test]
    fn what_went_elsewhere_is_not_lost() {
        let mut count = StreamCount::new(blank());
        for position in [0, 1, 10, 11, 12, 20] {
            count.numbered(position);
            if position != 11 && position != 20 {
                count.packet(Nanos(1), position, false);
            }
        }
        let stream = count.finish().unwrap();
        assert_eq!((stream.packets, stream.lost, stream.elsewhere), (4, 1, 8));
    }
}
