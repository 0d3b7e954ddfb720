//! Stamps that jump, silences that last, sensors that were away.

use nightjar_media::{AudioConfig, AudioSummary, CallAudio, Decision, Fate, Mark};
use nightjar_schema::GapCause;
use nightjar_wire::Nanos;

use crate::network::{Packet, Party, Tape, assert_tone, at, peak, record, record_as, spec, tone};

fn ten_seconds() -> Vec<Packet> {
    Party { delay: 0.0, ..Party::new(0) }.talk(10.0, &tone(400.0))
}

fn shifted(mut packets: Vec<Packet>, from: usize, by: i64) -> Vec<Packet> {
    for packet in &mut packets[from..] {
        packet.arrival = packet.arrival.offset(by);
    }
    packets
}

#[test]
fn a_jump_of_eighty_years_is_capped_and_marked() {
    let years = 80 * 365 * 86_400 * 1_000_000_000i64;
    let config = AudioConfig { max_silence: Nanos::from_secs(600), ..AudioConfig::default() };
    let end = at(10.0).offset(years);
    let (tape, summary) = record_as(&config, &[spec(0, 0)], shifted(ten_seconds(), 250, years), end);
    assert_eq!(summary.marks, [Mark::OneSided, Mark::ClockJump]);
    // 5 s, ten minutes of silence, 5 s.
    let samples = tape.planes[0].len();
    assert!((samples as i64 - 610 * 8000).abs() <= 320, "{samples}");
    assert_tone(&tape.planes[0][..40_000], 400.0, 1000.0);
    assert_tone(&tape.planes[0][samples - 40_000 + 320..], 400.0, 1000.0);
    assert_eq!(summary.counts().encoded, 500);
    assert_eq!(summary.skipped_samples + summary.samples, years as u64 / 125_000 + 80_000);
}

#[test]
fn a_jump_of_an_hour_back_loses_nothing_and_is_marked() {
    let hour = 3600 * 1_000_000_000i64;
    let packets = shifted(ten_seconds(), 250, -hour);
    let mut call = CallAudio::new(&AudioConfig::default(), Decision::Everything);
    call.open_stream(spec(0, 0));
    let mut tape = Tape::default();
    for packet in &packets {
        call.advance(packet.arrival, &mut tape);
        assert_eq!(call.handle_packet(0, packet.arrival, &packet.bytes), Fate::Queued);
    }
    // Frames go on although the watermark stands still.
    assert!(tape.frames > 480);
    let summary = call.finish(at(10.0).offset(-hour), &mut tape);
    assert_eq!(summary.marks, [Mark::OneSided, Mark::ClockJump]);
    assert!((tape.planes[0].len() as i64 - 80_000).abs() <= 320);
    // The join may be made up for sample by sample: short windows do not hear that.
    for part in tape.planes[0][..79_000].chunks_exact(400) {
        assert_tone(part, 400.0, 1000.0);
    }
}

#[test]
fn silence_at_the_end_keeps_its_length_up_to_the_cap() {
    let (tape, summary) = record(&[spec(0, 0)], ten_seconds(), at(3610.0));
    assert_eq!(summary.duration, Nanos::from_secs(3610));
    assert_eq!(peak(&tape.planes[0][80_000..]), 0);
    assert_eq!(summary.marks, [Mark::OneSided]);
    let config = AudioConfig { max_silence: Nanos::from_secs(60), ..AudioConfig::default() };
    let (_, summary) = record_as(&config, &[spec(0, 0)], ten_seconds(), at(3610.0));
    assert_eq!(summary.duration, Nanos::from_secs(70));
    assert_eq!(summary.marks, [Mark::OneSided, Mark::ClockJump]);
}

#[test]
fn an_outage_is_its_own_gap_and_no_loss_on_the_wire() {
    let mut packets = ten_seconds();
    packets.drain(200..300);
    packets.remove(350);
    let mut call = CallAudio::new(&AudioConfig::default(), Decision::Everything);
    call.open_stream(spec(0, 0));
    let mut tape = Tape::default();
    for packet in &packets {
        call.advance(packet.arrival, &mut tape);
        call.handle_packet(0, packet.arrival, &packet.bytes);
    }
    call.note_outage(at(4.0), at(6.0), GapCause::SensorDown);
    let summary = call.finish(at(10.0), &mut tape);
    let gaps: Vec<_> =
        summary.gaps.iter().map(|gap| (gap.stream, gap.at_ms, gap.duration_ms, gap.cause)).collect();
    assert_eq!(gaps, [(None, 4000, 2000, GapCause::SensorDown), (Some(0), 9000, 20, GapCause::Wire)]);
}

