//! The client's side of mutual TLS: the certificate that is presented to a server that asks for
//! one.
//!
//! Under TLS 1.3 a server refuses a client's certificate after the client has finished the
//! handshake (RFC 8446 §4.4.2.4): its alert comes in the place of an answer, and where the server
//! closes the connection on a request that it has not read, the alert may be lost. So it is
//! remembered that the server asked for a certificate, and whether it has ever answered since.

use super::TransportError;
use crate::policy::ClientIdentity;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys, SignatureScheme};
use zeroize::Zeroize;

/// Answers a server's request for a certificate, and remembers it.
#[derive(Debug)]
pub(super) struct ClientAuth {
    certified: Option<Arc<CertifiedKey>>,
    /// The server has asked for a certificate.
    asked: AtomicBool,
    /// The server has answered a request, so that it accepts what it was given.
    accepted: AtomicBool,
}

impl ClientAuth {
    pub(super) fn new(identity: Option<&ClientIdentity>) -> Result<Self, TransportError> {
        Ok(Self {
            certified: identity.map(certified).transpose()?,
            asked: AtomicBool::new(false),
            accepted: AtomicBool::new(false),
        })
    }

    /// An answer came over a connection.
    pub(super) fn accepted(&self) {
        self.accepted.store(true, Ordering::Relaxed);
    }

    /// Names the client certificate as the cause of a failure, where the server asked for one. A
    /// connection that was closed says nothing of it once the server has answered a request; an
    /// alert may, because certificates expire.
    pub(super) fn explain(&self, host: &str, error: TransportError) -> TransportError {
        if !self.asked.load(Ordering::Relaxed) {
            return error;
        }
        let accepted = self.accepted.load(Ordering::Relaxed);
        let (alert, id) = match error {
            TransportError::TlsAlert { alert, id, .. } if !accepted || is_of_certificates(id) => {
                (Some(alert), Some(id))
            }
            TransportError::Closed(_) if !accepted => (None, None),
            other => return other,
        };
        TransportError::ClientCertificate {
            host: host.to_owned(),
            presented: self.certified.is_some(),
            alert,
            id,
        }
    }
}

/// Whether an alert is about the certificate of its receiver (RFC 8446 §6.2).
const fn is_of_certificates(alert: u8) -> bool {
    matches!(alert, 42..=46 | 48 | 49 | 116)
}

impl ResolvesClientCert for ClientAuth {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.certified.clone()
    }

    fn has_certs(&self) -> bool {
        self.certified.is_some()
    }
}

/// Reads certificate and key. No message holds anything of the key's text, which an error of the
/// parser may quote.
fn certified(identity: &ClientIdentity) -> Result<Arc<CertifiedKey>, TransportError> {
    let unusable = |why: String| Err(TransportError::Configuration(why));
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(identity.certificates()).collect();
    let chain = match chain {
        Ok(chain) if !chain.is_empty() => chain,
        _ => {
            return unusable(
                "`request.tls.cert` holds no usable certificate; it must be PEM, beginning with \
                 -----BEGIN CERTIFICATE-----"
                    .to_owned(),
            );
        }
    };
    if is_encrypted(identity.key()) {
        return unusable(
            "`request.tls.key` is encrypted, and encrypted keys are not supported: decrypt it \
             with `openssl pkey -in KEY -out PLAIN-KEY`, name that file in `request.tls.key`, and \
             leave out `request.tls.passphrase`"
                .to_owned(),
        );
    }
    let Ok(mut key) = PrivateKeyDer::from_pem_slice(identity.key()) else {
        return unusable(
            "`request.tls.key` holds no usable private key; it must be PEM, beginning with \
             -----BEGIN PRIVATE KEY----- (or RSA PRIVATE KEY, EC PRIVATE KEY)"
                .to_owned(),
        );
    };
    let signing = any_supported_type(&key);
    key.zeroize();
    let Ok(signing) = signing else {
        return unusable(
            "the private key in `request.tls.key` is damaged or of a kind that is not supported; \
             RSA from 2048 bits, ECDSA with P-256 or P-384, and Ed25519 are"
                .to_owned(),
        );
    };
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        // The library can't tell of each kind of key.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Arc::new(certified)),
        Err(Error::InconsistentKeys(_)) => unusable(
            "`request.tls.key` is not the key of the first certificate in `request.tls.cert`"
                .to_owned(),
        ),
        Err(error) => unusable(format!(
            "the certificate in `request.tls.cert` can't be used: {error}"
        )),
    }
}

/// PKCS#8's own label for an encrypted key, or the header of OpenSSL's older form.
fn is_encrypted(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || text.contains("Proc-Type: 4,ENCRYPTED")
}
