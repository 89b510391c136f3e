//! What the linker has to know: the world that this component is of. It is the
//! contract's own, and the two interfaces that a provider may export beside it.
//!
//! wit-bindgen encodes it into the section that `wasm-component-ld` reads. Its
//! functions are not used ([`super::exports`]), and WASI's come from the
//! `wasip2` crate.
#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    dead_code,
    unused_imports,
    reason = "generated"
)]

wit_bindgen::generate!({
    path: "../wit",
    inline: "
        package llm:vllm-provider;

        world component {
            include llm:provider/provider@0.1.0;
            export llm:provider/token-counter@0.1.0;
            export llm:provider/health@0.1.0;
        }
    ",
    world: "llm:vllm-provider/component",
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
