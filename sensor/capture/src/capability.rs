//! What capturing takes of root's rights: one table of names, uses and remedies.

/// A capability of Linux (capabilities(7)).
#[derive(Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its name, such as `CAP_NET_RAW`.
    pub name: &'static str,
    /// What it is needed for.
    pub what_for: &'static str,
}

/// For packet sockets and AF_XDP's.
pub static NET_RAW: Capability =
    Capability { name: "CAP_NET_RAW", what_for: "opens packet and AF_XDP sockets" };
/// For the XDP program's place.
pub static NET_ADMIN: Capability =
    Capability { name: "CAP_NET_ADMIN", what_for: "attaches the XDP program to an interface" };
/// For the XDP program.
pub static BPF: Capability = Capability { name: "CAP_BPF", what_for: "loads the XDP program and its maps" };
/// For what the XDP program does.
pub static PERFMON: Capability =
    Capability { name: "CAP_PERFMON", what_for: "lets the XDP program be verified with pointers and stamps" };
/// For AF_XDP's memory, where the limit on locked memory is too low.
pub static IPC_LOCK: Capability =
    Capability { name: "CAP_IPC_LOCK", what_for: "locks the memory that frames are written to" };

/// What opening a socket takes.
pub(crate) static OF_SOCKETS: [&Capability; 1] = [&NET_RAW];
/// What loading and attaching the XDP program takes.
pub(crate) static OF_THE_PROGRAM: [&Capability; 3] = [&NET_ADMIN, &BPF, &PERFMON];

impl Capability {
    /// Several names, as people read them.
    pub fn names(capabilities: &[&Capability]) -> String {
        capabilities.iter().map(|capability| capability.name).collect::<Vec<_>>().join(", ")
    }

    /// The command that grants them to a program's file.
    pub fn setcap(capabilities: &[&Capability], program: &str) -> String {
        let names: Vec<String> =
            capabilities.iter().map(|capability| capability.name.to_lowercase()).collect();
        format!("setcap {}+ep {program}", names.join(","))
    }
}
