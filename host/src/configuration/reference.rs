//! `vllm/Qwen/Qwen3-8B`: which model of which provider.

use std::fmt;

use super::error::ConfigError;

/// A model reference: provider and model id, split at the first slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelReference {
    provider: String,
    model: String,
}

impl ModelReference {
    /// Parses `provider/model`. Both parts are trimmed; the provider is taken
    /// in lower case, the model id verbatim (it may hold slashes). `path` says
    /// where the reference stands, for the error: `--model`,
    /// `agents.defaults.model.primary`.
    ///
    /// # Errors
    /// [`ConfigError::NotAReference`] if there is no slash or a part is blank.
    pub fn parse(text: &str, path: &str) -> Result<Self, ConfigError> {
        text.split_once('/')
            .map(|(provider, model)| (provider.trim(), model.trim()))
            .filter(|(provider, model)| !provider.is_empty() && !model.is_empty())
            .map(|(provider, model)| Self {
                provider: provider.to_lowercase(),
                model: model.to_owned(),
            })
            .ok_or_else(|| ConfigError::NotAReference {
                path: path.to_owned(),
                found: text.to_owned(),
            })
    }

    /// The provider's id, in lower case.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The model's id, as the server knows it.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }
}

impl fmt::Display for ModelReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.provider, self.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_split_at_the_first_slash_and_trimmed() {
        let cases = [
            ("vllm/tiny", "vllm", "tiny"),
            ("vllm/Qwen/Qwen3-8B", "vllm", "Qwen/Qwen3-8B"),
            (" VLLM / Qwen/Qwen3-8B ", "vllm", "Qwen/Qwen3-8B"),
            ("vllm//models/a", "vllm", "/models/a"),
            ("vllm/a b", "vllm", "a b"),
        ];
        for (text, provider, model) in cases {
            let reference = ModelReference::parse(text, "--model").unwrap();
            assert_eq!(
                (reference.provider(), reference.model()),
                (provider, model),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_reference_with_a_missing_part_is_refused() {
        for text in ["", "tiny", "/tiny", "vllm/", " / ", "vllm/  "] {
            let error = ModelReference::parse(text, "--model").unwrap_err();
            assert_eq!(error.path(), Some("--model"));
            assert!(
                error.to_string().contains("write provider/model"),
                "{error}"
            );
        }
    }
}
