//! Tests that need root say so where they have no root.

use std::io::{self, Write};

/// True when this process may make namespaces. If not, `test` is reported as skipped, past the test
/// harness, which would swallow a print.
pub fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        let _ = io::stderr().write_all(format!("SKIPPED: {test}: needs root\n").as_bytes());
    }
    root
}
