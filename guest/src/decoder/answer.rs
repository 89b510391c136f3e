//! The answer as it grows: chunks in, events out.
//!
//! Here are the rules of what a chunk means: which choice counts, what comes
//! first inside a delta, which finish reason it is in the end, which account is
//! the last. Nothing here knows how chunks are framed.

use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::calls::{Calls, TooMuch};
use super::chunk::{self, Chunk, Delta};
use super::surrogates;
use super::template::Place;
use super::think::Think;
use crate::error::quote;
use crate::text;
use crate::types::{Cost, Event, FinishReason, Note, UsageSource};
use crate::usage::Counts;

/// Longest id of an answer, and longest name of its model, in bytes. Ids of
/// tool calls are made of the former; vLLM's have 41 bytes.
const MAX_ID: usize = 256;

/// Longest finish reason in the server's own word, in bytes.
const MAX_REASON: usize = 64;

/// Most bytes that are kept of what a stream says beside the answer.
const MAX_STRAY: usize = 4096;

/// How the good end came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By `[DONE]`.
    Done,
    /// The body ended after the finish reason.
    Body,
    /// It was a whole answer, not a stream.
    Whole,
}

/// What is known of one answer.
pub(super) struct Answer {
    cost: Option<Cost>,
    /// `Start` was given; it is the first event.
    pub started: bool,
    /// The server's id of the answer.
    id: String,
    think: Think,
    calls: Calls,
    usage: Option<Counts>,
    /// The last finish reason.
    pub reason: Option<FinishReason>,
    /// The answer went on behind a finish reason, which then says nothing of its end.
    went_on: bool,
    thought: bool,
    said: bool,
    /// Data and lines of the stream that say nothing of the answer.
    stray: Vec<u8>,
    /// There were lines among them that are no fields of a stream of events.
    pub has_lines: bool,
    /// The first half of a surrogate pair that the content ended with, and the thinking.
    half_said: Option<u32>,
    half_thought: Option<u32>,
    /// Halves are marked in the chunk that is taken.
    marked: bool,
    choices: Choices,
    /// Given out behind the start.
    notes: Vec<Note>,
}

/// Which choice is the answer.
///
/// Where more than one comes, it is that of the lowest index, as OpenAI numbers them from 0. Some
/// servers count the index of their only choice up with each piece, or begin with another number.
/// So without a second choice in the same piece, an index that was not there before goes on with
/// the answer, unless that has ended. One that comes back shows that there are many.
struct Choices {
    /// The answer's index, if there are many.
    ours: u64,
    /// The index of the last piece that was taken.
    last: Option<u64>,
    are_many: bool,
}

impl Choices {
    /// `ended`: the answer has its finish reason.
    fn is_ours(&mut self, index: u64, ended: bool) -> bool {
        match self.last {
            _ if self.are_many => return index == self.ours,
            None => self.ours = index,
            Some(last) if index < last || index > last && ended => {
                self.are_many = true;
                self.ours = self.ours.min(index);
                return index == self.ours;
            }
            Some(_) => {}
        }
        self.last = Some(index);
        true
    }

    /// Whether a piece of index 0 goes on with the answer, and tells nothing new of the choices.
    fn takes_index_0(&self) -> bool {
        match self.are_many {
            true => self.ours == 0,
            false => self.last == Some(0),
        }
    }
}

impl Answer {
    /// `reasoning`: the model is known to think.
    pub(super) fn new(
        cost: Option<Cost>,
        reasoning: bool,
        many_choices: bool,
        notes: Vec<Note>,
    ) -> Self {
        Self {
            cost,
            started: false,
            id: String::new(),
            think: Think::new(reasoning),
            calls: Calls::default(),
            usage: None,
            reason: None,
            went_on: false,
            thought: false,
            said: false,
            stray: Vec::new(),
            has_lines: false,
            half_said: None,
            half_thought: None,
            marked: false,
            choices: Choices {
                ours: 0,
                last: None,
                are_many: many_choices,
            },
            notes,
        }
    }

