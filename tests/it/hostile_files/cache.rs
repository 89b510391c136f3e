//! Who can write the compile cache: whatever lies there, only what this host put there is run.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use provider_host::{Engine, EngineOptions, Plugin};

use super::components::variant;
use super::{Folder, Row};

/// A cache, and a plugin file that is in it.
struct Cached {
    folder: Folder,
    file: PathBuf,
    digest: String,
}

impl Cached {
    fn new() -> Self {
        let folder = Folder::new();
        let file = folder.write("p.wasm", variant("cached"));
        let mut cached = Self {
            folder,
            file,
            digest: String::new(),
        };
        let plugin = cached.load();
        assert!(!plugin.from_cache());
        cached.digest = plugin.digest().to_owned();
        cached
    }

    /// Loads the plugin as a host does that was started anew.
    fn load(&self) -> Plugin {
        self.load_file(&self.file)
    }

    fn load_file(&self, file: &Path) -> Plugin {
        let mut options = EngineOptions::default();
        options.max_chats = 1;
        options.cache_dir = Some(self.dir());
        let engine = Engine::new(options).expect("an engine");
        Plugin::from_file(&engine, file).expect("the plugin, whatever is in the cache")
    }

    fn dir(&self) -> PathBuf {
        self.folder.path("cache")
    }

    fn key(&self) -> PathBuf {
        self.dir().join("key")
    }

    /// The entry of a digest.
    fn entry(&self, digest: &str) -> PathBuf {
        let found = std::fs::read_dir(self.dir()).expect("the cache");
        found
            .map(|entry| entry.expect("an entry").path())
            .find(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                name.is_some_and(|name| name.starts_with(digest))
            })
            .expect("an entry of this digest")
    }

    /// Tampers with the entry; what the next two hosts make of it.
    fn after(&self, tamper: impl FnOnce(&Path, Vec<u8>)) -> String {
        let entry = self.entry(&self.digest);
        let good = std::fs::read(&entry).expect("the entry");
        tamper(&entry, good);
        let first = self.load();
        let second = self.load();
        assert_eq!(first.digest(), self.digest);
        assert_eq!(second.digest(), self.digest);
        assert!(!first.from_cache(), "what was tampered with was loaded");
        assert!(second.from_cache(), "it was not replaced");
        let metadata = entry.symlink_metadata().expect("an entry");
        assert!(metadata.is_file());
        format!(
            "{}; {}",
            if first.from_cache() {
                "loaded"
            } else {
                "not loaded, compiled anew"
            },
            if second.from_cache() {
                "replaced"
            } else {
                "left there"
            },
        )
    }
}

pub(super) fn rows() -> Vec<Row> {
    let cached = Cached::new();
    let mut rows = Vec::new();
    let mut row = |name, tries, tamper: &mut dyn FnMut(&Path, Vec<u8>)| {
        rows.push(Row {
            name,
            tries,
            ends: cached.after(|entry, good| tamper(entry, good)),
        });
    };
    let changed = "to have code of its own run";
    let mut flip = |name, at: &dyn Fn(usize) -> usize| {
        row(name, changed, &mut |entry: &Path, mut good: Vec<u8>| {
            let at = at(good.len());
            good[at] ^= 1;
            std::fs::write(entry, good).expect("the entry");
        });
    };
    flip("a cache entry with one bit changed in its name", &|_| 0);
    flip("… in its version", &|_| 7);
    flip("… in its MAC", &|_| 8);
    flip("… in its first byte of code", &|_| 40);
    flip("… in the middle of the code", &|len| len / 2);
    flip("… in its last byte", &|len| len - 1);
    let write = |entry: &Path, bytes: &[u8]| std::fs::write(entry, bytes).expect("the entry");
    row(
        "a cache entry with a byte more",
        changed,
        &mut |entry, mut good| {
            good.push(0);
            write(entry, &good);
        },
    );
    row(
        "… cut in half",
        "to be half a program",
        &mut |entry, good| {
            write(entry, &good[..good.len() / 2]);
        },
    );
    row("… of nothing", "to break its reader", &mut |entry, _| {
        write(entry, b"")
    });
    row("… of a tebibyte", "to fill memory", &mut |entry, _| {
        let file = std::fs::File::create(entry).expect("a file");
        file.set_len(1 << 40).expect("a size");
    });

    let other = cached.folder.write("other.wasm", variant("another"));
    let other = cached.load_file(&other).digest().to_owned();
    row(
        "the entry of another plugin under this one's name",
        "to be run in its place",
        &mut |entry, _| {
            std::fs::copy(cached.entry(&other), entry).expect("a copy");
        },
    );
    let strange = Cached::new();
    assert_eq!(strange.digest, cached.digest);
    row(
        "an entry that another host wrote, under its own key",
        changed,
        &mut |entry, _| {
            std::fs::copy(strange.entry(&strange.digest), entry).expect("a copy");
        },
    );
    row(
        "a link to a good entry elsewhere",
        "to have it changed later",
        &mut |entry, good| {
            let elsewhere = cached.folder.write("elsewhere", good);
            std::fs::remove_file(entry).expect("the entry");
            symlink(elsewhere, entry).expect("a link");
        },
    );
    row(
        "a pipe in an entry's place",
        "to hold the host up",
        &mut |entry, _| {
            std::fs::remove_file(entry).expect("the entry");
            let made = Command::new("mkfifo").arg(entry).status().expect("mkfifo");
            assert!(made.success());
        },
    );

    let key = || std::fs::read(cached.key()).expect("the key");
    let mut new_key = |name, tries, tamper: &mut dyn FnMut()| {
        let before = key();
        row(name, tries, &mut |_, _| tamper());
        assert!(
            key() != before,
            "{name}: the key is still the one that others know"
        );
        let metadata = cached.key().symlink_metadata().expect("the key");
        assert!(
            metadata.is_file() && metadata.mode() & 0o777 == 0o600,
            "{metadata:?}"
        );
    };
    new_key(
        "a key that others can read",
        "to make entries of its own",
        &mut || {
            std::fs::set_permissions(cached.key(), std::fs::Permissions::from_mode(0o644))
                .expect("a mode");
        },
    );
    new_key("a link to a key that others have", "the same", &mut || {
        let known = cached.folder.write("known", key());
        std::fs::set_permissions(&known, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        std::fs::remove_file(cached.key()).expect("the key");
        symlink(known, cached.key()).expect("a link");
    });
    new_key("a key that is too short", "to be guessed", &mut || {
        std::fs::write(cached.key(), b"short").expect("the key");
    });
    rows
}

#[test]
fn a_folder_in_an_entrys_place_costs_time_only() {
    let cached = Cached::new();
    let entry = cached.entry(&cached.digest);
    std::fs::remove_file(&entry).expect("the entry");
    std::fs::create_dir(&entry).expect("a folder");
    for _ in 0..2 {
        assert!(!cached.load().from_cache());
    }
}

/// Only root can give files away.
#[test]
fn a_key_that_another_user_owns_is_not_used() {
    let cached = Cached::new();
    match std::os::unix::fs::chown(cached.key(), Some(65_534), None) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return,
        Err(error) => panic!("{error}"),
    }
    let before = std::fs::read(cached.key()).expect("the key");
    cached.after(|_, _| {});
    assert!(before != std::fs::read(cached.key()).expect("the key"));
}
