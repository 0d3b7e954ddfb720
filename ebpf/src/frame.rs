//! The linear part of a frame, read as the verifier wants it read.

use aya_ebpf::programs::XdpContext;
use nightjar_wire::xdp::Packet;

use crate::maps;

/// Headers lie within so many bytes; a bound that the verifier can see.
const HEADERS: usize = 0x7ff;

/// From a frame's first byte to the end of its first buffer.
pub struct Linear {
    start: usize,
    end: usize,
}

impl Linear {
    /// The frame that the program was called for.
    #[inline(always)]
    pub fn of(ctx: &XdpContext) -> Linear {
        Linear { start: ctx.data(), end: ctx.data_end() }
    }
}

impl Packet for Linear {
    #[inline(always)]
    fn array<const N: usize>(&self, at: usize) -> Option<&[u8; N]> {
        if at > HEADERS {
            return None;
        }
        let from = self.start + at;
        if from + N > self.end {
            return None;
        }
        // SAFETY: `N` bytes from `from` on lie before the buffer's end, and the buffer lives while
        // the program runs.
        Some(unsafe { &*(from as *const [u8; N]) })
    }

    /// By way of a map, of whose values the verifier knows nothing.
    #[inline(always)]
    fn any_offset(&self, at: usize) -> usize {
        maps::through_map(at as u64) as usize & HEADERS
    }
}
