//! What a route needs of a model: the seam between the policy and the wire.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bindings::TokenCount;
use crate::bindings::types::{ChatRequest, Event, Model};
use crate::chat::Chat;
use crate::error::Result;
use crate::provider::Provider;

pub(super) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One model of one provider.
pub(super) trait Upstream: Send + Sync {
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

/// The real one.
pub(super) struct OfProvider {
    provider: Provider,
    id: String,
    /// The server has answered that it does not count: it is not asked again.
    uncounted: AtomicBool,
}

impl OfProvider {
    pub(super) fn new(provider: Provider, id: String) -> Self {
        Self {
            provider,
            id,
            uncounted: AtomicBool::new(false),
        }
    }
}

impl Upstream for OfProvider {
    fn resolve(&self) -> Boxed<'_, Result<Model>> {
        Box::pin(self.provider.resolve_model(&self.id))
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
            let counted = self.provider.count_tokens(model, request).await;
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
            let chat = self.provider.chat(model, request).await?;
            Ok(Box::new(chat) as Box<dyn Answer>)
        })
    }
}

impl Answer for Chat {
    fn next_batch(&mut self, max: u32) -> Boxed<'_, Result<Vec<Event>>> {
        Box::pin(Self::next_batch(self, max))
    }
}
