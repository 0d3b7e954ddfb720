//! One sender's streams on several ports: it leaves and comes back, moves, is seen on both sides of a relay.
//! What it numbers elsewhere is not lost.

use nightjar_wire::{CallKey, Endpoint, Nanos, SeqNumber};

use super::FlowTable;
use crate::stream::{Membership, Stream};
use crate::streams::Slot;

/// A stream on other ports goes on with the numbering of one that ended if so few are missing.
const MOVED_WITHIN: i16 = 1_000;

/// A stream that may have been away was so if it had been silent for this long.
const AWAY_FOR: Nanos = Nanos::from_millis(300);

impl FlowTable {
    /// A stream that a re-INVITE sent away comes back to its ports with the same SSRC: what its sender
    /// numbered meanwhile went to other ports, seen here or not, and is not lost. The same holds for a
    /// sender that was on hold and counted on.
    pub(super) fn note_return(&mut self, slot: Slot, at: Nanos, sequence: SeqNumber) -> Option<u16> {
        let stream = self.streams.at_mut(slot)?;
        let missing = stream.figures.missing_before(sequence);
        if missing == 0 || stream.membership.is_none() || stream.copy_of.is_some() {
            return None;
        }
        let seen = stream.figures.gone_before(sequence);
        let was_away = stream.away && at - stream.figures.last_at >= AWAY_FOR;
        let elsewhere = if seen == 0 && was_away { missing } else { seen };
        if elsewhere == 0 {
            return None;
        }
        stream.figures.handle_return(elsewhere);
        let id = stream.id;
        self.note_arrival(id, sequence);
        Some(missing - elsewhere)
    }

    /// Streams of the same sender on other flows, a relay's other side left out.
    fn siblings<'a>(&'a self, stream: &'a Stream, membership: Membership) -> impl Iterator<Item = u32> + 'a {
        self.streams_of(membership.call)
            .filter(move |other| {
                other.id != stream.id
                    && (other.key.ssrc, other.kind) == (stream.key.ssrc, stream.kind)
                    && other.copy_of.is_none()
                    && other.membership.is_some_and(|other| other.speaker == membership.speaker)
            })
            .map(|other| other.id)
    }

    /// A sender's packets come on this flow from `first` on: those on its others have been left.
    pub(super) fn note_arrival(&mut self, id: u32, first: SeqNumber) {
        let Some(stream) = self.streams.get(id).filter(|stream| stream.copy_of.is_none()) else { return };
        let Some(membership) = stream.membership else { return };
        let others: Vec<u32> = self.siblings(stream, membership).collect();
        for other in others {
            if let Some(other) = self.streams.get_mut(other) {
                other.figures.note_left(first);
            }
        }
    }

    /// The call's streams may have been away until now: a hold is over, or an earlier run of the sensor
    /// has found them to be back.
    pub fn handle_resume(&mut self, call: CallKey) {
        for id in self.of_call.get(&call).into_iter().flatten().copied() {
            if let Some(stream) = self.streams.get_mut(id) {
                stream.away = true;
            }
        }
    }

    /// The call's streams to and from an endpoint that it had left may come back.
    pub(super) fn note_rebound(&mut self, call: CallKey, endpoint: Endpoint) {
        for id in self.of_call.get(&call).into_iter().flatten().copied() {
            let Some(stream) = self.streams.get_mut(id) else { continue };
            let flow = stream.key.flow;
            stream.away |= flow.destination() == endpoint || flow.source() == endpoint;
        }
    }

    /// The stream that a joining one repeats (same SSRC and numbers by the same speaker on another
    /// flow: a relay's two sides), and the one that it continues: the same flow with a new SSRC, or
    /// the same SSRC and numbering on other ports, after a re-INVITE.
    pub(super) fn relatives(&self, id: u32, membership: Membership) -> (Option<u32>, Option<u32>) {
        let Some(new) = self.streams.get(id) else { return (None, None) };
        let (mut copy_of, mut continues) = (None, None);
        for old in self.streams_of(membership.call) {
            let same_speaker = old.membership.is_some_and(|m| m.speaker == membership.speaker);
            if old.key.flow == new.key.flow {
                continues = Some(old.id);
            } else if old.key.ssrc == new.key.ssrc && same_speaker && old.copy_of.is_none() {
                let ahead = new.figures.newest().since(old.figures.newest());
                if new.figures.shares_numbers(&old.figures) {
                    copy_of = copy_of.or(Some(old.id));
                } else if ahead > 0 && ahead < MOVED_WITHIN {
                    continues = Some(old.id);
                }
            }
        }
        (copy_of, continues)
    }
}
