//! One call of a live source: gives what has come, or waits for it.

use crate::SourceError;
use crate::merge::Round;
use crate::source::{RawFrame, Received};

/// What live sources do each in their way.
pub(crate) trait Live {
    /// Puts away what feeds from an interface that is gone, once its last frames have been given; true when
    /// nothing is left.
    fn drop_gone(&mut self) -> Result<bool, SourceError>;

    /// Gives the frames whose time has come, a batch at most.
    fn give(&mut self, sink: &mut impl FnMut(&[RawFrame<'_>])) -> Round;

    /// Nothing more comes: the source was stopped, and what it had is given.
    fn has_ended(&self, round: Round) -> bool;

    /// Waits for frames, 20 ms at most; when frames are held back, until they need not be.
    fn wait(&mut self, round: Round) -> Result<(), SourceError>;
}

/// [`crate::PacketSource::receive_runs`] of a live source.
pub(crate) fn receive<L: Live>(
    source: &mut L,
    sink: &mut impl FnMut(&[RawFrame<'_>]),
) -> Result<Received, SourceError> {
    if source.drop_gone()? {
        return Ok(Received::End);
    }
    let mut round = source.give(sink);
    if source.has_ended(round) {
        return Ok(Received::End);
    }
    if round.given == 0 {
        source.wait(round)?;
        round = source.give(sink);
    }
    match round.given {
        0 => Ok(Received::Idle(round.settled)),
        given => Ok(Received::Frames(given)),
    }
}

/// A sink of runs that takes the frames of each one by one.
pub(crate) fn each(sink: &mut impl FnMut(RawFrame<'_>)) -> impl FnMut(&[RawFrame<'_>]) {
    move |frames| frames.iter().for_each(|frame| sink(*frame))
}
