//! Level 1 of the ledger: what an interface's card has lost before anything here could see it, by the
//! counters that the card's profile names and by the kernel's own.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nightjar_capture::ethtool::Ethtool;
use serde::Serialize;

use crate::profile::library::Library;
use crate::profile::machine::pci_device;
use crate::profile::nic::LossCounters;
use crate::sysfs;

/// Packets that the host was too slow to take from the card, by the kernel's definition: what is lost, where
/// no profile knows the driver's own counters.
const MISSED: &str = "rx_missed_errors";
/// The kernel's other counts of what a card did not give. Drivers count events in them, or again what they
/// count elsewhere, and frames that were damaged on the wire.
const EXPLAINING: [&str; 5] =
    ["rx_over_errors", "rx_fifo_errors", "rx_crc_errors", "rx_length_errors", "rx_frame_errors"];

/// What the cards of some interfaces have lost, counted from when it was started. May be asked by several
/// threads.
#[derive(Debug)]
pub(crate) struct Cards {
    cards: Vec<Card>,
}

/// One interface's counts since the watch began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CardCounts {
    /// The interface.
    pub interface: String,
    /// Its driver; `None` where it does not say.
    pub driver: Option<String>,
    /// The profile that says which counters mean what; `None`: the kernel's own are all that is known.
    pub profile: Option<String>,
    /// Frames that were sent to the interface and never seen: each is counted in one of these, so that sent =
    /// missed + seen.
    pub missed: Vec<(String, u64)>,
    /// What explains a loss, but counts events, or again what another counts: no terms of that sum.
    pub explains: Vec<(String, u64)>,
}

impl CardCounts {
    /// All frames that were missed.
    pub fn missed_frames(&self) -> u64 {
        self.missed.iter().map(|(_, frames)| frames).sum()
    }

    /// Whose counts these are, and those that are not 0.
    pub fn sentence(&self) -> String {
        let driver = self.driver.as_deref().unwrap_or("unknown driver");
        let list = |counters: &[(String, u64)], before: &str| {
            let counted = counters.iter().filter(|(_, count)| *count > 0);
            let texts: Vec<String> =
                counted.map(|(name, count)| format!("{} {count}", name.trim())).collect();
            if texts.is_empty() { String::new() } else { format!("{before}{}", texts.join(", ")) }
        };
        let (missed, explains) =
            (list(&self.missed, ": "), list(&self.explains, "; its driver also counts "));
        format!("by {} ({driver}){missed}{explains}", self.interface)
    }
}

/// An interface and where its counts are read.
#[derive(Debug)]
struct Card {
    interface: String,
    driver: Option<String>,
    profile: Option<String>,
    /// What the driver's counters mean.
    meaning: LossCounters,
    ethtool: Option<Ethtool>,
    folder: PathBuf,
    /// The counts at the start.
    before: Reading,
    /// That they cannot be read was said.
    said: AtomicBool,
}

/// Counters by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Reading {
    missed: Vec<(String, u64)>,
    explains: Vec<(String, u64)>,
}

impl Cards {
    /// Begins to watch; says once of each interface what its losses are told by, or why they are not.
    pub(crate) fn watch(interfaces: &[String]) -> Cards {
        let library = Library::load(None).unwrap_or_else(|_| unreachable!("no folder is read"));
        Cards { cards: interfaces.iter().map(|name| Card::watch(name, &library)).collect() }
    }

    /// What was counted since.
    pub(crate) fn counts(&self) -> Vec<CardCounts> {
        self.cards.iter().map(Card::counts).collect()
    }
}

/// Frames that an interface's card has missed since it was started.
pub(crate) fn missed_ever(interface: &str, library: &Library) -> u64 {
    let reading = Card::of(interface, library).read().unwrap_or_default();
    reading.missed.iter().map(|(_, frames)| frames).sum()
}

impl Card {
    /// Without a reading yet.
    fn of(interface: &str, library: &Library) -> Card {
        let ethtool = Ethtool::open(interface).ok();
        let driver = ethtool.as_ref().and_then(|ethtool| ethtool.driver().ok());
        let profile = driver.as_ref().and_then(|driver| {
            let pci = pci_device(Path::new("/"), &driver.bus);
            library.nic_for(&driver.driver, pci.id.as_deref())
        });
        let meaning = profile.and_then(|profile| profile.counters.as_ref());
        Card {
            interface: interface.to_owned(),
            driver: driver.map(|driver| driver.driver),
            profile: profile.map(|profile| profile.name.clone()),
            meaning: meaning.map_or_else(LossCounters::default, |counters| counters.figure.clone()),
            ethtool,
            folder: sysfs::interface(interface),
            before: Reading::default(),
            said: AtomicBool::new(false),
        }
    }

    fn watch(interface: &str, library: &Library) -> Card {
        let mut card = Card::of(interface, library);
        card.before = card.read().unwrap_or_default();
        let told_by: Vec<&str> = card.before.missed.iter().map(|(name, _)| name.as_str()).collect();
        if told_by.is_empty() {
            card.say_once("no counter of the card's losses can be read");
        } else {
            let profile = card.profile.as_deref().unwrap_or("no profile of its driver");
            tracing::info!("{interface}: what the card loses is told by {} ({profile})", told_by.join(", "));
        }
        card
    }

