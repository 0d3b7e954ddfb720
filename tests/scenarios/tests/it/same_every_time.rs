//! The same packets with the same stamps give the same `calls.jsonl` and the same files, byte for
//! byte: with any number of workers, at any speed, however the capture is stored.

use std::path::Path;

use nightjar_agent::args::{Format, Mode, Speed};
use nightjar_load::{
    CaptureFormat, Compression, Envelope, Frame, GreOptions, LinkOptions, PcapOptions, PcapWriter, Scenario,
    scenarios,
};
use nightjar_scenarios::{Faults, Replayed, SEED, Setting, generated, replay_file};
use nightjar_wire::{LinkType, Nanos};

/// Many calls at once; calls whose media and signalling meet late; and what is decided by order.
const SCENARIOS: [&str; 8] = [
    "office",
    "impaired",
    "forked",
    "hold-music-of-third",
    "noise",
    "media-before-signalling",
    "mirror-copies-impaired",
    "ports-reused-late-packets",
];

/// Notes what of a replay is not as in another.
fn same(faults: &mut Faults, what: &str, found: &Replayed, expected: &Replayed) {
    faults.check(found.jsonl == expected.jsonl, format!("{what}: calls.jsonl differs"));
    let names = (found.files.keys().collect::<Vec<_>>(), expected.files.keys().collect::<Vec<_>>());
    faults.same(format!("{what}: files"), &names.0, &names.1);
    for (path, bytes) in &expected.files {
        faults.check(found.files.get(path) == Some(bytes), format!("{what}: {path} differs"));
    }
    faults.same(format!("{what}: ledger"), &found.summary.packets, &expected.summary.packets);
    let audio = (&found.summary.audio_packets, &expected.summary.audio_packets);
    faults.same(format!("{what}: audio"), audio.0, audio.1);
}

/// A capture's replays under all settings are the first one's.
fn same_under(faults: &mut Faults, scenario: &Scenario, settings: &[Setting]) {
    generated(scenario, "capture.pcap", &PcapOptions::default(), |path| {
        let replay = |setting| replay_file(path, setting).unwrap_or_else(|error| panic!("{error}"));
        let first = replay(settings[0]);
        assert!(!first.calls.is_empty() && !first.files.is_empty());
        for (n, setting) in settings.iter().enumerate().skip(1) {
            same(faults, &format!("replay {n} with {} workers", setting.workers), &replay(*setting), &first);
        }
    });
}

fn with_workers(format: Format) -> [Setting; 4] {
    [1, 1, 2, 5].map(|workers| Setting { workers, format, ..Setting::default() })
}

#[test]
fn with_one_two_and_five_workers_and_twice_in_a_row() {
    let mut faults = Faults::default();
    for name in SCENARIOS {
        faults.scope(name);
        same_under(&mut faults, &scenarios::by_name(name, *SEED), &with_workers(Format::Wav));
    }
    faults.finish();
}

#[test]
fn with_any_number_of_workers_in_opus() {
    let mut faults = Faults::default();
    for name in ["impaired", "hold-twice", "ports-reused"] {
        faults.scope(name);
        same_under(&mut faults, &scenarios::by_name(name, *SEED), &with_workers(Format::Opus));
    }
    faults.finish();
}

/// Three calls at once, over in four seconds.
fn short() -> Scenario {
    let mut scenario = Scenario::new("short", *SEED);
    for number in 0..3 {
        let mut call = scenario.plain();
        call.ring = Nanos::from_millis(300);
        call.talk = Nanos::from_millis(2500);
        call.legs[0].impairment.jitter_ms = 20;
        call.legs[1].impairment.loss_percent = 5.0;
        scenario.call(Nanos::from_millis(300 * number), call);
    }
    scenario
}

#[test]
fn in_real_time_as_at_full_speed() {
    let mut faults = Faults::default();
    faults.scope("short");
    let setting = |speed, workers| Setting { speed, workers, ..Setting::default() };
    let settings = [setting(Speed::Max, 1), setting(Speed::Realtime, 1), setting(Speed::Realtime, 2)];
    same_under(&mut faults, &short(), &settings);
    faults.finish();
}

