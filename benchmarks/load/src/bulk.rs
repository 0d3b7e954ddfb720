//! Many calls after one pattern: the benchmark's and the demo's. Each is planned when its time
//! comes, so that a run may be endless.

use nightjar_wire::Nanos;

use crate::audio::Audio;
use crate::g711::Codec;
use crate::party::Side;
use crate::plan::HoldForm;
use crate::plan::{CallPlan, Ending, MidCall, MidCallChange, Music, Outcome, RtcpPlan};
use crate::random::Random;
use crate::speech::VOICES;

/// A pattern of calls.
#[derive(Clone, Debug)]
pub struct BulkPlan {
    /// How many calls; `None` is without end.
    pub calls: Option<u64>,
    /// Shortest and longest time from answer to BYE.
    pub talk: (Nanos, Nanos),
    /// So many calls begin within a second of each other, so that a run is soon busy.
    pub burst: u64,
    /// From one INVITE to the next after those.
    pub spacing: Nanos,
    /// What the legs say.
    pub sound: BulkSound,
    /// Whether all calls are plain.
    pub variety: Variety,
    /// RTCP of all calls.
    pub rtcp: RtcpPlan,
}

/// What the legs of a bulk say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkSound {
    /// Speech-like, in turns.
    Speech,
    /// A tone per leg, of its own in each call.
    Tones,
    /// The same tones in every call: the caller's, the callee's, Hz.
    TonePair([u32; 2]),
    /// Clicks at whole seconds.
    Clicks,
}

/// How alike the calls of a bulk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variety {
    /// All are answered and ended by the caller, the law alternating.
    Plain,
    /// As in an office: some are refused, cancelled, held; either side ends.
    Office,
}

/// Between the INVITEs of a [`BulkPlan::burst`].
const BURST_SPACING: Nanos = Nanos::from_millis(700);

impl BulkPlan {
    /// So many calls of one length, of which about `concurrent` go on at once.
    pub fn uniform(calls: u64, talk: Nanos, concurrent: u64) -> BulkPlan {
        BulkPlan {
            calls: Some(calls),
            talk: (talk, talk),
            burst: 0,
            spacing: Nanos(talk.0 / concurrent.max(1)),
            sound: BulkSound::Speech,
            variety: Variety::Plain,
            rtcp: RtcpPlan::Off,
        }
    }

    /// Endless calls of 8 to 40 s, one per `spacing`, as the demo plays them.
    pub fn office(spacing: Nanos) -> BulkPlan {
        BulkPlan {
            calls: None,
            talk: (Nanos::from_secs(8), Nanos::from_secs(40)),
            burst: 0,
            spacing,
            sound: BulkSound::Speech,
            variety: Variety::Office,
            rtcp: RtcpPlan::Apart,
        }
    }

    /// [`BulkPlan::office`] with about `concurrent` calls at once, soon: they last 26 s on average.
    pub fn busy_office(concurrent: u64) -> BulkPlan {
        let spacing = Nanos(26_000_000_000 / concurrent.max(1));
        BulkPlan { burst: concurrent.saturating_sub(1), ..BulkPlan::office(spacing) }
    }

    pub(crate) fn calls(&self, seed: u64) -> impl Iterator<Item = (Nanos, CallPlan)> + Send + use<> {
        let plan = self.clone();
        let indices = 0..plan.calls.unwrap_or(u64::from(u32::MAX));
        indices.map(move |index| {
            let in_burst = index.min(plan.burst);
            let offset = in_burst * BURST_SPACING.0 + plan.spacing.0.saturating_mul(index - in_burst);
            (Nanos(offset), plan.call(seed, index as u32))
        })
    }

    fn call(&self, seed: u64, index: u32) -> CallPlan {
        let mut random = Random::derive(!seed, u64::from(index));
        let mut call = CallPlan::plain(index, &mut random);
        call.codec = if index.is_multiple_of(2) { Codec::Pcma } else { Codec::Pcmu };
        call.rtcp = self.rtcp;
        call.talk = Nanos(random.between(self.talk.0.0, self.talk.1.0));
        let first_voice = random.below(u64::from(VOICES)) as u8;
        for (leg, plan) in call.legs.iter_mut().enumerate() {
            match self.sound {
                BulkSound::Speech => plan.audio = Audio::Turns((first_voice + 3 * leg as u8) % VOICES),
                BulkSound::Tones => {}
                BulkSound::TonePair(pair) => plan.audio = Audio::Tone(pair[leg]),
                BulkSound::Clicks => plan.audio = Audio::Clicks,
            }
        }
        if self.variety == Variety::Office {
            vary(&mut call, &mut random);
        }
        call
    }
}

/// Of twenty calls one is busy, one cancelled, one declined, two are held for a while.
fn vary(call: &mut CallPlan, random: &mut Random) {
    call.ring = Nanos::from_millis(random.between(1200, 4000));
    let by = if random.below(2) == 0 { Side::Caller } else { Side::Callee };
    call.ending = Ending::Bye(by);
    match random.below(20) {
        0 => call.outcome = Outcome::Refused(486),
        1 => call.outcome = Outcome::Cancelled,
        2 => call.outcome = Outcome::Refused(603),
        3 | 4 => {
            let span = Nanos(call.talk.0 / 4);
            let music = Music::FromServer(Audio::Voice(7));
            let change = MidCallChange::Hold { how: HoldForm::SendOnly, span, music };
            call.mid_call.push(MidCall { at: Nanos(call.talk.0 / 3), by, change });
        }
        _ => {}
    }
}
