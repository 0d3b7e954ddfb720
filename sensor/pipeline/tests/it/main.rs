//! The capture core from outside: what it costs.

mod allocations;
