//! What ffmpeg hears in the files. Without ffmpeg these tests fail: they are the proof that
//! others can play what is recorded.

use std::path::Path;
use std::process::Command;

use nightjar_media::{
    AudioConfig, AudioFrame, AudioSummary, CallAudio, ChannelLayout, Decision, Encoder, EncoderConfig,
    EncoderPoint, EncoderSink, FrameSink, OpusLayout,
};
use nightjar_wire::Nanos;

use crate::network::{Packet, Party, at, level, peak, spec, tone};

const SERIAL: u32 = 0x4e4a_0001;

const LAYOUTS: [OpusLayout; 3] = [OpusLayout::Mono, OpusLayout::Coupled, OpusLayout::Parties];

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program} is needed (Debian: apt-get install ffmpeg): {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A file's channels at 8 kHz as ffmpeg decodes them, with its own Opus decoder or libopus.
fn decode(file: &Path, decoder: Option<&str>, channels: usize) -> Vec<Vec<i16>> {
    let mut arguments = vec!["-v", "error", "-xerror"];
    arguments.extend(decoder.iter().flat_map(|name| ["-c:a", name]));
    arguments.extend(["-i", file.to_str().unwrap(), "-f", "s16le", "-ar", "8000", "-"]);
    let bytes = run("ffmpeg", &arguments);
    let samples: Vec<i16> =
        bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    (0..channels).map(|channel| samples.iter().skip(channel).step_by(channels).copied().collect()).collect()
}

/// Samples of 48 kHz that come before the first: ffprobe counts them as part of an Ogg Opus file's
/// duration (ffmpeg's own files too), players do not.
const PRE_SKIP: f64 = 312.0;

/// A file's length in samples of its own rate, by decoding, and what ffprobe says in s.
fn length(file: &Path, decoder: Option<&str>, channels: usize, rate: &str) -> (usize, f64) {
    let name = file.to_str().unwrap();
    let mut arguments = vec!["-v", "error"];
    arguments.extend(decoder.iter().flat_map(|name| ["-c:a", name]));
    arguments.extend(["-i", name, "-f", "s16le", "-ar", rate, "-"]);
    let decoded = run("ffmpeg", &arguments);
    let probed = run(
        "ffprobe",
        &["-v", "error", "-show_entries", "format=duration", "-of", "default=nw=1:nk=1", name],
    );
    let duration = String::from_utf8(probed).unwrap().trim().parse().unwrap();
    (decoded.len() / 2 / channels, duration)
}

/// Samples of 48 kHz that a player gives, by the file's first and last page (RFC 7845, 4.3 and 4.4):
/// the last granule position without the pre-skip.
fn end_trimmed(bytes: &[u8]) -> u64 {
    let mut packets = ogg::PacketReader::new(std::io::Cursor::new(bytes));
    let head = packets.read_packet_expected().unwrap().data;
    let pre_skip = u64::from(u16::from_le_bytes([head[10], head[11]]));
    let last = std::iter::from_fn(|| packets.read_packet().unwrap()).last().unwrap();
    assert!(last.last_in_stream() && pre_skip == PRE_SKIP as u64);
    last.absgp_page() - pre_skip
}

/// Both parties talk in turns: 400 Hz left in seconds 0 and 1, 1000 Hz right in 2 and 3, and so on;
/// silence from second 4 to 6 of each 6.
fn turns(seconds: f64) -> Vec<Packet> {
    let turn = |from: f64, hertz: f64| {
        move |t: f64| if (from..from + 2.0).contains(&t.rem_euclid(6.0)) { tone(hertz)(t) } else { 0.0 }
    };
    let mut packets = Party { delay: 0.0, ..Party::new(0) }.talk(seconds, &turn(0.0, 400.0));
    packets.extend(Party { delay: 0.0, ..Party::new(1) }.talk(seconds, &turn(2.0, 1000.0)));
    packets.sort_by_key(|packet| packet.arrival);
    packets
}

fn call(channels: ChannelLayout) -> CallAudio {
    let config = AudioConfig { channels, ..AudioConfig::default() };
    let mut call = CallAudio::new(&config, Decision::Everything);
    [spec(0, 0), spec(1, 1)].into_iter().for_each(|spec| call.open_stream(spec));
    call
}

fn play(call: &mut CallAudio, packets: &[Packet], sink: &mut impl FrameSink) {
    for packet in packets {
        call.advance(packet.arrival, sink);
        call.handle_packet(packet.stream, packet.arrival, &packet.bytes);
    }
}

/// A complete file.
fn store(config: &EncoderConfig, packets: &[Packet], end: Nanos) -> (Vec<u8>, AudioSummary) {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(config, SERIAL, &mut bytes).unwrap();
    let mut call = call(config.channels());
    let mut sink = EncoderSink { encoder: &mut encoder, out: &mut bytes };
    play(&mut call, packets, &mut sink);
    let summary = call.finish(end, &mut sink);
    encoder.finish(&mut bytes);
    let mut file = encoder.header();
    file.extend_from_slice(&bytes);
    (file, summary)
}

fn write(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn assert_turns(channels: &[Vec<i16>], silence: u16) {
    // A lossy codec at its lowest complexity: a little less exact than `assert_tone`.
    let assert_tone = |samples: &[i16], present: f64, absent: f64| {
        let (loud, quiet) = (level(samples, present), level(samples, absent));
        assert!((6000.0..10_500.0).contains(&loud) && quiet < 250.0, "{present} Hz: {loud:.0}, {quiet:.0}");
    };
    let second = |channel: usize, n: usize| &channels[channel][n * 8000 + 2400..(n + 1) * 8000 - 1600];
    let right = channels.len() - 1;
    assert_tone(second(0, 1), 400.0, 1000.0);
    assert_tone(second(right, 3), 1000.0, 400.0);
    assert_tone(second(0, 6), 400.0, 1000.0);
    assert_tone(second(right, 8), 1000.0, 400.0);
    if right > 0 {
        assert!(level(second(1, 1), 400.0) < 250.0 && level(second(0, 3), 1000.0) < 250.0);
    }
    for channel in channels {
        assert!(peak(&channel[4 * 8000 + 4000..6 * 8000 - 100]) <= silence, "silence stays silence");
    }
}

#[test]
fn ogg_opus_has_the_channels_the_tones_and_the_silence() {
    let folder = tempfile::tempdir().unwrap();
    for layout in LAYOUTS {
        let (bytes, _) = store(&EncoderConfig::ogg_opus(layout), &turns(12.0), at(12.0));
        let file = write(&folder, "call.opus", &bytes);
        for decoder in [None, Some("libopus")] {
            assert_turns(&decode(&file, decoder, layout.channels().count()), 1);
        }
        let mbps = bytes.len() * 8 / 12;
        assert!(mbps < layout.default_bitrate() as usize, "{layout:?}: {mbps} bit/s");
    }
}

#[test]
fn one_party_s_channel_is_the_same_whatever_the_other_says() {
    let folder = tempfile::tempdir().unwrap();
    let party = |stream, hertz| Party { delay: 0.0, ..Party::new(stream) }.talk(6.0, &tone(hertz));
    let mut both = [party(0, 400.0), party(1, 1000.0)].concat();
    both.sort_by_key(|packet| packet.arrival);
    let config = EncoderConfig::ogg_opus(OpusLayout::Parties);
    let [both, left, right] = [both, party(0, 400.0), party(1, 1000.0)].map(|packets| {
        let (bytes, _) = store(&config, &packets, at(6.0));
        let file = write(&folder, "call.opus", &bytes);
        [None, Some("libopus")].map(|decoder| decode(&file, decoder, 2))
    });
    for decoder in 0..2 {
        assert!(both[decoder][0] == left[decoder][0] && both[decoder][1] == right[decoder][1]);
        assert!(peak(&left[decoder][1]) <= 1 && peak(&right[decoder][0]) <= 1);
        let second = 8000..16_000;
        assert!(level(&both[decoder][0][second.clone()], 400.0) > 6000.0);
        assert!(level(&both[decoder][1][second], 1000.0) > 6000.0);
    }
}

/// Each change between speech and silence on one of two streams once cost ffmpeg's own decoder some
/// samples, until it gave up.
#[test]
fn a_call_of_many_turns_is_decoded_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let party = |stream, hertz: f64| {
        let speaks = move |t: f64| (t % 1.4 < 0.7) == (stream == 0);
        let sound = move |t: f64| if speaks(t) { tone(hertz)(t) } else { 0.0 };
        Party { delay: 0.0, ..Party::new(stream) }.talk(120.0, &sound)
    };
    let mut packets = [party(0, 400.0), party(1, 1000.0)].concat();
    packets.sort_by_key(|packet| packet.arrival);
    for layout in LAYOUTS {
        let (bytes, _) = store(&EncoderConfig::ogg_opus(layout), &packets, at(120.0));
        let file = write(&folder, "call.opus", &bytes);
        let [own, libopus] =
            [None, Some("libopus")].map(|decoder| decode(&file, decoder, layout.channels().count()));
        assert_eq!((own[0].len(), libopus[0].len()), (960_000, 960_000), "{layout:?}");
        let turn = |channel: usize, from: f64| (channel, (from * 8000.0) as usize);
        for (channel, from) in [turn(0, 117.7), turn(own.len() - 1, 118.4)] {
            let level = |samples: &[Vec<i16>], hertz| level(&samples[channel][from..from + 3200], hertz);
            for samples in [&own, &libopus] {
                let (left, right) = (level(samples, 400.0), level(samples, 1000.0));
                let (loud, quiet) = if from < 118 * 8000 { (left, right) } else { (right, left) };
                assert!(loud > 6000.0 && quiet < 250.0, "{layout:?} {channel}: {left:.0}, {right:.0}");
            }
        }
    }
}

#[test]
fn wav_has_the_channels_the_tones_and_the_silence() {
    let folder = tempfile::tempdir().unwrap();
    for channels in [ChannelLayout::Mono, ChannelLayout::Stereo] {
        let (bytes, summary) = store(&EncoderConfig::Wav { channels }, &turns(12.0), at(12.0));
        let file = write(&folder, "call.wav", &bytes);
        // A-law has no zero: the idle code is 8, and two parties have 16.
        assert_turns(&decode(&file, None, channels.count()), 16);
        let (samples, duration) = length(&file, None, channels.count(), "8000");
        assert_eq!(samples as u64, summary.samples);
        assert!((duration - 12.0).abs() < 1e-6);
    }
}

#[test]
fn the_length_is_exact_whatever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let packets = turns(3.0);
    for layout in LAYOUTS {
        for samples in [1u64, 100, 160, 7948, 8108, 23_999] {
            let end = at(0.0) + Nanos(samples * 125_000);
            let mut bytes = Vec::new();
            let mut encoder = Encoder::new(&EncoderConfig::ogg_opus(layout), SERIAL, &mut bytes).unwrap();
            let mut call = call(layout.channels());
            packets.iter().for_each(|p| _ = call.handle_packet(p.stream, p.arrival, &p.bytes));
            let summary = call.finish(end, &mut EncoderSink { encoder: &mut encoder, out: &mut bytes });
            encoder.finish(&mut bytes);
            assert_eq!(summary.samples, samples);
            let file = write(&folder, "call.opus", &bytes);
            assert_eq!(end_trimmed(&bytes), samples * 6, "{layout:?}");
            let (decoded, duration) = length(&file, Some("libopus"), layout.channels().count(), "48000");
            assert_eq!(decoded as u64, samples * 6, "{layout:?}");
            let probed = (samples as f64 * 6.0 + PRE_SKIP) / 48_000.0;
            assert!((duration - probed).abs() < 2e-6, "{layout:?} {samples}: {duration} s");
        }
    }
}

