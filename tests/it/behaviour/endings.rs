//! How an answer ends, well or badly.

use std::time::{Duration, Instant};

use provider_host::types::Event;
use provider_host::{Error, ErrorKind};
use serde_json::{Value, json};

use super::answer::{Answer, chunk, delta, events, finish, usage};
use super::server::Server;
use super::user::{User, hears};
use crate::support::{ask, event_json, text};

const DONE: &str = "data: [DONE]\n\n";

async fn heard(answer: Answer) -> (Vec<Event>, Option<Error>) {
    hears(&json!({"id": "m"}), answer).await
}

/// The finish reason of an answer that must succeed, and the codes of its notes.
async fn reason(choices: &[Value]) -> (String, Vec<String>) {
    let (events, error) = heard(Answer::choices(choices)).await;
    assert!(error.is_none(), "{error:?} after {events:?}");
    let last = event_json(events.last().expect("an end"));
    let notes = events.iter().filter_map(|event| match event {
        Event::Note(note) if note.code != "no-usage" => Some(note.code.clone()),
        _ => None,
    });
    (
        last["reason"].as_str().expect("a finish").to_owned(),
        notes.collect(),
    )
}

fn hello() -> Value {
    chunk(&delta(json!({"content": "hello"})))
}

fn call() -> Value {
    delta(json!({"tool_calls": [{"index": 0, "id": "c", "function":
        {"name": "look", "arguments": "{}"}}]}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_delta_beside_a_finish_reason_is_read_first() {
    let last = json!({"delta": {"content": " world"}, "finish_reason": "length"});
    let (events, error) = heard(Answer::chunks(&[hello(), chunk(&last)])).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(text(&events), "hello world");
    assert_eq!(
        event_json(events.last().expect("an end"))["reason"],
        "length"
    );
    // The last piece of a call, too.
    let last = json!({"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]},
        "finish_reason": "tool_calls"});
    let first = delta(json!({"tool_calls": [{"index": 0, "id": "c", "function":
        {"name": "look", "arguments": "{"}}]}));
    let (events, _) = heard(Answer::choices(&[first, last])).await;
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::ToolCallEnd(c) if c.arguments == "{}"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finish_reasons_are_named_and_others_keep_their_word() {
    for (sent, found) in [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("repetition", "repetition"),
        ("something_new", "something_new"),
    ] {
        let choices = [delta(json!({"content": "x"})), finish(sent)];
        assert_eq!(reason(&choices).await, (found.to_owned(), vec![]), "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_the_server_gave_up_is_interrupted_and_what_came_is_kept() {
    for (word, kind) in [
        ("abort", ErrorKind::Interrupted),
        ("error", ErrorKind::Server),
    ] {
        let choices = [delta(json!({"content": "x"})), finish(word)];
        let (events, error) = heard(Answer::choices(&choices)).await;
        let error = error.expect("an answer that is not complete");
        assert_eq!(error.kind(), &kind, "{word}");
        assert!(error.message().contains(word), "{}", error.message());
        assert_eq!(text(&events), "x");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_that_stands_for_no_finish_reason_is_none() {
    for word in ["null", "None", "unfinished", ""] {
        let beside = |text: &str| json!({"delta": {"content": text}, "finish_reason": word});
        let (events, error) =
            heard(Answer::choices(&[beside("a"), beside("b"), finish("stop")])).await;
        assert!(error.is_none(), "{word}: {error:?}");
        assert_eq!(text(&events), "ab");
        let (events, error) = heard(Answer::choices(&[beside("a"), beside("b")])).await;
        assert_eq!(error.expect("not complete").kind(), &ErrorKind::Interrupted);
        assert_eq!(text(&events), "ab", "{word}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_word_beside_a_whole_call_is_tool_calls() {
    let found = reason(&[call(), finish("eos_token")]).await;
    assert_eq!(found, ("tool_calls".to_owned(), vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_calls_and_done_are_a_good_end_without_a_finish_reason_and_told() {
    let found = reason(&[call()]).await;
    assert_eq!(
        found,
        ("tool_calls".to_owned(), vec!["no-finish-reason".to_owned()])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_makes_the_reason_tool_calls_also_where_the_server_says_stop() {
    for sent in ["tool_calls", "stop", "function_call"] {
        assert_eq!(
            reason(&[call(), finish(sent)]).await,
            ("tool_calls".to_owned(), vec![]),
            "{sent}"
        );
    }
    // A call that was cut is not one to be run.
    assert_eq!(reason(&[call(), finish("length")]).await.0, "length");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tool_calls_without_a_call_is_told() {
    let choices = [
        delta(json!({"content": "<tool_call>"})),
        finish("tool_calls"),
    ];
    let found = reason(&choices).await;
    assert_eq!(
        found,
        (
            "tool_calls".to_owned(),
            vec!["tool-calls-missing".to_owned()]
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn done_behind_a_finish_reason_is_the_good_end() {
    let whole = events(&[hello(), chunk(&finish("stop"))]) + DONE;
    // What comes behind it is not read, and its end is not waited for.
    for answer in [
        Answer::stream(whole.clone()),
        Answer::stream(whole.clone() + "data: {\"error\":\"late\"}\n\n"),
        Answer::stream(whole.clone()).silent(),
    ] {
        let start = Instant::now();
        let (events, error) = heard(answer).await;
        assert!(error.is_none(), "{error:?}");
        assert!(
            matches!(events.last(), Some(Event::Finish(_))),
            "{events:?}"
        );
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_without_a_finish_reason_is_interrupted() {
    let began = events(&[hello()]);
    for (what, answer) in [
        ("the end of the body", Answer::stream(began.clone())),
        ("[DONE] alone", Answer::stream(began.clone() + DONE)),
        (
            "a closed connection",
            Answer::stream(began.clone())
                .pause(Duration::from_millis(30))
                .cut(),
        ),
    ] {
        let (events, error) = heard(answer).await;
        let error = error.unwrap_or_else(|| panic!("{what} is taken for an answer"));
        assert_eq!(error.kind_name(), "interrupted", "{what}");
        assert!(
            error.request_sent() && !error.retryable(),
            "{what}: {error:?}"
        );
        assert_eq!(text(&events), "hello", "{what}");
        assert!(!matches!(events.last(), Some(Event::Finish(_))), "{what}");
    }
    // Before anything came, the same request may be sent again.
    for (what, answer) in [
        ("no answer", Answer::none()),
        ("an empty body", Answer::stream("")),
        ("[DONE] alone", Answer::stream(DONE)),
        (
            "a closed connection",
            Answer::stream(": hi\n\n")
                .pause(Duration::from_millis(30))
                .cut(),
        ),
    ] {
        let (events, error) = heard(answer).await;
        let error = error.unwrap_or_else(|| panic!("{what} is taken for an answer"));
        assert_eq!(error.kind_name(), "interrupted", "{what}");
        assert!(
            error.request_sent() && error.retryable(),
            "{what}: {error:?}"
        );
        assert_eq!(events, [], "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_body_behind_a_finish_reason_is_good_and_told() {
    let (events, error) = heard(Answer::stream(events(&[hello(), chunk(&finish("stop"))]))).await;
    assert!(error.is_none(), "{error:?}");
    assert!(matches!(events.last(), Some(Event::Finish(_))));
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Note(note) if note.code == "no-done"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_in_the_stream_is_typed_although_the_status_is_200() {
    let engine = "data: {\"error\": {\"message\": \"EngineCore encountered an issue.\", \
                  \"type\": \"InternalServerError\", \"param\": null, \"code\": 500}}\n\n";
    let refused = "data: {\"error\": {\"message\": \"list index out of range\", \
                   \"type\": \"BadRequestError\", \"param\": null, \"code\": 400}}\n\n";
    for (error, kind, words) in [
        (engine, "server", "EngineCore"),
        (refused, "invalid-request", "list index"),
        ("data: {\"error\":\"boom\"}\n\n", "server", "boom"),
    ] {
        for (before, said) in [
            (String::new(), ""),
            (events(&[hello()]), "hello"),
            // Even behind a finish reason: [DONE] has not come.
            (events(&[hello(), chunk(&finish("stop"))]), "hello"),
        ] {
            // With and without the [DONE] that vLLM sends behind it.
            for after in [DONE, ""] {
                let (events, failure) =
                    heard(Answer::stream(format!("{before}{error}{after}"))).await;
                let failure = failure.unwrap_or_else(|| panic!("{before}{error} is an answer"));
                assert_eq!((&*failure.kind_name(), failure.status()), (kind, Some(200)));
                assert!(failure.message().contains(words), "{failure:?}");
                assert_eq!(text(&events), said);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_a_timeout_and_what_came_is_kept() {
    let server = Server::answering([Answer::stream(events(&[hello()])).silent()]).await;
    let entry = json!({"baseUrl": server.base_url(), "timeoutSeconds": 0.5,
        "models": [{"id": "m"}]});
    let (events, error) = User::entry(&entry).chat("m", &ask("hi")).await;
    let error = error.expect("silence");
    assert_eq!(error.kind_name(), "timeout", "{error:?}");
    assert!(error.request_sent() && !error.retryable(), "{error:?}");
    assert_eq!(text(&events), "hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keep_alive_comments_count_as_life() {
    let step = Duration::from_millis(300);
    let slow = (0..8).fold(Answer::stream(events(&[hello()])), |answer, _| {
        answer.pause(step).bytes(": keep-alive\n\n")
    });
    let end = events(&[chunk(&finish("stop")), usage(&json!({"total_tokens": 3}))]) + DONE;
    let server = Server::answering([slow.bytes(end)]).await;
    // Silent for longer than its limit, were it not for the comments.
    let limits = provider_host::policy::NetworkLimits::new()
        .with_first_byte_timeout(Duration::from_secs(10))
        .with_idle_timeout(Duration::from_millis(1_200));
    let provider = crate::support::provider(&server.base_url(), "key", limits);
    let start = Instant::now();
    let (events, error) =
        crate::support::run(&provider, &crate::support::model("m"), &ask("hi")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(text(&events), "hello");
    assert!(start.elapsed() > 2 * Duration::from_millis(1_100));
}

/// A vLLM whose engine died while it was told to end goes on with its comments for as long as it is listened to.
#[tokio::test]
async fn comments_alone_last_no_longer_than_the_whole_exchange_may() {
    let comments = (0..40).fold(Answer::stream(events(&[hello()])), |answer, _| {
        answer
            .pause(Duration::from_millis(100))
            .bytes(": keep-alive\n\n")
    });
    let server = Server::answering([comments]).await;
    let limits = provider_host::policy::NetworkLimits::new()
        .with_idle_timeout(Duration::from_secs(10))
        .with_total_timeout(Duration::from_secs(1));
    let provider = crate::support::provider(&server.base_url(), "key", limits);
    let (events, error) =
        crate::support::run(&provider, &crate::support::model("m"), &ask("hi")).await;
    let error = error.expect("no answer");
    assert_eq!(error.kind_name(), "timeout", "{error:?}");
    assert!(error.request_sent() && !error.retryable(), "{error:?}");
    assert_eq!(text(&events), "hello");
}
