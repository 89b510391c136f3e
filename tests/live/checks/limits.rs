//! The context window: prompts and limits that do not fit.

use std::sync::Arc;

use anyhow::{Result, ensure};
use provider_host::ErrorKind;
use provider_host::route::{Fit, Route, Target};

use crate::answer;
use crate::live::Live;

pub(crate) async fn a_prompt_that_is_too_long_is_a_context_overflow(live: Arc<Live>) -> Result<()> {
    // Two tokens each.
    let request = live.request(&"7 ".repeat(2_500));
    let (error, events) = answer::failure(&live.provider, &live.model, &request).await?;
    ensure!(error.kind() == &ErrorKind::ContextOverflow, "{error:?}");
    ensure!(error.limit() == Some(4096), "{error:?}");
    ensure!(error.requested() > Some(4096), "{error:?}");
    ensure!(
        error.status() == Some(400) && !error.retryable(),
        "{error:?}"
    );
    ensure!(events.is_empty(), "{events:?}");
    Ok(())
}

const HELLO: &str = "Hello! How can I help you today?";

/// More than any context here.
const TOO_LARGE: u32 = 100_000;

fn route(live: &Live) -> Route {
    Route::new(Target::new(&live.provider, live.model.id.as_str()))
}

/// As most chats are: the limit is then the model's own, which for a discovered model of a small context is all of it,
/// and older releases refuse that. The prompt is counted first, so that nothing is refused.
pub(crate) async fn a_chat_without_a_limit_is_answered(live: Arc<Live>) -> Result<()> {
    let mut request = live.request("Say hello.");
    request.max_tokens = None;
    let (answer, refits) = answer::routed(&route(&live), &request).await?;
    ensure!(refits == 0, "refitted {refits} times");
    answer.is_text(HELLO)
}

pub(crate) async fn a_limit_that_is_too_large_is_fitted_before_it_is_sent(
    live: Arc<Live>,
) -> Result<()> {
    let mut request = live.request("Say hello.");
    request.max_tokens = Some(TOO_LARGE);
    let (answer, refits) = answer::routed(&route(&live), &request).await?;
    ensure!(refits == 0, "refitted {refits} times");
    answer.is_text(HELLO)
}

pub(crate) async fn a_limit_that_is_refused_is_refitted_once(live: Arc<Live>) -> Result<()> {
    let mut request = live.request("Say hello.");
    request.max_tokens = Some(TOO_LARGE);
    let (answer, refits) = answer::routed(&route(&live).with_fit(Fit::Never), &request).await?;
    ensure!(refits == 1, "refitted {refits} times");
    answer.is_text(HELLO)
}
