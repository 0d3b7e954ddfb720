//! What was said together is heard together, for half an hour, with clocks 100 ppm apart.

use nightjar_load::{Codec, FrameClass, Side, scenarios};
use nightjar_scenarios::{Channel, SEED, Sound, replayed};
use nightjar_wire::{LinkType, RtpView, Transport, decode_frame};

/// A packet's length in ms.
const PACKET: f64 = 20.0;

/// The only recording of a scenario, its first sample's moment in µs.
fn sound(name: &str) -> (i64, Sound) {
    let replayed = &replayed(name).replayed;
    let (recording, sound) = replayed.sound(&replayed.calls[0]).expect("a recording");
    (recording.started_at.0, sound)
}

/// Where clicks begin, in ms of the capture clock: the first loud sample after 0.5 s of silence.
fn onsets(channel: &Channel, started_at: i64) -> Vec<f64> {
    let mut onsets = Vec::new();
    let mut last_loud = None::<usize>;
    for (index, sample) in channel.samples.iter().enumerate() {
        if sample.unsigned_abs() > 8_000 {
            if last_loud.is_none_or(|last| index - last > 4_000) {
                onsets.push(started_at as f64 / 1000.0 + index as f64 / 8.0);
            }
            last_loud = Some(index);
        }
    }
    onsets
}

fn clicks(name: &str) -> [Vec<f64>; 2] {
    let (started_at, sound) = sound(name);
    [0, 1].map(|channel| onsets(&sound.channels[channel], started_at))
}

/// How far both legs' clicks are apart, and each from its whole second, in ms.
fn assert_together(clicks: &[Vec<f64>; 2], count: usize) {
    assert!(clicks[0].len() == clicks[1].len() && clicks[0].len() >= count, "{} clicks", clicks[0].len());
    for (left, right) in clicks[0].iter().zip(&clicks[1]) {
        assert!((left - right).abs() <= 20.0, "{} ms apart at {left}", left - right);
    }
    for channel in clicks {
        for click in channel {
            // A packet leaves with its last sample; the generator stamps it with its first.
            let off = (click + PACKET + 500.0).rem_euclid(1000.0) - 500.0;
            assert!(off.abs() <= 5.0, "{off} ms from its second");
        }
        for pair in channel.windows(2) {
            let step = pair[1] - pair[0] - 1000.0;
            assert!(step.abs() <= 5.0, "a step of {step} ms at {}", pair[1]);
        }
    }
}

#[test]
fn clicks_of_both_legs_are_together_at_0_15_and_30_minutes_with_100_ppm_between_them() {
    let clicks = clicks("clicks-drift-30-minutes");
    assert_together(&clicks, 1859);
    for minute in [0, 15, 30] {
        let [left, right] = [0, 1].map(|channel| clicks[channel][minute * 60 + 1]);
        assert!((left - right).abs() <= 20.0, "at {minute} minutes {} ms apart", left - right);
    }
}

#[test]
fn clicks_of_a_short_call_are_together() {
    assert_together(&clicks("clicks"), 9);
}

/// What each code stands for: the middle of the samples that the generator encodes to it.
fn decoder(codec: Codec) -> Vec<i16> {
    let mut ends = vec![(i32::from(i16::MAX), i32::from(i16::MIN)); 256];
    for sample in i16::MIN..=i16::MAX {
        let (low, high) = &mut ends[usize::from(codec.encode(sample))];
        *low = i32::from(sample).min(*low);
        *high = i32::from(sample).max(*high);
    }
    ends.into_iter().map(|(low, high)| ((low + high) / 2) as i16).collect()
}

/// All samples that a side sent, as it sent them.
fn sent(name: &str, side: Side) -> Vec<i16> {
    let expected = &replayed(name).expected.calls[0];
    let src = &expected.heard(side).next().expect("a stream").src;
    let table = decoder(Codec::Pcma);
    let mut samples = Vec::new();
    for frame in scenarios::by_name(name, *SEED).frames().filter(|frame| frame.class == FrameClass::Rtp) {
        let Ok(decoded) = decode_frame(LinkType::Ethernet, &frame.bytes) else { panic!("no frame") };
        let Transport::Udp { src_port, payload, .. } = decoded.transport else { panic!("no UDP") };
        if std::net::SocketAddr::new(decoded.network.src, src_port).to_string() == *src {
            let rtp = RtpView::parse(payload).expect("RTP");
            samples.extend(rtp.payload().iter().map(|code| table[usize::from(*code)]));
        }
    }
    samples
}

