//! `plugin inspect`, `plugin compile`, `--plugin` and the compile cache.

use std::path::PathBuf;

use provider_host::plugin::{EMBEDDED, inspect};
use serde_json::{Value, json};

use super::process::{Home, Outcome};
use super::server::Server;
use crate::hostile_files::signer::Signer;

#[test]
fn inspect_tells_what_a_plugin_is() {
    let home = Home::new();
    let file = home.write("p.wasm", EMBEDDED);
    let known = inspect(EMBEDDED).expect("a component");
    let manifest = known.manifest.expect("a manifest");

    let outcome = home.run(&["plugin", "inspect", "--json", &file]).exits(0);
    let found: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let schema: Value = serde_json::from_str(&manifest.config_schema).expect("a schema");
    assert_eq!(
        found,
        json!({
            "file": file,
            "kind": "component",
            "world": "llm:provider/provider@0.1.0",
            "imports": known.imports,
            "exports": known.exports,
            "manifest": {
                "id": "vllm",
                "label": "vLLM",
                "api": "openai-completions",
                "version": manifest.version,
                "key_variable": "VLLM_API_KEY",
                "default_base_url": "http://127.0.0.1:8000/v1",
                "documentation_url": manifest.documentation_url,
                "config_schema": schema,
            },
            "size": EMBEDDED.len(),
            "sha256": known.sha256,
            "signature": null,
            "trust": null,
        })
    );
    assert_eq!(known.sha256.len(), 64);
    assert!(schema.is_object(), "{schema}");

    let outcome = home.run(&["plugin", "inspect", &file]).exits(0);
    for words in [
        "vLLM (vllm)",
        "VLLM_API_KEY",
        &known.sha256,
        "llm:provider/provider@0.1.0",
    ]
    .into_iter()
    .chain(known.imports.iter().map(String::as_str))
    .chain(known.exports.iter().map(String::as_str))
    {
        assert!(
            outcome.stdout.contains(words),
            "no {words:?} in {outcome:#?}"
        );
    }
    assert_eq!(outcome.stderr, "");
}

#[test]
fn a_file_that_is_no_plugin_is_wrong_usage_and_told_as_what_it_is() {
    let server = Server::tiny();
    let home = server.home();
    let text = home.write("text.wasm", "#!/bin/sh\n");
    let module = home.write("module.wasm", b"\0asm\x01\0\0\0");
    let cut = home.write("cut.wasm", &EMBEDDED[..EMBEDDED.len() / 2]);
    let empty = home.write("empty.wasm", "");
    let directory = home.path("").display().to_string();
    let foreign = home.write("foreign.wasm", b"\0asm\x0d\0\x01\0");
    for (file, words) in [
        (&text, "not WebAssembly"),
        (&module, "core module"),
        (&cut, "not well-formed"),
        (&empty, "not WebAssembly"),
        (&directory, "could not read the plugin"),
        (
            &String::from("gone.wasm"),
            "could not read the plugin gone.wasm",
        ),
    ] {
        for arguments in [
            &["plugin", "inspect", file][..],
            &["plugin", "inspect", "--json", file],
            &["plugin", "compile", file],
            &["--plugin", file, "models", "list"],
            &["--plugin", file, "chat", "hi"],
        ] {
            let outcome = home.run(arguments).exits(2).complains(&[words]);
            assert_eq!(outcome.stdout, "", "{arguments:?}");
        }
    }
    // A component of no world of the contract can be looked at, not loaded.
    home.run(&["plugin", "inspect", &foreign]).exits(0);
    home.run(&["--plugin", &foreign, "models", "list"])
        .exits(2)
        .complains(&["llm:provider/provider"]);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_plugin_file_is_run_in_place_of_the_embedded_one() {
    let server = Server::tiny();
    let home = server.home();
    let file = home.write("p.wasm", EMBEDDED);
    let outcome = home
        .run(&["--plugin", &file, "chat", "Say hello."])
        .exits(0);
    assert_eq!(outcome.stdout, "Hello! How can I help you today?\n");
}

#[test]
fn inspect_tells_who_signed_a_plugin_and_what_the_trust_file_makes_of_it() {
    let home = Home::new();
    let file = home.write("p.wasm", EMBEDDED);
    let alice = Signer::new(1);
    let look = |arguments: &[&str]| -> Value {
        let all = [&["plugin", "inspect", "--json", file.as_str()], arguments].concat();
        serde_json::from_str(&home.run(&all).exits(0).stdout).expect("JSON")
    };
    home.write("p.wasm.minisig", alice.sign(EMBEDDED));
    let found = look(&[]);
    assert_eq!(
        found["signature"],
        "detached, names key ID 0101010101010101, not verified"
    );
    assert_eq!(found["trust"], Value::Null);

    let policy = |text: String| home.write("trust.json5", text);
    let trust = policy(format!(
        "{{signatures: 'required', keys: {{alice: '{}'}}}}",
        alice.public()
    ));
    let found = look(&["--trust", &trust]);
    assert_eq!(
        found["signature"],
        "detached, names key ID 0101010101010101"
    );
    let reason = "signed by \"alice\", who says \"timestamp:1764000000\\tfile:p.wasm\"";
    assert_eq!(found["trust"], json!({"accepted": true, "reason": reason}));

    home.write("p.wasm.minisig", alice.sign(b"another file"));
    let found = look(&["--trust", &trust]);
    assert_eq!(found["trust"]["accepted"], false);
    let shown = home
        .run(&["plugin", "inspect", &file, "--trust", &trust])
        .exits(0);
    assert!(
        shown
            .stdout
            .contains("refused: the plugin's signature names the key \"alice\""),
        "{shown:#?}"
    );
    // What is shown is what is done.
    home.run(&["plugin", "compile", &file, "--trust", &trust])
        .exits(2)
        .complains(&["does not fit"]);
}

#[test]
fn the_plugin_built_into_the_host_needs_no_signature_and_can_be_revoked() {
    let server = Server::tiny();
    let home = server.home();
    home.write(
        "config/provider-host/trust.json5",
        "{signatures: 'required'}",
    );
    home.run(&["chat", "Say hello."]).exits(0);
    let sha256 = inspect(EMBEDDED).expect("a component").sha256;
    let revoked =
        format!("{{signatures: 'optional', revoked: {{digests: {{leaks: '{sha256}'}}}}}}");
    home.write("config/provider-host/trust.json5", revoked);
    home.run(&["chat", "Say hello."]).exits(2).complains(&[
        "the plugin built with this host: the plugin is revoked (\"leaks\")",
        "trust.json5",
    ]);
}

#[test]
fn no_command_runs_a_plugin_that_the_trust_file_keeps_out() {
    let server = Server::tiny();
    let home = server.home();
    let file = home.write("p.wasm", EMBEDDED);
    let trust = home.write("trust.json5", "{signatures: 'required'}");
    for arguments in [
        &["--plugin", &file, "chat", "hi"][..],
        &["--plugin", &file, "models", "list"],
        &["--plugin", &file, "demo"],
        &["plugin", "compile", &file],
        &["plugin", "check", &file],
        &["plugin", "fuzz", &file],
    ] {
        let outcome = home.run(&[&["--trust", trust.as_str()], arguments].concat());
        outcome
            .exits(2)
            .complains(&["the plugin is not signed", "the trust file is"]);
    }
    let doctor = home.run(&["--trust", &trust, "--plugin", &file, "doctor"]);
    assert!(
        doctor.stdout.contains("the plugin is not signed"),
        "{doctor:#?}"
    );
    assert_eq!(server.requests().len(), 0);
}

/// The entries of the compile cache.
fn entries(home: &Home) -> Vec<PathBuf> {
    let files = std::fs::read_dir(home.compiled()).expect("the cache");
    files
        .map(|file| file.expect("a file").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "cwasm")
        })
        .collect()
}

