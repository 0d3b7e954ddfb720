//! nightjar-sensor: replay and live capture.

fn main() {}
