//! Messages per second: read only, and followed through whole calls. One line per stage, CPU-bound
//! and single-threaded: `cargo bench -p nightjar-signal`.

use std::hint::black_box;
use std::time::Instant;

use nightjar_signal::{Directory, Message, SignalConfig};
use nightjar_wire::{Endpoint, Nanos, Realm};

/// The messages of one call, the names of its dialog still open.
const CALL: [(bool, &str); 6] = [
    (true, "INVITE sip:200@b.example SIP/2.0"),
    (false, "SIP/2.0 100 Trying"),
    (false, "SIP/2.0 180 Ringing"),
    (false, "SIP/2.0 200 OK"),
    (true, "ACK sip:200@b.example SIP/2.0"),
    (true, "BYE sip:200@b.example SIP/2.0"),
];

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n\
    m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

fn text(start: &str, call: usize) -> String {
    let method = match start.split(' ').next() {
        Some("SIP/2.0") | None => "INVITE",
        Some(method) => method,
    };
    let cseq = if method == "BYE" { 2 } else { 1 };
    let to_tag = if start.starts_with("INVITE") || start.contains(" 100 ") { "" } else { ";tag=b-tag-0815" };
    let described = start.starts_with("INVITE") || start.contains(" 200 ");
    let (kind, body) = if described { ("Content-Type: application/sdp\r\n", SDP) } else { ("", "") };
    format!(
        "{start}\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK-{call}-{method}\r\n\
         Max-Forwards: 70\r\nFrom: \"Alice Example\" <sip:+49301234567@a.example;user=phone>;tag=a-tag-{call}\r\n\
         To: <sip:200@b.example>{to_tag}\r\nCall-ID: {call}-4711@10.0.0.1\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:alice@10.0.0.1:5060>\r\nUser-Agent: Example/1.0\r\n\
         Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK\r\nSupported: timer, 100rel\r\n\
         {kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn report(stage: &str, messages: usize, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{stage:<24} {:>10.0} messages/s  {:>6.0} ns each",
        messages as f64 / seconds,
        seconds * 1e9 / messages as f64
    );
}

fn main() {
    // `cargo test --benches` only proves that it runs.
    let calls = if std::env::args().any(|argument| argument == "--bench") { 50_000 } else { 50 };
    let endpoint = |last: u8| Endpoint::new(Realm(0), [10, 0, 0, last].into(), 5060);
    let messages: Vec<(bool, String)> =
        (0..calls).flat_map(|call| CALL.map(|(asks, start)| (asks, text(start, call)))).collect();

    let begun = Instant::now();
    for (_, message) in &messages {
        black_box(Message::parse(black_box(message.as_bytes()))).ok();
    }
    report("read", messages.len(), begun);

    let mut directory = Directory::new(SignalConfig::default());
    let begun = Instant::now();
    for (at, (asks, message)) in messages.iter().enumerate() {
        let (src, dst) = if *asks { (endpoint(1), endpoint(2)) } else { (endpoint(2), endpoint(1)) };
        let at = Nanos::from_secs(1_700_000_000) + Nanos::from_micros(at as u64 * 100);
        directory.handle_sip(at, src, dst, message.as_bytes()).unwrap();
        while let Some(output) = directory.poll_output() {
            black_box(output);
        }
    }
    report("follow whole calls", messages.len(), begun);
}
