//! A folder whose content another may have written.
//!
//! On Unix each name is opened relative to the folder's descriptor and without following a link, so
//! that no link leads out of the folder, also one that is put there while it is read. Elsewhere the
//! names are joined to the folder's path, and links are refused by their metadata.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::FileError;
#[cfg(not(unix))]
use super::Links;

/// Most names that are read of one folder.
const MOST_ENTRIES: usize = 100_000;

/// An opened folder.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    #[cfg(unix)]
    descriptor: rustix::fd::OwnedFd,
}

/// What stands in a folder under a name.
#[derive(Debug)]
pub(crate) enum Entry {
    Folder(Folder),
    /// Anything that is neither a folder nor a link.
    Other,
}

#[cfg(unix)]
impl Folder {
    /// Opens a folder that the user named: a link to it is followed.
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        Self::opened(rustix::fs::CWD, path.as_os_str(), path.to_owned(), false)
    }

    fn opened(
        at: impl rustix::fd::AsFd,
        name: &OsStr,
        path: PathBuf,
        refuse_links: bool,
    ) -> Result<Self, FileError> {
        use rustix::fs::{Mode, OFlags, openat};

        let mut flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        if refuse_links {
            flags |= OFlags::NOFOLLOW;
        }
        let descriptor = openat(at, name, flags, Mode::empty()).map_err(io::Error::from)?;
        Ok(Self { path, descriptor })
    }

    /// The names in the folder, in their order.
    pub(crate) fn names(&self) -> Result<Vec<OsString>, FileError> {
        use std::os::unix::ffi::OsStrExt as _;

        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.descriptor).map_err(io::Error::from)? {
            let entry = entry.map_err(io::Error::from)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                push(&mut names, OsStr::from_bytes(name).to_owned())?;
            }
        }
        names.sort();
        Ok(names)
    }

    /// What stands under a name of this folder.
    ///
    /// # Errors
    ///
    /// [`FileError::Link`] for a link, wherever it leads.
    pub(crate) fn entry(&self, name: &OsStr) -> Result<Entry, FileError> {
        use rustix::fs::{AtFlags, FileType, statat};

        let stat = statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(io::Error::from)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => Err(FileError::Link),
            FileType::Directory => {
                let path = self.path.join(name);
                Self::opened(&self.descriptor, name, path, true).map(Entry::Folder)
            }
            _ => Ok(Entry::Other),
        }
    }

    /// Reads a regular file of this folder, of at most `most` bytes; none: there is no such name.
    pub(crate) fn read(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, FileError> {
        use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat};
        use rustix::io::Errno;

        // A pipe or a device is not opened at all: that has effects of its own.
        match statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(FileError::Io(error.into())),
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {}
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                return Err(FileError::Link);
            }
            Ok(stat) => {
                return Err(FileError::NotRegular {
                    what: kind(FileType::from_raw_mode(stat.st_mode)),
                });
            }
        }
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(&self.descriptor, name, flags, Mode::empty()) {
            Ok(descriptor) => std::fs::File::from(descriptor),
            Err(Errno::LOOP) => return Err(FileError::Link),
            Err(error) => return Err(FileError::Io(error.into())),
        };
        let metadata = file.metadata()?;
        super::check_regular(&metadata.file_type())?;
        super::read_open(file, &metadata, most).map(Some)
    }
}

/// What a name stands for, in the words of [`super::kind`].
#[cfg(unix)]
fn kind(file_type: rustix::fs::FileType) -> &'static str {
    use rustix::fs::FileType;
    match file_type {
        FileType::Fifo => "a pipe",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Socket => "a socket",
        FileType::Directory => "a directory",
        _ => "no regular file",
    }
}

#[cfg(not(unix))]
impl Folder {
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        if !path.metadata()?.is_dir() {
            return Err(FileError::Io(io::ErrorKind::NotADirectory.into()));
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }

    pub(crate) fn names(&self) -> Result<Vec<OsString>, FileError> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            push(&mut names, entry?.file_name())?;
        }
        names.sort();
        Ok(names)
    }

    pub(crate) fn entry(&self, name: &OsStr) -> Result<Entry, FileError> {
        let path = self.path.join(name);
        let file_type = path.symlink_metadata()?.file_type();
        if file_type.is_symlink() {
            return Err(FileError::Link);
        }
        Ok(match file_type.is_dir() {
            true => Entry::Folder(Self { path }),
            false => Entry::Other,
        })
    }

    pub(crate) fn read(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, FileError> {
        match super::read(&self.path.join(name), most, Links::Refused) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Folder {
    /// Where the folder was when it was opened, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn push(names: &mut Vec<OsString>, name: OsString) -> Result<(), FileError> {
    if names.len() == MOST_ENTRIES {
        return Err(FileError::Io(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the folder has more than {MOST_ENTRIES} names"),
        )));
    }
    names.push(name);
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_that_is_replaced_while_it_is_read_stays_the_one_that_was_opened() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        for folder in ["outer", "outer/inner", "secret"] {
            std::fs::create_dir(path(folder)).unwrap();
        }
        std::fs::write(path("outer/inner/f"), "mine").unwrap();
        std::fs::write(path("secret/f"), "secret").unwrap();
        let outer = Folder::open(&path("outer")).unwrap();
        let Entry::Folder(inner) = outer.entry("inner".as_ref()).unwrap() else {
            panic!("it is a folder");
        };
        std::fs::rename(path("outer/inner"), path("outer/moved")).unwrap();
        symlink("../secret", path("outer/inner")).unwrap();
        assert_eq!(inner.read("f", 10).unwrap().unwrap(), b"mine");
        assert!(matches!(
            outer.entry("inner".as_ref()),
            Err(FileError::Link)
        ));
        // The name was judged as a folder, and is a link when it is opened.
        let replaced = Folder::opened(
            &outer.descriptor,
            "inner".as_ref(),
            path("outer/inner"),
            true,
        );
        assert!(matches!(replaced, Err(FileError::Io(_))), "{replaced:?}");
    }

    #[test]
    fn a_file_of_a_folder_is_read_within_its_bound_and_absent_only_where_there_is_none() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("f"), "12345").unwrap();
        symlink("nowhere", place.path().join("link")).unwrap();
        let folder = Folder::open(place.path()).unwrap();
        assert_eq!(folder.names().unwrap(), ["f", "link"]);
        assert_eq!(folder.read("f", 5).unwrap().unwrap(), b"12345");
        assert!(matches!(
            folder.read("f", 4),
            Err(FileError::TooLarge { found: 5, most: 4 })
        ));
        assert!(folder.read("none", 5).unwrap().is_none());
        assert!(matches!(folder.read("link", 5), Err(FileError::Link)));
    }
}
