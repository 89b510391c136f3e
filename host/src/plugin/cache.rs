//! Compiled plugins, kept between runs.
//!
//! Deserializing machine code means running it, so an entry is believed only if
//! this user's host wrote it: each carries a MAC under a random key that lives
//! beside the entries, readable by its owner only. An entry that does not check
//! out is compiled anew and replaced; the cache can lose nothing but time.
//! Entries are named by the component's SHA-256 and the engine's compatibility
//! hash, so that a changed plugin, wasmtime or machine never meets an old one.

use std::hash::{Hash, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wasmtime::component::Component;

/// First bytes of an entry; the number is the layout's version.
const MAGIC: &[u8; 8] = b"llmphc\0\x01";
const MAC_LEN: usize = 32;
/// A block of SHA-256, the size that HMAC takes as it is.
const KEY_LEN: usize = 64;

/// A folder of compiled components.
#[derive(Debug)]
pub(crate) struct CompileCache {
    dir: PathBuf,
}

impl CompileCache {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The compiled component, if this host has compiled it before.
    #[expect(unsafe_code, reason = "deserializes what the MAC vouches for")]
    pub(crate) fn load(&self, engine: &wasmtime::Engine, digest: &str) -> Option<Component> {
        let key = self.key(false)?;
        let path = self.entry(engine, digest);
        let entry = std::fs::read(&path).ok()?;
        let Some(code) = open(&key, digest, &entry) else {
            tracing::warn!(path = %path.display(), "a compile cache entry does not check out; compiling anew");
            return None;
        };
        // SAFETY: the bytes are those that `Component::serialize` gave to a
        // host of this user: the MAC was made with a key that only this user
        // can read, over these bytes, which nobody can change any more.
        match unsafe { Component::deserialize(engine, code) } {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::debug!(%error, "a compile cache entry does not fit this engine");
                None
            }
        }
    }

    /// Keeps a compiled component. A cache that can't be written is no error.
    pub(crate) fn store(&self, engine: &wasmtime::Engine, digest: &str, component: &Component) {
        if let Err(error) = self.try_store(engine, digest, component) {
            tracing::warn!(dir = %self.dir.display(), error = format!("{error:#}"), "could not keep the compiled plugin");
        }
    }

    fn try_store(
        &self,
        engine: &wasmtime::Engine,
        digest: &str,
        component: &Component,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let code = component.serialize()?;
        create_private_dir(&self.dir)?;
        let key = self.key(true).ok_or("no key could be made")?;
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(MAGIC)?;
        file.write_all(&mac(&key, digest, &code))?;
        file.write_all(&code)?;
        // Renamed when complete, so that a reader never meets half an entry.
        file.persist(self.entry(engine, digest))?;
        Ok(())
    }

    fn entry(&self, engine: &wasmtime::Engine, digest: &str) -> PathBuf {
        // Not a secret hash: it only keeps engines apart, and the engine checks
        // its own fingerprint when it reads the code.
        let mut hasher = std::hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.dir
            .join(format!("{digest}-{:016x}.cwasm", hasher.finish()))
    }

    /// The MAC's key; made on first use if `create`.
    fn key(&self, create: bool) -> Option<[u8; KEY_LEN]> {
        let path = self.dir.join("key");
        match read_private(&path) {
            Some(bytes) => bytes.try_into().ok(),
            None if create => {
                let mut key = [0; KEY_LEN];
                getrandom::fill(&mut key).ok()?;
                let mut file = tempfile::NamedTempFile::new_in(&self.dir).ok()?;
                file.write_all(&key).ok()?;
                // Two processes may race; the first one's key is everyone's.
                let _ = file.persist_noclobber(&path);
                read_private(&path)?.try_into().ok()
            }
            None => None,
        }
    }
}

fn mac(key: &[u8; KEY_LEN], digest: &str, code: &[u8]) -> [u8; MAC_LEN] {
    keyed(key, digest, code).finalize().into_bytes().into()
}

fn keyed(key: &[u8; KEY_LEN], digest: &str, code: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new(key.into());
    mac.update(digest.as_bytes());
    mac.update(code);
    mac
}

/// The code of an entry whose MAC is right.
fn open<'a>(key: &[u8; KEY_LEN], digest: &str, entry: &'a [u8]) -> Option<&'a [u8]> {
    let rest = entry.strip_prefix(MAGIC)?;
    let (mac, code) = rest.split_at_checked(MAC_LEN)?;
    keyed(key, digest, code).verify_slice(mac).ok()?;
    Some(code)
}

fn create_private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(dir)
}

/// A file's bytes, if nobody else can have read or written them.
fn read_private(path: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path).ok()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let mode = std::fs::metadata(path).ok()?.mode();
        if mode & 0o077 != 0 {
            tracing::warn!(path = %path.display(), "the compile cache's key is readable by others; it is not used");
            return None;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_opens_only_with_its_own_key_digest_and_bytes() {
        let key = [7; KEY_LEN];
        let mut entry = MAGIC.to_vec();
        entry.extend(mac(&key, "digest", b"code"));
        entry.extend(b"code");

        assert_eq!(open(&key, "digest", &entry), Some(&b"code"[..]));
        assert_eq!(open(&[8; KEY_LEN], "digest", &entry), None);
        assert_eq!(open(&key, "another", &entry), None);
        for at in 0..entry.len() {
            let mut tampered = entry.clone();
            tampered[at] ^= 1;
            assert_eq!(open(&key, "digest", &tampered), None, "byte {at}");
            assert_eq!(open(&key, "digest", &entry[..at]), None, "cut at {at}");
        }
    }
}
