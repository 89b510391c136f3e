//! What must hold of every execution.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::dice::Dice;
use super::input::Input;
use crate::bindings::types::{Catalog, Cost, Event, Model, Note};
use crate::exercise::outcome::{Failure, Outcome, Value};
use crate::exercise::runner::{BASE_URL, KEY, Runner};
use crate::exercise::wire::{Seen, Wire};
use crate::policy::limits::{MESSAGE_BYTES, WORD_BYTES};
use crate::policy::visible::is_hidden;

/// Most bytes of a message for people.
const MAX_MESSAGE: usize = MESSAGE_BYTES;

/// Most bytes of a word: a kind, a code.
const MAX_WORD: usize = WORD_BYTES;

/// What must hold. The name is written into findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Invariant {
    /// The plugin does not trap.
    NoTrap,
    /// On bounded input it stays within the limits of its sandbox.
    WithinLimits,
    /// Its events keep the contract's grammar.
    Grammar,
    /// What it makes of an answer does not depend on where the network cut.
    Cuts,
    /// What it gives is in proportion to what it got.
    InProportion,
    /// An error has a kind of the contract, and a message that can be shown.
    TypedError,
    /// Neither the key nor its placeholder is in a text for people.
    NoSecret,
    /// A call ends with what its pieces say, and says whether that is JSON.
    Arguments,
    /// Models and notes are as the contract promises.
    Promises,
    /// Requests go to the granted server, with the key in header values only.
    Requests,
    /// Nothing is under way when the call is over.
    NothingLeft,
    /// The host itself does not fail.
    Host,
}

/// How an execution broke an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which one.
    pub invariant: Invariant,
    /// How, in one or more lines.
    pub how: String,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name that serde gives it.
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => f.write_str(&name),
            _ => write!(f, "{self:?}"),
        }
    }
}

/// An execution: the input as it is, whole, and cut otherwise.
pub(super) struct Execution {
    /// Of the input as it is.
    pub(super) outcome: Outcome,
    /// The first invariant that was broken.
    pub(super) broken: Option<Broken>,
    /// How often the plugin was run.
    pub(super) runs: u64,
}

/// Runs an input and judges what became of it.
pub(super) async fn execute(runner: &Runner, input: &Input) -> Execution {
    let (outcome, broken) = once(runner, input).await;
    let mut execution = Execution {
        outcome,
        broken,
        runs: 1,
    };
    if execution.broken.is_some() || input.received() < 2 {
        return execution;
    }
    // The cuts depend on the input only, so that a finding is one when it is replayed.
    let mut dice = Dice::of(0x6375_7473, input.received() as u64);
    let as_it_is = execution.outcome.merged();
    for (how, other) in [
        ("in one piece", input.whole()),
        ("cut otherwise", input.cut_otherwise(&mut dice)),
    ] {
        let (outcome, broken) = once(runner, &other).await;
        execution.runs += 1;
        execution.broken = broken.or_else(|| {
            let outcome = outcome.merged();
            (outcome != as_it_is).then(|| Broken {
                invariant: Invariant::Cuts,
                how: difference(&as_it_is, &outcome, how),
            })
        });
        if execution.broken.is_some() {
            break;
        }
    }
    execution
}

/// The first line that differs.
fn difference(one: &Outcome, other: &Outcome, how: &str) -> String {
    let (one, other) = (one.lines(), other.lines());
    let lines = one.len().max(other.len());
    let differs = (0..lines).find(|at| one.get(*at) != other.get(*at));
    let shown = |lines: &[serde_json::Value]| {
        let line = differs.and_then(|at| lines.get(at));
        let line = line.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        line.chars().take(400).collect::<String>()
    };
    format!(
        "line {} of what it makes of the same bytes differs\nas given: {}\n{how}: {}",
        differs.unwrap_or(lines) + 1,
        shown(&one),
        shown(&other)
    )
}

