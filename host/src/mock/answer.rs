//! The answer to one chat: engine steps become events or one JSON object.
//!
//! Key order, what is null and what is absent follow the recorded chunks of the
//! chosen generation of vLLM byte for byte; only ids, times and token numbers
//! are the mock's own.

use super::ReasoningField;
use super::cache::Hit;
use super::engine::{Engine, Finish};
use super::json::{quote, quote_or_null};
use super::output::{Parser, Piece, Thinking, whole};
use super::request::{Chat, Choice};
use std::fmt::Write as _;

/// The end of a stream.
pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// What the answer needs to know besides the text.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) model: String,
    pub(crate) generation: ReasoningField,
    pub(crate) reasoning_parser: bool,
    pub(crate) tool_parser: bool,
    pub(crate) prompt_tokens: u64,
    pub(crate) prompt_text: Option<String>,
    pub(crate) hit: Hit,
    pub(crate) prompt_details: bool,
    pub(crate) fingerprint: &'static str,
    /// Makes the ids of tool calls.
    pub(crate) call_seed: u64,
}

/// One answer under way: an iterator over its events, each a whole SSE event.
pub(crate) struct Answer {
    chat: Chat,
    frame: Frame,
    engine: Engine,
    parser: Parser,
    reasoning_tokens: u64,
    stage: Stage,
    ready: std::collections::VecDeque<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Role,
    Tokens,
    Usage,
    Done,
    Over,
}

impl Answer {
    pub(crate) fn new(chat: Chat, frame: Frame, engine: Engine) -> Self {
        let parser = Answer::parser(&chat, &frame);
        Answer {
            chat,
            frame,
            engine,
            parser,
            reasoning_tokens: 0,
            stage: Stage::Role,
            ready: Default::default(),
        }
    }

    fn parser(chat: &Chat, frame: &Frame) -> Parser {
        Parser::new(reads_reasoning(chat, frame), reads_tools(chat))
    }

