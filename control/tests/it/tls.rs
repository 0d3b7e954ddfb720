//! TLS by a certificate file.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::harness::{Control, PATIENCE, create_admin, run, write_config};

fn write_pair(folder: &TempDir) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    fs::write(folder.path().join("cert.pem"), cert.pem()).unwrap();
    fs::write(folder.path().join("key.pem"), signing_key.serialize_pem()).unwrap();
    CertificateDer::from_pem_slice(cert.pem().as_bytes()).unwrap()
}

const SECTION: &str = "[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n";

#[test]
fn it_is_served_with_the_certificate_and_to_tls_alone() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = write_pair(&folder);
    let config = write_config(folder.path(), "", SECTION);
    create_admin(&config);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = RootCerts::new_with_certs(&[Certificate::from_der(&certificate).to_owned()]);
    let tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build();
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .tls_config(tls)
        .build()
        .into();
    let control = Control::serve(folder, agent, "https");
    let body = format!("{{\"username\":\"admin\",\"password\":\"{}\"}}", crate::harness::PASSWORD);
    let opened = control.send("POST", "/api/session", &[], body.as_bytes());
    assert_eq!(opened.status, 200);
    assert!(opened.header("set-cookie").contains("; Secure"), "{}", opened.header("set-cookie"));
    let cookie = opened.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!(control.get(&cookie, "/api/session").status, 200);

    let mut plain = TcpStream::connect(&control.address).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET /api/health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // A reset is as good as an end.
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[test]
fn a_certificate_or_key_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "", SECTION);
    let said = |folder: &TempDir| {
        let output = run(&["serve", "--config", folder.path().join("control.toml").to_str().unwrap()], "");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let missing = said(&folder);
    assert!(missing.contains("2 faults") && missing.contains("cert.pem cannot be read"), "{missing}");
    assert!(missing.contains("key.pem cannot be read"), "{missing}");
    write_pair(&folder);
    let key = fs::read_to_string(folder.path().join("key.pem")).unwrap();
    fs::write(folder.path().join("key.pem"), "no key").unwrap();
    assert!(said(&folder).contains("`tls.key`"));
    // A key of another certificate.
    write_pair(&folder);
    fs::write(folder.path().join("key.pem"), key).unwrap();
    let mismatch = said(&folder);
    assert!(mismatch.contains("`tls.key`") && mismatch.contains("cannot be used with"), "{mismatch}");
    assert!(config.exists());
}
