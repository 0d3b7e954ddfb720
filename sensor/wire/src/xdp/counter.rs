//! What the XDP program counts: one variant, one counter, one line of help.

/// A counter of the program; its number is its place in the per-CPU map.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Frames that the program saw.
    Seen = 0,
    /// Their bytes.
    SeenBytes,
    /// Redirected to a signalling socket.
    Signalling,
    /// Redirected to a media socket.
    Media,
    /// Dropped: of a call that must never be recorded.
    DroppedNever,
    /// Dropped: of a call that was cut.
    DroppedCut,
    /// Dropped: no rule wants it.
    DroppedUnwanted,
    /// Passed to the kernel's stack: no rule wants it.
    PassedUnwanted,
    /// Passed to the kernel's stack: its queue has no socket.
    PassedNoSocket,
    /// Aborted: the driver gave no room for metadata.
    Aborted,
    /// Of the redirected media: by a learned endpoint.
    ByEndpoint,
    /// Of the redirected media: by a configured range.
    ByRange,
    /// Of the redirected media: by its shape.
    ByShape,
    /// Of the redirected media: tunnels that were not seen through.
    ByTunnel,
    /// Of the redirected: frames that came through a tunnel.
    Tunnelled,
    /// Of the redirected signalling: fragments of UDP datagrams, which have no ports.
    Fragments,
    /// Of the unwanted: neither IPv4 nor IPv6.
    NotIp,
    /// Of the unwanted: headers that run past the frame or contradict themselves.
    Damaged,
}

impl Counter {
    /// Every counter, in the order of their numbers.
    pub const ALL: [Counter; 18] = [
        Counter::Seen,
        Counter::SeenBytes,
        Counter::Signalling,
        Counter::Media,
        Counter::DroppedNever,
        Counter::DroppedCut,
        Counter::DroppedUnwanted,
        Counter::PassedUnwanted,
        Counter::PassedNoSocket,
        Counter::Aborted,
        Counter::ByEndpoint,
        Counter::ByRange,
        Counter::ByShape,
        Counter::ByTunnel,
        Counter::Tunnelled,
        Counter::Fragments,
        Counter::NotIp,
        Counter::Damaged,
    ];

    /// Its name in the ledger and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Counter::Seen => "seen",
            Counter::SeenBytes => "seen_bytes",
            Counter::Signalling => "signalling",
            Counter::Media => "media",
            Counter::DroppedNever => "dropped_never",
            Counter::DroppedCut => "dropped_cut",
            Counter::DroppedUnwanted => "dropped_unwanted",
            Counter::PassedUnwanted => "passed_unwanted",
            Counter::PassedNoSocket => "passed_no_socket",
            Counter::Aborted => "aborted",
            Counter::ByEndpoint => "by_endpoint",
            Counter::ByRange => "by_range",
            Counter::ByShape => "by_shape",
            Counter::ByTunnel => "by_tunnel",
            Counter::Tunnelled => "tunnelled",
            Counter::Fragments => "fragments",
            Counter::NotIp => "not_ip",
            Counter::Damaged => "damaged",
        }
    }

    /// What it counts, in one line.
    pub const fn help(self) -> &'static str {
        match self {
            Counter::Seen => "frames that the XDP program saw",
            Counter::SeenBytes => "bytes of the frames that the XDP program saw",
            Counter::Signalling => "frames redirected to a signalling socket",
            Counter::Media => "frames redirected to a media socket",
            Counter::DroppedNever => "frames dropped because their call must never be recorded",
            Counter::DroppedCut => "frames dropped because their call was cut to shed load",
            Counter::DroppedUnwanted => "frames dropped because no rule wants them",
            Counter::PassedUnwanted => "frames passed to the kernel's stack because no rule wants them",
            Counter::PassedNoSocket => {
                "frames passed to the kernel's stack because their queue has no socket"
            }
            Counter::Aborted => "frames aborted because the driver gave no room for metadata",
            Counter::ByEndpoint => "media frames recognised by a learned endpoint",
            Counter::ByRange => "media frames recognised by a configured range",
            Counter::ByShape => "media frames recognised by their shape",
            Counter::ByTunnel => "tunnels handed up as media for the sensor to look into",
            Counter::Tunnelled => "redirected frames that came through a tunnel",
            Counter::Fragments => "fragments of UDP datagrams and of GRE, redirected as signalling",
            Counter::NotIp => "unwanted frames that are neither IPv4 nor IPv6",
            Counter::Damaged => "unwanted frames whose headers run past the frame or contradict themselves",
        }
    }
}
