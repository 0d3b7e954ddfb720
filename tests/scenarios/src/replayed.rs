//! A replay in this process, with all that it wrote taken into memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{LazyLock, OnceLock};

use nightjar_agent::args::{Channels, Format, Mode, Replay, Speed, Stereo};
use nightjar_agent::replay::{ReplayError, summarise};
use nightjar_agent::summary::Summary;
use nightjar_load::{Expected, PcapOptions, Scenario, scenarios};
use nightjar_schema::{Call, Recording};

use crate::sound::Sound;

/// The seed of every scenario here: 1, or what `NIGHTJAR_SEED` says.
pub static SEED: LazyLock<u64> = LazyLock::new(|| match std::env::var("NIGHTJAR_SEED") {
    Ok(text) => text.parse().unwrap_or_else(|error| panic!("NIGHTJAR_SEED={text}: {error}")),
    Err(_) => 1,
});

/// How a capture is replayed.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// What is written.
    pub mode: Mode,
    /// The recordings' format.
    pub format: Format,
    /// Their channels.
    pub channels: Channels,
    /// How stereo Opus is coded; `None` as is usual.
    pub stereo: Option<Stereo>,
    /// The pace.
    pub speed: Speed,
    /// Media workers.
    pub workers: u16,
}

impl Default for Setting {
    /// Stereo WAV by two workers, as fast as it goes.
    fn default() -> Setting {
        Setting {
            mode: Mode::Record,
            format: Format::Wav,
            channels: Channels::Stereo,
            stereo: None,
            speed: Speed::Max,
            workers: 2,
        }
    }
}

/// What a replay wrote.
#[derive(Debug)]
pub struct Replayed {
    /// The summary.
    pub summary: Summary,
    /// `calls.jsonl` as it is.
    pub jsonl: String,
    /// Its rows.
    pub calls: Vec<Call>,
    /// Each file that a row names, by its path in the output folder.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// A scenario's truth and what the sensor made of it.
#[derive(Debug)]
pub struct ReplayedScenario {
    /// The generator's account.
    pub expected: Expected,
    /// The sensor's.
    pub replayed: Replayed,
}

impl Replayed {
    /// The sound of a call's recording, `None` when it has none: WAV as it is, Opus by ffmpeg.
    ///
    /// # Panics
    /// When the recording cannot be read.
    pub fn sound(&self, call: &Call) -> Option<(Recording, Sound)> {
        let recording = call.recordings.first()?;
        let bytes = &self.files[recording.path.as_ref()?];
        let sound = if recording.container.as_deref() == Some("wav") {
            Sound::from_wav(bytes)
        } else {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("recording.opus");
            std::fs::write(&path, bytes).expect("the recording is written");
            Sound::by_ffmpeg(&path, usize::from(recording.channels?))
        };
        Some((recording.clone(), sound))
    }
}

/// Replays a file into a folder that is gone afterwards.
///
/// # Errors
/// What the replay says.
///
/// # Panics
/// When a row cannot be read or names a file that is not there.
pub fn replay_file(capture: &Path, setting: Setting) -> Result<Replayed, ReplayError> {
    replay_files(&[capture], None, setting)
}

/// As [`replay_file`], for several files joined by their stamps, and with the realms of a configuration.
///
/// # Errors
/// What the replay says.
///
/// # Panics
/// As [`replay_file`].
pub fn replay_files<P: AsRef<Path>>(
    captures: &[P],
    realms: Option<&Path>,
    setting: Setting,
) -> Result<Replayed, ReplayError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out");
    let summary = summarise(&Replay {
        files: captures.iter().map(|path| path.as_ref().to_owned()).collect(),
        out: out.clone(),
        mode: setting.mode,
        format: setting.format,
        channels: setting.channels,
        stereo: setting.stereo,
        speed: setting.speed,
        workers: setting.workers,
        realms: realms.map(Path::to_owned),
        sensor: "replay".to_owned(),
        json: true,
    })?;
    let jsonl = std::fs::read_to_string(out.join("calls.jsonl")).expect("calls.jsonl is written");
    let row = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let calls: Vec<Call> = jsonl.lines().map(row).collect();
    let paths = calls.iter().flat_map(|call| &call.recordings).filter_map(|recording| recording.path.clone());
    let read = |path: String| {
        let bytes = std::fs::read(out.join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        (path, bytes)
    };
    let files = paths.map(read).collect();
    Ok(Replayed { summary, jsonl, calls, files })
}

/// Generates a scenario's capture, has `then` use it, and forgets it.
///
/// # Panics
/// When the capture cannot be written.
pub fn generated<T>(
    scenario: &Scenario,
    file_name: &str,
    options: &PcapOptions,
    then: impl FnOnce(&Path) -> T,
) -> (Expected, T) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(file_name);
    let expected = scenario.write_pcap(&path, options).expect("the capture is written");
    let result = then(&path);
    (expected, result)
}

/// A named scenario, replayed to stereo WAV: once, whoever asks.
///
/// # Panics
/// When no scenario has the name, or the replay fails.
pub fn replayed(name: &str) -> &'static ReplayedScenario {
    type Shared = BTreeMap<&'static str, OnceLock<ReplayedScenario>>;
    static SHARED: LazyLock<Shared> =
        LazyLock::new(|| scenarios::all().map(|entry| (entry.name, OnceLock::new())).collect());
    let cell = SHARED.get(name).unwrap_or_else(|| panic!("no scenario is called {name}"));
    cell.get_or_init(|| replay_scenario(name, Setting::default()))
}

/// A named scenario, replayed.
///
/// # Panics
/// When no scenario has the name, or the replay fails.
pub fn replay_scenario(name: &str, setting: Setting) -> ReplayedScenario {
    let scenario = scenarios::by_name(name, *SEED);
    let replay = |path: &Path| replay_file(path, setting);
    let (expected, replayed) = generated(&scenario, "capture.pcap", &PcapOptions::default(), replay);
    let replayed = replayed.unwrap_or_else(|error| panic!("{name}: {error}"));
    ReplayedScenario { expected, replayed }
}
