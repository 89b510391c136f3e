//! The rules of `provider_host::policy` that judge origins, addresses and secrets, file by file.
#![allow(dead_code, reason = "a target looks at some of it")]

#[path = "../../host/src/policy/address.rs"]
pub(crate) mod address;
#[path = "../../host/src/policy/binding.rs"]
mod binding;
#[path = "../../host/src/policy/origin.rs"]
mod origin;
#[path = "../../host/src/policy/path.rs"]
mod path;
#[path = "../../host/src/policy/quote.rs"]
mod quote;
#[path = "../../host/src/policy/search.rs"]
pub(crate) mod search;
#[path = "../../host/src/policy/secret.rs"]
mod secret;
#[path = "../../host/src/policy/visible.rs"]
mod visible;

pub(crate) use address::{AddressClass, Reach};
pub(crate) use binding::Binding;
pub(crate) use origin::{Denial, Origin, OriginError};
pub(crate) use path::BasePath;
pub(crate) use secret::{Placeholder, Secret, Secrets};
