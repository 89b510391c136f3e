//! A provider plugin: a component that was read, checked and compiled.
//!
//! Loading goes one way: bytes, read once → inspected (nothing runs) → world and
//! imports held against what this host gives → sizes held against their limits →
//! taken from the compile cache by digest, or compiled → linked. With the feature
//! `signatures` a file can be held against a policy first ([`trust`]). What comes
//! out can be started any number of times, at once, in sandboxes that know
//! nothing of each other.

pub(crate) mod cache;
mod code;
pub(crate) mod compile;
mod file;
mod inspect;
#[cfg(feature = "signatures")]
pub mod trust;

use std::path::Path;
use std::sync::Arc;

pub use self::compile::{Compiler, CompilerProgram, serve as serve_compiler};
pub use self::file::read;
pub use self::inspect::{
    Inspection, MANIFEST_SECTION, MAX_MANIFEST_SIZE, MAX_NAMES, MAX_PLUGIN_SIZE, inspect,
};

pub(crate) use self::compile::Urgency;
use self::inspect::{listed, shown, words};
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

/// The id of the provider built into this host. Another plugin gets it, and with it that provider's
/// configuration and keys, only if the user approves it ([`Plugin::with_approved_id`]).
pub const BUILT_IN_ID: &str = "vllm";

/// Most bytes of a provider's id.
pub const MAX_ID_LEN: usize = 64;

/// A compiled provider plugin. Cheap to clone; the clones share one compiled component.
#[derive(Clone)]
pub struct Plugin {
    inner: Arc<Inner>,
    id_approved: bool,
}

/// Who vouches for the id that a plugin's manifest names.
///
/// The id decides which entry of the configuration and which stored keys belong to the plugin, so a
/// plugin file must not choose it alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdApproval {
    /// Nobody: the plugin came from a file and the user said nothing about its id. It gets no stored
    /// key profile, and it cannot be the provider that is built into the host.
    #[default]
    None,
    /// The user, by the trust file, the configuration or the command line.
    User,
    /// The host: the plugin is the component that was built with it.
    BuiltIn,
}

struct Inner {
    engine: Engine,
    linked: Arc<Linked>,
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
        Self::from_bytes(engine, &bytes).map_err(|error| named(path, error))
    }

    /// Loads a plugin file under a policy: what was read is verified, and what was
    /// verified is loaded. Its signature is looked for beside it
    /// ([`trust::signature_path`]). Its id is approved if the policy approves it
    /// ([`trust::Trust::approves_id`]).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UntrustedPlugin`] if the policy does not let it in, and as
    /// [`Plugin::from_file`].
    #[cfg(feature = "signatures")]
    pub fn from_trusted_file(
        engine: &Engine,
        path: &Path,
        trust: &trust::Trust,
    ) -> Result<(Self, trust::Standing)> {
        let (bytes, standing) = trust.read(path)?;
        let plugin = Self::from_bytes(engine, &bytes).map_err(|error| named(path, error))?;
        let plugin = match trust.approves_id(&standing, &plugin.manifest().id) {
            true => plugin.with_approved_id(),
            false => plugin,
        };
        Ok((plugin, standing))
    }

    /// Loads a plugin from its bytes.
    ///
    /// A plugin that is not in the compile cache is compiled, which takes about a
    /// second for a small one and as long as [`CompileLimits`] lets it for a
    /// hostile one. The call blocks for that time: make it off the serving path,
    /// in `tokio::task::spawn_blocking` or a thread.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPlugin`] if it is no component, not of the contract's
    /// world `provider`, imports anything this host does not give, has no
    /// manifest, or can't be compiled within the limits; [`ErrorKind::Host`] if
    /// the compiler can't be run.
    ///
    /// [`CompileLimits`]: crate::policy::CompileLimits
    pub fn from_bytes(engine: &Engine, bytes: &[u8]) -> Result<Self> {
        let inspection = inspected(engine, bytes)?;
        check_world(&inspection)?;
        check_imports(&inspection)?;
        Self::compiled(engine, bytes, inspection, Urgency::Now)
    }

    /// The last part of it: what was inspected and judged is compiled and linked.
    pub(crate) fn compiled(
        engine: &Engine,
        bytes: &[u8],
        inspection: Inspection,
        urgency: Urgency,
    ) -> Result<Self> {
        let invalid = |why: String| Error::new(ErrorKind::InvalidPlugin, why);
        compile::check_size(&inspection, engine.compile_limits())?;
        let manifest = inspection.manifest.ok_or_else(no_manifest)?;

        let digest = inspection.sha256;
        let cached = engine
            .cache()
            .and_then(|cache| cache.load(engine.wasmtime(), &digest));
        let from_cache = cached.is_some();
        let component = match cached {
            Some(component) => component,
            None => {
                let code = compile::compile(engine, bytes, urgency)?;
                let component = code.load(engine.wasmtime()).map_err(unloadable)?;
                if let Some(cache) = engine.cache() {
                    cache.store(engine.wasmtime(), &digest, &code);
                }
                component
            }
        };

        let linked =
            sandbox::link(engine.wasmtime(), &component, &inspection.exports).map_err(|error| {
                invalid(words(
                    "the plugin does not fit the contract",
                    format!("{error:#}"),
                ))
            })?;
        Ok(Self {
            inner: Arc::new(Inner {
                engine: engine.clone(),
                linked: Arc::new(linked),
                manifest,
                digest,
                from_cache,
            }),
            id_approved: false,
        })
    }

    /// Approves the plugin as the provider that its manifest names.
    ///
    /// It may then use the key profiles stored for that id, and be the provider `vllm` in place of
    /// the one built into this host. Call it only where the user said so about this very plugin:
    /// the manifest is the plugin's own word. The built-in plugin needs no approval.
    #[must_use]
    pub fn with_approved_id(mut self) -> Self {
        self.id_approved = true;
        self
    }

    /// Who vouches for the plugin's id.
    #[must_use]
    pub fn id_approval(&self) -> IdApproval {
        if self.is_built_in() {
            IdApproval::BuiltIn
        } else if self.id_approved {
            IdApproval::User
        } else {
            IdApproval::None
        }
    }

    /// Whether these are the bytes of the component built with this host, wherever they were read
    /// from.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        is_embedded(&self.inner.digest)
    }

    /// The environment variable that holds the API key by convention: the manifest's, which for a
    /// plugin that is not built in must be `<ID>_API_KEY` (upper case, `_` for `-`). A plugin that
    /// could name any variable could ask for any secret of the user's environment.
    #[must_use]
    pub fn key_variable(&self) -> Option<&str> {
        let manifest = self.manifest();
        let named = manifest.key_variable.as_deref()?;
        let allowed = self.is_built_in() || named == own_key_variable(&manifest.id);
        allowed.then_some(named)
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

    /// Tells whether any of its clones is left.
    #[cfg(test)]
    pub(crate) fn downgrade(&self) -> std::sync::Weak<dyn std::any::Any + Send + Sync> {
        let shared: Arc<dyn std::any::Any + Send + Sync> = self.inner.clone();
        Arc::downgrade(&shared)
    }

    pub(crate) fn linked(&self) -> &Arc<Linked> {
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

/// Whether a digest is that of the component built with this host.
#[cfg(feature = "embedded-plugin")]
pub(crate) fn is_embedded(digest: &str) -> bool {
    use sha2::Digest as _;
    static DIGEST: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    digest == DIGEST.get_or_init(|| inspect::hex(&sha2::Sha256::digest(EMBEDDED)))
}

#[cfg(not(feature = "embedded-plugin"))]
pub(crate) fn is_embedded(_: &str) -> bool {
    false
}

/// The variable that a provider's key may be in by its id alone: `MY_GPU_API_KEY` for `my-gpu`.
#[must_use]
pub(crate) fn own_key_variable(id: &str) -> String {
    format!("{}_API_KEY", id.to_ascii_uppercase().replace('-', "_"))
}

/// Whether a text has the form of an id by the contract: `[a-z0-9-]+`, of any length.
pub(crate) fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    !text.is_empty() && text.bytes().all(allowed)
}

/// Requires an id of lower-case ASCII letters, digits and `-`.
///
/// Ids are compared with keys of the configuration and of the key profiles after trimming and
/// lower-casing. An id in another spelling would be the same provider to one reader and another
/// provider to the next.
///
/// # Errors
///
/// [`ErrorKind::InvalidPlugin`], with the id.
pub(crate) fn check_id(id: &str) -> Result<()> {
    if is_id(id) && id.len() <= MAX_ID_LEN {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidPlugin,
        format!(
            "the plugin's manifest has the id {}; an id is 1 to {MAX_ID_LEN} characters of a-z, \
             0-9 and -",
            shown(id)
        ),
    ))
}

