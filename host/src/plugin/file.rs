//! Reads a plugin file: once, no more of it than a plugin may have, and only if
//! it is a file.
//!
//! What is read here is what is inspected, verified, compiled and named by its
//! digest. Nothing looks at the path again, so that a file that is replaced
//! meanwhile changes nothing.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::MAX_PLUGIN_SIZE;
use crate::error::{Error, ErrorKind, Result};

/// Reads a plugin file.
///
/// # Errors
///
/// [`ErrorKind::InvalidPlugin`] if it can't be read, is no regular file (a pipe
/// or a device could hold up the host for ever), or is larger than
/// [`MAX_PLUGIN_SIZE`].
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |why: String| {
        Error::new(
            ErrorKind::InvalidPlugin,
            format!("could not read the plugin {}: {why}", path.display()),
        )
    };
    match regular(path, MAX_PLUGIN_SIZE) {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(why)) => Err(failed(why)),
        Err(error) => Err(failed(error.to_string()).caused_by(error)),
    }
}

/// The bytes of a regular file of at most `most` bytes; the inner error says
/// why it is none.
pub(super) fn regular(path: &Path, most: u64) -> std::io::Result<Result<Vec<u8>, String>> {
    let file = open(path, Links::Followed)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Err(format!(
            "it is {}, not a file",
            kind(&metadata.file_type())
        )));
    }
    if metadata.len() > most {
        return Ok(Err(format!(
            "it has {} bytes; at most {most} are read",
            metadata.len()
        )));
    }
    let mut bytes = Vec::new();
    // A file can grow after it was measured.
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Ok(Err(format!(
            "it has more than {most} bytes, which is the most that is read"
        )));
    }
    Ok(Ok(bytes))
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
    let refused = |why| {
        Err(std::io::Error::new(
            std::io::ErrorKind::PermissionDenied,
            why,
        ))
    };
    let file = open(path, Links::Refused)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return refused("it is no regular file");
    }
    if metadata.len() > most {
        return refused("it is too large");
    }
    #[cfg(unix)]
    if readers == Readers::Owner {
        use std::os::unix::fs::MetadataExt as _;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return refused("it belongs to another user");
        }
        if metadata.mode() & 0o077 != 0 {
            return refused("it is readable by others");
        }
    }
    #[cfg(not(unix))]
    let _ = readers;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return refused("it is too large");
    }
    Ok(bytes)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Links {
    Followed,
    Refused,
}

/// Opens without waiting: a pipe that nobody writes to would block.
#[cfg(unix)]
fn open(path: &Path, links: Links) -> std::io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    if links == Links::Refused {
        flags |= OFlags::NOFOLLOW;
    }
    File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

#[cfg(not(unix))]
fn open(path: &Path, links: Links) -> std::io::Result<File> {
    if links == Links::Refused && path.symlink_metadata()?.is_symlink() {
        return Err(std::io::ErrorKind::PermissionDenied.into());
    }
    File::open(path)
}

fn kind(file_type: &std::fs::FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if file_type.is_fifo() {
            return "a pipe";
        }
        if file_type.is_char_device() || file_type.is_block_device() {
            return "a device";
        }
        if file_type.is_socket() {
            return "a socket";
        }
    }
    if file_type.is_dir() {
        return "a directory";
    }
    "no regular file"
}
