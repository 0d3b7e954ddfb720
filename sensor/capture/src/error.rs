//! Why a packet source cannot be opened or cannot go on: each message names the file or the
//! interface, what is wrong, and what to do about it.

use std::io;

/// A packet source that cannot be opened, or that fails in use.
///
/// An error of a file that was readable so far comes after every frame before the fault has been
/// delivered: what was recorded from them stays valid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// No interface of that name in this network namespace.
    #[error("there is no network interface {name:?} here; these exist: {existing}")]
    NoSuchInterface {
        /// The name that was asked for.
        name: String,
        /// The interfaces that exist, separated by commas.
        existing: String,
    },
    /// The process may not open packet sockets.
    #[error(
        "may not {action} on interface {interface:?}: the capability {capability} is missing; run as root, \
         or grant it with: setcap cap_net_raw,cap_net_admin+ep {program}"
    )]
    NoPermission {
        /// What was tried.
        action: &'static str,
        /// On which interface.
        interface: String,
        /// The capability that it takes.
        capability: &'static str,
        /// The path of the running program.
        program: String,
    },
    /// A system call on a packet socket failed.
    #[error("cannot {action} on interface {interface:?}: {source}")]
    Socket {
        /// What was tried.
        action: &'static str,
        /// On which interface.
        interface: String,
        /// The system's reason.
        source: io::Error,
    },
}
