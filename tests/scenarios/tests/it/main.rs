//! Scenario tests: every scenario of the generator and every foreign capture through a whole
//! replay, from the capture file to `calls.jsonl` and the recordings.

mod account;
mod captures;
mod heard;
mod topics;
