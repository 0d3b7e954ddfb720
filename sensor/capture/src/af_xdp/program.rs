//! The XDP program of one interface: loading it with its settings, its maps, attaching it.

use std::collections::HashMap as Known;
use std::error::Error;
use std::os::fd::AsRawFd;

use aya::maps::{Array, HashMap, MapData, MapError, PerCpuArray, ProgramArray, XskMap};
use aya::programs::xdp::XdpLinkId;
use aya::programs::{Xdp, XdpMode};
use aya::{Ebpf, EbpfError, EbpfLoader, Pod};
use nightjar_wire::xdp::{Counter, EndpointKey, EndpointVerdict, PortSet, RealmKey, RedirectError, Settings};
use nightjar_wire::{InterfaceRealms, RealmRule};

use super::redirect_errors::RedirectErrors;
use crate::SourceError;
use crate::interface::explain_program;

/// The program as `ebpf/build` made it.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../../ebpf/nightjar.bpf.o");

/// Why the program does not run.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The kernel refused the program or a map.
    #[error("{0}")]
    Load(#[from] EbpfError),
    /// The kernel refused to verify or to attach it.
    #[error("{0}")]
    Attach(#[from] aya::programs::ProgramError),
    /// A map could not be read or written.
    #[error("{0}")]
    Map(#[from] MapError),
    /// A socket could not be asked.
    #[error("{0}")]
    Socket(#[from] std::io::Error),
}

impl ProgramError {
    /// The error as a source's, naming the interface and, for a refusal, the missing capability.
    pub(crate) fn explain(self, action: &'static str, interface: &str) -> SourceError {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&self);
        while let Some(error) = cause {
            let system = error.downcast_ref::<std::io::Error>();
            if let Some(code) = system.and_then(std::io::Error::raw_os_error) {
                return explain_program(std::io::Error::from_raw_os_error(code), action, interface);
            }
            cause = error.source();
        }
        explain_program(std::io::Error::other(self.to_string()), action, interface)
    }
}

/// Where in the kernel the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramMode {
    /// In the driver, before the kernel makes a buffer of its own of the frame.
    Native,
    /// In the kernel's stack: for drivers without XDP.
    Generic,
}

/// What the program is to do.
#[derive(Clone)]
pub struct ProgramConfig {
    /// Its settings.
    pub settings: Settings,
    /// UDP and TCP ports that carry signalling.
    pub signalling_ports: Vec<u16>,
    /// Which frames belong to which realm; its interface's own place is told apart by the name.
    pub realms: Vec<RealmRule>,
    /// How many endpoints the program can know.
    pub endpoints: u32,
}

impl Default for ProgramConfig {
    /// SIP's ports 5060 and 5061, everything in realm 0, media by shape, 262,144 endpoints.
    fn default() -> ProgramConfig {
        ProgramConfig {
            settings: Settings::new(),
            signalling_ports: vec![5060, 5061],
            realms: Vec::new(),
            endpoints: 1 << 18,
        }
    }
}

/// What the program does with tunnels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelMode {
    /// It looks into them: what no rule wants is dropped or passed there as elsewhere.
    SeenThrough,
    /// It hands all of them up, by its settings or because the kernel refused the program that looks
    /// into them.
    HandedUp,
}

/// What an endpoint's change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// The program knows it.
    Known,
    /// The map is full; the endpoint's media is told by its shape.
    Full,
}

/// The program on one interface; it is detached when this is dropped.
pub struct XdpProgram {
    ebpf: Ebpf,
    endpoints: HashMap<MapData, Key, u32>,
    counters: PerCpuArray<MapData, u64>,
    redirect_errors: RedirectErrors,
    link: Option<XdpLinkId>,
    /// Verdicts as the map holds them: its one writer need not ask it.
    known: Known<[u8; 20], u32>,
    /// Endpoints that found the map full.
    full: u64,
    tunnels: TunnelMode,
}

impl std::fmt::Debug for XdpProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("XdpProgram").field("attached", &self.link.is_some()).finish_non_exhaustive()
    }
}

#[repr(transparent)]
#[derive(Clone, Copy)]
struct Key(EndpointKey);
// SAFETY: plain integers without padding (16 + 2 + 2 bytes, aligned to 4).
unsafe impl Pod for Key {}

#[repr(transparent)]
#[derive(Clone, Copy)]
struct PlainRealmKey(RealmKey);
// SAFETY: two integers without padding.
unsafe impl Pod for PlainRealmKey {}

