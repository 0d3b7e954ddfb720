//! A network namespace with a veth pair, and tests that run inside it.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use crate::skipped;

/// A namespace with a veth pair, `near` and `far`, both up; deleted when it goes.
pub struct Namespace {
    name: String,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Namespace {
    fn new() -> Namespace {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = Namespace { name: format!("nightjar-cap-{}-{number}", process::id()) };
        ip(&["netns", "add", &namespace.name]);
        namespace
    }

    /// Moves this thread into the namespace.
    fn enter(&self) {
        let file = File::open(format!("/run/netns/{}", self.name)).unwrap();
        // SAFETY: a system call on a live descriptor; it moves this thread alone.
        let result = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
        assert_eq!(result, 0, "setns: {}", io::Error::last_os_error());
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Runs `ip` in this thread's namespace.
pub fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a test in a thread of its own within a fresh namespace; when this process may not make one,
/// says visibly that the test is skipped.
pub fn within(test: &str, run: impl FnOnce() + Send) {
    // SAFETY: a system call without arguments that cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return skipped(test, "needs root");
    }
    let namespace = Namespace::new();
    let result = thread::scope(|scope| {
        scope
            .spawn(|| {
                namespace.enter();
                // The kernel's own traffic on a fresh interface would be counted.
                let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
                let _ = fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
                ip(&["link", "add", "near", "type", "veth", "peer", "name", "far"]);
                for interface in ["lo", "near", "far"] {
                    ip(&["link", "set", interface, "up"]);
                }
                stay_on_this_cpu();
                run();
            })
            .join()
    });
    drop(namespace);
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

/// Pins this thread: a sender that moves between CPUs may have its frames received out of order.
fn stay_on_this_cpu() {
    // SAFETY: a system call without arguments.
    let cpu = unsafe { libc::sched_getcpu() } as usize;
    run_on(|number| number == cpu);
}

/// Lets this thread run beside the one that started it.
pub fn run_on_any_cpu() {
    run_on(|_| true);
}

/// Pins this thread to one CPU.
pub fn run_on_cpu(cpu: usize) {
    run_on(|number| number == cpu);
}

fn run_on(allowed: impl Fn(usize) -> bool) {
    // SAFETY: all-zero bytes are a valid, empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in (0..libc::CPU_SETSIZE as usize).filter(|&cpu| allowed(cpu)) {
        // SAFETY: the number is below CPU_SETSIZE.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: the set is live and its size is passed.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    assert_eq!(result, 0, "sched_setaffinity: {}", io::Error::last_os_error());
}
