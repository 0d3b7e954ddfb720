//! The XDP program: looks at a frame once, counts it, and drops it, passes it to the kernel's stack or
//! redirects it to its queue's signalling or media socket, with the moment and the realm written in
//! front of it.
//!
//! The decoder and the decision are `nightjar_wire::xdp`, the same code that the sensor's tests run.
#![no_std]
#![no_main]

mod frame;
mod maps;
mod redirect_error;

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_REDIRECT};
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_xdp_adjust_meta, bpf_xdp_get_buff_len};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use nightjar_wire::xdp::{
    Basis, Counter, Fate, Glance, Metadata, Unreadable, Unwanted, decide, descend, glance, realm,
};

use frame::{Behind, Linear};
use maps::{Kernel, count, settings};

/// Attached to a mirror port. `frags`: a jumbo frame may lie in several buffers.
#[xdp(frags)]
pub fn nightjar(ctx: XdpContext) -> u32 {
    // SAFETY: the context is the kernel's, valid while the program runs.
    let length = unsafe { bpf_xdp_get_buff_len(ctx.ctx) };
    count(Counter::Seen, 1);
    count(Counter::SeenBytes, length);
    act(&ctx, glance(&Linear::of(&ctx), &settings().vxlan))
}

/// Called by a tail call: looks into the tunnel that the program before has found.
#[xdp(frags)]
pub fn tunnel(ctx: XdpContext) -> u32 {
    match maps::left() {
        Some(descent) => act(&ctx, descend(&Behind::of(&ctx), descent, &settings().vxlan)),
        None => unwanted(),
    }
}

#[inline(always)]
fn act(ctx: &XdpContext, seen: Result<Glance, Unreadable>) -> u32 {
    match seen {
        Ok(seen) => {
            if settings().see_through != 0
                && let Some(descent) = seen.descent()
            {
                maps::leave(descent);
                // SAFETY: the context is the kernel's. Where no program is there, it goes on here: the tunnel is
                // handed up as it is.
                unsafe { maps::TUNNEL.tail_call(ctx, 0) };
            }
            carry_out(ctx, &seen)
        }
        Err(why) => {
            count(if why == Unreadable::NotIp { Counter::NotIp } else { Counter::Damaged }, 1);
            unwanted()
        }
    }
}

#[inline(always)]
fn carry_out(ctx: &XdpContext, seen: &Glance) -> u32 {
    let realm = realm(seen, settings(), &Kernel);
    let fate = decide(seen, realm, settings(), &Kernel);
    match fate {
        Fate::Never => dropped(Counter::DroppedNever),
        Fate::Cut => dropped(Counter::DroppedCut),
        Fate::Unwanted => unwanted(),
        Fate::Signalling | Fate::Media(_) => {
            if settings().annotate != 0 && !annotate(ctx, realm, fate) {
                count(Counter::Aborted, 1);
                return XDP_ABORTED;
            }
            redirect(ctx, seen, fate)
        }
    }
}

#[inline(always)]
fn redirect(ctx: &XdpContext, seen: &Glance, fate: Fate) -> u32 {
    let (sockets, counter) = match fate {
        Fate::Signalling => (&maps::SIGNALLING_SOCKETS, Counter::Signalling),
        _ => (&maps::MEDIA_SOCKETS, Counter::Media),
    };
    // Without a socket in its slot the map's own answer is the action in the flags.
    let action = match sockets.redirect(ctx.rx_queue_index(), u64::from(XDP_PASS)) {
        Ok(action) | Err(action) => action,
    };
    if action != XDP_REDIRECT {
        count(Counter::PassedNoSocket, 1);
        return XDP_PASS;
    }
    count(counter, 1);
    match fate {
        Fate::Media(Basis::Endpoint) => count(Counter::ByEndpoint, 1),
        Fate::Media(Basis::Range) => count(Counter::ByRange, 1),
        Fate::Media(Basis::Shape) => count(Counter::ByShape, 1),
        Fate::Media(Basis::Tunnel) => count(Counter::ByTunnel, 1),
        _ if seen.payload == nightjar_wire::xdp::Payload::Fragment => count(Counter::Fragments, 1),
        _ => {}
    }
    if seen.tunnels[0].kind != 0 {
        count(Counter::Tunnelled, 1);
    }
    XDP_REDIRECT
}

/// Writes the metadata in front of the frame; false when the driver leaves no room for it.
#[inline(always)]
fn annotate(ctx: &XdpContext, realm: u16, fate: Fate) -> bool {
    // SAFETY: the context is the kernel's, valid while the program runs.
    if unsafe { bpf_xdp_adjust_meta(ctx.ctx, -(Metadata::LEN as i32)) } != 0 {
        return false;
    }
    let at = ctx.metadata();
    if at + Metadata::LEN > ctx.metadata_end() {
        return false;
    }
    // SAFETY: no arguments, no preconditions.
    let monotonic_ns = unsafe { bpf_ktime_get_ns() };
    let metadata = Metadata { monotonic_ns, realm, fate: fate.number(), magic: Metadata::MAGIC };
    // SAFETY: the room was checked against the frame's beginning just above.
    unsafe { (at as *mut Metadata).write_unaligned(metadata) };
    true
}

#[inline(always)]
fn dropped(counter: Counter) -> u32 {
    count(counter, 1);
    XDP_DROP
}

#[inline(always)]
fn unwanted() -> u32 {
    if settings().unwanted == Unwanted::Drop as u32 {
        return dropped(Counter::DroppedUnwanted);
    }
    count(Counter::PassedUnwanted, 1);
    XDP_PASS
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // The verifier refuses a program that could get here: none of the code above can panic.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
