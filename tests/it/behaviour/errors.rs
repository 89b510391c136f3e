//! Whatever goes wrong, as one typed error.

use std::time::Duration;

use provider_host::Error;
use serde_json::{Value, json};

use super::answer::{Answer, chunk, delta, events};
use super::server::Server;
use super::user::{User, hears};
use crate::support::{ask, text};

/// Of no known form, so that nothing but the key itself tells that it is one.
const KEY: &str = "4Qd8Lw2Z never-shown";

/// The error of a chat that is answered so; its message has the address and no
/// key.
async fn error(answer: Answer) -> Error {
    let server = Server::answering([answer.clone()]).await;
    let user = User::declaring(&server, &json!({"id": "m"})).env("VLLM_API_KEY", KEY);
    let (events, error) = user.chat("m", &ask("hi")).await;
    let error = error.unwrap_or_else(|| panic!("{answer:?} is taken for an answer: {events:?}"));
    assert!(error.message().contains(&server.base_url()), "{error:?}");
    assert!(!format!("{error:?} {error}").contains(KEY), "{error:?}");
    error
}

async fn status(status: u16, body: &Value) -> Error {
    error(Answer::json(status, body)).await
}

fn vllm(message: &str, kind: &str, param: Value, code: u16) -> Value {
    json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_status_has_its_kind_and_says_whether_to_try_again() {
    for (code, kind, retryable) in [
        (400, "invalid-request", false),
        (401, "authentication", false),
        (402, "invalid-request", false),
        (403, "permission", false),
        (404, "invalid-config", false),
        (405, "invalid-request", false),
        (408, "timeout", true),
        (413, "invalid-request", false),
        (415, "invalid-request", false),
        (422, "invalid-request", false),
        (425, "rate-limited", true),
        (429, "rate-limited", true),
        (500, "server", true),
        (501, "server", true),
        (502, "overloaded", true),
        (503, "overloaded", true),
        (504, "overloaded", true),
        (529, "overloaded", true),
        (599, "server", true),
    ] {
        let error = status(code, &json!({"detail": "words of the server"})).await;
        assert_eq!(
            (&*error.kind_name(), error.retryable()),
            (kind, retryable),
            "{code}: {error:?}"
        );
        assert_eq!((error.status(), error.request_sent()), (Some(code), true));
        assert!(error.message().contains("words of the server"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_model_is_told_with_the_ids_that_the_server_named() {
    let body = vllm(
        "The model `m` does not exist. Valid aliases: tiny, tiny-alias.",
        "NotFoundError",
        json!("model"),
        404,
    );
    let error = status(404, &body).await;
    assert_eq!(
        (&*error.kind_name(), error.retryable()),
        ("model-not-found", false)
    );
    assert!(error.message().contains("tiny, tiny-alias"), "{error:?}");
    // Older servers name no others.
    let body = vllm(
        "The model `m` does not exist.",
        "NotFoundError",
        Value::Null,
        404,
    );
    assert_eq!(status(404, &body).await.kind_name(), "model-not-found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_page_is_a_wrong_base_url() {
    let missing = json!({"detail": "Not Found"});
    let error = status(404, &missing).await;
    assert_eq!(
        (&*error.kind_name(), error.retryable()),
        ("invalid-config", false)
    );
    assert!(error.message().contains("base URL"), "{error:?}");

    let server = Server::answering([Answer::json(404, &missing)]).await;
    let entry = json!({"baseUrl": server.origin(), "models": [{"id": "m"}]});
    let (_, error) = User::entry(&entry).chat("m", &ask("hi")).await;
    let error = error.expect("no such page");
    assert!(error.message().contains("/v1"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_too_long_for_the_context_is_an_overflow_with_both_numbers() {
    for (message, limit, requested) in [
        (
            "This model's maximum context length is 4096 tokens. However, your prompt contains at \
             least 4097 input tokens, which exceeds this limit even without any output tokens.",
            4096,
            Some(4097),
        ),
        (
            "This model's maximum context length is 4096 tokens. However, your request has 8112 \
             input tokens. Please reduce the length of the input messages. None",
            4096,
            Some(8112),
        ),
        (
            "This model's maximum context length is 4096 tokens. However, your prompt contains \
             90000 characters (more than 65536 characters, which is the upper bound for 4096 \
             input tokens).",
            4096,
            None,
        ),
    ] {
        let error = status(
            400,
            &vllm(message, "BadRequestError", json!("input_tokens"), 400),
        )
        .await;
        assert_eq!(
            (&*error.kind_name(), error.retryable()),
            ("context-overflow", false),
            "{error:?}"
        );
        assert_eq!((error.limit(), error.requested()), (Some(limit), requested));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_too_large_for_the_context_is_no_overflow_and_names_the_limit() {
    for (message, limit, requested) in [
        (
            "max_tokens=100000 cannot be greater than max_model_len=4096. Please request fewer \
             output tokens.",
            4096,
            100_000,
        ),
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 4000. This model's maximum \
             context length is 4096 tokens and your request has 200 input tokens (4000 > 4096 - \
             200). None",
            4096,
            4200,
        ),
        (
            "This model's maximum context length is 4096 tokens. However, you requested 5000 \
             tokens (4000 in the messages, 1000 in the completion).",
            4096,
            5000,
        ),
    ] {
        let error = status(400, &vllm(message, "BadRequestError", Value::Null, 400)).await;
        // Retryable: refitted, it may succeed.
        assert_eq!(
            (&*error.kind_name(), error.retryable()),
            ("invalid-request", true),
            "{error:?}"
        );
        assert_eq!(
            (error.limit(), error.requested()),
            (Some(limit), Some(requested))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wait_that_a_server_asks_for_is_read_in_all_its_forms() {
    const NOW: (&str, &str) = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    for (headers, wait) in [
        (vec![("retry-after", "7")], Some(7_000)),
        (vec![("retry-after", "0")], Some(0)),
        (vec![("retry-after", "1.5")], Some(1_500)),
        (vec![("retry-after-ms", "250")], Some(250)),
        (
            vec![("retry-after", "9"), ("retry-after-ms", "250")],
            Some(250),
        ),
        (
            vec![NOW, ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")],
            Some(30_000),
        ),
        (
            vec![NOW, ("retry-after", "Sunday, 06-Nov-94 08:50:07 GMT")],
            Some(30_000),
        ),
        (
            vec![NOW, ("retry-after", "Sun Nov  6 08:50:07 1994")],
            Some(30_000),
        ),
        (
            vec![NOW, ("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT")],
            None,
        ),
        (vec![("retry-after", "soon")], None),
        (vec![("retry-after", "-5")], None),
        (vec![], None),
    ] {
        for code in [429, 503] {
            let answer = Answer::json(code, &json!({}));
            let answer = headers
                .iter()
                .fold(answer, |answer, (name, value)| answer.header(name, value));
            let found = error(answer).await.retry_after();
            assert_eq!(found, wait.map(Duration::from_millis), "{code} {headers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_never_was_is_unreachable_and_nothing_was_sent() {
    for (base_url, retryable, words) in [
        ("http://127.0.0.1:1/v1", true, "refused"),
        ("http://vllm.invalid/v1", true, "vllm.invalid"),
    ] {
        let entry = json!({"baseUrl": base_url, "auth": "none", "models": [{"id": "m"}]});
        let (_, error) = User::entry(&entry).chat("m", &ask("hi")).await;
        let error = error.expect("nobody is there");
        assert_eq!(
            (&*error.kind_name(), error.retryable()),
            ("unreachable", retryable),
            "{error:?}"
        );
        assert!(
            !error.request_sent() && error.message().contains(words),
            "{error:?}"
        );
    }
    // TLS to a server that speaks none will fail again.
    let server = Server::start().await;
    let entry = json!({"baseUrl": server.base_url().replace("http:", "https:"),
        "models": [{"id": "m"}]});
    let (_, error) = User::entry(&entry).chat("m", &ask("hi")).await;
    let error = error.expect("no TLS");
    assert_eq!(
        (&*error.kind_name(), error.retryable()),
        ("unreachable", false),
        "{error:?}"
    );
    assert!(
        !error.request_sent() && error.message().contains("TLS"),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_before_the_first_event_may_be_tried_again_and_one_after_it_may_not() {
    let before = Answer::stream(": hi\n\n")
        .pause(Duration::from_millis(30))
        .cut();
    for answer in [Answer::none(), before] {
        let error = error(answer).await;
        assert_eq!(
            (&*error.kind_name(), error.retryable()),
            ("interrupted", true),
            "{error:?}"
        );
        assert!(error.request_sent());
    }
    let began = events(&[chunk(&delta(json!({"content": "half an ans"})))]);
    let answer = Answer::stream(began).pause(Duration::from_millis(30)).cut();
    let (events, error) = hears(&json!({"id": "m"}), answer).await;
    let error = error.expect("half an answer");
    assert_eq!(
        (&*error.kind_name(), error.retryable()),
        ("interrupted", false),
        "{error:?}"
    );
    assert!(error.request_sent());
    assert_eq!(text(&events), "half an ans");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_four_shapes_of_a_body_are_read() {
    for (body, code) in [
        (
            vllm("It broke.", "BadRequestError", Value::Null, 400),
            Some("BadRequestError"),
        ),
        (json!({"error": "It broke."}), None),
        (json!({"detail": "It broke."}), None),
        (
            json!({"detail": [{"loc": ["body"], "msg": "It broke.", "type": "missing"}]}),
            None,
        ),
        (
            json!({"object": "error", "message": "It broke.", "type": "BadRequestError",
                "param": null, "code": 400}),
            Some("BadRequestError"),
        ),
    ] {
        let error = status(400, &body).await;
        assert_eq!(
            (&*error.kind_name(), error.code()),
            ("invalid-request", code),
            "{body}"
        );
        let message = error.message();
        assert!(message.contains("It broke."), "{body}: {message}");
        // The words, and not the JSON around them.
        assert!(
            !message.contains('{') || body["detail"].is_array(),
            "{message}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_no_known_shape_is_quoted_up_to_4_kib_at_a_character_boundary() {
    for body in [
        "gateway says no",
        "{\"why\": \"gateway says no\"}",
        "[\"gateway says no\"]",
    ] {
        let error = error(Answer::status(500).bytes(body)).await;
        assert!(error.message().contains("gateway says no"), "{error:?}");
    }
    // 3 bytes each: 4096 is not a multiple.
    let error = error(Answer::status(500).bytes("漢".repeat(100_000))).await;
    let quoted = error.message().matches('漢').count();
    assert_eq!(quoted, 4096 / 3, "{}", error.message().len());
    assert!(!error.message().contains('\u{fffd}'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_holds_a_key_even_where_the_server_says_it_back() {
    // `error` looks for the key in everything that it gives back.
    for (code, body) in [
        (
            401,
            json!({"error": {"message": format!("Incorrect API key provided: {KEY}.")}}),
        ),
        (
            400,
            json!({"error": format!("header Authorization: Bearer {KEY} is odd")}),
        ),
        (500, json!({"detail": KEY})),
        (403, json!({"message": format!("{KEY}{KEY}")})),
    ] {
        status(code, &body).await;
    }
    let said = format!(
        "data: {}\n\n",
        json!({"error": {"message": KEY, "type": KEY, "code": 500}})
    );
    error(Answer::stream(said)).await;
    let page = format!("<title>{KEY}</title>");
    error(
        Answer::status(200)
            .header("content-type", "text/html")
            .bytes(page),
    )
    .await;
    error(Answer::stream(format!("data: {KEY}\n\n"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_takes_too_long_is_a_timeout_and_nothing_was_sent() {
    // TCP takes it, and TLS is never answered.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let limits = provider_host::policy::NetworkLimits::new()
        .with_connect_timeout(Duration::from_millis(300));
    let provider = crate::support::provider(&format!("https://{address}/v1"), "key", limits);
    let (_, error) = crate::support::run(&provider, &crate::support::model("m"), &ask("hi")).await;
    let error = error.expect("no handshake");
    assert_eq!(
        (&*error.kind_name(), error.retryable()),
        ("timeout", true),
        "{error:?}"
    );
    assert!(!error.request_sent(), "{error:?}");
    drop(listener);
}
