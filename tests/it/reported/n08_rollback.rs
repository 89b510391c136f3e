//! An older signed plugin that is loaded again.
//!
//! Each attack offers a file that the signer signed once, to a host that has just been started and
//! remembers nothing. The policy has a minimum version.

use std::process::{Command, Output};

use provider_host::plugin::trust::{Signatures, Trust};
use provider_host::plugin::{EMBEDDED, MANIFEST_SECTION, inspect};
use provider_host::policy::NetworkLimits;
use provider_host::registry::{Offered, Registry, Stage, SwapPolicy};
use provider_host::{Engine, EngineOptions, Error, ErrorKind, Plugin};

use super::{Attack, ended};
use crate::hostile_files::components::{PROVIDER, component, with_section};
use crate::hostile_files::signer::Signer;
use crate::support;
use crate::swap::variants;

const TOO_OLD: &str = "the plugin vllm is version 0.1.0, and the trust file asks for at least 0.2.0: get a newer version";

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        number: "8a",
        attempt: "an older file with its good signature, offered to a host that was restarted",
        ends: TOO_OLD,
        test: "a_signed_file_below_the_minimum_is_refused_before_it_is_compiled",
    },
    Attack {
        number: "8b",
        attempt: "the same with `--plugin`, `plugin compile`, `plugin check` and `plugin fuzz`",
        ends: TOO_OLD,
        test: "every_command_that_runs_a_plugin_asks_for_the_minimum",
    },
    Attack {
        number: "8c",
        attempt: "a pre-release of the minimum",
        ends: "is version 0.2.0-rc.9, and the trust file asks for at least 0.2.0",
        test: "versions_that_only_look_new_are_refused",
    },
    Attack {
        number: "8d",
        attempt: "an older version with high numbers in its build metadata",
        ends: "is version 0.1.9+99.0.0, and the trust file asks for at least 0.2.0",
        test: "versions_that_only_look_new_are_refused",
    },
    Attack {
        number: "8e",
        attempt: "a version that is no semantic version, such as `v9` or one with numbers too large to read",
        ends: "which is no semantic version",
        test: "versions_that_only_look_new_are_refused",
    },
    Attack {
        number: "8f",
        attempt: "the id in capital letters or with space around it",
        ends: TOO_OLD,
        test: "an_id_that_is_spelled_in_another_way_has_the_same_minimum",
    },
    Attack {
        number: "8g",
        attempt: "the id with an invisible or a look-alike character",
        ends: "it cannot be told which `minimum` of the trust file applies",
        test: "an_id_that_is_spelled_in_another_way_has_the_same_minimum",
    },
    Attack {
        number: "8h",
        attempt: "an older file whose digest is still pinned",
        ends: TOO_OLD,
        test: "neither_a_pin_nor_a_missing_signature_goes_before_the_minimum",
    },
    Attack {
        number: "8i",
        attempt: "an older file without a signature, where none is asked for",
        ends: TOO_OLD,
        test: "neither_a_pin_nor_a_missing_signature_goes_before_the_minimum",
    },
    Attack {
        number: "8j",
        attempt: "an older host program, whose built-in plugin is below the minimum",
        ends: TOO_OLD,
        test: "the_built_in_plugin_has_a_minimum_too",
    },
    Attack {
        number: "8k",
        attempt: "an older file offered to a running host that allows downgrades",
        ends: TOO_OLD,
        test: "an_offer_below_the_minimum_is_refused_where_downgrades_are_allowed",
    },
    Attack {
        number: "8l",
        attempt: "a file without a manifest, which has neither id nor version",
        ends: "the plugin has no manifest",
        test: "versions_that_only_look_new_are_refused",
    },
];

fn alice() -> Signer {
    Signer::new(1)
}

/// A policy that trusts alice, and her provider vllm from 0.2.0 on.
fn trust() -> Trust {
    Trust::new(Signatures::Required)
        .with_key("alice", &alice().public())
        .and_then(|trust| trust.with_minimum("vllm", "0.2.0"))
        .expect("a policy")
}

