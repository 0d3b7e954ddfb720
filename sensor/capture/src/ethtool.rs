//! What a network driver says about an interface and lets us set: the ioctl behind the `ethtool` program
//! (`linux/ethtool.h`). Every structure of it is a row of numbers, so each request is a buffer of bytes.

mod features;
mod flow;
mod rss;

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use serde::{Deserialize, Serialize};

use crate::interface::write_name;

pub use features::Feature;
pub use flow::{FlowKind, FlowRule, HashFields};
pub use rss::Rss;

const GDRVINFO: u32 = 0x03;
const GCOALESCE: u32 = 0x0e;
const GRINGPARAM: u32 = 0x10;
const SRINGPARAM: u32 = 0x11;
const GSTRINGS: u32 = 0x1b;
const GSTATS: u32 = 0x1d;
const GSSET_INFO: u32 = 0x37;
const GCHANNELS: u32 = 0x3c;
const SCHANNELS: u32 = 0x3d;

/// The set of strings that name the counters (`ETH_SS_STATS`).
const STATISTIC_NAMES: u32 = 1;
/// Bytes of a name in a set of strings.
const NAME_LENGTH: usize = 32;
/// Most names that a set may have; a driver that says more is not believed.
const MAX_NAMES: usize = 1 << 16;

/// One interface's driver, asked in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Ethtool {
    socket: OwnedFd,
    interface: String,
}

/// Which driver runs an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DriverInfo {
    /// The driver's name, such as `ixgbe`.
    pub driver: String,
    /// The firmware's version; empty where there is none.
    pub firmware: String,
    /// The device's address on its bus, such as `0000:03:00.0`; empty for a virtual interface.
    pub bus: String,
}

/// Numbers of queues. A driver has either combined queues or receive and transmit queues of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelCounts {
    /// Receive queues alone.
    pub receive: u32,
    /// Transmit queues alone.
    pub transmit: u32,
    /// Interrupts for something else.
    pub other: u32,
    /// Queues that do both.
    pub combined: u32,
}

/// Queues as they are and as they may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    /// As they are.
    pub now: ChannelCounts,
    /// The most that the driver takes.
    pub most: ChannelCounts,
}

/// Descriptors of each receive and transmit ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rings {
    /// Receive descriptors now.
    pub receive: u32,
    /// Transmit descriptors now.
    pub transmit: u32,
    /// Most receive descriptors.
    pub most_receive: u32,
    /// Most transmit descriptors.
    pub most_transmit: u32,
}

/// When the interface interrupts for received packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coalescing {
    /// Microseconds after the first packet.
    pub receive_us: u32,
    /// Packets after which it does not wait any longer.
    pub receive_frames: u32,
    /// The driver changes both by itself.
    pub adaptive: bool,
}

impl Ethtool {
    /// Prepares to ask about `interface`; whether it exists shows in the first answer.
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub fn open(interface: &str) -> io::Result<Ethtool> {
        // SAFETY: no pointers are passed.
        let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was opened above and belongs to nobody else.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        Ok(Ethtool { socket, interface: interface.to_owned() })
    }

    /// The driver.
    ///
    /// # Errors
    /// The kernel's: no such interface, or the driver does not say.
    pub fn driver(&self) -> io::Result<DriverInfo> {
        let mut request = Request::new(GDRVINFO, 196);
        self.ask(&mut request)?;
        Ok(DriverInfo {
            driver: request.text_at(4, NAME_LENGTH),
            firmware: request.text_at(68, NAME_LENGTH),
            bus: request.text_at(100, NAME_LENGTH),
        })
    }

    /// The queues.
    ///
    /// # Errors
    /// The kernel's; `EOPNOTSUPP` where the driver has no such setting.
    pub fn channels(&self) -> io::Result<Channels> {
        let mut request = Request::new(GCHANNELS, 36);
        self.ask(&mut request)?;
        let counts = |at: usize| ChannelCounts {
            receive: request.u32_at(at),
            transmit: request.u32_at(at + 4),
            other: request.u32_at(at + 8),
            combined: request.u32_at(at + 12),
        };
        Ok(Channels { most: counts(4), now: counts(20) })
    }

    /// Sets the numbers of queues.
    ///
    /// # Errors
    /// The kernel's; most drivers refuse while queues have AF_XDP sockets.
    pub fn set_channels(&self, counts: ChannelCounts) -> io::Result<()> {
        let mut request = Request::new(SCHANNELS, 36);
        let values = [counts.receive, counts.transmit, counts.other, counts.combined];
        for (at, value) in (20..).step_by(4).zip(values) {
            request.put_u32(at, value);
        }
        self.ask(&mut request).map(drop)
    }

    /// The rings' sizes.
    ///
    /// # Errors
    /// The kernel's; `EOPNOTSUPP` where the driver has no such setting.
    pub fn rings(&self) -> io::Result<Rings> {
        let mut request = Request::new(GRINGPARAM, 36);
        self.ask(&mut request)?;
        Ok(Rings {
            most_receive: request.u32_at(4),
            most_transmit: request.u32_at(16),
            receive: request.u32_at(20),
            transmit: request.u32_at(32),
        })
    }

