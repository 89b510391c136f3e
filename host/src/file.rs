//! Reading files that somebody else may have put there.
//!
//! A path can lead to a pipe that nobody writes to, to a device without an end, to a sparse file of
//! terabytes, or through a link to another place. Every file that this crate and its command line
//! read by a path is read here: a regular file, opened without blocking, of at most a stated number
//! of bytes. A file is judged before it is opened (opening a pipe or a device has effects of its
//! own) and once more by its descriptor, because it can be replaced between the two. Its length is
//! held against the bound before it is read, and again while it is read, because a file can grow,
//! and those of `/proc` say that they have no bytes.
//!
//! ```
//! use provider_host::file::{self, Links};
//!
//! let error = file::read("/dev/null".as_ref(), 1 << 20, Links::Followed).unwrap_err();
//! # if cfg!(unix) {
//! assert_eq!(error.to_string(), "it is a device, not a file");
//! # }
//! ```

#[cfg(feature = "mock")]
mod folder;

use std::fs::{File, FileType, Metadata};
use std::io::{self, Read as _};
use std::path::Path;

#[cfg(feature = "mock")]
pub(crate) use self::folder::{Entry, Folder};

/// Whether a path may end in a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// The link is followed: for a path that the user named.
    Followed,
    /// The link is refused: for a file that the program wrote itself, or that lies in a folder
    /// whose content another may have written.
    Refused,
}

/// Why a file is not read. The message is the end of a sentence that names the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system does not open or read it.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is a pipe, a device, a socket or a directory.
    #[error("it is {what}, not a file")]
    NotRegular {
        /// What it is, such as `a pipe`.
        what: &'static str,
    },
    /// It is a symbolic link, and [`Links::Refused`] was asked for.
    #[error("it is a symbolic link, which is not followed here")]
    Link,
    /// It has more bytes than are read. Nothing was kept of it.
    #[error("it has {found} bytes; at most {most} are read")]
    TooLarge {
        /// Its length in bytes, as the system says it.
        found: u64,
        /// The bound, in bytes.
        most: u64,
    },
    /// It has more bytes than are read, though the system said that it has fewer: it grew, or has
    /// no stated length.
    #[error("it has more than {most} bytes, which is the most that is read")]
    Grown {
        /// The bound, in bytes.
        most: u64,
    },
    /// It is not UTF-8 text.
    #[error("it is not UTF-8 text (byte {at})")]
    NotText {
        /// The first byte that is not, counted from 0.
        at: usize,
    },
}

impl FileError {
    /// Whether there is no such file. Any other failure leaves open whether there is one.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// The error as [`std::io::Error`], with the same message.
    #[must_use]
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidInput, other),
        }
    }

    /// What a user who named this file can do about it; empty where the message says all.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NotRegular { what: "a pipe" } => {
                "; pipes, such as <(…) of a shell, are not read: write the content to a file"
            }
            Self::NotRegular { .. } => "; only regular files are read",
            _ => "",
        }
    }
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
///
/// [`FileError`]; memory for more than `most` bytes is never taken.
pub fn read(path: &Path, most: u64, links: Links) -> Result<Vec<u8>, FileError> {
    let (file, metadata) = open(path, links)?;
    read_open(file, &metadata, most)
}

/// Reads a regular file of at most `most` bytes as UTF-8 text.
///
/// # Errors
///
/// As [`read`], and [`FileError::NotText`].
pub fn read_text(path: &Path, most: u64, links: Links) -> Result<String, FileError> {
    let bytes = read(path, most, links)?;
    String::from_utf8(bytes).map_err(|error| FileError::NotText {
        at: error.utf8_error().valid_up_to(),
    })
}

/// Opens a regular file to be read, without blocking. The metadata is that of the opened file.
///
/// # Errors
///
/// [`FileError::Io`], [`FileError::NotRegular`] or [`FileError::Link`]. How much is read of it is
/// the caller's to bound.
pub fn open(path: &Path, links: Links) -> Result<(File, Metadata), FileError> {
    let before = match links {
        Links::Followed => path.metadata()?,
        Links::Refused => path.symlink_metadata()?,
    };
    check_regular(&before.file_type())?;
    let file = open_file(path, links)?;
    let metadata = file.metadata()?;
    check_regular(&metadata.file_type())?;
    Ok((file, metadata))
}

