//! The course of a routed chat: one future, which the chat polls and owns.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::backoff::Wait;
use super::fit::{self, COUNT_TIMEOUT};
use super::{Fallback, Fitted, Refit, Retry, Route, Step, Target};
use crate::bindings::types::{ChatRequest, Model};
use crate::error::{Error, ErrorKind, Result};
use crate::telemetry::{Observer, RouteWatch};

/// Most characters of a fallback's error within the error of the whole.
const QUOTED: usize = 300;

/// Where the driver and the chat meet.
#[derive(Clone)]
pub(super) struct Port {
    slot: Arc<Mutex<Slot>>,
}

struct Slot {
    max: u32,
    batch: Option<Result<Vec<Step>>>,
    model: Option<Arc<Model>>,
}

impl Port {
    pub(super) fn new() -> Self {
        let slot = Slot {
            max: 1,
            batch: None,
            model: None,
        };
        Self {
            slot: Arc::new(Mutex::new(slot)),
        }
    }

    pub(super) fn ask_for(&self, max: u32) {
        self.lock().max = max;
    }

    pub(super) fn take(&self) -> Option<Result<Vec<Step>>> {
        self.lock().batch.take()
    }

    pub(super) fn model(&self) -> Option<Arc<Model>> {
        self.lock().model.clone()
    }

    /// Hands a batch over, and waits until it was taken and more is asked for.
    async fn give(&self, batch: Result<Vec<Step>>) {
        self.lock().batch = Some(batch);
        // Only the chat polls this future, and it takes the batch first: no
        // waker is needed.
        poll_fn(|_| match self.lock().batch {
            Some(_) => Poll::Pending,
            None => Poll::Ready(()),
        })
        .await;
    }

    async fn step(&self, step: Step) {
        self.give(Ok(vec![step])).await;
    }