    /// Sets the receive rings' size and leaves the others as they are.
    ///
    /// # Errors
    /// The kernel's, when it cannot be read or set.
    pub fn set_receive_ring(&self, descriptors: u32) -> io::Result<()> {
        let mut request = Request::new(GRINGPARAM, 36);
        self.ask(&mut request)?;
        request.put_u32(0, SRINGPARAM);
        request.put_u32(20, descriptors);
        self.ask(&mut request).map(drop)
    }

    /// When it interrupts.
    ///
    /// # Errors
    /// The kernel's; `EOPNOTSUPP` where the driver has no such setting.
    pub fn coalescing(&self) -> io::Result<Coalescing> {
        let mut request = Request::new(GCOALESCE, 92);
        self.ask(&mut request)?;
        Ok(Coalescing {
            receive_us: request.u32_at(4),
            receive_frames: request.u32_at(8),
            adaptive: request.u32_at(40) != 0,
        })
    }

    /// The driver's counters with their names, in its order.
    ///
    /// # Errors
    /// The kernel's; `EOPNOTSUPP` where the driver counts nothing of its own.
    pub fn statistics(&self) -> io::Result<Vec<(String, u64)>> {
        let names = self.names(STATISTIC_NAMES)?;
        let mut request = Request::new(GSTATS, 8 + names.len() * 8);
        request.put_u32(4, names.len() as u32);
        self.ask(&mut request)?;
        let values = (8..).step_by(8).map(|at| request.u64_at(at));
        Ok(names.into_iter().zip(values).collect())
    }

    /// The names of a set of strings.
    fn names(&self, set: u32) -> io::Result<Vec<String>> {
        let mut request = Request::new(GSSET_INFO, 20);
        request.put_u64(8, 1 << set);
        self.ask(&mut request)?;
        // The mask comes back without the sets that the driver does not have.
        let count = if request.u64_at(8) == 0 { 0 } else { request.u32_at(16) as usize };
        if count == 0 || count > MAX_NAMES {
            return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
        }
        let mut request = Request::new(GSTRINGS, 12 + count * NAME_LENGTH);
        request.put_u32(4, set);
        request.put_u32(8, count as u32);
        self.ask(&mut request)?;
        let filled = (request.u32_at(8) as usize).min(count);
        Ok((0..filled).map(|index| request.text_at(12 + index * NAME_LENGTH, NAME_LENGTH)).collect())
    }

    /// One request to the driver. Its answer replaces the request's bytes; what the call itself returns is
    /// a number of flags for some commands.
    fn ask(&self, request: &mut Request) -> io::Result<u32> {
        // SAFETY: all-zero bytes are a valid `ifreq`.
        let mut message: libc::ifreq = unsafe { std::mem::zeroed() };
        write_name(&mut message, &self.interface);
        message.ifr_ifru.ifru_data = request.bytes.as_mut_ptr().cast();
        // SAFETY: the message names an interface and points to a live buffer that is as long as its command's
        // fixed part and as the counts that its sender put into it say; the kernel copies no more than that in
        // and out, and asks for no alignment.
        let answer = unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut message) };
        u32::try_from(answer).map_err(|_| io::Error::last_os_error())
    }
}

/// The bytes of a request: a command's number and what belongs to it, in the machine's order.
struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// A request of `length` bytes, zero apart from the command.
    fn new(command: u32, length: usize) -> Request {
        let mut request = Request { bytes: vec![0; length] };
        request.put_u32(0, command);
        request
    }

    fn put_u32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_ne_bytes());
    }

    fn put_u64(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_ne_bytes());
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn u32_at(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.array_at(at))
    }

    fn u64_at(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.array_at(at))
    }

    fn array_at<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(&self.bytes[at..at + N]);
        array
    }

    /// A text that ends at its first NUL or after `length` bytes.
    fn text_at(&self, at: usize, length: usize) -> String {
        let bytes = &self.bytes[at..at + length];
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(length);
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_does_not_exist_is_the_kernels_error() {
        let ethtool = Ethtool::open("nightjar-none").unwrap();
        assert_eq!(ethtool.driver().unwrap_err().raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn the_loopback_interface_has_features_and_no_queues_to_set() {
        let ethtool = Ethtool::open("lo").unwrap();
        let features = ethtool.features().unwrap();
        assert!(features.iter().any(|feature| feature.name == "rx-gro"), "{features:?}");
        let loopback = features.iter().find(|feature| feature.name == "loopback").unwrap();
        assert!(loopback.active && !loopback.changeable, "{loopback:?}");
        assert_eq!(ethtool.channels().unwrap_err().raw_os_error(), Some(libc::EOPNOTSUPP));
    }
}
