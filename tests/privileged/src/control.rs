//! A control plane that takes everything by HTTPS: Python's server, openssl's certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::namespace::{Namespace, run};
use crate::process::Process;

/// The port that it listens on, in its namespace.
const PORT: u16 = 8443;

/// A running one; it ends when it goes.
#[derive(Debug)]
pub struct TakingControl {
    process: Process,
    out: PathBuf,
    settings: String,
}

impl TakingControl {
    /// Starts it in a namespace; its files go to `folder`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(namespace: &Namespace, folder: &Path) -> TakingControl {
        let file = |name: &str| folder.join(name);
        let (certificate, key) = (file("certificate.pem"), file("key.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ]);
        openssl.args(["-addext", "subjectAltName=DNS:localhost"]);
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        run(openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate));
        fs::write(file("token"), "0123456789abcdef\n").expect("the token can be written");
        let mut command = namespace.command("python3");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/control/control.py"));
        command.arg(PORT.to_string()).arg(&certificate).arg(&key);
        let mut process = Process::start(&mut command, folder, "control");
        process.wait_for("listening");
        let token = file("token");
        let settings = format!(
            "[control]\nurl = \"https://localhost:{PORT}\"\ntoken_file = {token:?}\nca_file = {certificate:?}\n"
        );
        TakingControl { process, out: file("control.out"), settings }
    }

    /// The sensor's settings that reach it.
    pub fn settings(&self) -> &str {
        &self.settings
    }

    /// How many recordings it was given. It is gone then.
    pub fn recordings(self) -> usize {
        self.process.signal(rustix::process::Signal::KILL);
        self.process.wait(Duration::from_secs(10));
        let said = fs::read_to_string(&self.out).unwrap_or_default();
        said.lines().filter(|line| line.starts_with("PUT ")).count()
    }
}
