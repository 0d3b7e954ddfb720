//! A stream's figures: sequence numbers (RFC 3550, A.1 and A.3) and jitter (6.4.1, A.8).

use nightjar_wire::{Nanos, RtpTime, SeqNumber};
use serde::{Deserialize, Serialize};

/// A forward jump from here on is taken for a restart of the numbering, not for loss.
const MAX_DROPOUT: i32 = 3_000;
/// How far behind the newest packet a late one is still told from a duplicate.
const WINDOW: i32 = 128;
/// A packet this long after the newest one is no late one, whatever its number.
const REORDERED_WITHIN: Nanos = Nanos::from_secs(10);
/// How many of the last packets are remembered to tell a mirror's copy from a repetition.
const RECENT: usize = 8;
/// Two identical datagrams without an IP identification, this close, are a mirror's copies.
const COPY_SPAN: Nanos = Nanos::from_millis(2);

/// What a packet is among its stream's others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// It is the newest.
    Newest,
    /// It came after a later one.
    Reordered,
    /// Its number had come before.
    Duplicate,
    /// It is the same datagram again, seen twice by the mirror; it changes no figure.
    MirrorCopy,
    /// The numbering restarted with it, or it stands far off.
    Restart,
}

/// What identifies a datagram beside its RTP header, in 16 bytes: of the stamp the lower 48 bits (three
/// days), and 0 for an IP identification that there is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sighting {
    timestamp: u32,
    at_low: u32,
    at_high: u16,
    sequence: u16,
    ip_id: u16,
    len: u16,
}

/// The figures of one stream, kept per packet in constant time. What every packet needs comes first, in one
/// line of the cache.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[repr(C)]
pub struct Figures {
    /// Bit `n` set: `highest - n` has come.
    seen: u128,
    /// Packets, RTP duplicates counted, mirror copies not.
    pub packets: u64,
    /// Extended number of the newest packet; the numbering starts one cycle in, so that an
    /// earlier packet than the first has a place.
    highest: i64,
    /// The last packet's stamp.
    pub last_at: Nanos,
    /// The newest packet's stamp, for the transit difference.
    transit_at: Nanos,
    /// Jitter in ticks times 16 (RFC 3550, A.8).
    jitter_scaled: f64,
    /// The newest packet's RTP time.
    transit_time: RtpTime,
    /// The number after a far-off packet: when it comes next, the numbering has restarted.
    restart_at: Option<SeqNumber>,
    /// The last packets; the newest is the one before `packets`, counted round.
    recent: [Sighting; RECENT],
    /// The first packet's stamp.
    pub first_at: Nanos,
    /// Packets whose number had come before.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Lowest extended number since the last restart.
    base: i64,
    /// Numbers expected before the last restart.
    expected_before: u64,
    /// Numbers in the span that the sender gave to packets elsewhere while the stream was away.
    elsewhere: u64,
    /// The first number that was seen elsewhere since the newest one here.
    left_before: Option<SeqNumber>,
}

impl Figures {
    /// Figures of a stream whose first packet is still to be handled.
    pub fn new(at: Nanos) -> Figures {
        Figures {
            seen: 0,
            packets: 0,
            highest: 0,
            last_at: Nanos::ZERO,
            transit_at: at,
            jitter_scaled: 0.0,
            transit_time: RtpTime(0),
            restart_at: None,
            recent: [Sighting::default(); RECENT],
            first_at: at,
            duplicates: 0,
            reordered: 0,
            base: 0,
            expected_before: 0,
            elsewhere: 0,
            left_before: None,
        }
    }

    /// The newest packet's sequence number.
    pub fn newest(&self) -> SeqNumber {
        SeqNumber(self.highest as u16)
    }

    /// The first packet's sequence number, since the numbering began anew.
    pub fn first_sequence(&self) -> SeqNumber {
        SeqNumber(self.base as u16)
    }

    /// The newest packet's RTP time.
    pub fn newest_time(&self) -> RtpTime {
        self.transit_time
    }

    /// True when a number has come here and in another stream's figures, among the last of each.
    pub fn shares_numbers(&self, other: &Figures) -> bool {
        if self.packets == 0 || other.packets == 0 {
            return false;
        }
        let ahead = i32::from(self.newest().since(other.newest()));
        let moved = |seen: u128| seen.checked_shr(ahead.unsigned_abs()).unwrap_or(0);
        if ahead >= 0 { moved(self.seen) & other.seen != 0 } else { self.seen & moved(other.seen) != 0 }
    }

