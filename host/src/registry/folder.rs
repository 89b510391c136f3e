//! Components in a folder, the newest first.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::stage::{Refusal, Stage};
use super::version;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::plugin;

/// Most components of a folder. Each is read, one after the other.
pub(super) const MOST_FILES: usize = 1_000;

/// A file that says it is a provider.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) version: String,
    pub(super) digest: String,
    modified: Option<SystemTime>,
}

/// The components of a provider in a folder, by version, and by their time where that is the same. What can't be read is
/// passed over: a folder has other things in it, too, and files that are being written.
pub(super) fn candidates(
    folder: &Path,
    provider: &str,
    engine: &Engine,
) -> Result<Vec<Found>, Refusal> {
    let refused = |error: std::io::Error| {
        let why = format!("could not read the folder {}: {error}", folder.display());
        Refusal::new(
            Stage::Read,
            Error::new(ErrorKind::InvalidPlugin, why).caused_by(error),
        )
    };
    let mut found = Vec::new();
    let mut files = 0;
    for entry in std::fs::read_dir(folder).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        if !is_component(&path) {
            continue;
        }
        files += 1;
        if files > MOST_FILES {
            let folder = folder.display();
            let why = format!(
                "the folder {folder} has more than {MOST_FILES} files *.wasm; none of them is looked at"
            );
            return Err(Refusal::told(Stage::Read, why));
        }
        let inspected = plugin::read(&path).and_then(|bytes| plugin::inspected(engine, &bytes));
        match inspected {
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a file of the folder is passed over");
            }
            Ok(inspection) => {
                let manifest = inspection.manifest.filter(|one| one.id == provider);
                found.extend(manifest.map(|manifest| Found {
                    modified: path.metadata().and_then(|about| about.modified()).ok(),
                    path,
                    version: manifest.version,
                    digest: inspection.sha256,
                }));
            }
        }
    }
    if found.is_empty() {
        return Err(Refusal::told(
            Stage::Read,
            format!(
                "the folder {} has no file *.wasm that is a plugin for the provider {provider:?}",
                folder.display()
            ),
        ));
    }
    found.sort_by(|one, other| {
        let newer = version::precedence(&other.version, &one.version);
        newer.then_with(|| other.modified.cmp(&one.modified))
    });
    Ok(found)
}

/// Whether a file's name is that of a component. Names that begin with a dot are those of files in the making.
pub(super) fn is_component(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden
        && path
            .extension()
            .is_some_and(|extension| extension == "wasm")
}
