//! Reading a sensor's metrics as Prometheus' own Python client does.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::namespace::Namespace;

/// The settings that make a sensor serve what this module asks for.
pub const SETTINGS: &str = "[metrics]\nlisten = \"127.0.0.1:9464\"\n";

/// One scrape.
#[derive(Debug)]
pub struct Scrape {
    /// The page.
    pub text: String,
    /// The value of each sample, by name and labels: `name{label=value,…}`, labels in their order.
    pub samples: BTreeMap<String, f64>,
}

/// Prints `name{label=value,…}`, a tab and the value for each sample; fails on what is no exposition.
const PARSER: &str = "
import sys
from prometheus_client.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation, family.name + ' has no help'
    assert family.type != 'unknown', family.name + ' has no type'
    for sample in family.samples:
        labels = ','.join(f'{name}={value}' for name, value in sorted(sample.labels.items()))
        print(sample.name + '{' + labels + '}', sample.value, sep='\\t')
";

impl Scrape {
    /// Asks a sensor in `namespace`.
    ///
    /// # Panics
    /// When it does not answer, or not with metrics.
    pub fn of(namespace: &Namespace) -> Scrape {
        let answer = std::thread::scope(|scope| scope.spawn(|| ask(namespace)).join().expect("it answers"));
        let (head, text) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
        Scrape { samples: parsed(text), text: text.to_owned() }
    }

    /// The value of a sample, as [`Scrape::samples`] names it.
    ///
    /// # Panics
    /// When there is none.
    pub fn value(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("no {sample} in {:#?}", self.samples))
    }

    /// The sum of all samples whose name begins so.
    pub fn sum(&self, begins: &str) -> f64 {
        self.samples.iter().filter(|(name, _)| name.starts_with(begins)).map(|(_, value)| value).sum()
    }
}

fn ask(namespace: &Namespace) -> String {
    namespace.enter();
    let mut stream = TcpStream::connect("127.0.0.1:9464").expect("the sensor listens");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: sensor\r\n\r\n").expect("it takes a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

fn parsed(text: &str) -> BTreeMap<String, f64> {
    // Debian's own: another one in the path need not have its packages.
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", PARSER]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().expect("python3 is installed");
    python.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success(), "prometheus_client refuses this:\n{text}");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let sample = |line: &str| {
        let (name, value) = line.split_once('\t').expect("printed above");
        (name.to_owned(), value.parse().expect("a number"))
    };
    lines.lines().map(sample).collect()
}
