//! The course of a routed chat against models that do as they are told.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::upstream::{Answer, Boxed};
use super::*;
use crate::bindings::TokenCount;
use crate::bindings::types::{
    ContentPart, Cost, FinishReason, Image, Message, Modality, ModelSource, StreamStart, Tool,
};
use crate::error::ErrorKind;

/// What a model does with a request.
#[derive(Clone)]
enum Does {
    /// Answers with this text.
    Answers(&'static str),
    /// Fails before the first event.
    Fails(Failure),
    /// Begins to answer, then fails.
    Breaks(Failure),
    /// Never says anything.
    Hangs,
}

type Failure = fn() -> Error;

#[derive(Default)]
struct Fake {
    context_window: u32,
    resolve: Mutex<VecDeque<Failure>>,
    plan: Mutex<VecDeque<Does>>,
    /// What counting a prompt gives; none: it can't be counted.
    prompt: Option<u32>,
    counted: AtomicU32,
    seen: Mutex<Vec<ChatRequest>>,
}

impl Fake {
    fn does(plan: impl IntoIterator<Item = Does>) -> Arc<Self> {
        Arc::new(Self {
            context_window: 4096,
            plan: Mutex::new(plan.into_iter().collect()),
            ..Self::default()
        })
    }

    fn counting(prompt: u32, plan: impl IntoIterator<Item = Does>) -> Arc<Self> {
        let mut fake = Self {
            context_window: 4096,
            prompt: Some(prompt),
            ..Self::default()
        };
        fake.plan = Mutex::new(plan.into_iter().collect());
        Arc::new(fake)
    }

    fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    fn limits(&self) -> Vec<Option<u32>> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|request| request.max_tokens).collect()
    }

    fn prompts(&self) -> Vec<Option<u32>> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|request| request.prompt_tokens).collect()
    }
}

impl Upstream for Fake {
    fn resolve(&self) -> Boxed<'_, Result<Model>> {
        let failure = self.resolve.lock().unwrap().pop_front();
        Box::pin(async move {
            match failure {
                Some(failure) => Err(failure()),
                None => Ok(Model {
                    id: "m".into(),
                    name: "m".into(),
                    reasoning: false,
                    input: vec![Modality::Text],
                    cost: Cost {
                        input: 0.0,
                        output: 0.0,
                        cache_read: 0.0,
                        cache_write: 0.0,
                    },
                    context_window: self.context_window,
                    max_tokens: 1024,
                    parent: None,
                    source: ModelSource::Discovered,
                }),
            }
        })
    }

    fn count<'a>(
        &'a self,
        _: &'a Model,
        _: &'a ChatRequest,
    ) -> Boxed<'a, Result<Option<TokenCount>>> {
        self.counted.fetch_add(1, Ordering::Relaxed);
        let count = self.prompt.map(|prompt| TokenCount {
            prompt,
            context_window: None,
        });
        Box::pin(async move { Ok(count) })
    }

    fn chat<'a>(
        &'a self,
        _: &'a Model,
        request: &'a ChatRequest,
    ) -> Boxed<'a, Result<Box<dyn Answer>>> {
        self.seen.lock().unwrap().push(request.clone());
        let does = self
            .plan
            .lock()
            .unwrap()
            .pop_front()
            .expect("one more request");
        Box::pin(async move { Ok(Box::new(Script::of(does)) as Box<dyn Answer>) })
    }
}

struct Script(VecDeque<Result<Vec<Event>>>, bool);

impl Script {
    fn of(does: Does) -> Self {
        let start = Event::Start(StreamStart {
            id: "c".into(),
            model: "m".into(),
        });
        let batches = match does {
            Does::Answers(text) => vec![
                Ok(vec![start, Event::Text(text.into())]),
                Ok(vec![Event::Finish(FinishReason::Stop)]),
            ],
            Does::Fails(failure) => vec![Err(failure())],
            Does::Breaks(failure) => vec![Ok(vec![start]), Err(failure())],
            Does::Hangs => return Self(VecDeque::new(), true),
        };
        Self(batches.into(), false)
    }
}

