//! What a file is known by, without reading it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Source;
use crate::registry::folder::{MOST_FILES, is_component};
use crate::shortage;

/// The files of a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stamps(BTreeMap<PathBuf, Stamp>);

/// A file that was replaced or written to has another one. The time of its last change of any kind is part of it: copying
/// tools set back the time of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    identity: (u64, u64, i64, i64),
    /// Of the signature beside it, which may come later than the file.
    signature: Option<Box<Stamp>>,
}

impl Stamps {
    /// What is there. A folder that is not there, or may not be read, has no files.
    ///
    /// # Errors
    ///
    /// This process or machine has no descriptor or memory left to look with.
    pub(super) fn of(source: &Source) -> io::Result<Self> {
        let stamped = |path: PathBuf| {
            let mut stamp = Stamp::of(&path)?;
            stamp.signature = signature(&path).map(Box::new);
            Some((path, stamp))
        };
        match source {
            Source::File(path) => Ok(Self(stamped(path.clone()).into_iter().collect())),
            Source::Directory(folder) => {
                let entries = match std::fs::read_dir(folder) {
                    Err(error) if shortage::is(&error) => return Err(error),
                    entries => entries.into_iter().flatten().flatten(),
                };
                let paths = entries.map(|entry| entry.path());
                let files = paths.filter(|path| is_component(path));
                // One more than are taken, so that a folder with too many of them is refused.
                let stamps = files.filter_map(stamped).take(MOST_FILES + 1);
                Ok(Self(stamps.collect()))
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// There are more files than are looked at.
    pub(super) fn too_many(&self) -> bool {
        self.0.len() > MOST_FILES
    }

    pub(super) fn into_files(self) -> BTreeMap<PathBuf, Stamp> {
        self.0
    }
}

impl Stamp {
    /// Of the signature beside it, if there is one.
    pub(super) fn signature(&self) -> Option<&Self> {
        self.signature.as_deref()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// None: there is no such file, or what stands there is none.
    fn of(path: &Path) -> Option<Self> {
        let about = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
        Some(Self {
            bytes: about.len(),
            modified: about.modified().ok(),
            #[cfg(unix)]
            identity: {
                use std::os::unix::fs::MetadataExt as _;
                (about.dev(), about.ino(), about.ctime(), about.ctime_nsec())
            },
            signature: None,
        })
    }
}

#[cfg(feature = "signatures")]
fn signature(path: &Path) -> Option<Stamp> {
    Stamp::of(&crate::plugin::trust::signature_path(path))
}

#[cfg(not(feature = "signatures"))]
fn signature(_: &Path) -> Option<Stamp> {
    None
}