/// Reads what was opened, at most `most` bytes.
pub(crate) fn read_open(file: File, metadata: &Metadata, most: u64) -> Result<Vec<u8>, FileError> {
    let found = metadata.len();
    if found > most {
        return Err(FileError::TooLarge { found, most });
    }
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(FileError::Grown { most });
    }
    Ok(bytes)
}

/// Refuses whatever is not a regular file.
fn check_regular(file_type: &FileType) -> Result<(), FileError> {
    if file_type.is_file() {
        return Ok(());
    }
    if file_type.is_symlink() {
        return Err(FileError::Link);
    }
    Err(FileError::NotRegular {
        what: kind(file_type),
    })
}

/// Opens without blocking: opening a pipe would wait for somebody who writes to it.
#[cfg(unix)]
fn open_file(path: &Path, links: Links) -> Result<File, FileError> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if links == Links::Refused {
        flags |= OFlags::NOFOLLOW;
    }
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    file.map_err(|error| match error.raw_os_error() {
        Some(code) if links == Links::Refused && is_loop(code) => FileError::Link,
        _ => FileError::Io(error),
    })
}

/// Whether an error of the system says that a link was not followed.
#[cfg(unix)]
fn is_loop(code: i32) -> bool {
    code == rustix::io::Errno::LOOP.raw_os_error()
}

#[cfg(not(unix))]
fn open_file(path: &Path, _: Links) -> Result<File, FileError> {
    // Links were judged by their metadata.
    Ok(File::open(path)?)
}

/// What a path leads to, in words.
fn kind(file_type: &FileType) -> &'static str {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound_and_not_a_byte_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5, Links::Followed).unwrap(), b"12345");
        let error = read(&path, 4, Links::Followed).unwrap_err();
        assert_eq!(error.to_string(), "it has 5 bytes; at most 4 are read");
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(3 << 30).unwrap();
        assert!(matches!(
            read(&path, 1 << 20, Links::Followed),
            Err(FileError::TooLarge { found, .. }) if found == 3 << 30
        ));
        std::fs::write(&path, b"ab\xff").unwrap();
        let error = read_text(&path, 5, Links::Followed).unwrap_err();
        assert_eq!(error.to_string(), "it is not UTF-8 text (byte 2)");
        assert!(
            read(&folder.path().join("none"), 1, Links::Followed)
                .unwrap_err()
                .is_absence()
        );
    }

    #[test]
    fn a_file_that_grows_while_it_is_read_is_refused_at_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "1").unwrap();
        let (file, metadata) = open(&path, Links::Followed).unwrap();
        std::fs::write(&path, "123456").unwrap();
        assert!(matches!(
            read_open(file, &metadata, 5),
            Err(FileError::Grown { most: 5 })
        ));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_of_proc_that_says_it_is_empty_is_read_within_its_bound() {
        let path = Path::new("/proc/self/status");
        assert_eq!(path.metadata().unwrap().len(), 0);
        assert!(!read(path, 1 << 20, Links::Followed).unwrap().is_empty());
        assert!(matches!(
            read(path, 10, Links::Followed),
            Err(FileError::Grown { most: 10 })
        ));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_not_a_regular_file_is_named_and_never_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from(0o600)).unwrap();
        let socket = folder.path().join("socket");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, what) in [
            (pipe.as_path(), "a pipe"),
            (socket.as_path(), "a socket"),
            (folder.path(), "a directory"),
            (Path::new("/dev/zero"), "a device"),
        ] {
            for links in [Links::Followed, Links::Refused] {
                let error = read(path, 10, links).unwrap_err().to_string();
                assert_eq!(error, format!("it is {what}, not a file"));
            }
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(path, &link).unwrap();
            let error = read(&link, 10, Links::Followed).unwrap_err().to_string();
            assert_eq!(error, format!("it is {what}, not a file"));
            assert!(matches!(
                read(&link, 10, Links::Refused),
                Err(FileError::Link)
            ));
            std::fs::remove_file(&link).unwrap();
        }
        let link = folder.path().join("itself");
        std::os::unix::fs::symlink(&link, &link).unwrap();
        assert!(matches!(
            read(&link, 10, Links::Followed),
            Err(FileError::Io(_))
        ));
        assert!(matches!(
            open_file(&link, Links::Refused),
            Err(FileError::Link)
        ));
    }
}
