//! Builds the standard library of the wasm target from its sources and keeps it in the user's cache.
//!
//! In goes a rustc, out comes a folder of rlibs that fit this rustc and no other. The sources are rustup's `rust-src`
//! component where it is installed, else Debian's package of the same version. What is built has the paths of the
//! official builds (`/rustc/<commit>/…`) and none of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use super::toolchain::Toolchain;
use super::{bounded, deb, debian, fetch, install, progress};
use crate::component::{TARGET, cargo_home, clean_cargo};

/// Counts up when the way of building changes, so that older caches are not used.
const RECIPE: u32 = 1;

/// A build takes half a minute on two cores; most of the rest is for a slow registry.
const BUILD: Duration = Duration::from_secs(600);

/// The folder with this toolchain's rlibs, built if it is not in the cache yet.
pub(crate) fn cached(toolchain: &Toolchain) -> Result<PathBuf> {
    let root = cache_root()?;
    let finished = root.join(format!("{}-{RECIPE}", toolchain.commit));
    if finished.is_dir() {
        progress(&format!("      … from the cache, {}", finished.display()));
        return Ok(finished);
    }
    let scratch = root.join(format!("building.{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("creating {}", scratch.display()))?;
    let result = build(toolchain, &scratch).and_then(|rlibs| {
        // A rename is whole or not at all. If another set-up was faster, its result is as good.
        match fs::rename(&rlibs, &finished) {
            Err(error) if !finished.is_dir() => Err(error).context("keeping the built library"),
            _ => Ok(finished),
        }
    });
    // A folder that cannot be removed costs space and nothing else.
    let _ = fs::remove_dir_all(&scratch);
    result
}

fn cache_root() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let base = base.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    let base = base
        .ok_or_else(|| anyhow!("neither XDG_CACHE_HOME nor a home folder to keep the build in"))?;
    Ok(base.join("provider-host").join("wasm-std"))
}

fn build(toolchain: &Toolchain, scratch: &Path) -> Result<PathBuf> {
    let library = sources(toolchain, scratch)?;
    progress("      … building it (half a minute)");
    let target_dir = scratch.join("target");
    let commit = &toolchain.commit;
    let mut flags = vec![
        "-Zforce-unstable-if-unmarked".to_owned(),
        "-Cembed-bitcode=yes".to_owned(),
    ];
    flags.push(format!(
        "--remap-path-prefix={}=/rustc/{commit}/library",
        library.display()
    ));
    if let Some(home) = cargo_home() {
        flags.push(format!(
            "--remap-path-prefix={}=/rust/deps",
            home.join("registry/src").display()
        ));
    }
    let mut cargo = clean_cargo();
    cargo
        .current_dir(&library)
        .args([
            "build",
            "--quiet",
            "--release",
            "--target",
            TARGET,
            "--manifest-path",
        ])
        .arg(library.join("sysroot/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target_dir)
        // The library is written in the compiler's own unstable dialect.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("CARGO_HTTP_TIMEOUT", "20")
        .env("CARGO_NET_RETRY", "1");
    let output = bounded::output(&mut cargo, BUILD)?;
    let messages = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "building the standard library failed: {}",
        messages.trim()
    );
    let rlibs = scratch.join("rlibs");
    fs::create_dir_all(&rlibs)?;
    for rlib in install::rlibs(&target_dir.join(TARGET).join("release/deps"))? {
        if let Some(name) = rlib.file_name() {
            fs::copy(&rlib, rlibs.join(name))?;
        }
    }
    ensure!(
        crate::component::std_builds(&rlibs) == 1,
        "the build gave no single core and std"
    );
    Ok(rlibs)
}

/// The `library` folder of this rustc's sources, in `scratch` so that cargo may write beside it.
fn sources(toolchain: &Toolchain, scratch: &Path) -> Result<PathBuf> {
    let local = toolchain.sysroot.join("lib/rustlib/src/rust/library");
    if local.join("sysroot/Cargo.toml").is_file() && local.join("Cargo.lock").is_file() {
        progress("      … from the toolchain's own rust-src component");
        return Ok(local);
    }
    let mirror = debian::Mirror::of_this_machine()?;
    let package = debian::rust_src(&toolchain.release, &mirror)?;
    let address = mirror.address(&package.path);
    progress(&format!("      … fetching {address} (45 MB)"));
    let file = scratch.join("rust-src.deb");
    fetch::to_file(&address, &file, &package.sha256)?;
    let library = scratch.join("library");
    let prefix = format!("usr/src/rustc-{}/library", toolchain.release);
    let files = deb::unpack(fs::File::open(&file)?, &prefix, &library)?;
    progress(&format!(
        "      … SHA-256 as expected, {files} source files unpacked"
    ));
    fs::remove_file(file)?;
    Ok(library)
}
