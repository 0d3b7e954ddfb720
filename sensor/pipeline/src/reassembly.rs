//! IP fragments to whole datagrams (RFC 791, 3.2; RFC 8200, 4.5), bounded in number, size and time.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use nightjar_wire::{Fragment, Nanos, Network, Realm};

/// Datagrams in reassembly at most.
const MAX_DATAGRAMS: usize = 1_024;
/// Fragments of one datagram at most.
const MAX_FRAGMENTS: usize = 64;
/// How long the first fragment waits for the others.
const TIMEOUT: Nanos = Nanos::from_secs(5);
/// Datagrams made whole whose fragments are still known again.
const MAX_DONE: usize = 256;
/// A mirror's copy comes within this time of its original; identifications are used again later.
const COPY_SPAN: Nanos = Nanos::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    realm: Realm,
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    protocol: u8,
}

#[derive(Debug)]
struct Partial {
    since: Nanos,
    frames: u64,
    /// Offset and bytes, without overlaps.
    parts: Vec<(u16, Vec<u8>)>,
    /// Known once the last fragment has come.
    total: Option<usize>,
    /// A part came twice: a mirror's copy is under way, whose other parts may come later.
    copied: bool,
}

/// What a fragment did.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It waits for others.
    Held,
    /// It repeats one that is held: a mirror's copy.
    Copy,
    /// It completed its datagram, made of this many frames.
    Whole {
        /// The datagram's payload.
        payload: Vec<u8>,
        /// Frames that it came in, this one included.
        frames: u64,
    },
    /// It contradicts others or found no room; so many frames are given up, this one included.
    Rejected(u64),
}

/// A datagram that has been made whole while its copy was coming: the rest of the copy, of which
/// no datagram can be made, is still to come.
#[derive(Debug)]
struct Done {
    key: Key,
    at: Nanos,
    /// Offset and bytes of what it came in.
    parts: Vec<(u16, Vec<u8>)>,
}

/// Datagrams that are not whole yet, and the last that were made whole amid their copies.
#[derive(Debug, Default)]
pub struct Reassembly {
    partial: HashMap<Key, Partial>,
    /// Newest first.
    done: VecDeque<Done>,
}

impl Reassembly {
    /// Takes one fragment, which itself came in so many frames: more than one when they were a
    /// tunnel's fragments.
    pub fn handle_fragment(
        &mut self,
        at: Nanos,
        realm: Realm,
        network: &Network,
        fragment: &Fragment<'_>,
        frames: u64,
    ) -> Outcome {
        let Network { src, dst, .. } = *network;
        let key = Key { realm, src, dst, id: fragment.id, protocol: fragment.protocol };
        if !self.partial.contains_key(&key) {
            if self.is_copy(at, &key, fragment) {
                return Outcome::Copy;
            }
            if self.partial.len() >= MAX_DATAGRAMS {
                return Outcome::Rejected(frames);
            }
        }
        let partial = self.partial.entry(key).or_insert_with(|| Partial {
            since: at,
            frames: 0,
            parts: Vec::new(),
            total: None,
            copied: false,
        });
        partial.frames += frames;
        match partial.add(fragment) {
            Added::New => {}
            Added::Repeated => {
                partial.frames -= frames;
                partial.copied = true;
                return Outcome::Copy;
            }
            Added::Contradiction => {
                let frames = partial.frames;
                self.partial.remove(&key);
                return Outcome::Rejected(frames);
            }
        }
        match partial.whole() {
            Some(payload) => {
                let frames = partial.frames;
                if let Some(whole) = self.partial.remove(&key).filter(|whole| whole.copied) {
                    self.done.truncate(MAX_DONE);
                    self.done.push_front(Done { key, at, parts: whole.parts });
                }
                Outcome::Whole { payload, frames }
            }
            None => Outcome::Held,
        }
    }

    /// Whether a fragment repeats one of a datagram that has just been made whole.
    fn is_copy(&self, at: Nanos, key: &Key, fragment: &Fragment<'_>) -> bool {
        let recent = self.done.iter().take_while(|done| at <= done.at + COPY_SPAN);
        recent.filter(|done| done.key == *key).any(|done| {
            done.parts.iter().any(|(offset, part)| *offset == fragment.offset && part == fragment.payload)
        })
    }

    /// When the oldest datagram is given up; `None` while there is none.
    pub fn next_time(&self) -> Option<Nanos> {
        self.partial.values().map(|partial| partial.since + TIMEOUT).min()
    }

    /// Gives up what waited too long; returns the number of frames.
    pub fn expire(&mut self, now: Nanos) -> u64 {
        let mut frames = 0;
        self.partial.retain(|_, partial| {
            let keep = now < partial.since + TIMEOUT;
            frames += if keep { 0 } else { partial.frames };
            keep
        });
        frames
    }
}

enum Added {
    New,
    Repeated,
    Contradiction,
}

