//! Calls with the same addresses and ports at the same time, in realms of their own: each is what it would
//! be alone. What belongs to one realm meets, whatever VLAN or tunnel it came by.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nightjar_agent::args::Mode;
use nightjar_load::{
    CaptureFormat, Compression, Envelope, Frame, GreOptions, LinkOptions, PcapOptions, PcapWriter, Scenario,
    scenarios,
};
use nightjar_scenarios::{Replayed, SEED, Setting, replay_file, replay_files};
use nightjar_wire::{LinkType, Nanos};

/// What of a call neither its realm nor its neighbours may change: its streams and its recording.
type Heard = (Vec<String>, Vec<String>);

fn heard(replayed: &Replayed) -> BTreeMap<(u16, String), Heard> {
    let call = |call: &nightjar_schema::Call| {
        let stream = |stream: &nightjar_schema::Stream| {
            let (packets, lost) = (stream.packets, stream.lost);
            format!("{} {} {} {packets} {lost} {:?}", stream.src, stream.dst, stream.ssrc, stream.leg)
        };
        let sums = call.recordings.iter().map(|recording| format!("{:?}", recording.sha256));
        let key = (call.source.realm, call.call_ids.join(" "));
        (key, (call.streams.iter().map(stream).collect(), sums.collect()))
    };
    replayed.calls.iter().map(call).collect()
}

/// Two calls between the same endpoints at the same time, which differ in all that is said and sent.
fn two_calls() -> [Scenario; 2] {
    [*SEED, *SEED + 1].map(|seed| {
        let mut scenario = Scenario::new("overlapping", seed);
        let mut call = scenario.plain();
        for (addresses, port) in call.addresses.iter_mut().zip([20_000, 30_000]) {
            addresses.media.set_port(port);
        }
        scenario.call(Nanos::ZERO, call);
        scenario
    })
}

/// What each of them is when it is alone, in a realm of that number.
fn alone(realms: [u16; 2]) -> BTreeMap<(u16, String), Heard> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alone.pcap");
    let mut found = BTreeMap::new();
    for (scenario, realm) in two_calls().iter().zip(realms) {
        scenario.write_pcap(&path, &PcapOptions::default()).unwrap();
        let replayed = replay_file(&path, Setting::default()).unwrap();
        found.extend(heard(&replayed).into_iter().map(|((_, id), heard)| ((realm, id), heard)));
    }
    assert_eq!(found.len(), 2);
    let ends = |heard: &Heard| -> Vec<String> {
        let ends = heard.0.iter().map(|stream| stream.split(' ').take(2).collect::<Vec<_>>().join(" "));
        ends.collect()
    };
    let ends: Vec<_> = found.values().map(ends).collect();
    assert!(ends[0] == ends[1] && !ends[0].is_empty(), "they share their endpoints: {ends:?}");
    found
}

/// A folder with captures and a configuration.
struct Scene {
    folder: tempfile::TempDir,
    captures: Vec<PathBuf>,
}

impl Scene {
    /// Captures of scenarios, each on a link of its own.
    fn of(scenarios: &[Scenario], links: &[LinkOptions]) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let mut captures = Vec::new();
        for (number, (scenario, link)) in scenarios.iter().zip(links).enumerate() {
            let path = folder.path().join(format!("{number}.pcap"));
            scenario
                .write_pcap(&path, &PcapOptions { link: link.clone(), ..PcapOptions::default() })
                .unwrap();
            captures.push(path);
        }
        Scene { folder, captures }
    }

    fn replayed(&self, realms: &str) -> Replayed {
        let config = self.folder.path().join("sensor.toml");
        fs::write(&config, realms).unwrap();
        let replayed = replay_files(&self.captures, Some(&config), Setting::default());
        let replayed = replayed.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(replayed.summary.packets.residual(), 0);
        replayed
    }
}

fn vlans(vlans: &[u16]) -> LinkOptions {
    LinkOptions { vlans: vlans.to_vec(), ..LinkOptions::default() }
}

fn within(envelope: Envelope) -> LinkOptions {
    LinkOptions { envelopes: vec![envelope], ..LinkOptions::default() }
}

fn erspan(session: u16, vlan: u16) -> LinkOptions {
    within(Envelope::Erspan2 { session, vlan })
}

fn gre(key: u32) -> LinkOptions {
    within(Envelope::GreIp(GreOptions { key: Some(key), ..GreOptions::default() }))
}

fn vxlan(vni: u32) -> LinkOptions {
    within(Envelope::Vxlan { port: 4789, vni })
}

