//! What a user is told of a configuration that is not wrong.

/// Something that is not an error and that a user should be told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// Stable name in kebab-case, such as `unsupported-setting`.
    pub code: &'static str,
    /// Where it stands in the configuration.
    pub path: Option<String>,
    /// One sentence.
    pub message: String,
}

impl Note {
    /// Of a key at `at` that has a meaning at `right` only.
    pub(super) fn misplaced(at: String, right: &str) -> Self {
        Self {
            code: "misplaced-setting",
            message: format!("{at} has no effect here; it belongs at {right}"),
            path: Some(at),
        }
    }
}
