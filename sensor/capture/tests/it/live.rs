//! Live capture through a veth pair: what is sent at the far end is received at the near one.

use std::collections::BTreeSet;
use std::io;
use std::net::UdpSocket;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use allocation_counter::measure;
use etherparse::PacketBuilder;
use nightjar_capture::capability::NET_RAW;
use nightjar_capture::fakes::MemoryFrame;
use nightjar_capture::{
    AfPacketConfig, AfPacketSource, CaptureClock, FrameSender, PacketSource, Received, SourceError, Stopped,
};
use nightjar_wire::{LinkType, Nanos};

use crate::namespace::{ip, run_on_any_cpu, within};

/// A bound on every wait; nothing asserts on time.
const DEADLINE: Duration = Duration::from_secs(20);

/// A UDP frame between two ports, `number` in its payload.
fn udp(number: u32, src_port: u16, dst_port: u16, payload: usize) -> Vec<u8> {
    let (src, dst) = if src_port < dst_port { (1, 2) } else { (2, 1) };
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, src], [2, 0, 0, 0, 0, dst])
        .ipv4([192, 0, 2, src], [192, 0, 2, dst], 64)
        .udp(src_port, dst_port);
    let mut body = number.to_be_bytes().to_vec();
    body.resize(payload.max(18), number as u8);
    let mut frame = Vec::new();
    builder.write(&mut frame, &body).unwrap();
    frame
}

/// The number that [`udp`] put into an untagged frame.
fn number_of(frame: &MemoryFrame) -> u32 {
    u32::from_be_bytes(*frame.bytes[42..].first_chunk().unwrap())
}

/// Puts tags (protocol, value) behind a frame's addresses, the outermost first.
fn tagged(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let tags = tags.iter().flat_map(|(tpid, tci)| [tpid.to_be_bytes(), tci.to_be_bytes()].concat());
    frame[..12].iter().copied().chain(tags).chain(frame[12..].iter().copied()).collect()
}

fn open(config: &AfPacketConfig) -> AfPacketSource {
    AfPacketSource::open(config, CaptureClock::start()).unwrap()
}

/// Receives until `count` frames are there, or no more come within the deadline.
fn receive(source: &mut AfPacketSource, count: usize) -> Vec<MemoryFrame> {
    let start = Instant::now();
    let mut frames = Vec::new();
    while frames.len() < count && start.elapsed() < DEADLINE {
        source.receive(&mut |frame| frames.push(MemoryFrame::copied(&frame))).unwrap();
    }
    frames
}

/// Receives until nothing has come for five calls in a row.
fn drain(source: &mut AfPacketSource) -> Vec<MemoryFrame> {
    let mut frames = Vec::new();
    let mut idle = 0;
    while idle < 5 {
        let received = source.receive(&mut |frame| frames.push(MemoryFrame::copied(&frame))).unwrap();
        idle = if matches!(received, Received::Idle(_)) { idle + 1 } else { 0 };
    }
    frames
}

#[test]
fn every_frame_that_is_sent_is_received_once_and_in_order() {
    within("every_frame_that_is_sent_is_received_once_and_in_order", || {
        let mut source = open(&AfPacketConfig::new(&["near"]));
        let sender = FrameSender::open("far").unwrap();
        let before = source.clock().now();
        let mut received = Vec::new();
        let sent: Vec<Vec<u8>> = (0..20_000).map(|number| udp(number, 4_000, 5_000, 172)).collect();
        for burst in sent.chunks(200) {
            let burst: Vec<&[u8]> = burst.iter().map(Vec::as_slice).collect();
            assert_eq!(sender.send_batch(&burst).unwrap(), burst.len());
            received.extend(receive(&mut source, burst.len()));
        }
        received.extend(drain(&mut source));
        let after = source.clock().now();
        assert!(received.iter().map(|frame| &frame.bytes).eq(&sent), "{} received", received.len());
        assert!(received.iter().all(|frame| frame.link == LinkType::Ethernet && frame.interface == 0));
        assert!(received.iter().all(|frame| frame.original_len as usize == frame.bytes.len()));
        assert!(received.is_sorted_by_key(|frame| frame.at));
        assert!(before <= received[0].at && received[received.len() - 1].at <= after);
        let statistics = source.statistics();
        assert_eq!((statistics.received, statistics.ring_full, statistics.truncated), (20_000, 0, 0));
        assert_eq!(source.interfaces(), ["near"]);
    });
}