#[repr(transparent)]
#[derive(Clone, Copy)]
struct Constants(Settings);
// SAFETY: plain integers; laid out by the same definition in the program.
unsafe impl Pod for Constants {}

#[repr(transparent)]
#[derive(Clone, Copy)]
struct Ports(PortSet);
// SAFETY: an array of integers.
unsafe impl Pod for Ports {}

impl XdpProgram {
    /// Loads the program for an interface; it does nothing before [`XdpProgram::attach`].
    ///
    /// # Errors
    /// When the kernel refuses it: `CAP_BPF` and `CAP_PERFMON` (or `CAP_SYS_ADMIN`) and memory for
    /// the maps are needed.
    pub fn load(config: &ProgramConfig, interface: &str) -> Result<XdpProgram, ProgramError> {
        let mut set: PortSet = [0; 1024];
        for port in &config.signalling_ports {
            set[usize::from(port >> 6)] |= 1 << (port & 63);
        }
        let realms = InterfaceRealms::new(&config.realms, Some(interface));
        let settings = Settings {
            realm: realms.of_interface().0,
            realm_by_vlan: u16::from(realms.vlans().next().is_some()),
            realm_by_key: u16::from(!realm_keys(&realms).is_empty()),
            ..config.settings
        };
        let (constants, ports) = (Constants(settings), Ports(set));
        let mut ebpf = EbpfLoader::new()
            .override_global("SETTINGS", &constants, true)
            .override_global("SIGNALLING_PORTS", &ports, true)
            .map_max_entries("ENDPOINTS", config.endpoints)
            .map_max_entries("REALM_KEYS", realm_keys(&realms).len().max(1) as u32)
            .load(OBJECT)?;
        let mut by_vlan: Array<_, u16> = Array::try_from(map(&mut ebpf, "REALMS"))?;
        if settings.realm_by_vlan != 0 {
            (0..4096).try_for_each(|vlan| by_vlan.set(vlan, settings.realm, 0))?;
            realms.vlans().try_for_each(|(vlan, realm)| by_vlan.set(u32::from(vlan), realm.0, 0))?;
        }
        let mut by_key: HashMap<_, PlainRealmKey, u32> = HashMap::try_from(map(&mut ebpf, "REALM_KEYS"))?;
        for (key, realm) in realm_keys(&realms) {
            by_key.insert(PlainRealmKey(key), u32::from(realm), 0)?;
        }
        let endpoints = HashMap::try_from(taken(&mut ebpf, "ENDPOINTS"))?;
        let counters = PerCpuArray::try_from(taken(&mut ebpf, "COUNTERS"))?;
        let redirect_errors = RedirectErrors::watch(&mut ebpf)?;
        xdp(&mut ebpf, "nightjar").load()?;
        let tunnels = load_tunnel(&mut ebpf, &settings)?;
        Ok(XdpProgram {
            ebpf,
            endpoints,
            counters,
            redirect_errors,
            link: None,
            known: Known::new(),
            full: 0,
            tunnels,
        })
    }

    /// What it does with tunnels.
    pub fn tunnels(&self) -> TunnelMode {
        self.tunnels
    }

    /// Gives the frames of a queue to its sockets.
    pub(super) fn set_sockets(
        &mut self,
        queue: u32,
        signalling: impl AsRawFd,
        media: impl AsRawFd,
    ) -> Result<(), ProgramError> {
        XskMap::try_from(map(&mut self.ebpf, "SIGNALLING_SOCKETS"))?.set(queue, signalling, 0)?;
        XskMap::try_from(map(&mut self.ebpf, "MEDIA_SOCKETS"))?.set(queue, media, 0)?;
        Ok(())
    }

    /// Attaches the program to an interface.
    ///
    /// # Errors
    /// When the driver has no XDP ([`ProgramMode::Native`]) or another program is attached.
    pub fn attach(&mut self, interface_index: u32, mode: ProgramMode) -> Result<(), ProgramError> {
        let mode = match mode {
            ProgramMode::Native => XdpMode::Driver,
            ProgramMode::Generic => XdpMode::Skb,
        };
        self.link = Some(xdp(&mut self.ebpf, "nightjar").attach_to_if_index(interface_index, mode)?);
        Ok(())
    }

