//! An instance of the plugin under trial, whose calls are known to the suite's [`CheckBudget`].

use std::sync::Arc;
use std::time::Duration;

use super::budget::CheckBudget;
use crate::bindings::types::{Catalog, ChatRequest, Event, Manifest, Model, Note, Settings};
use crate::egress::{Egress, TransportError};
use crate::error::Result;
use crate::plugin::Plugin;
use crate::policy::SandboxLimits;
use crate::sandbox::{Running, Sandbox};

/// A store with an instance.
pub(super) struct Guest {
    sandbox: Sandbox,
    budget: Arc<CheckBudget>,
    /// How long one exchange of it may take.
    patience: Duration,
}

/// Functions of the sandbox, each a call that the budget knows of.
macro_rules! calls {
    ($($words:literal: $name:ident($($argument:ident: $type:ty),*) -> $value:ty;)*) => {$(
        pub(super) async fn $name(&mut self, $($argument: $type),*) -> Result<$value> {
            let calling = self.budget.begin(concat!("the plugin was in `", $words, "`"), self.patience);
            let result = self.sandbox.$name($($argument),*).await;
            calling.end(result.is_ok());
            result
        }
    )*};
}

impl Guest {
    /// Starts one whose exchanges may take `patience`, as the egress says too.
    pub(super) async fn start(
        plugin: &Plugin,
        egress: &Egress,
        limits: SandboxLimits,
        budget: Arc<CheckBudget>,
        patience: Duration,
    ) -> Result<Self> {
        let calling = budget.begin("the host started an instance of the plugin", patience);
        let (engine, linked) = (plugin.engine(), plugin.linked());
        let started = Sandbox::start(engine, linked, egress, limits).await;
        calling.end(started.is_ok());
        Ok(Self {
            sandbox: started?.verbatim(),
            budget,
            patience,
        })
    }

    calls! {
        "get-manifest": manifest() -> Manifest;
        "check-settings": check_settings(settings: &Settings) -> Vec<Note>;
        "list-models": list_models(settings: &Settings) -> Catalog;
        "resolve-model": resolve_model(settings: &Settings, id: &str) -> Model;
        "start": chat(settings: &Settings, model: &Model, request: &ChatRequest) -> Running;
        "next": next(running: &mut Running, max: u32) -> Vec<Event>;
        "subscribe": subscribe(running: &Running, wait: bool) -> ();
        "drop": drop_stream(running: Running) -> ();
    }

    /// The last failure of a request of this store.
    pub(super) fn last_failure(&self) -> Option<TransportError> {
        self.sandbox.last_failure()
    }
}
