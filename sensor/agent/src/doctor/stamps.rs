//! Stamps that jump. Backwards is seen at once; forwards could be silence, so media streams are asked:
//! their own clocks went on, or did not.

use nightjar_wire::Nanos;

/// Merged queues and interfaces put frames out of order by less than this.
const BACKWARDS: Nanos = Nanos::from_millis(100);
/// A pause of all traffic by this may be a jump.
const FORWARDS: Nanos = Nanos::from_millis(500);

/// A step between two frames that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number, from 1.
    pub number: u64,
    /// How far, in ns.
    pub by: u64,
}

/// The steps of a capture's clock.
#[derive(Debug, Default)]
pub struct Stamps {
    /// The first and the newest stamp.
    span: Option<(Nanos, Nanos)>,
    /// The stamp of the frame before.
    before: Nanos,
    /// How often the stamps went back.
    pub backwards: u64,
    /// How often they went ahead although media did not.
    pub forwards: u64,
    /// The furthest of all.
    pub worst: u64,
    /// The last pause of all traffic, until it is known what it was.
    pub pause: Option<Step>,
    /// Pauses so far.
    pauses: u64,
    /// The last pause that was found to be a jump.
    confirmed: u64,
}

impl Stamps {
    /// Takes the next frame's stamp.
    pub fn see(&mut self, at: Nanos) {
        let Some((first, newest)) = self.span else {
            (self.span, self.before) = (Some((at, at)), at);
            return;
        };
        if self.before - at > BACKWARDS {
            self.backwards += 1;
            self.worst = self.worst.max((self.before - at).0);
        } else if at - self.before > FORWARDS {
            self.pauses += 1;
            self.pause = Some(Step { number: self.pauses, by: (at - self.before).0 });
        }
        self.before = at;
        self.span = Some((first.min(at), newest.max(at)));
    }

    /// A stream's clock says that a pause was none: so much time is in the stamps and not in the media.
    pub fn contradict(&mut self, pause: Step, surplus: i64) {
        let near = surplus.unsigned_abs().abs_diff(pause.by) <= pause.by / 5;
        if surplus > 0 && near && pause.number > self.confirmed {
            self.confirmed = pause.number;
            self.forwards += 1;
            self.worst = self.worst.max(pause.by);
        }
    }

    /// The newest stamp.
    pub fn newest(&self) -> Nanos {
        self.span.map_or(Nanos::ZERO, |(_, newest)| newest)
    }

    /// From the first to the newest stamp.
    pub fn length(&self) -> Nanos {
        self.span.map_or(Nanos::ZERO, |(first, newest)| newest - first)
    }
}
