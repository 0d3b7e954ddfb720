//! One control per test: its folder, its process, its log, and an HTTP client that is not ours.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use ureq::Agent;
use ureq::http::{HeaderMap, Request};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_nightjar-control");
/// The tokens of the sensors `s1` and `s2`.
pub const TOKENS: [&str; 2] =
    ["the-token-of-the-sensor-s1-0123456789", "the-token-of-the-sensor-s2-0123456789"];
/// The administrator's password.
pub const PASSWORD: &str = "correct horse battery";
/// Longest wait for anything; only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A control that is running.
pub struct Control {
    pub folder: TempDir,
    pub address: String,
    pub agent: Agent,
    scheme: &'static str,
    child: Child,
    log: Mutex<mpsc::Receiver<String>>,
}

/// What it answered.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {} {text}", self.status))
    }

    /// A header, empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The name of the refusal.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The sentence of the refusal.
    pub fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// Writes a configuration with both sensors; `first` goes to the top, `last` to the end.
pub fn write_config(folder: &Path, first: &str, last: &str) -> PathBuf {
    let mut text = format!("listen = \"127.0.0.1:0\"\ndata_dir = \"data\"\n{first}\n");
    for (index, token) in TOKENS.iter().enumerate() {
        let name = format!("s{}", index + 1);
        fs::write(folder.join(&name), token).unwrap();
        text += &format!("[[sensors]]\nname = \"{name}\"\ntoken_file = \"{name}\"\n");
    }
    let path = folder.join("control.toml");
    fs::write(&path, text + last).unwrap();
    path
}

/// Runs the binary to its end.
pub fn run(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(BINARY);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that ends before it reads is no fault of the test.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Creates the administrator.
pub fn create_admin(config: &Path) {
    let config = config.to_str().unwrap();
    let arguments = ["admin", "create", "--config", config, "--username", "admin", "--password-stdin"];
    let output = run(&arguments, PASSWORD);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty(), "a given password is not printed");
}

impl Control {
    /// Starts one with an administrator.
    pub fn start() -> Control {
        Control::start_with("", "")
    }

    /// Starts one with more in its configuration.
    pub fn start_with(first: &str, last: &str) -> Control {
        let folder = tempfile::tempdir().unwrap();
        let config = write_config(folder.path(), first, last);
        create_admin(&config);
        let agent =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        Control::serve(folder, agent.into(), "http")
    }

    /// Starts one on a folder that holds a configuration.
    pub fn serve(folder: TempDir, agent: Agent, scheme: &'static str) -> Control {
        Control::serve_by(Command::new(BINARY), folder, agent, scheme)
    }

    /// Starts one by a command that ends in the binary's name.
    pub fn serve_by(mut command: Command, folder: TempDir, agent: Agent, scheme: &'static str) -> Control {
        command.arg("serve").arg("--config").arg(folder.path().join("control.toml"));
        command.env("NIGHTJAR_LOG", "debug").env("NO_COLOR", "1").stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        let marker = format!("listening on {scheme}://");
        let address = loop {
            let line = log.recv_timeout(PATIENCE).expect("it says where it listens");
            if let Some((_, address)) = line.split_once(&marker) {
                break address.trim().to_owned();
            }
        };
        Control { folder, address, agent, scheme, child, log: Mutex::new(log) }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The configuration.
    pub fn config(&self) -> String {
        self.folder.path().join("control.toml").to_str().unwrap().to_owned()
    }

    /// A file or folder of the data.
    pub fn data(&self, path: &str) -> PathBuf {
        self.folder.path().join("data").join(path)
    }

    /// An address on it.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Sends a request; an empty body is none.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match body {
            [] => self.agent.run(request.body(()).unwrap()),
            body => self.agent.run(request.body(body).unwrap()),
        };
        let (parts, mut body) =
            response.unwrap_or_else(|error| panic!("{method} {path}: {error}")).into_parts();
        let body = body.read_to_vec().unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Signs in; gives the cookie to send.
    pub fn sign_in(&self) -> String {
        let body = serde_json::json!({"username": "admin", "password": PASSWORD}).to_string();
        let answer =
            self.send("POST", "/api/session", &[("content-type", "application/json")], body.as_bytes());
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    /// Asks as somebody who is signed in.
    pub fn get(&self, cookie: &str, path: &str) -> Answer {
        self.send("GET", path, &[("cookie", cookie)], b"")
    }

    /// Delivers events as sensor `s1` or `s2`.
    pub fn deliver(&self, sensor: usize, lines: &[Value]) -> Answer {
        let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let bearer = format!("Bearer {}", TOKENS[sensor - 1]);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-ndjson")];
        self.send("POST", "/api/ingest/v1/events", &headers, body.as_bytes())
    }

    /// Delivers events that have to be taken.
    pub fn must_deliver(&self, lines: &[Value]) {
        let answer = self.deliver(1, lines);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.json()["accepted"], lines.len());
    }

    /// Ends it at once; its folder stays, to be started on again.
    pub fn into_folder(mut self) -> TempDir {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let empty = tempfile::tempdir().unwrap();
        std::mem::replace(&mut self.folder, empty)
    }

    /// Sends SIGTERM and waits for the end; gives the exit code and what was logged since the start.
    pub fn terminate(mut self) -> (Option<i32>, String) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        let log: Vec<_> = self.log.get_mut().unwrap().iter().collect();
        (status.code(), log.join("\n"))
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// SHA-256, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Asks again until there is an answer.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = std::time::Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
