//! What a provider can be asked, of the generation that serves at that moment.

use std::sync::Arc;

use super::Slot;
use crate::bindings::{ServerHealth, TokenCount, types};
use crate::chat::{Chat, End};
use crate::error::Result;
use crate::provider::Provider;
use crate::registry::Models;
use crate::registry::generation::Ticket;
use crate::registry::status::Counting;

/// A chat that is counted once, however it ends. It leaves its generation then.
struct Counted {
    counting: Arc<Counting>,
    ticket: Ticket,
    end: End,
}

impl Counted {
    fn begin(counting: Arc<Counting>, ticket: Ticket) -> Self {
        counting.started.add();
        Self {
            counting,
            ticket,
            // Nobody waits for it any more, unless something else is told.
            end: End::Dropped,
        }
    }

    fn over(mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let counting = &self.counting;
        match self.end {
            End::Finished => counting.finished.add(),
            End::Failed => counting.failed.add(),
            End::Recalled => counting.ended.add(),
            End::Dropped => counting.dropped.add(),
        }
    }
}

impl Slot {
    /// [`Provider::check_settings`] of what serves now.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn check_settings(&self) -> Result<Vec<types::Note>> {
        self.provider().check_settings().await
    }

    /// [`Provider::list_models`] of what serves now. [`Slot::models`] asks less often.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn list_models(&self) -> Result<types::Catalog> {
        self.provider().list_models().await
    }

    /// The models there are, from the last time that the server was asked if that is not longer ago than
    /// [`SwapPolicy::catalog_age`](crate::registry::SwapPolicy::catalog_age). A swap of the plugin keeps them, a change of the settings does not.
    ///
    /// # Errors
    ///
    /// As [`Provider::list_models`]. A failure is not kept.
    pub async fn models(&self) -> Result<Models> {
        let generation = self.inner.present.load_full();
        let age = self.inner.policy.catalog_age;
        self.inner.catalog.get(&generation, age).await
    }

    /// [`Provider::resolve_model`] of what serves now.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn resolve_model(&self, id: &str) -> Result<types::Model> {
        self.provider().resolve_model(id).await
    }

    /// [`Provider::count_tokens`] of what serves now.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn count_tokens(
        &self,
        model: &types::Model,
        request: &types::ChatRequest,
    ) -> Result<Option<TokenCount>> {
        self.provider().count_tokens(model, request).await
    }

    /// [`Provider::check_health`] of what serves now.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn check_health(&self) -> Result<Option<ServerHealth>> {
        self.provider().check_health().await
    }

    /// [`Provider::chat`] of what serves now. The answer comes from this generation to its end, whatever serves meanwhile,
    /// unless that takes longer than [`SwapPolicy::drain_deadline`](crate::registry::SwapPolicy::drain_deadline) lets it.
    ///
    /// # Errors
    ///
    /// As there; and the answer may end in [`ErrorKind::PluginRetired`](crate::ErrorKind::PluginRetired).
    pub async fn chat(&self, model: &types::Model, request: &types::ChatRequest) -> Result<Chat> {
        let (provider, ticket) = self.admit();
        let counted = Counted::begin(self.inner.counting.clone(), ticket);
        match provider.chat(model, request).await {
            Ok(chat) => {
                let leash = counted.ticket.leash.clone();
                let ended = Box::new(move |end| counted.over(end));
                Ok(chat.overseen(&leash, ended))
            }
            Err(error) => {
                counted.over(End::Failed);
                Err(error)
            }
        }
    }

    fn admit(&self) -> (Provider, Ticket) {
        loop {
            let generation = self.inner.present.load_full();
            // None: it retired between the two, and another serves by now.
            if let Some(ticket) = generation.admit() {
                return (generation.provider.clone(), ticket);
            }
        }
    }
}
