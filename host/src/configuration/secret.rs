//! Where secrets stand in a provider's entry, and how they leave it.
//!
//! Three places hold secrets besides `apiKey`: the `headers` of the provider,
//! of a model and of `request`, and `request.auth`. There the whole of a value
//! that uses a variable becomes a placeholder (all of `Bearer ${TOKEN}`, so that
//! a plugin chooses nothing of it), and so does the whole of a literal that is a
//! credential by its place (`token` and `value` of `request.auth`, headers such
//! as `authorization`) or by its form ([`looks_like_a_key`]). The value of a
//! variable that is a part of a secret is known for redaction besides.
//! Everywhere else a variable is refused ([`plain`]), because the plugin reads what
//! stands there.
//!
//! Each placeholder is bound to the header that its secret was configured for.
//!
//! Only what is used is resolved. A variable that is missing in the headers of
//! one model takes that model out of use and leaves the others alone.

use http::{HeaderName, header};
use serde_json::{Map, Value};

use super::environment::Environment;
use super::error::ConfigError;
use super::interpolation::{interpolate, interpolate_plain, uses_variables};
use super::path;
use super::provider::UnreadyModel;
use crate::policy::Binding;

/// Headers that carry a credential whatever their value looks like.
const CREDENTIAL_HEADERS: [&str; 5] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "cookie",
];

/// Words that give a credential away in the name of any other header
/// (`X-Auth-Token`, `Ocp-Apim-Subscription-Key`). A placeholder too many costs
/// nothing: the plugin copies header values and never reads them.
const CREDENTIAL_WORDS: [&str; 6] = ["auth", "token", "secret", "password", "apikey", "key"];

/// Least bytes of a literal that is taken for a key by its form. Shorter ones
/// are names of teams and regions; a key that short protects nothing.
const SHORTEST_KEY: usize = 16;

/// What may stand where a secret may.
const SECRET: &str = "a text, or { source: \"env\", id: \"NAME\" }";

/// What may stand where secrets are members.
const SECRETS: &str = "an object of texts";

/// Turns a secret into the text that stands for it where the binding allows.
pub(super) type Mint<'a> = dyn FnMut(String, Binding) -> String + 'a;

/// Resolves the values of one provider's entry.
pub(super) struct Resolver<'a, 'm> {
    environment: &'a Environment<'a>,
    mint: &'a mut Mint<'m>,
    /// Models whose headers could not be resolved.
    pub(super) unready: Vec<UnreadyModel>,
}

impl<'a, 'm> Resolver<'a, 'm> {
    pub(super) fn new(environment: &'a Environment<'a>, mint: &'a mut Mint<'m>) -> Self {
        Self {
            environment,
            mint,
            unready: Vec::new(),
        }
    }

    /// Resolves the whole entry in place. `apiKey`, `request.tls` and
    /// `request.proxy` have been taken out before, and `baseUrl` is resolved.
    pub(super) fn entry(
        &mut self,
        entry: &mut Map<String, Value>,
        at: &str,
    ) -> Result<(), ConfigError> {
        for (key, value) in entry.iter_mut() {
            let at = path::member(at, key);
            match (key.as_str(), value) {
                ("headers", Value::Object(headers)) => self.headers(headers, &at)?,
                ("request", Value::Object(request)) => self.request(request, &at)?,
                ("models", Value::Array(models)) => self.models(models, &at)?,
                (_, Value::Null) => {}
                ("headers" | "request", other) => {
                    return Err(ConfigError::wrong_secret(&at, other, SECRETS));
                }
                ("models", other) => {
                    return Err(ConfigError::wrong_secret(&at, other, "a list of objects"));
                }
                // Resolved before (`base_url`).
                ("baseUrl", _) => {}
                (_, value) => plain(value, &at)?,
            }
        }
        Ok(())
    }

    fn models(&mut self, models: &mut [Value], at: &str) -> Result<(), ConfigError> {
        let mut seen = Vec::new();
        for (index, model) in models.iter_mut().enumerate() {
            let missing = self.model(model, &path::element(at, index))?;
            let id = model.get("id").and_then(Value::as_str);
            let Some(id) = id.map(|id| id.trim().to_owned()) else {
                continue;
            };
            // Of models with one id the first is used.
            if seen.contains(&id) {
                continue;
            }
            if let Some(why) = missing {
                let id = id.clone();
                self.unready.push(UnreadyModel { id, why });
            }
            seen.push(id);
        }
        Ok(())
    }

