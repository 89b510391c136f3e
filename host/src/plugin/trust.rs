//! Whose plugins are loaded.
//!
//! The sandbox bounds what a plugin can reach, not what it says: it sees the
//! conversation and writes the answer. So a user can ask for more than a
//! well-formed file: a signature by a key that is pinned here, or these very
//! bytes. Signatures are detached, made by `minisign` or `rsign2` and stand
//! beside the file as `FILE.minisig`; they are verified over the bytes that are
//! loaded then.
//!
//! ```
//! use provider_host::plugin::trust::{Signatures, Trust};
//!
//! let trust = Trust::new(Signatures::Required)
//!     .with_key("alice", "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3")?;
//! let refused = trust.judge(b"\0asm", None).unwrap_err();
//! assert_eq!(refused.kind_name(), "untrusted-plugin");
//! # Ok::<(), provider_host::Error>(())
//! ```
//!
//! What is revoked, or older than a minimum version, stays out whatever else speaks for it. Whoever can write the
//! user's configuration can write this policy too: it is of no use against them.

mod document;
mod minimum;
mod refusal;
mod signature;

use std::fmt;
use std::path::{Path, PathBuf};

use minisign_verify::PublicKey;
use sha2::{Digest as _, Sha256};

pub use self::refusal::Refusal;
pub use self::signature::{MAX_SIGNATURE_SIZE, claimed_key, signature_beside, signature_path};

use self::minimum::Minimum;
use self::signature::Detached;
use super::inspect::hex;
use crate::error::{Error, ErrorKind, Result};
use crate::folders::UserFolders;

/// What is asked of a file without a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Signatures {
    /// It is refused, unless its digest is pinned.
    Required,
    /// It is loaded. A signature that is there must still be good.
    Optional,
}

/// Who vouches for plugin files, and which are not to be loaded any more.
#[derive(Debug, Clone)]
pub struct Trust {
    signatures: Signatures,
    keys: Vec<Named<PublicKey>>,
    digests: Vec<Named<String>>,
    revoked_keys: Vec<Named<PublicKey>>,
    revoked_digests: Vec<Named<String>>,
    minimum: Vec<Minimum>,
    ids: Vec<Named<Vec<String>>>,
}

#[derive(Debug, Clone)]
struct Named<T> {
    name: String,
    what: T,
}

/// Why a file is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// Signed by a pinned key.
    Signed {
        /// The key's name in the policy.
        key: String,
        /// The signature's trusted comment: the signer's words.
        comment: String,
    },
    /// Its digest is pinned.
    Pinned {
        /// The digest's name in the policy.
        name: String,
    },
    /// Nobody vouches for it, and nobody has to.
    Unsigned,
}

impl fmt::Display for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed { key, comment } => {
                write!(formatter, "signed by {key:?}, who says {comment:?}")
            }
            Self::Pinned { name } => write!(formatter, "pinned by its digest as {name:?}"),
            Self::Unsigned => formatter.write_str("not signed, and no signature is asked for"),
        }
    }
}

impl Trust {
    /// A policy without keys and digests.
    #[must_use]
    pub fn new(signatures: Signatures) -> Self {
        Self {
            signatures,
            keys: Vec::new(),
            digests: Vec::new(),
            revoked_keys: Vec::new(),
            revoked_digests: Vec::new(),
            minimum: Vec::new(),
            ids: Vec::new(),
        }
    }

    /// Trusts what is signed by a key: the second line of `minisign.pub`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] if it is no key.
    pub fn with_key(mut self, name: impl Into<String>, key: &str) -> Result<Self> {
        self.keys.push(named_key(name.into(), key)?);
        Ok(self)
    }

    /// Trusts one file, signed or not, by its SHA-256 in hex.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] if it is no digest.
    pub fn with_digest(mut self, name: impl Into<String>, sha256: &str) -> Result<Self> {
        self.digests.push(named_digest(name.into(), sha256)?);
        Ok(self)
    }