/// The replay of a capture that is stored like this.
fn stored(name: &str, format: CaptureFormat, link: LinkOptions) -> Replayed {
    let options = PcapOptions { format, compression: None, link };
    let scenario = scenarios::by_name("rtcp-apart", *SEED);
    let (_, replayed) = generated(&scenario, name, &options, |path| replay_file(path, Setting::default()));
    replayed.unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn in_every_capture_format_and_compression() {
    let mut faults = Faults::default();
    let plain = |format| stored("a.pcap", format, LinkOptions::default());
    let (micros, nanos) = (plain(CaptureFormat::PcapMicros), plain(CaptureFormat::PcapNanos));
    for format in CaptureFormat::ALL {
        let first = if format.keeps_nanoseconds() { &nanos } else { &micros };
        for name in ["a.pcap", "a.pcap.gz", "a.pcap.zst"] {
            faults.scope(&format!("{format:?} {name}"));
            same(&mut faults, "stored", &stored(name, format, LinkOptions::default()), first);
        }
    }
    // What the row shows of a stamp is its microseconds: only the audio's place may differ.
    faults.scope("nanoseconds");
    let times = |replayed: &Replayed| -> Vec<_> {
        let streams = replayed.calls.iter().flat_map(|call| &call.streams);
        streams.map(|stream| (stream.started_at, stream.ended_at, stream.packets)).collect()
    };
    faults.same("streams", &times(&nanos), &times(&micros));
    faults.finish();
}

#[test]
fn on_every_link_layer() {
    let mut faults = Faults::default();
    let plain = stored("a.pcap", CaptureFormat::PcapMicros, LinkOptions::default());
    for link in LinkOptions::every().skip(1) {
        faults.scope(&format!("{link:?}"));
        let other = stored("a.pcap", CaptureFormat::PcapMicros, link);
        same(&mut faults, "stored", &other, &plain);
    }
    faults.finish();
}

#[test]
fn analysis_journal_and_recording_tell_the_same_of_calls_and_streams() {
    let mut faults = Faults::default();
    for name in ["office", "forked", "digits", "mirror-copies-impaired"] {
        faults.scope(name);
        let scenario = scenarios::by_name(name, *SEED);
        generated(&scenario, "capture.pcap", &PcapOptions::default(), |path| {
            let replay = |mode| {
                replay_file(path, Setting { mode, ..Setting::default() }).unwrap_or_else(|e| panic!("{e}"))
            };
            let recorded = replay(Mode::Record);
            for mode in [Mode::Analyse, Mode::Journal] {
                let other = replay(mode);
                faults.same("ledger", &other.summary.packets, &recorded.summary.packets);
                faults.same("calls", &other.calls.len(), &recorded.calls.len());
                faults.check(other.files.is_empty(), format!("{mode:?} wrote recordings"));
                for (found, expected) in other.calls.iter().zip(&recorded.calls) {
                    faults.same("id", &found.id, &expected.id);
                    faults.same("state", &found.state, &expected.state);
                    faults.same(
                        "times",
                        &(found.started_at, found.ended_at),
                        &(expected.started_at, expected.ended_at),
                    );
                    let figures = |call: &nightjar_schema::Call| -> Vec<_> {
                        let streams = call.streams.iter();
                        streams.map(|s| (s.ssrc.clone(), s.leg, s.packets, s.lost, s.duplicates)).collect()
                    };
                    faults.same("streams", &figures(found), &figures(expected));
                }
            }
        });
    }
    faults.finish();
}

#[test]
fn in_every_tunnel() {
    let mut faults = Faults::default();
    let plain = stored("a.pcap", CaptureFormat::PcapMicros, LinkOptions::default());
    let keyed = GreOptions { checksum: true, key: Some(7), sequence: Some(1) };
    let vxlan = Envelope::Vxlan { port: 4789, vni: 7 };
    let erspan = Envelope::Erspan2 { session: 5, vlan: 7 };
    for (link, vlans, envelopes) in [
        (LinkType::Ethernet, vec![], vec![vxlan]),
        (LinkType::Ethernet, vec![300, 12], vec![vxlan]),
        (LinkType::LinuxSll, vec![], vec![Envelope::GreEthernet(keyed)]),
        (LinkType::RawIp, vec![], vec![Envelope::GreIp(GreOptions::default())]),
        (LinkType::Ethernet, vec![], vec![Envelope::Erspan1]),
        (LinkType::Ethernet, vec![12], vec![erspan]),
        (LinkType::Ethernet, vec![], vec![Envelope::Erspan3 { session: 1, vlan: 0, platform: true }]),
        (LinkType::Ethernet, vec![12], vec![vxlan, erspan]),
    ] {
        faults.scope(&format!("{link:?} {vlans:?} {envelopes:?}"));
        let options = LinkOptions { link, vlans, envelopes };
        same(&mut faults, "stored", &stored("a.pcap", CaptureFormat::PcapMicros, options), &plain);
    }
    faults.finish();
}

/// The frames of a scenario, each in a tunnel whose datagrams come in pieces of at most 200 bytes; how
/// many pieces.
fn write_in_pieces(scenario: &Scenario, envelope: Envelope, path: &Path) -> u64 {
    let link = LinkType::Ethernet;
    let mut writer = PcapWriter::create(path, CaptureFormat::PcapMicros, Compression::None, link).unwrap();
    let (mut stream, mut frame) = (scenario.frames(), Frame::empty());
    let (mut id, mut count) = (0, 0);
    while stream.next_into(&mut frame) {
        id += 1;
        for bytes in envelope.wrap_in_pieces(&frame.bytes, 200, id) {
            let original_len = bytes.len() as u32;
            writer.write(&Frame { bytes, original_len, ..frame.clone() }).unwrap();
            count += 1;
        }
    }
    writer.finish().unwrap();
    count
}

#[test]
fn in_a_tunnel_whose_datagrams_come_in_pieces() {
    // Its signalling comes in pieces within the tunnel, too.
    let scenario = scenarios::by_name("fragments", *SEED);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture.pcap");
    let mut faults = Faults::default();
    let (expected, plain) =
        generated(&scenario, "a.pcap", &PcapOptions::default(), |path| replay_file(path, Setting::default()));
    let plain = plain.unwrap_or_else(|error| panic!("{error}"));
    for envelope in [Envelope::Vxlan { port: 4789, vni: 7 }, Envelope::Erspan2 { session: 5, vlan: 7 }] {
        faults.scope(&format!("{envelope:?}"));
        let count = write_in_pieces(&scenario, envelope, &path);
        let found = replay_file(&path, Setting::default()).unwrap_or_else(|error| panic!("{error}"));
        faults.check(count > expected.ledger.frames, "there are pieces");
        faults.check(found.jsonl == plain.jsonl, "calls.jsonl differs");
        faults.check(found.files == plain.files && !plain.files.is_empty(), "files differ");
        let packets = &found.summary.packets;
        faults.same("received", &packets.received, &count);
        faults.same("residual", &packets.residual(), &0);
        faults.same("dropped", &packets.dropped_total(), &plain.summary.packets.dropped_total());
    }
    faults.finish();
}
