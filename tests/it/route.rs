//! A routed chat through the real component and real sockets: what is sent,
//! how often, and what is not.

use std::time::{Duration, Instant};

use provider_host::mock::{self, FaultKind, Mock, Options};
use provider_host::policy::NetworkLimits;
use provider_host::route::{Fit, RetryPolicy, Route, RoutedChat, Step, Target};
use provider_host::types::Event;
use provider_host::{Error, ErrorKind, Provider};

use crate::support::{BOUND, ask, model, provider, short_limits};

const CONTEXT: u64 = 4096;

async fn mock_of(faults: &[FaultKind]) -> Mock {
    Mock::start(Options {
        models: vec![
            mock::Model::new("tiny", CONTEXT),
            mock::Model::new("other", CONTEXT),
        ],
        faults: faults.iter().map(|kind| (*kind).into()).collect(),
        ..Options::default()
    })
    .await
    .expect("a mock")
}

fn provider_for(mock: &Mock, limits: NetworkLimits) -> Provider {
    provider(&mock.base_url(), "secret-1", limits)
}

/// Retries without their waits.
fn at_once() -> RetryPolicy {
    RetryPolicy::default().with_dice(|| 0.0)
}

fn route(provider: &Provider) -> Route {
    Route::new(Target::new(provider, "tiny")).with_retries(at_once())
}

/// What a chat came to: its detours in a word each, its text, its error.
async fn outcome(mut chat: RoutedChat) -> (Vec<&'static str>, String, Option<Error>) {
    let (mut detours, mut text) = (Vec::new(), String::new());
    loop {
        let batch = tokio::time::timeout(BOUND, chat.next_batch(64)).await;
        let steps = match batch.expect("a step or the end in time") {
            Ok(steps) if steps.is_empty() => return (detours, text, None),
            Ok(steps) => steps,
            Err(error) => return (detours, text, Some(error)),
        };
        for step in steps {
            match step {
                Step::Event(Event::Text(piece)) => text.push_str(&piece),
                Step::Fit(fitted) => {
                    assert_eq!(
                        fitted.prompt_tokens + fitted.max_tokens,
                        4_096,
                        "{fitted:?}"
                    );
                    detours.push("fit");
                }
                Step::Retry(_) => detours.push("retry"),
                Step::Refit(_) => detours.push("refit"),
                Step::Fallback(_) => detours.push("fallback"),
                _ => {}
            }
        }
    }
}

/// How many requests reached a path.
fn sent(mock: &Mock, path: &str) -> usize {
    let requests = mock.requests();
    requests.iter().filter(|one| one.path == path).count()
}

