//! The lowest versions that a policy lets in.
//!
//! A signature never expires: whoever keeps an older signed file can offer it again. A minimum
//! keeps it out, also after a restart, when no running plugin tells what is newer. It is asked
//! after the signature, and before anything of the plugin is compiled.

use semver::Version;

use super::refusal::Refusal;
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::{inspect, is_id, no_manifest};

/// Most characters of a plugin's own words in a refusal.
const SHOWN: usize = 80;

/// The lowest version of one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Minimum {
    id: String,
    version: Version,
}

impl Minimum {
    pub(super) fn new(id: &str, version: &str) -> Result<Self> {
        let invalid = |why: String| Error::new(ErrorKind::InvalidConfig, why);
        let normal = normal(id);
        if !is_id(&normal) {
            return Err(invalid(format!(
                "`minimum` names {:?}, which is no provider id: an id is made of letters, digits and hyphens, \
                 such as vllm",
                cut(id)
            )));
        }
        let version = Version::parse(version.trim()).map_err(|error| {
            invalid(format!(
                "the minimum of {normal:?} is {:?}, which is no semantic version ({error}): write all three \
                 numbers, such as 1.2.3",
                cut(version)
            ))
        })?;
        Ok(Self {
            id: normal,
            version,
        })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

/// Holds a plugin's manifest against the minimum versions. Nothing of the plugin runs.
pub(super) fn check(minimum: &[Minimum], bytes: &[u8]) -> Result<()> {
    if minimum.is_empty() {
        return Ok(());
    }
    let manifest = inspect(bytes)?.manifest.ok_or_else(no_manifest)?;
    Ok(follows(minimum, &manifest.id, &manifest.version)?)
}

fn follows(minimum: &[Minimum], id: &str, version: &str) -> Result<(), Refusal> {
    let normal = normal(id);
    // Which minimum is meant could not be told of an id that only looks like another one.
    if !is_id(&normal) {
        return Err(Refusal::NotAnId { id: cut(id) });
    }
    let Some(minimum) = minimum.iter().find(|minimum| minimum.id == normal) else {
        return Ok(());
    };
    let asked = minimum.version.to_string();
    match Version::parse(version) {
        // What stands behind a `+` makes no difference (semver §10).
        Ok(found) if found.cmp_precedence(&minimum.version).is_ge() => Ok(()),
        Ok(found) => Err(Refusal::TooOld {
            id: normal,
            found: cut(&found.to_string()),
            minimum: asked,
        }),
        Err(_) => Err(Refusal::NoVersion {
            id: normal,
            found: cut(version),
            minimum: asked,
        }),
    }
}

/// An id as settings and keys are found by: without space around it, in lower case.
fn normal(id: &str) -> String {
    id.trim().to_lowercase()
}

/// The beginning of a text.
fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_semantic_precedence_and_ids_in_any_case() {
        let minimum = [Minimum::new("vLLM", "0.2.0").unwrap()];
        for (id, version, lets_in) in [
            ("vllm", "0.2.0", true),
            ("vllm", "0.2.1", true),
            ("vllm", "0.10.0", true),
            ("vllm", "1.0.0-rc.1", true),
            ("vllm", "0.2.0+older", true),
            ("vllm", "0.2.0-rc.9", false),
            ("vllm", "0.1.99", false),
            ("vllm", "0.1.99+9.9.9", false),
            ("VLLM", "0.1.0", false),
            (" vllm\n", "0.1.0", false),
            ("vllm", "", false),
            ("vllm", "9", false),
            ("vllm", "v9.0.0", false),
            ("vllm", " 9.0.0", false),
            ("vllm", "9.0.0.0", false),
            ("vllm", "99999999999999999999.0.0", false),
            // Another provider, which has other settings and another key.
            ("vllm-2", "0.1.0", true),
            // Ids that are none by the contract: what they stand for cannot be told.
            ("vllm\u{200b}", "9.0.0", false),
            ("v\u{2170}lm", "9.0.0", false),
            ("", "9.0.0", false),
        ] {
            let judged = follows(&minimum, id, version);
            assert_eq!(judged.is_ok(), lets_in, "{id:?} {version:?}: {judged:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_version_the_minimum_and_what_to_do() {
        let minimum = [Minimum::new("vllm", "0.2.0").unwrap()];
        let refusal = follows(&minimum, "vllm", "0.1.0").unwrap_err().to_string();
        for words in ["version 0.1.0", "at least 0.2.0", "get a newer version"] {
            assert!(refusal.contains(words), "{refusal}");
        }
        let long = "9".repeat(10_000);
        let refusal = follows(&minimum, "vllm", &long).unwrap_err().to_string();
        assert!(refusal.len() < 500, "{refusal}");
        let refusal = follows(&minimum, "vllm", "\u{1b}[2J")
            .unwrap_err()
            .to_string();
        assert!(!refusal.contains('\u{1b}'), "{refusal}");
    }

    #[test]
    fn a_pre_release_may_be_the_minimum() {
        let minimum = [Minimum::new("vllm", "1.0.0-rc.2").unwrap()];
        for (version, lets_in) in [
            ("1.0.0-rc.1", false),
            ("1.0.0-rc.2", true),
            ("1.0.0-rc.10", true),
            ("1.0.0", true),
        ] {
            assert_eq!(
                follows(&minimum, "vllm", version).is_ok(),
                lets_in,
                "{version}"
            );
        }
    }
}
