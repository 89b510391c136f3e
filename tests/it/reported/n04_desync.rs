//! Bytes of one request that become the next chat's request.
//!
//! A plugin smuggles a request in the body of another one. The server does not read that body, and the
//! connection is used again: what follows on it answers the smuggled request, and the next chat gets
//! that answer. Each attack ends in a denial, or in a connection that is not used again.

use provider_host::egress::Egress;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::wire::{self, Reads, Server, answer, ask, get, post};
use super::{Attack, ended};

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        number: "4a",
        attempt: "a request in the body of a `GET`, for a server that ignores bodies of `GET`",
        ends: "a GET request may not have a body",
        test: "a_get_with_a_body_is_refused_before_anything_is_sent",
    },
    Attack {
        number: "4b",
        attempt: "the beginning of a request in the body of a `POST` that is answered 400 or 503 before the body is read",
        ends: "the next chat got: answered 200: /v1/models, on connection 2 of 2",
        test: "an_answer_before_the_body_was_read_costs_the_connection",
    },
    Attack {
        number: "4c",
        attempt: "the same, answered with a redirect",
        ends: "the next chat got: answered 200: /v1/models, on connection 2 of 2",
        test: "an_answer_before_the_body_was_read_costs_the_connection",
    },
    Attack {
        number: "4d",
        attempt: "the same, answered 200 by a server that ignores bodies",
        ends: "the next chat got: answered 200: /v1/models, on connection 2 of 2",
        test: "an_answer_before_the_body_was_read_costs_the_connection",
    },
    Attack {
        number: "4e",
        attempt: "an answer of 200 that comes while 16 MiB of the body are still to be written",
        ends: "the next chat got: answered 200: next, on connection 2",
        test: "an_answer_that_overtakes_its_request_costs_the_connection",
    },
    Attack {
        number: "4f",
        attempt: "an answer of HTTP/1.0 that claims to keep the connection",
        ends: "2 connections",
        test: "an_answer_whose_end_can_be_read_in_two_ways_costs_the_connection",
    },
    Attack {
        number: "4g",
        attempt: "an answer 204 or 304 that announces a body, which may come later",
        ends: "2 connections",
        test: "an_answer_whose_end_can_be_read_in_two_ways_costs_the_connection",
    },
    Attack {
        number: "4h",
        attempt: "an answer with the same `content-length` twice",
        ends: "2 connections",
        test: "an_answer_whose_end_can_be_read_in_two_ways_costs_the_connection",
    },
    Attack {
        number: "4i",
        attempt: "half of an answer's head on a connection that is used again, to have the request sent twice",
        ends: "the server closed the connection without an answer",
        test: "a_request_that_the_server_began_to_answer_is_not_sent_again",
    },
];

/// The beginning of a request. The next request on the connection is its end.
const SMUGGLED: &str = "POST /admin HTTP/1.1\r\nhost: h\r\nx: ";

/// Answers with the path that was asked for.
fn by_path(request: &str) -> String {
    let path = request.split(' ').nth(1).unwrap_or_default();
    match path {
        "/v1/refuse" => answer("400 Bad Request", path),
        "/v1/full" => answer("503 Service Unavailable", path),
        "/v1/moved" => answer("307 Temporary Redirect", path),
        _ => answer("200 OK", path),
    }
}

/// What a chat gets that is not the attacker's.
async fn victim(egress: &Egress, server: &Server) -> String {
    let got = ask(egress, get(&server.url("/v1/models"))).await;
    let requests = server.requests();
    let (connection, _) = requests.last().expect("a request");
    let of = server.connections();
    format!(
        "the next chat got: {got}, on connection {} of {of}",
        connection + 1
    )
}

#[tokio::test]
async fn a_get_with_a_body_is_refused_before_anything_is_sent() {
    const REFUSED: &str = "a GET request may not have a body";
    let server = Server::start(Reads::Heads, by_path).await;
    let egress = server.egress("/v1");
    let url = server.url("/v1/models");

    let mut with_body = get(&url);
    *with_body.body_mut() = wire::body(SMUGGLED);
    ended("4a", &ask(&egress, with_body).await);

    let mut announced = get(&url);
    let length = http::HeaderValue::from(SMUGGLED.len());
    announced.headers_mut().insert("content-length", length);
    let outcome = ask(&egress, announced).await;
    assert!(outcome.contains(REFUSED), "{outcome}");

    let mut trailers = get(&url);
    *trailers.body_mut() = {
        use http_body_util::BodyExt as _;
        let fields = async { Some(Ok(http::HeaderMap::new())) };
        wire::body("").with_trailers(fields).boxed_unsync()
    };
    let outcome = ask(&egress, trailers).await;
    assert!(outcome.contains(REFUSED), "{outcome}");

    let mut head = get(&url);
    *head.method_mut() = http::Method::HEAD;
    *head.body_mut() = wire::body(SMUGGLED);
    let outcome = ask(&egress, head).await;
    assert!(outcome.contains("method HEAD is not granted"), "{outcome}");
    assert!(server.requests().is_empty(), "{:?}", server.requests());

    // A body of no bytes is none, and a length of 0 announces none.
    let mut empty = get(&url);
    let zero = http::HeaderValue::from_static("0");
    empty.headers_mut().insert("content-length", zero);
    assert_eq!(ask(&egress, empty).await, "answered 200: /v1/models");
    let next = victim(&egress, &server).await;
    assert_eq!(
        next,
        "the next chat got: answered 200: /v1/models, on connection 1 of 1"
    );
}

