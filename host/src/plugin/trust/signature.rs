//! A detached signature as minisign writes it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use minisign_verify::{PublicKey, Signature};

use super::refusal::Refusal;
use crate::error::{ErrorKind, Result};
use crate::file::{self, Links};
use crate::plugin::file::failed;

/// Most bytes of a signature's file: 16 KiB. minisign's comments have at most
/// eight.
pub const MAX_SIGNATURE_SIZE: u64 = 16 << 10;

/// Where the signature of a file stands: `FILE.minisig`.
pub fn signature_path(plugin: &Path) -> PathBuf {
    let mut name = OsString::from(plugin);
    name.push(".minisig");
    PathBuf::from(name)
}

/// Reads the signature beside a file; none: there is no such file.
///
/// # Errors
///
/// [`ErrorKind::UntrustedPlugin`] if there is one that can't be read: it could
/// say that the file is not to be loaded.
pub fn signature_beside(plugin: &Path) -> Result<Option<Vec<u8>>> {
    let path = signature_path(plugin);
    if let Err(error) = path.symlink_metadata()
        && error.kind() == std::io::ErrorKind::NotFound
    {
        return Ok(None);
    }
    let read = file::read(&path, MAX_SIGNATURE_SIZE, Links::Followed);
    read.map(Some).map_err(|error| {
        let why = format!("could not read the signature {}: {error}", path.display());
        failed(ErrorKind::UntrustedPlugin, why, error)
    })
}

/// The number of the key that a signature says it is by, as minisign shows it.
/// Nothing is verified by it.
///
/// # Errors
///
/// [`Refusal::Malformed`] if it is no signature.
pub fn claimed_key(signature: &[u8]) -> std::result::Result<String, Refusal> {
    Detached::parse(signature).map(|signature| signature.key_id())
}

/// A signature that was read and not verified.
pub(super) struct Detached {
    signature: Signature,
    key_id: [u8; 8],
}

impl Detached {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let malformed = |why: &str| Refusal::Malformed {
            why: why.to_owned(),
        };
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8 text"))?;
        let no_signature = |_| malformed("it is not what minisign writes");
        let signature = Signature::decode(text).map_err(no_signature)?;
        // The crate keeps the key's number to itself. Two bytes of the algorithm
        // come before it.
        let line = text.lines().nth(1).unwrap_or_default();
        let line = base64::engine::general_purpose::STANDARD
            .decode(line.trim())
            .map_err(|_| malformed("it is not what minisign writes"))?;
        if line.starts_with(b"Ed") {
            return Err(malformed(
                "it is of minisign's old format, which is not taken; sign with minisign 0.11 or newer",
            ));
        }
        let key_id = line.get(2..10).and_then(|id| id.try_into().ok());
        let key_id = key_id.ok_or_else(|| malformed("it is not what minisign writes"))?;
        Ok(Self { signature, key_id })
    }

    /// Whether this key signed these bytes and the signature's comment.
    pub(super) fn verifies(&self, bytes: &[u8], key: &PublicKey) -> bool {
        key.verify(bytes, &self.signature, false).is_ok()
    }

    /// Whether it says that it is by this key.
    pub(super) fn names(&self, key: &PublicKey) -> bool {
        // Verifying looks at the number first.
        !matches!(
            key.verify(&[], &self.signature, false),
            Err(minisign_verify::Error::UnexpectedKeyId)
        )
    }

    /// The trusted comment; to be trusted once a key verifies.
    pub(super) fn comment(&self) -> &str {
        self.signature.trusted_comment()
    }

    /// The number of the key that it says it is by, as minisign shows it.
    pub(super) fn key_id(&self) -> String {
        format!("{:016X}", u64::from_le_bytes(self.key_id))
    }
}