impl Answer for Script {
    fn next_batch(&mut self, _: u32) -> Boxed<'_, Result<Vec<Event>>> {
        if self.1 {
            return Box::pin(std::future::pending());
        }
        let batch = self.0.pop_front().unwrap_or_else(|| Ok(Vec::new()));
        Box::pin(async move {
            // A wait in which a caller may give up.
            tokio::task::yield_now().await;
            batch
        })
    }
}

fn target(name: &str, fake: &Arc<Fake>) -> Target {
    Target {
        upstream: fake.clone(),
        reference: format!("vllm/{name}"),
    }
}

fn route(fake: &Arc<Fake>) -> Route {
    Route::new(target("a", fake)).with_retries(quick())
}

fn quick() -> RetryPolicy {
    RetryPolicy::default().with_base_delay(Duration::from_millis(2))
}

fn ask(text: &str) -> ChatRequest {
    ChatRequest::user(text)
}

/// The steps in words, and the error.
async fn told(mut chat: RoutedChat) -> (Vec<String>, Option<Error>) {
    let mut words = Vec::new();
    loop {
        match chat.next_batch(8).await {
            Ok(steps) if steps.is_empty() => return (words, None),
            Ok(steps) => words.extend(steps.iter().filter_map(word)),
            Err(error) => return (words, Some(error)),
        }
    }
}

fn word(step: &Step) -> Option<String> {
    Some(match step {
        Step::Event(Event::Text(text)) => (*text).clone(),
        Step::Event(_) => return None,
        Step::Retry(retry) => format!("retry {}/{} {}", retry.number, retry.of, retry.model),
        Step::Fit(fitted) => format!("fit {}", fitted.max_tokens),
        Step::Refit(refit) => format!("refit {}", refit.max_tokens),
        Step::Fallback(fallback) => format!("{} gives way to {}", fallback.model, fallback.to),
    })
}

/// An error as the contract gives it.
fn failure(kind: crate::types::ErrorKind, change: impl FnOnce(&mut crate::types::Error)) -> Error {
    let mut error = crate::types::Error {
        kind,
        message: "it failed".into(),
        status: None,
        code: None,
        retryable: true,
        retry_after_ms: None,
        request_sent: true,
        limit: None,
        requested: None,
    };
    change(&mut error);
    Error::from(error)
}

use crate::types::ErrorKind as K;

fn overloaded() -> Error {
    failure(K::Overloaded, |error| error.status = Some(503))
}
fn refused_key() -> Error {
    failure(K::Authentication, |error| error.retryable = false)
}
fn unreachable() -> Error {
    failure(K::Unreachable, |error| error.request_sent = false)
}
fn no_such_model() -> Error {
    failure(K::ModelNotFound, |error| error.retryable = false)
}
fn later() -> Error {
    failure(K::RateLimited, |error| error.retry_after_ms = Some(30))
}
fn much_later() -> Error {
    failure(K::RateLimited, |error| {
        error.retry_after_ms = Some(3_600_000)
    })
}
fn cut() -> Error {
    failure(K::Interrupted, |_| {})
}
/// vLLM 0.32: the limit alone is over the context.
fn limit_too_large() -> Error {
    failure(K::InvalidRequest, |error| {
        (error.limit, error.requested) = (Some(2048), Some(100_000));
    })
}
/// vLLM up to 0.14: prompt and limit are.
fn sum_too_large() -> Error {
    failure(K::InvalidRequest, |error| {
        (error.limit, error.requested) = (Some(2048), Some(1024 + 1500));
    })
}
fn template_too_large() -> Error {
    failure(K::InvalidRequest, |error| {
        (error.limit, error.requested) = (Some(2048), Some(2000 + 600));
    })
}
fn too_long() -> Error {
    failure(K::ContextOverflow, |error| {
        (error.retryable, error.limit) = (false, Some(2048));
    })
}
fn bad_request() -> Error {
    failure(K::InvalidRequest, |error| error.retryable = false)
}

