//! A raw packet socket (AF_PACKET): opening it, its options, what it is bound to.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::SourceError;
use crate::interface::{interface_index, is_up, last_error};

/// A packet socket and the interface that it is for.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    fd: OwnedFd,
    interface: String,
    index: libc::c_int,
}

/// What a packet socket is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Its interface, with the interface's link layer (an ARPHRD number).
    Interface(u16),
    /// An interface that no longer exists in the socket's namespace.
    Gone,
}

impl PacketSocket {
    /// Opens a raw packet socket for `interface` that receives nothing until it is bound.
    pub(crate) fn open(interface: &str) -> Result<PacketSocket, SourceError> {
        let index = interface_index(interface)? as libc::c_int;
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
        let mut address = no_address();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol.to_be();
        address.sll_ifindex = self.index;
        let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: `address` is a whole sockaddr_ll and its size is passed.
        let result = unsafe { libc::bind(self.raw(), (&raw const address).cast(), len) };
        self.checked(result, "bind a packet socket")
    }

    /// Asks the interface for all frames, not only its own, as long as the socket is open.
    pub(crate) fn enter_promiscuous_mode(&self) -> Result<(), SourceError> {
        let membership = libc::packet_mreq {
            mr_ifindex: self.index,
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        self.set(libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &membership, "enter promiscuous mode")
    }

    /// What the socket is bound to now.
    pub(crate) fn bound(&self) -> Result<Bound, SourceError> {
        let mut address = no_address();
        let mut len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: `address` and `len` are live, and `len` says the room that `address` has.
        let result = unsafe { libc::getsockname(self.raw(), (&raw mut address).cast(), &raw mut len) };
        self.checked(result, "ask for its state")?;
        // The kernel sets the index to -1 when the interface is removed.
        let gone = address.sll_ifindex != self.index;
        Ok(if gone { Bound::Gone } else { Bound::Interface(address.sll_hatype) })
    }

    /// Sets one option from a plain value (an integer or a kernel structure).
    pub(crate) fn set<T: Copy>(
        &self,
        level: libc::c_int,
        option: libc::c_int,
        value: &T,
        action: &'static str,
    ) -> Result<(), SourceError> {
        let (value, len) = (std::ptr::from_ref(value), size_of::<T>() as libc::socklen_t);
        // SAFETY: the kernel reads `size_of::<T>()` bytes from a live reference to `T`.
        let result = unsafe { libc::setsockopt(self.raw(), level, option, value.cast(), len) };
        self.checked(result, action)
    }

    /// Reads one option into `value`, a plain integer or a kernel structure of integers.
    pub(crate) fn get<T: Copy>(
        &self,
        level: libc::c_int,
        option: libc::c_int,
        value: &mut T,
        action: &'static str,
    ) -> Result<(), SourceError> {
        let mut len = size_of::<T>() as libc::socklen_t;
        // SAFETY: the kernel writes `size_of::<T>()` bytes at most into a live, exclusive `T`; every
        // caller passes integers or structures of integers, for which any bytes are a value.
        let result = unsafe {
            libc::getsockopt(self.raw(), level, option, std::ptr::from_mut(value).cast(), &raw mut len)
        };
        self.checked(result, action)
    }

    /// The socket's pending error, cleared by asking (`SO_ERROR`); `None` when there is none.
    pub(crate) fn take_error(&self) -> Result<Option<io::Error>, SourceError> {
        let mut code: libc::c_int = 0;
        self.get(libc::SOL_SOCKET, libc::SO_ERROR, &mut code, "ask for its error")?;
        Ok((code != 0).then(|| io::Error::from_raw_os_error(code)))
    }

    /// Whether the interface is up, by its flags; false when it cannot be asked.
    pub(crate) fn is_up(&self) -> bool {
        is_up(self.raw(), &self.interface)
    }

    /// The descriptor, for system calls on it.
    pub(crate) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The interface's name.
    pub(crate) fn interface(&self) -> &str {
        &self.interface
    }

    fn checked(&self, result: libc::c_int, action: &'static str) -> Result<(), SourceError> {
        if result < 0 { Err(last_error(action, &self.interface)) } else { Ok(()) }
    }
}

fn no_address() -> libc::sockaddr_ll {
    libc::sockaddr_ll {
        sll_family: 0,
        sll_protocol: 0,
        sll_ifindex: 0,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    }
}
