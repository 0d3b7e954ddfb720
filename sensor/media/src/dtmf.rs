//! Digits from telephone-events (RFC 4733): one per key press, however many packets tell of it.

use nightjar_wire::{Nanos, RtpTime};
use serde::{Deserialize, Serialize};

/// Most digits that are kept per call.
const MAX_DIGITS: usize = 4096;

/// Earlier events whose repeated end packets are still recognised.
const REMEMBERED: usize = 4;

/// The keys by event code (RFC 4733, table 7).
const KEYS: &[u8; 16] = b"0123456789*#ABCD";

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digit {
    /// When, on the capture clock.
    pub at: Nanos,
    /// On which stream.
    pub stream: u32,
    /// `0`..=`9`, `*`, `#`, `A`..=`D`.
    pub digit: char,
    /// For how long, as far as packets told, ms.
    pub duration_ms: u32,
}

/// The digits of a call, in order of discovery.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct DigitLog {
    digits: Vec<Digit>,
}

impl DigitLog {
    /// The digits in order of time.
    pub(crate) fn list(&self) -> Vec<Digit> {
        let mut digits = self.digits.clone();
        digits.sort_by_key(|digit| (digit.at, digit.stream));
        digits
    }

    /// The new digit's place in the log.
    fn push(&mut self, digit: Digit) -> Option<usize> {
        (self.digits.len() < MAX_DIGITS).then(|| {
            self.digits.push(digit);
            self.digits.len() - 1
        })
    }
}

/// One event, from its start on.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct KeyPress {
    /// RTP time of its start, or of the latest segment's (RFC 4733, 2.5.1.3).
    timestamp: RtpTime,
    code: u8,
    /// Ticks in the segments before, and in the latest one.
    before: u32,
    ticks: u16,
    ended: bool,
    /// Its digit in the log, if it found room.
    entry: Option<usize>,
}

/// The events of one stream.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct EventTracker {
    /// The latest first.
    presses: [Option<KeyPress>; REMEMBERED],
}

impl EventTracker {
    /// Takes one event packet. A lost start or end changes nothing but the length.
    pub(crate) fn observe(&mut self, packet: &EventPacket<'_>, log: &mut DigitLog) {
        let &[code, flags, high, low, ..] = packet.payload else { return };
        let Some(&key) = KEYS.get(usize::from(code)) else { return };
        let ticks = u16::from_be_bytes([high, low]);
        let ended = flags & 0x80 != 0;
        let known = self
            .presses
            .iter_mut()
            .flatten()
            .find(|press| press.code == code && press.timestamp == packet.timestamp);
        let press = if let Some(press) = known {
            press
        } else if let Some(press) = self.presses[0].as_mut().filter(|press| press.goes_on_in(code, packet)) {
            press.before += packet.timestamp.since(press.timestamp).max(0) as u32;
            press.timestamp = packet.timestamp;
            press.ticks = 0;
            press
        } else {
            let length = Nanos(u64::from(ticks) * 1_000_000_000 / u64::from(packet.clock_rate));
            let digit = Digit {
                at: packet.arrival - length,
                stream: packet.stream,
                digit: char::from(key),
                duration_ms: 0,
            };
            let entry = log.push(digit);
            self.presses.rotate_right(1);
            self.presses[0].insert(KeyPress {
                timestamp: packet.timestamp,
                code,
                before: 0,
                ticks,
                ended,
                entry,
            })
        };
        press.ticks = press.ticks.max(ticks);
        press.ended |= ended;
        if let Some(entry) = press.entry {
            let length = u64::from(press.before) + u64::from(press.ticks);
            let digit = &mut log.digits[entry];
            digit.duration_ms = digit.duration_ms.max((length * 1000 / u64::from(packet.clock_rate)) as u32);
        }
    }
}

/// An event packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventPacket<'a> {
    pub(crate) arrival: Nanos,
    pub(crate) stream: u32,
    pub(crate) timestamp: RtpTime,
    pub(crate) marker: bool,
    pub(crate) clock_rate: u32,
    pub(crate) payload: &'a [u8],
}

