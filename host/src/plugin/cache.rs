//! Compiled plugins, kept between runs.
//!
//! Deserializing machine code means running it, so an entry is believed only if
//! this user's host wrote it: each carries a MAC under a random key that lives
//! beside the entries, this user's own and readable by nobody else. An entry that
//! does not check out is compiled anew and replaced, and so is a key that others
//! could know; the cache can lose nothing but time. Files are opened without
//! following links and without waiting, so that what lies in an entry's place
//! can't lead elsewhere or hold up the host.
//! Entries are named by the component's SHA-256 and the engine's compatibility
//! hash, so that a changed plugin, wasmtime or machine never meets an old one.

use std::hash::{Hash, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wasmtime::component::Component;

use super::code::Code;
use super::file;

/// First bytes of an entry; the number is the layout's version.
const MAGIC: &[u8; 8] = b"llmphc\0\x01";
const MAC_LEN: usize = 32;
/// A block of SHA-256, the size that HMAC takes as it is.
const KEY_LEN: usize = 64;

/// A folder of compiled components.
#[derive(Debug)]
pub(crate) struct CompileCache {
    dir: PathBuf,
    /// Most bytes of machine code; a larger file is no entry.
    most: u64,
}

impl CompileCache {
    pub(crate) fn new(dir: PathBuf, most: u64) -> Self {
        Self { dir, most }
    }

    /// The compiled component, if this host has compiled it before.
    pub(crate) fn load(&self, engine: &wasmtime::Engine, digest: &str) -> Option<Component> {
        let path = self.entry(engine, digest);
        if path.symlink_metadata().is_err() {
            return None;
        }
        let code = self
            .key()
            .and_then(|key| open(&key, digest, self.read(&path)?));
        let Some(code) = code else {
            tracing::warn!(path = %path.display(), "a compile cache entry does not check out; compiling anew");
            return None;
        };
        match code.load(engine) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::debug!(%error, "a compile cache entry does not fit this engine");
                None
            }
        }
    }

    /// Keeps machine code. A cache that can't be written is no error.
    pub(crate) fn store(&self, engine: &wasmtime::Engine, digest: &str, code: &Code) {
        if let Err(error) = self.try_store(engine, digest, code) {
            tracing::warn!(dir = %self.dir.display(), error = format!("{error:#}"), "could not keep the compiled plugin");
        }
    }

    fn try_store(
        &self,
        engine: &wasmtime::Engine,
        digest: &str,
        code: &Code,
    ) -> Result<(), Box<dyn std::error::Error>> {
        create_private_dir(&self.dir)?;
        let key = match self.key() {
            Some(key) => key,
            None => self.make_key()?,
        };
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(MAGIC)?;
        file.write_all(&mac(&key, digest, code.bytes()))?;
        file.write_all(code.bytes())?;
        // Renamed when complete, so that a reader never meets half an entry.
        file.persist(self.entry(engine, digest))?;
        Ok(())
    }

    /// What an entry's file holds, if it is one.
    fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let most = self.most + (MAGIC.len() + MAC_LEN) as u64;
        file::own(path, most, file::Readers::Any).ok()
    }

    fn entry(&self, engine: &wasmtime::Engine, digest: &str) -> PathBuf {
        // Not a secret hash: it only keeps engines apart, and the engine checks
        // its own fingerprint when it reads the code.
        let mut hasher = std::hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.dir
            .join(format!("{digest}-{:016x}.cwasm", hasher.finish()))
    }

    fn key_path(&self) -> PathBuf {
        self.dir.join("key")
    }

    /// The MAC's key, if there is one that nobody else can know.
    fn key(&self) -> Option<[u8; KEY_LEN]> {
        let path = self.key_path();
        match file::own(&path, KEY_LEN as u64, file::Readers::Owner) {
            Ok(bytes) => bytes.try_into().ok(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the compile cache's key is not used");
                None
            }
        }
    }

    /// Makes a key where there is none, or none that can be used: what was
    /// written under that one is lost.
    fn make_key(&self) -> Result<[u8; KEY_LEN], Box<dyn std::error::Error>> {
        let path = self.key_path();
        let mut key = [0; KEY_LEN];
        getrandom::fill(&mut key)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(&key)?;
        if path.symlink_metadata().is_ok() {
            file.persist(&path)?;
        } else {
            // Two processes may race; the first one's key is everyone's.
            let _ = file.persist_noclobber(&path);
        }
        Ok(self.key().ok_or("no key could be made")?)
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
fn open(key: &[u8; KEY_LEN], digest: &str, mut entry: Vec<u8>) -> Option<Code> {
    let rest = entry.strip_prefix(MAGIC)?;
    let (mac, code) = rest.split_at_checked(MAC_LEN)?;
    keyed(key, digest, code).verify_slice(mac).ok()?;
    entry.drain(..MAGIC.len() + MAC_LEN);
    Some(Code::vouched(entry))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_opens_only_with_its_own_key_digest_and_bytes() {
        let key = [7; KEY_LEN];
        let mut entry = MAGIC.to_vec();
        entry.extend(mac(&key, "digest", b"code"));
        entry.extend(b"code");

        let open = |key: &[u8; KEY_LEN], digest, entry: &[u8]| {
            open(key, digest, entry.to_vec()).map(|code| code.bytes().to_vec())
        };
        assert_eq!(open(&key, "digest", &entry), Some(b"code".to_vec()));
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
