//! A provider plugin: a component that was read, checked and compiled.
//!
//! Loading goes one way: bytes → inspected (nothing runs) → imports held against
//! what this host gives → compiled, or taken from the compile cache by digest →
//! linked. What comes out can be started any number of times, at once, in
//! sandboxes that know nothing of each other.

pub(crate) mod cache;
mod inspect;

use std::path::Path;
use std::sync::Arc;

use wasmtime::component::Component;

pub use self::inspect::{Inspection, MANIFEST_SECTION, MAX_PLUGIN_SIZE, inspect};

use crate::bindings::types;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::sandbox::{self, Linked};

/// The version of the contract that this host speaks, and how far it reads
/// others: any `0.1.x`.
pub const CONTRACT_VERSION: &str = "0.1.0";

/// The `vllm-provider` component built with this host.
#[cfg(feature = "embedded-plugin")]
pub static EMBEDDED: &[u8] = include_bytes!(env!("VLLM_PROVIDER_WASM"));

/// A compiled provider plugin. Cheap to clone; the clones are one plugin.
#[derive(Clone)]
pub struct Plugin {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    linked: Linked,
    manifest: types::Manifest,
    digest: String,
    from_cache: bool,
}

impl Plugin {
    /// Loads the `vllm-provider` built with this host.
    ///
    /// # Errors
    ///
    /// As [`Plugin::from_bytes`].
    #[cfg(feature = "embedded-plugin")]
    pub fn embedded(engine: &Engine) -> Result<Self> {
        Self::from_bytes(engine, EMBEDDED)
    }

    /// Loads a plugin file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPlugin`] if the file can't be read, and as
    /// [`Plugin::from_bytes`].
    pub fn from_file(engine: &Engine, path: &Path) -> Result<Self> {
        let bytes = read(path)?;
        Self::from_bytes(engine, &bytes)
            .map_err(|error| error.map_message(|why| format!("{}: {why}", path.display())))
    }

    /// Loads a plugin from its bytes. Compiling takes long beside a chat, and a
    /// plugin in the compile cache does not need it. Call it off the serving
    /// path.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPlugin`] if it is no component, not of the contract's
    /// world `provider`, imports anything this host does not give, or has no
    /// manifest.
    pub fn from_bytes(engine: &Engine, bytes: &[u8]) -> Result<Self> {
        let invalid = |why: String| Error::new(ErrorKind::InvalidPlugin, why);
        let inspection = inspect(bytes)?;
        check_world(&inspection)?;
        check_imports(&inspection)?;
        let manifest = inspection.manifest.ok_or_else(|| {
            invalid(format!(
                "the plugin has no manifest: its custom section `{MANIFEST_SECTION}` is missing"
            ))
        })?;

        let digest = inspection.sha256;
        let cached = engine
            .cache()
            .and_then(|cache| cache.load(engine.wasmtime(), &digest));
        let from_cache = cached.is_some();
        let component = match cached {
            Some(component) => component,
            None => {
                let component = Component::from_binary(engine.wasmtime(), bytes)
                    .map_err(|error| invalid(format!("the plugin does not compile: {error:#}")))?;
                if let Some(cache) = engine.cache() {
                    cache.store(engine.wasmtime(), &digest, &component);
                }
                component
            }
        };

        let linked = sandbox::link(engine.wasmtime(), &component, &inspection.exports)
            .map_err(|error| invalid(format!("the plugin does not fit the contract: {error:#}")))?;
        Ok(Self {
            inner: Arc::new(Inner {
                engine: engine.clone(),
                linked,
                manifest,
                digest,
                from_cache,
            }),
        })
    }

    /// What the plugin says of itself, from its custom section.
    pub fn manifest(&self) -> &types::Manifest {
        &self.inner.manifest
    }

    /// SHA-256 of the component, in lower-case hex.
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    /// Whether the compile cache had it.
    pub fn from_cache(&self) -> bool {
        self.inner.from_cache
    }

    /// The engine that it was compiled for.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// Whether it can count tokens ([`crate::Provider::count_tokens`]).
    pub fn counts_tokens(&self) -> bool {
        self.inner.linked.counts_tokens()
    }

    /// Whether it can tell how its server is ([`crate::Provider::check_health`]).
    pub fn tells_health(&self) -> bool {
        self.inner.linked.tells_health()
    }

    pub(crate) fn linked(&self) -> &Linked {
        &self.inner.linked
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("id", &self.inner.manifest.id)
            .field("version", &self.inner.manifest.version)
            .field("digest", &self.inner.digest)
            .finish_non_exhaustive()
    }
}

/// Reads a plugin file, no more of it than a plugin may have.
///
/// # Errors
///
/// [`ErrorKind::InvalidPlugin`] if it can't be read or is too large.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read as _;

    let failed = |error: std::io::Error| {
        Error::new(
            ErrorKind::InvalidPlugin,
            format!("could not read the plugin {}: {error}", path.display()),
        )
        .caused_by(error)
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .map_err(failed)?
        .take(MAX_PLUGIN_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

fn check_world(inspection: &Inspection) -> Result<()> {
    let invalid = |why: String| Err(Error::new(ErrorKind::InvalidPlugin, why));
    let Some(world) = &inspection.world else {
        return invalid(format!(
            "the component does not export the world `llm:provider/provider`: it exports {}",
            listed(&inspection.exports)
        ));
    };
    let Some((world_name, version)) = world.split_once('@') else {
        return invalid(format!("the component's world `{world}` has no version"));
    };
    if world_name == "llm:provider/codec" {
        return invalid(
            "the component is a codec (world `llm:provider/codec`): it has no transport of its \
             own, and this host runs providers that have (world `llm:provider/provider`)"
                .into(),
        );
    }
    if !version.starts_with("0.1.") {
        return invalid(format!(
            "the component speaks version {version} of the contract llm:provider; this host \
             speaks {CONTRACT_VERSION} and reads any 0.1.x"
        ));
    }
    Ok(())
}

/// Names every import that this host does not give, before the linker stumbles
/// over the first.
fn check_imports(inspection: &Inspection) -> Result<()> {
    let unknown: Vec<String> = inspection
        .imports
        .iter()
        .filter(|import| !sandbox::gives(import))
        .cloned()
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidPlugin,
        format!(
            "the plugin asks for what this host gives to no plugin: {}; it may import {} only",
            listed(&unknown),
            sandbox::GIVEN.join(", "),
        ),
    ))
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".into();
    }
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
