//! The seeds that are made, not written by hand: the load generator's scenarios cut short, and what the sensor
//! itself writes (journal, spool, events, snapshots). Each is named after what it shows.

use std::io;
use std::path::Path;

use nightjar_capture::fakes::MemoryFrame;
use nightjar_journal::RecordKind;
use nightjar_load::{Envelope, Frame, FrameClass, GreOptions, LinkOptions, Scenario, scenarios};
use nightjar_pipeline::Snapshots;
use nightjar_signal::Directory;
use nightjar_wire::{LinkType, Transport, decode_frame};

use crate::image::{self, PAGE_PART, RecordBytes};
use crate::recorder::Sensor;
use crate::{sip_config, world};

/// Bytes of frames of one seed at most; a scenario's first RTP packets and all its signalling fit.
const SEED_BYTES: usize = 12 << 10;

/// RTP packets in a row that a seed keeps.
const MEDIA_RUN: usize = 4;

/// Writes all of them below `directory`, one folder per target; returns how many.
///
/// # Errors
/// What the file system says.
pub fn write_seeds(directory: &Path) -> io::Result<usize> {
    let mut count = 0;
    let mut write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = directory.join(target);
        std::fs::create_dir_all(&folder)?;
        count += 1;
        std::fs::write(folder.join(name), bytes)
    };
    for entry in scenarios::all() {
        let name = entry.name;
        let frames = excerpt(&entry.scenario(1));
        for (kind, frame) in first_of_each_kind(&frames) {
            write("frame", &format!("{name}-{kind}"), &[&[0], frame].concat())?;
            write("planted", &format!("{name}-{kind}"), frame)?;
        }
        let capture = pcap(&frames);
        write("pipeline", name, &capture)?;
        write("sip", name, &sip_text(&frames))?;
        for (number, body) in bodies(&frames).into_iter().enumerate() {
            write("sdp", &format!("{name}-{number}"), &body)?;
        }
        let records = records(&frames);
        write("events", name, &event_records(&records))?;
        write("journal", name, &compact_segment(&records))?;
        for (number, state) in snapshots(&frames).into_iter().enumerate() {
            write("snapshot", &format!("{name}-{number}"), &[&[0xff], state.as_slice()].concat())?;
        }
    }
    for (name, frames) in in_tunnels() {
        for (kind, frame) in first_of_each_kind(&frames) {
            write("frame", &format!("{name}-{kind}"), &[&[0], frame].concat())?;
        }
        write("pipeline", name, &pcap(&frames))?;
    }
    let plain = pcap(&excerpt(&scenarios::by_name("answered", 1)));
    write("capture", "pcap", &plain)?;
    for (name, bytes) in spool_files() {
        write("spool", name, &bytes)?;
    }
    for (name, bytes) in scripts() {
        for target in ["calls", "recorded"] {
            write(target, name, &bytes)?;
        }
        write("restart", name, &[&[0, 40, 1], bytes.as_slice()].concat())?;
    }
    for (name, bytes) in media_scripts() {
        write("media", name, &bytes)?;
    }
    Ok(count)
}

/// A scenario's signalling, and of its media the beginning of each stretch.
fn excerpt(scenario: &Scenario) -> Vec<Frame> {
    let (mut stream, mut frame) = (scenario.frames(), Frame::empty());
    let (mut kept, mut run, mut bytes) = (Vec::new(), 0, 0);
    while bytes < SEED_BYTES && stream.next_into(&mut frame) {
        let media = matches!(frame.class, FrameClass::Rtp | FrameClass::RtpCopy);
        run = if media { run + 1 } else { 0 };
        if run <= MEDIA_RUN {
            bytes += frame.bytes.len();
            kept.push(frame.clone());
        }
    }
    kept
}

