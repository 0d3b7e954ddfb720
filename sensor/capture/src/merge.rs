//! Several feeds (an interface's ring, a NIC's queue) as one source, in order of their stamps.
//!
//! A frame goes when no other feed can bring an earlier one any more: each has a later one waiting,
//! or has been silent for so long that what it received by then would be visible. So a frame is held
//! back by what a feed may hide at most ([`Feed::settled`]); it waits where it is, in its feed. What
//! comes later than that all the same goes at once, and is counted. A feed whose room runs out is
//! not held back either: order is worth less than a frame.

use nightjar_wire::Nanos;

use crate::clock::CaptureClock;
use crate::source::RawFrame;

/// A stamp so far ahead of the clock is wrong and orders nothing.
const AHEAD: Nanos = Nanos::from_secs(1);
/// What a feed without a frame has next.
const NOTHING: Nanos = Nanos::MAX;

/// Frames of one place, in order of arrival.
pub(crate) trait Feed {
    /// The stamp of the frame that is next; `None` when none waits.
    fn head(&mut self, clock: &CaptureClock) -> Option<Nanos>;

    /// Everything that was stamped until then is visible at `now`.
    fn settled(&self, now: Nanos) -> Nanos;

    /// Its room runs out: what waits must go.
    fn is_pressed(&self) -> bool;

    /// Gives the next frame, and those behind it as far as they are stamped until `until`, `most` in
    /// all and several at a time where that can be; returns how many.
    fn give(
        &mut self,
        clock: &CaptureClock,
        until: Nanos,
        most: usize,
        sink: &mut impl FnMut(&[RawFrame<'_>]),
    ) -> usize;
}

/// What a round did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Round {
    /// Frames given.
    pub(crate) given: usize,
    /// Frames are held back for the sake of a feed that has none.
    pub(crate) holds: bool,
    /// When `given` is less than was asked for: everything stamped until then has been given.
    pub(crate) settled: Nanos,
}

impl Round {
    /// Nothing more comes of feeds that were told at `stopped_at` to let nothing in.
    pub(crate) fn is_last(&self, stopped_at: Option<Nanos>) -> bool {
        self.given == 0 && !self.holds && stopped_at.is_some_and(|at| self.settled >= at)
    }
}

/// The merge's state; the feeds stay with their owner.
#[derive(Debug)]
pub(crate) struct Merge {
    /// What each feed has next in this round, in their order.
    heads: Vec<Nanos>,
    /// What feeds that have nothing may still bring in this round is stamped later.
    silent: Nanos,
    /// The newest stamp given: an earlier one gains nothing by waiting.
    newest: Nanos,
    /// Frames given behind one that is stamped later.
    out_of_order: u64,
}

/// Whose frames go next, and how far.
struct Turn {
    feed: usize,
    until: Nanos,
}

impl Merge {
    /// For that many feeds at most; more cost an allocation.
    pub(crate) fn new(feeds: usize) -> Merge {
        let heads = Vec::with_capacity(feeds);
        Merge { heads, silent: Nanos::ZERO, newest: Nanos::ZERO, out_of_order: 0 }
    }

    /// Frames given behind one that is stamped later.
    pub(crate) fn out_of_order(&self) -> u64 {
        self.out_of_order
    }

