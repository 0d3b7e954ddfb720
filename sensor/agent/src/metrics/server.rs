//! The smallest HTTP server that Prometheus needs: one page, one request at a time, each with two
//! seconds and eight KiB, so that no client holds more than that.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::families::Sources;
use super::handover::Handover;

/// How long a request may take to arrive, and a part of an answer to leave.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest request head.
const HEAD: usize = 8192;
/// Header lines of a request at most.
const HEADERS: usize = 64;
/// What Prometheus calls the format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Takes the address.
///
/// # Errors
/// When it cannot be had: which, and why.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address);
    listener.map_err(|error| format!("metrics.listen: cannot listen on {address}: {error}; choose another"))
}

/// Starts the thread that answers; it ends with the process. The capture core's figures come by `core`.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn serve(listener: TcpListener, sources: Sources, mut core: Handover) -> Result<(), String> {
    let thread = std::thread::Builder::new().name("metrics".to_owned());
    let spawned = thread.spawn(move || {
        for stream in listener.incoming() {
            // A client that goes away takes nothing with it; without a descriptor for one, pause.
            if stream.and_then(|stream| answer(stream, &sources, &mut core)).is_err() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    });
    spawned.map(|_| ()).map_err(|error| format!("cannot start the thread of the metrics: {error}"))
}

fn answer(mut stream: TcpStream, sources: &Sources, core: &mut Handover) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let (status, body) = match read_request(&mut stream)? {
        Request::Metrics => ("200 OK", sources.render(core.latest())),
        Request::OtherPath => ("404 Not Found", "only /metrics is here\n".to_owned()),
        Request::OtherMethod => ("405 Method Not Allowed", "only GET is understood\n".to_owned()),
        Request::Unreadable => ("400 Bad Request", "not an HTTP request\n".to_owned()),
    };
    let kind = if status.starts_with("200") { CONTENT_TYPE } else { "text/plain; charset=utf-8" };
    let allow = if status.starts_with("405") { "Allow: GET\r\n" } else { "" };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{allow}Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Metrics,
    OtherPath,
    OtherMethod,
    Unreadable,
}

fn read_request(stream: &mut TcpStream) -> io::Result<Request> {
    let until = Instant::now() + PATIENCE;
    let (mut head, mut filled) = ([0; HEAD], 0);
    while filled < HEAD {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut head[filled..])? {
            0 => return Ok(Request::Unreadable),
            read => filled += read,
        }
        if let Some(request) = parse(&head[..filled]) {
            return Ok(request);
        }
    }
    Ok(Request::Unreadable)
}

/// None while more must come.
fn parse(head: &[u8]) -> Option<Request> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Partial) => None,
        Err(_) => Some(Request::Unreadable),
        Ok(httparse::Status::Complete(_)) => Some(match (request.method, request.path) {
            (Some("GET"), Some("/metrics")) => Request::Metrics,
            (Some("GET"), Some(path)) if path.starts_with("/metrics?") => Request::Metrics,
            (Some("GET"), _) => Request::OtherPath,
            _ => Request::OtherMethod,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_page_is_served_and_nothing_else() {
        let parsed = |line: &str| parse(format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        assert_eq!(parsed("GET /metrics"), Some(Request::Metrics));
        assert_eq!(parsed("GET /metrics?name=x"), Some(Request::Metrics));
        assert_eq!(parsed("GET /metricsx"), Some(Request::OtherPath));
        assert_eq!(parsed("GET /../etc/passwd"), Some(Request::OtherPath));
        assert_eq!(parsed("POST /metrics"), Some(Request::OtherMethod));
        assert_eq!(parse(b"\x16\x03\x01\x00\xa5\x01\x00"), Some(Request::Unreadable));
        assert_eq!(parse(b"GET /metrics HTTP/1.1\r\nHo"), None);
    }

    #[test]
    fn a_request_that_never_ends_is_given_up() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(&[b'x'; HEAD + 1]).unwrap();
        assert_eq!(read_request(&mut server).unwrap(), Request::Unreadable);
    }
}