    /// Takes one chunk that is no error. `whole`: it is the whole answer, so
    /// that the calls of its message are complete, and told apart by place.
    pub(super) fn chunk(
        &mut self,
        chunk: Chunk<'_>,
        whole: bool,
        out: &mut Vec<Event>,
    ) -> Result<(), TooMuch> {
        let marked = chunk.is_marked;
        self.marked = marked;
        self.calls.marked = marked;
        if !self.started {
            self.started = true;
            let short = |text: chunk::Text<'_>| {
                let mut text = text.0.unwrap_or_default();
                if marked {
                    text = Cow::Owned(surrogates::join_whole(&text));
                }
                quote::cut(&text, MAX_ID).to_owned()
            };
            self.id = short(chunk.id);
            out.push(Event::Start {
                id: self.id.clone(),
                model: short(chunk.model),
            });
            out.extend(self.notes.drain(..).map(Event::Note));
        }
        let mut counted = chunk.usage.is_some();
        self.count(chunk.usage);
        self.choices.are_many |= !chunk.choices.rest.is_empty();
        for (place, choice) in chunk.choices.into_iter().enumerate() {
            let index = choice.index.unwrap_or(place as u64);
            if !self.choices.is_ours(index, self.reason.is_some()) {
                continue;
            }
            if !counted {
                counted = choice.usage.is_some();
                self.count(choice.usage);
            }
            // The delta first: with `length` it holds the last piece.
            if let Some(delta) = choice.delta {
                self.delta(delta, whole, out)?;
            }
            let reason = choice.finish_reason.0;
            if let Some(reason) = reason.filter(|word| !is_no_reason(word)) {
                let reason = match &*reason.to_ascii_lowercase() {
                    "stop" => FinishReason::Stop,
                    "length" => FinishReason::Length,
                    "tool_calls" | "function_call" => FinishReason::ToolCalls,
                    "content_filter" => FinishReason::ContentFilter,
                    _ => FinishReason::Other(quote::quote(&reason, MAX_REASON)),
                };
                // A gateway may end with a word of its own what the server broke off.
                if self.reason.is_none()
                    || is_cut(&reason)
                    || !self.reason.as_ref().is_some_and(is_cut)
                {
                    self.reason = Some(reason);
                }
                self.let_go(out);
                // A reason may stand beside every piece, and a gateway may give it before the last.
                self.calls.end(true, &self.id, out);
            }
        }
        self.marked = false;
        self.calls.marked = false;
        Ok(())
    }

    /// Gives U+FFFD for halves of surrogate pairs whose other halves do not come.
    fn give_halves(&mut self, out: &mut Vec<Event>) {
        let other = || Cow::Borrowed("\u{FFFD}");
        if self.half_thought.take().is_some() {
            self.thinking(other(), out);
        }
        if self.half_said.take().is_some() {
            self.content(other(), out);
        }
    }

    /// Keeps what the stream says beside the answer, up to [`MAX_STRAY`]. It may say why the answer
    /// fails.
    #[cold]
    pub(super) fn keep_stray(&mut self, data: &[u8]) {
        let silent: [&[u8]; 4] = [b"null", b"{}", b"[]", b""];
        let is_silent = silent.iter().any(|word| data.eq_ignore_ascii_case(word));
        if is_silent || self.stray.len() >= MAX_STRAY {
            return;
        }
        if !self.stray.is_empty() {
            self.stray.push(b'\n');
        }
        let room = MAX_STRAY - self.stray.len();
        self.stray.extend(data.iter().take(room));
    }

    /// The same as one text; empty: there was none.
    pub(super) fn stray(&self) -> &[u8] {
        &self.stray
    }

    /// Keeps an account: the last one counts.
    pub(super) fn count(&mut self, counts: Option<Box<Counts>>) {
        if let Some(counts) = counts.filter(|counts| !counts.is_empty()) {
            self.usage = Some(*counts);
        }
    }

    /// What is new, in the order thinking, text, calls.
    fn delta(
        &mut self,
        mut delta: Delta<'_>,
        whole: bool,
        out: &mut Vec<Event>,
    ) -> Result<(), TooMuch> {
        if let Some(thinking) = delta.thinking.take() {
            self.thinking(thinking, out);
        }
        if let Some(text) = delta.content.take() {
            match whole {
                true if self.marked => self.whole_content(&surrogates::join_whole(&text), out),
                true => self.whole_content(&text, out),
                false => self.content(text, out),
            }
        }
        if let Some(text) = delta.refusal.take() {
            self.content(text, out);
        }

        let function = delta
            .function_call
            .take()
            .filter(|_| delta.tool_calls.is_empty());
        let legacy = function.map(|function| chunk::Call {
            index: Some(0),
            function: *function,
            ..chunk::Call::default()
        });
        for (place, mut call) in delta.tool_calls.into_iter().chain(legacy).enumerate() {
            self.let_go(out);
            if whole {
                call.index = Some(place as u64);
            }
            self.calls.piece(call, &self.id, out)?;
            if whole {
                self.calls.end(false, &self.id, out);
            }
        }
        Ok(())
    }

    /// Whether pieces of index 0 need not be looked at for their choice.
    pub(super) fn takes_index_0(&self) -> bool {
        self.choices.takes_index_0()
    }

    /// Takes the text of a chunk that has nothing else to tell.
    pub(super) fn piece(
        &mut self,
        place: Place,
        text: Cow<'_, str>,
        out: &mut Vec<Event>,
    ) -> Result<(), TooMuch> {
        match place {
            Place::Content => self.content(text, out),
            Place::Thinking => self.thinking(text, out),
            Place::Arguments(index) => {
                self.let_go(out);
                let call = chunk::Call::arguments(index, text);
                self.calls.piece(call, &self.id, out)?;
            }
        }
        Ok(())
    }

    fn thinking(&mut self, mut text: Cow<'_, str>, out: &mut Vec<Event>) {
        if self.marked || self.half_thought.is_some() {
            text = Cow::Owned(surrogates::join(&text, &mut self.half_thought));
            if text.is_empty() {
                return;
            }
        }
        self.went_on |= self.reason.is_some();
        self.calls.tell(&self.id, out);
        self.think.stop(out);
        self.thought = true;
        out.push(Event::Reasoning(text.into_owned()));
    }

    fn content(&mut self, mut text: Cow<'_, str>, out: &mut Vec<Event>) {
        if self.marked || self.half_said.is_some() {
            text = Cow::Owned(surrogates::join(&text, &mut self.half_said));
            if text.is_empty() {
                return;
            }
        }
        self.went_on |= self.reason.is_some();
        self.calls.tell(&self.id, out);
        let from = out.len();
        self.think.push(text, out);
        self.observe(out.get(from..).unwrap_or_default());
    }

    /// The content of a whole answer: thinking that has only its closing tag is known in time.
    fn whole_content(&mut self, text: &str, out: &mut Vec<Event>) {
        match self.think.split_whole(text) {
            Some((thinking, rest)) => {
                self.thinking(Cow::Borrowed(thinking), out);
                self.think.close();
                if !rest.is_empty() {
                    self.content(Cow::Borrowed(rest), out);
                }
            }
            None => self.content(Cow::Borrowed(text), out),
        }
    }

    /// The good end: account, notes, finish. `let_go` and the ends of the calls
    /// stand here for calls that began after the finish reason.
    pub(super) fn end(&mut self, end: End, out: &mut Vec<Event>) {
        self.give_halves(out);
        self.let_go(out);
        self.calls.end(false, &self.id, out);
        let had_usage = self.account(UsageSource::Final, out);
        let is_missing = self.reason.is_none();
        let reason = match self.reason.take() {
            // A named tool choice ends with `stop`.
            Some(FinishReason::Stop) | None if !self.calls.is_empty() => FinishReason::ToolCalls,
            // A word of the server's own beside a call that can be used.
            Some(FinishReason::Other(_)) if self.calls.any_valid() => FinishReason::ToolCalls,
            Some(reason) => reason,
            None => FinishReason::Other("unknown".to_owned()),
        };
        if is_missing {
            let what = match end {
                End::Whole => {
                    "the server sent no finish reason: whether the answer is whole is not known"
                }
                _ => "the server sent no finish reason: its calls are whole, and [DONE] came",
            };
            out.push(Event::Note(Note::new("no-finish-reason", what.to_owned())));
        }
        self.notes(end, had_usage, &reason, out);
        out.push(Event::Finish(reason));
    }

    /// Whether the answer may end here: a whole one always, one that ended with its body by a finish
    /// reason that nothing of it came behind, and by `[DONE]` with a finish reason, or behind calls
    /// that are whole.
    pub(super) fn may_end(&self, end: End) -> bool {
        match end {
            End::Done => self.reason.is_some() || self.calls.are_valid(),
            End::Body => self.reason.is_some() && !self.went_on,
            End::Whole => true,
        }
    }

    /// The server's word, if it says that the answer is not whole.
    pub(super) fn broken_off(&self) -> Option<&str> {
        let Some(FinishReason::Other(word)) = &self.reason else {
            return None;
        };
        is_broken_off(word).then_some(word)
    }

    /// The bad end: nothing that came is lost.
    pub(super) fn break_off(&mut self, out: &mut Vec<Event>) {
        self.give_halves(out);
        self.let_go(out);
        self.calls.tell(&self.id, out);
        self.account(UsageSource::Interim, out);
    }

    fn account(&mut self, source: UsageSource, out: &mut Vec<Event>) -> bool {
        let usage = self.usage.take();
        let event = usage.map(|counts| Event::Usage(counts.account(self.cost.as_ref(), source)));
        out.extend(event);
        usage.is_some()
    }

    fn notes(&self, end: End, had_usage: bool, reason: &FinishReason, out: &mut Vec<Event>) {
        let mut note =
            |code: &str, message: String| out.push(Event::Note(Note::new(code, message)));
        if !had_usage {
            note(
                "no-usage",
                "the server sent no usage: the tokens of this answer are not known".to_owned(),
            );
        }
        if end == End::Body {
            note(
                "no-done",
                "the stream ended after its finish reason, but without [DONE]".to_owned(),
            );
        }
        if self.has_lines && !self.stray.is_empty() {
            let quoted = quote::quote_bytes(&self.stray, quote::MAX_SNIPPET);
            let what = "the stream held lines that are no part of the answer: ";
            note("foreign-lines", text::concat(&[what, "\"", &quoted, "\""]));
        }
        if self.calls.nameless {
            note(
                "tool-call-without-name",
                "the server sent a tool call that names no function".to_owned(),
            );
        }
        if self.calls.shared_id {
            note(
                "shared-call-id",
                "the server gave two tool calls one id; the later one has an id of its own here"
                    .to_owned(),
            );
        }
        if !self.calls.foreign.is_empty() {
            let what = "the server sent arguments that are neither text nor a JSON object for: ";
            let names = listed(&self.calls.foreign);
            note("foreign-tool-arguments", text::concat(&[what, &names]));
        }
        if !self.calls.invalid.is_empty() {
            let names = listed(&self.calls.invalid);
            note(
                "invalid-tool-arguments",
                match reason {
                    FinishReason::Length => {
                        text::concat(&["the length limit cut the arguments of: ", &names])
                    }
                    _ => {
                        text::concat(&["the model wrote arguments that are not JSON for: ", &names])
                    }
                },
            );
        }
        if *reason == FinishReason::ToolCalls && self.calls.is_empty() {
            note(
                "tool-calls-missing",
                "the server says that the model called a tool, and sent no call: the call may stand in the text or in the reasoning; check the server's tool parser".to_owned(),
            );
        }
        if *reason == FinishReason::Stop && !self.thought && !self.said && self.calls.is_empty() {
            note(
                "empty-answer",
                "the answer is empty: no text, no reasoning and no tool call came before the finish reason".to_owned(),
            );
        }
        if self.think.closed_unopened() {
            // Of a whole answer the thinking was split off.
            let code = match self.think.is_expected() && end != End::Whole {
                true => "reasoning-as-text",
                false => "closing-think-tag",
            };
            note(
                code,
                "the text has a </think> without a <think>: what stands before it is the model's thinking, which the server sent as text; run vLLM with the --reasoning-parser that fits the model".to_owned(),
            );
        }
        if self.thought && !self.said && self.calls.is_empty() {
            note(
                "reasoning-only",
                match reason {
                    FinishReason::Length => "the answer reached its length limit inside the thinking; allow more tokens, or limit the thinking",
                    _ => "the whole answer came as reasoning: the model never closed its thinking, or it did not think and the server's reasoning parser took the answer for thinking; turn thinking off for this request (chat_template_kwargs.enable_thinking=false), or run the server with the reasoning parser that fits the model",
                }
                .to_owned(),
            );
        }
        if self.calls.late {
            note(
                "late-tool-arguments",
                "the server sent arguments after the finish reason; they are left out".to_owned(),
            );
        }
    }

    /// Gives out what may have been the beginning of a tag.
    fn let_go(&mut self, out: &mut Vec<Event>) {
        let from = out.len();
        self.think.flush(out);
        self.observe(out.get(from..).unwrap_or_default());
    }

    fn observe(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Reasoning(_) => self.thought = true,
                // A line break between thinking and nothing is no answer.
                Event::Text(text) => self.said |= !text.trim_ascii().is_empty(),
                _ => {}
            }
        }
    }
}

/// Whether a finish reason says that the answer is not whole.
fn is_cut(reason: &FinishReason) -> bool {
    match reason {
        FinishReason::Length | FinishReason::ContentFilter => true,
        FinishReason::Other(word) => is_broken_off(word),
        _ => false,
    }
}

/// Whether a finish reason of the server's own says that it gave the answer up.
fn is_broken_off(word: &str) -> bool {
    ["abort", "error"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

/// Whether a server writes this word where there is no finish reason yet.
fn is_no_reason(word: &str) -> bool {
    let known = ["null", "none", "unfinished"];
    known.iter().any(|known| word.eq_ignore_ascii_case(known))
}

fn listed(names: &[String]) -> String {
    let mut all = String::new();
    for name in names {
        all.push_str(if all.is_empty() { "" } else { ", " });
        all.push_str(name);
    }
    quote::quote(&all, quote::MAX_SNIPPET)
}
