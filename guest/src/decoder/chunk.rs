//! One chunk of an answer: JSON text in, the fields that matter out.
//!
//! The text is parsed once, into borrowed strings; nothing is allocated but
//! what has escapes in it. Servers and proxies differ in everything that does
//! not matter, so the reading is forgiving: null is absent, a value of another
//! type is absent, the last of two equal names counts, unknown names are passed
//! over. Only text that is no JSON at all is an error.
//!
//! A quarter of the time went into moving these structs while they were large,
//! so what few chunks have is boxed.
//!
//! A whole answer (`chat.completion`) has the same fields with `message` in the
//! place of `delta`, and is read here too.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::json::{Kind, Malformed, Reader};
use crate::usage::Counts;

mod lenient;

pub(super) use lenient::Text;
use lenient::{List, count, parts, place, present, raw_text, string};

/// Most choices of a chunk, and most tool calls of a choice. One was asked for, and
/// vLLM's own parsers stop far below.
const MAX_ITEMS: usize = 1024;

/// Why a chunk is refused that has more: each would take a hundred times the
/// memory of its two bytes.
pub(super) const CROWDED: &str = "more than 1,024 choices or tool calls in one piece";

/// The chunk.
#[derive(Default)]
pub(super) struct Chunk<'a> {
    pub id: Text<'a>,
    pub model: Text<'a>,
    pub choices: List<Choice<'a>>,
    pub usage: Option<Box<Counts>>,
    /// What stands in the place of the usage.
    pub usage_text: &'a str,
    /// In its texts, halves of surrogate pairs are marked ([`super::surrogates`]).
    pub is_marked: bool,
    /// It is an error, not a piece of an answer.
    pub is_error: bool,
    /// It has words beside what an answer has: without choices and usage they are an error's.
    has_words: bool,
}

/// One of the answers that were asked for.
#[derive(Default)]
pub(super) struct Choice<'a> {
    pub index: Option<u64>,
    /// The delta, or the message of a whole answer.
    pub delta: Option<Delta<'a>>,
    pub finish_reason: Text<'a>,
    pub usage: Option<Box<Counts>>,
}

/// What is new in a choice.
#[derive(Default)]
pub(super) struct Delta<'a> {
    pub content: Text<'a>,
    pub refusal: Text<'a>,
    /// The thinking: one of the fields in [`THINKING`].
    pub thinking: Text<'a>,
    /// The place in [`THINKING`] that it came from.
    thinking_from: usize,
    pub tool_calls: Vec<Call<'a>>,
    /// The form that `tool_calls` replaced in 2023.
    pub function_call: Option<Box<Function<'a>>>,
}

impl<'a> Delta<'a> {
    /// Takes thinking, unless a better place in [`THINKING`] had some.
    fn think(&mut self, thought: Text<'a>, from: usize) {
        if thought.0.is_some() && (self.thinking.0.is_none() || from <= self.thinking_from) {
            self.thinking = thought;
            self.thinking_from = from;
        }
    }

    fn says(&self) -> bool {
        let texts = [&self.content, &self.refusal, &self.thinking];
        texts.iter().any(|text| text.0.is_some())
            || !self.tool_calls.is_empty()
            || self.function_call.is_some()
    }
}

/// Where thinking may stand, the best place first. vLLM 0.11.2 to 0.14 fill two
/// of them with the same text, so only one counts.
const THINKING: [&str; 4] = [
    "reasoning",
    "reasoning_content",
    "reasoning_text",
    // Ollama's own.
    "thinking",
];

/// A piece of a tool call.
#[derive(Default)]
pub(super) struct Call<'a> {
    pub index: Option<u64>,
    pub id: Text<'a>,
    pub function: Function<'a>,
}

impl<'a> Call<'a> {
    /// A piece that goes on with the arguments of the call at a position.
    pub(super) fn arguments(index: u64, text: Cow<'a, str>) -> Self {
        Self {
            index: Some(index),
            function: Function {
                arguments: Text(Some(text)),
                ..Function::default()
            },
            ..Self::default()
        }
    }
}