/// What ffprobe says of a file that ffmpeg has made of as many samples is the same: the 6.5 ms too
/// many are its way to count.
#[test]
fn ffprobe_says_of_our_length_what_it_says_of_ffmpeg_s_own() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, _) = store(&EncoderConfig::ogg_opus(OpusLayout::Parties), &turns(3.0), at(3.0));
    let ours = write(&folder, "ours.opus", &bytes);
    let (bytes, summary) =
        store(&EncoderConfig::Wav { channels: ChannelLayout::Stereo }, &turns(3.0), at(3.0));
    let wav = write(&folder, "call.wav", &bytes);
    let theirs = folder.path().join("theirs.opus");
    run("ffmpeg", &["-v", "error", "-i", wav.to_str().unwrap(), "-c:a", "libopus", theirs.to_str().unwrap()]);
    let [ours, theirs] = [&ours, &theirs].map(|file| length(file, Some("libopus"), 2, "48000"));
    assert_eq!((ours.0 as u64, theirs.0 as u64), (summary.samples * 6, summary.samples * 6));
    assert_eq!(ours.1, theirs.1);
}

/// Encodes frames, cuts the recording after each of `cuts` frames, and after each of `killed` of
/// them goes on with a new encoder.
struct Cutting<'a> {
    config: &'a EncoderConfig,
    /// The encoder is told where it will be cut.
    foreseen: bool,
    encoder: Encoder,
    out: Vec<u8>,
    frames: u64,
    cuts: &'a [u64],
    killed: &'a [u64],
}

