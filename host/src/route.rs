//! A chat that goes on until it is answered: retries, refits, fallbacks.
//!
//! A [`Chat`](crate::Chat) is one exchange with one model, and ends with
//! whatever becomes of it. A [`Route`] is what an agent usually wants instead: a
//! list of models in the order of preference, and one answer.
//!
//! - A failure that says of itself that the same request may succeed later
//!   ([`Error::retryable`]) is tried again, after a wait that grows and is drawn
//!   at random, and never sooner than the server asked for ([`RetryPolicy`]).
//! - A limit of the answer that the server finds too large for its context is
//!   set to what fits, once, and where the size of the prompt could matter it is
//!   counted beforehand ([`Fit`]).
//! - A model that is not there, has no room or can't be reached gives way to the
//!   next one of the list.
//!
//! None of this happens once an event was handed out: from then on the answer is
//! the caller's, and a failure ends it. All of it is visible, as [`Step`]s and
//! as `tracing` events.

mod backoff;
mod drive;
mod fit;
#[cfg(test)]
mod tests;
mod upstream;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tracing::Span;

pub use self::backoff::RetryPolicy;
pub use self::fit::Fit;

use self::drive::Port;
use self::upstream::Upstream;
use crate::bindings::types::{ChatRequest, Event, Model};
use crate::chat::BATCH;
use crate::error::{Error, Result};
use crate::provider::Provider;
use crate::registry::Slot;
use crate::telemetry::RouteWatch;

/// One model of one provider.
#[derive(Clone)]
pub struct Target {
    upstream: Arc<dyn Upstream>,
    reference: String,
}

impl Target {
    /// The model `id` (without the provider's prefix) of a provider. It is
    /// resolved when its turn comes.
    pub fn new(provider: &Provider, id: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            reference: format!("{}/{id}", provider.plugin().manifest().id),
            upstream: Arc::new(upstream::OfProvider::new(provider.clone(), id)),
        }
    }

    /// The same of a slot: each attempt goes to the generation that serves then, so that a retry may meet a newer plugin
    /// than the failure before it.
    pub fn of_slot(slot: &Slot, id: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            reference: format!("{}/{id}", slot.id()),
            upstream: Arc::new(upstream::OfProvider::new(slot.clone(), id)),
        }
    }

    /// The model's reference, such as `vllm/Qwen/Qwen3-8B`.
    pub fn reference(&self) -> &str {
        &self.reference
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Target").field(&self.reference).finish()
    }
}

/// Where a chat may go, and how hard it is tried.
///
/// ```no_run
/// use provider_host::route::{Route, Step, Target};
/// use provider_host::types::{ChatRequest, Event};
///
/// # async fn example(provider: provider_host::Provider, request: ChatRequest) -> provider_host::Result<()> {
/// let route = Route::new(Target::new(&provider, "Qwen/Qwen3-32B"))
///     .or(Target::new(&provider, "Qwen/Qwen3-8B"));
/// let mut chat = route.chat(request);
/// loop {
///     let steps = chat.next_batch(64).await?;
///     if steps.is_empty() {
///         break;
///     }
///     for step in steps {
///         match step {
///             Step::Event(Event::Text(text)) => print!("{text}"),
///             Step::Retry(retry) => eprintln!("{}; again in {:?}", retry.error, retry.delay),
///             _ => {}
///         }
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Route {
    targets: Vec<Target>,
    retries: RetryPolicy,
    fit: Fit,
}

impl Route {
    /// A route to one model, with the default policies.
    pub fn new(target: Target) -> Self {
        Self {
            targets: vec![target],
            retries: RetryPolicy::default(),
            fit: Fit::default(),
        }
    }

