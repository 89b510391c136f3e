//! Files that are offered when they are new.
//!
//! The system says that something has changed (with the feature `watch`), or the
//! place is looked at every second. A file that has changed is left alone until it has
//! stayed the same for [`SwapPolicy::debounce`](super::SwapPolicy::debounce): a
//! file that is being written is not read. One that is read in the middle all
//! the same is no component as a whole, and refused; the rest of it is a change.
//!
//! Each file waits by itself. One that keeps changing is read after
//! [`SwapPolicy::debounce_max`](super::SwapPolicy::debounce_max) all the same. A component in it is
//! taken only if two looks find the same bytes: a writer that replaces one component by another
//! in place could otherwise be caught between the two. What was read is kept with what the file is
//! known by, so that the others are not read again because one changes, and what was refused is not
//! tried again because its file was touched.

mod files;
mod notice;
mod settle;
mod stamp;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use self::files::{Files, Look};
use self::notice::Notice;
use self::settle::Times;
use self::stamp::Stamps;
use super::event::{Subject, What};
use super::folder::{self, FileContent};
use super::offer::Candidate;
use super::policy::NOTICED_MOST;
use super::slot::{Asked, Slot, VersionStanding};
use super::stage::{Refusal, Stage};
use crate::error::{Error, ErrorKind, Result};

/// How long to wait before something is offered again that was refused for a reason which passes: a full host.
const AGAIN: Duration = Duration::from_secs(1);

/// The longest pause between two looks at a place that is slow to look at.
const SLOWEST: Duration = Duration::from_secs(1);

/// The time that [`NOTICED_MOST`] is for.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

/// Where newer plugins appear.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// One file, which is replaced or written anew.
    File(PathBuf),
    /// A folder: of its files `*.wasm` the one with the highest version is taken ([`Slot::offer_directory`]).
    Directory(PathBuf),
}

impl Source {
    fn place(&self) -> &Path {
        match self {
            Self::File(place) | Self::Directory(place) => place,
        }
    }
}

/// A place that is watched. Dropping it ends that; an offer that is under way is taken back.
#[derive(Debug)]
#[must_use = "dropping it ends the watching"]
pub struct Watcher {
    task: AbortHandle,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Slot {
    /// Watches a place: what is there is offered now, and whenever it has changed. What becomes of it is told to
    /// [`Registry::subscribe`](super::Registry::subscribe).
    ///
    /// What was rolled back ([`Slot::roll_back`]) is not taken again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Host`] outside of a tokio runtime. That the place is not there (yet) is no error.
    pub fn watch(&self, source: Source) -> Result<Watcher> {
        let runtime = Handle::try_current().map_err(|error| {
            let why =
                format!("a plugin's file can't be watched outside of a tokio runtime: {error}");
            Error::new(ErrorKind::Host, why).caused_by(error)
        })?;
        let task = runtime.spawn(watch(self.clone(), source));
        Ok(Watcher {
            task: task.abort_handle(),
        })
    }
}

/// A place that is watched, for a slot.
struct Watched {
    slot: Slot,
    source: Source,
    files: Files,
    notices: Notices,
    /// What is wrong with the folder as a whole was told.
    told: Option<Wrong>,
    /// That there is no descriptor left to look with was told.
    shortage_told: bool,
}

/// What can be wrong with a folder as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    TooMany,
    Nothing,
}

async fn watch(slot: Slot, source: Source) {
    let notice = Notice::of(&source);
    let policy = slot.policy();
    let times = Times::new(policy.debounce, policy.debounce_max);
    let mut watched = Watched {
        slot,
        source,
        files: Files::new(times),
        notices: Notices::default(),
        told: None,
        shortage_told: false,
    };
    loop {
        let began = Instant::now();
        watched.look().await;
        // However much happens there, looking takes at most a tenth of the time; of a place that is
        // slow to look at, more.
        let pace = times.pace();
        let pause = (began.elapsed() * 10).clamp(pace, pace.max(SLOWEST));
        let earliest = Instant::now() + pause;
        match watched.files.next() {
            Some(next) => drop(tokio::time::timeout_at(next, notice.wait()).await),
            None => notice.wait().await,
        }
        tokio::time::sleep_until(earliest).await;
    }
}

impl Watched {
    /// Looks at the place, and offers what is new.
    async fn look(&mut self) {
        let stamps = loop {
            match stamps(&self.source).await {
                Ok(stamps) => break stamps,
                Err(error) => self.tell_shortage(folder::unreadable(self.source.place(), error)),
            }
            tokio::time::sleep(AGAIN).await;
        };
        if let Source::Directory(folder) = &self.source {
            if stamps.too_many() {
                if self.told.replace(Wrong::TooMany) != Some(Wrong::TooMany) {
                    let refusal = folder::too_many(folder);
                    self.slot.refused(Subject::default(), refusal);
                }
                return;
            }
            if self.told == Some(Wrong::TooMany) {
                self.told = None;
            }
        }
        let now = Instant::now();
        if self.files.scanned(stamps, now) {
            self.told = None;
            let place = self.source.place().to_owned();
            self.notices.tell(&self.slot, What::Gone { place }, now);
        }
        let looked = self.read(now).await;
        if !looked.is_empty() {
            self.offer(&looked).await;
        }
    }

