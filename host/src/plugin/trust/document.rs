//! The policy's file: JSON5, and strict. A word that is not known could be one
//! that was to keep a plugin out.

use std::fmt;
use std::io::ErrorKind as IoErrorKind;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::{Signatures, Trust};
use crate::error::{Error, ErrorKind, Result};
use crate::file::{self, Links};
use crate::folders::UserFolders;
use crate::plugin::file::failed;

/// Most bytes of the file.
const LARGEST_FILE: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    signatures: Signatures,
    #[serde(default)]
    keys: Names<String>,
    #[serde(default)]
    digests: Names<String>,
    #[serde(default)]
    revoked: Revoked,
    /// Versions by provider id.
    #[serde(default)]
    minimum: Names<String>,
    /// Provider ids by the name of a key or digest.
    #[serde(default)]
    ids: Names<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Revoked {
    #[serde(default)]
    keys: Names<String>,
    #[serde(default)]
    digests: Names<String>,
}

/// Names and what they stand for. A name that comes twice is refused: one of the
/// two would be lost.
struct Names<T>(Vec<(String, T)>);

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Names<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Visit<T> {
            type Value = Names<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of names and their values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Names<T>, A::Error> {
                let mut names: Vec<(String, T)> = Vec::new();
                while let Some((name, text)) = access.next_entry::<String, T>()? {
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
        deserializer.deserialize_map(Visit(PhantomData))
    }
}

pub(super) fn parse(text: &str, origin: &str) -> Result<Trust> {
    let document: Document = json5::from_str(text).map_err(|error| {
        invalid(format!(
            "{origin} is no trust file: {error}; it has `signatures` (\"required\" or \"optional\"), `keys`, \
             `digests`, `revoked: {{ keys, digests }}`, `minimum: {{ id: \"1.2.3\" }}` and `ids: {{ name: [\"id\"] }}`, and nothing else"
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
    for (id, version) in document.minimum.0 {
        trust = trust.with_minimum(&id, &version)?;
    }
    for (name, ids) in document.ids.0 {
        trust = trust.with_ids(name, ids)?;
    }
    Ok(trust)
}

pub(super) fn read(path: &Path) -> Result<Trust> {
    let text = file::read_text(path, LARGEST_FILE, Links::Followed).map_err(|error| {
        let (path, remedy) = (path.display(), error.remedy());
        let why = format!("could not read the trust file {path}: {error}{remedy}");
        failed(ErrorKind::InvalidConfig, why, error)
    })?;
    parse(&text, &path.display().to_string())
}

pub(super) fn locate(folders: &UserFolders) -> Result<Option<PathBuf>> {
    let unknown = |why: String| {
        invalid(format!(
            "it cannot be told whether there is a trust file: {why}; {REMEDY}"
        ))
    };
    let folder = folders
        .configuration()
        .map_err(|why| unknown(why.to_string()))?;
    let path = folder.join("trust.json5");
    // A file that is there and can't be reached is not the same as none: reading it says why.
    if !is_absent(&path) {
        return Ok(Some(path));
    }
    // The file is absent. That counts only if the folder in which it would be can be looked into: a
    // link in its path may lead to a file system that is not mounted, and so may a missing home.
    // `XDG_CONFIG_HOME` may be missing, because programs make it when they need it.
    for folder in path.ancestors().skip(1) {
        if !is_absent(folder) {
            return match folder.metadata() {
                Ok(_) => Ok(None),
                Err(why) => Err(unknown(format!(
                    "{} leads nowhere ({why})",
                    folder.display()
                ))),
            };
        }
        if folders.home_of_configuration() == Some(folder) {
            let home = folder.display();
            return Err(unknown(format!("the home folder {home} does not exist")));
        }
    }
    Ok(None)
}

/// Whether there is nothing under a path, which is certain.
fn is_absent(path: &Path) -> bool {
    let found = path.symlink_metadata();
    found.is_err_and(|error| error.kind() == IoErrorKind::NotFound)
}

/// What to do where the place of the trust file is not known.
const REMEDY: &str = "set HOME or XDG_CONFIG_HOME to the absolute path of a folder, or name a trust \
                      file with --trust (one with { signatures: \"optional\" } lets any plugin in)";

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
        let ids = format!(
            "{{ signatures: 'required', keys: {{ alice: '{KEY}' }}, ids: {{ alice: ['vllm', 'my-gpu'] }} }}"
        );
        let trust = parse(&ids, "f").unwrap();
        let alice = super::super::Standing::Signed {
            key: "alice".into(),
            comment: String::new(),
        };
        let bob = super::super::Standing::Pinned { name: "bob".into() };
        let unsigned = super::super::Standing::Unsigned;
        for (standing, id, expected) in [
            (&alice, "vllm", true),
            (&alice, "my-gpu", true),
            (&alice, "openai", false),
            (&bob, "vllm", false),
            (&unsigned, "vllm", false),
        ] {
            assert_eq!(
                trust.approves_id(standing, id),
                expected,
                "{standing:?} {id}"
            );
        }
        assert!(
            parse(
                "{ signatures: 'optional', minimum: { vllm: '0.2.0' } }",
                "f"
            )
            .is_ok()
        );
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
                "{ signatures: 'required', ids: { a: ['vllm'] } }",
                "`ids` names \"a\", and there is neither a key nor a digest of that name",
            ),
            (
                "{ signatures: 'required', digests: { a: 'DIGEST' }, ids: { a: [' vLLM'] } }",
                "`ids` of \"a\" has \" vLLM\", which is not a provider id",
            ),
            (
                "{ signatures: 'required', ids: { a: 'vllm' } }",
                "expected opening bracket",
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
            (
                "{ signatures: 'required', minimum: { vllm: '0.2' } }",
                "the minimum of \"vllm\" is \"0.2\", which is no semantic version",
            ),
            (
                "{ signatures: 'required', minimum: { vllm: 'v0.2.0' } }",
                "no semantic version",
            ),
            (
                "{ signatures: 'required', minimum: { vllm: 2 } }",
                "expected string",
            ),
            (
                "{ signatures: 'required', minimum: { vllm: '1.0.0', VLLM: '0.1.0' } }",
                "`minimum` names the provider \"vllm\" twice",
            ),
            (
                "{ signatures: 'required', minimum: { 'vllm*': '1.0.0' } }",
                "which is no provider id",
            ),
            (
                "{ signatures: 'required', minimum: '1.0.0' }",
                "expected opening brace",
            ),
            (
                "{ signatures: 'required', minimums: { vllm: '1.0.0' } }",
                "unknown field `minimums`",
            ),
        ] {
            let text = &text.replace("DIGEST", &"ab".repeat(32));
            let error = parse(text, "trust.json5").unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::InvalidConfig);
            assert!(
                error.message().contains(words) && error.message().contains("trust.json5"),
                "{text}: {error}"
            );
        }
    }
}
