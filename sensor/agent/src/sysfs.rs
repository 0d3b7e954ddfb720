//! Small files of `/sys` and `/proc`: one line of text, one number.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A file's text without the line's end; `None` where it cannot be read.
pub(crate) fn text(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// The number that a file holds.
pub(crate) fn number<T: FromStr>(path: impl AsRef<Path>) -> Option<T> {
    text(path)?.parse().ok()
}

/// Where the kernel shows an interface.
pub(crate) fn interface(name: &str) -> PathBuf {
    Path::new("/sys/class/net").join(name)
}

/// One of the kernel's counts of an interface (`rtnl_link_stats64`), in the folder that shows it.
pub(crate) fn statistic(interface: &Path, name: &str) -> Option<u64> {
    number(interface.join("statistics").join(name))
}