    /// Gives what may go, `most` frames at most. `now` must have been read before.
    pub(crate) fn give<F: Feed>(
        &mut self,
        feeds: &mut [F],
        clock: &CaptureClock,
        now: Nanos,
        most: usize,
        sink: &mut impl FnMut(&[RawFrame<'_>]),
    ) -> Round {
        self.silent = Nanos::MAX;
        self.heads.clear();
        for feed in feeds.iter_mut() {
            let head = self.look(feed, clock, now);
            self.heads.push(head);
        }
        let settled = feeds.iter().map(|feed| feed.settled(now)).min().unwrap_or(now);
        let mut given = 0;
        while given < most {
            let Some(Turn { feed: number, until }) = self.turn(feeds) else { break };
            let (newest, out_of_order) = (&mut self.newest, &mut self.out_of_order);
            let feed = &mut feeds[number];
            given += feed.give(clock, until, most - given, &mut |frames| {
                for frame in frames {
                    if frame.at < *newest {
                        *out_of_order += 1;
                    } else if frame.at <= now + AHEAD {
                        *newest = frame.at;
                    }
                }
                sink(frames);
            });
            self.heads[number] = self.look(feed, clock, now);
        }
        Round { given, holds: self.heads.iter().any(|head| *head != NOTHING), settled }
    }

    /// What orders a feed's next frame.
    #[inline]
    fn look<F: Feed>(&mut self, feed: &mut F, clock: &CaptureClock, now: Nanos) -> Nanos {
        match feed.head(clock) {
            Some(at) if at > now + AHEAD => Nanos::ZERO,
            Some(at) => at,
            None => {
                self.silent = self.silent.min(feed.settled(now));
                NOTHING
            }
        }
    }

    /// Whose turn it is; `None` when nothing waits, or what waits is held back.
    #[inline]
    fn turn<F: Feed>(&self, feeds: &[F]) -> Option<Turn> {
        // The least and the second least; of equals the first. Feeds are few, and which of them comes
        // next is anybody's guess: no branch hangs on it.
        let (mut first, mut second) = ((NOTHING, 0), (NOTHING, 0));
        for next in self.heads.iter().copied().zip(0..) {
            let leads = next.0 < first.0;
            let other = if leads { first } else { next };
            first = if leads { next } else { first };
            second = if other.0 < second.0 { other } else { second };
        }
        let (at, feed) = first;
        if at == NOTHING {
            return None;
        }
        // Of the newest stamp itself a silent feed may still bring one that goes first.
        let mut until = self.silent.max(self.newest - Nanos(1));
        if at > until {
            if !feeds[feed].is_pressed() {
                return None;
            }
            until = Nanos::MAX;
        }
        // Of frames with one stamp those of the first feed go first.
        let (rival_at, rival) = second;
        let until = until.min(if feed < rival { rival_at } else { rival_at - Nanos(1) });
        Some(Turn { feed, until })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use nightjar_wire::LinkType;
    use proptest::prelude::*;

    use super::*;

    /// What the fakes may hide a frame for.
    const HIDES: Nanos = Nanos(40);

    /// A feed whose frames become visible at a time of their own, in order.
    struct Fake {
        number: u16,
        now: Nanos,
        /// (visible from, stamp)
        frames: VecDeque<(Nanos, Nanos)>,
        room: usize,
    }

    impl Fake {
        fn new(number: u16, mut frames: Vec<(u64, u64)>) -> Fake {
            // No frame is visible before the one ahead of it.
            for at in 1..frames.len() {
                frames[at].0 = frames[at].0.max(frames[at - 1].0);
            }
            let frames = frames.into_iter().map(|(visible, at)| (Nanos(visible), Nanos(at))).collect();
            Fake { number, now: Nanos::ZERO, frames, room: usize::MAX }
        }

        fn waiting(&self) -> usize {
            self.frames.iter().take_while(|(visible, _)| *visible <= self.now).count()
        }
    }

    impl Feed for Fake {
        fn head(&mut self, _: &CaptureClock) -> Option<Nanos> {
            self.frames.front().filter(|(visible, _)| *visible <= self.now).map(|(_, at)| *at)
        }

        fn settled(&self, now: Nanos) -> Nanos {
            now - HIDES
        }

        fn is_pressed(&self) -> bool {
            self.waiting() > self.room
        }

        fn give(
            &mut self,
            clock: &CaptureClock,
            until: Nanos,
            most: usize,
            sink: &mut impl FnMut(&[RawFrame<'_>]),
        ) -> usize {
            let mut given = 0;
            while let Some(at) = self.head(clock).filter(|at| given == 0 || *at <= until) {
                self.frames.pop_front();
                let frame = RawFrame {
                    at,
                    link: LinkType::Ethernet,
                    interface: self.number,
                    bytes: &[],
                    original_len: 0,
                };
                sink(&[frame]);
                given += 1;
                if given == most {
                    break;
                }
            }
            given
        }
    }

    /// What came when: (now, stamp, feed).
    type Given = Vec<(Nanos, Nanos, u16)>;

    /// Lets time pass until the feeds are empty, a round each 5.
    fn run(feeds: &mut [Fake], most: usize) -> (Given, u64) {
        let clock = CaptureClock::start();
        let (mut merge, mut given) = (Merge::new(feeds.len()), Vec::new());
        for now in (0..).step_by(5).map(Nanos) {
            feeds.iter_mut().for_each(|feed| feed.now = now);
            loop {
                let mut stamps = Vec::new();
                let round = merge.give(feeds, &clock, now, most, &mut |frames| {
                    stamps.extend(frames.iter().map(|frame| (now, frame.at, frame.interface)));
                });
                assert_eq!(round.given, stamps.len());
                given.extend(stamps);
                if round.given < most {
                    assert_eq!(round.holds, feeds.iter().any(|feed| feed.waiting() > 0));
                    break;
                }
            }
            if feeds.iter().all(|feed| feed.frames.is_empty()) {
                break;
            }
            assert!(now < Nanos(100_000), "frames are kept for ever");
        }
        (given, merge.out_of_order())
    }

    /// Frames of some feeds, each stamped and then visible within `hidden`.
    fn feeds(hidden: u64) -> impl Strategy<Value = Vec<Vec<(u64, u64)>>> {
        let frames = prop::collection::vec((100u64..1_100, 0..=hidden), 0..60);
        let sorted = frames.prop_map(|mut frames| {
            frames.sort_unstable();
            frames.into_iter().map(|(at, hidden)| (at + hidden, at)).collect()
        });
        prop::collection::vec(sorted, 1..6)
    }

    fn fakes(feeds: &[Vec<(u64, u64)>]) -> Vec<Fake> {
        (0..).zip(feeds).map(|(number, frames)| Fake::new(number, frames.clone())).collect()
    }

    proptest! {
        #[test]
        fn frames_that_are_visible_in_time_come_in_order_and_soon(frames in feeds(HIDES.0), most in 1usize..50) {
            let (given, out_of_order) = run(&mut fakes(&frames), most);
            let mut expected: Vec<(Nanos, u16)> = (0..).zip(&frames)
                .flat_map(|(number, frames)| frames.iter().map(move |(_, at)| (Nanos(*at), number)))
                .collect();
            expected.sort_unstable();
            prop_assert_eq!(given.iter().map(|(_, at, feed)| (*at, *feed)).collect::<Vec<_>>(), expected);
            prop_assert_eq!(out_of_order, 0);
            // A frame waits for what others may hide, and for the next round.
            prop_assert!(given.iter().all(|(now, at, _)| *now <= *at + HIDES + Nanos(5)));
        }

        #[test]
        fn frames_that_come_too_late_are_given_and_counted(frames in feeds(10 * HIDES.0), most in 1usize..50) {
            let (given, out_of_order) = run(&mut fakes(&frames), most);
            prop_assert_eq!(given.len(), frames.iter().map(Vec::len).sum::<usize>());
            for (number, frames) in (0..).zip(&frames) {
                let of_feed = given.iter().filter(|(_, _, feed)| *feed == number).map(|(_, at, _)| at.0);
                prop_assert!(of_feed.eq(frames.iter().map(|(_, at)| *at)));
            }
            let mut newest = Nanos::ZERO;
            let late = given.iter().filter(|(_, at, _)| {
                newest = newest.max(*at);
                *at < newest
            });
            prop_assert_eq!(late.count() as u64, out_of_order);
        }
    }

    #[test]
    fn a_later_frame_of_each_other_feed_lets_a_frame_go_at_once() {
        let frames = |all: &[u64]| all.iter().map(|at| (100, *at)).collect();
        let (given, _) = run(&mut [Fake::new(0, frames(&[90, 96])), Fake::new(1, frames(&[91, 95]))], 100);
        let at_once = given.iter().filter(|(now, ..)| *now == Nanos(100));
        assert_eq!(at_once.map(|(_, at, _)| at.0).collect::<Vec<_>>(), [90, 91, 95]);
        assert_eq!(given[3], (Nanos(140), Nanos(96), 0));
    }

    #[test]
    fn a_feed_that_runs_full_is_held_back_no_longer() {
        let full = Fake { room: 3, ..Fake::new(0, (50..60).map(|at| (60, at)).collect()) };
        let (given, out_of_order) = run(&mut [full, Fake::new(1, vec![(70, 55)])], 4);
        // Four go, and four more; then there is room for those that wait.
        let times: Vec<u64> = given.iter().map(|(now, ..)| now.0).collect();
        assert_eq!((times, out_of_order), (vec![60, 60, 60, 60, 60, 60, 60, 60, 70, 100, 100], 1));
    }

    #[test]
    fn a_stamp_out_of_the_future_holds_nothing_up() {
        let ahead = AHEAD.0 * 3_600;
        let odd = Fake::new(0, vec![(10, ahead), (10, 8)]);
        let (given, out_of_order) = run(&mut [odd, Fake::new(1, vec![(10, 7), (10, 9)])], 100);
        let order: Vec<u64> = given.iter().map(|(_, at, _)| at.0).collect();
        assert_eq!((order, out_of_order), (vec![ahead, 7, 8, 9], 0));
    }
}
