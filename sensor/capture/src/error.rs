//! Why a packet source cannot be opened or cannot go on: each message names the file or the
//! interface, what is wrong, and what to do about it.

use std::io;

use crate::capability::Capability;

/// A packet source that cannot be opened, or that fails in use.
///
/// An error of a file that was readable so far comes after every frame before the fault has been
/// delivered: what was recorded from them stays valid. Byte offsets count the decompressed stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// No file of that name.
    #[error("{file}: there is no such file; check the path")]
    Missing {
        /// The path that was asked for.
        file: String,
    },
    /// This user may not read the file.
    #[error("{file}: this user may not read it; grant it with chmod or chown, or run as its owner")]
    Refused {
        /// The file.
        file: String,
    },
    /// A folder where a file is expected.
    #[error("{file}: is a directory; name the capture files in it")]
    Directory {
        /// The folder.
        file: String,
    },
    /// A file without a single byte.
    #[error("{file}: is empty, not even a capture's header is in it; was the capture ever started?")]
    Empty {
        /// The file.
        file: String,
    },
    /// Neither pcap nor pcapng.
    #[error("{file}: is not a capture: {what}; pcap and pcapng are read, plain, gzip or zstd")]
    NotACapture {
        /// The file.
        file: String,
        /// What it looks like.
        what: String,
    },
    /// The frames begin with a link layer that is not decoded.
    #[error(
        "{file}: its frames have link type {number} (LINKTYPE_ number), which is not decoded; \
         Ethernet, Linux cooked (v1, v2), raw IP and NULL/loopback are"
    )]
    UnknownLink {
        /// The file.
        file: String,
        /// Its LINKTYPE number.
        number: u32,
    },
    /// The file ends in the middle of a record.
    #[error(
        "{file}: is cut off in what begins at byte {offset}: {what}; everything before it was read; \
         copy the file again, or go on with what there is"
    )]
    CutOff {
        /// The file.
        file: String,
        /// Where the incomplete record begins.
        offset: u64,
        /// What is missing.
        what: String,
    },
    /// The file contradicts itself.
    #[error(
        "{file}: is corrupt at byte {offset}: {what}; everything before it was read; \
         copy the file again, or go on with what there is"
    )]
    Corrupt {
        /// The file.
        file: String,
        /// Where the record at fault begins.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The system failed to open or read the file.
    #[error("{file}: cannot be read on from byte {offset}: {source}")]
    Read {
        /// The file.
        file: String,
        /// Where reading failed.
        offset: u64,
        /// The system's reason.
        source: io::Error,
    },
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
        "may not {action} on interface {interface:?}: it takes {}; run as root, or grant it with: {}",
        Capability::names(capabilities),
        Capability::setcap(capabilities, program)
    )]
    NoPermission {
        /// What was tried.
        action: &'static str,
        /// On which interface.
        interface: String,
        /// What it takes.
        capabilities: &'static [&'static Capability],
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
    /// The interface's link layer is not decoded.
    #[error(
        "interface {interface:?} has link layer {number} (ARPHRD_ number), which is not decoded; \
         Ethernet and interfaces that carry bare IP are"
    )]
    InterfaceLink {
        /// The interface.
        interface: String,
        /// Its ARPHRD number.
        number: u16,
    },
    /// A captured interface was removed, or moved to another network namespace.
    #[error(
        "interface {interface:?} is gone: it was removed or moved to another network namespace; \
         bring it back and start the capture again"
    )]
    InterfaceGone {
        /// The interface.
        interface: String,
    },
}
