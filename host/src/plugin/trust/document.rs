//! The policy's file: JSON5, and strict. A word that is not known could be one
//! that was to keep a plugin out.

use std::fmt;
use std::io::ErrorKind as IoErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::{Signatures, Trust};
use crate::configuration::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::file;

/// Most bytes of the file.
const LARGEST_FILE: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    signatures: Signatures,
    #[serde(default)]
    keys: Names,
    #[serde(default)]
    digests: Names,
    #[serde(default)]
    revoked: Revoked,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Revoked {
    #[serde(default)]
    keys: Names,
    #[serde(default)]
    digests: Names,
}

/// Names and what they stand for. A name that comes twice is refused: one of the
/// two would be lost.
#[derive(Default)]
struct Names(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Names;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of names and texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Names, A::Error> {
                let mut names: Vec<(String, String)> = Vec::new();
                while let Some((name, text)) = access.next_entry::<String, String>()? {
                    if names.iter().any(|(known, _)| *known == name) {
                        return Err(serde::de::Error::custom(format_args!(
                            "the name {name:?} stands twice"
                        )));
                    }
                    names.push((name, text));
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

pub(super) fn parse(text: &str, origin: &str) -> Result<Trust> {
    let document: Document = json5::from_str(text).map_err(|error| {
        invalid(format!(
            "{origin} is no trust file: {error}; it has `signatures` (\"required\" or \"optional\"), `keys`, \
             `digests` and `revoked: {{ keys, digests }}`, and nothing else"
        ))
    })?;
    of(document).map_err(|error| error.map_message(|why| format!("{origin}: {why}")))
}

fn of(document: Document) -> Result<Trust> {
    let mut trust = Trust::new(document.signatures);
    for (name, key) in document.keys.0 {
        trust = trust.with_key(name, &key)?;
    }
    for (name, digest) in document.digests.0 {
        trust = trust.with_digest(name, &digest)?;
    }
    for (name, key) in document.revoked.keys.0 {
        trust = trust.with_revoked_key(name, &key)?;
    }
    for (name, digest) in document.revoked.digests.0 {
        trust = trust.with_revoked_digest(name, &digest)?;
    }
    Ok(trust)
}

pub(super) fn read(path: &Path) -> Result<Trust> {
    let failed = |why: String| {
        invalid(format!(
            "could not read the trust file {}: {why}",
            path.display()
        ))
    };
    let bytes = match file::regular(path, LARGEST_FILE) {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(why)) => return Err(failed(why)),
        Err(error) => return Err(failed(error.to_string()).caused_by(error)),
    };
    let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8 text".into()))?;
    parse(&text, &path.display().to_string())
}

pub(super) fn locate(environment: &Environment<'_>) -> Option<PathBuf> {
    let set = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    let configuration = set("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = || {
        let variable = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        set(variable).map(|home| PathBuf::from(home).join(".config"))
    };
    let path = configuration
        .or_else(home)?
        .join("provider-host")
        .join("trust.json5");
    // A file that is there and can't be reached is not the same as none: reading
    // it says why.
    match path.symlink_metadata() {
        Err(error) if error.kind() == IoErrorKind::NotFound => None,
        _ => Some(path),
    }
}

fn invalid(why: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn a_whole_trust_file_is_read() {
        let digest = "Ab".repeat(32);
        let text = format!(
            "{{ // whom I trust\n  signatures: 'required', keys: {{ alice: '{KEY}' }}, digests: {{ 'mine': '{digest}' }},\n  \
             revoked: {{ keys: {{ old: '{KEY}' }}, digests: {{ 'leaks': '{digest}' }} }} }}"
        );
        let trust = parse(&text, "trust.json5").unwrap();
        assert_eq!(trust.signatures, Signatures::Required);
        assert_eq!(trust.keys[0].name, "alice");
        assert_eq!(trust.digests[0].what, digest.to_lowercase());
        assert_eq!(trust.revoked_keys[0].name, "old");
        assert_eq!(trust.revoked_digests[0].name, "leaks");
        assert!(parse("{ signatures: 'optional' }", "f").is_ok());
    }

    #[test]
    fn what_is_not_known_or_not_clear_is_refused_with_its_place() {
        for (text, words) in [
            ("", "trust.json5 is no trust file"),
            ("{}", "missing field `signatures`"),
            ("{ signatures: 'maybe' }", "unknown variant `maybe`"),
            ("{ signatures: 'required', key: {} }", "unknown field `key`"),
            (
                "{ signatures: 'required', revoked: { key: {} } }",
                "unknown field `key`",
            ),
            (
                "{ signatures: 'required', signatures: 'optional' }",
                "duplicate field `signatures`",
            ),
            (
                "{ signatures: 'required', keys: { a: 'RW' } }",
                "the key \"a\" is no minisign public key",
            ),
            (
                "{ signatures: 'required', keys: { a: 5 } }",
                "expected string",
            ),
            (
                "{ signatures: 'required', keys: ['RW'] }",
                "expected opening brace at line 1 column 33",
            ),
            (
                "{ signatures: 'required', digests: { a: 'beef' } }",
                "the digest \"a\" is no SHA-256",
            ),
            (
                "{ signatures: 'required', revoked: { digests: { a: 'x', a: 'y' } } }",
                "the name \"a\" stands twice",
            ),
        ] {
            let error = parse(text, "trust.json5").unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::InvalidConfig);
            assert!(
                error.message().contains(words) && error.message().contains("trust.json5"),
                "{text}: {error}"
            );
        }
    }
}
