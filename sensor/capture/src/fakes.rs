//! A packet source over frames in memory, for tests.

use std::collections::VecDeque;

use nightjar_wire::{LinkType, Nanos};

use crate::SourceError;
use crate::live;
use crate::source::{PacketSource, RawFrame, Received, RingLoss, SourceStatistics};

/// A frame that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryFrame {
    /// When it was captured.
    pub at: Nanos,
    /// The link layer that the bytes begin with.
    pub link: LinkType,
    /// An index into the source's interfaces.
    pub interface: u16,
    /// The captured bytes.
    pub bytes: Vec<u8>,
    /// The frame's length on the wire in bytes.
    pub original_len: u32,
}

impl MemoryFrame {
    /// A whole Ethernet frame on the first interface.
    pub fn ethernet(at: Nanos, bytes: Vec<u8>) -> MemoryFrame {
        let original_len = bytes.len() as u32;
        MemoryFrame { at, link: LinkType::Ethernet, interface: 0, bytes, original_len }
    }

    /// A copy of a frame that a source gives.
    pub fn copied(frame: &RawFrame<'_>) -> MemoryFrame {
        let RawFrame { at, link, interface, bytes, original_len } = *frame;
        MemoryFrame { at, link, interface, bytes: bytes.to_vec(), original_len }
    }

    /// The frame as a source gives it.
    pub fn view(&self) -> RawFrame<'_> {
        let MemoryFrame { at, link, interface, ref bytes, original_len } = *self;
        RawFrame { at, link, interface, bytes, original_len }
    }
}

/// What a [`MemorySource`] plays, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Play {
    /// One batch.
    Frames(Vec<MemoryFrame>),
    /// Nothing arrives; the source's clock.
    Idle(Nanos),
    /// Nothing arrives, and frames were lost in a full ring.
    Lost(RingLoss),
}

/// Plays batches, pauses, then its end.
#[derive(Clone, Debug)]
pub struct MemorySource {
    plays: VecDeque<Play>,
    interfaces: Vec<String>,
    statistics: SourceStatistics,
    lost: Option<RingLoss>,
}

impl MemorySource {
    /// Frames in batches of `batch`, on one interface named `memory`.
    ///
    /// # Panics
    /// When `batch` is 0.
    pub fn frames(frames: Vec<MemoryFrame>, batch: usize) -> MemorySource {
        assert!(batch > 0, "a batch holds at least one frame");
        let mut plays = VecDeque::new();
        let mut frames = frames.into_iter().peekable();
        while frames.peek().is_some() {
            plays.push_back(Play::Frames(frames.by_ref().take(batch).collect()));
        }
        MemorySource::plays(plays)
    }

    /// Batches and pauses as given, on one interface named `memory`.
    pub fn plays(plays: impl IntoIterator<Item = Play>) -> MemorySource {
        MemorySource {
            plays: plays.into_iter().collect(),
            interfaces: vec!["memory".to_owned()],
            statistics: SourceStatistics::default(),
            lost: None,
        }
    }

    /// With other interfaces than the one.
    #[must_use]
    pub fn with_interfaces(mut self, names: &[&str]) -> MemorySource {
        self.interfaces = names.iter().map(|&name| name.to_owned()).collect();
        self
    }
}

impl PacketSource for MemorySource {
    fn receive(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> Result<Received, SourceError> {
        self.receive_runs(&mut live::each(sink))
    }

    fn receive_runs(&mut self, sink: &mut impl FnMut(&[RawFrame<'_>])) -> Result<Received, SourceError> {
        match self.plays.pop_front() {
            None => Ok(Received::End),
            Some(Play::Idle(clock)) => Ok(Received::Idle(clock)),
            Some(Play::Lost(loss)) => {
                self.statistics.ring_full += loss.frames;
                self.lost = Some(loss);
                Ok(Received::Idle(loss.to))
            }
            Some(Play::Frames(frames)) => {
                let run: Vec<RawFrame<'_>> = frames.iter().map(MemoryFrame::view).collect();
                self.statistics.count_all(&run);
                sink(&run);
                Ok(Received::Frames(frames.len()))
            }
        }
    }

    fn interfaces(&self) -> &[String] {
        &self.interfaces
    }

    fn statistics(&mut self) -> SourceStatistics {
        self.statistics
    }

    fn take_ring_loss(&mut self) -> Option<RingLoss> {
        self.lost.take()
    }
}
