//! The model: it knows a script by heart.
//!
//! A request goes in; the raw text of the answer comes out, with the tags that a
//! model of the Qwen family writes (`<think>`, `<tool_call>`). The last message
//! decides. The lines are those of the model behind the recorded traces, so the
//! mock's answers can be held against what a real server sent; to any other
//! message it answers with the user's first words.

use super::engine::Tokens;
use super::json::{instance, spaced};
use super::request::{Chat, Choice};
use super::token::pieces;
use serde_json::{Value, json};

/// Message, thinking, answer.
type Line = (&'static str, Option<&'static str>, &'static str);

macro_rules! weather {
    ($city:literal) => {
        concat!(
            "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"",
            $city,
            "\", \"unit\": \"celsius\"}}\n</tool_call>"
        )
    };
}

const SCRIPT: [Line; 18] = [
    ("Say hello.", None, "Hello! How can I help you today?"),
    ("Say nothing.", None, ""),
    (
        "Think: what is 2 + 2?",
        Some("The user asks for two plus two. Two plus two is four."),
        "2 + 2 = 4.",
    ),
    (
        "Think only.",
        Some("I only think about this and never answer."),
        "",
    ),
    (
        "Greet me in many scripts.",
        None,
        "こんにちは 👋🏽 — naïve café, Привет, שלום 👨‍👩‍👧‍👦 ✓",
    ),
    (
        "Show me code.",
        None,
        "```rust\nfn main() {\n\tprintln!(\"hi \\\"you\\\"\");\n}\n```\n",
    ),
    ("Weather in Paris?", None, weather!("Paris")),
    (
        "Weather in Paris and Tokyo?",
        None,
        concat!(weather!("Paris"), "\n", weather!("Tokyo")),
    ),
    (
        "Think: weather in Oslo?",
        Some("I need the weather tool for Oslo."),
        weather!("Oslo"),
    ),
    (
        "Say something, then weather in Rome.",
        None,
        concat!("Let me look that up.\n", weather!("Rome")),
    ),
    (
        "Think, say something, then weather in Lima.",
        Some("Lima needs the weather tool."),
        concat!("Looking up Lima.\n", weather!("Lima")),
    ),
    (
        "What time is it?",
        None,
        "<tool_call>\n{\"name\": \"get_time\", \"arguments\": {}}\n</tool_call>",
    ),
    (
        "Write the file.",
        None,
        concat!(
            "<tool_call>\n{\"name\": \"write_file\", \"arguments\": {\"path\": \"/tmp/é.txt\", ",
            r#""text": "line \"one\"\nline two\t{\"a\": [1, 2.5, null, true]}\n</p> \\ 日本 👋", "#,
            "\"mode\": 420, \"opts\": {\"deep\": {\"x\": []}}}}\n</tool_call>"
        ),
    ),
    (
        "Broken call.",
        None,
        "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Par\n</tool_call>",
    ),
    (
        "Unclosed call.",
        None,
        "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}",
    ),
    (
        "Call then talk.",
        None,
        concat!(weather!("Bern"), "\nDone."),
    ),
    (
        "Unknown tool.",
        None,
        "<tool_call>\n{\"name\": \"no_such_tool\", \"arguments\": {\"q\": \"x\"}}\n</tool_call>",
    ),
    ("Count to one hundred.", None, ""),
];

/// The messages that have a scripted answer, for help texts.
pub fn messages() -> impl Iterator<Item = &'static str> {
    SCRIPT.iter().map(|(message, ..)| *message)
}

/// How the model treats its thinking.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// A reasoning parser reads the output, from the first token on.
    pub(crate) parsed: bool,
    /// The model closes its thinking even when it has nothing to think.
    pub(crate) closes: bool,
}

