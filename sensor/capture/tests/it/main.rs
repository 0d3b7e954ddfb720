//! Integration tests: capture files as other tools write them, live capture in a namespace.

mod af_xdp;
mod af_xdp_realms;
mod captures;
mod corrupt;
mod files;
mod live;
mod namespace;
mod oracle;
mod pcapng;
mod writer;

use std::io::{self, Write};

use nightjar_capture::fakes::MemoryFrame;
use nightjar_capture::{PacketSource, Received, SourceError};

/// Reads a source to its end or to its first error.
fn read_all(source: &mut impl PacketSource) -> (Vec<MemoryFrame>, Option<SourceError>) {
    let mut frames = Vec::new();
    loop {
        let before = frames.len();
        match source.receive(&mut |frame| frames.push(MemoryFrame::copied(&frame))) {
            Ok(Received::End) => return (frames, None),
            Ok(Received::Frames(count)) => assert_eq!(count, frames.len() - before),
            Ok(Received::Idle(_)) => {}
            Err(error) => return (frames, Some(error)),
        }
    }
}

/// Says that a test is skipped, past the test harness, which would swallow a print.
fn skipped(test: &str, why: &str) {
    io::stderr().write_all(format!("SKIPPED: {test}: {why}\n").as_bytes()).unwrap();
}
