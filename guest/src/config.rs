//! The user's configuration, judged once.
//!
//! In go the settings as the host resolved them (variables interpolated, the
//! key chosen, secrets replaced by stand-ins), out comes a [`Config`] that the
//! rest of the core trusts. A wrong value is an error which names its path,
//! what was found and what is allowed; an unknown key is a note. Values of
//! headers and keys are opaque here and never part of a message.
//!
//! The shape is OpenClaw's `models.providers.vllm`; see [`crate::manifest`] for
//! its JSON Schema.

pub(crate) mod compat;
mod entry;
mod found;
pub(crate) mod headers;
mod keys;
pub(crate) mod params;

pub(crate) use entry::Declared;
pub use entry::{DEFAULT_CONTEXT_WINDOW, DEFAULT_MAX_TOKENS};
pub(crate) use keys::distance;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::base_url::{BaseUrl, DEFAULT_BASE_URL};
use crate::raw_json::{Fields, Raw};
use crate::text;
use crate::types::{Error, ErrorKind, Note, Settings};
use found::Path;
use headers::Headers;
use params::Params;

/// Our name and version, and nothing of the machine.
pub const USER_AGENT: &str = concat!("vllm-provider/", env!("CARGO_PKG_VERSION"));

/// The provider's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    base_url: BaseUrl,
    present: bool,
    discover: bool,
    api_key: Option<String>,
    auth_none: bool,
    auth_header: bool,
    request_auth: Option<(String, String)>,
    headers: Headers,
    request_headers: Headers,
    timeout_ms: Option<u64>,
    params: Params,
    models: Vec<Declared>,
    agent_params: Vec<(String, Params)>,
}

/// A model's id without the provider's own name before it, where it has that.
pub(crate) fn without_prefix(id: &str) -> Option<&str> {
    id.strip_prefix("vllm/")
}

impl Config {
    /// Judges the settings. The notes are what a user should be told although
    /// nothing is wrong: keys without effect, limits that were fitted.
    ///
    /// # Errors
    /// `invalid-config`, for the first value that can't be used.
    pub fn from_settings(settings: &Settings) -> Result<(Self, Vec<Note>), Error> {
        let mut notes = Vec::new();
        let path = Path::provider();
        let fields = match &settings.config {
            Some(text) => path.object(json(&path, text)?)?,
            None => Fields::default(),
        };
        let mut config = Self {
            base_url: base_url(&path, &fields)?,
            present: settings.config.is_some(),
            discover: settings.discover,
            api_key: api_key(settings.api_key.as_deref())?,
            auth_none: false,
            auth_header: false,
            request_auth: None,
            headers: Headers::default(),
            request_headers: Headers::default(),
            timeout_ms: None,
            params: Params::default(),
            models: Vec::new(),
            agent_params: Vec::new(),
        };
        config.read(&path, &fields, &mut notes)?;
        if let Some(advice) = config.base_url.endpoint_advice() {
            notes.push(keys::note(
                "base-url-endpoint",
                &path.key("baseUrl"),
                &advice,
            ));
        }
        for model in &settings.models {
            let path = Path::agent_params(&model.id);
            let params = Params::read(&path, json(&path, &model.params)?, &mut notes)?;
            config.agent_params.push((model.id.clone(), params));
        }
        Ok((config, notes))
    }

