//! Where the streams lie: a slab that never moves one, an index by what identifies a stream on the wire and
//! one by its id.
//!
//! A capture core asks for a stream with each packet, and with many streams none of them is in the cache. So
//! a key is hashed once, the index is one small table, and what a packet needs of its stream are a few
//! neighbouring lines ([`crate::Stream`]). Who has several packets at hand asks for all of their streams
//! first ([`Streams::fetch`]): memory then answers at the same time.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::packed_key::{KeyHasher, PackedKey};
use crate::stream::{Stream, StreamKey};

/// Streams that the slab takes memory for at a time.
const CHUNK: usize = 64;

/// Where a stream lies. Another may lie there when it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u32);

/// A key with its hash, and where its stream lay when it was last looked for.
#[derive(Clone, Copy, Debug)]
pub struct Sought {
    key: PackedKey,
    hash: u32,
    slot: Option<Slot>,
}

impl Sought {
    /// What is sought.
    pub fn key(&self) -> StreamKey {
        self.key.key()
    }
}

/// An entry of the index by key. With the hash in it the index grows without asking the streams.
#[derive(Clone, Copy, Debug)]
struct Indexed {
    hash: u32,
    slot: Slot,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    chunks: Vec<Box<[Stream]>>,
    /// Slots without a stream.
    free: Vec<Slot>,
    by_key: HashTable<Indexed>,
    by_id: HashMap<u32, Slot, RandomState>,
    hasher: KeyHasher,
}

impl Streams {
    /// Streams at present, those included that a key no longer leads to.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// A key as it is looked for.
    #[inline]
    pub(crate) fn seek(&self, key: PackedKey) -> Sought {
        Sought { key, hash: self.hasher.hash(&key), slot: None }
    }

    /// Looks for several keys at once and lets `ask` ask memory for what the next packet needs of their
    /// streams.
    #[inline]
    pub(crate) fn fetch(&self, sought: &mut [Sought], ask: impl Fn(*const u8)) {
        for one in &mut *sought {
            // By the hash alone: the stream's own memory is not waited for.
            let entry = self.by_key.find(spread(one.hash), |entry| entry.hash == one.hash);
            one.slot = entry.map(|entry| entry.slot);
        }
        for slot in sought.iter().filter_map(|one| one.slot) {
            self.place(slot).lines().into_iter().for_each(&ask);
        }
    }

    /// The stream that a key leads to.
    #[inline]
    pub(crate) fn find(&self, sought: &Sought) -> Option<Slot> {
        let leads_to =
            |slot| self.at(slot).is_some_and(|stream| stream.packed == sought.key && !stream.superseded);
        if let Some(slot) = sought.slot.filter(|slot| leads_to(*slot)) {
            return Some(slot);
        }
        let is_it = |entry: &Indexed| entry.hash == sought.hash && leads_to(entry.slot);
        self.by_key.find(spread(sought.hash), is_it).map(|entry| entry.slot)
    }

    #[inline]
    fn place(&self, Slot(slot): Slot) -> &Stream {
        &self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }

    #[inline]
    fn place_mut(&mut self, Slot(slot): Slot) -> &mut Stream {
        &mut self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }

    #[inline]
    pub(crate) fn at(&self, slot: Slot) -> Option<&Stream> {
        Some(self.place(slot)).filter(|stream| !stream.vacant)
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, slot: Slot) -> Option<&mut Stream> {
        Some(self.place_mut(slot)).filter(|stream| !stream.vacant)
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Stream> {
        self.at(*self.by_id.get(&id)?)
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Stream> {
        self.at_mut(*self.by_id.get(&id)?)
    }

    pub(crate) fn contains(&self, id: u32) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Adds a stream, or replaces the one with its id. Its key leads to it from now on, and no longer to
    /// another.
    pub(crate) fn insert(&mut self, stream: Stream) {
        self.remove(stream.id);
        let packed = PackedKey::from(stream.key);
        let sought = self.seek(packed);
        if let Some(before) = self.find(&sought) {
            self.supersede(before);
        }
        let slot = self.free_slot();
        self.by_id.insert(stream.id, slot);
        let entry = Indexed { hash: sought.hash, slot };
        self.by_key.insert_unique(spread(sought.hash), entry, |entry| spread(entry.hash));
        *self.place_mut(slot) = Stream { packed, superseded: false, vacant: false, ..stream };
    }

    /// The stream's key leads nowhere any more; it is still found by its id.
    pub(crate) fn supersede(&mut self, slot: Slot) {
        let Some(stream) = self.at(slot).filter(|stream| !stream.superseded) else { return };
        let hash = self.seek(stream.packed).hash;
        if let Ok(entry) = self.by_key.find_entry(spread(hash), |entry| entry.slot == slot) {
            entry.remove();
        }
        if let Some(stream) = self.at_mut(slot) {
            stream.superseded = true;
        }
    }

    /// Takes a stream out.
    pub(crate) fn remove(&mut self, id: u32) -> Option<Stream> {
        let slot = self.by_id.remove(&id)?;
        self.supersede(slot);
        self.free.push(slot);
        Some(std::mem::replace(self.place_mut(slot), Stream::vacant()))
    }

    fn free_slot(&mut self) -> Slot {
        if self.free.is_empty() {
            let first = self.chunks.len() * CHUNK;
            self.chunks.push(std::iter::repeat_with(Stream::vacant).take(CHUNK).collect());
            self.free.extend((first..first + CHUNK).rev().map(|slot| Slot(slot as u32)));
        }
        self.free.pop().expect("a chunk has slots")
    }
}

/// The table takes a place by the lowest bits of a hash and tells neighbours apart by the highest.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nightjar_wire::{Endpoint, FlowKey, Nanos, Realm};
    use proptest::prelude::*;

    use super::*;

    fn key(number: u8) -> StreamKey {
        let end = |host: u8| Endpoint::new(Realm(u16::from(number & 1)), [10, 0, 0, host].into(), 4000);
        StreamKey { flow: FlowKey::new(end(number / 2), end(200)), ssrc: 7 }
    }

    fn v6(host: u16, ssrc: u32) -> StreamKey {
        let end = |host: u16| Endpoint::new(Realm(0), [0xfd00, 0, 0, 0, 0, 0, 0, host].into(), 4000);
        StreamKey { flow: FlowKey::new(end(host), end(9)), ssrc }
    }

    #[test]
    fn a_slot_that_was_found_before_does_not_mislead() {
        let mut streams = Streams::default();
        streams.insert(Stream::new(0, key(1), Nanos::ZERO));
        let mut sought = [streams.seek(key(1).into()), streams.seek(v6(1, 1).into())];
        streams.fetch(&mut sought, |_| ());
        let slot = sought[0].slot.expect("it is there");
        assert_eq!((streams.find(&sought[0]), sought[1].slot), (Some(slot), None));
        streams.supersede(slot);
        assert_eq!(streams.find(&sought[0]), None, "its key leads nowhere");
        streams.insert(Stream::new(1, key(1), Nanos::ZERO));
        let newer = streams.find(&sought[0]).expect("the newer one");
        assert_eq!(streams.at(newer).map(|stream| stream.id), Some(1));
        streams.remove(0);
        streams.insert(Stream::new(2, v6(1, 1), Nanos::ZERO));
        assert_eq!(streams.find(&sought[0]), Some(newer), "another lies where the older one lay");
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Insert(u8),
        Supersede(u8),
        Remove(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        (0u8..3, 0u8..40).prop_map(|(kind, number)| match kind {
            0 => Step::Insert(number),
            1 => Step::Supersede(number),
            _ => Step::Remove(number),
        })
    }

    proptest! {
        /// As two maps, by key and by id.
        #[test]
        fn keys_and_ids_lead_where_two_maps_lead(steps in prop::collection::vec(step(), 0..400)) {
            let mut streams = Streams::default();
            let (mut keys, mut ids) = (BTreeMap::new(), BTreeMap::new());
            for (id, step) in (0u32..).zip(steps) {
                match step {
                    Step::Insert(number) => {
                        streams.insert(Stream::new(id, key(number), Nanos::ZERO));
                        keys.insert(number, id);
                        ids.insert(id, number);
                    }
                    Step::Supersede(number) => {
                        if let Some(slot) = streams.find(&streams.seek(key(number).into())) {
                            streams.supersede(slot);
                        }
                        keys.remove(&number);
                    }
                    Step::Remove(number) => {
                        let Some(id) = keys.remove(&number) else { continue };
                        prop_assert_eq!(streams.remove(id).map(|stream| stream.key), Some(key(number)));
                        ids.remove(&id);
                    }
                }
                prop_assert_eq!(streams.len(), ids.len());
                let mut sought: Vec<Sought> = (0..40).map(|number| streams.seek(key(number).into())).collect();
                for fetched in [false, true] {
                    for (number, sought) in (0..).zip(&sought) {
                        let found = streams.find(sought).and_then(|slot| streams.at(slot)).map(|stream| stream.id);
                        prop_assert_eq!(found, keys.get(&number).copied(), "{} {}", number, fetched);
                    }
                    streams.fetch(&mut sought, |_| ());
                }
                for (id, number) in &ids {
                    prop_assert_eq!(streams.get(*id).map(|stream| stream.key), Some(key(*number)));
                }
            }
        }
    }
}