impl Partial {
    fn add(&mut self, fragment: &Fragment<'_>) -> Added {
        let (start, bytes) = (usize::from(fragment.offset), fragment.payload);
        let end = start + bytes.len();
        let known = self.parts.iter().any(|(offset, part)| *offset == fragment.offset && part == bytes);
        if known {
            return Added::Repeated;
        }
        let overlaps = self.parts.iter().any(|(offset, part)| {
            let offset = usize::from(*offset);
            start < offset + part.len() && offset < end
        });
        let ragged = fragment.more && !bytes.len().is_multiple_of(8);
        // The last fragment says where the datagram ends: none may lie behind that, whichever came first.
        let held = self.parts.iter().map(|(offset, part)| usize::from(*offset) + part.len()).max();
        let beyond = end > 65_535
            || self.total.is_some_and(|total| end > total)
            || !fragment.more && held.is_some_and(|held| held > end);
        let second_end = !fragment.more && self.total.is_some();
        if overlaps || ragged || beyond || second_end || bytes.is_empty() || self.parts.len() >= MAX_FRAGMENTS
        {
            return Added::Contradiction;
        }
        if !fragment.more {
            self.total = Some(end);
        }
        self.parts.push((fragment.offset, bytes.to_vec()));
        Added::New
    }

    fn whole(&mut self) -> Option<Vec<u8>> {
        let total = self.total?;
        if self.parts.iter().map(|(_, part)| part.len()).sum::<usize>() != total {
            return None;
        }
        self.parts.sort_unstable_by_key(|(offset, _)| *offset);
        Some(self.parts.iter().flat_map(|(_, part)| part).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn handle(table: &mut Reassembly, at: u64, id: u32, offset: u16, more: bool, payload: &[u8]) -> Outcome {
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let fragment = Fragment { id, protocol: 17, offset, more, payload };
        let network = Network { src: host, dst: host, id: None, ttl: 64 };
        table.handle_fragment(Nanos::from_secs(at), Realm(0), &network, &fragment, 1)
    }

    #[test]
    fn any_order_gives_the_datagram() {
        let mut table = Reassembly::default();
        assert_eq!(handle(&mut table, 0, 1, 16, false, b"end"), Outcome::Held);
        assert_eq!(handle(&mut table, 0, 1, 0, true, b"01234567"), Outcome::Held);
        assert_eq!(handle(&mut table, 0, 1, 0, true, b"01234567"), Outcome::Copy);
        let whole = Outcome::Whole { payload: b"0123456789abcdefend".to_vec(), frames: 3 };
        assert_eq!(handle(&mut table, 0, 1, 8, true, b"89abcdef"), whole);
        assert_eq!(table.next_time(), None);
    }

    #[test]
    fn copies_of_a_whole_datagrams_fragments_are_known_and_wait_for_nothing() {
        let mut table = Reassembly::default();
        assert_eq!(handle(&mut table, 0, 1, 0, true, b"01234567"), Outcome::Held);
        assert_eq!(handle(&mut table, 0, 1, 0, true, b"01234567"), Outcome::Copy);
        let whole = Outcome::Whole { payload: b"01234567end".to_vec(), frames: 2 };
        assert_eq!(handle(&mut table, 0, 1, 8, false, b"end"), whole);
        assert_eq!(handle(&mut table, 0, 1, 8, false, b"end"), Outcome::Copy);
        assert_eq!(table.next_time(), None);
        // The same identification later, or with other bytes, is another datagram's.
        assert_eq!(handle(&mut table, 0, 1, 8, false, b"End"), Outcome::Held);
        assert_eq!(
            handle(&mut table, 1, 1, 0, true, b"01234567"),
            Outcome::Whole { payload: b"01234567End".to_vec(), frames: 2 }
        );
        assert_eq!(handle(&mut table, 9, 1, 8, false, b"end"), Outcome::Held);
    }

    #[test]
    fn a_piece_that_came_in_several_frames_counts_as_many() {
        let mut table = Reassembly::default();
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let network = Network { src: host, dst: host, id: None, ttl: 64 };
        let mut handle = |offset: u16, payload: &[u8], frames: u64| {
            let fragment = Fragment { id: 1, protocol: 17, offset, more: offset < 16, payload };
            table.handle_fragment(Nanos::from_secs(1), Realm(0), &network, &fragment, frames)
        };
        assert_eq!(handle(0, b"01234567", 3), Outcome::Held);
        assert_eq!(handle(0, b"01234567", 3), Outcome::Copy);
        assert_eq!(handle(8, b"89abcdef", 1), Outcome::Held);
        let whole = Outcome::Whole { payload: b"0123456789abcdefend".to_vec(), frames: 6 };
        assert_eq!(handle(16, b"end", 2), whole);
    }

    #[test]
    fn contradictions_and_latecomers_are_given_up() {
        let mut table = Reassembly::default();
        handle(&mut table, 0, 1, 0, true, b"01234567");
        assert_eq!(handle(&mut table, 0, 1, 0, true, b"0123456789abcdef"), Outcome::Rejected(2));
        // Their lengths add up to a whole, with a hole in it.
        handle(&mut table, 0, 3, 16, true, b"01234567");
        assert_eq!(handle(&mut table, 0, 3, 8, false, b"89abcdef"), Outcome::Rejected(2));
        handle(&mut table, 0, 2, 0, true, b"01234567");
        assert_eq!(table.expire(Nanos::from_secs(4)), 0);
        assert_eq!(table.expire(Nanos::from_secs(5)), 1);
    }
}
