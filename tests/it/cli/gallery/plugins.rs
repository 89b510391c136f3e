//! Files that are no plugin.

use provider_host::plugin::EMBEDDED;

use super::scene::{Case, Scene};
use crate::cli::process::Home;

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
    ]
}
