//! TLS: a certificate chain and its key from PEM files; aws-lc-rs is the one provider.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};

/// Why TLS cannot be served, by the file that is to blame.
#[derive(Debug)]
pub enum TlsError {
    /// The certificate file.
    Certificate(String),
    /// The key file, or a key that does not belong to the certificate.
    Key(String),
}

/// Loads a chain (the server's own certificate first) and its private key (PKCS #8, PKCS #1 or SEC 1).
///
/// # Errors
///
/// Each file that is to blame, with the reason.
pub fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, Vec<TlsError>> {
    let chain = read_chain(certificate).map_err(TlsError::Certificate);
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::Key(describe(key, &error)));
    let (chain, private) = match (chain, private) {
        (Ok(chain), Ok(private)) => (chain, private),
        (chain, private) => return Err(chain.err().into_iter().chain(private.err()).collect()),
    };
    let refused = |error: rustls::Error| {
        let message = format!("{} cannot be used with {}: {error}", key.display(), certificate.display());
        vec![TlsError::Key(message)]
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(refused)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match chain {
        Ok(chain) if chain.is_empty() => Err(format!("{} holds no PEM certificate", path.display())),
        Ok(chain) => Ok(chain),
        Err(error) => Err(describe(path, &error)),
    }
}

fn describe(path: &Path, error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!("{} cannot be read: {error}", path.display()),
        pem::Error::NoItemsFound => format!("{} holds nothing of the kind in PEM form", path.display()),
        error => format!("{} is not PEM: {error:?}", path.display()),
    }
}
