//! What a chat tells of itself: spans and metrics by the conventions, and nothing that was not asked for.
//!
//! Each test runs on its own thread, with a subscriber of its own: no other test's spans are seen.

mod content;
mod meter;
mod metrics;
mod route;
mod spans;

use provider_host::mock::{self, Cut, FaultKind, Mock, Options, Pick, Replay};
use provider_host::policy::{Binding, Grant, Origin, Secret, Secrets};
use provider_host::route::{RetryPolicy, Route, Target};
use provider_host::types::{ChatRequest, Event, ResponseFormat, Settings, Tool};
use provider_host::{Provider, ProviderOptions, Telemetry};
use serde_json::{Value, json};

use self::meter::Measured;
use self::spans::Spans;
use crate::recorded;
use crate::support::{ask, model, plugin, run, short_limits, text};

/// Thinks, writes and calls a tool, with a part of its prompt from the cache.
const CASE: &str = "39b-think-text-tool-stream";
const KEY: &str = "sk-the-real-key-0123456789abcdef";
const PROMPT: &str = "the-word-of-the-prompt";

/// A provider and its placeholder for [`KEY`].
fn provider(base_url: &str, telemetry: Telemetry) -> (Provider, String) {
    let mut secrets = Secrets::new();
    let key = Secret::new(KEY).expect("a key");
    let key = secrets
        .mint(key, Binding::api_key())
        .expect("a placeholder");
    let key = key.as_str().to_owned();
    let settings = Settings::at(base_url).with_api_key(key.clone());
    let grant = Grant::new(Origin::parse(base_url).expect("an origin"))
        .with_secrets(secrets)
        .with_limits(short_limits());
    let options = ProviderOptions::new(settings, grant).with_telemetry(telemetry);
    let provider = Provider::new(plugin(), options).expect("a provider");
    (provider, key)
}

async fn replayed() -> Mock {
    let replay = Replay {
        dir: recorded::fixtures(),
        pick: Pick::ByModel,
        seed: 0,
        cut: Cut::EveryByte,
    };
    let options = Options {
        replay: Some(replay),
        ..Options::default()
    };
    Mock::start(options).await.expect("a mock")
}

async fn mock_with(faults: &[FaultKind]) -> Mock {
    let options = Options {
        models: vec![
            mock::Model::new("tiny", 4096),
            mock::Model::new("other", 4096),
        ],
        faults: faults.iter().map(|kind| (*kind).into()).collect(),
        ..Options::default()
    };
    Mock::start(options).await.expect("a mock")
}

fn port(mock: &Mock) -> u16 {
    let url = mock.base_url();
    Origin::parse(&url).expect("an origin").port()
}

/// A request that sets whatever the conventions have a name for.
fn request() -> ChatRequest {
    let mut request = ask(PROMPT);
    request.max_tokens = Some(100);
    request.sampling.temperature = Some(0.5);
    request.sampling.top_p = Some(0.9);
    request.sampling.top_k = Some(40);
    request.sampling.seed = Some(7);
    request.sampling.frequency_penalty = Some(0.1);
    request.sampling.presence_penalty = Some(0.2);
    request.stop = vec!["END".into(), "\"".into()];
    request.response_format = Some(ResponseFormat {
        name: "shape".into(),
        schema: "{}".into(),
        strict: None,
    });
    request.tools = vec![Tool {
        name: "get_weather".into(),
        description: Some("Tells the weather.".into()),
        parameters: r#"{"type": "object"}"#.into(),
    }];
    request
}

/// The fields of a span without its times, which no test can know.
fn known(span: &spans::Span) -> Value {
    let mut fields = span.fields.clone();
    fields.remove("gen_ai.response.time_to_first_chunk");
    json!(fields)
}

#[tokio::test]
async fn a_recorded_answer_is_one_span_with_the_attributes_of_the_conventions() {
    let (spans, _guard) = Spans::collect();
    let mock = replayed().await;
    let (provider, _) = provider(&mock.base_url(), Telemetry::new());
    let (events, error) = run(&provider, &model(CASE), &request()).await;
    assert!(error.is_none(), "{error:?}");

    let span = spans.one("chat ");
    let expected = json!({
        "otel.name": format!("chat {CASE}"),
        "otel.kind": "client",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": CASE,
        "server.address": "127.0.0.1",
        "server.port": port(&mock),
        "provider_host.plugin.version": plugin().manifest().version,
        "gen_ai.request.stream": true,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.seed": 7,
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": 0.2,
        "gen_ai.request.stop_sequences": r#"["END","\""]"#,
        "gen_ai.output.type": "json",
        "gen_ai.response.id": "chatcmpl-b461f8694c7ea620",
        "gen_ai.response.model": "tiny",
        "gen_ai.response.finish_reasons": r#"["tool_calls"]"#,
        "gen_ai.usage.input_tokens": 118 + 128,
        "gen_ai.usage.output_tokens": 42,
        "gen_ai.usage.cache_read.input_tokens": 128,
        "gen_ai.usage.reasoning.output_tokens": 7,
    });
    assert_eq!(known(&span), expected);
    let first = span.get("gen_ai.response.time_to_first_chunk");
    let first = first.and_then(Value::as_f64).expect("a time");
    assert!(first > 0.0 && first < 60.0, "{first}");
    assert!(span.closed, "the span ends with the chat");
    // What the host does for the chat is told as part of it.
    let sent = |event: &spans::Fields| event.get("path") == Some(&json!("/v1/chat/completions"));
    assert!(span.events.iter().any(sent), "{:?}", span.events);

    // Nothing of the content, though there was some.
    let answer = text(&events);
    assert!(!answer.is_empty());
    let told = format!("{:?}", spans.all());
    for word in [PROMPT, &answer, "get_weather", "Oslo"] {
        assert!(!told.contains(word), "{word}: {told}");
    }
}