/// A call in each kind of tunnel.
fn in_tunnels() -> [(&'static str, Vec<Frame>); 7] {
    let gre = GreOptions { checksum: true, key: Some(7), sequence: Some(1) };
    let vxlan = Envelope::Vxlan { port: 4789, vni: 7 };
    let erspan = Envelope::Erspan2 { session: 5, vlan: 7 };
    let kinds = [
        ("in-vxlan", vec![vxlan]),
        ("in-gre-ethernet", vec![Envelope::GreEthernet(gre)]),
        ("in-gre-ip", vec![Envelope::GreIp(GreOptions::default())]),
        ("in-erspan-1", vec![Envelope::Erspan1]),
        ("in-erspan-2", vec![erspan]),
        ("in-erspan-3", vec![Envelope::Erspan3 { session: 5, vlan: 7, platform: true }]),
        ("in-vxlan-in-erspan", vec![vxlan, erspan]),
    ];
    let frames = excerpt(&scenarios::by_name("answered", 1));
    kinds.map(|(name, envelopes)| {
        let link = LinkOptions { envelopes, ..LinkOptions::default() };
        let mut frames = frames.clone();
        for frame in &mut frames {
            link.dress(&mut frame.bytes);
            frame.original_len = frame.bytes.len() as u32;
        }
        (name, frames)
    })
}

fn first_of_each_kind(frames: &[Frame]) -> Vec<(String, &[u8])> {
    let mut seen = Vec::new();
    let mut firsts = Vec::new();
    for frame in frames {
        if !seen.contains(&frame.class) {
            seen.push(frame.class);
            firsts.push((format!("{:?}", frame.class).to_lowercase(), frame.bytes.as_slice()));
        }
    }
    firsts
}

/// A pcap with nanoseconds, on Ethernet.
fn pcap(frames: &[Frame]) -> Vec<u8> {
    let mut image = Vec::new();
    for word in [0xa1b2_3c4du32, 0x0004_0002, 0, 0, 262_144, 1] {
        image.extend_from_slice(&word.to_le_bytes());
    }
    for frame in frames {
        let (seconds, nanos) = (frame.at.0 / 1_000_000_000, frame.at.0 % 1_000_000_000);
        for word in [seconds as u32, nanos as u32, frame.bytes.len() as u32, frame.original_len] {
            image.extend_from_slice(&word.to_le_bytes());
        }
        image.extend_from_slice(&frame.bytes);
    }
    image
}

fn udp_payload(frame: &Frame) -> Option<&[u8]> {
    match decode_frame(LinkType::Ethernet, &frame.bytes).ok()?.transport {
        Transport::Udp { payload, .. } => Some(payload),
        _ => None,
    }
}

fn signalling(frames: &[Frame]) -> impl Iterator<Item = (&Frame, &[u8])> {
    frames.iter().filter_map(|frame| {
        let payload = udp_payload(frame)?;
        nightjar_wire::looks_like_sip(payload).then_some((frame, payload))
    })
}

/// As the target `sip` reads it.
fn sip_text(frames: &[Frame]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut first = None;
    for (frame, message) in signalling(frames) {
        let Ok(decoded) = decode_frame(LinkType::Ethernet, &frame.bytes) else { continue };
        let caller = *first.get_or_insert(decoded.network.src);
        // 20 ms after the one before; from the first sender or to it.
        let code = b'0' + 4 + u8::from(decoded.network.src != caller);
        text.extend_from_slice(&[b'-', b'-', b'-', b' ', code, b'\n']);
        text.extend_from_slice(message);
    }
    text
}

fn bodies(frames: &[Frame]) -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    for (_, message) in signalling(frames) {
        let body = message
            .windows(4)
            .position(|four| four == b"v=0\r")
            .or(message.windows(4).position(|w| w == b"v=0\n"));
        if let Some(at) = body
            && !bodies.iter().any(|known| known == &message[at..])
        {
            bodies.push(message[at..].to_vec());
        }
    }
    bodies
}

/// What a capture core writes into its journal.
fn records(frames: &[Frame]) -> Vec<RecordBytes> {
    let frames: Vec<MemoryFrame> =
        frames.iter().map(|frame| MemoryFrame::ethernet(frame.at, frame.bytes.clone())).collect();
    let mut sensor = Sensor::new(1, Snapshots::OnChange);
    sensor.journal = Some(Vec::new());
    sensor.play(&frames, 8);
    sensor.journal.take().unwrap_or_default()
}

/// As the target `events` reads them.
fn event_records(records: &[RecordBytes]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records.iter().filter(|record| record.kind == RecordKind::Event) {
        if bytes.len() + record.bytes.len() < 8_000 {
            bytes.extend_from_slice(&(record.bytes.len() as u16).to_be_bytes());
            bytes.extend_from_slice(&record.bytes);
        }
    }
    bytes
}

