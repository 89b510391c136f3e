//! The healthy routes: what a vLLM that is well answers.

use super::answer::{Answer, DONE, Frame};
use super::dice::Dice;
use super::engine::Engine;
use super::head::{self, empty, json, now, refusal, stream};
use super::journal::Running;
use super::json::quote;
use super::refusal::Refusal;
use super::request::{self, Chat, Served};
use super::script::{self, Habits};
use super::token::pieces;
use super::{CHAT_PATH, MODELS_PATH, Model, ReasoningField, Shared, lock};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::routing::{MethodFilter, MethodRouter, any, on};
use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, Method, Response, header};
use http_body_util::BodyExt;
use serde_json::Value;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

type App = State<Arc<Shared>>;

/// The router over all healthy routes.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(MODELS_PATH, only("GET", on(MethodFilter::GET, models)))
        .route(CHAT_PATH, only("POST", on(MethodFilter::POST, chat)))
        .route("/tokenize", only("POST", on(MethodFilter::POST, tokenize)))
        .route(
            "/health",
            only("GET", on(MethodFilter::GET, async || empty(200))),
        )
        .route("/ping", any(async || empty(200)))
        .route("/version", only("GET", on(MethodFilter::GET, version)))
        .route("/load", only("GET", on(MethodFilter::GET, load)))
        .fallback(async || refusal(Refusal::no_route()))
        .with_state(shared)
}

/// A route with one method: all others, HEAD too, are 405.
fn only(allow: &'static str, route: MethodRouter<Arc<Shared>>) -> MethodRouter<Arc<Shared>> {
    let route = match allow {
        "GET" => route.on(MethodFilter::HEAD, async || refusal(Refusal::method("GET"))),
        _ => route,
    };
    route.fallback(async move || refusal(Refusal::method(allow)))
}

/// What is refused before any route is looked for: a wrong key, where paths are
/// guarded, and every CORS preflight, since CORS is off.
pub(crate) fn guard(
    shared: &Shared,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Option<Response<Body>> {
    let preflight = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if *method == Method::OPTIONS {
        return preflight.then(head::preflight);
    }
    let keys = &shared.options.api_keys;
    let guarded = ["/v1", "/v2", "/inference", "/cohere"]
        .iter()
        .any(|p| path.starts_with(p));
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| {
            let (scheme, key) = v.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(key)
        });
    let open = !guarded || keys.is_empty() || keys.iter().any(|key| Some(key.as_str()) == bearer);
    (!open).then(|| refusal(Refusal::unauthorized()))
}

async fn version() -> Response<Body> {
    json(200, r#"{"version":"0.32.0"}"#)
}

async fn load() -> Response<Body> {
    json(200, r#"{"server_load":0}"#)
}

/// `GET /v1/models`: one entry for every served name.
async fn models(State(shared): App) -> Response<Body> {
    let created = now();
    let entry = |id: &str, model: &Model| {
        let seed = shared.serial.fetch_add(1, Ordering::Relaxed) ^ shared.options.seed;
        let permission = Dice::new(seed).next();
        let root = if model.id.starts_with('/') {
            model.id.clone()
        } else {
            format!("/srv/model/{}", model.id)
        };
        format!(
            "{{\"id\":{},\"object\":\"model\",\"created\":{created},\"owned_by\":\"vllm\",\"root\":{},\"parent\":null,\"max_model_len\":{},\"permission\":[{{\"id\":\"modelperm-{permission:016x}\",\"object\":\"model_permission\",\"created\":{created},\"allow_create_engine\":false,\"allow_sampling\":true,\"allow_logprobs\":true,\"allow_search_indices\":false,\"allow_view\":true,\"allow_fine_tuning\":false,\"organization\":\"*\",\"group\":null,\"is_blocking\":false}}]}}",
            quote(id),
            quote(&root),
            model.context
        )
    };
    let entries: Vec<String> = match &shared.cases {
        Some(cases) => {
            let recorded = lock(cases);
            let names = recorded.names();
            names
                .iter()
                .map(|name| entry(name, &Model::new(*name, RECORDED_CONTEXT)))
                .collect()
        }
        None => shared
            .options
            .models
            .iter()
            .flat_map(|m| names(m).map(|id| entry(id, m)))
            .collect(),
    };
    json(
        200,
        format!("{{\"object\":\"list\",\"data\":[{}]}}", entries.join(",")),
    )
}

/// The context of the model behind the recordings.
const RECORDED_CONTEXT: u64 = 4_096;

fn names(model: &Model) -> impl Iterator<Item = &str> {
    std::iter::once(model.id.as_str()).chain(model.aliases.iter().map(String::as_str))
}

/// The model asked for, the first if none is.
fn served<'a>(shared: &'a Shared, asked: Option<&str>) -> Result<&'a Model, Refusal> {
    let models = &shared.options.models;
    let found = match asked {
        None | Some("") => models.first(),
        Some(asked) => models.iter().find(|m| names(m).any(|name| name == asked)),
    };
    found.ok_or_else(|| {
        let valid: Vec<&str> = models.iter().flat_map(names).collect();
        Refusal::no_model(asked.unwrap_or_default(), &valid)
    })
}

