//! Asking memory for what will be needed soon.

/// Asks memory for the line of the cache at `place`, without waiting for it. A hint: nothing is read, and no
/// place is a wrong one. Nothing happens where the processor's instruction is not known here.
#[inline(always)]
pub fn prefetch(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint to the processor, which reads nothing and faults on no address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
