//! One provider's entry, resolved: what the plugin may see on one side, what
//! only the host needs on the other.
//!
//! The plugin gets its entry without `apiKey` (it has a field of its own),
//! without `request.tls` and without `request.proxy`: certificates, private
//! keys and proxy passwords are the transport's business, and what a plugin
//! has no use for does not enter the sandbox.

mod proxy;
mod transport;

use std::time::Duration;

use serde_json::{Map, Value};

use super::base_url::BaseUrl;
use super::environment::Environment;
use super::error::ConfigError;
use super::key::{self, KeySource};
use super::note::Note;
use super::schema::Schema;
use super::secret::{Resolver, key_binding};
use super::{Configuration, agents, base_url, misplaced, path};
use crate::credentials::Profiles;
use crate::plugin::{BUILT_IN_ID, IdApproval};
use crate::policy::{Binding, ClientIdentity, Proxy};
use transport::Transport;

pub use proxy::ProxyMode;

/// Longest `timeoutSeconds`: a day. More is a mistake of unit.
const LONGEST_TIMEOUT: f64 = 86_400.0;

/// What has to be known of a provider before its settings are resolved.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProviderFacts<'a> {
    /// Environment variable that holds the API key, as the plugin's manifest names it.
    pub key_variable: Option<&'a str>,
    /// Base URL that the plugin's manifest names. It is used for the built-in plugin only.
    pub default_base_url: Option<&'a str>,
    /// JSON Schema of the provider's entry, as the manifest has it. The plugin receives the fields
    /// that it names; of others it receives the key with the value `null`. Absent: none is named.
    pub config_schema: Option<&'a str>,
    /// Who vouches for the plugin's id.
    pub approval: IdApproval,
    /// Base URL that the user named beside the configuration, such as `--base-url`. It goes before
    /// the configuration's, and the server there is asked for its models.
    pub base_url: Option<&'a str>,
}

/// Where a base URL came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaseUrlSource {
    /// The user, beside the configuration ([`ProviderFacts::base_url`]).
    Named,
    /// `baseUrl` of the provider's entry.
    Configuration,
    /// The manifest of the built-in plugin.
    Default,
}

/// The settings as the plugin gets them. Every secret is a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingsText {
    /// JSON object: the provider's entry. None: there is none.
    pub config: Option<String>,
    /// The placeholder of the API key.
    pub api_key: Option<String>,
    /// `agents.defaults.models` has the key `<id>/*`.
    pub discover: bool,
    /// Model id and JSON object: `agents.defaults.models["<id>/<model>"].params`.
    pub models: Vec<(String, String)>,
}

/// A declared model of which a header uses a variable that is not set. Its
/// headers are missing from the settings, so that it must not be asked; every
/// other model can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadyModel {
    /// The model's id.
    pub id: String,
    /// Which variable, and where it is used. One sentence.
    pub why: String,
}

/// A provider's settings, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolved {
    /// What the plugin gets.
    pub settings: SettingsText,
    /// The base URL, trimmed.
    pub base_url: String,
    /// Where the base URL came from.
    pub base_url_source: BaseUrlSource,
    /// `request.allowPrivateNetwork`.
    pub allow_private: bool,
    /// Certificates to trust beside the system's, as PEM: `request.tls.ca`.
    pub ca_pem: Option<String>,
    /// The name that the server's certificate has to be for: `request.tls.serverName`.
    pub server_name: Option<String>,
    /// What is presented to a server that asks for a client certificate: `request.tls.cert` and
    /// `request.tls.key`.
    pub client_identity: Option<ClientIdentity>,
    /// Whether `request.proxy` names a proxy, and how.
    pub proxy_mode: ProxyMode,
    /// The proxy that requests go through.
    pub proxy: Option<Proxy>,
    /// `timeoutSeconds`.
    pub timeout: Option<Duration>,
    /// Where the API key came from.
    pub key_source: KeySource,
    /// Declared models that can be listed and not be used.
    pub unready: Vec<UnreadyModel>,
    /// What the user should be told.
    pub notes: Vec<Note>,
}

/// Where a provider's entry stands or would stand, and the entry if there is one.
pub(super) type Entry<'a> = (String, Option<&'a Map<String, Value>>);

