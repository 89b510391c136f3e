//! Answers that are well-formed and wrong: without end, without measure, out of order, or written to be misread.

use wasip2::clocks::monotonic_clock::subscribe_duration;

use crate::bindings::exports::llm::provider::token_counter::TokenCount;
use crate::bindings::llm::provider::types::{
    Cost, CostBreakdown, Error, ErrorKind, Event, Extension, FinishReason, Modality, Model,
    ModelSource, Note, StreamStart, ToolCallArguments, ToolCallEnd, ToolCallStart, Usage,
    UsageSource,
};
use crate::provider::{greeting, model};
use crate::{Orders, error};

/// An answer, call by call.
type Answer = Result<Vec<Event>, Error>;

/// Clears the screen, sets the title, reads the clipboard, turns the text round, goes back to the line's beginning, and says
/// something that nobody sees.
pub(crate) const ESCAPES: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}]52;c;?\u{7}\u{202e}txt\u{2066}\r\u{9b}31m\u{8}\0\
     \u{200e}\u{200f}\u{61c}\u{200b}\u{ad}\u{34f}\u{feff}\u{3164}\u{e0041}\u{e0042}\u{e0100}";

/// A word of the provider's, or one that drives a terminal.
pub(crate) fn word(orders: &Orders, regular: &str) -> String {
    match orders.attack.as_str() {
        "escape-sequences" => format!("{regular}{ESCAPES}"),
        _ => regular.to_owned(),
    }
}

/// The greeting, and then what follows, for ever.
fn after_greeting(call: u32, then: impl FnOnce() -> Vec<Event>) -> Answer {
    Ok(match call {
        0 => greeting().into(),
        _ => then(),
    })
}

/// The greeting, these, and a regular end.
fn between(call: u32, events: impl FnOnce() -> Vec<Event>) -> Answer {
    after_greeting(call, || match call {
        1 => events(),
        2 => vec![Event::Finish(FinishReason::Stop)],
        _ => Vec::new(),
    })
}

pub(super) fn endless_text(_: &Orders, call: u32) -> Answer {
    after_greeting(call, || vec![Event::Text("and so on ".repeat(100)); 64])
}

pub(super) fn endless_thinking(_: &Orders, call: u32) -> Answer {
    after_greeting(call, || vec![Event::Reasoning("hm ".into()); 64])
}

pub(super) fn endless_notes(_: &Orders, call: u32) -> Answer {
    after_greeting(call, || vec![Event::Note(note("n".into())); 64])
}

pub(super) fn endless_extensions(_: &Orders, call: u32) -> Answer {
    let extension = Extension {
        name: "x".into(),
        value: "{}".into(),
    };
    after_greeting(call, || vec![Event::Other(extension); 64])
}

pub(super) fn endless_arguments(_: &Orders, call: u32) -> Answer {
    let begun = || {
        Event::ToolCallStart(ToolCallStart {
            index: 0,
            id: "c".into(),
            name: "f".into(),
        })
    };
    let piece = || {
        Event::ToolCallArguments(ToolCallArguments {
            index: 0,
            delta: "1,".repeat(1_000),
        })
    };
    after_greeting(call, || match call {
        1 => vec![begun()],
        _ => vec![piece(); 64],
    })
}

/// A word now and then, for as long as anybody listens.
pub(super) fn trickle(_: &Orders, call: u32) -> Answer {
    if call > 0 {
        subscribe_duration(100_000_000).block();
    }
    after_greeting(call, || vec![Event::Text("and ".into())])
}

/// Computes between two words, each time for less than a call may.
pub(super) fn computing_trickle(_: &Orders, call: u32) -> Answer {
    use wasip2::clocks::monotonic_clock::now;
    let end = now() + 50_000_000;
    while call > 0 && now() < end {}
    after_greeting(call, || vec![Event::Text("and ".into())])
}

/// One text of 24 MiB.
pub(super) fn giant_event(_: &Orders, call: u32) -> Answer {
    between(call, || vec![Event::Text("a".repeat(24 << 20))])
}

/// The stream does not look at how many events it is asked for.
pub(super) fn more_events_than_asked(_: &Orders, call: u32) -> Answer {
    between(call, || vec![Event::Text("one more\n".into()); 1_000])
}

pub(super) fn million_events(_: &Orders, call: u32) -> Answer {
    between(call, || vec![Event::Text("a".into()); 1_000_000])
}

pub(super) fn million_calls(_: &Orders, call: u32) -> Answer {
    let begun = |index| {
        Event::ToolCallStart(ToolCallStart {
            index,
            id: String::new(),
            name: String::new(),
        })
    };
    between(call, || (0..5_000).map(begun).collect())
}

/// Says something, and fails.
pub(super) fn trap_in_the_middle(_: &Orders, call: u32) -> Answer {
    after_greeting(call, || match call {
        1 => vec![Event::Text("said before\n".into()); 3],
        _ => std::arch::wasm32::unreachable(),
    })
}

pub(super) fn text_before_start(_: &Orders, _: u32) -> Answer {
    Ok(vec![Event::Text("first".into())])
}

pub(super) fn second_start(_: &Orders, _: u32) -> Answer {
    Ok(greeting().into())
}

pub(super) fn text_after_finish(_: &Orders, call: u32) -> Answer {
    after_greeting(call, || {
        let text = Event::Text("one thing more".into());
        vec![Event::Finish(FinishReason::Stop), text]
    })
}

pub(super) fn second_finish(_: &Orders, call: u32) -> Answer {
    after_greeting(call, || vec![Event::Finish(FinishReason::Stop); 2])
}

