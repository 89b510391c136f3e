//! Where a user's files are: one resolver for everything that is found below a home.
//!
//! The trust file, the compile cache, the key profiles and the default configuration all come from
//! here, so that no variable makes the program find one of them and miss another. The rules, in
//! this order:
//!
//! 1. The home is `HOME` (`USERPROFILE` on Windows) if it is set and not blank. A value that is not
//!    an absolute path is an error; it is never replaced by another home.
//! 2. Otherwise the home is that of the user database for the real user of the process. `HOME` goes
//!    before it, as in a shell: under `sudo` the home is what `sudo` leaves in `HOME`.
//! 3. Configuration is in `XDG_CONFIG_HOME` and the cache in `XDG_CACHE_HOME` if they are set to an
//!    absolute path, otherwise in `.config` and `.cache` of the home. Relative and blank values are
//!    ignored, as the XDG Base Directory Specification demands.
//!
//! Where no home can be told, a caller that looks for a policy must refuse: an unknown place is not
//! an empty place.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::configuration::Environment;

/// The variable that names the home.
pub(crate) const HOME_VARIABLE: &str = if cfg!(windows) { "USERPROFILE" } else { "HOME" };

/// This program's folder in those for configuration and cache.
const OWN: &str = "provider-host";

/// The home of a user, and the folders for configuration and cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFolders {
    home: Result<PathBuf, NoHome>,
    configuration: Option<PathBuf>,
    cache: Option<PathBuf>,
}

/// Why no home folder is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoHome {
    /// Neither the variable nor the system names one.
    #[error("{HOME_VARIABLE} is not set, and the system names no home folder for this user")]
    Unnamed,
    /// The variable or the user database names one that is not an absolute path.
    #[error("the home folder is {value:?} ({by}), which is not an absolute path")]
    Relative {
        /// The path.
        value: PathBuf,
        /// Who names it: the variable, or the user database.
        by: &'static str,
    },
    /// The user database can't be read.
    #[error("{HOME_VARIABLE} is not set, and the user database cannot be read: {why}")]
    Unreadable {
        /// The system's words.
        why: String,
    },
}

impl UserFolders {
    /// The folders of the user who runs this process: its variables, then the user database.
    /// Values that are not Unicode are taken as they are.
    #[must_use]
    pub fn of_process() -> Self {
        Self::resolve(&|name| std::env::var_os(name), system_home)
    }

    /// The folders that an environment names. The process and the system are not asked, so that a
    /// caller that serves several users has the folders of each.
    #[must_use]
    pub fn of(environment: &Environment<'_>) -> Self {
        let variable = |name: &str| environment(name).map(OsString::from);
        Self::resolve(&variable, || Err(NoHome::Unnamed))
    }

    fn resolve(
        variable: &dyn Fn(&str) -> Option<OsString>,
        otherwise: impl FnOnce() -> Result<PathBuf, NoHome>,
    ) -> Self {
        let set = |name: &str| {
            variable(name)
                .filter(|value| !is_blank(value))
                .map(PathBuf::from)
        };
        let absolute = |name: &str| set(name).filter(|path| path.is_absolute());
        let home = match set(HOME_VARIABLE) {
            Some(path) => is_absolute(path, HOME_VARIABLE),
            None => otherwise(),
        };
        Self {
            home,
            configuration: absolute("XDG_CONFIG_HOME"),
            cache: absolute("XDG_CACHE_HOME"),
        }
    }

    /// The home folder, an absolute path. It may not exist.
    ///
    /// # Errors
    ///
    /// [`NoHome`]
    pub fn home(&self) -> Result<&Path, NoHome> {
        self.home.as_deref().map_err(NoHome::clone)
    }

    /// This program's folder for configuration: `$XDG_CONFIG_HOME/provider-host`, else
    /// `~/.config/provider-host`. It may not exist.
    ///
    /// # Errors
    ///
    /// [`NoHome`], where `XDG_CONFIG_HOME` names none either.
    pub fn configuration(&self) -> Result<PathBuf, NoHome> {
        self.below(self.configuration.as_deref(), ".config")
    }

    /// This program's folder for what can be computed again: `$XDG_CACHE_HOME/provider-host`, else
    /// `~/.cache/provider-host`. It may not exist.
    ///
    /// # Errors
    ///
    /// [`NoHome`], where `XDG_CACHE_HOME` names none either.
    pub fn cache(&self) -> Result<PathBuf, NoHome> {
        self.below(self.cache.as_deref(), ".cache")
    }

    /// The home, if the folder for configuration is below it: `XDG_CONFIG_HOME` does not name one.
    #[cfg(feature = "signatures")]
    pub(crate) fn home_of_configuration(&self) -> Option<&Path> {
        match self.configuration {
            Some(_) => None,
            None => self.home.as_deref().ok(),
        }
    }

    fn below(&self, named: Option<&Path>, otherwise: &str) -> Result<PathBuf, NoHome> {
        match named {
            Some(folder) => Ok(folder.join(OWN)),
            None => Ok(self.home()?.join(otherwise).join(OWN)),
        }
    }
}

