//! A small SIP text builder and a directory that collects what it says.

use std::net::SocketAddr;

use nightjar_schema::{Call as Row, CallEventKind, EndCause};
use nightjar_signal::{Directory, Output, SignalConfig, SipError};
use nightjar_wire::{Binding, CallKey, Endpoint, FlowKey, Nanos, Realm};

/// Where every scene begins: 2024-01-01, a whole second.
pub const START: Nanos = Nanos(1_704_067_200_000_000_000);

/// An endpoint of realm 0 from `address:port`.
pub fn endpoint(text: &str) -> Endpoint {
    let addr: SocketAddr = text.parse().unwrap();
    Endpoint::new(Realm(0), addr.ip(), addr.port())
}

/// A flow of realm 0.
pub fn flow(src: &str, dst: &str) -> FlowKey {
    FlowKey::new(endpoint(src), endpoint(dst))
}

/// A G.711 description; `extra` lines belong to its audio line.
pub fn audio(addr: &str, extra: &str) -> String {
    let addr: SocketAddr = addr.parse().unwrap();
    let (ip, port) = (addr.ip(), addr.port());
    let family = if ip.is_ipv4() { 4 } else { 6 };
    format!(
        "v=0\r\no=- 1 1 IN IP{family} {ip}\r\ns=-\r\nc=IN IP{family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 101\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n{extra}"
    )
}

/// One side's view of a dialog, from which its messages are built.
#[derive(Clone)]
pub struct Dialog {
    pub call_id: String,
    /// Signalling addresses of caller and callee.
    pub caller: String,
    pub callee: String,
    pub from_tag: String,
    pub to_tag: String,
}

/// Who sends.
#[derive(Clone, Copy, PartialEq)]
pub enum By {
    Caller,
    Callee,
}

impl Dialog {
    pub fn new(call_id: &str) -> Dialog {
        Dialog {
            call_id: call_id.into(),
            caller: "10.0.0.1:5060".into(),
            callee: "10.0.0.2:5060".into(),
            from_tag: format!("{call_id}-a"),
            to_tag: format!("{call_id}-b"),
        }
    }

    pub fn with_to_tag(&self, tag: &str) -> Dialog {
        Dialog { to_tag: tag.into(), ..self.clone() }
    }

    /// The same dialog on another hop.
    pub fn between(&self, caller: &str, callee: &str) -> Dialog {
        Dialog { caller: caller.into(), callee: callee.into(), ..self.clone() }
    }

    /// An INVITE outside of the dialog.
    pub fn invite(&self, cseq: u32) -> Message {
        let mut invite = self.request(By::Caller, "INVITE", cseq);
        invite.to_tag.clear();
        invite
    }

    /// A request within the dialog.
    pub fn request(&self, by: By, method: &str, cseq: u32) -> Message {
        let (from, to) = match by {
            By::Caller => (&self.caller, &self.callee),
            By::Callee => (&self.callee, &self.caller),
        };
        let (from_tag, to_tag) = match by {
            By::Caller => (&self.from_tag, &self.to_tag),
            By::Callee => (&self.to_tag, &self.from_tag),
        };
        let party =
            |side: bool| if side { "\"Alice\" <sip:+49301@a.example>" } else { "<sip:200@b.example>" };
        Message {
            src: from.clone(),
            dst: to.clone(),
            start: format!("{method} sip:200@b.example SIP/2.0"),
            branch: format!("z9hG4bK-{}-{cseq}-{method}-{from}-{to}", self.call_id),
            from: party(by == By::Caller).into(),
            to: party(by == By::Callee).into(),
            from_tag: from_tag.clone(),
            to_tag: to_tag.clone(),
            call_id: self.call_id.clone(),
            cseq: format!("{cseq} {method}"),
            headers: String::new(),
            body: String::new(),
        }
    }

    /// The response to a request of this dialog.
    pub fn response(&self, by: By, method: &str, cseq: u32, status: u16) -> Message {
        let requester = if by == By::Caller { By::Callee } else { By::Caller };
        let request = self.request(requester, method, cseq);
        Message {
            src: request.dst.clone(),
            dst: request.src.clone(),
            start: format!("SIP/2.0 {status} Phrase"),
            to_tag: if status == 100 { String::new() } else { request.to_tag.clone() },
            ..request
        }
    }

