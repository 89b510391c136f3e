//! Reads a component without compiling or running any of it.

use sha2::{Digest as _, Sha256};
use wasmparser::{Encoding, Parser, Payload};

use crate::bindings::types;
use crate::error::{Error, ErrorKind, Result};

/// Custom section that holds the manifest as JSON.
pub const MANIFEST_SECTION: &str = "llm-provider-manifest";

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
}

/// Reads a component.
///
/// # Errors
///
/// [`ErrorKind::InvalidPlugin`] if it is too large, not WebAssembly, a core
/// module, or not well formed.
pub fn inspect(bytes: &[u8]) -> Result<Inspection> {
    let invalid = |why: String| Error::new(ErrorKind::InvalidPlugin, why);
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

    let mut imports = Vec::new();
    let mut exports = Vec::new();
    let mut manifest = None;
    let mut signature = None;
    // The parser goes into nested modules and components: only what stands at
    // the outermost level is the plugin's own interface.
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload =
            payload.map_err(|error| invalid(format!("the file is not well-formed: {error}")))?;
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
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    let import =
                        import.map_err(|error| invalid(format!("a bad import: {error}")))?;
                    imports.push(import.name.name.to_string());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    let export =
                        export.map_err(|error| invalid(format!("a bad export: {error}")))?;
                    exports.push(export.name.name.to_string());
                }
            }
            Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                manifest = Some(parse_manifest(section.data()).map_err(|why| {
                    invalid(format!(
                        "the section {MANIFEST_SECTION} can't be read: {why}"
                    ))
                })?);
            }
            Payload::CustomSection(section) if section.name() == "signature" => {
                signature = Some(format!(
                    "embedded, {} bytes, not verified",
                    section.data().len()
                ));
            }
            _ => {}
        }
    }

    Ok(Inspection {
        kind: "component".into(),
        world: world(&exports),
        imports,
        exports,
        manifest,
        size: bytes.len() as u64,
        sha256: hex(&Sha256::digest(bytes)),
        signature,
    })
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
