//! Our requests beside those of the real OpenClaw, for the same configuration
//! and the same conversation (`tests/fixtures/openclaw/README.md`).
//!
//! The recorded body is turned into ours by differences that have names. Each
//! must be there to be taken away: a difference that has gone fails the test as
//! one that has come.

use super::*;
use crate::catalog::{self, Plan};

struct Recorded {
    file: &'static str,
    text: &'static str,
    differences: &'static [Difference],
}

/// How our body differs from the recorded one, on purpose.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Difference {
    /// OpenClaw of April sends `store: false`; it is OpenAI's own.
    StoreIsNeverSent,
    /// OpenClaw before 2026.4.22 gets no usage.
    UsageIsAskedFor,
    /// A text alone is a string, which every chat template can take.
    TextAloneIsAString,
    /// OpenClaw of September sends `tool_choice: "auto"`, the default, unasked.
    ToolChoiceOnlyWhenAskedFor,
    /// With the wildcard, OpenClaw does not ask the server and sends no limit.
    TheLimitIsAlwaysSent,
    /// OpenClaw strips characters from ids, and can make two of them one.
    IdsOfCallsAreUntouched,
    /// OpenClaw of April replays thinking to models that do not think.
    ThinkingIsReplayedToReasoningModelsOnly,
    /// OpenClaw of April speaks OpenAI's `reasoning_effort` to every model.
    ThinkingIsSwitchedAsTheFamilyDoes,
}
use Difference::*;

macro_rules! recorded {
    ($($file:literal: $($difference:ident)*;)*) => {
        &[$(Recorded {
            file: $file,
            text: include_str!(concat!("../../../../tests/fixtures/openclaw/", $file, ".json")),
            differences: &[$($difference),*],
        }),*]
    };
}

static RECORDED: &[Recorded] = recorded! {
    "02-models-list-all": ;
    "03-agent-default-discovery": StoreIsNeverSent UsageIsAskedFor TextAloneIsAString;
    "05-agent-default-discovery": StoreIsNeverSent TextAloneIsAString;
    "06-agent-explicit": StoreIsNeverSent TextAloneIsAString;
    "07-agent-400-context": StoreIsNeverSent TextAloneIsAString;
    "09-agent-400-context-wrapped": StoreIsNeverSent TextAloneIsAString;
    "10-models-list-refresh": ;
    "14-models-list-wildcard": ;
    "15-agent-wildcard": TextAloneIsAString ToolChoiceOnlyWhenAskedFor TheLimitIsAlwaysSent;
    "20-agent-explicit": TextAloneIsAString ToolChoiceOnlyWhenAskedFor;
    "25-agent-reasoning-and-tool":
        TextAloneIsAString ToolChoiceOnlyWhenAskedFor IdsOfCallsAreUntouched;
    "26-agent-qwen-thinking-on": TextAloneIsAString ToolChoiceOnlyWhenAskedFor;
    "32-agent-tool-roundtrip":
        StoreIsNeverSent TextAloneIsAString IdsOfCallsAreUntouched
        ThinkingIsReplayedToReasoningModelsOnly;
    "33-agent-reasoning-medium":
        StoreIsNeverSent TextAloneIsAString ThinkingIsSwitchedAsTheFamilyDoes;
};

/// The list that the server of the recordings served.
const SERVED: &str = r#"{"data":[{"id":"Qwen/Qwen3-8B","max_model_len":40960}]}"#;