    /// The callee's answer to the INVITE with this CSeq.
    pub fn answer(&self, cseq: u32, status: u16) -> Message {
        self.response(By::Callee, "INVITE", cseq, status)
    }

    /// The ACK to a 2xx.
    pub fn ack(&self, cseq: u32) -> Message {
        self.request(By::Caller, "ACK", cseq)
    }

    /// The ACK to a refusal: it shares the INVITE's branch.
    pub fn refusal_ack(&self, cseq: u32) -> Message {
        Message { branch: self.invite(cseq).branch, ..self.request(By::Caller, "ACK", cseq) }
    }

    /// The CANCEL of the INVITE with this CSeq.
    pub fn cancel(&self, cseq: u32) -> Message {
        let mut cancel = self.request(By::Caller, "CANCEL", cseq);
        cancel.branch = self.invite(cseq).branch;
        cancel.to_tag.clear();
        cancel
    }
}

/// One message before it is written.
#[derive(Clone)]
pub struct Message {
    pub src: String,
    pub dst: String,
    pub start: String,
    pub branch: String,
    pub from: String,
    pub to: String,
    pub from_tag: String,
    pub to_tag: String,
    pub call_id: String,
    pub cseq: String,
    pub headers: String,
    pub body: String,
}

impl std::fmt::Debug for Message {
    /// What tells it from others, on one line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (start, cseq, body) = (self.start.trim_end_matches(" SIP/2.0"), &self.cseq, self.body.len());
        let hop = format!("{}>{}", self.src, self.dst);
        write!(f, "{start} ({cseq}) {} {}>{} {hop} body {body}", self.call_id, self.from_tag, self.to_tag)
    }
}

impl Message {
    pub fn sdp(mut self, body: impl Into<String>) -> Message {
        self.body = body.into();
        self
    }

    pub fn header(mut self, line: &str) -> Message {
        self.headers.push_str(line);
        self.headers.push_str("\r\n");
        self
    }

    pub fn start(mut self, line: &str) -> Message {
        self.start = line.into();
        self
    }

    /// The same message as a proxy passes it on: another hop, another branch.
    pub fn on_hop(mut self, src: &str, dst: &str) -> Message {
        self.branch = format!("{}-{}-{}", self.branch, src.min(dst), src.max(dst));
        (self.src, self.dst) = (src.into(), dst.into());
        self
    }

    pub fn text(&self) -> String {
        let tag = |tag: &str| if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
        let kind = if self.body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{}\r\nVia: SIP/2.0/UDP {};branch={}\r\nFrom: {}{}\r\nTo: {}{}\r\nCall-ID: {}\r\nCSeq: {}\r\n{}{}\
             Content-Length: {}\r\n\r\n{}",
            self.start,
            self.src,
            self.branch,
            self.from,
            tag(&self.from_tag),
            self.to,
            tag(&self.to_tag),
            self.call_id,
            self.cseq,
            self.headers,
            kind,
            self.body.len(),
            self.body
        )
    }
}

/// A directory under test, its clock and all that it has said.
pub struct Scene {
    pub directory: Directory,
    pub now: Nanos,
    pub said: Vec<Output>,
}

