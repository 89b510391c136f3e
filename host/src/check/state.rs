//! What is left of one chat for the next: nothing.

use std::sync::Arc;

use super::Subject;
use super::chat::difference;
use super::findings::{Findings, is_fault};
use super::subject::{Talk, told};
use crate::bindings::types::Event;
use crate::exercise::{Failure, Reply, Seen, Wire};

super::checks! { State:
    "twice",
    "The same chat in two stores sends the same bytes and gives the same events.",
    "types.settings and chat.start: a chat is made of its settings, its model and its request",
    twice;
    "again",
    "The same chat again in one store gives the same.",
    "chat.start: a chat is made of its settings, its model and its request",
    again;
    "after-failure",
    "A chat after one that failed, broke off or was dropped is as one before it.",
    "types.error: it is the whole story; chat.chat-stream: dropping it ends the exchange",
    after_failure;
    "side-by-side",
    "Two chats at once in one store do not meet.",
    "chat.chat-stream: a resource, and an answer, of its own",
    side_by_side;
    "catalog-again",
    "The same listing again in one store gives the same.",
    "catalog.list-models: of the settings and what the server says",
    catalog_again;
}

async fn twice(subject: &Subject, findings: &mut Findings) {
    for recorded in subject.few_chats(8) {
        let reply = Reply::of(&recorded.exchange);
        let one = subject.chat(reply.clone(), 64).await;
        let other = subject.chat(reply, 64).await;
        if !compare(findings, &recorded.exchange.name, &one, &other) {
            return;
        }
        let same = one.requests == other.requests;
        findings.expect(same, &recorded.exchange.name, || {
            sent_differently(&one.requests, &other.requests)
        });
    }
    findings.skip(&subject.no_chats());
}

fn sent_differently(one: &[Seen], other: &[Seen]) -> String {
    let text = |requests: &[Seen]| match requests {
        [request] => format!(
            "{} {} {:?} {}",
            request.method,
            request.uri,
            request
                .headers
                .iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>(),
            String::from_utf8_lossy(&request.body)
        ),
        _ => format!("{} requests", requests.len()),
    };
    format!("{}, and then {}", text(one), text(other))
}

/// Whether two chats that have to be the same are, and there is more to be found.
fn compare(findings: &mut Findings, done: &str, one: &Talk, other: &Talk) -> bool {
    for talk in [one, other] {
        if findings.stopped(done, talk.error.as_ref()) {
            return false;
        }
    }
    findings.expect(one.essence() == other.essence(), done, || {
        difference(one, other)
    });
    !findings.enough()
}

async fn again(subject: &Subject, findings: &mut Findings) {
    for recorded in subject.few_chats(8) {
        let wire = Wire::new(subject.script(None, Some(Reply::of(&recorded.exchange))));
        let mut sandbox = match subject.open(Arc::new(wire)).await {
            Ok(sandbox) => sandbox,
            Err(failure) => return findings.expect(false, "an instance", || told(&failure)),
        };
        let (model, request) = (subject.model(), subject.request());
        let first = subject.talk(&mut sandbox, &model, &request, 64).await;
        for _ in 0..3 {
            if findings.stopped(&recorded.exchange.name, first.error.as_ref()) {
                return;
            }
            let next = subject.talk(&mut sandbox, &model, &request, 64).await;
            if !compare(findings, &recorded.exchange.name, &first, &next) {
                return;
            }
        }
    }
    findings.skip(&subject.no_chats());
}

async fn after_failure(subject: &Subject, findings: &mut Findings) {
    for recorded in subject.few_chats(4) {
        let good = Reply::of(&recorded.exchange);
        let half = super::chat::cut_in_half(&good);
        let bad = [
            ("a 500", Reply::new(500, "text/plain", "no")),
            ("a 401", Reply::new(401, "text/plain", "no")),
            ("an answer that broke off", half.clone()),
            (
                "a refused connection",
                Reply::NoAnswer(crate::exercise::NoAnswer::Refused),
            ),
            ("garbage", Reply::new(200, "text/plain", "garbage\n\n{")),
        ];
        for (name, bad) in bad {
            let done = format!(
                "{}, then {name}, then the first again",
                recorded.exchange.name
            );
            let script = subject
                .script(None, Some(good.clone()))
                .with_chat(bad)
                .with_chat(good.clone());
            let wire = Wire::new(script);
            let mut sandbox = match subject.open(Arc::new(wire)).await {
                Ok(sandbox) => sandbox,
                Err(failure) => return findings.expect(false, &done, || told(&failure)),
            };
            let (model, request) = (subject.model(), subject.request());
            let before = subject.talk(&mut sandbox, &model, &request, 64).await;
            let failed = subject.talk(&mut sandbox, &model, &request, 64).await;
            if findings.stopped(&done, before.error.as_ref())
                || findings.stopped(&done, failed.error.as_ref())
            {
                return;
            }
            let after = subject.talk(&mut sandbox, &model, &request, 64).await;
            if !compare(findings, &done, &before, &after) {
                return;
            }
        }
        let done = format!("{}, dropped, then again", recorded.exchange.name);
        match dropped(subject, &good).await {
            Ok((alone, after)) => {
                if !compare(findings, &done, &alone, &after) {
                    return;
                }
            }
            Err(failure) => return findings.expect(false, &done, || told(&failure)),
        }
    }
    findings.skip(&subject.no_chats());
}

