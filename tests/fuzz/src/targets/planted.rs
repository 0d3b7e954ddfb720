//! The fuzzer's own test: with `NIGHTJAR_FUZZ_PLANTED=1` a panic lies behind an Ethernet frame, an IP and a UDP
//! header, an RTP header with an extension, and four bytes of its payload. A run that does not find it finds
//! nothing else either.

use std::sync::LazyLock;

use nightjar_wire::{LinkType, RtpView, Transport, decode_frame};

static ARMED: LazyLock<bool> =
    LazyLock::new(|| std::env::var("NIGHTJAR_FUZZ_PLANTED").is_ok_and(|v| v == "1"));

const MAGIC: u32 = 0x4e4a_2117;

pub(super) fn run(bytes: &[u8]) {
    let Ok(frame) = decode_frame(LinkType::Ethernet, bytes) else { return };
    let Transport::Udp { payload, .. } = frame.transport else { return };
    let Ok(rtp) = RtpView::parse(payload) else { return };
    let has_extension = rtp.bytes()[0] & 0x10 != 0;
    if let (true, Some(magic)) = (has_extension, rtp.payload().first_chunk()) {
        assert!(!(*ARMED && u32::from_be_bytes(*magic) == MAGIC), "the planted panic was found");
    }
}
