//! The program's maps and settings. The sensor writes them; the program counts.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, PerCpuArray, XskMap};
use nightjar_wire::xdp::{Counter, EndpointKey, EndpointVerdict, MAX_QUEUES, PortSet, Settings, Tables};

/// Learned endpoints and verdicts. The sensor sets its size when it loads the program.
#[map]
static ENDPOINTS: HashMap<EndpointKey, u32> = HashMap::with_max_entries(1 << 16, 0);

/// Realms of VLANs, asked where the settings say so.
#[map]
static REALMS: Array<u16> = Array::with_max_entries(4096, 0);

/// What was counted, by [`Counter`], for each CPU.
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Counter::ALL.len() as u32, 0);

/// The signalling socket of each queue.
#[map]
pub static SIGNALLING_SOCKETS: XskMap = XskMap::with_max_entries(MAX_QUEUES, 0);

/// The media socket of each queue.
#[map]
pub static MEDIA_SOCKETS: XskMap = XskMap::with_max_entries(MAX_QUEUES, 0);

/// Written when the program is loaded, constant for the verifier.
#[unsafe(no_mangle)]
static SETTINGS: Settings = Settings::new();

/// Written when the program is loaded: the ports that carry signalling.
#[unsafe(no_mangle)]
static SIGNALLING_PORTS: PortSet = [0; 1024];

/// The settings, as the loader wrote them.
#[inline(always)]
pub fn settings() -> &'static Settings {
    // SAFETY: a valid static; `read_volatile`'s purpose without the copy: the compiler must not take
    // the value that it sees here for the one that the loader puts in its place.
    unsafe { &*core::hint::black_box(&raw const SETTINGS) }
}

/// Adds to a counter of this CPU.
#[inline(always)]
pub fn count(counter: Counter, amount: u64) {
    if let Some(value) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the kernel's pointer to this CPU's own value; nobody else writes it meanwhile.
        unsafe { *value += amount };
    }
}

/// The realm of a frame with this VLAN id.
#[inline(always)]
pub fn realm(vlan: u16) -> u16 {
    if settings().realm_by_vlan == 0 {
        return settings().realm;
    }
    REALMS.get(u32::from(vlan)).copied().unwrap_or(settings().realm)
}

/// The maps as [`nightjar_wire::xdp::decide`] asks them.
pub struct Kernel;

impl Tables for Kernel {
    #[inline(always)]
    fn verdict(&self, key: &EndpointKey) -> Option<EndpointVerdict> {
        // SAFETY: the value is a number that its one writer replaces whole.
        let value = unsafe { ENDPOINTS.get(key) }?;
        EndpointVerdict::from_value(*value)
    }

    #[inline(always)]
    fn is_signalling_port(&self, port: u16) -> bool {
        // SAFETY: a valid static; see `settings`.
        let ports = unsafe { &*core::hint::black_box(&raw const SIGNALLING_PORTS) };
        let word = ports[usize::from(port >> 6) & 1023];
        word >> (port & 63) & 1 == 1
    }
}
