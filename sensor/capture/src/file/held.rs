//! Frames of a file that are read before they are due, because another file's come first.

use std::collections::VecDeque;

use nightjar_wire::{LinkType, Nanos};

use crate::source::RawFrame;

/// A frame that waits; its bytes stand in [`HeldFrames`].
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldFrame {
    pub(super) at: Nanos,
    link: LinkType,
    interface: u16,
    original_len: u32,
    start: usize,
    len: usize,
}

/// Frames in the order of their file: no more than one batch.
#[derive(Debug, Default)]
pub(super) struct HeldFrames {
    frames: VecDeque<HeldFrame>,
    bytes: Vec<u8>,
}

impl HeldFrames {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn first(&self) -> Option<&HeldFrame> {
        self.frames.front()
    }

    pub(super) fn push(&mut self, frame: &RawFrame<'_>) {
        if self.frames.is_empty() {
            self.bytes.clear();
        }
        self.frames.push_back(HeldFrame {
            at: frame.at,
            link: frame.link,
            interface: frame.interface,
            original_len: frame.original_len,
            start: self.bytes.len(),
            len: frame.bytes.len(),
        });
        self.bytes.extend_from_slice(frame.bytes);
    }

    /// Hands the first one out.
    pub(super) fn pop(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) {
        let Some(HeldFrame { at, link, interface, original_len, start, len }) = self.frames.pop_front()
        else {
            return;
        };
        sink(RawFrame { at, link, interface, bytes: &self.bytes[start..start + len], original_len });
    }
}