/// Where exactly `piece` lies in `sent`, the place nearest to `expected`; `None` when it is nowhere
/// within `reach`. What is only like it says nothing: one period of a voice is like the next.
fn find(piece: &[i16], sent: &[i16], expected: i64, reach: i64) -> Option<i64> {
    let is_at = |at: &i64| {
        let other = usize::try_from(*at).ok().and_then(|start| sent.get(start..start + piece.len()));
        // The middle of a code's samples may be rounded either way.
        other.is_some_and(|other| piece.iter().zip(other).all(|(a, b)| a.abs_diff(*b) <= 1))
    };
    (0..=reach).flat_map(|off| [expected - off, expected + off]).find(is_at)
}

/// A recorded channel against what was sent, ten times in each second of speech.
#[derive(Debug, Default)]
struct Lags {
    /// Where a piece lies in the recording, and by how much it lay later in what was sent.
    found: Vec<(usize, i64)>,
    /// Pieces that are not as they were sent: a sample was added or left out in them.
    stretched: usize,
}

impl Lags {
    fn of(channel: &[i16], sent: &[i16]) -> Lags {
        const PIECE: usize = 600;
        const SPACING: usize = 800;
        let level = |piece: &[i16]| piece.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / PIECE as f64;
        let mut lags = Lags::default();
        for at in (2 * SPACING..channel.len() - PIECE).step_by(SPACING) {
            let piece = &channel[at..at + PIECE];
            // Quiet sounds are alike everywhere.
            if level(piece).sqrt() < 1_500.0 {
                continue;
            }
            let lag = lags.found.last().map_or(0, |(_, lag)| *lag);
            match find(piece, sent, at as i64 + lag, 400) {
                Some(found) => lags.found.push((at, found - at as i64)),
                None => lags.stretched += 1,
            }
        }
        lags
    }

    /// The largest change from one piece to the next, in ms, and where, in s.
    fn largest_step(&self) -> (f64, usize) {
        let steps = self.found.windows(2).map(|pair| (pair[0].1.abs_diff(pair[1].1), pair[1].0));
        steps.max().map_or((0.0, 0), |(samples, at)| (samples as f64 / 8.0, at / 8000))
    }

    /// Which part of the pieces is not as it was sent.
    fn stretched_part(&self) -> f64 {
        self.stretched as f64 / (self.stretched + self.found.len()).max(1) as f64
    }
}

/// While somebody speaks the lag never steps, and it follows the drift of the clocks.
fn assert_no_step(name: &str, side: Side, ppm: f64) {
    let (_, sound) = sound(name);
    let channel = &sound.channels[usize::from(side == Side::Callee)].samples;
    let lags = Lags::of(channel, &sent(name, side));
    let (step, at) = lags.largest_step();
    assert!(step <= 5.0, "{side:?}: a step of {step} ms at {at} s");
    assert!(lags.found.len() > 3_000, "{} pieces of speech", lags.found.len());
    assert!(lags.stretched_part() < LOST_TO_STRETCHING, "{side:?}: {} of all", lags.stretched_part());
    // In the first seconds the delay of the network is still being learnt.
    let (first, last) = (lags.found[lags.found.len() / 20], lags.found[lags.found.len() - 1]);
    let drifted = (last.1 - first.1) as f64 / (last.0 - first.0) as f64 * 1e6;
    assert!((drifted - ppm).abs() < 5.0, "{side:?}: drifts by {drifted} ppm");
}

/// A clock that is off by 50 ppm needs a sample each 2.5 s, and a packet of 20 ms is stretched for
/// it: one piece of 75 ms in 26. Pieces that lie nowhere at all must not hide in that.
const LOST_TO_STRETCHING: f64 = 0.1;

#[test]
fn a_step_that_is_put_into_speech_is_found() {
    const NAME: &str = "speech-drift-30-minutes";
    let (_, sound) = sound(NAME);
    let (channel, sent) = (&sound.channels[0].samples[..60 * 8000], sent(NAME, Side::Caller));
    let lags = Lags::of(channel, &sent);
    assert!(lags.largest_step().0 <= 5.0);
    // Between two pieces of one word.
    let within = |pair: &&[(usize, i64)]| pair[0].0 > 30 * 8000 && pair[1] == (pair[0].0 + 800, pair[0].1);
    let place = lags.found.windows(2).find(within).expect("speech")[0].0 + 700;
    for samples in [41, 80, 240] {
        let mut longer = channel.to_vec();
        longer.splice(place..place, vec![0; samples]);
        let mut shorter = channel.to_vec();
        shorter.drain(place..place + samples);
        for stepped in [longer, shorter] {
            let step = Lags::of(&stepped, &sent).largest_step();
            assert_eq!(step, (samples as f64 / 8.0, (place + 100) / 8000));
        }
    }
}

#[test]
fn speech_of_half_an_hour_follows_the_drift_without_a_step_over_5_ms() {
    assert_no_step("speech-drift-30-minutes", Side::Caller, 50.0);
    assert_no_step("speech-drift-30-minutes", Side::Callee, -50.0);
}
