//! How the guest component is built: one recipe for `host/build.rs`, which embeds it, and for `cargo xtask
//! build-component`, which leaves it as a file.
//!
//! In goes the workspace's root; out comes the path of a component. The bytes depend on the sources, the compiler and
//! its standard library, and on nothing else: whatever the calling cargo, clippy or rustdoc put into the environment is
//! taken out, and no path of the machine that builds is left in. Only `std` is used here, since a build script that
//! waits for dependencies would hold up the whole build. It must never touch the network beyond what cargo does for
//! the locked dependencies, and never install anything: that is `cargo xtask setup`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target the component is built for: its standard library imports nothing, so that the import list of the
/// component is its list of capabilities.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// The guest's package name.
const PACKAGE: &str = "vllm-provider";

/// Variables, beyond cargo's own, by which a calling cargo, clippy or rustdoc would change the nested build.
const LEAKING: &[&str] = &[
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_LINKER",
    "RUSTC_BOOTSTRAP",
    "CLIPPY_ARGS",
    "CLIPPY_CONF_DIR",
    "TARGET",
    "HOST",
    "PROFILE",
    "OPT_LEVEL",
    "DEBUG",
    "OUT_DIR",
    "NUM_JOBS",
    "DEP_",
];

/// Beginnings of cargo variables that say how to reach registries, where cargo keeps its things, and how many jobs may
/// run. Every other `CARGO…` variable is taken out.
const KEPT: &[&str] = &[
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
    "CARGO_MAKEFLAGS",
    "CARGO_BUILD_JOBS",
];

/// The compiler that the calling cargo uses.
pub(crate) fn rustc() -> OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// A cargo that inherits nothing from the calling one except the compiler and the way to registries.
pub(crate) fn clean_cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if leaks(&name) {
            command.env_remove(&name);
        }
    }
    if let Some(rustc) = std::env::var_os("RUSTC") {
        command.env("RUSTC", rustc);
    }
    command
}

fn leaks(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    let listed = LEAKING
        .iter()
        .any(|leak| name == *leak || (leak.ends_with('_') && name.starts_with(leak)));
    listed || (name.starts_with("CARGO") && !KEPT.iter().any(|kept| name.starts_with(kept)))
}

/// Where cargo keeps registries: `$CARGO_HOME`, else `~/.cargo`.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}

/// One line of `rustc`'s output, or why there is none.
///
/// # Errors
/// `rustc` cannot be started, or it refuses the arguments.
pub(crate) fn ask_rustc(arguments: &[&str]) -> Result<String, String> {
    let rustc = rustc();
    let output = Command::new(&rustc)
        .args(arguments)
        .output()
        .map_err(|error| format!("cannot run {}: {error}", rustc.display()))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(format!("rustc {}: {}", arguments.join(" "), reason.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The folder in which rustc looks for the target's standard library, whether it exists or not.
///
/// # Errors
/// As [`ask_rustc`].
pub(crate) fn target_libdir() -> Result<PathBuf, String> {
    ask_rustc(&["--print", "target-libdir", "--target", TARGET]).map(PathBuf::from)
}

/// How many builds of the standard library lie in `libdir`: 1 is right, 0 is "not installed", and with more than one
/// rustc cannot tell which `core` is meant.
pub(crate) fn std_builds(libdir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(libdir) else {
        return 0;
    };
    let names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".rlib"))
        .collect();
    let cores = names.iter().filter(|n| n.starts_with("libcore-")).count();
    let stds = names
        .iter()
        .filter(|n| n.starts_with("libstd-") || *n == "libstd.rlib")
        .count();
    // A core without a std, or the reverse, is half an installation and counts as none.
    if cores == 0 || stds == 0 {
        0
    } else {
        cores.max(stds)
    }
}

/// The folder under which the component is built: a target directory of its own, because the calling cargo holds the
/// lock of the usual one for as long as a build script runs.
pub(crate) fn target_dir(workspace: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), |dir| workspace.join(dir))
        .join("component")
}

