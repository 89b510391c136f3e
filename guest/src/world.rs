//! The worlds of the contract: each moves values between the core and its
//! imports and exports, and decides nothing.

mod bindings;
mod convert;
mod provider;
mod runtime;
mod transport;
