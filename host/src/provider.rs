//! A plugin with its settings and its grant: something to talk to.

use std::sync::Arc;

use tracing::{Instrument as _, Span};

use crate::bindings::{ServerHealth, TokenCount, types};
use crate::chat::Chat;
use crate::configuration::UnreadyModel;
use crate::egress::{Egress, NetworkTransport, Transport};
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::Plugin;
use crate::policy::{Grant, SandboxLimits};
use crate::sandbox::Sandbox;
use crate::telemetry::{Observer, Telemetry};
use crate::wiring;

/// What a provider runs with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProviderOptions {
    /// What the plugin is told. Secrets stand in it as placeholders of
    /// [`ProviderOptions::grant`].
    pub settings: types::Settings,
    /// What the plugin may do on the network: the origin it may reach, the
    /// secrets that are put in for it, how long and how much.
    pub grant: Grant,
    /// What its code may use.
    pub sandbox: SandboxLimits,
    /// Models that are known and can't be asked, with the reason: a header of
    /// theirs could not be resolved.
    pub unready: Vec<UnreadyModel>,
    /// What is told of its chats, and to whom.
    pub telemetry: Telemetry,
}

impl ProviderOptions {
    /// Settings and grant, with the default limits of the sandbox.
    ///
    /// The names of the header fields that the settings configure are added to the grant, so that the
    /// plugin may send them: [`Grant::configured_headers`].
    pub fn new(settings: types::Settings, grant: Grant) -> Self {
        let configured = wiring::configured_headers(settings.config.as_deref());
        let grant = grant.with_configured_headers(configured);
        Self {
            settings,
            grant,
            sandbox: SandboxLimits::default(),
            unready: Vec::new(),
            telemetry: Telemetry::default(),
        }
    }

    /// Names the models that must not be asked.
    #[must_use]
    pub fn with_unready(mut self, unready: Vec<UnreadyModel>) -> Self {
        self.unready = unready;
        self
    }

    /// Says what is told of the provider's chats.
    #[must_use]
    pub fn with_telemetry(mut self, telemetry: Telemetry) -> Self {
        self.telemetry = telemetry;
        self
    }

    /// Replaces the sandbox's limits.
    #[must_use]
    pub fn with_sandbox(mut self, sandbox: SandboxLimits) -> Self {
        self.sandbox = sandbox;
        self
    }
}

/// A provider that is ready to be asked. Cheap to clone; the clones share one
/// connection pool.
#[derive(Clone)]
pub struct Provider {
    inner: Arc<Inner>,
}

struct Inner {
    plugin: Plugin,
    settings: types::Settings,
    egress: Egress,
    limits: SandboxLimits,
    unready: Vec<UnreadyModel>,
    observer: Arc<Observer>,
}

impl Provider {
    /// Ties a plugin to its settings and its grant. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] if the grant can't be carried out, such as
    /// a certificate authority that can't be read.
    pub fn new(plugin: &Plugin, options: ProviderOptions) -> Result<Self> {
        let transport = network(&options.grant)?;
        Ok(Self::with_transport(plugin, options, transport))
    }

    /// The same over something else than the network: a recording, a canned
    /// answer, a fuzzer. Every rule but those of dialling applies as it does
    /// over the network.
    #[must_use]
    pub fn with_transport(
        plugin: &Plugin,
        options: ProviderOptions,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let egress = Egress::with_transport(options.grant, transport);
        let observer = Observer::new(options.telemetry, plugin.manifest(), &egress);
        Self {
            inner: Arc::new(Inner {
                plugin: plugin.clone(),
                settings: options.settings,
                observer: Arc::new(observer),
                egress,
                limits: options.sandbox,
                unready: options.unready,
            }),
        }
    }

    /// The plugin that this provider runs.
    pub fn plugin(&self) -> &Plugin {
        &self.inner.plugin
    }

    /// What the provider makes of its settings: warnings, or why it can't work
    /// with them. Sends nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] with the path, what stands there and what
    /// is allowed; or a fault of the plugin.
    pub async fn check_settings(&self) -> Result<Vec<types::Note>> {
        let mut sandbox = self.sandbox().await?;
        sandbox.check_settings(&self.inner.settings).await
    }

    /// The models there are. Sends at most one request.
    ///
    /// # Errors
    ///
    /// Why the server could not be asked, each cause with a kind of its own; or
    /// a fault of the plugin.
    pub async fn list_models(&self) -> Result<types::Catalog> {
        let answer = async {
            let mut sandbox = self.sandbox().await?;
            sandbox.list_models(&self.inner.settings).await
        };
        self.observer().operation("list_models", None, answer).await
    }

