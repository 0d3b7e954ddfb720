//! SIP: messages in order, with time and media between them, through a fresh directory.
//!
//! An input is a text: a line `--- X` begins each step, whose character says from whom to whom, after what time
//! and what (see [`Step`]); the message follows. The seeds are written so.

use nightjar_schema::EndCause;
use nightjar_signal::{Directory, Output, SignalConfig};
use nightjar_wire::{CallKey, Endpoint, FlowKey, Nanos};

use crate::watch::Watch;
use crate::world;

const MARK: &[u8] = b"--- ";

/// Steps of one input at most.
const MAX_STEPS: usize = 200;

/// One step: `X - '0'` holds the direction in bit 0, the pair of hosts in bit 1, the time before it in the next
/// four, what it is in the last two.
#[derive(Clone, Copy, Debug)]
struct Step<'a> {
    at: Nanos,
    src: Endpoint,
    dst: Endpoint,
    what: What<'a>,
}

#[derive(Clone, Copy, Debug)]
enum What<'a> {
    Message(&'a [u8]),
    /// Media of the call with this handle.
    Media(CallKey),
    /// Media that nothing explains.
    Unsignalled(FlowKey),
    Nothing,
}

/// How often a directory is told the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ticks {
    /// With each step.
    Few,
    /// Between the steps too.
    Many,
}

pub(super) fn run(bytes: &[u8]) {
    let steps = read(bytes);
    let config = config();
    let few = play(&config, &steps, Ticks::Few);
    let many = play(&config, &steps, Ticks::Many);
    assert_eq!(few, many, "it matters how often the time is told");
}

/// Settings with limits that are reached.
pub(crate) fn config() -> SignalConfig {
    let headers = vec!["X-Ref".to_owned(), "Subject".to_owned()];
    SignalConfig { sensor: "fuzz".to_owned(), max_calls: 6, headers, ..SignalConfig::default() }
}

fn read(bytes: &[u8]) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut at = world::START;
    let mut rest = &bytes[find(bytes, MARK).unwrap_or(bytes.len())..];
    while let Some([code, after @ ..]) = rest.get(MARK.len()..)
        && steps.len() < MAX_STEPS
    {
        let end = find(after, MARK).unwrap_or(after.len());
        let (message, next) = after.split_at(end);
        rest = next;
        let message = message.strip_prefix(b"\n").unwrap_or(message);
        let code = code.wrapping_sub(b'0');
        at = at.offset(world::STEPS_NANOS[usize::from(code >> 2) & 15]);
        let (src, dst) = world::signalling_pair(code);
        let number = message.first().copied().unwrap_or(0);
        let what = match code >> 6 {
            0 => What::Message(message),
            1 => What::Media(CallKey(u32::from(number & 7))),
            2 => What::Unsignalled(world::media_flow(number)),
            _ => What::Nothing,
        };
        steps.push(Step { at, src, dst, what });
    }
    steps
}

fn play(config: &SignalConfig, steps: &[Step<'_>], ticks: Ticks) -> Vec<Output> {
    let mut directory = Directory::new(config.clone());
    let (mut watch, mut outputs) = (Watch::default(), Vec::new());
    let mut before = Nanos::ZERO;
    for step in steps {
        if ticks == Ticks::Many && before != Nanos::ZERO && step.at > before {
            // A step of more than a day is a clock that was set: it is one step.
            if step.at - before <= Nanos::from_secs(24 * 3600) {
                directory.handle_time(Nanos(before.0 + (step.at.0 - before.0) / 2));
            }
        }
        match step.what {
            What::Message(message) => {
                let _ = directory.handle_sip(step.at, step.src, step.dst, message);
            }
            What::Media(call) => directory.handle_media(step.at, call),
            What::Unsignalled(flow) => {
                let call = directory.handle_unsignalled(step.at, flow, 7);
                let _ = directory.unsignalled_speaker(call, flow);
            }
            What::Nothing => directory.handle_time(step.at),
        }
        outputs.extend(watch.drain(&mut directory));
        assert!(directory.open_calls().count() <= config.max_calls);
        before = before.max(step.at);
    }
    if ticks == Ticks::Many {
        check_snapshots(config, &directory, &watch, before);
    }
    directory.handle_capture_end(before, EndCause::CaptureEnd);
    outputs.extend(watch.drain(&mut directory));
    watch.check_end(&directory);
    outputs
}

/// Every call can be continued by another directory, which then knows the same of it.
fn check_snapshots(config: &SignalConfig, directory: &Directory, watch: &Watch, now: Nanos) {
    for call in watch.open_calls() {
        let state = directory.snapshot(call).expect("an open call has a snapshot");
        let mut other = Directory::new(config.clone());
        assert_eq!(other.restore(&state), Ok(call), "a call that was written is not restored");
        assert_eq!(other.row(call), directory.row(call));
        other.handle_time(now);
        assert_eq!(other.row(call), directory.row(call), "a restored call changes when it wakes");
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
