//! The contract, as wasmtime binds it.
//!
//! Nothing here is written by hand: the types are those of `wit/types.wit`, and
//! their documentation stands there. The interfaces that the world imports are
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
        additional_derives: [PartialEq],
        with: {
            "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:http": wasmtime_wasi_http::p2::bindings::http,
        },
    });
}

/// The values that cross the contract: `llm:provider/types`, documented in the
/// WIT.
pub use generated::llm::provider::types;

pub(crate) use generated::{Provider as World, ProviderPre as WorldPre};
