//! Finished recordings and the outbox.