/// A provider by its manifest, which is all that the policy looks at.
fn provider(id: &str, version: &str) -> Vec<u8> {
    let manifest = serde_json::json!({
        "id": id, "label": "P", "api": "a", "version": version, "config_schema": {},
    });
    let manifest = manifest.to_string();
    with_section(
        component(&[], PROVIDER, &[]),
        MANIFEST_SECTION,
        manifest.as_bytes(),
    )
}

/// What becomes of a signed file.
fn judged(bytes: &[u8]) -> Result<(), Error> {
    let signature = alice().sign(bytes);
    trust().judge(bytes, Some(signature.as_bytes())).map(|_| ())
}

#[track_caller]
fn refused(bytes: &[u8]) -> String {
    let error = judged(bytes).expect_err("a refusal");
    assert_eq!(error.kind(), &ErrorKind::UntrustedPlugin, "{error}");
    error.to_string()
}

#[test]
fn a_signed_file_below_the_minimum_is_refused_before_it_is_compiled() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.wasm");
    let cache = folder.path().join("cache");
    let put = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("a file");
        std::fs::write(folder.path().join("p.wasm.minisig"), alice().sign(bytes)).expect("a file");
    };
    let restarted = || {
        let mut options = EngineOptions::default();
        options.max_chats = 1;
        options.cache_dir = Some(cache.clone());
        Engine::new(options).expect("an engine")
    };
    put(EMBEDDED);
    let error = Plugin::from_trusted_file(&restarted(), &path, &trust()).expect_err("a refusal");
    assert_eq!(error.kind(), &ErrorKind::UntrustedPlugin, "{error}");
    assert!(!cache.exists(), "something was compiled");
    ended("8a", error.message());

    put(&variants::version("0.2.0"));
    let loaded = Plugin::from_trusted_file(&restarted(), &path, &trust());
    assert_eq!(loaded.expect("the newer one").0.manifest().version, "0.2.0");
}

/// Runs a command of the program over a file, under a trust file with a minimum.
fn command(bytes: &[u8], arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, content: &[u8]| {
        std::fs::write(folder.path().join(name), content).expect("a file");
    };
    write("p.wasm", bytes);
    write("p.wasm.minisig", alice().sign(bytes).as_bytes());
    let key = alice().public();
    let text = format!(
        "{{ signatures: 'required', keys: {{ alice: '{key}' }}, minimum: {{ vllm: '0.2.0' }} }}"
    );
    write("trust.json5", text.as_bytes());
    Command::new(env!("CARGO_BIN_EXE_provider-host"))
        .args(["--trust", "trust.json5"])
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .output()
        .expect("the program")
}

#[test]
fn every_command_that_runs_a_plugin_asks_for_the_minimum() {
    for arguments in [
        &["--plugin", "p.wasm", "models", "list"][..],
        &["--plugin", "p.wasm", "chat", "--model", "vllm/m", "hello"],
        &["--plugin", "p.wasm", "chat", "--watch", "--model", "vllm/m"],
        &["plugin", "compile", "p.wasm"],
        &["plugin", "check", "p.wasm"],
        &["plugin", "fuzz", "p.wasm", "--runs", "1"],
    ] {
        let output = command(EMBEDDED, arguments);
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {words}");
        ended("8b", &words);
    }
    // What runs nothing shows the verdict.
    let output = command(EMBEDDED, &["plugin", "inspect", "p.wasm"]);
    assert_eq!(output.status.code(), Some(0));
    ended("8b", &String::from_utf8_lossy(&output.stdout));
    let output = command(
        &variants::version("0.2.0"),
        &["plugin", "inspect", "p.wasm"],
    );
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(words.contains("signed by \"alice\""), "{words}");
}

