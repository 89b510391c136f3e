//! What faults, pacing and leaving clients do on the wire, seen as bytes.

#![allow(clippy::unwrap_used)]

use super::test_client::{Client, Reply, ask, chat_request, read_reply, streamed};
use super::{Cut, Fault, FaultKind, Mock, Options, Pick, Replay, Target};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

async fn mock_with(faults: &[&str]) -> Mock {
    let faults = faults.iter().map(|f| f.parse().unwrap()).collect();
    Mock::start(Options {
        faults,
        ..Options::default()
    })
    .await
    .unwrap()
}

/// Waits until a count is reached; the mock notices a leaving client soon, not
/// at once.
async fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "never happened: {what}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn events(reply: &Reply) -> usize {
    reply.body.matches("data: {").count()
}

/// How a connection ended after the answer.
#[derive(Debug, PartialEq)]
enum End {
    /// The answer was complete, the connection usable.
    Open,
    Closed,
    Reset,
}

#[tokio::test]
async fn a_fault_strikes_where_its_name_says() {
    // Fault, status (none: no head came), whole events before the end, end.
    let cases: [(&str, Option<u16>, usize, End); 17] = [
        ("close-before-headers", None, 0, End::Closed),
        ("reset-before-first-event", Some(200), 0, End::Reset),
        ("reset-mid-stream", Some(200), 3, End::Reset),
        ("reset-mid-stream:5", Some(200), 5, End::Reset),
        ("close-mid-stream:1", Some(200), 1, End::Closed),
        ("truncated-chunk:2", Some(200), 3, End::Closed),
        ("invalid-json:2", Some(200), 12, End::Open),
        ("error-in-stream:2", Some(200), 3, End::Open),
        ("no-done", Some(200), 11, End::Open),
        ("slow-drip:0", Some(200), 11, End::Open),
        ("wrong-content-type", Some(200), 11, End::Open),
        ("html", Some(200), 0, End::Open),
        ("rate-limited:7", Some(429), 0, End::Open),
        ("overloaded", Some(503), 0, End::Open),
        ("unauthorized", Some(401), 0, End::Open),
        ("not-found", Some(404), 0, End::Open),
        ("server-error", Some(500), 0, End::Open),
    ];
    for (fault, status, whole, end) in cases {
        let mock = mock_with(&[fault]).await;
        let mut client = Client::connect(mock.address()).await;
        client.send(&streamed("Say hello.")).await;
        let (reply, ended) = client.reply().await;
        let got = match ended {
            None => End::Open,
            Some(ErrorKind::ConnectionReset) => End::Reset,
            Some(_) => End::Closed,
        };
        assert_eq!(got, end, "{fault}");
        let code = reply
            .as_ref()
            .map(|r| r.status.split(' ').nth(1).unwrap().parse().unwrap());
        assert_eq!(code, status, "{fault}");
        assert_eq!(
            reply.as_ref().map_or(0, events),
            whole,
            "{fault}: {reply:?}"
        );
        assert_eq!(mock.aborted(), 0, "{fault}: the client did not leave");
        if end == End::Open {
            mock.set_faults([]).unwrap();
            let again = client.ask(&streamed("Say hello.")).await;
            assert!(
                again.body.ends_with("data: [DONE]\n\n"),
                "{fault}: the connection goes on"
            );
            assert_eq!(mock.connections(), 1, "{fault}");
        }
    }
}

#[tokio::test]
async fn faulty_streams_carry_what_is_promised() {
    let body = async |fault: &str| {
        let mock = mock_with(&[fault]).await;
        ask(mock.address(), &streamed("Say hello.")).await
    };
    let error = body("error-in-stream").await;
    assert!(
        error
            .body
            .ends_with("\"param\": null, \"code\": 500}}\n\ndata: [DONE]\n\n"),
        "{}",
        error.body
    );
    assert!(!body("no-done").await.body.contains("[DONE]"));
    let broken = body("invalid-json").await.body;
    let bad = broken
        .split("\n\n")
        .filter_map(|e| e.strip_prefix("data: {"));
    let bad = bad
        .filter(|e| serde_json::from_str::<serde_json::Value>(&format!("{{{e}")).is_err())
        .count();
    assert_eq!(bad, 1);
    let header = |reply: &Reply, name: &str| {
        reply
            .headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.clone())
    };
    assert_eq!(
        header(&body("wrong-content-type").await, "content-type").unwrap(),
        "text/plain; charset=utf-8"
    );
    assert_eq!(
        header(&body("rate-limited:7").await, "retry-after").unwrap(),
        "7"
    );
    assert!(body("html").await.body.starts_with("<!DOCTYPE html>"));
    assert_eq!(body("empty-body").await.body, "");
}

