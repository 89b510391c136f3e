//! Where an answer ends, and what becomes of what comes behind it.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A server that answers each request with `answer`, and `pause` later with `behind`; how many connections it got.
async fn with_more_behind(
    answer: &'static str,
    behind: &'static str,
    pause: Duration,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let address = server(move |mut stream, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            while read_request(&mut stream).await.is_some() {
                let (now, later) = match pause.is_zero() {
                    true => (format!("{answer}{behind}"), ""),
                    false => (answer.to_owned(), behind),
                };
                if stream.write_all(now.as_bytes()).await.is_err() {
                    return;
                }
                tokio::time::sleep(pause).await;
                if stream.write_all(later.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (address, connections)
}

#[tokio::test]
async fn what_comes_behind_an_answer_is_never_the_answer_of_the_next_request() {
    const POISON: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    const CHUNKED: &str =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    const EMPTY: &str = "HTTP/1.1 204 No Content\r\n\r\n";
    const UNCHANGED: &str = "HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n";
    // Whether a byte or a whole answer comes behind, at once or while nobody asks.
    for (answer, expected) in [(OK, "ok"), (CHUNKED, "ok"), (EMPTY, ""), (UNCHANGED, "")] {
        for behind in [POISON, "x", "\r\n"] {
            for pause in [Duration::ZERO, Duration::from_millis(5)] {
                let (address, connections) = with_more_behind(answer, behind, pause).await;
                let egress = egress(address);
                for _ in 0..3 {
                    let text = fetch(&mut egress.hooks(), get(&url(address))).await;
                    assert_eq!(
                        text.as_deref(),
                        Ok(expected),
                        "{answer:?} {behind:?} {pause:?}"
                    );
                    tokio::time::sleep(10 * pause).await;
                }
                let connections = connections.load(Ordering::SeqCst);
                assert_eq!(connections, 3, "{answer:?} {behind:?} {pause:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_with_two_ends_is_read_by_its_chunks_and_its_connection_closed() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n\
                  2\r\nok\r\n0\r\n\r\n";
    let (address, connections) = with_more_behind(answer, "", Duration::ZERO).await;
    let egress = egress(address);
    for number in 1..=2 {
        let text = fetch(&mut egress.hooks(), get(&url(address))).await;
        assert_eq!(text.as_deref(), Ok("ok"));
        assert_eq!(connections.load(Ordering::SeqCst), number);
    }
}

#[tokio::test]
async fn lengths_that_contradict_each_other_or_are_none_are_refused() {
    for lengths in [
        "content-length: 2\r\ncontent-length: 3\r\n",
        "content-length: 2, 3\r\n",
        "content-length: -1\r\n",
        "content-length: +2\r\n",
        "content-length: 0x2\r\n",
        "content-length: 2 2\r\n",
        "content-length:\r\n",
        "content-length: 18446744073709551616\r\n",
        "content-length: 99999999999999999999999999\r\n",
        "transfer-encoding: chunked\r\n",
    ] {
        // The last is no contradiction in itself: the chunk's size is.
        let answer = format!("HTTP/1.1 200 OK\r\n{lengths}\r\n-2\r\nok\r\n");
        let (address, _) = answering(answer).await;
        let told = fetch(&mut egress(address).hooks(), get(&url(address))).await;
        assert_eq!(told, Err("HttpProtocolError".to_owned()), "{lengths:?}");
    }
}

#[tokio::test]
async fn a_coding_of_the_transfer_is_refused_as_one_of_the_content_is() {
    for coding in [
        "gzip, chunked",
        "gzip",
        "identity",
        "chunked, chunked",
        "\u{9b}2J",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: {coding}\r\n\r\n0\r\n\r\n");
        let (address, _) = answering(answer).await;
        let mut hooks = egress(address).hooks();
        let told = fetch(&mut hooks, get(&url(address))).await.unwrap_err();
        assert!(
            told.starts_with("HttpResponseContentCoding"),
            "{coding}: {told}"
        );
        let failure = hooks.last_failure().unwrap().to_string();
        assert!(!failure.contains(char::is_control), "{failure:?}");
    }
}

#[tokio::test]
async fn a_head_may_have_as_many_fields_as_the_limit_and_not_one_more() {
    for (fields, fits) in [(100, true), (101, false), (2_000, false)] {
        // One of them is the length.
        let field = "a: b\r\n".repeat(fields - 1);
        let answer = format!("HTTP/1.1 200 OK\r\n{field}content-length: 2\r\n\r\nok");
        let (address, _) = answering(answer).await;
        let mut hooks = egress(address).hooks();
        let outcome = fetch(&mut hooks, get(&url(address))).await;
        assert_eq!(outcome.is_ok(), fits, "{fields}: {outcome:?}");
        if !fits {
            let failure = hooks.last_failure().unwrap().to_string();
            assert!(failure.contains("more than 100 fields"), "{failure}");
        }
    }
}

#[tokio::test]
async fn before_an_answer_there_may_be_as_many_interim_ones_as_the_limit_and_not_one_more() {
    for interim in ["100 Continue", "103 Early Hints", "199 Odd"] {
        for (count, fits) in [(16, true), (17, false)] {
            let interim = format!("HTTP/1.1 {interim}\r\nlink: </x>\r\n\r\n").repeat(count);
            // The flood goes on where there is one, so that it is not the end of the answer that ends it.
            let answer = if fits { OK } else { "" };
            let (address, _) = answering(format!("{interim}{answer}")).await;
            let mut hooks = egress(address).hooks();
            let outcome = fetch(&mut hooks, get(&url(address))).await;
            assert_eq!(outcome.is_ok(), fits, "{count}: {outcome:?}");
            if !fits {
                assert_eq!(outcome, Err("HttpProtocolError".to_owned()));
                let failure = hooks.last_failure().unwrap().to_string();
                assert!(failure.contains("more than 16 interim"), "{failure}");
            }
        }
    }
}

#[tokio::test]
async fn framing_without_content_is_bounded_though_it_never_ends() {
    // A chunk's size may have leading zeros and spaces behind it, in any number.
    for endless in ["0", " ", "2\r\nok\r\n0"] {
        let endless = endless.to_owned();
        let address = server(move |mut stream, _| {
            let (head, rest) = match endless.as_str() {
                " " => (format!("{STREAM_HEAD}2"), " ".repeat(1 << 10)),
                "0" => (STREAM_HEAD.to_owned(), "0".repeat(1 << 10)),
                _ => (format!("{STREAM_HEAD}{endless}"), "0".repeat(1 << 10)),
            };
            async move {
                read_request(&mut stream).await;
                let mut next = head;
                while stream.write_all(next.as_bytes()).await.is_ok() {
                    next.clone_from(&rest);
                }
            }
        })
        .await;
        let mut hooks = egress(address).hooks();
        let told = fetch(&mut hooks, get(&url(address))).await;
        assert_eq!(told, Err("HttpProtocolError".to_owned()));
        let failure = hooks.last_failure().unwrap().to_string();
        assert!(
            failure.contains("of framing without any content"),
            "{failure}"
        );
    }
}

/// A body that always has another byte, and takes a millisecond for it.
struct NeverSilent(usize);

impl http_body::Body for NeverSilent {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, TransportError>>> {
        std::thread::sleep(Duration::from_millis(1));
        self.0 -= 1;
        let frame = (self.0 > 0).then(|| Ok(http_body::Frame::data(Bytes::from_static(b"x"))));
        std::task::Poll::Ready(frame)
    }
}

impl super::super::Transport for NeverSilent {
    fn send(&self, _: http::Request<Bytes>, _: super::super::Timing) -> super::super::Exchange<'_> {
        let body = super::super::ResponseBody::stream(NeverSilent(self.0));
        Box::pin(async move { Ok(http::Response::new(body)) })
    }
}

#[tokio::test]
async fn a_server_that_is_never_silent_is_bounded_in_time_as_well() {
    let limits = NetworkLimits::new().with_total_timeout(Duration::from_millis(50));
    let address = ([127, 0, 0, 1], 80).into();
    let grant = grant(address).with_limits(limits);
    let egress = Egress::with_transport(grant, Arc::new(NeverSilent(2_000)));
    let told = fetch(&mut egress.hooks(), get(&url(address))).await;
    assert_eq!(told, Err("HttpResponseTimeout".to_owned()));
}
