//! The component that this build embeds: small, sealed, and what it says it is.

use provider_host::plugin::{EMBEDDED, inspect};

/// The size that the component may not exceed, in bytes.
const SIZE_LIMIT: usize = 400 * 1024;

#[test]
fn the_component_imports_only_http_io_and_clocks() {
    let inspection = inspect(EMBEDDED).expect("a component");
    assert!(!inspection.imports.is_empty());
    for import in &inspection.imports {
        let allowed = [
            "wasi:http/",
            "wasi:io/",
            "wasi:clocks/monotonic-clock@",
            "llm:provider/types@",
        ];
        assert!(
            allowed.iter().any(|prefix| import.starts_with(prefix)),
            "{import}"
        );
    }
}

#[test]
fn the_component_exports_the_world_provider_what_is_beside_it_and_a_manifest() {
    let inspection = inspect(EMBEDDED).expect("a component");
    assert_eq!(
        inspection.world.as_deref(),
        Some("llm:provider/provider@0.1.0")
    );
    for beside in ["token-counter", "health"] {
        let export = format!("llm:provider/{beside}@0.1.0");
        assert!(inspection.exports.contains(&export), "{export}");
    }
    let manifest = inspection.manifest.expect("a manifest");
    assert_eq!(manifest.id, "vllm");
    assert_eq!(manifest.api, "openai-completions");
    assert_eq!(manifest.key_variable.as_deref(), Some("VLLM_API_KEY"));
    assert_eq!(
        manifest.default_base_url.as_deref(),
        Some("http://127.0.0.1:8000/v1")
    );
    assert_eq!(manifest.version, env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_component_is_at_most_400_kb() {
    assert!(
        EMBEDDED.len() <= SIZE_LIMIT,
        "the component has {} bytes",
        EMBEDDED.len()
    );
}

#[test]
fn the_component_names_no_folder_of_the_machine_that_built_it() {
    let text = String::from_utf8_lossy(EMBEDDED);
    let home = std::env::home_dir().expect("a home");
    for folder in [
        home.as_path(),
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")),
    ] {
        let folder = folder.to_str().expect("text");
        assert!(folder.len() > 1 && !text.contains(folder), "{folder}");
    }
}

#[test]
fn the_wasi_packages_of_the_contract_are_those_of_wasmtime() {
    // The host links what wasmtime implements: the contract must name the same.
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/deps");
    let mut packages = 0;
    for entry in std::fs::read_dir(dir).expect("wit/deps") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a WIT file");
        let package = text.lines().next().expect("a first line");
        assert!(
            package.starts_with("package wasi:") && package.ends_with("@0.2.12;"),
            "{}: {package}",
            path.display()
        );
        packages += 1;
    }
    assert_eq!(packages, 7);
}
