//! The rings of an AF_XDP socket: one side is the kernel, the other is here.
//!
//! Each is an array of a power of two of descriptors with a producer's and a consumer's counter that
//! run freely and wrap. Whoever owns a counter stores it with release order, the other side loads it
//! with acquire order; what lies between them belongs to the consumer, the rest to the producer.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::net::xdp::{XdpDesc, XdpRingFlags, XdpRingOffset};

use super::memory::Mapping;

/// What both kinds of ring have.
#[derive(Debug)]
struct Shared<T> {
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: Option<NonNull<AtomicU32>>,
    descriptors: NonNull<T>,
    /// Descriptors less one; their count is a power of two.
    mask: u32,
    /// Keeps the memory that the pointers point into.
    _mapping: Mapping,
}

// SAFETY: the pointers lead into the mapping that the value owns; the other side is the kernel, which
// is reached through atomics alone.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T: Copy> Shared<T> {
    /// The length of a ring's mapping in bytes.
    fn mapped_len(offsets: &XdpRingOffset, size: u32) -> usize {
        offsets.desc as usize + size as usize * size_of::<T>()
    }

    /// # Safety
    /// `mapping` holds a ring of `size` descriptors, a power of two, laid out as `offsets` say, and
    /// nobody but the kernel uses the other side of it.
    unsafe fn new(mapping: Mapping, offsets: &XdpRingOffset, size: u32) -> Shared<T> {
        assert!(size.is_power_of_two() && mapping.len() >= Shared::<T>::mapped_len(offsets, size));
        // SAFETY: by the contract the offsets lie within the mapping, aligned for what is there.
        let at = |offset: u64| unsafe { mapping.base().add(offset as usize) };
        Shared {
            producer: at(offsets.producer).cast(),
            consumer: at(offsets.consumer).cast(),
            flags: offsets.flags.map(|offset| at(offset).cast()),
            descriptors: at(offsets.desc).cast(),
            mask: size - 1,
            _mapping: mapping,
        }
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: valid and aligned by `new`'s contract; accessed atomically by both sides.
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as for `producer`.
        unsafe { self.consumer.as_ref() }
    }

    fn place(&self, number: u32) -> NonNull<T> {
        // SAFETY: masked, so within the array.
        unsafe { self.descriptors.add((number & self.mask) as usize) }
    }
}

/// A receive ring: the kernel produces descriptors of frames, we consume them.
#[derive(Debug)]
pub(super) struct ReceiveRing {
    shared: Shared<XdpDesc>,
    /// Up to where the kernel had produced when it was last asked.
    produced: u32,
    /// Up to where we have taken; what is taken is given back by [`ReceiveRing::release`].
    taken: u32,
}

impl ReceiveRing {
    /// The length of its mapping in bytes.
    pub(super) fn mapped_len(offsets: &XdpRingOffset, size: u32) -> usize {
        Shared::<XdpDesc>::mapped_len(offsets, size)
    }

    /// # Safety
    /// See [`Shared::new`].
    pub(super) unsafe fn new(mapping: Mapping, offsets: &XdpRingOffset, size: u32) -> ReceiveRing {
        // SAFETY: the caller's promise.
        let shared = unsafe { Shared::new(mapping, offsets, size) };
        let taken = shared.consumer().load(Ordering::Relaxed);
        ReceiveRing { shared, produced: taken, taken }
    }

    /// Asks anew how far the kernel is; how many descriptors wait.
    pub(super) fn refresh(&mut self) -> u32 {
        self.produced = self.shared.producer().load(Ordering::Acquire);
        self.waiting()
    }

    /// How many descriptors waited when the kernel was last asked, less those taken since.
    pub(super) fn waiting(&self) -> u32 {
        self.produced.wrapping_sub(self.taken)
    }

    /// The next descriptor, if one waits.
    pub(super) fn peek(&self) -> Option<XdpDesc> {
        // SAFETY: between consumer and producer the descriptors are ours to read; the acquire load of
        // the producer made them visible.
        (self.waiting() > 0).then(|| unsafe { self.shared.place(self.taken).read() })
    }

    /// The descriptor so many behind the next one, if it waits too.
    #[inline]
    pub(super) fn peek_behind(&self, behind: u32) -> Option<XdpDesc> {
        // SAFETY: as for `peek`.
        (self.waiting() > behind)
            .then(|| unsafe { self.shared.place(self.taken.wrapping_add(behind)).read() })
    }

    /// Passes over the descriptor that [`ReceiveRing::peek`] showed.
    pub(super) fn advance(&mut self) {
        debug_assert!(self.waiting() > 0);
        self.taken = self.taken.wrapping_add(1);
    }

    /// Gives the places of what was taken back to the kernel.
    pub(super) fn release(&mut self) {
        self.shared.consumer().store(self.taken, Ordering::Release);
    }

    /// How many descriptors wait at this moment.
    pub(super) fn in_ring(&self) -> u32 {
        self.shared.producer().load(Ordering::Acquire).wrapping_sub(self.taken)
    }

    /// How many descriptors fit.
    pub(super) fn size(&self) -> u32 {
        self.shared.mask + 1
    }
}

