//! Where installed releases are kept: `provider-host/real-vllm/<version>` in the user's cache.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::release::Release;

/// Names another folder than the cache.
const VARIABLE: &str = "PROVIDER_REAL_VLLM";

/// The folder of one release, and that of all of them.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    base: PathBuf,
    version: &'static str,
}

impl Folder {
    /// The folder of `release`, created if it is not there.
    ///
    /// # Errors
    /// No folder is known, or it can't be created.
    pub(crate) fn of(release: &Release) -> Result<Self> {
        let folder = Self {
            base: base()?,
            version: release.version,
        };
        std::fs::create_dir_all(folder.release())
            .with_context(|| format!("creating {}", folder.release().display()))?;
        Ok(folder)
    }

    /// What the releases share.
    pub(crate) fn base(&self) -> PathBuf {
        self.base.clone()
    }

    pub(crate) fn release(&self) -> PathBuf {
        self.base.join(self.version)
    }

    /// The virtual environment with vLLM in it.
    pub(crate) fn venv(&self) -> PathBuf {
        self.release().join("venv")
    }

    pub(crate) fn python(&self) -> PathBuf {
        self.venv().join("bin").join("python")
    }

    pub(crate) fn vllm(&self) -> PathBuf {
        self.venv().join("bin").join("vllm")
    }

    /// The model as this release reads it.
    pub(crate) fn model(&self) -> PathBuf {
        self.release().join("model")
    }

    /// What a server of this profile writes.
    pub(crate) fn log(&self, profile: &str) -> PathBuf {
        self.release().join(format!("{profile}.log"))
    }
}

fn base() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) {
        let named = PathBuf::from(named);
        ensure!(
            named.is_absolute(),
            "{VARIABLE} must be an absolute path, and is {}",
            named.display()
        );
        return Ok(named);
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    let cache = cache.with_context(|| {
        format!("neither XDG_CACHE_HOME nor a home folder to install into; set {VARIABLE}")
    })?;
    Ok(cache.join("provider-host").join("real-vllm"))
}