#[test]
fn vlan_tags_come_as_they_were_on_the_wire() {
    within("vlan_tags_come_as_they_were_on_the_wire", || {
        let mut source = open(&AfPacketConfig::new(&["near"]));
        let sender = FrameSender::open("far").unwrap();
        let plain = udp(1, 4_000, 5_000, 100);
        let tags: [&[(u16, u16)]; 6] = [
            &[],
            &[(0x8100, 100)],
            &[(0x8100, 0xa000)],
            &[(0x88a8, 7), (0x8100, 4_094)],
            &[(0x8100, 1), (0x8100, 2), (0x8100, 3)],
            &[],
        ];
        let sent: Vec<Vec<u8>> = tags.iter().map(|tags| tagged(&plain, tags)).collect();
        for frame in &sent {
            sender.send(frame).unwrap();
        }
        let received = receive(&mut source, sent.len());
        assert_eq!(
            received.iter().map(|frame| &frame.bytes).collect::<Vec<_>>(),
            sent.iter().collect::<Vec<_>>()
        );
        assert!(received.iter().all(|frame| frame.original_len as usize == frame.bytes.len()));
    });
}

#[test]
fn jumbo_frames_are_whole_and_what_no_block_holds_is_cut() {
    within("jumbo_frames_are_whole_and_what_no_block_holds_is_cut", || {
        for interface in ["near", "far"] {
            ip(&["link", "set", interface, "mtu", "9000"]);
        }
        let small = AfPacketConfig { block_bytes: 4_096, blocks: 64, ..AfPacketConfig::new(&["near"]) };
        let mut whole = open(&AfPacketConfig::new(&["near"]));
        let mut cut = open(&small);
        let frame = udp(1, 4_000, 5_000, 9_000 - 28);
        assert_eq!(frame.len(), 9_014);
        FrameSender::open("far").unwrap().send(&frame).unwrap();
        let seen = receive(&mut whole, 1);
        assert!(seen[0].bytes == frame && seen[0].original_len == 9_014);
        let seen = receive(&mut cut, 1);
        assert!(seen[0].bytes.len() > 3_000 && frame.starts_with(&seen[0].bytes));
        assert_eq!(seen[0].original_len, 9_014);
        assert_eq!((whole.statistics().truncated, cut.statistics().truncated), (0, 1));
    });
}

#[test]
fn frames_that_a_full_ring_cannot_take_are_counted() {
    within("frames_that_a_full_ring_cannot_take_are_counted", || {
        let config = AfPacketConfig { block_bytes: 4_096, blocks: 4, ..AfPacketConfig::new(&["near"]) };
        let mut source = open(&config);
        let sender = FrameSender::open("far").unwrap();
        let (mut received, mut lost) = (0, 0);
        for round in 1..=2 {
            let sent: Vec<Vec<u8>> = (0..500).map(|number| udp(number, 4_000, 5_000, 172)).collect();
            for frame in &sent {
                sender.send(frame).unwrap();
            }
            let waiting = source.statistics();
            assert!(waiting.in_ring > 0);
            assert_eq!(waiting.received + waiting.in_ring + waiting.ring_full, 500 * round);
            received += drain(&mut source).len() as u64;
            let statistics = source.statistics();
            assert_eq!(statistics.in_ring, 0);
            assert!(statistics.ring_full > 0);
            assert_eq!(statistics.received, received);
            assert_eq!(statistics.received + statistics.ring_full, 500 * round);
            let loss = source.take_ring_loss().expect("a look is due");
            assert!(loss.from < loss.to && loss.to <= source.clock().now(), "{loss:?}");
            lost += loss.frames;
            assert_eq!(lost, statistics.ring_full);
        }
    });
}

#[test]
fn a_group_of_two_receives_every_frame_once_and_both_directions_on_one() {
    within("a_group_of_two_receives_every_frame_once_and_both_directions_on_one", || {
        let config = AfPacketConfig::new(&["near"]);
        let mut group = AfPacketSource::open_group(&config, 2, CaptureClock::start()).unwrap();
        let sender = FrameSender::open("far").unwrap();
        for number in 0..2_000u32 {
            let port = 10_000 + (number / 2 % 200) as u16;
            let (src, dst) = if number % 2 == 0 { (port, 40_000) } else { (40_000, port) };
            sender.send(&udp(number, src, dst, 172)).unwrap();
        }
        let mut numbers = Vec::new();
        let mut flows: [BTreeSet<u16>; 2] = [BTreeSet::new(), BTreeSet::new()];
        for (source, flows) in group.iter_mut().zip(&mut flows) {
            for frame in drain(source) {
                numbers.push(number_of(&frame));
                let ports = [34, 36].map(|at| u16::from_be_bytes([frame.bytes[at], frame.bytes[at + 1]]));
                flows.insert(ports[0].min(ports[1]));
            }
            assert_eq!(source.statistics().ring_full, 0);
        }
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..2_000), "{} frames", numbers.len());
        assert!(flows[0].is_disjoint(&flows[1]) && flows.iter().all(|flows| flows.len() > 20));
    });
}

