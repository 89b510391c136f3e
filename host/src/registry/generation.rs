//! One generation: a plugin with settings, from the moment it serves until its last chat is gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::event::{Herald, Subject, What};
use super::status::GenerationStatus;
use crate::chat::Leash;
use crate::egress::Transport;
use crate::error::{Error, ErrorKind};
use crate::plugin::Plugin;
use crate::provider::{Provider, ProviderOptions};

/// What makes a generation, and can make it again.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) plugin: Plugin,
    /// The same settings are the same pointer.
    pub(super) options: Arc<ProviderOptions>,
    /// With its connections.
    pub(super) transport: Arc<dyn Transport>,
}

impl Setup {
    pub(super) fn provider(&self) -> Provider {
        let options = ProviderOptions::clone(&self.options);
        Provider::with_transport(&self.plugin, options, self.transport.clone())
    }

    pub(super) fn digest(&self) -> &str {
        self.plugin.digest()
    }

    pub(super) fn version(&self) -> &str {
        &self.plugin.manifest().version
    }
}

pub(super) struct Generation {
    pub(super) number: u64,
    pub(super) setup: Setup,
    pub(super) provider: Provider,
    since: Instant,
    digest: Arc<str>,
    version: Arc<str>,
    herald: Herald,
    chats: Mutex<Chats>,
}

#[derive(Default)]
struct Chats {
    retired: Option<Instant>,
    next: u64,
    running: HashMap<u64, Leash>,
}

impl Generation {
    pub(super) fn new(number: u64, setup: Setup, herald: Herald) -> Self {
        Self {
            number,
            provider: setup.provider(),
            since: Instant::now(),
            digest: setup.digest().into(),
            version: setup.version().into(),
            setup,
            herald,
            chats: Mutex::default(),
        }
    }

    pub(super) fn subject(&self) -> Subject {
        Subject {
            generation: Some(self.number),
            digest: Some(self.digest.clone()),
            version: Some(self.version.clone()),
        }
    }

    pub(super) fn status(&self) -> GenerationStatus {
        GenerationStatus {
            number: self.number,
            digest: self.digest.clone(),
            version: self.version.clone(),
            chats: self.lock().running.len(),
            since: self.since,
        }
    }

    /// A place for a chat; none: it has retired, and another generation serves.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Ticket> {
        let leash = Leash::new();
        let mut chats = self.lock();
        if chats.retired.is_some() {
            return None;
        }
        let number = chats.next;
        chats.next += 1;
        chats.running.insert(number, leash.clone());
        Some(Ticket {
            generation: Some(self.clone()),
            number,
            leash,
        })
    }

    /// Takes no more chats. How many go on.
    pub(super) fn retire(&self) -> usize {
        let mut chats = self.lock();
        chats.retired = Some(Instant::now());
        let count = chats.running.len();
        drop(chats);
        self.herald.tell(
            self.subject(),
            match count {
                0 => What::Drained,
                chats => What::Draining { chats },
            },
        );
        count
    }

    /// Ends the chats that still go on; how many.
    pub(super) fn end_stragglers(&self, deadline: Duration) -> usize {
        let leashes: Vec<Leash> = self.lock().running.values().cloned().collect();
        // What they tell of their end takes the lock.
        let ended = leashes
            .iter()
            .filter(|leash| leash.recall(|begun| self.retired(begun, deadline)));
        let chats = ended.count();
        if chats > 0 {
            self.herald.tell(self.subject(), What::Ended { chats });
        }
        chats
    }

    fn retired(&self, begun: bool, deadline: Duration) -> Error {
        let error = Error::new(
            ErrorKind::PluginRetired,
            format!(
                "the plugin {} {} (generation {}) was replaced, and its answers had {} s to end: this one was ended by \
                 the host (ask again, and the plugin that serves now answers; SwapPolicy::drain_deadline gives more time)",
                self.herald.provider(),
                self.version,
                self.number,
                deadline.as_secs_f32(),
            ),
        )
        .sent(true);
        // What was handed out can't be taken back: the same request is another answer.
        if begun {
            error
        } else {
            error.retryable_later()
        }
    }

    fn leave(&self, number: u64) -> Option<(Herald, Subject)> {
        let mut chats = self.lock();
        chats.running.remove(&number);
        let drained = chats.retired.is_some() && chats.running.is_empty();
        drained.then(|| (self.herald.clone(), self.subject()))
    }

    /// A lock that is only ever held for a move: poisoning means nothing to it.
    fn lock(&self) -> std::sync::MutexGuard<'_, Chats> {
        self.chats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A chat's place in its generation, which lives as long as its chats do.
pub(super) struct Ticket {
    generation: Option<Arc<Generation>>,
    number: u64,
    pub(super) leash: Leash,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(generation) = self.generation.take() else {
            return;
        };
        let drained = generation.leave(self.number);
        // It is gone when it is told to be.
        drop(generation);
        if let Some((herald, subject)) = drained {
            herald.tell(subject, What::Drained);
        }
    }
}