    /// How many numbers are missing before `sequence` if that comes next.
    #[inline]
    pub fn missing_before(&self, sequence: SeqNumber) -> u16 {
        let ahead = i32::from(sequence.since(self.newest()));
        if self.packets > 0 && (2..MAX_DROPOUT).contains(&ahead) { ahead as u16 - 1 } else { 0 }
    }

    /// Its sender has begun to number packets elsewhere, the first of them `first`.
    pub fn note_left(&mut self, first: SeqNumber) {
        if self.left_before.is_none_or(|left| left.since(self.newest()) <= 0) {
            self.left_before = Some(first);
        }
    }

    /// How many of the numbers missing before `sequence` were seen elsewhere or lost on the way back; what
    /// was lost on the way there counts here.
    pub fn gone_before(&self, sequence: SeqNumber) -> u16 {
        let Some(left) = self.left_before else { return 0 };
        let (first, missing) = (left.since(self.newest()), sequence.since(self.newest()));
        if 0 < first && first < missing { (missing - first) as u16 } else { 0 }
    }

    /// The stream comes back with the next packet; so many numbers went elsewhere meanwhile and are not
    /// lost.
    pub fn handle_return(&mut self, elsewhere: u16) {
        self.elsewhere += u64::from(elsewhere);
        self.left_before = None;
    }

    /// Sequence numbers that never came.
    pub fn lost(&self) -> u64 {
        if self.packets == 0 {
            return 0;
        }
        let expected = self.expected_before + (self.highest - self.base + 1) as u64;
        expected.saturating_sub(self.elsewhere + self.packets - self.duplicates)
    }

    /// Interarrival jitter in ms; `None` before the second packet.
    pub fn jitter_ms(&self, clock_rate: u32) -> Option<f64> {
        let ms = self.jitter_scaled / 16.0 * 1000.0 / f64::from(clock_rate.max(1));
        (self.packets > 1).then(|| (ms * 1000.0).round() / 1000.0)
    }

    /// Counts one packet. `ip_id` is IPv4's identification, `len` the datagram's length.
    #[inline]
    pub fn handle_packet(
        &mut self,
        at: Nanos,
        sequence: SeqNumber,
        timestamp: RtpTime,
        ip_id: Option<u16>,
        len: usize,
        clock_rate: u32,
    ) -> Sequence {
        let sighting = Sighting::new(at, sequence, timestamp, ip_id, len);
        let place = self.place(at, sequence);
        if place == Sequence::Duplicate && self.is_copy(&sighting) {
            return Sequence::MirrorCopy;
        }
        if self.packets > 0 && place == Sequence::Newest {
            self.add_jitter(at, timestamp, clock_rate);
        }
        self.commit(place, sequence);
        if matches!(place, Sequence::Newest | Sequence::Restart) {
            (self.transit_time, self.transit_at) = (timestamp, at);
        }
        // The first stamp is none of what most packets need.
        if at < self.last_at || self.packets == 0 {
            self.first_at = self.first_at.min(at);
        }
        self.last_at = self.last_at.max(at);
        self.recent[self.packets as usize % RECENT] = sighting;
        self.packets += 1;
        place
    }

    /// Where a number stands, without counting it.
    #[inline]
    fn place(&self, at: Nanos, sequence: SeqNumber) -> Sequence {
        if self.packets == 0 {
            return Sequence::Newest;
        }
        let is_anew = self.restart_at == Some(sequence) || at - self.transit_at >= REORDERED_WITHIN;
        match i32::from(sequence.since(self.newest())) {
            0 => Sequence::Duplicate,
            ahead if ahead > 0 && ahead < MAX_DROPOUT => Sequence::Newest,
            behind if behind < 0 && -behind < WINDOW && !is_anew => {
                if self.seen >> -behind & 1 == 1 {
                    Sequence::Duplicate
                } else {
                    Sequence::Reordered
                }
            }
            _ => Sequence::Restart,
        }
    }

