//! The codecs against vectors that nobody here made.

use std::io::Write;
use std::path::PathBuf;

use nightjar_codec::{Codec, Decoder, Law};

/// The named vectors, or `None` (said on the real stderr, past the test's capture) where the folder
/// of captures is not there. A folder without the file is a failure.
fn vectors<const N: usize>(names: [&str; N]) -> Option<[Vec<u8>; N]> {
    let folder = std::env::var_os("NIGHTJAR_CAPTURES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/captures")),
        PathBuf::from,
    );
    if !folder.is_dir() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: codec vectors: no folder of captures");
        return None;
    }
    Some(names.map(|name| std::fs::read(folder.join("codec").join(name)).expect(name)))
}

fn words(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn decode(codec: Codec, payload: &[u8]) -> Vec<i16> {
    let mut decoder = codec.decoder();
    let mut out = vec![0; decoder.samples(payload).unwrap()];
    let decoded = decoder.decode(payload, &mut out).unwrap();
    assert_eq!(decoded, out.len());
    out
}

#[test]
fn a_law_equals_the_itu_sweep_in_both_directions() {
    let Some([linear, codes, decoded, reference]) = vectors([
        "STL__src__g711__test_data__sweep.src",
        "STL__src__g711__test_data__sweep-r.a",
        "STL__src__g711__test_data__sweep-r.rea",
        "STL__src__g711__test_data__sweep-r.a-a",
    ]) else {
        return;
    };
    let linear = words(&linear);
    let codes: Vec<u8> = words(&codes).iter().map(|&code| code as u8).collect();
    assert_eq!(linear.len(), 65_536);
    let compressed: Vec<u8> = linear.iter().map(|&sample| Law::A.compress(sample)).collect();
    assert_eq!(compressed, codes);
    assert_eq!(decode(Codec::Pcma, &codes), words(&decoded));
    assert_eq!(decode(Codec::Pcma, &codes), words(&reference));
}

#[test]
fn a_law_equals_the_rtplib_sample() {
    let Some([codes, expected]) = vectors([
        "rtplib__test__samples__pcma__raw-alaw.raw",
        "rtplib__test__samples__pcma__raw-pcm16.from_alaw",
    ]) else {
        return;
    };
    assert_eq!(decode(Codec::Pcma, &codes), words(&expected));
}

#[test]
fn mu_law_equals_the_rtplib_sample_in_both_directions() {
    let Some([codes, expected]) = vectors([
        "rtplib__test__samples__pcmu__raw-ulaw.raw",
        "rtplib__test__samples__pcmu__raw-pcm16.from_ulaw",
    ]) else {
        return;
    };
    let expected = words(&expected);
    assert_eq!(decode(Codec::Pcmu, &codes), expected);
    let compressed: Vec<u8> = expected.iter().map(|&sample| Law::Mu.compress(sample)).collect();
    // The two codes for zero are one value.
    let one_zero = |code: &u8| if *code == 0x7f { 0xff } else { *code };
    assert_eq!(compressed, codes.iter().map(one_zero).collect::<Vec<u8>>());
}
