//! Redirects that failed, as the object's second program counts them at the kernel's tracepoint.

use aya::Ebpf;
use aya::maps::{Array, Map, MapData, PerCpuArray};
use aya::programs::RawTracePoint;
use nightjar_wire::xdp::RedirectError;

use super::program::{ProgramError, map, taken};

/// The kernel's tracepoint.
const TRACEPOINT: &str = "xdp_redirect_err";

/// The counts of one interface's maps of sockets. The program is taken off with the object's other one.
pub(super) struct RedirectErrors {
    counts: PerCpuArray<MapData, u64>,
}

impl RedirectErrors {
    /// Loads the program and attaches it.
    ///
    /// # Errors
    /// When the kernel refuses it, or has no tracepoints.
    pub(super) fn watch(ebpf: &mut Ebpf) -> Result<RedirectErrors, ProgramError> {
        let maps = ["SIGNALLING_SOCKETS", "MEDIA_SOCKETS"];
        for (place, name) in (0..).zip(maps) {
            let Map::XskMap(sockets) = map(ebpf, name) else { panic!("{name} is a map of sockets") };
            let id = sockets.info()?.id();
            Array::<_, u32>::try_from(map(ebpf, "SOCKET_MAP_IDS"))?.set(place, id, 0)?;
        }
        let counts = PerCpuArray::try_from(taken(ebpf, "REDIRECT_ERRORS"))?;
        let program = ebpf.program_mut("redirect_error").expect("the committed object's program");
        let program: &mut RawTracePoint = program.try_into()?;
        program.load()?;
        program.attach(TRACEPOINT)?;
        Ok(RedirectErrors { counts })
    }

    /// What was counted, over all CPUs, by [`RedirectError`]'s numbers.
    ///
    /// # Errors
    /// When the kernel refuses to read the map.
    pub(super) fn counts(&self) -> Result<[u64; RedirectError::ALL.len()], ProgramError> {
        let mut sums = [0; RedirectError::ALL.len()];
        for (number, sum) in (0..).zip(&mut sums) {
            *sum = self.counts.get(&number, 0)?.iter().sum();
        }
        Ok(sums)
    }
}
