//! What a call allocates once it runs: nothing.

use allocation_counter::measure;
use nightjar_media::{
    AudioConfig, AudioFrame, CallAudio, Decision, Encoder, EncoderConfig, EncoderSink, FrameSink, OpusLayout,
};

use crate::network::{Packet, Party, spec, tone};

struct Nowhere;

impl FrameSink for Nowhere {
    fn frame(&mut self, _: &AudioFrame) {}
}

fn packets(seconds: f64) -> Vec<Packet> {
    let mut packets = Vec::new();
    for stream in 0..2 {
        let mut party = Party { jitter: 0.02, ppm: 200.0, ..Party::new(stream) };
        packets.extend(party.talk(seconds, &tone(400.0)));
    }
    packets.sort_by_key(|packet| packet.arrival);
    packets
}

fn play(call: &mut CallAudio, packets: &[Packet], sink: &mut impl FrameSink) {
    for packet in packets {
        call.handle_packet(packet.stream, packet.arrival, &packet.bytes);
        call.advance(packet.arrival, sink);
    }
}

#[test]
fn a_running_call_allocates_nothing() {
    let mut call = CallAudio::new(&AudioConfig::default(), Decision::Everything);
    [spec(0, 0), spec(1, 1)].into_iter().for_each(|spec| call.open_stream(spec));
    let packets = packets(30.0);
    play(&mut call, &packets[..500], &mut Nowhere);
    let counted = measure(|| play(&mut call, &packets[500..], &mut Nowhere));
    assert_eq!(counted.count_total, 0, "{counted:?}");
}

#[test]
fn a_running_encoder_allocates_nothing() {
    for layout in [OpusLayout::Coupled, OpusLayout::Parties] {
        let mut call = CallAudio::new(&AudioConfig::default(), Decision::Everything);
        [spec(0, 0), spec(1, 1)].into_iter().for_each(|spec| call.open_stream(spec));
        let mut out = Vec::with_capacity(1 << 20);
        let mut encoder = Encoder::new(&EncoderConfig::ogg_opus(layout), 1, &mut out).unwrap();
        let packets = packets(20.0);
        let mut sink = EncoderSink { encoder: &mut encoder, out: &mut out };
        play(&mut call, &packets[..1000], &mut sink);
        let counted = measure(|| play(&mut call, &packets[1000..], &mut sink));
        assert!(counted.count_total <= 2, "{layout:?}: {counted:?}");
    }
}
