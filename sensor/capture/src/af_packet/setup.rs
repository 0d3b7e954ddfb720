//! Opens the packet sockets of a capture: ring, promiscuity, fanout group. Nothing is received until
//! all of them are ready.

use std::ptr;
use std::time::Duration;

use nightjar_wire::LinkType;

use super::AfPacketConfig;
use super::block::VLAN_TAG;
use super::ring::Ring;
use super::tap::Tap;
use crate::SourceError;
use crate::socket::{Bound, PacketSocket};

/// What the kernel wants to know of a frame's size; TPACKET_V3 places frames without it.
const FRAME_BYTES: u32 = 2_048;
/// The link layers of tunnels and modems that carry bare IP: ARPHRD_NONE, ARPHRD_RAWIP.
const ARPHRD_BARE_IP: [u16; 2] = [libc::ARPHRD_NONE, 519];

/// Which tap of a group a frame goes to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spread {
    /// Both directions of a flow to the same.
    ByFlow,
    /// By the receive queue that the driver noted: its number plus 1, or 0 when it noted none.
    ByQueue,
}

/// Opens `count` taps on `interface`. With more than one they form a fanout group: each frame goes to one
/// of them.
///
/// The taps receive nothing until [`listen`] is called for each.
pub(super) fn open_taps(
    config: &AfPacketConfig,
    interface: &str,
    number: u16,
    count: usize,
    spread: Spread,
) -> Result<Vec<Tap>, SourceError> {
    let mut group = None;
    let mut taps = Vec::with_capacity(count);
    for _ in 0..count {
        let tap = open_tap(config, interface, number)?;
        if count > 1 {
            group = Some(join(&tap.socket, group, spread)?);
        }
        taps.push(tap);
    }
    Ok(taps)
}

fn open_tap(config: &AfPacketConfig, interface: &str, number: u16) -> Result<Tap, SourceError> {
    let socket = PacketSocket::open(interface)?;
    let packet = libc::SOL_PACKET;
    let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
    socket.set(packet, libc::PACKET_VERSION, &version, "use TPACKET_V3")?;
    // Room to put a VLAN tag back in front of the frame.
    socket.set(packet, libc::PACKET_RESERVE, &(VLAN_TAG as libc::c_int), "reserve room for a VLAN tag")?;
    // What this host sends is not the mirror's traffic, and on lo it would be seen twice.
    socket.set(packet, libc::PACKET_IGNORE_OUTGOING, &1, "ignore outgoing frames (Linux 4.20 or newer)")?;
    let request = libc::tpacket_req3 {
        tp_block_size: config.block_bytes,
        tp_block_nr: config.blocks,
        tp_frame_size: FRAME_BYTES,
        tp_frame_nr: config.block_bytes / FRAME_BYTES * config.blocks,
        tp_retire_blk_tov: whole_millis(config.retire),
        tp_sizeof_priv: 0,
        tp_feature_req_word: 0,
    };
    let action = "set up the receive ring (fewer or smaller blocks may fit)";
    socket.set(packet, libc::PACKET_RX_RING, &request, action)?;
    let ring = Ring::map(&socket, config.block_bytes as usize, config.blocks as usize)?;
    refuse_all(&socket)?;
    socket.bind(libc::ETH_P_ALL as u16)?;
    if config.promiscuous {
        socket.enter_promiscuous_mode()?;
    }
    let link = link_type(&socket)?;
    Ok(Tap { ring, socket, link, number, hides: config.hides(), gone_since: None, suspect: true })
}

/// The link layer of the socket's interface.
fn link_type(socket: &PacketSocket) -> Result<LinkType, SourceError> {
    let interface = socket.interface().to_owned();
    match socket.bound()? {
        Bound::Gone => Err(SourceError::InterfaceGone { interface }),
        Bound::Interface(libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK) => Ok(LinkType::Ethernet),
        Bound::Interface(number) if ARPHRD_BARE_IP.contains(&number) => Ok(LinkType::RawIp),
        Bound::Interface(number) => Err(SourceError::InterfaceLink { interface, number }),
    }
}

/// Joins the fanout group of an interface, or makes one; returns its id.
fn join(socket: &PacketSocket, group: Option<u16>, spread: Spread) -> Result<u16, SourceError> {
    let (option, action) = (libc::PACKET_FANOUT, "join the fanout group");
    let choice = match spread {
        Spread::ByFlow => libc::PACKET_FANOUT_HASH,
        Spread::ByQueue => libc::PACKET_FANOUT_QM,
    };
    let mut mode = choice | libc::PACKET_FANOUT_FLAG_IGNORE_OUTGOING;
    if group.is_none() {
        mode |= libc::PACKET_FANOUT_FLAG_UNIQUEID;
    }
    let arguments = u32::from(group.unwrap_or(0)) | mode << 16;
    socket.set(libc::SOL_PACKET, option, &arguments, action)?;
    let mut joined: u32 = 0;
    socket.get(libc::SOL_PACKET, option, &mut joined, action)?;
    Ok(joined as u16)
}

/// Lets the socket take no frame: at the end, and between binding and joining a group, when it would
/// take all of them and others would take them again.
pub(super) fn refuse_all(socket: &PacketSocket) -> Result<(), SourceError> {
    let mut nothing = libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: ptr::from_mut(&mut nothing) };
    socket.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program, "hold frames back")
}

/// Lets a tap receive from now on.
pub(super) fn listen(tap: &Tap) -> Result<(), SourceError> {
    tap.socket.set(libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &0, "let frames in")
}

/// A span in whole milliseconds, at least one: 0 would ask the kernel to choose.
fn whole_millis(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX).max(1)
}