fn compile(home: &Home, file: &str, words: &str) -> Outcome {
    let outcome = home.run(&["plugin", "compile", file]).exits(0);
    assert!(
        outcome.stdout.contains(words),
        "no {words:?} in {outcome:#?}"
    );
    outcome
}

#[test]
fn what_was_compiled_once_is_taken_from_the_cache() {
    let home = Home::with_own_cache();
    let file = home.write("p.wasm", EMBEDDED);
    let sha256 = inspect(EMBEDDED).expect("a component").sha256;
    let outcome = compile(&home, &file, "vllm ");
    assert!(
        outcome.stdout.contains(" compiled ") && outcome.stdout.contains(&sha256),
        "{outcome:#?}"
    );
    assert_eq!(entries(&home).len(), 1);
    compile(&home, &file, " was in the cache ");
    assert_eq!(entries(&home).len(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: PathBuf| {
            let metadata = std::fs::metadata(path).expect("a file");
            metadata.permissions().mode() & 0o777
        };
        assert_eq!(mode(home.compiled()), 0o700);
        assert_eq!(mode(home.compiled().join("key")), 0o600);
    }
}

#[test]
fn a_cache_entry_that_was_tampered_with_is_not_loaded() {
    let server = Server::tiny();
    let home = Home::with_own_cache();
    home.configure(&server.configuration());
    let file = home.write("p.wasm", EMBEDDED);
    compile(&home, &file, " compiled ");
    let entry = entries(&home).pop().expect("an entry");
    let good = std::fs::read(&entry).expect("the entry");

    for (what, at) in [
        ("the MAC", 10),
        ("the code", good.len() / 2),
        ("the end", good.len() - 1),
    ] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        std::fs::write(&entry, bytes).expect("the entry");
        let outcome = home.run(&["chat", "Say hello."]).exits(0);
        assert_eq!(
            outcome.stdout, "Hello! How can I help you today?\n",
            "{what}"
        );
        outcome.complains(&["WARN", "compile cache entry does not check out"]);
        // And it was replaced.
        let outcome = compile(&home, &file, " was in the cache ");
        assert_eq!(outcome.stderr, "", "{what}");
    }

    std::fs::write(&entry, &good[..good.len() / 2]).expect("the entry");
    home.run(&["chat", "Say hello."])
        .exits(0)
        .complains(&["does not check out"]);

    // With another key every entry is a stranger's.
    std::fs::remove_file(home.compiled().join("key")).expect("the key");
    compile(&home, &file, " compiled ");
    compile(&home, &file, " was in the cache ");
}

#[test]
fn a_cache_that_cannot_be_written_costs_time_only() {
    let server = Server::tiny();
    let home = Home::with_own_cache();
    home.configure(&server.configuration());
    home.write("cache", "a file where the directory should be");
    let outcome = home.run(&["chat", "Say hello."]).exits(0);
    assert_eq!(outcome.stdout, "Hello! How can I help you today?\n");
    outcome.complains(&["WARN", "could not keep the compiled plugin"]);
}
