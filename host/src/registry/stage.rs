//! The way of a new plugin, step by step, and where it can end.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};

/// A step on the way from a file to the plugin that serves, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The bytes are read and are a component as a whole.
    Read,
    /// Somebody whom the user trusts vouches for them.
    Trust,
    /// It speaks a version of the contract that this host reads.
    Contract,
    /// It asks for nothing that this host does not give.
    Imports,
    /// It is the provider that the slot is for.
    Identity,
    /// It is not older than what serves, and was not rolled back.
    Version,
    /// It compiles within the limits, and fits the contract.
    Compile,
    /// It takes the settings.
    Settings,
    /// It is what its manifest says, and decodes what was recorded.
    SelfTest,
}

impl Stage {
    /// The name in kebab-case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Trust => "trust",
            Self::Contract => "contract",
            Self::Imports => "imports",
            Self::Identity => "identity",
            Self::Version => "version",
            Self::Compile => "compile",
            Self::Settings => "settings",
            Self::SelfTest => "self-test",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why something new does not serve. What served before goes on serving.
#[derive(Debug, Clone)]
pub struct Refusal {
    stage: Stage,
    error: Arc<Error>,
}

impl Refusal {
    pub(super) fn new(stage: Stage, error: Error) -> Self {
        Self::shared(stage, Arc::new(error))
    }

    pub(super) fn shared(stage: Stage, error: Arc<Error>) -> Self {
        Self { stage, error }
    }

    /// A refusal in the host's own words.
    pub(super) fn told(stage: Stage, why: impl Into<String>) -> Self {
        Self::new(stage, Error::new(ErrorKind::InvalidPlugin, why))
    }

    /// The step that it did not pass.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Why.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    pub(super) fn shared_error(&self) -> Arc<Error> {
        Arc::clone(&self.error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused at the step {}: {}", self.stage, self.error)
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error.restated(refusal.to_string())
    }
}

/// Names the step that a failure ends.
pub(super) trait At<T> {
    fn at(self, stage: Stage) -> Result<T, Refusal>;
}

impl<T> At<T> for crate::error::Result<T> {
    fn at(self, stage: Stage) -> Result<T, Refusal> {
        self.map_err(|error| Refusal::new(stage, error))
    }
}
