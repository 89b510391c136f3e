//! What stood between a request and its answer, in a sentence for people.

use provider_host::Error;
use provider_host::route::Step;

use super::amount;
use super::terminal::escaped;

/// Most characters of what went wrong: what to do about it is being done.
const LONGEST: usize = 240;

/// The sentence of a step; none for the answer's own.
pub(super) fn sentence(step: &Step) -> Option<String> {
    Some(match step {
        Step::Retry(retry) => format!(
            "{}: {}; retry {} of {} in {}",
            escaped(&retry.model),
            what(&retry.error),
            retry.number,
            retry.of,
            amount::seconds(retry.delay)
        ),
        Step::Refit(refit) => format!(
            "{}: {}; trying again with a limit that fits, {} token{}",
            escaped(&refit.model),
            what(&refit.error),
            amount::count(refit.max_tokens.into()),
            if refit.max_tokens == 1 { "" } else { "s" }
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