    /// Adds a model to fall back to when all before it are unreachable,
    /// overloaded or not there.
    #[must_use]
    pub fn or(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// Replaces the policy of retries.
    #[must_use]
    pub fn with_retries(mut self, retries: RetryPolicy) -> Self {
        self.retries = retries;
        self
    }

    /// Replaces the policy of fitting.
    #[must_use]
    pub fn with_fit(mut self, fit: Fit) -> Self {
        self.fit = fit;
        self
    }

    /// Starts a chat. Nothing is sent before the first batch is asked for.
    pub fn chat(&self, request: ChatRequest) -> RoutedChat {
        let port = Port::new();
        let wanted = self.targets.first().map_or("", Target::reference);
        let watch = RouteWatch::new(wanted);
        RoutedChat {
            span: watch.span(),
            driver: Box::pin(drive::drive(self.clone(), request, port.clone(), watch)),
            port,
            ready: VecDeque::new(),
            ended: false,
        }
    }
}

/// What happens in a [`RoutedChat`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Step {
    /// An event of the answer. Its model is [`RoutedChat::model`].
    Event(Event),
    /// The request is sent with a smaller limit than it asks for, or with less than half of the
    /// model's default, because the prompt leaves no more of the context.
    Fit(Fitted),
    /// The same request will be sent to the same model again.
    Retry(Retry),
    /// The request will be sent again with a limit that fits.
    Refit(Refit),
    /// The next model's turn.
    Fallback(Fallback),
}

/// A limit of the answer that was fitted before the request was sent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Fitted {
    /// Reference of the model.
    pub model: String,
    /// Tokens of the prompt, as the server counts them.
    pub prompt_tokens: u32,
    /// The limit of the answer, in tokens.
    pub max_tokens: u32,
}

/// A request that will be sent again.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Retry {
    /// Reference of the model.
    pub model: String,
    /// Which retry of this model it is, from 1.
    pub number: u32,
    /// How many there may be.
    pub of: u32,
    /// How long is waited first.
    pub delay: Duration,
    /// What went wrong.
    pub error: Arc<Error>,
}

/// A limit of the answer that was too large for the context.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Refit {
    /// Reference of the model.
    pub model: String,
    /// The limit from now on, in tokens.
    pub max_tokens: u32,
    /// What the server said.
    pub error: Arc<Error>,
}

/// A model that gave way to the next.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Fallback {
    /// Reference of the model that failed.
    pub model: String,
    /// Reference of the model whose turn it is.
    pub to: String,
    /// What went wrong.
    pub error: Arc<Error>,
}

/// An answer on its way, over whatever it takes to get one: a [`Stream`] of
/// [`Step`]s. Dropping it, at any time, cancels it.
#[must_use = "nothing is sent until it is asked, and dropping it cancels it"]
pub struct RoutedChat {
    driver: Pin<Box<dyn Future<Output = ()> + Send>>,
    port: Port,
    ready: VecDeque<Step>,
    ended: bool,
    /// Let go of at the end.
    span: Span,
}

impl RoutedChat {
    /// Waits for at least one step and returns what is ready, at most `max` (0 is
    /// taken as 1). The empty batch is the end of a whole answer.
    ///
    /// Dropping the future is safe: no step is lost.
    ///
    /// # Errors
    ///
    /// What ended the answer. If no model answered it is the first one's error,
    /// and its message says what became of the others. After it the chat has
    /// ended.
    pub async fn next_batch(&mut self, max: u32) -> Result<Vec<Step>> {
        let max = max.max(1);
        if !self.ready.is_empty() {
            let count = self.ready.len().min(max as usize);
            return Ok(self.ready.drain(..count).collect());
        }
        poll_fn(|cx| self.poll_batch(cx, max)).await
    }

    /// The model that answers; none before the first event.
    pub fn model(&self) -> Option<Arc<Model>> {
        self.port.model()
    }

    fn poll_batch(&mut self, cx: &mut Context<'_>, max: u32) -> Poll<Result<Vec<Step>>> {
        if self.ended {
            return Poll::Ready(Ok(Vec::new()));
        }
        self.port.ask_for(max);
        let over = {
            let _within = self.span.enter();
            self.driver.as_mut().poll(cx).is_ready()
        };
        let batch = match self.port.take() {
            Some(batch) => batch,
            None if over => Ok(Vec::new()),
            None => return Poll::Pending,
        };
        self.ended = !matches!(&batch, Ok(steps) if !steps.is_empty());
        if self.ended {
            self.span = Span::none();
        }
        Poll::Ready(batch)
    }
}

impl Stream for RoutedChat {
    type Item = Result<Step>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(step) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(step)));
            }
            match std::task::ready!(this.poll_batch(cx, BATCH)) {
                Ok(steps) if steps.is_empty() => return Poll::Ready(None),
                Ok(steps) => this.ready = steps.into(),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

impl std::fmt::Debug for RoutedChat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoutedChat")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
