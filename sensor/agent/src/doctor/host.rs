//! What the host itself knows of its interfaces and cores, from /sys and /proc, before and after.

use std::fs;

use nightjar_capture::{ClockPair, receive_queues};

use super::finding::Link;
use super::frames::Mac;
use crate::cards;
use crate::profile::library::Library;
use crate::sysfs;

/// An interface as the kernel shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its own address.
    pub mac: Option<Mac>,
    /// Whether it can receive at all.
    pub link: Link,
    /// Receive queues.
    pub queues: u16,
    /// Frames that the NIC had no buffer or no room for.
    pub missed: u64,
    /// Frames with a bad checksum or of a wrong length.
    pub broken: u64,
}

/// A core's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Core {
    /// Frames that the kernel dropped because the core's backlog was full.
    pub dropped: u64,
    /// Time in interrupts for packets and timers, in ticks.
    pub softirq: u64,
    /// All time, in ticks.
    pub total: u64,
}

/// Counts at one moment.
#[derive(Clone, Debug)]
pub struct HostCounts {
    /// The interfaces, in the order that was asked for.
    pub interfaces: Vec<Interface>,
    /// The cores.
    cores: Vec<Core>,
    clocks: ClockPair,
}

/// What has changed while we listened. Empty for a capture file.
#[derive(Clone, Debug, Default)]
pub struct HostChanges {
    /// The interfaces; their counts are the growth.
    pub interfaces: Vec<Interface>,
    /// The cores' growth.
    pub cores: Vec<Core>,
    /// How far the wall clock was set, in ns.
    pub clock_step: i64,
    /// Frames that found our own ring full.
    pub ring_full: u64,
}

impl HostCounts {
    /// Reads them. What the system does not show is 0 or `None`.
    pub fn read(names: &[String]) -> HostCounts {
        let library = Library::load(None).unwrap_or_else(|_| unreachable!("no folder is read"));
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let softnet = fs::read_to_string("/proc/net/softnet_stat").unwrap_or_default();
        HostCounts {
            interfaces: names.iter().map(|name| interface(name, &library)).collect(),
            cores: cores(&stat, &softnet),
            clocks: ClockPair::now(),
        }
    }

    /// The growth since `earlier`.
    pub fn since(self, earlier: &HostCounts, ring_full: u64) -> HostChanges {
        let interfaces = self.interfaces.into_iter().zip(&earlier.interfaces).map(|(now, then)| Interface {
            missed: now.missed.saturating_sub(then.missed),
            broken: now.broken.saturating_sub(then.broken),
            ..now
        });
        let cores = self.cores.iter().zip(&earlier.cores).map(|(now, then)| Core {
            dropped: now.dropped.saturating_sub(then.dropped),
            softirq: now.softirq.saturating_sub(then.softirq),
            total: now.total.saturating_sub(then.total),
        });
        let wall = self.clocks.utc.signed_since(earlier.clocks.utc);
        let steady = self.clocks.monotonic.signed_since(earlier.clocks.monotonic);
        HostChanges {
            interfaces: interfaces.collect(),
            cores: cores.collect(),
            clock_step: wall - steady,
            ring_full,
        }
    }
}

fn interface(name: &str, library: &Library) -> Interface {
    let folder = sysfs::interface(name);
    let text = |file: &str| sysfs::text(folder.join(file));
    let sum = |names: &[&str]| names.iter().filter_map(|name| sysfs::statistic(&folder, name)).sum::<u64>();
    Interface {
        name: name.to_owned(),
        mac: text("address").and_then(|text| mac(&text)),
        // Of an interface that is down the carrier cannot be read.
        link: match text("carrier").as_deref() {
            Some("1") => Link::Up,
            Some(_) => Link::None,
            None if folder.exists() => Link::Down,
            None => Link::Unknown,
        },
        queues: u16::try_from(receive_queues(name)).unwrap_or(u16::MAX),
        missed: cards::missed_ever(name, library),
        broken: sum(&["rx_crc_errors", "rx_length_errors", "rx_frame_errors"]),
    }
}

fn mac(text: &str) -> Option<Mac> {
    let mut mac = Mac::default();
    let mut parts = text.split(':');
    for byte in &mut mac {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    // Loopback and tunnels have none.
    (parts.next().is_none() && mac != Mac::default()).then_some(mac)
}

/// The cores of `/proc/stat`, with the drops of `/proc/net/softnet_stat`, whose 13th column is the core.
fn cores(stat: &str, softnet: &str) -> Vec<Core> {
    let mut cores: Vec<Core> = Vec::new();
    for line in stat.lines() {
        let mut words = line.split_ascii_whitespace();
        let name = words.next().and_then(|word| word.strip_prefix("cpu"));
        let Some(number) = name.and_then(|number| number.parse::<usize>().ok()) else { continue };
        // user nice system idle iowait irq softirq steal; guest is part of user.
        let ticks: Vec<u64> = words.take(8).filter_map(|word| word.parse().ok()).collect();
        if number < 4_096 {
            cores.resize(cores.len().max(number + 1), Core::default());
            cores[number].softirq = ticks.get(6).copied().unwrap_or(0);
            cores[number].total = ticks.iter().sum();
        }
    }
    for (line, text) in softnet.lines().enumerate() {
        let hex = |word: Option<&str>| word.and_then(|word| u64::from_str_radix(word, 16).ok());
        let mut words = text.split_ascii_whitespace();
        let dropped = hex(words.nth(1)).unwrap_or(0);
        let number = hex(words.nth(10)).map_or(line, |number| number as usize);
        if let Some(core) = cores.get_mut(number) {
            core.dropped += dropped;
        }
    }
    cores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_read_as_the_kernel_writes_them() {
        let stat =
            "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 10 1 5 100 2 0 7 0 0 0\ncpu2 1 1 1 1 1 1 1 1 5 5\nintr 5\n";
        let softnet = "000000ff 00000010 00000001 0 0 0 0 0 0 0 0 00000000 00000002 0 0\n\
                       000000ff 00000003 00000001 0 0 0 0 0 0 0 0 00000000 00000000 0 0\n";
        let read = cores(stat, softnet);
        assert_eq!(read[0], Core { dropped: 3, softirq: 7, total: 125 });
        assert_eq!(read[2], Core { dropped: 16, softirq: 1, total: 8 });
    }

    #[test]
    fn an_address_is_read_and_none_is_none() {
        assert_eq!(mac("02:00:5e:10:00:ff"), Some([2, 0, 0x5e, 0x10, 0, 0xff]));
        assert_eq!(mac("00:00:00:00:00:00"), None);
        assert_eq!(mac("02:00"), None);
    }
}