#[test]
fn versions_that_only_look_new_are_refused() {
    ended("8c", &refused(&provider("vllm", "0.2.0-rc.9")));
    ended("8d", &refused(&provider("vllm", "0.1.9+99.0.0")));
    for version in [
        "v9",
        "9",
        "9.0",
        "",
        " 9.0.0",
        "9.0.0.0",
        "99999999999999999999.0.0",
    ] {
        ended("8e", &refused(&provider("vllm", version)));
    }
    let without = component(&[], PROVIDER, &[]);
    let error = judged(&without).expect_err("a refusal");
    assert_eq!(error.kind(), &ErrorKind::InvalidPlugin, "{error}");
    ended("8l", error.message());
    // A second manifest is no way round either.
    let manifest =
        br#"{"id": "vllm", "label": "P", "api": "a", "version": "9.0.0", "config_schema": {}}"#;
    let twice = with_section(provider("vllm", "0.1.0"), MANIFEST_SECTION, manifest);
    assert!(judged(&twice).is_err());

    for version in ["0.2.0", "0.2.0+1", "0.10.0", "1.0.0-rc.1"] {
        judged(&provider("vllm", version)).expect("no refusal");
    }
}

#[test]
fn an_id_that_is_spelled_in_another_way_has_the_same_minimum() {
    for id in ["vllm", "VLLM", "vLLM", " vllm", "vllm\n", "\u{a0}vllm"] {
        ended("8f", &refused(&provider(id, "0.1.0")));
    }
    for id in [
        "vllm\u{200b}",
        "\u{202e}vllm",
        "v\u{217c}\u{217c}m",
        "vll\u{43c}",
        "vllm.",
        "",
    ] {
        ended("8g", &refused(&provider(id, "9.0.0")));
    }
    // Another provider has other settings and another key.
    judged(&provider("other", "0.1.0")).expect("no refusal");
}

#[test]
fn neither_a_pin_nor_a_missing_signature_goes_before_the_minimum() {
    let sha256 = inspect(EMBEDDED).expect("a component").sha256;
    let pinned = trust().with_digest("mine", &sha256).expect("a digest");
    let error = pinned.judge(EMBEDDED, None).expect_err("a refusal");
    ended("8h", error.message());
    let optional = Trust::new(Signatures::Optional).with_minimum("vllm", "0.2.0");
    let error = optional
        .expect("a policy")
        .judge(EMBEDDED, None)
        .expect_err("a refusal");
    ended("8i", error.message());
}

#[test]
fn the_built_in_plugin_has_a_minimum_too() {
    let error = trust().judge_built_in(EMBEDDED).expect_err("a refusal");
    assert_eq!(error.kind(), &ErrorKind::UntrustedPlugin);
    ended("8j", error.message());
    let output = command(EMBEDDED, &["models", "list"]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{words}");
    ended("8j", &words);
    let at_it = Trust::new(Signatures::Required).with_minimum("VLLM", "0.1.0");
    at_it
        .expect("a policy")
        .judge_built_in(EMBEDDED)
        .expect("no refusal");
}

#[tokio::test]
async fn an_offer_below_the_minimum_is_refused_where_downgrades_are_allowed() {
    let policy = SwapPolicy::new().with_downgrades(true).with_trust(trust());
    let registry = Registry::with_policy(policy);
    let options = support::options("http://127.0.0.1:9/v1", "key", NetworkLimits::new());
    let slot = registry.serve(support::plugin(), options).expect("a slot");
    let old = variants::noted("older");
    let refusal = slot
        .offer_signed_bytes(old.clone(), alice().sign(&old))
        .await;
    let refusal = refusal.expect_err("a refusal");
    assert_eq!(refusal.stage(), Stage::Trust);
    ended("8k", refusal.error().message());

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.wasm");
    std::fs::write(&path, &old).expect("a file");
    std::fs::write(folder.path().join("p.wasm.minisig"), alice().sign(&old)).expect("a file");
    for refusal in [
        slot.offer_file(&path).await.expect_err("a refusal"),
        slot.offer_directory(folder.path())
            .await
            .expect_err("a refusal"),
    ] {
        assert_eq!(refusal.stage(), Stage::Trust);
        ended("8k", refusal.error().message());
    }
    let new = variants::version("0.2.0");
    let offered = slot
        .offer_signed_bytes(new.clone(), alice().sign(&new))
        .await;
    assert!(matches!(offered, Ok(Offered::Serving(_))), "{offered:?}");
}