    /// Tells once that there is no descriptor left to look with. What serves goes on serving, and the
    /// place is looked at again.
    fn tell_shortage(&mut self, refusal: Refusal) {
        if !std::mem::replace(&mut self.shortage_told, true) {
            self.slot.refused(Subject::default(), refusal);
        }
    }

    /// Reads the files that are due. Those whose content counts, and whether it is new.
    async fn read(&mut self, now: Instant) -> BTreeMap<PathBuf, Look> {
        let due = self.files.due(now);
        if due.is_empty() {
            self.shortage_told = false;
            return BTreeMap::new();
        }
        let engine = self.slot.provider().plugin().engine().clone();
        let read = tokio::task::spawn_blocking(move || {
            let read = due.into_iter().map(|(path, due)| {
                let content = FileContent::of(&path, &engine);
                (path, due, content)
            });
            read.collect::<Vec<_>>()
        });
        let (mut looked, now) = (BTreeMap::new(), Instant::now());
        let mut shortage = None;
        for (path, due, content) in read.await.unwrap_or_default() {
            if let (Some(error), Source::Directory(_)) = (content.shortage(), &self.source) {
                // It stays due.
                shortage = Some(Refusal::shared(Stage::Read, error.clone()));
                continue;
            }
            let wrong = content.plugin.as_ref().err().cloned();
            let look = self.files.read(&path, due, content, now);
            if look == Look::Unconfirmed {
                continue;
            }
            if look == Look::New {
                let file = path.clone();
                self.notices.tell(&self.slot, What::Noticed { file }, now);
                if let (Some(error), Source::Directory(_)) = (wrong, &self.source) {
                    folder::pass_over(&path, &error);
                }
            }
            looked.insert(path, look);
        }
        match shortage {
            Some(refusal) => self.tell_shortage(refusal),
            None => self.shortage_told = false,
        }
        looked
    }

    /// Offers the best of what is there, after some of it was read. What becomes of it is told as
    /// an event.
    async fn offer(&mut self, looked: &BTreeMap<PathBuf, Look>) {
        let folder = match &self.source {
            Source::Directory(folder) => folder.clone(),
            Source::File(path) => {
                let path = path.clone();
                let content = self.files.content(&path);
                if let Some(digest) = content.map(|content| content.digest.clone()) {
                    let serving = self.slot.standing(&digest, "") == VersionStanding::Serving;
                    self.offer_one(&path, &digest, serving, looked).await;
                }
                return;
            }
        };
        let (calm, restless) = self.files.candidates(self.slot.id());
        if calm.is_empty() && restless.is_empty() {
            let nothing = !self.files.may_have(self.slot.id());
            if nothing && self.told.replace(Wrong::Nothing).is_none() {
                let refusal = folder::none(&folder, self.slot.id());
                self.slot.refused(Subject::default(), refusal);
            }
            return;
        }
        self.told = None;
        for group in [calm, restless] {
            for one in group {
                let standing = self.slot.standing(&one.digest, &one.version);
                if standing == VersionStanding::Older {
                    break;
                }
                let serving = standing == VersionStanding::Serving;
                let path = &one.path;
                if self.offer_one(path, &one.digest, serving, looked).await || serving {
                    break;
                }
            }
        }
    }

    /// Offers a file, unless it was refused already or serves and is not new. Whether it serves
    /// from now on.
    async fn offer_one(
        &mut self,
        path: &Path,
        digest: &Arc<str>,
        serving: bool,
        looked: &BTreeMap<PathBuf, Look>,
    ) -> bool {
        let look = looked.get(path).copied();
        let generation = self.slot.generation();
        let now = Instant::now();
        if serving && look != Some(Look::New)
            || (self.files).was_refused(path, generation, look.is_some(), now)
        {
            return false;
        }
        let candidate = Candidate::Known {
            path: path.to_owned(),
            digest: digest.clone(),
        };
        let Err(refusal) = self.slot.offer(candidate, Asked::ByItself).await else {
            return true;
        };
        let now = Instant::now();
        let whole = (self.files.content(path)).is_some_and(|content| content.plugin.is_ok());
        if refusal.error().retryable() || refusal.stage() == Stage::Read && whole {
            // A full host, or a file that was replaced after it was read.
            self.files.again(path, AGAIN, now);
        } else {
            self.files.refuse(path, &refusal, generation, now);
        }
        false
    }
}

/// What was told of a place, so that it is not too much.
#[derive(Debug, Default)]
struct Notices {
    since: Option<Instant>,
    told: u32,
}

impl Notices {
    fn tell(&mut self, slot: &Slot, what: What, now: Instant) {
        if self.may(now) {
            slot.herald().tell(Subject::default(), what);
        } else {
            tracing::debug!(?what, "too much happens in a watched place to be told");
        }
    }

    fn may(&mut self, now: Instant) -> bool {
        if self
            .since
            .is_none_or(|since| now.duration_since(since) >= NOTICED_WITHIN)
        {
            (self.since, self.told) = (Some(now), 0);
        }
        self.told = self.told.saturating_add(1);
        self.told <= NOTICED_MOST
    }
}

/// Asks the file system where that may take its time.
async fn stamps(source: &Source) -> std::io::Result<Stamps> {
    let source = source.clone();
    let asked = tokio::task::spawn_blocking(move || Stamps::of(&source)).await;
    asked.unwrap_or_else(|_| Ok(Stamps::default()))
}
