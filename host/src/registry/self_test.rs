//! What a plugin has to do before it serves: without a network, in the sandbox.
//!
//! A component can fit the contract and still be broken: built from a wrong
//! branch, cut by an optimiser, or a stranger's that answers whatever it likes.
//! So it is asked who it is, and given the recording of an answer whose events
//! are known. Nothing that it sends goes anywhere, and it meets no secret.

mod canned;
mod compare;
mod recording;

use std::sync::Arc;
use std::time::Duration;

pub use self::recording::Exchange;

use self::canned::{Canned, NoNetwork};
use super::generation::Setup;
use super::stage::{At, Refusal, Stage};
use crate::bindings::types;
use crate::chat::BATCH;
use crate::egress::Egress;
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::Plugin;
use crate::policy::{Binding, Grant, Origin, SandboxLimits, Secret, Secrets};
use crate::provider::{Provider, ProviderOptions};
use crate::sandbox::Sandbox;

/// The server that recorded answers come from. It is never dialled, and no resolver has such a name (RFC 6761 §6.2).
pub const BASE_URL: &str = "http://model-server.test/v1";

/// How long the whole self-test may take. An honest plugin takes some milliseconds; the rest is for a busy machine.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Processor time of one call in a self-test. Decoding an answer of a hundred events takes a millisecond.
const CPU_TIME_PER_CALL: Duration = Duration::from_millis(250);

/// A self-test: recorded exchanges, and what has to come of them.
///
/// The default has the recordings that this host brings along: one for the provider id `vllm`. Every plugin is asked for
/// its manifest, which has to be that of its section, and for what it makes of the slot's settings.
#[derive(Debug, Clone)]
pub struct SelfTest {
    exchanges: Vec<Exchange>,
    time_limit: Duration,
}

impl Default for SelfTest {
    fn default() -> Self {
        Self {
            exchanges: Exchange::built_in(),
            time_limit: TIME_LIMIT,
        }
    }
}

impl SelfTest {
    /// The default one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One without any exchange.
    #[must_use]
    pub fn without_exchanges() -> Self {
        Self {
            exchanges: Vec::new(),
            time_limit: TIME_LIMIT,
        }
    }

    /// Adds an exchange.
    #[must_use]
    pub fn with_exchange(mut self, exchange: Exchange) -> Self {
        self.exchanges.push(exchange);
        self
    }

    /// Sets how long all of it may take. The default is [`TIME_LIMIT`].
    #[must_use]
    pub fn with_time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// What a setup's plugin makes of its settings.
    pub(super) async fn settings(&self, setup: &Setup) -> Result<Vec<types::Note>, Refusal> {
        let mut options = ProviderOptions::clone(&setup.options);
        options.sandbox = self.sandbox(&options.sandbox);
        options.grant.limits.total_timeout = self.time_limit;
        let provider = Provider::with_transport(&setup.plugin, options, Arc::new(NoNetwork));
        let judged = self.in_time(provider.check_settings()).await;
        judged.at(Stage::Settings)
    }

    /// Whether a plugin is what it says, and decodes what was recorded.
    pub(super) async fn run(&self, plugin: &Plugin, limits: &SandboxLimits) -> Result<(), Refusal> {
        let limits = self.sandbox(limits);
        self.in_time(async {
            self.manifest(plugin, limits.clone()).await?;
            let id = &plugin.manifest().id;
            for exchange in self.exchanges.iter().filter(|one| one.is_for(id)) {
                self.exchange(plugin, exchange, limits.clone())
                    .await
                    .map_err(|error| {
                        error.map_message(|why| {
                            format!("the recording {:?}: {why}", exchange.name())
                        })
                    })?;
            }
            Ok(())
        })
        .await
        .at(Stage::SelfTest)
    }

    async fn manifest(&self, plugin: &Plugin, limits: SandboxLimits) -> Result<()> {
        let egress = Egress::with_transport(self.grant(Secrets::new())?, Arc::new(NoNetwork));
        let mut sandbox = Sandbox::start(plugin.engine(), plugin.linked(), &egress, limits).await?;
        let told = sandbox.manifest().await?;
        match compare::manifests(plugin.manifest(), &told) {
            None => Ok(()),
            Some(difference) => Err(broken(format!(
                "the plugin is not what its manifest says: {difference}"
            ))),
        }
    }

    async fn exchange(
        &self,
        plugin: &Plugin,
        exchange: &Exchange,
        limits: SandboxLimits,
    ) -> Result<()> {
        let no_key = |error: crate::policy::SecretError| {
            Error::new(ErrorKind::Host, error.to_string()).caused_by(error)
        };
        let mut secrets = Secrets::new();
        let key = Secret::new("self-test").and_then(|key| secrets.mint(key, Binding::api_key()));
        let settings = types::Settings::new(exchange.config())
            .with_api_key(key.map_err(no_key)?.as_str())
            .with_discovery(false);
        let options = ProviderOptions::new(settings, self.grant(secrets)?).with_sandbox(limits);
        let canned = Arc::new(Canned::new(exchange));
        let provider = Provider::with_transport(plugin, options, canned.clone());
        let mut chat = provider.chat(exchange.model(), exchange.request()).await?;
        let mut events = Vec::new();
        loop {
            let batch = chat.next_batch(BATCH).await?;
            if batch.is_empty() {
                break;
            }
            events.extend(batch);
            if events.len() > exchange.most_events() {
                return Err(broken(format!(
                    "it gives more than {} events, and not those of the answer",
                    exchange.most_events()
                )));
            }
        }
        match compare::events(exchange.events(), events) {
            Some(difference) => Err(broken(difference)),
            None if canned.requests() == 1 => Ok(()),
            None => Err(broken(format!(
                "it sends {} requests for one answer",
                canned.requests()
            ))),
        }
    }

    fn grant(&self, secrets: Secrets) -> Result<Grant> {
        let origin = Origin::parse(BASE_URL)
            .map_err(|error| Error::new(ErrorKind::Host, error.to_string()).caused_by(error))?;
        let mut grant = Grant::new(origin).with_secrets(secrets);
        grant.limits.total_timeout = self.time_limit;
        Ok(grant)
    }

    /// The slot's limits; of processor time, less.
    fn sandbox(&self, limits: &SandboxLimits) -> SandboxLimits {
        let most = limits.cpu_time_per_call.min(CPU_TIME_PER_CALL);
        limits.clone().with_cpu_time_per_call(most)
    }

    async fn in_time<T>(&self, test: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout(self.time_limit, test).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::new(
                ErrorKind::PluginLimit,
                format!(
                    "the plugin is not done within the {} s of the self-test",
                    self.time_limit.as_secs_f32()
                ),
            )),
        }
    }
}

fn broken(why: String) -> Error {
    Error::new(ErrorKind::PluginMisbehaved, why)
}
