//! Classic pcap, compression, several files in a row, and what is told of files that are none.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use nightjar_capture::fakes::MemoryFrame;
use nightjar_capture::{CaptureFile, CaptureFiles, PacketSource, Received, SourceError, read_capture_bytes};
use nightjar_wire::{LinkType, Nanos};

use crate::read_all;
use crate::writer::{Order, Pcap, PcapNg, frame};

fn image(bytes: Vec<u8>) -> Vec<MemoryFrame> {
    let mut file = CaptureFile::from_bytes(bytes).unwrap();
    let (frames, error) = read_all(&mut file);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(file.statistics().received, frames.len() as u64);
    frames
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn write(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn every_magic_number_in_both_byte_orders_is_read() {
    for order in [Order::Little, Order::Big] {
        for (magic, fraction_ns) in [(0xa1b2_c3d4, 1_000), (0xa1b2_3c4d, 1)] {
            let mut pcap = Pcap::new(order, magic, 1);
            pcap.record(5, 999_999, &[1; 60], 1_500).record(6, 0, &[], 0);
            let frames = image(pcap.image);
            assert_eq!(frames.len(), 2, "{order:?} {magic:x}");
            assert_eq!(frames[0].at, Nanos(5_000_000_000 + 999_999 * fraction_ns));
            assert_eq!((frames[0].bytes.as_slice(), frames[0].original_len), (&[1; 60][..], 1_500));
            assert_eq!((frames[1].at, frames[1].bytes.len()), (Nanos::from_secs(6), 0));
        }
    }
}

#[test]
fn kuznetzovs_longer_record_headers_are_passed_over() {
    let mut pcap = Pcap::new(Order::Little, 0xa1b2_cd34, 1);
    for number in 0..3u32 {
        for word in [number, 0, 60, 60, 7, 8] {
            pcap.image.extend(word.to_le_bytes());
        }
        pcap.image.extend([number as u8; 60]);
    }
    let frames = image(pcap.image);
    assert!(frames.iter().zip(0..3).all(|(frame, number)| frame.bytes == [number; 60]), "{frames:?}");
}

#[test]
fn old_versions_hold_the_lengths_in_their_own_order() {
    let orders = [(0, 100, 60), (2, 100, 60), (3, 100, 60), (3, 60, 100), (543, 100, 60), (4, 60, 100)];
    for (minor, third, fourth) in orders {
        let mut pcap = Pcap::usual();
        pcap.image[6..8].copy_from_slice(&u16::to_le_bytes(minor));
        for word in [1u32, 0, third, fourth] {
            pcap.image.extend(word.to_le_bytes());
        }
        pcap.image.extend([7; 60]);
        let frames = image(pcap.image);
        assert_eq!((frames.len(), frames[0].bytes.len(), frames[0].original_len), (1, 60, 100), "2.{minor}");
    }
}

#[test]
fn each_link_layer_that_is_decoded_is_recognised() {
    let links = [
        (1, LinkType::Ethernet),
        (113, LinkType::LinuxSll),
        (276, LinkType::LinuxSll2),
        (101, LinkType::RawIp),
        (0, LinkType::Null),
        (108, LinkType::Null),
        // A frame check sequence of 4 bytes is told in the upper bits.
        (0x4400_0001, LinkType::Ethernet),
    ];
    for (number, link) in links {
        let mut pcap = Pcap::new(Order::Big, 0xa1b2_c3d4, number);
        pcap.frames(1);
        assert_eq!(image(pcap.image)[0].link, link);
    }
}

#[test]
fn a_link_layer_that_is_not_decoded_is_an_error_with_its_number() {
    let error = CaptureFile::from_bytes(Pcap::new(Order::Little, 0xa1b2_c3d4, 127).image).unwrap_err();
    assert!(matches!(error, SourceError::UnknownLink { number: 127, .. }));
    assert!(error.to_string().contains("127"), "{error}");
}

#[test]
fn stamps_that_jump_or_run_backwards_are_given_as_they_are() {
    let mut pcap = Pcap::usual();
    let stamps = [1_700_000_000, 4_200_000_000, 3, u32::MAX];
    for secs in stamps {
        pcap.record(secs, u32::MAX, &[0; 60], 60);
    }
    let at: Vec<Nanos> = image(pcap.image).iter().map(|frame| frame.at).collect();
    let expected = stamps.map(|secs| Nanos(u64::from(secs) * 1_000_000_000 + u64::from(u32::MAX) * 1_000));
    assert_eq!(at, expected);
}

#[test]
fn compression_is_told_from_the_bytes_and_not_from_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut pcap = Pcap::usual();
    pcap.frames(20_000);
    let plain = image(pcap.image.clone());
    let (first, second) = pcap.image.split_at(1_000_001);
    let members = [gzip(first), gzip(second)].concat();
    let zstd_frames = [
        // A skippable frame of 3 bytes, then two frames.
        vec![0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9],
        zstd::encode_all(first, 1).unwrap(),
        zstd::encode_all(second, 1).unwrap(),
    ]
    .concat();
    let images =
        [(pcap.image, None), (gzip(&[]), Some("gzip")), (members, Some("gzip")), (zstd_frames, Some("zstd"))];
    for (number, (bytes, compression)) in images.into_iter().enumerate() {
        let path = write(&folder, "capture.wav", &bytes);
        if number == 1 {
            // A gzip stream without a byte in it is no capture.
            assert!(matches!(CaptureFile::open(&path), Err(SourceError::NotACapture { .. })));
            continue;
        }
        let mut file = CaptureFile::open(&path).unwrap();
        assert_eq!(file.compression(), compression);
        assert_eq!(file.progress().unwrap().1, bytes.len() as u64);
        let (frames, error) = read_all(&mut file);
        assert!(error.is_none() && frames == plain, "{compression:?} {error:?}");
        assert_eq!(file.progress().unwrap().0, bytes.len() as u64);
        assert_eq!(image(bytes), plain);
    }
}

#[test]
fn progress_grows_with_each_batch() {
    let mut pcap = Pcap::usual();
    pcap.frames(5_000);
    let total = pcap.image.len() as u64;
    let mut file = CaptureFile::from_bytes(pcap.image).unwrap();
    let mut last = 0;
    while file.receive(&mut |_| {}).unwrap() != Received::End {
        let (done, of) = file.progress().unwrap();
        assert!(done >= last && of == total);
        last = done;
    }
    assert_eq!(last, total);
}

#[test]
fn files_in_a_row_are_one_source_with_one_list_of_interfaces() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = PcapNg::new(Order::Little);
    first.interface(1, 0, &[(2, b"eth1")]).enhanced(0, 1, &frame(1), 60);
    let mut second = Pcap::usual();
    second.frames(3);
    let mut third = PcapNg::new(Order::Big);
    third.interface(113, 0, &[(2, b"eth0")]).interface(1, 0, &[(2, b"eth1")]);
    third.enhanced(1, 1_800_000_000_000_000, &frame(9), 60);
    let paths = [
        write(&folder, "b", &first.image),
        write(&folder, "a", &second.image),
        write(&folder, "c", &third.image),
    ];
    let mut files = CaptureFiles::open(&paths).unwrap();
    let total: usize = [&first.image, &second.image, &third.image].map(Vec::len).iter().sum();
    assert_eq!(files.progress(), Some((0, total as u64)));
    let (frames, error) = read_all(&mut files);
    assert!(error.is_none());
    let bytes: Vec<_> = frames.iter().map(|frame| frame.bytes.clone()).collect();
    assert_eq!(bytes, [frame(1), frame(0), frame(1), frame(2), frame(9)]);
    assert_eq!(files.interfaces(), ["eth1", "file", "eth0"]);
    assert_eq!(frames.iter().map(|frame| frame.interface).collect::<Vec<_>>(), [0, 1, 1, 1, 0]);
    assert_eq!(files.statistics().received, 5);
    assert_eq!(files.progress(), Some((total as u64, total as u64)));
}

