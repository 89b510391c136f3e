//! Files that are offered when they are new.
//!
//! The system says that something has changed (with the feature `watch`), or the
//! place is looked at every second. What has changed is left alone until it has
//! stayed the same for [`SwapPolicy::debounce`](super::SwapPolicy::debounce): a
//! file that is being written is not read. One that is read in the middle all
//! the same is no component as a whole, and refused; the rest of it is a change.

mod notice;
mod stamp;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use self::notice::Notice;
use self::stamp::Stamps;
use super::event::{Subject, What};
use super::offer::Candidate;
use super::slot::{Asked, Slot};
use super::stage::Refusal;
use crate::error::{Error, ErrorKind, Result};

/// How long to wait before something is offered again that was refused for a reason which passes: a full host.
const AGAIN: Duration = Duration::from_secs(1);

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

    /// Offers what is there. What becomes of it is told as an event.
    async fn take_from(&self, source: &Source) -> Result<(), Refusal> {
        let offered = match source {
            Source::File(path) => {
                let candidate = Candidate::File(path.clone());
                self.offer(candidate, Asked::ByItself).await
            }
            Source::Directory(path) => self.offer_best(path, Asked::ByItself).await,
        };
        offered.map(|_| ())
    }
}

async fn watch(slot: Slot, source: Source) {
    let notice = Notice::of(&source);
    let debounce = slot.policy().debounce;
    let mut seen = None;
    loop {
        let mut now = stamps(&source).await;
        while seen.as_ref() != Some(&now) {
            tokio::time::sleep(debounce).await;
            let later = stamps(&source).await;
            if later != now {
                // It is being written.
                now = later;
                continue;
            }
            for file in now.since(seen.as_ref()) {
                slot.herald()
                    .tell(Subject::default(), What::Noticed { file });
            }
            if now.is_empty() && seen.is_some() {
                let place = source.place().to_owned();
                slot.herald().tell(Subject::default(), What::Gone { place });
            }
            let passes = !now.is_empty() && {
                let refusal = slot.take_from(&source).await.err();
                refusal.is_some_and(|refusal| refusal.error().retryable())
            };
            if passes {
                tokio::time::sleep(AGAIN).await;
                now = stamps(&source).await;
            } else {
                seen = Some(now.clone());
                // What changed meanwhile is new again.
                now = stamps(&source).await;
            }
        }
        notice.wait().await;
    }
}

/// Asks the file system where that may take its time.
async fn stamps(source: &Source) -> Stamps {
    let source = source.clone();
    let asked = tokio::task::spawn_blocking(move || Stamps::of(&source)).await;
    asked.unwrap_or_default()
}