impl Scene {
    pub fn new() -> Scene {
        Scene::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut SignalConfig)) -> Scene {
        let mut config = SignalConfig { sensor: "test".into(), ..SignalConfig::default() };
        change(&mut config);
        Scene { directory: Directory::new(config), now: START, said: Vec::new() }
    }

    /// A message arrives now; the clock moves on by 10 ms.
    pub fn see(&mut self, message: &Message) -> &mut Scene {
        self.see_bytes(&message.src, &message.dst, message.text().as_bytes()).unwrap();
        self
    }

    pub fn see_bytes(&mut self, src: &str, dst: &str, bytes: &[u8]) -> Result<(), SipError> {
        let result = self.directory.handle_sip(self.now, endpoint(src), endpoint(dst), bytes);
        self.collect();
        self.now = self.now + Nanos::from_millis(10);
        result
    }

    /// INVITE with SDP, 180, 200 with SDP, ACK.
    pub fn establish(&mut self, dialog: &Dialog) -> CallKey {
        self.see(&dialog.invite(1).sdp(audio("10.0.0.1:4000", "")));
        self.see(&dialog.answer(1, 180));
        self.see(&dialog.answer(1, 200).sdp(audio("10.0.0.2:5000", "")));
        self.see(&dialog.ack(1));
        self.opened().last().copied().unwrap()
    }

    /// BYE and its 200.
    pub fn hang_up(&mut self, dialog: &Dialog, by: By, cseq: u32) {
        self.see(&dialog.request(by, "BYE", cseq));
        let other = if by == By::Caller { By::Callee } else { By::Caller };
        self.see(&dialog.response(other, "BYE", cseq, 200));
    }

    /// Time passes without any packet.
    pub fn wait_ms(&mut self, millis: u64) -> &mut Scene {
        self.now = self.now + Nanos::from_millis(millis);
        self.directory.handle_time(self.now);
        self.collect();
        self
    }

    pub fn wait_s(&mut self, secs: u64) -> &mut Scene {
        self.wait_ms(secs * 1000)
    }

    /// Media flows for so many seconds.
    pub fn talk_s(&mut self, call: CallKey, secs: u64) -> &mut Scene {
        for _ in 0..secs {
            self.directory.handle_media(self.now, call);
            self.collect();
            self.wait_s(1);
        }
        self
    }

    pub fn unsignalled(&mut self, src: &str, dst: &str, ssrc: u32) -> CallKey {
        let call = self.directory.handle_unsignalled(self.now, flow(src, dst), ssrc);
        self.collect();
        call
    }

    pub fn end_capture(&mut self) -> &mut Scene {
        self.directory.handle_capture_end(self.now, EndCause::CaptureEnd);
        self.collect();
        self
    }

    pub fn collect(&mut self) {
        while let Some(output) = self.directory.poll_output() {
            self.said.push(output);
        }
    }

    pub fn opened(&self) -> Vec<CallKey> {
        self.said
            .iter()
            .filter_map(|output| match output {
                Output::Opened { call, .. } => Some(*call),
                _ => None,
            })
            .collect()
    }

    /// Rows of the calls that are closed, in order.
    pub fn closed(&self) -> Vec<&Row> {
        self.said
            .iter()
            .filter_map(|output| match output {
                Output::Closed { row, .. } => Some(&**row),
                _ => None,
            })
            .collect()
    }

    /// The only call's row, after the capture has ended.
    pub fn only_row(&mut self) -> Row {
        self.end_capture();
        let rows = self.closed();
        assert_eq!(rows.len(), 1, "one call is expected");
        rows[0].clone()
    }

    pub fn count(&self, matches: impl Fn(&Output) -> bool) -> usize {
        self.said.iter().filter(|output| matches(output)).count()
    }

    /// The bindings in force, by the outputs so far.
    pub fn bindings(&self) -> Vec<Binding> {
        let mut all: Vec<Binding> = Vec::new();
        for output in &self.said {
            match output {
                Output::Bind(new) => {
                    all.retain(|old| {
                        (old.endpoint, old.call, old.dialog) != (new.endpoint, new.call, new.dialog)
                    });
                    all.push(new.clone());
                }
                Output::Unbind { call, dialog, endpoint, .. } => {
                    all.retain(|old| (old.endpoint, old.call, old.dialog) != (*endpoint, *call, *dialog));
                }
                _ => {}
            }
        }
        all
    }

    /// The binding of an endpoint, which there must be one of.
    pub fn binding(&self, address: &str) -> Binding {
        let of: Vec<_> = self.bindings().into_iter().filter(|b| b.endpoint == endpoint(address)).collect();
        assert_eq!(of.len(), 1, "one binding of {address} is expected");
        of.into_iter().next().unwrap()
    }

    pub fn is_bound(&self, address: &str) -> bool {
        self.bindings().iter().any(|binding| binding.endpoint == endpoint(address))
    }
}

/// Kinds and legs of a row's events, in order.
pub fn events(row: &Row) -> Vec<(CallEventKind, u16)> {
    row.events.iter().map(|event| (event.kind, event.leg.unwrap())).collect()
}

/// The end's cause and leg.
pub fn end(row: &Row) -> (EndCause, Option<u16>) {
    let end = row.end.as_ref().unwrap();
    (end.cause, end.leg)
}