/// `POST /tokenize` with messages or a prompt.
async fn tokenize(State(shared): App, request: Request) -> Response<Body> {
    let (content_type, body) = taken(request).await;
    match count(&shared, content_type.as_deref(), &body) {
        Ok(body) => json(200, body),
        Err(problem) => refusal(problem),
    }
}

fn count(shared: &Shared, content_type: Option<&str>, body: &[u8]) -> Result<String, Refusal> {
    let object = request::object(content_type, body)?;
    let model = served(shared, object.get("model").and_then(Value::as_str))?;
    let text = match object.get("prompt").and_then(Value::as_str) {
        Some(prompt) => prompt.to_owned(),
        None => super::prompt::render(&request::parse(
            content_type,
            body,
            Served { tool_parser: true },
        )?),
    };
    let tokens: Vec<&str> = pieces(&text).collect();
    let ids: Vec<String> = tokens.iter().map(|t| token_id(t).to_string()).collect();
    let strings = match object.get("return_token_strs").and_then(Value::as_bool) {
        Some(true) => format!(
            "[{}]",
            tokens
                .iter()
                .map(|t| quote(t))
                .collect::<Vec<_>>()
                .join(",")
        ),
        _ => "null".to_owned(),
    };
    Ok(format!(
        "{{\"count\":{},\"max_model_len\":{},\"tokens\":[{}],\"token_strs\":{strings}}}",
        tokens.len(),
        model.context,
        ids.join(",")
    ))
}

/// A stable number for a token, below the size of the recorded vocabulary.
fn token_id(token: &str) -> u64 {
    token
        .bytes()
        .fold(17_u64, |id, b| (id * 31 + u64::from(b)) % 2_048)
}

async fn taken(request: Request) -> (Option<String>, Bytes) {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .map(str::to_owned);
    // The body was read before; it cannot fail.
    let body = request
        .into_body()
        .collect()
        .await
        .map(|b| b.to_bytes())
        .unwrap_or_default();
    (content_type, body)
}

/// `POST /v1/chat/completions`.
async fn chat(State(shared): App, request: Request) -> Response<Body> {
    let header_id = request
        .headers()
        .get("x-request-id")
        .and_then(|v| v.to_str().ok())
        .map(str::to_owned);
    let (content_type, body) = taken(request).await;
    let parsed = request::parse(
        content_type.as_deref(),
        &body,
        Served {
            tool_parser: shared.options.tool_parser,
        },
    );
    let prepared = parsed.and_then(|chat| {
        let streamed = chat.stream;
        Ok((prepare(&shared, chat, header_id)?, streamed))
    });
    let (answer, streamed) = match prepared {
        Ok(prepared) => prepared,
        Err(problem) => return refusal(problem),
    };
    let running = shared.journal.begin();
    let done = running.done();
    let rate = shared.options.rate.filter(|r| r.is_finite() && *r > 0.0);
    let mut response = if streamed {
        stream(Body::from_stream(Events::new(answer, rate, running)))
    } else {
        let (text, tokens) = answer.into_json();
        if let Some(rate) = rate {
            // A client that leaves drops this future, and `running` with it.
            tokio::time::sleep(Duration::from_secs_f64(
                (tokens as f64 / rate).min(86_400.0),
            ))
            .await;
        }
        done.set();
        json(200, text)
    };
    response.extensions_mut().insert(done);
    response
}

