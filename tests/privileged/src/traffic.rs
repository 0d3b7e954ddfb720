//! Calls of the load generator, played in real time into an interface of a namespace.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use nightjar_capture::FrameSender;
use nightjar_load::{Expected, FrameSink, LinkOptions, Scenario, play};
use nightjar_wire::Nanos;
use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, gettid, sched_getcpu, sched_setaffinity};

use crate::namespace::Namespace;
use crate::stalls::{Stalls, WatchedClock};

/// A scenario that is being played.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Played>,
}

/// What was sent.
#[derive(Debug)]
pub struct Played {
    /// The account of it; its stamps are the planned ones.
    pub expected: Expected,
    /// When it was late.
    pub stalls: Stalls,
}

/// An interface that frames leave by, dressed.
struct Interface {
    sender: FrameSender,
    link: LinkOptions,
}

impl FrameSink for Interface {
    fn send_batch(&mut self, frames: &[&[u8]]) -> io::Result<usize> {
        if self.link == LinkOptions::default() {
            return self.sender.send_batch(frames);
        }
        let dressed = |frame: &&[u8]| {
            let mut frame = frame.to_vec();
            self.link.dress(&mut frame);
            frame
        };
        let dressed: Vec<Vec<u8>> = frames.iter().map(dressed).collect();
        self.sender.send_batch(&dressed.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}

impl Traffic {
    /// Plays `scenario` into `interface`; after `span`, if there is one, all calls hang up.
    pub fn start(namespace: &Namespace, interface: &str, scenario: Scenario, span: Option<Nanos>) -> Traffic {
        Traffic::start_on(namespace, interface, scenario, span, LinkOptions::default())
    }

    /// As [`Traffic::start`], with tags or tunnels around each frame.
    pub fn start_on(
        namespace: &Namespace,
        interface: &str,
        scenario: Scenario,
        span: Option<Nanos>,
        link: LinkOptions,
    ) -> Traffic {
        let stop = Arc::new(AtomicBool::new(false));
        let (asked, interface) = (Arc::clone(&stop), interface.to_owned());
        thread::scope(|scope| {
            // The sender is opened inside, then used outside: a socket stays in its namespace.
            let sender = scope.spawn(|| {
                namespace.enter();
                FrameSender::open(&interface).unwrap_or_else(|error| panic!("{error}"))
            });
            let mut sink = Interface { sender: sender.join().expect("the interface can be sent on"), link };
            let thread = thread::spawn(move || {
                keep_pace();
                let clock = WatchedClock::default();
                let expected = play(&scenario, span, &mut sink, &clock, &asked, |_| {})
                    .expect("the interface takes every frame");
                Played { expected, stalls: clock.into_stalls() }
            });
            Traffic { stop, thread }
        })
    }

    /// Waits for its end and returns what was sent.
    ///
    /// # Panics
    /// When sending has failed.
    pub fn finish(self) -> Played {
        self.thread.join().expect("the generator plays to its end")
    }

    /// Lets all calls hang up now.
    pub fn hang_up(self) -> Played {
        self.stop.store(true, Ordering::Relaxed);
        self.finish()
    }
}

/// A sender that moves between CPUs may have its frames received out of order; one that waits for a
/// CPU sends late.
fn keep_pace() {
    setpriority_process(Some(gettid()), -15).expect("root may raise a thread's priority");
    let mut cpus = CpuSet::new();
    cpus.set(sched_getcpu());
    sched_setaffinity(None, &cpus).expect("a thread may choose its CPU");
}
