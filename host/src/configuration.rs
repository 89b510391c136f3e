//! The agent's configuration: a JSON5 file in OpenClaw's shape, read down to
//! what one provider needs.
//!
//! In go the file, the environment (as a function, never read from the process
//! here), the key profiles and a function that turns a secret into a
//! placeholder. Out comes [`Resolved`]: the settings a plugin may see, with
//! every secret replaced, beside what only the host needs (base URL, private
//! network, certificate authority, time-out).
//!
//! What this module never does: put the text of a secret into a settings
//! value, an error or a note; look at the entry of another provider, so that a
//! variable missing there breaks nothing here; judge what the provider itself
//! understands better (its models, its flags), which is the plugin's work.

mod agents;
mod base_url;
mod document;
mod environment;
mod error;
mod interpolation;
mod key;
mod misplaced;
mod note;
mod path;
mod plugins;
mod provider;
mod reference;
mod schema;
mod secret;
mod trial;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

pub use agents::ModelChoice;
pub use environment::Environment;
pub use error::ConfigError;
pub(crate) use interpolation::sole_variable;
pub use key::KeySource;
pub use note::Note;
pub use provider::{BaseUrlSource, ProviderFacts, ProxyMode, Resolved, SettingsText, UnreadyModel};
pub use reference::ModelReference;
pub(crate) use secret::key_binding;

use crate::folders::{NoHome, UserFolders};
use environment::non_empty;

/// Names the configuration file; second to the command line.
pub const PATH_VARIABLE: &str = "OPENCLAW_CONFIG_PATH";

/// Largest configuration file that is read. OpenClaw's own are a few
/// kilobytes; the limit keeps a mistaken path (a disk image, a log) out of
/// memory.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// A configuration, parsed and not yet interpreted.
#[derive(Debug, Clone)]
pub struct Configuration {
    root: Map<String, Value>,
    file: Option<PathBuf>,
}

impl Configuration {
    /// The configuration of somebody who has none.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            root: Map::new(),
            file: None,
        }
    }

    /// Reads and parses a file.
    ///
    /// # Errors
    /// [`ConfigError::Read`] if the file can't be read or is larger than
    /// 16 MiB, otherwise those of [`Configuration::parse`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = document::read(path, LARGEST_FILE)?;
        let mut configuration = Self::parse(&text, &path.display().to_string())?;
        configuration.file = Some(path.to_owned());
        Ok(configuration)
    }

    /// Parses JSON5 text. `origin` is what errors call it: a file name.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] with line and column, or
    /// [`ConfigError::WrongType`] if the text is not an object.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ConfigError> {
        match document::parse(text, origin)? {
            Value::Object(root) => Ok(Self { root, file: None }),
            other => Err(ConfigError::wrong_type(
                origin,
                &other,
                "an object, such as { models: { providers: {} } }",
            )),
        }
    }

    /// The file that this was read from; none for [`Configuration::empty`] and
    /// [`Configuration::parse`].
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Finds the configuration file: `named` (the command line's `--config`),
    /// then [`PATH_VARIABLE`], then `~/.openclaw/openclaw.json`, then none.
    /// A leading `~/` of the variable means the home directory.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] if a file was named and is not there. The file
    /// at the default place may be absent, and there is none where nothing names
    /// a home; [`ConfigError::Read`] if the home can't be used.
    pub fn discover_path(
        named: Option<&Path>,
        environment: &Environment<'_>,
        folders: &UserFolders,
    ) -> Result<Option<PathBuf>, ConfigError> {
        let (path, by) = if let Some(path) = named {
            (path.to_owned(), "--config")
        } else if let Some(text) = non_empty(environment, PATH_VARIABLE) {
            let home = folders.home().ok();
            (path::expand_home(text.trim(), home), PATH_VARIABLE)
        } else {
            return match folders.home() {
                Ok(home) => {
                    let default = home.join(".openclaw").join("openclaw.json");
                    Ok((!is_absent(&default)).then_some(default))
                }
                Err(NoHome::Unnamed) => Ok(None),
                Err(why) => Err(ConfigError::Read {
                    file: PathBuf::from("~/.openclaw/openclaw.json"),
                    cause: why.to_string(),
                }),
            };
        };
        if is_absent(&path) {
            return Err(ConfigError::Missing {
                file: path,
                named_by: by.to_owned(),
            });
        }
        Ok(Some(path))
    }

    /// The value at a path of object keys, for what the host reads itself.
    /// `None` if a key is absent or null on the way.
    ///
    /// # Errors
    /// [`ConfigError::WrongType`] if something on the way is not an object.
    fn object_at(&self, keys: &[&str]) -> Result<Option<&Map<String, Value>>, ConfigError> {
        let mut object = &self.root;
        for (depth, key) in keys.iter().enumerate() {
            object = match object.get(*key) {
                None | Some(Value::Null) => return Ok(None),
                Some(Value::Object(next)) => next,
                Some(other) => {
                    let path = keys[..=depth].join(".");
                    return Err(ConfigError::wrong_type(&path, other, "an object"));
                }
            };
        }
        Ok(Some(object))
    }
}

