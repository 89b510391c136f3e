//! When a connection is used again, when it is closed, and what happens when the server closes it first.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// What a server saw of one connection: its number, and the request or the client's closing.
#[derive(Debug, PartialEq)]
enum Seen {
    Request(usize),
    Closed(usize),
}

/// A server that answers each request with `answer` and reports what it sees.
async fn reporting(answer: &'static str) -> (SocketAddr, mpsc::UnboundedReceiver<Seen>) {
    let (report, seen) = mpsc::unbounded_channel();
    let address = server(move |mut stream, number| {
        let report = report.clone();
        async move {
            while read_request(&mut stream).await.is_some() {
                report.send(Seen::Request(number)).unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            let _ = report.send(Seen::Closed(number));
        }
    })
    .await;
    (address, seen)
}

async fn soon(seen: &mut mpsc::UnboundedReceiver<Seen>) -> Seen {
    let seen = tokio::time::timeout(PATIENCE, seen.recv()).await;
    seen.unwrap().unwrap()
}

#[tokio::test]
async fn a_connection_is_used_again_by_the_next_store() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let empty = "HTTP/1.1 204 No Content\r\n\r\n";
    for answer in [OK, chunked, empty] {
        let (address, mut seen) = reporting(answer).await;
        let egress = egress(address);
        for _ in 0..3 {
            fetch(&mut egress.hooks(), get(&url(address)))
                .await
                .unwrap();
            assert_eq!(soon(&mut seen).await, Seen::Request(0), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_an_internal_error_came_on_is_closed_after_it() {
    let (report, mut seen) = mpsc::unbounded_channel();
    let address = server(move |mut stream, number| {
        let report = report.clone();
        async move {
            while read_request(&mut stream).await.is_some() {
                report.send(Seen::Request(number)).unwrap();
                let head = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\n";
                stream.write_all(head.as_bytes()).await.unwrap();
                // The connection is not given up before the whole answer is there.
                for part in ["de", "ad"] {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    stream.write_all(part.as_bytes()).await.unwrap();
                }
            }
            let _ = report.send(Seen::Closed(number));
        }
    })
    .await;
    let egress = egress(address);
    for number in 0..2 {
        let answer = fetch(&mut egress.hooks(), get(&url(address))).await;
        assert_eq!(answer.as_deref(), Ok("dead"));
        assert_eq!(soon(&mut seen).await, Seen::Request(number));
        assert_eq!(soon(&mut seen).await, Seen::Closed(number));
    }
}

#[tokio::test]
async fn a_connection_that_another_error_came_on_is_used_again() {
    for status in [
        "401 Unauthorized",
        "400 Bad Request",
        "503 Service Unavailable",
    ] {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nno");
        let (address, mut seen) = reporting(answer.leak()).await;
        let egress = egress(address);
        for _ in 0..2 {
            let answer = fetch(&mut egress.hooks(), get(&url(address))).await;
            assert_eq!(answer.as_deref(), Ok("no"));
            assert_eq!(soon(&mut seen).await, Seen::Request(0), "{status}");
        }
    }
}

#[tokio::test]
async fn an_answer_to_a_request_with_a_body_keeps_the_connection_only_if_it_is_a_success() {
    for (status, text, reused) in [
        ("200 OK", "{\"a\": 1}", true),
        ("200 OK", "{\n  \"a\": [\n    1\n  ]\n}", false),
        ("200 OK", "[\r\n!X /admin HTTP/1.1\r\n!: ", false),
        ("200 OK", "[\n1GET / HTTP/1.1", false),
        ("200 OK", "GET /?", false),
        ("200 OK", " {}", false),
        ("201 Created", "[]", true),
        ("204 No Content", "{}", true),
        ("400 Bad Request", "", true),
        ("400 Bad Request", "{}", false),
        ("401 Unauthorized", "{}", false),
        ("429 Too Many Requests", "{}", false),
        ("503 Service Unavailable", "{}", false),
        ("302 Found", "{}", false),
        ("304 Not Modified", "{}", false),
        ("408 Request Timeout", "", false),
        ("200 OK", "GET / HTTP/1.1\r\n\r\n", false),
        ("200 OK", "{}\r\nGET / HTTP/1.1\r\n\r\n", false),
        ("200 OK", "\r\n get / HTTP/1.1", false),
    ] {
        let answer = match status {
            "204 No Content" | "304 Not Modified" => format!("HTTP/1.1 {status}\r\n\r\n"),
            _ => format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nno"),
        };
        let (address, mut seen) = reporting(answer.leak()).await;
        let egress = egress(address);
        let post = || http::Request::post(url(address)).body(body(text)).unwrap();
        fetch(&mut egress.hooks(), post()).await.unwrap();
        assert_eq!(soon(&mut seen).await, Seen::Request(0));
        fetch(&mut egress.hooks(), post()).await.unwrap();
        let next = match reused {
            true => Seen::Request(0),
            false => Seen::Closed(0),
        };
        assert_eq!(soon(&mut seen).await, next, "{status} {text:?}");
    }
}

#[tokio::test]
async fn a_server_that_says_that_it_closes_is_believed_though_it_does_not() {
    for fields in [
        "connection: close\r\n",
        "Connection: Keep-Alive, CLOSE\r\n",
        "connection: keep-alive\r\nconnection: close\r\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 2\r\n\r\nok");
        let (address, mut seen) = reporting(answer.leak()).await;
        let egress = egress(address);
        for number in 0..2 {
            let answer = fetch(&mut egress.hooks(), get(&url(address))).await;
            assert_eq!(answer.as_deref(), Ok("ok"), "{fields:?}");
            assert_eq!(soon(&mut seen).await, Seen::Request(number), "{fields:?}");
            assert_eq!(soon(&mut seen).await, Seen::Closed(number), "{fields:?}");
        }
    }
}

#[tokio::test]
async fn a_guest_that_stops_at_the_last_event_gives_its_connection_back() {
    // The terminating chunk came with the last event; the guest never looks at it.
    let (address, mut seen) =
        reporting("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
            .await;
    let egress = egress(address);
    for _ in 0..2 {
        let response = send(&mut egress.hooks(), get(&url(address))).await.unwrap();
        let mut body = response.into_body();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "ok");
        drop(body);
        assert_eq!(soon(&mut seen).await, Seen::Request(0));
    }
}

#[tokio::test]
async fn two_providers_do_not_share_a_connection() {
    let (address, mut seen) = reporting(OK).await;
    for number in 0..2 {
        let egress = egress(address);
        fetch(&mut egress.hooks(), get(&url(address)))
            .await
            .unwrap();
        assert_eq!(soon(&mut seen).await, Seen::Request(number));
        drop(egress);
        assert_eq!(soon(&mut seen).await, Seen::Closed(number));
    }
}

#[tokio::test]
async fn a_connection_that_was_idle_too_long_is_not_used_again() {
    let (address, mut seen) = reporting(OK).await;
    let idle = Duration::from_millis(20);
    let limits = [
        NetworkLimits::new().with_pool_idle_timeout(idle),
        NetworkLimits::new().with_pool_idle_connections(0),
    ];
    let mut number = 0;
    for limits in limits {
        let egress = limited(address, limits);
        for _ in 0..2 {
            fetch(&mut egress.hooks(), get(&url(address)))
                .await
                .unwrap();
            while soon(&mut seen).await != Seen::Request(number) {}
            number += 1;
            tokio::time::sleep(2 * idle).await;
        }
    }
}

#[tokio::test]
async fn dropping_a_body_midway_closes_the_connection_at_once() {
    let (address, mut seen) =
        reporting("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n").await;
    let egress = egress(address);
    for (number, read) in [(0, false), (1, true)] {
        let response = send(&mut egress.hooks(), get(&url(address))).await.unwrap();
        assert_eq!(soon(&mut seen).await, Seen::Request(number));
        let mut body = response.into_body();
        if read {
            assert_eq!(next(&mut body).await.unwrap().unwrap(), "ok");
        }
        drop(body);
        assert_eq!(soon(&mut seen).await, Seen::Closed(number));
    }
}

#[tokio::test]
async fn dropping_a_request_before_its_answer_closes_the_connection_at_once() {
    let (address, mut seen) = reporting("").await;
    let egress = egress(address);
    let mut hooks = egress.hooks();
    let done = Box::new(async { Ok(()) });
    let mut answer = Pin::from(hooks.send_request(get(&url(address)), None, done));
    tokio::select! {
        _ = &mut answer => panic!("nobody answered"),
        seen = soon(&mut seen) => assert_eq!(seen, Seen::Request(0)),
    }
    assert_eq!(hooks.requests_under_way(), 1);
    drop(answer);
    assert_eq!(hooks.requests_under_way(), 0);
    assert_eq!(soon(&mut seen).await, Seen::Closed(0));
}

#[tokio::test]
async fn a_failed_answer_closes_the_connection_though_the_guest_still_holds_its_body() {
    let (address, mut seen) =
        reporting("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let limits = NetworkLimits::new().with_first_byte_timeout(Duration::from_millis(20));
    let egress = limited(address, limits);
    let mut body = send(&mut egress.hooks(), get(&url(address)))
        .await
        .unwrap()
        .into_body();
    assert_eq!(soon(&mut seen).await, Seen::Request(0));
    assert_eq!(
        next(&mut body).await.unwrap().unwrap_err(),
        "HttpResponseTimeout"
    );
    assert_eq!(soon(&mut seen).await, Seen::Closed(0));
    drop(body);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_is_replaced_unnoticed() {
    let address = server(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;
    let egress = egress(address);
    for pause in [0, 0, 5, 20] {
        // At once the closing is still on its way; later it has been seen.
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let text = fetch(&mut egress.hooks(), get(&url(address))).await;
        assert_eq!(text.unwrap(), "ok", "after {pause} ms");
    }
}

#[tokio::test]
async fn a_request_is_sent_again_only_when_a_reused_connection_closed_without_answering() {
    // What each connection does with its first and its second request.
    type Script = [&'static [&'static str]; 3];
    const CUT: &str = "";
    let cases: [(Script, &str, usize); 4] = [
        // The second request meets the closing; the third connection is never needed.
        ([&[OK, CUT], &[OK], &[OK]], "ok", 3),
        // The repetition is not repeated.
        ([&[OK, CUT], &[CUT], &[OK]], "ConnectionTerminated", 3),
        // An answer that broke off was an answer.
        (
            [
                &[OK, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha"],
                &[OK],
                &[OK],
            ],
            "HttpResponseIncomplete",
            2,
        ),
        // A new connection that closes gets no second chance.
        ([&[CUT], &[CUT], &[OK]], "ConnectionTerminated", 2),
    ];
    for (script, expected, requests) in cases {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let address = server(move |mut stream, number| {
            let count = Arc::clone(&counted);
            async move {
                for answer in script[number] {
                    if read_request(&mut stream).await.is_none() {
                        return;
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    if *answer == CUT {
                        return;
                    }
                }
            }
        })
        .await;
        let egress = egress(address);
        let request = || http::Request::post(url(address)).body(body("{}")).unwrap();
        let _ = fetch(&mut egress.hooks(), request()).await;
        let outcome = fetch(&mut egress.hooks(), request()).await;
        let outcome = outcome.unwrap_or_else(|told| told);
        assert_eq!(outcome, expected, "{script:?}");
        assert_eq!(count.load(Ordering::SeqCst), requests, "{script:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_incomplete_however_it_is_framed() {
    let answers = [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nha\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nha",
    ];
    for answer in answers {
        let address = server(move |mut stream, _| async move {
            read_request(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let mut hooks = egress(address).hooks();
        let response = send(&mut hooks, get(&url(address))).await.unwrap();
        let mut body = response.into_body();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "ha", "{answer:?}");
        let told = next(&mut body).await.unwrap().unwrap_err();
        assert_eq!(told, "HttpResponseIncomplete", "{answer:?}");
    }
}

#[tokio::test]
async fn a_task_that_has_used_up_its_turn_yields_and_goes_on() {
    use tokio::task::coop::{consume_budget, has_budget_remaining};

    let (address, _seen) = reporting(OK).await;
    let egress = egress(address);
    let all = async {
        for used in [false, true, true] {
            let mut hooks = egress.hooks();
            let mut answer = std::pin::pin!(fetch(&mut hooks, get(&url(address))));
            let mut used = used;
            let text = std::future::poll_fn(|cx| {
                // What tokio gives a task for one turn is gone before the connection is moved: each socket wakes the task
                // and says that it has nothing, until the task has yielded.
                while used && has_budget_remaining() {
                    assert!(std::pin::pin!(consume_budget()).poll(cx).is_ready());
                }
                used = false;
                answer.as_mut().poll(cx)
            });
            assert_eq!(text.await.as_deref(), Ok("ok"));
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, all).await;
    in_time.expect("it does not spin");
}