    /// Takes the program off its interface; frames go to the kernel's stack from here on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn detach(&mut self) -> Result<(), ProgramError> {
        match self.link.take() {
            Some(link) => Ok(xdp(&mut self.ebpf, "nightjar").detach(link)?),
            None => Ok(()),
        }
    }

    /// Tells the program of an endpoint. In force for the next frame that it sees.
    ///
    /// # Errors
    /// When the kernel refuses for another reason than a full map.
    pub fn learn(&mut self, key: EndpointKey, verdict: EndpointVerdict) -> Result<Learned, ProgramError> {
        let bytes = key_bytes(&key);
        if self.known.get(&bytes) == Some(&(verdict as u32)) {
            return Ok(Learned::Known);
        }
        match self.endpoints.insert(Key(key), verdict as u32, 0) {
            Ok(()) => {
                self.known.insert(bytes, verdict as u32);
                Ok(Learned::Known)
            }
            Err(error) if is_full(&error) => {
                self.full += 1;
                Ok(Learned::Full)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// As [`XdpProgram::learn`]; what cannot be told counts as full: its media is told by shape.
    pub(super) fn learn_or_count(&mut self, key: EndpointKey, verdict: EndpointVerdict) {
        self.full += u64::from(self.learn(key, verdict).is_err());
    }

    /// As [`XdpProgram::forget`]; an endpoint that cannot be forgotten keeps its place.
    pub(super) fn forget_or_count(&mut self, key: EndpointKey) {
        self.full += u64::from(self.forget(key).is_err());
    }

    /// Lets the program forget an endpoint.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn forget(&mut self, key: EndpointKey) -> Result<(), ProgramError> {
        if self.known.remove(&key_bytes(&key)).is_some() {
            self.endpoints.remove(&Key(key))?;
        }
        Ok(())
    }

    /// How often an endpoint found the map full, or the map refused a change.
    pub fn full(&self) -> u64 {
        self.full
    }

    /// What the program has counted, over all CPUs, by [`Counter`]'s numbers.
    ///
    /// # Errors
    /// When the kernel refuses to read the map.
    pub fn counters(&self) -> Result<[u64; Counter::ALL.len()], ProgramError> {
        let mut sums = [0; Counter::ALL.len()];
        for (number, sum) in (0..).zip(&mut sums) {
            *sum = self.counters.get(&number, 0)?.iter().sum();
        }
        Ok(sums)
    }

    /// Redirects that failed, over all CPUs, by [`RedirectError`]'s numbers.
    ///
    /// # Errors
    /// When the kernel refuses to read the map.
    pub fn redirect_errors(&self) -> Result<[u64; RedirectError::ALL.len()], ProgramError> {
        self.redirect_errors.counts()
    }
}

/// Lets the program that looks into tunnels in, which the first one calls; where the kernel refuses it,
/// that one goes on by itself.
fn load_tunnel(ebpf: &mut Ebpf, settings: &Settings) -> Result<TunnelMode, ProgramError> {
    let program = xdp(ebpf, "tunnel");
    if settings.see_through == 0 || program.load().is_err() {
        return Ok(TunnelMode::HandedUp);
    }
    let fd = program.fd()?.try_clone()?;
    ProgramArray::try_from(map(ebpf, "TUNNEL"))?.set(0, &fd, 0)?;
    Ok(TunnelMode::SeenThrough)
}

/// What the realms say of tunnels and of pairs of VLANs, as the program's map knows it.
fn realm_keys(realms: &InterfaceRealms) -> Vec<(RealmKey, u16)> {
    let tunnels = realms.tunnels().map(|(tunnel, realm)| (RealmKey::of_tunnel(tunnel), realm.0));
    let pairs =
        realms.vlan_pairs().map(|((outer, inner), realm)| (RealmKey::of_vlans(outer, inner), realm.0));
    tunnels.chain(pairs).collect()
}

fn key_bytes(key: &EndpointKey) -> [u8; 20] {
    let mut bytes = [0; 20];
    for (place, word) in bytes.chunks_exact_mut(4).zip(key.addr) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    bytes[16..18].copy_from_slice(&key.port.to_ne_bytes());
    bytes[18..].copy_from_slice(&key.realm.to_ne_bytes());
    bytes
}

fn is_full(error: &MapError) -> bool {
    matches!(error, MapError::SyscallError(error) if error.io_error.raw_os_error() == Some(libc::E2BIG))
}

pub(super) fn map<'e>(ebpf: &'e mut Ebpf, name: &str) -> &'e mut aya::maps::Map {
    ebpf.map_mut(name).expect("a map of the committed object")
}

pub(super) fn taken(ebpf: &mut Ebpf, name: &str) -> aya::maps::Map {
    ebpf.take_map(name).expect("a map of the committed object")
}

fn xdp<'e>(ebpf: &'e mut Ebpf, name: &str) -> &'e mut Xdp {
    let program = ebpf.program_mut(name).expect("a program of the committed object");
    program.try_into().expect("an XDP program")
}
