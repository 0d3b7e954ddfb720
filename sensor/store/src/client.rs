//! What the sensor says to control over HTTP, and what control's answers mean.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use ureq::config::Config;
use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};
use uuid::Uuid;

use crate::error::StoreError;

/// How long a connection, and then each answer, may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A body may take this long, and a second more for each so many bytes.
const SLOWEST_BYTES_PER_SECOND: u64 = 16 << 10;

/// Of an answer's body, what is read at most.
const ANSWER_LIMIT: u64 = 64 << 10;

/// How control is reached.
#[derive(Clone)]
pub struct ControlConfig {
    /// Its address, `http://…` or `https://…`, without `/api`.
    pub base_url: String,
    /// The sensor's bearer token.
    pub token: String,
    /// A PEM file of certificates to trust *instead of* the public ones, for an operator's own CA.
    pub ca_file: Option<PathBuf>,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Control has it.
    Taken,
    /// Not now: the network, a proxy or control has a fault that will pass.
    Later(String),
    /// Not before somebody changes a setting here or there: token, sensor's name, address.
    Barred(String),
    /// Never: what was sent is wrong in control's eyes.
    Never(String),
}

/// Control, by HTTP.
pub(crate) struct Client {
    /// Connections.
    agent: Agent,
    /// Without a slash at its end.
    base_url: String,
    /// The `Authorization` header.
    authorization: String,
}

/// Control's answer to events.
#[derive(Deserialize)]
struct Accepted {
    /// Events that it has now.
    accepted: u64,
}

/// Control's way to say no.
#[derive(Deserialize)]
struct Refusal {
    error: RefusalDetail,
}

/// Its content.
#[derive(Deserialize)]
struct RefusalDetail {
    message: String,
}

impl Client {
    /// Checks the settings; connects to nothing yet.
    pub fn new(config: &ControlConfig) -> Result<Client, StoreError> {
        let base_url = config.base_url.trim_end_matches('/').to_owned();
        if !base_url.starts_with("http://") && !base_url.starts_with("https://") {
            let fault = format!("control's address {base_url:?} must begin with http:// or https://");
            return Err(StoreError::Config(fault));
        }
        if config.token.is_empty() || !config.token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(StoreError::Config(
                "control's token must be printable ASCII without spaces".to_owned(),
            ));
        }
        let roots = match &config.ca_file {
            Some(path) => read_roots(path)?,
            None => RootCerts::WebPki,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build();
        let agent = Agent::new_with_config(
            Config::builder()
                .tls_config(tls)
                .http_status_as_error(false)
                // A moved control is a setting to change, and the token is for one address only.
                .max_redirects(0)
                .max_redirects_will_error(false)
                .proxy(None)
                .user_agent(concat!("nightjar-sensor/", env!("CARGO_PKG_VERSION")))
                .timeout_resolve(Some(PATIENCE))
                .timeout_connect(Some(PATIENCE))
                .timeout_recv_response(Some(PATIENCE))
                .timeout_recv_body(Some(PATIENCE))
                .timeout_per_write(Some(PATIENCE))
                .build(),
        );
        Ok(Client { agent, base_url, authorization: format!("Bearer {}", config.token) })
    }

    /// Delivers events, one a line.
    pub fn events(&self, lines: &[u8], count: usize) -> Answer {
        let request = self
            .agent
            .post(format!("{}/api/ingest/v1/events", self.base_url))
            .header("Authorization", &self.authorization)
            .content_type("application/x-ndjson")
            .config()
            .timeout_send_body(Some(body_patience(lines.len() as u64)))
            .build();
        let (status, body) = match read(request.send(lines)) {
            Ok(answer) => answer,
            Err(later) => return later,
        };
        if status != 200 {
            return meaning(status, &body);
        }
        // Control takes a batch as a whole, repeats included; another number comes from something
        // that is not control (a proxy's welcome page).
        match serde_json::from_slice::<Accepted>(&body) {
            Ok(answer) if answer.accepted == count as u64 => Answer::Taken,
            Ok(answer) => Answer::Later(format!("control took {} of {count} events", answer.accepted)),
            Err(_) => {
                Answer::Later("200 without control's answer: is something else at its address?".to_owned())
            }
        }
    }

