//! `vllm-provider`: everything particular to vLLM's OpenAI-compatible API, as a
//! component of the world `llm:provider/provider`.
//!
//! The core is sans-IO: values and bytes in, values out. It has no socket,
//! clock, environment or global in it and knows no component model, so that it
//! is compiled, tested and measured natively.
//!
//! ```text
//! settings ─► config ─► catalog      GET /models → model entries
//! chat-request ─► request            → one HTTP request
//! response bytes ─► sse ─► decoder   → events (text, reasoning, calls, usage, finish)
//! status + body ─► error             → one typed error
//! ```
//!
//! `world` moves values between the core and the component's imports and
//! exports, and is compiled for WebAssembly only.
//!
//! There the crate does without the standard library: most of what that would
//! bring along prints panics that nobody could read.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![deny(missing_docs)]
#![allow(
    clippy::result_large_err,
    reason = "the contract's error is a record, and a failure ends an exchange: it is made once"
)]

extern crate alloc;

pub mod asking;
pub mod base_url;
pub mod catalog;
pub mod config;
pub mod decoder;
pub mod error;
pub mod families;
pub mod health;
mod json;
pub mod manifest;
mod number;
mod raw_json;
pub mod request;
pub mod sse;
mod text;
pub mod tokens;
pub mod types;
pub mod usage;

#[cfg(target_arch = "wasm32")]
mod world;