#[tokio::test]
async fn an_answer_before_the_body_was_read_costs_the_connection() {
    for (row, path) in [
        ("4b", "/v1/refuse"),
        ("4b", "/v1/full"),
        ("4c", "/v1/moved"),
        ("4d", "/v1/health"),
    ] {
        let server = Server::start(Reads::Heads, by_path).await;
        let egress = server.egress("/v1");
        ask(&egress, post(&server.url(path), SMUGGLED)).await;
        ended(row, &victim(&egress, &server).await);
    }
    // Behind JSON, behind empty lines, behind blanks and without an end.
    for smuggled in [
        format!("{{\"a\": 1}}\n{SMUGGLED}"),
        format!("\r\n\r\n{SMUGGLED}"),
        format!("  \t{SMUGGLED}"),
        format!("1\r{SMUGGLED}"),
        "GET /admin HTTP/1.1\r\nhost: h\r\n\r\n".to_owned(),
    ] {
        let server = Server::start(Reads::Heads, by_path).await;
        let egress = server.egress("/v1");
        ask(&egress, post(&server.url("/v1/health"), smuggled)).await;
        ended("4d", &victim(&egress, &server).await);
    }
}

#[tokio::test]
async fn an_answer_that_overtakes_its_request_costs_the_connection() {
    const BODY: usize = 16 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (report, mut connections) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        for number in 1.. {
            let Ok((mut socket, _)) = listener.accept().await else {
                return;
            };
            let report = report.clone();
            tokio::spawn(async move {
                let mut piece = vec![0; 1 << 20];
                while let Ok(1..) = socket.read(&mut piece).await {
                    let _ = report.send(number);
                    let text = if number == 1 { "early" } else { "next" };
                    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                    let chunk = format!("{head}{:x}\r\n{text}\r\n", text.len());
                    socket.write_all(chunk.as_bytes()).await.expect("a client");
                    // The rest of the request comes while the answer is under way.
                    let mut read = 1 << 20;
                    while number == 1 && read < BODY {
                        read += socket.read(&mut piece).await.unwrap_or(BODY).max(1);
                    }
                    let _ = socket.write_all(b"0\r\n\r\n").await;
                }
            });
        }
    });
    let url = format!("http://{address}/v1");
    let origin = provider_host::policy::Origin::parse(&url).expect("an origin");
    let egress = Egress::new(provider_host::policy::Grant::new(origin)).expect("an egress");
    let large = format!("[{}]", "1,".repeat(BODY / 2));
    let first = ask(&egress, post(&url, large)).await;
    assert_eq!(first, "answered 200: early");
    let next = ask(&egress, get(&url)).await;
    drop(egress);
    let mut last = 0;
    while let Ok(number) = connections.try_recv() {
        last = number;
    }
    ended(
        "4e",
        &format!("the next chat got: {next}, on connection {last}"),
    );
}

#[tokio::test]
async fn an_answer_whose_end_can_be_read_in_two_ways_costs_the_connection() {
    type Answer = fn(&str) -> String;
    let cases: [(&str, Answer); 5] = [
        ("4f", |_| {
            "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok".to_owned()
        }),
        ("4g", |_| {
            "HTTP/1.1 204 No Content\r\ncontent-length: 9\r\n\r\n".to_owned()
        }),
        ("4g", |_| {
            "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n".to_owned()
        }),
        ("4g", |_| {
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n".to_owned()
        }),
        ("4h", |_| {
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok".to_owned()
        }),
    ];
    for (row, answer) in cases {
        let server = Server::start(Reads::Whole, answer).await;
        let egress = server.egress("/v1");
        for _ in 0..2 {
            ask(&egress, get(&server.url("/v1/models"))).await;
        }
        ended(row, &format!("{} connections", server.connections()));
    }
}

#[tokio::test]
async fn a_request_that_the_server_began_to_answer_is_not_sent_again() {
    // The first request of a connection is answered; the second gets the beginning of a head.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (report, mut requests) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            for answer in [answer("200 OK", "ok"), "HTTP/1.1 2".to_owned()] {
                let mut piece = [0; 4096];
                let Ok(1..) = socket.read(&mut piece).await else {
                    break;
                };
                let _ = report.send(());
                socket.write_all(answer.as_bytes()).await.expect("a client");
            }
        }
    });
    let url = format!("http://{address}/v1");
    let origin = provider_host::policy::Origin::parse(&url).expect("an origin");
    let egress = Egress::new(provider_host::policy::Grant::new(origin)).expect("an egress");
    assert_eq!(ask(&egress, post(&url, "{}")).await, "answered 200: ok");
    ended("4i", &ask(&egress, post(&url, "{}")).await);
    let mut count = 0;
    while requests.try_recv().is_ok() {
        count += 1;
    }
    assert_eq!(count, 2);
}

#[tokio::test]
async fn ordinary_chats_share_one_connection() {
    use crate::support::{ask as question, model, plugin, run};
    use provider_host::types::Settings;
    use provider_host::{Provider, ProviderOptions};

    fn vllm(request: &str) -> String {
        if request.starts_with("GET") {
            return answer("200 OK", r#"{"data":[{"id":"m","max_model_len":4096}]}"#);
        }
        let events = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\
                      \"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked";
        format!("{head}\r\n\r\n{:x}\r\n{events}\r\n0\r\n\r\n", events.len())
    }
    let server = Server::start(Reads::Whole, vllm).await;
    let settings = Settings::at(&server.url("/v1")).with_api_key("key");
    let options = ProviderOptions::new(settings, server.grant("/v1"));
    let provider = Provider::new(plugin(), options).expect("a provider");
    provider.list_models().await.expect("models");
    for _ in 0..5 {
        let (_, error) = run(
            &provider,
            &model("m"),
            &question("Line one.\nGET / HTTP/1.1\n"),
        )
        .await;
        assert!(error.is_none(), "{error:?}");
    }
    assert_eq!((server.requests().len(), server.connections()), (6, 1));
}
