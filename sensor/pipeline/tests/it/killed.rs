//! A sensor that is killed and started again makes of its calls what one that never was makes of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nightjar_load::{
    Audio, Frame, FrameClass, HoldForm, Impairment, MidCall, MidCallChange, Music, RtcpPlan, RtpChange,
    Scenario, Side,
};
use nightjar_media::{ChannelLayout, EncoderConfig, OpusLayout};
use nightjar_schema::{Call, Gap, GapCause, Stream, Timestamp};
use nightjar_wire::Nanos;
use uuid::Uuid;

use crate::sensor::{Kill, OpenBlock, Run, Settings, recording, rows};

const WAV: EncoderConfig = EncoderConfig::Wav { channels: ChannelLayout::Stereo };
const OPUS: EncoderConfig = EncoderConfig::ogg_opus(OpusLayout::Coupled);

fn settings(encoder: EncoderConfig, open_block: OpenBlock) -> Settings {
    Settings {
        encoder,
        cut_every: 3 * 8000,
        open_block,
        pause: Duration::ZERO,
        full: 0..0,
        frames_lost: None,
        lost: None,
    }
}

/// Three calls at once with everything that leaves a state behind.
fn frames() -> Vec<Frame> {
    let second = Nanos::from_secs;
    let mut scenario = Scenario::new("killed", 3);
    let mut call = scenario.plain();
    call.talk = second(34);
    call.rtcp = RtcpPlan::Apart;
    for (leg, drift_ppm) in call.legs.iter_mut().zip([90, -60]) {
        leg.drift_ppm = drift_ppm;
        leg.impairment = Impairment {
            loss_percent: 2.0,
            loss_burst: 2.0,
            duplicate_percent: 1.0,
            reorder_percent: 1.0,
            jitter_ms: 15,
            ..Impairment::default()
        };
    }
    call.legs[0].changes = vec![(second(6), RtpChange::Digit('7', Nanos::from_millis(200)))];
    call.legs[1].changes =
        vec![(second(9), RtpChange::NewSsrc), (second(15), RtpChange::Digit('1', second(1)))];
    scenario.call(Nanos::ZERO, call);
    let mut held = scenario.plain();
    held.talk = second(24);
    let hold = MidCallChange::Hold { how: HoldForm::Inactive, span: second(14), music: Music::None };
    held.mid_call = vec![MidCall { at: second(4), by: Side::Callee, change: hold }];
    scenario.call(second(2), held);
    let mut short = scenario.plain();
    short.talk = second(5);
    short.legs[0].audio = Audio::Tone(700);
    scenario.call(second(8), short);
    // Others, so that a segment is full in two seconds: what a call still needs is seldom in the last.
    for index in 1..=5 {
        let mut other = scenario.plain();
        other.talk = Nanos::from_millis(33_600);
        scenario.call(Nanos::from_millis(100 * index), other);
    }
    scenario.frames().collect()
}

/// A run without a kill.
fn whole(settings: &Settings, frames: &[Frame]) -> (tempfile::TempDir, Run, u64) {
    let folder = tempfile::tempdir().unwrap();
    let kill = Kill::never();
    let run = settings.run(folder.path(), frames, &kill);
    (folder, run, kill.steps())
}

/// The times of a recording in which no sensor ran, in ms.
fn outages(row: &Call) -> Vec<(u64, u64)> {
    let whole = row.gaps.iter().filter(|gap| gap.cause == GapCause::SensorDown && gap.stream.is_none());
    whole.map(|gap| (gap.at_ms, gap.at_ms + gap.duration_ms)).collect()
}

/// A row's fields as JSON, without what was lost at these times by whomever.
fn without_losses(row: &Call, outages: &[(u64, u64)]) -> serde_json::Map<String, serde_json::Value> {
    let mut row = row.clone();
    // A packet time and some jitter: what was lost beside an outage may be the sensor's.
    let beside =
        |gap: &Gap, (from, to): (u64, u64)| gap.at_ms < to + 150 && gap.at_ms + gap.duration_ms + 150 > from;
    row.gaps.retain(|gap| !outages.iter().any(|outage| beside(gap, *outage)));
    row.streams.iter_mut().for_each(|stream| stream.lost_ours = 0);
    let serde_json::Value::Object(fields) = serde_json::to_value(row).unwrap() else { panic!("a row") };
    fields
}

