//! The worlds of the contract: each moves values between the core and its
//! imports and exports, and decides nothing.

mod abi;
mod bindings;
mod exports;
mod provider;
mod runtime;
mod shapes;
mod transport;
mod wasi_http;
