//! Something new: offered, held against what serves, and installed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Slot;
use crate::bindings::types;
use crate::plugin::IdApproval;
use crate::provider::{ProviderOptions, network};
use crate::registry::event::{Cause, Subject, What};
use crate::registry::generation::{Generation, Setup};
use crate::registry::offer::{self, Candidate, Serving, Verdict};
use crate::registry::stage::{At, Refusal, Stage};
use crate::registry::{folder, version};

/// What became of an offer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Offered {
    /// It serves from now on.
    Serving(Served),
    /// These very bytes serve already; nothing was done.
    Unchanged {
        /// The generation that serves.
        generation: u64,
    },
}

/// Something new that serves.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Served {
    /// Its number.
    pub generation: u64,
    /// What the plugin has to say of its settings: warnings.
    pub notes: Vec<types::Note>,
}

/// How a plugin stands to the one that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum VersionStanding {
    /// It is what serves.
    Serving,
    /// It is older, and older ones are not taken.
    Older,
    /// It may be offered.
    New,
}

/// Who offers something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum Asked {
    /// Somebody wants it.
    ByHand,
    /// A file is there.
    ByItself,
}

impl Slot {
    /// Offers a component. It is read, judged, compiled and tested while the present one serves, and serves when it has
    /// passed.
    ///
    /// Dropping the future takes the offer back.
    ///
    /// # Errors
    ///
    /// The first [`Stage`] that it did not pass, and why. Nothing has changed then.
    pub async fn offer_bytes(&self, bytes: impl Into<Vec<u8>>) -> Result<Offered, Refusal> {
        let bytes = bytes.into();
        let candidate = Candidate::Bytes {
            bytes,
            signature: None,
        };
        self.offer(candidate, Asked::ByHand).await
    }

    /// Offers a component with its detached signature, for a policy that asks for one ([`SwapPolicy::with_trust`](crate::registry::SwapPolicy::with_trust)).
    ///
    /// # Errors
    ///
    /// As [`Slot::offer_bytes`].
    #[cfg(feature = "signatures")]
    pub async fn offer_signed_bytes(
        &self,
        bytes: impl Into<Vec<u8>>,
        signature: impl Into<Vec<u8>>,
    ) -> Result<Offered, Refusal> {
        let candidate = Candidate::Bytes {
            bytes: bytes.into(),
            signature: Some(signature.into()),
        };
        self.offer(candidate, Asked::ByHand).await
    }

    /// Offers a component's file. What is read is what is judged; a signature stands beside it.
    ///
    /// # Errors
    ///
    /// As [`Slot::offer_bytes`].
    pub async fn offer_file(&self, path: impl Into<PathBuf>) -> Result<Offered, Refusal> {
        self.offer(Candidate::File(path.into()), Asked::ByHand)
            .await
    }

    /// Offers the components of a folder: of the files `*.wasm` that are this provider, the one with the highest version
    /// that can serve. Those that are older than what serves are not looked at, unless [`SwapPolicy::downgrades`](crate::registry::SwapPolicy::downgrades) are
    /// allowed.
    ///
    /// # Errors
    ///
    /// Why the best one can't serve, if none can; [`Stage::Read`] if the folder can't be read or has no such file.
    pub async fn offer_directory(&self, path: impl AsRef<Path>) -> Result<Offered, Refusal> {
        self.offer_best(path.as_ref(), Asked::ByHand).await
    }

    async fn offer_best(&self, path: &Path, asked: Asked) -> Result<Offered, Refusal> {
        let engine = self.provider().plugin().engine().clone();
        let (folder, provider) = (path.to_owned(), self.id().to_owned());
        let found = offer::blocking(move || folder::candidates(&folder, &provider, &engine));
        let found = match found.await {
            Ok(found) => found,
            Err(refusal) => return Err(self.refused(Subject::default(), refusal)),
        };
        let mut first = None;
        for one in found {
            if self.standing(&one.digest, &one.version) == VersionStanding::Older {
                break;
            }
            match self.offer(Candidate::File(one.path), asked).await {
                Ok(offered) => return Ok(offered),
                Err(refusal) => first = first.or(Some(refusal)),
            }
        }
        match first {
            Some(refusal) => Err(refusal),
            // All that there is is older: as good as nothing new.
            None => Ok(Offered::Unchanged {
                generation: self.generation(),
            }),
        }
    }

    /// How a plugin stands to the one that serves.
    pub(in crate::registry) fn standing(&self, digest: &str, version: &str) -> VersionStanding {
        let present = self.inner.present.load();
        if digest == present.setup.digest() {
            return VersionStanding::Serving;
        }
        let older = version::precedence(version, present.setup.version()).is_lt();
        match older && !self.inner.policy.downgrades {
            true => VersionStanding::Older,
            false => VersionStanding::New,
        }
    }

