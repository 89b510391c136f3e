//! Reads a plugin file: once, no more of it than a plugin may have, and only if
//! it is a file.
//!
//! What is read here is what is inspected, verified, compiled and named by its
//! digest. Nothing looks at the path again, so that a file that is replaced
//! meanwhile changes nothing.

use std::path::Path;

use super::MAX_PLUGIN_SIZE;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{self, FileError, Links};
use crate::shortage;

/// Reads a plugin file.
///
/// # Errors
///
/// [`ErrorKind::Overloaded`] if this process or machine has no descriptor or memory left;
/// [`ErrorKind::InvalidPlugin`] if it can't be read, is no regular file (a pipe
/// or a device could hold up the host for ever), or is larger than
/// [`MAX_PLUGIN_SIZE`].
pub fn read(path: &Path) -> Result<Vec<u8>> {
    file::read(path, MAX_PLUGIN_SIZE, Links::Followed).map_err(|error| {
        failed(
            ErrorKind::InvalidPlugin,
            format!("could not read the plugin {}: {error}", path.display()),
            error,
        )
    })
}

/// An error about a file, with the system's own as its cause.
pub(super) fn failed(kind: ErrorKind, message: String, cause: FileError) -> Error {
    match cause {
        FileError::Io(cause) => shortage::error(kind, message, cause),
        _ => Error::new(kind, message),
    }
}

/// Who may be able to read a file of the host's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Everybody: what it holds is no secret.
    Any,
    /// This user only, and the file is this user's.
    Owner,
}

/// The bytes of a file that the host wrote: a regular file and no link, of at
/// most `most` bytes.
pub(super) fn own(path: &Path, most: u64, readers: Readers) -> std::io::Result<Vec<u8>> {
    let (file, metadata) = file::open(path, Links::Refused).map_err(FileError::into_io)?;
    #[cfg(unix)]
    if readers == Readers::Owner {
        use std::os::unix::fs::MetadataExt as _;
        let refused = |why| {
            Err(std::io::Error::new(
                std::io::ErrorKind::PermissionDenied,
                why,
            ))
        };
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return refused("it belongs to another user");
        }
        if metadata.mode() & 0o077 != 0 {
            return refused("it is readable by others");
        }
    }
    #[cfg(not(unix))]
    let _ = readers;
    file::read_open(file, &metadata, most).map_err(FileError::into_io)
}