#[test]
fn a_fault_in_one_file_lets_the_next_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut pcap = Pcap::usual();
    pcap.frames(3);
    let cut = write(&folder, "cut.pcap", &pcap.image[..pcap.image.len() - 1]);
    let later = numbered(100..103);
    let paths = [cut, write(&folder, "ok.pcap", &later), write(&folder, "no.pcap", b"this is no capture")];
    let mut files = CaptureFiles::open(&paths).unwrap();
    let (frames, error) = read_all(&mut files);
    assert!(frames.len() == 2 && matches!(error, Some(SourceError::CutOff { .. })));
    let (frames, error) = read_all(&mut files);
    assert!(frames.is_empty() && matches!(error, Some(SourceError::NotACapture { .. })));
    let (frames, error) = read_all(&mut files);
    assert!(frames.len() == 3 && error.is_none());
    assert_eq!(files.statistics().received, 5);
}

/// An image of some frames, each stamped with its number in s.
fn numbered(numbers: impl Iterator<Item = u32>) -> Vec<u8> {
    let mut pcap = Pcap::usual();
    for number in numbers {
        let frame = frame(number);
        pcap.record(1_700_000_000 + number, 0, &frame, frame.len() as u32);
    }
    pcap.image
}

/// Images that hold every `count`th of 4,000 frames each.
fn dealt(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|hand| numbered((hand..4_000).step_by(count as usize))).collect()
}

