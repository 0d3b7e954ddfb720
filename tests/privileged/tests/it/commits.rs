//! The journal commits with one fdatasync per interval, counted by strace and by the sensor itself.

use std::fs;
use std::time::Duration;

use nightjar_load::{BulkPlan, BulkSound, Scenario};
use nightjar_privileged::namespace::Namespace;
use nightjar_privileged::privilege::is_root;
use nightjar_privileged::sensor::{Place, stop};
use nightjar_privileged::traffic::Traffic;
use nightjar_privileged::{moments, program};
use nightjar_wire::Nanos;

#[test]
fn one_fdatasync_per_commit_interval() {
    if !is_root("one_fdatasync_per_commit_interval") {
        return;
    }
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]);
    let trace = place.folder().join("trace");
    let mut strace = namespace.command("strace");
    // Follows threads, names files, stops the program at these calls alone; -D: the sensor itself
    // keeps the process id that is signalled.
    strace.args(["-D", "-f", "-y", "-ttt", "--seccomp-bpf", "-e", "trace=fdatasync,fsync,sync_file_range"]);
    strace.arg("-o").arg(&trace).arg(program::path("nightjar-sensor"));
    strace.args(["run", "--config"]).arg(place.write_config());
    let mut sensor = place.launch(&mut strace);
    sensor.wait_for("capturing from");
    let plan = BulkPlan { sound: BulkSound::Tones, ..BulkPlan::busy_office(6) };
    let office = Scenario::bulk("office", moments::any_number(), plan);
    Traffic::start(&namespace, "far", office, Some(Nanos::from_secs(6))).finish();
    assert!(stop(sensor).status.success());

    let journal = &place.summary()["journal"];
    // The tracer writes its last lines after the traced program's end.
    let read = || fs::read_to_string(&trace).unwrap_or_default();
    assert!(moments::wait_until(Duration::from_secs(10), || read().contains("+++ exited with 0 +++")));
    let text = read();
    let of_journal: Vec<&str> = text.lines().filter(|line| line.contains(".seg>")).collect();
    assert!(of_journal.iter().all(|line| line.contains("fdatasync(")), "{of_journal:#?}");
    assert_eq!(journal["fdatasyncs"], of_journal.len(), "{journal:#} {of_journal:#?}");
    assert_eq!(journal["commits"], journal["fdatasyncs"], "{journal:#}");
    // Calls run for six seconds, so there is something to commit all the time; the first commit
    // and the end's come when they come.
    let span = stamp(of_journal[of_journal.len() - 1]) - stamp(of_journal[0]);
    let (syncs, intervals) = (of_journal.len() as f64, span / 0.25);
    assert!(syncs <= intervals + 2.0, "{syncs} syncs in {intervals} intervals");
    assert!(syncs >= 8.0, "{syncs} syncs in {intervals} intervals");
}

/// When a traced call began, in seconds.
fn stamp(line: &str) -> f64 {
    let stamp = line.split_whitespace().nth(1).and_then(|stamp| stamp.parse().ok());
    stamp.unwrap_or_else(|| panic!("no stamp in {line}"))
}
