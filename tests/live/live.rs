//! The server at hand, and providers that talk to it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use provider_host::policy::{Binding, Grant, NetworkLimits, Origin, Secret, Secrets};
use provider_host::types::{ChatRequest, Model, Settings};
use provider_host::{Engine, EngineOptions, Plugin, Provider, ProviderOptions};
use serde_json::{Value, json};

use crate::answer::{self, Answer};
use crate::probe::Probe;
use crate::request;

/// How a server was started; the flags stand in `xtask`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Keys, an alias, the tool parser hermes, cached tokens told.
    Auth,
    /// The same and the reasoning parser qwen3.
    Think,
    /// vLLM's defaults: the model's path as its name.
    Plain,
    /// The reasoning parser deepseek_r1, the tool parser qwen3_coder, usage in every chunk.
    R1,
    /// One chat at a time, priorities, a short queue, keep-alive comments.
    Prio,
}

impl Profile {
    fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "auth" => Self::Auth,
            "think" => Self::Think,
            "plain" => Self::Plain,
            "r1" => Self::R1,
            "prio" => Self::Prio,
            other => bail!("no profile is called {other}"),
        })
    }

    /// The server asks for a key.
    pub(crate) fn has_key(self) -> bool {
        matches!(self, Self::Auth | Self::Think)
    }

    /// A reasoning parser takes text for thinking until thinking ends.
    pub(crate) fn has_reasoning_parser(self) -> bool {
        matches!(self, Self::Think | Self::R1)
    }
}

/// The key that the servers with keys take.
pub(crate) const KEY: &str = "secret-1";

/// What the suite is started with.
pub(crate) struct Options {
    url: String,
    profile: Profile,
    version: String,
    pid: u32,
    pub(crate) report: Option<PathBuf>,
    pub(crate) only: Vec<String>,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let (mut url, mut profile, mut version, mut pid) = (None, None, None, None);
        let (mut report, mut only) = (None, Vec::new());
        while let Some(name) = arguments.next() {
            let value = arguments
                .next()
                .with_context(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--url" => url = Some(value),
                "--profile" => profile = Some(Profile::named(&value)?),
                "--version" => version = Some(value),
                "--pid" => pid = Some(value.parse().context("--pid is no number")?),
                "--report" => report = Some(PathBuf::from(value)),
                "--only" => only.push(value),
                other => bail!("unknown option {other}"),
            }
        }
        Ok(Self {
            url: url.context("--url is missing")?,
            profile: profile.context("--profile is missing")?,
            version: version.context("--version is missing")?,
            pid: pid.context("--pid is missing")?,
            report,
            only,
        })
    }
}

/// The server, the plugin, and one provider that most checks share, as an agent's chats do.
pub(crate) struct Live {
    /// Without `/v1`.
    pub(crate) url: String,
    pub(crate) profile: Profile,
    pub(crate) version: String,
    /// The process of the API server.
    pub(crate) pid: u32,
    pub(crate) probe: Probe,
    pub(crate) provider: Provider,
    /// The first model that the server has.
    pub(crate) model: Model,
    plugin: Plugin,
}

impl Live {
    /// Looks whether the server is the one it is said to be.
    pub(crate) async fn new(options: Options) -> Result<Self> {
        let engine = Engine::new(EngineOptions::default())?;
        let plugin = Plugin::embedded(&engine)?;
        let url = options.url.trim_end_matches('/').to_owned();
        let probe = Probe::new(&url)?;
        let version = probe.json("/version").await?["version"].clone();
        let said = version.as_str().unwrap_or_default();
        ensure!(
            said.split('+').next() == Some(options.version.as_str()),
            "the server is of version {said}, not {}",
            options.version
        );
        let key = options.profile.has_key().then_some(KEY);
        let provider = open(&plugin, &url, key, json!({}), NetworkLimits::new())?;
        let catalog = provider.list_models().await.context("listing the models")?;
        let model = catalog.models.into_iter().next();
        Ok(Self {
            url,
            profile: options.profile,
            version: options.version,
            pid: options.pid,
            probe,
            provider,
            model: model.context("the server lists no model")?,
            plugin,
        })
    }

    pub(crate) fn key(&self) -> Option<&'static str> {
        self.profile.has_key().then_some(KEY)
    }

    /// A provider with limits of its own.
    pub(crate) fn provider_with(&self, limits: NetworkLimits) -> Result<Provider> {
        open(&self.plugin, &self.url, self.key(), json!({}), limits)
    }

    /// A provider for the same server behind another address.
    pub(crate) fn provider_at(&self, url: &str, limits: NetworkLimits) -> Result<Provider> {
        open(&self.plugin, url, self.key(), json!({}), limits)
    }

    /// A provider with another key.
    pub(crate) fn provider_with_key(&self, key: Option<&str>) -> Result<Provider> {
        open(
            &self.plugin,
            &self.url,
            key,
            json!({}),
            NetworkLimits::new(),
        )
    }

    /// A provider whose configuration has more keys than the base URL.
    pub(crate) fn provider_configured(&self, more: Value) -> Result<Provider> {
        open(
            &self.plugin,
            &self.url,
            self.key(),
            more,
            NetworkLimits::new(),
        )
    }

    /// The scripted answer to a question, with thinking switched off where a parser waits for it.
    pub(crate) async fn ask(&self, question: &str) -> Result<Answer> {
        self.chat(&self.request(question)).await
    }

    /// The request of [`Live::ask`].
    pub(crate) fn request(&self, question: &str) -> ChatRequest {
        let mut request = request::ask(question);
        if self.profile.has_reasoning_parser() {
            request.extra = Some(request::NO_THINKING.into());
        }
        request
    }

    /// A chat to its good end.
    pub(crate) async fn chat(&self, request: &ChatRequest) -> Result<Answer> {
        answer::whole(&self.provider, &self.model, request).await
    }

    /// How many chats the engine works on.
    pub(crate) async fn running(&self) -> Result<f64> {
        self.probe.metric("vllm:num_requests_running").await
    }

    /// Waits until the engine works on exactly `count` chats, and says how long it took.
    pub(crate) async fn until_running(&self, count: f64, limit: Duration) -> Result<Duration> {
        let begun = tokio::time::Instant::now();
        loop {
            let running = self.running().await?;
            if running == count {
                return Ok(begun.elapsed());
            }
            ensure!(
                begun.elapsed() < limit,
                "after {limit:?} the server runs {running} chats, not {count}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn open(
    plugin: &Plugin,
    url: &str,
    key: Option<&str>,
    mut config: Value,
    limits: NetworkLimits,
) -> Result<Provider> {
    let mut secrets = Secrets::new();
    let api_key = match key {
        Some(key) => Some(
            secrets
                .mint(Secret::new(key)?, Binding::api_key())?
                .as_str()
                .to_owned(),
        ),
        None => None,
    };
    let base_url = format!("{url}/v1");
    config["baseUrl"] = Value::from(base_url.as_str());
    let settings = Settings {
        config: Some(config.to_string()),
        api_key,
        discover: true,
        models: Vec::new(),
    };
    let grant = Grant::new(Origin::parse(&base_url)?)
        .with_secrets(secrets)
        .with_limits(limits);
    Ok(Provider::new(
        plugin,
        ProviderOptions::new(settings, grant),
    )?)
}