pub(super) fn no_finish(_: &Orders, call: u32) -> Answer {
    after_greeting(call, Vec::new)
}

pub(super) fn empty_texts(_: &Orders, call: u32) -> Answer {
    after_greeting(call, || vec![Event::Text(String::new()); 64])
}

/// Arguments for a call that nobody made.
pub(super) fn end_of_no_call(_: &Orders, call: u32) -> Answer {
    let end = ToolCallEnd {
        index: 7,
        id: "c".into(),
        name: "rm".into(),
        arguments: "{\"path\":\"/\"}".into(),
        valid: true,
    };
    after_greeting(call, || vec![Event::ToolCallEnd(end)])
}

/// A usage that adds up to nothing.
pub(super) fn usage(_: &Orders, call: u32) -> Answer {
    let usage = Usage {
        input: u64::MAX,
        output: u64::MAX,
        cache_read: u64::MAX,
        cache_write: u64::MAX - 1,
        reasoning: Some(u64::MAX),
        total: u64::MAX,
        cost: Some(CostBreakdown {
            input: f64::NAN,
            output: f64::INFINITY,
            cache_read: f64::NEG_INFINITY,
            cache_write: -1.0,
            total: f64::MAX,
        }),
        source: UsageSource::Other("made up".into()),
    };
    between(call, || vec![Event::Usage(usage)])
}

/// A mebibyte of terminal control, with the key in it, again and again.
fn giant(orders: &Orders) -> Error {
    let sentence = format!("{ESCAPES} the key is {} ", orders.key);
    let times = (1 << 20) / sentence.len();
    Error {
        kind: ErrorKind::Other(sentence.repeat(100)),
        code: Some(sentence.repeat(100)),
        ..error(sentence.repeat(times))
    }
}

pub(super) fn giant_error(orders: &Orders, call: u32) -> Answer {
    match call {
        0 => Ok(greeting().into()),
        _ => Err(giant(orders)),
    }
}

/// Every number of an error at its end.
pub(super) fn error_of_numbers(_: &Orders, _: u32) -> Answer {
    Err(Error {
        kind: ErrorKind::InvalidRequest,
        status: Some(u16::MAX),
        retryable: true,
        retry_after_ms: Some(u64::MAX),
        request_sent: false,
        limit: Some(u64::MAX),
        requested: Some(u64::MAX),
        ..error("numbers".into())
    })
}

/// Everything that has words, with such as drive a terminal.
pub(super) fn escapes(orders: &Orders, call: u32) -> Answer {
    let text = || format!("{ESCAPES}{}\n", orders.key);
    match call {
        0 => Ok(vec![
            Event::Start(StreamStart {
                id: text(),
                model: text(),
            }),
            Event::Reasoning(text()),
            Event::Note(note(text())),
            Event::ToolCallStart(ToolCallStart {
                index: 0,
                id: text(),
                name: text(),
            }),
            Event::ToolCallEnd(ToolCallEnd {
                index: 0,
                id: text(),
                name: text(),
                arguments: text(),
                valid: false,
            }),
            Event::Text(text()),
        ]),
        1 => Ok(vec![Event::Finish(FinishReason::Other(text()))]),
        _ => Ok(Vec::new()),
    }
}

fn note(text: String) -> Note {
    Note {
        code: text.clone(),
        path: Some(text.clone()),
        message: text,
    }
}

/// The notes of settings, of a catalog, of a server's health.
pub(crate) fn notes(orders: &Orders) -> Result<Vec<Note>, Error> {
    match orders.attack.as_str() {
        "escape-sequences" => Ok(vec![note(format!("{ESCAPES}{}", orders.key))]),
        "giant-error" if orders.at != "next" => Err(giant(orders)),
        "many-notes" => Ok(vec![note("a".repeat(400)); 16_000]),
        _ => Ok(Vec::new()),
    }
}

/// The models of a catalog.
pub(crate) fn models(orders: &Orders) -> Result<Vec<Model>, Error> {
    let one = |id: &str| model(id.to_owned());
    Ok(match orders.attack.as_str() {
        "lying-models" => vec![
            Model {
                context_window: 0,
                max_tokens: 0,
                input: Vec::new(),
                ..one("")
            },
            Model {
                context_window: u32::MAX,
                max_tokens: u32::MAX,
                cost: Cost {
                    input: f64::NAN,
                    output: f64::INFINITY,
                    cache_read: f64::NEG_INFINITY,
                    cache_write: -1.0,
                },
                ..one("hostile")
            },
            Model {
                context_window: 0,
                max_tokens: u32::MAX,
                cost: Cost {
                    input: f64::MAX,
                    output: f64::MIN_POSITIVE,
                    cache_read: -0.0,
                    cache_write: f64::MAX,
                },
                ..one("hostile")
            },
        ],
        "escape-sequences" => {
            let text = format!("hostile{ESCAPES}");
            vec![Model {
                name: text.clone(),
                input: vec![Modality::Other(text.clone())],
                parent: Some(text.clone()),
                source: ModelSource::Other(text.clone()),
                cost: Cost {
                    input: 1.0,
                    ..one("").cost
                },
                ..model(text)
            }]
        }
        "many-models" => vec![one(&"a".repeat(600)); 20_000],
        _ => vec![one("hostile")],
    })
}

/// How long a prompt is.
pub(crate) fn count(orders: &Orders) -> Result<TokenCount, Error> {
    Ok(match orders.attack.as_str() {
        "lying-count" => TokenCount {
            prompt: u32::MAX,
            context_window: Some(0),
        },
        _ => TokenCount {
            prompt: 1,
            context_window: None,
        },
    })
}
