//! Keys that the user stored: profiles in a file readable by its owner only.
//!
//! The shape is OpenClaw's `auth-profiles.json`, so one file serves both:
//!
//! ```json
//! {"version": 1, "profiles": {"vllm:default": {"type": "api_key", "provider": "vllm", "key": "…"}}}
//! ```
//!
//! In goes the file's text, out come credentials by provider. What is not
//! understood (other providers, OAuth, statistics) is kept as it is when the
//! file is written again. No error, and no `Debug` output, holds a key.

mod choice;
mod file;

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

pub use file::ProfileFile;

/// Names the profile file, instead of the one in the user's configuration
/// directory.
pub const PATH_VARIABLE: &str = "PROVIDER_HOST_AUTH_FILE";

/// Shortest key of which [`mask`] shows the end.
const SHORTEST_SHOWN: usize = 12;

/// Why stored keys can't be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The file can't be read.
    #[error("cannot read the key profiles in {}: {cause}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// The file can't be written.
    #[error("cannot write the key profiles to {}: {cause}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// The file has another shape.
    #[error(
        "the key profiles in {} can't be understood: {cause}; repair the file or move it away",
        file.display()
    )]
    Shape {
        /// The file.
        file: PathBuf,
        /// What is wrong, without the text of any key.
        cause: String,
    },
    /// There is no place for the file: no home directory is known.
    #[error(
        "no place for key profiles is known: set HOME or XDG_CONFIG_HOME to an absolute path, or {PATH_VARIABLE}"
    )]
    NoPlace,
    /// A key was given that is blank or cannot be sent.
    #[error("the key is {what}: nothing was stored")]
    UnusableKey {
        /// `empty`, or what it holds that it must not.
        what: &'static str,
    },
}

/// One stored key.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    profile: String,
    provider: String,
    key: String,
}

impl Credential {
    /// The profile's id, such as `vllm:default`.
    #[must_use]
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// The provider's id, trimmed and in lower case.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The key itself: a secret.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credential")
            .field("profile", &self.profile)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// The stored keys.
#[derive(Clone, Default)]
pub struct Profiles {
    document: Map<String, Value>,
}

impl Profiles {
    /// No keys.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Parses the text of a profile file.
    ///
    /// # Errors
    /// What is wrong with its shape, in words that hold no key.
    fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            // serde_json's own message may quote; the position is enough.
            format!(
                "not JSON (line {}, column {})",
                error.line(),
                error.column()
            )
        })?;
        let Value::Object(document) = value else {
            return Err(String::from("it is not an object"));
        };
        match document.get("profiles") {
            None | Some(Value::Object(_)) => Ok(Self { document }),
            Some(_) => Err(String::from("profiles is not an object")),
        }
    }

    /// All keys that the file holds as text, expired ones among them, by
    /// provider and then in the order of preference: the file's own `order`,
    /// then `<provider>:default`, then by profile id.
    #[must_use]
    pub fn credentials(&self) -> Vec<Credential> {
        let mut all: Vec<Credential> = self
            .entries()
            .filter_map(|(profile, entry)| credential(profile, entry))
            .collect();
        all.sort_by_cached_key(|one| {
            let ordered = self.order_of(&one.provider, &one.profile);
            let default = one.profile == default_profile(&one.provider);
            (one.provider.clone(), ordered, !default, one.profile.clone())
        });
        all
    }

    /// The key to use for a provider (id in any case), as far as the file
    /// itself holds it: without a look at the environment or at `auth.order` of
    /// a configuration.
    #[must_use]
    pub fn credential(&self, provider: &str) -> Option<Credential> {
        self.choose(provider, &[], &|_| None, SystemTime::now())
            .credential
    }

    /// Stores a key as the profile `<provider>:default` and makes it the first
    /// choice. Line breaks and surrounding space are removed from the key.
    ///
    /// # Errors
    /// [`CredentialError::UnusableKey`] if nothing is left, or if a control
    /// character is.
    pub fn set(&mut self, provider: &str, key: &str) -> Result<String, CredentialError> {
        let key = clean_key(key);
        if key.is_empty() {
            return Err(CredentialError::UnusableKey { what: "empty" });
        }
        if key.chars().any(char::is_control) {
            return Err(CredentialError::UnusableKey {
                what: "not text (it holds a control character)",
            });
        }
        let provider = normal(provider);
        let profile = default_profile(&provider);
        self.document
            .entry("version")
            .or_insert_with(|| Value::from(1));
        let profiles = self
            .document
            .entry("profiles")
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(profiles) = profiles {
            profiles.insert(
                profile.clone(),
                json!({"type": "api_key", "provider": provider, "key": key}),
            );
        }
        if let Some(order) = self.order_mut(&provider) {
            order.retain(|id| id.as_str() != Some(profile.as_str()));
            order.insert(0, Value::from(profile.clone()));
        }
        Ok(profile)
    }

    /// Removes every profile of a provider; the ids that were removed.
    pub fn remove(&mut self, provider: &str) -> Vec<String> {
        let provider = normal(provider);
        let mut removed = Vec::new();
        if let Some(Value::Object(profiles)) = self.document.get_mut("profiles") {
            profiles.retain(|id, entry| {
                let keep = provider_of(id, entry.get("provider")) != provider;
                if !keep {
                    removed.push(id.clone());
                }
                keep
            });
        }
        if let Some(order) = self.order_mut(&provider) {
            order.retain(|id| !removed.iter().any(|gone| id.as_str() == Some(gone)));
        }
        removed
    }

    /// The text of the file.
    fn to_text(&self) -> String {
        let mut text = format!("{:#}", Value::Object(self.document.clone()));
        text.push('\n');
        text
    }

    fn entries(&self) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
        self.document
            .get("profiles")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(id, entry)| Some((id, entry.as_object()?)))
    }

    /// Position of a profile in the file's own order; last if it names none.
    fn order_of(&self, provider: &str, profile: &str) -> usize {
        self.order_of_file(provider)
            .and_then(|order| order.iter().position(|id| id == profile))
            .unwrap_or(usize::MAX)
    }

    fn order_mut(&mut self, provider: &str) -> Option<&mut Vec<Value>> {
        let orders = self.document.get_mut("order")?.as_object_mut()?;
        let (_, order) = orders.iter_mut().find(|(id, _)| normal(id) == provider)?;
        order.as_array_mut()
    }
}