use Does::{Answers, Breaks, Fails, Hangs};

#[tokio::test]
async fn what_may_succeed_later_is_tried_again() {
    let fake = Fake::does([Fails(overloaded), Fails(cut), Answers("hello")]);
    let (steps, error) = told(route(&fake).chat(ask("x"))).await;
    assert!(error.is_none());
    assert_eq!(steps, ["retry 1/3 vllm/a", "retry 2/3 vllm/a", "hello"]);
    assert_eq!(fake.requests(), 3);
}

#[tokio::test]
async fn what_will_not_succeed_later_is_tried_once() {
    for failure in [refused_key, bad_request, too_long] as [Failure; 3] {
        let fake = Fake::does([Fails(failure)]);
        let (steps, error) = told(route(&fake).chat(ask("x"))).await;
        assert!(steps.is_empty(), "{steps:?}");
        assert_eq!(error.unwrap().kind(), failure().kind());
        assert_eq!(fake.requests(), 1);
    }
}

#[tokio::test]
async fn retries_end() {
    let fake = Fake::does([Fails(overloaded), Fails(overloaded), Fails(overloaded)]);
    let policy = quick().with_max_retries(2);
    let (steps, error) = told(route(&fake).with_retries(policy).chat(ask("x"))).await;
    assert_eq!(steps, ["retry 1/2 vllm/a", "retry 2/2 vllm/a"]);
    assert_eq!(error.unwrap().kind(), &ErrorKind::Overloaded);
}

#[tokio::test]
async fn nothing_is_tried_again_after_the_first_event() {
    let fake = Fake::does([Breaks(cut)]);
    let other = Fake::does([]);
    let (steps, error) = told(route(&fake).or(target("b", &other)).chat(ask("x"))).await;
    assert!(steps.is_empty(), "{steps:?}");
    assert_eq!(error.unwrap().kind(), &ErrorKind::Interrupted);
    assert_eq!((fake.requests(), other.requests()), (1, 0));
}

