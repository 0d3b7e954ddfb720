//! The same frames by the `afxdp` crate (libbpf's rings and program), to compare ours with.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use afxdp::PENDING_LEN;
use afxdp::buf::Buf;
use afxdp::buf_mmap::BufMmap;
use afxdp::mmap_area::{MmapArea, MmapAreaOptions};
use afxdp::socket::{Socket, SocketOptions};
use afxdp::umem::Umem;
use arraydeque::{ArrayDeque, Wrapping};
use nightjar_bench_veth::cpu_seconds;

use crate::CAPTURES;
use crate::captured::Captured;

/// Bytes of a chunk, as ours has.
const CHUNK: usize = 2_048;
/// Frames taken at a time, as ours takes.
const BATCH: usize = 512;

/// Looks at each frame, as [`crate::captured::looked_at`] does. The crate gives no descriptor to wait on: when
/// nothing has come it sleeps as long as ours holds frames back.
pub fn looked_at(interface: &str, ring: u32, stop: &AtomicBool) -> Captured {
    core_affinity::set_for_current(CAPTURES);
    // Ours has as many to spare, and a ring for signalling.
    let chunks = ring as usize + 4_096;
    let (area, mut free) =
        MmapArea::new(chunks, CHUNK, MmapAreaOptions { huge_tlb: false }).expect("memory for chunks");
    let (umem, _completion, mut fill) =
        Umem::new(area, 64, chunks.next_power_of_two() as u32).expect("a UMEM");
    let (_socket, mut receive) = Socket::new_rx(
        umem,
        interface,
        0,
        ring,
        SocketOptions { copy_mode: true, ..SocketOptions::default() },
    )
    .expect("an AF_XDP socket");
    fill.fill(&mut free, chunks).expect("chunks for the kernel");
    let mut pending: ArrayDeque<[BufMmap<'_, ()>; PENDING_LEN], Wrapping> = ArrayDeque::new();
    let (mut sum, mut received, started) = (0_u64, 0_u64, cpu_seconds());
    loop {
        let came = receive.try_recv(&mut pending, BATCH, ()).expect("frames");
        if came == 0 {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if fill.needs_wakeup() {
                receive.wake();
            }
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        received += came as u64;
        for frame in pending.drain(..) {
            sum += u64::from(frame.get_data()[usize::from(frame.get_len()) - 1]);
            free.push(frame);
        }
        fill.fill(&mut free, came).expect("chunks for the kernel");
    }
    let cpu_seconds = cpu_seconds() - started;
    black_box(sum);
    Captured { received, cpu_seconds, ..Captured::default() }
}