impl FrameSink for Cutting<'_> {
    fn frame(&mut self, frame: &AudioFrame) {
        if self.foreseen {
            let next = self.cuts.iter().find(|cut| **cut > self.frames);
            self.encoder.expect_cut(next.map_or(u64::MAX, |cut| cut * 160));
        }
        self.encoder.frame(frame, &mut self.out);
        self.frames += 1;
        if self.cuts.contains(&self.frames) {
            self.encoder.cut(0, &mut self.out);
            let point = self.encoder.point().expect("nothing was encoded since");
            assert_eq!(point.samples(), self.frames * 160);
            if self.killed.contains(&self.frames) {
                let saved = postcard::to_stdvec(&point).unwrap();
                let point = postcard::from_bytes(&saved).unwrap();
                self.encoder = Encoder::resume(self.config, point).unwrap().unwrap();
            }
        }
    }
}

/// The whole recording.
fn store_cutting(config: &EncoderConfig, packets: &[Packet], cuts: &[u64], killed: &[u64]) -> Vec<u8> {
    store_foreseeing(config, packets, cuts, killed, false)
}

fn store_foreseeing(
    config: &EncoderConfig,
    packets: &[Packet],
    cuts: &[u64],
    killed: &[u64],
    foreseen: bool,
) -> Vec<u8> {
    let mut out = Vec::new();
    let encoder = Encoder::new(config, SERIAL, &mut out).unwrap();
    let mut sink = Cutting { config, foreseen, encoder, out, frames: 0, cuts, killed };
    let mut call = call(config.channels());
    play(&mut call, packets, &mut sink);
    assert_eq!(call.finish(at(12.0), &mut sink).samples, 96_000);
    let Cutting { mut encoder, mut out, .. } = sink;
    encoder.finish(&mut out);
    [encoder.header(), out].concat()
}

