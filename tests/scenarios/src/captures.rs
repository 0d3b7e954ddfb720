//! The folder of captures that others made, and what its manifest says that tshark reads from each.

use std::path::{Path, PathBuf};

/// The folder and its manifest.
#[derive(Debug)]
pub struct CapturesFolder {
    path: PathBuf,
    rows: Vec<OracleRow>,
}

/// A file's row.
#[derive(Clone, Debug, Default)]
pub struct OracleRow {
    /// Path within the folder.
    pub file: String,
    /// Calls by INVITE dialogs.
    pub calls: Vec<OracleCall>,
    /// RTP streams, six of them at most.
    pub streams: Vec<OracleStream>,
    /// How many there are.
    pub stream_count: usize,
    /// The packets of all of them.
    pub packets: u64,
    /// No signalling: streams were found by their shape.
    pub heuristic: bool,
    /// Digits sent as telephone-events.
    pub digits: Option<String>,
}

/// `call[sip:a@x>sip:b@y ans=1 inv=2 bye=1 final=200/401]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OracleCall {
    /// The caller's URI.
    pub from: String,
    /// The called URI.
    pub to: String,
    /// A 2xx was seen.
    pub answered: bool,
    /// A BYE was seen.
    pub bye: bool,
    /// Its final codes, each once, without their order.
    pub codes: Vec<u16>,
}

/// `[10.0.2.15:28102>10.0.2.20:6000 0x343FFA34 g711A, CN n=414 lost=0 dur=8.26]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OracleStream {
    /// Sender, address:port.
    pub src: String,
    /// Receiver, address:port.
    pub dst: String,
    /// `0x` and eight hex digits.
    pub ssrc: String,
    /// What tshark calls its formats.
    pub codecs: Vec<String>,
    /// Packets, duplicates counted.
    pub packets: u64,
    /// Lost; negative where duplicates mislead tshark.
    pub lost: i64,
}

impl CapturesFolder {
    /// The folder beside the repository or in `NIGHTJAR_CAPTURES`; `None` when it is not there.
    ///
    /// # Panics
    /// When the manifest cannot be read.
    pub fn find() -> Option<CapturesFolder> {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures");
        let path = std::env::var_os("NIGHTJAR_CAPTURES").map_or(beside, PathBuf::from);
        let manifest = path.join("MANIFEST.tsv");
        if !manifest.is_file() {
            return None;
        }
        let bytes = std::fs::read(&manifest).expect("the manifest is read");
        let rows = String::from_utf8_lossy(&bytes).lines().skip(1).filter_map(OracleRow::parse).collect();
        Some(CapturesFolder { path, rows })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The rows whose file's name holds `part`.
    pub fn rows<'a>(&'a self, part: &'a str) -> impl Iterator<Item = &'a OracleRow> {
        self.rows.iter().filter(move |row| row.file.contains(part))
    }

    /// Every file below the folder, in order.
    ///
    /// # Panics
    /// When a folder cannot be read.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("the folder is read") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        files
    }
}

impl OracleRow {
    fn parse(line: &str) -> Option<OracleRow> {
        let (file, oracle) = (line.split('\t').next()?, line.rsplit('\t').next()?);
        Some(OracleRow {
            file: file.to_owned(),
            calls: bracketed(oracle, "call[").filter_map(OracleCall::parse).collect(),
            streams: bracketed(oracle, " [").filter_map(OracleStream::parse).collect(),
            stream_count: number(oracle, "rtp_streams=") as usize,
            packets: number(oracle, "rtp_pkts="),
            heuristic: oracle.contains("(heuristic)"),
            digits: oracle
                .split_once("dtmf_rfc2833=\"")
                .and_then(|(_, rest)| rest.split('"').next())
                .map(str::to_owned),
        })
    }
}

/// What stands between `open` and the next `]`, each time.
fn bracketed<'a>(text: &'a str, open: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(|rest| rest.split(']').next())
}

/// The value behind `name` and up to the next space.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(' ').find_map(|part| part.strip_prefix(name))
}

fn number(text: &str, name: &str) -> u64 {
    field(text, name).and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl OracleCall {
    fn parse(text: &str) -> Option<OracleCall> {
        let (parties, rest) = text.split_once(" ans=")?;
        let (from, to) = parties.split_once('>')?;
        Some(OracleCall {
            from: from.to_owned(),
            to: to.to_owned(),
            answered: rest.starts_with('1'),
            bye: field(rest, "bye=") != Some("0"),
            codes: field(rest, "final=")?.split('/').filter_map(|code| code.parse().ok()).collect(),
        })
    }

    /// The last final code. The manifest lists all without their order; a challenge is never the
    /// last of several.
    pub fn last_code(&self) -> Option<u16> {
        let challenge = |code: &&u16| !matches!(code, 401 | 407);
        self.codes.iter().find(challenge).or(self.codes.first()).copied()
    }
}

impl OracleStream {
    fn parse(text: &str) -> Option<OracleStream> {
        let (ends, rest) = text.split_once(" 0x")?;
        let (src, dst) = ends.split_once('>')?;
        let (ssrc, rest) = rest.split_once(' ')?;
        let (codecs, rest) = rest.split_once(" n=")?;
        Some(OracleStream {
            src: src.to_owned(),
            dst: dst.to_owned(),
            ssrc: format!("0x{ssrc}"),
            // By shape or by SDP, tshark has two names for one format.
            codecs: codecs.split(", ").map(|codec| codec.replace("telephone-event", "rtpevent")).collect(),
            packets: rest.split(' ').next()?.parse().ok()?,
            lost: field(rest, "lost=")?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_the_manifest_is_read() {
        let line = "a/b.pcap\tx\tframes=3 call[sip:a@x>sip:b@y;user=phone ans=0 inv=2 bye=0 final=401/488] \
                    rtp_streams=1 [10.0.2.15:28102>10.0.2.20:6000 0x343FFA34 g711A, CN n=414 lost=-2 dur=8.26] \
                    dtmf_rfc2833=\"12#\"";
        let row = OracleRow::parse(line).unwrap();
        assert_eq!(
            (row.file.as_str(), row.heuristic, row.digits.as_deref()),
            ("a/b.pcap", false, Some("12#"))
        );
        let [call] = &row.calls[..] else { panic!("{row:?}") };
        assert_eq!((call.to.as_str(), call.answered, call.bye), ("sip:b@y;user=phone", false, false));
        assert_eq!(call.last_code(), Some(488));
        let [stream] = &row.streams[..] else { panic!("{row:?}") };
        assert_eq!((stream.ssrc.as_str(), stream.packets, stream.lost), ("0x343FFA34", 414, -2));
        assert_eq!(stream.codecs, ["g711A", "CN"]);
    }
}
