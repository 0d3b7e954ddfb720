//! Network interfaces of this namespace: a name to its index, and what to say when there is none.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::RawFd;

use crate::SourceError;
use crate::capability::{self, Capability};
use crate::ethtool::Ethtool;

/// The kernel's index of interface `name` in this thread's network namespace.
///
/// # Errors
/// [`SourceError::NoSuchInterface`], which lists those that exist.
pub fn interface_index(name: &str) -> Result<u32, SourceError> {
    let index = CString::new(name).map_or(0, |c_name| {
        // SAFETY: `c_name` is a NUL-terminated string that outlives the call.
        unsafe { libc::if_nametoindex(c_name.as_ptr()) }
    });
    if index != 0 {
        return Ok(index);
    }
    let existing = interface_names();
    let existing = if existing.is_empty() { "none".to_owned() } else { existing.join(", ") };
    Err(SourceError::NoSuchInterface { name: name.to_owned(), existing })
}

/// The names of all interfaces of this thread's network namespace, in the kernel's order; empty
/// when the kernel refuses to list them.
pub fn interface_names() -> Vec<String> {
    let mut names = Vec::new();
    // SAFETY: no arguments; the list that comes back is freed below.
    let list = unsafe { libc::if_nameindex() };
    if list.is_null() {
        return names;
    }
    let mut entry = list;
    // SAFETY: the list is an array that ends with an entry of index 0 and a null name; each
    // entry before it holds a NUL-terminated name, valid until `if_freenameindex`.
    unsafe {
        while (*entry).if_index != 0 && !(*entry).if_name.is_null() {
            names.push(CStr::from_ptr((*entry).if_name).to_string_lossy().into_owned());
            entry = entry.add(1);
        }
        libc::if_freenameindex(list);
    }
    names
}

/// What this host does with an interface besides capturing from it; `None` for a port that nothing here
/// uses, as a mirror port should be. Frames that are redirected to AF_XDP sockets would be missing there.
pub fn host_use(name: &str) -> Option<&'static str> {
    let kernel = std::path::Path::new("/sys/class/net").join(name);
    if kernel.join("master").exists() {
        return Some("it is a port of a bridge or a bond");
    }
    if kernel.join("bridge").exists() {
        return Some("it is a bridge");
    }
    has_address(name).then_some("it has an IP address of this host")
}

/// Whether an interface has an address other than IPv6's link-local, which each has by itself.
fn has_address(name: &str) -> bool {
    let mut list = std::ptr::null_mut();
    // SAFETY: the list that comes back is freed below.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return false;
    }
    let (mut entry, mut found) = (list, false);
    // SAFETY: a list of nodes that stay valid until `freeifaddrs`; names are NUL-terminated, addresses
    // null or as long as their family says.
    unsafe {
        while let Some(node) = entry.as_ref() {
            if CStr::from_ptr(node.ifa_name).to_bytes() == name.as_bytes()
                && let Some(address) = node.ifa_addr.as_ref()
            {
                found |= match libc::c_int::from(address.sa_family) {
                    libc::AF_INET => true,
                    libc::AF_INET6 => {
                        let address: libc::sockaddr_in6 =
                            node.ifa_addr.cast::<libc::sockaddr_in6>().read_unaligned();
                        let octets = address.sin6_addr.s6_addr;
                        !(octets[0] == 0xfe && octets[1] & 0xc0 == 0x80)
                    }
                    _ => false,
                };
            }
            entry = node.ifa_next;
        }
        libc::freeifaddrs(list);
    }
    found
}

/// How many receive queues an interface has, by its driver; 1 when that cannot be asked.
pub fn receive_queues(name: &str) -> u32 {
    let channels = Ethtool::open(name).and_then(|ethtool| ethtool.channels());
    channels.map_or(1, |channels| (channels.now.receive + channels.now.combined).max(1))
}

/// Puts an interface's name into a request; a longer one than any can have is cut.
pub(crate) fn write_name(request: &mut libc::ifreq, name: &str) {
    let room = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name[..room].iter_mut().zip(name.as_bytes()) {
        *to = *from as libc::c_char;
    }
}

/// Whether an interface is up, asked through any socket; false when it cannot be asked.
pub(crate) fn is_up(socket: RawFd, name: &str) -> bool {
    // SAFETY: all-zero bytes are a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    write_name(&mut request, name);
    // SAFETY: `request` is a live ifreq with a NUL-terminated name, which is what this request
    // reads and writes; the kernel leaves flags in the union.
    unsafe {
        libc::ioctl(socket, libc::SIOCGIFFLAGS, &raw mut request) == 0
            && libc::c_int::from(request.ifr_ifru.ifru_flags) & libc::IFF_UP != 0
    }
}

/// The error of a system call that failed just now while doing `action` on `interface`.
pub(crate) fn last_error(action: &'static str, interface: &str) -> SourceError {
    explain(io::Error::last_os_error(), action, interface)
}

/// Turns a bare `EPERM` into what a socket takes.
pub(crate) fn explain(source: io::Error, action: &'static str, interface: &str) -> SourceError {
    explain_refusal(source, action, interface, &capability::OF_SOCKETS)
}

/// As [`explain`], for the XDP program.
pub(crate) fn explain_program(source: io::Error, action: &'static str, interface: &str) -> SourceError {
    explain_refusal(source, action, interface, &capability::OF_THE_PROGRAM)
}

fn explain_refusal(
    source: io::Error,
    action: &'static str,
    interface: &str,
    capabilities: &'static [&'static Capability],
) -> SourceError {
    let interface = interface.to_owned();
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            let program = std::env::current_exe()
                .map_or_else(|_| "the program's file".to_owned(), |path| path.to_string_lossy().into_owned());
            SourceError::NoPermission { action, interface, capabilities, program }
        }
        _ => SourceError::Socket { action, interface, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_interface_names_those_that_exist() {
        let message = interface_index("nightjar-none").unwrap_err().to_string();
        assert!(message.contains("nightjar-none"), "{message}");
        assert!(interface_names().iter().all(|name| message.contains(name)), "{message}");
    }

    #[test]
    fn a_name_that_no_interface_can_have_is_unknown() {
        assert!(matches!(interface_index("a\0b"), Err(SourceError::NoSuchInterface { .. })));
    }

    #[test]
    fn a_refused_permission_names_the_capability_and_its_remedy() {
        let refused = io::Error::from_raw_os_error(libc::EPERM);
        let message = explain(refused, "open a packet socket", "eth9").to_string();
        for part in ["eth9", "CAP_NET_RAW", "setcap cap_net_raw+ep /"] {
            assert!(message.contains(part), "{message}");
        }
        let refused = io::Error::from_raw_os_error(libc::EPERM);
        let message = explain_program(refused, "load the XDP program", "eth9").to_string();
        assert!(message.contains("CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON"), "{message}");
        assert!(message.contains("setcap cap_net_admin,cap_bpf,cap_perfmon+ep /"), "{message}");
    }
}
