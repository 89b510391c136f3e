//! The contract, as wasmtime binds it.
//!
//! Nothing here is written by hand: the types are those of `wit/types.wit`, and
//! their documentation stands there. They can be written down and read again
//! (serde), in the names of the bindings, for hosts that keep requests. The interfaces that the world imports are
//! the ones wasmtime implements; this crate links no others.

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; the WIT documents what is public"
)]
mod generated {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "llm:provider/provider",
        exports: { default: async },
        additional_derives: [PartialEq, serde::Deserialize, serde::Serialize],
        with: {
            "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:http": wasmtime_wasi_http::p2::bindings::http,
        },
    });
}

/// The interfaces that a provider may leave out, each as a world of its own:
/// a component that lacks one has no such world, and that is no error.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated; the WIT documents what is public"
)]
mod optional {
    pub(super) mod token_counter {
        wasmtime::component::bindgen!({
            path: "../wit",
            inline: "
                package host:beside-token-counter;
                world counts-tokens { export llm:provider/token-counter@0.1.0; }
            ",
            world: "host:beside-token-counter/counts-tokens",
            exports: { default: async },
            additional_derives: [PartialEq, serde::Deserialize, serde::Serialize],
            with: { "llm:provider/types@0.1.0": super::super::types },
        });
    }
    pub(super) mod health {
        wasmtime::component::bindgen!({
            path: "../wit",
            inline: "
                package host:beside-health;
                world tells-health { export llm:provider/health@0.1.0; }
            ",
            world: "host:beside-health/tells-health",
            exports: { default: async },
            additional_derives: [PartialEq, serde::Deserialize, serde::Serialize],
            with: { "llm:provider/types@0.1.0": super::super::types },
        });
    }
}

pub(crate) use optional::health::{TellsHealth, TellsHealthIndices};
pub(crate) use optional::token_counter::{CountsTokens, CountsTokensIndices};

/// How long a prompt is: `llm:provider/token-counter.token-count`.
pub use optional::token_counter::exports::llm::provider::token_counter::TokenCount;

/// How a server is: `llm:provider/health.server-health`.
pub use optional::health::exports::llm::provider::health::ServerHealth;

/// The values that cross the contract: `llm:provider/types`, documented in the
/// WIT.
pub use generated::llm::provider::types;

pub(crate) use generated::ProviderIndices as WorldIndices;
pub(crate) use generated::exports::llm::provider::{catalog, chat, info};
