//! pcapng: sections, byte orders, clocks, interfaces of several link layers, every packet block.

use nightjar_capture::fakes::MemoryFrame;
use nightjar_capture::{CaptureFile, PacketSource, SourceError};
use nightjar_wire::{LinkType, Nanos};

use crate::read_all;
use crate::writer::{Order, Pcap, PcapNg, frame};

fn read(file: &PcapNg) -> (Vec<MemoryFrame>, Vec<String>, u64) {
    let mut source = CaptureFile::from_bytes(file.image.clone()).unwrap();
    let (frames, error) = read_all(&mut source);
    assert!(error.is_none(), "{error:?}");
    let unknown_link = source.statistics().unknown_link;
    (frames, source.interfaces().to_vec(), unknown_link)
}

#[test]
fn interfaces_keep_their_own_name_link_layer_and_clock() {
    for order in [Order::Little, Order::Big] {
        let mut file = PcapNg::new(order);
        let offset = file.offset_value(1_000);
        file.interface(1, 65_535, &[(2, b"eth0"), (9, &[9])])
            .interface(276, 0, &[(2, b"any"), (9, &[0x80 | 10]), (14, &offset)])
            .interface(101, 0, &[])
            .enhanced(0, 1_700_000_000_123_456_789, &frame(1), 61)
            .enhanced_with(1, 5 * 1024 + 512, &frame(2), 62, &[(1, b"a comment"), (2, &[0; 4])])
            .enhanced(2, 7_000_001, &frame(3), 9_000);
        let (frames, interfaces, _) = read(&file);
        assert_eq!(interfaces, ["eth0", "any", "file/2"]);
        let expected = [
            (Nanos(1_700_000_000_123_456_789), LinkType::Ethernet, 0, 61),
            (Nanos(1_005_500_000_000), LinkType::LinuxSll2, 1, 62),
            (Nanos(7_000_001_000), LinkType::RawIp, 2, 9_000),
        ];
        let seen: Vec<_> =
            frames.iter().map(|frame| (frame.at, frame.link, frame.interface, frame.original_len)).collect();
        assert_eq!(seen, expected, "{order:?}");
        assert!(frames.iter().zip(1..).all(|(seen, number)| seen.bytes == frame(number)));
    }
}

#[test]
fn sections_begin_anew_with_their_own_byte_order_and_interfaces() {
    let mut file = PcapNg::new(Order::Little);
    file.interface(1, 0, &[(2, b"eth0")]).enhanced(0, 1, &frame(1), 60);
    file.section(Order::Big)
        .interface(113, 0, &[(2, b"eth7")])
        .interface(1, 0, &[(2, b"eth0")])
        .enhanced(1, 2, &frame(2), 60)
        .enhanced(0, 3, &frame(3), 60);
    file.section(Order::Little).interface(101, 0, &[]).enhanced(0, 4, &frame(4), 60);
    let (frames, interfaces, _) = read(&file);
    assert_eq!(interfaces, ["eth0", "eth7", "file"]);
    assert_eq!(frames.iter().map(|frame| frame.interface).collect::<Vec<_>>(), [0, 0, 1, 2]);
    assert_eq!(
        frames.iter().map(|frame| frame.link).collect::<Vec<_>>(),
        [LinkType::Ethernet, LinkType::Ethernet, LinkType::LinuxSll, LinkType::RawIp]
    );
    assert_eq!(frames.iter().map(|frame| frame.at.as_micros()).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn simple_packets_take_the_last_stamp_and_are_cut_by_the_snap_length() {
    let mut file = PcapNg::new(Order::Big);
    file.interface(1, 40, &[])
        .simple(&[1; 38], 38)
        .enhanced(0, 8, &[2; 40], 60)
        .simple(&[3; 40], 1_000)
        .simple(&[4; 3], 3);
    let (frames, _, _) = read(&file);
    let seen: Vec<_> =
        frames.iter().map(|frame| (frame.at, frame.bytes.clone(), frame.original_len)).collect();
    assert_eq!(
        seen,
        [
            (Nanos::ZERO, vec![1; 38], 38),
            (Nanos(8_000), vec![2; 40], 60),
            (Nanos(8_000), vec![3; 40], 1_000),
            (Nanos(8_000), vec![4; 3], 3),
        ]
    );
}

#[test]
fn the_packet_block_of_old_files_is_read() {
    for order in [Order::Little, Order::Big] {
        let mut file = PcapNg::new(order);
        file.interface(113, 0, &[]).interface(1, 0, &[]).obsolete(1, 1 << 33, &frame(5));
        let (frames, _, _) = read(&file);
        assert_eq!(frames[0].at, Nanos::from_micros(1 << 33));
        assert_eq!((frames[0].link, frames[0].interface), (LinkType::Ethernet, 1));
        assert_eq!(frames[0].bytes, frame(5));
    }
}

#[test]
fn blocks_that_hold_no_frame_are_passed_over_however_long() {
    let mut file = PcapNg::new(Order::Little);
    file.interface(1, 0, &[]).enhanced(0, 1, &frame(1), 60);
    file.block(10, &vec![9; 5 << 20]).block(4, &[]).block(0x0bad, &[1; 8]).block(5, &[0; 16]);
    file.enhanced(0, 2, &frame(2), 60);
    assert_eq!(read(&file).0.len(), 2);
}

#[test]
fn an_unknown_link_layer_beside_a_known_one_is_counted() {
    let mut file = PcapNg::new(Order::Little);
    file.interface(127, 0, &[(2, b"wlan0")])
        .interface(1, 0, &[(2, b"eth0")])
        .enhanced(0, 1, &frame(1), 60)
        .enhanced(1, 2, &frame(2), 60)
        .enhanced(0, 3, &frame(3), 60);
    let (frames, _, unknown_link) = read(&file);
    assert_eq!((frames.len(), unknown_link), (1, 2));
    assert_eq!(frames[0].bytes, frame(2));
}

#[test]
fn an_unknown_link_layer_alone_is_an_error_with_its_number() {
    let mut file = PcapNg::new(Order::Little);
    file.interface(127, 0, &[]).enhanced(0, 1, &frame(1), 60);
    let (frames, error) = read_all(&mut CaptureFile::from_bytes(file.image).unwrap());
    assert!(frames.is_empty());
    assert!(matches!(error, Some(SourceError::UnknownLink { number: 127, .. })), "{error:?}");
}

#[test]
fn a_longer_file_gives_what_the_same_frames_in_classic_pcap_give() {
    let mut pcap = Pcap::usual();
    pcap.frames(30_000);
    let mut file = PcapNg::new(Order::Little);
    file.interface(1, 0, &[]);
    for number in 0..30_000u32 {
        let frame = frame(number);
        let ticks = u64::from(1_700_000_000 + number) * 1_000_000 + u64::from(number);
        file.enhanced(0, ticks, &frame, frame.len() as u32);
    }
    let classic = read_all(&mut CaptureFile::from_bytes(pcap.image).unwrap()).0;
    assert!(read(&file).0 == classic);
}
