//! Reads a component without compiling or running any of it.

use sha2::{Digest as _, Sha256};
use wasmparser::{Encoding, Parser, Payload};

use crate::bindings::types;
use crate::error::{Error, ErrorKind, Result, printable};
use crate::policy::limits::PLUGIN_NESTING;
use crate::policy::visible::escaped;

/// Custom section that holds the manifest as JSON.
pub const MANIFEST_SECTION: &str = "llm-provider-manifest";

/// Most bytes of a manifest: 256 KiB. That of `vllm-provider` has two.
pub const MAX_MANIFEST_SIZE: usize = 256 << 10;

/// Most imports, and most exports, of a plugin. One has about ten; each takes
/// several times its bytes in the host's memory.
pub const MAX_NAMES: usize = 1_000;

/// Names of imports or exports that a message lists.
const LISTED: usize = 20;

/// Characters of an error's words that a message shows.
const WORDS: usize = 2_000;

/// Characters of a name that a message shows.
const SHOWN: usize = 120;

/// Package of the contract, without its version.
pub(crate) const CONTRACT: &str = "llm:provider/";

/// Most bytes of a plugin file: 64 MiB. The largest sensible one is a hundredth
/// of that.
pub const MAX_PLUGIN_SIZE: u64 = 64 << 20;

/// What can be told about a plugin file from its bytes alone.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Inspection {
    /// `component`; nothing else is a plugin.
    pub kind: String,
    /// The world of the contract that its exports make up, such as
    /// `llm:provider/provider@0.1.0`; none if they make up none.
    pub world: Option<String>,
    /// What it asks of its host: its capabilities, all of them.
    pub imports: Vec<String>,
    /// What it offers.
    pub exports: Vec<String>,
    /// The manifest of its custom section.
    pub manifest: Option<types::Manifest>,
    /// Bytes.
    pub size: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
    /// The signature's description; none: it is not signed.
    pub signature: Option<String>,
    /// Functions of all its modules.
    pub functions: u32,
    /// Bytes of the largest function's body.
    pub largest_function: u32,
}

/// Reads a component.
///
/// # Errors
///
/// [`ErrorKind::InvalidPlugin`] if it is too large, not WebAssembly, a core
/// module, not well formed, nested deeper than [`PLUGIN_NESTING`], or if its
/// manifest can't be used.
pub fn inspect(bytes: &[u8]) -> Result<Inspection> {
    inspect_within(bytes, PLUGIN_NESTING)
}

/// The same with a limit on components and modules in each other.
pub(super) fn inspect_within(bytes: &[u8], nesting: u32) -> Result<Inspection> {
    if bytes.len() as u64 > MAX_PLUGIN_SIZE {
        return Err(invalid(format!(
            "the plugin has {} bytes; at most {MAX_PLUGIN_SIZE} are read",
            bytes.len()
        )));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(invalid(
            "the file is not WebAssembly (it does not begin with `\\0asm`); \
             a plugin is a component built for wasm32-unknown-unknown or wasm32-wasip2"
                .into(),
        ));
    }
    let mut inspection = Inspection {
        kind: "component".into(),
        world: None,
        imports: Vec::new(),
        exports: Vec::new(),
        manifest: None,
        size: bytes.len() as u64,
        sha256: hex(&Sha256::digest(bytes)),
        signature: None,
        functions: 0,
        largest_function: 0,
    };
    // The parser goes into nested modules and components: only what stands at
    // the outermost level is the plugin's own interface.
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload =
            payload.map_err(|error| invalid(words("the file is not well-formed", error)))?;
        match payload {
            Payload::Version { encoding, .. } => {
                if depth == 0 && encoding == Encoding::Module {
                    return Err(invalid(
                        "the file is a core module, not a component; build it with the linker \
                         wasm-component-ld, or make one of it with `wasm-tools component new`"
                            .into(),
                    ));
                }
                depth += 1;
                if depth > nesting {
                    return Err(invalid(format!(
                        "the plugin has components and modules in each other more than {nesting} levels deep"
                    )));
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            payload => inspection.take(payload, depth == 1)?,
        }
    }
    inspection.world = world(&inspection.exports);
    Ok(inspection)
}

impl Inspection {
    /// Adds what a part of the file tells; `own`: it stands at the outermost
    /// level.
    fn take(&mut self, payload: Payload<'_>, own: bool) -> Result<()> {
        match payload {
            Payload::ComponentImportSection(section) if own => {
                for import in section {
                    let import = import.map_err(|error| invalid(words("a bad import", error)))?;
                    push(&mut self.imports, import.name.name, "imports")?;
                }
            }
            Payload::ComponentExportSection(section) if own => {
                for export in section {
                    let export = export.map_err(|error| invalid(words("a bad export", error)))?;
                    push(&mut self.exports, export.name.name, "exports")?;
                }
            }
            Payload::CodeSectionEntry(body) => {
                let range = body.range();
                let bytes = u32::try_from(range.end - range.start).unwrap_or(u32::MAX);
                self.largest_function = self.largest_function.max(bytes);
                self.functions = self.functions.saturating_add(1);
            }
            Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                if self.manifest.is_some() {
                    return Err(invalid(format!(
                        "the plugin has more than one section {MANIFEST_SECTION}, and which of them holds \
                         is not told"
                    )));
                }
                self.manifest = Some(parse_manifest(section.data()).map_err(|why| {
                    invalid(format!(
                        "the section {MANIFEST_SECTION} can't be read: {why}"
                    ))
                })?);
            }
            Payload::CustomSection(section) if section.name() == "signature" => {
                self.signature = Some(format!(
                    "embedded, {} bytes, not verified",
                    section.data().len()
                ));
            }
            _ => {}
        }
        Ok(())
    }
}

