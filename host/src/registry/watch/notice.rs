//! When to look again.

use std::time::Duration;

use super::Source;

/// How often a place is looked at that the system says nothing of.
const LOOK: Duration = Duration::from_secs(1);

/// How often one is looked at though the system tells of changes: it does not tell of all of them (network file systems,
/// the target of a link).
#[cfg(feature = "watch")]
const LOOK_ALL_THE_SAME: Duration = Duration::from_secs(5);

/// Tells that a place may have changed.
pub(super) struct Notice {
    #[cfg(feature = "watch")]
    system: Option<system::System>,
}

impl Notice {
    /// Nothing is missed from here on.
    pub(super) fn of(source: &Source) -> Self {
        #[cfg(not(feature = "watch"))]
        let _ = source;
        Self {
            #[cfg(feature = "watch")]
            system: system::System::watch(source),
        }
    }

    /// Waits until the place may have changed.
    pub(super) async fn wait(&self) {
        #[cfg(feature = "watch")]
        if let Some(system) = &self.system {
            // A time-out is a look.
            let _ = tokio::time::timeout(LOOK_ALL_THE_SAME, system.changed()).await;
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(feature = "watch")]
mod system {
    use std::path::Path;
    use std::sync::Arc;

    use notify::event::{AccessKind, AccessMode, EventKind};
    use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
    use tokio::sync::Notify;

    use crate::registry::watch::Source;

    /// The system's own means.
    pub(super) struct System {
        changed: Arc<Notify>,
        _watcher: RecommendedWatcher,
    }

    /// Whether nothing has changed: looking at a folder opens it, and must not cause the next look.
    fn is_reading(kind: &EventKind) -> bool {
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        kind.is_access() && *kind != written
    }

    impl System {
        /// None: the system does not tell of this place.
        pub(super) fn watch(source: &Source) -> Option<Self> {
            // A file that is replaced is another file: what is watched is where it stands.
            let folder = match source {
                Source::Directory(folder) => folder.as_path(),
                Source::File(file) => match file.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => parent,
                    _ => Path::new("."),
                },
            };
            let changed = Arc::new(Notify::new());
            let tell = changed.clone();
            let told = move |event: notify::Result<notify::Event>| {
                if !event.is_ok_and(|event| is_reading(&event.kind)) {
                    tell.notify_one();
                }
            };
            let watcher = notify::recommended_watcher(told);
            let watched = watcher.and_then(|mut watcher| {
                watcher.watch(folder, RecursiveMode::NonRecursive)?;
                Ok(watcher)
            });
            match watched {
                Ok(watcher) => Some(Self {
                    changed,
                    _watcher: watcher,
                }),
                Err(error) => {
                    tracing::info!(
                        folder = %folder.display(), %error,
                        "the system does not tell of changes here: the place is looked at every second"
                    );
                    None
                }
            }
        }

        /// At once if something has changed since it was asked last.
        pub(super) async fn changed(&self) {
            self.changed.notified().await;
        }
    }
}