    /// Delivers a recording's file.
    pub fn recording(&self, id: Uuid, call: Uuid, container: &str, sha256: &str, file: File) -> Answer {
        let bytes = match file.metadata() {
            Ok(metadata) => metadata.len(),
            Err(error) => return Answer::Later(format!("reading a recording: {error}")),
        };
        let request = self
            .agent
            .put(format!("{}/api/ingest/v1/recordings/{id}", self.base_url))
            .header("Authorization", &self.authorization)
            .header("X-Nightjar-Call", call.to_string())
            .header("X-Nightjar-Sha256", sha256)
            .content_type(format!("audio/{container}"))
            .config()
            .timeout_send_body(Some(body_patience(bytes)))
            .build();
        match read(request.send(file)) {
            Ok((200 | 201, _)) => Answer::Taken,
            Ok((status, body)) => meaning(status, &body),
            Err(later) => later,
        }
    }
}

/// How long a body of so many bytes may take.
fn body_patience(bytes: u64) -> Duration {
    PATIENCE + Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND)
}

/// An answer's status and the beginning of its body.
fn read(result: Result<Response<Body>, ureq::Error>) -> Result<(u16, Vec<u8>), Answer> {
    let mut response =
        result.map_err(|error| Answer::Later(format!("control cannot be reached: {error}")))?;
    let mut body = Vec::new();
    let read = response.body_mut().as_reader().take(ANSWER_LIMIT).read_to_end(&mut body);
    read.map_err(|error| Answer::Later(format!("control's answer broke off: {error}")))?;
    Ok((response.status().as_u16(), body))
}

/// What a status other than success means.
fn meaning(status: u16, body: &[u8]) -> Answer {
    let said = match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => format!(
            "control answers {status}: {}",
            refusal.error.message.chars().take(300).collect::<String>()
        ),
        Err(_) => format!("control answers {status}"),
    };
    match status {
        400 | 409 | 413 | 415 | 422 => Answer::Never(said),
        401 | 403 => Answer::Barred(format!("{said}; check the sensor's token and name")),
        300..=399 | 404 | 405 => Answer::Barred(format!("{said}; check control's address")),
        _ => Answer::Later(said),
    }
}

/// The certificates of a PEM file.
fn read_roots(path: &PathBuf) -> Result<RootCerts, StoreError> {
    let pem = std::fs::read(path).map_err(StoreError::file("read", path))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(StoreError::Config(format!("{}: {error}", path.display()))),
        }
    }
    if certificates.is_empty() {
        return Err(StoreError::Config(format!("{} holds no PEM certificate", path.display())));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_one_meaning() {
        let body = br#"{"error":{"code":"bad_event","message":"line 3: not an event"}}"#;
        assert_eq!(meaning(400, body), Answer::Never("control answers 400: line 3: not an event".to_owned()));
        for status in [409, 413, 415, 422] {
            assert!(matches!(meaning(status, b"<html>"), Answer::Never(_)), "{status}");
        }
        for status in [301, 401, 403, 404, 405] {
            assert!(matches!(meaning(status, b""), Answer::Barred(_)), "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 507] {
            assert!(matches!(meaning(status, b""), Answer::Later(_)), "{status}");
        }
    }

    #[test]
    fn impossible_settings_are_named() {
        let good = ControlConfig {
            base_url: "http://127.0.0.1:1/".to_owned(),
            token: "t".to_owned(),
            ca_file: None,
        };
        assert!(Client::new(&good).is_ok());
        let fault = |config: ControlConfig| Client::new(&config).err().unwrap().to_string();
        assert!(
            fault(ControlConfig { base_url: "control:8080".to_owned(), ..good.clone() }).contains("http://")
        );
        assert!(fault(ControlConfig { token: "a b".to_owned(), ..good.clone() }).contains("token"));
        assert!(fault(ControlConfig { token: String::new(), ..good.clone() }).contains("token"));
        let ca_file = Some(PathBuf::from("/no/such.pem"));
        assert!(fault(ControlConfig { ca_file, ..good.clone() }).contains("/no/such.pem"));
        let ca_file = Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")));
        assert!(fault(ControlConfig { ca_file, ..good }).contains("no PEM certificate"));
    }
}
