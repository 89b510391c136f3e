//! What goes out, what is refused, and what comes back as it is.

use super::*;
use crate::policy::{BasePath, Binding, Denial, Secret, Secrets};

#[tokio::test]
async fn the_server_sees_the_guests_headers_and_nothing_of_ours_but_framing() {
    let (address, requests) = answering(OK).await;
    let request = http::Request::post(format!("http://{address}/v1/chat/completions?a=b"))
        .header("accept", "text/event-stream")
        .header("x-twice", "1")
        .header("x-twice", "2")
        .header("content-length", "7")
        .header("accept-encoding", "gzip")
        .header("expect", "100-continue")
        .header("te", "trailers")
        .body(body("{\"a\":1}"))
        .unwrap();
    let mut hooks = egress(address).hooks();
    assert_eq!(fetch(&mut hooks, request).await.unwrap(), "ok");
    let request = requests.lock().unwrap().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /v1/chat/completions?a=b HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {address}");
    let expected = [
        "accept: text/event-stream",
        "content-length: 7",
        &host,
        "x-twice: 1",
        "x-twice: 2",
    ];
    assert_eq!(lines, expected);
    assert_eq!(body, "{\"a\":1}");
}

#[tokio::test]
async fn a_body_that_comes_in_pieces_is_sent_whole() {
    let (address, requests) = answering(OK).await;
    let pieces = ["{\"a\"", "", ":", "1}"].map(|piece| {
        Ok::<_, WasiError>(http_body::Frame::data(Bytes::from_static(piece.as_bytes())))
    });
    let pieces = Pieces(pieces.into_iter().collect()).boxed_unsync();
    let request = http::Request::post(url(address)).body(pieces).unwrap();
    fetch(&mut egress(address).hooks(), request).await.unwrap();
    assert!(requests.lock().unwrap()[0].ends_with("content-length: 7\r\n\r\n{\"a\":1}"));
}

/// A body of given frames.
struct Pieces(std::collections::VecDeque<Result<http_body::Frame<Bytes>, WasiError>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = WasiError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, WasiError>>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}

#[tokio::test]
async fn a_body_that_the_guest_breaks_off_is_not_sent() {
    let (address, requests) = answering(OK).await;
    let broken = Pieces([Err(WasiError::HttpProtocolError)].into()).boxed_unsync();
    let request = http::Request::post(url(address)).body(broken).unwrap();
    let mut hooks = egress(address).hooks();
    let told = fetch(&mut hooks, request).await.unwrap_err();
    assert!(told.starts_with("InternalError("), "{told}");
    assert!(requests.lock().unwrap().is_empty());
    assert!(!hooks.last_failure().unwrap().request_sent());
}

/// A grant with a key, and the key's placeholder.
fn with_key(address: SocketAddr, key: &str) -> (Egress, String) {
    let mut secrets = Secrets::new();
    let minted = secrets.mint(Secret::new(key).unwrap(), Binding::api_key());
    let egress = Egress::new(grant(address).with_secrets(secrets)).unwrap();
    (egress, minted.unwrap().as_str().to_owned())
}

#[tokio::test]
async fn a_secret_is_put_where_it_is_bound_and_a_request_with_it_elsewhere_is_not_sent() {
    let (address, requests) = answering(OK).await;
    let (egress, key) = with_key(address, "sk-real");
    let mut hooks = egress.hooks();
    let plain = || http::Request::post(format!("http://{address}/v1"));
    let misplaced = [
        plain().header("x-request-id", &key).body(body("")),
        plain()
            .header("user-agent", format!("http://{key}"))
            .body(body("")),
        plain().header(format!("x-{key}"), "name").body(body("")),
        plain().body(body(format!("[\"{key}\"]"))),
        http::Request::get(format!("http://{address}/v1/{key}")).body(body("")),
        http::Request::get(format!("http://{address}/v1?k={key}")).body(body("")),
    ];
    for request in misplaced {
        let told = fetch(&mut hooks, request.unwrap()).await.unwrap_err();
        assert_eq!(told, "HttpRequestDenied");
        let failure = hooks.last_failure().unwrap();
        let secret = matches!(&failure, TransportError::Denied(Denial::Secret(_)));
        assert!(secret && !failure.request_sent(), "{failure}");
        assert!(!failure.to_string().contains("sk-real"), "{failure}");
    }
    assert!(requests.lock().unwrap().is_empty());
    let request = plain()
        .header("authorization", format!("Bearer {key}"))
        .body(body("{}"));
    fetch(&mut hooks, request.unwrap()).await.unwrap();
    let request = requests.lock().unwrap().remove(0);
    assert!(request.contains("authorization: Bearer sk-real\r\n"));
    assert!(!request.contains("placeholder-"), "{request}");
}

