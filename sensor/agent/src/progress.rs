//! Progress of a long replay, on a terminal's standard error.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line is redrawn.
const INTERVAL: Duration = Duration::from_millis(200);
/// A replay that is over sooner shows none.
const PATIENCE: Duration = Duration::from_secs(1);

/// A line that shows how far a replay is; silent where standard error is no terminal.
pub struct Progress {
    started: Instant,
    drawn_at: Option<Instant>,
    terminal: bool,
}

impl Progress {
    /// Starts the clock.
    pub fn new() -> Progress {
        Progress { started: Instant::now(), drawn_at: None, terminal: std::io::stderr().is_terminal() }
    }

    /// Redraws the line when it is time to. `bytes`: read and in all, where the size is known.
    pub fn update(&mut self, bytes: Option<(u64, u64)>, packets: u64, calls: u64) {
        let now = Instant::now();
        let early = now - self.started < PATIENCE;
        let recent = self.drawn_at.is_some_and(|at| now - at < INTERVAL);
        if !self.terminal || early || recent {
            return;
        }
        self.drawn_at = Some(now);
        let line = progress_line(bytes, packets, calls, now - self.started);
        let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
    }

    /// Clears the line.
    pub fn finish(&mut self) {
        if self.drawn_at.take().is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Default for Progress {
    fn default() -> Progress {
        Progress::new()
    }
}

fn progress_line(bytes: Option<(u64, u64)>, packets: u64, calls: u64, elapsed: Duration) -> String {
    let counts = format!("{packets} packets, {calls} calls");
    match bytes {
        Some((done, total)) if done > 0 && total > 0 => {
            let share = (done as f64 / total as f64).min(1.0);
            let left = elapsed.as_secs_f64() * (1.0 - share) / share;
            let filled = (share * 24.0) as usize;
            let bar = format!("{}{}", "━".repeat(filled), "╌".repeat(24 - filled));
            format!("{bar} {:3.0} %  {counts}, {left:.0} s left", share * 100.0)
        }
        _ => counts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_share_counts_and_the_time_left() {
        let line = progress_line(Some((25, 100)), 10, 2, Duration::from_secs(10));
        assert!(
            line.contains("25 %") && line.contains("10 packets, 2 calls") && line.contains("30 s left"),
            "{line}"
        );
        assert_eq!(progress_line(None, 1, 0, Duration::ZERO), "1 packets, 0 calls");
    }
}
