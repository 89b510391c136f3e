//! Makes the built `vllm-provider` component available to the host crate, so that the binary works with no plugin file
//! beside it.
//!
//! With the feature `embedded-plugin` it sets `VLLM_PROVIDER_WASM` to the path of the component, for
//! `include_bytes!(env!("VLLM_PROVIDER_WASM"))`. The component is the file named by `PROVIDER_HOST_PLUGIN`, or else the
//! guest of this workspace, built here. Without either the build stops: an empty plugin would only fail later and
//! further away from the cause.

#[path = "build/component.rs"]
mod component;

use std::path::{Path, PathBuf};

/// Names a ready component to embed in place of the one built here.
const PLUGIN_VARIABLE: &str = "PROVIDER_HOST_PLUGIN";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/component.rs");
    println!("cargo::rerun-if-env-changed={PLUGIN_VARIABLE}");
    if std::env::var_os("CARGO_FEATURE_EMBEDDED_PLUGIN").is_none() {
        return;
    }
    if let Err(reason) = embed() {
        for line in reason.lines() {
            println!("cargo::error={line}");
        }
        std::process::exit(1);
    }
}

fn embed() -> Result<(), String> {
    let component = match std::env::var_os(PLUGIN_VARIABLE).filter(|name| !name.is_empty()) {
        Some(name) => named(PathBuf::from(name))?,
        None => built()?,
    };
    let out_dir = std::env::var_os("OUT_DIR").ok_or("cargo did not set OUT_DIR")?;
    let embedded = Path::new(&out_dir).join("vllm-provider.wasm");
    std::fs::copy(&component, &embedded).map_err(|error| {
        format!(
            "cannot copy {} to {}: {error}",
            component.display(),
            embedded.display()
        )
    })?;
    println!("cargo::rustc-env=VLLM_PROVIDER_WASM={}", embedded.display());
    Ok(())
}

fn named(path: PathBuf) -> Result<PathBuf, String> {
    if !path.is_absolute() {
        return Err(format!(
            "{PLUGIN_VARIABLE} is {}: give an absolute path, a build script has its own working directory",
            path.display()
        ));
    }
    println!("cargo::rerun-if-changed={}", path.display());
    if !path.is_file() {
        return Err(format!(
            "{PLUGIN_VARIABLE} names {}, which is not a file",
            path.display()
        ));
    }
    Ok(path)
}

fn built() -> Result<PathBuf, String> {
    let manifest_dir =
        std::env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo did not set CARGO_MANIFEST_DIR")?;
    let workspace = Path::new(&manifest_dir)
        .parent()
        .ok_or("the host crate has no parent folder")?;
    if !workspace.join("guest/Cargo.toml").is_file() {
        return Err(format!(
            "the source of vllm-provider is not beside the host crate; name a component in {PLUGIN_VARIABLE} \
             or build without the feature `embedded-plugin`"
        ));
    }
    for source in [
        "guest/Cargo.toml",
        "guest/src",
        "wit",
        "Cargo.toml",
        "Cargo.lock",
        ".cargo/config.toml",
    ] {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(source).display()
        );
    }
    component::build(workspace)
}