#[test]
fn a_recording_goes_on_to_the_same_bytes_where_it_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    let packets = turns(12.0);
    let mut configs: Vec<EncoderConfig> = LAYOUTS.map(EncoderConfig::ogg_opus).to_vec();
    configs.push(EncoderConfig::Wav { channels: ChannelLayout::Stereo });
    // In speech, in a pause, twice in a row.
    let cuts = [125, 126, 260, 421];
    for config in &configs {
        let whole = store_cutting(config, &packets, &cuts, &[]);
        for killed in [&cuts[..], &[126], &[260], &[421]] {
            assert!(store_cutting(config, &packets, &cuts, killed) == whole, "{config:?} after {killed:?}");
            let foreseen = store_foreseeing(config, &packets, &cuts, killed, true);
            assert!(foreseen == whole, "{config:?} after {killed:?}, foreseen");
        }
        let (name, rate, decoder, granules, before) = match config {
            EncoderConfig::Wav { .. } => ("call.wav", "8000", None, 1, 0.0),
            EncoderConfig::OggOpus { .. } => ("call.opus", "48000", Some("libopus"), 6, PRE_SKIP / 48_000.0),
        };
        let file = write(&folder, name, &whole);
        let channels = config.channels().count();
        assert_turns(&decode(&file, decoder, channels), 16);
        let (decoded, duration) = length(&file, decoder, channels, rate);
        assert_eq!(decoded, 96_000 * granules, "{config:?}");
        assert!((duration - 12.0 - before).abs() < 2e-6);
    }
}

