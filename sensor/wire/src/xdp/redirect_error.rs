//! Why the kernel could not give a redirected frame to its socket, as its tracepoint `xdp_redirect_err` tells.

/// A class of such errors; its number is its place in the program's per-CPU map.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectError {
    /// The socket's ring was full. The socket counts it, too.
    RingFull = 0,
    /// No chunk was free, or the frame was too long for one. The socket counts it, too.
    NoRoom,
    /// The socket was not bound, or not to this interface and queue: no other count has it.
    Failed,
}

impl RedirectError {
    /// Every class, in the order of their numbers.
    pub const ALL: [RedirectError; 3] =
        [RedirectError::RingFull, RedirectError::NoRoom, RedirectError::Failed];

    /// The class of an error number of the kernel's (`net/xdp/xsk.c`: `xsk_rcv_check`, `__xsk_rcv`).
    #[inline(always)]
    pub const fn of(error: i32) -> RedirectError {
        const ENOMEM: i32 = -12;
        const ENOSPC: i32 = -28;
        const ENOBUFS: i32 = -105;
        match error {
            ENOBUFS => RedirectError::RingFull,
            ENOMEM | ENOSPC => RedirectError::NoRoom,
            _ => RedirectError::Failed,
        }
    }

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            RedirectError::RingFull => "ring_full",
            RedirectError::NoRoom => "no_room",
            RedirectError::Failed => "failed",
        }
    }
}
