//! `compare`: the account of what was sent against what was recorded and stored.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::Value;

use nightjar_load::Expected;

/// Where the three accounts are.
#[derive(Args)]
pub struct Compare {
    /// The generator's account, as `play --ledger` or `generate` wrote it.
    #[arg(long)]
    ledger: PathBuf,
    /// The sensor's summary.json.
    #[arg(long)]
    summary: PathBuf,
    /// What `nightjar-control count` printed.
    #[arg(long)]
    control: String,
}

impl Compare {
    /// Prints the counts side by side.
    ///
    /// # Errors
    /// When they differ, or an account cannot be read.
    pub fn run(&self) -> Result<(), String> {
        let offered: Expected = read(&self.ledger)?;
        let summary: Value = read(&self.summary)?;
        let control: Value =
            serde_json::from_str(&self.control).map_err(|error| format!("control's counts: {error}"))?;
        let number = |value: &Value, name: &str| value.as_u64().ok_or(format!("no number of {name}"));
        let calls_offered = offered.calls.len() as u64 + offered.calls_not_listed;
        let recorded = number(&summary["calls"], "recorded calls")?;
        let stored = number(&control["calls"], "stored calls")?;
        let live = number(&control["live"], "live calls")?;
        let received = number(&summary["packets"]["received"], "received packets")?;
        println!();
        println!("packets  sent    {:>8}   received {received:>8}", offered.ledger.frames);
        println!(
            "calls    offered {calls_offered:>8}   recorded {recorded:>8}   stored in control {stored:>8}"
        );
        let mut wrong = Vec::new();
        if calls_offered != recorded || recorded != stored {
            wrong.push("calls offered, recorded and stored differ".to_owned());
        }
        if live != 0 {
            wrong.push(format!("control still shows {live} calls as live"));
        }
        if offered.ledger.frames != received {
            wrong.push("packets sent and received differ".to_owned());
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}
