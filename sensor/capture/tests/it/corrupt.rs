//! Files that are cut off, corrupt or arbitrary: everything before the fault, one clear error, an
//! end.

use std::io::Write;

use nightjar_capture::{CaptureFile, PacketSource, Received, SourceError, read_capture_bytes};
use proptest::prelude::*;

use crate::read_all;
use crate::writer::{Order, Pcap, PcapNg, frame};

fn classic(count: u32) -> Vec<u8> {
    let mut pcap = Pcap::usual();
    pcap.frames(count);
    pcap.image
}

fn ng(count: u32) -> Vec<u8> {
    let mut file = PcapNg::new(Order::Little);
    file.interface(1, 0, &[(2, b"eth0"), (9, &[9])]);
    for number in 0..count {
        let frame = frame(number);
        file.enhanced(0, u64::from(number), &frame, frame.len() as u32);
    }
    file.image
}

#[test]
fn a_cut_at_any_byte_gives_the_frames_before_it_and_the_place() {
    for image in [classic(5), ng(5)] {
        let whole = read_all(&mut CaptureFile::from_bytes(image.clone()).unwrap()).0;
        for cut in 1..image.len() {
            let Ok(mut file) = CaptureFile::from_bytes(image[..cut].to_vec()) else { continue };
            let (frames, error) = read_all(&mut file);
            assert_eq!(frames, whole[..frames.len()]);
            assert_eq!(file.receive(&mut |_| {}).unwrap(), Received::End);
            match error {
                Some(SourceError::CutOff { offset, .. }) => assert!((offset as usize) < cut),
                None => {
                    let mut longer = image[..cut].to_vec();
                    longer.push(image[cut]);
                    let next = read_all(&mut CaptureFile::from_bytes(longer).unwrap());
                    assert!(next.1.is_some() || cut + 1 == image.len(), "two ends in a row at {cut}");
                }
                other => panic!("cut at {cut}: {other:?}"),
            }
        }
    }
}

#[test]
fn the_error_of_a_cut_names_file_offset_and_what_is_missing() {
    let mut image = classic(2);
    let at = 24 + 16 + 60;
    image.truncate(at + 16 + 10);
    let (frames, error) = read_all(&mut CaptureFile::from_bytes(image).unwrap());
    let message = error.unwrap().to_string();
    assert_eq!(frames.len(), 1);
    assert!(message.starts_with("memory: ") && message.contains(&format!("byte {at}")), "{message}");
    assert!(message.contains("77 bytes or more, of which 26 are there"), "{message}");
}

#[test]
fn an_absurd_frame_length_is_corrupt() {
    let mut image = classic(3);
    let good = image.len();
    image.extend([0; 8]);
    image.extend((256 * 1024 + 1u32).to_le_bytes());
    image.extend(60u32.to_le_bytes());
    image.extend(vec![0; 1 << 20]);
    let (frames, error) = read_all(&mut CaptureFile::from_bytes(image).unwrap());
    assert_eq!(frames.len(), 3);
    let Some(SourceError::Corrupt { offset, what, .. }) = error else { panic!("{error:?}") };
    assert!(offset == good as u64 && what.contains("262145"), "{what}");
}

#[test]
fn the_longest_frame_that_is_allowed_is_read() {
    let longest = vec![5; 256 << 10];
    let mut pcap = Pcap::usual();
    pcap.record(1, 1, &longest, 300_000).frames(1);
    let mut file = PcapNg::new(Order::Big);
    file.interface(1, 0, &[]).enhanced(0, 1, &longest, 300_000).enhanced(0, 1, &frame(0), 60);
    for image in [pcap.image, file.image] {
        let (frames, error) = read_all(&mut CaptureFile::from_bytes(image).unwrap());
        assert!(error.is_none() && frames.len() == 2 && frames[0].bytes == longest);
    }
}

