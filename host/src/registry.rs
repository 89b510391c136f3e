//! Plugins and settings that are replaced while chats run.
//!
//! A [`Registry`] has one [`Slot`] for each provider. A slot serves one
//! *generation* at a time: a plugin with settings, under a number that only
//! grows. An agent keeps the slot and asks it as it would a
//! [`Provider`]; whatever is asked goes to the generation that serves at
//! that moment.
//!
//! ```no_run
//! use provider_host::registry::{Offered, Registry};
//! use provider_host::types::ChatRequest;
//! use provider_host::{Plugin, ProviderOptions};
//!
//! # async fn example(
//! #     plugin: Plugin, options: ProviderOptions, other: ProviderOptions, request: ChatRequest,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::new();
//! let vllm = registry.serve(&plugin, options)?;
//!
//! let model = vllm.resolve_model("Qwen/Qwen3-8B").await?;
//! let chat = vllm.chat(&model, &request).await?; // goes on, whatever happens below
//!
//! // A newer component: verified, compiled aside, tested, and only then served.
//! match vllm.offer_file("vllm-provider-0.2.0.wasm").await {
//!     Ok(Offered::Serving(new)) => println!("generation {} serves", new.generation),
//!     Ok(_) => println!("it serves already"),
//!     Err(refusal) => println!("{refusal}"), // and what served before goes on
//! }
//! vllm.configure(other).await?; // another server, another key
//! vllm.roll_back()?; // as it was before that
//! # drop(chat);
//! # Ok(())
//! # }
//! ```
//!
//! # The way of a newcomer
//!
//! Read → trusted → contract and imports judged → the same provider, and not an
//! older one → compiled on one thread of low priority → settings and self-test
//! ([`SelfTest`]), in the sandbox and without a network → one pointer is
//! swapped. The first thing that is wrong ends it with a [`Refusal`] that names
//! the [`Stage`]; what served before goes on serving, and never notices.
//!
//! # What becomes of the old
//!
//! Its chats finish on it. Those that are not done at
//! [`SwapPolicy::drain_deadline`] end in
//! [`ErrorKind::PluginRetired`]. Its memory is
//! given back with its last chat; only the generation just before the present
//! one is kept, for [`Slot::roll_back`].
//!
//! # What survives a swap
//!
//! It stands in the slot, and none of it in a guest: the pool of connections
//! (as long as the grant dials the same way), the models that the server was
//! asked for ([`Slot::models`]), and the counters ([`Slot::status`]).

mod catalog;
mod event;
mod folder;
mod generation;
mod offer;
mod policy;
mod self_test;
mod slot;
mod stage;
mod status;
#[cfg(all(test, feature = "embedded-plugin"))]
mod tests;
mod version;
mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::broadcast;

pub use self::catalog::Models;
pub use self::event::{Cause, EVENTS_KEPT, RegistryEvent, What};
pub use self::policy::{
    CATALOG_AGE, DEBOUNCE, DEBOUNCE_MAX, DRAIN_DEADLINE, NOTICED_MOST, REFUSED_REST, SwapPolicy,
};
pub use self::self_test::{BASE_URL, Exchange, SelfTest, TIME_LIMIT};
pub use self::slot::{Offered, Served, Slot};
pub use self::stage::{Refusal, Stage};
pub use self::status::{Counters, GenerationStatus, SlotStatus};
pub use self::watch::{Source, Watcher};

use self::event::Herald;
use crate::egress::Transport;
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::{self, Plugin};
use crate::provider::{Provider, ProviderOptions};

/// Providers by id, each of which can be replaced while it runs. Cheap to clone; the clones are one registry.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    slots: Mutex<BTreeMap<String, Slot>>,
    policy: SwapPolicy,
    events: broadcast::Sender<RegistryEvent>,
    runtime: Option<Handle>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::with_policy(SwapPolicy::default())
    }
}

impl Registry {
    /// An empty registry with the default rules.
    ///
    /// It keeps drain deadlines on the tokio runtime that it is made on, or else on the one that a swap is made on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty registry with rules for all its slots.
    #[must_use]
    pub fn with_policy(policy: SwapPolicy) -> Self {
        Self {
            inner: Arc::new(Inner {
                slots: Mutex::default(),
                policy,
                events: broadcast::channel(EVENTS_KEPT).0,
                runtime: Handle::try_current().ok(),
            }),
        }
    }

    /// Makes a slot for a plugin's provider: its first generation serves. Nothing is sent, and nothing is tested: this one
    /// was chosen by whoever calls.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] if there is such a slot already; [`ErrorKind::InvalidPlugin`]
    /// if the manifest's id is not of `a-z`, `0-9` and `-`; and as [`Provider::new`].
    pub fn serve(&self, plugin: &Plugin, options: ProviderOptions) -> Result<Slot> {
        self.add(plugin, options, None)
    }

    /// The same over something else than the network, for all generations of the slot: see [`Provider::with_transport`].
    ///
    /// # Errors
    ///
    /// As [`Registry::serve`].
    pub fn serve_over(
        &self,
        plugin: &Plugin,
        options: ProviderOptions,
        transport: Arc<dyn Transport>,
    ) -> Result<Slot> {
        self.add(plugin, options, Some(transport))
    }

    fn add(
        &self,
        plugin: &Plugin,
        options: ProviderOptions,
        transport: Option<Arc<dyn Transport>>,
    ) -> Result<Slot> {
        let id = &plugin.manifest().id;
        plugin::check_id(id)?;
        let inner = &self.inner;
        let mut slots = self.slots();
        if slots.contains_key(id) {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "the provider {id:?} has a slot in this registry: offer the plugin to that, or remove it first"
                ),
            ));
        }
        let herald = Herald::new(id, inner.events.clone());
        let policy = inner.policy.clone();
        let runtime = inner.runtime.clone();
        let slot = Slot::new(plugin, options, transport, policy, herald, runtime)?;
        slots.insert(id.clone(), slot.clone());
        Ok(slot)
    }

    /// The slot of a provider.
    #[must_use]
    pub fn slot(&self, id: &str) -> Option<Slot> {
        self.slots().get(id).cloned()
    }

    /// What serves for a provider now: [`Slot::provider`].
    #[must_use]
    pub fn provider(&self, id: &str) -> Option<Provider> {
        self.slot(id).map(|slot| slot.provider())
    }

    /// All slots, by their ids.
    #[must_use]
    pub fn all(&self) -> Vec<Slot> {
        self.slots().values().cloned().collect()
    }

    /// Takes a slot out. Whoever holds it can use it still; it is gone with the last of them.
    pub fn remove(&self, id: &str) -> Option<Slot> {
        self.slots().remove(id)
    }

    /// What happens in all slots from now on. Who falls behind by more than [`EVENTS_KEPT`] events misses the oldest, and
    /// is told so; no swap waits for a reader.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<RegistryEvent> {
        self.inner.events.subscribe()
    }

    /// [`Slot::status`] of all slots.
    #[must_use]
    pub fn status(&self) -> Vec<SlotStatus> {
        self.all().iter().map(Slot::status).collect()
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Slot>> {
        // Whatever is done under it leaves it whole.
        self.inner
            .slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}