impl fmt::Debug for Profiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.credentials()).finish()
    }
}

/// A key as it is sent: without line breaks (CR, LF, U+2028, U+2029) and
/// surrounding space. Pasted keys and files end in a line break; HTTP cannot
/// carry one.
#[must_use]
pub fn clean_key(text: &str) -> String {
    let text: String = text
        .chars()
        .filter(|character| !matches!(character, '\r' | '\n' | '\u{2028}' | '\u{2029}'))
        .collect();
    text.trim().to_owned()
}

/// A key as it may be shown: the last four characters of a key of at least
/// twelve, nothing of a shorter one.
#[must_use]
pub fn mask(key: &str) -> String {
    let length = key.chars().count();
    if length < SHORTEST_SHOWN {
        return String::from("****");
    }
    let end: String = key.chars().skip(length - 4).collect();
    format!("****{end}")
}

fn normal(provider: &str) -> String {
    provider.trim().to_lowercase()
}

fn default_profile(provider: &str) -> String {
    format!("{provider}:default")
}

/// The provider that a profile is for: its own word, else the id's first part.
fn provider_of(id: &str, named: Option<&Value>) -> String {
    let named = named.and_then(Value::as_str);
    normal(named.unwrap_or_else(|| id.split(':').next().unwrap_or(id)))
}

