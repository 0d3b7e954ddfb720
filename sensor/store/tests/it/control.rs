//! A control for tests: a real HTTP server that behaves, or misbehaves as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nightjar_schema::{Event, EventKind};
use sha2::{Digest, Sha256};
use tiny_http::{Method, Request, Response, Server};
use uuid::Uuid;

pub const TOKEN: &str = "token-of-s1";

/// What to do with the next request instead of the right thing.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Answer with this status.
    Status(u16),
    /// Answer 200 with something that control would not say.
    Nonsense,
    /// Take the request, answer late.
    Slow(Duration),
    /// Take the request, then answer 500: the sender does not know that it was taken.
    TakenBut500,
}

#[derive(Default)]
pub struct Seen {
    /// Events in the order of their arrival, repeats included.
    pub events: Vec<Event>,
    /// Files by recording.
    pub recordings: BTreeMap<Uuid, Vec<u8>>,
    /// Faults to come.
    pub faults: VecDeque<Fault>,
    /// Requests so far.
    pub requests: u32,
    /// Every event of this call is refused.
    pub bad_call: Option<Uuid>,
    /// What was wrong with requests: must stay empty.
    pub complaints: Vec<String>,
}

impl Seen {
    /// Events without repeats.
    pub fn distinct(&self) -> Vec<Uuid> {
        let mut ids = Vec::new();
        for event in &self.events {
            if !ids.contains(&event.id) {
                ids.push(event.id);
            }
        }
        ids
    }
}

pub struct Control {
    server: Arc<Server>,
    pub seen: Arc<(Mutex<Seen>, Condvar)>,
    thread: Option<JoinHandle<()>>,
    pub url: String,
}

impl Control {
    pub fn start() -> Control {
        Control::on(TcpListener::bind("127.0.0.1:0").unwrap(), [])
    }

    pub fn with_faults(faults: impl IntoIterator<Item = Fault>) -> Control {
        Control::on(TcpListener::bind("127.0.0.1:0").unwrap(), faults)
    }

    pub fn on(listener: TcpListener, faults: impl IntoIterator<Item = Fault>) -> Control {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::new(Server::from_listener(listener, None).unwrap());
        let seen = Arc::new((
            Mutex::new(Seen { faults: faults.into_iter().collect(), ..Seen::default() }),
            Condvar::new(),
        ));
        let thread = {
            let (server, seen) = (Arc::clone(&server), Arc::clone(&seen));
            std::thread::spawn(move || {
                while let Ok(request) = server.recv() {
                    answer(request, &seen.0);
                    seen.1.notify_all();
                }
            })
        };
        Control { server, seen, thread: Some(thread), url }
    }

    /// Waits until what was seen is as wanted; gives up after 30 s.
    pub fn wait(&self, what: &str, mut until: impl FnMut(&Seen) -> bool) {
        let seen = self.seen.0.lock().unwrap();
        let (seen, timeout) =
            self.seen.1.wait_timeout_while(seen, Duration::from_secs(30), |seen| !until(seen)).unwrap();
        assert!(!timeout.timed_out(), "{what}; {} events, {} requests", seen.events.len(), seen.requests);
    }

    pub fn look<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.0.lock().unwrap())
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        if !std::thread::panicking() {
            assert_eq!(self.look(|seen| std::mem::take(&mut seen.complaints)), Vec::<String>::new());
        }
    }
}

fn header(request: &Request, name: &'static str) -> String {
    let header = request.headers().iter().find(|header| header.field.equiv(name));
    header.map_or_else(String::new, |header| header.value.to_string())
}

fn answer(mut request: Request, seen: &Mutex<Seen>) {
    let mut body = Vec::new();
    request.as_reader().read_to_end(&mut body).unwrap();
    let fault = {
        let mut seen = seen.lock().unwrap();
        seen.requests += 1;
        seen.faults.pop_front()
    };
    let (status, text) = match fault {
        Some(Fault::Status(status)) => (status, String::new()),
        Some(Fault::Nonsense) => (200, "<html>welcome</html>".to_owned()),
        Some(Fault::Slow(time)) => {
            std::thread::sleep(time);
            take(&request, &body, &mut seen.lock().unwrap())
        }
        Some(Fault::TakenBut500) => {
            take(&request, &body, &mut seen.lock().unwrap());
            (500, String::new())
        }
        None => take(&request, &body, &mut seen.lock().unwrap()),
    };
    // The sender may be gone.
    let _ = request.respond(Response::from_string(text).with_status_code(status));
}

fn take(request: &Request, body: &[u8], seen: &mut Seen) -> (u16, String) {
    if header(request, "Authorization") != format!("Bearer {TOKEN}") {
        return (401, r#"{"error":{"code":"unknown_sensor","message":"unknown sensor"}}"#.to_owned());
    }
    match (request.method(), request.url()) {
        (Method::Post, "/api/ingest/v1/events") => take_events(request, body, seen),
        (Method::Put, url) if url.starts_with("/api/ingest/v1/recordings/") => {
            take_recording(request, body, seen)
        }
        (method, url) => {
            seen.complaints.push(format!("{method} {url}"));
            (404, String::new())
        }
    }
}

fn take_events(request: &Request, body: &[u8], seen: &mut Seen) -> (u16, String) {
    // A batch without events is a sign of life.
    let whole = body.is_empty() || body.ends_with(b"\n");
    if header(request, "Content-Type") != "application/x-ndjson" || !whole {
        seen.complaints.push("events in a wrong form".to_owned());
    }
    let events: Result<Vec<Event>, _> =
        body.split_inclusive(|&byte| byte == b'\n').map(serde_json::from_slice::<Event>).collect();
    let Ok(events) = events else {
        seen.complaints.push("a line is no event".to_owned());
        return (400, String::new());
    };
    if events.len() > 100 {
        seen.complaints.push(format!("{} events at once", events.len()));
    }
    if seen.bad_call.is_some_and(|bad| events.iter().any(|event| event.call.id == bad)) {
        return (400, r#"{"error":{"code":"bad_event","message":"I do not like it"}}"#.to_owned());
    }
    for event in events.iter().filter(|event| event.kind == EventKind::Recorded) {
        for recording in &event.call.recordings {
            let missing = !seen.recordings.contains_key(&recording.id);
            if missing && recording.path.as_deref() != Some("recordings/gone.opus") {
                seen.complaints.push("a recorded event came before its recording".to_owned());
            }
        }
    }
    let accepted = events.len();
    seen.events.extend(events);
    (200, format!(r#"{{"accepted":{accepted}}}"#))
}

fn take_recording(request: &Request, body: &[u8], seen: &mut Seen) -> (u16, String) {
    let id = request.url().rsplit('/').next().and_then(|id| Uuid::parse_str(id).ok());
    let call = Uuid::parse_str(&header(request, "X-Nightjar-Call"));
    let digest = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (Some(id), Ok(_)) = (id, call) else {
        seen.complaints.push("a recording without ids".to_owned());
        return (400, String::new());
    };
    if header(request, "Content-Type") != "audio/ogg" || request.body_length() != Some(body.len()) {
        seen.complaints.push("a recording in a wrong form".to_owned());
    }
    if header(request, "X-Nightjar-Sha256") != digest {
        return (422, String::new());
    }
    match seen.recordings.get(&id) {
        Some(known) if known == body => (200, String::new()),
        Some(_) => (409, r#"{"error":{"code":"conflict","message":"another file has this id"}}"#.to_owned()),
        None => {
            seen.recordings.insert(id, body.to_vec());
            (201, String::new())
        }
    }
}
