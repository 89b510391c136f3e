//! A streamed answer: the order of its events, and what they add up to.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Subject;
use super::findings::Findings;
use super::subject::{Talk, told};
use super::transport::Mute;
use crate::bindings::types::{Event, Usage};
use crate::exercise::{Failure, Reply};
use crate::grammar::Grammar;

super::checks! { Chat:
    "grammar",
    "Every recorded answer gives a start, pieces, at most one usage, one finish, and nothing after it.",
    "types.event: `start (text | reasoning | tool-call-* | note)* usage? note* finish`",
    grammar;
    "expected",
    "Every recorded answer gives the events that were written down for it.",
    "the corpus: `expected.json` of each case",
    expected;
    "at-most",
    "`next` never gives more events than it was asked for, and takes 0 as 1.",
    "chat.next: returns what is ready, at most `max` events (0 is taken as 1)",
    at_most;
    "any-max",
    "`next(1)` and `next(64)` give the same answer.",
    "chat.next: returns what is ready",
    any_max;
    "end",
    "After the end, and after an error, `next` gives nothing.",
    "chat.next: the empty list is the end: every call after it is empty too. After an error the stream has ended",
    end;
    "start",
    "`start` sends the request and does not wait for the answer.",
    "chat.start: builds and sends the request. Does not wait for the answer",
    start;
    "cuts",
    "The events do not depend on where the network cuts.",
    "wire.decoder.feed, whose events are those of chat: the next bytes of the body, cut anywhere: the events do not depend on the cuts",
    cuts;
    "calls",
    "The pieces of a call's arguments are the whole, its id and name stay, and `valid` says whether the whole is JSON.",
    "types.tool-call-arguments, types.tool-call-end: the whole arguments; whether `arguments` is a JSON value",
    calls;
    "usage",
    "The parts of a usage add up to its total, thinking is part of the output, and the cost is the sum of its parts by the model's prices.",
    "types.usage: input, cache-read and cache-write do not overlap and add up to the prompt; types.cost-breakdown: by `model.cost`",
    usage;
}

async fn grammar(subject: &Subject, findings: &mut Findings) {
    let mut finished = false;
    for recorded in subject.chats() {
        let name = &recorded.exchange.name;
        let talk = subject.chat(Reply::of(&recorded.exchange), 64).await;
        if findings.stopped(name, talk.error.as_ref()) || findings.enough() {
            return;
        }
        finished |= talk.has_finish();
        let broken = leaves_grammar(&talk);
        findings.expect(broken.is_none(), name, || broken.unwrap_or_default());
    }
    let good = subject.good_chats();
    if good.is_empty() {
        findings.skip(&subject.no_chats());
    } else if finished || good.iter().any(|recorded| recorded.ends_well()) {
        findings.expect(finished, "all recorded answers", || {
            "none was decoded to its finish".to_owned()
        });
    } else {
        let why = "each recorded answer ended in an error, so that no finish was seen: record one \
                   that ends well, or write down in expected.json that one of these does";
        findings.undecided(why.to_owned());
    }
}

/// How an answer leaves the grammar, its end in an error included.
pub(super) fn leaves_grammar(talk: &Talk) -> Option<String> {
    let mut grammar = Grammar::new();
    for (at, event) in talk.events.iter().enumerate() {
        if let Err(violation) = grammar.event(event) {
            return Some(format!("event {at} of {}: {violation}", talk.events.len()));
        }
    }
    match (&talk.error, grammar.end()) {
        _ if talk.endless => Some("it has no end".to_owned()),
        (None, Err(violation)) => Some(violation.to_string()),
        (Some(failure), Ok(())) => Some(format!("after finish came {}", told(failure))),
        _ => None,
    }
}

async fn expected(subject: &Subject, findings: &mut Findings) {
    for recorded in subject.chats() {
        let Some(expected) = &recorded.expected else {
            continue;
        };
        let name = &recorded.exchange.name;
        let talk = subject.chat(Reply::of(&recorded.exchange), 64).await;
        if findings.stopped(name, talk.error.as_ref()) || findings.enough() {
            return;
        }
        let same = expected.compare(&talk.events, talk.error.as_ref());
        findings.expect(same.is_ok(), name, || {
            let difference = same.err().unwrap_or_default();
            match recorded.names_its_server(&difference) {
                Some(explanation) => format!("{explanation}; {difference}"),
                None => difference,
            }
        });
    }
    findings.skip("nobody wrote down what the recorded chats decode to");
}

