//! What the user configured, judged.
//!
//! Every complaint names the path, what stands there and what would do. What is only odd is a note.

use serde_json::{Map, Value};

use crate::bindings::llm::provider::types::{
    Cost, Error, ErrorKind, Modality, Model, ModelSource, Note, Settings,
};
use crate::error;

/// Ollama's own default; its list of models does not tell.
const CONTEXT_WINDOW: u32 = 4096;

/// The keys that are known here, or by the host, which resolves them before.
const KEYS: &[&str] = &["baseUrl", "apiKey", "api", "headers", "models"];

/// The settings, read.
pub(crate) struct Config {
    /// There is an entry in the configuration.
    pub(crate) present: bool,
    /// The user asks for discovery beside it.
    pub(crate) discover: bool,
    pub(crate) base: BaseUrl,
    /// The key, or the host's stand-in for it: nothing here looks into it.
    pub(crate) key: Option<String>,
    headers: Vec<(String, String)>,
    /// The models that it declares.
    pub(crate) models: Vec<Model>,
    /// Free parameters by model.
    pub(crate) params: Vec<Params>,
}

/// A model's id, and what is set in each request to it.
pub(crate) type Params = (String, Map<String, Value>);

/// Where the server is.
pub(crate) struct BaseUrl {
    pub(crate) is_https: bool,
    pub(crate) authority: String,
    /// Without a slash at its end.
    pub(crate) path: String,
    /// The whole, for messages.
    pub(crate) url: String,
}

impl Config {
    /// Judges the settings.
    pub(crate) fn read(settings: &Settings) -> Result<(Self, Vec<Note>), Error> {
        let entry = match &settings.config {
            None => Map::new(),
            Some(text) => match serde_json::from_str(text) {
                Ok(Value::Object(entry)) => entry,
                Ok(other) => return Err(wrong("", &other, "a JSON object")),
                Err(why) => return Err(error::config("", &format!("is not JSON: {why}"))),
            },
        };
        let base = match entry.get("baseUrl") {
            None => BaseUrl::parse("http://127.0.0.1:11434"),
            Some(Value::String(url)) => BaseUrl::parse(url),
            Some(other) => return Err(wrong(".baseUrl", other, "a URL")),
        };
        let base = base.ok_or_else(|| {
            let why =
                "has to be http://HOST or https://HOST, with a path but no user, query or fragment";
            error::config(".baseUrl", why)
        })?;
        match entry.get("api").unwrap_or(&"ollama".into()) {
            Value::String(api) if api == "ollama" => {}
            other => return Err(wrong(".api", other, "\"ollama\"")),
        }
        let config = Self {
            present: settings.config.is_some(),
            discover: settings.discover,
            base,
            key: settings.api_key.clone().filter(|key| !key.is_empty()),
            headers: headers(entry.get("headers"))?,
            models: models(entry.get("models"))?,
            params: params(settings)?,
        };
        let unknown = entry.keys().filter(|key| !KEYS.contains(&key.as_str()));
        Ok((config, unknown.map(|key| unknown_key(key)).collect()))
    }

    /// The headers of every request.
    pub(crate) fn request_headers(&self) -> Vec<(String, String)> {
        let mut all = vec![("content-type".to_owned(), "application/json".to_owned())];
        if let Some(key) = &self.key {
            all.push(("authorization".into(), format!("Bearer {key}")));
        }
        all.extend(self.headers.iter().cloned());
        all
    }
}

impl BaseUrl {
    fn parse(url: &str) -> Option<Self> {
        let url = url.trim().trim_end_matches('/');
        let (is_https, rest) = match url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("http://")?),
        };
        let at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let odd = |one: char| matches!(one, '@' | '?' | '#' | '\\') || one <= ' ';
        if authority.is_empty() || rest.contains(odd) {
            return None;
        }
        Some(Self {
            is_https,
            authority: authority.into(),
            path: path.into(),
            url: url.into(),
        })
    }
}

fn headers(value: Option<&Value>) -> Result<Vec<(String, String)>, Error> {
    let all = match value {
        None => return Ok(Vec::new()),
        Some(Value::Object(all)) => all,
        Some(other) => return Err(wrong(".headers", other, "an object of texts")),
    };
    all.iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name.clone(), text.clone())),
            other => Err(wrong(&format!(".headers.{name}"), other, "a text")),
        })
        .collect()
}

fn models(value: Option<&Value>) -> Result<Vec<Model>, Error> {
    let rows = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(rows)) => rows,
        Some(other) => return Err(wrong(".models", other, "a list")),
    };
    let mut models: Vec<Model> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let path = |key: &str| format!(".models[{at}]{key}");
        let id = match row.get("id") {
            Some(Value::String(id)) if !id.is_empty() => id,
            other => {
                let stands = other.unwrap_or(&Value::Null);
                return Err(wrong(&path(".id"), stands, "a model's id"));
            }
        };
        if models.iter().any(|model| model.id == *id) {
            return Err(error::config(&path(".id"), "stands there twice"));
        }
        let mut model = model(id, ModelSource::Declared);
        if let Some(name) = row.get("name") {
            let text = name.as_str();
            model.name = text
                .ok_or_else(|| wrong(&path(".name"), name, "a text"))?
                .into();
        }
        let number = |key: &str| match row.get(key) {
            None => Ok(None),
            Some(value) => match value.as_u64().and_then(|number| u32::try_from(number).ok()) {
                Some(number @ 1..) => Ok(Some(number)),
                _ => Err(wrong(
                    &path(&format!(".{key}")),
                    value,
                    "a number of tokens",
                )),
            },
        };
        if let Some(tokens) = number("contextWindow")? {
            model.context_window = tokens;
        }
        let most = number("maxTokens")?.unwrap_or(model.context_window / 2);
        model.max_tokens = most.clamp(1, model.context_window);
        models.push(model);
    }
    Ok(models)
}

fn params(settings: &Settings) -> Result<Vec<Params>, Error> {
    let each = settings.models.iter();
    each.map(|model| match serde_json::from_str(&model.params) {
        Ok(Value::Object(params)) => Ok((model.id.clone(), params)),
        _ => Err(error::plain(
            ErrorKind::InvalidConfig,
            format!(
                "agents.defaults.models[\"ollama/{}\"].params has to be a JSON object",
                error::quoted(&model.id)
            ),
        )),
    })
    .collect()
}

/// A model of which no more is known than its id.
pub(crate) fn model(id: &str, source: ModelSource) -> Model {
    Model {
        id: id.into(),
        name: id.into(),
        reasoning: false,
        input: vec![Modality::Text],
        cost: Cost {
            input: 0.0,
            output: 0.0,
            cache_read: 0.0,
            cache_write: 0.0,
        },
        context_window: CONTEXT_WINDOW,
        max_tokens: CONTEXT_WINDOW / 2,
        parent: None,
        source,
    }
}

fn wrong(path: &str, stands: &Value, allowed: &str) -> Error {
    let stands = error::quoted(&stands.to_string());
    let short: String = stands.chars().take(80).collect();
    error::config(path, &format!("is {short}; it has to be {allowed}"))
}

fn unknown_key(key: &str) -> Note {
    let key = error::quoted(key);
    Note {
        code: "unknown-key".into(),
        message: format!(
            "models.providers.ollama.{key} is not known here and does nothing; known are {}",
            KEYS.join(", ")
        ),
        path: Some(format!("models.providers.ollama.{key}")),
    }
}
