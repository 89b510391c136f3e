//! TLS towards one origin: rustls with the system's roots and, where configured, one's own authority.
//!
//! The system's roots are read on the first connection and not before. Reading them takes milliseconds, and a provider
//! on plain HTTP never needs them.

use super::TransportError;
use super::client_auth::ClientAuth;
use crate::file::{self, FileError, Links};
use crate::policy::quote::quote;
use crate::policy::{Grant, Origin};
use crate::shortage;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use url::Host;

pub(super) struct Tls {
    /// What the certificate must be for, and what is sent as server name.
    name: ServerName<'static>,
    host: String,
    authorities: Vec<CertificateDer<'static>>,
    client: Arc<ClientAuth>,
    connector: OnceCell<TlsConnector>,
}

impl Tls {
    /// Reads the configured authority's certificates and the client's own; the system's come later.
    pub(super) fn new(grant: &Grant) -> Result<Self, TransportError> {
        let named = grant.server_name.as_deref();
        let host = named.unwrap_or_else(|| grant.origin.host_text());
        let ca_pem = grant.ca_pem.as_deref();
        Ok(Self {
            name: match named {
                Some(name) => configured_name(name)?,
                None => server_name(&grant.origin)?,
            },
            host: host.to_owned(),
            authorities: ca_pem.map_or_else(|| Ok(Vec::new()), authorities)?,
            client: Arc::new(ClientAuth::new(grant.client_identity.as_ref())?),
            connector: OnceCell::new(),
        })
    }

    pub(super) async fn handshake(
        &self,
        tcp: TcpStream,
    ) -> Result<TlsStream<TcpStream>, TransportError> {
        let connector = self
            .connector
            .get_or_try_init(|| connector(self.authorities.clone(), Arc::clone(&self.client)))
            .await?;
        connector
            .connect(self.name.clone(), tcp)
            .await
            .map_err(|error| self.explain(failure(&self.host, &error)))
    }

    /// The server answered a request.
    pub(super) fn answered(&self) {
        self.client.accepted();
    }

    /// Names the client certificate as the cause of a failure, where it may be.
    pub(super) fn explain(&self, error: TransportError) -> TransportError {
        self.client.explain(&self.host, error)
    }
}

/// `request.tls.serverName`: a name, or an address.
fn configured_name(name: &str) -> Result<ServerName<'static>, TransportError> {
    ServerName::try_from(name.to_owned()).map_err(|_| {
        TransportError::Configuration(format!(
            "`request.tls.serverName` is {:?}, which is not a name that a certificate can be \
             issued for",
            quote(name)
        ))
    })
}

fn server_name(origin: &Origin) -> Result<ServerName<'static>, TransportError> {
    match origin.host() {
        Host::Ipv4(ip) => Ok(ServerName::IpAddress((*ip).into())),
        Host::Ipv6(ip) => Ok(ServerName::IpAddress((*ip).into())),
        Host::Domain(name) => {
            // A trailing dot is the resolver's business; certificates do not have it (RFC 6066 §3).
            let name = name.strip_suffix('.').unwrap_or(name);
            ServerName::try_from(name.to_owned()).map_err(|_| {
                TransportError::Configuration(format!(
                    "{name} is not a name that a certificate can be issued for; check the host in `baseUrl`"
                ))
            })
        }
    }
}

fn authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TransportError> {
    let unusable = |why: String| {
        TransportError::Configuration(format!(
            "`request.tls.ca` holds no usable certificate ({why}); it must be PEM, beginning with -----BEGIN CERTIFICATE-----"
        ))
    };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(error.to_string()))?;
    if certificates.is_empty() {
        return Err(unusable("none found".to_owned()));
    }
    // Found out now, and not at the first chat.
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots
            .add(certificate.clone())
            .map_err(|error| unusable(error.to_string()))?;
    }
    Ok(certificates)
}

async fn connector(
    authorities: Vec<CertificateDer<'static>>,
    client: Arc<ClientAuth>,
) -> Result<TlsConnector, TransportError> {
    let config = tokio::task::spawn_blocking(move || config(authorities, client))
        .await
        .map_err(|error| unusable(error.to_string()))??;
    Ok(TlsConnector::from(Arc::new(config)))
}

fn unusable(why: String) -> TransportError {
    TransportError::Configuration(format!("TLS cannot be set up on this machine: {why}"))
}

/// Most bytes of the file that `SSL_CERT_FILE` names: a bundle of all public authorities has a
/// quarter of one MiB.
const MAX_ROOTS_BYTES: u64 = 16 << 20;

/// Refuses a file of roots that would hold up whoever reads it. The crate that reads the system's
/// roots takes it from this variable and reads it without a bound.
fn check_named_roots() -> Result<(), String> {
    const VARIABLE: &str = "SSL_CERT_FILE";
    let Some(path) = std::env::var_os(VARIABLE) else {
        return Ok(());
    };
    let path = std::path::Path::new(&path);
    let refused =
        |why: &dyn std::fmt::Display| Err(format!("{VARIABLE} names {}: {why}", path.display()));
    match file::open(path, Links::Followed) {
        Ok((_, metadata)) if metadata.len() > MAX_ROOTS_BYTES => refused(&FileError::TooLarge {
            found: metadata.len(),
            most: MAX_ROOTS_BYTES,
        }),
        // A file that can't be read gives no roots, as before.
        Ok(_) | Err(FileError::Io(_)) => Ok(()),
        Err(error) => refused(&error),
    }
}

