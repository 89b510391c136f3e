//! Machine code that this host vouches for.
//!
//! To deserialize machine code is to run it. [`Code`] is made in two places
//! only: from what the compiler gave, and from a cache entry whose MAC is right.

use wasmtime::component::Component;

/// Machine code of a component, as wasmtime serializes it.
pub(crate) struct Code(Vec<u8>);

impl Code {
    /// Vouches for `bytes`: they came from this host's compiler, and nobody else
    /// could have written them.
    pub(super) fn vouched(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Makes it runnable. Code of another wasmtime, or of other settings, is
    /// refused.
    #[expect(unsafe_code, reason = "deserializes what the type vouches for")]
    pub(super) fn load(&self, engine: &wasmtime::Engine) -> wasmtime::Result<Component> {
        // SAFETY: the bytes are what `Engine::precompile_component` gave to this
        // user's host: they came from it directly, or under a MAC whose key only
        // this user can read; and they are in memory, where nobody changes them.
        unsafe { Component::deserialize(engine, &self.0) }
    }
}
