//! The linear part of a frame, read as the verifier wants it read.

use aya_ebpf::programs::XdpContext;
use nightjar_wire::xdp::Packet;

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
}

/// As [`Linear`], for headers at offsets of which little is known. There the compiler would compute an
/// address twice, once to check it and once to read there, and the verifier take them for two.
pub struct Behind {
    start: usize,
    end: usize,
}

impl Behind {
    /// The frame that the program was called for.
    #[inline(always)]
    pub fn of(ctx: &XdpContext) -> Behind {
        Behind { start: ctx.data(), end: ctx.data_end() }
    }
}

impl Packet for Behind {
    #[inline(always)]
    fn array<const N: usize>(&self, at: usize) -> Option<&[u8; N]> {
        if at > HEADERS {
            return None;
        }
        let from = core::hint::black_box(self.start + at);
        if from + N > self.end {
            return None;
        }
        // SAFETY: as above.
        Some(unsafe { &*(from as *const [u8; N]) })
    }
}
