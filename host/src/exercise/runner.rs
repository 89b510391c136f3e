//! One call of the contract, over a wire, to its end.

use serde::{Deserialize, Serialize};

use super::outcome::{Failure, Outcome, Value};
use super::wire::Wire;
use crate::bindings::types;
use crate::error::Result;
use crate::plugin::Plugin;
use crate::policy::{Binding, Grant, NetworkLimits, Origin, SandboxLimits, Secret, Secrets};
use crate::provider::{Provider, ProviderOptions};
use std::sync::Arc;

/// The base URL that a runner grants and names in its settings. Nothing is ever dialled; the name is one that no resolver
/// has (RFC 6761 §6.2).
pub const BASE_URL: &str = "http://model-server.test/v1";

/// The key behind the placeholder in a runner's settings.
pub const KEY: &str = "sk-exercise-7d1f0c5b2a9e";

/// The model that the built-in recordings serve.
pub const MODEL: &str = "tiny";

/// Most events that are taken of one answer. No input that a runner is given has as many.
pub const MAX_EVENTS: usize = 1 << 20;

/// A function of the contract, with its arguments beside the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Call {
    /// `info.check-settings`.
    CheckSettings,
    /// `catalog.list-models`.
    ListModels,
    /// `catalog.resolve-model`.
    ResolveModel(String),
    /// `token-counter.count-tokens`.
    CountTokens(Box<Ask>),
    /// `health.check-health`.
    CheckHealth,
    /// `chat.start`, and `next` to the end.
    Chat(Box<Ask>),
}

/// What a chat is asked with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// The catalog entry.
    pub model: types::Model,
    /// The request.
    pub request: types::ChatRequest,
    /// Most events that are asked for at once.
    pub batch: u32,
}

impl Call {
    /// A chat, in batches as a [`crate::Chat`] takes them as a stream.
    #[must_use]
    pub fn chat(model: types::Model, request: types::ChatRequest) -> Self {
        Self::Chat(Box::new(Ask {
            model,
            request,
            batch: crate::chat::BATCH,
        }))
    }

    /// A count of the prompt of a chat.
    #[must_use]
    pub fn count(model: types::Model, request: types::ChatRequest) -> Self {
        Self::CountTokens(Box::new(Ask {
            model,
            request,
            batch: crate::chat::BATCH,
        }))
    }

    /// The function's name in the contract.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::CheckSettings => "check-settings",
            Self::ListModels => "list-models",
            Self::ResolveModel(_) => "resolve-model",
            Self::CountTokens(_) => "count-tokens",
            Self::CheckHealth => "check-health",
            Self::Chat(_) => "chat",
        }
    }
}

/// Runs a plugin over wires.
#[derive(Clone, Debug)]
pub struct Runner {
    plugin: Plugin,
    origin: Origin,
    secrets: Secrets,
    placeholder: String,
    limits: NetworkLimits,
    sandbox: SandboxLimits,
}

impl Runner {
    /// A runner with the default limits.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::Host`]: the operating system gave no random bytes for the placeholder of the key.
    pub fn new(plugin: &Plugin) -> Result<Self> {
        let host = |why: String| crate::Error::new(crate::ErrorKind::Host, why);
        let mut secrets = Secrets::new();
        let placeholder = Secret::new(KEY)
            .and_then(|key| secrets.mint(key, Binding::api_key()))
            .map_err(|error| host(error.to_string()))?;
        Ok(Self {
            plugin: plugin.clone(),
            origin: Origin::parse(BASE_URL).map_err(|error| host(error.to_string()))?,
            placeholder: placeholder.as_str().to_owned(),
            secrets,
            limits: NetworkLimits::default(),
            sandbox: SandboxLimits::default(),
        })
    }

    /// Sets the limits of the network. Only [`NetworkLimits::total_timeout`] takes real time: a plugin that waits for
    /// something else than the wire is given up then.
    #[must_use]
    pub fn with_limits(mut self, limits: NetworkLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the limits of the sandbox.
    #[must_use]
    pub fn with_sandbox(mut self, sandbox: SandboxLimits) -> Self {
        self.sandbox = sandbox;
        self
    }

    /// The plugin.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// What stands for [`KEY`] in the settings; a new one for each runner.
    pub fn placeholder(&self) -> &str {
        &self.placeholder
    }

    /// Settings with [`BASE_URL`], a key, and discovery.
    #[must_use]
    pub fn settings(&self) -> types::Settings {
        self.settings_with(&serde_json::json!({ "baseUrl": BASE_URL }).to_string())
    }

    /// The same with another configuration, a JSON object as text.
    #[must_use]
    pub fn settings_with(&self, config: &str) -> types::Settings {
        types::Settings::new(config).with_api_key(&self.placeholder)
    }

    /// The plugin with settings, over a wire. What is granted is the origin of [`BASE_URL`], whatever the settings say.
    #[must_use]
    pub fn provider(&self, settings: types::Settings, wire: &Wire) -> Provider {
        let grant = Grant::new(self.origin.clone())
            .with_secrets(self.secrets.clone())
            .with_limits(self.limits.clone());
        let options = ProviderOptions::new(settings, grant).with_sandbox(self.sandbox.clone());
        Provider::with_transport(&self.plugin, options, Arc::new(wire.clone()))
    }

    /// Makes a call and waits for its end. When this returns, its store is gone.
    pub async fn run(&self, provider: &Provider, call: &Call) -> Outcome {
        let answered = |result: Result<Value>| match result {
            Ok(value) => Outcome::of(value),
            Err(error) => Outcome::failed(&error),
        };
        match call {
            Call::CheckSettings => answered(provider.check_settings().await.map(Value::Notes)),
            Call::ListModels => answered(provider.list_models().await.map(Value::Catalog)),
            Call::ResolveModel(id) => answered(provider.resolve_model(id).await.map(Value::Model)),
            Call::CountTokens(ask) => {
                let count = provider.count_tokens(&ask.model, &ask.request).await;
                answered(count.map(Value::Tokens))
            }
            Call::CheckHealth => answered(provider.check_health().await.map(Value::Health)),
            Call::Chat(ask) => chat(provider, ask).await,
        }
    }
}

async fn chat(provider: &Provider, ask: &Ask) -> Outcome {
    let mut chat = match provider.chat(&ask.model, &ask.request).await {
        Ok(chat) => chat,
        Err(error) => return Outcome::failed(&error),
    };
    let mut outcome = Outcome::default();
    loop {
        match chat.next_batch(ask.batch).await {
            Err(error) => {
                outcome.error = Some(Failure::of(&error));
                return outcome;
            }
            Ok(batch) if batch.is_empty() => return outcome,
            Ok(batch) => outcome.events.extend(batch),
        }
        if outcome.events.len() > MAX_EVENTS {
            outcome.endless = true;
            return outcome;
        }
    }
}

/// A catalog entry for a model that reads text, does not think, and costs nothing.
#[must_use]
pub fn model(id: &str) -> types::Model {
    types::Model::new(id, 4096, 1024)
}

/// A request with one message of the user, and everything else left to the server.
#[must_use]
pub fn ask(text: &str) -> types::ChatRequest {
    types::ChatRequest::user(text)
}
