//! Settings at a place where nobody looks for them.
//!
//! The file is the whole agent's, so a key that is not known here may be known to the agent. What
//! is told is a key that has a meaning for this host at another place, and none where it stands.

use serde_json::{Map, Value};

use super::note::Note;
use super::path;

/// A key that this host reads, and the object that it belongs into.
struct Setting {
    name: &'static str,
    home: &'static str,
    /// What has to stand in it. It tells the setting from another of the same name.
    looks_right: fn(&Value) -> bool,
}

impl Setting {
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

const SETTINGS: [Setting; 9] = [
    Setting::new("models", "agents.defaults", is_choices),
    Setting::new("providers", "models", Value::is_object),
    Setting::new("defaults", "agents", Value::is_object),
    Setting::new("model", "agents.defaults", is_choice),
    Setting::new("primary", "agents.defaults.model", is_reference),
    Setting::new("fallbacks", "agents.defaults.model", Value::is_array),
    Setting::new("baseUrl", PROVIDERS, Value::is_string),
    Setting::new("apiKey", PROVIDERS, is_text_or_object),
    Setting::new("order", "auth", Value::is_object),
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

/// Settings inside of a provider's entry that the host reads, and the object of the entry that each
/// belongs into. One that may stand in two objects is told with the first.
const OF_ENTRY: [Setting; 10] = [
    Setting::new("headers", "", Value::is_object),
    Setting::new("headers", "request", Value::is_object),
    Setting::new("baseUrl", "", Value::is_string),
    Setting::new("timeoutSeconds", "", Value::is_number),
    Setting::new("allowPrivateNetwork", "request", Value::is_boolean),
    Setting::new("tls", "request", Value::is_object),
    Setting::new("proxy", "request", is_text_or_object),
    Setting::new("ca", "request.tls", Value::is_string),
    Setting::new("serverName", "request.tls", Value::is_string),
    Setting::new("insecureSkipVerify", "request.tls", Value::is_boolean),
];

/// Objects of an entry whose keys are looked at.
const PLACES_OF_ENTRY: [&str; 3] = ["", "request", "request.tls"];

/// Takes each key out of a provider's entry that has a meaning for this host elsewhere in it, and
/// adds a note of it. `at` is the path of the entry; `is_own` tells the keys that the plugin reads.
pub(super) fn take_from_entry(
    entry: &mut Map<String, Value>,
    at: &str,
    is_own: impl Fn(&str) -> bool,
    notes: &mut Vec<Note>,
) {
    let below = |place, key: &str| {
        let parent = names(place).fold(at.to_owned(), |at, name| path::member(&at, name));
        path::member(&parent, key)
    };
    for place in PLACES_OF_ENTRY {
        let object = names(place).try_fold(&mut *entry, |object, name| {
            object.get_mut(name)?.as_object_mut()
        });
        let Some(object) = object else { continue };
        object.retain(|key, value| {
            let Some(setting) = find(&OF_ENTRY, key, value) else {
                return true;
            };
            // A key that is misspelt at its own place is the plugin's to tell.
            let mut here = OF_ENTRY.iter().filter(|one| one.home == place);
            let is_here = here.any(|one| is_same(one.name, key));
            if is_here || place.is_empty() && is_own(key) {
                return true;
            }
            let right = below(setting.home, setting.name);
            notes.push(Note::misplaced(below(place, key), &right));
            false
        });
    }
}

/// The names that a place is reached by.
fn names(place: &str) -> impl Iterator<Item = &str> {
    place.split('.').filter(|name| !name.is_empty())
}

/// Adds a note for each key of `root` that has a meaning elsewhere. `provider`: whose settings are
/// read.
pub(super) fn notes(root: &Map<String, Value>, provider: &str, notes: &mut Vec<Note>) {
    for (place, known) in PLACES {
        let object = names(place).try_fold(root, |object, name| object.get(name)?.as_object());
        for (key, value) in object.into_iter().flatten() {
            if known.contains(&key.as_str()) || place == PROVIDERS && value.is_object() {
                continue;
            }
            let at = path::member(place, key);
            let right = home(place, key, value, provider, known);
            let Some(right) = right.filter(|right| *right != at) else {
                continue;
            };
            notes.push(Note::misplaced(at, &right));
        }
    }
}

/// Where a key belongs that stands at another place.
fn home(place: &str, key: &str, value: &Value, provider: &str, known: &[&str]) -> Option<String> {
    if let Some((home, name)) = setting(key, value, provider) {
        return Some(path::member(&home, name));
    }
    // A name that is known here, spelled in another way. What stands in it may be misplaced as well.
    let near = known.iter().find(|name| is_same(name, key));
    if let (Some(name), Some(inner)) = (near, value.as_object()) {
        let right = path::member(place, name);
        let mut homes = inner
            .iter()
            .filter_map(|(key, value)| setting(key, value, provider));
        let other = homes.find(|(home, _)| *home != right);
        return Some(other.map_or(right, |(home, _)| home));
    }
    // The provider's entry itself.
    let is_entry = value.get("baseUrl").is_some() || value.get("models").is_some();
    let is_outside = matches!(place, "" | "models" | "agents" | "agents.defaults");
    (is_outside && is_entry && key.trim().to_lowercase() == provider)
        .then(|| path::member(PROVIDERS, provider))
}

/// The object that a setting belongs into, and its name there.
fn setting(key: &str, value: &Value, provider: &str) -> Option<(String, &'static str)> {
    let found = find(&SETTINGS, key, value)?;
    let home = match found.home {
        PROVIDERS => path::member(PROVIDERS, provider),
        home => home.to_owned(),
    };
    Some((home, found.name))
}

/// The first setting of this name whose value may be this one.
fn find<'s>(settings: &'s [Setting], key: &str, value: &Value) -> Option<&'s Setting> {
    let mut settings = settings.iter();
    settings.find(|one| is_same(one.name, key) && (one.looks_right)(value))
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

/// An object whose keys are model references.
fn is_choices(value: &Value) -> bool {
    let mut keys = value.as_object().into_iter().flat_map(Map::keys);
    keys.any(|key| key.contains('/'))
}

/// A text, or an object that says more: a key, or a proxy.
fn is_text_or_object(value: &Value) -> bool {
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
            (
                "{agents: {models: {'vllm/*': {}}}}",
                "agents.models",
                "agents.defaults.models",
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
    fn a_setting_at_a_wrong_place_of_an_entry_is_told_and_taken_out() {
        for (text, at, right) in [
            (
                "{allowPrivateNetwork: true}",
                "p.allowPrivateNetwork",
                "p.request.allowPrivateNetwork",
            ),
            ("{tls: {ca: 'x'}}", "p.tls", "p.request.tls"),
            ("{ca: 'x'}", "p.ca", "p.request.tls.ca"),
            ("{request: {ca: 'x'}}", "p.request.ca", "p.request.tls.ca"),
            (
                "{request: {timeoutSeconds: 5}}",
                "p.request.timeoutSeconds",
                "p.timeoutSeconds",
            ),
            (
                "{request: {tls: {allowPrivateNetwork: true}}}",
                "p.request.tls.allowPrivateNetwork",
                "p.request.allowPrivateNetwork",
            ),
            (
                "{request: {tls: {proxy: 'x'}}}",
                "p.request.tls.proxy",
                "p.request.proxy",
            ),
        ] {
            let mut entry: Map<String, Value> = json5::from_str(text).unwrap();
            let mut notes = Vec::new();
            take_from_entry(&mut entry, "p", |_| false, &mut notes);
            let message = format!("{at} has no effect here; it belongs at {right}");
            let told: Vec<_> = notes.iter().map(|note| &note.message).collect();
            assert_eq!(told, [&message], "{text}");
            let mut again = Vec::new();
            take_from_entry(&mut entry, "p", |_| false, &mut again);
            assert_eq!(again, [], "{text}");
        }
        for text in [
            "{baseUrl: 'x', timeoutSeconds: 5, models: [], name: 'n', request: {proxy: 'x'}}",
            "{request: {allowPrivateNetwork: true, tls: {ca: 'x', serverName: 'y', key: 'k'}}}",
            "{tls: true, ca: {}, request: 'x'}",
        ] {
            let mut entry: Map<String, Value> = json5::from_str(text).unwrap();
            let (before, mut notes) = (entry.clone(), Vec::new());
            take_from_entry(&mut entry, "p", |_| false, &mut notes);
            assert_eq!((entry, notes), (before, Vec::new()), "{text}");
        }
        let mut entry = Map::from_iter([(String::from("ca"), Value::from("x"))]);
        take_from_entry(&mut entry, "p", |key| key == "ca", &mut Vec::new());
        assert!(entry.contains_key("ca"), "the plugin reads it");
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