async fn at_most(subject: &Subject, findings: &mut Findings) {
    for recorded in subject.few_chats(12) {
        for max in [0, 1, 2, 7] {
            let done = format!("{}, next({max})", recorded.exchange.name);
            let talk = subject.chat(Reply::of(&recorded.exchange), max).await;
            if findings.stopped(&done, talk.error.as_ref()) || findings.enough() {
                return;
            }
            let allowed = max.max(1) as usize;
            let most = talk
                .batches
                .iter()
                .map(|(_, came)| *came)
                .max()
                .unwrap_or(0);
            findings.expect(most <= allowed, &done, || {
                format!("{most} events in one call")
            });
        }
    }
    findings.skip(&subject.no_chats());
}

async fn any_max(subject: &Subject, findings: &mut Findings) {
    for recorded in subject.few_chats(24) {
        let reply = Reply::of(&recorded.exchange).cut_every(100);
        let one = subject.chat(reply.clone(), 1).await;
        if findings.stopped(&recorded.exchange.name, one.error.as_ref()) || findings.enough() {
            return;
        }
        for max in [3, 64, u32::MAX] {
            let other = subject.chat(reply.clone(), max).await;
            let done = format!("{}, next(1) and next({max})", recorded.exchange.name);
            if findings.stopped(&done, other.error.as_ref()) || findings.enough() {
                return;
            }
            findings.expect(one.essence() == other.essence(), &done, || {
                difference(&one, &other)
            });
        }
    }
    findings.skip(&subject.no_chats());
}

/// Where two answers differ.
pub(super) fn difference(one: &Talk, other: &Talk) -> String {
    let (a, b) = (one.essence(), other.essence());
    let at = a.0.iter().zip(&b.0).position(|(a, b)| a != b);
    let at = at.unwrap_or_else(|| a.0.len().min(b.0.len()));
    let event = |talk: &Talk, events: &[Event]| match events.get(at) {
        Some(event) => format!("{event:?}"),
        None => talk.end(),
    };
    format!(
        "at event {at} {}, and then {}",
        event(one, &a.0),
        event(other, &b.0)
    )
}

async fn end(subject: &Subject, findings: &mut Findings) {
    let mut replies: Vec<(String, Reply)> = Vec::new();
    for recorded in subject.few_chats(8) {
        let reply = Reply::of(&recorded.exchange);
        let cut = cut_in_half(&reply);
        replies.push((recorded.exchange.name.clone(), reply));
        replies.push((format!("{}, broken off", recorded.exchange.name), cut));
    }
    replies.push(("a 500".to_owned(), Reply::new(500, "text/plain", "no")));
    for (name, reply) in replies {
        let talk = subject.chat(reply, 64).await;
        if findings.stopped(&name, talk.error.as_ref()) || findings.enough() {
            return;
        }
        if talk.never_began {
            continue;
        }
        findings.expect(talk.after.is_empty(), &name, || {
            format!("after {}, next gave {}", talk.end(), talk.after.join(", "))
        });
    }
}

/// The first half of an answer, and then a closed connection.
pub(super) fn cut_in_half(reply: &Reply) -> Reply {
    truncated(reply, reply.len() / 2, crate::exercise::Ending::Closed)
}

/// The first bytes of an answer, and another end.
pub(super) fn truncated(reply: &Reply, length: usize, end: crate::exercise::Ending) -> Reply {
    let mut reply = reply.clone();
    if let Reply::Answer(answer) = &mut reply {
        let mut body = answer.body();
        body.truncate(length);
        answer.steps = vec![crate::exercise::Step::Bytes(body.into())];
        // A length that is announced and not kept would be another fault.
        answer.headers.retain(|(name, _)| name != "content-length");
        answer.end = end;
    }
    reply
}

