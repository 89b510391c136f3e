//! Files that are no plugin, or not one that the user trusts.

use provider_host::plugin::EMBEDDED;

use super::scene::{Case, Scene};
use crate::cli::process::Home;
use crate::hostile_files::signer::Signer;

const TRUST: &str = "config/provider-host/trust.json5";

/// A plugin file under a policy that trusts the key of alice's, who is signer 1.
fn judged(
    title: &str,
    signature: Option<String>,
    policy: impl Fn(&str) -> String + Send + 'static,
) -> Case {
    Case::new(title, move || {
        let arguments = ["--plugin", "p.wasm", "models", "list"];
        let scene = Scene::new(Home::new(), &arguments).file("p.wasm", EMBEDDED);
        let scene = scene.file(TRUST, policy(&Signer::new(1).public()));
        match &signature {
            Some(signature) => scene.file("p.wasm.minisig", signature),
            None => scene,
        }
    })
}

fn alice_only(key: &str) -> String {
    format!("{{ signatures: 'required', keys: {{ alice: '{key}' }} }}")
}

fn file(title: &str, content: impl Fn() -> Vec<u8> + Send + 'static) -> Case {
    Case::new(title, move || {
        Scene::new(Home::new(), &["--plugin", "p.wasm", "models", "list"]).file("p.wasm", content())
    })
}

/// The embedded plugin with one name in it replaced by another of its length.
fn renamed(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = EMBEDDED.to_vec();
    let mut at = 0;
    while let Some(found) = bytes[at..]
        .windows(from.len())
        .position(|window| window == from.as_bytes())
    {
        bytes[at + found..at + found + to.len()].copy_from_slice(to.as_bytes());
        at += found + to.len();
    }
    bytes
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("A file that is not there", || {
            Scene::new(Home::new(), &["--plugin", "p.wasm", "models", "list"])
        }),
        file("A file that is not WebAssembly", || b"#!/bin/sh\n".to_vec()),
        file("A core module", || b"\0asm\x01\0\0\0".to_vec()),
        file("A file that was cut short", || {
            EMBEDDED[..EMBEDDED.len() / 2].to_vec()
        }),
        file("A component of another world", || {
            b"\0asm\x0d\0\x01\0".to_vec()
        }),
        file("A component without a manifest", || {
            renamed("llm-provider-manifest", "llm-provider-manifold")
        }),
        file(
            "A component that asks for more than a plugin is given",
            || renamed("wasi:clocks/monotonic-clock", "wasi:random/monotonic-clock"),
        ),
        Case::new("The same, looked at", || {
            Scene::new(Home::new(), &["plugin", "inspect", "p.wasm"]).file("p.wasm", "hello")
        }),
        judged(
            "A plugin that is not signed, where the trust file asks for it",
            None,
            alice_only,
        ),
        judged(
            "A plugin that was changed after it was signed",
            Some(Signer::new(1).sign(b"as it was")),
            alice_only,
        ),
        judged(
            "A plugin signed by somebody who is not in the trust file",
            Some(Signer::new(2).sign(EMBEDDED)),
            alice_only,
        ),
        judged(
            "A plugin signed by a key that is revoked",
            Some(Signer::new(1).sign(EMBEDDED)),
            |key| {
                format!(
                    "{{ signatures: 'optional', revoked: {{ keys: {{ 'stolen in May': '{key}' }} }} }}"
                )
            },
        ),
        judged(
            "A signed plugin below the minimum version",
            Some(Signer::new(1).sign(EMBEDDED)),
            |key| {
                format!(
                    "{{ signatures: 'required', keys: {{ alice: '{key}' }}, minimum: {{ vllm: '0.2.0' }} }}"
                )
            },
        ),
        judged("A trust file with a word that is not known", None, |_| {
            "{ signatures: 'required', trusted: {} }".into()
        }),
        judged("A trust file with a key that is none", None, |_| {
            "{ signatures: 'required', keys: { alice: 'RWxyz' } }".into()
        }),
        judged(
            "A trust file with a minimum that is no version",
            None,
            |_| "{ signatures: 'required', minimum: { vllm: '2' } }".into(),
        ),
        Case::new("A trust file that is not there", || {
            Scene::new(Home::new(), &["--trust", "trust.json5", "models", "list"])
        }),
    ]
}