/// Checks that need the prompt, then the answer.
fn prepare(shared: &Shared, chat: Chat, header_id: Option<String>) -> Result<Answer, Refusal> {
    let options = &shared.options;
    let model = served(shared, chat.model.as_deref())?;
    let context = model.context;
    if let Some(most) = chat.max_tokens.filter(|most| *most > context) {
        return Err(Refusal::bad(
            &format!(
                "max_tokens={most} cannot be greater than max_model_len={context}. Please request fewer output tokens. (parameter=max_tokens, value={most})"
            ),
            Some("max_tokens"),
        ));
    }
    let prompt = super::prompt::render(&chat);
    let tokens: Vec<&str> = pieces(&prompt).collect();
    let prompt_tokens = tokens.len() as u64;
    if prompt_tokens >= context {
        let least = context + 1;
        return Err(Refusal::bad(
            &format!(
                "This model's maximum context length is {context} tokens. However, your prompt contains at least {least} input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value={least})"
            ),
            Some("input_tokens"),
        ));
    }
    let hit = lock(&shared.cache).meet(&format!("{}\0{}", model.id, chat.cache_salt), &tokens);
    let serial = shared.serial.fetch_add(1, Ordering::Relaxed);
    let mut dice = Dice::new(options.seed ^ serial.wrapping_mul(0x9e37));
    let current = options.generation == ReasoningField::Reasoning;
    let id = match header_id.or_else(|| chat.request_id.clone()) {
        Some(id) => format!("chatcmpl-{id}"),
        None if current => format!("chatcmpl-{:016x}", dice.next()),
        None => format!("chatcmpl-{:016x}{:016x}", dice.next(), dice.next()),
    };
    let limit = chat
        .max_tokens
        .unwrap_or(u64::MAX)
        .min(context - prompt_tokens);
    let habits = Habits {
        parsed: options.reasoning_parser && current,
        closes: options.closes_thinking,
    };
    let engine = Engine::new(script::answer(&chat, habits), limit, chat.ignore_eos)
        .stop_at(chat.stops.clone(), chat.keep_stop);
    let frame = Frame {
        id,
        created: now(),
        model: model.id.clone(),
        generation: options.generation,
        reasoning_parser: options.reasoning_parser,
        tool_parser: options.tool_parser,
        prompt_tokens,
        prompt_text: chat.return_prompt_text.then(|| prompt.clone()),
        hit,
        prompt_details: options.prompt_tokens_details,
        fingerprint: "vllm-0.32.0-4c93ff51",
        call_seed: dice.next(),
    };
    Ok(Answer::new(chat, frame, engine))
}

/// The events of a chat as a body: one frame an event, paced.
struct Events {
    answer: Answer,
    next: Option<String>,
    pace: Option<(Duration, Pin<Box<Sleep>>)>,
    running: Running,
}

impl Events {
    fn new(answer: Answer, rate: Option<f64>, running: Running) -> Self {
        let pace = rate.map(|rate| {
            let step = Duration::from_secs_f64((1.0 / rate).min(86_400.0));
            (step, Box::pin(tokio::time::sleep(step)))
        });
        Events {
            answer,
            next: None,
            pace,
            running,
        }
    }
}

impl Stream for Events {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.next.is_none() {
            this.next = this.answer.next();
        }
        if let Some((step, sleep)) = this.pace.as_mut()
            && this.next.as_deref().is_some_and(|event| event != DONE)
        {
            std::task::ready!(sleep.as_mut().poll(cx));
            // From the time it was due, so that a rate is kept on average; a
            // client that stalled does not get a burst for it.
            let due = (sleep.deadline() + *step).max(Instant::now());
            sleep.as_mut().reset(due);
        }
        let event = this.next.take();
        if event.as_deref().is_none_or(|event| event == DONE) {
            this.running.done().set();
        }
        Poll::Ready(event.map(|event| Ok(Bytes::from(event))))
    }
}