/// Whether there is nothing under a path. What is there and can't be reached is left to the reader
/// of the file, who says why.
fn is_absent(path: &Path) -> bool {
    let found = path.symlink_metadata();
    found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found with an environment, and the folders that it names.
    fn discover(
        named: Option<&Path>,
        environment: &Environment<'_>,
    ) -> Result<Option<PathBuf>, ConfigError> {
        Configuration::discover_path(named, environment, &UserFolders::of(environment))
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error_that_says_who_named_it() {
        let nothing = |_: &str| None;
        let error = discover(Some(Path::new("/nowhere/c.json")), &nothing).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no configuration file at /nowhere/c.json (named by --config)"
        );
        let variable =
            |name: &str| (name == PATH_VARIABLE).then(|| String::from("/nowhere/v.json"));
        let error = discover(None, &variable).unwrap_err();
        assert!(error.to_string().contains("named by OPENCLAW_CONFIG_PATH"));
    }

    #[test]
    fn files_are_found_by_flag_then_variable_then_home() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().to_owned();
        let flag = home.join("flag.json");
        let variable = home.join("variable.json");
        let default = home.join(".openclaw/openclaw.json");
        let environment = |variable: Option<&'static str>| {
            let home = home.display().to_string();
            move |name: &str| match name {
                "HOME" => Some(home.clone()),
                PATH_VARIABLE => variable.map(String::from),
                _ => None,
            }
        };
        assert_eq!(discover(None, &environment(None)).unwrap(), None);
        std::fs::create_dir(home.join(".openclaw")).unwrap();
        for path in [&flag, &variable, &default] {
            std::fs::write(path, "{}").unwrap();
        }
        let cases = [
            (Some(flag.as_path()), Some("~/variable.json"), &flag),
            (None, Some("~/variable.json"), &variable),
            (None, Some("  "), &default),
            (None, None, &default),
        ];
        for (named, set, expected) in cases {
            assert_eq!(
                discover(named, &environment(set)).unwrap(),
                Some(expected.clone()),
                "{named:?} {set:?}"
            );
        }
    }

    #[test]
    fn a_configuration_that_is_not_an_object_is_refused() {
        for text in ["[]", "1", "'x'", "null", "true"] {
            let error = Configuration::parse(text, "openclaw.json").unwrap_err();
            assert!(
                error.to_string().starts_with("openclaw.json is "),
                "{error}"
            );
        }
    }

    #[test]
    fn loading_keeps_the_name_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("openclaw.json");
        std::fs::write(&path, "{ models: {}, }").unwrap();
        let configuration = Configuration::load(&path).unwrap();
        assert_eq!(configuration.file(), Some(path.as_path()));
        assert_eq!(Configuration::empty().file(), None);
    }
}
