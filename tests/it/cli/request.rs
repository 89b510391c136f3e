//! What a command line becomes on the wire.

use base64::Engine as _;
use serde_json::{Value, json};

use super::process::Home;
use super::server::Server;

/// The beginning of a PNG file is what makes it one.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

fn data_url() -> String {
    let data = base64::engine::general_purpose::STANDARD.encode(PNG);
    format!("data:image/png;base64,{data}")
}

/// A model that sees, and one that does not.
fn models() -> Value {
    json!([
        {"id": "blind"},
        {"id": "seeing", "input": ["text", "image"]},
        {"id": "thinking", "reasoning": true},
    ])
}

#[test]
fn the_prompt_is_the_argument_or_stdin() {
    let server = Server::tiny();
    let home = server.home();
    let cases: [(&[&str], &str, &str); 7] = [
        (&["chat", "hi"], "", "hi"),
        (&["chat", "hi"], " \n", "hi"),
        (&["chat", "hi"], "from a file\n\n", "from a file\n\nhi"),
        (&["chat", "-"], "from stdin\n", "from stdin"),
        (&["chat"], "from stdin\r\n", "from stdin"),
        (&["chat"], "two\nlines, é 漢\n\n", "two\nlines, é 漢"),
        (&["chat", "--", "-x"], "", "-x"),
    ];
    for (arguments, input, prompt) in cases {
        home.command(arguments).input(input).run().exits(0);
        let messages = &server.last_body()["messages"];
        assert_eq!(*messages, json!([{"role": "user", "content": prompt}]));
    }
    for input in [&b""[..], b" \n", b"\xff\xfe"] {
        home.command(&["chat", "-"]).input(input).run().exits(2);
    }
    home.command(&["chat", "hi"])
        .input(b"\xff\xfe")
        .run()
        .exits(2);
    assert_eq!(server.chats().len(), cases.len());
}

#[test]
fn flags_are_fields_of_the_body() {
    let server = Server::tiny();
    let arguments = "chat --system Brief. --max-tokens 7 --temperature 0.25 --extra {\"top_k\":20,\"x\":[1]} hi";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    server.home().run(&arguments).exits(0);
    let body = server.last_body();
    for (field, value) in [
        ("model", json!("tiny")),
        ("stream", json!(true)),
        ("stream_options", json!({"include_usage": true})),
        ("max_completion_tokens", json!(7)),
        ("temperature", json!(0.25)),
        ("top_k", json!(20)),
        ("x", json!([1])),
        (
            "messages",
            json!([{"role": "system", "content": "Brief."}, {"role": "user", "content": "hi"}]),
        ),
    ] {
        assert_eq!(body[field], value, "{field}");
    }
}

#[test]
fn nothing_is_sent_that_was_not_asked_for() {
    let server = Server::tiny();
    server.home().run(&["chat", "hi"]).exits(0);
    let body = server.last_body();
    let mut fields: Vec<&str> = body
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "max_completion_tokens",
            "messages",
            "model",
            "stream",
            "stream_options"
        ]
    );
    let mut headers: Vec<String> = server.chats()[0]
        .headers
        .keys()
        .map(ToString::to_string)
        .collect();
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            "accept",
            "content-length",
            "content-type",
            "host",
            "user-agent"
        ]
    );
}

#[test]
fn an_image_goes_to_a_model_that_sees_and_is_left_out_for_another() {
    let server = Server::tiny();
    let home = Home::configured(&server.declaring(&models()));
    // What it is says the file, not its name.
    let image = home.write("image.txt", PNG);
    for (model, content) in [
        (
            "vllm/seeing",
            json!([
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": data_url()}},
            ]),
        ),
        (
            "vllm/blind",
            json!("What is it?\n(image omitted: model does not support images)"),
        ),
    ] {
        home.run(&["chat", "--model", model, "--image", &image, "What is it?"]);
        assert_eq!(
            server.last_body()["messages"][0]["content"],
            content,
            "{model}"
        );
    }
    // Who sends an image wants to know that it was not seen.
    for (input, told) in [(json!(["text"]), true), (json!(["text", "image"]), false)] {
        let declared = json!([{"id": "tiny", "input": input}]);
        let outcome = Home::configured(&server.declaring(&declared)).run(&[
            "chat",
            "--model",
            "vllm/tiny",
            "--image",
            &image,
            "What is it?",
        ]);
        let says = outcome.stderr.contains("\"tiny\" takes no images");
        assert_eq!(says, told, "{}", outcome.stderr);
    }
    let none = home.write("image.png", "no image");
    home.run(&["chat", "--image", &none, "What is it?"])
        .exits(2)
        .complains(&["image.png is not a PNG, JPEG, GIF or WebP image"]);
}

