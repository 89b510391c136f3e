//! From what is offered to a plugin that may serve, and never further than the first thing that is wrong with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::event::{Herald, Subject, What};
use super::policy::SwapPolicy;
use super::stage::{At, Refusal, Stage};
use super::version;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::plugin::{self, Inspection, Plugin, Urgency};

/// What is offered.
#[derive(Debug, Clone)]
pub(super) enum Candidate {
    Bytes {
        bytes: Vec<u8>,
        signature: Option<Vec<u8>>,
    },
    File(PathBuf),
    /// A file that was read before, and what it held then.
    Known {
        path: PathBuf,
        digest: Arc<str>,
    },
}

/// What serves at the moment, as far as a newcomer is held against it.
#[derive(Debug, Clone)]
pub(super) struct Serving {
    pub(super) digest: Arc<str>,
    pub(super) version: Arc<str>,
    /// Its id is approved, by the user or because it is built in.
    pub(super) approved: bool,
    /// What was rolled back, and is not taken again by itself.
    pub(super) rejected: Vec<Arc<str>>,
}

/// A component that was read and judged, and not compiled.
pub(super) struct Judged {
    bytes: Vec<u8>,
    inspection: Inspection,
    /// Its id is approved.
    approved: bool,
}

/// What became of reading and judging.
pub(super) enum Verdict {
    /// It serves already.
    Same,
    New(Box<Judged>),
}

/// Reads what is offered and judges it by what can be told without running it. `subject` is filled as it becomes known,
/// so that a refusal says of what.
pub(super) fn judge(
    candidate: Candidate,
    engine: &Engine,
    provider: &str,
    serving: &Serving,
    policy: &SwapPolicy,
    subject: &mut Subject,
) -> Result<Verdict, Refusal> {
    let named = name(&candidate);
    let known = match &candidate {
        Candidate::Known { digest, .. } => Some(digest.clone()),
        Candidate::Bytes { .. } | Candidate::File(_) => None,
    };
    let (bytes, signature) = read(candidate, policy)?;
    let inspection = plugin::inspected(engine, &bytes)
        .map_err(|error| named.told(error))
        .at(Stage::Read)?;
    let digest: Arc<str> = inspection.sha256.as_str().into();
    subject.digest = Some(digest.clone());
    if known.is_some_and(|known| known != digest) {
        let why = "it has changed since it was noticed, and is looked at again";
        return Err(Refusal::told(Stage::Read, named.say(why.into())));
    }
    let manifest = inspection.manifest.as_ref();
    subject.version = manifest.map(|manifest| manifest.version.as_str().into());
    if digest == serving.digest {
        return Ok(Verdict::Same);
    }
    let id = manifest.map_or("", |manifest| manifest.id.as_str());
    let approved = trusted(&bytes, signature.as_deref(), policy, id)
        .map_err(|error| named.told(error))
        .at(Stage::Trust)?;
    plugin::check_world(&inspection)
        .map_err(|error| named.told(error))
        .at(Stage::Contract)?;
    plugin::check_imports(&inspection)
        .map_err(|error| named.told(error))
        .at(Stage::Imports)?;
    let manifest = manifest
        .ok_or_else(|| named.told(plugin::no_manifest()))
        .at(Stage::Identity)?;
    if manifest.id != provider {
        return Err(Refusal::told(
            Stage::Identity,
            named.say(format!(
                "the plugin is the provider {:?}, and this slot is for {provider:?}",
                manifest.id
            )),
        ));
    }
    let approved = approved || plugin::is_embedded(&digest);
    if policy.approved_ids && serving.approved && !approved {
        let why = format!(
            "the plugin that serves has an approved id, with the keys that belong to it, and nobody \
             approved this one as the provider {provider:?}: list it under `ids` in the trust file"
        );
        let untrusted = Error::new(ErrorKind::UntrustedPlugin, named.say(why));
        return Err(Refusal::new(Stage::Identity, untrusted));
    }
    if serving.rejected.contains(&digest) {
        return Err(Refusal::told(
            Stage::Version,
            named.say(
                "it was rolled back, so that it is not taken again by itself (Slot::offer_file takes it)"
                    .into(),
            ),
        ));
    }
    if !policy.downgrades {
        version::follows(&serving.version, &manifest.version)
            .map_err(|why| Refusal::told(Stage::Version, named.say(why)))?;
    }
    Ok(Verdict::New(Box::new(Judged {
        bytes,
        inspection,
        approved: approved || serving.approved && !policy.approved_ids,
    })))
}

/// Compiles what was judged, so that chats that run do not notice.
pub(super) fn compile(
    judged: Judged,
    engine: &Engine,
    herald: &Herald,
    subject: &Subject,
) -> Result<Plugin, Refusal> {
    let began = Instant::now();
    let plugin = Plugin::compiled(engine, &judged.bytes, judged.inspection, Urgency::Aside);
    let plugin = plugin.at(Stage::Compile)?;
    let plugin = match judged.approved {
        true => plugin.with_approved_id(),
        false => plugin,
    };
    let loaded = What::Loaded {
        from_cache: plugin.from_cache(),
        took: began.elapsed(),
    };
    herald.tell(subject.clone(), loaded);
    Ok(plugin)
}

/// Runs what blocks where it blocks no chat.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Refusal::new(
            Stage::Compile,
            Error::new(
                ErrorKind::Host,
                format!("the compiler ended over the plugin: {error}"),
            ),
        )),
    }
}

fn read(candidate: Candidate, policy: &SwapPolicy) -> Result<(Vec<u8>, Option<Vec<u8>>), Refusal> {
    match candidate {
        Candidate::Bytes { bytes, signature } => Ok((bytes, signature)),
        Candidate::File(path) | Candidate::Known { path, .. } => {
            let bytes = plugin::read(&path).at(Stage::Read)?;
            Ok((bytes, signature_of(&path, policy)?))
        }
    }
}

#[cfg(feature = "signatures")]
fn signature_of(path: &Path, policy: &SwapPolicy) -> Result<Option<Vec<u8>>, Refusal> {
    match &policy.trust {
        None => Ok(None),
        Some(_) => plugin::trust::signature_beside(path).at(Stage::Trust),
    }
}

#[cfg(not(feature = "signatures"))]
fn signature_of(_: &Path, _: &SwapPolicy) -> Result<Option<Vec<u8>>, Refusal> {
    Ok(None)
}

/// Requires that the policy lets the bytes in; whether it approves them as the provider `id`.
#[cfg(feature = "signatures")]
fn trusted(
    bytes: &[u8],
    signature: Option<&[u8]>,
    policy: &SwapPolicy,
    id: &str,
) -> crate::error::Result<bool> {
    match &policy.trust {
        None => Ok(false),
        Some(trust) => {
            let standing = trust.judge(bytes, signature)?;
            Ok(trust.approves_id(&standing, id))
        }
    }
}

#[cfg(not(feature = "signatures"))]
fn trusted(_: &[u8], _: Option<&[u8]>, _: &SwapPolicy, _: &str) -> crate::error::Result<bool> {
    Ok(false)
}

/// The file that a message is about, if there is one.
struct Named(Option<PathBuf>);

fn name(candidate: &Candidate) -> Named {
    Named(match candidate {
        Candidate::Bytes { .. } => None,
        Candidate::File(path) | Candidate::Known { path, .. } => Some(path.clone()),
    })
}

impl Named {
    fn say(&self, why: String) -> String {
        match &self.0 {
            Some(path) => format!("{}: {why}", path.display()),
            None => why,
        }
    }

    fn told(&self, error: Error) -> Error {
        error.map_message(|why| self.say(why))
    }
}
