//! The live sensor's configuration.

use nightjar_agent::config::parse;

pub(super) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // The files of a token and of certificates are read: not from a device that never ends.
    if text.contains("_file") && (text.contains("/dev") || text.contains("/proc") || text.contains('\\')) {
        return;
    }
    let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    match parse(text) {
        Ok(config) => {
            assert!(!config.name.is_empty() && !config.data_dir.as_os_str().is_empty());
            assert!((1..=86_400).contains(&config.media_timeout_s));
            assert!((1..=1_000_000).contains(&config.max_calls));
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "a refusal says why");
            assert!(faults.is_sorted_by_key(|fault| fault.line));
            assert!(faults.iter().all(|f| (1..=lines).contains(&f.line) && !f.message.is_empty()));
        }
    }
}
