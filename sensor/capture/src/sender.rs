//! Sends whole link-layer frames out of an interface: for the load generator and the tests.

use std::io;
use std::time::{Duration, Instant};

use crate::SourceError;
use crate::socket::PacketSocket;

/// Frames that one system call sends.
const BATCH: usize = 64;
/// How long a full transmit queue is tried again before it is an error.
const PATIENCE: Duration = Duration::from_millis(200);

/// A raw packet socket that sends frames as they are, past the queueing discipline
/// (`PACKET_QDISC_BYPASS`): in order and at once, never delayed by traffic control.
#[derive(Debug)]
pub struct FrameSender {
    socket: PacketSocket,
}

impl FrameSender {
    /// Opens a sender on `interface` of this thread's network namespace.
    ///
    /// # Errors
    /// [`SourceError`]: no such interface, or `CAP_NET_RAW` is missing.
    pub fn open(interface: &str) -> Result<FrameSender, SourceError> {
        let socket = PacketSocket::open(interface)?;
        let on: libc::c_int = 1;
        socket.set(libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, &on, "bypass the queueing discipline")?;
        // Protocol 0: this socket sends, and is given no copies of what arrives.
        socket.bind(0)?;
        Ok(FrameSender { socket })
    }

    /// The interface's name.
    pub fn interface(&self) -> &str {
        self.socket.interface()
    }

    /// Sends one frame, from its Ethernet header on, without checksum.
    ///
    /// # Errors
    /// The system's: `ENETDOWN` (the interface is down), `EMSGSIZE` (longer than its MTU and
    /// header), `ENOBUFS` (its queue stayed full for 200 ms).
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.send_batch(&[frame]).map(|_| ())
    }

    /// Sends frames in order, 64 a system call; returns how many were sent. Blocks while the
    /// socket's send buffer is full, and tries again for 200 ms while the device's queue is.
    ///
    /// # Errors
    /// As [`FrameSender::send`], when the first frame cannot be sent. A failure after that
    /// returns the number sent; the next call, beginning at the frame that failed, meets it.
    pub fn send_batch(&self, frames: &[&[u8]]) -> io::Result<usize> {
        let mut sent = 0;
        let mut full_since = None;
        while sent < frames.len() {
            let batch = &frames[sent..frames.len().min(sent + BATCH)];
            match self.send_some(batch) {
                Ok(count) => {
                    sent += count;
                    full_since = None;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    let since = *full_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > PATIENCE {
                        return partial(sent, error);
                    }
                    std::thread::yield_now();
                }
                Err(error) => return partial(sent, error),
            }
        }
        Ok(sent)
    }

    /// One `sendmmsg` of at most [`BATCH`] frames; returns how many of them were taken.
    fn send_some(&self, frames: &[&[u8]]) -> io::Result<usize> {
        // SAFETY: all-zero bytes are a valid `iovec` (null, 0) and a valid `mmsghdr` (no name, no
        // buffers, no control data, no flags).
        let (mut buffers, mut messages): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        let count = frames.len().min(BATCH);
        for ((frame, buffer), message) in frames.iter().zip(&mut buffers).zip(&mut messages) {
            buffer.iov_base = frame.as_ptr().cast_mut().cast();
            buffer.iov_len = frame.len();
            message.msg_hdr.msg_iov = buffer;
            message.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: the first `count` messages each point to one live iovec over a live slice, which
        // the kernel only reads; both arrays outlive the call.
        let sent =
            unsafe { libc::sendmmsg(self.socket.raw(), messages.as_mut_ptr(), count as libc::c_uint, 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent as usize) }
    }
}

/// What a batch returns when it fails after `sent` frames.
fn partial(sent: usize, error: io::Error) -> io::Result<usize> {
    if sent == 0 { Err(error) } else { Ok(sent) }
}
