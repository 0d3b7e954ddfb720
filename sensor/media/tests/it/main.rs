//! Calls over a seeded network, recorded and listened to.

mod alignment;
mod batches;
mod clock;
mod forks;
mod loss;
mod network;
mod players;
