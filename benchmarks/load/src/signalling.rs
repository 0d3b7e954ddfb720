//! Plays a plan's signalling into a script, by the phases of a call.

mod hunt;
mod media_line;
mod mid_call;
mod progress;
mod set_up;
mod tear_down;

use nightjar_wire::Nanos;

use crate::audio::Turns;
use crate::plan::{CallPlan, Outcome};
use crate::random::Random;
use crate::script::Script;

/// Writes the script of a plan: call number `index`, whose INVITE leaves at `start`.
pub(crate) fn write_script(plan: CallPlan, index: u32, start: Nanos, random: Random) -> Script {
    let mut script = Script::new(plan, index, start, random);
    let mut at = start;
    for attempt in script.plan.prelude.clone() {
        at = script.attempt(at, &attempt);
    }
    if script.plan.outcome == Outcome::Unheard {
        script.unheard(at);
    } else {
        let (invite, final_at) = script.ring(at);
        match script.plan.outcome {
            Outcome::Answered => {
                let mut random = script.random.fork();
                script.turns = Turns::plan(&mut random, final_at, final_at + script.plan.talk);
                script.answer(final_at, &invite);
            }
            Outcome::Cancelled => script.cancel(final_at, &invite),
            Outcome::Refused(status) => script.refuse(final_at, &invite, status),
            Outcome::Unheard => {}
        }
    }
    script.complete();
    script
}