    fn counts(&self) -> CardCounts {
        let now = self.read().unwrap_or_default();
        CardCounts {
            interface: self.interface.clone(),
            driver: self.driver.clone(),
            profile: self.profile.clone(),
            missed: since(now.missed, &self.before.missed),
            explains: since(now.explains, &self.before.explains),
        }
    }

    /// Reads both the driver's and the kernel's counters; `None` when it has said why not.
    fn read(&self) -> Option<Reading> {
        let statistics = self.ethtool.as_ref().map_or(Ok(Vec::new()), Ethtool::statistics);
        let own = match statistics {
            Ok(own) => own,
            // A driver that counts nothing of its own.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error()) => {
                Vec::new()
            }
            Err(error) => {
                self.say_once(&cannot_read(&error));
                return None;
            }
        };
        Some(sort_out(&self.meaning, own, |name| sysfs::statistic(&self.folder, name)))
    }

    fn say_once(&self, what: &str) {
        if !self.said.swap(true, Ordering::Relaxed) {
            tracing::warn!("{}: {what}: frames that the card loses are not counted", self.interface);
        }
    }
}

fn cannot_read(error: &io::Error) -> String {
    format!("cannot read the driver's counters: {error}")
}

/// Which counters are terms of the ledger and which explain: the profile's word first. Where it names losses
/// that this driver has, the kernel's count of them is a repetition.
fn sort_out(
    meaning: &LossCounters,
    own: Vec<(String, u64)>,
    kernel: impl Fn(&str) -> Option<u64>,
) -> Reading {
    let mut reading = Reading::default();
    for (name, count) in own {
        if meaning.means_loss(&name) {
            reading.missed.push((name, count));
        } else if meaning.explains(&name) {
            reading.explains.push((name, count));
        }
    }
    let of_kernel = |name: &&str| kernel(name).map(|count| ((*name).to_owned(), count));
    if reading.missed.is_empty() {
        reading.missed.extend(of_kernel(&MISSED));
    } else if !reading.missed.iter().any(|(name, _)| name == MISSED) {
        reading.explains.extend(of_kernel(&MISSED));
    }
    let others: Vec<_> = EXPLAINING.iter().filter_map(of_kernel).collect();
    reading.explains.extend(others);
    reading
}

/// What was added to each counter; all of it where the driver has set the counter back.
fn since(now: Vec<(String, u64)>, before: &[(String, u64)]) -> Vec<(String, u64)> {
    let grown = |(name, count): (String, u64)| {
        let then = before.iter().find(|(known, _)| *known == name).map_or(0, |(_, then)| *then);
        let count = count.checked_sub(then).unwrap_or(count);
        (name, count)
    };
    now.into_iter().map(grown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(list: &[(&str, u64)]) -> Vec<(String, u64)> {
        list.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    fn of_kernel(name: &str) -> Option<u64> {
        [(MISSED, 7), ("rx_fifo_errors", 9)].iter().find(|(known, _)| *known == name).map(|(_, count)| *count)
    }

    /// The meaning that a built-in profile gives to counters.
    fn meaning(profile: &str) -> LossCounters {
        let library = Library::load(None).unwrap();
        library.nic(profile).and_then(|nic| nic.counters.as_ref()).unwrap().figure.clone()
    }

    #[test]
    fn what_a_profile_calls_a_loss_is_a_term_and_the_kernels_repetition_is_none() {
        let own = counters(&[("rx_packets", 900), ("rx_missed_errors", 5), ("rx_no_dma_resources", 2)]);
        let reading = sort_out(&meaning("ixgbe"), own, of_kernel);
        assert_eq!(reading.missed, counters(&[("rx_missed_errors", 5), ("rx_no_dma_resources", 2)]));
        assert_eq!(reading.explains, counters(&[("rx_fifo_errors", 9)]));
        let reading = sort_out(&meaning("ice"), counters(&[("rx_dropped.nic", 3)]), of_kernel);
        assert_eq!(reading.missed, counters(&[("rx_dropped.nic", 3)]));
        assert!(reading.explains.contains(&(MISSED.to_owned(), 7)), "{reading:?}");
    }

    #[test]
    fn a_veths_drops_repeat_what_the_sockets_count_and_are_no_terms() {
        let own = counters(&[("peer_ifindex", 3), ("rx_queue_0_drops", 40), ("rx_queue_0_xdp_drops", 8)]);
        let reading = sort_out(&meaning("veth"), own, of_kernel);
        assert_eq!(reading.missed, counters(&[(MISSED, 7)]));
        assert_eq!(
            reading.explains,
            counters(&[("rx_queue_0_drops", 40), ("rx_queue_0_xdp_drops", 8), ("rx_fifo_errors", 9)])
        );
    }

    #[test]
    fn counts_begin_with_the_watch_and_one_that_was_set_back_counts_from_there() {
        let before = counters(&[("a", 10), ("b", 10)]);
        let now = counters(&[("a", 14), ("b", 3), ("c", 2)]);
        assert_eq!(since(now, &before), counters(&[("a", 4), ("b", 3), ("c", 2)]));
    }

    #[test]
    fn an_interface_that_does_not_exist_counts_nothing() {
        let cards = Cards::watch(&["nightjar-none".to_owned()]);
        let counts = cards.counts().remove(0);
        assert_eq!((counts.missed_frames(), counts.driver, counts.missed), (0, None, Vec::new()));
    }
}