impl KeyPress {
    /// Whether a packet of another timestamp tells of the same press: a long event's next segment,
    /// or a sender that moves the timestamp with each packet.
    fn goes_on_in(&self, code: u8, packet: &EventPacket<'_>) -> bool {
        let step = packet.timestamp.since(self.timestamp);
        // Two packet times of 20 ms of room, in ticks.
        let room = i64::from(packet.clock_rate) / 25;
        self.code == code
            && !self.ended
            && !packet.marker
            && step > 0
            && i64::from(step) <= i64::from(self.ticks) + room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets as (ms of arrival, timestamp, marker, code, end, duration).
    fn digits(packets: &[(u64, u32, bool, u8, bool, u16)]) -> Vec<(u64, char, u32)> {
        let (mut tracker, mut log) = (EventTracker::default(), DigitLog::default());
        for &(ms, timestamp, marker, code, end, duration) in packets {
            let [high, low] = duration.to_be_bytes();
            let payload = [code, if end { 0x8a } else { 10 }, high, low];
            let packet = EventPacket {
                arrival: Nanos::from_millis(ms),
                stream: 0,
                timestamp: RtpTime(timestamp),
                marker,
                clock_rate: 8000,
                payload: &payload,
            };
            tracker.observe(&packet, &mut log);
        }
        log.list().iter().map(|digit| (digit.at.as_millis(), digit.digit, digit.duration_ms)).collect()
    }

    #[test]
    fn one_press_is_one_digit_whatever_is_repeated_or_lost() {
        let whole = [
            (1000, 8000, true, 5, false, 160),
            (1020, 8000, false, 5, false, 320),
            (1040, 8000, false, 5, true, 480),
            (1041, 8000, false, 5, true, 480),
            (1042, 8000, false, 5, true, 480),
        ];
        assert_eq!(digits(&whole), [(980, '5', 60)]);
        assert_eq!(digits(&whole[2..]), [(980, '5', 60)]);
        assert_eq!(digits(&whole[..1]), [(980, '5', 20)]);
    }

    #[test]
    fn the_same_key_twice_is_two_digits() {
        let presses = [
            (1000, 8000, true, 11, true, 800),
            (1300, 10_400, true, 11, false, 160),
            (1310, 8000, false, 11, true, 800), // the first one's end again, late
            (1400, 10_400, false, 11, true, 960),
        ];
        assert_eq!(digits(&presses), [(900, '#', 100), (1280, '#', 120)]);
    }

    #[test]
    fn a_long_press_in_segments_is_one_digit() {
        let presses = [
            (1000, 8000, true, 10, false, 160),
            (9200, 8000, false, 10, false, 0xffff),
            (9220, 8000 + 0xffff, false, 10, false, 160),
            (9240, 8000 + 0xffff, false, 10, true, 320),
        ];
        assert_eq!(digits(&presses), [(980, '*', 8231)]);
    }

    #[test]
    fn a_sender_that_moves_the_timestamp_presses_once() {
        let presses = [
            (1000, 8000, true, 1, false, 160),
            (1020, 8160, false, 1, false, 320),
            (1040, 8320, false, 1, true, 480),
        ];
        assert_eq!(digits(&presses).len(), 1);
    }

    #[test]
    fn flash_and_what_is_no_key_give_no_digit() {
        assert!(digits(&[(1000, 8000, true, 16, true, 800), (1100, 9000, true, 66, true, 800)]).is_empty());
        let (mut tracker, mut log) = (EventTracker::default(), DigitLog::default());
        let packet = EventPacket {
            arrival: Nanos::ZERO,
            stream: 0,
            timestamp: RtpTime(0),
            marker: true,
            clock_rate: 8000,
            payload: &[1, 2],
        };
        tracker.observe(&packet, &mut log);
        assert!(log.list().is_empty());
    }
}