#[test]
fn files_come_in_the_order_of_their_stamps_however_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    // A rotation as a shell sorts it, the taps of two directions, and one file per queue.
    let rotated = [1_400, 0, 3_500, 700, 2_800, 2_100].map(|from| numbered(from..(from + 700).min(4_000)));
    let sets = [rotated.to_vec(), dealt(2), dealt(70)];
    for images in sets {
        let name = |(number, bytes): (usize, &Vec<u8>)| write(&folder, &format!("cap{number}"), bytes);
        let mut paths: Vec<PathBuf> = images.iter().enumerate().map(name).collect();
        for _ in 0..2 {
            let mut files = CaptureFiles::open(&paths).unwrap();
            let (frames, error) = read_all(&mut files);
            assert!(error.is_none() && frames.len() == 4_000, "{error:?}");
            // More files than may be open at once are merged as far as that goes.
            let sorted = frames.windows(2).all(|pair| pair[0].at <= pair[1].at);
            assert!(sorted || images.len() > 64);
            assert_eq!(files.statistics().received, 4_000);
            assert_eq!(files.interfaces(), ["file"]);
            paths.reverse();
        }
    }
}

#[test]
fn where_stamps_are_equal_the_file_given_first_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut pcap = Pcap::usual();
    pcap.frames(600);
    let mut other = Pcap::usual();
    for number in 0..600 {
        other.record(1_700_000_000 + number, number, &[9; 60], 60);
    }
    let paths = [write(&folder, "b", &other.image), write(&folder, "a", &pcap.image)];
    let (frames, _) = read_all(&mut CaptureFiles::open(&paths).unwrap());
    let turns = frames.chunks(2).all(|pair| pair[0].bytes == [9; 60] && pair[1].bytes != [9; 60]);
    assert!(frames.len() == 1_200 && turns);
}

#[test]
fn a_fault_in_one_of_several_files_that_are_merged_loses_no_other_frame() {
    let folder = tempfile::tempdir().unwrap();
    let images = dealt(3);
    let cut = &images[1][..images[1].len() - 1];
    let paths = [write(&folder, "a", &images[0]), write(&folder, "b", cut), write(&folder, "c", &images[2])];
    let mut files = CaptureFiles::open(&paths).unwrap();
    let (mut frames, error) = read_all(&mut files);
    assert!(matches!(error, Some(SourceError::CutOff { .. })), "{error:?}");
    let (rest, error) = read_all(&mut files);
    assert!(error.is_none());
    frames.extend(rest);
    assert_eq!(frames.len(), 3_999);
    assert!(frames.windows(2).all(|pair| pair[0].at <= pair[1].at));
}

#[test]
fn what_cannot_be_opened_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let empty = write(&folder, "empty.pcap", b"");
    let text = write(&folder, "text.pcap", b"INVITE sip:bob SIP/2.0\r\n");
    let xz = write(&folder, "packed.pcap", b"\xfd7zXZ\0");
    let short = write(&folder, "short.pcap", &Pcap::usual().image[..20]);
    let missing = folder.path().join("missing.pcap");
    let cases: [(PathBuf, &str); 6] = [
        (missing, "there is no such file"),
        (folder.path().to_owned(), "is a directory"),
        (empty, "is empty"),
        (text, "is not a capture: it begins with the bytes 49 4e 56 49"),
        (xz, "compressed with xz"),
        (short, "cut off in what begins at byte 0"),
    ];
    for (path, what) in cases {
        let message = CaptureFile::open(&path).unwrap_err().to_string();
        assert!(message.contains(what), "{message}");
        assert!(message.contains(&path.display().to_string()), "{message}");
        let in_a_row =
            CaptureFiles::open(&[&path]).and_then(|mut files| files.receive(&mut |_| {}).map(|_| ()));
        assert_eq!(in_a_row.unwrap_err().to_string(), message);
    }
}

#[test]
fn a_pipe_is_read_as_a_file_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let mut pcap = Pcap::usual();
    pcap.frames(3_000);
    let expected = image(pcap.image.clone());
    let writer = std::thread::spawn({
        let path = path.clone();
        move || {
            let mut pipe = fs::OpenOptions::new().write(true).open(path).unwrap();
            for piece in pcap.image.chunks(10_007) {
                pipe.write_all(piece).unwrap();
            }
        }
    });
    let mut files = CaptureFiles::open(&[&path]).unwrap();
    assert_eq!(files.progress(), None);
    let (frames, error) = read_all(&mut files);
    writer.join().unwrap();
    assert!(error.is_none() && frames == expected);
}

#[test]
fn an_image_is_read_by_one_call() {
    let mut pcap = Pcap::usual();
    pcap.record(1, 0, &[7; 60], 90).record(2, 0, &[8; 60], 60);
    let mut seen = Vec::new();
    let statistics = read_capture_bytes(&pcap.image, |frame| seen.push(frame.bytes[0])).unwrap();
    assert_eq!(seen, [7, 8]);
    assert_eq!((statistics.received, statistics.bytes, statistics.truncated), (2, 120, 1));
}
