//! Tests of the sensor as a process, with root: live capture, crashes, real SIP peers, refusals.

mod kill;
mod live;
mod shutdown;
mod sipp;
mod torn_journal;
