//! From an agent's configuration to what a provider runs with.
//!
//! The configuration is read, the key is chosen, and every secret is put behind
//! a placeholder: what comes out are settings that a plugin may see, and a grant
//! that knows what to put in for them.

use std::time::Duration;

use http::HeaderName;
use serde_json::Value;

use crate::bindings::types;
use crate::configuration::{ConfigError, Configuration, Environment, ProviderFacts, Resolved};
use crate::credentials::Profiles;
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::{self, Plugin};
use crate::policy::{
    BasePath, Binding, Grant, NetworkLimits, Origin, Secret, SecretError, Secrets,
};
use crate::provider::{Provider, ProviderOptions};

/// A provider's settings in two halves: what the plugin gets, and the secrets
/// behind its placeholders.
///
/// ```no_run
/// use provider_host::configuration::Configuration;
/// use provider_host::credentials::Profiles;
/// use provider_host::{Plugin, Provider, Wiring};
///
/// # fn example(plugin: &Plugin) -> Result<Provider, Box<dyn std::error::Error>> {
/// let configuration = Configuration::load("openclaw.json".as_ref())?;
/// let environment = |name: &str| std::env::var(name).ok();
/// let wiring = Wiring::new(&configuration, plugin, &environment, &Profiles::empty())?;
/// Ok(wiring.provider(plugin, wiring.settings())?)
/// # }
/// ```
#[derive(Debug)]
pub struct Wiring {
    /// What the configuration says, with placeholders for secrets.
    pub resolved: Resolved,
    secrets: Secrets,
}

impl Wiring {
    /// Resolves the settings of a plugin's provider.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPlugin`] if the manifest's id is not one;
    /// [`ErrorKind::UntrustedPlugin`] if the plugin names the id of the built-in provider and
    /// nobody approved that; [`ErrorKind::InvalidConfig`], with the path of what is wrong. The
    /// plugin checks the settings that the host does not read itself.
    pub fn new(
        configuration: &Configuration,
        plugin: &Plugin,
        environment: &Environment<'_>,
        profiles: &Profiles,
    ) -> Result<Self> {
        Self::with_base_url(configuration, plugin, environment, profiles, None)
    }

    /// Resolves the settings for the server at `base_url`, whatever the configuration names. Its
    /// models are asked for.
    ///
    /// # Errors
    ///
    /// As [`Wiring::new`].
    pub fn with_base_url(
        configuration: &Configuration,
        plugin: &Plugin,
        environment: &Environment<'_>,
        profiles: &Profiles,
        base_url: Option<&str>,
    ) -> Result<Self> {
        let manifest = plugin.manifest();
        plugin::check_id(&manifest.id)?;
        let facts = ProviderFacts {
            key_variable: manifest.key_variable.as_deref(),
            default_base_url: manifest.default_base_url.as_deref(),
            config_schema: Some(&manifest.config_schema),
            approval: plugin.id_approval(),
            base_url,
        };
        let mut secrets = Secrets::new();
        let mut failed: Option<SecretError> = None;
        let mut mint = |text: String, binding: Binding| {
            match Secret::new(text).and_then(|secret| secrets.mint(secret, binding)) {
                Ok(placeholder) => placeholder.as_str().to_owned(),
                Err(error) => {
                    failed.get_or_insert(error);
                    // Never used: the error ends the resolving.
                    String::new()
                }
            }
        };
        let resolved = configuration
            .resolve_provider(&manifest.id, &facts, environment, profiles, &mut mint)
            .map_err(|error| {
                let kind = match &error {
                    ConfigError::IdNotApproved { .. } => ErrorKind::UntrustedPlugin,
                    _ => ErrorKind::InvalidConfig,
                };
                Error::new(kind, error.to_string()).caused_by(error)
            })?;
        match failed {
            Some(error) => Err(Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "a secret of provider {} can't be used: {error}",
                    manifest.id
                ),
            )
            .caused_by(error)),
            None => Ok(Self { resolved, secrets }),
        }
    }

    /// The settings as the plugin gets them.
    pub fn settings(&self) -> types::Settings {
        let settings = &self.resolved.settings;
        types::Settings {
            config: settings.config.clone(),
            api_key: settings.api_key.clone(),
            discover: settings.discover,
            models: settings
                .models
                .iter()
                .map(|(id, params)| types::ModelSettings {
                    id: id.clone(),
                    params: params.clone(),
                })
                .collect(),
        }
    }

    /// The origin that the plugin may reach.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] if the base URL names none.
    pub fn origin(&self) -> Result<Origin> {
        Origin::parse(&self.resolved.base_url).map_err(|error| {
            Error::new(ErrorKind::InvalidConfig, error.to_string()).caused_by(error)
        })
    }

    /// The secrets behind the placeholders, to take them out of texts for people
    /// ([`Secrets::redact`]).
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The part of the origin that the plugin may use.
    fn base_path(&self) -> Result<BasePath> {
        BasePath::of_base_url(&self.resolved.base_url).map_err(|error| {
            Error::new(ErrorKind::InvalidConfig, error.to_string()).caused_by(error)
        })
    }

    /// What the plugin may do with the network: the origin of the base URL, as far as it belongs to the server there
    /// ([`BasePath::of_base_url`]).
    ///
    /// # Errors
    ///
    /// As [`Wiring::origin`].
    pub fn grant(&self) -> Result<Grant> {
        let grant = Grant::new(self.origin()?)
            .with_base_path(self.base_path()?)
            .with_private_network(self.resolved.allow_private)
            .with_secrets(self.secrets.clone())
            .with_configured_headers(configured_headers(self.resolved.settings.config.as_deref()))
            .with_limits(limits(NetworkLimits::default(), self.resolved.timeout));
        Ok(transported(grant, &self.resolved))
    }

    /// What a provider runs with: `settings`, which are those of
    /// [`Wiring::settings`] or made from them, and these secrets.
    ///
    /// # Errors
    ///
    /// As [`Wiring::origin`].
    pub fn options(&self, settings: types::Settings) -> Result<ProviderOptions> {
        let options = ProviderOptions::new(settings, self.grant()?);
        Ok(options.with_unready(self.resolved.unready.clone()))
    }

    /// Ties a plugin to [`Wiring::options`].
    ///
    /// # Errors
    ///
    /// As [`Wiring::origin`] and [`Provider::new`].
    pub fn provider(&self, plugin: &Plugin, settings: types::Settings) -> Result<Provider> {
        Provider::new(plugin, self.options(settings)?)
    }
}