#[test]
fn each_recorded_body_is_ours_but_for_the_named_differences() {
    let mut compared = 0;
    for recorded in RECORDED {
        let file: Value = serde_json::from_str(recorded.text).unwrap();
        let mut seen = Vec::new();
        for request in file["requests"].as_array().unwrap() {
            if request["method"] != "POST" {
                continue;
            }
            let theirs = &request["body"];
            let settings = settings_of(&file);
            let id = theirs["model"].as_str().unwrap();
            let model = match catalog::declared(&settings, id).unwrap() {
                Some(model) => model,
                None => {
                    let catalog = catalog::from_answer(&settings, 200, &[], SERVED.as_bytes());
                    catalog::find(&settings, catalog, id).unwrap()
                }
            };
            let ours = build(&settings, &model, &conversation(theirs, &file["thinking"])).unwrap();
            let mut expected = theirs.clone();
            for difference in recorded.differences {
                if apply(*difference, &mut expected) {
                    seen.push(*difference);
                }
            }
            let tools = expected["tools"].as_array_mut().unwrap();
            for tool in tools {
                *tool = json!({"type": "function", "function":
                    {"name": tool, "description": "…", "parameters": {"type": "object"}}});
            }
            let body: Value = serde_json::from_slice(&ours.body).unwrap();
            assert_eq!(body, expected, "{}", recorded.file);
            let host = request["host"].as_str().unwrap();
            let path = request["path"].as_str().unwrap();
            assert_eq!(
                ours.url,
                format!("http://{host}{path}"),
                "{}",
                recorded.file
            );
            assert_eq!(ours.method, "POST");
            headers_agree(&ours.headers, &request["headers"], recorded.file);
            compared += 1;
        }
        for difference in recorded.differences {
            assert!(
                seen.contains(difference),
                "{}: {difference:?} is not there",
                recorded.file
            );
        }
    }
    assert_eq!(compared, 15);
}

#[test]
fn discovery_asks_where_openclaw_asks_and_sends_the_configured_headers_too() {
    let mut compared = 0;
    for recorded in RECORDED {
        let file: Value = serde_json::from_str(recorded.text).unwrap();
        for request in file["requests"].as_array().unwrap() {
            if request["method"] != "GET" {
                continue;
            }
            let settings = settings_of(&file);
            let Plan::Discover(ours) = catalog::plan(&settings).unwrap() else {
                panic!("{}: nothing is asked", recorded.file);
            };
            let host = request["host"].as_str().unwrap();
            let path = request["path"].as_str().unwrap();
            assert_eq!(
                ours.url,
                format!("http://{host}{path}"),
                "{}",
                recorded.file
            );
            headers_agree(&ours.headers, &request["headers"], recorded.file);
            let sends_team = ours.headers.iter().any(|(name, _)| name == "x-team");
            assert_eq!(sends_team, !file["provider"].is_null(), "{}", recorded.file);

            let answer = request["answer"].to_string();
            let catalog = catalog::from_answer(&settings, 200, &[], answer.as_bytes()).unwrap();
            let models: Vec<(&str, u32, bool)> = catalog
                .models
                .iter()
                .map(|m| (m.id.as_str(), m.context_window, m.reasoning))
                .collect();
            // September's OpenClaw reads the same sizes; Qwen3 is no reasoning
            // model to any of them.
            assert_eq!(
                models,
                [
                    ("Qwen/Qwen3-8B", 40_960, true),
                    ("deepseek-r1-distill", 131_072, true),
                    ("sql-lora", 40_960, false)
                ]
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 5);
}

fn settings_of(file: &Value) -> Settings {
    let provider = &file["provider"];
    Settings {
        config: (!provider.is_null()).then(|| provider.to_string()),
        api_key: file["api_key"].as_str().map(str::to_owned),
        discover: file["discover"] == true,
        models: Vec::new(),
    }
}

/// What OpenClaw sends and we do not, in the head: the SDK's telemetry, what
/// its HTTP client adds, a trace id. What we send and it sends the same of: the
/// key, the type of the body, the configured fields.
fn headers_agree(ours: &[(String, String)], theirs: &Value, file: &str) {
    let theirs: Vec<(String, &str)> = theirs
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str().unwrap()))
        .collect();
    for (name, value) in &theirs {
        let dropped = name.starts_with("x-stainless-")
            || [
                "traceparent",
                "accept-language",
                "sec-fetch-mode",
                "accept-encoding",
            ]
            .contains(&name.as_str());
        let changed = ["accept", "user-agent"].contains(&name.as_str());
        let found = ours.iter().find(|(own, _)| own == name);
        match found {
            None => assert!(dropped, "{file}: {name} is missing"),
            Some((_, own)) => assert!(changed || own == value, "{file}: {name}: {own}"),
        }
    }
    for (name, _) in ours {
        let known = theirs.iter().any(|(own, _)| own == name);
        assert!(known || name == "x-team", "{file}: {name} is added");
    }
}

