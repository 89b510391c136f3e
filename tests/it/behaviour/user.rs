//! A user: a configuration file, an environment and stored keys, and what the
//! provider makes of them.
//!
//! Everything goes the way of a real agent: the text is parsed, variables and
//! keys are resolved, secrets become placeholders, the component runs in its
//! sandbox, and requests leave over a socket.

use std::collections::BTreeMap;

use provider_host::configuration::Configuration;
use provider_host::credentials::{ProfileFile, Profiles};
use provider_host::types::{Catalog, ChatRequest, Event, Model, Note};
use provider_host::{Error, Provider, Wiring};
use serde_json::{Value, json};

use super::server::{Request, Server};
use crate::support::{self, plugin};

pub(super) struct User {
    configuration: String,
    environment: BTreeMap<String, String>,
    profiles: Profiles,
}

impl User {
    /// A user with this configuration file.
    pub(super) fn of(configuration: &Value) -> Self {
        Self::with_text(&configuration.to_string())
    }

    /// A user with this text in the configuration file.
    pub(super) fn with_text(text: &str) -> Self {
        Self {
            configuration: text.to_owned(),
            environment: BTreeMap::new(),
            profiles: Profiles::empty(),
        }
    }

    /// A user with this entry `models.providers.vllm`.
    pub(super) fn entry(entry: &Value) -> Self {
        Self::of(&json!({"models": {"providers": {"vllm": entry}}}))
    }

    /// A user who declares one model of a server.
    pub(super) fn declaring(server: &Server, model: &Value) -> Self {
        Self::entry(&json!({"baseUrl": server.base_url(), "models": [model]}))
    }

    /// A user who has all models of a server discovered; `entry` is what else
    /// stands in the entry.
    pub(super) fn discovering(server: &Server, entry: Value) -> Self {
        let mut entry = entry;
        if entry.get("baseUrl").is_none() {
            entry["baseUrl"] = json!(server.base_url());
        }
        Self::of(&json!({
            "models": {"providers": {"vllm": entry}},
            "agents": {"defaults": {"models": {"vllm/*": {}}}},
        }))
    }

    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Keys as a file of OpenClaw's shape holds them.
    pub(super) fn profiles(mut self, file: &Value) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("auth-profiles.json");
        std::fs::write(&path, file.to_string()).expect("a file");
        self.profiles = ProfileFile::at(path).load().expect("key profiles");
        self
    }

    pub(super) fn wiring(&self) -> Result<Wiring, Error> {
        let environment = |name: &str| self.environment.get(name).cloned();
        let configuration = Configuration::parse(&self.configuration, "openclaw.json")
            .unwrap_or_else(|error| panic!("{error}: {}", self.configuration));
        Wiring::new(&configuration, plugin(), &environment, &self.profiles)
    }

    pub(super) fn provider(&self) -> Result<Provider, Error> {
        let wiring = self.wiring()?;
        wiring.provider(plugin(), wiring.settings())
    }

    /// What is wrong with the configuration; it must be something.
    pub(super) async fn refusal(&self) -> Error {
        match self.provider() {
            Err(error) => error,
            Ok(provider) => match provider.check_settings().await {
                Err(error) => error,
                Ok(notes) => panic!("{} is taken, with {notes:?}", self.configuration),
            },
        }
    }

    /// What the user is told although nothing is wrong, by the plugin.
    pub(super) async fn notes(&self) -> Vec<Note> {
        let provider = self.provider().expect("a provider");
        provider.check_settings().await.expect("good settings")
    }

    pub(super) async fn catalog(&self) -> Result<Catalog, Error> {
        self.provider()?.list_models().await
    }

    pub(super) async fn model(&self, id: &str) -> Result<Model, Error> {
        self.provider()?.resolve_model(id).await
    }

    /// A chat with the model `id`: its events, and the error it ended in.
    pub(super) async fn chat(
        &self,
        id: &str,
        request: &ChatRequest,
    ) -> (Vec<Event>, Option<Error>) {
        let provider = match self.provider() {
            Ok(provider) => provider,
            Err(error) => return (Vec::new(), Some(error)),
        };
        match provider.resolve_model(id).await {
            Ok(model) => support::run(&provider, &model, request).await,
            Err(error) => (Vec::new(), Some(error)),
        }
    }

    /// The request that a chat with the model `id` is; the chat must succeed.
    pub(super) async fn sends(&self, server: &Server, id: &str, request: &ChatRequest) -> Request {
        let before = server.requests().len();
        let (_, error) = self.chat(id, request).await;
        assert!(error.is_none(), "{}: {error:?}", self.configuration);
        let request = server.last();
        assert!(server.requests().len() > before, "nothing was sent");
        request
    }

    /// The body of [`User::sends`] for a chat that says hello to the model `m`.
    pub(super) async fn says(&self, server: &Server, request: &ChatRequest) -> Value {
        self.sends(server, "m", request).await.json()
    }
}

/// The events of an answer to a user who declares the model `m`, and the error
/// it ended in.
pub(super) async fn hears(
    model: &Value,
    answer: super::answer::Answer,
) -> (Vec<Event>, Option<Error>) {
    let server = Server::answering([answer]).await;
    User::declaring(&server, model)
        .chat("m", &support::ask("hi"))
        .await
}