impl Configuration {
    /// Resolves the settings of the provider `id` (in any case).
    ///
    /// `mint` turns the text of a secret into the text that stands for it in
    /// the sandbox, and is told where in a request the secret may stand. It is
    /// called once for every secret, in no particular order, and once more for
    /// the value of a variable that is only a part of a secret, with
    /// [`Binding::Nowhere`]. Variables are put in only where they are used.
    ///
    /// # Errors
    /// [`ConfigError`], with the path of what is wrong. What the host does not
    /// read itself is not judged here: the plugin does that.
    pub fn resolve_provider(
        &self,
        id: &str,
        facts: &ProviderFacts<'_>,
        environment: &Environment<'_>,
        profiles: &Profiles,
        mint: &mut dyn FnMut(String, Binding) -> String,
    ) -> Result<Resolved, ConfigError> {
        let id = id.trim().to_lowercase();
        if id == BUILT_IN_ID && facts.approval == IdApproval::None {
            return Err(ConfigError::IdNotApproved { id });
        }
        let mut notes = self.general_notes();
        misplaced::notes(&self.root, &id, &mut notes);
        let (at, entry) = self.entry(&id, &mut notes)?;
        let named = facts.base_url.map(str::trim).filter(|url| !url.is_empty());
        let present = entry.is_some() || named.is_some();
        let mut entry = entry.cloned().unwrap_or_default();

        let key_path = path::member(&at, "apiKey");
        let configured_key = entry.remove("apiKey");
        let order = self.profile_order(&id)?;
        let key = key::choose(
            key::Owner {
                id: &id,
                key_variable: facts.key_variable,
                approval: facts.approval,
            },
            configured_key.as_ref(),
            &key_path,
            environment,
            key::Stored {
                profiles,
                order: &order,
            },
            &mut notes,
        )?;
        if let Some((text, source)) = &key
            && let Some(message) = key::foreign_variable(text, source, environment)
        {
            notes.push(Note {
                code: "key-names-variable",
                path: (*source == KeySource::Configuration).then(|| key_path.clone()),
                message,
            });
        }
        note_unused_key(
            configured_key.as_ref(),
            key.as_ref().map(|(_, source)| source),
            &key_path,
            &mut notes,
        );

        let schema = Schema::parse(facts.config_schema.unwrap_or_default());
        misplaced::take_from_entry(&mut entry, &at, |key| schema.names(key), &mut notes);
        key::note_foreign_variables(&entry, &at, environment, &mut notes);
        let transport = Transport::take(&mut entry, &at)?;
        // What the host reads itself, whether or not the plugin may see it.
        let mut base_url = match named {
            Some(url) => BaseUrl::named(url),
            None => base_url::resolve(&entry, &at, &id, facts, environment)?,
        };
        if let Some(url) = base_url::on_this_machine(&base_url.text) {
            notes.push(Note {
                code: "unspecified-address",
                path: named.is_none().then(|| path::member(&at, "baseUrl")),
                message: format!(
                    "the host of {} is an address to listen on, and none to connect to; {url} is \
                     used instead, write that",
                    base_url.text
                ),
            });
            base_url.text = url;
        }
        if named.is_some() || matches!(entry.get("baseUrl"), Some(Value::String(_))) {
            entry.insert("baseUrl".to_owned(), Value::from(base_url.text.as_str()));
        }
        let allow_private = allow_private(&entry, &at)?;
        let timeout = timeout(&entry, &at)?;

        schema.retain_named(&mut entry, &at, &mut notes);
        let mut resolver = Resolver::new(environment, mint);
        resolver.entry(&mut entry, &at)?;
        let unready = resolver.unready;
        notes.extend(unready.iter().map(|model| Note {
            code: "model-not-ready",
            path: None,
            message: format!("model {} can't be used: {}", model.id, model.why),
        }));
        for secret in base_url.secrets {
            mint(secret, Binding::Nowhere);
        }
        let agents::ModelEntries { wildcard, params } = self.model_entries(&id, &mut notes)?;

        let server = &base_url.text;
        let transport = transport.resolve(self.file(), &at, server, environment, &mut notes)?;
        if let Some(password) = transport.proxy.as_ref().and_then(Proxy::password) {
            // Sent to the proxy by the host, and never by the plugin.
            mint(password.to_owned(), Binding::Nowhere);
        }
        let (api_key, key_source) = match key {
            Some((key, source)) => (Some(mint(key, key_binding(&entry))), source),
            None => (None, KeySource::None),
        };
        Ok(Resolved {
            settings: SettingsText {
                config: present.then(|| Value::Object(entry).to_string()),
                api_key,
                discover: wildcard || named.is_some(),
                models: params,
            },
            base_url: base_url.text,
            base_url_source: base_url.source,
            allow_private,
            ca_pem: transport.ca_pem,
            server_name: transport.server_name,
            client_identity: transport.client_identity,
            proxy_mode: transport.proxy_mode,
            proxy: transport.proxy,
            timeout,
            key_source,
            unready,
            notes,
        })
    }

