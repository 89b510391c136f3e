//! How long, how large, how many.

use super::*;
use crate::egress::{Exchange, ResponseBody, Timing, Transport};
use crate::policy::{Binding, Secret, Secrets};

const SHORT: Duration = Duration::from_millis(40);

/// Sends `head`, and then nothing until the client closes.
async fn silent_after(head: &'static str) -> SocketAddr {
    server(move |mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        closed_by_client(&mut stream).await;
    })
    .await
}

#[tokio::test]
async fn silence_is_named_by_where_it_begins() {
    let limits = NetworkLimits::new;
    let first = limits().with_first_byte_timeout(SHORT);
    let idle = limits().with_idle_timeout(SHORT);
    let total = limits().with_total_timeout(SHORT);
    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n";
    let cases = [
        ("", &first, "HttpResponseTimeout"),
        (STREAM_HEAD, &first, "HttpResponseTimeout"),
        (chunk, &idle, "ConnectionReadTimeout"),
        ("", &total, "HttpResponseTimeout"),
        (STREAM_HEAD, &total, "HttpResponseTimeout"),
        (chunk, &total, "HttpResponseTimeout"),
    ];
    for (head, limits, expected) in cases {
        let address = silent_after(head).await;
        let mut hooks = limited(address, limits.clone()).hooks();
        let told = fetch(&mut hooks, get(&url(address))).await.unwrap_err();
        assert_eq!(told, expected, "{head:?} {limits:?}");
        let failure = hooks.last_failure().unwrap();
        assert!(failure.is_timeout() && failure.request_sent());
        let of_total = matches!(failure, TransportError::TotalTimeout { .. });
        assert_eq!(of_total, limits == &total, "{failure}");
        assert_eq!(hooks.requests_under_way(), 0);
    }
}

#[tokio::test]
async fn a_guest_may_ask_for_less_time_and_not_for_more() {
    let hour = Some(Duration::from_secs(3600));
    let short = Some(SHORT);
    let patient = NetworkLimits::new();
    let impatient = NetworkLimits::new()
        .with_first_byte_timeout(SHORT)
        .with_idle_timeout(SHORT);
    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n";
    for (limits, asked) in [(patient, short), (impatient, hour)] {
        for (head, expected) in [
            ("", "HttpResponseTimeout"),
            (chunk, "ConnectionReadTimeout"),
        ] {
            let address = silent_after(head).await;
            let options = RequestOptions {
                connect_timeout: asked,
                first_byte_timeout: asked,
                between_bytes_timeout: asked,
            };
            let mut hooks = limited(address, limits.clone()).hooks();
            let told = match send_with(&mut hooks, get(&url(address)), Some(options)).await {
                Err(error) => format!("{error:?}"),
                Ok(response) => {
                    let mut body = response.into_body();
                    assert_eq!(next(&mut body).await.unwrap().unwrap(), "ok");
                    next(&mut body).await.unwrap().unwrap_err()
                }
            };
            assert_eq!(told, expected, "{asked:?}");
        }
    }
}

#[tokio::test]
async fn times_beyond_any_clock_are_taken_as_forever() {
    let (address, _) = answering(OK).await;
    let limits = NetworkLimits::new()
        .with_connect_timeout(Duration::MAX)
        .with_first_byte_timeout(Duration::MAX)
        .with_idle_timeout(Duration::MAX)
        .with_total_timeout(Duration::MAX)
        .with_pool_idle_timeout(Duration::MAX);
    let mut hooks = limited(address, limits).hooks();
    assert_eq!(fetch(&mut hooks, get(&url(address))).await.unwrap(), "ok");
}

#[tokio::test]
async fn any_bytes_in_time_keep_an_answer_alive() {
    const GAP: Duration = Duration::from_millis(20);
    let address = server(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(STREAM_HEAD.as_bytes()).await.unwrap();
        for _ in 0..15 {
            tokio::time::sleep(GAP).await;
            stream
                .write_all(b"e\r\n: keep-alive\n\n\r\n")
                .await
                .unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    })
    .await;
    // Ten gaps: less than the whole answer takes, more than one.
    let limits = NetworkLimits::new()
        .with_first_byte_timeout(10 * GAP)
        .with_idle_timeout(10 * GAP);
    let text = fetch(&mut limited(address, limits).hooks(), get(&url(address))).await;
    assert_eq!(text.unwrap().len(), 15 * 14);
}

