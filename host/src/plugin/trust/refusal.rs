//! Why a policy does not let a file in.

use crate::error::{Error, ErrorKind};

/// Why a file is refused by its [`Trust`](super::Trust). It is the cause of the
/// [`Error`] that tells so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no signature, and one is asked for.
    #[error(
        "the plugin is not signed, and the trust file asks for a signature: get the file's .minisig from where \
         it came from and put it beside it, or pin these bytes under `digests` (sha256 {sha256})"
    )]
    Unsigned {
        /// Of the file.
        sha256: String,
    },
    /// What stands beside the file is no signature.
    #[error("the plugin's signature can't be read ({why}): get the file's .minisig anew")]
    Malformed {
        /// What is wrong with it.
        why: String,
    },
    /// The signature is not of this file, or it was changed.
    #[error(
        "the plugin's signature names the key {key:?} and does not fit: the file, its signature or the signature's \
         comment is not what was signed; do not use it, and get both anew"
    )]
    Mismatch {
        /// The key's name in the policy.
        key: String,
    },
    /// Signed by a key that is not trusted.
    #[error(
        "the plugin is signed by a key that the trust file does not have (key ID {id}): if you know whose it is, \
         add it under `keys`"
    )]
    UnknownKey {
        /// The key's number, as minisign shows it; it proves nothing.
        id: String,
    },
    /// Signed by a key that is revoked.
    #[error(
        "the plugin is signed by the key {name:?}, which is revoked: get one that is signed by another key"
    )]
    RevokedKey {
        /// The key's name in the policy.
        name: String,
    },
    /// These very bytes are revoked.
    #[error("the plugin is revoked ({name:?}): get another version of it")]
    RevokedDigest {
        /// The digest's name in the policy.
        name: String,
    },
    /// The plugin is older than the policy's minimum.
    #[error(
        "the plugin {id} is version {found}, and the trust file asks for at least {minimum}: get a newer version, \
         or lower `minimum` if this one is meant"
    )]
    TooOld {
        /// The provider's id.
        id: String,
        /// The version of the plugin's manifest.
        found: String,
        /// The lowest version that is let in.
        minimum: String,
    },
    /// There is a minimum for the plugin, and its version can't be compared with it.
    #[error(
        "the plugin {id} has the version {found:?}, which is no semantic version (such as 1.2.3), and the trust \
         file asks for at least {minimum}: get a newer version that has one"
    )]
    NoVersion {
        /// The provider's id.
        id: String,
        /// What stands in the manifest, cut to a line.
        found: String,
        /// The lowest version that is let in.
        minimum: String,
    },
    /// There are minimum versions, and the plugin's id is none by the contract.
    #[error(
        "the plugin has the id {id:?}, which is not of letters, digits and hyphens, so that it cannot be told \
         which `minimum` of the trust file applies to it: get a version with a proper id"
    )]
    NotAnId {
        /// What stands in the manifest, cut to a line.
        id: String,
    },
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(ErrorKind::UntrustedPlugin, refusal.to_string()).caused_by(refusal)
    }
}
