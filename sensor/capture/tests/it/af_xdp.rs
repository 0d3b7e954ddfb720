//! Live capture through AF_XDP: what the program sees, decides and hands up, and that every frame is
//! accounted for.

use std::net::SocketAddrV4;
use std::process::Command;
use std::time::{Duration, Instant};

use etherparse::{Ipv4Header, PacketBuilder, SlicedPacket};
use nightjar_capture::fakes::MemoryFrame;
use nightjar_capture::{
    AfXdpConfig, AfXdpSource, CaptureClock, FrameSender, Learned, LiveSender, LiveStream, PacketSource,
    ProgramMode, Received, SocketCounts, SourceError, Stopped, XdpCounts, interface_index,
};
use nightjar_wire::xdp::{
    Counter, EndpointKey, EndpointVerdict, RedirectError, Unwanted, live, mapped_address,
};
use nightjar_wire::{LinkType, RtpView, Transport, decode_frame};

use crate::namespace::{ip, run_on_cpu, within};

/// A bound on every wait; nothing asserts on time.
const DEADLINE: Duration = Duration::from_secs(20);
const HERE: [u8; 4] = [192, 0, 2, 1];
const THERE: [u8; 4] = [192, 0, 2, 2];

/// A UDP frame whose payload begins with `head`, with `number` behind it.
fn frame(number: u32, ports: (u16, u16), head: &[u8], payload: usize) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4(HERE, THERE, 64)
        .udp(ports.0, ports.1);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, &body(number, head, payload)).unwrap();
    bytes
}

fn body(number: u32, head: &[u8], payload: usize) -> Vec<u8> {
    let mut body = head.to_vec();
    body.extend_from_slice(&number.to_be_bytes());
    body.resize(payload.max(18), 0x55);
    body
}

pub(crate) fn rtp(number: u32, ports: (u16, u16)) -> Vec<u8> {
    frame(number, ports, &[0x80, 0, 0, 0], 172)
}

pub(crate) fn sip(number: u32) -> Vec<u8> {
    frame(number, (5060, 5060), b"OPTIONS sip:", 300)
}

/// Neither media nor signalling.
pub(crate) fn dns(number: u32) -> Vec<u8> {
    frame(number, (40_000, 53), &[0x12, 0x34, 1, 0], 60)
}

pub(crate) fn open(config: &AfXdpConfig) -> AfXdpSource {
    AfXdpSource::open(config, CaptureClock::start()).unwrap()
}

pub(crate) fn dropping() -> AfXdpConfig {
    let mut config = AfXdpConfig::new(&["near"]);
    config.program.settings.unwanted = Unwanted::Drop as u32;
    config
}

/// Receives until nothing has come for three calls in a row.
pub(crate) fn drain(source: &mut AfXdpSource) -> Vec<MemoryFrame> {
    let start = Instant::now();
    let mut frames = Vec::new();
    let mut idle = 0;
    while idle < 3 && start.elapsed() < DEADLINE {
        let received = source.receive(&mut |frame| frames.push(MemoryFrame::copied(&frame))).unwrap();
        idle = if matches!(received, Received::Idle(_)) { idle + 1 } else { 0 };
    }
    frames
}

/// The counts after everything has come to rest: each level of the ledger adds up.
pub(crate) fn exact(source: &AfXdpSource) -> XdpCounts {
    let counts = source.xdp_counts().remove(0);
    assert_eq!(counts.program_residual(), 0, "{counts:?}");
    assert_eq!(counts.redirect_residual(), 0, "{counts:?}");
    assert_errors_repeat(&counts);
    counts
}

/// The kernel's tracepoint and its sockets tell the same: each frame that a socket lost is a redirect that failed.
fn assert_errors_repeat(counts: &XdpCounts) {
    let of = |error: RedirectError| counts.redirect_errors[error as usize];
    let sum = |count: fn(&SocketCounts) -> u64| counts.sockets.iter().map(count).sum::<u64>();
    assert_eq!(of(RedirectError::RingFull), sum(|socket| socket.ring_full), "{counts:?}");
    assert_eq!(of(RedirectError::NoRoom), sum(|socket| socket.dropped), "{counts:?}");
}

