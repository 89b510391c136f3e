use provider_host::types::{ContentPart, Message};

use super::*;

fn parse_quietly(text: &str) -> Result<types::ChatRequest, Refusal> {
    parse(text, &mut |warning| panic!("warned: {warning}"))
}

#[test]
fn the_whole_documented_request_is_understood() {
    let request = parse_quietly(
        r#"{"messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "what is it?"},
                {"type": "image", "media_type": "image/png", "data": "iVBORw=="}]},
            {"role": "assistant", "content": "let me see", "reasoning": "hm",
             "tool_calls": [{"id": "c1", "name": "look", "arguments": "{\"x\":1}"}]},
            {"role": "tool", "tool_call_id": "c1", "content": "a cat", "is_error": true},
            {"role": "assistant", "content": null,
             "tool_calls": [{"id": "c2", "name": "look", "arguments": ""}]}
        ],
        "tools": [{"name": "look", "description": "looks", "parameters": {"type": "object"}},
                  {"name": "stop"}],
        "tool_choice": {"name": "look"}, "max_tokens": 100, "temperature": 0, "top_p": 0.9,
        "stop": ["a", "b"], "seed": -7,
        "response_format": {"name": "shape", "schema": {"type": "object"}, "strict": true},
        "reasoning": "high", "priority": -1, "extra": {"cache_salt": "s"}}"#,
    )
    .unwrap();
    let text = |text: &str| vec![ContentPart::Text(text.into())];
    let call = |id: &str, arguments: &str| types::ToolCall {
        id: id.into(),
        name: "look".into(),
        arguments: arguments.into(),
    };
    let mut expected = super::super::empty();
    expected.messages = vec![
        Message::System("be brief".into()),
        Message::User(vec![
            ContentPart::Text("what is it?".into()),
            ContentPart::Image(types::Image {
                media_type: "image/png".into(),
                data: vec![0x89, b'P', b'N', b'G'],
            }),
        ]),
        Message::Assistant(types::AssistantMessage {
            content: text("let me see"),
            reasoning: Some("hm".into()),
            tool_calls: vec![call("c1", "{\"x\":1}")],
            status: types::TurnStatus::Completed,
        }),
        Message::Tool(types::ToolResult {
            call_id: "c1".into(),
            name: Some("look".into()),
            content: text("a cat"),
            is_error: true,
        }),
        Message::Assistant(types::AssistantMessage {
            content: vec![],
            reasoning: None,
            tool_calls: vec![call("c2", "")],
            status: types::TurnStatus::Completed,
        }),
    ];
    expected.tools = vec![
        types::Tool {
            name: "look".into(),
            description: Some("looks".into()),
            parameters: r#"{"type":"object"}"#.into(),
        },
        types::Tool {
            name: "stop".into(),
            description: None,
            parameters: r#"{"type":"object","properties":{}}"#.into(),
        },
    ];
    expected.tool_choice = Some(types::ToolChoice::Named("look".into()));
    expected.max_tokens = Some(100);
    expected.sampling.temperature = Some(0.0);
    expected.sampling.top_p = Some(0.9);
    expected.sampling.seed = Some(-7);
    expected.stop = vec!["a".into(), "b".into()];
    expected.response_format = Some(types::ResponseFormat {
        name: "shape".into(),
        schema: r#"{"type":"object"}"#.into(),
        strict: Some(true),
    });
    expected.reasoning = Some(types::ReasoningEffort::High);
    expected.priority = Some(-1);
    expected.extra = Some(r#"{"cache_salt":"s"}"#.into());
    assert_eq!(request, expected);
}

#[test]
fn small_things_may_be_written_in_more_than_one_way() {
    let request = parse_quietly(
        r#"{"messages": [{"role": "system", "content": [{"type": "text", "text": "a"},
                {"type": "text", "text": "b"}]}],
            "stop": "x", "max_tokens": 5.0, "tool_choice": "required", "temperature": null,
            "reasoning": "max", "top_k": 20}"#,
    )
    .unwrap();
    assert_eq!(request.messages, [Message::System("a\nb".into())]);
    assert_eq!(request.stop, ["x"]);
    assert_eq!(request.max_tokens, Some(5));
    assert_eq!(request.tool_choice, Some(types::ToolChoice::Required));
    assert_eq!(request.sampling.temperature, None);
    assert_eq!(request.sampling.top_k, Some(20));
    assert_eq!(
        request.reasoning,
        Some(types::ReasoningEffort::Other("max".into()))
    );
}

