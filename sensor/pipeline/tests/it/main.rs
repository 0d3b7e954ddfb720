//! The capture core from outside: what it costs, what it writes.

mod allocations;
mod batches;
mod stopping;
