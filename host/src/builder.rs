//! From a base URL and a key to a provider, with what is safe as the default.
//!
//! What is said to the builder in the clear, the key and the values of headers, goes behind placeholders before the plugin
//! sees any of it. The grant follows from the base URL: its origin, as far as its path goes ([`BasePath::of_base_url`]), and
//! the kind of addresses that its host stands for ([`Reach::of`](crate::policy::Reach::of)).

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::bindings::types::Settings;
use crate::configuration::{BaseUrlSource, Configuration, Environment, key_binding};
use crate::credentials::Profiles;
use crate::egress::Transport;
use crate::egress::recording::Recorder;
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::{self, Plugin};
use crate::policy::{
    BasePath, Binding, ClientIdentity, Grant, NetworkLimits, Origin, Proxy, SandboxLimits, Secret,
    Secrets,
};
use crate::provider::{Provider, ProviderOptions, network};
use crate::wiring::{self, Wiring};

/// Makes a [`Provider`]; begun by [`Provider::builder`].
///
/// ```no_run
/// # fn example(plugin: &provider_host::Plugin, key: String, secret: String) -> provider_host::Result<()> {
/// use provider_host::Provider;
///
/// let provider = Provider::builder(plugin)
///     .base_url("http://gpu:8000/v1")
///     .api_key(key)
///     .header("X-Team", secret)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is made before `build`"]
pub struct ProviderBuilder<'a> {
    plugin: &'a Plugin,
    configuration: Option<&'a Configuration>,
    environment: &'a Environment<'a>,
    profiles: Option<&'a Profiles>,
    base_url: Option<String>,
    api_key: Option<Zeroizing<String>>,
    headers: Vec<(String, Zeroizing<String>)>,
    config: Vec<(String, Value)>,
    discover: Option<bool>,
    allow_private: bool,
    ca_pem: Option<Vec<u8>>,
    server_name: Option<String>,
    client_identity: Option<ClientIdentity>,
    proxy: Option<Zeroizing<String>>,
    timeout: Option<Duration>,
    limits: Option<NetworkLimits>,
    sandbox: SandboxLimits,
    transport: Option<Arc<dyn Transport>>,
    record: Option<PathBuf>,
}

impl Provider {
    /// Begins a provider that runs `plugin`.
    pub fn builder(plugin: &Plugin) -> ProviderBuilder<'_> {
        ProviderBuilder {
            plugin,
            configuration: None,
            environment: &|_| None,
            profiles: None,
            base_url: None,
            api_key: None,
            headers: Vec::new(),
            config: Vec::new(),
            discover: None,
            allow_private: false,
            ca_pem: None,
            server_name: None,
            client_identity: None,
            proxy: None,
            timeout: None,
            limits: None,
            sandbox: SandboxLimits::default(),
            transport: None,
            record: None,
        }
    }
}

impl<'a> ProviderBuilder<'a> {
    /// Begins with the provider's entry in an agent's configuration. What else is said to the builder goes before it.
    pub fn configuration(mut self, configuration: &'a Configuration) -> Self {
        self.configuration = Some(configuration);
        self
    }

    /// Where the configuration's variables come from, such as `&|name: &str| std::env::var(name).ok()`. Without it none
    /// is set: a library does not read its process's environment unasked.
    pub fn environment(mut self, environment: &'a Environment<'a>) -> Self {
        self.environment = environment;
        self
    }

    /// The keys that are stored beside the configuration.
    pub fn profiles(mut self, profiles: &'a Profiles) -> Self {
        self.profiles = Some(profiles);
        self
    }

