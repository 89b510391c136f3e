//! Servers that ask for a client certificate, and what can't be presented to one.

use super::*;
use crate::policy::ClientIdentity;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion, crypto::ring::default_provider,
};

/// An authority that signs servers and clients.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Certificate and key for a name.
    fn signed(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn client(&self) -> ClientIdentity {
        let (certificate, key) = self.signed("client.example");
        ClientIdentity::from_pem(certificate.pem(), key.serialize_pem())
    }

    /// A server for `name` that answers those clients whom this authority has signed. What it was
    /// shown is kept.
    async fn server(
        &self,
        name: &str,
        version: &'static SupportedProtocolVersion,
    ) -> (SocketAddr, Arc<Mutex<Vec<CertificateDer<'static>>>>) {
        let (certificate, key) = self.signed(name);
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let shown: Arc<Mutex<Vec<_>>> = Arc::default();
        let seen = Arc::clone(&shown);
        let address = server(move |stream, _| {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let chain = stream.get_ref().1.peer_certificates();
                seen.lock().unwrap().extend(chain.unwrap().to_vec());
                while read_request(&mut stream).await.is_some() {
                    stream.write_all(OK.as_bytes()).await.unwrap();
                    stream.flush().await.unwrap();
                }
            }
        })
        .await;
        (address, shown)
    }
}

fn hooks(address: SocketAddr, change: impl FnOnce(Grant) -> Grant) -> (Hooks, String) {
    let url = format!("https://{address}/v1");
    let grant = change(Grant::new(Origin::parse(&url).unwrap()));
    (Egress::new(grant).unwrap().hooks(), url)
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_the_configured_one() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        let (address, shown) = authority.server("127.0.0.1", version).await;
        let (certificate, key) = authority.signed("client.example");
        let identity = ClientIdentity::from_pem(certificate.pem(), key.serialize_pem());
        let (mut hooks, url) = hooks(address, |grant| {
            grant
                .with_ca_pem(authority.pem.as_str())
                .with_client_identity(identity)
        });
        for _ in 0..2 {
            assert_eq!(fetch(&mut hooks, get(&url)).await.unwrap(), "ok");
        }
        // Once: the second request went over the same connection.
        assert_eq!(*shown.lock().unwrap(), [certificate.der().clone()]);
    }
}

#[tokio::test]
async fn a_server_that_gets_no_certificate_or_a_wrong_one_is_told_of_by_the_settings_name() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for version in [&TLS12, &TLS13] {
        let (address, shown) = authority.server("127.0.0.1", version).await;
        for (identity, words, advice) in [
            (
                None,
                "asked for a client certificate and got none",
                "set `request.tls.cert`",
            ),
            (
                Some(stranger.client()),
                "did not accept the one of `request.tls.cert`",
                "signed by an authority that the server trusts",
            ),
        ] {
            let (mut hooks, url) = hooks(address, |mut grant| {
                grant.client_identity = identity;
                grant.with_ca_pem(authority.pem.as_str())
            });
            let told = fetch(&mut hooks, get(&url)).await.unwrap_err();
            assert!(told.starts_with("TlsAlertReceived"), "{told}");
            let failure = hooks.last_failure().unwrap();
            assert!(failure.to_string().contains(words), "{failure}");
            let found = failure.advice().unwrap();
            assert!(found.contains(advice), "{failure}: {found}");
            let TransportError::ClientCertificate { alert, .. } = &failure else {
                panic!("{failure:?}");
            };
            assert_eq!(failure.request_sent(), alert.is_none(), "{failure:?}");
        }
        assert_eq!(*shown.lock().unwrap(), []);
    }
}