    /// Resolves one model. What is missing in its headers, where it has an id
    /// by which it can be set apart, is no error and comes back.
    fn model(&mut self, model: &mut Value, at: &str) -> Result<Option<String>, ConfigError> {
        let Value::Object(model) = model else {
            return plain(model, at).map(|()| None);
        };
        // The headers last: the model's id must be known by then.
        let headers = model.remove("headers");
        for (key, value) in model.iter_mut() {
            plain(value, &path::member(at, key))?;
        }
        let Some(mut headers) = headers else {
            return Ok(None);
        };
        let at = path::member(at, "headers");
        let resolved = match &mut headers {
            Value::Object(headers) => self.headers(headers, &at),
            Value::Null => Ok(()),
            other => Err(ConfigError::wrong_secret(&at, other, SECRETS)),
        };
        match resolved {
            Ok(()) => {
                model.insert(String::from("headers"), headers);
                Ok(None)
            }
            Err(error @ ConfigError::MissingVariable { .. })
                if model.get("id").is_some_and(Value::is_string) =>
            {
                Ok(Some(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    fn request(&mut self, request: &mut Map<String, Value>, at: &str) -> Result<(), ConfigError> {
        for (key, value) in request.iter_mut() {
            let at = path::member(at, key);
            match (key.as_str(), value) {
                ("headers", Value::Object(headers)) => self.headers(headers, &at)?,
                ("auth", Value::Object(auth)) => self.auth(auth, &at)?,
                (_, Value::Null) => {}
                ("headers" | "auth", other) => {
                    return Err(ConfigError::wrong_secret(&at, other, SECRETS));
                }
                (_, value) => plain(value, &at)?,
            }
        }
        Ok(())
    }

    fn headers(&mut self, headers: &mut Map<String, Value>, at: &str) -> Result<(), ConfigError> {
        for (name, value) in headers.iter_mut() {
            let at = path::member(at, name);
            let binding = header_name(name).map_or(Binding::Nowhere, Binding::header);
            self.secret(value, &at, is_credential_header(name), binding)?;
        }
        Ok(())
    }

    fn auth(&mut self, auth: &mut Map<String, Value>, at: &str) -> Result<(), ConfigError> {
        // What the plugin has to read to know what to do, and what the others are bound to.
        for key in ["mode", "headerName"] {
            if let Some(value) = auth.get_mut(key) {
                plain(value, &path::member(at, key))?;
            }
        }
        let mut prefix = match auth.get("prefix") {
            Some(Value::String(prefix)) => prefix.clone(),
            _ => String::new(),
        };
        // A prefix that is a secret is put together with the value, as one.
        if (uses_variables(&prefix) || looks_like_a_key(&prefix))
            && let Some(value) = auth.get("value").and_then(as_text)
        {
            auth.insert("value".to_owned(), Value::from(prefix + &value));
            auth.remove("prefix");
            prefix = String::new();
        }
        let named = auth.get("headerName").and_then(Value::as_str);
        let named = named.and_then(header_name);
        for (key, value) in auth.iter_mut() {
            let at = path::member(at, key);
            let binding = match (key.as_str(), &named) {
                ("mode" | "headerName", _) => continue,
                ("token", _) => Binding::Header {
                    name: header::AUTHORIZATION,
                    before: "Bearer ".to_owned(),
                },
                ("value", Some(name)) => Binding::Header {
                    name: name.clone(),
                    before: prefix.clone(),
                },
                _ => Binding::Nowhere,
            };
            let credential = matches!(key.as_str(), "token" | "value");
            self.secret(value, &at, credential, binding)?;
        }
        Ok(())
    }

    /// Resolves a value in a secret place. `credential`: a literal is a secret
    /// too. A value that uses a variable is one secret as a whole, without the
    /// space around it, which no header field keeps.
    fn secret(
        &mut self,
        value: &mut Value,
        at: &str,
        credential: bool,
        binding: Binding,
    ) -> Result<(), ConfigError> {
        let replaced = match value {
            Value::String(text) if uses_variables(text) => {
                let mut parts = Vec::new();
                let whole = interpolate(text, at, self.environment, &mut |name, value| {
                    check_header_value(&value, || format!("{at} (variable {name})"))?;
                    parts.push(value.clone());
                    Ok(value)
                })?;
                check_header_value(&whole, || at.to_owned())?;
                let whole = whole.trim_matches([' ', '\t']);
                for part in parts.into_iter().filter(|part| part != whole) {
                    (self.mint)(part, Binding::Nowhere);
                }
                if whole.is_empty() {
                    String::new()
                } else {
                    (self.mint)(whole.to_owned(), binding)
                }
            }
            Value::String(text) => {
                let literal = interpolate_plain(text, at, self.environment)?;
                let secret = credential || looks_like_a_key(&literal);
                if !secret || literal.trim().is_empty() {
                    literal
                } else {
                    check_header_value(&literal, || at.to_owned())?;
                    (self.mint)(literal, binding)
                }
            }
            Value::Object(reference) if reference.contains_key("source") => {
                let secret = from_reference(reference, at, self.environment)?;
                check_header_value(&secret, || at.to_owned())?;
                (self.mint)(secret, binding)
            }
            Value::Null => return Ok(()),
            // It may be the secret, in a wrong form: the plugin does not get to see it.
            other => return Err(ConfigError::wrong_secret(at, other, SECRET)),
        };
        *value = Value::String(replaced);
        Ok(())
    }
}

/// Where the API key of a provider may stand, by its resolved entry: in the
/// fields for keys, and in the one that `request.auth.headerName` names.
pub(crate) fn key_binding(entry: &Map<String, Value>) -> Binding {
    let auth = entry.get("request").and_then(|request| request.get("auth"));
    let name = auth.and_then(|auth| auth.get("headerName"));
    Binding::api_key_or(name.and_then(Value::as_str).and_then(header_name))
}

/// A value, or a reference to a variable, as a text that uses the variable.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(reference) if reference.get("source")? == "env" => {
            let name = reference.get("id")?.as_str()?;
            super::interpolation::is_variable_name(name).then(|| format!("${{{name}}}"))
        }
        _ => None,
    }
}

/// The header that a configuration names. None: no header has such a name,
/// which the plugin says in its own words.
fn header_name(name: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(name.trim().as_bytes()).ok()
}

/// Takes the escapes out of the texts that the plugin reads, and refuses variables in them: a value
/// of the environment may be a secret.
pub(super) fn plain(value: &mut Value, at: &str) -> Result<(), ConfigError> {
    match value {
        Value::String(text) => {
            let refused = |name: &str| ConfigError::VariableNotAllowed {
                variable: name.to_owned(),
                path: at.to_owned(),
            };
            // The environment is not asked: whether it is set does not matter.
            let any = |_: &str| Some(String::from("-"));
            *text = interpolate(text, at, &any, &mut |name, _| Err(refused(name)))?;
        }
        Value::Array(list) => {
            for (index, value) in list.iter_mut().enumerate() {
                plain(value, &path::element(at, index))?;
            }
        }
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                plain(value, &path::member(at, key))?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

/// The secret behind OpenClaw's `{source: "env", provider: "default", id:
/// "NAME"}`. Files and commands are not read: this host runs nothing that a
/// configuration names.
pub(super) fn from_reference(
    reference: &Map<String, Value>,
    at: &str,
    environment: &Environment<'_>,
) -> Result<String, ConfigError> {
    const ALLOWED: &str = "\"env\" (files and commands as the source of a secret are not \
                           supported; put the secret into an environment variable)";
    match reference.get("source") {
        Some(Value::String(source)) if source == "env" => {}
        Some(other) => {
            return Err(ConfigError::wrong_type(
                &path::member(at, "source"),
                other,
                ALLOWED,
            ));
        }
        None => {
            let found = Value::Object(Map::new());
            let allowed = "a text or { source: \"env\", id: \"NAME\" }";
            return Err(ConfigError::wrong_secret(at, &found, allowed));
        }
    }
    let id = reference.get("id").unwrap_or(&Value::Null);
    match id {
        Value::String(name) if super::interpolation::is_variable_name(name) => environment(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| ConfigError::MissingVariable {
                variable: name.clone(),
                path: at.to_owned(),
            }),
        // Somebody may have put the secret itself here.
        other => Err(ConfigError::wrong_secret(
            &path::member(at, "id"),
            other,
            "the name of an environment variable",
        )),
    }
}

/// Refuses what RFC 9110 §5.5 keeps out of a field value: control characters
/// other than the tab.
pub(super) fn check_header_value(
    value: &str,
    path: impl FnOnce() -> String,
) -> Result<(), ConfigError> {
    let unfit = |character: char| character.is_control() && character != '\t';
    if value.chars().any(unfit) {
        return Err(ConfigError::NotAHeaderValue { path: path() });
    }
    Ok(())
}

/// Whether a literal could be a key in a header whose name says nothing: long,
/// in one piece, letters and digits mixed. Taking a tenant's id for one costs
/// nothing: it is sent as it is, and shown as `***`.
pub(super) fn looks_like_a_key(literal: &str) -> bool {
    let text = literal.trim();
    text.len() >= SHORTEST_KEY
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn is_credential_header(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    CREDENTIAL_HEADERS.contains(&name.as_str())
        || CREDENTIAL_WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests;
