//! A raw packet socket (AF_PACKET): opening it, its options, binding it to an interface.

use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::SourceError;
use crate::interface::last_error;

/// A packet socket and the interface that it is for.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    fd: OwnedFd,
    interface: String,
    index: u32,
}

impl PacketSocket {
    /// Opens a raw packet socket for `interface` that receives nothing until it is bound.
    pub(crate) fn open(interface: &str) -> Result<PacketSocket, SourceError> {
        let index = crate::interface::interface_index(interface)?;
        // SAFETY: a system call without pointers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(last_error("open a packet socket", interface));
        }
        // SAFETY: `fd` is a fresh descriptor that nothing else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(PacketSocket { fd, interface: interface.to_owned(), index })
    }

    /// Binds to the interface; `protocol` is an ethertype in host order, 0 to receive nothing.
    pub(crate) fn bind(&self, protocol: u16) -> Result<(), SourceError> {
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: protocol.to_be(),
            sll_ifindex: self.index as i32,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        // SAFETY: `address` is a whole sockaddr_ll and its size is passed.
        let result = unsafe {
            libc::bind(
                self.raw(),
                (&raw const address).cast::<libc::sockaddr>(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if result < 0 { Err(last_error("bind a packet socket", &self.interface)) } else { Ok(()) }
    }

    /// Sets one socket option from a plain value (an integer or a kernel structure).
    pub(crate) fn set<T: Copy>(
        &self,
        level: libc::c_int,
        option: libc::c_int,
        value: &T,
        action: &'static str,
    ) -> Result<(), SourceError> {
        // SAFETY: the kernel reads `size_of::<T>()` bytes from a live reference to `T`.
        let result = unsafe {
            libc::setsockopt(
                self.raw(),
                level,
                option,
                std::ptr::from_ref(value).cast(),
                size_of::<T>() as libc::socklen_t,
            )
        };
        if result < 0 { Err(last_error(action, &self.interface)) } else { Ok(()) }
    }

    /// The descriptor, for system calls on it.
    pub(crate) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The interface's name.
    pub(crate) fn interface(&self) -> &str {
        &self.interface
    }
}
