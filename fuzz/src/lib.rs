//! What must hold for any input, as plain functions: `fn(&[u8])` that panics where it does not.
//!
//! libFuzzer calls them (`fuzz_targets/`, `cargo xtask fuzz`), and so does an ordinary test with every seed, every recording
//! and everything that was ever found (`tests/known_inputs.rs`), on stable Rust and without instrumentation.
//!
//! The input decides more than the bytes under test: where they are cut, what the head says, how the exchange ends. Those
//! choices stand in front, in as few bytes as possible, so that what follows is the thing itself and a person can read it.
//!
//! Where something else judges the same thing, it is asked too: serde_json, `url`, `http::Uri`, the resolver's own reading of
//! numbers, an SSE parser written from the standard. `docs/fuzzing.md` lists what each target holds.
#![allow(
    clippy::result_large_err,
    reason = "the contract's error is a record, and a failure ends an exchange"
)]

extern crate alloc;

mod address;
mod answer;
mod catalog;
mod config;
mod error;
mod grammar;
mod input;
mod origin;
mod questions;
pub mod recordings;
mod request;
mod secrets;
mod shown;
mod sse;
mod values;
mod whatwg;

// The parts of the core that its public face does not show. They know only each other.
#[allow(dead_code, reason = "a target looks at some of it")]
#[rustfmt::skip] // It would look for the module's tests, which stand elsewhere seen from here.
#[path = "../../guest/src/json.rs"]
mod json;
#[allow(dead_code, reason = "a target looks at some of it")]
#[path = "../../guest/src/number.rs"]
mod number;
#[allow(dead_code, reason = "a target looks at some of it")]
#[path = "../../guest/src/raw_json.rs"]
mod raw_json;
#[allow(dead_code, reason = "a target looks at some of it")]
#[path = "../../guest/src/text.rs"]
mod text;

// The host's rules, without the host: it would bring wasmtime along, and they do not need it.
mod policy;

/// A target: panics on an input for which what it holds does not hold.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: &[(&str, Target)] = &[
    ("address", address::address),
    ("answer", answer::answer),
    ("base_url", origin::base_url),
    ("catalog", catalog::catalog),
    ("config", config::config),
    ("decoder", answer::decoder),
    ("error", error::error),
    ("health", questions::health),
    ("json", values::json),
    ("matches", origin::matches),
    ("number", values::number),
    ("origin", origin::origin),
    ("request", request::request),
    ("secrets", secrets::secrets),
    ("sse", sse::sse),
    ("sse_whatwg", sse::sse_whatwg),
    ("tokens", questions::tokens),
];

/// Runs the target of that name.
///
/// # Panics
/// Where there is none, and where the target finds something.
pub fn run(name: &str, data: &[u8]) {
    let Some((_, target)) = TARGETS.iter().find(|(target, _)| *target == name) else {
        panic!("there is no target {name}");
    };
    target(data);
}