#[tokio::test]
async fn a_guest_that_pauses_between_reads_is_not_taken_for_a_silent_server() {
    let address = silent_after(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n",
    )
    .await;
    let limits = NetworkLimits::new()
        .with_first_byte_timeout(SHORT)
        .with_idle_timeout(SHORT);
    let response = send(&mut limited(address, limits).hooks(), get(&url(address))).await;
    let mut body = response.unwrap().into_body();
    tokio::time::sleep(2 * SHORT).await;
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "abc");
    tokio::time::sleep(2 * SHORT).await;
    let told = next(&mut body).await.unwrap().unwrap_err();
    assert_eq!(told, "ConnectionReadTimeout");
    assert!(next(&mut body).await.is_none());
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_cut_at_the_limit() {
    let cases = [
        "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n01234567890",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n012345\r\n5\r\n67890\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n01234567890",
    ];
    for answer in cases {
        let (address, _) = answering(answer).await;
        for (limit, fits) in [(10, false), (11, true)] {
            let limits = NetworkLimits::new()
                .with_response_body_bytes(limit)
                // The last answer ends with its connection, which this server never closes.
                .with_idle_timeout(SHORT);
            let mut hooks = limited(address, limits).hooks();
            let outcome = fetch(&mut hooks, get(&url(address))).await;
            let too_large = outcome == Err(format!("HttpResponseBodySize(Some({limit}))"));
            assert_eq!(too_large, !fits, "{answer:?}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_header_section_that_is_too_large_is_refused() {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n",
        "y".repeat(20_000)
    );
    let (address, _) = answering(answer).await;
    for (limit, fits) in [(16_000, false), (24_000, true)] {
        let limits = NetworkLimits::new().with_response_header_bytes(limit);
        let mut hooks = limited(address, limits).hooks();
        let outcome = fetch(&mut hooks, get(&url(address))).await;
        let expected = format!("HttpResponseHeaderSectionSize(Some({limit}))");
        assert_eq!(outcome == Err(expected), !fits, "{limit}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_is_not_sent() {
    let (address, requests) = answering(OK).await;
    let mut hooks = limited(address, NetworkLimits::new().with_request_body_bytes(10)).hooks();
    for (size, sent) in [(10, true), (11, false)] {
        let request = http::Request::post(url(address))
            .body(body("x".repeat(size)))
            .unwrap();
        let outcome = fetch(&mut hooks, request).await;
        let refused = outcome == Err("HttpRequestBodySize(Some(10))".to_owned());
        assert_eq!(refused, !sent, "{outcome:?}");
    }
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_store_has_only_so_many_requests_under_way() {
    let address = silent_after(STREAM_HEAD).await;
    let limits = NetworkLimits::new().with_concurrent_requests(2);
    let egress = limited(address, limits);
    let mut hooks = egress.hooks();
    let first = send(&mut hooks, get(&url(address))).await.unwrap();
    let second = send(&mut hooks, get(&url(address))).await.unwrap();
    let told = send(&mut hooks, get(&url(address))).await.unwrap_err();
    assert_eq!(format!("{told:?}"), "ConnectionLimitReached");
    // Another store has its own count, and a body that is dropped makes room.
    assert!(send(&mut egress.hooks(), get(&url(address))).await.is_ok());
    drop(first);
    assert_eq!(hooks.requests_under_way(), 1);
    assert!(send(&mut hooks, get(&url(address))).await.is_ok());
    drop(second);
    assert_eq!(hooks.requests_under_way(), 0);
}

/// A transport whose answer is a script: pieces, waits, and an end.
struct Scripted(Vec<Step>);

#[derive(Clone)]
enum Step {
    Piece(&'static str),
    Wait,
    Break,
}

struct Play(std::vec::IntoIter<Step>);

impl http_body::Body for Play {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, TransportError>>> {
        use std::task::Poll;
        match self.0.next() {
            Some(Step::Piece(text)) => Poll::Ready(Some(Ok(http_body::Frame::data(text.into())))),
            Some(Step::Wait) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Break) => {
                Poll::Ready(Some(Err(TransportError::Incomplete("broke".to_owned()))))
            }
            None => Poll::Ready(None),
        }
    }
}

impl Transport for Scripted {
    fn send(&self, _: http::Request<Bytes>, _: Timing) -> Exchange<'_> {
        let body = ResponseBody::stream(Play(self.0.clone().into_iter()));
        Box::pin(async { Ok(http::Response::new(body)) })
    }
}

/// What a guest is given of a script, piece by piece.
async fn given(script: &[Step], limits: NetworkLimits) -> Vec<Result<String, String>> {
    given_without(&[], script, limits).await
}

/// The same where the guest must not see these secrets.
async fn given_without(
    hidden: &[&str],
    script: &[Step],
    limits: NetworkLimits,
) -> Vec<Result<String, String>> {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let transport = Arc::new(Scripted(script.to_vec()));
    let mut secrets = Secrets::new();
    for secret in hidden {
        let secret = Secret::new(*secret).unwrap();
        secrets.mint(secret, Binding::api_key()).unwrap();
    }
    let grant = grant(address).with_limits(limits).with_secrets(secrets);
    let egress = Egress::with_transport(grant, transport);
    let mut hooks = egress.hooks();
    let mut body = send(&mut hooks, get(&url(address)))
        .await
        .unwrap()
        .into_body();
    let mut given = Vec::new();
    while let Some(piece) = next(&mut body).await {
        given.push(piece.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()));
    }
    assert!(http_body::Body::is_end_stream(&body));
    given
}

#[tokio::test]
async fn what_has_arrived_is_given_in_one_go_and_nothing_is_waited_for() {
    use Step::{Break, Piece, Wait};

    let ok = |text: &str| Ok(text.to_owned());
    let broken = || Err("HttpResponseIncomplete".to_owned());
    let unbounded = NetworkLimits::new;
    for (script, expected) in [
        (vec![Piece("a")], vec![ok("a")]),
        (vec![Piece("a"), Piece("b"), Piece("c")], vec![ok("abc")]),
        (
            vec![
                Piece("a"),
                Wait,
                Piece("b"),
                Piece("c"),
                Wait,
                Wait,
                Piece("d"),
            ],
            vec![ok("a"), ok("bc"), ok("d")],
        ),
        // What came is given before it is told what became of the rest.
        (
            vec![Piece("a"), Piece("b"), Break],
            vec![ok("ab"), broken()],
        ),
        (vec![Piece("a"), Wait, Break], vec![ok("a"), broken()]),
        (vec![Break], vec![broken()]),
        (vec![Wait], vec![]),
    ] {
        assert_eq!(given(&script, unbounded()).await, expected);
    }
    let long = vec![Piece("x"); 600];
    let lengths: Vec<_> = given(&long, unbounded())
        .await
        .into_iter()
        .map(|piece| piece.unwrap().len())
        .collect();
    assert_eq!(lengths, [256, 256, 88], "a turn has an end");
}

#[tokio::test]
async fn pieces_that_are_put_together_are_counted_each() {
    let script = [Step::Piece("four"), Step::Piece("five"), Step::Piece("six")];
    let limits = |bytes| NetworkLimits::new().with_response_body_bytes(bytes);
    assert_eq!(
        given(&script, limits(11)).await,
        [Ok("fourfivesix".to_owned())]
    );
    assert_eq!(
        given(&script, limits(10)).await,
        [
            Ok("fourfive".to_owned()),
            Err("HttpResponseBodySize(Some(10))".to_owned())
        ]
    );
}

#[tokio::test]
async fn a_secret_is_found_across_pieces_and_what_only_begins_like_it_is_given_in_the_end() {
    use Step::{Break, Piece, Wait};

    let hidden = ["sk-0123456789abcdef-real"];
    let ok = |text: &str| Ok(text.to_owned());
    let broken = || Err("HttpResponseIncomplete".to_owned());
    for (script, expected) in [
        (
            vec![
                Piece("data: a sk-01"),
                Wait,
                Piece("23456789abc"),
                Wait,
                Piece("def-real!\n\n"),
                Wait,
                Piece("b"),
            ],
            vec![ok("data: a "), ok("***!\n\n"), ok("b")],
        ),
        // An event is never waited for, whatever its last word is.
        (
            vec![
                Piece("data: sk-01\n\n"),
                Wait,
                Piece("23456789abcdef-real\n\n"),
            ],
            vec![ok("data: sk-01\n\n"), ok("23456789abcdef-real\n\n")],
        ),
        (vec![Piece("x sk-0123")], vec![ok("x "), ok("sk-0123")]),
        (
            vec![Piece("x sk-0123"), Wait],
            vec![ok("x "), ok("sk-0123")],
        ),
        (
            vec![Piece("x sk-0123"), Break],
            vec![ok("x "), ok("sk-0123"), broken()],
        ),
        (
            vec![Piece("sk-0123456789ab"), Wait, Break],
            vec![ok("sk-0123456789ab"), broken()],
        ),
        (vec![Piece("s"), Piece("k"), Wait], vec![ok("sk")]),
    ] {
        assert_eq!(
            given_without(&hidden, &script, NetworkLimits::new()).await,
            expected
        );
    }
    // What came counts, and not what is given.
    let limits = |bytes| NetworkLimits::new().with_response_body_bytes(bytes);
    let script = [Piece("sk-0123456789abcdef-real"), Wait, Piece("x")];
    let found = given_without(&hidden, &script, limits(24)).await;
    let too_large = Err("HttpResponseBodySize(Some(24))".to_owned());
    assert_eq!(found, [ok("***"), too_large]);
    assert_eq!(
        given_without(&hidden, &script, limits(25)).await,
        [ok("***"), ok("x")]
    );
}

#[tokio::test]
async fn bytes_that_wait_for_a_secret_are_given_before_a_time_is_over() {
    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsk-0\r\n";
    let address = silent_after(chunk).await;
    // Long enough for the answer's head to come on a machine that is busy.
    let time = Duration::from_secs(1);
    for limits in [
        NetworkLimits::new().with_idle_timeout(time),
        NetworkLimits::new().with_total_timeout(time),
    ] {
        let mut secrets = Secrets::new();
        let secret = Secret::new("sk-0123456789abcdef-real").unwrap();
        secrets.mint(secret, Binding::api_key()).unwrap();
        let grant = grant(address).with_limits(limits).with_secrets(secrets);
        let mut hooks = Egress::new(grant).unwrap().hooks();
        let response = send(&mut hooks, get(&url(address))).await.unwrap();
        let mut body = response.into_body();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "sk-0");
        // The connection is given up already.
        assert_eq!(hooks.requests_under_way(), 0);
        assert!(hooks.last_failure().unwrap().is_timeout());
        assert!(!http_body::Body::is_end_stream(&body));
        next(&mut body).await.unwrap().unwrap_err();
        assert!(next(&mut body).await.is_none());
    }
}