#[tokio::test]
async fn silent_servers_stay_open_until_the_client_leaves() {
    for (fault, bytes) in [("silent", false), ("silent-after:2", true)] {
        let mock = mock_with(&[fault]).await;
        let mut client = Client::connect(mock.address()).await;
        client.send(&streamed("Say hello.")).await;
        let mut got = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(Ok(n)) =
            tokio::time::timeout(Duration::from_millis(60), client.stream.read(&mut buffer)).await
        {
            assert_ne!(n, 0, "{fault}: it must not close");
            got.extend_from_slice(&buffer[..n]);
        }
        assert_eq!(!got.is_empty(), bytes, "{fault}");
        if bytes {
            assert_eq!(events(&read_reply(&got).unwrap()), 2);
        }
        assert_eq!(mock.running(), 1);
        drop(client);
        until("the chat is aborted", || {
            mock.aborted() == 1 && mock.running() == 0
        })
        .await;
    }
}

#[tokio::test]
async fn endless_answers_wait_for_a_client_that_does_not_read_and_end_with_it() {
    for fault in ["endless-line:1", "huge-body"] {
        let mock = mock_with(&[fault]).await;
        let mut client = Client::connect(mock.address()).await;
        client.send(&streamed("Say hello.")).await;
        let mut buffer = vec![0; 1 << 20];
        let mut total = 0;
        while total < 4 << 20 {
            total += client.stream.read(&mut buffer).await.unwrap();
        }
        assert_eq!(mock.running(), 1, "{fault}");
        drop(client);
        until("the chat is aborted", || mock.aborted() == 1).await;
        until("the connection ends", || mock.open_connections() == 0).await;
    }
}

#[tokio::test]
async fn garbage_is_no_http_and_a_lying_length_is_never_reached() {
    let mock = mock_with(&["garbage", "lying-content-length"]).await;
    let mut client = Client::connect(mock.address()).await;
    client.send(&streamed("Say hello.")).await;
    let mut raw = Vec::new();
    client.stream.read_to_end(&mut raw).await.unwrap();
    assert_eq!(raw.len(), 512);
    assert!(!raw.starts_with(b"HTTP/"));
    let lie = ask(mock.address(), &streamed("Say hello.")).await;
    assert!(!lie.complete && lie.body.contains("[DONE]"));
}

#[tokio::test]
async fn a_refusing_server_takes_no_connection_and_comes_back_on_its_port() {
    let mock = mock_with(&[]).await;
    let mut old = Client::connect(mock.address()).await;
    assert!(old.ask(&streamed("Say hello.")).await.complete);
    mock.set_faults([FaultKind::Refuse.into()]).unwrap();
    let error = TcpStream::connect(mock.address()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(
        old.stream.read(&mut [0]).await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    mock.set_faults([]).unwrap();
    assert!(ask(mock.address(), &streamed("Say hello.")).await.complete);
}

#[tokio::test]
async fn faults_take_turns_and_befall_only_their_target() {
    let mock = mock_with(&["overloaded", "none", "server-error@models"]).await;
    let mut client = Client::connect(mock.address()).await;
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(client.ask(&streamed("Say hello.")).await.status);
    }
    assert_eq!(codes[0], codes[2]);
    assert!(codes[0].contains("503") && codes[1].contains("200") && codes[3].contains("200"));
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: m\r\n\r\n").into_bytes();
    assert!(client.ask(&get("/v1/models")).await.status.contains("500"));
    assert!(client.ask(&get("/health")).await.status.contains("200"));
    mock.set_faults([Fault::from(FaultKind::CloseMidStream).on(Target::All)])
        .unwrap();
    assert!(!client.ask(&get("/v1/models")).await.complete);
}

#[tokio::test]
async fn a_client_that_leaves_a_paced_chat_aborts_it() {
    for body in [
        r#"{"messages":[{"role":"user","content":"Count to 1000."}],"stream":true}"#,
        r#"{"messages":[{"role":"user","content":"Count to 1000."}]}"#,
    ] {
        let mock = Mock::start(Options {
            rate: Some(50.0),
            ..Options::default()
        })
        .await
        .unwrap();
        let mut client = Client::connect(mock.address()).await;
        client.send(&chat_request(body)).await;
        until("the chat runs", || mock.running() == 1).await;
        drop(client);
        until("the chat is aborted", || {
            mock.aborted() == 1 && mock.running() == 0
        })
        .await;
    }
}

#[tokio::test]
async fn a_rate_paces_the_events() {
    let mock = Mock::start(Options {
        rate: Some(200.0),
        ..Options::default()
    })
    .await
    .unwrap();
    let start = Instant::now();
    let reply = ask(mock.address(), &streamed("Count to 9.")).await;
    let least = Duration::from_millis(5 * events(&reply) as u64 - 5);
    assert!(
        start.elapsed() >= least,
        "{:?} for {} events",
        start.elapsed(),
        events(&reply)
    );
    assert_eq!(mock.aborted(), 0);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time_and_a_fresh_one_is_not() {
    let keep_alive = Duration::from_millis(50);
    let mock = Mock::start(Options {
        keep_alive,
        ..Options::default()
    })
    .await
    .unwrap();
    let fresh = Client::connect(mock.address()).await;
    let mut client = Client::connect(mock.address()).await;
    client.ask(&streamed("Say hello.")).await;
    let start = Instant::now();
    assert_eq!(client.stream.read(&mut [0]).await.unwrap(), 0);
    assert!(
        start.elapsed() >= Duration::from_millis(30),
        "{:?}",
        start.elapsed()
    );
    until("only the fresh one is left", || {
        mock.open_connections() == 1
    })
    .await;
    drop(fresh);
}

#[tokio::test]
async fn the_second_identical_prompt_is_cached() {
    let mock = mock_with(&[]).await;
    let long = "the cat sat on the mat. ".repeat(20);
    let request = chat_request(&format!(
        r#"{{"messages":[{{"role":"user","content":"{long}"}}],"stream":true,"stream_options":{{"include_usage":true}}}}"#
    ));
    let first = ask(mock.address(), &request).await.body;
    let second = ask(mock.address(), &request).await.body;
    assert!(first.contains("\"cached_tokens\":0,"), "{first}");
    assert!(
        second.contains("\"cached_tokens\":144,\"created_cache_tokens\":0"),
        "{second}"
    );
}

#[tokio::test]
async fn requests_are_kept_as_they_came() {
    let mock = mock_with(&[]).await;
    let request = streamed("Say hello.");
    ask(mock.address(), &request).await;
    let [kept] = mock.requests().try_into().unwrap();
    assert_eq!(
        (kept.method.as_str(), kept.path.as_str()),
        ("POST", "/v1/chat/completions")
    );
    assert!(request.ends_with(&kept.body) && kept.headers["content-type"] == "application/json");
}

#[tokio::test]
async fn a_dropped_mock_frees_its_port_and_ends_its_connections() {
    let mock = mock_with(&[]).await;
    let address = mock.address();
    let mut client = Client::connect(address).await;
    client.ask(&streamed("Say hello.")).await;
    drop(mock);
    assert!(matches!(client.stream.read(&mut [0]).await, Ok(0) | Err(_)));
    assert!(TcpStream::connect(address).await.is_err());
}

fn recorded(case: &str) -> std::path::PathBuf {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/fixtures/vllm"
    ))
    .join(case)
}

