//! `[control]`: where finished calls are delivered, with the sensor's token.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::reader::{Faults, Table};

/// Bytes of a token's file at most.
const MAX_TOKEN_FILE: u64 = 4096;

/// How control is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct Control {
    /// Its base address.
    pub url: String,
    /// The sensor's token.
    pub token: String,
    /// Certificates to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for Control {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("url", &self.url)
            .field("ca_file", &self.ca_file)
            .finish_non_exhaustive()
    }
}

/// Reads the table `[control]` and what the files that it names hold; paths start from `folder`.
pub(super) fn read(mut table: Table<'_, '_>, folder: &Path, faults: &mut Faults<'_>) -> Control {
    let url = table.text("url", faults).unwrap_or_default();
    if !url.is_empty() && !is_base_url(&url) {
        table.fault("url", "must be http:// or https://, a host and, if need be, a port and a path", faults);
    }
    let token = table.text("token_file", faults).map(|path| read_token(&folder.join(path)));
    let token = token.unwrap_or_else(|| Ok(String::new())).unwrap_or_else(|message| {
        table.fault("token_file", &message, faults);
        String::new()
    });
    let ca_file = table.optional_text("ca_file", faults).map(|path| folder.join(path));
    if let Some(message) = ca_file.as_deref().and_then(fault_of_ca_file) {
        table.fault("ca_file", &message, faults);
    }
    table.finish(faults);
    Control { url: url.trim_end_matches('/').to_owned(), token, ca_file }
}

/// Whether it has a scheme that we speak, a host, and no port that there cannot be.
fn is_base_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://").or(url.strip_prefix("https://")) else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    // An IPv6 address has colons of its own, in brackets.
    let name_ends = authority.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match authority[name_ends..].split_once(':') {
        Some((name, port)) => (name_ends + name.len(), Some(port)),
        None => (authority.len(), None),
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    let is_plain = |c: char| c.is_ascii_graphic() && !"?#@\"<>\\^`{|}".contains(c);
    host > 0 && port.is_none_or(is_port) && rest.chars().all(is_plain)
}

/// A sensor's token, which stands alone in its file.
fn read_token(path: &Path) -> Result<String, String> {
    // One byte longer than it may be at most: it may be a device without end.
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_TOKEN_FILE + 1).read_to_string(&mut text));
    read.map_err(|error| format!("cannot be used: cannot read {}: {error}", path.display()))?;
    if text.len() as u64 > MAX_TOKEN_FILE {
        return Err(format!(
            "cannot be used: {} is longer than {MAX_TOKEN_FILE} bytes; it must hold the sensor's token alone",
            path.display()
        ));
    }
    let token = text.trim();
    if token.is_empty() {
        return Err(format!("cannot be used: {} is empty; it must hold the sensor's token", path.display()));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "cannot be used: {} must hold the token alone, which is the first line that `nightjar-control token` prints",
            path.display()
        ));
    }
    Ok(token.to_owned())
}

fn fault_of_ca_file(path: &Path) -> Option<String> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => None,
        Ok(_) => Some(format!("cannot be used: {} holds no PEM certificate", path.display())),
        Err(error) => Some(format!("cannot be used: cannot read {}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{parse, parse_in};
    use super::*;

    const SMALLEST: &str = "name = \"s1\"\ndata_dir = \"/tmp/x\"\n[capture]\ninterfaces = [\"eth0\"]\n";

    #[test]
    fn a_token_that_cannot_be_read_names_its_file() {
        let text = format!("{SMALLEST}[control]\nurl = \"ftp://x\"\ntoken_file = \"/nonexistent/token\"\n");
        let faults = parse(&text).unwrap_err();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[1].message.contains("/nonexistent/token"));
    }

    #[test]
    fn what_delivery_needs_is_checked_before_anything_is_captured() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("token", "0123456789abcdef\n");
        write("all-that-was-printed", "0123456789abcdef\n\n[[sensors]]\nname = \"s1\"\n");
        write("ca.pem", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
        let parsed = |url: &str, token: &str, ca: &str| {
            let control =
                format!("[control]\nurl = \"{url}\"\ntoken_file = \"{token}\"\nca_file = \"{ca}\"\n");
            parse_in(&format!("{SMALLEST}{control}"), folder.path())
        };
        // Relative paths start from the file's folder.
        let control = parsed("https://nightjar.example:8443/x/", "token", "ca.pem").unwrap().control.unwrap();
        assert_eq!((control.url.as_str(), control.token.len()), ("https://nightjar.example:8443/x", 16));
        let faults = parsed("http://", "all-that-was-printed", "token").unwrap_err();
        assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [6, 7, 8], "{faults:#?}");
        assert!(faults[1].message.contains("the token alone"), "{faults:#?}");
        assert!(faults[2].message.contains("no PEM certificate"), "{faults:#?}");
    }

    #[test]
    fn an_address_has_a_host_and_a_port_that_there_can_be() {
        for url in ["http://a", "https://[::1]:8443", "http://127.0.0.1:8080/", "http://[fe80::1]/x"] {
            assert!(is_base_url(url), "{url}");
        }
        for url in [
            "http://",
            "http:///x",
            "http://:80",
            "http://a:",
            "http://a:99999",
            "http://a b",
            "a:80",
            "http://u@h",
        ] {
            assert!(!is_base_url(url), "{url}");
        }
    }

    #[test]
    fn a_token_file_without_end_is_refused() {
        let text = format!("{SMALLEST}[control]\nurl = \"http://x\"\ntoken_file = \"/dev/zero\"\n");
        let faults = parse(&text).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].message.contains("longer than 4096 bytes"), "{faults:?}");
    }
}
