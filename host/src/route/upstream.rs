//! What a route needs of a model: the seam between the policy and the wire.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bindings::TokenCount;
use crate::bindings::types::{ChatRequest, Event, Model};
use crate::chat::Chat;
use crate::error::Result;
use crate::provider::Provider;
use crate::registry::Slot;
use crate::telemetry::Observer;

pub(super) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One model of one provider.
pub(super) trait Upstream: Send + Sync {
    /// Who counts what a route does with the model; none if nobody does.
    fn observer(&self) -> Option<Arc<Observer>> {
        None
    }
    /// Finds the model.
    fn resolve(&self) -> Boxed<'_, Result<Model>>;
    /// Counts a prompt; none if it can't be counted.
    fn count<'a>(
        &'a self,
        model: &'a Model,
        request: &'a ChatRequest,
    ) -> Boxed<'a, Result<Option<TokenCount>>>;
    /// Sends a request.
    fn chat<'a>(
        &'a self,
        model: &'a Model,
        request: &'a ChatRequest,
    ) -> Boxed<'a, Result<Box<dyn Answer>>>;
}

/// An answer on its way.
pub(super) trait Answer: Send {
    /// What is ready, at most `max`; empty at the end.
    fn next_batch(&mut self, max: u32) -> Boxed<'_, Result<Vec<Event>>>;
}

/// What a model belongs to.
pub(super) trait Source: Send + Sync {
    /// The provider that a request goes to now.
    fn now(&self) -> Provider;
    /// Begins a chat with it.
    fn chat<'a>(
        &'a self,
        model: &'a Model,
        request: &'a ChatRequest,
    ) -> impl Future<Output = Result<Chat>> + Send + 'a;
}

impl Source for Provider {
    fn now(&self) -> Provider {
        self.clone()
    }

    fn chat<'a>(
        &'a self,
        model: &'a Model,
        request: &'a ChatRequest,
    ) -> impl Future<Output = Result<Chat>> + Send + 'a {
        Self::chat(self, model, request)
    }
}

impl Source for Slot {
    fn now(&self) -> Provider {
        self.provider()
    }

    fn chat<'a>(
        &'a self,
        model: &'a Model,
        request: &'a ChatRequest,
    ) -> impl Future<Output = Result<Chat>> + Send + 'a {
        Self::chat(self, model, request)
    }
}

/// The real one.
pub(super) struct OfProvider<S> {
    source: S,
    id: String,
    /// The server has answered that it does not count: it is not asked again.
    uncounted: AtomicBool,
}

impl<S> OfProvider<S> {
    pub(super) fn new(source: S, id: String) -> Self {
        Self {
            source,
            id,
            uncounted: AtomicBool::new(false),
        }
    }
}

impl<S: Source> Upstream for OfProvider<S> {
    fn observer(&self) -> Option<Arc<Observer>> {
        Some(self.source.now().observer().clone())
    }

    fn resolve(&self) -> Boxed<'_, Result<Model>> {
        Box::pin(async { self.source.now().resolve_model(&self.id).await })
    }

    fn count<'a>(
        &'a self,
        model: &'a Model,
        request: &'a ChatRequest,
    ) -> Boxed<'a, Result<Option<TokenCount>>> {
        Box::pin(async move {
            if self.uncounted.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let counted = self.source.now().count_tokens(model, request).await;
            if let Err(error) = &counted
                && matches!(error.status(), Some(404 | 405 | 501))
            {
                self.uncounted.store(true, Ordering::Relaxed);
            }
            counted
        })
    }

    fn chat<'a>(
        &'a self,
        model: &'a Model,
        request: &'a ChatRequest,
    ) -> Boxed<'a, Result<Box<dyn Answer>>> {
        Box::pin(async move {
            let chat = self.source.chat(model, request).await?;
            Ok(Box::new(chat) as Box<dyn Answer>)
        })
    }
}

impl Answer for Chat {
    fn next_batch(&mut self, max: u32) -> Boxed<'_, Result<Vec<Event>>> {
        Box::pin(Self::next_batch(self, max))
    }
}
