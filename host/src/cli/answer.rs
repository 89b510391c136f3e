//! An answer as far as it has come: events in, the whole out, at any moment.
//!
//! Texts are kept only for who needs the whole (`--json`), so that an answer
//! without end costs a terminal no memory. With them it costs at most what the
//! network's response limit lets in.

use std::time::{Duration, Instant};

use provider_host::route::Step;
use provider_host::types::{self, Event};

use super::json;

/// What came of one request.
#[derive(Debug)]
pub(super) struct Answer {
    started: Instant,
    first_event: Option<Duration>,
    first_content: Option<Duration>,
    id: String,
    model: Option<String>,
    text: String,
    reasoning: String,
    tool_calls: Vec<Call>,
    usage: Option<types::Usage>,
    finish: Option<types::FinishReason>,
    detours: Vec<json::Detour>,
    keeps_texts: bool,
}

#[derive(Debug)]
struct Call {
    index: u32,
    id: String,
    name: String,
    arguments: String,
    /// The whole of them was judged to be a JSON object.
    valid: bool,
}

impl Answer {
    /// The answer to a request that starts now, with its texts.
    pub(super) fn whole() -> Self {
        Self::new(true)
    }

    /// The same without its texts: what is shown as it comes.
    pub(super) fn passing() -> Self {
        Self::new(false)
    }

    fn new(keeps_texts: bool) -> Self {
        Self {
            started: Instant::now(),
            first_event: None,
            first_content: None,
            id: String::new(),
            model: None,
            text: String::new(),
            reasoning: String::new(),
            tool_calls: Vec::new(),
            usage: None,
            finish: None,
            detours: Vec::new(),
            keeps_texts,
        }
    }

    /// Takes in what happened before the answer.
    pub(super) fn detour(&mut self, step: &Step) {
        self.detours.extend(json::Detour::of(step));
    }

    /// The detours so far; none if there were none.
    pub(super) fn detours(&self) -> Option<&[json::Detour]> {
        (!self.detours.is_empty()).then_some(&self.detours)
    }

    /// Takes the next event in.
    pub(super) fn add(&mut self, event: &Event) {
        let elapsed = self.started.elapsed();
        self.first_event.get_or_insert(elapsed);
        if matches!(
            event,
            Event::Text(_) | Event::Reasoning(_) | Event::ToolCallStart(_)
        ) {
            self.first_content.get_or_insert(elapsed);
        }
        let has_text = matches!(
            event,
            Event::Text(_)
                | Event::Reasoning(_)
                | Event::ToolCallStart(_)
                | Event::ToolCallArguments(_)
                | Event::ToolCallEnd(_)
        );
        if has_text && !self.keeps_texts {
            return;
        }
        match event {
            Event::Start(start) => {
                self.id.clone_from(&start.id);
                self.model = Some(start.model.clone());
            }
            Event::Text(text) => self.text.push_str(text),
            Event::Reasoning(text) => self.reasoning.push_str(text),
            Event::ToolCallStart(call) => self.tool_calls.push(Call {
                index: call.index,
                id: call.id.clone(),
                name: call.name.clone(),
                arguments: String::new(),
                valid: false,
            }),
            Event::ToolCallArguments(piece) => {
                if let Some(call) = self.call(piece.index) {
                    call.arguments.push_str(&piece.delta);
                }
            }
            Event::ToolCallEnd(end) => match self.call(end.index) {
                Some(call) => {
                    call.id.clone_from(&end.id);
                    call.name.clone_from(&end.name);
                    call.arguments.clone_from(&end.arguments);
                    call.valid = end.valid;
                }
                None => self.tool_calls.push(Call {
                    index: end.index,
                    id: end.id.clone(),
                    name: end.name.clone(),
                    arguments: end.arguments.clone(),
                    valid: end.valid,
                }),
            },
            Event::Usage(usage) => self.usage = Some(usage.clone()),
            Event::Finish(reason) => self.finish = Some(reason.clone()),
            Event::Note(note) => {
                provider_host::Answer::split_reasoning(note, &mut self.text, &mut self.reasoning);
            }
            Event::Other(_) => {}
        }
    }

    fn call(&mut self, index: u32) -> Option<&mut Call> {
        self.tool_calls.iter_mut().find(|call| call.index == index)
    }

    /// Whether the answer has come to its end.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Why the answer ended.
    pub(super) fn finish(&self) -> Option<&types::FinishReason> {
        self.finish.as_ref()
    }

    pub(super) fn usage(&self) -> Option<&types::Usage> {
        self.usage.as_ref()
    }

    /// Time from the start of the request to now.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Time to the first piece of text, thinking or call.
    pub(super) fn first_content(&self) -> Option<Duration> {
        self.first_content
    }

    /// The answer as a turn of the conversation, of a whole one with its texts. Its calls are left out: nobody answers
    /// them.
    pub(super) fn turn(&self) -> types::Message {
        let reasoning = Some(self.reasoning.clone()).filter(|text| !text.is_empty());
        types::Message::Assistant(types::AssistantMessage {
            content: vec![types::ContentPart::Text(self.text.clone())],
            reasoning,
            tool_calls: Vec::new(),
            status: types::TurnStatus::Completed,
        })
    }