#[test]
fn a_cut_in_speech_does_not_shriek() {
    let folder = tempfile::tempdir().unwrap();
    for layout in LAYOUTS {
        let config = EncoderConfig::ogg_opus(layout);
        let channels = layout.channels().count();
        for at in (110..200).step_by(9) {
            let file = write(&folder, "call.opus", &store_cutting(&config, &turns(12.0), &[at], &[]));
            let decoded = decode(&file, Some("libopus"), channels);
            // A tone of 8000 that comes a little too high where it begins; an encoder that knows too
            // little of what the decoder has heard makes it 30,000.
            let from = at as usize * 160 - 160;
            let loudest = peak(&decoded[channels - 1][from..from + 1600]);
            assert!((6_000..13_000).contains(&loudest), "{layout:?} cut at {at}: {loudest}");
        }
    }
}

/// A recording of 140 frames of two parties who speak, then of 40 without a packet, then of 40 of
/// speech, as the packets of its first `length` frames. It is cut behind `silent` of the 40, and killed
/// there if asked to.
fn packets_around_a_silence(
    layout: OpusLayout,
    length: usize,
    silent: Option<u64>,
    killed: bool,
) -> Vec<Vec<u8>> {
    let config = EncoderConfig::ogg_opus(layout);
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&config, SERIAL, &mut out).unwrap();
    for (index, frame) in frames_around_a_silence(layout.channels()).iter().take(length).enumerate() {
        if let Some(silent) = silent.filter(|_| index == 140) {
            encoder.cut(silent, &mut out);
            let point = encoder.point().expect("nothing was encoded since");
            assert_eq!(point.samples(), 140 * 160);
            if killed {
                let saved = postcard::to_stdvec(&point).unwrap();
                encoder = Encoder::resume(&config, postcard::from_bytes(&saved).unwrap()).unwrap().unwrap();
            }
        }
        let cut = silent.filter(|_| index < 140).map_or(u64::MAX, |silent| (140 + silent) * 160);
        encoder.expect_cut(cut);
        encoder.frame(frame, &mut out);
    }
    encoder.finish(&mut out);
    let mut reader = ogg::PacketReader::new(std::io::Cursor::new(out));
    std::iter::from_fn(|| reader.read_packet().unwrap()).skip(2).map(|packet| packet.data).collect()
}

fn frames_around_a_silence(channels: ChannelLayout) -> Vec<AudioFrame> {
    struct Frames(Vec<AudioFrame>);
    impl FrameSink for Frames {
        fn frame(&mut self, frame: &AudioFrame) {
            self.0.push(frame.clone());
        }
    }
    let mut packets: Vec<Packet> = (0..2)
        .flat_map(|stream| {
            let mut party = Party { delay: 0.0, ..Party::new(stream) };
            party.talk(4.4, &tone([400.0, 1000.0][stream as usize]))
        })
        .filter(|packet| !(at(2.8)..at(3.6)).contains(&packet.arrival))
        .collect();
    packets.sort_by_key(|packet| packet.arrival);
    let (mut call, mut frames) = (call(channels), Frames(Vec::new()));
    play(&mut call, &packets, &mut frames);
    call.finish(at(4.4), &mut frames);
    frames.0
}

