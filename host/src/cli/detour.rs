//! What stood between a request and its answer, in a sentence for people.

use provider_host::Error;
use provider_host::route::Step;

use super::amount;
use super::terminal::escaped;

/// Most characters of what went wrong: what to do about it is being done.
const LONGEST: usize = 240;

/// The sentence of a step; none for the answer's own.
pub(super) fn sentence(step: &Step) -> Option<String> {
    let tokens = |count: u32| {
        let unit = if count == 1 { "token" } else { "tokens" };
        format!("{} {unit}", amount::count(count.into()))
    };
    Some(match step {
        Step::Fit(fitted) => format!(
            "{}: the prompt has {}, which leaves {} of the context for the answer",
            escaped(&fitted.model),
            tokens(fitted.prompt_tokens),
            tokens(fitted.max_tokens)
        ),
        Step::Retry(retry) => format!(
            "{}: {}; retry {} of {} in {}",
            escaped(&retry.model),
            what(&retry.error),
            retry.number,
            retry.of,
            amount::seconds(retry.delay)
        ),
        Step::Refit(refit) => format!(
            "{}: {}; trying again with a limit that fits, {}",
            escaped(&refit.model),
            what(&refit.error),
            tokens(refit.max_tokens)
        ),
        Step::Fallback(fallback) => format!(
            "{}: {}; falling back to {}",
            escaped(&fallback.model),
            what(&fallback.error),
            escaped(&fallback.to)
        ),
        _ => return None,
    })
}

/// What went wrong, on one line and not too long.
fn what(error: &Error) -> String {
    let message = escaped(error.message());
    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", message[..end].trim_end()),
        None => message.into_owned(),
    }
}