    /// Refuses what is signed by a key, though it may be trusted elsewhere.
    ///
    /// # Errors
    ///
    /// As [`Trust::with_key`].
    pub fn with_revoked_key(mut self, name: impl Into<String>, key: &str) -> Result<Self> {
        self.revoked_keys.push(named_key(name.into(), key)?);
        Ok(self)
    }

    /// Refuses one file whoever signed it; the plugin built with this host too.
    ///
    /// # Errors
    ///
    /// As [`Trust::with_digest`].
    pub fn with_revoked_digest(mut self, name: impl Into<String>, sha256: &str) -> Result<Self> {
        self.revoked_digests
            .push(named_digest(name.into(), sha256)?);
        Ok(self)
    }

    /// Refuses a provider's plugins below a version, whoever signed them; the plugin built with
    /// this host too. `id` is the manifest's, in any case; `version` is a semantic version, and
    /// they are ordered by its precedence: a pre-release is below its release, and build metadata
    /// make no difference. A plugin whose version is no semantic one is refused. Like a
    /// revocation, a minimum goes before a pinned digest.
    ///
    /// An id is the signer's to choose: a plugin that was signed under another id is another
    /// provider, which gets other settings and another key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] if the id or the version is none, or the id has a minimum.
    pub fn with_minimum(mut self, id: &str, version: &str) -> Result<Self> {
        let new = Minimum::new(id, version)?;
        if self.minimum.iter().any(|one| one.id() == new.id()) {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!("`minimum` names the provider {:?} twice", new.id()),
            ));
        }
        self.minimum.push(new);
        Ok(self)
    }

    /// Approves what the key or digest `name` vouches for as the providers `ids`: such a plugin may
    /// use the key profiles stored for its id, and may be `vllm` in place of the built-in plugin
    /// ([`Plugin::with_approved_id`](crate::Plugin::with_approved_id)).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] if the policy has neither a key nor a digest of that name, the
    /// name has ids already, or an id is not of `a-z`, `0-9` and `-`.
    pub fn with_ids<I>(mut self, name: impl Into<String>, ids: I) -> Result<Self>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let invalid = |why: String| Error::new(ErrorKind::InvalidConfig, why);
        let name = name.into();
        let ids: Vec<String> = ids.into_iter().map(Into::into).collect();
        let mut known = self.keys.iter().map(|key| &key.name);
        if !known.any(|known| *known == name) && !self.digests.iter().any(|one| one.name == name) {
            return Err(invalid(format!(
                "`ids` names {name:?}, and there is neither a key nor a digest of that name"
            )));
        }
        if self.ids.iter().any(|one| one.name == name) {
            return Err(invalid(format!("`ids` names {name:?} twice")));
        }
        if let Some(id) = ids.iter().find(|id| super::check_id(id).is_err()) {
            return Err(invalid(format!(
                "`ids` of {name:?} has {id:?}, which is not a provider id: an id is made of a-z, \
                 0-9 and -"
            )));
        }
        self.ids.push(Named { name, what: ids });
        Ok(self)
    }

    /// Whether the policy approves a file that it lets in by `standing` as the provider `id`.
    #[must_use]
    pub fn approves_id(&self, standing: &Standing, id: &str) -> bool {
        let by = match standing {
            Standing::Signed { key, .. } => key,
            Standing::Pinned { name } => name,
            Standing::Unsigned => return false,
        };
        let ids = self.ids.iter().find(|ids| ids.name == *by);
        ids.is_some_and(|ids| ids.what.iter().any(|one| one == id))
    }

    /// Reads a policy: JSON5, with no word in it that is not known. `origin` is
    /// named in errors.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`], with the place.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        document::parse(text, origin)
    }

    /// Reads a policy's file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] if it can't be read, or as [`Trust::parse`].
    pub fn from_file(path: &Path) -> Result<Self> {
        document::read(path)
    }

    /// Where a user's policy stands: `trust.json5` in [`UserFolders::configuration`]. None: there
    /// is no file there, which is certain.
    ///
    /// A file that is there and can't be reached (a link that leads nowhere, a folder that can't be
    /// searched, a path component that is no folder) is given back as found, so that
    /// [`Trust::from_file`] refuses it and says why.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] if the place is not known, or lies in a home that does not
    /// exist: then nobody can tell whether there is a policy, and no plugin may be loaded.
    pub fn locate(folders: &UserFolders) -> Result<Option<PathBuf>> {
        document::locate(folders)
    }

    /// Reads a file that the policy lets in, and the signature beside it. The bytes
    /// are those that were judged.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPlugin`] if it can't be read, and as [`Trust::judge`].
    pub fn read(&self, path: &Path) -> Result<(Vec<u8>, Standing)> {
        let bytes = super::read(path)?;
        let standing = signature_beside(path)
            .and_then(|signature| self.judge(&bytes, signature.as_deref()))
            .map_err(|error| super::named(path, error))?;
        Ok((bytes, standing))
    }

    /// Judges a file by its bytes and what stands beside it. What is loaded
    /// afterwards has to be the same bytes. Nothing of it is compiled or run.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UntrustedPlugin`], with a [`Refusal`] as its cause;
    /// [`ErrorKind::InvalidPlugin`] if there are minimum versions and the bytes are no component
    /// with a manifest.
    pub fn judge(&self, bytes: &[u8], signature: Option<&[u8]>) -> Result<Standing> {
        let standing = self.standing(bytes, signature)?;
        minimum::check(&self.minimum, bytes)?;
        Ok(standing)
    }

    /// Judges the plugin that is built into the host. It is part of the host and needs no
    /// signature; a revoked digest and a minimum version speak against it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UntrustedPlugin`] if the digest is revoked or the version below its minimum.
    pub fn judge_built_in(&self, bytes: &[u8]) -> Result<()> {
        self.check_revoked(&digest(bytes))?;
        minimum::check(&self.minimum, bytes)
    }

    fn check_revoked(&self, digest: &str) -> Result<(), Refusal> {
        match find(&self.revoked_digests, digest) {
            Some(name) => Err(Refusal::RevokedDigest {
                name: name.to_owned(),
            }),
            None => Ok(()),
        }
    }

    fn standing(&self, bytes: &[u8], signature: Option<&[u8]>) -> Result<Standing, Refusal> {
        let digest = digest(bytes);
        self.check_revoked(&digest)?;
        let signature = signature.map(Detached::parse).transpose()?;
        // A key that was lost signs for whoever has it: it is looked at first,
        // and speaks against a file whatever else speaks for it.
        if let Some(signature) = &signature
            && let Some(key) = self
                .revoked_keys
                .iter()
                .find(|key| signature.verifies(bytes, &key.what))
        {
            return Err(Refusal::RevokedKey {
                name: key.name.clone(),
            });
        }
        if let Some(name) = find(&self.digests, &digest) {
            return Ok(Standing::Pinned {
                name: name.to_owned(),
            });
        }
        let Some(signature) = signature else {
            return match self.signatures {
                Signatures::Optional => Ok(Standing::Unsigned),
                Signatures::Required => Err(Refusal::Unsigned { sha256: digest }),
            };
        };
        if let Some(key) = self
            .keys
            .iter()
            .find(|key| signature.verifies(bytes, &key.what))
        {
            return Ok(Standing::Signed {
                key: key.name.clone(),
                comment: signature.comment().to_owned(),
            });
        }
        // The number of a key is no proof, but it tells the two apart for people.
        Err(
            match self.keys.iter().find(|key| signature.names(&key.what)) {
                Some(key) => Refusal::Mismatch {
                    key: key.name.clone(),
                },
                None => Refusal::UnknownKey {
                    id: signature.key_id(),
                },
            },
        )
    }
}