const KEY: &str = "sk-0123456789abcdef-real";

#[tokio::test]
async fn a_secret_in_a_head_is_taken_out_and_no_length_tells_of_it() {
    let answer = format!(
        "HTTP/1.1 401 {KEY}\r\nx-echo: Bearer {KEY}!\r\nx-{KEY}: 1\r\nx-upper: {}\r\n\
         x-request-id: 7\r\ncontent-length: 24\r\n\r\n{KEY}",
        KEY.to_uppercase()
    );
    let (address, _) = answering(answer).await;
    let (egress, key) = with_key(address, KEY);
    let request = http::Request::get(url(address)).header("x-api-key", key);
    let response = send(&mut egress.hooks(), request.body(body("")).unwrap()).await;
    let response = response.unwrap();
    let mut fields: Vec<_> = response
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    fields.sort_unstable();
    let expected = [
        "x-***: 1",
        "x-echo: Bearer ***!",
        "x-request-id: 7",
        "x-upper: ***",
    ];
    assert_eq!(fields, expected);
    let hint = http_body::Body::size_hint(response.body());
    assert_eq!((hint.lower(), hint.upper()), (0, None));
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(text, "***");
    // Without a secret to find, a guest is told what the server said.
    let (address, _) = answering(OK).await;
    let response = send(&mut egress_without(address), get(&url(address))).await;
    assert_eq!(response.unwrap().headers()["content-length"], "2");
}

fn egress_without(address: SocketAddr) -> Hooks {
    egress(address).hooks()
}

#[tokio::test]
async fn a_secret_in_a_content_coding_is_told_to_nobody() {
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-encoding: {KEY}\r\n\r\n");
    let (address, _) = answering(answer).await;
    let (egress, _) = with_key(address, KEY);
    let mut hooks = egress.hooks();
    let told = fetch(&mut hooks, get(&url(address))).await.unwrap_err();
    assert_eq!(told, "HttpResponseContentCoding(Some(\"***\"))");
    assert!(!format!("{:?}", hooks.last_failure()).contains(KEY));
}

#[tokio::test]
async fn a_secret_in_trailers_is_taken_out() {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-echo\r\n\r\n\
         6\r\nsk-012\r\n0\r\nx-echo: {KEY}\r\n\r\n"
    );
    let (address, _) = answering(answer).await;
    let (egress, _) = with_key(address, KEY);
    let request = http::Request::get(url(address)).header("te", "trailers");
    let response = send(&mut egress.hooks(), request.body(body("")).unwrap()).await;
    let collected = response.unwrap().into_body().collect().await.unwrap();
    let trailers = collected.trailers().cloned();
    assert_eq!(collected.to_bytes(), "sk-012");
    assert_eq!(trailers.unwrap()["x-echo"], "***");
}

