//! A chat, collected and held to the grammar of events.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use provider_host::route::{Route, Step};
use provider_host::types::{ChatRequest, Event, FinishReason, Model, ToolCallEnd, Usage};
use provider_host::{Chat, Error, Provider};
use serde_json::Value;

/// Longest failure that is worth reading.
const SHOWN: usize = 1_500;

/// The events of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) events: Vec<Event>,
}

/// A chat to its good end: a start, pieces, a finish, nothing behind it.
pub(crate) async fn whole(
    provider: &Provider,
    model: &Model,
    request: &ChatRequest,
) -> Result<Answer> {
    let chat = provider.chat(model, request).await.context("starting")?;
    let (events, error) = collect(chat).await;
    if let Some(error) = error {
        bail!("the chat failed: {error:?}; before that {events:?}");
    }
    in_order(events)
}

/// A routed chat to its good end, and how often its limit was refitted after a refusal.
pub(crate) async fn routed(route: &Route, request: &ChatRequest) -> Result<(Answer, usize)> {
    let mut chat = route.chat(request.clone());
    let (mut events, mut refits) = (Vec::new(), 0);
    loop {
        let steps = chat.next_batch(64).await;
        let steps = steps.map_err(|error| anyhow::anyhow!("the chat failed: {error:?}"))?;
        if steps.is_empty() {
            return Ok((in_order(events)?, refits));
        }
        for step in steps {
            match step {
                Step::Event(event) => events.push(event),
                Step::Refit(_) => refits += 1,
                Step::Fit(_) => {}
                other => bail!("neither an event nor a refit: {other:?}"),
            }
        }
    }
}

/// The grammar of events, as far as it has an order.
fn in_order(events: Vec<Event>) -> Result<Answer> {
    ensure!(
        matches!(events.first(), Some(Event::Start(_))),
        "no start first: {events:?}"
    );
    let finishes = |event: &&Event| matches!(event, Event::Finish(_));
    ensure!(
        matches!(events.last(), Some(Event::Finish(_)))
            && events.iter().filter(finishes).count() == 1,
        "not one finish, last: {events:?}"
    );
    Ok(Answer { events })
}

/// The error of a chat that must not end well, and what came before it.
pub(crate) async fn failure(
    provider: &Provider,
    model: &Model,
    request: &ChatRequest,
) -> Result<(Error, Vec<Event>)> {
    let (events, error) = match provider.chat(model, request).await {
        Ok(chat) => collect(chat).await,
        Err(error) => return Ok((error, Vec::new())),
    };
    match error {
        Some(error) => Ok((error, events)),
        None => bail!("the chat ended well: {events:?}"),
    }
}

/// All events, and the error they ended in.
pub(crate) async fn collect(mut chat: Chat) -> (Vec<Event>, Option<Error>) {
    let mut events = Vec::new();
    loop {
        match chat.next_batch(64).await {
            Err(error) => return (events, Some(error)),
            Ok(batch) if batch.is_empty() => return (events, None),
            Ok(batch) => events.extend(batch),
        }
    }
}

/// Reads until some events are there, so that the answer is under way.
pub(crate) async fn some(chat: &mut Chat, count: usize) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    while events.len() < count {
        let batch = tokio::time::timeout(Duration::from_secs(60), chat.next_batch(4)).await??;
        ensure!(!batch.is_empty(), "ended after {events:?}");
        events.extend(batch);
    }
    Ok(events)
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        text(&self.events)
    }

    pub(crate) fn reasoning(&self) -> String {
        let part = |event: &Event| match event {
            Event::Reasoning(text) => Some(text.clone()),
            _ => None,
        };
        self.events.iter().filter_map(part).collect()
    }

    /// The calls, in the order in which they ended.
    pub(crate) fn calls(&self) -> Vec<&ToolCallEnd> {
        fn call(event: &Event) -> Option<&ToolCallEnd> {
            match event {
                Event::ToolCallEnd(call) => Some(call),
                _ => None,
            }
        }
        self.events.iter().filter_map(call).collect()
    }

    /// The one call there is, and its arguments as JSON.
    pub(crate) fn one_call(&self) -> Result<(&ToolCallEnd, Value)> {
        let calls = self.calls();
        ensure!(calls.len() == 1, "not one call: {:?}", self.events);
        ensure!(calls[0].valid, "the arguments are no JSON: {:?}", calls[0]);
        Ok((calls[0], serde_json::from_str(&calls[0].arguments)?))
    }

    pub(crate) fn usage(&self) -> Result<&Usage> {
        fn usage(event: &Event) -> Option<&Usage> {
            match event {
                Event::Usage(usage) => Some(usage),
                _ => None,
            }
        }
        let mut all = self.events.iter().filter_map(usage);
        let usage = all.next().context("no usage")?;
        ensure!(all.next().is_none(), "more than one usage");
        Ok(usage)
    }

    /// Tokens of the prompt, read from the cache or not.
    pub(crate) fn prompt(&self) -> Result<u64> {
        let usage = self.usage()?;
        Ok(usage.input + usage.cache_read + usage.cache_write)
    }

    pub(crate) fn has_note(&self, code: &str) -> bool {
        self.events
            .iter()
            .any(|event| matches!(event, Event::Note(note) if note.code == code))
    }

    pub(crate) fn finish(&self) -> Option<&FinishReason> {
        match self.events.last() {
            Some(Event::Finish(reason)) => Some(reason),
            _ => None,
        }
    }

    /// The answer is this text, whole, and nothing else.
    pub(crate) fn is_text(&self, text: &str) -> Result<()> {
        self.has_no_thinking()?;
        ensure!(self.text() == text, "said {:?}", self.text());
        ensure!(self.calls().is_empty(), "called {:?}", self.calls());
        self.finished(FinishReason::Stop)
    }

    pub(crate) fn has_no_thinking(&self) -> Result<()> {
        let thought = self.reasoning();
        ensure!(thought.is_empty(), "thought {thought:?}");
        Ok(())
    }

    pub(crate) fn finished(&self, reason: FinishReason) -> Result<()> {
        ensure!(
            self.finish() == Some(&reason),
            "finished with {:?}",
            self.finish()
        );
        Ok(())
    }
}

pub(crate) fn text(events: &[Event]) -> String {
    let part = |event: &Event| match event {
        Event::Text(text) => Some(text.clone()),
        _ => None,
    };
    events.iter().filter_map(part).collect()
}

/// A failure as long as it is worth reading.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{} …", &text[..at]),
        None => text.to_owned(),
    }
}
