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
            last_source: None,
            last_event: None,
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
            self.expected.lost = self.highest - self.lowest + 1 - self.distinct;
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

    #[test]
    fn what_is_missing_late_and_repeated_is_told_apart() {
        let mut count = StreamCount::new(StreamExpected {
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
            duplicates: 0,
            reordered: 0,
            rtcp: 0,
            first_at: None,
            last_at: None,
        });
        for (position, repeated) in [(10, false), (12, false), (11, false), (12, true), (15, false)] {
            count.packet(Nanos(1), position, repeated);
        }
        let stream = count.finish().unwrap();
        assert_eq!((stream.packets, stream.lost, stream.duplicates, stream.reordered), (5, 2, 1, 1));
    }
}
