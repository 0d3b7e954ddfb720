//! A second program, on the kernel's tracepoint for redirects that fail: it counts those of our sockets by class, since
//! the kernel itself counts some of them nowhere.

use aya_ebpf::bindings::bpf_map_type::BPF_MAP_TYPE_XSKMAP;
use aya_ebpf::macros::{map, raw_tracepoint};
use aya_ebpf::maps::{Array, PerCpuArray};
use aya_ebpf::programs::RawTracePointContext;
use nightjar_wire::xdp::RedirectError;

/// What was counted, by [`RedirectError`], for each CPU.
#[map]
static REDIRECT_ERRORS: PerCpuArray<u64> = PerCpuArray::with_max_entries(RedirectError::ALL.len() as u32, 0);

/// The kernel's numbers of the two maps of sockets; the sensor writes them before it attaches the program.
#[map]
static SOCKET_MAP_IDS: Array<u32> = Array::with_max_entries(2, 0);

/// `xdp_redirect_err(dev, xdp, tgt, err, map_type, map_id, index)`, since Linux 5.13; before, a pointer stood in the
/// type's place, so nothing is counted.
#[raw_tracepoint(tracepoint = "xdp_redirect_err")]
pub fn redirect_error(ctx: RawTracePointContext) -> u32 {
    let (error, map_type, map_id) = (ctx.arg::<i32>(3), ctx.arg::<u64>(4), ctx.arg::<u32>(5));
    let is_ours = |place: u32| SOCKET_MAP_IDS.get(place).is_some_and(|id| *id == map_id);
    if map_type == u64::from(BPF_MAP_TYPE_XSKMAP) && (is_ours(0) || is_ours(1)) {
        if let Some(value) = REDIRECT_ERRORS.get_ptr_mut(RedirectError::of(error) as u32) {
            // SAFETY: the kernel's pointer to this CPU's own value; the tracepoint is met in softirq alone, which
            // does not interrupt itself.
            unsafe { *value += 1 };
        }
    }
    0
}