#[tokio::test]
async fn a_request_outside_the_grant_is_denied_and_nothing_is_sent() {
    let (granted, requests) = answering(OK).await;
    let (other, others) = answering(OK).await;
    let mut hooks = egress(granted).hooks();
    let targets = [
        format!("http://{other}/v1/models"),
        format!("https://{granted}/v1/models"),
        format!("http://localhost:{}/v1/models", granted.port()),
        format!("http://127.0.0.2:{}/v1/models", granted.port()),
        format!("http://user:pw@{granted}/v1/models"),
        format!("http://{granted}/v1/%2e%2e/metrics"),
    ];
    for target in targets {
        let told = fetch(&mut hooks, get(&target)).await.unwrap_err();
        assert_eq!(told, "HttpRequestDenied", "{target}");
        let failure = hooks.last_failure().unwrap();
        assert!(failure.is_policy() && !failure.request_sent(), "{failure}");
    }
    let team = grant(granted).with_base_path(BasePath::of_base_url("http://h/team-a/v1").unwrap());
    let mut team = Egress::new(team).unwrap().hooks();
    for path in [
        "/",
        "/team-b/v1/models",
        "/team-a/../team-b",
        "/team-a/%2e%2e/team-b",
        "/team-a/..;/team-b",
        "/team-a%2f..%2fteam-b",
        "/team-a/%5c..%5cteam-b",
        "//team-a/v1",
        "/%74eam-a/v1",
        "/team-ab/v1",
        "/v1?x=/team-a/",
    ] {
        let told = fetch(&mut team, get(&format!("http://{granted}{path}"))).await;
        assert_eq!(told.unwrap_err(), "HttpRequestDenied", "{path}");
        assert!(team.last_failure().unwrap().is_policy(), "{path}");
    }
    let denied = team.last_failure().unwrap().to_string();
    assert!(
        denied.contains("not below the granted `/team-a/`"),
        "{denied}"
    );
    for method in ["PUT", "DELETE", "CONNECT", "HEAD", "TRACE", "BREW"] {
        let mut request = get(&url(granted));
        *request.method_mut() = method.parse().unwrap();
        assert_eq!(
            fetch(&mut hooks, request).await.unwrap_err(),
            "HttpRequestDenied"
        );
        let failure = hooks.last_failure();
        assert!(matches!(
            failure,
            Some(TransportError::Denied(Denial::Method(_)))
        ));
    }
    for (method, name, value, denied) in [
        (
            "GET",
            "content-length",
            "7",
            "a GET request may not have a body",
        ),
        (
            "POST",
            "x-original-url",
            "/admin",
            "the header `x-original-url` could tell",
        ),
        (
            "POST",
            "x_team",
            "red",
            "the header `x_team` has other characters",
        ),
        (
            "POST",
            "cookie",
            "a=b",
            "the header `cookie` is not one that a provider needs",
        ),
    ] {
        let mut request = get(&url(granted));
        *request.method_mut() = method.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
        let told = fetch(&mut hooks, request).await.unwrap_err();
        assert_eq!(told, "HttpRequestDenied", "{name}");
        let failure = hooks.last_failure().unwrap();
        assert!(failure.is_policy() && !failure.request_sent(), "{failure}");
        assert!(failure.to_string().contains(denied), "{failure}");
    }
    assert!(requests.lock().unwrap().is_empty());
    assert!(others.lock().unwrap().is_empty());
    for path in ["/team-a/v1/models", "/team-a/version", "/team-a"] {
        let answer = fetch(&mut team, get(&format!("http://{granted}{path}"))).await;
        assert_eq!(answer.as_deref(), Ok("ok"), "{path}");
    }
}

#[tokio::test]
async fn metadata_and_link_local_addresses_are_never_dialled() {
    for host in [
        "169.254.169.254",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
    ] {
        let url = format!("http://{host}/latest/meta-data");
        let grant = Grant::new(Origin::parse(&url).unwrap()).with_private_network(true);
        let mut hooks = Egress::new(grant).unwrap().hooks();
        let told = fetch(&mut hooks, get(&url)).await.unwrap_err();
        assert_eq!(told, "DestinationIpProhibited", "{host}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let (elsewhere, others) = answering(OK).await;
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{elsewhere}/v1\r\ncontent-length: 0\r\n\r\n"
    );
    let (address, _) = answering(redirect).await;
    let response = send(&mut egress(address).hooks(), get(&url(address)))
        .await
        .unwrap();
    assert_eq!(response.status(), 307);
    assert!(response.headers().contains_key("location"));
    assert!(others.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_refused_by_name() {
    let cases = [
        (
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nxx",
            "HttpResponseContentCoding(Some(\"gzip\"))",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HttpProtocolError",
        ),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "HttpProtocolError"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "HttpProtocolError",
        ),
    ];
    for (answer, expected) in cases {
        let (address, _) = answering(answer).await;
        let mut hooks = egress(address).hooks();
        let told = fetch(&mut hooks, get(&url(address))).await.unwrap_err();
        assert_eq!(told, expected, "{answer:?}");
        assert!(hooks.last_failure().unwrap().request_sent());
    }
}

#[tokio::test]
async fn identity_is_no_coding() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-encoding: Identity\r\ncontent-length: 2\r\n\r\nok";
    let (address, _) = answering(answer).await;
    let mut hooks = egress(address).hooks();
    assert_eq!(fetch(&mut hooks, get(&url(address))).await.unwrap(), "ok");
    assert_eq!(hooks.last_failure(), None);
}

#[tokio::test]
async fn nobody_listening_is_told_apart_from_no_such_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut hooks = egress(address).hooks();
    let told = fetch(&mut hooks, get(&url(address))).await.unwrap_err();
    assert_eq!(told, "ConnectionRefused");
    assert_eq!(
        hooks.last_failure(),
        Some(TransportError::Refused { address })
    );

    // RFC 6761 §6.4: this name never resolves.
    let nowhere = "http://nowhere.invalid/v1";
    let mut hooks = Egress::new(Grant::new(Origin::parse(nowhere).unwrap()))
        .unwrap()
        .hooks();
    let told = fetch(&mut hooks, get(nowhere)).await.unwrap_err();
    assert!(told.starts_with("DnsError"), "{told}");
}