#[test]
fn a_wrong_type_is_an_error_with_its_path() {
    let message = |rest: &str| format!("{{\"messages\": [{rest}]}}");
    let user = |rest: &str| message(&format!("{{\"role\": \"user\", {rest}}}"));
    let with = |rest: &str| format!("{{\"messages\": [], {rest}}}");
    let cases = [
        (
            String::from("[]"),
            "the request is a list; allowed is an object",
        ),
        (String::from("{"), "not valid JSON: "),
        (String::from("{}"), "messages is missing"),
        (
            String::from(r#"{"messages": {}}"#),
            "messages is an object; allowed is a list",
        ),
        (
            message("1"),
            "messages[0] is the number 1; allowed is an object",
        ),
        (message("{}"), "messages[0].role is missing"),
        (
            message(r#"{"role": "developer"}"#),
            "messages[0].role is the text \"developer\"; allowed is system, user",
        ),
        (
            message(r#"{"role": "user"}"#),
            "messages[0].content is missing",
        ),
        (
            user(r#""content": 3"#),
            "messages[0].content is the number 3; allowed is a text or a list",
        ),
        (
            user(r#""content": [{"text": "x"}]"#),
            "messages[0].content[0].type is missing",
        ),
        (
            user(r#""content": [{"type": "audio"}]"#),
            "messages[0].content[0].type is the text \"audio\"; allowed is text or image",
        ),
        (
            user(r#""content": [{"type": "image", "media_type": "image/png", "data": "%"}]"#),
            "messages[0].content[0].data is not base64",
        ),
        (
            user(r#""content": [{"type": "image", "data": "aGk="}]"#),
            "messages[0].content[0].media_type is missing",
        ),
        (
            message(
                r#"{"role": "system", "content": [{"type": "image", "media_type": "i", "data": ""}]}"#,
            ),
            "messages[0].content holds an image",
        ),
        (
            message(r#"{"role": "assistant"}"#),
            "messages[0].content is missing",
        ),
        (
            message(
                r#"{"role": "assistant", "tool_calls": [{"id": "a", "name": "b", "arguments": {}}]}"#,
            ),
            "messages[0].tool_calls[0].arguments is an object; allowed is JSON as a text",
        ),
        (
            message(r#"{"role": "tool", "content": "x"}"#),
            "messages[0].tool_call_id is missing",
        ),
        (with(r#""tools": [{}]"#), "tools[0].name is missing"),
        (
            with(r#""tools": [{"name": "a", "parameters": "{}"}]"#),
            "tools[0].parameters is the text \"{}\"; allowed is an object",
        ),
        (
            with(r#""tool_choice": "any""#),
            "tool_choice is the text \"any\"; allowed is \"auto\"",
        ),
        (with(r#""tool_choice": {}"#), "tool_choice.name is missing"),
        (
            with(r#""max_tokens": 0"#),
            "max_tokens is the number 0; allowed is a whole number of at least 1",
        ),
        (with(r#""max_tokens": "5""#), "max_tokens is the text \"5\""),
        (with(r#""max_tokens": 1.5"#), "max_tokens is the number 1.5"),
        (
            with(r#""max_tokens": 99999999999"#),
            "max_tokens is the number 99999999999",
        ),
        (
            with(r#""temperature": "hot""#),
            "temperature is the text \"hot\"; allowed is a number",
        ),
        (
            with(r#""stop": ["a", 1]"#),
            "stop is a list; allowed is a text or a list of texts",
        ),
        (
            with(r#""response_format": {"name": "n"}"#),
            "response_format.schema is missing",
        ),
        (
            with(r#""reasoning": 3"#),
            "reasoning is the number 3; allowed is off",
        ),
        (
            with(r#""priority": 9999999999"#),
            "priority is the number 9999999999",
        ),
        (
            with(r#""extra": []"#),
            "extra is a list; allowed is an object",
        ),
    ];
    for (text, expected) in cases {
        let error = parse_quietly(&text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn unknown_keys_are_warned_of_by_path() {
    let mut warnings = Vec::new();
    parse(
        r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "b": 1}],
            "nam": "x", "nothing": null}], "tools": [{"name": "f", "strict": true}], "modell": "m",
            "tool_choice": {"name": "f", "type": "function"}}"#,
        &mut |warning| warnings.push(warning),
    )
    .unwrap();
    assert_eq!(
        warnings,
        [
            "messages[0].content[0].b is not known and not sent",
            "messages[0].nam is not known and not sent",
            "tools[0].strict is not known and not sent",
            "tool_choice.type is not known and not sent",
            "modell is not known and not sent",
        ]
    );
}