/// The same rows but for the outages, and the same files.
fn assert_same(folder: &Path, whole: &Path, about: &str) {
    let (rows, expected) = (rows(folder), rows(whole));
    assert!(rows.keys().eq(expected.keys()), "{about}: {:?}", rows.keys());
    for (call_id, row) in &rows {
        let expected = &expected[call_id];
        let outages = outages(row);
        for (name, value) in without_losses(expected, &outages) {
            assert_eq!(without_losses(row, &outages)[&name], value, "{about}: {name}");
        }
        assert!(recording(folder, row) == recording(whole, expected), "{about}: other bytes");
    }
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().count() == 0
}

/// Killed before any step of its writing, and started again at once, it has lost nothing.
fn kill_everywhere(encoder: EncoderConfig, kills: u64) {
    let (settings, frames) = (settings(encoder, OpenBlock::Kept), frames());
    let (whole, run, steps) = whole(&settings, &frames);
    assert!(run.removed > 8, "{} segments were removed", run.removed);
    assert!(steps > 200, "{steps}");
    for n in 0..kills {
        // Its last steps come behind the last frame.
        let at = 3 + n * (steps - 20) / kills + n % 7;
        let folder = tempfile::tempdir().unwrap();
        let taken = settings.run(folder.path(), &frames, &Kill::before(at)).frames;
        assert!(taken < frames.len(), "killed before step {at} of {steps}");
        // While it recovers it is killed once more.
        let again = settings.run(folder.path(), &frames[taken..], &Kill::before(n % 5)).frames;
        let last = settings.run(folder.path(), &frames[taken + again..], &Kill::never());
        assert_eq!(taken + again + last.frames, frames.len());
        assert_same(folder.path(), whole.path(), &format!("killed before step {at} of {steps}"));
        assert!(is_empty(&folder.path().join("recordings/.incoming")));
    }
}

#[test]
fn a_wav_is_the_same_wherever_the_sensor_is_killed() {
    kill_everywhere(WAV, 36);
}

#[test]
fn an_opus_file_is_the_same_wherever_the_sensor_is_killed() {
    kill_everywhere(OPUS, 36);
}

/// The samples of a WAV recording, both channels in turn.
fn samples(folder: &Path, row: &Call) -> Vec<[u8; 4]> {
    let bytes = recording(folder, row);
    bytes[44..].as_chunks().0.to_vec()
}

/// What a sensor made of the frames that lacked those from `from` to `to`. Returns how many calls had
/// an outage, and how many of those had nothing else.
fn assert_same_outside(
    folder: &Path,
    whole: &Path,
    (from, to): (Nanos, Nanos),
    about: &str,
) -> (usize, usize) {
    let (rows, expected) = (rows(folder), rows(whole));
    assert!(rows.keys().eq(expected.keys()), "{about}: {:?}", rows.keys());
    let (mut interrupted, mut undrifted) = (0, 0);
    for (call_id, row) in &rows {
        let expected = &expected[call_id];
        let outages = outages(row);
        // How many packets a stream had that began or ended unheard nobody knows.
        let unheard = |at: Timestamp| (from..to).contains(&Nanos(at.0.unsigned_abs() * 1_000));
        for (stream, sent) in row.streams.iter().zip(&expected.streams) {
            if unheard(sent.started_at) || unheard(sent.ended_at) {
                continue;
            }
            let numbers = |stream: &Stream| stream.packets - stream.duplicates + stream.lost;
            assert_eq!(numbers(stream), numbers(sent), "{about}: {stream:?} of {sent:?}");
        }
        let (heard, said) = (samples(folder, row), samples(whole, expected));
        assert_eq!(heard.len(), said.len(), "{about}");
        for (down, up) in &outages {
            // Packets that lie across its edges; the recording may end with one.
            let before = down.saturating_sub(40) as usize * 8;
            let behind = ((up + 40) as usize * 8).min(heard.len());
            assert!(heard[..before] == said[..before], "{about}: {outages:?}");
            // A clock that drifts is followed by what has arrived, and less has.
            if expected.gaps.is_empty() {
                assert!(heard[behind..] == said[behind..], "{about}: {outages:?}");
                undrifted += 1;
            }
        }
        if outages.is_empty() {
            assert!(heard == said, "{about}");
        }
        interrupted += outages.len();
    }
    (interrupted, undrifted)
}

/// Whether a message is missed from then to then: its call goes another way, and proves nothing.
fn misses_a_message(frames: &[Frame], from: Nanos, to: Nanos) -> bool {
    frames.iter().any(|f| f.class == FrameClass::Signalling && f.at >= from && f.at < to)
}

