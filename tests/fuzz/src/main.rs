//! libFuzzer's way in: one binary for all targets, so that it is built once; `NIGHTJAR_FUZZ_TARGET` names
//! the one that runs.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use nightjar_fuzz::{Target, target};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("NIGHTJAR_FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| {
        eprintln!("NIGHTJAR_FUZZ_TARGET={name:?} is no target");
        std::process::exit(2);
    })
});

fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
