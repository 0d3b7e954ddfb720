//! The pipeline from outside: what the capture core costs and writes, and what a crash costs.

mod allocations;
mod batches;
mod core;
mod killed;
mod ring_losses;
mod sensor;
mod shedding;
mod stopping;