#[test]
fn outside_of_the_outage_every_sample_is_the_same() {
    let (settings, frames) = (settings(WAV, OpenBlock::Lost), frames());
    let (whole, _, steps) = whole(&settings, &frames);
    let (mut interrupted, mut undrifted) = (0, 0);
    for n in 0..16 {
        let folder = tempfile::tempdir().unwrap();
        let at = 10 + n * (steps - 10) / 16;
        let taken = settings.run(folder.path(), &frames, &Kill::before(at)).frames;
        let Some(killed_at) = frames.get(taken).map(|frame| frame.at) else { continue };
        // The open block is gone, and then the sensor.
        let (from, to) = (killed_at - Nanos::from_millis(200), killed_at + Nanos::from_millis(900));
        let next = frames.iter().position(|frame| frame.at >= to).unwrap_or(frames.len());
        if next == frames.len() || misses_a_message(&frames, from, to) {
            continue;
        }
        settings.run(folder.path(), &frames[next..], &Kill::never());
        let about = format!("killed before step {at}");
        let found = assert_same_outside(folder.path(), whole.path(), (from, to), &about);
        (interrupted, undrifted) = (interrupted + found.0, undrifted + found.1);
    }
    assert!(interrupted > 10 && undrifted > 4, "{interrupted}, {undrifted} calls prove little");
}

/// Where the process that is to be killed finds its folder.
const FOLDER: &str = "NIGHTJAR_KILLED_IN";

/// Not a test of its own: what the next one starts as a process, and kills.
#[test]
fn a_sensor_to_be_killed() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let settings = Settings { pause: Duration::from_millis(20), ..settings(WAV, OpenBlock::Lost) };
        settings.run(Path::new(&folder), &frames(), &Kill::never());
    }
}

/// The latest stamp in a folder's journal.
fn last_stamp(folder: &Path) -> Option<Nanos> {
    let mut journal = nightjar_journal::recover(&folder.join("journal")).unwrap();
    let mut last = None;
    while let Some(block) = journal.next_block() {
        last = last.max(Some(block.last_arrival));
    }
    last
}

#[test]
fn a_process_that_is_killed_leaves_all_that_it_had_journalled() {
    let (settings, frames) = (settings(WAV, OpenBlock::Lost), frames());
    let (whole, ..) = whole(&settings, &frames);
    let mut interrupted = 0;
    // Between the messages, which come until 3.5 s, from 6 to 9.5, at 14.5, 21.5, 27.5 and 35.5 s.
    for at_ms in [9_700, 14_800, 16_000, 17_000, 21_800, 22_600, 28_000, 29_000, 30_000] {
        let folder = tempfile::tempdir().unwrap();
        let mut sensor = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::a_sensor_to_be_killed"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let place = frames[0].at + Nanos::from_millis(at_ms);
        while last_stamp(folder.path()).is_none_or(|at| at < place) {
            assert!(sensor.try_wait().unwrap().is_none(), "it has ended");
            std::thread::sleep(Duration::from_millis(2));
        }
        sensor.kill().unwrap();
        sensor.wait().unwrap();
        // Time does not go back: the next start comes behind all that it can have seen, which is what
        // the journal has and what all blocks hold.
        let Some(from) = last_stamp(folder.path()) else { continue };
        let to = from + Nanos::from_secs(3);
        let next = frames.iter().position(|frame| frame.at >= to).unwrap_or(frames.len());
        if next == frames.len() || misses_a_message(&frames, from, to) {
            continue;
        }
        settings.run(folder.path(), &frames[next..], &Kill::never());
        let about = format!("killed at {from:?}");
        interrupted += assert_same_outside(folder.path(), whole.path(), (from, to), &about).0;
    }
    assert!(interrupted > 5, "{interrupted} calls prove little");
}

/// Media that nothing explains and that stops, and 10 s later an INVITE that names one of its ports. Another call
/// goes on all the time.
fn ports_used_again() -> Vec<Frame> {
    let mut scenario = Scenario::new("ports", 2);
    let mut other = scenario.plain();
    other.talk = Nanos::from_secs(30);
    scenario.call(Nanos::ZERO, other);
    let mut call = scenario.plain();
    call.talk = Nanos::from_secs(4);
    scenario.call(Nanos::from_millis(500), call);
    let mut frames: Vec<Frame> = scenario.frames().collect();
    let is_signalling = |frame: &Frame| frame.call == Some(1) && frame.class == FrameClass::Signalling;
    let mut invite = frames.iter().find(|frame| is_signalling(frame)).unwrap().clone();
    let stopped =
        frames.iter().rfind(|frame| frame.call == Some(1) && frame.class == FrameClass::Rtp).unwrap();
    invite.at = stopped.at + Nanos::from_secs(10);
    frames.retain(|frame| !is_signalling(frame));
    let place = frames.iter().position(|frame| frame.at > invite.at).unwrap();
    frames.insert(place, invite);
    frames
}

