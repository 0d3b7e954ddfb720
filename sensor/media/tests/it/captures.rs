//! Streams that nobody here made; what is expected of them is tshark's reading of the same files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use nightjar_codec::Codec;
use nightjar_media::{AudioSummary, StreamSpec};
use nightjar_wire::{LinkType, MediaClass, Nanos, RtpView, Transport, classify, decode_frame};

use crate::network::{Packet, Tape, record};

/// RTP packets of a classic little-endian pcap file of µs stamps, by SSRC; `None`, said aloud,
/// where there is no folder of captures.
fn streams(name: &str) -> Option<BTreeMap<u32, Vec<Packet>>> {
    let folder = std::env::var_os("NIGHTJAR_CAPTURES").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/captures")),
        PathBuf::from,
    );
    if !folder.is_dir() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: streams of captures: no folder of captures");
        return None;
    }
    let bytes = std::fs::read(folder.join("sip_rtp").join(name)).expect(name);
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(word(0), 0xa1b2_c3d4, "{name}");
    let link = LinkType::from_number(word(20)).unwrap();
    let mut streams = BTreeMap::<u32, Vec<Packet>>::new();
    let mut at = 24;
    while at + 16 <= bytes.len() {
        let arrival = Nanos::from_secs(word(at).into()) + Nanos::from_micros(word(at + 4).into());
        let frame = &bytes[at + 16..at + 16 + word(at + 8) as usize];
        at += 16 + frame.len();
        let Ok(frame) = decode_frame(link, frame) else { continue };
        let Transport::Udp { payload, src_port, .. } = frame.transport else { continue };
        if src_port == 5060 || classify(payload) != MediaClass::Rtp {
            continue;
        }
        let ssrc = RtpView::parse(payload).unwrap().ssrc();
        let packet = Packet { stream: 0, arrival, bytes: payload.to_vec() };
        streams.entry(ssrc).or_default().push(packet);
    }
    Some(streams)
}

fn play(packets: Vec<Packet>) -> (Tape, AudioSummary) {
    let end = packets.iter().map(|packet| packet.arrival).max().unwrap() + Nanos::from_millis(40);
    record(&[StreamSpec::new(0, 0)], packets, end)
}

#[test]
fn digits_are_those_that_tshark_reads() {
    let files = [
        ("sip-tester-deb__usr__share__sip-tester__dtmf_2833_1.pcap", 0x0e05_384e, "1"),
        ("sip-tester-deb__usr__share__sip-tester__dtmf_2833_3.pcap", 0x0e05_384e, "3"),
        ("sip-tester-deb__usr__share__sip-tester__dtmf_2833_star.pcap", 0x0e05_384e, "*"),
        ("sipp-scenarios__rtp_ssrc_0x6a518186.pcap", 0x6a51_8186, "12345#"),
        ("sipnab__tests__pcap-samples__SIP_DTMF2.cap", 0x5711_bf84, "6789123"),
    ];
    for (name, ssrc, expected) in files {
        let Some(mut streams) = streams(name) else { return };
        let (_, summary) = play(streams.remove(&ssrc).expect("the stream"));
        let digits: String = summary.digits.iter().map(|digit| digit.digit).collect();
        assert_eq!(digits, expected, "{name}");
        assert!(summary.gaps.is_empty(), "{name}: {:?}", summary.gaps);
    }
}

#[test]
fn an_undisturbed_stream_is_recorded_bit_by_bit() {
    let files = [
        ("sipnab__tests__pcap-samples__sip-rtp-g711.pcap", 0x343f_fa34, 414, Codec::Pcma),
        ("sipnab__tests__pcap-samples__sip-rtp-g711.pcap", 0x343d_a99b, 425, Codec::Pcmu),
        ("sipnab__tests__pcap-samples__speech_8k_ulaw.pcap", 0x1234_5678, 835, Codec::Pcmu),
        ("sip-tester-deb__usr__share__sip-tester__g711a.pcap", 0xdee0_ee8f, 236, Codec::Pcma),
    ];
    for (name, ssrc, count, codec) in files {
        use nightjar_codec::Decoder;
        let Some(mut streams) = streams(name) else { return };
        let packets = streams.remove(&ssrc).expect("the stream");
        assert_eq!(packets.len(), count, "{name}");
        let payloads: Vec<u8> = packets
            .iter()
            .flat_map(|packet| RtpView::parse(&packet.bytes).unwrap().payload().to_vec())
            .collect();
        let mut expected = vec![0; payloads.len()];
        codec.decoder().decode(&payloads, &mut expected).unwrap();
        let (tape, summary) = play(packets);
        assert_eq!((summary.counts().encoded, summary.counts().late), (count as u64, 0));
        assert!(summary.gaps.is_empty());
        assert!(tape.planes[0].starts_with(&expected), "{name}");
    }
}

#[test]
fn a_hole_is_as_long_as_its_timestamps_say() {
    let name = "sipnab__tests__pcap-samples__SIP_DTMF2.cap";
    let Some(mut streams) = streams(name) else { return };
    let (_, summary) = play(streams.remove(&0x9a7b_5382).expect("the stream"));
    assert_eq!(summary.counts().total(), 665);
    // tshark: two packets of 30 ms are missing.
    let gaps: Vec<_> = summary.gaps.iter().map(|gap| (gap.at_ms, gap.duration_ms)).collect();
    assert_eq!(gaps, [(15_300, 30), (17_640, 30)]);
}
