//! Attacks by TLS: who the server says it is, and what it speaks.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::scripted::{ANSWER, Front, Reads, Step, events, with_length};
use super::{Attack, Ends, attack, send};

/// A certificate's server, and the certificate of who signed it.
struct Identity {
    acceptor: TlsAcceptor,
    authority: String,
}

fn acceptor(certificate: &rcgen::Certificate, key: &KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a certificate");
    TlsAcceptor::from(Arc::new(config))
}

/// Signed by an authority of its own.
fn signed(names: Vec<String>, change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("an authority").pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(names).expect("names");
    change(&mut params);
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    Identity {
        acceptor: acceptor(&certificate, &key),
        authority,
    }
}

/// Signed by itself.
fn self_signed() -> Identity {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    Identity {
        acceptor: acceptor(&certificate, &key),
        authority: certificate.pem(),
    }
}

pub(super) fn attacks() -> Vec<Attack> {
    let here = || vec!["localhost".to_owned()];
    let honest = || vec![send(with_length("text/event-stream", &events(ANSWER)))];
    let over_tls = |name, what, identity: &Identity, ca: Option<&str>, ends| Attack {
        front: Front::Tls(identity.acceptor.clone()),
        ca_pem: ca.map(str::to_owned),
        host: "localhost",
        scheme: "https",
        ..attack(name, what, honest(), ends)
    };
    let right = signed(here(), |_| ());
    let another = signed(vec!["other.example".to_owned()], |_| ());
    let many = (0..1_500).map(|at| format!("name-{at}.other.example"));
    let many = signed(many.collect(), |_| ());
    let expired = signed(here(), |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
    });
    let early = signed(here(), |params| {
        params.not_before = date_time_ymd(2999, 1, 1);
        params.not_after = date_time_ymd(2999, 2, 1);
    });
    let own = self_signed();
    vec![
        over_tls(
            "certificate-of-a-configured-authority",
            "nothing: this is how it should be",
            &right,
            Some(&right.authority),
            Ends::Harmless,
        ),
        over_tls(
            "certificate-for-another-name",
            "a certificate for `other.example`",
            &another,
            Some(&another.authority),
            Ends::In("unreachable"),
        ),
        over_tls(
            "certificate-for-1500-names",
            "a certificate for 1,500 other names, which the message does not list",
            &many,
            Some(&many.authority),
            Ends::In("unreachable"),
        ),
        over_tls(
            "certificate-expired",
            "a certificate that has expired",
            &expired,
            Some(&expired.authority),
            Ends::In("unreachable"),
        ),
        over_tls(
            "certificate-not-yet-valid",
            "a certificate that is not valid yet",
            &early,
            Some(&early.authority),
            Ends::In("unreachable"),
        ),
        over_tls(
            "certificate-self-signed",
            "a certificate that it signed itself",
            &own,
            None,
            Ends::In("unreachable"),
        ),
        over_tls(
            "certificate-self-signed-and-configured",
            "the same, where the configuration trusts it",
            &own,
            Some(&own.authority),
            Ends::Harmless,
        ),
        over_tls(
            "certificate-of-another-authority",
            "a certificate of another authority than the configured one",
            &right,
            Some(&another.authority),
            Ends::In("unreachable"),
        ),
        Attack {
            front: Front::Plain,
            reads: Reads::FirstByte,
            ..over_tls(
                "plain-http-instead-of-tls",
                "plain HTTP, where TLS is configured",
                &right,
                Some(&right.authority),
                Ends::In("unreachable"),
            )
        }
        .answering("HTTP/1.1 400 Bad Request\r\n\r\n"),
        Attack {
            scheme: "http",
            ..over_tls(
                "tls-instead-of-plain-http",
                "TLS, where plain HTTP is configured",
                &right,
                Some(&right.authority),
                Ends::In("protocol"),
            )
        },
        Attack {
            front: Front::Mute,
            ..over_tls(
                "stalled-handshake",
                "takes the connection and never answers the handshake",
                &right,
                Some(&right.authority),
                Ends::In("timeout"),
            )
        }
        .limited(|limits| limits.with_connect_timeout(Duration::from_secs(1))),
        Attack {
            steps: vec![
                send(&with_length("text/event-stream", &events(ANSWER)).as_bytes()[..150]),
                Step::Close,
            ],
            ..over_tls(
                "tls-cut",
                "ends TLS in the middle of the answer",
                &right,
                Some(&right.authority),
                Ends::In("interrupted"),
            )
        },
    ]
}
