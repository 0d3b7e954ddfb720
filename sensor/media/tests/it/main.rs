//! Calls over a seeded network, recorded and listened to.

mod alignment;
mod allocation;
mod batches;
mod captures;
mod clock;
mod forks;
mod loss;
mod network;
mod players;
