//! Name lookups that block, on a bounded set of threads of their own.
//!
//! `getaddrinfo` blocks for as long as the name server is silent, up to half a minute, and cannot
//! be cancelled. It must therefore not run on threads that others need, such as tokio's blocking
//! pool. [`Lookups`] keeps these rules:
//!
//! - There is one lookup per name. All who ask for the name while it runs wait for the same result.
//!   A waiter that leaves ends nothing: the lookup goes on, and the next one who asks joins it.
//! - A result is handed to those who wait and then forgotten, because each connection is judged by
//!   what its name says at that time. Only a failure is kept, for [`LOOKUP_FAILURE_KEPT`].
//! - There are at most [`LOOKUP_THREADS`](crate::policy::limits::LOOKUP_THREADS) threads. They start when they are needed and end when
//!   they have been idle for a while.
//! - The last threads are reserved: a name whose last lookup was slow does not get the last
//!   quarter, and one that is not known to be fast does not get the last eighth. So names that no
//!   server answers hold threads, but not those that the other names need. `localhost` always gets
//!   one.
//! - A name that gets no thread within [`LOOKUP_QUEUE_TIME`] fails as [`LookupsUsedUp`], which says
//!   that this host is full, and not that the name is wrong.

use crate::policy::limits::{
    LOOKUP_FAILURE_KEPT, LOOKUP_QUEUE_TIME, LOOKUP_RECORD_KEPT, LOOKUP_SLOW, LOOKUP_THREAD_KEPT,
};
use crate::shortage;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;
use tokio::time::timeout;

/// Names that are remembered. Beyond this, those that nobody waits for are forgotten.
const NAMES_KEPT: usize = 1024;

/// Bytes of a resolver's words that are kept. They are quoted within a smaller bound.
const WORDS_KEPT: usize = 1024;

/// All threads are in use.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{limit} other lookups have not ended")]
pub(super) struct LookupsUsedUp {
    /// The most lookups at once.
    pub(super) limit: usize,
}

/// Why a lookup failed, for any number of waiters.
#[derive(Clone, Debug)]
pub(super) enum LookupFailure {
    Os(i32),
    Words(io::ErrorKind, Arc<str>),
    UsedUp(LookupsUsedUp),
}

impl LookupFailure {
    pub(super) fn new(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(code) => Self::Os(code),
            None => {
                let mut words = error.to_string();
                words.truncate(words.floor_char_boundary(WORDS_KEPT));
                Self::Words(error.kind(), words.into())
            }
        }
    }

    /// Whether the failure says something about the name, and so may be kept for the next who asks.
    fn is_of_the_name(&self) -> bool {
        match self {
            Self::Os(code) => !shortage::is_code(*code),
            Self::Words(..) => true,
            Self::UsedUp(_) => false,
        }
    }
}

impl From<LookupFailure> for io::Error {
    fn from(failure: LookupFailure) -> Self {
        match failure {
            LookupFailure::Os(code) => Self::from_raw_os_error(code),
            LookupFailure::Words(kind, words) => Self::new(kind, words.to_string()),
            LookupFailure::UsedUp(used_up) => Self::other(used_up),
        }
    }
}

pub(super) type LookupOutcome = Result<Arc<[IpAddr]>, LookupFailure>;

/// The last failure of a name, for those who ask within [`LOOKUP_FAILURE_KEPT`].
#[derive(Default)]
pub(super) struct RecentFailure(Option<(Instant, LookupFailure)>);

impl RecentFailure {
    /// The failure, if it is recent still.
    pub(super) fn at(&self, now: Instant) -> Option<&LookupFailure> {
        let (at, failure) = self.0.as_ref()?;
        (now.duration_since(*at) < LOOKUP_FAILURE_KEPT).then_some(failure)
    }

    /// Keeps the failure of a lookup that has just ended, if it says something about the name.
    pub(super) fn keep(&mut self, outcome: &LookupOutcome, now: Instant) {
        let failure = outcome.as_ref().err();
        let failure = failure.filter(|failure| failure.is_of_the_name());
        self.0 = failure.map(|failure| (now, failure.clone()));
    }
}

type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Lookups by one function that blocks. Clones are the same.
#[derive(Clone)]
pub(super) struct Lookups(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// A name is ready for an idle thread.
    work: Condvar,
    look_up: Box<LookUp>,
    most: usize,
}

#[derive(Default)]
struct State {
    names: HashMap<Arc<str>, Name>,
    /// Names that may not have a thread yet.
    waiting: VecDeque<Arc<str>>,
    /// Names that have a thread, which has not begun.
    ready: VecDeque<Arc<str>>,
    /// Threads that look a name up, and names in `ready`.
    busy: usize,
    /// Threads without work.
    idle: usize,
}

/// What is known of a name.
struct Name {
    /// Where those who wait look; `None`: it is not being looked up.
    lookup: Option<watch::Sender<LookupProgress>>,
    failed: RecentFailure,
    record: Record,
    since: Instant,
}

/// How its last lookup went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Record {
    Fast,
    Unknown,
    Slow,
}

enum LookupProgress {
    Waiting,
    Begun,
    Done(LookupOutcome),
}

