//! Which API key is used.
//!
//! For the built-in plugin: a stored profile, then the provider's variable, then `apiKey` of the
//! configuration, which is OpenClaw's order. For any other plugin: a stored profile if the user
//! approved the plugin's id, then `apiKey`, then the variable. There the user's own word goes before
//! the variable, because the manifest names the variable.
//!
//! Only what is used is looked at: with a profile for the provider, a missing
//! variable in `apiKey` is nobody's business. (OpenClaw's discovery asks the
//! variable first and its requests the profile; two orders are one too many.)

use std::fmt;
use std::time::SystemTime;

use serde_json::{Map, Value};

use super::environment::Environment;
use super::error::ConfigError;
use super::interpolation::{interpolate_plain, is_variable_name, sole_variable, uses_variables};
use super::note::Note;
use super::path;
use super::secret::{check_header_value, from_reference};
use crate::credentials::{Profiles, clean_key};
use crate::plugin::{IdApproval, own_key_variable};

/// Where the API key came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// There is no key.
    None,
    /// A stored key profile, by its id.
    Profile(String),
    /// An environment variable, by its name.
    Environment(String),
    /// `apiKey` of the configuration, as a literal.
    Configuration,
}

impl fmt::Display for KeySource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("none"),
            Self::Profile(id) => write!(formatter, "key profile {id}"),
            Self::Environment(name) => write!(formatter, "environment variable {name}"),
            Self::Configuration => formatter.write_str("apiKey in the configuration"),
        }
    }
}

/// A key and where it came from. `None`: there is none.
pub(super) type Key = Option<(String, KeySource)>;

/// The stored keys, in the order that the configuration gives them
/// (`auth.order`; empty: none).
#[derive(Clone, Copy)]
pub(super) struct Stored<'a> {
    pub(super) profiles: &'a Profiles,
    pub(super) order: &'a [String],
}

/// Whose key is chosen.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    /// The provider's id.
    pub(super) id: &'a str,
    /// The manifest's variable.
    pub(super) key_variable: Option<&'a str>,
    /// Who vouches for the id.
    pub(super) approval: IdApproval,
}

/// Chooses the key. `configured` is the value of `apiKey`, which stands at `path`. `notes` gets a
/// note for each key that the user may expect to be used and that is not.
pub(super) fn choose(
    owner: Owner<'_>,
    configured: Option<&Value>,
    path: &str,
    environment: &Environment<'_>,
    stored: Stored<'_>,
    notes: &mut Vec<Note>,
) -> Result<Key, ConfigError> {
    let key = from_profile(owner, environment, stored, notes);
    if key.is_some() {
        return Ok(key);
    }
    let configured = || match configured {
        Some(value) => from_configuration(value, path, owner.key_variable, environment),
        None => Ok(None),
    };
    if owner.approval == IdApproval::BuiltIn {
        let variable = owner.key_variable;
        let key = variable.map_or(Ok(None), |name| from_variable(name, environment))?;
        return if key.is_some() { Ok(key) } else { configured() };
    }
    let key = configured()?;
    if key.is_some() {
        return Ok(key);
    }
    match owner.key_variable {
        Some(name) if name == own_key_variable(owner.id) => from_variable(name, environment),
        Some(name) if environment(name).is_some() => {
            notes.push(Note {
                code: "key-not-used",
                path: Some(path.to_owned()),
                message: format!(
                    "the plugin names the environment variable {name} for its key; it is not \
                     used, because it is not {}: to send it, set {path} to \"${{{name}}}\"",
                    own_key_variable(owner.id)
                ),
            });
            Ok(None)
        }
        _ => Ok(None),
    }
}

/// The key of a stored profile. A plugin whose id nobody approved gets none.
fn from_profile(
    owner: Owner<'_>,
    environment: &Environment<'_>,
    stored: Stored<'_>,
    notes: &mut Vec<Note>,
) -> Key {
    let Stored { profiles, order } = stored;
    let choice = profiles.choose(owner.id, order, environment, SystemTime::now());
    if owner.approval == IdApproval::None {
        if let Some(credential) = choice.credential {
            notes.push(Note {
                code: "profile-not-used",
                path: None,
                message: format!(
                    "key profile {} is not used: the plugin file alone says that it is the \
                     provider {:?}; approve its id to let it use the profile",
                    credential.profile(),
                    owner.id
                ),
            });
        }
        return None;
    }
    notes.extend(choice.passed_over.into_iter().map(|(id, why)| Note {
        code: "profile-not-used",
        path: None,
        message: format!("key profile {id} is not used: {why}"),
    }));
    let credential = choice.credential?;
    let source = KeySource::Profile(credential.profile().to_owned());
    Some((credential.key().to_owned(), source))
}

