//! Who the provider is.
//!
//! One file, `manifest.json`, holds the facts. It is compiled in twice: here,
//! for those who ask the running component, and as its custom section
//! `llm-provider-manifest`, for a host that has not yet decided to run it.

use alloc::borrow::ToOwned;
use alloc::string::String;

use crate::raw_json::Raw;
use crate::types::Manifest;

/// The manifest as JSON, without the space that makes the file readable: what
/// the custom section holds.
pub const MANIFEST_JSON: &str = match core::str::from_utf8(&COMPACT) {
    Ok(text) => text,
    Err(_) => panic!("the file is UTF-8, and only ASCII is left out"),
};

const FILE: &str = include_str!("../manifest.json");

/// The section and what the running component reads are the same static, so
/// that the memory holds one copy.
#[cfg_attr(
    target_arch = "wasm32",
    allow(unsafe_code, reason = "the attribute names a section of the file"),
    unsafe(link_section = "llm-provider-manifest")
)]
#[used]
static COMPACT: [u8; compact(&mut [0; FILE.len()])] = {
    let mut bytes = [0; compact(&mut [0; FILE.len()])];
    compact(&mut bytes);
    bytes
};

/// Writes the file to the front of `out`, as far as it fits, without the space
/// outside of strings; gives its length.
const fn compact(out: &mut [u8]) -> usize {
    let file = FILE.as_bytes();
    let (mut from, mut to) = (0, 0);
    let mut in_string = false;
    while from < file.len() {
        let byte = file[from];
        if in_string || !byte.is_ascii_whitespace() {
            if to < out.len() {
                out[to] = byte;
            }
            to += 1;
        }
        if in_string && byte == b'\\' {
            // What is escaped ends no string.
            from += 1;
            if to < out.len() {
                out[to] = file[from];
            }
            to += 1;
        } else if byte == b'"' {
            in_string = !in_string;
        }
        from += 1;
    }
    to
}

/// The manifest as a value.
pub fn manifest() -> Manifest {
    // The file is part of the program, and the tests below read it: a field can
    // only be missing in a build that fails them.
    let fields = Raw::parse(MANIFEST_JSON).ok().and_then(Raw::as_object);
    let fields = fields.unwrap_or_default();
    let optional = |name: &str| fields.get(name).and_then(Raw::as_string);
    let text = |name: &str| optional(name).unwrap_or_default();
    Manifest {
        id: text("id"),
        label: text("label"),
        api: text("api"),
        version: text("version"),
        key_variable: optional("key_variable"),
        default_base_url: optional("default_base_url"),
        documentation_url: optional("documentation_url"),
        config_schema: fields
            .get("config_schema")
            .map_or_else(String::new, |schema| schema.text().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_manifest_says_what_the_code_does() {
        let manifest = manifest();
        assert_eq!(manifest.id, "vllm");
        assert_eq!(manifest.label, "vLLM");
        assert_eq!(manifest.api, "openai-completions");
        assert_eq!(manifest.version, env!("CARGO_PKG_VERSION"));
        assert_eq!(manifest.key_variable.as_deref(), Some("VLLM_API_KEY"));
        assert_eq!(
            manifest.default_base_url.as_deref(),
            Some(crate::base_url::DEFAULT_BASE_URL)
        );
        assert!(manifest.documentation_url.unwrap().starts_with("https://"));
    }

    #[test]
    fn nothing_but_space_is_left_out() {
        let file: serde_json::Value = serde_json::from_str(FILE).unwrap();
        let compact: serde_json::Value = serde_json::from_str(MANIFEST_JSON).unwrap();
        assert_eq!(compact, file);
        assert!(MANIFEST_JSON.len() < FILE.len() && !MANIFEST_JSON.contains('\n'));
    }

    #[test]
    fn every_field_of_the_file_is_a_field_of_the_manifest() {
        let fields = Raw::parse(MANIFEST_JSON).unwrap().as_object().unwrap();
        let names: Vec<&str> = fields.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "id",
                "label",
                "api",
                "version",
                "key_variable",
                "default_base_url",
                "documentation_url",
                "config_schema"
            ]
        );
    }
}
