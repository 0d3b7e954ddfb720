//! A running program: what it says, how it ends. One that a test forgets is killed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::moments::wait_until;

/// A started program whose output goes to files.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// How a program has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code or signal.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Process {
    /// Starts a program; its output goes to `folder/name.out` and `folder/name.err`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command, folder: &Path, name: &str) -> Process {
        let stdout = folder.join(format!("{name}.out"));
        let stderr = folder.join(format!("{name}.err"));
        let create = |path: &Path| File::create(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        command.stdin(Stdio::null()).stdout(create(&stdout)).stderr(create(&stderr));
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Process { child, stdout, stderr }
    }

    /// What it has complained about so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Waits until it has said `text` on its standard error.
    ///
    /// # Panics
    /// When it ends without, or takes too long.
    pub fn wait_for(&mut self, text: &str) {
        let mut ended = None;
        let said = wait_until(Duration::from_secs(30), || {
            // In this order: what is said right before the end is not overlooked.
            ended = self.child.try_wait().expect("a child can be waited for");
            self.stderr().contains(text) || ended.is_some()
        });
        let stderr = self.stderr();
        assert!(said && stderr.contains(text), "no {text:?} ({ended:?}): {stderr}");
    }

    /// True while it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a child has a pid");
        kill_process(pid, signal).expect("a child can be signalled");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When that takes longer than `patience`.
    pub fn wait(mut self, patience: Duration) -> Ended {
        let mut status = None;
        let done = wait_until(patience, || {
            status = self.child.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        let (stdout, stderr) = (fs::read_to_string(&self.stdout).unwrap_or_default(), self.stderr());
        assert!(done, "still running after {patience:?}: {stdout}{stderr}");
        Ended { status: status.expect("asked above"), stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
