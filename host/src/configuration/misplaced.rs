//! Settings at a place where nobody looks for them.
//!
//! The file is the whole agent's, so a key that is not known here may be known to the agent. What
//! is told is a key that has a meaning for this host at another place, and none where it stands.

use serde_json::{Map, Value};

use super::path;
use super::provider::Note;

/// A key that this host reads, and the object that it belongs into.
struct Key {
    name: &'static str,
    home: &'static str,
    /// What has to stand in it. It tells the setting from another of the same name.
    looks_right: fn(&Value) -> bool,
}

impl Key {
    const fn new(name: &'static str, home: &'static str, looks_right: fn(&Value) -> bool) -> Self {
        Self {
            name,
            home,
            looks_right,
        }
    }
}

/// The object of the entries of providers.
const PROVIDERS: &str = "models.providers";

const KEYS: [Key; 8] = [
    Key::new("providers", "models", Value::is_object),
    Key::new("defaults", "agents", Value::is_object),
    Key::new("model", "agents.defaults", is_choice),
    Key::new("primary", "agents.defaults.model", is_reference),
    Key::new("fallbacks", "agents.defaults.model", Value::is_array),
    Key::new("baseUrl", PROVIDERS, Value::is_string),
    Key::new("apiKey", PROVIDERS, is_key),
    Key::new("order", "auth", Value::is_object),
];

/// Objects whose keys are looked at, and the keys that are right there.
const PLACES: [(&str, &[&str]); 7] = [
    ("", &["models", "agents", "auth", "plugins"]),
    ("models", &["providers"]),
    (PROVIDERS, &[]),
    ("agents", &["defaults"]),
    ("agents.defaults", &["model", "models"]),
    ("agents.defaults.model", &["primary", "fallbacks"]),
    ("auth", &["order", "profiles"]),
];

/// Adds a note for each key of `root` that has a meaning elsewhere. `provider`: whose settings are
/// read.
pub(super) fn notes(root: &Map<String, Value>, provider: &str, notes: &mut Vec<Note>) {
    for (place, known) in PLACES {
        let mut names = place.split('.').filter(|name| !name.is_empty());
        let object = names.try_fold(root, |object, name| object.get(name)?.as_object());
        for (key, value) in object.into_iter().flatten() {
            if known.contains(&key.as_str()) || place == PROVIDERS && value.is_object() {
                continue;
            }
            let at = path::member(place, key);
            let right = home(place, key, value, provider, known);
            let Some(right) = right.filter(|right| *right != at) else {
                continue;
            };
            notes.push(Note {
                code: "misplaced-setting",
                message: format!("{at} has no effect here; it belongs at {right}"),
                path: Some(at),
            });
        }
    }
}

/// Where a key belongs that stands at another place.
fn home(place: &str, key: &str, value: &Value, provider: &str, known: &[&str]) -> Option<String> {
    let elsewhere = KEYS.iter().find(|known| is_same(known.name, key));
    if let Some(known) = elsewhere.filter(|known| (known.looks_right)(value)) {
        let home = match known.home {
            PROVIDERS => path::member(PROVIDERS, provider),
            home => home.to_owned(),
        };
        return Some(path::member(&home, known.name));
    }
    if is_same("agents", key) && place.is_empty() && !value.is_null() {
        // The key and what stands in it are misplaced together.
        if value.get("model").is_some_and(is_choice) {
            return Some("agents.defaults".to_owned());
        }
    }
    // A name that is known here, spelled in another way.
    let near = known.iter().find(|name| is_same(name, key));
    if let Some(name) = near.filter(|_| value.is_object()) {
        return Some(path::member(place, name));
    }
    // The provider's entry itself.
    let is_entry = value.get("baseUrl").is_some() || value.get("models").is_some();
    let is_outside = matches!(place, "" | "models" | "agents" | "agents.defaults");
    (is_outside && is_entry && key.trim().to_lowercase() == provider)
        .then(|| path::member(PROVIDERS, provider))
}

