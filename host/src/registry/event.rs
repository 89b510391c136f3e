//! What happens in a registry, for whoever watches it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use super::stage::Stage;
use crate::error::Error;

/// How many events a subscriber may be behind before it misses the oldest.
pub const EVENTS_KEPT: usize = 256;

/// Something that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RegistryEvent {
    /// The slot: the provider's id.
    pub provider: Arc<str>,
    /// The generation that it is about; none: it has not become one.
    pub generation: Option<u64>,
    /// SHA-256 of the component that it is about, in lower-case hex; none: it is not known (yet).
    pub digest: Option<Arc<str>>,
    /// The plugin's own version, as its manifest has it; none: it is not known (yet).
    pub version: Option<Arc<str>>,
    /// What it was.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum What {
    /// A file was found that is new or holds something else, and has stayed the same for
    /// [`SwapPolicy::debounce`](super::SwapPolicy::debounce) or kept changing for
    /// [`SwapPolicy::debounce_max`](super::SwapPolicy::debounce_max). Of one watched place at most
    /// [`NOTICED_MOST`](super::NOTICED_MOST) are told in ten seconds.
    Noticed {
        /// Where.
        file: PathBuf,
    },
    /// No plugin is left in a place that is watched. What serves goes on.
    Gone {
        /// The file or the folder.
        place: PathBuf,
    },
    /// What was offered serves already: nothing is done.
    Unchanged,
    /// What was offered does not serve. What served before does.
    Refused {
        /// The step that it did not pass.
        stage: Stage,
        /// Why.
        error: Arc<Error>,
    },
    /// A plugin was compiled, or taken from the compile cache.
    Loaded {
        /// The compile cache had it.
        from_cache: bool,
        /// How long that took.
        took: Duration,
    },
    /// A generation serves from now on.
    Serving(Cause),
    /// A generation does not serve any more, and has chats that go on.
    Draining {
        /// How many.
        chats: usize,
    },
    /// Chats of a generation were ended at the drain deadline.
    Ended {
        /// How many.
        chats: usize,
    },
    /// The last chat of a generation is gone.
    Drained,
}

/// Why a generation serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// It is the slot's first.
    First,
    /// Its plugin was offered.
    Offered,
    /// Its settings were set.
    Configured,
    /// It is what served before.
    RolledBack {
        /// The generation that gives way.
        from: u64,
    },
}

/// A component, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Subject {
    pub(super) generation: Option<u64>,
    pub(super) digest: Option<Arc<str>>,
    pub(super) version: Option<Arc<str>>,
}

/// Tells what happens in one slot.
#[derive(Clone)]
pub(super) struct Herald {
    provider: Arc<str>,
    sender: broadcast::Sender<RegistryEvent>,
}

impl Herald {
    pub(super) fn new(provider: &str, sender: broadcast::Sender<RegistryEvent>) -> Self {
        Self {
            provider: provider.into(),
            sender,
        }
    }

    pub(super) fn provider(&self) -> &str {
        &self.provider
    }

    pub(super) fn tell(&self, subject: Subject, what: What) {
        let event = RegistryEvent {
            provider: self.provider.clone(),
            generation: subject.generation,
            digest: subject.digest,
            version: subject.version,
            what,
        };
        event.trace();
        // Nobody has to listen.
        let _ = self.sender.send(event);
    }
}

impl RegistryEvent {
    fn trace(&self) {
        let provider = &*self.provider;
        let generation = self.generation;
        let version = self.version.as_deref();
        let digest = self.digest.as_deref().and_then(|hex| hex.get(..16));
        macro_rules! tell {
            ($level:ident, $($rest:tt)*) => {
                tracing::$level!(provider, generation, version, digest, $($rest)*)
            };
        }
        match &self.what {
            What::Noticed { file } => tell!(info, file = %file.display(), "a plugin file is new"),
            What::Gone { place } => {
                tell!(warn, place = %place.display(), "no plugin is left here; what serves goes on");
            }
            What::Unchanged => tell!(debug, "this plugin serves already"),
            What::Refused { stage, error } => {
                tell!(warn, %stage, %error, "a plugin was refused; what served before goes on");
            }
            What::Loaded { from_cache, took } => {
                tell!(info, from_cache, ?took, "a plugin was loaded");
            }
            What::Serving(cause) => tell!(info, ?cause, "a generation serves"),
            What::Draining { chats } => tell!(info, chats, "a generation drains"),
            What::Ended { chats } => {
                tell!(warn, chats, "chats were ended at the drain deadline");
            }
            What::Drained => tell!(info, "a generation is gone"),
        }
    }
}
