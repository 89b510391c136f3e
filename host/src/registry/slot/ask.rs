//! What a provider can be asked, of the generation that serves at that moment.

use super::Slot;
use crate::bindings::{ServerHealth, TokenCount, types};
use crate::chat::{Chat, End};
use crate::error::Result;
use crate::provider::Provider;
use crate::registry::Models;
use crate::registry::generation::Ticket;

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
    /// [`SwapPolicy::catalog_age`]. A swap of the plugin keeps them, a change of the settings does not.
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
    /// unless that takes longer than [`SwapPolicy::drain_deadline`] lets it.
    ///
    /// # Errors
    ///
    /// As there; and the answer may end in [`ErrorKind::PluginRetired`].
    pub async fn chat(&self, model: &types::Model, request: &types::ChatRequest) -> Result<Chat> {
        let counting = &self.inner.counting;
        let (provider, ticket) = self.admit();
        counting.started.add();
        match provider.chat(model, request).await {
            Ok(chat) => {
                let leash = ticket.leash.clone();
                let counting = counting.clone();
                let ended = Box::new(move |end| {
                    match end {
                        End::Finished => counting.finished.add(),
                        End::Failed => counting.failed.add(),
                        End::Recalled => counting.ended.add(),
                        End::Dropped => counting.dropped.add(),
                    }
                    drop(ticket);
                });
                Ok(chat.overseen(&leash, ended))
            }
            Err(error) => {
                counting.failed.add();
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