/// Whether two keys differ in case, in the signs between words and in a final `s` only.
fn is_same(a: &str, b: &str) -> bool {
    let plain = |text: &str| {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.collect::<String>().to_ascii_lowercase()
    };
    let (a, b) = (plain(a), plain(b));
    a == b || a.strip_suffix('s') == Some(&b) || b.strip_suffix('s') == Some(&a)
}

fn is_reference(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains('/'))
}

/// A model reference, or an object of them.
fn is_choice(value: &Value) -> bool {
    is_reference(value) || value.get("primary").is_some() || value.get("fallbacks").is_some()
}

fn is_key(value: &Value) -> bool {
    value.is_string() || value.is_object()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(String, String)> {
        let root: Value = json5::from_str(text).unwrap();
        let mut found = Vec::new();
        notes(root.as_object().unwrap(), "vllm", &mut found);
        let told = |note: Note| (note.path.unwrap_or_default(), note.message);
        found.into_iter().map(told).collect()
    }

    #[test]
    fn a_setting_at_a_wrong_place_is_told_with_the_right_one() {
        let defaults = "agents.defaults";
        for (text, at, right) in [
            ("{providers: {vllm: {}}}", "providers", "models.providers"),
            ("{model: {providers: {vllm: {}}}}", "model", "models"),
            (
                "{models: {provider: {vllm: {}}}}",
                "models.provider",
                "models.providers",
            ),
            (
                "{models: {vllm: {baseUrl: 'x'}}}",
                "models.vllm",
                "models.providers.vllm",
            ),
            ("{vLLM: {models: []}}", "vLLM", "models.providers.vllm"),
            (
                "{models: {providers: {baseUrl: 'x'}}}",
                "models.providers.baseUrl",
                "models.providers.vllm.baseUrl",
            ),
            ("{baseUrl: 'x'}", "baseUrl", "models.providers.vllm.baseUrl"),
            (
                "{base_url: 'x'}",
                "base_url",
                "models.providers.vllm.baseUrl",
            ),
            ("{api_key: 'x'}", "api_key", "models.providers.vllm.apiKey"),
            ("{model: 'vllm/m'}", "model", "agents.defaults.model"),
            (
                "{model: {primary: 'vllm/m'}}",
                "model",
                "agents.defaults.model",
            ),
            (
                "{primary: 'vllm/m'}",
                "primary",
                "agents.defaults.model.primary",
            ),
            ("{agent: {defaults: {}}}", "agent", "agents"),
            ("{agent: {model: 'vllm/m'}}", "agent", defaults),
            (
                "{agents: {model: 'vllm/m'}}",
                "agents.model",
                "agents.defaults.model",
            ),
            ("{agents: {default: {}}}", "agents.default", defaults),
            (
                "{agents: {defaults: {providers: {}}}}",
                "agents.defaults.providers",
                "models.providers",
            ),
            (
                "{agents: {defaults: {fallbacks: []}}}",
                "agents.defaults.fallbacks",
                "agents.defaults.model.fallbacks",
            ),
            (
                "{agents: {defaults: {model: {fallback: []}}}}",
                "agents.defaults.model.fallback",
                "agents.defaults.model.fallbacks",
            ),
        ] {
            let message = format!("{at} has no effect here; it belongs at {right}");
            assert_eq!(told(text), [(at.to_owned(), message)], "{text}");
        }
    }

    #[test]
    fn what_stands_right_and_what_is_the_agents_own_draws_nothing() {
        for text in [
            "{models: {mode: 'merge', providers: {vllm: {baseUrl: 'x'}, Other: {}}}}",
            "{agents: {list: [{model: 'a/b'}], defaults: {model: 'a/b', models: {}, x: 'y'}}}",
            "{auth: {order: {}, profiles: {}}, plugins: {entries: {vllm: {}}}, gateway: {auth: {}}}",
            "{providers: ['vllm'], model: 7, primary: 'green', order: [], vllm: true}",
            "{channels: {vllm: {enabled: true}}, models: null, agents: 3}",
        ] {
            assert_eq!(told(text), [], "{text}");
        }
    }
}
