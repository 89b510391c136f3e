//! Components in a folder, the newest first.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::stage::{Refusal, Stage};
use super::version;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::{plugin, shortage};

/// Most components of a folder. Each is read, one after the other.
pub(super) const MOST_FILES: usize = 1_000;

/// What a file holds, as far as it was read.
#[derive(Debug, Clone)]
pub(super) struct FileContent {
    /// SHA-256 of the bytes in lower-case hex; of what could not be read, why.
    pub(super) digest: Arc<str>,
    /// The provider that it says it is, and its version; or what is wrong with it.
    pub(super) plugin: Result<(String, String), Arc<Error>>,
    pub(super) modified: Option<SystemTime>,
}

impl FileContent {
    /// Reads and inspects a file.
    pub(super) fn of(path: &Path, engine: &Engine) -> Self {
        let modified = path.metadata().and_then(|about| about.modified()).ok();
        let (digest, plugin) = match plugin::read(path) {
            Err(error) => (error.to_string(), Err(error)),
            Ok(bytes) => match plugin::inspected(engine, &bytes) {
                Err(error) => (plugin::digest(&bytes), Err(error)),
                Ok(inspection) => {
                    let manifest = inspection.manifest.ok_or_else(plugin::no_manifest);
                    let named = manifest.map(|manifest| (manifest.id, manifest.version));
                    (inspection.sha256, named)
                }
            },
        };
        Self {
            digest: digest.into(),
            plugin: plugin.map_err(Arc::new),
            modified,
        }
    }

    /// Why it could not be read, if this process or machine has used up something. That says nothing
    /// about the file.
    pub(super) fn shortage(&self) -> Option<&Arc<Error>> {
        let error = self.plugin.as_ref().err();
        error.filter(|error| *error.kind() == ErrorKind::Overloaded)
    }

    /// The version, if it is a plugin for the provider.
    pub(super) fn version_of(&self, provider: &str) -> Option<&str> {
        let (id, version) = self.plugin.as_ref().ok()?;
        (id == provider).then_some(version)
    }
}

/// A file that says it is a provider.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) version: String,
    pub(super) digest: Arc<str>,
    modified: Option<SystemTime>,
}

impl Found {
    /// None: the content is no plugin for the provider.
    pub(super) fn new(path: &Path, content: &FileContent, provider: &str) -> Option<Self> {
        Some(Self {
            path: path.to_owned(),
            version: content.version_of(provider)?.to_owned(),
            digest: content.digest.clone(),
            modified: content.modified,
        })
    }
}

/// By version, the newest first, and by time where that is the same.
pub(super) fn sort(found: &mut [Found]) {
    found.sort_by(|one, other| {
        let newer = version::precedence(&other.version, &one.version);
        newer.then_with(|| other.modified.cmp(&one.modified))
    });
}

/// The components of a provider in a folder, the newest first. What can't be read is passed over: a
/// folder has other things in it, too, and files that are being written. Where this process has no
/// descriptor left, the folder is refused: an older component would be taken for the newest.
pub(super) fn candidates(
    folder: &Path,
    provider: &str,
    engine: &Engine,
) -> Result<Vec<Found>, Refusal> {
    let refused = |error| unreadable(folder, error);
    let mut found = Vec::new();
    let mut files = 0;
    for entry in std::fs::read_dir(folder).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        if !is_component(&path) {
            continue;
        }
        files += 1;
        if files > MOST_FILES {
            return Err(too_many(folder));
        }
        let content = FileContent::of(&path, engine);
        if let Some(error) = content.shortage() {
            return Err(Refusal::shared(Stage::Read, error.clone()));
        }
        if let Err(error) = &content.plugin {
            pass_over(&path, error);
        }
        found.extend(Found::new(&path, &content, provider));
    }
    if found.is_empty() {
        return Err(none(folder, provider));
    }
    sort(&mut found);
    Ok(found)
}

pub(super) fn pass_over(file: &Path, error: &Error) {
    tracing::warn!(file = %file.display(), %error, "a file of the folder is passed over");
}

/// The refusal of a folder that could not be read.
pub(super) fn unreadable(folder: &Path, error: std::io::Error) -> Refusal {
    let why = format!("could not read the folder {}: {error}", folder.display());
    let error = shortage::error(ErrorKind::InvalidPlugin, why, error);
    Refusal::new(Stage::Read, error)
}

/// The refusal of a folder with more files than are looked at.
pub(super) fn too_many(folder: &Path) -> Refusal {
    let folder = folder.display();
    let why = format!(
        "the folder {folder} has more than {MOST_FILES} files *.wasm; none of them is looked at"
    );
    Refusal::told(Stage::Read, why)
}

/// The refusal of a folder without a plugin for the provider.
pub(super) fn none(folder: &Path, provider: &str) -> Refusal {
    let folder = folder.display();
    let why = format!(
        "the folder {folder} has no file *.wasm that is a plugin for the provider {provider:?}"
    );
    Refusal::told(Stage::Read, why)
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