/// The fill ring: we produce addresses of free chunks, the kernel consumes them.
#[derive(Debug)]
pub(super) struct FillRing {
    shared: Shared<u64>,
    /// Up to where we have written; shown to the kernel by [`FillRing::publish`].
    written: u32,
}

impl FillRing {
    /// The length of its mapping in bytes.
    pub(super) fn mapped_len(offsets: &XdpRingOffset, size: u32) -> usize {
        Shared::<u64>::mapped_len(offsets, size)
    }

    /// # Safety
    /// See [`Shared::new`].
    pub(super) unsafe fn new(mapping: Mapping, offsets: &XdpRingOffset, size: u32) -> FillRing {
        // SAFETY: the caller's promise.
        let shared = unsafe { Shared::new(mapping, offsets, size) };
        let written = shared.producer().load(Ordering::Relaxed);
        FillRing { shared, written }
    }

    /// Puts a chunk into the ring. False when the ring is full, which a ring with a place for
    /// every chunk never is.
    pub(super) fn push(&mut self, chunk: u64) -> bool {
        let consumed = self.shared.consumer().load(Ordering::Acquire);
        if self.written.wrapping_sub(consumed) > self.shared.mask {
            return false;
        }
        // SAFETY: outside consumer..producer the places are ours to write; the kernel sees them with
        // the release store of the producer.
        unsafe { self.shared.place(self.written).write(chunk) };
        self.written = self.written.wrapping_add(1);
        true
    }

    /// Shows the kernel what was put in.
    pub(super) fn publish(&mut self) {
        self.shared.producer().store(self.written, Ordering::Release);
    }

    /// The driver sleeps until somebody wakes it.
    pub(super) fn needs_wakeup(&self) -> bool {
        let asleep = XdpRingFlags::XDP_RING_NEED_WAKEUP.bits();
        // SAFETY: valid and aligned by `new`'s contract; written by the kernel atomically.
        self.shared.flags.is_some_and(|flags| unsafe { flags.as_ref() }.load(Ordering::Relaxed) & asleep != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::xdp::XdpDescOptions;

    const OFFSETS: XdpRingOffset = XdpRingOffset { producer: 0, consumer: 64, desc: 128, flags: Some(124) };

    /// The kernel's side of a ring, over plain memory.
    struct Kernel {
        producer: NonNull<AtomicU32>,
        consumer: NonNull<AtomicU32>,
        descriptors: NonNull<u8>,
    }

    impl Kernel {
        fn of(mapping: &Mapping) -> Kernel {
            let base = mapping.base();
            // SAFETY: the offsets above lie within the mapping of a page.
            unsafe {
                Kernel { producer: base.cast(), consumer: base.add(64).cast(), descriptors: base.add(128) }
            }
        }

        fn counters(&self) -> (&AtomicU32, &AtomicU32) {
            // SAFETY: the mapping outlives the test's use of it.
            unsafe { (self.producer.as_ref(), self.consumer.as_ref()) }
        }
    }

    #[test]
    fn frames_come_out_in_order_over_the_wrap_of_the_counters() {
        let mapping = Mapping::anonymous(4096).unwrap();
        let kernel = Kernel::of(&mapping);
        let (producer, consumer) = kernel.counters();
        let start = u32::MAX - 5;
        producer.store(start, Ordering::Relaxed);
        consumer.store(start, Ordering::Relaxed);
        // SAFETY: a page that holds a ring of four descriptors at these offsets.
        let mut ring = unsafe { ReceiveRing::new(mapping, &OFFSETS, 4) };
        for number in 0..20_u32 {
            let place = start.wrapping_add(number);
            let descriptor = XdpDesc { addr: u64::from(number), len: 1, options: XdpDescOptions::empty() };
            // SAFETY: within the four descriptors.
            unsafe { kernel.descriptors.cast::<XdpDesc>().add((place & 3) as usize).write(descriptor) };
            producer.store(place.wrapping_add(1), Ordering::Release);
            assert_eq!(ring.peek(), None, "not seen before it is asked for");
            assert_eq!(ring.refresh(), 1);
            assert_eq!(ring.peek().unwrap().addr, u64::from(number));
            ring.advance();
            assert_eq!(consumer.load(Ordering::Relaxed), place, "not given back before it is released");
            ring.release();
            assert_eq!(consumer.load(Ordering::Relaxed), place.wrapping_add(1));
        }
    }

    #[test]
    fn a_full_fill_ring_takes_nothing_more_until_the_kernel_consumes() {
        let mapping = Mapping::anonymous(4096).unwrap();
        let kernel = Kernel::of(&mapping);
        let (producer, consumer) = kernel.counters();
        // SAFETY: a page that holds a ring of four descriptors at these offsets.
        let mut ring = unsafe { FillRing::new(mapping, &OFFSETS, 4) };
        assert!((0..4).all(|chunk| ring.push(chunk * 2048)));
        assert!(!ring.push(9));
        assert_eq!(producer.load(Ordering::Relaxed), 0, "not shown before it is published");
        ring.publish();
        assert_eq!(producer.load(Ordering::Acquire), 4);
        consumer.store(1, Ordering::Release);
        assert!(ring.push(9) && !ring.push(10));
        assert!(!ring.needs_wakeup());
    }
}
