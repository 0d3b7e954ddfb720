//! The scripts of `calls` through the whole sensor: capture core, journal blocks, media workers, WAV. Each recorded
//! packet has its count, each recording is as long as its row says, and one worker or three, small batches or
//! large, make the same rows and the same files.

use nightjar_pipeline::Snapshots;

use crate::recorder::{Recorded, Sensor};
use crate::watch::check_row;

pub(super) fn run(bytes: &[u8]) {
    let frames = super::calls::frames(bytes);
    if frames.is_empty() {
        return;
    }
    let play = |workers, batch| {
        let mut sensor = Sensor::new(workers, Snapshots::Never);
        sensor.play(&frames, batch);
        sensor.finish()
    };
    let one = play(1, 8);
    check(&one);
    let three = play(3, 3);
    check(&three);
    assert_eq!(one.ledger, three.ledger, "the number of workers changes the ledger");
    assert_eq!(one.audio, three.audio, "the number of workers changes what became of the packets");
    assert_eq!(one.rows, three.rows, "the number of workers changes the rows");
    assert!(one.files == three.files, "the number of workers changes the recordings");
}

fn check(recorded: &Recorded) {
    assert_eq!(recorded.ledger.recorded, recorded.audio.total(), "a recorded packet without a count");
    let mut files = 0;
    for row in &recorded.rows {
        check_row(row);
        for recording in &row.recordings {
            let path = recording.path.as_ref().expect("a recording that is kept has a path");
            let file = recorded.files.get(path).expect("the file of a recording");
            files += 1;
            assert_eq!(recording.bytes, Some(file.len() as u64));
            let samples = (file.len() - 44) as u64 / 4;
            assert_eq!(recording.duration_ms, Some(samples / 8));
        }
    }
    assert_eq!(recorded.files.len(), files, "a file without a row");
}
