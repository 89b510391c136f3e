//! A server with a certificate of one's own authority, and one that asks for a client's.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::ring};

use super::answer::Answer;
use super::server::{Server, serve_one};
use super::user::User;
use crate::support::{ask, text};

/// A server of one model for 127.0.0.1: its base URL, and its authority as PEM.
async fn server() -> (String, String) {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("a certificate").pem();
    let issuer = Issuer::new(params, key);
    let (certificate, key) = signed(&issuer, "127.0.0.1");
    (serve(&certificate, &key).await, authority)
}

/// A server that shows a certificate of its own making, which is marked as an authority's, as
/// `openssl req -x509` makes it: its base URL, and the certificate as PEM.
async fn self_signed(params: CertificateParams) -> (String, String) {
    let mut params = params;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    (serve(&certificate, &key).await, certificate.pem())
}

/// Serves one model behind a certificate; the base URL.
async fn serve(certificate: &rcgen::Certificate, key: &KeyPair) -> String {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a server");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust it leaves in the middle.
                if let Ok(stream) = acceptor.accept(stream).await {
                    let list = json!({"data": [{"id": "behind-tls"}]});
                    serve_one(stream, Answer::json(200, &list)).await;
                }
            });
        }
    });
    format!("https://{address}/v1")
}

fn user(base_url: &str, tls: Value) -> User {
    User::of(&json!({
        "models": {"providers": {"vllm": {"baseUrl": base_url, "request": {"tls": tls}}}},
        "agents": {"defaults": {"models": {"vllm/*": {}}}},
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_of_the_configuration_is_trusted() {
    let (url, authority) = server().await;
    let trusting = user(&url, json!({"ca": authority}));
    let catalog = trusting.catalog().await.expect("models");
    assert_eq!(catalog.models[0].id, "behind-tls");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_trusted_certificate_is_unreachable_for_good() {
    let (url, _) = server().await;
    let error = user(&url, json!({}))
        .catalog()
        .await
        .expect_err("a stranger");
    assert_eq!(error.kind_name(), "unreachable", "{error:?}");
    assert!(!error.retryable() && !error.request_sent(), "{error:?}");
    assert!(error.message().contains("certificate"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_self_signed_certificate_is_its_own_authority() {
    let of = |name: &str| CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    let (url, pem) = self_signed(of("127.0.0.1")).await;
    let catalog = user(&url, json!({"ca": pem})).catalog().await;
    assert_eq!(catalog.expect("models").models[0].id, "behind-tls");

    // Another certificate of the same name, one for another name, and one that is too old.
    let (_, other) = self_signed(of("127.0.0.1")).await;
    let mut old = of("127.0.0.1");
    old.not_before = rcgen::date_time_ymd(2001, 1, 1);
    old.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let (old_url, old) = self_signed(old).await;
    let (elsewhere_url, elsewhere) = self_signed(of("gpu.example")).await;
    for (url, ca, why) in [
        (&url, &other, "name this very certificate in request.tls.ca"),
        (&old_url, &old, "expired"),
        (&elsewhere_url, &elsewhere, "127.0.0.1"),
    ] {
        let trusting = user(url, json!({"ca": ca}));
        let error = trusting.catalog().await.expect_err("not that one");
        assert_eq!(error.kind_name(), "unreachable", "{error:?}");
        assert!(error.message().contains(why), "{error:?}");
    }
}

/// A gateway that ends TLS before a server.
pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    /// The certificate of its authority.
    pub(super) authority: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Gateway {
    /// One for `name`. `asks`: it lets those through to whom its authority gave a certificate.
    pub(super) async fn before(server: &Server, name: &str, asks: bool) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = params.self_signed(&key).expect("a certificate");
        let issuer = Issuer::new(params, key);
        let (certificate, key) = signed(&issuer, name);
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let config = if asks {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            config.with_client_cert_verifier(verifier.build().expect("a verifier"))
        } else {
            config.with_no_client_auth()
        };
        let config = config.with_single_cert(vec![certificate.der().clone()], key);
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("a server")));
        let target = server.address();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut server = TcpStream::connect(target).await.expect("the server");
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
                });
            }
        });
        Self {
            address,
            authority: authority.pem(),
            issuer,
        }
    }

    /// A client's certificate and key, as PEM.
    fn client(&self) -> (String, String) {
        let (certificate, key) = signed(&self.issuer, "client.example");
        (certificate.pem(), key.serialize_pem())
    }
}

fn signed(issuer: &Issuer<'static, KeyPair>, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    (params.signed_by(&key, issuer).expect("a certificate"), key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_is_presented_to_a_server_that_asks_for_one() {
    let server = Server::start().await;
    let gateway = Gateway::before(&server, "127.0.0.1", true).await;
    let url = format!("https://{}/v1", gateway.address);
    let (cert, key) = gateway.client();
    let known = user(
        &url,
        json!({"ca": gateway.authority, "cert": cert, "key": key}),
    );
    let (events, error) = known.chat("m", &ask("hi")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(text(&events), "ok");
    let wiring = known.wiring().expect("settings");
    let seen = format!("{:?} {wiring:?}", wiring.settings());
    assert!(!seen.contains("PRIVATE KEY"), "{seen}");

    let asked = server.requests().len();
    let another = Gateway::before(&server, "127.0.0.1", true).await;
    let (cert, key) = another.client();
    for (tls, words) in [
        (
            json!({"ca": gateway.authority}),
            "asked for a client certificate and got none",
        ),
        (
            json!({"ca": gateway.authority, "cert": cert, "key": key}),
            "did not accept the one of `request.tls.cert`",
        ),
    ] {
        let error = user(&url, tls).catalog().await.expect_err("a stranger");
        assert_eq!(error.kind_name(), "unreachable", "{error:?}");
        assert!(!error.retryable(), "{error:?}");
        assert!(error.message().contains(words), "{error:?}");
        assert!(!format!("{error:?}").contains("PRIVATE KEY"), "{error:?}");
    }
    assert_eq!(server.requests().len(), asked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_name_of_the_configuration_is_what_the_certificate_is_for() {
    let server = Server::start().await;
    let gateway = Gateway::before(&server, "gpu.inside", false).await;
    let url = format!("https://{}/v1", gateway.address);
    let named = user(
        &url,
        json!({"ca": gateway.authority, "serverName": "gpu.inside"}),
    );
    assert_eq!(named.catalog().await.expect("models").models[0].id, "m");
    let error = user(&url, json!({"ca": gateway.authority})).catalog().await;
    let error = error.expect_err("another name");
    assert!(error.message().contains("certificate"), "{error:?}");
}