#[test]
fn a_call_on_the_ports_of_media_that_stopped_before_the_kill_is_another_call() {
    let (settings, frames) = (settings(WAV, OpenBlock::Kept), ports_used_again());
    let invite = frames.iter().rposition(|frame| frame.call == Some(1)).unwrap();
    let ids = |folder: &Path| -> BTreeSet<Uuid> {
        let text = std::fs::read_to_string(folder.join("calls.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str::<Call>(line).unwrap().id).collect()
    };
    let (whole, ..) = whole(&settings, &frames);
    assert_eq!(ids(whole.path()).len(), 3);

    let (folder, kill) = (tempfile::tempdir().unwrap(), Kill::never());
    kill.when_taken(invite - 64);
    let taken = settings.run(folder.path(), &frames, &kill).frames;
    let until_invite = frames[invite].at - frames[taken].at;
    assert!(taken <= invite && until_invite < Nanos::from_secs(1), "{taken} of {invite}: {until_invite:?}");
    settings.run(folder.path(), &frames[taken..], &Kill::never());
    assert_eq!(ids(folder.path()), ids(whole.path()));
}

#[test]
fn a_long_call_pins_a_few_segments() {
    let mut scenario = Scenario::new("long", 8);
    let mut long = scenario.plain();
    long.talk = Nanos::from_secs(600);
    scenario.call(Nanos::ZERO, long);
    // Nothing is said or sent in most of this one.
    let mut held = scenario.plain();
    held.talk = Nanos::from_secs(590);
    let span = Nanos::from_secs(570);
    let hold = MidCallChange::Hold { how: HoldForm::Inactive, span, music: Music::None };
    held.mid_call = vec![MidCall { at: Nanos::from_secs(5), by: Side::Caller, change: hold }];
    scenario.call(Nanos::from_secs(1), held);
    let frames: Vec<Frame> = scenario.frames().collect();
    for encoder in [WAV, OPUS] {
        let settings = settings(encoder, OpenBlock::Kept);
        let (folder, run, steps) = whole(&settings, &frames);
        // Segments of 256 KiB; ten minutes make some 13 MB.
        assert!(run.removed > 40, "{}", run.removed);
        // Blocks of 100 ms: 5 s to the next checkpoint, 3 s to the next cut, and what is not durable.
        assert!((20..150).contains(&run.most_pinned), "{} blocks", run.most_pinned);

        let killed = tempfile::tempdir().unwrap();
        let taken = settings.run(killed.path(), &frames, &Kill::before(steps / 2)).frames;
        let rest = settings.run(killed.path(), &frames[taken..], &Kill::never());
        assert!((20..150).contains(&rest.most_pinned), "{} blocks", rest.most_pinned);
        assert!(rest.removed > 20, "{}", rest.removed);
        assert_same(killed.path(), folder.path(), "killed half-way");
    }
}

/// What a full disk refused is stored when there is room again.
fn fill_disk(encoder: EncoderConfig, restart: bool) {
    let (settings, frames) = (settings(encoder, OpenBlock::Kept), frames());
    let (whole, _, _) = whole(&settings, &frames);
    // The short call ends within, and a part of the others.
    let at = |ms| frames.iter().position(|frame| frame.at >= frames[0].at + Nanos::from_millis(ms)).unwrap();
    let full =
        Settings { full: at(12_000)..if restart { frames.len() } else { at(19_000) }, ..settings.clone() };
    let folder = tempfile::tempdir().unwrap();
    let end = if restart { at(17_000) } else { frames.len() };
    let kill = Kill::never();
    if restart {
        kill.when_taken(end);
    }
    let taken = full.run(folder.path(), &frames, &kill).frames;
    if restart {
        let pending =
            rows(folder.path()).into_values().filter(|row| row.recordings[0].path.is_none()).count();
        assert_eq!(pending, 1, "the short call has a row, and no file");
        settings.run(folder.path(), &frames[taken..], &Kill::never());
    }
    let (rows, expected) = (rows(folder.path()), rows(whole.path()));
    let mut raised = 0;
    for (call_id, row) in &rows {
        let expected = &expected[call_id];
        assert!(recording(folder.path(), row) == recording(whole.path(), expected), "other bytes");
        assert_eq!(row.recordings, expected.recordings);
        raised += row.revision - expected.revision;
    }
    assert_eq!((rows.len(), raised), (8, 1));
}

#[test]
fn a_recording_that_a_full_disk_refused_is_stored_when_there_is_room() {
    fill_disk(WAV, false);
    fill_disk(OPUS, false);
}

#[test]
fn a_recording_that_a_full_disk_refused_is_stored_at_the_next_start() {
    fill_disk(WAV, true);
    fill_disk(OPUS, true);
}
