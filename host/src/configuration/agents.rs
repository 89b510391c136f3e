//! `agents.defaults`: which model the agent uses, and what the user said about
//! single models there.

use serde_json::Value;

use super::environment::Environment;
use super::error::ConfigError;
use super::interpolation::interpolate_plain;
use super::note::Note;
use super::secret::plain;
use super::{Configuration, ModelReference, path, schema};

/// The models of `agents.defaults.model`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelChoice {
    /// The model to use.
    pub primary: Option<ModelReference>,
    /// Models to try when the primary one fails, in order.
    pub fallbacks: Vec<ModelReference>,
}

/// What `agents.defaults.models` says about the models of one provider.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ModelEntries {
    /// There is the key `<id>/*`.
    pub(super) wildcard: bool,
    /// Model id and its `params`, as JSON text of an object.
    pub(super) params: Vec<(String, String)>,
}

const MODEL: &str = "agents.defaults.model";
const MODELS: &str = "agents.defaults.models";

impl Configuration {
    /// The models that the agent uses by default: `agents.defaults.model`, a
    /// reference or `{ primary, fallbacks }`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the path of a value that is no reference.
    pub fn default_model(&self, environment: &Environment<'_>) -> Result<ModelChoice, ConfigError> {
        let Some(defaults) = self.object_at(&["agents", "defaults"])? else {
            return Ok(ModelChoice::default());
        };
        let reference = |value: &Value, at: &str| match value {
            Value::String(text) => {
                ModelReference::parse(&interpolate_plain(text, at, environment)?, at)
            }
            other => Err(ConfigError::wrong_type(
                at,
                other,
                "a model reference, such as \"vllm/Qwen/Qwen3-8B\"",
            )),
        };
        match defaults.get("model") {
            None | Some(Value::Null) => Ok(ModelChoice::default()),
            Some(Value::Object(model)) => {
                let primary = match model.get("primary") {
                    None | Some(Value::Null) => None,
                    Some(value) => Some(reference(value, &path::member(MODEL, "primary"))?),
                };
                let at = path::member(MODEL, "fallbacks");
                let fallbacks = match model.get("fallbacks") {
                    None | Some(Value::Null) => Vec::new(),
                    Some(Value::Array(list)) => list
                        .iter()
                        .enumerate()
                        .map(|(index, value)| reference(value, &path::element(&at, index)))
                        .collect::<Result<_, _>>()?,
                    Some(other) => {
                        return Err(ConfigError::wrong_type(
                            &at,
                            other,
                            "a list of model references",
                        ));
                    }
                };
                Ok(ModelChoice { primary, fallbacks })
            }
            Some(Value::String(text)) => Ok(ModelChoice {
                primary: Some(reference(&Value::String(text.clone()), MODEL)?),
                fallbacks: Vec::new(),
            }),
            Some(other) => Err(ConfigError::wrong_type(
                MODEL,
                other,
                "a model reference or { primary, fallbacks }",
            )),
        }
    }