/// The key of a profile, if it holds one as text: an API key, or a fixed
/// bearer token. OAuth needs a login that is not ours.
fn credential(id: &str, entry: &Map<String, Value>) -> Option<Credential> {
    let key = match entry.get("type").and_then(Value::as_str)? {
        "api_key" => entry.get("key"),
        "token" => entry.get("token"),
        _ => None,
    };
    let key = clean_key(key?.as_str()?);
    let usable = !key.is_empty() && !key.chars().any(char::is_control);
    usable.then(|| Credential {
        profile: id.to_owned(),
        provider: provider_of(id, entry.get("provider")),
        key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENCLAW: &str = r#"{
        "version": 1,
        "profiles": {
            "vllm:work": {"type": "token", "provider": "VLLM", "token": " t-work\n"},
            "vllm:default": {"type": "api_key", "provider": "vllm", "key": "k-default"},
            "vllm:login": {"type": "oauth", "provider": "vllm", "access": "a", "refresh": "r"},
            "vllm:blank": {"type": "api_key", "provider": "vllm", "key": "  "},
            "other:default": {"type": "api_key", "provider": "other", "key": "k-other"},
            "odd": 7
        },
        "usageStats": {"vllm:default": {"lastUsed": 5}}
    }"#;

    #[test]
    fn openclaws_own_file_is_understood() {
        let profiles = Profiles::parse(OPENCLAW).unwrap();
        let all: Vec<_> = profiles
            .credentials()
            .into_iter()
            .map(|one| format!("{} {} {}", one.provider(), one.profile(), one.key()))
            .collect();
        assert_eq!(
            all,
            [
                "other other:default k-other",
                "vllm vllm:default k-default",
                "vllm vllm:work t-work"
            ]
        );
        assert_eq!(profiles.credential(" VLLM ").unwrap().key(), "k-default");
        assert_eq!(profiles.credential("nobody"), None);
    }

    #[test]
    fn the_files_own_order_goes_before_the_default_profile() {
        let text = OPENCLAW.replace(
            "\"version\": 1,",
            "\"version\": 1, \"order\": {\"vllm\": [\"vllm:work\"]},",
        );
        let mut profiles = Profiles::parse(&text).unwrap();
        assert_eq!(profiles.credential("vllm").unwrap().key(), "t-work");
        profiles.set("vllm", "new").unwrap();
        assert_eq!(profiles.credential("vllm").unwrap().key(), "new");
    }

    #[test]
    fn setting_and_removing_keeps_what_is_not_understood() {
        let mut profiles = Profiles::parse(OPENCLAW).unwrap();
        assert_eq!(
            profiles.set("vLLM", "\r\n k2 \u{2028}").unwrap(),
            "vllm:default"
        );
        let again = Profiles::parse(&profiles.to_text()).unwrap();
        assert_eq!(again.credential("vllm").unwrap().key(), "k2");
        assert_eq!(again.document["profiles"]["odd"], 7);
        assert_eq!(again.document["profiles"]["vllm:login"]["access"], "a");
        assert_eq!(again.document["usageStats"]["vllm:default"]["lastUsed"], 5);
        let mut again = again;
        assert_eq!(
            again.remove("vllm"),
            ["vllm:blank", "vllm:default", "vllm:login", "vllm:work"]
        );
        assert_eq!(again.credential("vllm"), None);
        assert_eq!(again.credential("other").unwrap().key(), "k-other");
        assert!(again.remove("vllm").is_empty());
    }

    #[test]
    fn a_key_that_is_blank_or_not_text_is_not_stored() {
        let mut profiles = Profiles::empty();
        for key in ["", "  \r\n", "\u{2029}", "a\0b", "a\u{1b}[31mb"] {
            let error = profiles.set("vllm", key).unwrap_err();
            assert!(
                matches!(error, CredentialError::UnusableKey { .. }),
                "{error}"
            );
        }
        assert!(profiles.credentials().is_empty());
    }

    #[test]
    fn only_the_end_of_a_long_key_is_shown() {
        for (key, shown) in [
            ("", "****"),
            ("secret", "****"),
            ("12345678901", "****"),
            ("123456789012", "****9012"),
            ("sk-ключ-ключ-ключ", "****ключ"),
        ] {
            assert_eq!(mask(key), shown);
        }
    }

    #[test]
    fn nothing_that_is_printed_holds_a_key() {
        let profiles = Profiles::parse(OPENCLAW).unwrap();
        let shown = format!("{profiles:?}");
        assert!(shown.contains("vllm:default"));
        for secret in ["k-default", "t-work", "k-other"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        for text in [
            "{\"profiles\": {\"a\": {\"key\": \"sk-secret\" oops}}}",
            "\"sk-secret\"",
            "{\"profiles\": \"sk-secret\"}",
        ] {
            assert!(!Profiles::parse(text).unwrap_err().contains("sk-secret"));
        }
    }
}