/// The names of the header fields that a provider's entry configures: `headers` of the provider, of its
/// models and of `request`, and `request.auth.headerName`. What is not a field name is left out; the
/// plugin refuses it with its path.
pub(crate) fn configured_headers(config: Option<&str>) -> Vec<HeaderName> {
    let entry: Value = config
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let request = &entry["request"];
    let models = entry["models"].as_array().into_iter().flatten();
    let places = [&entry["headers"], &request["headers"]].into_iter();
    let places = places.chain(models.map(|model| &model["headers"]));
    let names = places
        .filter_map(Value::as_object)
        .flat_map(|headers| headers.keys());
    let names = names
        .map(String::as_str)
        .chain(request["auth"]["headerName"].as_str());
    names
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect()
}

/// The grant with what the configuration says about TLS and the proxy.
pub(crate) fn transported(mut grant: Grant, resolved: &Resolved) -> Grant {
    grant.ca_pem = resolved.ca_pem.as_deref().map(Vec::from);
    grant.server_name.clone_from(&resolved.server_name);
    grant.client_identity.clone_from(&resolved.client_identity);
    grant.proxy.clone_from(&resolved.proxy);
    grant
}

/// `timeoutSeconds` bounds the whole exchange and every wait in it, as
/// OpenClaw's does.
pub(crate) fn limits(limits: NetworkLimits, timeout: Option<Duration>) -> NetworkLimits {
    match timeout {
        None => limits,
        Some(timeout) => {
            let connect = limits.connect_timeout.min(timeout);
            limits
                .with_connect_timeout(connect)
                .with_first_byte_timeout(timeout)
                .with_idle_timeout(timeout)
                .with_total_timeout(timeout)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_that_an_entry_configures_are_found_in_all_places() {
        let entry = r#"{
            "headers": {"X-Forwarded-User": "a", "not a name": "b"},
            "models": [{"id": "m"}, {"id": "n", "headers": {"Cookie": "c"}}, 7],
            "request": {"headers": {"X_Team": "d"}, "auth": {"headerName": "Impersonate-User"}},
            "other": {"headers": {"X-Other": "e"}}
        }"#;
        let mut found = configured_headers(Some(entry));
        found.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        assert_eq!(
            found,
            ["cookie", "impersonate-user", "x-forwarded-user", "x_team"]
        );
        for none in [
            None,
            Some("{}"),
            Some("[]"),
            Some("no JSON"),
            Some(r#"{"headers": 7}"#),
        ] {
            assert!(configured_headers(none).is_empty(), "{none:?}");
        }
    }

    #[test]
    fn a_time_out_bounds_every_wait() {
        let five = Duration::from_secs(5);
        let limits = |timeout| limits(NetworkLimits::default(), timeout);
        let found = limits(Some(five));
        assert_eq!((found.connect_timeout, found.total_timeout), (five, five));
        let long = limits(Some(Duration::from_secs(600)));
        assert_eq!(
            long.connect_timeout,
            NetworkLimits::default().connect_timeout
        );
        assert_eq!(limits(None), NetworkLimits::default());
    }
}