/// Refuses a folder of roots with a file in it that would fill memory. The same crate reads each file
/// of the folder whose name is that of a hashed certificate (`0123abcd.0`).
fn check_folder_of_roots() -> Result<(), String> {
    const VARIABLE: &str = "SSL_CERT_DIR";
    let Some(folders) = std::env::var_os(VARIABLE) else {
        return Ok(());
    };
    // Like the crate, and OpenSSL, several folders with a separator between them.
    let files = std::env::split_paths(&folders)
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten();
    let mut total = 0_u64;
    for file in files {
        // Of what a link leads to; what can't be read gives no roots.
        let Ok(metadata) = std::fs::metadata(file.path()) else {
            continue;
        };
        total = total.saturating_add(metadata.len());
        if metadata.is_file() && total > MAX_ROOTS_BYTES {
            return Err(format!(
                "{VARIABLE} names a folder whose files have more than {MAX_ROOTS_BYTES} bytes \
                 together, at {}",
                file.path().display()
            ));
        }
    }
    Ok(())
}

fn config(
    authorities: Vec<CertificateDer<'static>>,
    client: Arc<ClientAuth>,
) -> Result<ClientConfig, TransportError> {
    check_named_roots().map_err(unusable)?;
    check_folder_of_roots().map_err(unusable)?;
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        if let rustls_native_certs::ErrorKind::Io { inner, path } = &error.kind
            && shortage::is(inner)
        {
            // What could be read is not all, and what is read here is kept.
            return Err(TransportError::OutOfResources {
                what: format!("the system's certificates ({})", path.display()),
                detail: inner.to_string(),
            });
        }
        tracing::debug!(%error, "system certificate left out");
    }
    if system.certs.is_empty()
        && let Some(error) = shortage::now()
    {
        // Where the certificates are was not found out.
        return Err(TransportError::OutOfResources {
            what: "the system's certificates".to_owned(),
            detail: error.to_string(),
        });
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(system.certs);
    roots.add_parsable_certificates(authorities.iter().cloned());
    if roots.is_empty() {
        return Err(unusable(
            "no trusted certificates were found; install the system's CA certificates or set `request.tls.ca`"
                .to_owned(),
        ));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(roots, authorities, &provider)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(client);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Verifies as rustls does, and takes a server's own certificate that the user named as an authority,
/// although it is marked as one: `openssl req -x509` marks it so, and the user trusts this very one.
#[derive(Debug)]
struct Verifier {
    usual: Arc<WebPkiServerVerifier>,
    /// What `request.tls.ca` holds.
    named: Vec<CertificateDer<'static>>,
}

impl Verifier {
    fn new(
        roots: RootCertStore,
        named: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TransportError> {
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let usual = usual.build().map_err(|error| unusable(error.to_string()))?;
        Ok(Self { usual, named })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let outcome = self.usual.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match outcome {
            // The mark is looked at behind the dates and before the name.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(why)))
                if why.0.to_string() == USED_AS_SERVER && self.named.contains(end_entity) =>
            {
                let certificate = ParsedCertificate::try_from(end_entity)?;
                verify_server_name(&certificate, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let usual = &self.usual;
        usual.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let usual = &self.usual;
        usual.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// What rustls says of the certificate of an authority that a server shows as its own.
const USED_AS_SERVER: &str = "CaUsedAsEndEntity";

/// Sorts an I/O error of a TLS stream by what rustls says about it.
pub(super) fn failure(host: &str, error: &io::Error) -> TransportError {
    let host = host.to_owned();
    match rustls_cause(error) {
        Some(rustls::Error::InvalidCertificate(why)) => TransportError::Certificate {
            host,
            detail: untrusted(why),
        },
        Some(rustls::Error::AlertReceived(alert)) => TransportError::TlsAlert {
            host,
            id: u8::from(*alert),
            alert: format!("{alert:?}"),
        },
        Some(rustls::Error::InvalidMessage(_)) => TransportError::Tls {
            host,
            detail: "what it answered is not TLS".to_owned(),
        },
        Some(other) => TransportError::Tls {
            host,
            detail: other.to_string(),
        },
        None => TransportError::Tls {
            host,
            detail: error.to_string(),
        },
    }
}

/// Why a certificate is not accepted. rustls names the usual reasons by words of its own, and dates in seconds; what it
/// says of a name that does not fit is a sentence already.
fn untrusted(why: &CertificateError) -> String {
    match why {
        // The latter: one of the same name, and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "no authority that this machine trusts has signed it".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet".to_owned()
        }
        CertificateError::NotValidForName => "it is for another name".to_owned(),
        // A crate's own error in a coat that shows its name for programmers.
        CertificateError::Other(other) => match other.0.to_string().as_str() {
            USED_AS_SERVER => {
                "it is that of an authority, and no server's own: name this very certificate in \
                 request.tls.ca, or make one that is not marked as CA"
                    .to_owned()
            }
            words => words.to_owned(),
        },
        other => other.to_string(),
    }
}

/// What rustls said, where the error is its own.
pub(super) fn rustls_cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_that_is_no_certificate_is_refused_when_the_egress_is_built() {
        let origin = Origin::parse("https://gpu.example").unwrap();
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for pem in ["", "hello", broken] {
            let grant = Grant::new(origin.clone()).with_ca_pem(pem);
            let error = Tls::new(&grant).err().unwrap();
            assert!(error.to_string().contains("`request.tls.ca`"), "{error}");
        }
    }
}