/// The tokens of the answer to `chat`.
pub(crate) fn answer(chat: &Chat, habits: Habits) -> Tokens {
    if let Some(schema) = &chat.schema {
        return tokens(with_thinking(
            None,
            &spaced(&instance(schema)),
            chat,
            habits,
        ));
    }
    let last = chat.last_text();
    if let Some(to) = count_to(&last) {
        let to = (!chat.ignore_eos).then_some(to);
        let opening = with_thinking(None, "", chat, habits);
        return Box::new(
            pieces(&opening)
                .map(str::to_owned)
                .collect::<Vec<_>>()
                .into_iter()
                .chain(numbers(to)),
        );
    }
    let (thinking, text) = match SCRIPT.iter().find(|(message, ..)| *message == last) {
        Some((_, thinking, text)) if !chat.after_tool => {
            (thinking.map(str::to_owned), (*text).to_owned())
        }
        _ => improvised(chat, &last),
    };
    let text = match &chat.choice {
        Choice::Required => forced(chat, &text, None),
        Choice::Named(name) => forced(chat, &text, Some(name)),
        _ if !chat.parallel => first_call_only(&text),
        _ => text,
    };
    tokens(with_thinking(thinking.as_deref(), &text, chat, habits))
}

fn tokens(text: String) -> Tokens {
    let tokens: Vec<String> = pieces(&text).map(str::to_owned).collect();
    Box::new(tokens.into_iter())
}

/// Puts the thinking before the answer, as the chat template taught it.
fn with_thinking(thinking: Option<&str>, text: &str, chat: &Chat, habits: Habits) -> String {
    // A grammar that forces a call leaves no room between thinking and call.
    let gap = match chat.choice {
        Choice::Required | Choice::Named(_) => "",
        _ => "\n\n",
    };
    match thinking {
        Some(thinking) if chat.thinking => {
            format!("<think>\n{thinking}\n</think>{gap}{text}")
        }
        None if chat.thinking && habits.parsed && habits.closes => format!("</think>{text}"),
        _ => text.to_owned(),
    }
}

/// An answer to a message that is not in the script.
fn improvised(chat: &Chat, last: &str) -> (Option<String>, String) {
    let words = first_words(last);
    if chat.after_tool {
        return (
            None,
            match last {
                "18 degrees, sunny" => "It is 18 degrees and sunny.".to_owned(),
                _ => format!("The tool says: {words}"),
            },
        );
    }
    if let (Choice::Auto, Some(tool)) = (
        &chat.choice,
        chat.tools
            .iter()
            .find(|tool| last.contains(tool_name(tool))),
    ) {
        return (None, call(tool));
    }
    (
        Some(format!(
            "The user says \"{words}\". I will say that I heard it."
        )),
        format!(
            "You said: \"{words}\". I am a stand-in for a vLLM server and answer from a script; ask me to \"Count to 20.\" or \"Say hello.\""
        ),
    )
}

