//! What happens to a plugin, for people.

use std::path::Path;

use provider_host::registry::{Cause, RegistryEvent, What};

use crate::cli::amount;

/// The sentence of an event; none: it is of no use to who chats.
pub(super) fn sentence(event: &RegistryEvent, file: &Path) -> Option<String> {
    let version = event.version.as_deref().unwrap_or("of no version");
    let digest = event.digest.as_deref().and_then(|hex| hex.get(..12));
    let plugin = format!("{} {version}", event.provider);
    Some(match &event.what {
        What::Noticed { file } => format!("{} is new: checking it", file.display()),
        What::Gone { place } => format!(
            "{} is no file any more; what answered before goes on, and a file that appears there is looked at",
            place.display()
        ),
        What::Loaded { from_cache, took } => format!(
            "{plugin} {} in {}: testing it",
            if *from_cache {
                "was loaded"
            } else {
                "was compiled"
            },
            amount::seconds(*took)
        ),
        What::Unchanged => format!("{} is what answers already", file.display()),
        What::Refused { stage, error } => {
            let (file, why) = (file.display().to_string(), error.to_string());
            // What can't be read says itself which file it is.
            let why = why.strip_prefix(&format!("{file}: ")).unwrap_or(&why);
            format!(
                "{file} was not taken over, at the step {stage}: {why}; what answered before goes on"
            )
        }
        What::Serving(Cause::Offered) => format!(
            "{plugin} (sha256 {}…) answers from now on, as generation {}; an answer that is under way goes on with the one \
             that it began with",
            digest.unwrap_or_default(),
            event.generation.unwrap_or_default()
        ),
        What::Serving(_) | What::Draining { .. } | What::Ended { .. } | What::Drained => {
            return None;
        }
        _ => return None,
    })
}
