//! What the sensor may do: it says what it lacks before it opens anything, keeps what setting up
//! takes, and then gives everything up (DESIGN, invariant 12).

mod capabilities;
mod filter;

use nightjar_capture::{AfXdpConfig, host_use};
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, set_no_new_privs};

use crate::config::{Config, Method};
use capabilities::{Missing, Wanted};

/// What AF_XDP needs of a kernel older than this one while it runs: there even a map whose descriptor is
/// open is changed by who has CAP_BPF alone.
const MAPS_ARE_FREE_SINCE: (u32, u32) = (5, 19);

/// Keeps the capabilities that setting up takes and drops the others, so that what is opened from here
/// on is opened with the rights that the sensor will have.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn keep_what_setup_takes() -> Result<(), String> {
    capabilities::keep(Wanted::ALL, capabilities::Bounds::Drop)
}

/// How live interfaces may be captured with the capabilities that there are; before anything is opened.
///
/// # Errors
/// Every capability that is missing, and how to grant it.
pub(crate) fn check_live(config: &Config, interfaces: &[String]) -> Result<Method, String> {
    let held = capabilities::held()?;
    let of_xdp = Missing::new(&Wanted::AF_XDP, held, locked_memory(&config.af_xdp(interfaces)));
    let of_packet = Missing::new(&Wanted::AF_PACKET, held, None);
    // A port that this host uses itself is captured by AF_PACKET anyway.
    let wants_packet = match config.method {
        Method::AfPacket => true,
        Method::Auto => interfaces.iter().any(|name| host_use(name).is_some()),
        Method::AfXdp => false,
    };
    let missing = if wants_packet { &of_packet } else { &of_xdp };
    if missing.is_empty() {
        return Ok(config.method);
    }
    if config.method == Method::Auto && of_packet.is_empty() {
        let missing = missing.sentence();
        tracing::warn!("capturing by AF_PACKET and not by AF_XDP: {missing}");
        return Ok(Method::AfPacket);
    }
    Err(missing.message(&interfaces.join(", ")))
}

/// What AF_XDP locks, where that is more than this process may without `CAP_IPC_LOCK`.
fn locked_memory(config: &AfXdpConfig) -> Option<(u64, u64)> {
    let limit = getrlimit(Resource::Memlock).current?;
    let needed = config.locked_bytes();
    (needed > limit).then_some((needed, limit))
}

/// Gives up every capability that capturing does not take, and what a filter of system calls can take
/// away (unless `filtered` is false): for this thread and those that it starts from here on.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn give_up(filtered: bool) -> Result<(), String> {
    let kept = if maps_are_free() { CapabilitySet::empty() } else { CapabilitySet::BPF };
    capabilities::keep(kept, capabilities::Bounds::Leave)?;
    set_no_new_privs(true).map_err(|error| format!("cannot set no_new_privs: {error}"))?;
    if filtered {
        filter::install()?;
        tracing::info!("privileges are given up: capabilities dropped, system calls filtered");
    } else {
        tracing::warn!(
            "capabilities are dropped, but system calls are not filtered: process.seccomp is false"
        );
    }
    Ok(())
}

fn maps_are_free() -> bool {
    let uname = rustix::system::uname();
    version(&uname.release().to_string_lossy()).is_some_and(|running| running >= MAPS_ARE_FREE_SINCE)
}

/// The first two numbers of a kernel's release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_begins_with_the_version() {
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("5.19-rc1"), Some((5, 19)));
        assert!(
            version("5.4.0").unwrap() < MAPS_ARE_FREE_SINCE
                && version("6.1.0").unwrap() > MAPS_ARE_FREE_SINCE
        );
        assert_eq!(version("unknown"), None);
    }
}
