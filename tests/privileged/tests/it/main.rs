//! Tests of the sensor as a process, with root: live capture, crashes, real SIP peers, refusals.

mod admission;
mod commits;
mod doctor;
mod full_disk;
mod kill;
mod live;
mod metrics;
mod privileges;
mod profile;
mod realms;
mod refusals;
mod ring_full;
mod shutdown;
mod sipp;
mod torn_journal;
mod two_ports;