/// A chat in a store of its own, and one after another that was dropped.
async fn dropped(subject: &Subject, good: &Reply) -> Result<(Talk, Talk), Failure> {
    let failed = |error: crate::Error| Failure::of(&error);
    let alone = subject.chat(good.clone(), 64).await;
    let wire = Wire::new(subject.script(None, Some(good.clone())));
    let mut sandbox = subject.open(Arc::new(wire)).await?;
    let (settings, model, request) = (subject.settings(), subject.model(), subject.request());
    let mut running = sandbox
        .chat(&settings, &model, &request)
        .await
        .map_err(failed)?;
    // A recorded answer may begin with an error, which is not what is tried here.
    if let Err(error) = sandbox.next(&mut running, 1).await {
        let failure = Failure::of(&error);
        if is_fault(&failure) {
            return Err(failure);
        }
    }
    sandbox.drop_stream(running).await.map_err(failed)?;
    let after = subject.talk(&mut sandbox, &model, &request, 64).await;
    Ok((alone, after))
}

async fn side_by_side(subject: &Subject, findings: &mut Findings) {
    let few = subject.few_chats(6);
    if few.is_empty() {
        findings.skip(&subject.no_chats());
        return;
    }
    for (at, recorded) in few.iter().enumerate() {
        let other = few[(at + 1) % few.len()];
        let done = format!("{} beside {}", recorded.exchange.name, other.exchange.name);
        let replies = [recorded, &other].map(|one| Reply::of(&one.exchange).cut_every(100));
        match two(subject, &replies).await {
            Ok(both) => {
                for (reply, beside) in replies.into_iter().zip(both) {
                    let alone = subject.chat(reply, 1).await;
                    if !compare(findings, &done, &alone, &beside) {
                        return;
                    }
                }
            }
            Err(failure) => return findings.expect(false, &done, || told(&failure)),
        }
    }
}

/// Two chats in one store, an event of each in turn.
async fn two(subject: &Subject, replies: &[Reply; 2]) -> Result<[Talk; 2], Failure> {
    let failed = |error: crate::Error| Failure::of(&error);
    let script = subject
        .script(None, Some(replies[0].clone()))
        .with_chat(replies[1].clone());
    let wire = Wire::new(script);
    let mut sandbox = subject.open(Arc::new(wire.clone())).await?;
    let (settings, model, request) = (subject.settings(), subject.model(), subject.request());
    let mut streams = Vec::new();
    for at in 0..2 {
        streams.push(
            sandbox
                .chat(&settings, &model, &request)
                .await
                .map_err(failed)?,
        );
        // Which answer a request gets is a matter of who comes first, so that the second waits for the first.
        for _ in 0..1_000 {
            if wire.requests().len() > at {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let mut talks = [Talk::default(), Talk::default()];
    let mut open = [true, true];
    while open.contains(&true) {
        for at in 0..2 {
            if !open[at] {
                continue;
            }
            match sandbox.next(&mut streams[at], 1).await {
                Ok(events) if events.is_empty() => open[at] = false,
                Ok(events) => talks[at].events.extend(events),
                Err(error) => {
                    let failure = Failure::of(&error);
                    if is_fault(&failure) {
                        return Err(failure);
                    }
                    talks[at].error = Some(failure);
                    open[at] = false;
                }
            }
            let ended = matches!(talks[at].events.last(), Some(Event::Finish(_)));
            open[at] &= !ended;
        }
    }
    Ok(talks)
}

async fn catalog_again(subject: &Subject, findings: &mut Findings) {
    for recorded in subject.listings() {
        let name = &recorded.exchange.name;
        let wire = Wire::new(subject.script(Some(Reply::of(&recorded.exchange)), None));
        let mut sandbox = match subject.open(Arc::new(wire)).await {
            Ok(sandbox) => sandbox,
            Err(failure) => return findings.expect(false, name, || told(&failure)),
        };
        let mut first = None;
        for _ in 0..3 {
            let found = sandbox.list_models(&subject.settings()).await;
            let found = found.map_err(|error| Failure::of(&error));
            if findings.stopped(name, found.as_ref().err()) || findings.enough() {
                return;
            }
            match &first {
                None => first = Some(found),
                Some(first) => {
                    findings.expect(*first == found, name, || "another catalog".to_owned())
                }
            }
        }
    }
    findings.skip(&subject.no_listings());
}