#[tokio::test]
async fn a_name_is_resolved_and_dialled() {
    let (address, _) = answering(OK).await;
    let url = format!("http://LOCALHOST:{}/v1", address.port());
    let mut hooks = Egress::new(Grant::new(Origin::parse(&url).unwrap()))
        .unwrap()
        .hooks();
    assert_eq!(fetch(&mut hooks, get(&url)).await.unwrap(), "ok");
}

/// Each failure once, with `words` wherever a text from outside stands.
fn every_failure(words: &str) -> Vec<TransportError> {
    let after = Duration::from_secs(1);
    let text = || words.to_owned();
    let host = || "gpu.example".to_owned();
    let address = ([127, 0, 0, 1], 80).into();
    let prohibited = crate::policy::Reach::Public
        .judge([10, 0, 0, 1].into())
        .unwrap_err();
    vec![
        TransportError::Denied(Denial::Authority),
        TransportError::TooManyRequests { limit: 1 },
        TransportError::ConnectionsUsedUp { limit: 1 },
        TransportError::FurtherConnectionsUsedUp { limit: 1 },
        TransportError::LookupsUsedUp {
            host: host(),
            limit: 1,
        },
        TransportError::OutOfResources {
            what: "a connection".to_owned(),
            detail: text(),
        },
        TransportError::RequestBodyTooLarge { limit: 1 },
        TransportError::NoMemory { shared: 1 << 20 },
        TransportError::RequestBody(text()),
        TransportError::Configuration(text()),
        TransportError::Dns {
            host: host(),
            detail: text(),
        },
        TransportError::DnsTimeout {
            host: host(),
            after,
        },
        TransportError::Prohibited(prohibited),
        TransportError::Refused { address },
        TransportError::Unreachable {
            address,
            detail: text(),
        },
        TransportError::ConnectTimeout {
            host: host(),
            after,
        },
        TransportError::TlsTimeout {
            host: host(),
            after,
        },
        TransportError::Certificate {
            host: host(),
            detail: text(),
        },
        TransportError::TlsAlert {
            host: host(),
            id: 1,
            alert: text(),
        },
        TransportError::Tls {
            host: host(),
            detail: text(),
        },
        TransportError::FirstByteTimeout { after },
        TransportError::IdleTimeout { after },
        TransportError::TotalTimeout { after },
        TransportError::Closed(text()),
        TransportError::Incomplete(text()),
        TransportError::Protocol(text()),
        TransportError::HeadersTooLarge {
            limit: 1,
            fields: 1,
        },
        TransportError::ResponseBodyTooLarge { limit: 1 },
        TransportError::ContentCoding(text()),
    ]
}

#[test]
fn no_failure_floods_its_reader_or_speaks_to_a_terminal() {
    let words = "\x1b]0;title\x07\u{9b}2J\r\n\u{202e}".repeat(10_000);
    for failure in every_failure(&words) {
        let detail = failure.detail().unwrap_or_default();
        for shown in [failure.to_string(), detail, format!("{:?}", failure.code())] {
            // Configuration is the host's own words.
            let own = matches!(failure, TransportError::Configuration(_));
            assert!(own || shown.len() < 2048, "{} bytes", shown.len());
            let odd = |one: char| one.is_control() || one == '\u{202e}';
            assert!(own || !shown.contains(odd), "{shown:?}");
        }
    }
}

#[test]
fn every_failure_has_an_error_code_in_a_body_too() {
    use super::super::{error_code, link_http_error_code};
    for failure in every_failure("words") {
        let code = failure.code();
        // The two enums have the same names, so that a wrong pair shows.
        let told = format!("{:?}", error_code(&code).unwrap());
        let named = |text: &str| text.split(['(', ' ']).next().unwrap().to_owned();
        assert_eq!(
            named(&told).rsplit("::").next(),
            Some(named(&format!("{code:?}")).as_str())
        );
    }

    let mut linker = wasmtime::component::Linker::<Store>::new(&wasmtime::Engine::default());
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
    link_http_error_code(&mut linker).unwrap();

    struct Store;
    impl wasmtime_wasi_http::WasiHttpView for Store {
        fn http(&mut self) -> wasmtime_wasi_http::WasiHttpCtxView<'_> {
            unreachable!("nothing is instantiated")
        }
    }
}