    /// The whole answer as one JSON object, and how many tokens it took. To be
    /// called instead of iterating.
    pub(crate) fn into_json(mut self) -> (String, u64) {
        let mut text = String::new();
        let mut finish = Finish::Length;
        while let Some(step) = self.engine.step() {
            // The parser only counts here; the text is read as a whole below.
            self.count_thinking(&step.text);
            let last = step.finish.is_some();
            self.parser.feed(&step.text, last);
            text.push_str(&step.text);
            if let Some(end) = step.finish {
                finish = end;
            }
        }
        let frame = &self.frame;
        let old = frame.generation != ReasoningField::Reasoning;
        let mut read = whole(
            &text,
            reads_reasoning(&self.chat, frame),
            reads_tools(&self.chat),
        );
        if !self.chat.include_reasoning {
            read.reasoning = None;
        }
        let forced = matches!(self.chat.choice, Choice::Required | Choice::Named(_));
        let content = match read.content {
            _ if forced && !read.calls.is_empty() => Some(String::new()),
            None if read.reasoning.is_none()
                && read.calls.is_empty()
                && reads_reasoning(&self.chat, frame) == Thinking::Off =>
            {
                Some(String::new())
            }
            content => content,
        };
        let mut calls = String::new();
        for (i, (name, arguments)) in read.calls.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let _ = write!(
                calls,
                "{comma}{{\"id\":{},\"type\":\"function\",\"function\":{{\"name\":{},\"arguments\":{}}}}}",
                quote(&call_id(frame, i)),
                quote(name),
                quote(arguments)
            );
        }
        let tool_calls = if calls.is_empty() && !old {
            String::new()
        } else {
            format!("\"tool_calls\":[{calls}],")
        };
        let reasoning = quote_or_null(read.reasoning.as_deref());
        let reasoning = match frame.generation {
            ReasoningField::Reasoning => format!("\"reasoning\":{reasoning}"),
            ReasoningField::ReasoningContent => format!("\"reasoning_content\":{reasoning}"),
            ReasoningField::Both => {
                format!("\"reasoning\":{reasoning},\"reasoning_content\":{reasoning}")
            }
        };
        let (mut reason, stop) = finish_words(&finish);
        if !read.calls.is_empty() && !matches!(self.chat.choice, Choice::Named(_)) {
            reason = "tool_calls";
        }
        let null_details = if old {
            ""
        } else {
            ",\"completion_tokens_details\":null"
        };
        let details = match (frame.reasoning_parser, old) {
            (true, false) => format!(
                ",\"completion_tokens_details\":{{\"reasoning_tokens\":{}}}",
                self.reasoning_tokens
            ),
            _ => null_details.to_owned(),
        };
        let prompt_details = match (frame.prompt_details, old) {
            (false, _) => "null".to_owned(),
            (true, true) => match frame.hit.cached {
                0 => "null".to_owned(),
                cached => format!("{{\"cached_tokens\":{cached}}}"),
            },
            (true, false) => format!(
                "{{\"cached_tokens\":{},\"created_cache_tokens\":{},\"multimodal_tokens\":null}}",
                frame.hit.cached, frame.hit.created
            ),
        };
        let completion = self.engine.produced();
        let prompt = frame.prompt_tokens;
        let prompt_text = quote_or_null(frame.prompt_text.as_deref());
        let (experts, fingerprint, text_field, tail) = if old {
            (
                "",
                "null".to_owned(),
                String::new(),
                "\"kv_transfer_params\":null",
            )
        } else {
            (
                ",\"routed_experts\":null",
                quote(frame.fingerprint),
                format!("\"prompt_text\":{prompt_text},"),
                "\"kv_transfer_params\":null,\"ec_transfer_params\":null,\"metrics\":null",
            )
        };
        let body = format!(
            "{{\"id\":{},\"object\":\"chat.completion\",\"created\":{},\"model\":{},\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":{},\"refusal\":null,\"annotations\":null,\"audio\":null,\"function_call\":null,{tool_calls}{reasoning}}},\"logprobs\":null,\"finish_reason\":{},\"stop_reason\":{stop},\"token_ids\":null{experts}}}],\"service_tier\":null,\"system_fingerprint\":{fingerprint},\"usage\":{{\"prompt_tokens\":{prompt},\"total_tokens\":{},\"completion_tokens\":{completion},\"prompt_tokens_details\":{prompt_details}{details}}},\"prompt_logprobs\":null,\"prompt_token_ids\":null,{text_field}{tail}}}",
            quote(&frame.id),
            frame.created,
            quote(&frame.model),
            quote_or_null(content.as_deref()),
            quote(reason),
            prompt + completion,
        );
        (body, completion)
    }

    /// Counts a token of thinking: text that is no tag, fed while thinking.
    fn count_thinking(&mut self, text: &str) {
        let tag = ["<think>", "</think>", "<tool_call>"].contains(&text);
        if self.parser.in_reasoning() && !text.is_empty() && !tag {
            self.reasoning_tokens += 1;
        }
    }

    /// Decodes until there is an event, or the tokens are over.
    fn decode(&mut self) {
        while self.ready.is_empty() {
            let Some(step) = self.engine.step() else {
                self.stage = Stage::Usage;
                return;
            };
            self.count_thinking(&step.text);
            let last = step.finish.is_some();
            let mut deltas: Vec<String> = self
                .parser
                .feed(&step.text, last)
                .into_iter()
                .map(|piece| self.delta(&piece))
                .collect();
            let Some(finish) = step.finish else {
                for delta in deltas {
                    let chunk = self.chunk(&delta, None);
                    self.ready.push_back(chunk);
                }
                continue;
            };
            // The finish chunk carries what the last step brought.
            let final_delta = deltas
                .pop()
                .unwrap_or_else(|| self.empty_delta().to_owned());
            for delta in deltas {
                let chunk = self.chunk(&delta, None);
                self.ready.push_back(chunk);
            }
            let chunk = self.chunk(&final_delta, Some(&finish));
            self.ready.push_back(chunk);
            self.stage = Stage::Usage;
            return;
        }
    }

    /// The delta of a step without text: `{}` where a parser looked at it.
    fn empty_delta(&self) -> &'static str {
        let parsed = self.frame.reasoning_parser || self.frame.tool_parser;
        if parsed && self.frame.generation == ReasoningField::Reasoning {
            "{}"
        } else {
            "{\"content\":\"\"}"
        }
    }

    fn delta(&self, piece: &Piece) -> String {
        let null_content = match self.frame.generation {
            ReasoningField::Reasoning => "\"content\":null,",
            _ => "",
        };
        match piece {
            Piece::Content(text) => format!("{{\"content\":{}}}", quote(text)),
            Piece::Reasoning(text) => {
                let shown = self.chat.include_reasoning.then_some(text.as_str());
                let text = quote_or_null(shown);
                match self.frame.generation {
                    ReasoningField::Reasoning => format!("{{\"reasoning\":{text}}}"),
                    ReasoningField::ReasoningContent => format!("{{\"reasoning_content\":{text}}}"),
                    ReasoningField::Both => {
                        format!("{{\"reasoning\":{text},\"reasoning_content\":{text}}}")
                    }
                }
            }
            Piece::Call { index, name } => format!(
                "{{{null_content}\"tool_calls\":[{{\"id\":{},\"type\":\"function\",\"index\":{index},\"function\":{{\"name\":{}}}}}]}}",
                quote(&call_id(&self.frame, *index)),
                quote(name)
            ),
            Piece::Arguments { index, text } => format!(
                "{{{null_content}\"tool_calls\":[{{\"index\":{index},\"function\":{{\"arguments\":{}}}}}]}}",
                quote(text)
            ),
        }
    }

    fn head(&self) -> String {
        format!(
            "data: {{\"id\":{},\"object\":\"chat.completion.chunk\",\"created\":{},\"model\":{}",
            quote(&self.frame.id),
            self.frame.created,
            quote(&self.frame.model)
        )
    }

    fn role_chunk(&self) -> String {
        let usage = self.running_usage();
        let text = match self.frame.generation {
            ReasoningField::Reasoning => format!(
                ",\"prompt_text\":{}",
                quote_or_null(self.frame.prompt_text.as_deref())
            ),
            _ => String::new(),
        };
        format!(
            "{},\"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",\"content\":\"\"}},\"logprobs\":null,\"finish_reason\":null}}]{usage},\"prompt_token_ids\":null{text}}}\n\n",
            self.head()
        )
    }

    fn chunk(&self, delta: &str, finish: Option<&Finish>) -> String {
        let mut fingerprint = String::new();
        let end = match finish {
            None => "\"finish_reason\":null".to_owned(),
            Some(finish) => {
                let (mut reason, stop) = finish_words(finish);
                let named = matches!(self.chat.choice, Choice::Named(_));
                if self.parser.called() && !named && *finish != Finish::Length {
                    reason = "tool_calls";
                }
                if !self.chat.include_usage && self.frame.generation == ReasoningField::Reasoning {
                    fingerprint =
                        format!(",\"system_fingerprint\":{}", quote(self.frame.fingerprint));
                }
                format!("\"finish_reason\":{},\"stop_reason\":{stop}", quote(reason))
            }
        };
        format!(
            "{},\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,{end},\"token_ids\":null}}]{}{fingerprint}}}\n\n",
            self.head(),
            self.running_usage()
        )
    }

    /// The usage of `continuous_usage_stats`.
    fn running_usage(&self) -> String {
        if !self.chat.continuous_usage {
            return String::new();
        }
        let (prompt, completion) = (self.frame.prompt_tokens, self.engine.produced());
        format!(
            ",\"usage\":{{\"prompt_tokens\":{prompt},\"total_tokens\":{},\"completion_tokens\":{completion}}}",
            prompt + completion
        )
    }

    fn usage_chunk(&self) -> String {
        let (prompt, completion) = (self.frame.prompt_tokens, self.engine.produced());
        let mut details = String::new();
        let (mut reasoning, mut fingerprint) = (String::new(), String::new());
        if self.frame.generation == ReasoningField::Reasoning {
            if self.frame.prompt_details {
                details = format!(
                    ",\"prompt_tokens_details\":{{\"cached_tokens\":{},\"created_cache_tokens\":{}}}",
                    self.frame.hit.cached, self.frame.hit.created
                );
            }
            if self.frame.reasoning_parser {
                reasoning = format!(
                    ",\"completion_tokens_details\":{{\"reasoning_tokens\":{}}}",
                    self.reasoning_tokens
                );
            }
            fingerprint = format!(",\"system_fingerprint\":{}", quote(self.frame.fingerprint));
        } else if self.frame.prompt_details && self.frame.hit.cached > 0 {
            details = format!(
                ",\"prompt_tokens_details\":{{\"cached_tokens\":{}}}",
                self.frame.hit.cached
            );
        }
        format!(
            "{},\"choices\":[],\"usage\":{{\"prompt_tokens\":{prompt},\"total_tokens\":{},\"completion_tokens\":{completion}{details}{reasoning}}}{fingerprint}}}\n\n",
            self.head(),
            prompt + completion
        )
    }
}

