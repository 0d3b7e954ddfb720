//! The packet's way through the sensor: the capture core decides what each frame is and whose, the
//! media worker turns journalled packets into recordings. Live capture and replay share it; only
//! the packet source and its overflow policy differ.

mod admission;
mod analysed;
mod audio_ledger;
mod call_in_progress;
mod capture_core;
mod capture_loop;
mod checkpoints;
mod closing;
mod disk_target;
mod event;
mod journalled;
mod learned;
mod ledger;
mod media_worker;
mod outage;
mod preroll;
mod reassembly;
mod recent_losses;
mod recording;
mod recovery;
mod row;
mod rows;
mod saved;
mod steady_clock;
mod unnamed;
mod worker_loop;

pub use admission::{
    Admission, AdmissionConfig, AdmissionCounts, Fill, LOSING, MediaLine, Pressure, Priority, Shed, Spent,
};
pub use analysed::Analysed;
pub use audio_ledger::{AudioLedger, Discarded, SharedAudioLedger};
pub use capture_core::{CaptureCore, CoreConfig, CoreOutput, Depth, Kept, Restored, Snapshots};
pub use capture_loop::{AfterError, capture_loop};
pub use disk_target::DiskTarget;
pub use event::{CoreEvent, StreamTold};
pub use journalled::{EventReader, Journalled, RingLost, Share, Told, Unwatched, Watcher, Watermark};
pub use learned::Learned;
pub use ledger::{DROPPED, Dropped, IGNORED, Ignored, Ledger};
pub use media_worker::{EarlierRuns, Finished, Keep, MediaWorker, OpenCalls, WorkerConfig};
pub use outage::InterruptedStreams;
pub use recording::{NewFile, Part, RecordingConfig, RecordingTarget, ResumedFile, Save};
pub use recovery::{Recovered, recover};
pub use rows::InOrder;
pub use saved::{Checkpoint, LaneKey};
pub use worker_loop::{Rows, worker_loop};