#[test]
fn wrong_blocks_are_corrupt_at_their_place() {
    let good = ng(2);
    let mut long = PcapNg::new(Order::Little);
    long.interface(1, 0, &[]).enhanced(0, 1, &vec![0; 300_000], 1);
    let mut unknown = PcapNg::new(Order::Little);
    unknown.interface(1, 0, &[]).enhanced(7, 1, &frame(1), 60);
    let mut trailer = PcapNg::new(Order::Little);
    trailer.block(99, &[0; 8]);
    let last = trailer.image.len() - 4;
    trailer.image[last] ^= 4;
    let mut order = good.clone();
    order[8] = 0;
    let mut tiny = good.clone();
    tiny.extend([6, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]);
    let cases = [
        (long.image, 48, "300000"),
        (unknown.image, 48, "interface 7"),
        (trailer.image, 28, "whose end says"),
        (order, 0, "byte order"),
        (tiny, good.len(), "a block of 8 bytes"),
    ];
    for (image, at, what_says) in cases {
        let (_, error) = read_all(&mut CaptureFile::from_bytes(image).unwrap());
        let Some(SourceError::Corrupt { offset, what, .. }) = error else { panic!("{what_says}: {error:?}") };
        assert_eq!(offset, at as u64, "{what}");
        assert!(what.contains(what_says), "{what}");
    }
}

#[test]
fn a_compressed_file_that_is_cut_or_damaged_gives_what_can_be_read() {
    let image = classic(20_000);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&image).unwrap();
    for (packed, kind) in
        [(gzip.finish().unwrap(), "gzip"), (zstd::encode_all(image.as_slice(), 1).unwrap(), "zstd")]
    {
        let (frames, error) =
            read_all(&mut CaptureFile::from_bytes(packed[..packed.len() / 2].to_vec()).unwrap());
        let message = error.unwrap().to_string();
        assert!(message.contains(kind) && message.contains("cut off"), "{message}");
        assert!(frames.len() > 1_000, "{} frames of {kind}", frames.len());
        let mut damaged = packed.clone();
        let middle = packed.len() * 3 / 4;
        damaged[middle..middle + 200].fill(0xee);
        let (frames, error) = read_all(&mut CaptureFile::from_bytes(damaged).unwrap());
        assert!(error.is_some() && frames.len() > 1_000, "{} frames of {kind}: {error:?}", frames.len());
    }
}

/// A valid image with some bytes replaced.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let image = prop_oneof![Just(classic(6)), Just(ng(6))];
    (image, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)).prop_map(
        |(mut image, changes)| {
            for (at, byte) in changes {
                let at = at.index(image.len());
                image[at] = byte;
            }
            image
        },
    )
}

/// Bytes behind one of the magic numbers.
fn arbitrary() -> impl Strategy<Value = Vec<u8>> {
    let magic = prop_oneof![
        Just(vec![]),
        Just(0xa1b2_c3d4u32.to_le_bytes().to_vec()),
        Just(0xa1b2_3c4du32.to_be_bytes().to_vec()),
        Just(PcapNg::new(Order::Little).image),
        Just(PcapNg::new(Order::Big).interface(1, 0, &[]).image.clone()),
        Just(vec![0x1f, 0x8b, 8]),
        Just(vec![0x28, 0xb5, 0x2f, 0xfd]),
    ];
    (magic, prop::collection::vec(any::<u8>(), 0..400)).prop_map(|(magic, rest)| [magic, rest].concat())
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic_or_run_on(image in prop_oneof![damaged(), arbitrary()]) {
        let (mut frames, mut bytes) = (0, 0);
        let result = read_capture_bytes(&image, |frame| {
            frames += 1;
            bytes += frame.bytes.len();
        });
        // Nothing is given twice: a frame takes bytes of the image, compressed streams apart.
        if !matches!(image.first(), Some(0x1f | 0x28)) {
            prop_assert!(bytes <= image.len());
            prop_assert!(frames * 16 <= image.len());
        }
        if let Ok(statistics) = result {
            prop_assert_eq!(statistics.received, frames as u64);
        }
    }
}