impl Lookups {
    /// At most `most` lookups by `look_up` at once. No thread is started yet.
    pub(super) fn new(
        most: usize,
        look_up: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::default(),
            work: Condvar::new(),
            look_up: Box::new(look_up),
            most,
        }))
    }

    /// The addresses of `name`. Dropping the future leaves the lookup to others.
    ///
    /// # Errors
    ///
    /// The function's own, and [`LookupsUsedUp`] within [`io::Error::other`].
    pub(super) async fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut progress = self.join(name)?;
        let begun = progress.wait_for(|now| !matches!(now, LookupProgress::Waiting));
        if timeout(LOOKUP_QUEUE_TIME, begun).await.is_err() {
            let limit = self.0.most;
            return Err(LookupFailure::UsedUp(LookupsUsedUp { limit }).into());
        }
        let outcome = match progress
            .wait_for(|now| matches!(now, LookupProgress::Done(_)))
            .await
            .as_deref()
        {
            Ok(LookupProgress::Done(outcome)) => outcome.clone(),
            _ => return Err(io::Error::other("the lookup ended without a result")),
        };
        Ok(outcome?.to_vec())
    }

    /// Takes part in the lookup of a name, and starts it if nobody has.
    fn join(&self, name: &str) -> Result<watch::Receiver<LookupProgress>, LookupFailure> {
        let now = Instant::now();
        let mut state = self.0.lock();
        if let Some(known) = state.names.get(name) {
            if let Some(lookup) = &known.lookup {
                return Ok(lookup.subscribe());
            }
            if let Some(failure) = known.failed.at(now) {
                return Err(failure.clone());
            }
        }
        state.tidy(now);
        let (sender, receiver) = watch::channel(LookupProgress::Waiting);
        let name: Arc<str> = name.into();
        let known = state.names.entry(Arc::clone(&name)).or_insert(Name {
            lookup: None,
            failed: RecentFailure::default(),
            record: Record::Unknown,
            since: now,
        });
        known.lookup = Some(sender);
        state.waiting.push_back(name);
        self.0.begin(&mut state);
        Ok(receiver)
    }

    /// How many lookups hold a thread.
    #[cfg(test)]
    pub(super) fn busy(&self) -> usize {
        self.0.lock().busy
    }

    #[cfg(test)]
    pub(super) fn threads(&self) -> usize {
        let state = self.0.lock();
        state.busy - state.ready.len() + state.idle
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The threads of which one may be this name's.
    fn allowed(&self, name: &str, known: &Name) -> usize {
        if matches!(name, "localhost" | "localhost.") {
            return self.most + 1;
        }
        match known.record {
            Record::Fast => self.most,
            Record::Slow if known.since.elapsed() < LOOKUP_RECORD_KEPT => self.most - self.most / 4,
            Record::Slow | Record::Unknown => self.most - self.most / 8,
        }
    }

    /// Gives a thread to each name that may have one.
    fn begin(self: &Arc<Self>, state: &mut State) {
        let mut at = 0;
        while let Some(name) = state.waiting.get(at).cloned() {
            let Some(known) = state.names.get_mut(&name) else {
                state.waiting.remove(at);
                continue;
            };
            let Some(lookup) = known.lookup.as_ref().filter(|one| one.receiver_count() > 0) else {
                // Who waited has left.
                known.lookup = None;
                state.waiting.remove(at);
                continue;
            };
            if state.busy >= self.allowed(&name, known) {
                at += 1;
                continue;
            }
            lookup.send_replace(LookupProgress::Begun);
            state.waiting.remove(at);
            state.busy += 1;
            state.ready.push_back(Arc::clone(&name));
            if state.idle >= state.ready.len() {
                self.work.notify_one();
            } else if let Err(error) = self.start_thread() {
                tracing::debug!(%error, "no thread for a name lookup");
                state.ready.pop_back();
                let limit = state.busy - 1;
                state.finish(
                    &name,
                    Err(LookupFailure::UsedUp(LookupsUsedUp { limit })),
                    None,
                );
            }
        }
    }

    fn start_thread(self: &Arc<Self>) -> io::Result<()> {
        let lookups = Arc::clone(self);
        std::thread::Builder::new()
            .name("name-lookup".into())
            // What the C library's resolver and its modules take, with room.
            .stack_size(512 << 10)
            .spawn(move || lookups.work())
            .map(drop)
    }

    /// A thread's life.
    fn work(self: Arc<Self>) {
        let mut state = self.lock();
        loop {
            while let Some(name) = state.ready.pop_front() {
                drop(state);
                let began = Instant::now();
                let outcome = catch_unwind(AssertUnwindSafe(|| (self.look_up)(&name)))
                    .unwrap_or_else(|_| Err(io::Error::other("the resolver panicked")))
                    .map(Arc::from)
                    .map_err(|error| LookupFailure::new(&error));
                state = self.lock();
                state.finish(&name, outcome, Some(began));
                self.begin(&mut state);
            }
            state.idle += 1;
            let waited = self.work.wait_timeout(state, LOOKUP_THREAD_KEPT);
            let (woken, time) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if time.timed_out() && state.ready.is_empty() {
                return;
            }
        }
    }
}

impl State {
    /// Tells all who wait for a name, and takes its thread from it.
    fn finish(&mut self, name: &str, outcome: LookupOutcome, began: Option<Instant>) {
        self.busy -= 1;
        let Some(known) = self.names.get_mut(name) else {
            return;
        };
        let now = Instant::now();
        if let Some(began) = began {
            known.since = now;
            known.record = match &outcome {
                _ if now.duration_since(began) > LOOKUP_SLOW => Record::Slow,
                Ok(_) => Record::Fast,
                Err(_) => Record::Unknown,
            };
        }
        known.failed.keep(&outcome, now);
        if let Some(lookup) = known.lookup.take() {
            lookup.send_replace(LookupProgress::Done(outcome));
        }
    }

    fn tidy(&mut self, now: Instant) {
        if self.names.len() >= NAMES_KEPT {
            self.names
                .retain(|_, known| known.lookup.is_some() || known.failed.at(now).is_some());
        }
    }
}

#[cfg(test)]
mod tests;