fn chats(mock: &Mock) -> usize {
    sent(mock, "/v1/chat/completions")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_before_the_first_event_is_retried_if_it_says_so() {
    for kind in [
        FaultKind::Overloaded,
        FaultKind::ServerError,
        FaultKind::ResetBeforeFirstEvent,
        FaultKind::EmptyBody,
        FaultKind::Silent,
    ] {
        let mock = mock_of(&[kind, FaultKind::None]).await;
        let provider = provider_for(&mock, short_limits());
        let (detours, text, error) = outcome(route(&provider).chat(ask("Say hello."))).await;
        assert!(error.is_none(), "{kind:?}: {error:?}");
        assert_eq!(detours, ["retry"], "{kind:?}");
        assert!(!text.is_empty(), "{kind:?}");
        assert_eq!(chats(&mock), 2, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_after_the_first_event_is_final_even_if_it_is_retryable() {
    for kind in [
        FaultKind::ResetMidStream,
        FaultKind::CloseMidStream,
        FaultKind::TruncatedChunk,
        FaultKind::ErrorInStream,
        FaultKind::SilentAfter,
    ] {
        let mock = mock_of(&[kind, FaultKind::None]).await;
        let provider = provider_for(&mock, short_limits());
        let route = route(&provider).or(Target::new(&provider, "other"));
        let (detours, _, error) = outcome(route.chat(ask("Say hello."))).await;
        assert!(error.is_some(), "{kind:?}");
        assert!(detours.is_empty(), "{kind:?}: {detours:?}");
        assert_eq!(chats(&mock), 1, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_out_of_reach_gives_way_to_another_one() {
    let away = mock_of(&[FaultKind::Refuse]).await;
    let here = mock_of(&[]).await;
    let (away, to) = (
        provider_for(&away, short_limits()),
        provider_for(&here, short_limits()),
    );
    let route = Route::new(Target::new(&away, "tiny"))
        .with_retries(RetryPolicy::none())
        .or(Target::new(&to, "other"));
    let mut chat = route.chat(ask("Say hello."));
    assert!(chat.model().is_none());
    let first = chat.next_batch(64).await.expect("a step");
    let Some(Step::Fallback(fallback)) = first.first() else {
        panic!("{first:?}");
    };
    assert_eq!(fallback.error.kind(), &ErrorKind::Unreachable);
    assert_eq!(fallback.to, "vllm/other");
    while !chat.next_batch(64).await.expect("an answer").is_empty() {}
    assert_eq!(chat.model().expect("a model").id, "other");
    assert_eq!(chats(&here), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_prompt_costs_no_count() {
    let mock = mock_of(&[]).await;
    let provider = provider_for(&mock, short_limits());
    let mut request = ask("Say hello.");
    request.max_tokens = Some(100);
    let (detours, _, error) = outcome(route(&provider).chat(request)).await;
    assert!(error.is_none() && detours.is_empty(), "{error:?}");
    assert_eq!((sent(&mock, "/tokenize"), chats(&mock)), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_that_might_not_fit_is_counted_once_by_a_plugin_that_counts() {
    let mock = mock_of(&[]).await;
    let provider = provider_for(&mock, short_limits());
    let mut request = ask(&"word ".repeat(300));
    request.max_tokens = Some(u32::try_from(CONTEXT).expect("a limit") - 100);
    let counted = provider.count_tokens(&model("tiny"), &request).await;
    let counts = counted.expect("a count or none").is_some();
    let before = sent(&mock, "/tokenize");
    let (detours, _, error) = outcome(route(&provider).chat(request.clone())).await;
    assert!(error.is_none(), "{error:?}");
    let asked = sent(&mock, "/tokenize") - before;
    assert_eq!(
        (detours, asked, chats(&mock)),
        (vec!["fit"], usize::from(counts), 1)
    );

    // The caller's own number, or the wish not to count, spares the request.
    let before = sent(&mock, "/tokenize");
    let never = route(&provider).with_fit(Fit::Never);
    let (_, _, error) = outcome(never.chat(request.clone())).await;
    assert!(error.is_none(), "{error:?}");
    request.prompt_tokens = Some(400);
    let (detours, _, error) = outcome(route(&provider).chat(request)).await;
    assert!(error.is_none() && detours.is_empty(), "{error:?}");
    assert_eq!(sent(&mock, "/tokenize"), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_that_is_dropped_while_it_waits_sends_nothing_more() {
    let mock = mock_of(&[FaultKind::RateLimited, FaultKind::None]).await;
    let provider = provider_for(&mock, short_limits());
    let mut chat = route(&provider).chat(ask("Say hello."));
    let first = chat.next_batch(64).await.expect("a step");
    assert!(matches!(first[..], [Step::Retry(_)]), "{first:?}");
    let started = Instant::now();
    // The wait has begun: the server asked for a second.
    let waiting = tokio::time::timeout(Duration::from_millis(50), chat.next_batch(64)).await;
    assert!(waiting.is_err());
    drop(chat);
    tokio::time::sleep(Duration::from_millis(1300).saturating_sub(started.elapsed())).await;
    assert_eq!(chats(&mock), 1);
}