    #[inline]
    fn commit(&mut self, place: Sequence, sequence: SeqNumber) {
        let step = i64::from(sequence.since(self.newest()));
        match place {
            _ if self.packets == 0 => self.begin(sequence),
            Sequence::Newest => {
                self.highest += step;
                self.seen = if step < i64::from(WINDOW) { self.seen << step | 1 } else { 1 };
                self.restart_at = None;
            }
            Sequence::Reordered => {
                self.reordered += 1;
                self.seen |= 1 << -step;
                self.base = self.base.min(self.highest + step);
            }
            Sequence::Duplicate => self.duplicates += 1,
            Sequence::Restart if self.restart_at == Some(sequence) => {
                // The packet before this one was the first of the new numbering.
                self.expected_before += (self.highest - self.base + 1) as u64;
                self.begin(SeqNumber(sequence.0.wrapping_sub(1)));
                self.highest += 1;
                self.seen = 0b11;
            }
            Sequence::Restart => {
                // A packet far off: it is counted, expected only if the numbering follows it.
                if self.restart_at.is_some() {
                    self.expected_before += 1;
                }
                self.restart_at = Some(SeqNumber(sequence.0.wrapping_add(1)));
            }
            Sequence::MirrorCopy => {}
        }
    }

    fn begin(&mut self, sequence: SeqNumber) {
        self.highest = i64::from(sequence.0) + 65_536;
        self.base = self.highest;
        self.left_before = None;
        self.seen = 1;
        self.restart_at = None;
    }

    /// A duplicate that is the very same datagram: equal IP identification, or where there is none
    /// (IPv6, and senders that leave it 0), equal in length and time stamp and close behind.
    fn is_copy(&self, new: &Sighting) -> bool {
        let known = self.packets.min(RECENT as u64) as usize;
        self.recent[..known].iter().any(|old| new.repeats(old))
    }

    #[inline]
    fn add_jitter(&mut self, at: Nanos, timestamp: RtpTime, clock_rate: u32) {
        let (last_time, last_at) = (self.transit_time, self.transit_at);
        let ticks = timestamp.since(last_time);
        if ticks == 0 {
            return; // one frame or event in several packets
        }
        let arrival = at.signed_since(last_at) as f64 * f64::from(clock_rate) / 1e9;
        let difference = (arrival - f64::from(ticks)).abs();
        self.jitter_scaled += difference - self.jitter_scaled / 16.0;
    }
}

impl Sighting {
    #[inline]
    fn new(at: Nanos, sequence: SeqNumber, timestamp: RtpTime, ip_id: Option<u16>, len: usize) -> Sighting {
        Sighting {
            timestamp: timestamp.0,
            at_low: at.0 as u32,
            at_high: (at.0 >> 32) as u16,
            sequence: sequence.0,
            ip_id: ip_id.unwrap_or(0),
            len: u16::try_from(len).unwrap_or(u16::MAX),
        }
    }

    /// Whether this datagram is an earlier one of the same flow, seen again.
    fn repeats(&self, old: &Sighting) -> bool {
        let same = (old.sequence, old.timestamp, old.len) == (self.sequence, self.timestamp, self.len);
        // Of three days the nearer way round: the later stamp may be the earlier sighting's.
        let apart = (self.stamp().wrapping_sub(old.stamp()) << 16) as i64 >> 16;
        let (then, now) = (Nanos(0), Nanos(apart.max(0) as u64));
        same && is_same_datagram((then, Some(old.ip_id)), (now, Some(self.ip_id)))
    }

    fn stamp(&self) -> u64 {
        u64::from(self.at_high) << 32 | u64::from(self.at_low)
    }
}