fn find<'a>(digests: &'a [Named<String>], digest: &str) -> Option<&'a str> {
    let found = digests.iter().find(|one| one.what == digest)?;
    Some(&found.name)
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn named_key(name: String, key: &str) -> Result<Named<PublicKey>> {
    match PublicKey::from_base64(key.trim()) {
        Ok(what) => Ok(Named { name, what }),
        Err(_) => Err(Error::new(
            ErrorKind::InvalidConfig,
            format!(
                "the key {name:?} is no minisign public key: it is the second line of minisign.pub and begins \
                 with RW"
            ),
        )),
    }
}

fn named_digest(name: String, sha256: &str) -> Result<Named<String>> {
    let what = sha256.trim().to_ascii_lowercase();
    if what.len() == 64 && what.bytes().all(|one| one.is_ascii_hexdigit()) {
        return Ok(Named { name, what });
    }
    Err(Error::new(
        ErrorKind::InvalidConfig,
        format!(
            "the digest {name:?} is no SHA-256: it has 64 hexadecimal digits, as `provider-host plugin inspect` \
             shows them"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by minisign's own library: two keys, and the first one's signature.
    const FIRST: &str = "RWSmOpEpBKWGguf7DfHd0fet6O+pd3NTHQ01tI6h/+6Dkl2dvlvVqHH2";
    const SECOND: &str = "RWQ45iQ6qonCfnwFuqwKFECoKeU7tr6CFwPETM0Dt9fyJMJ1AFoKGOy4";
    const SIGNED: &[u8] = b"\0asm what was signed";
    const SIGNATURE: &str = "\
untrusted comment: signature from minisign secret key
RUSmOpEpBKWGginM4OiEQKZeLmvYHYsNqy8kTHWzt3OTZEgN2FBrfFEQrAQBewEG3L5QCgAMzNi/lLSwUVfqQtBetnknp254jwE=
trusted comment: timestamp:1764000000\tfile:p.wasm
cZtzegLngNIAKavqftIRwctgL/tJ8IXGsp7PNWve7emZa6DcmnB+L1DIYSTIUr4l420s7TpT7s5Ab1BBCOHbBA==
";

    fn trusting(key: &str) -> Trust {
        Trust::new(Signatures::Required)
            .with_key("them", key)
            .expect("a key")
    }

    #[test]
    fn what_minisign_signed_is_trusted_and_no_byte_of_it_may_differ() {
        let judge = |bytes: &[u8], signature: &str| {
            trusting(FIRST).standing(bytes, Some(signature.as_bytes()))
        };
        let signed = Standing::Signed {
            key: "them".into(),
            comment: "timestamp:1764000000\tfile:p.wasm".into(),
        };
        assert_eq!(judge(SIGNED, SIGNATURE), Ok(signed.clone()));
        // As it comes from a checkout on Windows.
        assert_eq!(judge(SIGNED, &SIGNATURE.replace('\n', "\r\n")), Ok(signed));
        for at in 0..SIGNED.len() {
            let mut bytes = SIGNED.to_vec();
            bytes[at] ^= 1;
            let refused = Err(Refusal::Mismatch { key: "them".into() });
            assert_eq!(judge(&bytes, SIGNATURE), refused, "byte {at}");
        }
        // The first line is a comment that nobody signs.
        let begin = SIGNATURE.find('\n').expect("a line") + 1;
        for at in begin..SIGNATURE.len() - 1 {
            let mut text = SIGNATURE.as_bytes().to_vec();
            text[at] = if text[at] == b'B' { b'C' } else { b'B' };
            let text = String::from_utf8(text).expect("text");
            // The last character of a line has bits that count for nothing.
            if let Ok(standing) = judge(SIGNED, &text) {
                panic!("{at}: {standing:?} by {text}");
            }
            let cut = judge(SIGNED, &SIGNATURE[..at]);
            assert!(cut.is_err(), "cut at {at}: {cut:?}");
        }
    }

    #[test]
    fn a_strangers_signature_is_named_by_the_number_that_minisign_shows() {
        let id = String::from("8286A50429913AA6");
        assert_eq!(
            trusting(SECOND).standing(SIGNED, Some(SIGNATURE.as_bytes())),
            Err(Refusal::UnknownKey { id: id.clone() })
        );
        assert_eq!(claimed_key(SIGNATURE.as_bytes()), Ok(id));
    }
}