#[tokio::test]
async fn a_server_that_asks_for_no_certificate_is_shown_none_and_its_failures_are_its_own() {
    let (address, ca) = tls::tls_server(&["127.0.0.1"]).await;
    let identity = Authority::new().client();
    let (mut hooks, url) = hooks(address, |grant| {
        grant.with_ca_pem(ca).with_client_identity(identity)
    });
    assert_eq!(fetch(&mut hooks, get(&url)).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_configured_server_name_is_what_the_certificate_has_to_be_for() {
    let authority = Authority::new();
    let (address, _) = authority.server("inside.example", &TLS13).await;
    for (name, expected) in [
        (None, Err("TlsCertificateError".to_owned())),
        (Some("inside.example"), Ok("ok".to_owned())),
        (Some("other.example"), Err("TlsCertificateError".to_owned())),
    ] {
        let (mut hooks, url) = hooks(address, |mut grant| {
            grant.server_name = name.map(str::to_owned);
            let grant = grant.with_ca_pem(authority.pem.as_str());
            grant.with_client_identity(authority.client())
        });
        assert_eq!(fetch(&mut hooks, get(&url)).await, expected, "{name:?}");
    }
    let origin = Origin::parse("https://gpu.example").unwrap();
    let grant = Grant::new(origin).with_server_name("no name");
    let error = Egress::new(grant).unwrap_err().to_string();
    assert!(
        error.contains("`request.tls.serverName` is \"no name\""),
        "{error}"
    );
}

/// PKCS#1, with the certificate before it. Made for this test, and used nowhere else.
const RSA: &str = include_str!("rsa-client.pem");

fn egress_with(certificates: &str, key: &str) -> Result<Egress, TransportError> {
    let origin = Origin::parse("https://gpu.example").unwrap();
    let identity = ClientIdentity::from_pem(certificates, key);
    Egress::new(Grant::new(origin).with_client_identity(identity))
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let coded = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{coded}\n-----END {label}-----\n")
}

/// The key within a PKCS#8 text: the last of its parts, whose length takes one byte.
fn sec1(pkcs8: &[u8]) -> &[u8] {
    let at = pkcs8.windows(4).position(|window| {
        // OCTET STRING, with a SEQUENCE in it that begins with the integer 1.
        window[0] == 4 && window[2] == 0x30 && usize::from(window[1]) + 2 <= pkcs8.len()
    });
    let at = at.unwrap();
    &pkcs8[at + 2..at + 2 + usize::from(pkcs8[at + 1])]
}

#[test]
fn a_key_may_be_pkcs_8_pkcs_1_or_sec_1_and_stand_beside_its_certificate() {
    let (certificate, key) = Authority::new().signed("client.example");
    let certificate = certificate.pem();
    let sec1 = pem("EC PRIVATE KEY", sec1(&key.serialize_der()));
    let parameters = pem("EC PARAMETERS", b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07");
    egress_with(&certificate, &key.serialize_pem()).unwrap();
    egress_with(&certificate, &sec1).unwrap();
    egress_with(&certificate, &format!("{parameters}{sec1}")).unwrap();
    egress_with(RSA, RSA).unwrap();
}

#[test]
fn what_cannot_be_presented_is_refused_by_the_settings_name_and_never_quoted() {
    let authority = Authority::new();
    let (certificate, key) = authority.signed("client.example");
    let (_, another) = authority.signed("client.example");
    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    let hush = "aHVzaGh1c2g=";
    let old = format!(
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n\
         {hush}\n-----END RSA PRIVATE KEY-----\n"
    );
    for (certificates, key, words) in [
        (
            &*certificate,
            &*another.serialize_pem(),
            "is not the key of the first certificate",
        ),
        (
            &*certificate,
            &*pem("ENCRYPTED PRIVATE KEY", hush.as_bytes()),
            "openssl pkey",
        ),
        (&*certificate, &*old, "`request.tls.key` is encrypted"),
        (
            &*certificate,
            "",
            "`request.tls.key` holds no usable private key",
        ),
        (
            &*certificate,
            hush,
            "`request.tls.key` holds no usable private key",
        ),
        (
            &*certificate,
            "-----BEGIN PRIVATE KEY-----\naHVzaGh1c2g=\nhush",
            "`request.tls.key` holds no usable private key",
        ),
        (
            &*certificate,
            &*pem("PRIVATE KEY", b"hushhush"),
            "is damaged or of a kind that is not supported",
        ),
        ("", &*key, "`request.tls.cert` holds no usable certificate"),
        (
            &*key,
            &*key,
            "`request.tls.cert` holds no usable certificate",
        ),
        (
            &*pem("CERTIFICATE", b"hushhush"),
            &*key,
            "`request.tls.cert` can't be used",
        ),
    ] {
        let error = egress_with(certificates, key).unwrap_err();
        assert!(
            matches!(error, TransportError::Configuration(_)),
            "{error:?}"
        );
        assert!(error.to_string().contains(words), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hush") && !shown.contains(hush), "{shown}");
    }
    let identity = ClientIdentity::from_pem(certificate, key);
    let origin = Origin::parse("https://gpu.example").unwrap();
    let grant = Grant::new(origin).with_client_identity(identity);
    let shown = format!("{grant:?} {:?}", Egress::new(grant.clone()).unwrap());
    assert!(
        shown.contains("ClientIdentity(***)") && !shown.contains("BEGIN"),
        "{shown}"
    );
}