    /// What the user said about the models of `provider` (a normalized id).
    /// Entries of other providers are not looked at.
    pub(super) fn model_entries(
        &self,
        provider: &str,
        notes: &mut Vec<Note>,
    ) -> Result<ModelEntries, ConfigError> {
        let mut entries = ModelEntries::default();
        let Some(models) = self.object_at(&["agents", "defaults", "models"])? else {
            return Ok(entries);
        };
        for (key, entry) in models {
            let at = path::member(MODELS, key);
            // A key that is no reference belongs to nobody.
            let Ok(reference) = ModelReference::parse(key, &at) else {
                continue;
            };
            if reference.provider() != provider {
                continue;
            }
            let entry = match entry {
                Value::Object(entry) => Some(entry),
                Value::Null => None,
                other => {
                    return Err(ConfigError::wrong_type(
                        &at,
                        other,
                        "an object, such as { params: {} }",
                    ));
                }
            };
            if reference.model() == "*" {
                entries.wildcard = true;
                continue;
            }
            let Some(params) = entry.and_then(|entry| entry.get("params")) else {
                continue;
            };
            let at = path::member(&at, "params");
            if !matches!(params, Value::Object(_)) {
                return Err(ConfigError::wrong_type(&at, params, "an object"));
            }
            let mut params = params.clone();
            schema::drop_credentials(&mut params, &at, notes);
            plain(&mut params, &at)?;
            entries
                .params
                .push((reference.model().to_owned(), params.to_string()));
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        (name == "M").then(|| String::from("Qwen/Qwen3-8B"))
    }

    fn choice(text: &str) -> Result<ModelChoice, ConfigError> {
        Configuration::parse(text, "f")
            .unwrap()
            .default_model(&environment)
    }

    #[test]
    fn the_default_model_is_a_text_or_an_object() {
        let cases: [(&str, Option<&str>, &[&str]); 7] = [
            ("{}", None, &[]),
            ("{agents: {defaults: {}}}", None, &[]),
            ("{agents: {defaults: {model: {}}}}", None, &[]),
            (
                "{agents: {defaults: {model: 'vllm/a'}}}",
                Some("vllm/a"),
                &[],
            ),
            (
                "{agents: {defaults: {model: {primary: ' VLLM/a '}}}}",
                Some("vllm/a"),
                &[],
            ),
            (
                "{agents: {defaults: {model: {primary: 'vllm/${M}', fallbacks: ['x/y', 'vllm/b/c']}}}}",
                Some("vllm/Qwen/Qwen3-8B"),
                &["x/y", "vllm/b/c"],
            ),
            (
                "{agents: {defaults: {model: {fallbacks: ['x/y']}}}}",
                None,
                &["x/y"],
            ),
        ];
        for (text, primary, fallbacks) in cases {
            let found = choice(text).unwrap();
            let text_of = |reference: &ModelReference| reference.to_string();
            assert_eq!(
                found.primary.as_ref().map(text_of).as_deref(),
                primary,
                "{text}"
            );
            let found: Vec<_> = found.fallbacks.iter().map(text_of).collect();
            assert_eq!(found, fallbacks, "{text}");
        }
    }

    #[test]
    fn a_default_model_that_is_none_is_named_by_its_path() {
        let cases = [
            (
                "{agents: 1}",
                "agents is the number 1; allowed is an object",
            ),
            (
                "{agents: {defaults: []}}",
                "agents.defaults is a list; allowed is an object",
            ),
            (
                "{agents: {defaults: {model: true}}}",
                "agents.defaults.model is true; allowed is",
            ),
            (
                "{agents: {defaults: {model: 'tiny'}}}",
                "agents.defaults.model is \"tiny\", which is no model reference",
            ),
            (
                "{agents: {defaults: {model: {primary: 3}}}}",
                "agents.defaults.model.primary is the number 3",
            ),
            (
                "{agents: {defaults: {model: {fallbacks: 'vllm/a'}}}}",
                "agents.defaults.model.fallbacks is the text \"vllm/a\"",
            ),
            (
                "{agents: {defaults: {model: {fallbacks: ['vllm/a', 'b']}}}}",
                "agents.defaults.model.fallbacks[1] is \"b\"",
            ),
            (
                "{agents: {defaults: {model: 'vllm/${GONE}'}}}",
                "GONE is not set, and agents.defaults.model uses it",
            ),
        ];
        for (text, expected) in cases {
            let error = choice(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn settings_by_model_are_those_of_the_provider_only() {
        let text = "{agents: {defaults: {models: {
            'vllm/Qwen/Qwen3-8B': {params: {temperature: 0.5, note: '$${M}', x: {apiKey: 'k'}}},
            'VLLM/b': {alias: 'bee'},
            'vllm/c': {params: {}},
            'other/x': {params: '${GONE}'},
            'no-reference': 1,
        }}}}";
        let configuration = Configuration::parse(text, "f").unwrap();
        let entries = configuration
            .model_entries("vllm", &mut Vec::new())
            .unwrap();
        assert!(!entries.wildcard);
        assert_eq!(
            entries.params,
            [
                (
                    "Qwen/Qwen3-8B".into(),
                    r#"{"note":"${M}","temperature":0.5,"x":{}}"#.into()
                ),
                ("c".into(), "{}".into())
            ]
        );
        for key in ["vllm/*", " VLLM / * "] {
            let text = format!("{{agents: {{defaults: {{models: {{'{key}': {{}}}}}}}}}}");
            let configuration = Configuration::parse(&text, "f").unwrap();
            let entries = configuration
                .model_entries("vllm", &mut Vec::new())
                .unwrap();
            assert!(entries.wildcard && entries.params.is_empty(), "{key}");
        }
    }

    #[test]
    fn wrong_settings_of_a_model_are_named_by_their_path() {
        let cases = [
            (
                "{agents: {defaults: {models: {'vllm/a': 7}}}}",
                "agents.defaults.models[\"vllm/a\"] is the number 7",
            ),
            (
                "{agents: {defaults: {models: {'vllm/a': {params: []}}}}}",
                "agents.defaults.models[\"vllm/a\"].params is a list",
            ),
            (
                "{agents: {defaults: {models: {'vllm/a': {params: {x: ['${GONE}']}}}}}}",
                "agents.defaults.models[\"vllm/a\"].params.x[0] uses the environment variable GONE",
            ),
        ];
        for (text, expected) in cases {
            let configuration = Configuration::parse(text, "f").unwrap();
            let error = configuration
                .model_entries("vllm", &mut Vec::new())
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