/// The function of a call.
#[derive(Default)]
pub(super) struct Function<'a> {
    pub name: Text<'a>,
    pub arguments: Text<'a>,
    /// The arguments are the JSON text of something that is neither a string nor an object.
    pub is_foreign: bool,
}

/// Parses a chunk. `Err`: the text is not JSON, or not an object.
pub(super) fn parse(text: &str) -> Result<Chunk<'_>, Malformed> {
    let mut json = Reader::new(text);
    if !json.object()? {
        return Err(json.malformed("an object was expected"));
    }
    let mut chunk = Chunk::default();
    while let Some(name) = json.name()? {
        chunk.read(&name, &mut json)?;
    }
    json.end()?;
    chunk.is_error |= chunk.has_words && chunk.choices.is_empty() && chunk.usage.is_none();
    Ok(chunk)
}

impl<'a> Chunk<'a> {
    /// Takes the value of `name`.
    fn read(&mut self, name: &str, json: &mut Reader<'a>) -> Result<(), Malformed> {
        match name {
            "id" => self.id = string(json)?,
            "model" => self.model = string(json)?,
            "choices" => {
                self.choices = List::default();
                if json.array()? {
                    while json.item()? {
                        self.is_error |= choice(json, &mut self.choices)?;
                    }
                }
            }
            "usage" => {
                let place = json.place();
                self.usage = counts(json)?;
                self.usage_text = json.since(place);
            }
            "error" => self.is_error |= present(json)?,
            "object" => self.is_error |= string(json)?.is("error"),
            _ => return self.read_rare(name, json),
        }
        Ok(())
    }

    /// The same for a name that hardly any chunk has.
    fn read_rare(&mut self, name: &str, json: &mut Reader<'a>) -> Result<(), Malformed> {
        match name {
            "type" | "status" => self.is_error |= string(json)?.is("error"),
            "success" => self.is_error |= json.value()? == "false",
            "errors" => self.is_error |= present(json)?,
            "message" | "msg" | "detail" | "error_message" | "errorMessage" | "error_type" => {
                self.has_words |= present(json)?;
            }
            _ => json.skip()?,
        }
        Ok(())
    }
}

/// True: there is an error in it.
fn choice<'a>(json: &mut Reader<'a>, choices: &mut List<Choice<'a>>) -> Result<bool, Malformed> {
    let mut choice = Choice::default();
    let mut completion = Text(None);
    let mut is_error = false;
    if !json.object()? {
        return Ok(false);
    }
    while let Some(name) = json.name()? {
        match &*name {
            "index" => choice.index = count(json)?,
            "delta" => is_error |= delta(json, &mut choice.delta)?,
            // Some servers send the whole message beside its delta.
            "message" if choice.delta.is_some() => json.skip()?,
            "message" => is_error |= delta(json, &mut choice.delta)?,
            // The answer of the older API, `/v1/completions`, which some gateways give for a chat.
            "text" => completion = words(json)?,
            "finish_reason" => choice.finish_reason = string(json)?,
            "usage" => choice.usage = counts(json)?,
            "error" => is_error |= present(json)?,
            _ => json.skip()?,
        }
    }
    if completion.0.is_some() && !choice.delta.as_ref().is_some_and(Delta::says) {
        choice.delta.get_or_insert_default().content = completion;
    }
    if choices.rest.len() >= MAX_ITEMS {
        return Err(json.malformed(CROWDED));
    }
    choices.push(choice);
    Ok(is_error)
}

/// True: there is an error in it.
fn delta<'a>(json: &mut Reader<'a>, found: &mut Option<Delta<'a>>) -> Result<bool, Malformed> {
    let mut is_error = false;
    if json.kind()? == Kind::String {
        found.insert(Delta::default()).content = string(json)?;
        return Ok(is_error);
    }
    if !json.object()? {
        return Ok(is_error);
    }
    let delta = found.insert(Delta::default());
    while let Some(name) = json.name()? {
        match &*name {
            "content" => match json.kind()? {
                Kind::String => delta.content = Text::of(json.string()?),
                _ => {
                    let (said, thought) = parts(json)?;
                    delta.content = said;
                    delta.think(thought, THINKING.len());
                }
            },
            "refusal" => delta.refusal = words(json)?,
            "tool_calls" => {
                delta.tool_calls.clear();
                if json.kind()? == Kind::Object {
                    // A call without its list.
                    call(json, &mut delta.tool_calls)?;
                } else if json.array()? {
                    while json.item()? {
                        call(json, &mut delta.tool_calls)?;
                    }
                }
            }
            "function_call" => delta.function_call = function(json)?.map(Box::new),
            name => {
                let Some(from) = THINKING.iter().position(|known| *known == name) else {
                    match name {
                        "error" => is_error |= present(json)?,
                        _ => json.skip()?,
                    }
                    continue;
                };
                let thought = words(json)?;
                delta.think(thought, from);
            }
        }
    }
    Ok(is_error)
}

