//! Media that no binding explains yet, kept in memory in a fixed arena until one does or its time
//! is over (DESIGN, "Pre-roll"). What is forbidden later so never touches a disk.

use std::collections::{HashMap, VecDeque};

use nightjar_wire::Nanos;

/// How long an unexplained stream waits for signalling.
pub const WAIT: Nanos = Nanos::from_secs(2);
/// How many of its packets wait at most; then it is decided at once.
pub const MAX_PACKETS: u32 = 128;
/// Bytes of the arena.
pub const ARENA: usize = 32 << 20;

#[derive(Debug)]
struct Entry {
    stream: u32,
    at: Nanos,
    start: usize,
    len: usize,
    /// Frames that the datagram came in.
    frames: u64,
    /// Sequence number of the stream's next entry.
    next: Option<u64>,
}

#[derive(Debug)]
struct Chain {
    since: Nanos,
    first: u64,
    last: u64,
    packets: u32,
    frames: u64,
}

/// What had to make room for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evicted {
    /// The stream.
    pub stream: u32,
    /// Its packets that waited.
    pub packets: u32,
    /// The frames that they came in.
    pub frames: u64,
}

/// A ring of packets, chained per stream.
#[derive(Debug)]
pub struct Preroll {
    arena: Box<[u8]>,
    /// Where the next packet's bytes go.
    head: usize,
    /// Oldest first; `entries[0]` has the number `base`.
    entries: VecDeque<Entry>,
    base: u64,
    chains: HashMap<u32, Chain>,
    /// Streams by the beginning of their wait; those decided since are passed over.
    deadlines: VecDeque<(Nanos, u32)>,
}

impl Preroll {
    /// An arena of `bytes`; all memory is taken here.
    pub fn new(bytes: usize) -> Preroll {
        Preroll {
            arena: vec![0; bytes].into_boxed_slice(),
            head: 0,
            entries: VecDeque::with_capacity(bytes / 128),
            base: 0,
            chains: HashMap::new(),
            deadlines: VecDeque::new(),
        }
    }

    /// Keeps one datagram that came in so many frames. To make room, the oldest stream is evicted
    /// whole and named in `evicted`.
    pub fn hold(&mut self, stream: u32, at: Nanos, bytes: &[u8], frames: u64, evicted: &mut Vec<Evicted>) {
        debug_assert!(bytes.len() <= self.arena.len(), "a datagram fits the arena");
        let start = self.room(bytes.len(), evicted);
        self.arena[start..start + bytes.len()].copy_from_slice(bytes);
        self.head = start + bytes.len();
        let number = self.base + self.entries.len() as u64;
        self.entries.push_back(Entry { stream, at, start, len: bytes.len(), frames, next: None });
        if let Some(chain) = self.chains.get_mut(&stream) {
            let last = (chain.last - self.base) as usize;
            (chain.last, chain.packets) = (number, chain.packets + 1);
            chain.frames += frames;
            self.entries[last].next = Some(number);
        } else {
            self.chains.insert(stream, Chain { since: at, first: number, last: number, packets: 1, frames });
            self.deadlines.push_back((at, stream));
        }
    }

    /// Packets that a stream has waiting.
    pub fn packets(&self, stream: u32) -> u32 {
        self.chains.get(&stream).map_or(0, |chain| chain.packets)
    }

    /// Hands out a stream's packets in order of arrival, each with its frames, and forgets
    /// them; returns the number of frames.
    pub fn release(&mut self, stream: u32, mut each: impl FnMut(Nanos, &[u8], u64)) -> u64 {
        let Some(chain) = self.chains.remove(&stream) else { return 0 };
        let mut number = Some(chain.first);
        while let Some(current) = number {
            let entry = &self.entries[(current - self.base) as usize];
            each(entry.at, &self.arena[entry.start..entry.start + entry.len], entry.frames);
            number = entry.next;
        }
        self.trim();
        chain.frames
    }

    /// When the next stream's wait is over.
    pub fn next_time(&mut self) -> Option<Nanos> {
        self.oldest().map(|since| since + WAIT)
    }