    /// One model by id (without the provider's prefix).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ModelNotFound`] with the reason and the nearest ids; else as
    /// [`Provider::list_models`].
    pub async fn resolve_model(&self, id: &str) -> Result<types::Model> {
        let answer = async {
            let mut sandbox = self.sandbox().await?;
            sandbox.resolve_model(&self.inner.settings, id).await
        };
        let watched = self.observer();
        watched.operation("resolve_model", Some(id), answer).await
    }

    /// How long the prompt of a chat is, in the model's own tokens. Sends one
    /// request; nothing is generated. None: the plugin does not count.
    ///
    /// # Errors
    ///
    /// As [`Provider::chat`], and what the server answered instead.
    pub async fn count_tokens(
        &self,
        model: &types::Model,
        request: &types::ChatRequest,
    ) -> Result<Option<TokenCount>> {
        let inner = &self.inner;
        if !inner.plugin.counts_tokens() {
            return Ok(None);
        }
        let answer = async {
            self.ready(model)?;
            let mut sandbox = self.sandbox().await?;
            sandbox.count_tokens(&inner.settings, model, request).await
        };
        let watched = self.observer();
        watched
            .operation("count_tokens", Some(&model.id), answer)
            .await
    }

    /// How the server is: its version and what is known of it. Sends one
    /// request, without a model. None: the plugin does not tell.
    ///
    /// # Errors
    ///
    /// Why the server can't be used; or a fault of the plugin.
    pub async fn check_health(&self) -> Result<Option<ServerHealth>> {
        let inner = &self.inner;
        if !inner.plugin.tells_health() {
            return Ok(None);
        }
        let answer = async {
            let mut sandbox = self.sandbox().await?;
            sandbox.check_health(&inner.settings).await
        };
        self.observer()
            .operation("check_health", None, answer)
            .await
    }

    /// Sends a request and returns its answer as it comes. Does not wait for
    /// the server: whatever it says comes from the [`Chat`].
    ///
    /// This is one exchange. Nothing is tried again, and the limit of the answer
    /// goes out as it is: a vLLM before 0.31 refuses one that prompt and context
    /// leave no room for, as the default limit of a model with a context of
    /// 8,192 tokens or less always is. A [`Route`](crate::route::Route) fits
    /// limits, tries again and falls back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] or [`ErrorKind::InvalidConfig`] if no
    /// request can be made; [`ErrorKind::Overloaded`] if this host has no room;
    /// or a fault of the plugin.
    pub async fn chat(&self, model: &types::Model, request: &types::ChatRequest) -> Result<Chat> {
        let mut watch = self.observer().chat(model, request);
        let started = async {
            self.ready(model)?;
            let mut sandbox = self.sandbox().await?;
            let running = sandbox.chat(&self.inner.settings, model, request).await?;
            Ok((sandbox, running))
        };
        let span = watch.as_ref().map_or(Span::none(), |it| it.span().clone());
        match started.instrument(span).await {
            Ok((sandbox, running)) => Ok(Chat::new(sandbox, running, watch)),
            Err(error) => {
                if let Some(watch) = &mut watch {
                    watch.failed(&error);
                }
                Err(error)
            }
        }
    }

    /// Who watches what is asked of this provider.
    pub(crate) fn observer(&self) -> &Arc<Observer> {
        &self.inner.observer
    }

    /// Starts an instance of the plugin and drops it: for the benchmarks, which have no other way to see that alone.
    ///
    /// # Errors
    ///
    /// As every call that starts one.
    #[doc(hidden)]
    pub async fn instantiate(&self) -> Result<()> {
        self.sandbox().await.map(drop)
    }

    /// Whether requests for a model can be made.
    fn ready(&self, model: &types::Model) -> Result<()> {
        match self.inner.unready.iter().find(|one| one.id == model.id) {
            None => Ok(()),
            Some(unready) => Err(Error::new(ErrorKind::InvalidConfig, unready.why.clone())),
        }
    }

    async fn sandbox(&self) -> Result<Sandbox> {
        let inner = &self.inner;
        let plugin = &inner.plugin;
        Sandbox::start(
            plugin.engine(),
            plugin.linked(),
            &inner.egress,
            inner.limits.clone(),
        )
        .await
    }
}

/// The network, as far as a grant lets it be seen.
pub(crate) fn network(grant: &Grant) -> Result<Arc<dyn Transport>> {
    match NetworkTransport::new(grant) {
        Ok(transport) => Ok(Arc::new(transport)),
        Err(error) => Err(Error::new(ErrorKind::InvalidConfig, error.to_string()).caused_by(error)),
    }
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider")
            .field("plugin", &self.inner.plugin)
            .finish_non_exhaustive()
    }
}