fn bytes_of(frames: &[MemoryFrame]) -> Vec<&[u8]> {
    frames.iter().map(|frame| frame.bytes.as_slice()).collect()
}

#[test]
fn media_and_signalling_come_up_in_order_and_the_rest_is_counted() {
    within("media_and_signalling_come_up_in_order_and_the_rest_is_counted", || {
        for mode in [ProgramMode::Native, ProgramMode::Generic] {
            let config = AfXdpConfig { mode: Some(mode), ..dropping() };
            let mut source = open(&config);
            assert_eq!(source.modes()[0].program, mode);
            let sender = FrameSender::open("far").unwrap();
            let before = source.clock().now();
            let mut sent = Vec::new();
            let mut wanted = Vec::new();
            for number in 0..3_000 {
                let frame = match number % 10 {
                    0 => sip(number),
                    1 => dns(number),
                    _ => rtp(number, (4_000 + (number % 7) as u16, 5_000)),
                };
                if number % 10 != 1 {
                    wanted.push(frame.clone());
                }
                sent.push(frame);
            }
            let mut received = Vec::new();
            for burst in sent.chunks(100) {
                let burst: Vec<&[u8]> = burst.iter().map(Vec::as_slice).collect();
                assert_eq!(sender.send_batch(&burst).unwrap(), burst.len());
                received.extend(drain(&mut source));
            }
            assert_eq!(bytes_of(&received), wanted.iter().map(Vec::as_slice).collect::<Vec<_>>());
            assert!(received.is_sorted_by_key(|frame| frame.at), "{mode:?}");
            assert!(before <= received[0].at && received[received.len() - 1].at <= source.clock().now());
            assert_eq!((source.unstamped(), source.statistics().out_of_order), (0, 0));
            let counts = exact(&source);
            assert_eq!(counts.of(Counter::Seen), 3_000);
            assert_eq!(counts.of(Counter::Signalling), 300);
            assert_eq!((counts.of(Counter::Media), counts.of(Counter::ByShape)), (2_400, 2_400));
            assert_eq!(counts.of(Counter::DroppedUnwanted), 300);
        }
    });
}

#[test]
fn a_verdict_holds_for_the_next_frame() {
    within("a_verdict_holds_for_the_next_frame", || {
        let mut config = dropping();
        config.program.settings.recognise = 0;
        let mut source = open(&config);
        let sender = FrameSender::open("far").unwrap();
        let key = |addr, port| EndpointKey { addr: mapped_address(addr), port, realm: 0 };
        let mut received_with = |verdict: Option<EndpointVerdict>, key| {
            let program = source.programs().next().unwrap();
            match verdict {
                Some(verdict) => assert_eq!(program.learn(key, verdict).unwrap(), Learned::Known),
                None => program.forget(key).unwrap(),
            }
            for number in 0..10 {
                sender.send(&rtp(number, (6_000, 7_000))).unwrap();
            }
            drain(&mut source).len()
        };
        assert_eq!(received_with(None, key(THERE, 7_000)), 0, "nothing by shape here");
        assert_eq!(received_with(Some(EndpointVerdict::Media), key(THERE, 7_001)), 0, "another's port");
        assert_eq!(received_with(Some(EndpointVerdict::Media), key(THERE, 7_000)), 10, "as receiver");
        assert_eq!(received_with(Some(EndpointVerdict::Never), key(HERE, 6_000)), 0, "never wins");
        assert_eq!(received_with(Some(EndpointVerdict::Cut), key(HERE, 6_000)), 0);
        assert_eq!(received_with(None, key(HERE, 6_000)), 10);
        assert_eq!(received_with(None, key(THERE, 7_000)), 0);
        assert_eq!(received_with(Some(EndpointVerdict::Media), key(HERE, 6_000)), 10, "as sender");
        let counts = exact(&source);
        assert_eq!(counts.of(Counter::ByEndpoint), 30);
        assert_eq!((counts.of(Counter::DroppedNever), counts.of(Counter::DroppedCut)), (10, 10));
    });
}

