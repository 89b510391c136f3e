//! What a swap may take, and what is asked of the newcomer.

use std::time::Duration;

use super::SelfTest;
#[cfg(feature = "signatures")]
use crate::plugin::trust::Trust;

/// How long answers of a replaced plugin may go on, by default. At 20 tokens a second ten minutes are 12,000 tokens, more
/// than most answers have; and whoever replaces a plugin for its faults should not have to wait for the hour that an
/// answer may take at most ([`TOTAL_TIMEOUT`](crate::policy::limits::TOTAL_TIMEOUT)).
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(600);

/// How old a catalog may be when it is used again, by default. A vLLM server has the same models from its start to its
/// end; what changes meanwhile are adapters.
pub const CATALOG_AGE: Duration = Duration::from_secs(300);

/// How long a file must have stayed as it is before it is read, by default. A copy that pauses for longer is read in the
/// middle, and refused: a truncated component is none.
pub const DEBOUNCE: Duration = Duration::from_millis(250);

/// After how long a watched file is read though it keeps changing, by default. Copying the largest
/// plugin that is taken (64 MiB) to a disk takes well below that; a file that changes for longer is
/// one that something touches, and whose content may well be whole. It is taken only if it is a
/// component with the same bytes in two looks, [`DEBOUNCE`] apart.
pub const DEBOUNCE_MAX: Duration = Duration::from_secs(5);

/// How long bytes that were refused are not tried again from the same watched file, although it was
/// touched, while the same plugin and settings serve. Trying a plugin can take seconds of a
/// processor (compiling, the self-test); once a minute is no load.
pub const REFUSED_REST: Duration = Duration::from_secs(60);

/// Most [`What::Noticed`](super::What::Noticed) and [`What::Gone`](super::What::Gone) of one watched
/// place in any ten seconds; further ones are only traced. It is an eighth of what a subscriber may
/// be behind ([`EVENTS_KEPT`](super::EVENTS_KEPT)), so that a noisy folder does not make it miss
/// what serves.
pub const NOTICED_MOST: u32 = 32;

/// The rules of a registry's swaps.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SwapPolicy {
    /// Whether a plugin may be older than the one that it replaces, by its manifest's version. Off by default: an old
    /// version with a known hole is what an attacker would put there. [`Slot::roll_back`](super::Slot::roll_back) is not
    /// concerned.
    pub downgrades: bool,
    /// How long answers of a replaced plugin may go on; one that is not done then ends in
    /// [`ErrorKind::PluginRetired`](crate::ErrorKind::PluginRetired). The default is [`DRAIN_DEADLINE`]; zero ends them at once.
    pub drain_deadline: Duration,
    /// How old a catalog may be: [`CATALOG_AGE`]. Zero asks each time.
    pub catalog_age: Duration,
    /// How long a file must have stayed as it is before it is read: [`DEBOUNCE`]. Each file of a
    /// watched folder waits by itself. For one that was read several times within
    /// [`SwapPolicy::debounce_max`] the wait grows, by a second at most.
    pub debounce: Duration,
    /// After how long a file that keeps changing is read all the same: [`DEBOUNCE_MAX`]. At least
    /// [`SwapPolicy::debounce`] is waited.
    pub debounce_max: Duration,
    /// What is asked of a plugin before it serves.
    pub self_test: SelfTest,
    /// Whether a plugin must have an approved id (`Trust::approves_id`) or be the one built into
    /// the host, where the plugin that serves has one. Off by default: the host's own code chooses
    /// what is offered. A host that watches a file which others may replace switches it on, because
    /// the newcomer gets the settings and keys of the plugin that it replaces.
    pub approved_ids: bool,
    /// Whose files are taken; none: anybody's.
    #[cfg(feature = "signatures")]
    pub trust: Option<Trust>,
}

impl Default for SwapPolicy {
    fn default() -> Self {
        Self {
            downgrades: false,
            drain_deadline: DRAIN_DEADLINE,
            catalog_age: CATALOG_AGE,
            debounce: DEBOUNCE,
            debounce_max: DEBOUNCE_MAX,
            self_test: SelfTest::default(),
            approved_ids: false,
            #[cfg(feature = "signatures")]
            trust: None,
        }
    }
}

impl SwapPolicy {
    /// The default rules.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`SwapPolicy::downgrades`].
    #[must_use]
    pub fn with_downgrades(mut self, allowed: bool) -> Self {
        self.downgrades = allowed;
        self
    }

    /// Sets [`SwapPolicy::drain_deadline`].
    #[must_use]
    pub fn with_drain_deadline(mut self, deadline: Duration) -> Self {
        self.drain_deadline = deadline;
        self
    }

    /// Sets [`SwapPolicy::catalog_age`].
    #[must_use]
    pub fn with_catalog_age(mut self, age: Duration) -> Self {
        self.catalog_age = age;
        self
    }

    /// Sets [`SwapPolicy::debounce`].
    #[must_use]
    pub fn with_debounce(mut self, debounce: Duration) -> Self {
        self.debounce = debounce;
        self
    }

    /// Sets [`SwapPolicy::debounce_max`].
    #[must_use]
    pub fn with_debounce_max(mut self, most: Duration) -> Self {
        self.debounce_max = most;
        self
    }

    /// Sets [`SwapPolicy::approved_ids`].
    #[must_use]
    pub fn with_approved_ids(mut self, required: bool) -> Self {
        self.approved_ids = required;
        self
    }

    /// Replaces the self-test.
    #[must_use]
    pub fn with_self_test(mut self, self_test: SelfTest) -> Self {
        self.self_test = self_test;
        self
    }

    /// Takes only files that this policy lets in.
    #[cfg(feature = "signatures")]
    #[must_use]
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }
}
