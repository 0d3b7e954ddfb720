//! Sends the load generator's RTP: run by BPF_PROG_TEST_RUN with live frames, once for all frames, it
//! waits for each frame's slot, writes the frame and redirects it out of an interface.
#![no_std]
#![no_main]

use aya_ebpf::bindings::xdp_action::XDP_DROP;
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_redirect};
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::XdpContext;
use nightjar_wire::xdp::live::{FRAME, LiveFlow, LiveRun, WORDS, WORDS_AT, first_word};

/// Looks at the clock so often at most for one slot: far longer than a slot of a paced run.
const PATIENCE: u32 = 8192;

#[map]
static FLOWS: Array<LiveFlow> = Array::with_max_entries(1, 0);

#[map]
static RUN: Array<LiveRun> = Array::with_max_entries(1, 0);

/// One frame.
#[xdp]
pub fn live(ctx: XdpContext) -> u32 {
    let Some(run) = RUN.get_ptr_mut(0) else { return XDP_DROP };
    // SAFETY: the map's only value; one run at a time writes it.
    let run = unsafe { &mut *run };
    if run.sent >= run.frames || run.flows == 0 {
        return XDP_DROP;
    }
    let round = run.sent / u64::from(run.flows);
    let Some(flow) = FLOWS.get((run.sent % u64::from(run.flows)) as u32) else { return XDP_DROP };
    if !write(&ctx, flow, round) {
        return XDP_DROP;
    }
    wait_for_slot(run);
    run.sent += 1;
    // SAFETY: no preconditions.
    unsafe { bpf_redirect(run.interface, 0) as u32 }
}

/// Waits until the frame's moment has come.
#[inline(always)]
fn wait_for_slot(run: &mut LiveRun) {
    let mut now = clock();
    if run.start_ns == 0 {
        run.start_ns = now;
    }
    let slot = run.start_ns + run.sent * run.interval_ps / 1000;
    for _ in 0..PATIENCE {
        if now >= slot {
            break;
        }
        now = clock();
    }
    let late = now.saturating_sub(slot);
    if run.interval_ps != 0 && late > run.most_late_ns {
        run.most_late_ns = late;
    }
    run.end_ns = now;
}

/// Writes what differs from the frame that the run was given.
#[inline(always)]
fn write(ctx: &XdpContext, flow: &LiveFlow, round: u64) -> bool {
    let start = ctx.data();
    if start + FRAME > ctx.data_end() {
        return false;
    }
    let seq = flow.first_seq.wrapping_add(round as u16);
    let time = flow.first_time.wrapping_add((round as u32).wrapping_mul(160));
    put(start, 24, flow.checksum);
    put(start, 26, flow.src[0]);
    put(start, 28, flow.src[1]);
    put(start, 30, flow.dst[0]);
    put(start, 32, flow.dst[1]);
    put(start, 34, flow.src_port);
    put(start, 36, flow.dst_port);
    put(start, 44, seq.to_be());
    put(start, 46, ((time >> 16) as u16).to_be());
    put(start, 48, (time as u16).to_be());
    put(start, 50, ((flow.ssrc >> 16) as u16).to_be());
    put(start, 52, (flow.ssrc as u16).to_be());
    let first = first_word(flow.ssrc, seq);
    // SAFETY: within the frame, as checked; a frame begins at a multiple of 8.
    let words = unsafe { &mut *((start + WORDS_AT) as *mut [u64; WORDS]) };
    for (number, word) in words.iter_mut().enumerate() {
        *word = first.wrapping_add(number as u64);
    }
    true
}

#[inline(always)]
fn put(start: usize, at: usize, value: u16) {
    // SAFETY: `at` lies within the frame that was checked, at an even offset.
    unsafe { ((start + at) as *mut u16).write(value) };
}

#[inline(always)]
fn clock() -> u64 {
    // SAFETY: no arguments, no preconditions.
    unsafe { bpf_ktime_get_ns() }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // The verifier refuses a program that could get here.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