async fn start(subject: &Subject, findings: &mut Findings) {
    let mute = Mute::default();
    let mut sandbox = match subject.open(Arc::new(mute.clone())).await {
        Ok(sandbox) => sandbox,
        Err(failure) => return findings.expect(false, "an instance", || told(&failure)),
    };
    let (settings, model, request) = (subject.settings(), subject.model(), subject.request());
    let done = "start, where the server takes the request and says nothing";
    match sandbox.chat(&settings, &model, &request).await {
        // The store lives: the request goes out on the host's own time.
        Ok(_) => {
            let sent = super::cancel::becomes(subject, || mute.taken() > 0).await;
            findings.expect(sent, done, || "no request was sent".to_owned());
        }
        Err(error) => findings.expect(false, done, || told(&Failure::of(&error))),
    }
    findings.expect(mute.taken() <= 1, done, || {
        format!("{} requests", mute.taken())
    });
}

async fn cuts(subject: &Subject, findings: &mut Findings) {
    for recorded in subject.few_chats(16) {
        let reply = Reply::of(&recorded.exchange);
        let whole = subject.chat(reply.clone(), 64).await;
        if findings.stopped(&recorded.exchange.name, whole.error.as_ref()) {
            return;
        }
        for length in [1, 2, 3, 7, 64, 1000] {
            let pieces = subject.chat(reply.clone().cut_every(length), 64).await;
            let done = format!("{} in pieces of {length}", recorded.exchange.name);
            if findings.stopped(&done, pieces.error.as_ref()) || findings.enough() {
                return;
            }
            findings.expect(whole.essence() == pieces.essence(), &done, || {
                difference(&whole, &pieces)
            });
        }
    }
    findings.skip(&subject.no_chats());
}

async fn calls(subject: &Subject, findings: &mut Findings) {
    for recorded in subject.chats() {
        let name = &recorded.exchange.name;
        let talk = subject.chat(Reply::of(&recorded.exchange), 64).await;
        if findings.stopped(name, talk.error.as_ref()) || findings.enough() {
            return;
        }
        judge_calls(findings, name, &talk.events);
    }
    findings.skip("no recorded chat has a call");
}

/// Calls as they have to be.
fn judge_calls(findings: &mut Findings, name: &str, events: &[Event]) {
    let mut open = BTreeMap::new();
    for event in events {
        match event {
            Event::ToolCallStart(call) => {
                findings.expect(!call.name.is_empty(), name, || {
                    format!("call {} has no name", call.index)
                });
                // Two calls of one id are the server's doing: the contract has ids as they come.
                findings.expect(!call.id.is_empty(), name, || {
                    format!("call {} has an empty id", call.index)
                });
                open.insert(call.index, (call, String::new()));
            }
            Event::ToolCallArguments(piece) => {
                if let Some((_, whole)) = open.get_mut(&piece.index) {
                    whole.push_str(&piece.delta);
                }
            }
            Event::ToolCallEnd(end) => {
                let Some((start, pieces)) = open.remove(&end.index) else {
                    continue;
                };
                let whole = match pieces.trim().is_empty() {
                    true => "{}",
                    false => pieces.as_str(),
                };
                findings.expect(end.arguments == whole, name, || {
                    format!(
                        "the pieces are {pieces:?}, the whole is {:?}",
                        end.arguments
                    )
                });
                let same = (&start.id, &start.name) == (&end.id, &end.name);
                findings.expect(same, name, || {
                    format!(
                        "{:?} began and {:?} ended",
                        (&start.id, &start.name),
                        (&end.id, &end.name)
                    )
                });
                let json = serde_json::from_str::<serde::de::IgnoredAny>(&end.arguments).is_ok();
                findings.expect(end.valid == json, name, || {
                    format!("valid is {}, for {:?}", end.valid, end.arguments)
                });
            }
            _ => {}
        }
    }
}

async fn usage(subject: &Subject, findings: &mut Findings) {
    let mut model = subject.model();
    model.cost.input = 0.25;
    model.cost.output = 1.5;
    model.cost.cache_read = 0.025;
    model.cost.cache_write = 0.5;
    for recorded in subject.chats() {
        let name = &recorded.exchange.name;
        let reply = Reply::of(&recorded.exchange);
        let talk = subject
            .chat_with(&model, &subject.request(), reply, 64)
            .await;
        if findings.stopped(name, talk.error.as_ref()) || findings.enough() {
            return;
        }
        for event in &talk.events {
            if let Event::Usage(usage) = event {
                let wrong = wrong_usage(usage, &model.cost);
                findings.expect(wrong.is_none(), name, || wrong.unwrap_or_default());
            }
        }
    }
    findings.skip("no recorded chat has a usage");
}