/// Makes the difference; false if there is nothing that differs.
fn apply(difference: Difference, body: &mut Value) -> bool {
    let root = body.as_object_mut().unwrap();
    match difference {
        StoreIsNeverSent => root.remove("store").is_some(),
        UsageIsAskedFor => {
            let usage = json!({"include_usage": true});
            root.insert("stream_options".to_owned(), usage).is_none()
        }
        ToolChoiceOnlyWhenAskedFor => root.remove("tool_choice").is_some(),
        TheLimitIsAlwaysSent => root
            .insert("max_completion_tokens".to_owned(), json!(8_192))
            .is_none(),
        ThinkingIsSwitchedAsTheFamilyDoes => {
            let kwargs = json!({"enable_thinking": true, "preserve_thinking": true});
            root.insert("chat_template_kwargs".to_owned(), kwargs);
            root.remove("reasoning_effort").is_some()
        }
        TextAloneIsAString => each_message(body, |message| {
            let text = match message["content"].as_array().map(Vec::as_slice) {
                Some([part]) if part["type"] == "text" => part["text"].clone(),
                _ => return false,
            };
            message["content"] = text;
            true
        }),
        IdsOfCallsAreUntouched => each_message(body, |message| {
            let mut seen = false;
            for at in ["/tool_call_id", "/tool_calls/0/id"] {
                if let Some(id) = message.pointer_mut(at) {
                    assert_eq!(*id, "chatcmpltoolaa11");
                    *id = json!("chatcmpl-tool-aa11");
                    seen = true;
                }
            }
            seen
        }),
        ThinkingIsReplayedToReasoningModelsOnly => each_message(body, |message| {
            let message = message.as_object_mut().unwrap();
            message.remove("reasoning_content").is_some()
        }),
    }
}

fn each_message(body: &mut Value, mut change: impl FnMut(&mut Value) -> bool) -> bool {
    let mut any = false;
    for message in body["messages"].as_array_mut().unwrap() {
        any |= change(message);
    }
    any
}

/// The conversation behind a recorded body, in the contract's words.
fn conversation(body: &Value, thinking: &Value) -> ChatRequest {
    let text = |value: &Value| match value {
        Value::String(text) => vec![ContentPart::Text(text.clone())],
        Value::Array(parts) => parts
            .iter()
            .map(|part| ContentPart::Text(part["text"].as_str().unwrap().to_owned()))
            .collect(),
        _ => Vec::new(),
    };
    let own = |value: &Value| {
        let id = value.as_str().unwrap();
        id.replace("chatcmpltoolaa11", "chatcmpl-tool-aa11")
    };
    let messages = body["messages"].as_array().unwrap().iter();
    let messages = messages.map(|message| match message["role"].as_str().unwrap() {
        "system" => Message::System(message["content"].as_str().unwrap().to_owned()),
        "user" => Message::User(text(&message["content"])),
        "assistant" => Message::Assistant(AssistantMessage {
            content: text(&message["content"]),
            reasoning: message["reasoning_content"].as_str().map(str::to_owned),
            tool_calls: message["tool_calls"]
                .as_array()
                .map_or(&[][..], Vec::as_slice)
                .iter()
                .map(|call| ToolCall {
                    id: own(&call["id"]),
                    name: call["function"]["name"].as_str().unwrap().to_owned(),
                    arguments: call["function"]["arguments"].as_str().unwrap().to_owned(),
                })
                .collect(),
            status: TurnStatus::Completed,
        }),
        "tool" => Message::Tool(ToolResult {
            call_id: own(&message["tool_call_id"]),
            content: text(&message["content"]),
            ..ToolResult::default()
        }),
        role => panic!("{role}"),
    });
    let tools = body["tools"].as_array().unwrap().iter();
    ChatRequest {
        messages: messages.collect(),
        tools: tools
            .map(|name| Tool {
                name: name.as_str().unwrap().to_owned(),
                description: Some("…".to_owned()),
                parameters: r#"{"type":"object"}"#.to_owned(),
            })
            .collect(),
        reasoning: thinking.as_str().map(crate::config::params::effort),
        ..ChatRequest::default()
    }
}
