//! Frames per second from a capture in memory, by format and compression, with the allocations made
//! while reading: `cargo bench -p nightjar-capture`. Single-thread; each figure is the best of five.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nightjar_capture::{CaptureFile, PacketSource, Received};
use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{LegacyPcapReader, PcapBlockOwned, PcapError};

/// As many frames of G.711 as 1,000 calls send in 10 s.
const FRAMES: u32 = 1_000_000;
/// Ethernet, IPv4, UDP, RTP and 20 ms of G.711.
const FRAME_BYTES: usize = 214;
const REPEATS: usize = 5;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let pcap = pcap();
    let ng = pcapng();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&pcap).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(pcap.as_slice(), 1).unwrap();
    println!("{FRAMES} frames of {FRAME_BYTES} bytes");
    report("pcap", || ours(&pcap));
    report("pcap by pcap-parser's reader", || theirs(&pcap));
    report("pcapng", || ours(&ng));
    report("pcap, gzip", || ours(&gzip));
    report("pcap, zstd", || ours(&zstd));
}

fn report(name: &str, run: impl Fn() -> (Duration, u64)) {
    let (time, allocations) = (0..REPEATS).map(|_| run()).min().unwrap();
    let millions = f64::from(FRAMES) / time.as_secs_f64() / 1e6;
    let nanos = time.as_secs_f64() * 1e9 / f64::from(FRAMES);
    println!("{name:30} {millions:7.1} M frames/s {nanos:6.1} ns/frame, {allocations} allocations");
}

/// Reads with our source; the image's copy is not timed.
fn ours(image: &[u8]) -> (Duration, u64) {
    let mut file = CaptureFile::from_bytes(image.to_vec()).unwrap();
    let mut sum = 0u64;
    let mut sink = |frame: nightjar_capture::RawFrame<'_>| {
        sum = sum.wrapping_add(frame.at.0 ^ u64::from(frame.bytes[FRAME_BYTES - 1]));
    };
    // The first batch meets a cold buffer and makes the decoder's tables.
    file.receive(&mut sink).unwrap();
    let (start, before) = (Instant::now(), ALLOCATIONS.load(Ordering::Relaxed));
    while file.receive(&mut sink).unwrap() != Received::End {}
    let result = (start.elapsed(), ALLOCATIONS.load(Ordering::Relaxed) - before);
    black_box(sum);
    assert_eq!(file.statistics().received, u64::from(FRAMES));
    result
}

/// Reads with pcap-parser's own reader, as its documentation shows.
fn theirs(image: &[u8]) -> (Duration, u64) {
    let mut reader = LegacyPcapReader::new(1 << 20, image).unwrap();
    let (mut sum, mut frames) = (0u64, 0);
    let (start, before) = (Instant::now(), ALLOCATIONS.load(Ordering::Relaxed));
    loop {
        match reader.next() {
            Ok((len, block)) => {
                if let PcapBlockOwned::Legacy(frame) = block {
                    let at = u64::from(frame.ts_sec) * 1_000_000_000 + u64::from(frame.ts_usec) * 1_000;
                    sum = sum.wrapping_add(at ^ u64::from(frame.data[FRAME_BYTES - 1]));
                    frames += 1;
                }
                reader.consume_noshift(len);
            }
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(PcapError::Eof) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    let result = (start.elapsed(), ALLOCATIONS.load(Ordering::Relaxed) - before);
    black_box(sum);
    assert_eq!(frames, FRAMES);
    result
}

/// A frame that compresses about as audio does: a counter and pseudo-random bytes.
fn frame(number: u32) -> [u8; FRAME_BYTES] {
    let mut state = number.wrapping_mul(0x9e37_79b9) | 1;
    let mut frame = [0; FRAME_BYTES];
    for byte in &mut frame[54..] {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *byte = 0xd5 ^ (state & 0x1f) as u8;
    }
    frame[42..46].copy_from_slice(&number.to_be_bytes());
    frame
}

fn pcap() -> Vec<u8> {
    let mut image = Vec::with_capacity(24 + FRAMES as usize * (16 + FRAME_BYTES));
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 1] {
        image.extend(u32::to_le_bytes(word));
    }
    for number in 0..FRAMES {
        let words = [1_700_000_000 + number / 1_000_000, number % 1_000_000, 214, 214];
        image.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        image.extend(frame(number));
    }
    image
}

fn pcapng() -> Vec<u8> {
    let words = |image: &mut Vec<u8>, words: &[u32]| {
        image.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    };
    let mut image = Vec::new();
    words(&mut image, &[0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28]);
    words(&mut image, &[1, 20, 1, 0, 20]);
    for number in 0..FRAMES {
        let ticks = 1_700_000_000_000_000 + u64::from(number);
        words(&mut image, &[6, 248, 0, (ticks >> 32) as u32, ticks as u32, 214, 214]);
        image.extend(frame(number));
        image.extend([0; 2]);
        words(&mut image, &[248]);
    }
    image
}
