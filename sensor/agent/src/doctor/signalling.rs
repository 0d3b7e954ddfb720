//! What signalling tells: calls, where their media should be, in which formats, encrypted or not.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

use nightjar_signal::{MediaDirection, MediaLine, Message, SessionDescription};
use nightjar_wire::{Format, MediaKind, Nanos};

/// Calls that are followed at most.
pub const MAX_CALLS: usize = 10_000;
/// Sockets of which a description is kept.
const MAX_SOCKETS: usize = 20_000;
/// Sockets of one call that are kept.
const MAX_SOCKETS_OF_CALL: usize = 8;
/// Ports that are told apart.
const MAX_PORTS: usize = 64;

/// A call, by its Call-ID. No `Debug`: it holds addresses.
#[derive(Default)]
pub struct Call {
    /// When an INVITE of it was accepted first.
    pub answered: Option<Nanos>,
    /// When somebody hung up.
    pub ended: Option<Nanos>,
    /// Where its descriptions want audio.
    pub sockets: Vec<SocketAddr>,
    /// A request of it was seen, and a response.
    pub asked_and_told: (bool, bool),
    /// Its last description wants SRTP.
    pub encrypted: bool,
}

/// What a socket's owner said of it.
#[derive(Debug)]
pub struct Described {
    /// Audio or something else.
    pub kind: MediaKind,
    /// The formats that it takes.
    pub formats: Vec<Format>,
    /// It said that media go one way alone.
    pub one_way: bool,
}

/// Signalling seen. No `Debug`: it holds addresses.
#[derive(Default)]
pub struct Signalling {
    /// SIP messages that can be read.
    pub messages: u64,
    /// Requests, ACK left out: nothing answers it.
    pub requests: u64,
    /// Responses.
    pub responses: u64,
    /// Messages by the port of who was asked.
    pub ports: BTreeMap<u16, u64>,
    /// Messages that have come by TLS or a secure WebSocket on another part of their way.
    pub via_tls: u64,
    /// TCP segments from or to port 5061.
    pub tls_segments: u64,
    /// TCP segments from or to the other signalling ports.
    pub tcp_segments: u64,
    /// Calls, by a hash of their Call-ID.
    pub calls: BTreeMap<u64, Call>,
    /// Sockets that descriptions name.
    pub sockets: BTreeMap<SocketAddr, Described>,
    /// Who sends and receives signalling.
    pub hosts: BTreeSet<IpAddr>,
    /// There were more calls or sockets than are followed.
    pub full: bool,
}

impl Signalling {
    /// Reads a datagram that looks like SIP.
    pub fn see(&mut self, at: Nanos, src: SocketAddr, dst: SocketAddr, datagram: &[u8]) {
        let Ok(message) = Message::parse(datagram) else { return };
        self.messages += 1;
        let asked = if message.status().is_some() { src } else { dst };
        if message.status().is_some() {
            self.responses += 1;
        } else if !message.is_ack() {
            self.requests += 1;
        }
        if self.ports.len() < MAX_PORTS || self.ports.contains_key(&asked.port()) {
            *self.ports.entry(asked.port()).or_default() += 1;
        }
        self.via_tls += u64::from(came_by_tls(datagram));
        for host in [src.ip(), dst.ip()] {
            if self.hosts.len() < MAX_SOCKETS {
                self.hosts.insert(host);
            }
        }
        self.follow(at, &message, datagram);
    }

    /// Counts a TCP segment on a signalling port.
    pub fn see_tcp(&mut self, ports: (u16, u16), signalling: &[u16]) {
        let is = |port: u16| ports.0 == port || ports.1 == port;
        if is(5061) {
            self.tls_segments += 1;
        } else if signalling.iter().any(|port| is(*port)) {
            self.tcp_segments += 1;
        }
    }

    fn follow(&mut self, at: Nanos, message: &Message<'_>, datagram: &[u8]) {
        let bye = datagram.trim_ascii_start().starts_with(b"BYE ");
        let description = message.session_description();
        if !message.is_of_invite() && !bye && description.is_none() {
            return;
        }
        let mut hasher = DefaultHasher::new();
        message.call_id().hash(&mut hasher);
        let key = hasher.finish();
        if self.calls.len() >= MAX_CALLS && !self.calls.contains_key(&key) {
            self.full = true;
            return;
        }
        let call = self.calls.entry(key).or_default();
        match message.status() {
            Some(_) => call.asked_and_told.1 = true,
            None => call.asked_and_told.0 = true,
        }
        if message.is_of_invite() && message.status().is_some_and(|status| status / 100 == 2) {
            call.answered.get_or_insert(at);
        }
        if bye {
            call.ended.get_or_insert(at);
        }
        let Some(text) = description else { return };
        let lines = SessionDescription::parse(text).media;
        for line in lines {
            if line.port == 0 || !line.udp {
                continue;
            }
            if line.kind == MediaKind::Audio {
                call.encrypted = wants_srtp(text, line.index);
            }
            let Some(socket) = line.addr.map(|addr| SocketAddr::new(addr, line.port)) else { continue };
            let room = call.sockets.len() < MAX_SOCKETS_OF_CALL && !call.sockets.contains(&socket);
            if line.kind == MediaKind::Audio && room && !socket.ip().is_unspecified() {
                call.sockets.push(socket);
            }
            if self.sockets.len() < MAX_SOCKETS || self.sockets.contains_key(&socket) {
                describe(&mut self.sockets, socket, line);
            } else {
                self.full = true;
            }
        }
    }
}

/// Adds a description to what is known of a socket: all formats that it ever took, one-way once it was.
fn describe(sockets: &mut BTreeMap<SocketAddr, Described>, socket: SocketAddr, line: MediaLine) {
    let one_way = line.direction != MediaDirection::SendRecv;
    let described =
        sockets.entry(socket).or_insert(Described { kind: line.kind, formats: Vec::new(), one_way });
    described.one_way |= one_way;
    for format in line.formats {
        if described.formats.len() < nightjar_signal::MAX_FORMATS {
            described.formats.retain(|known| known.payload_type != format.payload_type);
            described.formats.push(format);
        }
    }
}

/// Whether the media line of this number asks for SRTP: by its profile (RFC 3711, RFC 5764), or by keys
/// beside a plain one.
fn wants_srtp(description: &[u8], index: u8) -> bool {
    let mut line = None;
    for text in description.split(|&byte| byte == b'\n') {
        if text.starts_with(b"m=") {
            line = Some(line.map_or(0, |number: u8| number.saturating_add(1)));
            if line == Some(index) && text.windows(4).any(|part| part.eq_ignore_ascii_case(b"SAVP")) {
                return true;
            }
        }
        if line == Some(index) && text.starts_with(b"a=crypto:") {
            return true;
        }
    }
    false
}

/// Whether a Via names TLS or a secure WebSocket (RFC 3261, 20.42; RFC 7118, 4).
fn came_by_tls(message: &[u8]) -> bool {
    let headers = message.windows(4).position(|part| part == b"\r\n\r\n").unwrap_or(message.len());
    [&b"SIP/2.0/TLS"[..], b"SIP/2.0/WSS"]
        .iter()
        .any(|way| message[..headers].windows(way.len()).any(|part| part == *way))
}
