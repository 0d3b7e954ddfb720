//! HTTPS with an operator's own CA.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use nightjar_schema::EventKind;
use nightjar_store::{ControlConfig, OutboxConfig, UploadState, Uploader, open_outbox};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::event;

/// A CA's PEM, and the settings of a server at 127.0.0.1 whose certificate it has signed.
fn authority() -> (String, Arc<ServerConfig>) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    (ca.pem(), Arc::new(config))
}

/// Serves one connection: reads a request until its body has `{"id"`, and says that it took one event.
fn serve_one(listener: &TcpListener, config: Arc<ServerConfig>) -> std::io::Result<String> {
    let (socket, _) = listener.accept()?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, socket);
    let mut request = Vec::new();
    let mut chunk = [0; 4_096];
    while !request.ends_with(b"\n") || !request.windows(5).any(|part| part == b"{\"id\"") {
        match stream.read(&mut chunk)? {
            0 => break,
            read => request.extend_from_slice(&chunk[..read]),
        }
    }
    let body = "{\"accepted\":1}";
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())?;
    stream.flush()?;
    Ok(String::from_utf8_lossy(&request).into_owned())
}

#[test]
fn a_control_behind_the_operators_ca_is_trusted_and_another_is_not() {
    let out = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (ca, server) = authority();
    let (other_ca, _) = authority();
    let ca_file = out.path().join("ca.pem");
    let outbox = OutboxConfig { directory: out.path().join("outbox"), limit_bytes: 1 << 30 };
    let to = ControlConfig {
        base_url: format!("https://{}", listener.local_addr().unwrap()),
        token: "t".to_owned(),
        ca_file: Some(ca_file.clone()),
    };
    let (mut writer, reader) = open_outbox(&outbox).unwrap();
    writer.append(&event(1, EventKind::Started)).unwrap();
    writer.commit().unwrap();

    fs::write(&ca_file, other_ca).unwrap();
    let uploader = Uploader::start(&to, reader, out.path()).unwrap();
    assert!(serve_one(&listener, Arc::clone(&server)).is_err(), "the sensor must not trust it");
    let status = uploader.drain(Duration::from_millis(100));
    let UploadState::Waiting(reason) = status.state else { panic!("{status:?}") };
    assert!(reason.contains("certificate"), "{reason}");
    drop(writer);

    fs::write(&ca_file, ca).unwrap();
    let (_writer, reader) = open_outbox(&outbox).unwrap();
    let uploader = Uploader::start(&to, reader, out.path()).unwrap();
    // What the first uploader's last attempt left in the queue may come first.
    let request = (0..5).find_map(|_| serve_one(&listener, Arc::clone(&server)).ok()).unwrap();
    assert!(request.starts_with("POST /api/ingest/v1/events HTTP/1.1\r\n"), "{request}");
    assert!(request.to_ascii_lowercase().contains("authorization: bearer t\r\n"), "{request}");
    assert_eq!(uploader.drain(Duration::from_secs(30)).pending, 0);
}
