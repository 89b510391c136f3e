//! Tokens: what an answer cost, and what a prompt will.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use provider_host::types::{Message, Usage};

use crate::live::Live;
use crate::request;

pub(crate) async fn the_usage_is_what_the_tokenizer_counts(live: Arc<Live>) -> Result<()> {
    let answer = live.ask("Show me code.").await?;
    let usage = answer.usage()?;
    // Whichever of the two a parser took it for; and the token that ends the answer.
    let said = answer.reasoning() + &answer.text();
    let said = live.probe.tokens(&live.model.id, &said).await? + 1;
    ensure!(usage.output == said, "{said} tokens were said: {usage:?}");
    ensure!(usage.total == answer.prompt()? + usage.output, "{usage:?}");
    Ok(())
}

pub(crate) async fn a_prompt_seen_before_is_read_from_the_cache(live: Arc<Live>) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    // The cache goes by whole blocks of 128 tokens; the time makes them new ones.
    let long = format!("{now} {}", "Be brief. ".repeat(150));
    let mut request = live.request("Say hello.");
    request.messages.insert(0, Message::System(long));
    request.max_tokens = Some(4);
    let cold = live.chat(&request).await?;
    let warm = live.chat(&request).await?;
    let (cold, warm) = (cold.usage()?, warm.usage()?);
    let told = || format!("cold {cold:?}, warm {warm:?}");
    ensure!(cold.cache_read == 0, "{}", told());
    ensure!(warm.cache_read >= 128, "{}", told());
    // Both are the same prompt, and what came from the cache was not computed again.
    let computed = |usage: &Usage| usage.input + usage.cache_write;
    ensure!(
        computed(cold) == computed(warm) + warm.cache_read,
        "{}",
        told()
    );
    ensure!(cold.total == warm.total, "{}", told());
    Ok(())
}

pub(crate) async fn counted_tokens_are_the_tokens_of_the_usage(live: Arc<Live>) -> Result<()> {
    let short = live.request("Say hello.");
    let mut with_system = live.request("Greet me in many scripts.");
    with_system
        .messages
        .insert(0, Message::System("You are a helpful assistant.".into()));
    let mut with_template = live.request("Think: what is 2 + 2?");
    with_template.extra = Some(request::NO_THINKING.into());
    let mut requests = vec![
        ("short", short),
        ("system", with_system),
        ("template", with_template),
    ];
    if live.profile.has_key() {
        let mut with_tools = live.request("Weather in Paris?");
        with_tools.tools = request::tools();
        requests.push(("tools", with_tools));
    }
    for (what, request) in requests {
        let count = live.provider.count_tokens(&live.model, &request).await?;
        let count = count.context("the plugin does not count tokens")?;
        let used = live.chat(&request).await?.prompt()?;
        ensure!(
            u64::from(count.prompt) == used,
            "{what}: counted {}, used {used}",
            count.prompt
        );
        ensure!(count.context_window == Some(4096), "{what}: {count:?}");
    }
    Ok(())
}