/// Builds the component and returns its path, `<target dir>/vllm-provider.wasm`.
///
/// # Errors
/// As [`build_package`].
pub(crate) fn build(workspace: &Path) -> Result<PathBuf, String> {
    build_package(workspace, PACKAGE)
}

/// Builds a package of the workspace that is a component, and returns its path, `<target dir>/<package>.wasm`.
///
/// # Errors
/// The standard library for [`TARGET`] is missing (the text says how to get it), or cargo failed.
pub(crate) fn build_package(workspace: &Path, package: &str) -> Result<PathBuf, String> {
    let libdir = target_libdir()?;
    match std_builds(&libdir) {
        1 => {}
        0 => {
            return Err(format!(
                "the standard library for {TARGET} is not installed (looked in {}); \
                 run `cargo xtask setup`, or name a ready component in PROVIDER_HOST_PLUGIN",
                libdir.display()
            ));
        }
        n => {
            return Err(format!(
                "{n} builds of the standard library for {TARGET} lie in {}; run `cargo xtask setup`",
                libdir.display()
            ));
        }
    }
    let target_dir = target_dir(workspace);
    let status = clean_cargo()
        .current_dir(workspace)
        .args(["build", "--locked", "--profile", "component"])
        .args(["--package", package, "--target", TARGET, "--target-dir"])
        .arg(&target_dir)
        .arg("--config")
        .arg(remap_configuration(workspace)?)
        .status()
        .map_err(|error| format!("cannot run cargo to build {package}: {error}"))?;
    if !status.success() {
        return Err(format!(
            "building {package} for {TARGET} failed ({status}); cargo's own messages say why"
        ));
    }
    let built = target_dir
        .join(TARGET)
        .join("component")
        .join(format!("{}.wasm", package.replace('-', "_")));
    let component = target_dir.join(format!("{package}.wasm"));
    // Another build may read the file at this moment: it sees the old bytes or the new ones, never half of them.
    let fresh = target_dir.join(format!("{package}.wasm.{}", std::process::id()));
    std::fs::read(&built)
        .and_then(|bytes| std::fs::write(&fresh, without_names(&bytes)))
        .and_then(|()| std::fs::rename(&fresh, &component))
        .map_err(|error| {
            format!(
                "cannot copy {} to {}: {error}",
                built.display(),
                component.display()
            )
        })?;
    Ok(component)
}

/// The component without its custom section `component-name`: names of what it imports and exports inside itself, for
/// people who read it with a disassembler. The linker always writes them, and they are a thirtieth of the file.
fn without_names(component: &[u8]) -> Vec<u8> {
    const PREAMBLE: usize = 8;
    let (head, mut rest) = component.split_at(component.len().min(PREAMBLE));
    let mut kept = head.to_vec();
    while let Some((size, payload)) = rest.get(1..).and_then(leb128) {
        let end = rest.len() - payload.len();
        let Some(end) = end.checked_add(size).filter(|end| *end <= rest.len()) else {
            break;
        };
        let is_names = rest[0] == 0
            && leb128(payload).is_some_and(|(_, name)| name.starts_with(b"component-name"));
        if !is_names {
            kept.extend_from_slice(&rest[..end]);
        }
        rest = &rest[end..];
    }
    kept.extend_from_slice(rest);
    kept
}

/// An unsigned LEB128 number of at most 32 bits, and what stands behind it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

/// A `--config` value that adds path remapping to the target's flags.
///
/// Cargo joins arrays from `--config` with those of `.cargo/config.toml`, where `RUSTFLAGS` would replace them.
fn remap_configuration(workspace: &Path) -> Result<String, String> {
    let mut flags = vec![remap(workspace, "/provider")];
    if let Some(home) = cargo_home() {
        flags.push(remap(&home.join("registry").join("src"), "/registry"));
    }
    let sysroot = ask_rustc(&["--print", "sysroot"])?;
    let source = Path::new(&sysroot).join("lib/rustlib/src/rust");
    flags.push(remap(&source, "/rustc"));
    let quoted: Vec<String> = flags.iter().map(|flag| toml_string(flag)).collect();
    Ok(format!("target.{TARGET}.rustflags=[{}]", quoted.join(",")))
}

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

fn toml_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
