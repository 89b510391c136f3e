//! The place of one provider: what serves, what served before, and how one takes the place of the other.

mod ask;
mod take;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;

pub(super) use self::take::{Asked, VersionStanding};
pub use self::take::{Offered, Served};

use super::catalog::Cached;
use super::event::{Cause, Herald, What};
use super::generation::{Generation, Setup};
use super::policy::SwapPolicy;
use super::status::{Counting, SlotStatus};
use crate::egress::Transport;
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::Plugin;
use crate::provider::{Provider, ProviderOptions, network};

/// How many digests of what was rolled back are kept.
const REJECTED: usize = 64;

/// A provider whose plugin and settings may change: a handle that an agent keeps for ever. Cheap to clone; the clones are
/// one slot.
///
/// Each call goes to the generation that serves at that moment. A chat stays on the one that it began on.
#[derive(Clone)]
pub struct Slot {
    inner: Arc<Inner>,
}

struct Inner {
    present: ArcSwap<Generation>,
    state: Mutex<State>,
    /// One offer at a time: two compilers help nobody, and the newer of two files has to win.
    offering: tokio::sync::Mutex<()>,
    policy: SwapPolicy,
    counting: Arc<Counting>,
    catalog: Cached,
    herald: Herald,
    /// The embedder's own; none: the network.
    transport: Option<Arc<dyn Transport>>,
    runtime: Option<Handle>,
}

struct State {
    number: u64,
    previous: Option<Setup>,
    draining: Vec<Weak<Generation>>,
    rejected: Vec<Arc<str>>,
}

impl Slot {
    pub(super) fn new(
        plugin: &Plugin,
        options: ProviderOptions,
        transport: Option<Arc<dyn Transport>>,
        policy: SwapPolicy,
        herald: Herald,
        runtime: Option<Handle>,
    ) -> Result<Self> {
        let setup = Setup {
            plugin: plugin.clone(),
            transport: match &transport {
                Some(transport) => transport.clone(),
                None => network(&options.grant)?,
            },
            options: Arc::new(options),
        };
        let first = Arc::new(Generation::new(1, setup, herald.clone()));
        herald.tell(first.subject(), What::Serving(Cause::First));
        Ok(Self {
            inner: Arc::new(Inner {
                present: ArcSwap::new(first),
                state: Mutex::new(State {
                    number: 1,
                    previous: None,
                    draining: Vec::new(),
                    rejected: Vec::new(),
                }),
                offering: tokio::sync::Mutex::new(()),
                policy,
                counting: Arc::default(),
                catalog: Cached::default(),
                herald,
                transport,
                runtime,
            }),
        })
    }

    /// The provider's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.inner.herald.provider()
    }

    /// The provider that serves now. What is asked of it later is still asked of this generation, is not counted, and is
    /// not ended at a drain deadline: who wants that, asks the slot.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.inner.present.load().provider.clone()
    }

    /// The number of the generation that serves now.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.inner.present.load().number
    }

    /// The rules of its swaps.
    #[must_use]
    pub fn policy(&self) -> &SwapPolicy {
        &self.inner.policy
    }

    /// Returns to the plugin and the settings that served before these. They were kept as they are: this waits for nothing
    /// and checks nothing. What gives way is not taken again from a watched file or folder; it can't be rolled back to.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPlugin`] if nothing served before, or it was rolled back already.
    pub fn roll_back(&self) -> Result<u64> {
        let mut state = self.state();
        let setup = state.previous.take().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidPlugin,
                format!(
                    "the slot of {:?} has nothing to roll back to: only what served just before is kept, and once",
                    self.id()
                ),
            )
        })?;
        let present = self.inner.present.load_full();
        if setup.digest() != present.setup.digest() {
            state.rejected.push(present.setup.digest().into());
            let more = state.rejected.len().saturating_sub(REJECTED);
            state.rejected.drain(..more);
        }
        let cause = Cause::RolledBack {
            from: present.number,
        };
        Ok(self.put(state, setup, cause))
    }

    /// What serves, what goes on, and what was counted.
    #[must_use]
    pub fn status(&self) -> SlotStatus {
        let state = self.state();
        let present = self.inner.present.load();
        SlotStatus {
            provider: self.id().into(),
            serving: present.status(),
            draining: state
                .draining
                .iter()
                .filter_map(Weak::upgrade)
                .map(|generation| generation.status())
                .filter(|status| status.chats > 0)
                .collect(),
            previous: state
                .previous
                .as_ref()
                .map(|setup| (setup.digest().into(), setup.version().into())),
            counters: self.inner.counting.now(),
        }
    }

    /// Lets a setup serve, if what serves is still what it was made for. The number of its generation.
    fn install(&self, setup: Setup, cause: Cause, expected: u64) -> Option<u64> {
        let state = self.state();
        let still = self.inner.present.load().number == expected;
        still.then(|| self.put(state, setup, cause))
    }

    /// Lets a setup serve. The number of its generation.
    fn put(&self, mut state: MutexGuard<'_, State>, setup: Setup, cause: Cause) -> u64 {
        let inner = &self.inner;
        state.number += 1;
        let number = state.number;
        let new = Arc::new(Generation::new(number, setup, inner.herald.clone()));
        let subject = new.subject();
        let old = inner.present.swap(new);
        state.previous = match cause {
            // What failed is not what anybody wants to return to.
            Cause::RolledBack { .. } => None,
            Cause::First | Cause::Offered | Cause::Configured => Some(old.setup.clone()),
        };
        state.draining.retain(|one| one.strong_count() > 0);
        state.draining.push(Arc::downgrade(&old));
        inner.counting.swaps.add();
        // Told in the order in which it happens.
        inner.herald.tell(subject, What::Serving(cause));
        let running = old.retire();
        drop(state);
        if running > 0 {
            self.drain(old);
        }
        number
    }

    /// Ends what still runs on a generation when its time is over.
    fn drain(&self, old: Arc<Generation>) {
        let deadline = self.inner.policy.drain_deadline;
        if deadline.is_zero() {
            old.end_stragglers(deadline);
            return;
        }
        let runtime = Handle::try_current().ok();
        let Some(runtime) = runtime.as_ref().or(self.inner.runtime.as_ref()) else {
            tracing::warn!("there is no tokio runtime: no drain deadline is kept");
            return;
        };
        // The timer must not keep it.
        let old = Arc::downgrade(&old);
        runtime.spawn(async move {
            tokio::time::sleep(deadline).await;
            if let Some(old) = old.upgrade() {
                old.end_stragglers(deadline);
            }
        });
    }

    pub(super) fn herald(&self) -> &Herald {
        &self.inner.herald
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whatever is done under it leaves it whole.
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot")
            .field("provider", &self.id())
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}