/// Whether two datagrams of equal content are one, seen twice, by stamp and IP identification.
pub(crate) fn is_same_datagram(old: (Nanos, Option<u16>), new: (Nanos, Option<u16>)) -> bool {
    match (old.1, new.1) {
        (Some(old_id), Some(new_id)) if old_id != 0 || new_id != 0 => old_id == new_id,
        _ => new.0 - old.0 <= COPY_SPAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Packets with consecutive IP identifications, 20 ms apart.
    fn count(sequence: impl IntoIterator<Item = u16>) -> Figures {
        let mut figures = Figures::new(Nanos(0));
        for (n, seq) in sequence.into_iter().enumerate() {
            let at = Nanos::from_millis(20 * n as u64);
            let time = RtpTime(160 * u32::from(seq));
            figures.handle_packet(at, SeqNumber(seq), time, Some(n as u16 + 1), 172, 8000);
        }
        figures
    }

    #[test]
    fn loss_and_reordering_over_the_wrap() {
        let figures = count([65_534, 65_535, 1, 0, 2, 5]);
        assert_eq!((figures.packets, figures.lost(), figures.reordered), (6, 2, 1));
    }

    #[test]
    fn a_repetition_is_a_duplicate_and_hides_no_loss() {
        let figures = count([10, 11, 11, 11, 14]);
        assert_eq!((figures.packets, figures.duplicates, figures.lost()), (5, 2, 2));
    }

    #[test]
    fn a_restart_is_not_loss() {
        let figures = count([100, 101, 102, 40_000, 40_001, 40_002]);
        assert_eq!((figures.packets, figures.lost(), figures.duplicates), (6, 0, 0));
    }

    #[test]
    fn what_went_elsewhere_is_not_lost() {
        let mut home = count([1, 2, 4]);
        assert_eq!(home.gone_before(SeqNumber(22)), 0);
        home.note_left(SeqNumber(6));
        home.note_left(SeqNumber(9));
        assert_eq!((home.missing_before(SeqNumber(22)), home.gone_before(SeqNumber(22))), (17, 16));
        assert_eq!(home.gone_before(SeqNumber(6)), 0);
        home.handle_return(16);
        home.handle_packet(Nanos::from_secs(2), SeqNumber(22), RtpTime(0), Some(99), 172, 8000);
        assert_eq!((home.packets, home.lost()), (4, 2), "3 and 5");
        home.note_left(SeqNumber(24));
        assert_eq!(home.gone_before(SeqNumber(30)), 6);
    }

    #[test]
    fn numbers_that_lie_behind_after_a_long_time_are_a_restart() {
        let mut figures = count(1_000..1_010);
        for seq in 950..960u16 {
            let at = Nanos::from_secs(1_000) + Nanos::from_millis(20 * u64::from(seq));
            figures.handle_packet(at, SeqNumber(seq), RtpTime(0), Some(seq), 172, 8000);
        }
        assert_eq!((figures.packets, figures.lost(), figures.reordered), (20, 0, 0));
    }

    #[test]
    fn a_mirror_copy_changes_nothing() {
        let mut figures = Figures::new(Nanos(0));
        let mut see =
            |at, seq, id| figures.handle_packet(Nanos(at), SeqNumber(seq), RtpTime(0), id, 172, 8000);
        assert_eq!(see(0, 1, Some(7)), Sequence::Newest);
        assert_eq!(see(10, 1, Some(7)), Sequence::MirrorCopy);
        assert_eq!(see(20, 1, Some(8)), Sequence::Duplicate);
        assert_eq!(see(30, 2, None), Sequence::Newest);
        assert_eq!(see(40, 2, None), Sequence::MirrorCopy);
        assert_eq!((figures.packets, figures.duplicates), (3, 1));
    }

    #[test]
    fn what_is_kept_of_a_stamp_tells_copies_at_any_time() {
        let now = 1_763_600_000_000_000_000_u64;
        for at in [now, now | 0xffff_ff00, now | 0xffff_ffff_ff00] {
            let mut figures = Figures::new(Nanos(at));
            let mut see = |at| figures.handle_packet(Nanos(at), SeqNumber(1), RtpTime(0), None, 172, 8000);
            assert_eq!(see(at), Sequence::Newest);
            assert_eq!(see(at + 2_000_000), Sequence::MirrorCopy);
            assert_eq!(see(at - 5_000_000), Sequence::MirrorCopy, "stamped before it, seen after it");
            assert_eq!(see(at + 2_000_001), Sequence::Duplicate);
        }
    }

    #[test]
    fn streams_share_numbers_only_where_both_saw_them() {
        let (early, late) = (count(65_530..=65_535), count([2, 3]));
        assert!(!early.shares_numbers(&late) && !late.shares_numbers(&early));
        let both = count([65_534, 0, 1]);
        assert!(early.shares_numbers(&both) && both.shares_numbers(&early));
        assert!(!count([9_000]).shares_numbers(&early) && !early.shares_numbers(&Figures::new(Nanos(0))));
    }

    #[test]
    fn even_pacing_has_no_jitter() {
        assert_eq!(count(0..50).jitter_ms(8000), Some(0.0));
    }

    proptest! {
        /// Any order of the numbers within the window gives the same counts.
        #[test]
        fn loss_does_not_depend_on_order(start: u16, drop in proptest::collection::vec(any::<bool>(), 2..60), swap in 0usize..50) {
            let mut numbers: Vec<u16> = (0..drop.len() as u16)
                .filter(|n| *n == 0 || usize::from(*n) + 1 == drop.len() || !drop[usize::from(*n)])
                .map(|n| start.wrapping_add(n))
                .collect();
            let lost = drop.len() - numbers.len();
            let len = numbers.len();
            numbers.swap(swap % len, (swap * 7 + 1) % len);
            let figures = count(numbers);
            prop_assert_eq!(figures.lost(), lost as u64);
            prop_assert_eq!(figures.duplicates, 0);
        }
    }
}