#[test]
fn endpoints_beyond_the_map_are_counted_and_told_by_shape() {
    within("endpoints_beyond_the_map_are_counted_and_told_by_shape", || {
        let mut config = dropping();
        config.program.endpoints = 64;
        let mut source = open(&config);
        let program = source.programs().next().unwrap();
        let key = |port| EndpointKey { addr: mapped_address(THERE), port, realm: 0 };
        let outcome = |port| program.learn(key(port), EndpointVerdict::Media).unwrap();
        let full = (10_000..10_200).map(outcome).filter(|learned| *learned == Learned::Full).count();
        assert_eq!(full, 200 - 64);
        let sender = FrameSender::open("far").unwrap();
        for port in 10_000..10_200 {
            sender.send(&rtp(u32::from(port), (9_000, port))).unwrap();
        }
        assert_eq!(drain(&mut source).len(), 200);
        let counts = exact(&source);
        assert_eq!((counts.of(Counter::ByEndpoint), counts.of(Counter::ByShape)), (64, 136));
        assert_eq!(counts.endpoints_full, 136);
    });
}

#[test]
fn tags_ipv6_fragments_and_jumbo_frames_come_whole() {
    within("tags_ipv6_fragments_and_jumbo_frames_come_whole", || {
        ip(&["link", "set", "near", "mtu", "9000"]);
        ip(&["link", "set", "far", "mtu", "9000"]);
        let mut source = open(&dropping());
        let sender = FrameSender::open("far").unwrap();
        let tagged = |tags: &[u8]| {
            let plain = rtp(1, (4_000, 5_000));
            [&plain[..12], tags, &plain[12..]].concat()
        };
        let ipv6 =
            PacketBuilder::ethernet2([1; 6], [2; 6]).ipv6([0x20; 16], [0x21; 16], 64).udp(4_000, 5_000);
        let mut six = Vec::new();
        ipv6.write(&mut six, &body(2, &[0x80, 8, 0, 0], 172)).unwrap();
        let mut fragment = frame(3, (4_000, 5_060), b"INVITE sip:", 400);
        fragment[14 + 6] = 0x20;
        let sent = [
            tagged(&[0x81, 0, 0, 7]),
            tagged(&[0x88, 0xa8, 0, 7, 0x81, 0, 0, 9]),
            six,
            fragment,
            frame(4, (5_060, 5_060), b"NOTIFY sip:", 8_000),
            frame(5, (4_000, 5_000), &[0x80, 0, 0, 0], 5_000),
        ];
        for frame in &sent {
            sender.send(frame).unwrap();
        }
        let received = drain(&mut source);
        assert_eq!(bytes_of(&received), sent.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let counts = exact(&source);
        assert_eq!((counts.of(Counter::Signalling), counts.of(Counter::Media)), (2, 4));
        assert_eq!(counts.of(Counter::Fragments), 1);
        assert_eq!(counts.of(Counter::SeenBytes), sent.iter().map(|frame| frame.len() as u64).sum::<u64>());
    });
}

#[test]
fn several_queues_are_merged_by_stamp_and_each_is_accounted_for() {
    within("several_queues_are_merged_by_stamp_and_each_is_accounted_for", || {
        ip(&["link", "del", "near"]);
        let queues = ["numrxqueues", "4", "numtxqueues", "4"];
        let ends = [&["link", "add", "near"][..], &queues, &["type", "veth", "peer", "name", "far"], &queues];
        ip(&ends.concat());
        ip(&["link", "set", "near", "up"]);
        ip(&["link", "set", "far", "up"]);
        let mut source = open(&dropping());
        assert_eq!(source.modes()[0].queues, 4);
        // A frame takes the queue of its sender's CPU.
        let senders = [FrameSender::open("far").unwrap(), FrameSender::open("far").unwrap()];
        let mut received = Vec::new();
        let mut wanted = Vec::new();
        for burst in 0..40_u32 {
            let sender = &senders[burst as usize % 2];
            run_on_cpu(burst as usize % 2);
            let frames: Vec<Vec<u8>> =
                (0..50).map(|n| rtp(burst * 50 + n, (4_000 + 2 * (n % 25) as u16, 5_000))).collect();
            sender.send_batch(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
            received.extend(drain(&mut source));
            wanted.extend(frames);
        }
        let mut seen = bytes_of(&received);
        let mut wanted: Vec<&[u8]> = wanted.iter().map(Vec::as_slice).collect();
        seen.sort_unstable();
        wanted.sort_unstable();
        assert!(seen == wanted, "{} of {} frames", seen.len(), wanted.len());
        assert_eq!(
            received.windows(2).filter(|pair| pair[0].at > pair[1].at).count() as u64,
            source.statistics().out_of_order
        );
        let counts = exact(&source);
        let used = counts.sockets.iter().filter(|socket| socket.received > 0).count();
        assert!(used > 1, "the flows spread over queues: {counts:?}");
    });
}

#[test]
fn live_frames_arrive_as_they_were_written_each_stream_in_order() {
    within("live_frames_arrive_as_they_were_written_each_stream_in_order", || {
        let mut source = open(&dropping());
        let stream = |number: u16| LiveStream {
            src: SocketAddrV4::new(HERE.into(), 10_000 + 2 * number),
            dst: SocketAddrV4::new(THERE.into(), 20_000 + 2 * number),
            ssrc: 0x1234_0000 + u32::from(number),
            first_seq: 65_500,
            first_time: u32::MAX - 1_000,
        };
        let streams: Vec<LiveStream> = (0..100).map(stream).collect();
        let mut sender = LiveSender::open("far", &streams).unwrap();
        let report = sender.send(6_000, 100_000).unwrap();
        assert_eq!(report.sent, 6_000);
        assert!(report.elapsed_ns >= 5_999 * 10_000, "as slow as it was asked for: {report:?}");
        let received = drain(&mut source);
        assert_eq!(received.len(), 6_000);
        for (number, frame) in received.iter().enumerate() {
            let (round, stream) = (number / 100, &streams[number % 100]);
            let Ok(datagram) = decode_frame(LinkType::Ethernet, &frame.bytes) else { panic!("no frame") };
            let Transport::Udp { src_port, payload, .. } = datagram.transport else { panic!("not UDP") };
            let rtp = RtpView::parse(payload).unwrap();
            let seq = stream.first_seq.wrapping_add(round as u16);
            assert_eq!((src_port, rtp.ssrc(), rtp.sequence().0), (stream.src.port(), stream.ssrc, seq));
            assert!(live::is_intact(&frame.bytes[live::PAYLOAD..], stream.ssrc, seq));
            assert!(SlicedPacket::from_ethernet(&frame.bytes).is_ok());
            assert_eq!(
                Ipv4Header::from_slice(&frame.bytes[14..]).unwrap().0.calc_header_checksum(),
                u16::from_be_bytes([frame.bytes[24], frame.bytes[25]])
            );
        }
        assert_eq!(exact(&source).of(Counter::Media), 6_000);
    });
}

#[test]
fn what_a_full_ring_loses_is_counted_and_signalling_is_not_lost() {
    within("what_a_full_ring_loses_is_counted_and_signalling_is_not_lost", || {
        let mut config = dropping();
        config.sizes.media = 64;
        config.sizes.signalling = 256;
        config.sizes.spare = 64;
        let clock = CaptureClock::start();
        let began = clock.now();
        let mut source = AfXdpSource::open(&config, clock).unwrap();
        let sender = FrameSender::open("far").unwrap();
        for number in 0..1_000 {
            sender.send(&rtp(number, (4_000, 5_000))).unwrap();
            if number % 5 == 0 {
                sender.send(&sip(number)).unwrap();
            }
        }
        let sent = clock.now();
        let received = drain(&mut source);
        let counts = exact(&source);
        assert_eq!(counts.sockets[0].received, 200, "all of the signalling");
        assert_eq!(counts.sockets[1].received, 64, "what the media ring holds");
        assert_eq!(counts.sockets[1].ring_full + counts.sockets[1].dropped, 1_000 - 64);
        assert_eq!(received.len(), 264);
        let statistics = source.statistics();
        assert_eq!((statistics.ring_full, statistics.in_ring), (1_000 - 64, 0));
        let loss = source.take_ring_loss().expect("a look is due");
        assert_eq!(loss.frames, 1_000 - 64);
        assert!(began <= loss.from && loss.from <= received[0].at && sent <= loss.to, "{loss:?}");
        assert_eq!(source.take_ring_loss(), None);
    });
}

#[test]
fn redirects_that_fail_are_counted_at_the_tracepoint_since_no_socket_counts_them() {
    within("redirects_that_fail_are_counted_at_the_tracepoint_since_no_socket_counts_them", || {
        for mode in [ProgramMode::Native, ProgramMode::Generic] {
            let mut source = open(&AfXdpConfig { mode: Some(mode), ..dropping() });
            // The same program on another interface: its frames find sockets that are not that one's.
            ip(&["link", "add", "near2", "type", "veth", "peer", "name", "far2"]);
            for interface in ["near2", "far2"] {
                ip(&["link", "set", interface, "up"]);
            }
            let other = interface_index("near2").unwrap();
            source.programs().next().unwrap().attach(other, mode).unwrap();
            let senders = ["far", "far2"].map(|far| FrameSender::open(far).unwrap());
            for number in 0..100 {
                for sender in &senders {
                    sender.send(&rtp(number, (4_000, 5_000))).unwrap();
                }
            }
            assert_eq!(drain(&mut source).len(), 100);
            let counts = exact(&source);
            assert_eq!((counts.of(Counter::Media), counts.redirect_failed()), (200, 100), "{mode:?}");
            drop(source);
            ip(&["link", "del", "near2"]);
        }
    });
}

#[test]
fn detached_frames_go_to_the_kernel_and_what_waits_is_read() {
    within("detached_frames_go_to_the_kernel_and_what_waits_is_read", || {
        let mut source = open(&dropping());
        let sender = FrameSender::open("far").unwrap();
        for number in 0..50 {
            sender.send(&rtp(number, (4_000, 5_000))).unwrap();
        }
        assert_eq!(source.stop().unwrap(), Stopped::Draining);
        sender.send(&rtp(99, (4_000, 5_000))).unwrap();
        assert_eq!(drain(&mut source).len(), 50);
        assert_eq!(exact(&source).of(Counter::Seen), 50);
    });
}

#[test]
fn a_removed_interface_ends_the_source_after_its_last_frames() {
    within("a_removed_interface_ends_the_source_after_its_last_frames", || {
        let mut source = open(&dropping());
        let sender = FrameSender::open("far").unwrap();
        for number in 0..20 {
            sender.send(&rtp(number, (4_000, 5_000))).unwrap();
        }
        ip(&["link", "del", "near"]);
        let start = Instant::now();
        let (mut frames, mut error) = (0, None);
        while error.is_none() && start.elapsed() < DEADLINE {
            match source.receive(&mut |_| {}) {
                Ok(Received::Frames(count)) => frames += count,
                Ok(_) => {}
                Err(gone) => error = Some(gone),
            }
        }
        assert!(matches!(error, Some(SourceError::InterfaceGone { .. })), "{error:?}");
        assert_eq!(frames, 20);
        assert!(matches!(source.receive(&mut |_| {}), Ok(Received::End)));
    });
}

#[test]
fn an_interface_that_has_a_program_already_says_so() {
    within("an_interface_that_has_a_program_already_says_so", || {
        let _first = open(&dropping());
        let config = AfXdpConfig { queues: vec![0], ..dropping() };
        let message = AfXdpSource::open(&config, CaptureClock::start()).unwrap_err().to_string();
        assert!(message.contains("near") && message.contains("busy"), "{message}");
    });
}

#[test]
fn the_interface_is_promiscuous_while_it_is_captured_if_that_is_wanted() {
    within("the_interface_is_promiscuous_while_it_is_captured_if_that_is_wanted", || {
        for (promiscuous, count) in [(true, 1), (false, 0)] {
            let source = open(&AfXdpConfig { promiscuous, ..dropping() });
            assert_eq!(promiscuity("near"), count);
            drop(source);
            assert_eq!(promiscuity("near"), 0);
        }
    });
}

/// How many want all frames of an interface, by `ip -d link`.
fn promiscuity(interface: &str) -> u32 {
    let output = Command::new("ip").args(["-d", "link", "show", interface]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.split_ascii_whitespace().skip_while(|word| *word != "promiscuity");
    words.nth(1).and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}
