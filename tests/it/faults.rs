//! Every way in which a server can fail ends in a typed error, in bounded time,
//! and leaves nothing behind.

use std::time::Duration;

use provider_host::Error;
use provider_host::mock::{Fault, FaultKind, Mock, Options};
use provider_host::types::Event;

use crate::support::{ask, model, provider, run, short_limits};

/// What must come of a fault: the error's kind, or `ok`; whether the request
/// was sent; whether a retry may help; words of the message.
struct Expected {
    kind: &'static str,
    sent: bool,
    retryable: bool,
    words: &'static str,
}

fn expected(kind: FaultKind) -> Expected {
    let (kind, sent, retryable, words) = match kind {
        // `lying-content-length` ends after `[DONE]`: the answer is whole.
        FaultKind::None
        | FaultKind::NoDone
        | FaultKind::SlowDrip
        | FaultKind::WrongContentType
        | FaultKind::LyingContentLength => ("ok", true, false, ""),
        FaultKind::Refuse => ("unreachable", false, true, "connection refused"),
        FaultKind::CloseBeforeHeaders | FaultKind::ResetBeforeFirstEvent => {
            ("interrupted", true, true, "")
        }
        FaultKind::ResetMidStream | FaultKind::CloseMidStream | FaultKind::TruncatedChunk => {
            ("interrupted", true, false, "")
        }
        FaultKind::Silent => ("timeout", true, true, ""),
        FaultKind::SilentAfter => ("timeout", true, false, ""),
        FaultKind::Garbage => ("protocol", true, false, "HTTP"),
        FaultKind::InvalidJson => ("protocol", true, false, "JSON"),
        FaultKind::ErrorInStream => ("server", true, true, "EngineCore encountered an issue"),
        FaultKind::EndlessLine => ("protocol", true, false, "more than 8 MiB"),
        FaultKind::Html => ("protocol", true, false, "web page"),
        FaultKind::RateLimited => ("rate-limited", true, true, ""),
        FaultKind::Overloaded => ("overloaded", true, true, ""),
        FaultKind::HugeBody => ("protocol", true, false, ""),
        FaultKind::EmptyBody => ("interrupted", true, true, ""),
        FaultKind::Unauthorized => ("authentication", true, false, "Unauthorized"),
        FaultKind::NotFound => ("model-not-found", true, false, "does not exist"),
        FaultKind::ServerError => ("server", true, true, "EngineCore encountered an issue"),
    };
    Expected {
        kind,
        sent,
        retryable,
        words,
    }
}

fn judge(fault: FaultKind, events: &[Event], error: Option<&Error>) -> Result<(), String> {
    let expected = expected(fault);
    let Some(error) = error else {
        return match (expected.kind, events.last()) {
            ("ok", Some(Event::Finish(_))) => Ok(()),
            ("ok", last) => Err(format!("the answer ends in {last:?}")),
            (kind, _) => Err(format!("no error, expected {kind}; events {events:?}")),
        };
    };
    let told = format!("{error:?}");
    let checks = [
        ("kind", error.kind_name() == expected.kind),
        ("request_sent", error.request_sent() == expected.sent),
        ("retryable", error.retryable() == expected.retryable),
        (
            "words",
            error
                .message()
                .to_lowercase()
                .contains(&expected.words.to_lowercase()),
        ),
        ("bounded message", error.message().len() < 8 * 1024),
        (
            "no control characters",
            !error.message().chars().any(|c| c.is_control() && c != '\n'),
        ),
    ];
    match checks.iter().find(|(_, holds)| !holds) {
        None => Ok(()),
        Some((what, _)) => Err(format!(
            "{what} is not as expected ({}): {told}",
            expected.kind
        )),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_a_server_ends_in_a_typed_error_and_leaves_nothing_behind() {
    let mut failures = Vec::new();
    for kind in FaultKind::ALL {
        let mock = Mock::start(Options {
            faults: vec![Fault::from(*kind)],
            ..Options::default()
        })
        .await
        .expect("a mock");
        let provider = provider(&mock.base_url(), "key", short_limits());
        let (events, error) = run(&provider, &model("mock-model"), &ask("Say hello.")).await;
        if let Err(why) = judge(*kind, &events, error.as_ref()) {
            failures.push(format!("{}: {why}", kind.name()));
        }
        // Nothing of the chat is left at the server.
        let start = tokio::time::Instant::now();
        while mock.running() > 0 {
            if start.elapsed() > Duration::from_secs(20) {
                failures.push(format!("{}: the server still runs the chat", kind.name()));
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // And the provider works as soon as the server does.
        mock.set_faults([]).expect("a healthy mock");
        let (events, error) = run(&provider, &model("mock-model"), &ask("Say hello.")).await;
        if error.is_some() || !matches!(events.last(), Some(Event::Finish(_))) {
            failures.push(format!("{}: the next chat fails: {error:?}", kind.name()));
        }
    }
    assert!(
        failures.is_empty(),
        "{}\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wait_that_a_server_asks_for_is_in_the_error() {
    let mock = Mock::start(Options {
        faults: vec!["rate-limited:7".parse().expect("a fault")],
        ..Options::default()
    })
    .await
    .expect("a mock");
    let provider = provider(&mock.base_url(), "key", short_limits());
    let (_, error) = run(&provider, &model("mock-model"), &ask("Say hello.")).await;
    let error = error.expect("429");
    assert_eq!(error.status(), Some(429));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_before_a_cut_is_given() {
    let mock = Mock::start(Options {
        faults: vec!["reset-mid-stream:6".parse().expect("a fault")],
        ..Options::default()
    })
    .await
    .expect("a mock");
    let provider = provider(&mock.base_url(), "key", short_limits());
    let (events, error) = run(&provider, &model("mock-model"), &ask("Say hello.")).await;
    assert_eq!(error.expect("a cut").kind_name(), "interrupted");
    let texts = events
        .iter()
        .filter(|e| matches!(e, Event::Text(_)))
        .count();
    assert!(texts >= 4, "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_after_the_server_closed_its_idle_connections_succeeds() {
    let mock = Mock::start(Options {
        keep_alive: Duration::from_millis(150),
        ..Options::default()
    })
    .await
    .expect("a mock");
    let provider = provider(&mock.base_url(), "key", short_limits());
    for pause in [0, 100, 140, 150, 160, 300] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let (_, error) = run(&provider, &model("mock-model"), &ask("Say hello.")).await;
        assert!(error.is_none(), "after {pause} ms: {error:?}");
    }
}
