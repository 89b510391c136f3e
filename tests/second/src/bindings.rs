//! The contract, as wit-bindgen writes it.
#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    dead_code,
    unused_imports,
    clippy::all,
    reason = "generated"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "llm:provider/provider",
    generate_all,
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
        "wasi:clocks/monotonic-clock@0.2.12": wasip2::clocks::monotonic_clock,
        "wasi:http/types@0.2.12": wasip2::http::types,
        "wasi:http/outgoing-handler@0.2.12": wasip2::http::outgoing_handler,
    },
});

export!(Ollama);

use crate::Ollama;
