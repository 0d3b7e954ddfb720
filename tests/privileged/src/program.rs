//! Where the programs of this build are.

use std::env;
use std::path::PathBuf;

/// The path of one of the workspace's programs, of the same profile as the running test.
///
/// # Panics
/// When it has not been built.
pub fn path(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    // target/debug/deps/it-0123456789abcdef
    let folder = test.parent().and_then(|deps| deps.parent()).expect("a test lies in target/*/deps");
    let program = folder.join(name);
    assert!(program.exists(), "{} is missing: run `cargo build --workspace` first", program.display());
    program
}
