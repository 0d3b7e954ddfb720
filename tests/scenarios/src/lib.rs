//! What the scenario tests share: a replay of a capture with all that it wrote, measurements of
//! sound, and the manifest of foreign captures.

mod captures;
mod faults;
mod replayed;
mod sound;

pub use captures::{CapturesFolder, OracleCall, OracleRow, OracleStream};
pub use faults::Faults;
pub use replayed::{
    Replayed, ReplayedScenario, SEED, Setting, generated, replay_file, replay_files, replay_scenario,
    replayed,
};
pub use sound::{Channel, Sound};