/// Plays `packets`; behind each number of packets in `saved_after` the call is saved, forgotten and
/// read back.
fn record_saving(packets: &[Packet], saved_after: &[usize], end: Nanos) -> (AudioSummary, Tape) {
    let mut call = CallAudio::new(&AudioConfig::default(), Decision::Undecided);
    [spec(0, 0), spec(1, 1)].into_iter().for_each(|spec| call.open_stream(spec));
    let mut tape = Tape::default();
    for (index, packet) in packets.iter().enumerate() {
        if index == 60 {
            call.handle_answered(0, packet.arrival);
        }
        call.advance(packet.arrival, &mut tape);
        call.handle_packet(packet.stream, packet.arrival, &packet.bytes);
        if saved_after.contains(&index) {
            let saved = postcard::to_stdvec(&call).unwrap();
            call = postcard::from_bytes(&saved).unwrap();
        }
    }
    (call.finish(end, &mut tape), tape)
}

#[test]
fn a_call_that_is_saved_and_read_back_goes_on_as_if_nothing_had_been() {
    // Jitter, drift, losses, a digit, comfort noise: everything that leaves a state behind.
    let mut first = Party { ppm: 300.0, jitter: 0.02, ..Party::new(0) };
    let mut packets = first.talk(2.0, &tone(400.0));
    for n in 1..=6u16 {
        let [high, low] = (n * 160).to_be_bytes();
        packets.push(first.send(101, n == 1, &[7, if n == 6 { 0x8a } else { 10 }, high, low]));
    }
    first.timestamp += 6 * 160;
    packets.extend(first.talk(8.0, &tone(400.0)));
    packets.remove(150);
    packets.remove(40);
    packets.extend(Party { jitter: 0.01, ..Party::new(1) }.talk(10.0, &tone(1000.0)));
    packets.sort_by_key(|packet| packet.arrival);
    let (whole, tape) = record_saving(&packets, &[], at(10.2));
    assert_eq!((whole.digits.len(), whole.heard.len()), (1, 2));
    assert!(whole.gaps.len() >= 2, "{:?}", whole.gaps);
    let every_tenth: Vec<usize> = (0..packets.len()).step_by(10).collect();
    for saved_after in [&[30][..], &[100, 101], &[500], &every_tenth] {
        let (summary, saved) = record_saving(&packets, saved_after, at(10.2));
        assert_eq!(summary, whole, "saved after {saved_after:?}");
        assert!(saved.planes == tape.planes, "saved after {saved_after:?}");
    }
}

#[test]
fn a_call_can_be_stopped_at_a_place_of_its_recording() {
    let packets = ten_seconds();
    let (whole, _) = record(&[spec(0, 0)], packets.clone(), at(10.0));
    let mut call = CallAudio::new(&AudioConfig::default(), Decision::Everything);
    call.open_stream(spec(0, 0));
    let (mut tape, mut reached) = (Tape::default(), 0);
    for packet in &packets {
        // All that has come by now may be closed; three seconds at most are.
        if call.advance_to(packet.arrival, 24_000, &mut tape) {
            reached += 1;
            assert_eq!(tape.planes[0].len(), 24_000);
        } else {
            assert!(tape.planes[0].len() < 24_000);
        }
        call.handle_packet(0, packet.arrival, &packet.bytes);
    }
    assert!(reached > 100, "{reached}");
    call.finish(at(10.0), &mut tape);
    assert!(tape.planes == whole.planes);
}

#[test]
fn a_recording_that_ends_within_a_frame_counts_only_what_it_holds() {
    let (tape, summary) = record(&[spec(0, 0)], ten_seconds(), at(9.0) + Nanos::from_millis(7));
    assert_eq!(tape.planes[0].len(), 9 * 8000 + 56);
    assert_eq!((summary.samples, summary.streams[0].heard_samples), (9 * 8000 + 56, 9 * 8000 + 56));
    assert_eq!(summary.counts().total(), 500);
}

#[test]
fn a_party_that_begins_behind_a_jump_back_begins_now() {
    let cases = [Decision::Everything, Decision::Undecided].into_iter();
    for (decision, heard_before) in cases.flat_map(|decision| [(decision, false), (decision, true)]) {
        let mut call = CallAudio::new(&AudioConfig::default(), decision);
        [spec(0, 0), spec(1, 1)].into_iter().for_each(|spec| call.open_stream(spec));
        let caller = Party { delay: 0.0, ..Party::new(0) }.talk(0.1, &tone(400.0));
        for packet in caller.iter().filter(|_| heard_before) {
            call.handle_packet(0, packet.arrival, &packet.bytes);
        }
        let mut tape = Tape::default();
        call.advance(caller[4].arrival, &mut tape);
        let callee = Party { delay: 0.0, ..Party::new(1) }.talk(0.1, &tone(400.0));
        for packet in callee {
            call.handle_packet(1, packet.arrival - Nanos::from_secs(3600), &packet.bytes);
        }
        let summary = call.finish(caller[4].arrival, &mut tape);
        assert!(summary.duration < Nanos::from_secs(1), "{decision:?}: {:?}", summary.duration);
        assert_eq!(summary.heard.len(), 1 + usize::from(heard_before));
        assert!(summary.marks.contains(&Mark::ClockJump));
    }
}