#[tokio::test]
async fn a_recording_is_served_byte_for_byte_however_it_is_cut() {
    let case = recorded("40b-reasoning-stream");
    let want = std::fs::read(case.join("response.raw")).unwrap();
    for cut in [Cut::Random, Cut::Whole, Cut::EveryByte] {
        let replay = Some(Replay {
            cut,
            seed: 7,
            ..Replay::new(&case)
        });
        let mock = Mock::start(Options {
            replay,
            ..Options::default()
        })
        .await
        .unwrap();
        let mut client = Client::connect(mock.address()).await;
        for _ in 0..2 {
            client.send(&streamed("whatever")).await;
            let mut got = vec![0; want.len()];
            client.stream.read_exact(&mut got).await.unwrap();
            assert!(got == want, "{cut:?}");
        }
        assert_eq!(
            mock.connections(),
            1,
            "the recording left its connection open"
        );
    }
}

#[tokio::test]
async fn recordings_are_picked_by_model_or_in_turn_and_listed_as_models() {
    let dir = recorded("91-concurrent");
    let ask_for = |name: &str| chat_request(&format!(r#"{{"model":"{name}","messages":[]}}"#));
    let want = |n: &str| {
        read_reply(&std::fs::read(dir.join(n).join("response.raw")).unwrap())
            .unwrap()
            .body
    };
    let mock = Mock::start(Options {
        replay: Some(Replay::new(&dir)),
        ..Options::default()
    })
    .await
    .unwrap();
    assert_eq!(ask(mock.address(), &ask_for("02")).await.body, want("02"));
    let unknown = ask(mock.address(), &ask_for("nope")).await;
    assert!(
        unknown.status.contains("404") && unknown.body.contains("Valid aliases: 00, 01"),
        "{unknown:?}"
    );
    let models = ask(
        mock.address(),
        b"GET /v1/models HTTP/1.1\r\nHost: m\r\n\r\n",
    )
    .await
    .body;
    assert_eq!(
        models.matches("\"max_model_len\":4096").count(),
        16,
        "{models}"
    );
    let replay = Some(Replay {
        pick: Pick::Sequence,
        ..Replay::new(&dir)
    });
    let mock = Mock::start(Options {
        replay,
        ..Options::default()
    })
    .await
    .unwrap();
    for n in ["00", "01", "02"] {
        assert_eq!(ask(mock.address(), &ask_for("any")).await.body, want(n));
    }
}

#[tokio::test]
async fn a_recording_without_an_end_is_left_as_the_server_left_it() {
    let replay = Some(Replay::new(recorded("92-sigterm-during-stream")));
    let mock = Mock::start(Options {
        replay,
        ..Options::default()
    })
    .await
    .unwrap();
    let mut client = Client::connect(mock.address()).await;
    client.send(&streamed("x")).await;
    let silent = tokio::time::timeout(Duration::from_millis(150), client.reply()).await;
    assert!(
        silent.is_err(),
        "the recorded server went silent and stayed open"
    );
    let replay = Some(Replay::new(recorded("90-client-disconnect")));
    let mock = Mock::start(Options {
        replay,
        ..Options::default()
    })
    .await
    .unwrap();
    let reply = ask(mock.address(), &streamed("x")).await;
    assert!(!reply.complete && events(&reply) > 3);
}