fn from_variable(variable: &str, environment: &Environment<'_>) -> Result<Key, ConfigError> {
    let source = KeySource::Environment(variable.to_owned());
    finish(environment(variable).unwrap_or_default(), source, || {
        format!("environment variable {variable}")
    })
}

fn from_configuration(
    value: &Value,
    path: &str,
    key_variable: Option<&str>,
    environment: &Environment<'_>,
) -> Result<Key, ConfigError> {
    match value {
        Value::Null => Ok(None),
        Value::Object(reference) => {
            let key = from_reference(reference, path, environment)?;
            let name = reference.get("id").and_then(Value::as_str);
            let source = KeySource::Environment(name.unwrap_or_default().to_owned());
            finish(key, source, || path.to_owned())
        }
        Value::String(text) => {
            // OpenClaw stores the *name* of the variable. The provider's own
            // is never meant as a key; any other word in capitals (`EMPTY` is
            // a favourite with vLLM) is a name only if such a variable is set.
            let name = text.trim();
            if is_variable_name(name) {
                let key = from_variable(name, environment)?;
                if key.is_some() || Some(name) == key_variable {
                    return Ok(key);
                }
            }
            let source = match sole_variable(name) {
                Some(variable) => KeySource::Environment(variable.to_owned()),
                None => KeySource::Configuration,
            };
            let key = interpolate_plain(text, path, environment)?;
            finish(key, source, || path.to_owned())
        }
        other => Err(ConfigError::wrong_secret(
            path,
            other,
            "the key as a text, ${VARIABLE}, the name of a variable, \
             or { source: \"env\", id: \"VARIABLE\" }",
        )),
    }
}

/// One sentence about a key that is not a key, but the name of a variable as other tools write it.
pub(super) fn foreign_variable(
    key: &str,
    source: &KeySource,
    environment: &Environment<'_>,
) -> Option<String> {
    let right = right_form(key, environment)?;
    Some(format!(
        "the key ({source}) looks like the name of an environment variable, and is sent as it \
         stands; to send the variable's value, set apiKey to {right}"
    ))
}

/// Adds the same as a note for each header of a provider's entry and of its models, and for
/// `request.auth`, before variables are put in. `at` is the path of the entry.
pub(super) fn note_foreign_variables(
    entry: &Map<String, Value>,
    at: &str,
    environment: &Environment<'_>,
    notes: &mut Vec<Note>,
) {
    let mut look = |headers: Option<&Value>, at: String| {
        let headers = headers.and_then(Value::as_object);
        for (name, value) in headers.into_iter().flatten() {
            let text = value.as_str().filter(|text| !uses_variables(text));
            let Some(right) = text.and_then(|text| right_form(text, environment)) else {
                continue;
            };
            let at = path::member(&at, name);
            notes.push(Note {
                code: "header-names-variable",
                message: format!(
                    "{at} looks like the name of an environment variable, and is sent as it \
                     stands; to send the variable's value, set it to {right}"
                ),
                path: Some(at),
            });
        }
    };
    look(entry.get("headers"), path::member(at, "headers"));
    for key in ["headers", "auth"] {
        let of_request = entry.get("request").and_then(|request| request.get(key));
        look(of_request, path::member(&path::member(at, "request"), key));
    }
    let models = entry.get("models").and_then(Value::as_array);
    for (place, model) in models.into_iter().flatten().enumerate() {
        let at = path::element(&path::member(at, "models"), place);
        look(model.get("headers"), path::member(&at, "headers"));
    }
}