#[tokio::test]
async fn no_event_is_recorded_by_itself() {
    let (spans, _guard) = Spans::collect();
    // Without the tokens of a cache, which the second chat would have more of.
    let options = Options {
        prompt_tokens_details: false,
        ..Options::default()
    };
    let mock = Mock::start(options).await.expect("a mock");
    let (provider, _) = provider(&mock.base_url(), Telemetry::new());
    let mut records = Vec::new();
    for words in [4, 400] {
        let (events, error) = run(
            &provider,
            &model("mock-model"),
            &ask(&"word ".repeat(words)),
        )
        .await;
        assert!(error.is_none(), "{error:?}");
        let all = spans.all();
        let span = all.last().expect("a span");
        records.push((events.len(), span.records));
    }
    let [(few, some), (many, same)] = records[..] else {
        panic!("two chats: {records:?}");
    };
    assert!(many > few, "{few} and {many} events");
    assert_eq!(some, same, "for {few} and {many} events");
}

#[tokio::test]
async fn an_error_is_told_by_its_kind_and_status_and_not_in_words() {
    let (spans, _guard) = Spans::collect();
    let mock = mock_with(&[FaultKind::ServerError]).await;
    let (provider, _) = provider(&mock.base_url(), Telemetry::new());
    let (_, error) = run(&provider, &model("tiny"), &ask(PROMPT)).await;
    let error = error.expect("an error");
    let span = spans.one("chat tiny");
    for (field, value) in [
        ("error.type", json!("server")),
        ("otel.status_code", json!("ERROR")),
        ("http.response.status_code", json!(500)),
        ("gen_ai.response.finish_reasons", json!(r#"["error"]"#)),
    ] {
        assert_eq!(span.get(field), Some(&value), "{field}: {span:#?}");
    }
    assert!(span.closed);
    for field in [
        "otel.status_description",
        "gen_ai.usage.input_tokens",
        "gen_ai.response.time_to_first_chunk",
    ] {
        assert_eq!(span.get(field), None, "{field}");
    }
    let told = format!("{:?}", spans.all());
    assert!(!told.contains(error.message()), "{told}");
}

#[tokio::test]
async fn a_chat_that_is_dropped_is_cancelled_unless_its_finish_was_read() {
    let (spans, _guard) = Spans::collect();
    let mock = mock_with(&[]).await;
    let measured = Measured::default();
    let telemetry = Telemetry::new().with_meter(&measured.meter());
    let (provider, _) = provider(&mock.base_url(), telemetry);

    let mut chat = provider.chat(&model("tiny"), &ask("Say hello.")).await;
    let chat_begun = chat.as_mut().expect("a chat");
    let first = chat_begun.next_batch(1).await.expect("an event");
    assert_eq!(first.len(), 1);
    assert!(!spans.one("chat tiny").closed, "it goes on");
    drop(chat);
    let span = spans.one("chat tiny");
    assert_eq!(span.get("error.type"), Some(&json!("cancelled")));
    assert_eq!(span.get("otel.status_code"), Some(&json!("ERROR")));
    let words = span.get("otel.status_description");
    assert_eq!(words, Some(&json!("dropped before its end")));
    let reasons = span.get("gen_ai.response.finish_reasons");
    assert_eq!(reasons, Some(&json!(r#"["error"]"#)));
    assert!(span.closed);

    let mut chat = provider.chat(&model("other"), &ask("Say hello.")).await;
    let chat_begun = chat.as_mut().expect("a chat");
    loop {
        let batch = chat_begun.next_batch(64).await.expect("events");
        if matches!(batch.last(), Some(Event::Finish(_))) {
            break;
        }
        assert!(!batch.is_empty(), "no finish");
    }
    drop(chat);
    let span = spans.one("chat other");
    assert_eq!(span.get("error.type"), None, "{span:#?}");
    assert!(
        span.get("gen_ai.usage.output_tokens").is_some(),
        "{span:#?}"
    );
    assert!(span.closed);

    // A start that is given up is no chat, and is told of.
    let request = ask("Say hello.");
    let third = model("third");
    drop(polled_once(provider.chat(&third, &request)).await);
    let span = spans.one("chat third");
    assert_eq!(span.get("error.type"), Some(&json!("cancelled")));
    while !spans.one("chat third").closed {
        // Its request is a task that goes away in its next turn.
        tokio::task::yield_now().await;
    }

    let running: f64 = measured
        .of("provider_host.chats")
        .iter()
        .map(|one| one.0)
        .sum();
    assert_eq!(running, 0.0, "each chat that began has ended");
    let ends = measured.of("gen_ai.client.inference.duration");
    let cancelled = |one: &meter::Measurement| one.1.contains(&"error.type=cancelled".to_owned());
    assert_eq!(
        ends.iter().map(cancelled).collect::<Vec<_>>(),
        [true, false, true]
    );
}

/// Polls a future once and drops it.
async fn polled_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn questions_beside_chats_are_spans_and_measured_too() {
    let (spans, _guard) = Spans::collect();
    let mock = mock_with(&[]).await;
    let measured = Measured::default();
    let telemetry = Telemetry::new().with_meter(&measured.meter());
    let (provider, _) = provider(&mock.base_url(), telemetry);
    provider.list_models().await.expect("models");
    provider.resolve_model("none").await.expect_err("no model");
    let tiny = model("tiny");
    let counted = provider.count_tokens(&tiny, &ask(PROMPT)).await;
    counted.expect("a count").expect("a plugin that counts");
    let health = provider.check_health().await.expect("health");
    health.expect("a plugin that tells");

    let asked = [
        ("list_models", None, None),
        ("resolve_model", Some("none"), Some("model-not-found")),
        ("count_tokens", Some("tiny"), None),
        ("check_health", None, None),
    ];
    let all = spans.all();
    assert_eq!(all.len(), asked.len(), "{all:#?}");
    let measured = measured.of("gen_ai.client.operation.duration");
    assert_eq!(measured.len(), asked.len(), "{measured:?}");
    for ((operation, model, error), (span, (_, attributes))) in
        asked.into_iter().zip(all.iter().zip(&measured))
    {
        let name = [Some(operation), model].into_iter().flatten();
        assert_eq!(span.name(), name.collect::<Vec<_>>().join(" "));
        assert_eq!(span.get("otel.kind"), Some(&json!("client")));
        assert_eq!(span.get("server.port"), Some(&json!(port(&mock))));
        let told = |field| span.get(field).and_then(Value::as_str);
        assert_eq!(told("gen_ai.operation.name"), Some(operation));
        assert_eq!(told("gen_ai.request.model"), model);
        assert_eq!(told("error.type"), error);
        assert!(span.closed, "{operation}");
        let mut expected = vec![
            format!("gen_ai.operation.name={operation}"),
            "gen_ai.provider.name=vllm".to_owned(),
            "server.address=127.0.0.1".to_owned(),
            format!("server.port={}", port(&mock)),
        ];
        expected.extend(model.map(|model| format!("gen_ai.request.model={model}")));
        expected.extend(error.map(|error| format!("error.type={error}")));
        expected.sort();
        assert_eq!(attributes, &expected);
    }
}

#[tokio::test]
async fn the_page_names_whatever_is_told() {
    let (spans, _guard) = Spans::collect();
    let mock = mock_with(&[FaultKind::Overloaded, FaultKind::None, FaultKind::None]).await;
    let measured = Measured::default();
    let telemetry = Telemetry::new().with_meter(&measured.meter());
    let (provider, _) = provider(&mock.base_url(), telemetry);
    let retries = RetryPolicy::default().with_dice(|| 0.0);
    let route = Route::new(Target::new(&provider, "tiny")).with_retries(retries);
    let mut chat = route.chat(ask("Say hello."));
    while !chat.next_batch(64).await.expect("steps").is_empty() {}
    provider.list_models().await.expect("models");
    let (_, error) = run(&provider, &model("tiny"), &ask("Say hello.")).await;
    assert!(error.is_none(), "{error:?}");

    let page = include_str!("../../docs/observability.md");
    let mut names: Vec<String> = spans.all().into_iter().flat_map(|one| one.known).collect();
    names.extend(measured.instruments().into_keys());
    names.extend(measured.attributes());
    names.sort();
    names.dedup();
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !page.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    // And nothing that is not told.
    let words = page.split('`').skip(1).step_by(2);
    let named = |word: &&str| {
        let ours = ["gen_ai.", "provider_host.", "otel."]
            .iter()
            .any(|it| word.starts_with(it));
        ours && !word.ends_with('.')
    };
    let strange: Vec<_> = words
        .filter(named)
        .filter(|word| !names.iter().any(|name| name == word))
        .collect();
    assert_eq!(
        strange,
        ["gen_ai.token.type"],
        "named as what older conventions had"
    );
}
