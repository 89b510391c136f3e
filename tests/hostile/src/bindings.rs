//! The contract, as wit-bindgen writes it. The exports of a chat are written by hand ([`crate::border`]): there the plugin
//! lies about memory as well.
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
    inline: "
        package hostile:plugin;

        world component {
            include llm:provider/provider@0.1.0;
            export llm:provider/token-counter@0.1.0;
            export llm:provider/health@0.1.0;
        }
    ",
    world: "hostile:plugin/component",
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

use crate::Hostile;
use exports::llm::provider::{catalog, health, info, token_counter};

info::__export_llm_provider_info_0_1_0_cabi!(Hostile with_types_in exports::llm::provider::info);
catalog::__export_llm_provider_catalog_0_1_0_cabi!(Hostile with_types_in exports::llm::provider::catalog);
token_counter::__export_llm_provider_token_counter_0_1_0_cabi!(Hostile with_types_in exports::llm::provider::token_counter);
health::__export_llm_provider_health_0_1_0_cabi!(Hostile with_types_in exports::llm::provider::health);
