//! What a scripted input plays, for who looks into a crash.

use std::fmt::Write as _;

use nightjar_capture::fakes::MemoryFrame;
use nightjar_wire::{RtpView, Transport, decode_frame, looks_like_sip};

use crate::{targets, world};

/// The frames of an input of `calls`, `recorded` or `restart`, or the steps of one of `media`, a line each.
pub fn show(target: &str, bytes: &[u8]) -> String {
    if target == "media" {
        return targets::show_media(bytes);
    }
    let mut text = String::new();
    let script = match target {
        "restart" => bytes.get(3..).unwrap_or_default(),
        _ => bytes,
    };
    if target == "restart" {
        let _ = writeln!(text, "cut and lost: {:?}", bytes.get(..3));
    }
    for (number, frame) in targets::frames_of(script).iter().enumerate() {
        let _ = writeln!(text, "{number:4} {}", line(frame));
    }
    text
}

fn line(frame: &MemoryFrame) -> String {
    let millis = frame.at.signed_since(world::START) / 1_000_000;
    let Ok(decoded) = decode_frame(frame.link, &frame.bytes) else {
        return format!("{millis:8} ms  not decoded");
    };
    let network = decoded.network;
    match decoded.transport {
        Transport::Udp { src_port, dst_port, payload, .. } => {
            let what = match RtpView::parse(payload) {
                Ok(rtp) => format!(
                    "RTP {} sequence {} time {} ssrc {} {} bytes",
                    rtp.payload_type(),
                    rtp.sequence().0,
                    rtp.timestamp().0,
                    rtp.ssrc(),
                    rtp.payload().len()
                ),
                Err(_) if looks_like_sip(payload) => String::from_utf8_lossy(payload).replace("\r\n", " | "),
                Err(_) => format!("{payload:02x?}"),
            };
            format!("{millis:8} ms  {}:{src_port} > {}:{dst_port}  {what}", network.src, network.dst)
        }
        other => format!("{millis:8} ms  {} > {}  {other:?}", network.src, network.dst),
    }
}