/// The first words of a message, on one line, at most 60 characters.
fn first_words(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_whitespace() {
        if out.chars().count() + word.chars().count() > 60 {
            out.push('…');
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// The one call that a forced tool choice allows: the scripted one where it
/// fits, else a small instance of the tool's parameters.
fn forced(chat: &Chat, text: &str, name: Option<&str>) -> String {
    let wanted = |text: &&str| match name {
        Some(name) => text.contains(&format!("\"name\": \"{name}\"")),
        None => true,
    };
    let scripted = text
        .find("<tool_call>")
        .map(|at| &text[at..])
        .filter(wanted)
        .map(first_call_only);
    scripted.unwrap_or_else(|| {
        let tool = chat
            .tools
            .iter()
            .find(|tool| name.is_none_or(|name| tool_name(tool) == name));
        tool.map(call).unwrap_or_default()
    })
}

fn first_call_only(text: &str) -> String {
    const END: &str = "</tool_call>";
    match text.find(END) {
        Some(at) => text[..at + END.len()].to_owned(),
        None => text.to_owned(),
    }
}

fn tool_name(tool: &Value) -> &str {
    tool.pointer("/function/name")
        .and_then(Value::as_str)
        .unwrap_or("f")
}

fn call(tool: &Value) -> String {
    let empty = json!({});
    let schema = tool.pointer("/function/parameters").unwrap_or(&empty);
    let name = super::json::quote(tool_name(tool));
    let arguments = spaced(&instance(schema));
    format!("<tool_call>\n{{\"name\": {name}, \"arguments\": {arguments}}}\n</tool_call>")
}

/// "Count to one hundred." and "Count to N." with N up to 1,000,000: streams of
/// any length, for tests of pacing, cancelling and swapping.
fn count_to(message: &str) -> Option<u64> {
    let number = message.strip_prefix("Count to ")?.strip_suffix('.')?;
    match number {
        "one hundred" => Some(100),
        digits => digits.parse().ok().filter(|n| (1..=1_000_000).contains(n)),
    }
}

fn numbers(to: Option<u64>) -> impl Iterator<Item = String> + Send {
    (1..=to.unwrap_or(u64::MAX)).flat_map(|n| {
        let space = (n > 1).then(|| " ".to_owned());
        let digits: Vec<String> = n.to_string().chars().map(String::from).collect();
        space.into_iter().chain(digits)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::mock::request::{Served, parse};

    const HABITS: Habits = Habits {
        parsed: true,
        closes: true,
    };

    /// The raw text a request is answered with; `more` is further fields.
    fn said(message: &str, more: &str) -> String {
        let body = format!(r#"{{"messages":[{{"role":"user","content":{message:?}}}]{more}}}"#);
        let served = Served { tool_parser: true };
        let chat = parse(Some("application/json"), body.as_bytes(), served).unwrap();
        answer(&chat, HABITS).collect()
    }

    #[test]
    fn a_message_outside_the_script_is_answered_with_its_first_words() {
        let text = said("Please be so kind", "");
        assert!(text.starts_with("<think>\n"), "{text}");
        assert!(text.contains("</think>\n\nYou said: \"Please be so kind\"."));
        let plain = said("Hm", r#","chat_template_kwargs":{"enable_thinking":false}"#);
        assert!(plain.starts_with("You said: \"Hm\"."), "{plain}");
    }

    #[test]
    fn a_model_with_nothing_to_think_closes_its_thinking_if_that_is_its_habit() {
        assert!(said("Say hello.", "").starts_with("</think>Hello!"));
    }

    #[test]
    fn a_forced_call_fits_the_tool_even_when_the_script_has_none() {
        const TOOL: &str = r#","tools":[{"type":"function","function":{"name":"add","parameters":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}}}]"#;
        let call = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>";
        for choice in [
            r#","tool_choice":"required""#,
            r#","tool_choice":{"type":"function","function":{"name":"add"}}"#,
        ] {
            for message in ["Hm", "Say hello."] {
                let text = said(message, &format!("{TOOL}{choice}"));
                assert!(text.ends_with(call), "{text}");
            }
        }
        assert!(said("Please add it up.", TOOL).ends_with(call));
        assert!(!said("Say hello.", TOOL).contains("<tool_call>"));
    }

    #[test]
    fn an_answer_held_to_a_schema_is_an_instance_of_it() {
        let format = r#","response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"]}}}"#;
        assert_eq!(said("Hm", format), "</think>{\"ok\": true}");
    }

    #[test]
    fn counting_goes_as_far_as_told_and_on_when_the_end_is_ignored() {
        assert_eq!(
            said("Count to 12.", ""),
            "</think>1 2 3 4 5 6 7 8 9 10 11 12"
        );
        let body = br#"{"messages":[{"role":"user","content":"Count to 2."}],"ignore_eos":true}"#;
        let served = Served { tool_parser: true };
        let chat = parse(Some("application/json"), body, served).unwrap();
        assert_eq!(answer(&chat, HABITS).take(9).count(), 9);
    }
}
