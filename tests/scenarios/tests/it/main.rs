//! Scenario tests: every scenario of the generator and every foreign capture through a whole
//! replay, from the capture file to `calls.jsonl` and the recordings.

mod account;
mod alignment;
mod captures;
mod endings;
mod formats;
mod heard;
mod realms;
mod same_every_time;
mod topics;