    /// The first packet's stamp of the stream that waits longest.
    #[inline]
    pub fn oldest(&mut self) -> Option<Nanos> {
        while let Some((since, stream)) = self.deadlines.front() {
            match self.chains.get(stream) {
                Some(chain) if chain.since == *since => return Some(*since),
                _ => self.deadlines.pop_front(),
            };
        }
        None
    }

    /// The next stream whose wait is over by `now`, still to be released.
    pub fn poll_expired(&mut self, now: Nanos) -> Option<u32> {
        let due = self.next_time()?;
        if due > now {
            return None;
        }
        self.deadlines.pop_front().map(|(_, stream)| stream)
    }

    /// A place for `len` bytes in one piece; evicts the oldest streams until there is one.
    fn room(&mut self, len: usize, evicted: &mut Vec<Evicted>) -> usize {
        loop {
            let Some(tail) = self.entries.front().map(|entry| entry.start) else {
                self.head = 0;
                return 0;
            };
            let head = self.head;
            if head > tail || (head == tail && self.entries.iter().all(|e| e.len == 0)) {
                if head + len <= self.arena.len() {
                    return head;
                }
                if len < tail {
                    return 0;
                }
            } else if head + len < tail {
                return head;
            }
            let oldest = self.entries[0].stream;
            let packets = self.packets(oldest);
            let frames = self.release(oldest, |_, _, _| {});
            if packets > 0 {
                evicted.push(Evicted { stream: oldest, packets, frames });
            }
        }
    }

    /// Drops entries at the old end whose streams are decided.
    fn trim(&mut self) {
        while let Some(entry) = self.entries.front() {
            let waits = self.chains.get(&entry.stream).is_some_and(|chain| chain.first <= self.base);
            if waits {
                break;
            }
            self.entries.pop_front();
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn drain(preroll: &mut Preroll, stream: u32) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        preroll.release(stream, |_, bytes, _| packets.push(bytes.to_vec()));
        packets
    }

    #[test]
    fn a_stream_is_released_in_order_and_alone() {
        let mut preroll = Preroll::new(1_024);
        let mut evicted = Vec::new();
        for (stream, byte) in [(1, 10), (2, 20), (1, 11), (2, 21), (1, 12)] {
            preroll.hold(stream, Nanos(0), &[byte], 1, &mut evicted);
        }
        assert_eq!(drain(&mut preroll, 1), [[10], [11], [12]]);
        assert_eq!(drain(&mut preroll, 2), [[20], [21]]);
        assert!(evicted.is_empty() && preroll.entries.is_empty());
    }

    #[test]
    fn a_wait_is_over_after_two_seconds_of_capture_time() {
        let mut preroll = Preroll::new(1_024);
        preroll.hold(1, Nanos::from_secs(10), &[1], 1, &mut Vec::new());
        assert_eq!(preroll.next_time(), Some(Nanos::from_secs(12)));
        assert_eq!(preroll.poll_expired(Nanos::from_secs(11)), None);
        assert_eq!(preroll.poll_expired(Nanos::from_secs(12)), Some(1));
        assert_eq!(drain(&mut preroll, 1), [[1]]);
        assert_eq!(preroll.next_time(), None);
    }

    proptest! {
        /// Whatever comes and goes: a packet is released once, intact and in order, or evicted.
        #[test]
        fn nothing_is_mixed_up(steps in proptest::collection::vec((0u32..5, 1usize..60, any::<bool>()), 1..300)) {
            let mut preroll = Preroll::new(200);
            let mut expected: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
            for (n, (stream, len, release)) in steps.into_iter().enumerate() {
                let bytes = vec![n as u8; len];
                let mut evicted = Vec::new();
                preroll.hold(stream, Nanos(n as u64), &bytes, 1, &mut evicted);
                for gone in evicted {
                    let lost = expected.remove(&gone.stream).unwrap_or_default();
                    prop_assert_eq!(lost.len(), gone.packets as usize);
                }
                expected.entry(stream).or_default().push(bytes);
                if release {
                    prop_assert_eq!(drain(&mut preroll, stream), expected.remove(&stream).unwrap_or_default());
                }
            }
            for (stream, packets) in expected {
                prop_assert_eq!(drain(&mut preroll, stream), packets);
            }
        }
    }
}