/// How a variable is written here that a text names as other tools do: `$NAME`, `%NAME%`,
/// `{env:NAME}`, `os.environ/NAME`, or the name alone where no such variable is set. The name is
/// shown only if a variable is set by it: otherwise it may be a secret after all.
fn right_form(text: &str, environment: &Environment<'_>) -> Option<String> {
    let (name, is_bare) = variable_in(text)?;
    if is_bare && !name_of_a_secret(name) {
        return None;
    }
    let is_set = environment(name).is_some_and(|value| !value.is_empty());
    Some(match (is_set, is_variable_name(name)) {
        (true, true) => format!("${{{name}}}"),
        (true, false) => {
            String::from("${NAME}, with a variable whose name is in capitals: no other is read")
        }
        (false, _) => String::from("${NAME}, with the variable's name in capitals"),
    })
}

/// The name of a variable that a text is made of, with or without signs and words around it that
/// say that it is one. True: without.
fn variable_in(text: &str) -> Option<(&str, bool)> {
    const SIGNS: &str = "$%{}()<>[]:./@!\"'` ";
    const WORDS: [&str; 9] = [
        "bearer", "env", "environ", "getenv", "os", "process", "secret", "secrets", "var",
    ];
    let erb = text.strip_prefix("<%=");
    let text = erb.map_or(text, |text| text.trim_end_matches("%>").trim());
    // A shell's form with a default.
    let text = match text.split_once(":-") {
        Some((front, _)) if front.starts_with("${") => front,
        _ => text,
    };
    if text.starts_with("$$") {
        // An escape: the text itself is meant.
        return None;
    }
    let is_sign = |c: char| SIGNS.contains(c);
    let mut words = text.split(is_sign).filter(|word| !word.is_empty());
    let name = words.next_back()?;
    if !words.all(|word| WORDS.contains(&word.to_ascii_lowercase().as_str())) {
        return None;
    }
    let first = name.bytes().next()?;
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && (first.is_ascii_alphabetic() || first == b'_');
    let is_bare = name.len() == text.len();
    (is_name && (!is_bare || is_variable_name(name))).then_some((name, is_bare))
}

/// Whether a name is one that people give to a variable with a key in it, and no placeholder such as
/// `EMPTY`.
fn name_of_a_secret(name: &str) -> bool {
    let mut words = name.split('_');
    name.contains('_') && words.any(|word| ["KEY", "TOKEN", "SECRET", "APIKEY"].contains(&word))
}