impl Iterator for Answer {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            match self.stage {
                Stage::Role => {
                    self.stage = Stage::Tokens;
                    return Some(self.role_chunk());
                }
                Stage::Tokens => self.decode(),
                Stage::Usage => {
                    self.stage = Stage::Done;
                    if self.chat.include_usage {
                        return Some(self.usage_chunk());
                    }
                }
                Stage::Done => {
                    self.stage = Stage::Over;
                    return Some(DONE.to_owned());
                }
                Stage::Over => return None,
            }
        }
    }
}

fn reads_reasoning(chat: &Chat, frame: &Frame) -> Thinking {
    match frame.generation {
        _ if !frame.reasoning_parser || !chat.thinking => Thinking::Off,
        ReasoningField::Reasoning => Thinking::FromStart,
        ReasoningField::ReasoningContent | ReasoningField::Both => Thinking::WhenOpened,
    }
}

fn reads_tools(chat: &Chat) -> bool {
    chat.choice != Choice::None
}

fn finish_words(finish: &Finish) -> (&'static str, String) {
    match finish {
        Finish::End => ("stop", "null".to_owned()),
        Finish::Stop(stop) => ("stop", quote(stop)),
        Finish::Length => ("length", "null".to_owned()),
    }
}

fn call_id(frame: &Frame, index: usize) -> String {
    let mut dice = super::dice::Dice::new(frame.call_seed.wrapping_add(index as u64 + 1));
    format!("chatcmpl-tool-{:016x}", dice.next())
}