    /// The last line of `chat --json`; `asked` is the model that was asked
    /// for, in case the server did not say which one answered.
    pub(super) fn result<'a>(&'a self, asked: &'a str) -> json::Result<'a> {
        let usage = self.usage.as_ref();
        json::Result {
            id: &self.id,
            model: self
                .model
                .as_deref()
                .filter(|model| !model.is_empty())
                .unwrap_or(asked),
            text: &self.text,
            reasoning: &self.reasoning,
            tool_calls: self.json_calls(|call| Some(call.valid)),
            finish_reason: self.finish.as_ref().map_or("", json::finish_reason),
            usage: usage.map(json::Usage::from),
            cost: usage
                .and_then(|usage| usage.cost.as_ref())
                .map(json::Cost::from),
            timing: json::Timing {
                first_event_ms: self.first_event.map(milliseconds),
                total_ms: milliseconds(self.elapsed()),
            },
            retries: self.detours(),
        }
    }

    /// What came before a failure; none if nothing did.
    pub(super) fn partial(&self) -> Option<json::Partial<'_>> {
        let nothing = self.text.is_empty()
            && self.reasoning.is_empty()
            && self.tool_calls.is_empty()
            && self.usage.is_none();
        (!nothing).then(|| json::Partial {
            text: &self.text,
            reasoning: &self.reasoning,
            // Nobody has judged the call that was cut.
            tool_calls: self.json_calls(|_| None),
            usage: self.usage.as_ref().map(json::Usage::from),
        })
    }

    fn json_calls(&self, valid: fn(&Call) -> Option<bool>) -> Vec<json::ToolCall<'_>> {
        self.tool_calls
            .iter()
            .map(|call| json::ToolCall {
                id: &call.id,
                name: &call.name,
                arguments: &call.arguments,
                valid: valid(call),
            })
            .collect()
    }
}

/// Milliseconds to the microsecond.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(model: &str) -> Event {
        Event::Start(types::StreamStart {
            id: "c1".into(),
            model: model.into(),
        })
    }

    fn call_start(index: u32, id: &str, name: &str) -> Event {
        Event::ToolCallStart(types::ToolCallStart {
            index,
            id: id.into(),
            name: name.into(),
        })
    }

    fn arguments(index: u32, delta: &str) -> Event {
        Event::ToolCallArguments(types::ToolCallArguments {
            index,
            delta: delta.into(),
        })
    }

    fn result(events: &[Event]) -> serde_json::Value {
        let mut answer = Answer::whole();
        for event in events {
            answer.add(event);
        }
        let mut value = serde_json::to_value(answer.result("asked")).unwrap();
        let timing = value.as_object_mut().unwrap().remove("timing").unwrap();
        assert!(timing["total_ms"].is_number());
        assert_eq!(timing["first_event_ms"].is_null(), events.is_empty());
        value
    }

    #[test]
    fn events_add_up_to_the_result() {
        let usage = types::Usage {
            input: 1,
            output: 2,
            cache_read: 3,
            cache_write: 0,
            reasoning: Some(1),
            total: 6,
            cost: Some(types::CostBreakdown {
                input: 0.5,
                output: 1.0,
                cache_read: 0.0,
                cache_write: 0.0,
                total: 1.5,
            }),
            source: types::UsageSource::Final,
        };
        let events = [
            start("served"),
            Event::Reasoning("think".into()),
            Event::Text("Hello".into()),
            call_start(0, "a", "f"),
            call_start(1, "b", "g"),
            arguments(0, "{\"x\""),
            arguments(1, "{"),
            arguments(0, ":1}"),
            arguments(9, "nobody's"),
            Event::ToolCallEnd(types::ToolCallEnd {
                index: 0,
                id: "a".into(),
                name: "f".into(),
                arguments: "{\"x\":1}".into(),
                valid: true,
            }),
            Event::Text(", you".into()),
            Event::Usage(usage),
            Event::Finish(types::FinishReason::Length),
        ];
        assert_eq!(
            result(&events),
            serde_json::json!({
                "id": "c1", "model": "served", "text": "Hello, you", "reasoning": "think",
                "tool_calls": [{"id": "a", "name": "f", "arguments": "{\"x\":1}", "valid": true},
                               {"id": "b", "name": "g", "arguments": "{", "valid": false}],
                "finish_reason": "length",
                "usage": {"input": 1, "output": 2, "cache_read": 3, "cache_write": 0,
                          "reasoning": 1, "total": 6},
                "cost": {"input": 0.5, "output": 1.0, "cache_read": 0.0, "cache_write": 0.0,
                         "total": 1.5},
            })
        );
    }

    #[test]
    fn without_usage_there_is_no_cost_and_without_a_name_the_model_is_the_one_asked_for() {
        let value = result(&[start(""), Event::Finish(types::FinishReason::Stop)]);
        assert_eq!(value["usage"], serde_json::Value::Null);
        assert_eq!(value["cost"], serde_json::Value::Null);
        assert_eq!(value["model"], "asked");
        assert_eq!(value["tool_calls"], serde_json::json!([]));
    }

    #[test]
    fn a_partial_answer_is_what_came_or_nothing() {
        let mut answer = Answer::whole();
        assert!(answer.partial().is_none());
        answer.add(&start("m"));
        assert!(answer.partial().is_none(), "a start is no answer");
        assert!(!answer.is_finished());
        answer.add(&Event::Text("half".into()));
        let partial = serde_json::to_value(answer.partial()).unwrap();
        assert_eq!(
            partial,
            serde_json::json!({"text": "half", "reasoning": "", "tool_calls": [], "usage": null})
        );
    }
}
