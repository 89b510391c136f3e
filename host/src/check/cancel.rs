//! What is given up: a chat that nobody wants any more, at any moment.

use std::sync::Arc;
use std::time::Instant;

use super::Subject;
use super::findings::{Findings, is_fault};
use super::subject::{Talk, follow, told};
use super::transport::Mute;
use crate::exercise::{Failure, Reply, Wire};

super::checks! { Cancel:
    "dropped",
    "A stream that is dropped, after any number of events, ends its exchange.",
    "chat.chat-stream: dropping it ends the exchange: the connection to the server is closed",
    dropped;
    "unanswered",
    "A stream that is dropped before the server has answered ends its exchange.",
    "chat.chat-stream: dropping it ends the exchange",
    unanswered;
    "subscribe",
    "The pollable of `subscribe` can be had and dropped before each call of `next`, and is ready when there is something.",
    "chat.subscribe: a pollable that is ready when `next` would make progress. It must be dropped before the next call of `next`",
    subscribe;
    "ended",
    "An answer that has ended holds no exchange.",
    "chat.chat-stream; types.event: nothing follows `finish`",
    ended;
}

/// Most places in one answer at which it is dropped.
const PLACES: usize = 24;

/// Waits until something is so: connections are opened and closed by tasks of the runtime, in their own time.
pub(super) async fn becomes(subject: &Subject, so: impl Fn() -> bool) -> bool {
    let patience = subject.budget.patience();
    let waiting = subject.budget.begin(
        "the host waited for an exchange to begin or to end",
        patience,
    );
    let begun = Instant::now();
    let became = loop {
        if so() {
            break true;
        }
        if begun.elapsed() > patience {
            break false;
        }
        tokio::task::yield_now().await;
    };
    waiting.end(became);
    became
}

/// Waits until nothing is under way.
async fn is_quiet(subject: &Subject, under_way: impl Fn() -> usize) -> bool {
    becomes(subject, || under_way() == 0).await
}

async fn dropped(subject: &Subject, findings: &mut Findings) {
    for recorded in subject.few_chats(4) {
        let name = &recorded.exchange.name;
        let reply = Reply::of(&recorded.exchange).cut_every(100);
        let whole = subject.chat(reply.clone(), 1).await;
        if findings.stopped(name, whole.error.as_ref()) {
            return;
        }
        let step = (whole.events.len() / PLACES).max(1);
        for count in (0..whole.events.len()).step_by(step) {
            let done = format!("{name}, dropped after {count} events");
            if let Err(failure) = drop_after(subject, reply.clone(), count, &done, findings).await {
                findings.expect(false, &done, || told(&failure));
                return;
            }
            if findings.enough() {
                return;
            }
        }
    }
    findings.skip(&subject.no_chats());
}

async fn drop_after(
    subject: &Subject,
    reply: Reply,
    count: usize,
    done: &str,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let failed = |error: crate::Error| Failure::of(&error);
    let wire = Wire::new(subject.script(None, Some(reply)));
    let mut sandbox = subject.open(Arc::new(wire.clone())).await?;
    let (settings, model, request) = (subject.settings(), subject.model(), subject.request());
    let mut running = sandbox
        .chat(&settings, &model, &request)
        .await
        .map_err(failed)?;
    for _ in 0..count {
        sandbox.next(&mut running, 1).await.map_err(failed)?;
    }
    sandbox.drop_stream(running).await.map_err(failed)?;
    // The store lives: what is quiet now was ended by the plugin, not by the host that takes everything away.
    let quiet = is_quiet(subject, || wire.under_way()).await;
    findings.expect_once(quiet, done, "its exchange is still under way");
    subject.judge(&sandbox);
    Ok(())
}

