//! Who is trusted, and what a server that is not what it should be is called.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, ServerConfig};

/// An authority of one's own, in PEM, and a server with its certificate for `names`.
pub(super) async fn tls_server(names: &[&str]) -> (SocketAddr, String) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let address = tls_server_with(certificate.der().clone(), &key, |_| ()).await;
    (address, authority)
}

async fn tls_server_with(
    certificate: CertificateDer<'static>,
    key: &KeyPair,
    change: impl FnOnce(&mut ServerConfig),
) -> SocketAddr {
    tls_server_that(certificate, key, change, false).await
}

/// One that `breaks` answers each request in plain text, below TLS.
async fn tls_server_that(
    certificate: CertificateDer<'static>,
    key: &KeyPair,
    change: impl FnOnce(&mut ServerConfig),
    breaks: bool,
) -> SocketAddr {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    change(&mut config);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    server(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            // A client that does not trust this server goes away in the middle.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            while read_request(&mut stream).await.is_some() {
                if breaks {
                    stream.get_mut().0.write_all(OK.as_bytes()).await.unwrap();
                    continue;
                }
                stream.write_all(OK.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
    })
    .await
}

fn https(host: &str, address: SocketAddr, ca: Option<&str>) -> (Hooks, String) {
    let url = format!("https://{host}:{}/v1", address.port());
    let mut grant = Grant::new(Origin::parse(&url).unwrap());
    if let Some(ca) = ca {
        grant = grant.with_ca_pem(ca);
    }
    (Egress::new(grant).unwrap().hooks(), url)
}

#[tokio::test]
async fn a_certificate_of_a_configured_authority_is_accepted_by_name_and_by_address() {
    let (address, ca) = tls_server(&["localhost", "127.0.0.1"]).await;
    for host in ["localhost", "127.0.0.1"] {
        let (mut hooks, url) = https(host, address, Some(&ca));
        for _ in 0..2 {
            assert_eq!(fetch(&mut hooks, get(&url)).await.unwrap(), "ok", "{host}");
        }
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_or_for_another_name_is_refused() {
    let (address, ca) = tls_server(&["other.example"]).await;
    let (_, unrelated) = tls_server(&["localhost"]).await;
    for ca in [Some(unrelated.as_str()), Some(&ca)] {
        let (mut hooks, url) = https("localhost", address, ca);
        let told = fetch(&mut hooks, get(&url)).await.unwrap_err();
        assert_eq!(told, "TlsCertificateError");
        let failure = hooks.last_failure().unwrap();
        let advice = failure.advice().unwrap_or_default();
        assert!(advice.contains("`request.tls.ca`"), "{failure}: {advice}");
        assert!(!failure.request_sent());
    }
}

#[tokio::test]
async fn a_server_that_speaks_plain_http_is_no_tls_server() {
    // It answers whatever comes, as real servers do to a handshake that they cannot read.
    let address = server(|mut stream, _| async move {
        let mut hello = [0; 64];
        let _ = stream.read(&mut hello).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        closed_by_client(&mut stream).await;
    })
    .await;
    let (_, ca) = tls_server(&["localhost"]).await;
    let (mut hooks, url) = https("127.0.0.1", address, Some(&ca));
    assert_eq!(
        fetch(&mut hooks, get(&url)).await.unwrap_err(),
        "TlsProtocolError"
    );
    let failure = hooks.last_failure().unwrap();
    assert!(failure.to_string().contains("not TLS"), "{failure}");
    let advice = failure.advice().unwrap_or_default();
    assert!(advice.contains("write http://"), "{advice}");
}

#[tokio::test]
async fn a_tls_server_is_no_plain_http_server() {
    let (address, _) = tls_server(&["localhost"]).await;
    let mut hooks = egress(address).hooks();
    let told = fetch(&mut hooks, get(&url(address))).await.unwrap_err();
    assert_eq!(told, "HttpProtocolError");
    let failure = hooks.last_failure().unwrap();
    let advice = failure.advice().unwrap_or_default();
    assert!(advice.contains("write https://"), "{failure}: {advice}");
}

#[tokio::test]
async fn what_breaks_tls_after_the_request_had_left_is_no_failed_handshake() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let address = tls_server_that(certificate.der().clone(), &key, |_| (), true).await;
    let (mut hooks, url) = https("localhost", address, Some(&certificate.pem()));
    let told = fetch(&mut hooks, get(&url)).await.unwrap_err();
    assert_eq!(told, "HttpProtocolError");
    assert!(hooks.last_failure().unwrap().request_sent());
}

#[tokio::test]
async fn the_certificate_of_an_authority_is_refused_in_words() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let address = tls_server_with(certificate.der().clone(), &key, |_| ()).await;
    // Named itself it would be trusted: the user names another one.
    let other = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let (mut hooks, url) = https("localhost", address, Some(&other.pem()));
    fetch(&mut hooks, get(&url)).await.unwrap_err();
    let failure = hooks.last_failure().unwrap().to_string();
    assert!(failure.contains("that of an authority"), "{failure}");
}

#[tokio::test]
async fn an_alert_of_the_server_is_passed_on_by_number() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    // A server for another protocol only.
    let address = tls_server_with(certificate.der().clone(), &key, |config| {
        config.alpn_protocols = vec![b"h2".to_vec()];
    })
    .await;
    let (mut hooks, url) = https("localhost", address, Some(&certificate.pem()));
    let told = fetch(&mut hooks, get(&url)).await.unwrap_err();
    assert!(told.contains("alert_id: Some(120)"), "{told}");
}

#[tokio::test]
async fn a_server_that_never_finishes_the_handshake_is_given_up() {
    let address = server(|mut stream, _| async move {
        closed_by_client(&mut stream).await;
    })
    .await;
    let (_, ca) = tls_server(&["localhost"]).await;
    let url = format!("https://{address}/v1");
    let limits = NetworkLimits::new().with_connect_timeout(Duration::from_millis(200));
    let grant = Grant::new(Origin::parse(&url).unwrap())
        .with_ca_pem(ca)
        .with_limits(limits);
    let mut hooks = Egress::new(grant).unwrap().hooks();
    assert_eq!(
        fetch(&mut hooks, get(&url)).await.unwrap_err(),
        "ConnectionTimeout"
    );
    // It took the connection, and that is said.
    let failure = hooks.last_failure().unwrap();
    assert!(
        matches!(failure, TransportError::TlsTimeout { .. }),
        "{failure}"
    );
    assert!(!failure.request_sent());
}