/// What the model said in a field that has one kind of it.
fn words<'a>(json: &mut Reader<'a>) -> Result<Text<'a>, Malformed> {
    if json.kind()? == Kind::String {
        return string(json);
    }
    let (said, thought) = parts(json)?;
    Ok(match said.0.is_some() {
        true => said,
        false => thought,
    })
}

fn call<'a>(json: &mut Reader<'a>, calls: &mut Vec<Call<'a>>) -> Result<(), Malformed> {
    let mut call = Call::default();
    if !json.object()? {
        return Ok(());
    }
    while let Some(name) = json.name()? {
        match &*name {
            "index" => call.index = place(json)?,
            "id" => call.id = string(json)?,
            "function" if json.kind()? == Kind::String => call.function.name = string(json)?,
            "function" => {
                if let Some(found) = function(json)? {
                    call.function = found;
                }
            }
            // A call without the object for its function.
            "name" => call.function.name = string(json)?,
            "arguments" => {
                (call.function.arguments, call.function.is_foreign) = raw_text(json)?;
            }
            _ => json.skip()?,
        }
    }
    // One more, so that the answer's own limit is what refuses 1,025 real ones.
    if calls.len() > MAX_ITEMS {
        return Err(json.malformed(CROWDED));
    }
    calls.push(call);
    Ok(())
}

fn function<'a>(json: &mut Reader<'a>) -> Result<Option<Function<'a>>, Malformed> {
    let mut function = Function::default();
    if !json.object()? {
        return Ok(None);
    }
    while let Some(name) = json.name()? {
        match &*name {
            "name" => function.name = string(json)?,
            "arguments" => (function.arguments, function.is_foreign) = raw_text(json)?,
            // As models write it, and some servers pass it on.
            "parameters" if function.arguments.0.is_none() => {
                (function.arguments, function.is_foreign) = raw_text(json)?;
            }
            _ => json.skip()?,
        }
    }
    Ok(Some(function))
}

pub(super) fn counts(json: &mut Reader<'_>) -> Result<Option<Box<Counts>>, Malformed> {
    if !json.object()? {
        return Ok(None);
    }
    let mut counts = Box::new(Counts::default());
    while let Some(name) = json.name()? {
        match &*name {
            "prompt_tokens" => counts.prompt = count(json)?,
            "completion_tokens" => counts.completion = count(json)?,
            "total_tokens" => counts.total = count(json)?,
            // The names inside the details are unique over both of them.
            "prompt_tokens_details" | "completion_tokens_details" => details(json, &mut counts)?,
            _ => json.skip()?,
        }
    }
    Ok(Some(counts))
}

/// `prompt_tokens_details` and `completion_tokens_details`.
fn details(json: &mut Reader<'_>, counts: &mut Counts) -> Result<(), Malformed> {
    let (mut cached, mut created, mut written, mut reasoning) = (None, None, None, None);
    if !json.object()? {
        return Ok(());
    }
    while let Some(name) = json.name()? {
        let field = match &*name {
            "cached_tokens" => &mut cached,
            "created_cache_tokens" => &mut created,
            "cache_write_tokens" => &mut written,
            "reasoning_tokens" => &mut reasoning,
            _ => {
                json.skip()?;
                continue;
            }
        };
        *field = count(json)?;
    }
    counts.cached = cached.or(counts.cached);
    counts.written = created.or(written).or(counts.written);
    counts.reasoning = reasoning.or(counts.reasoning);
    Ok(())
}

#[cfg(test)]
mod tests;