/// One run, judged.
async fn once(runner: &Runner, input: &Input) -> (Outcome, Option<Broken>) {
    let wire = Wire::new(input.script.clone());
    let outcome = {
        let provider = runner.provider(input.settings(runner), &wire);
        runner.run(&provider, &input.call).await
    };
    // A task that was told to end may need a turn to do so.
    for _ in 0..64 {
        if wire.under_way() == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let broken = judge(runner, input, &wire, &outcome).err();
    (outcome, broken)
}

type Verdict = Result<(), Broken>;

fn breaks(invariant: Invariant, how: impl Into<String>) -> Verdict {
    let how = how.into();
    Err(Broken { invariant, how })
}

fn judge(runner: &Runner, input: &Input, wire: &Wire, outcome: &Outcome) -> Verdict {
    let secrets = [KEY, runner.placeholder()];
    if let Some(error) = &outcome.error {
        failure(error, &secrets)?;
    }
    // A note may quote what the user wrote.
    let most = MAX_MESSAGE + input.settings.config.as_ref().map_or(0, String::len);
    match &outcome.value {
        Some(Value::Notes(all)) => notes(all, most, &secrets)?,
        Some(Value::Catalog(catalog)) => listing(catalog, most, &secrets)?,
        Some(Value::Model(found)) => model(found)?,
        Some(Value::Health(Some(health))) => notes(&health.notes, most, &secrets)?,
        Some(Value::Tokens(_) | Value::Health(None)) | None => {}
    }
    events(outcome, most, &secrets)?;
    proportion(input, outcome)?;
    for request in wire.requests() {
        sent(&request, runner.placeholder())?;
    }
    match wire.under_way() {
        0 => Ok(()),
        left => breaks(
            Invariant::NothingLeft,
            format!("{left} exchanges are under way after the call"),
        ),
    }
}

fn failure(error: &Failure, secrets: &[&str]) -> Verdict {
    let message = &error.message;
    if let Some(why) = &error.misplaced {
        return breaks(Invariant::Requests, why);
    }
    match error.kind.as_str() {
        "plugin-trapped" => return breaks(Invariant::NoTrap, message),
        "plugin-limit" => return breaks(Invariant::WithinLimits, message),
        "plugin-misbehaved" => return breaks(Invariant::Grammar, message),
        "host" | "invalid-plugin" => return breaks(Invariant::Host, message),
        _ => {}
    }
    for_people("the error's message", message, MAX_MESSAGE, secrets)?;
    for_people("the error's kind", &error.kind, MAX_WORD, secrets)?;
    match &error.code {
        Some(code) => for_people("the error's code", code, MAX_WORD, secrets),
        None => Ok(()),
    }
}

/// A text that is shown as it is.
fn for_people(what: &str, text: &str, most: usize, secrets: &[&str]) -> Verdict {
    if secrets.iter().any(|secret| text.contains(secret)) {
        return breaks(
            Invariant::NoSecret,
            format!("{what} holds a secret: {text:?}"),
        );
    }
    let wrong = if text.trim().is_empty() {
        "is empty".to_owned()
    } else if text.len() > most {
        format!("has {} bytes, more than {most}", text.len())
    } else if let Some(found) = text.chars().find(|one| is_hidden(*one)) {
        format!("holds {found:?}")
    } else {
        return Ok(());
    };
    let shown: String = text.chars().take(400).collect();
    breaks(Invariant::TypedError, format!("{what} {wrong}: {shown:?}"))
}

fn notes(notes: &[Note], most: usize, secrets: &[&str]) -> Verdict {
    for note in notes {
        let kebab = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if note.code.is_empty() || !note.code.bytes().all(kebab) {
            let code = &note.code;
            return breaks(Invariant::Promises, format!("the note's code is {code:?}"));
        }
        let message = &note.message;
        if message.trim().is_empty() || message.len() > most {
            let bytes = message.len();
            let code = &note.code;
            let how = format!("the message of the note {code} has {bytes} bytes");
            return breaks(Invariant::Promises, how);
        }
        if secrets.iter().any(|secret| message.contains(secret)) {
            return breaks(
                Invariant::NoSecret,
                format!("a note holds a secret: {message:?}"),
            );
        }
    }
    Ok(())
}

fn listing(catalog: &Catalog, most: usize, secrets: &[&str]) -> Verdict {
    notes(&catalog.notes, most, secrets)?;
    let mut seen = std::collections::BTreeSet::new();
    for one in &catalog.models {
        model(one)?;
        if !seen.insert(&one.id) {
            let id = &one.id;
            return breaks(Invariant::Promises, format!("model {id:?} is listed twice"));
        }
    }
    Ok(())
}

fn model(model: &Model) -> Verdict {
    let Cost {
        input,
        output,
        cache_read,
        cache_write,
    } = model.cost;
    let priced = [input, output, cache_read, cache_write];
    let wrong = if model.id.is_empty() {
        "an empty id"
    } else if model.name.is_empty() {
        "an empty name"
    } else if model.input.is_empty() {
        "no kind of input"
    } else if model.context_window == 0 {
        "a context of no token"
    } else if model.max_tokens == 0 || model.max_tokens > model.context_window {
        "a limit of the answer outside of its context"
    } else if !priced.iter().all(|one| one.is_finite() && *one >= 0.0) {
        "a price that is none"
    } else {
        return Ok(());
    };
    breaks(
        Invariant::Promises,
        format!("a model has {wrong}: {model:?}"),
    )
}

/// What the grammar does not say of the events.
fn events(outcome: &Outcome, most: usize, secrets: &[&str]) -> Verdict {
    if outcome.endless {
        return breaks(Invariant::InProportion, "the events do not end");
    }
    let mut written: BTreeMap<u32, String> = BTreeMap::new();
    for event in &outcome.events {
        match event {
            Event::ToolCallArguments(piece) => written
                .entry(piece.index)
                .or_default()
                .push_str(&piece.delta),
            Event::ToolCallEnd(call) => {
                let pieces = written.remove(&call.index).unwrap_or_default();
                // White space is nothing.
                let whole = match pieces.trim_ascii() {
                    "" => "{}",
                    _ => &pieces,
                };
                if whole != call.arguments {
                    let how = format!(
                        "the pieces of call {} say {whole:?}, its end says {:?}",
                        call.index, call.arguments
                    );
                    return breaks(Invariant::Arguments, how);
                }
                // Any depth and any size of number: whether it is JSON is a matter of its grammar.
                let json = serde_json::from_str::<serde::de::IgnoredAny>(whole).is_ok();
                if json != call.valid {
                    let how = format!("valid is {} for {whole:?}", call.valid);
                    return breaks(Invariant::Arguments, how);
                }
            }
            Event::Usage(usage) => {
                let cost = usage.cost.iter();
                let amounts = cost.flat_map(|cost| {
                    [
                        cost.input,
                        cost.output,
                        cost.cache_read,
                        cost.cache_write,
                        cost.total,
                    ]
                });
                if !amounts.into_iter().all(|one| one.is_finite() && one >= 0.0) {
                    let how = format!("the answer's cost is none: {usage:?}");
                    return breaks(Invariant::Promises, how);
                }
            }
            Event::Note(note) => notes(std::slice::from_ref(note), most, secrets)?,
            _ => {}
        }
    }
    Ok(())
}

/// A piece may be said twice (a call and its end), and escapes are shorter than what they stand for; not more.
fn proportion(input: &Input, outcome: &Outcome) -> Verdict {
    let given: usize = outcome
        .events
        .iter()
        .map(|event| match event {
            Event::Text(text) | Event::Reasoning(text) => text.len(),
            Event::ToolCallArguments(piece) => piece.delta.len(),
            Event::ToolCallEnd(call) => call.arguments.len() + call.id.len() + call.name.len(),
            Event::ToolCallStart(call) => call.id.len() + call.name.len(),
            Event::Start(start) => start.id.len() + start.model.len(),
            Event::Note(note) => note.message.len(),
            Event::Other(other) => other.name.len() + other.value.len(),
            Event::Usage(_) | Event::Finish(_) => 0,
        })
        .sum();
    let most = 8 * input.received() + (64 << 10);
    if given > most {
        let received = input.received();
        let how = format!("{given} bytes of events came of an answer of {received} bytes");
        return breaks(Invariant::InProportion, how);
    }
    Ok(())
}

fn sent(request: &Seen, placeholder: &str) -> Verdict {
    let origin = BASE_URL.trim_end_matches("/v1");
    let rest = request.uri.strip_prefix(origin);
    if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?'])) {
        return breaks(
            Invariant::Requests,
            format!("a request went to {}", request.uri),
        );
    }
    let holds = |bytes: &[u8], secret: &str| {
        let secret = secret.as_bytes();
        bytes.windows(secret.len()).any(|window| window == secret)
    };
    let names = request.headers.iter().map(|(name, _)| name.as_bytes());
    let outside = names.chain([request.uri.as_bytes(), &request.body[..]]);
    let mut all = outside.flat_map(|bytes| [(bytes, KEY), (bytes, placeholder)]);
    let left = |(_, value): &(String, bytes::Bytes)| holds(value, placeholder);
    if all.any(|(bytes, secret)| holds(bytes, secret)) || request.headers.iter().any(left) {
        return breaks(
            Invariant::Requests,
            format!("the key is outside of header values: {request:?}"),
        );
    }
    Ok(())
}
