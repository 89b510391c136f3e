//! What a file is known by, without reading it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Source;
use crate::registry::folder::{MOST_FILES, is_component};

/// The files of a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stamps(BTreeMap<PathBuf, Stamp>);

/// A file that was replaced or written to has another one. The time of its last change of any kind is part of it: copying
/// tools set back the time of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    identity: (u64, u64, i64, i64),
    /// Of the signature beside it, which may come later than the file.
    signature: Option<Box<Stamp>>,
}

impl Stamps {
    pub(super) fn of(source: &Source) -> Self {
        let files = match source {
            Source::File(path) => vec![path.clone()],
            Source::Directory(folder) => components(folder),
        };
        let stamped = |path: PathBuf| {
            let mut stamp = Stamp::of(&path)?;
            stamp.signature = signature(&path).map(Box::new);
            Some((path, stamp))
        };
        Self(files.into_iter().filter_map(stamped).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The files that were not there before, or were others.
    pub(super) fn since(&self, before: Option<&Self>) -> Vec<PathBuf> {
        let new = |(path, stamp): &(&PathBuf, &Stamp)| {
            before.is_none_or(|before| before.0.get(*path) != Some(*stamp))
        };
        let files = self.0.iter().filter(new);
        files.map(|(path, _)| path.clone()).collect()
    }
}

impl Stamp {
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

fn components(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    // One more than are taken, so that a folder with too many of them is offered and refused.
    paths
        .filter(|path| is_component(path))
        .take(MOST_FILES + 1)
        .collect()
}
