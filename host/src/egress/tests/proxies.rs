//! HTTP proxies: what they are asked and told, and what each of their refusals is called.

use super::super::{NetworkTransport, ProxyFailure, ProxyFault, Resolver, Resolving};
use super::*;
use crate::policy::Proxy;
use std::net::{IpAddr, Ipv4Addr};
use tokio::io::copy;

const PASSWORD: &str = "open-sesame-42";

/// A proxy that connects whatever it is asked for to `target`. What clients sent is kept.
async fn tunnelling(target: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&heard);
    let address = server(move |mut client, _| {
        let kept = Arc::clone(&kept);
        async move {
            let Some(head) = read_request(&mut client).await else {
                return;
            };
            kept.lock().unwrap().push(head);
            let interim =
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Connection established\r\n\r\n";
            client.write_all(interim.as_bytes()).await.unwrap();
            let mut origin = TcpStream::connect(target).await.unwrap();
            let (mut from_client, mut to_client) = client.split();
            let (mut from_origin, mut to_origin) = origin.split();
            let up = async {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
                    let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
                    kept.lock().unwrap().push(text);
                    if to_origin.write_all(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! {
                () = up => {}
                _ = copy(&mut from_origin, &mut to_client) => {}
            }
        }
    })
    .await;
    (address, heard)
}

fn proxied(url: &str, proxy: &str) -> Grant {
    let grant = Grant::new(Origin::parse(url).unwrap());
    grant.with_proxy(Proxy::parse(proxy).unwrap())
}

fn through(url: &str, proxy: &str) -> Hooks {
    Egress::new(proxied(url, proxy)).unwrap().hooks()
}

/// The proxy's failure, which the last request ended in.
#[track_caller]
fn failure(hooks: &Hooks) -> ProxyFailure {
    let failure = hooks.last_failure().unwrap();
    assert!(
        !failure.request_sent() && failure.advice().is_none(),
        "{failure:?}"
    );
    let shown = format!("{failure} {failure:?} {:?}", failure.detail());
    assert!(!shown.contains(PASSWORD), "{shown}");
    match failure {
        TransportError::Proxy(failure) => *failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_to_an_http_origin_goes_to_the_proxy_with_the_whole_url() {
    let (proxy, requests) = answering(OK).await;
    let url = "http://gpu.example:8000/v1/models?limit=1";
    let mut hooks = through(url, &format!("http://me:{PASSWORD}@{proxy}"));
    let mut request = get(url);
    // The plugin's own is not what goes out.
    let headers = request.headers_mut();
    headers.insert("accept", "application/json".parse().unwrap());
    assert_eq!(fetch(&mut hooks, request).await.unwrap(), "ok");
    let request = requests.lock().unwrap().pop().unwrap();
    let mut lines: Vec<&str> = request.trim_end().split("\r\n").collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "GET http://gpu.example:8000/v1/models?limit=1 HTTP/1.1",
            "accept: application/json",
            "host: gpu.example:8000",
            "proxy-authorization: Basic bWU6b3Blbi1zZXNhbWUtNDI=",
        ]
    );

    let mut hooks = through("http://gpu.example/v1", &format!("http://{proxy}"));
    let request = http::Request::post("http://gpu.example/v1/x").body(body("{}"));
    assert_eq!(fetch(&mut hooks, request.unwrap()).await.unwrap(), "ok");
    let request = requests.lock().unwrap().pop().unwrap();
    assert!(
        request.starts_with("POST http://gpu.example/v1/x HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains("\r\nhost: gpu.example\r\n"), "{request}");
    assert!(!request.contains("proxy-authorization"), "{request}");
}

#[tokio::test]
async fn a_connection_to_the_proxy_is_used_again_for_the_same_origin() {
    let connections: Arc<Mutex<usize>> = Arc::default();
    let counted = Arc::clone(&connections);
    let proxy = server(move |mut stream, _| {
        *counted.lock().unwrap() += 1;
        async move {
            while read_request(&mut stream).await.is_some() {
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let url = "http://gpu.example/v1";
    let mut hooks = through(url, &proxy.to_string());
    for _ in 0..3 {
        assert_eq!(fetch(&mut hooks, get(url)).await.unwrap(), "ok");
    }
    assert_eq!(*connections.lock().unwrap(), 1);
}

#[tokio::test]
async fn an_https_origin_has_a_tunnel_and_the_proxy_sees_its_name_and_no_more() {
    let (target, ca) = tls::tls_server(&["gpu.example"]).await;
    let (proxy, heard) = tunnelling(target).await;
    let url = "https://gpu.example/v1";
    let grant = proxied(url, &format!("http://me:{PASSWORD}@{proxy}")).with_ca_pem(ca);
    let mut hooks = Egress::new(grant).unwrap().hooks();
    for _ in 0..2 {
        let mut request = get(url);
        let headers = request.headers_mut();
        headers.insert("authorization", "Bearer the-key".parse().unwrap());
        assert_eq!(fetch(&mut hooks, request).await.unwrap(), "ok");
    }
    let heard = heard.lock().unwrap();
    assert_eq!(
        heard[0],
        "CONNECT gpu.example:443 HTTP/1.1\r\nHost: gpu.example:443\r\n\
         Proxy-Authorization: Basic bWU6b3Blbi1zZXNhbWUtNDI=\r\n\r\n"
    );
    let rest = heard[1..].concat();
    for word in ["the-key", "uthorization", "GET", "CONNECT", "bWU6"] {
        assert!(!rest.contains(word), "{word}");
    }
}

#[tokio::test]
async fn the_proxy_cannot_be_the_server_itself() {
    // It ends TLS itself, with a certificate that nobody trusts for this name.
    let (target, _) = tls::tls_server(&["gpu.example"]).await;
    let (_, ca) = tls::tls_server(&["gpu.example"]).await;
    let (proxy, heard) = tunnelling(target).await;
    let url = "https://gpu.example/v1";
    let grant = proxied(url, &proxy.to_string()).with_ca_pem(ca);
    let mut hooks = Egress::new(grant).unwrap().hooks();
    let told = fetch(&mut hooks, get(url)).await.unwrap_err();
    assert_eq!(told, "TlsCertificateError");
    assert!(!hooks.last_failure().unwrap().request_sent());
    assert!(!heard.lock().unwrap().concat().contains("GET"));
}

#[tokio::test]
async fn each_refusal_of_a_tunnel_is_called_what_it_is() {
    use ProxyFault as F;
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(32 << 10));
    let ntlm = "HTTP/1.1 407 Who\r\nproxy-authenticate: NTLM\r\n\
                Proxy-Authenticate: Negotiate x\r\n\r\n";
    let basic = "HTTP/1.1 407 Proxy Authentication Required\r\n\
                 Proxy-Authenticate: Basic realm=\"p\"\r\ncontent-length: 4\r\n\r\npage";
    let (none, me) = ("", "me:open-sesame-42@");
    for (answer, credentials, fault, words, retryable) in [
        (
            basic,
            none,
            F::CredentialsMissing,
            "http://USER:PASSWORD@HOST:PORT",
            false,
        ),
        (
            basic,
            me,
            F::CredentialsRefused,
            "does not accept the user name and password",
            false,
        ),
        (
            ntlm,
            me,
            F::CredentialsRefused,
            "by NTLM, Negotiate (407), and only Basic",
            false,
        ),
        (
            "HTTP/1.1 403 Forbidden\r\n\r\n",
            me,
            F::Forbidden,
            "does not allow a connection to gpu.example:443 (403 Forbidden)",
            false,
        ),
        (
            "HTTP/1.0 503 Service \x1b[2JUnavailable\r\n\r\n<html>",
            none,
            F::Status,
            "did not get through to gpu.example:443 (503 Service \u{fffd}[2JUnavailable)",
            true,
        ),
        (
            "HTTP/1.1 405 \r\n\r\n",
            none,
            F::Status,
            "(405); check that `request.proxy`",
            false,
        ),
        (
            "HTTP/1.1 302 Found\r\nlocation: x\r\n\r\n",
            none,
            F::Status,
            "(302 Found)",
            false,
        ),
        (
            "SSH-2.0-OpenSSH_9.6\r\n",
            none,
            F::Protocol,
            "is not HTTP/1.1",
            false,
        ),
        ("\x15\x03\x01", none, F::Protocol, "is not HTTP/1.1", false),
        (
            "HTTP/1.1 OK\r\n\r\n",
            none,
            F::Protocol,
            "has no status",
            false,
        ),
        (
            "HTTP/2 200\r\n\r\n",
            none,
            F::Protocol,
            "is not HTTP/1.1",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\n\r\nhello",
            none,
            F::Protocol,
            "sent data behind",
            false,
        ),
        (&*long, none, F::Protocol, "over 16 KiB", false),
        (
            "",
            me,
            F::Closed,
            "closed the connection without an answer",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nx: y",
            none,
            F::Closed,
            "closed the connection",
            true,
        ),
    ] {
        let kept = answer.as_bytes().to_vec();
        let proxy = server(move |mut stream, _| {
            let answer = kept.clone();
            async move {
                read_request(&mut stream).await;
                let _ = stream.write_all(&answer).await;
                if answer.starts_with(b"SSH") {
                    closed_by_client(&mut stream).await;
                }
            }
        })
        .await;
        let url = "https://gpu.example/v1";
        let mut hooks = through(url, &format!("http://{credentials}{proxy}"));
        fetch(&mut hooks, get(url)).await.unwrap_err();
        let failure = failure(&hooks);
        assert_eq!(failure.fault, fault, "{answer:?}: {failure}");
        assert!(failure.to_string().contains(words), "{answer:?}: {failure}");
        assert!(
            failure.to_string().contains(&proxy.to_string()),
            "{failure}"
        );
        assert_eq!(failure.is_retryable(), retryable, "{answer:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_silent_is_given_up() {
    let proxy = server(|mut stream, _| async move {
        closed_by_client(&mut stream).await;
    })
    .await;
    let limits = NetworkLimits::new().with_connect_timeout(Duration::from_millis(200));
    let url = "https://gpu.example/v1";
    let grant = proxied(url, &format!("me:{PASSWORD}@{proxy}")).with_limits(limits);
    let mut hooks = Egress::new(grant).unwrap().hooks();
    let told = fetch(&mut hooks, get(url)).await.unwrap_err();
    assert_eq!(told, "ConnectionTimeout");
    let failure = failure(&hooks);
    assert_eq!(failure.fault, ProxyFault::Silent);
    assert!(
        failure.to_string().contains("did not answer within 200ms"),
        "{failure}"
    );
    assert!(hooks.last_failure().unwrap().is_timeout());
}

/// Resolves the proxy's name, and nothing else may be asked for.
struct OnlyTheProxy(Option<IpAddr>);

impl Resolver for OnlyTheProxy {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        assert_eq!(host, "proxy.example");
        let found = self.0.ok_or_else(|| std::io::Error::other("no such name"));
        Box::pin(async move { found.map(|ip| vec![ip]) })
    }
}

fn named(url: &str, port: u16, ip: Option<Ipv4Addr>) -> Hooks {
    let grant = proxied(url, &format!("http://me:{PASSWORD}@proxy.example:{port}"));
    let resolver = Arc::new(OnlyTheProxy(ip.map(IpAddr::from)));
    let transport = NetworkTransport::with_resolver(&grant, resolver).unwrap();
    Egress::with_transport(grant, Arc::new(transport)).hooks()
}

#[tokio::test]
async fn the_proxys_name_is_resolved_here_and_the_origins_is_not() {
    let (proxy, requests) = answering(OK).await;
    let url = "http://gpu.example/v1";
    // The user named the proxy: a public name may lead to this machine.
    let mut hooks = named(url, proxy.port(), Some(Ipv4Addr::LOCALHOST));
    assert_eq!(fetch(&mut hooks, get(url)).await.unwrap(), "ok");
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_not_passed_by() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = gone.local_addr().unwrap().port();
    drop(gone);
    // A server that could be dialled itself.
    let (target, requests) = answering(OK).await;
    let url = url(target);
    for (ip, words) in [
        (Some(Ipv4Addr::LOCALHOST), "refused the connection"),
        (None, "its name could not be resolved: no such name"),
    ] {
        let mut hooks = named(&url, port, ip);
        let told = fetch(&mut hooks, get(&url)).await.unwrap_err();
        assert_eq!(told, "DestinationUnavailable");
        let failure = failure(&hooks);
        assert_eq!(failure.fault, ProxyFault::Unreachable);
        assert!(failure.to_string().contains(words), "{failure}");
        assert!(failure.to_string().contains("`request.proxy`"), "{failure}");
    }
    assert!(requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_origin_that_is_an_address_out_of_reach_is_not_asked_for_at_a_proxy_either() {
    let (proxy, requests) = answering(OK).await;
    for url in [
        "http://169.254.169.254/v1",
        "https://[fe80::1]/v1",
        "http://100.100.100.200/v1",
    ] {
        let mut hooks = through(url, &proxy.to_string());
        let told = fetch(&mut hooks, get(url)).await.unwrap_err();
        assert_eq!(told, "DestinationIpProhibited", "{url}");
    }
    assert!(requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_a_forwarding_proxy_says_itself_is_told_from_what_the_server_says() {
    let answer = |status: &str, field: &str| {
        format!("HTTP/1.1 {status}\r\n{field}\r\ncontent-length: 2\r\n\r\nno")
    };
    use ProxyFault as F;
    for (answer, fault) in [
        (
            answer("407 No", "proxy-authenticate: Basic realm=x"),
            Some(F::CredentialsRefused),
        ),
        (
            answer("403 Forbidden", "x-squid-error: ERR_ACCESS_DENIED 0"),
            Some(F::Forbidden),
        ),
        (
            answer("503 No", "proxy-status: p; error=dns_error"),
            Some(F::Status),
        ),
        (answer("403 Forbidden", "server: uvicorn"), None),
        (
            answer("503 No", "proxy-status: p; received-status=503"),
            None,
        ),
        (answer("200 OK", "x-squid-error: none"), None),
    ] {
        let (proxy, _) = answering(answer.clone()).await;
        let url = "http://gpu.example/v1";
        let mut hooks = through(url, &format!("http://me:{PASSWORD}@{proxy}"));
        let result = fetch(&mut hooks, get(url)).await;
        match fault {
            None => assert_eq!(result.unwrap(), "no", "{answer}"),
            Some(fault) => {
                assert_eq!(result.unwrap_err(), "HttpRequestDenied", "{answer}");
                assert_eq!(failure(&hooks).fault, fault, "{answer}");
            }
        }
    }
}