    fn read(
        &mut self,
        path: &Path<'_>,
        fields: &Fields<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<(), Box<Error>> {
        keys::PROVIDER.check(path, fields, notes);
        for (key, value) in &fields.0 {
            let (at, value) = (path.key(key), *value);
            match key.as_str() {
                "api" => api(&at, value)?,
                // Resolved by the host; the shape alone is judged.
                "apiKey" if value.as_string().is_none() && value.as_object().is_none() => {
                    return Err(at.refuse_secret(value, "a string or a secret reference"));
                }
                "auth" => self.auth_none = at.word(value, &["api-key", "token", "none"])? == "none",
                "authHeader" => self.auth_header = at.bool(value)?,
                "headers" => self.headers = Headers::read(&at, value)?,
                "params" => self.params = Params::read(&at, value, notes)?,
                "timeoutSeconds" => {
                    // Half a second is a time-out, too; 0 is none.
                    let seconds = value.as_f64();
                    let seconds = seconds.filter(|s| *s >= 0.001 && *s <= 4_294_967.0);
                    let Some(seconds) = seconds else {
                        return Err(at.refuse(value, "a number of seconds above 0"));
                    };
                    self.timeout_ms = Some((seconds * 1000.0) as u64);
                }
                "request" => self.read_request(&at, value, notes)?,
                "models" => self.read_models(&at, value, notes)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_models(
        &mut self,
        path: &Path<'_>,
        value: Raw<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<(), Box<Error>> {
        self.models.clear();
        for (index, value) in path.array(value)?.into_iter().enumerate() {
            let path = path.index(index);
            let declared = Declared::read(&path, value, notes)?;
            if self.declared(&declared.model.id).is_some() {
                let what = "declares an id a second time and is ignored";
                notes.push(keys::note("duplicate-model", &path, what));
            } else {
                self.models.push(declared);
            }
        }
        Ok(())
    }

    fn read_request(
        &mut self,
        path: &Path<'_>,
        value: Raw<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<(), Box<Error>> {
        let fields = path.object(value)?;
        keys::REQUEST.check(path, &fields, notes);
        if let Some(value) = fields.get("headers") {
            self.request_headers = Headers::read(&path.key("headers"), value)?;
        }
        // `tls` and `allowPrivateNetwork` are the host's; their shapes are judged.
        if let Some(value) = fields.get("tls") {
            path.key("tls").object(value)?;
        }
        if let Some(value) = fields.get("allowPrivateNetwork") {
            path.key("allowPrivateNetwork").bool(value)?;
        }
        if let Some(value) = fields.get("auth") {
            self.request_auth = request_auth(&path.key("auth"), value, notes)?;
        }
        Ok(())
    }

    /// Where the server is.
    pub fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// Time for a whole exchange, in milliseconds, where the user limits it.
    pub fn timeout_ms(&self) -> Option<u64> {
        self.timeout_ms
    }

    /// Whether there is an entry `models.providers.vllm`.
    pub fn is_present(&self) -> bool {
        self.present
    }

    /// Whether there is an API key or a stand-in for one.
    pub fn has_api_key(&self) -> bool {
        self.api_key.is_some()
    }

    /// Whether requests carry a key, or what the user put in its place.
    pub(crate) fn sends_key(&self) -> bool {
        self.request_auth.is_some()
            || self.api_key.is_some() && !self.auth_none
            || self.headers.has("authorization")
            || self.request_headers.has("authorization")
    }

    /// Whether the user asked for discovery beside an explicit entry.
    pub fn discover(&self) -> bool {
        self.discover
    }

    pub(crate) fn models(&self) -> &[Declared] {
        &self.models
    }

    pub(crate) fn declared(&self, id: &str) -> Option<&Declared> {
        self.models.iter().find(|declared| declared.model.id == id)
    }

    /// The same where an id begins with the provider's own name, as `vllm/a` for the reference
    /// `vllm/a`. It is what the user means unless another model has that id.
    pub(crate) fn declared_with_prefix(&self, id: &str) -> Option<&Declared> {
        let mut models = self.models.iter();
        models.find(|declared| without_prefix(&declared.model.id) == Some(id))
    }

    /// The parameters of a model: the provider's, over them the model's, over
    /// them the agent's.
    pub(crate) fn params_of(&self, id: &str) -> Params {
        let mut params = self.params.clone();
        if let Some(declared) = self.declared(id) {
            params.merge(&declared.params);
        }
        for (model, layer) in &self.agent_params {
            let is_alias = self.declared(model).is_none() && without_prefix(id) == Some(model);
            if model == id || is_alias {
                params.merge(layer);
            }
        }
        params
    }

    /// The header fields of a request: `own`, the configured ones (provider,
    /// then model, then `request.headers`; a later one wins, also over `own`),
    /// and the credential.
    ///
    /// The credential is `request.auth`, else the bearer key. A configured
    /// `Authorization` wins over the key unless `authHeader` is true, as in
    /// OpenClaw. Without a key a server on this machine gets none.
    ///
    /// # Errors
    /// `authentication` where a server elsewhere would be asked without any
    /// credential and the user has not said that this is right.
    pub(crate) fn headers(
        &self,
        own: &[(&str, &str)],
        model: Option<&Declared>,
    ) -> Result<Vec<(String, String)>, Box<Error>> {
        let mut headers = Headers::default();
        for (name, value) in own {
            headers.set(name, *value);
        }
        headers.set("user-agent", USER_AGENT);
        let mut configured = self.headers.clone();
        if let Some(model) = model {
            configured.merge(&model.headers);
        }
        configured.merge(&self.request_headers);
        let key = self.api_key.as_deref().filter(|_| !self.auth_none);
        if let Some((name, value)) = &self.request_auth {
            configured.set(name, value.as_str());
        } else if let Some(key) = key {
            if self.auth_header || !configured.has("authorization") {
                configured.set("authorization", text::concat(&["Bearer ", key]));
            }
        } else if !self.auth_none
            && !configured.has("authorization")
            && !self.base_url.is_loopback()
        {
            let message = text::concat(&[
                "no API key for ",
                &self.base_url.origin(),
                ", which is not this machine; nothing was sent. Set VLLM_API_KEY (or \
                 models.providers.vllm.apiKey), or set models.providers.vllm.auth to \"none\" if \
                 the server needs no key",
            ]);
            return Err(Box::new(Error::new(ErrorKind::Authentication, message)));
        }
        headers.merge(&configured);
        Ok(headers.0)
    }
}

fn json<'t>(path: &Path<'_>, text: &'t str) -> Result<Raw<'t>, Box<Error>> {
    Raw::parse(text).map_err(|why| path.error(&text::concat(&["is not JSON: ", &why.text()])))
}

/// The one wire protocol there is.
fn api(path: &Path<'_>, value: Raw<'_>) -> Result<(), Box<Error>> {
    path.word(value, &["openai-completions"]).map(|_| ())
}

fn base_url(path: &Path<'_>, fields: &Fields<'_>) -> Result<BaseUrl, Box<Error>> {
    let path = path.key("baseUrl");
    let text = match fields.get("baseUrl") {
        Some(value) => value
            .as_string()
            .ok_or_else(|| path.refuse_secret(value, "a string"))?,
        None => String::new(),
    };
    BaseUrl::parse(&text).map_err(|why| {
        let such = "; it must be a URL such as ";
        path.error(&text::concat(&[why.reason(), such, DEFAULT_BASE_URL]))
    })
}

/// The key as OpenClaw cleans it: without line breaks and the space around;
/// empty is none.
fn api_key(text: Option<&str>) -> Result<Option<String>, Box<Error>> {
    let Some(text) = text else {
        return Ok(None);
    };
    let mut key = text.to_owned();
    key.retain(|c| !matches!(c, '\r' | '\n' | '\u{2028}' | '\u{2029}'));
    let key = key.trim();
    if !headers::is_field_value(key) {
        return Err(Box::new(Error::new(
            ErrorKind::InvalidConfig,
            "the API key holds a control character, which no header value can carry; set \
             VLLM_API_KEY again",
        )));
    }
    Ok((!key.is_empty()).then(|| key.to_owned()))
}

/// `request.auth`: the header field it makes, if any.
fn request_auth(
    path: &Path<'_>,
    value: Raw<'_>,
    notes: &mut Vec<Note>,
) -> Result<Option<(String, String)>, Box<Error>> {
    let fields = path.object(value)?;
    keys::REQUEST_AUTH.check(path, &fields, notes);
    let need = |key: &str| {
        fields
            .get(key)
            .ok_or_else(|| path.key(key).error("is missing, but this mode needs it"))
    };
    let modes = ["provider-default", "authorization-bearer", "header"];
    match path.key("mode").word(need("mode")?, &modes)? {
        "authorization-bearer" => {
            let token = headers::field_value(&path.key("token"), need("token")?)?;
            Ok(Some((
                "authorization".to_owned(),
                text::concat(&["Bearer ", &token]),
            )))
        }
        "header" => {
            let at = path.key("headerName");
            let name = headers::name(&at, at.string(need("headerName")?)?.trim())?;
            let value = headers::field_value(&path.key("value"), need("value")?)?;
            let prefix = match fields
                .get("prefix")
                .map(|prefix| (prefix, prefix.as_string()))
            {
                None => String::new(),
                // Not trimmed: the space in `Token ` is the user's.
                Some((_, Some(prefix))) if headers::is_field_value(&prefix) => prefix,
                Some((prefix, _)) => {
                    let allowed = "a string without control characters";
                    return Err(path.key("prefix").refuse_secret(prefix, allowed));
                }
            };
            Ok(Some((name, text::concat(&[&prefix, &value]))))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
