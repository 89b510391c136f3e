//! A plugin file that is replaced between its check and its use is what was checked, or nothing.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use provider_host::plugin::trust::{Signatures, Trust};
use provider_host::plugin::{inspect, read};
use provider_host::policy::CompileLimits;
use provider_host::{Engine, ErrorKind, Plugin};

use super::components::variant;
use super::signer::Signer;
use super::{Folder, options};
use crate::support::BOUND;

/// Loads of each outcome that a race must have seen.
const SEEN: u32 = 20;

fn sha256(bytes: &[u8]) -> String {
    inspect(bytes).expect("a component").sha256
}

/// Puts one file and the other in a path's place, in turn, until it is told to stop.
fn replace(path: &Path, folder: &Folder, files: [&[u8]; 2], stop: &AtomicBool) {
    let start = Instant::now();
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) && start.elapsed() < BOUND {
        let next = folder.write("next", files[turn % 2]);
        std::fs::rename(next, path).expect("a replaced file");
        turn += 1;
    }
}

#[test]
fn a_signed_file_that_is_replaced_while_it_is_loaded_is_the_signed_bytes_or_nothing() {
    let folder = Folder::new();
    let (signed, hostile) = (variant("what alice signed"), variant("what she did not"));
    let signer = Signer::new(1);
    let trust = Trust::new(Signatures::Required)
        .with_key("alice", &signer.public())
        .expect("a key");
    let path = folder.write("p.wasm", &signed);
    folder.write("p.wasm.minisig", signer.sign(&signed));
    let mut options = options(CompileLimits::new());
    options.cache_dir = Some(folder.path("cache"));
    let engine = Engine::new(options).expect("an engine");
    // Both are in the cache, so that nothing but the policy keeps the other one out.
    let digest = sha256(&signed);
    for bytes in [&signed, &hostile] {
        Plugin::from_bytes(&engine, bytes).expect("a plugin");
    }

    let stop = AtomicBool::new(false);
    let (mut loaded, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| replace(&path, &folder, [&hostile, &signed], &stop));
        let start = Instant::now();
        while (loaded < SEEN || refused < SEEN) && start.elapsed() < BOUND {
            match Plugin::from_trusted_file(&engine, &path, &trust) {
                Ok((plugin, _)) if plugin.digest() == digest => loaded += 1,
                Ok(_) => {
                    stop.store(true, Ordering::Relaxed);
                    panic!("what nobody signed was loaded");
                }
                Err(error) if error.kind() == &ErrorKind::UntrustedPlugin => refused += 1,
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    panic!("{error}");
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(
        loaded >= SEEN && refused >= SEEN,
        "{loaded} loaded, {refused} refused"
    );
}

#[test]
fn what_was_read_once_is_what_runs_whatever_becomes_of_the_file() {
    let folder = Folder::new();
    let (first, second) = (variant("first"), variant("second"));
    let path = folder.write("p.wasm", &first);
    let engine = Engine::new(options(CompileLimits::new())).expect("an engine");
    let bytes = read(&path).expect("the file");
    let looked_at = inspect(&bytes).expect("a component");
    folder.write("p.wasm", &second);
    let plugin = Plugin::from_bytes(&engine, &bytes).expect("a plugin");
    assert_eq!(plugin.digest(), looked_at.sha256);
    // And in place, under the plugin that runs.
    folder.write("p.wasm", b"gone");
    assert_eq!(plugin.digest(), sha256(&first));
    assert_eq!(plugin.manifest().id, "vllm");
}

#[test]
fn a_digest_that_was_looked_at_and_pinned_is_the_only_file_that_runs() {
    let folder = Folder::new();
    let path = folder.write("p.wasm", variant("first"));
    let program = |arguments: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_provider-host"))
            .args(arguments)
            .arg(&path)
            .env("HOME", folder.path("home"))
            .env("XDG_CONFIG_HOME", folder.path("config"))
            .env("XDG_CACHE_HOME", folder.path("cache"))
            .output()
            .expect("the program")
    };
    let inspected = program(&["plugin", "inspect", "--json"]);
    let inspected: serde_json::Value = serde_json::from_slice(&inspected.stdout).expect("JSON");
    let digest = inspected["sha256"].as_str().expect("a digest");
    std::fs::create_dir_all(folder.path("config/provider-host")).expect("a folder");
    folder.write(
        "config/provider-host/trust.json5",
        format!("{{ signatures: 'required', digests: {{ inspected: '{digest}' }} }}"),
    );
    let compiled = program(&["plugin", "compile"]);
    assert_eq!(compiled.status.code(), Some(0), "{compiled:?}");

    folder.write("p.wasm", variant("second"));
    let replaced = program(&["plugin", "compile"]);
    assert_eq!(replaced.status.code(), Some(2), "{replaced:?}");
    let words = String::from_utf8_lossy(&replaced.stderr);
    assert!(words.contains("the plugin is not signed"), "{words}");
}