#[test]
fn a_group_that_opens_under_traffic_takes_no_frame_twice() {
    within("a_group_that_opens_under_traffic_takes_no_frame_twice", || {
        let sender = FrameSender::open("far").unwrap();
        for _ in 0..10 {
            let (traffic, stop) = mpsc::channel::<()>();
            let (mut group, mut frames) = thread::scope(|scope| {
                // Ends when `traffic` goes, also by a panic.
                let _traffic = traffic;
                let sender = &sender;
                scope.spawn(move || {
                    run_on_any_cpu();
                    for sent in 0.. {
                        if stop.try_recv() == Err(mpsc::TryRecvError::Disconnected) {
                            break;
                        }
                        sender.send(&udp(sent, 10_000 + (sent % 500) as u16, 40_000, 18)).unwrap();
                    }
                });
                let config = AfPacketConfig { blocks: 64, ..AfPacketConfig::new(&["near"]) };
                let mut group = AfPacketSource::open_group(&config, 3, CaptureClock::start()).unwrap();
                let frames = receive(&mut group[0], 1);
                (group, frames)
            });
            assert!(!frames.is_empty());
            frames.extend(group.iter_mut().flat_map(drain));
            let numbers: BTreeSet<u32> = frames.iter().map(number_of).collect();
            assert_eq!(numbers.len(), frames.len());
        }
    });
}