    /// Sets the server's base URL, such as `http://gpu:8000/v1`. Without it, the configuration's is
    /// used. The built-in plugin's default, `http://127.0.0.1:8000/v1`, is used only while the
    /// builder has no key and no header: a secret and its destination never both come from a
    /// plugin.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// The API key. The plugin gets what stands for it.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(Zeroizing::new(key.into()));
        self
    }

    /// A field for each request. Its value is a secret like the key.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers
            .push((name.into(), Zeroizing::new(value.into())));
        self
    }

    /// A member of the provider's entry in the configuration, for what has no method here: the plugin's
    /// `config-schema` names them. The plugin sees it as it is.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.config.push((name.into(), value.into()));
        self
    }

    /// Whether the server is asked for its models beside those that are declared. Without a configuration it is.
    pub fn discover(mut self, discover: bool) -> Self {
        self.discover = Some(discover);
        self
    }

    /// Lets the host's name resolve to private addresses though it does not look like a private name.
    pub fn allow_private(mut self, allow: bool) -> Self {
        self.allow_private = allow;
        self
    }

    /// Certificates to trust beside the system's, as PEM, for this server only.
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem = Some(pem.into());
        self
    }

    /// The name that the server's certificate has to be for, where it is not the host of the base
    /// URL.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// A client certificate and its private key, as PEM, for a server that asks for one (mutual
    /// TLS). Certificates between it and its authority follow it in the same text; the key is
    /// PKCS#8, PKCS#1 or SEC1, and not encrypted. They are presented to this server only, and the
    /// plugin sees neither. What can't be used is refused by [`ProviderBuilder::build`].
    pub fn client_certificate(
        mut self,
        certificates_pem: impl Into<Vec<u8>>,
        key_pem: impl Into<Vec<u8>>,
    ) -> Self {
        self.client_identity = Some(ClientIdentity::from_pem(certificates_pem, key_pem));
        self
    }

    /// The HTTP proxy to reach the server through: `http://HOST:PORT`, or
    /// `http://USER:PASSWORD@HOST:PORT` with percent-encoding. The proxy resolves the server's
    /// name, so that the addresses behind it are not judged ([`Grant::with_proxy`]). Without it,
    /// and without `request.proxy` in the configuration, the server is dialled itself, whatever the
    /// environment says.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(Zeroizing::new(url.into()));
        self
    }

    /// Bounds each exchange as a whole, and every wait in it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Replaces the bounds on the network. [`ProviderBuilder::timeout`] is put into them.
    pub fn network_limits(mut self, limits: NetworkLimits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Replaces the bounds on the plugin's code.
    pub fn sandbox_limits(mut self, limits: SandboxLimits) -> Self {
        self.sandbox = limits;
        self
    }

    /// Something else than the network.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Writes each exchange to a new file ([`crate::egress::recording`]).
    pub fn record(mut self, path: impl Into<PathBuf>) -> Self {
        self.record = Some(path.into());
        self
    }

    /// Makes the provider. Nothing is sent.
    ///
    /// # Errors
    ///
    /// As [`ProviderBuilder::options`] and [`Provider::new`]; [`ErrorKind::Host`] if the recording can't be made.
    pub fn build(mut self) -> Result<Provider> {
        let plugin = self.plugin;
        let (transport, record) = (self.transport.take(), self.record.take());
        let options = self.options()?;
        if transport.is_none() && record.is_none() {
            return Provider::new(plugin, options);
        }
        let transport = match transport {
            Some(transport) => transport,
            None => network(&options.grant)?,
        };
        let transport = match record {
            None => transport,
            Some(path) => Arc::new(Recorder::create(path, transport, &options.grant).map_err(
                |error| Error::new(ErrorKind::Host, error.to_string()).caused_by(error),
            )?),
        };
        Ok(Provider::with_transport(plugin, options, transport))
    }

    /// What such a provider runs with, for who puts it together otherwise. Transport and recording are no part of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`]: the configuration can't be resolved, the base URL names no
    /// origin, the proxy's URL names no HTTP proxy, or key or header can't be sent.
    pub fn options(self) -> Result<ProviderOptions> {
        let manifest = self.plugin.manifest();
        plugin::check_id(&manifest.id)?;
        let wiring = match self.configuration {
            None => None,
            Some(configuration) => {
                let none = Profiles::empty();
                let profiles = self.profiles.unwrap_or(&none);
                Some(Wiring::with_base_url(
                    configuration,
                    self.plugin,
                    self.environment,
                    profiles,
                    self.base_url.as_deref(),
                )?)
            }
        };
        let (mut settings, mut secrets) = match &wiring {
            Some(wiring) => (wiring.settings(), wiring.secrets().clone()),
            None => (Settings::new("{}"), Secrets::new()),
        };
        let configured = wiring.as_ref().map(|wiring| &wiring.resolved);
        let base_url = self
            .base_url
            .as_deref()
            .or(configured.map(|resolved| resolved.base_url.as_str()))
            .map_or_else(|| self.default_base_url(), Ok)?;
        let by_default = self.base_url.is_none()
            && configured.is_none_or(|one| one.base_url_source == BaseUrlSource::Default);
        if by_default && (self.api_key.is_some() || !self.headers.is_empty()) {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "the key and headers of provider {} need a server to go to: name it with \
                     `base_url`; a secret is not sent to the address that a plugin names",
                    manifest.id
                ),
            ));
        }

        let mut mint = |what: &str, text: &str, binding: Binding| {
            let secret = Secret::new(text).and_then(|secret| secrets.mint(secret, binding));
            secret
                .map(|placeholder| placeholder.as_str().to_owned())
                .map_err(|error| {
                    let why = format!("{what} can't be used: {error}");
                    Error::new(ErrorKind::InvalidConfig, why).caused_by(error)
                })
        };
        let mut entry = entry(settings.config.as_deref());
        let untouched = entry.is_empty() && configured.is_some();
        for (name, value) in self.config {
            entry.insert(name, value);
        }
        if let Some(key) = &self.api_key {
            settings.api_key = Some(mint("the API key", key, key_binding(&entry))?);
        }
        let mut headers = match entry.remove("headers") {
            Some(Value::Object(headers)) => headers,
            _ => Map::new(),
        };
        for (name, value) in &self.headers {
            let bound = HeaderName::from_bytes(name.as_bytes()).map_err(|error| {
                let why = format!("{name:?} is no name of a header field");
                Error::new(ErrorKind::InvalidConfig, why).caused_by(error)
            })?;
            let value = mint(&format!("the header {name}"), value, Binding::header(bound))?;
            headers.insert(name.clone(), Value::from(value));
        }
        if !headers.is_empty() {
            entry.insert("headers".to_owned(), Value::Object(headers));
        }
        if self.base_url.is_some() || configured.is_none() {
            entry.insert("baseUrl".to_owned(), Value::from(base_url));
        }
        // A configuration without an entry stays one, for the plugin decides by that.
        if !(untouched && entry.is_empty()) {
            settings.config = Some(Value::Object(entry).to_string());
        }
        if let Some(discover) = self.discover {
            settings.discover = discover;
        }

        let proxy = match &self.proxy {
            None => None,
            Some(url) => {
                let unusable = |why: String| Error::new(ErrorKind::InvalidConfig, why);
                let proxy = Proxy::parse(url).map_err(|error| {
                    unusable(format!("the proxy can't be used: {error}")).caused_by(error)
                })?;
                if let Some(password) = proxy.password() {
                    mint("the proxy's password", password, Binding::Nowhere)?;
                }
                Some(proxy)
            }
        };
        let timeout = self
            .timeout
            .or(configured.and_then(|resolved| resolved.timeout));
        let limits = wiring::limits(self.limits.unwrap_or_default(), timeout);
        let private = self.allow_private || configured.is_some_and(|one| one.allow_private);
        let grant = Grant::new(Origin::parse(base_url).map_err(invalid)?)
            .with_base_path(BasePath::of_base_url(base_url).map_err(invalid)?)
            .with_private_network(private)
            .with_secrets(secrets)
            .with_limits(limits);
        let mut grant = match configured {
            Some(resolved) => wiring::transported(grant, resolved),
            None => grant,
        };
        grant.ca_pem = self.ca_pem.or(grant.ca_pem);
        grant.server_name = self.server_name.or(grant.server_name);
        grant.client_identity = self.client_identity.or(grant.client_identity);
        grant.proxy = proxy.or(grant.proxy);
        let unready = configured.map(|resolved| resolved.unready.clone());
        Ok(ProviderOptions::new(settings, grant)
            .with_sandbox(self.sandbox)
            .with_unready(unready.unwrap_or_default()))
    }
}

impl<'a> ProviderBuilder<'a> {
    /// The base URL that the manifest names, which only the built-in plugin may choose.
    fn default_base_url(&self) -> Result<&'a str> {
        let manifest = self.plugin.manifest();
        let default = manifest.default_base_url.as_deref();
        default
            .filter(|_| self.plugin.is_built_in())
            .ok_or_else(|| {
                let why = format!(
                    "provider {} has no base URL: name it with `base_url`",
                    manifest.id
                );
                Error::new(ErrorKind::InvalidConfig, why)
            })
    }
}

impl fmt::Debug for ProviderBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderBuilder")
            .field("plugin", self.plugin)
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::InvalidConfig, error.to_string()).caused_by(error)
}

/// The provider's entry, which the configuration wrote itself: an object, or there is none.
fn entry(config: Option<&str>) -> Map<String, Value> {
    config
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}
