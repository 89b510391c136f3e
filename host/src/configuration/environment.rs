//! The environment, as a function from name to value.
//!
//! The library never asks the process for its variables: a caller that serves
//! several users, and every test, has an environment of its own.

use std::path::{Path, PathBuf};

use crate::folders::UserFolders;

/// Looks a variable up. A value that is not Unicode counts as absent.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The value of a variable, unless it is blank.
pub(crate) fn non_empty(environment: &Environment<'_>, name: &str) -> Option<String> {
    environment(name).filter(|value| !value.trim().is_empty())
}

/// The user's home directory.
pub(crate) fn home(environment: &Environment<'_>) -> Option<PathBuf> {
    let folders = UserFolders::of(environment);
    folders.home().ok().map(Path::to_owned)
}
