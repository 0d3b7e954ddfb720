//! Which calls may be kept when there is not room for all (DESIGN, "Admission and shedding").
//!
//! A call asks when its first media line is known, and is admitted or refused once and for all. What
//! it promises is taken from a budget; when that is spent, or a ring, the journal's blocks or the disk
//! are nearly full, newcomers are refused, those of low priority first. When frames are lost all the
//! same for [`LOSING`], calls are cut: of the lowest priority, of those the newest, as many as the
//! measured loss asks for, one batch in that time.
//!
//! Pure: it runs on the stamps and samples that it is given. Every step costs at most O(log n) a call.

mod ceiling;
mod losing;
mod pressure;
mod roll;

use nightjar_schema::{Decision, DecisionAction, GapCause};
use nightjar_wire::{Binding, CallKey, Endpoint, Nanos};
use serde::{Deserialize, Serialize};

use ceiling::Ceiling;
pub use losing::LOSING;
use losing::Losing;
use pressure::Gauges;
pub use pressure::{Fill, Pressure};
use roll::Roll;

/// Packets a second of a stream whose description names no packet time: one in 20 ms.
const USUAL_PACKETS_PER_SECOND: u32 = 50;

/// How much a call is worth. The order is that of refusing and cutting: the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Media without signalling: nobody knows whose it is.
    Unsignalled,
    /// Any call.
    Usual,
    /// A call from or to a number that is named as an emergency's.
    Emergency,
}

impl Priority {
    /// All, the least first.
    pub const ALL: [Priority; 3] = [Priority::Unsignalled, Priority::Usual, Priority::Emergency];
}

/// What was spent when a call could not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Spent {
    /// The packets a second that calls may promise, as configured or as cuts have shown them.
    Promised,
    /// A ring of the source is nearly full, or loses frames.
    Ring,
    /// The journal's memory is nearly used up, or packets find no block.
    Blocks,
    /// Too much waits for the journal's disk.
    Disk,
}

impl Spent {
    /// All, in the order of their numbers.
    pub const ALL: [Spent; 4] = [Spent::Promised, Spent::Ring, Spent::Blocks, Spent::Disk];

    /// Its name in rows and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Spent::Promised => "packets_per_second",
            Spent::Ring => "ring",
            Spent::Blocks => "blocks",
            Spent::Disk => "disk",
        }
    }

    /// What it means, in one line.
    pub fn help(self) -> &'static str {
        match self {
            Spent::Promised => "the packets a second that calls may promise are taken",
            Spent::Ring => "a ring of the source is nearly full or loses frames",
            Spent::Blocks => "the journal's memory is nearly used up or packets find no block",
            Spent::Disk => "too much waits for the journal's disk",
        }
    }
}

/// Why a call is not kept, or not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shed {
    /// It was never admitted: nothing of its media is kept.
    Refused(Spent),
    /// It was given up in mid-call: what came before is kept.
    Cut(Spent),
}

impl Shed {
    /// Its mark in the call's row.
    pub fn mark(self) -> &'static str {
        match self {
            Shed::Refused(_) => "refused",
            Shed::Cut(_) => "cut",
        }
    }

    /// What was spent.
    pub fn spent(self) -> Spent {
        match self {
            Shed::Refused(spent) | Shed::Cut(spent) => spent,
        }
    }

    /// What the call's row says was decided.
    pub fn decision(self) -> Decision {
        let reason = format!("{}: {}", self.mark(), self.spent().name());
        Decision { action: DecisionAction::Shed, rule: None, reason: Some(reason) }
    }

    /// Who has lost what is missing of the call.
    pub fn gap_cause(self) -> GapCause {
        match self.spent() {
            Spent::Blocks | Spent::Disk => GapCause::Disk,
            Spent::Promised | Spent::Ring => GapCause::Core,
        }
    }
}

/// What may be admitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdmissionConfig {
    /// Packets a second that all calls together may promise; `None`: only pressure and loss shed.
    pub packets_per_second: Option<u64>,
    /// Numbers whose calls are refused and cut last.
    pub emergency_numbers: Vec<String>,
}

/// How many calls have met which fate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdmissionCounts {
    /// Calls that were admitted, the cut ones among them.
    pub admitted: u64,
    /// Calls that were refused, by [`Spent`]'s numbers.
    pub refused: [u64; Spent::ALL.len()],
    /// Calls that were cut, by [`Spent`]'s numbers.
    pub cut: [u64; Spent::ALL.len()],
    /// Packets a second that the admitted calls promise now.
    pub promised: u64,
}

/// A media line of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaLine {
    /// Where its packets are to arrive.
    pub endpoint: Endpoint,
    /// How many a second.
    pub packets_per_second: u32,
}

impl MediaLine {
    /// Of a stream that nothing describes.
    pub fn undescribed(endpoint: Endpoint) -> MediaLine {
        MediaLine { endpoint, packets_per_second: USUAL_PACKETS_PER_SECOND }
    }

    /// What a binding lets expect: the shortest packet time that it names, else 20 ms.
    pub fn of(binding: &Binding) -> MediaLine {
        let times = binding.formats.iter().filter_map(|format| format.ptime_ms);
        let rate = times.filter(|ms| *ms > 0).min().map(|ms| (1_000 / u32::from(ms)).max(1));
        MediaLine { endpoint: binding.endpoint, packets_per_second: rate.unwrap_or(USUAL_PACKETS_PER_SECOND) }
    }
}