/// A variable of this process, with the home of [`UserFolders::of_process`] where `HOME` is not
/// set: an [`Environment`] that names the same home.
#[must_use]
pub fn process_environment(name: &str) -> Option<String> {
    match std::env::var_os(name) {
        Some(value) if name != HOME_VARIABLE || !is_blank(&value) => value.into_string().ok(),
        _ if name == HOME_VARIABLE => system_home().ok()?.into_os_string().into_string().ok(),
        _ => None,
    }
}

fn is_blank(value: &std::ffi::OsStr) -> bool {
    value.is_empty() || value.to_str().is_some_and(|text| text.trim().is_empty())
}

fn is_absolute(path: PathBuf, by: &'static str) -> Result<PathBuf, NoHome> {
    match path.is_absolute() {
        true => Ok(path),
        false => Err(NoHome::Relative { value: path, by }),
    }
}

/// The home of the real user of this process, from the user database.
#[cfg(unix)]
fn system_home() -> Result<PathBuf, NoHome> {
    match nix::unistd::User::from_uid(nix::unistd::getuid()) {
        Ok(Some(user)) if !user.dir.as_os_str().is_empty() => {
            is_absolute(user.dir, "the user database")
        }
        Ok(_) => Err(NoHome::Unnamed),
        Err(error) => Err(NoHome::Unreadable {
            why: error.desc().to_owned(),
        }),
    }
}

#[cfg(not(unix))]
fn system_home() -> Result<PathBuf, NoHome> {
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    is_absolute(home.ok_or(NoHome::Unnamed)?, "the system")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the variables give where the system's home is `/system`.
    fn folders(variables: &[(&str, &str)]) -> UserFolders {
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        };
        UserFolders::resolve(&variable, || Ok(PathBuf::from("/system")))
    }

    #[cfg(unix)]
    #[test]
    fn the_home_is_the_variables_and_the_systems_where_that_is_blank() {
        for (variables, home) in [
            (&[][..], Ok("/system")),
            (&[("HOME", "/h")], Ok("/h")),
            (&[("HOME", "")], Ok("/system")),
            (&[("HOME", " \t")], Ok("/system")),
            (&[("HOME", "h")], Err("the home folder is \"h\" (HOME)")),
            (&[("HOME", "~")], Err("is not an absolute path")),
            (&[("HOME", " /h")], Err("is not an absolute path")),
        ] {
            match (folders(variables).home(), home) {
                (Ok(found), Ok(expected)) => assert_eq!(found, Path::new(expected)),
                (Err(error), Err(words)) => {
                    assert!(error.to_string().contains(words), "{variables:?}: {error}");
                }
                (found, expected) => panic!("{variables:?}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn xdg_variables_count_only_as_absolute_paths() {
        for (variables, configuration, cache) in [
            (&[("HOME", "/h")][..], "/h/.config", "/h/.cache"),
            (&[], "/system/.config", "/system/.cache"),
            (
                &[
                    ("XDG_CONFIG_HOME", "/x"),
                    ("XDG_CACHE_HOME", "/c"),
                    ("HOME", "relative"),
                ],
                "/x",
                "/c",
            ),
            (
                &[
                    ("XDG_CONFIG_HOME", "x"),
                    ("XDG_CACHE_HOME", "./c"),
                    ("HOME", "/h"),
                ],
                "/h/.config",
                "/h/.cache",
            ),
            (
                &[
                    ("XDG_CONFIG_HOME", ""),
                    ("XDG_CACHE_HOME", "  "),
                    ("HOME", "/h"),
                ],
                "/h/.config",
                "/h/.cache",
            ),
        ] {
            let found = folders(variables);
            let own = |folder: &str| Ok(PathBuf::from(folder).join(OWN));
            assert_eq!(found.configuration(), own(configuration), "{variables:?}");
            assert_eq!(found.cache(), own(cache), "{variables:?}");
        }
    }

    #[test]
    fn an_environment_without_a_home_names_no_folder() {
        let found = UserFolders::of(&|_| None);
        assert_eq!(found.home(), Err(NoHome::Unnamed));
        assert_eq!(found.configuration(), Err(NoHome::Unnamed));
        assert_eq!(found.cache(), Err(NoHome::Unnamed));
    }

    #[cfg(unix)]
    #[test]
    fn folders_whose_names_are_not_unicode_are_found() {
        use std::os::unix::ffi::OsStringExt as _;
        let odd = OsString::from_vec(b"/h\xff".to_vec());
        let variable = |name: &str| (name == "HOME").then(|| odd.clone());
        let found = UserFolders::resolve(&variable, || Err(NoHome::Unnamed));
        assert_eq!(found.home(), Ok(Path::new(&odd)));
    }

    #[test]
    fn the_processs_environment_names_the_home_of_its_folders() {
        let folders = UserFolders::of_process();
        let home = process_environment(HOME_VARIABLE);
        assert_eq!(home.as_deref(), folders.home().ok().and_then(Path::to_str));
    }
}
