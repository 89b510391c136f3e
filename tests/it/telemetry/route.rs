//! A routed chat: a span above those of its exchanges.

use provider_host::Telemetry;
use provider_host::mock::FaultKind;
use provider_host::route::{RetryPolicy, Route, Step, Target};
use serde_json::json;

use super::meter::Measured;
use super::spans::Spans;
use super::{PROMPT, known, mock_with, provider};
use crate::support::ask;

#[tokio::test]
async fn a_route_is_a_span_above_its_exchanges_and_its_steps_are_in_it() {
    let (spans, _guard) = Spans::collect();
    let away = mock_with(&[FaultKind::Overloaded]).await;
    let here = mock_with(&[FaultKind::ServerError, FaultKind::None]).await;
    let measured = Measured::default();
    let telemetry = Telemetry::new().with_meter(&measured.meter());
    let (first, _) = provider(&away.base_url(), telemetry.clone());
    let (second, _) = provider(&here.base_url(), telemetry);
    let retries = RetryPolicy::default().with_max_retries(1).with_dice(|| 0.0);
    let route = Route::new(Target::new(&first, "tiny"))
        .or(Target::new(&second, "other"))
        .with_retries(retries);

    let mut chat = route.chat(ask(PROMPT));
    let mut steps = Vec::new();
    loop {
        let batch = chat.next_batch(64).await.expect("steps");
        if batch.is_empty() {
            break;
        }
        steps.extend(batch.into_iter().filter_map(|step| match step {
            Step::Retry(_) => Some("retry"),
            Step::Fallback(_) => Some("fallback"),
            _ => None,
        }));
    }
    assert_eq!(steps, ["retry", "fallback", "retry"]);

    let span = spans.one("route ");
    let expected = json!({
        "otel.name": "route vllm/tiny",
        "otel.kind": "internal",
        "provider_host.route.model": "vllm/tiny",
        "provider_host.route.answered_by": "vllm/other",
        "provider_host.route.retries": 2,
        "provider_host.route.refits": 0,
        "provider_host.route.fallbacks": 1,
    });
    assert_eq!(known(&span), expected);
    assert!(
        span.closed,
        "the span ends with the chat, not with its owner"
    );
    let messages = span.events.iter().map(|event| event["message"].clone());
    assert_eq!(
        messages.collect::<Vec<_>>(),
        [
            "trying again",
            "falling back to another model",
            "trying again"
        ]
    );
    let kinds = span.events.iter().map(|event| event["kind"].clone());
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        ["overloaded", "overloaded", "server"]
    );
    let exchanges: Vec<_> = spans
        .all()
        .into_iter()
        .filter(|span| span.name().starts_with("chat "))
        .map(|span| (span.name().to_owned(), span.parent))
        .collect();
    let within = Some("route vllm/tiny".to_owned());
    let tiny = ("chat tiny".to_owned(), within.clone());
    let other = ("chat other".to_owned(), within);
    assert_eq!(exchanges, [tiny.clone(), tiny, other.clone(), other]);

    let counted = measured.of("provider_host.route.steps");
    let counted: Vec<_> = counted
        .iter()
        .map(|(value, attributes)| {
            let told = |name: &str| {
                let found = attributes.iter().find_map(|one| one.strip_prefix(name));
                found.unwrap_or_default().to_owned()
            };
            (
                *value,
                told("provider_host.route.step="),
                told("provider_host.route.model="),
                told("error.type="),
            )
        })
        .collect();
    let step = |step: &str, model: &str, error: &str| {
        (1.0, step.to_owned(), model.to_owned(), error.to_owned())
    };
    assert_eq!(
        counted,
        [
            step("retry", "vllm/tiny", "overloaded"),
            step("fallback", "vllm/tiny", "overloaded"),
            step("retry", "vllm/other", "server"),
        ]
    );
    drop(chat);
}

#[tokio::test]
async fn a_route_that_is_dropped_or_fails_says_so() {
    let (spans, _guard) = Spans::collect();
    let mock = mock_with(&[FaultKind::Unauthorized]).await;
    let (provider, _) = provider(&mock.base_url(), Telemetry::new());
    let route = Route::new(Target::new(&provider, "tiny"));
    let mut chat = route.chat(ask("Say hello."));
    let error = chat.next_batch(1).await.expect_err("no key");
    let span = spans.one("route ");
    assert_eq!(span.get("error.type"), Some(&json!(error.kind_name())));
    assert_eq!(span.get("http.response.status_code"), Some(&json!(401)));
    assert!(span.closed);

    drop(Route::new(Target::new(&provider, "other")).chat(ask("Say hello.")));
    let span = spans.one("route vllm/other");
    assert_eq!(span.get("error.type"), Some(&json!("cancelled")));
    assert!(span.closed);
}
