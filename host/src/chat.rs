//! One answer, as it comes.
//!
//! A chat owns its store: the sandbox, the connection and everything that the
//! guest holds live and die with it. Dropping the chat, at any time, is the
//! cancel: the store goes, with it the response's body, and with that the
//! connection; the server sees its client leave and stops generating.
//!
//! A call into a component must not be abandoned half-way, or its instance can
//! never be entered again. So the chat keeps the call that runs, and a future of
//! [`Chat::next_batch`] that is dropped (a `select!` that took another branch)
//! loses nothing: the next one goes on where it stood.

mod oversee;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;

pub(crate) use self::oversee::{End, Leash};

use crate::bindings::types::{Event, FinishReason, UsageSource};
use crate::error::Result;
use crate::grammar::{Grammar, Violation};
use crate::policy::limits::EVENT_BASE_BYTES;
use crate::sandbox::{Running, Sandbox};
use crate::telemetry::{self, ChatWatch};

/// Most events of one batch of [`Chat`] as a stream. A batch is what is ready,
/// so that the number matters only when events arrive faster than they are
/// read: then it bounds what is held at once.
pub const BATCH: u32 = 64;

/// A streamed answer: a [`Stream`] of events.
///
/// The events' grammar is that of `llm:provider/types.event`: a start, then
/// pieces, then one finish and the end; or an error and the end. The host sees
/// to it ([`crate::grammar`]): a plugin that leaves it ends its answer in
/// [`ErrorKind::PluginMisbehaved`](crate::ErrorKind::PluginMisbehaved).
#[must_use = "dropping a chat cancels it"]
pub struct Chat {
    driver: Pin<Box<dyn Future<Output = ()> + Send>>,
    slot: Arc<Mutex<Slot>>,
    ready: VecDeque<Event>,
    /// The end or an error has been given out: nothing more will come.
    ended: bool,
    /// None: nobody wants to be told. The last field: the span ends when all else of the chat is gone.
    watch: Option<Box<ChatWatch>>,
}

/// Where the driver and the chat meet.
struct Slot {
    max: u32,
    batch: Option<Result<Vec<Event>>>,
}

impl Chat {
    pub(crate) fn new(sandbox: Sandbox, running: Running, watch: Option<Box<ChatWatch>>) -> Self {
        let slot = Arc::new(Mutex::new(Slot {
            max: BATCH,
            batch: None,
        }));
        Self {
            driver: Box::pin(drive(sandbox, running, slot.clone())),
            slot,
            ready: VecDeque::new(),
            ended: false,
            watch,
        }
    }

    /// Waits for at least one event and returns what is ready, at most `max`
    /// events (0 is taken as 1). The empty batch is the end.
    ///
    /// Dropping the future is safe: no event is lost.
    ///
    /// # Errors
    ///
    /// Whatever ended the answer; after it the chat has ended.
    pub async fn next_batch(&mut self, max: u32) -> Result<Vec<Event>> {
        let max = max.max(1);
        if !self.ready.is_empty() {
            let count = self.ready.len().min(max as usize);
            return Ok(self.ready.drain(..count).collect());
        }
        let mut batch = poll_fn(|cx| self.poll_batch(cx, max)).await?;
        // The contract has the guest stop at `max`; the caller's memory must not depend on its doing so.
        if batch.len() > max as usize {
            self.ready = batch.split_off(max as usize).into();
        }
        Ok(batch)
    }

    fn poll_batch(&mut self, cx: &mut Context<'_>, max: u32) -> Poll<Result<Vec<Event>>> {
        if self.ended {
            return Poll::Ready(Ok(Vec::new()));
        }
        lock(&self.slot).max = max;
        // The driver never waits for anything but the guest while the slot is
        // empty, so one poll either fills the slot or has left a waker.
        let over = {
            let _within = self.watch.as_ref().map(|watch| watch.span().enter());
            self.driver.as_mut().poll(cx).is_ready()
        };
        let batch = lock(&self.slot).batch.take();
        let batch = match batch {
            Some(batch) => batch,
            None if over => Ok(Vec::new()),
            None => return Poll::Pending,
        };
        self.ended = !matches!(&batch, Ok(events) if !events.is_empty());
        telemetry::note(&mut self.watch, &batch);
        Poll::Ready(batch)
    }
}