#[tokio::test]
async fn the_server_s_own_wait_is_kept() {
    let fake = Fake::does([Fails(later), Answers("hello")]);
    let started = std::time::Instant::now();
    let mut chat = route(&fake).chat(ask("x"));
    let first = chat.next_batch(8).await.unwrap();
    assert!(
        matches!(&first[..], [Step::Retry(retry)] if retry.delay >= Duration::from_millis(30)),
        "{first:?}"
    );
    told(chat).await;
    assert!(started.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn a_wait_beyond_the_budget_ends_the_chat_and_says_so() {
    let fake = Fake::does([Fails(much_later)]);
    let (steps, error) = told(route(&fake).chat(ask("x"))).await;
    assert!(steps.is_empty(), "{steps:?}");
    let error = error.unwrap();
    assert!(error.message().contains("wait 3600 s"), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
}

#[tokio::test]
async fn a_limit_that_is_too_large_is_refitted_once() {
    // By the count, by what the server said, and by the most that it can be. A prompt beyond the
    // limit shows that the limit is that of any answer.
    let cases: [(Option<u32>, Failure, u32); 4] = [
        (Some(48), limit_too_large, 2000),
        (Some(5000), limit_too_large, 2048),
        (None, sum_too_large, 548),
        (None, limit_too_large, 2048 - 1024 - 16 - 1),
    ];
    let long = "word ".repeat(800);
    for (prompt, failure, expected) in cases {
        let plan = [Fails(failure), Answers("hello")];
        let fake = match prompt {
            Some(prompt) => Fake::counting(prompt, plan),
            None => Fake::does(plan),
        };
        let mut request = ask(if expected == 548 { &long } else { "x" });
        if expected != 548 {
            request.max_tokens = Some(100_000);
        }
        let route = route(&fake).with_fit(Fit::Never);
        let (steps, error) = told(route.chat(request)).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(steps, [format!("refit {expected}"), "hello".into()]);
        assert_eq!(fake.limits()[1], Some(expected));
    }
}

#[tokio::test]
async fn a_template_with_a_prompt_of_its_own_is_believed() {
    // One word, and the server counts 600 tokens.
    let fake = Fake::does([Fails(template_too_large), Answers("hello")]);
    let mut request = ask("x");
    request.max_tokens = Some(2000);
    let (steps, _) = told(route(&fake).with_fit(Fit::Never).chat(request)).await;
    assert_eq!(steps, ["refit 1448", "hello"]);
}

#[tokio::test]
async fn a_limit_of_the_user_s_own_parameters_is_not_taken_for_the_prompt() {
    // The route knows the model's limit, 1024; the 100,000 are the settings'.
    let fake = Fake::does([Fails(limit_too_large), Answers("hello")]);
    let (steps, _) = told(route(&fake).chat(ask("x"))).await;
    assert_eq!(steps, ["refit 1007", "hello"]);
}

#[tokio::test]
async fn a_second_refusal_of_the_limit_is_final() {
    let fake = Fake::counting(48, [Fails(limit_too_large), Fails(limit_too_large)]);
    let (steps, error) = told(route(&fake).chat(ask("x"))).await;
    assert_eq!(steps.len(), 1, "{steps:?}");
    assert_eq!(error.unwrap().kind(), &ErrorKind::InvalidRequest);
    assert_eq!(fake.requests(), 2);
}

#[tokio::test]
async fn without_retries_nothing_is_sent_twice() {
    for failure in [overloaded, limit_too_large] as [Failure; 2] {
        let fake = Fake::counting(48, [Fails(failure)]);
        let once = route(&fake).with_retries(RetryPolicy::none());
        let (steps, error) = told(once.chat(ask("x"))).await;
        assert!(steps.is_empty(), "{steps:?}");
        assert_eq!(error.unwrap().kind(), failure().kind());
    }
}

#[tokio::test]
async fn a_refit_leaves_the_retries_as_they_are() {
    let fake = Fake::counting(
        48,
        [
            Fails(overloaded),
            Fails(limit_too_large),
            Fails(cut),
            Answers("hello"),
        ],
    );
    let (steps, error) = told(route(&fake).chat(ask("x"))).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(
        steps,
        [
            "retry 1/3 vllm/a",
            "refit 1024",
            "retry 2/3 vllm/a",
            "hello"
        ]
    );
}

#[tokio::test]
async fn a_prompt_is_counted_only_when_its_size_could_matter() {
    let long = "word ".repeat(800);
    let known = ChatRequest {
        prompt_tokens: Some(7),
        ..ask(&long)
    };
    let mut picture = ask("look");
    picture
        .messages
        .push(Message::User(vec![ContentPart::Image(Image {
            media_type: "image/png".into(),
            data: vec![1],
        })]));
    let mut tools = ask("x");
    tools.tools.push(Tool {
        name: "f".into(),
        description: None,
        parameters: " ".repeat(3000),
    });
    let cases = [
        ("a short prompt", Fit::WhenItMatters, ask("hello"), false),
        ("a long prompt", Fit::WhenItMatters, ask(&long), true),
        ("an image", Fit::WhenItMatters, picture, true),
        ("large tools", Fit::WhenItMatters, tools, true),
        (
            "a large limit",
            Fit::WhenItMatters,
            ChatRequest {
                max_tokens: Some(4096),
                ..ask("hello")
            },
            true,
        ),
        ("a known size", Fit::Always, known, false),
        ("always", Fit::Always, ask("hello"), true),
        ("never", Fit::Never, ask(&long), false),
    ];
    for (what, fit, request, expected) in cases {
        let fake = Fake::counting(900, [Answers("hello")]);
        let before = request.prompt_tokens;
        told(route(&fake).with_fit(fit).chat(request)).await;
        assert_eq!(
            fake.counted.load(Ordering::Relaxed),
            u32::from(expected),
            "{what}"
        );
        let sent = if expected { Some(900) } else { before };
        assert_eq!(fake.prompts(), [sent], "{what}");
    }
}

#[tokio::test]
async fn a_prompt_that_cannot_be_counted_is_sent_all_the_same() {
    let fake = Fake::does([Answers("hello")]);
    let (steps, error) = told(route(&fake).with_fit(Fit::Always).chat(ask("x"))).await;
    assert!(error.is_none());
    assert_eq!(steps, ["hello"]);
    assert_eq!(fake.prompts(), [None]);
}

#[tokio::test]
async fn a_model_that_is_not_there_has_no_room_or_is_out_of_reach_gives_way() {
    for failure in [no_such_model, overloaded, unreachable] as [Failure; 3] {
        let first = Fake::does([Fails(failure)]);
        let second = Fake::does([Answers("hello")]);
        let third = Fake::does([]);
        let route = route(&first)
            .or(target("b", &second))
            .or(target("c", &third))
            .with_retries(RetryPolicy::none());
        let (steps, error) = told(route.chat(ask("x"))).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(steps, ["vllm/a gives way to vllm/b", "hello"]);
        assert_eq!(third.requests(), 0);
    }
}

#[tokio::test]
async fn a_model_that_cannot_be_found_gives_way_too() {
    let first = Fake::does([]);
    first.resolve.lock().unwrap().push_back(no_such_model);
    let second = Fake::does([Answers("hello")]);
    let (steps, _) = told(route(&first).or(target("b", &second)).chat(ask("x"))).await;
    assert_eq!(steps, ["vllm/a gives way to vllm/b", "hello"]);
}

#[tokio::test]
async fn finding_a_model_is_tried_again_like_a_chat() {
    let fake = Fake::does([Answers("hello")]);
    fake.resolve.lock().unwrap().push_back(unreachable);
    let (steps, _) = told(route(&fake).chat(ask("x"))).await;
    assert_eq!(steps, ["retry 1/3 vllm/a", "hello"]);
}

#[tokio::test]
async fn other_failures_do_not_give_way() {
    for failure in [refused_key, bad_request, too_long, later] as [Failure; 4] {
        let first = Fake::does([Fails(failure)]);
        let second = Fake::does([]);
        let route = route(&first)
            .or(target("b", &second))
            .with_retries(RetryPolicy::none());
        let (steps, error) = told(route.chat(ask("x"))).await;
        assert!(steps.is_empty(), "{steps:?}");
        assert_eq!(error.unwrap().kind(), failure().kind());
        assert_eq!(second.requests(), 0);
    }
}

#[tokio::test]
async fn if_nobody_answers_the_error_is_the_first_one_s_and_names_the_others() {
    let first = Fake::does([Fails(unreachable)]);
    let second = Fake::does([Fails(no_such_model)]);
    let third = Fake::does([Fails(refused_key)]);
    let route = route(&first)
        .or(target("b", &second))
        .or(target("c", &third))
        .with_retries(RetryPolicy::none());
    let (steps, error) = told(route.chat(ask("x"))).await;
    assert_eq!(steps.len(), 2, "{steps:?}");
    let error = error.unwrap();
    assert_eq!(error.kind(), &ErrorKind::Unreachable);
    assert!(!error.request_sent());
    for part in [
        "vllm/a: it failed",
        "vllm/b: it failed",
        "vllm/c: it failed",
    ] {
        assert!(error.message().contains(part), "{error}");
    }
}

#[tokio::test]
async fn each_model_has_retries_of_its_own_and_all_share_the_budget() {
    let first = Fake::does([Fails(overloaded), Fails(overloaded)]);
    let second = Fake::does([Fails(overloaded), Answers("hello")]);
    let both = route(&first)
        .or(target("b", &second))
        .with_retries(quick().with_max_retries(1));
    let (steps, _) = told(both.chat(ask("x"))).await;
    assert_eq!(
        steps,
        [
            "retry 1/1 vllm/a",
            "vllm/a gives way to vllm/b",
            "retry 1/1 vllm/b",
            "hello"
        ]
    );

    let first = Fake::does([Fails(overloaded)]);
    let second = Fake::does([Fails(overloaded)]);
    let broke = quick().with_dice(|| 1.0).with_budget(Duration::ZERO);
    let both = route(&first).or(target("b", &second)).with_retries(broke);
    let (steps, error) = told(both.chat(ask("x"))).await;
    assert_eq!(steps, ["vllm/a gives way to vllm/b"]);
    assert!(error.is_some());
}

#[tokio::test]
async fn the_model_that_answers_is_known_from_the_first_event_on() {
    let fake = Fake::does([Fails(overloaded), Answers("hello")]);
    let mut chat = route(&fake).chat(ask("x"));
    let retry = chat.next_batch(8).await.unwrap();
    assert!(matches!(&retry[..], [Step::Retry(_)]));
    assert!(chat.model().is_none());
    chat.next_batch(8).await.unwrap();
    assert_eq!(chat.model().unwrap().id, "m");
}

#[tokio::test]
async fn a_dropped_wait_loses_no_step() {
    let fake = Fake::does([Fails(overloaded), Answers("hello")]);
    let mut chat = route(&fake).chat(ask("x"));
    let mut words = Vec::new();
    loop {
        // Each wait is given up at its first pause.
        let steps = tokio::select! {
            biased;
            steps = chat.next_batch(8) => steps.unwrap(),
            () = tokio::task::yield_now() => continue,
        };
        if steps.is_empty() {
            break;
        }
        words.extend(steps.iter().filter_map(word));
    }
    assert_eq!(words, ["retry 1/3 vllm/a", "hello"]);
    assert_eq!(fake.requests(), 2);
}

#[tokio::test]
async fn dropping_the_chat_in_a_wait_sends_nothing_more() {
    let fake = Fake::does([Fails(overloaded)]);
    let slow = quick()
        .with_base_delay(Duration::from_millis(20))
        .with_dice(|| 1.0);
    let mut chat = route(&fake).with_retries(slow).chat(ask("x"));
    assert!(matches!(
        &chat.next_batch(8).await.unwrap()[..],
        [Step::Retry(_)]
    ));
    let wait = tokio::time::timeout(Duration::from_millis(1), chat.next_batch(8)).await;
    assert!(wait.is_err(), "it did not wait");
    drop(chat);
    tokio::time::sleep(Duration::from_millis(40)).await;
    assert_eq!(fake.requests(), 1);
}

#[tokio::test]
async fn nothing_is_sent_before_it_is_asked_for() {
    let fake = Fake::does([Hangs]);
    let mut chat = route(&fake).chat(ask("x"));
    assert_eq!(fake.requests(), 0);
    let wait = tokio::time::timeout(Duration::from_millis(1), chat.next_batch(8)).await;
    assert!(wait.is_err());
    assert_eq!(fake.requests(), 1);
}

#[tokio::test]
async fn it_is_a_stream_that_may_be_sent_to_another_thread() {
    fn is_send_stream(_: &(impl Stream<Item = Result<Step>> + Send + Unpin + 'static)) {}
    let fake = Fake::does([Answers("hello")]);
    let mut chat = route(&fake).chat(ask("x"));
    is_send_stream(&chat);
    let mut words = Vec::new();
    while let Some(step) = poll_fn(|cx| Pin::new(&mut chat).poll_next(cx)).await {
        words.extend(word(&step.unwrap()));
    }
    assert_eq!(words, ["hello"]);
}