/// What is silent before a cut and may yet turn out not to belong to the recording: the end of what
/// was said before is the one that it has without a cut.
#[test]
fn a_cut_in_silence_changes_nothing_that_was_said_before_it() {
    for layout in LAYOUTS {
        let packets = |length, silent, killed| packets_around_a_silence(layout, length, silent, killed);
        let uncut = packets(220, None, false);
        for silent in [0, 1, 5, 9, 10, 11, 12, 30] {
            let cut = packets(220, Some(silent), false);
            assert!(cut == packets(220, Some(silent), true), "{layout:?} {silent}");
            // Ten silent frames close the gates, and who speaks again has a fresh encoder anyway.
            let same = if silent >= 10 { uncut.len() } else { 140 + silent as usize };
            assert!(cut[..same] == uncut[..same], "{layout:?} {silent}");
            assert_eq!(cut.len(), uncut.len());
        }
        // The call has ended before the cut, as it turns out.
        for silent in [9, 30] {
            assert!(packets(144, Some(silent), false) == packets(144, None, false), "{layout:?} {silent}");
        }
    }
}

#[test]
fn a_point_of_another_container_or_layout_is_refused() {
    let config = EncoderConfig::ogg_opus(OpusLayout::Mono);
    assert!(Encoder::resume(&config, EncoderPoint::Wav { samples: 160 }).unwrap().is_none());
    let mono = Encoder::new(&config, SERIAL, &mut Vec::new()).unwrap().point();
    assert!(Encoder::resume(&config, mono.unwrap()).unwrap().is_some());
    let parties = EncoderConfig::ogg_opus(OpusLayout::Parties);
    let parties = Encoder::new(&parties, SERIAL, &mut Vec::new()).unwrap().point();
    let coupled = EncoderConfig::ogg_opus(OpusLayout::Coupled);
    assert!(Encoder::resume(&coupled, parties.unwrap()).unwrap().is_none());
}

#[test]
fn the_same_call_gives_the_same_bytes() {
    for layout in LAYOUTS {
        let config = EncoderConfig::ogg_opus(layout);
        let (first, _) = store(&config, &turns(6.0), at(6.0));
        let (second, _) = store(&config, &turns(6.0), at(6.0));
        assert!(first == second);
        // OpusTags names the product and nothing else.
        let tags = first.windows(8).position(|bytes| bytes == b"OpusTags").unwrap();
        assert_eq!(first[tags + 8..tags + 24], *b"\x08\0\0\0Nightjar\0\0\0\0");
    }
}

/// The error of a decoded recording against what was encoded, both in 8 kHz samples.
#[test]
fn speech_after_a_silence_is_what_it_was() {
    struct Keep(Vec<i16>);
    impl FrameSink for Keep {
        fn frame(&mut self, frame: &AudioFrame) {
            self.0.extend_from_slice(frame.plane(0));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (bytes, _) = store(&EncoderConfig::ogg_opus(OpusLayout::Mono), &turns(12.0), at(12.0));
    let mut original = Keep(Vec::new());
    let mut call = call(ChannelLayout::Mono);
    play(&mut call, &turns(12.0), &mut original);
    call.finish(at(12.0), &mut original);
    let decoded = decode(&write(&folder, "call.opus", &bytes), None, 1);
    // The first 40 ms of speech after 2 s of silence: energy like the original's, and no click.
    let [sent, heard] = [&original.0, &decoded[0]].map(|samples| &samples[48_000..48_320]);
    let energy = |samples: &[i16]| samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>();
    let ratio = 10.0 * (energy(heard) / energy(sent)).log10();
    assert!(ratio.abs() < 3.0, "{ratio} dB");
    assert!(peak(heard) < 14_000, "{}", peak(heard));
}