impl Stream for Chat {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            match std::task::ready!(this.poll_batch(cx, BATCH)) {
                Ok(events) if events.is_empty() => return Poll::Ready(None),
                Ok(events) => this.ready = events.into(),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

impl std::fmt::Debug for Chat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chat")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// Asks the guest for one batch after another, each when the last was taken.
///
/// An answer that leaves the grammar ends there. The events before that are
/// given out, and nothing is asked of the guest any more.
async fn drive(mut sandbox: Sandbox, mut running: Running, slot: Arc<Mutex<Slot>>) {
    let mut grammar = Grammar::new();
    let mut violation = None;
    let mut bytes_left = sandbox.event_bytes();
    loop {
        let max = poll_fn(|_| {
            let slot = lock(&slot);
            match slot.batch {
                // Only the chat polls this future, and it takes the batch
                // first: no waker is needed.
                Some(_) => Poll::Pending,
                None => Poll::Ready(slot.max),
            }
        })
        .await;
        let batch = match violation.take() {
            Some(violation) => Err(sandbox.misbehaved(violation)),
            None => match next(&mut sandbox, &mut running, max, &mut bytes_left).await {
                Ok(events) => match read_along(&mut grammar, events) {
                    (events, Some(one)) if events.is_empty() => Err(sandbox.misbehaved(one)),
                    (events, found) => {
                        violation = found;
                        Ok(events)
                    }
                },
                Err(error) => Err(error),
            },
        };
        let more = matches!(&batch, Ok(events) if !events.is_empty());
        lock(&slot).batch = Some(batch);
        if !more {
            return;
        }
    }
}

/// The next events, if the answer may have as many and there is memory for them.
async fn next(
    sandbox: &mut Sandbox,
    running: &mut Running,
    max: u32,
    bytes_left: &mut u64,
) -> Result<Vec<Event>> {
    let events = sandbox.next(running, max).await?;
    match spend(bytes_left, &events) {
        Some(bytes) => sandbox.keep_batch(bytes)?,
        None => return Err(sandbox.too_many_events()),
    }
    Ok(events)
}

/// Takes the bytes of events from what is left, and says how many they are. None: there are not as many.
fn spend(left: &mut u64, events: &[Event]) -> Option<u64> {
    let bytes = events.iter().map(|event| EVENT_BASE_BYTES + texts(event));
    let bytes = bytes.sum();
    *left = left.checked_sub(bytes)?;
    Some(bytes)
}

/// Bytes of the texts of an event.
fn texts(event: &Event) -> u64 {
    let bytes = match event {
        Event::Start(start) => start.id.len() + start.model.len(),
        Event::Text(text) | Event::Reasoning(text) => text.len(),
        Event::ToolCallStart(call) => call.id.len() + call.name.len(),
        Event::ToolCallArguments(call) => call.delta.len(),
        Event::ToolCallEnd(call) => call.id.len() + call.name.len() + call.arguments.len(),
        Event::Usage(usage) => match &usage.source {
            UsageSource::Other(word) => word.len(),
            UsageSource::Final | UsageSource::Interim => 0,
        },
        Event::Note(note) => {
            note.code.len() + note.path.as_ref().map_or(0, String::len) + note.message.len()
        }
        Event::Finish(FinishReason::Other(word)) => word.len(),
        Event::Finish(_) => 0,
        Event::Other(extension) => extension.name.len() + extension.value.len(),
    };
    bytes as u64
}

/// The events up to the first that leaves the grammar, and how it does. No
/// events are the end, which has a place in the grammar too.
fn read_along(grammar: &mut Grammar, mut events: Vec<Event>) -> (Vec<Event>, Option<Violation>) {
    if events.is_empty() {
        return (events, grammar.end().err());
    }
    for (at, event) in events.iter().enumerate() {
        if let Err(violation) = grammar.event(event) {
            events.truncate(at);
            return (events, Some(violation));
        }
    }
    (events, None)
}

/// A lock that is only ever held for a move: poisoning means nothing to it.
fn lock(slot: &Mutex<Slot>) -> std::sync::MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::types::StreamStart;

    #[test]
    fn each_event_counts_its_texts_and_something_for_itself() {
        let text = |length| vec![Event::Text("a".repeat(length))];
        let mut left = 3 * EVENT_BASE_BYTES + 10;
        assert_eq!(spend(&mut left, &text(4)), Some(EVENT_BASE_BYTES + 4));
        let finish = [Event::Finish(FinishReason::Stop)];
        assert_eq!(spend(&mut left, &finish), Some(EVENT_BASE_BYTES));
        assert_eq!(left, EVENT_BASE_BYTES + 6);
        assert_eq!(spend(&mut left, &text(7)), None, "one byte past the limit");
        assert!(spend(&mut left, &text(6)).is_some(), "at the limit");
        assert_eq!(left, 0);
    }

    #[test]
    fn what_came_before_a_violation_is_given_out_and_nothing_after_it() {
        let start = || {
            Event::Start(StreamStart {
                id: String::new(),
                model: String::new(),
            })
        };
        let mut grammar = Grammar::new();
        let batch = vec![start(), Event::Text("one".into()), start(), start()];
        let (events, violation) = read_along(&mut grammar, batch);
        assert_eq!(events, [start(), Event::Text("one".into())]);
        assert_eq!(violation, Some(Violation::SecondStart));
    }

    #[test]
    fn the_end_is_judged_as_an_event_is() {
        let mut grammar = Grammar::new();
        let (_, violation) = read_along(&mut grammar, Vec::new());
        assert_eq!(violation, Some(Violation::NoFinish));
        let finished = vec![
            Event::Start(StreamStart {
                id: String::new(),
                model: String::new(),
            }),
            Event::Finish(FinishReason::Stop),
        ];
        assert_eq!(read_along(&mut grammar, finished).1, None);
        assert_eq!(read_along(&mut grammar, Vec::new()), (Vec::new(), None));
    }
}