    /// `auth.order` of a provider: the ids of its key profiles. Empty: none.
    fn profile_order(&self, id: &str) -> Result<Vec<String>, ConfigError> {
        let orders = self.object_at(&["auth", "order"])?;
        let order = orders
            .into_iter()
            .flatten()
            .find(|(key, _)| key.trim().to_lowercase() == id);
        let ids = match order {
            None | Some((_, Value::Null)) => return Ok(Vec::new()),
            Some((_, Value::Array(ids))) => ids,
            Some((key, other)) => {
                let at = path::member("auth.order", key);
                let allowed = "a list of profile ids, such as [\"vllm:default\"]";
                return Err(ConfigError::wrong_type(&at, other, allowed));
            }
        };
        let ids = ids.iter().filter_map(Value::as_str);
        Ok(ids.map(|id| id.trim().to_owned()).collect())
    }

    /// Whether the configuration has an entry for the provider `id`.
    #[must_use]
    pub fn has_provider(&self, id: &str) -> bool {
        let id = id.trim().to_lowercase();
        self.entry(&id, &mut Vec::new())
            .is_ok_and(|(_, entry)| entry.is_some())
    }

    /// The provider's entry and where it stands. Ids are compared trimmed and
    /// without regard to case; the one that is spelled as the id wins.
    pub(super) fn entry(&self, id: &str, notes: &mut Vec<Note>) -> Result<Entry<'_>, ConfigError> {
        const PROVIDERS: &str = "models.providers";
        let providers = self.object_at(&["models", "providers"])?;
        let mut same: Vec<(&String, &Value)> = providers
            .into_iter()
            .flatten()
            .filter(|(key, _)| key.trim().to_lowercase() == id)
            .collect();
        same.sort_by_key(|(key, _)| key.as_str() != id);
        let Some((key, value)) = same.first() else {
            return Ok((path::member(PROVIDERS, id), None));
        };
        let at = path::member(PROVIDERS, key);
        for (other, _) in &same[1..] {
            notes.push(Note {
                code: "duplicate-provider",
                path: Some(path::member(PROVIDERS, other)),
                message: format!("not used: {at} is the same provider"),
            });
        }
        match value {
            Value::Object(entry) => Ok((at, Some(entry))),
            other => Err(ConfigError::wrong_type(
                &at,
                other,
                "an object, such as { baseUrl: \"http://127.0.0.1:8000/v1\", models: [] }",
            )),
        }
    }

    /// What of OpenClaw's file format this host does not follow.
    fn general_notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        if self.root.contains_key("$include") {
            notes.push(Note {
                code: "unsupported-setting",
                path: Some(String::from("$include")),
                message: String::from(
                    "other files are not included: settings that stand there are not seen",
                ),
            });
        }
        notes
    }
}

/// Says that a key in the configuration is not the one that is used: whoever
/// wrote it there would look for the reason of a 401 in the wrong place.
fn note_unused_key(
    configured: Option<&Value>,
    used: Option<&KeySource>,
    path: &str,
    notes: &mut Vec<Note>,
) {
    let variable = match (configured, used) {
        (None | Some(Value::Null), _) | (_, None | Some(KeySource::Configuration)) => return,
        (_, Some(KeySource::Environment(name))) => Some(name.as_str()),
        (_, Some(_)) => None,
    };
    // `apiKey: "${VLLM_API_KEY}"` names the key that is used.
    let names_it = match (configured, variable) {
        (Some(Value::String(text)), Some(name)) => {
            text.trim() == name || text.trim() == format!("${{{name}}}")
        }
        (Some(Value::Object(reference)), Some(name)) => {
            reference.get("id").and_then(Value::as_str) == Some(name)
        }
        _ => false,
    };
    if let (false, Some(used)) = (names_it, used) {
        notes.push(Note {
            code: "key-not-used",
            path: Some(path.to_owned()),
            message: format!("not used: {used} goes before it"),
        });
    }
}

fn allow_private(entry: &Map<String, Value>, at: &str) -> Result<bool, ConfigError> {
    let request = match entry.get("request") {
        None | Some(Value::Null) => return Ok(false),
        Some(Value::Object(request)) => request,
        Some(other) => {
            let at = path::member(at, "request");
            return Err(ConfigError::wrong_type(&at, other, "an object"));
        }
    };
    match request.get("allowPrivateNetwork") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(ConfigError::wrong_type(
            &path::member(&path::member(at, "request"), "allowPrivateNetwork"),
            other,
            "true or false",
        )),
    }
}

fn timeout(entry: &Map<String, Value>, at: &str) -> Result<Option<Duration>, ConfigError> {
    let value = match entry.get("timeoutSeconds") {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    value
        .as_f64()
        .filter(|seconds| *seconds > 0.0 && *seconds <= LONGEST_TIMEOUT)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .map(Some)
        .ok_or_else(|| {
            ConfigError::wrong_type(
                &path::member(at, "timeoutSeconds"),
                value,
                "a number of seconds above 0 and up to 86400",
            )
        })
}

#[cfg(test)]
mod tests;