fn finish(
    text: String,
    source: KeySource,
    path: impl FnOnce() -> String,
) -> Result<Key, ConfigError> {
    let key = clean_key(&text);
    if key.is_empty() {
        return Ok(None);
    }
    check_header_value(&key, path)?;
    Ok(Some((key, source)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BUILT_IN: Owner<'_> = Owner {
        id: "vllm",
        key_variable: Some("VLLM_API_KEY"),
        approval: IdApproval::BuiltIn,
    };

    fn environment(name: &str) -> Option<String> {
        match name {
            "OTHER" => Some("from-other\n".into()),
            "SPACES" => Some(" \r\n\u{2028}".into()),
            "BELL" => Some("a\u{7}b".into()),
            _ => None,
        }
    }

    #[test]
    fn a_variable_in_another_tools_words_is_told_and_a_key_is_never_shown() {
        let environment = |name: &str| (name == "MY_KEY").then(|| "sk-1".to_owned());
        let told = |key: &str| foreign_variable(key, &KeySource::Configuration, &environment);
        for key in [
            "$MY_KEY",
            "%MY_KEY%",
            "{env:MY_KEY}",
            "${env:MY_KEY}",
            "$(MY_KEY)",
            "${{ secrets.MY_KEY }}",
            "env:MY_KEY",
            "os.environ/MY_KEY",
            "os.environ[\"MY_KEY\"]",
            "process.env.MY_KEY",
            "<%= ENV['MY_KEY'] %>",
            "<MY_KEY>",
            "${MY_KEY:-x}",
            "Bearer $MY_KEY",
            "MY_KEY",
        ] {
            let message = told(key).unwrap_or_else(|| panic!("{key}"));
            assert!(message.ends_with("set apiKey to ${MY_KEY}"), "{message}");
        }
        for key in ["$OTHER_KEY", "OTHER_KEY", "$abc123DEF456"] {
            let message = told(key).unwrap_or_else(|| panic!("{key}"));
            assert!(
                message.ends_with("${NAME}, with the variable's name in capitals"),
                "{message}"
            );
            assert!(
                !message.contains("OTHER") && !message.contains("abc123"),
                "{message}"
            );
        }
        for key in [
            "EMPTY",
            "NONE",
            "x",
            "sk-abc_KEY",
            "abc.DEF",
            "$$MY_KEY",
            "a$MY_KEY",
            "$1234",
            "",
        ] {
            assert_eq!(told(key), None, "{key}");
        }
    }

    #[test]
    fn a_variable_in_another_tools_words_is_told_of_each_header() {
        let environment = |name: &str| (name == "MY_KEY").then(|| "sk-1".to_owned());
        let entry = json!({
            "headers": {"Authorization": "Bearer $MY_KEY", "X-Team": "red", "X-A": "${MY_KEY}"},
            "request": {"headers": {"X-Key": "%MY_KEY%", "X-B": "Bearer ${MY_KEY}"}},
            "models": [{"headers": {"X": "a"}}, {"headers": {"Cookie": "{env:MY_KEY}", "Y": 7}}],
        });
        let mut notes = Vec::new();
        let entry = entry.as_object().unwrap();
        note_foreign_variables(entry, "p", &environment, &mut notes);
        let paths: Vec<_> = notes.iter().flat_map(|note| note.path.as_deref()).collect();
        assert_eq!(
            paths,
            [
                "p.headers.Authorization",
                "p.request.headers.X-Key",
                "p.models[1].headers.Cookie"
            ]
        );
        for note in &notes {
            let message = &note.message;
            assert!(message.ends_with("set it to ${MY_KEY}"), "{message}");
        }
    }

    fn with_key(name: &str) -> Option<String> {
        match name {
            "VLLM_API_KEY" => Some(" from-variable\r\n".into()),
            _ => environment(name),
        }
    }

    #[test]
    fn profiles_go_before_the_variable_and_the_variable_before_the_configuration() {
        let mut stored = Profiles::empty();
        stored.set("vllm", "from-profile").unwrap();
        let none = Profiles::empty();
        let configured = json!("from-configuration");
        let missing = json!("${GONE}");
        type Env = fn(&str) -> Option<String>;
        let cases: [(&Profiles, Env, Option<&Value>, Key); 6] = [
            (
                &stored,
                with_key,
                Some(&configured),
                Some((
                    "from-profile".into(),
                    KeySource::Profile("vllm:default".into()),
                )),
            ),
            (
                &stored,
                environment,
                Some(&missing),
                Some((
                    "from-profile".into(),
                    KeySource::Profile("vllm:default".into()),
                )),
            ),
            (
                &none,
                with_key,
                Some(&configured),
                Some((
                    "from-variable".into(),
                    KeySource::Environment("VLLM_API_KEY".into()),
                )),
            ),
            (
                &none,
                with_key,
                Some(&missing),
                Some((
                    "from-variable".into(),
                    KeySource::Environment("VLLM_API_KEY".into()),
                )),
            ),
            (
                &none,
                environment,
                Some(&configured),
                Some(("from-configuration".into(), KeySource::Configuration)),
            ),
            (&none, environment, None, None),
        ];
        for (index, (profiles, environment, configured, expected)) in cases.into_iter().enumerate()
        {
            let key = choose(
                BUILT_IN,
                configured,
                "p.apiKey",
                &environment,
                Stored {
                    profiles,
                    order: &[],
                },
                &mut Vec::new(),
            );
            assert_eq!(key.unwrap(), expected, "case {index}");
        }
    }

    #[test]
    fn a_plugin_file_gets_the_users_own_key_before_a_variable_and_no_profile_without_approval() {
        let mut stored = Profiles::empty();
        stored.set("my-gpu", "from-profile").unwrap();
        let none = Profiles::empty();
        let environment = |name: &str| match name {
            "MY_GPU_API_KEY" => Some("from-variable".into()),
            "AWS_SECRET_ACCESS_KEY" => Some("from-aws".into()),
            _ => None,
        };
        let own = Some("MY_GPU_API_KEY");
        let foreign = Some("AWS_SECRET_ACCESS_KEY");
        let literal = json!("from-configuration");
        let named = json!("AWS_SECRET_ACCESS_KEY");
        let profile = KeySource::Profile("my-gpu:default".into());
        let variable = |name: &str| KeySource::Environment(name.into());
        let (user, nobody) = (IdApproval::User, IdApproval::None);
        let cases = [
            (&stored, user, own, None, Some(("from-profile", profile))),
            (
                &stored,
                nobody,
                own,
                Some(&literal),
                Some(("from-configuration", KeySource::Configuration)),
            ),
            (
                &none,
                user,
                own,
                Some(&literal),
                Some(("from-configuration", KeySource::Configuration)),
            ),
            (
                &stored,
                nobody,
                own,
                None,
                Some(("from-variable", variable("MY_GPU_API_KEY"))),
            ),
            (&stored, nobody, foreign, None, None),
            (&none, user, foreign, None, None),
            (
                &none,
                nobody,
                foreign,
                Some(&named),
                Some(("from-aws", variable("AWS_SECRET_ACCESS_KEY"))),
            ),
        ];
        for (index, (profiles, approval, key_variable, configured, expected)) in
            cases.into_iter().enumerate()
        {
            let owner = Owner {
                id: "my-gpu",
                key_variable,
                approval,
            };
            let stored = Stored {
                profiles,
                order: &[],
            };
            let mut notes = Vec::new();
            let key = choose(
                owner,
                configured,
                "p.apiKey",
                &environment,
                stored,
                &mut notes,
            );
            let expected = expected.map(|(key, source)| (String::from(key), source));
            assert_eq!(key.unwrap(), expected, "case {index}");
            let unused = notes.iter().any(|note| note.code == "key-not-used");
            assert_eq!(unused, expected.is_none(), "case {index}: {notes:?}");
        }
    }

    #[test]
    fn a_configured_key_is_a_literal_a_name_a_variable_or_a_reference() {
        let other = || {
            Some((
                String::from("from-other"),
                KeySource::Environment("OTHER".into()),
            ))
        };
        let literal = |text: &str| Some((String::from(text), KeySource::Configuration));
        let cases = [
            (json!("sk-literal\n"), literal("sk-literal")),
            (json!("OTHER"), other()),
            (json!("${OTHER}"), other()),
            (json!(" ${OTHER}\n"), other()),
            (json!("a${OTHER}"), literal("afrom-other")),
            (json!("$${OTHER}"), literal("${OTHER}")),
            (
                json!({"source": "env", "provider": "default", "id": "OTHER"}),
                other(),
            ),
            (json!("EMPTY"), literal("EMPTY")),
            (json!("VLLM_API_KEY"), None),
            (json!(""), None),
            (json!(" \n"), None),
            (json!("SPACES"), literal("SPACES")),
            (json!("${SPACES}"), None),
            (json!(null), None),
        ];
        let none = Profiles::empty();
        for (configured, expected) in cases {
            let key = choose(
                BUILT_IN,
                Some(&configured),
                "p.apiKey",
                &environment,
                Stored {
                    profiles: &none,
                    order: &[],
                },
                &mut Vec::new(),
            );
            assert_eq!(key.unwrap(), expected, "{configured}");
        }
    }

    #[test]
    fn a_key_that_cannot_be_used_is_refused_without_being_shown() {
        let cases = [
            (
                json!("${GONE}"),
                "environment variable GONE is not set, and p.apiKey uses it",
            ),
            (
                json!("BELL"),
                "environment variable BELL holds a line break",
            ),
            (json!("a\u{0}b"), "p.apiKey holds a line break"),
            (json!(12345), "p.apiKey is a number; allowed is the key as"),
            (json!(["k"]), "p.apiKey is a list"),
            (
                json!({"id": "OTHER"}),
                "p.apiKey is an object; allowed is a text or",
            ),
            (
                json!({"source": "exec", "id": "x"}),
                "p.apiKey.source is the text \"exec\"",
            ),
        ];
        for (configured, expected) in cases {
            let error = choose(
                BUILT_IN,
                Some(&configured),
                "p.apiKey",
                &environment,
                Stored {
                    profiles: &Profiles::empty(),
                    order: &[],
                },
                &mut Vec::new(),
            )
            .unwrap_err()
            .to_string();
            assert!(error.contains(expected), "{configured}: {error}");
            assert!(!error.contains("12345"), "{error}");
        }
    }
}