#[test]
fn an_interface_that_is_removed_is_an_error_and_others_go_on() {
    within("an_interface_that_is_removed_is_an_error_and_others_go_on", || {
        ip(&["link", "add", "near2", "type", "veth", "peer", "name", "far2"]);
        ip(&["link", "set", "near2", "up"]);
        ip(&["link", "set", "far2", "up"]);
        let mut source = open(&AfPacketConfig::new(&["near", "near2"]));
        let (sender, sender2) = (FrameSender::open("far").unwrap(), FrameSender::open("far2").unwrap());
        sender.send(&udp(1, 4_000, 5_000, 18)).unwrap();
        ip(&["link", "del", "near"]);
        let mut frames = Vec::new();
        let mut gone = |source: &mut AfPacketSource| {
            let start = Instant::now();
            loop {
                match source.receive(&mut |frame| frames.push(MemoryFrame::copied(&frame))) {
                    Ok(_) => assert!(start.elapsed() < DEADLINE, "the removal is not noticed"),
                    Err(error) => return error,
                }
            }
        };
        let error = gone(&mut source);
        assert!(matches!(&error, SourceError::InterfaceGone { interface } if interface == "near"), "{error}");
        sender2.send(&udp(2, 4_000, 5_000, 18)).unwrap();
        ip(&["link", "del", "near2"]);
        let error = gone(&mut source);
        assert!(
            matches!(&error, SourceError::InterfaceGone { interface } if interface == "near2"),
            "{error}"
        );
        assert_eq!(frames.iter().map(|frame| frame.interface).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(source.receive(&mut |_| {}).unwrap(), Received::End);
        let back = sender2.send(&udp(3, 4_000, 5_000, 18)).unwrap_err();
        assert!(matches!(back.raw_os_error(), Some(libc::ENXIO | libc::ENODEV | libc::ENETDOWN)), "{back}");
    });
}

#[test]
fn an_interface_that_goes_down_is_captured_again_when_it_is_up() {
    within("an_interface_that_goes_down_is_captured_again_when_it_is_up", || {
        ip(&["link", "set", "near", "down"]);
        let mut source = open(&AfPacketConfig::new(&["near"]));
        let sender = FrameSender::open("far").unwrap();
        for number in 0..3 {
            assert!(drain(&mut source).is_empty());
            assert_eq!(source.statistics().interfaces_down, 1);
            ip(&["link", "set", "near", "up"]);
            // Carrier comes a moment later.
            let start = Instant::now();
            while sender.send(&udp(number, 4_000, 5_000, 18)).is_err() && start.elapsed() < DEADLINE {
                thread::sleep(Duration::from_millis(5));
            }
            assert!(!receive(&mut source, 1).is_empty());
            assert_eq!(source.statistics().interfaces_down, 0);
            ip(&["link", "set", "near", "down"]);
        }
    });
}

#[test]
fn frames_of_two_interfaces_come_in_one_time() {
    within("frames_of_two_interfaces_come_in_one_time", || {
        let mut source = open(&AfPacketConfig::new(&["near", "far"]));
        let senders = ["near", "far"].map(|interface| FrameSender::open(interface).unwrap());
        // Some 60 blocks wait in each ring before the first is read.
        for round in 0..60 {
            for number in 20 * round..20 * (round + 1) {
                senders[number % 2].send(&udp(number as u32, 4_000, 5_000, 172)).unwrap();
            }
            thread::sleep(Duration::from_millis(10));
        }
        let frames = receive(&mut source, 1_200);
        assert!(frames.iter().map(number_of).eq(0..1_200), "{} frames", frames.len());
        assert!(frames.is_sorted_by_key(|frame| frame.at));
        let of_far = frames.iter().filter(|frame| frame.interface == 1);
        assert!(of_far.map(number_of).eq((0..1_200).step_by(2)));
        assert_eq!(source.statistics().out_of_order, 0);
    });
}

#[test]
fn two_interfaces_that_are_read_while_frames_come_stay_in_order() {
    within("two_interfaces_that_are_read_while_frames_come_stay_in_order", || {
        let mut source = open(&AfPacketConfig::new(&["near", "far"]));
        let senders = ["near", "far"].map(|interface| FrameSender::open(interface).unwrap());
        let mut frames = Vec::new();
        // Now one direction speaks alone, now both in turn.
        for number in 0..3_000usize {
            let by = if number / 500 % 2 == 0 { 0 } else { number % 2 };
            senders[by].send(&udp(number as u32, 4_000, 5_000, 172)).unwrap();
            if number % 5 == 0 {
                source.receive(&mut |frame| frames.push(MemoryFrame::copied(&frame))).unwrap();
            }
        }
        let left = 3_000 - frames.len();
        frames.extend(receive(&mut source, left));
        assert!(frames.iter().map(number_of).eq(0..3_000), "{} frames", frames.len());
        assert!(frames.is_sorted_by_key(|frame| frame.at));
        assert_eq!(source.statistics().out_of_order, 0);
    });
}

#[test]
fn receiving_allocates_nothing() {
    within("receiving_allocates_nothing", || {
        let mut source = open(&AfPacketConfig::new(&["near", "far"]));
        let senders = ["near", "far"].map(|interface| FrameSender::open(interface).unwrap());
        let (mut received, start) = (0, Instant::now());
        for number in 0..2_000 {
            senders[number % 2].send(&udp(number as u32, 4_000, 5_000, 172)).unwrap();
        }
        let counted = measure(|| {
            while received < 2_000 && start.elapsed() < DEADLINE {
                source.receive(&mut |_| received += 1).unwrap();
            }
        });
        assert_eq!((received, counted.count_total), (2_000, 0));
    });
}

#[test]
fn a_ring_that_runs_full_is_not_held_back_for_a_silent_interface() {
    within("a_ring_that_runs_full_is_not_held_back_for_a_silent_interface", || {
        // The silent one could hide frames for longer than this test takes.
        let retire = Duration::from_secs(3_600);
        let config =
            AfPacketConfig { block_bytes: 4_096, blocks: 8, retire, ..AfPacketConfig::new(&["near", "far"]) };
        let mut source = open(&config);
        let sender = FrameSender::open("far").unwrap();
        let mut frames = Vec::new();
        for number in 0..500 {
            sender.send(&udp(number, 4_000, 5_000, 172)).unwrap();
            if number % 5 == 0 {
                source.receive(&mut |frame| frames.push(MemoryFrame::copied(&frame))).unwrap();
            }
        }
        assert!(frames.len() > 400 && frames.iter().map(number_of).eq(0..frames.len() as u32));
        assert_eq!(source.statistics().ring_full, 0);
    });
}

#[test]
fn what_had_arrived_is_received_after_a_stop_and_nothing_else() {
    within("what_had_arrived_is_received_after_a_stop_and_nothing_else", || {
        for interfaces in [&["near"][..], &["near", "lo"]] {
            let config = AfPacketConfig { block_bytes: 65_536, ..AfPacketConfig::new(interfaces) };
            let mut source = open(&config);
            let sender = FrameSender::open("far").unwrap();
            // Whole blocks, and one that is not full.
            for number in 0..1_000 {
                sender.send(&udp(number, 4_000, 5_000, 172)).unwrap();
            }
            assert_eq!(source.stop().unwrap(), Stopped::Draining);
            sender.send(&udp(1_000, 4_000, 5_000, 172)).unwrap();
            let mut frames = Vec::new();
            while source.receive(&mut |frame| frames.push(MemoryFrame::copied(&frame))).unwrap()
                != Received::End
            {}
            assert!(frames.iter().map(number_of).eq(0..1_000), "{} frames", frames.len());
            let statistics = source.statistics();
            assert_eq!((statistics.received, statistics.ring_full, statistics.in_ring), (1_000, 0, 0));
        }
    });
}

#[test]
fn what_this_host_sends_is_not_captured() {
    within("what_this_host_sends_is_not_captured", || {
        // On lo a datagram goes out and comes in again: it is seen coming in.
        let config = AfPacketConfig::new(&["lo"]);
        let clock = CaptureClock::start();
        let mut sources = AfPacketSource::open_group(&config, 2, clock).unwrap();
        sources.push(AfPacketSource::open(&config, clock).unwrap());
        let (here, there) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        for _ in 0..10 {
            here.send_to(b"to be seen once", there.local_addr().unwrap()).unwrap();
        }
        let seen: Vec<usize> = sources.iter_mut().map(|source| drain(source).len()).collect();
        assert_eq!((seen[0] + seen[1], seen[2]), (10, 10));
    });
}

#[test]
fn an_idle_source_tells_its_clock() {
    within("an_idle_source_tells_its_clock", || {
        let mut source = open(&AfPacketConfig::new(&["near"]));
        let start = source.clock().now();
        let mut last = Nanos::ZERO;
        // It lies behind the host's by what the kernel may keep to itself, and moves with it.
        while last <= start {
            let Received::Idle(clock) = source.receive(&mut |_| {}).unwrap() else { panic!("not idle") };
            assert!(clock > last && clock < source.clock().now());
            last = clock;
        }
        // What is sent now is not behind it.
        FrameSender::open("far").unwrap().send(&udp(1, 4_000, 5_000, 18)).unwrap();
        let frames = receive(&mut source, 1);
        assert!(frames[0].at > last);
    });
}

#[test]
fn without_the_capability_the_error_says_which_and_how_to_grant_it() {
    let error = thread::scope(|scope| {
        let opened = scope.spawn(|| {
            drop_capabilities();
            AfPacketSource::open(&AfPacketConfig::new(&["lo"]), CaptureClock::start()).map(|_| ())
        });
        opened.join().unwrap().unwrap_err()
    });
    assert!(
        matches!(error, SourceError::NoPermission { capabilities, .. } if capabilities == [&NET_RAW]),
        "{error}"
    );
    let message = error.to_string();
    assert!(message.contains("setcap cap_net_raw+ep") && message.contains("\"lo\""), "{message}");
}

/// Gives up every capability of this thread (capset(2)).
fn drop_capabilities() {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let none = [0u32; 6];
    // SAFETY: version 3 reads a header of two words and sets of six words; both are live.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
    assert_eq!(result, 0, "capset: {}", io::Error::last_os_error());
}

#[test]
fn an_interface_that_does_not_exist_is_told_with_those_that_do() {
    within("an_interface_that_does_not_exist_is_told_with_those_that_do", || {
        let config = AfPacketConfig::new(&["near", "eth77"]);
        let error = AfPacketSource::open(&config, CaptureClock::start()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("\"eth77\""), "{message}");
        assert!(["lo", "near", "far"].iter().all(|name| message.contains(name)), "{message}");
    });
}

#[test]
fn a_sender_says_what_it_cannot_send() {
    within("a_sender_says_what_it_cannot_send", || {
        let sender = FrameSender::open("far").unwrap();
        let (good, long) = (udp(1, 4_000, 5_000, 18), vec![0; 2_000]);
        assert_eq!(sender.send(&long).unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
        assert_eq!(sender.send_batch(&[&good, &good, &long, &good]).unwrap(), 2);
        ip(&["link", "set", "far", "down"]);
        assert_eq!(sender.send(&good).unwrap_err().raw_os_error(), Some(libc::ENETDOWN));
    });
}