    /// A lock that is only ever held for a move: poisoning means nothing to it.
    fn lock(&self) -> std::sync::MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drives a chat to its end.
pub(super) async fn drive(route: Route, request: ChatRequest, port: Port, mut watch: RouteWatch) {
    let outcome = run(&route, &request, &port, &mut watch).await;
    watch.end(&outcome);
    let end = match outcome {
        Ok(()) => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    port.give(end).await;
}

impl Target {
    fn observer(&self) -> Option<Arc<Observer>> {
        self.upstream.observer()
    }
}

/// Why a model's turn ended without an answer.
enum Turn {
    /// Nothing was handed out yet: another model may do.
    Open(Error),
    /// It is over.
    Over(Error),
}

async fn run(
    route: &Route,
    request: &ChatRequest,
    port: &Port,
    watch: &mut RouteWatch,
) -> Result<()> {
    let started = Instant::now();
    let mut failed: Vec<(&Target, Arc<Error>)> = Vec::new();
    for (index, target) in route.targets.iter().enumerate() {
        let error = match turn(route, target, request, port, started, watch).await {
            Ok(()) => return Ok(()),
            Err(Turn::Over(error)) => return Err(error),
            Err(Turn::Open(error)) => error,
        };
        let next = route.targets.get(index + 1).filter(|_| gives_way(&error));
        let Some(next) = next else {
            return Err(conclude(failed, target, error));
        };
        watch.fallback(
            target.observer().as_deref(),
            target.reference(),
            next.reference(),
            &error,
        );
        let error = Arc::new(error);
        failed.push((target, error.clone()));
        let fallback = Fallback {
            model: target.reference.clone(),
            to: next.reference.clone(),
            error,
        };
        port.step(Step::Fallback(fallback)).await;
    }
    // A route has at least one target, and each returns or goes on.
    Err(Error::new(ErrorKind::Host, "the route leads to no model"))
}

/// Whether a failure is one that another model may not have: it is not there,
/// has no room, or can't be reached.
fn gives_way(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Unreachable | ErrorKind::Overloaded | ErrorKind::ModelNotFound => true,
        ErrorKind::Timeout => !error.request_sent(),
        _ => false,
    }
}

/// The error of the whole: the first model's, which is the one that was wanted,
/// and in its message what became of the others.
fn conclude(failed: Vec<(&Target, Arc<Error>)>, last: &Target, error: Error) -> Error {
    let mut all = failed.into_iter();
    let Some((first, wanted)) = all.next() else {
        return error;
    };
    let mut story = String::new();
    let mut tell = |target: &Target, error: &Error| {
        let message = error.message();
        let end = message
            .char_indices()
            .nth(QUOTED)
            .map_or(message.len(), |(at, _)| at);
        let cut = if end < message.len() { " …" } else { "" };
        story.push_str(&format!("; {}: {}{cut}", target.reference, &message[..end]));
    };
    for (target, error) in all {
        tell(target, &error);
    }
    tell(last, &error);
    let message = format!(
        "{}: {} (and no fallback answered{story})",
        first.reference,
        wanted.message()
    );
    wanted.restated(message)
}

/// One model's turn: as many requests as its retries allow.
async fn turn(
    route: &Route,
    target: &Target,
    request: &ChatRequest,
    port: &Port,
    started: Instant,
    watch: &mut RouteWatch,
) -> std::result::Result<(), Turn> {
    let mut attempt = Attempt {
        model: None,
        request: request.clone(),
        looked_at: false,
        refitted: false,
    };
    let mut retries = 0;
    loop {
        let error = match attempt.run(route, target, port, watch).await {
            Ok(()) => return Ok(()),
            Err(Turn::Over(error)) => return Err(Turn::Over(error)),
            Err(Turn::Open(error)) => error,
        };
        if let Some(window) = fit::too_large(&error) {
            if attempt.refitted || route.retries.max_retries == 0 {
                return Err(Turn::Open(error));
            }
            let refit = attempt.refit(target, window, error, watch).await;
            port.step(Step::Refit(refit)).await;
            continue;
        }
        if !error.retryable() {
            return Err(Turn::Open(error));
        }
        retries += 1;
        let delay = match route
            .retries
            .delay(retries, error.retry_after(), started.elapsed())
        {
            Wait::For(delay) => delay,
            Wait::NoMore => return Err(Turn::Open(error)),
            Wait::TooLong(delay) => return Err(Turn::Open(too_long(error, delay, route))),
        };
        watch.retry(
            target.observer().as_deref(),
            target.reference(),
            retries,
            delay,
            &error,
        );
        let retry = Retry {
            model: target.reference.clone(),
            number: retries,
            of: route.retries.max_retries,
            delay,
            error: Arc::new(error),
        };
        port.step(Step::Retry(retry)).await;
        tokio::time::sleep(delay).await;
    }
}

/// The error of a server that asks for more patience than there is.
fn too_long(error: Error, delay: Duration, route: &Route) -> Error {
    if error.retry_after().is_none() {
        return error;
    }
    let seconds = delay.as_secs_f64();
    let budget = route.retries.budget.as_secs_f64();
    error.map_message(|message| {
        format!(
            "{message}; the server asks to wait {seconds:.0} s, which goes over the {budget:.0} s \
             that retries may take: try again then"
        )
    })
}

/// What is sent to a model, as it changes from one attempt to the next.
struct Attempt {
    /// The model, once it was found.
    model: Option<Model>,
    request: ChatRequest,
    /// Whether the prompt's size was thought about.
    looked_at: bool,
    refitted: bool,
}

impl Attempt {
    async fn run(
        &mut self,
        route: &Route,
        target: &Target,
        port: &Port,
        watch: &mut RouteWatch,
    ) -> std::result::Result<(), Turn> {
        let upstream = &*target.upstream;
        if self.model.is_none() {
            self.model = Some(upstream.resolve().await.map_err(Turn::Open)?);
        }
        let Some(model) = &mut self.model else {
            return Ok(());
        };
        if !self.looked_at {
            self.looked_at = true;
            if route.fit.wants(model, &self.request)
                && let Some(count) = count(target, model, &self.request).await
            {
                // A default that is nearly met is nobody's wish.
                let wanted = self.request.max_tokens.unwrap_or(model.max_tokens / 2);
                fit::apply(&count, model, &mut self.request);
                let room = model.context_window.saturating_sub(count.prompt);
                // Without any room the server has the last word.
                if (1..wanted).contains(&room) {
                    let fitted = Fitted {
                        model: target.reference.clone(),
                        prompt_tokens: count.prompt,
                        max_tokens: room,
                    };
                    port.step(Step::Fit(fitted)).await;
                }
            }
        }
        let mut answer = upstream
            .chat(model, &self.request)
            .await
            .map_err(Turn::Open)?;
        let mut begun = false;
        loop {
            let max = port.lock().max;
            let events = match answer.next_batch(max).await {
                Ok(events) => events,
                Err(error) if begun => return Err(Turn::Over(error)),
                Err(error) => return Err(Turn::Open(error)),
            };
            if events.is_empty() {
                return Ok(());
            }
            if !begun {
                begun = true;
                watch.answered_by(target.reference());
                port.lock().model = Some(Arc::new(model.clone()));
            }
            port.give(Ok(events.into_iter().map(Step::Event).collect()))
                .await;
        }
    }

    /// Sets the limit to what fits into `window`.
    async fn refit(
        &mut self,
        target: &Target,
        window: u64,
        error: Error,
        watch: &mut RouteWatch,
    ) -> Refit {
        self.refitted = true;
        let mut max_tokens = 1;
        if let Some(model) = &mut self.model {
            let counted = match self.request.prompt_tokens {
                Some(prompt) => Some(prompt),
                None => count(target, model, &self.request)
                    .await
                    .map(|count| count.prompt),
            };
            max_tokens = fit::refitted(window, counted, model, &self.request, &error);
        }
        self.request.max_tokens = Some(max_tokens);
        watch.refit(
            target.observer().as_deref(),
            target.reference(),
            max_tokens,
            window,
            &error,
        );
        Refit {
            model: target.reference.clone(),
            max_tokens,
            error: Arc::new(error),
        }
    }
}

/// Counts a prompt. That it can't be counted is no failure of the chat.
async fn count(
    target: &Target,
    model: &Model,
    request: &ChatRequest,
) -> Option<crate::bindings::TokenCount> {
    let counting = target.upstream.count(model, request);
    match tokio::time::timeout(COUNT_TIMEOUT, counting).await {
        Ok(Ok(count)) => count,
        Ok(Err(error)) => {
            tracing::debug!(model = target.reference(), %error, "the prompt can't be counted");
            None
        }
        Err(_) => {
            tracing::debug!(
                model = target.reference(),
                "counting the prompt takes too long"
            );
            None
        }
    }
}