#[test]
fn calls_with_the_same_addresses_in_two_realms_never_mix() {
    let alone = alone([1, 2]);
    for (links, one, two) in [
        ([vlans(&[10]), vlans(&[20])], "vlans = [10]", "vlans = [20]"),
        ([vlans(&[100, 7]), vlans(&[100, 8])], "vlans = [\"100.7\"]", "vlans = [100]"),
        ([vlans(&[100, 7]), vlans(&[200, 7])], "vlans = [100]", "vlans = [\"150-250\"]"),
        ([vxlan(5), vxlan(6)], "vnis = [5]", "vnis = [6]"),
        ([gre(5), gre(6)], "gre_keys = [5]", "gre_keys = [6]"),
        ([erspan(5, 3), erspan(6, 3)], "erspan_sessions = [5]", "erspan_sessions = [6]"),
        ([erspan(5, 3), erspan(5, 4)], "vlans = [3]", "vlans = [4]"),
        ([erspan(9, 0), vlans(&[9])], "erspan_sessions = [9]", "vlans = [9]"),
    ] {
        let scene = Scene::of(&two_calls(), &links);
        let realms = format!("[[realm]]\nnumber = 1\n{one}\n[[realm]]\nnumber = 2\n{two}\n");
        assert_eq!(heard(&scene.replayed(&realms)), alone, "{links:?}");
        // In one realm they would be in each other's way.
        let mixed = heard(&scene.replayed(""));
        assert_ne!(mixed.values().collect::<Vec<_>>(), alone.values().collect::<Vec<_>>(), "{links:?}");
    }
}

#[test]
fn the_interface_of_a_file_tells_a_realm_from_its_first_frame_on() {
    let mut scene = Scene::of(&two_calls(), &[LinkOptions::default(), LinkOptions::default()]);
    let merged = scene.folder.path().join("merged.pcapng");
    let status =
        Command::new("mergecap").args(["-I", "none", "-w"]).arg(&merged).args(&scene.captures).status();
    assert!(status.expect("mergecap (package wireshark-common) runs").success());
    scene.captures = vec![merged];
    let realms =
        "[[realm]]\nnumber = 1\ninterface = \"file\"\n[[realm]]\nnumber = 2\ninterface = \"file/1\"\n";
    assert_eq!(heard(&scene.replayed(realms)), alone([1, 2]));
}

#[test]
fn the_very_same_packets_are_two_calls_in_two_realms_and_copies_in_one() {
    let twice = [scenarios::by_name("answered", *SEED), scenarios::by_name("answered", *SEED)];
    let scene = Scene::of(&twice, &[vlans(&[10]), vxlan(5)]);
    let apart = scene.replayed("[[realm]]\nnumber = 1\nvlans = [10]\n");
    assert_eq!(apart.calls.len(), 2);
    assert_ne!(apart.calls[0].id, apart.calls[1].id);
    let found = heard(&apart);
    assert_eq!(found.keys().map(|(realm, _)| *realm).collect::<Vec<_>>(), [0, 1]);
    let mut each = found.values();
    assert_eq!(each.next(), each.next());
    // A mirror's second copy, by another VLAN and through a tunnel.
    let together = heard(&scene.replayed("[[realm]]\nnumber = 1\nvlans = [10]\nvnis = [5]\n"));
    assert_eq!(together.values().collect::<Vec<_>>(), [&found.values().next().unwrap().clone()]);
    assert_eq!(together.keys().next().map(|(realm, _)| *realm), Some(1));
}

/// The scenario's frames, tagged by the direction in which they go.
fn write_by_direction(scenario: &Scenario, path: &Path) {
    let link = LinkType::Ethernet;
    let mut writer = PcapWriter::create(path, CaptureFormat::PcapMicros, Compression::None, link).unwrap();
    let (mut stream, mut frame) = (scenario.frames(), Frame::empty());
    while stream.next_into(&mut frame) {
        let forth = frame.bytes[26..30] < frame.bytes[30..34];
        vlans(&[if forth { 10 } else { 11 }]).dress(&mut frame.bytes);
        frame.original_len += 4;
        writer.write(&frame).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn the_two_directions_of_a_call_may_come_by_two_vlans_of_a_realm() {
    let mut scene = Scene::of(&two_calls()[..1], &[LinkOptions::default()]);
    let plain = heard(&scene.replayed(""));
    scene.captures = vec![scene.folder.path().join("directions.pcap")];
    write_by_direction(&two_calls()[0], &scene.captures[0]);
    let found = heard(&scene.replayed("[[realm]]\nnumber = 4\nvlans = [10, 11]\n"));
    assert_eq!(found.values().collect::<Vec<_>>(), plain.values().collect::<Vec<_>>());
    assert_eq!(found.keys().next().map(|(realm, _)| *realm), Some(4));
    let apart = scene.replayed("[[realm]]\nnumber = 4\nvlans = [10]\n");
    assert!(apart.calls.len() > 1, "two realms: {:?}", heard(&apart).keys());
}

#[test]
fn a_configuration_that_cannot_be_used_is_refused_with_its_faults() {
    let scene = Scene::of(&two_calls()[..1], &[LinkOptions::default()]);
    let config = scene.folder.path().join("sensor.toml");
    let setting = Setting { mode: Mode::Analyse, ..Setting::default() };
    fs::write(&config, "name = 5\n[capture]\nring = 5\n[[realm]]\nnumber = 1\nvlan = 5\nvlans = [5000]\n")
        .unwrap();
    let error = replay_files(&scene.captures, Some(&config), setting).unwrap_err().to_string();
    assert!(error.starts_with("2 faults") && error.contains(":6: realm.vlan is not a setting"), "{error}");
    assert!(error.contains(":7: ") && error.contains("\"5000\""), "{error}");
    let missing = scene.folder.path().join("none.toml");
    let error = replay_files(&scene.captures, Some(&missing), setting).unwrap_err().to_string();
    assert!(error.contains("none.toml"), "{error}");
}