#[test]
fn a_request_file_is_sent_whole() {
    let server = Server::tiny();
    let home = Home::configured(&server.declaring(&models()));
    let schema = json!({"type": "object", "properties": {"ok": {"type": "boolean"}}});
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let data = base64::engine::general_purpose::STANDARD.encode(PNG);
    let request = json!({
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "Look."},
                {"type": "image", "media_type": "image/png", "data": data},
            ]},
            {"role": "assistant", "content": "I ask.", "tool_calls": [
                {"id": "call|1", "name": "look", "arguments": "{\"city\": \"Oslo\"}"},
                {"id": "call|2", "name": "look", "arguments": "{"},
            ]},
            {"role": "tool", "tool_call_id": "call|1", "content": "fog"},
            {"role": "tool", "tool_call_id": "call|2", "content": "no such city", "is_error": true},
            {"role": "user", "content": "And now?"},
        ],
        "tools": [{"name": "look", "description": "Looks", "parameters": parameters}],
        "tool_choice": {"name": "look"},
        "max_tokens": 99,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END", "STOP"],
        "seed": -7,
        "response_format": {"name": "yes", "schema": schema, "strict": true},
        "priority": -3,
        "extra": {"min_p": 0.1, "cache_salt": "s", "chat_template_kwargs": {"a": 1}},
    });
    let file = home.write("r.json", request.to_string());
    home.run(&["chat", "--model", "vllm/seeing", "--request", &file]);
    let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "look", "arguments": arguments}});
    let expected = json!({
        "model": "seeing",
        "stream": true,
        "stream_options": {"include_usage": true},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "Look."},
                {"type": "image_url", "image_url": {"url": data_url()}},
            ]},
            {"role": "assistant", "content": "I ask.", "tool_calls": [
                call("call|1", "{\"city\": \"Oslo\"}"),
                call("call|2", "{"),
            ]},
            {"role": "tool", "tool_call_id": "call|1", "content": "fog"},
            {"role": "tool", "tool_call_id": "call|2", "content": "no such city"},
            {"role": "user", "content": "And now?"},
        ],
        "tools": [{"type": "function", "function":
            {"name": "look", "description": "Looks", "parameters": parameters}}],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "max_completion_tokens": 99,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END", "STOP"],
        "seed": -7,
        "response_format": {"type": "json_schema", "json_schema":
            {"name": "yes", "schema": schema, "strict": true}},
        "priority": -3,
        "min_p": 0.1,
        "cache_salt": "s",
        "chat_template_kwargs": {"a": 1},
    });
    assert_same(&server.last_body(), &expected);
}

#[test]
fn flags_go_over_the_request_file() {
    let server = Server::tiny();
    let home = server.home();
    let request = json!({
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 9, "temperature": 1, "extra": {"a": 1, "b": 1},
    });
    let file = home.write("r.json", request.to_string());
    home.run(&[
        "chat",
        "--request",
        &file,
        "--max-tokens",
        "5",
        "--extra",
        "{\"b\": 2}",
    ])
    .exits(0);
    let body = server.last_body();
    assert_eq!(body["max_completion_tokens"], 5);
    assert_eq!(body["temperature"].as_f64(), Some(1.0));
    assert_eq!((&body["a"], &body["b"]), (&json!(1), &json!(2)));
}

#[test]
fn a_level_of_thinking_is_sent_where_the_model_is_known_to_think() {
    let server = Server::tiny();
    let mut configuration = server.declaring(&models());
    let declared = &mut configuration["models"]["providers"]["vllm"]["models"];
    declared[2]["compat"] = json!({"supportsReasoningEffort": true});
    let home = Home::configured(&configuration);
    for (model, effort) in [
        ("vllm/blind", Value::Null),
        ("vllm/thinking", json!("high")),
    ] {
        home.run(&["chat", "--model", model, "--reasoning", "high", "hi"]);
        assert_eq!(server.last_body()["reasoning_effort"], effort, "{model}");
    }
}

/// Field by field, so that a difference can be read.
fn assert_same(found: &Value, expected: &Value) {
    let (found, expected) = (
        found.as_object().expect("an object"),
        expected.as_object().expect("an object"),
    );
    for (field, value) in expected {
        assert_eq!(found.get(field), Some(value), "{field}");
    }
    for field in found.keys() {
        assert!(expected.contains_key(field), "{field} was not asked for");
    }
}

#[test]
fn a_level_of_reasoning_that_nobody_knows_is_sent_and_told() {
    let server = Server::tiny();
    let compat = json!({"supportsReasoningEffort": true});
    let model = json!({"id": "tiny", "reasoning": true, "compat": compat});
    let home = Home::configured(&server.declaring(&json!([model])));
    let file = json!({"messages": [{"role": "user", "content": "hi"}], "reasoning": "Medium"});
    let file = home.write("r.json", file.to_string());
    for (arguments, sent, told) in [
        (
            ["--reasoning", "hihg", "hi"],
            "hihg",
            Some("did you mean high?"),
        ),
        (
            ["--reasoning", "lots", "hi"],
            "lots",
            Some("is none of off, minimal,"),
        ),
        (["--reasoning", "max", "hi"], "max", None),
        (["--reasoning", "none", "hi"], "none", None),
        (
            ["--max-tokens", "5", "--request"],
            "Medium",
            Some("did you mean medium?"),
        ),
    ] {
        let mut arguments = [&["chat"], &arguments[..]].concat();
        if arguments.ends_with(&["--request"]) {
            arguments.push(&file);
        }
        // The server knows no other words.
        let outcome = home.run(&arguments).exits(i32::from(told.is_some()));
        assert_eq!(server.last_body()["reasoning_effort"], sent);
        match told {
            Some(told) => assert!(outcome.stderr.contains(told), "{outcome:#?}"),
            None => assert!(!outcome.stderr.contains("warning"), "{outcome:#?}"),
        }
    }
}
