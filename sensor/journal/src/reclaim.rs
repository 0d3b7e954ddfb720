//! Which segments are dead: those all of whose blocks lie before what their workers still need.
//! Raw records are never copied forward, so a long call pins nothing but what it has not encoded.

use std::sync::Arc;

use crate::lane::Lane;

/// What lies in one segment: for each lane, its last block.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// A lane and the number of its last block here. A sensor has few lanes.
    last: Vec<(Arc<Lane>, u64)>,
}

impl Contents {
    /// A block was written.
    pub fn add(&mut self, lane: &Arc<Lane>, sequence: u64) {
        match self.last.iter_mut().find(|(known, _)| Arc::ptr_eq(known, lane)) {
            Some((_, last)) => *last = (*last).max(sequence),
            None => self.last.push((Arc::clone(lane), sequence)),
        }
    }

    /// Whether no worker needs any of it.
    pub fn is_dead(&self) -> bool {
        self.last.iter().all(|(lane, last)| *last < lane.keep_from())
    }
}

/// A segment that takes no more blocks.
#[derive(Debug)]
pub(crate) struct ClosedSegment {
    /// Its number.
    pub number: u32,
    /// Bytes that it takes on the disk.
    pub bytes: u64,
    /// What lies in it.
    pub contents: Contents,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_dies_when_its_last_lane_lets_go() {
        let (one, two) = (Arc::new(Lane::new(0, 0)), Arc::new(Lane::new(0, 1)));
        let mut contents = Contents::default();
        for sequence in 0..5 {
            contents.add(&one, sequence);
        }
        contents.add(&two, 0);
        assert!(!contents.is_dead());
        one.set_keep_from(5);
        assert!(!contents.is_dead());
        two.set_keep_from(1);
        assert!(contents.is_dead());
        // A mark never moves back.
        two.set_keep_from(0);
        assert!(contents.is_dead());
    }
}
