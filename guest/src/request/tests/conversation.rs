//! Messages: content, order, replay, images.

use super::*;

fn call(id: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: format!("tool_{id}"),
        arguments: r#"{ "a": 1 }"#.to_owned(),
    }
}

fn turn(said: &str, calls: &[&str]) -> AssistantMessage {
    AssistantMessage {
        content: if said.is_empty() {
            vec![]
        } else {
            vec![text(said)]
        },
        tool_calls: calls.iter().map(|id| call(id)).collect(),
        ..AssistantMessage::default()
    }
}

fn result(id: &str, content: &[ContentPart]) -> Message {
    Message::Tool(ToolResult {
        call_id: id.to_owned(),
        content: content.to_vec(),
        ..ToolResult::default()
    })
}

/// Messages as one line each: what matters of them, and nothing else.
fn told(settings: &Settings, model: &Model, messages: &[Message]) -> Vec<String> {
    let request = ChatRequest {
        messages: messages.to_vec(),
        ..ChatRequest::default()
    };
    let body = sent(settings, model, &request);
    let line = |message: &Value| {
        let mut line = format!("{}: ", message["role"].as_str().unwrap());
        line += &match &message["content"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        for field in ["tool_call_id", "name", "reasoning", "reasoning_content"] {
            if let Some(value) = message[field].as_str() {
                line += &format!(" [{field} {value}]");
            }
        }
        for call in message["tool_calls"].as_array().map_or(&[][..], |all| all) {
            assert_eq!(call["type"], "function");
            let function = &call["function"];
            line += &format!(
                " <{} {} {}>",
                call["id"].as_str().unwrap(),
                function["name"].as_str().unwrap(),
                function["arguments"].as_str().unwrap()
            );
        }
        line
    };
    body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(line)
        .collect()
}

#[test]
fn user_content_is_a_string_unless_an_image_needs_parts() {
    let omitted = "(image omitted: model does not support images)";
    let png = r#"{"image_url":{"url":"data:image/png;base64,AQI="},"type":"image_url"}"#;
    for (parts, blind, seeing) in [
        (vec![text("a")], "a".to_owned(), "a".to_owned()),
        (
            vec![text("a"), text("b")],
            "a\nb".to_owned(),
            "a\nb".to_owned(),
        ),
        (vec![text("")], String::new(), String::new()),
        (vec![image(&[1, 2])], omitted.to_owned(), format!("[{png}]")),
        (
            vec![
                text("a"),
                image(&[1, 2]),
                image(&[1, 2]),
                text("b"),
                image(&[1, 2]),
            ],
            format!("a\n{omitted}\nb\n{omitted}"),
            format!(
                r#"[{{"text":"a","type":"text"}},{png},{png},{{"text":"b","type":"text"}},{png}]"#
            ),
        ),
        (
            vec![text(""), image(&[1, 2])],
            omitted.to_owned(),
            format!("[{png}]"),
        ),
    ] {
        let messages = [Message::User(parts)];
        let settings = settings(json!({}));
        assert_eq!(
            told(&settings, &model("m"), &messages),
            [format!("user: {blind}")]
        );
        assert_eq!(
            told(&settings, &vision(), &messages),
            [format!("user: {seeing}")]
        );
    }
}

#[test]
fn a_history_is_put_in_the_order_that_templates_can_take() {
    let assistant = |turn: AssistantMessage| Message::Assistant(turn);
    let with = |status, mut turn: AssistantMessage| {
        turn.status = status;
        Message::Assistant(turn)
    };
    let out = [text("out")];
    let a = r#"assistant: null <1 tool_1 { "a": 1 }>"#;
    for (name, messages, expected) in [
        (
            "a call and its result",
            vec![
                said("q"),
                assistant(turn("", &["1"])),
                result("1", &out),
                assistant(turn("done", &[])),
            ],
            vec![
                "user: q",
                a,
                "tool: out [tool_call_id 1]",
                "assistant: done",
            ],
        ),
        (
            "a call without a result, at the end",
            vec![assistant(turn("let me see", &["1"]))],
            vec![
                r#"assistant: let me see <1 tool_1 { "a": 1 }>"#,
                "tool: No result provided [tool_call_id 1]",
            ],
        ),
        (
            "one of two calls without a result, before the user",
            vec![
                assistant(turn("", &["1", "2"])),
                result("2", &out),
                said("go on"),
            ],
            vec![
                r#"assistant: null <1 tool_1 { "a": 1 }> <2 tool_2 { "a": 1 }>"#,
                "tool: out [tool_call_id 2]",
                "tool: No result provided [tool_call_id 1]",
                "user: go on",
            ],
        ),
        (
            "a result behind the user's next message",
            vec![
                assistant(turn("", &["1"])),
                said("hurry"),
                result("1", &out),
            ],
            vec![a, "tool: out [tool_call_id 1]", "user: hurry"],
        ),
        (
            "ids that come again in a later turn",
            vec![
                assistant(turn("", &["1"])),
                assistant(turn("", &["1"])),
                result("1", &out),
            ],
            vec![
                a,
                "tool: No result provided [tool_call_id 1]",
                a,
                "tool: out [tool_call_id 1]",
            ],
        ),
        (
            "turns that failed or were stopped, with their results",
            vec![
                said("q"),
                with(TurnStatus::Failed, turn("half", &["1"])),
                result("1", &out),
                with(TurnStatus::Aborted, turn("half", &[])),
                said("again"),
            ],
            vec!["user: q", "user: again"],
        ),
        (
            "a result whose call is not in the history",
            vec![said("q"), result("9", &out), said("r")],
            vec!["user: q", "tool: out [tool_call_id 9]", "user: r"],
        ),
        (
            "nothing said, and blank text beside a call",
            vec![
                said("q"),
                assistant(turn("", &[])),
                assistant(turn(" \n", &[])),
                assistant(turn("\n\n", &["1"])),
                result("1", &[]),
            ],
            vec!["user: q", a, "tool: (no output) [tool_call_id 1]"],
        ),
        (
            "empty messages",
            vec![
                Message::System(String::new()),
                Message::System("s".to_owned()),
                Message::User(vec![]),
                said("q"),
            ],
            vec!["system: s", "user: q"],
        ),
    ] {
        assert_eq!(
            told(&settings(json!({})), &model("m"), &messages),
            expected,
            "{name}"
        );
    }
}

#[test]
fn ids_and_arguments_go_back_as_they_came() {
    let mut calls = turn("", &[]);
    for (id, arguments) in [
        ("chatcmpl-tool-aa11", r#"{"a" : 1.0}"#),
        ("functions.ls:0", "{\"broken\": "),
        ("call|with|pipes", " "),
        ("", "\"text\""),
    ] {
        let mut call = call(id);
        call.arguments = arguments.to_owned();
        calls.tool_calls.push(call);
    }
    let body = sent(
        &settings(json!({})),
        &model("m"),
        &ChatRequest {
            messages: vec![Message::Assistant(calls)],
            ..ChatRequest::default()
        },
    );
    let sent: Vec<(&str, &str)> = body["messages"][0]["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| {
            (
                call["id"].as_str().unwrap(),
                call["function"]["arguments"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        sent,
        [
            ("chatcmpl-tool-aa11", r#"{"a" : 1.0}"#),
            ("functions.ls:0", "{\"broken\": "),
            ("call|with|pipes", "{}"),
            ("", "\"text\""),
        ]
    );
}

#[test]
fn thinking_is_replayed_under_both_names_and_to_reasoning_models_only() {
    let mut thoughtful = turn("so", &[]);
    thoughtful.reasoning = Some("hm".to_owned());
    let messages = [Message::Assistant(thoughtful)];
    let mut reasoning = model("m");
    reasoning.reasoning = true;
    let plain = settings(json!({}));
    assert_eq!(told(&plain, &model("m"), &messages), ["assistant: so"]);
    assert_eq!(
        told(&plain, &reasoning, &messages),
        ["assistant: so [reasoning hm] [reasoning_content hm]"]
    );
    let as_text =
        settings(json!({"models": [{"id": "m", "compat": {"requiresThinkingAsText": true}}]}));
    assert_eq!(
        told(&as_text, &reasoning, &messages),
        ["assistant: hm\n\nso"]
    );
}

#[test]
fn images_of_tool_results_follow_in_one_user_message() {
    let messages = [
        Message::Assistant(turn("", &["1", "2"])),
        result("1", &[image(&[1, 2])]),
        result("2", &[text("two"), image(&[3])]),
        said("and?"),
    ];
    let calls = r#"assistant: null <1 tool_1 { "a": 1 }> <2 tool_2 { "a": 1 }>"#;
    let images = concat!(
        r#"user: [{"text":"Attached image(s) from tool result:","type":"text"},"#,
        r#"{"image_url":{"url":"data:image/png;base64,AQI="},"type":"image_url"},"#,
        r#"{"image_url":{"url":"data:image/png;base64,Aw=="},"type":"image_url"}]"#
    );
    assert_eq!(
        told(&settings(json!({})), &vision(), &messages),
        [
            calls,
            "tool: (see attached image) [tool_call_id 1]",
            "tool: two [tool_call_id 2]",
            images,
            "user: and?",
        ]
    );
    assert_eq!(
        told(&settings(json!({})), &model("m"), &messages),
        [
            calls,
            "tool: (image omitted: model does not support images) [tool_call_id 1]",
            "tool: two\n(image omitted: model does not support images) [tool_call_id 2]",
            "user: and?",
        ]
    );
    let bridged = settings(json!({"models": [{"id": "m", "compat": {
        "requiresAssistantAfterToolResult": true, "requiresToolResultName": true}}]}));
    assert_eq!(
        told(&bridged, &vision(), &messages),
        [
            calls,
            "tool: (see attached image) [tool_call_id 1] [name tool_1]",
            "tool: two [tool_call_id 2] [name tool_2]",
            "assistant: I have processed the tool results.",
            images,
            "user: and?",
        ]
    );
    assert_eq!(
        told(&bridged, &model("m"), &messages)[3..],
        [
            "assistant: I have processed the tool results.",
            "user: and?"
        ]
    );
}