    pub(in crate::registry) async fn offer(
        &self,
        candidate: Candidate,
        asked: Asked,
    ) -> Result<Offered, Refusal> {
        let _turn = self.inner.offering.lock().await;
        let mut subject = Subject::default();
        match self.take(candidate, asked, &mut subject).await {
            Ok(offered) => Ok(offered),
            Err(refusal) => Err(self.refused(subject, refusal)),
        }
    }

    /// Tells that something does not serve.
    pub(in crate::registry) fn refused(&self, subject: Subject, refusal: Refusal) -> Refusal {
        self.inner.counting.refusals.add();
        let refused = What::Refused {
            stage: refusal.stage(),
            error: refusal.shared_error(),
        };
        self.inner.herald.tell(subject, refused);
        refusal
    }

    async fn take(
        &self,
        candidate: Candidate,
        asked: Asked,
        known: &mut Subject,
    ) -> Result<Offered, Refusal> {
        let inner = self.inner.clone();
        let serving = self.serving(asked);
        let engine = self.provider().plugin().engine().clone();
        // The subject is known as far as it got, whatever becomes of it.
        let (subject, verdict) = offer::blocking(move || {
            let mut subject = Subject::default();
            let provider = inner.herald.provider();
            let verdict = offer::judge(
                candidate,
                &engine,
                provider,
                &serving,
                &inner.policy,
                &mut subject,
            );
            Ok((subject, verdict))
        })
        .await?;
        *known = subject.clone();
        let Verdict::New(judged) = verdict? else {
            self.inner.herald.tell(subject, What::Unchanged);
            return Ok(Offered::Unchanged {
                generation: self.generation(),
            });
        };
        let inner = self.inner.clone();
        let engine = self.provider().plugin().engine().clone();
        let compiling =
            offer::blocking(move || offer::compile(*judged, &engine, &inner.herald, &subject));
        let plugin = compiling.await?;
        let self_test = &self.inner.policy.self_test;
        let limits = self.inner.present.load().setup.options.sandbox.clone();
        self_test.run(&plugin, &limits).await?;
        loop {
            let present = self.inner.present.load_full();
            let setup = Setup {
                plugin: plugin.clone(),
                options: present.setup.options.clone(),
                transport: present.setup.transport.clone(),
            };
            let notes = self_test.settings(&setup).await?;
            // Settings may have changed meanwhile: then those are what it has to take.
            if let Some(generation) = self.install(setup, Cause::Offered, present.number) {
                return Ok(Offered::Serving(Served { generation, notes }));
            }
        }
    }

    fn serving(&self, asked: Asked) -> Serving {
        let present = self.inner.present.load();
        Serving {
            digest: present.setup.digest().into(),
            version: present.setup.version().into(),
            approved: present.setup.plugin.id_approval() != IdApproval::None,
            rejected: match asked {
                Asked::ByHand => Vec::new(),
                Asked::ByItself => self.state().rejected.clone(),
            },
        }
    }

    /// Replaces the settings, with the same plugin: base URL, key, grant, limits. The plugin judges them first; chats that
    /// run keep theirs. Connections are kept where the new grant dials as the old one does.
    ///
    /// # Errors
    ///
    /// [`Stage::Settings`]: they can't be used, and why. Nothing has changed then.
    pub async fn configure(&self, options: ProviderOptions) -> Result<Served, Refusal> {
        let options = Arc::new(options);
        loop {
            let present = self.inner.present.load_full();
            let judged = self.judge_settings(&present, &options).await;
            let (setup, notes) =
                judged.map_err(|refusal| self.refused(present.subject(), refusal))?;
            if let Some(generation) = self.install(setup, Cause::Configured, present.number) {
                return Ok(Served { generation, notes });
            }
        }
    }

    async fn judge_settings(
        &self,
        present: &Generation,
        options: &Arc<ProviderOptions>,
    ) -> Result<(Setup, Vec<types::Note>), Refusal> {
        let same = options.grant.dials_like(&present.setup.options.grant);
        let transport = match &self.inner.transport {
            Some(transport) => transport.clone(),
            None if same => present.setup.transport.clone(),
            None => network(&options.grant).at(Stage::Settings)?,
        };
        let setup = Setup {
            plugin: present.setup.plugin.clone(),
            options: options.clone(),
            transport,
        };
        let notes = self.inner.policy.self_test.settings(&setup).await?;
        Ok((setup, notes))
    }
}
