//! Calls of the load generator, played in real time into an interface of a namespace.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use nightjar_capture::FrameSender;
use nightjar_load::{Expected, FrameSink, Scenario, WallClock, play};
use nightjar_wire::Nanos;
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

use crate::namespace::Namespace;

/// A scenario that is being played.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Expected>,
}

/// An interface that frames leave by.
struct Interface(FrameSender);

impl FrameSink for Interface {
    fn send_batch(&mut self, frames: &[&[u8]]) -> io::Result<usize> {
        self.0.send_batch(frames)
    }
}

impl Traffic {
    /// Plays `scenario` into `interface`; after `span`, if there is one, all calls hang up.
    pub fn start(namespace: &Namespace, interface: &str, scenario: Scenario, span: Option<Nanos>) -> Traffic {
        let stop = Arc::new(AtomicBool::new(false));
        let (asked, interface) = (Arc::clone(&stop), interface.to_owned());
        thread::scope(|scope| {
            // The sender is opened inside, then used outside: a socket stays in its namespace.
            let sender = scope.spawn(|| {
                namespace.enter();
                FrameSender::open(&interface).unwrap_or_else(|error| panic!("{error}"))
            });
            let mut sink = Interface(sender.join().expect("the interface can be sent on"));
            let thread = thread::spawn(move || {
                stay_on_this_cpu();
                play(&scenario, span, &mut sink, &WallClock::new(), &asked, |_| {})
                    .expect("the interface takes every frame")
            });
            Traffic { stop, thread }
        })
    }

    /// Waits for its end and returns the account of what was sent.
    ///
    /// # Panics
    /// When sending has failed.
    pub fn finish(self) -> Expected {
        self.thread.join().expect("the generator plays to its end")
    }

    /// Lets all calls hang up now.
    pub fn hang_up(self) -> Expected {
        self.stop.store(true, Ordering::Relaxed);
        self.finish()
    }
}

/// A sender that moves between CPUs may have its frames received out of order.
fn stay_on_this_cpu() {
    let mut cpus = CpuSet::new();
    cpus.set(sched_getcpu());
    sched_setaffinity(None, &cpus).expect("a thread may choose its CPU");
}
