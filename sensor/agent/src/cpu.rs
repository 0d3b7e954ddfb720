//! CPU time of threads and of the process, and its peak memory.

use rustix::time::{ClockId, clock_gettime};

/// CPU seconds of the calling thread, user and system.
pub fn thread_seconds() -> f64 {
    seconds(ClockId::ThreadCPUTime)
}

/// CPU seconds of the process, user and system.
pub fn process_seconds() -> f64 {
    seconds(ClockId::ProcessCPUTime)
}

/// The most memory that the process has held at once, in bytes; 0 where the kernel does not say.
pub fn peak_memory() -> u64 {
    memory_of("VmHWM:")
}

/// The memory that the process holds, in bytes; 0 where the kernel does not say.
pub fn memory() -> u64 {
    memory_of("VmRSS:")
}

fn memory_of(line_begins: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix(line_begins)?.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
