//! What `vllm-provider` does, rule by rule: `docs/behaviour.md` says it, the
//! tests below show it, and [`page`] holds the one to the other.
//!
//! Each test goes the whole way of a real agent: configuration text, key
//! profiles, the component in its sandbox, a socket, and a server that writes
//! down every byte it is sent.

mod calls;
mod compat;
mod configuration;
mod conversation;
mod discovery;
mod endings;
mod errors;
mod identity;
mod interpolation;
mod keys;
mod messages;
mod mistakes;
mod reasoning;
mod request;
mod server;
mod stream;
mod thinking;
mod tls;
mod tools;
mod unknown;
mod usage;
mod user;
mod wire;
