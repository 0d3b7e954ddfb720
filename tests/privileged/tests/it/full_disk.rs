//! A full disk: the sensor says so, goes on, and what was recorded before stays as it was.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use nightjar_load::Scenario;
use nightjar_privileged::moments::wait_until;
use nightjar_privileged::namespace::{Namespace, run};
use nightjar_privileged::privilege::is_root;
use nightjar_privileged::recordings::{assert_file, listen};
use nightjar_privileged::rows::{by_call_id, residual};
use nightjar_privileged::sensor::{Place, stop};
use nightjar_privileged::traffic::{Played, Traffic};
use nightjar_schema::{Call, CallState, RecordingState};
use nightjar_wire::Nanos;

/// A small disk at a sensor's data folder; it goes before the folder does.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    fn mount(path: PathBuf, mib: u32) -> SmallDisk {
        fs::create_dir_all(&path).unwrap();
        let size = format!("size={mib}m");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "nightjar"]).arg(&path));
        SmallDisk { path }
    }

    /// Writes a file that leaves no room.
    fn fill(&self) -> PathBuf {
        let path = self.path.join("filler");
        let mut file = File::create(&path).unwrap();
        let page = [1; 4096];
        while file.write_all(&page).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

const WAV: &str = "[recording]\nformat = \"wav\"\n[journal]\nlimit_mib = 256\n";

/// Calls of two seconds, one after the other's first.
fn short_calls(count: u64) -> Scenario {
    let mut scenario = Scenario::new("short", 11);
    for index in 0..count {
        let mut call = scenario.plain();
        call.ring = Nanos::from_millis(100);
        call.talk = Nanos::from_secs(2);
        scenario.call(Nanos::from_secs(index), call);
    }
    scenario
}

/// Every call has its row; those whose recording is final have it whole. Returns how many have.
fn assert_rows(place: &Place, played: &Played) -> usize {
    let Played { expected, stalls } = played;
    let rows = place.latest_rows();
    let found = by_call_id(&rows);
    assert_eq!(rows.len(), expected.calls.len());
    let mut stored = 0;
    for call in &expected.calls {
        let row = found[call.call_id.as_deref().unwrap()];
        assert_eq!(row.state, CallState::Completed, "{row:?}");
        let [recording] = &row.recordings[..] else { panic!("{row:?}") };
        if recording.state == RecordingState::Final {
            stored += 1;
            let sound = listen(&place.data(), row);
            let unsure = 300 + stalls.total().as_millis();
            assert!(sound.duration_ms().abs_diff(2000) < unsure, "{row:?}");
        } else {
            assert_eq!((&recording.path, &recording.sha256), (&None, &None), "{row:?}");
        }
    }
    stored
}

fn files_below(folder: &Path) -> usize {
    let list = run(Command::new("find").arg(folder).args(["-type", "f"]));
    list.lines().count()
}

#[test]
fn a_disk_that_fills_up_and_is_freed() {
    if !is_root("a_disk_that_fills_up_and_is_freed") {
        return;
    }
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]).with(WAV);
    let disk = SmallDisk::mount(place.data(), 80);
    let mut sensor = place.start(&namespace);
    let traffic = Traffic::start(&namespace, "far", short_calls(10), None);
    place.wait_for_rows(2);
    let before = place.rows();
    let filler = disk.fill();
    sensor.wait_for("No space left on device");
    // Two more calls end while nothing can be written.
    thread::sleep(Duration::from_secs(2));
    assert!(sensor.is_running(), "{}", sensor.stderr());
    let torn = place.rows();
    fs::remove_file(filler).unwrap();
    let played = traffic.finish();
    place.wait_for_rows(played.expected.calls.len());
    // What the disk has refused it takes now.
    let is_stored = |row: &Call| row.recordings.iter().all(|r| r.state == RecordingState::Final);
    let all_stored = wait_until(Duration::from_secs(30), || place.latest_rows().iter().all(is_stored));
    assert!(all_stored, "{:#?}", place.latest_rows());
    let ended = stop(sensor);

    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("error: ") && ended.stderr.contains("No space left"), "{ended:?}");
    let stored = assert_rows(&place, &played);
    assert_eq!(stored, 10, "recordings");
    let refused = place.rows().len() - place.latest_rows().len();
    assert!((1..6).contains(&refused), "{refused} recordings were refused at first");
    assert_eq!(files_below(&place.data().join("recordings")), stored, "nothing half-written stays");
    // What was written before, and while the disk was full, has not changed.
    let after = place.rows();
    assert_eq!(after[..before.len()], before[..]);
    assert_eq!(after[..torn.len()], torn[..]);
    before.iter().flat_map(|row| &row.recordings).for_each(|r| assert_file(&place.data(), r));
    let summary = place.summary();
    assert_eq!(residual(&summary["packets"]), 0, "{summary:#}");
    assert_eq!(summary["packets"]["received"], played.expected.ledger.frames, "{summary:#}");
}

#[test]
fn a_disk_without_room_for_the_journal() {
    if !is_root("a_disk_without_room_for_the_journal") {
        return;
    }
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]).with(WAV);
    // A segment has 64 MiB.
    let _disk = SmallDisk::mount(place.data(), 32);
    let mut sensor = place.start(&namespace);
    let traffic = Traffic::start(&namespace, "far", short_calls(4), None);
    sensor.wait_for("is full; free space or raise journal.limit_mib");
    let played = traffic.finish();
    place.wait_for_rows(played.expected.calls.len());
    let ended = stop(sensor);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("packets reached no segment"), "{ended:?}");
    // Workers read from memory: the recordings are whole all the same.
    assert_eq!(assert_rows(&place, &played), 4);
}
