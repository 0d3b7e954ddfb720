//! Capabilities: which are wanted and for what, which are missing, which are kept.

use std::fmt::Write as _;

use nightjar_capture::capability::{self, Capability};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

/// A capability that is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    set: CapabilitySet,
    is: &'static Capability,
}

const NET_RAW: Wanted = Wanted { set: CapabilitySet::NET_RAW, is: &capability::NET_RAW };
const NET_ADMIN: Wanted = Wanted { set: CapabilitySet::NET_ADMIN, is: &capability::NET_ADMIN };
const BPF: Wanted = Wanted { set: CapabilitySet::BPF, is: &capability::BPF };
const PERFMON: Wanted = Wanted { set: CapabilitySet::PERFMON, is: &capability::PERFMON };
const IPC_LOCK: Wanted = Wanted { set: CapabilitySet::IPC_LOCK, is: &capability::IPC_LOCK };

impl Wanted {
    /// What AF_PACKET takes.
    pub(super) const AF_PACKET: [Wanted; 1] = [NET_RAW];
    /// What AF_XDP takes; the last one where memory may not be locked without it.
    pub(super) const AF_XDP: [Wanted; 5] = [NET_RAW, NET_ADMIN, BPF, PERFMON, IPC_LOCK];
    /// What setting up takes at most.
    pub(super) const ALL: CapabilitySet = CapabilitySet::NET_RAW
        .union(CapabilitySet::NET_ADMIN)
        .union(CapabilitySet::BPF)
        .union(CapabilitySet::PERFMON)
        .union(CapabilitySet::IPC_LOCK);
}

/// What happens to the bounding set, beyond which no program that is started comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bounds {
    /// It is emptied, where this process may.
    Drop,
    /// It stays as it is.
    Leave,
}

/// The capabilities in force.
///
/// # Errors
/// When the kernel does not say.
pub(super) fn held() -> Result<CapabilitySet, String> {
    let sets = capabilities(None).map_err(|error| format!("cannot ask for the capabilities: {error}"))?;
    Ok(sets.effective)
}

/// Keeps those of `wanted` that are permitted, in force, and drops all others.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn keep(wanted: CapabilitySet, bounds: Bounds) -> Result<(), String> {
    let cannot = |error| format!("cannot drop capabilities: {error}");
    let sets = capabilities(None).map_err(cannot)?;
    if bounds == Bounds::Drop && sets.effective.contains(CapabilitySet::SETPCAP) {
        for number in 0..u64::BITS {
            let one = CapabilitySet::from_bits_retain(1 << number);
            // The kernel refuses numbers that it has no capability for.
            if capability_is_in_bounding_set(one).unwrap_or(false) {
                remove_capability_from_bounding_set(one).map_err(cannot)?;
            }
        }
    }
    clear_ambient_capability_set().map_err(cannot)?;
    let kept = sets.permitted.intersection(wanted);
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(cannot)
}

/// Capabilities that are wanted and not held.
#[derive(Debug)]
pub(super) struct Missing {
    missing: Vec<&'static Wanted>,
    /// Bytes that would be locked, and the limit, where that is why one is missing.
    memory: Option<(u64, u64)>,
}

impl Missing {
    /// Those of `wanted` that are not in `held`; the one for memory only where `memory` (needed and
    /// allowed bytes) asks for it.
    pub(super) fn new(wanted: &'static [Wanted], held: CapabilitySet, memory: Option<(u64, u64)>) -> Missing {
        let lacks = |one: &&Wanted| {
            !held.contains(one.set) && (one.set != CapabilitySet::IPC_LOCK || memory.is_some())
        };
        Missing { missing: wanted.iter().filter(lacks).collect(), memory }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }

    /// For a log.
    pub(super) fn sentence(&self) -> String {
        format!("missing: {}", Capability::names(&self.capabilities()))
    }

    /// For the error that ends the program.
    pub(super) fn message(&self, interfaces: &str) -> String {
        let mut text = format!("may not capture from {interfaces}; missing:");
        for Wanted { set, is: Capability { name, what_for } } in &self.missing {
            let _ = write!(text, "\n  {name}: {what_for}");
            if let (CapabilitySet::IPC_LOCK, Some((needed, limit))) = (*set, self.memory) {
                let (needed, limit) = (needed >> 10, limit >> 10);
                let _ = write!(
                    text,
                    " ({needed} KiB, and the limit on locked memory is {limit} KiB: raise it instead)"
                );
            }
        }
        let missing = self.capabilities();
        let names: Vec<&str> = missing.iter().map(|capability| capability.name).collect();
        let names = names.join(" ");
        let _ = write!(text, "\n  run as root, or let systemd grant them: AmbientCapabilities={names}");
        let program =
            std::env::current_exe().map_or_else(|_| "FILE".to_owned(), |path| path.display().to_string());
        let _ = write!(text, "\n  or: {}", Capability::setcap(&missing, &program));
        if self.missing.iter().all(|one| one.set != CapabilitySet::NET_RAW) {
            text.push_str("\n  or set capture.method = \"af_packet\", which takes CAP_NET_RAW alone");
        }
        text
    }

    fn capabilities(&self) -> Vec<&'static Capability> {
        self.missing.iter().map(|one| one.is).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_capability_is_named_with_its_use() {
        let missing = Missing::new(&Wanted::AF_XDP, CapabilitySet::NET_RAW, Some((24 << 20, 8 << 20)));
        let message = missing.message("eth1");
        for part in
            ["eth1", "CAP_NET_ADMIN: attaches", "CAP_BPF: ", "CAP_PERFMON: ", "CAP_IPC_LOCK: ", "24576 KiB"]
        {
            assert!(message.contains(part), "no {part:?} in {message}");
        }
        assert!(message.contains("setcap cap_net_admin,cap_bpf,cap_perfmon,cap_ipc_lock+ep"), "{message}");
        assert!(message.contains("af_packet") && !message.contains("CAP_NET_RAW:"), "{message}");
        assert_eq!(missing.sentence(), "missing: CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON, CAP_IPC_LOCK");
    }

    #[test]
    fn memory_within_the_limit_is_locked_without_a_capability() {
        let held = Wanted::ALL.difference(CapabilitySet::IPC_LOCK);
        assert!(Missing::new(&Wanted::AF_XDP, held, None).is_empty());
        assert!(Missing::new(&Wanted::AF_PACKET, CapabilitySet::NET_RAW, None).is_empty());
        assert!(!Missing::new(&Wanted::AF_PACKET, CapabilitySet::empty(), None).is_empty());
    }
}