/// The calls that ask, what they promise and what is known of the load. It knows as many calls as it is
/// told of and not told to forget: the directory's limit is its own.
#[derive(Debug)]
pub struct Admission {
    config: AdmissionConfig,
    roll: Roll,
    gauges: Gauges,
    /// Frames lost at the source's rings, and packets without a block.
    losing: [(Spent, Losing); 2],
    ceiling: Ceiling,
    counts: AdmissionCounts,
}

impl Admission {
    /// Without calls.
    pub fn new(config: AdmissionConfig) -> Admission {
        Admission {
            config,
            roll: Roll::default(),
            gauges: Gauges::default(),
            losing: [(Spent::Ring, Losing::default()), (Spent::Blocks, Losing::default())],
            ceiling: Ceiling::default(),
            counts: AdmissionCounts::default(),
        }
    }

    /// Whether the call has asked before.
    pub fn knows(&self, call: CallKey) -> bool {
        self.roll.knows(call)
    }

    /// Whether priorities hang on numbers.
    pub fn asks_for_numbers(&self) -> bool {
        !self.config.emergency_numbers.is_empty()
    }

    /// The priority of a signalled call from or to these numbers.
    pub fn priority_of<'n>(&self, mut numbers: impl Iterator<Item = &'n str>) -> Priority {
        let named = |number: &str| self.config.emergency_numbers.iter().any(|known| known == number);
        if numbers.any(named) { Priority::Emergency } else { Priority::Usual }
    }

    /// A call has a media line, or says something new of one. The first line asks for admission; the
    /// answer is given once, and only if it is no.
    pub fn handle_line(&mut self, call: CallKey, priority: Priority, line: MediaLine) -> Option<Shed> {
        if self.roll.knows(call) {
            self.roll.add_line(call, line);
            return None;
        }
        // Nobody has a stream in one direction alone when it begins.
        let asked = roll::promise(std::slice::from_ref(&line));
        match self.refusal(priority, asked) {
            None => {
                self.roll.admit(call, priority, vec![line]);
                self.counts.admitted += 1;
                None
            }
            Some(spent) => {
                self.roll.shed(call);
                self.counts.refused[spent as usize] += 1;
                Some(Shed::Refused(spent))
            }
        }
    }

    /// A call of an earlier run goes on as it was: kept, or not.
    pub fn handle_restored(&mut self, call: CallKey, priority: Priority, shed: Option<Shed>) {
        match shed {
            Some(_) => self.roll.shed(call),
            None => self.roll.admit(call, priority, Vec::new()),
        }
    }

    /// A line is withdrawn.
    pub fn handle_line_end(&mut self, call: CallKey, endpoint: Endpoint) {
        self.roll.remove_line(call, endpoint);
    }

    /// The call is over: it keeps its answer, and promises nothing more.
    pub fn handle_end(&mut self, call: CallKey) {
        self.roll.end(call);
    }

    /// The call is forgotten.
    pub fn forget(&mut self, call: CallKey) {
        self.roll.forget(call);
    }

    /// Takes a sample of the load. Calls that must be cut for it are named in `cut`.
    pub fn handle_pressure(&mut self, at: Nanos, pressure: &Pressure, cut: &mut Vec<(CallKey, Shed)>) {
        self.gauges.handle_sample(at, pressure);
        for number in 0..self.losing.len() {
            let (spent, losing) = &mut self.losing[number];
            let lost = if *spent == Spent::Ring { pressure.lost_frames } else { pressure.unkept_packets };
            let (spent, excess) = (*spent, losing.handle_sample(at, lost));
            if let Some(excess) = excess {
                self.shed_load(at, spent, excess, cut);
            }
        }
        self.ceiling.handle_time(at, self.losing.iter().any(|(_, losing)| losing.is_losing()));
    }

    /// Cuts calls that promise as much as was lost a second.
    fn shed_load(&mut self, at: Nanos, spent: Spent, excess: u64, cut: &mut Vec<(CallKey, Shed)>) {
        let before = self.roll.promised();
        let mut freed = 0;
        while freed < excess {
            let Some((call, promised)) = self.roll.cut_least() else { break };
            freed += promised;
            self.counts.cut[spent as usize] += 1;
            cut.push((call, Shed::Cut(spent)));
        }
        self.ceiling.handle_cut(at, before, self.roll.promised());
    }

    /// What keeps a call out that promises so much.
    fn refusal(&self, priority: Priority, asked: u64) -> Option<Spent> {
        // What is promised to calls of less worth keeps nobody out: should it be too much, they are cut.
        let taken = self.roll.promised_from(priority) + asked;
        let limits = [self.config.packets_per_second, self.ceiling.promised()];
        if limits.into_iter().flatten().min().is_some_and(|limit| taken > limit) {
            return Some(Spent::Promised);
        }
        if priority == Priority::Emergency {
            return None;
        }
        let losing = self.losing.iter().find(|(_, losing)| losing.is_losing());
        self.gauges.spent().or(losing.map(|(spent, _)| *spent))
    }

    /// How many calls have met which fate.
    pub fn counts(&self) -> AdmissionCounts {
        AdmissionCounts { promised: self.roll.promised(), ..self.counts.clone() }
    }
}

#[cfg(test)]
mod tests;