fn invalid(why: String) -> Error {
    Error::new(ErrorKind::InvalidPlugin, why)
}

fn push(names: &mut Vec<String>, name: &str, what: &str) -> Result<()> {
    if names.len() == MAX_NAMES {
        return Err(invalid(format!(
            "the plugin has more than {MAX_NAMES} {what}"
        )));
    }
    names.push(name.to_owned());
    Ok(())
}

/// What went wrong, and the words for why, which may hold the plugin's own.
pub(super) fn words(what: &str, why: impl std::fmt::Display) -> String {
    let why = printable(why.to_string());
    match why.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{what}: {}…", &why[..end]),
        None => format!("{what}: {why}"),
    }
}

/// A name in a message. It is the plugin's own word.
pub(super) fn shown(name: &str) -> String {
    match name.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}…`", escaped(&name[..end])),
        None => format!("`{}`", escaped(name)),
    }
}

/// Names in a message, each by itself, up to a number of them.
pub(super) fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".into();
    }
    let mut list: Vec<String> = names.iter().take(LISTED).map(|name| shown(name)).collect();
    if let Some(more @ 1..) = names.len().checked_sub(LISTED) {
        list.push(format!("and {more} more"));
    }
    list.join(", ")
}

/// The contract's world that a list of exports makes up.
fn world(exports: &[String]) -> Option<String> {
    let version_of = |interface: &str| {
        exports.iter().find_map(|export| {
            export
                .strip_prefix(CONTRACT)?
                .strip_prefix(interface)?
                .strip_prefix('@')
        })
    };
    let named = |world: &str, version: &str| format!("{CONTRACT}{world}@{version}");
    version_of("info")?;
    if let Some(version) = version_of("chat") {
        version_of("catalog")?;
        return Some(named("provider", version));
    }
    version_of("wire").map(|version| named("codec", version))
}

fn parse_manifest(json: &[u8]) -> Result<types::Manifest, String> {
    if json.len() > MAX_MANIFEST_SIZE {
        return Err(format!(
            "it has {} bytes; at most {MAX_MANIFEST_SIZE} are read",
            json.len()
        ));
    }
    let value: serde_json::Value =
        serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let text = |key: &str| value.get(key).and_then(|v| v.as_str()).map(str::to_owned);
    let required = |key: &str| text(key).ok_or_else(|| format!("`{key}` is missing or no text"));
    Ok(types::Manifest {
        id: required("id")?,
        label: required("label")?,
        api: required("api")?,
        version: required("version")?,
        key_variable: text("key_variable"),
        default_base_url: text("default_base_url"),
        documentation_url: text("documentation_url"),
        config_schema: match value.get("config_schema") {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(schema) => schema.to_string(),
            None => return Err("`config_schema` is missing".into()),
        },
    })
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_component_is_refused_with_a_reason() {
        for (bytes, reason) in [
            (&b""[..], "not WebAssembly"),
            (b"#!/bin/sh", "not WebAssembly"),
            (b"\0asm\x01\0\0\0", "core module"),
            (b"\0asm\x0d\0\x01\0\xff", "not well-formed"),
        ] {
            let error = inspect(bytes).expect_err("no component");
            assert_eq!(error.kind(), &ErrorKind::InvalidPlugin);
            assert!(error.message().contains(reason), "{}", error.message());
        }
    }

    #[test]
    fn the_world_is_told_by_the_exports() {
        let exports = |names: &[&str]| -> Vec<String> {
            names
                .iter()
                .map(|n| format!("llm:provider/{n}@0.1.0"))
                .collect()
        };
        assert_eq!(
            world(&exports(&["info", "catalog", "chat"])).as_deref(),
            Some("llm:provider/provider@0.1.0")
        );
        assert_eq!(
            world(&exports(&["info", "wire"])).as_deref(),
            Some("llm:provider/codec@0.1.0")
        );
        assert_eq!(world(&exports(&["chat"])), None);
        assert_eq!(world(&[]), None);
    }
}