async fn unanswered(subject: &Subject, findings: &mut Findings) {
    let mute = Mute::default();
    let outcome = async {
        let failed = |error: crate::Error| Failure::of(&error);
        let mut sandbox = subject.open(Arc::new(mute.clone())).await?;
        let (settings, model, request) = (subject.settings(), subject.model(), subject.request());
        let running = sandbox
            .chat(&settings, &model, &request)
            .await
            .map_err(failed)?;
        // The host sends on its own time.
        becomes(subject, || mute.taken() > 0).await;
        sandbox.drop_stream(running).await.map_err(failed)?;
        Ok::<_, Failure>((is_quiet(subject, || mute.under_way()).await, sandbox))
    };
    let done = "a stream dropped before the answer";
    match outcome.await {
        Ok((quiet, _)) => {
            findings.expect(quiet, done, || "its exchange is still under way".to_owned())
        }
        Err(failure) => findings.expect(false, done, || told(&failure)),
    }
}

async fn subscribe(subject: &Subject, findings: &mut Findings) {
    for recorded in subject.few_chats(4) {
        let name = &recorded.exchange.name;
        let reply = Reply::of(&recorded.exchange).cut_every(100);
        let plain = subject.chat(reply.clone(), 64).await;
        if findings.stopped(name, plain.error.as_ref()) {
            return;
        }
        for wait in [false, true] {
            let done = match wait {
                true => format!("{name}, each pollable waited for"),
                false => format!("{name}, each pollable dropped at once"),
            };
            match subscribed(subject, reply.clone(), wait).await {
                // A recorded answer may end in an error: with the pollables in the same one.
                Ok(talk) => findings.expect(talk.essence() == plain.essence(), &done, || {
                    super::chat::difference(&plain, &talk)
                }),
                Err(failure) => findings.expect(false, &done, || told(&failure)),
            }
            if findings.enough() {
                return;
            }
        }
    }
    findings.skip(&subject.no_chats());
}

/// Runs a chat that takes a pollable before each call of `next`, and two after the last one. These
/// are not waited for: the contract does not say when a pollable of an ended stream is ready.
///
/// The error that the answer ends in belongs to the result. `Err` is any other failure.
async fn subscribed(subject: &Subject, reply: Reply, wait: bool) -> Result<Talk, Failure> {
    let failed = |error: crate::Error| Failure::of(&error);
    let wire = Wire::new(subject.script(None, Some(reply)));
    let mut sandbox = subject.open(Arc::new(wire)).await?;
    let (settings, model, request) = (subject.settings(), subject.model(), subject.request());
    let mut running = sandbox
        .chat(&settings, &model, &request)
        .await
        .map_err(failed)?;
    let mut talk = Talk::default();
    loop {
        sandbox.subscribe(&running, wait).await.map_err(failed)?;
        match sandbox.next(&mut running, 64).await {
            Ok(events) if events.is_empty() => break,
            Ok(events) => talk.events.extend(events),
            Err(error) => {
                let failure = Failure::of(&error);
                // The guest was stopped, so that its store cannot be entered again.
                if is_fault(&failure) {
                    return Err(failure);
                }
                talk.error = Some(failure);
                break;
            }
        }
    }
    for _ in 0..2 {
        sandbox.subscribe(&running, false).await.map_err(failed)?;
    }
    Ok(talk)
}

async fn ended(subject: &Subject, findings: &mut Findings) {
    for recorded in subject.few_chats(8) {
        let name = &recorded.exchange.name;
        let wire = Wire::new(subject.script(None, Some(Reply::of(&recorded.exchange))));
        let mut sandbox = match subject.open(Arc::new(wire.clone())).await {
            Ok(sandbox) => sandbox,
            Err(failure) => return findings.expect(false, name, || told(&failure)),
        };
        let (settings, model, request) = (subject.settings(), subject.model(), subject.request());
        let mut talk = Talk::default();
        match sandbox.chat(&settings, &model, &request).await {
            Ok(mut running) => follow(&mut sandbox, &mut running, 64, &mut talk).await,
            Err(error) => talk.error = Some(Failure::of(&error)),
        }
        if findings.stopped(name, talk.error.as_ref()) || findings.enough() {
            return;
        }
        let quiet = is_quiet(subject, || wire.under_way()).await;
        let came = format!("after {} its exchange is still under way", talk.end());
        findings.expect_once(quiet, name, &came);
    }
    findings.skip(&subject.no_chats());
}