/// As the target `journal` reads it: repaired, with a short first page, a block for every few records.
fn compact_segment(records: &[RecordBytes]) -> Vec<u8> {
    let mut bytes = vec![3];
    bytes.extend_from_slice(&image::segment_page(0, 0)[..PAGE_PART]);
    for (sequence, part) in (0..).zip(records.chunks(5)) {
        let block = image::block(0, sequence, part);
        if bytes.len() + block.len() < 16_000 {
            bytes.extend_from_slice(&block);
        }
    }
    bytes
}

/// The snapshots of a capture's calls, a few on their way.
fn snapshots(frames: &[Frame]) -> Vec<Vec<u8>> {
    let mut directory = Directory::new(sip_config());
    let mut states: Vec<Vec<u8>> = Vec::new();
    for (frame, message) in signalling(frames) {
        let (src, dst) = world::signalling_pair(0);
        let _ = directory.handle_sip(frame.at, src, dst, message);
        while directory.poll_output().is_some() {}
        let calls: Vec<_> = directory.open_calls().collect();
        let state = calls.first().and_then(|call| directory.snapshot(*call));
        if let Some(state) = state
            && states.last().is_none_or(|last| last.len() != state.len())
        {
            states.push(state);
        }
    }
    states
}

fn spool_files() -> [(&'static str, Vec<u8>); 2] {
    let pages = b"OggS pages of one call";
    let one = |index: u64| image::spool_record(1, index * pages.len() as u64, b"", pages);
    let saved = image::spool_record(1, pages.len() as u64, b"state", b"");
    let two = image::spool_record(2, 0, b"", b"OggS pages of another call");
    [
        ("one-call", [&[1], one(0).as_slice(), &saved, &one(1)].concat()),
        ("two-calls", [&[3], one(0).as_slice(), &two, &saved, &one(1)].concat()),
    ]
}

/// Scripts of the target `calls`: see there for what the bytes say.
fn scripts() -> [(&'static str, Vec<u8>); 5] {
    let answered: &[u8] = &[
        0x10, 0, 0x10, 0x40, // INVITE with a session
        0x11, 0x81, 0x14, 0, // 180
        0x11, 0x83, 0x14, 0x45, // 200 with a session
        0x10, 1, 0x14, 0, // ACK
        0x16, 0x04, 0x07, 0, 0, // media to and fro
        0x16, 0x01, 0x17, 0, 1, //
        0x1a, 0x44, 7, // RTCP
    ];
    let bye: &[u8] = &[0x10, 2, 0x24, 0, 0x11, 0xa3, 0x24, 0];
    let media: &[u8] = &[0x16, 0x04, 0x07, 0, 0, 0x16, 0x01, 0x17, 0, 1];
    [
        ("answered", [answered, bye].concat()),
        ("answered-unended", answered.to_vec()),
        ("media-first", [media, answered, bye].concat()),
        ("cut-messages", [&[0x15, 0, 0x10, 0x40, 0x2d, 0x04, 0x82, 32, 0x2d, 0x04, 0x04, 9], bye].concat()),
        ("copies", [answered, &[0x1b, 0x20, 0x1b, 0x23, 0x1c, 4, 20], &[0; 20], bye].concat()),
    ]
}

/// Scripts of the target `media`.
fn media_scripts() -> [(&'static str, Vec<u8>); 3] {
    let talk: Vec<u8> = (0..40u8).flat_map(|n| [n & 1, 10, 0, 0xd5]).collect();
    let lossy: Vec<u8> =
        (0..40u8).flat_map(|n| [n & 1, if n % 7 == 3 { 0x8a } else { 10 }, 0, 0x55]).collect();
    let changes =
        [&[0x18, 0x05, 0x38, 1, 0x58, 2, 0x78, 1, 0x98, 3, 0xb8, 0, 0xf8, 9], talk.as_slice()].concat();
    [
        ("talk", [&[0], talk.as_slice()].concat()),
        ("lossy", [&[0], lossy.as_slice()].concat()),
        ("forked-and-changed", [&[0x1c], talk.as_slice(), changes.as_slice()].concat()),
    ]
}