/// What does not add up.
fn wrong_usage(usage: &Usage, prices: &crate::bindings::types::Cost) -> Option<String> {
    let prompt = usage
        .input
        .saturating_add(usage.cache_read)
        .saturating_add(usage.cache_write);
    let sum = prompt.saturating_add(usage.output);
    if usage.total != sum {
        return Some(format!("the total is {}, its parts are {sum}", usage.total));
    }
    if usage
        .reasoning
        .is_some_and(|thinking| thinking > usage.output)
    {
        return Some(format!("more thinking than output: {usage:?}"));
    }
    let cost = usage.cost.as_ref()?;
    let million = |tokens: u64, price: f64| tokens as f64 * price / 1e6;
    let parts = [
        (cost.input, million(usage.input, prices.input)),
        (cost.output, million(usage.output, prices.output)),
        (
            cost.cache_read,
            million(usage.cache_read, prices.cache_read),
        ),
        (
            cost.cache_write,
            million(usage.cache_write, prices.cache_write),
        ),
    ];
    let total: f64 = parts.iter().map(|(_, price)| price).sum();
    let near = |a: f64, b: f64| a.is_finite() && (a - b).abs() <= 1e-9 + b.abs() * 1e-6;
    let good = parts.iter().all(|(is, should)| near(*is, *should)) && near(cost.total, total);
    (!good).then(|| format!("the cost is {cost:?}, by the model's prices it is {total}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::types::{
        Cost, CostBreakdown, ToolCallArguments, ToolCallEnd, ToolCallStart, UsageSource,
    };

    fn call(id: &str, pieces: &[&str], whole: &str, valid: bool) -> Vec<Event> {
        let (index, name) = (0, "f".to_owned());
        let mut events = vec![Event::ToolCallStart(ToolCallStart {
            index,
            id: id.to_owned(),
            name: name.clone(),
        })];
        events.extend(pieces.iter().map(|delta| {
            let delta = (*delta).to_owned();
            Event::ToolCallArguments(ToolCallArguments { index, delta })
        }));
        events.push(Event::ToolCallEnd(ToolCallEnd {
            index,
            id: id.to_owned(),
            name,
            arguments: whole.to_owned(),
            valid,
        }));
        events
    }

    #[test]
    fn a_call_is_judged_by_its_pieces() {
        for (events, good) in [
            (call("1", &["{\"a\"", ":1}"], "{\"a\":1}", true), true),
            (call("1", &[], "{}", true), true),
            (call("1", &["{"], "{", false), true),
            (call("1", &["{"], "{}", true), false),
            (call("1", &["{}"], "{}", false), false),
            (call("", &["{}"], "{}", true), false),
        ] {
            let mut findings = Findings::default();
            judge_calls(&mut findings, "a call", &events);
            let verdict = findings.verdict("c");
            assert_eq!(
                verdict.reasons().is_empty(),
                good,
                "{events:?}: {verdict:?}"
            );
        }
    }

    #[test]
    fn a_usage_is_judged_by_its_sums() {
        let prices = Cost {
            input: 1.0,
            output: 2.0,
            cache_read: 0.5,
            cache_write: 4.0,
        };
        let good = Usage {
            input: 1_000_000,
            output: 500_000,
            cache_read: 2_000_000,
            cache_write: 0,
            reasoning: Some(3),
            total: 3_500_000,
            cost: Some(CostBreakdown {
                input: 1.0,
                output: 1.0,
                cache_read: 1.0,
                cache_write: 0.0,
                total: 3.0,
            }),
            source: UsageSource::Final,
        };
        assert_eq!(wrong_usage(&good, &prices), None);
        let mut other = good.clone();
        other.total += 1;
        assert!(wrong_usage(&other, &prices).is_some());
        other = good.clone();
        other.reasoning = Some(500_001);
        assert!(wrong_usage(&other, &prices).is_some());
        other = good;
        other.cost.as_mut().unwrap().total = 2.0;
        assert!(wrong_usage(&other, &prices).is_some());
    }
}
