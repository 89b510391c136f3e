//! Who a client is to a server that asks for a certificate (mutual TLS).

use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A client certificate and its private key, both as PEM text.
///
/// It is presented to the origin of its [`Grant`](super::Grant) and to no other server. Whether the
/// texts can be used is found out when the egress is built. No `Debug` output and no message shows
/// them, and the key's memory is overwritten when the last clone is dropped.
///
/// # Examples
///
/// ```
/// use provider_host::policy::ClientIdentity;
///
/// let (certificate, key) = ("-----BEGIN CERTIFICATE-----…", "-----BEGIN PRIVATE KEY-----…");
/// let identity = ClientIdentity::from_pem(certificate, key);
/// assert_eq!(format!("{identity:?}"), "ClientIdentity(***)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ClientIdentity(Arc<Pem>);

#[derive(PartialEq, Eq)]
struct Pem {
    certificates: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl ClientIdentity {
    /// Takes the certificate, with those between it and its authority behind it, and its private
    /// key: PKCS#8, PKCS#1 or SEC1, not encrypted. Both may be the same text, if it holds both.
    #[must_use]
    pub fn from_pem(certificates: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self(Arc::new(Pem {
            certificates: certificates.into(),
            key: Zeroizing::new(key.into()),
        }))
    }

    pub(crate) fn certificates(&self) -> &[u8] {
        &self.0.certificates
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.0.key
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity(***)")
    }
}