fn named(path: &Path, error: Error) -> Error {
    error.map_message(|why| format!("{}: {why}", path.display()))
}

/// Why code that was compiled just now does not load: it wants more memories, tables, instances or globals than a place in
/// the pool has, which is the plugin's doing; or it comes from a compiler that is not this host's.
fn unloadable(error: wasmtime::Error) -> Error {
    let why = format!("{error:#}");
    if why.contains("pooling allocator") {
        let why = format!("the plugin needs more than this host gives to one: {why}");
        return Error::new(ErrorKind::InvalidPlugin, why);
    }
    let why = format!("the compiler gave code that does not fit this host: {why}");
    Error::new(ErrorKind::Host, why)
}

/// Reads a component within the limits of an engine. Nothing of it runs.
pub(crate) fn inspected(engine: &Engine, bytes: &[u8]) -> Result<Inspection> {
    inspect::inspect_within(bytes, engine.compile_limits().nesting)
}

/// The SHA-256 of some bytes in lower-case hex: what a plugin is known by.
pub(crate) fn digest(bytes: &[u8]) -> String {
    inspect::hex(&<sha2::Sha256 as sha2::Digest>::digest(bytes))
}

/// A plugin says of itself what it is, before it runs.
pub(crate) fn no_manifest() -> Error {
    Error::new(
        ErrorKind::InvalidPlugin,
        format!("the plugin has no manifest: its custom section `{MANIFEST_SECTION}` is missing"),
    )
}

pub(crate) fn check_world(inspection: &Inspection) -> Result<()> {
    let invalid = |why: String| Err(Error::new(ErrorKind::InvalidPlugin, why));
    let Some(world) = &inspection.world else {
        return invalid(format!(
            "the component does not export the world `llm:provider/provider`: it exports {}",
            listed(&inspection.exports)
        ));
    };
    let Some((world_name, version)) = world.split_once('@') else {
        return invalid(format!(
            "the component's world {} has no version",
            shown(world)
        ));
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
            "the component speaks version {} of the contract llm:provider; this host speaks \
             {CONTRACT_VERSION} and reads any 0.1.x",
            shown(version)
        ));
    }
    Ok(())
}

/// Names every import that this host does not give, before the linker stumbles
/// over the first.
pub(crate) fn check_imports(inspection: &Inspection) -> Result<()> {
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
