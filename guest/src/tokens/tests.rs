#![allow(clippy::unwrap_used)]
use super::*;
use crate::types::{
    ContentPart, Cost, Message, Modality, ModelSource, ReasoningEffort, Tool, ToolChoice,
};
use serde_json::{Value, json};

fn settings(config: Value) -> Settings {
    Settings {
        config: Some(config.to_string()),
        api_key: Some("key".into()),
        ..Settings::default()
    }
}

fn model(id: &str) -> Model {
    Model {
        id: id.into(),
        name: id.into(),
        reasoning: true,
        input: vec![Modality::Text],
        cost: Cost::default(),
        context_window: 4096,
        max_tokens: 512,
        parent: None,
        source: ModelSource::Declared,
    }
}

fn hello() -> ChatRequest {
    ChatRequest {
        messages: vec![Message::User(vec![ContentPart::Text("Say hello.".into())])],
        ..ChatRequest::default()
    }
}

fn asked(config: Value, id: &str, request: &ChatRequest) -> Value {
    let asking = prepare(&settings(config), &model(id), request).unwrap();
    serde_json::from_slice(&asking.http.body).unwrap()
}

fn answer(status: u16, body: &[u8]) -> Result<TokenCount, Error> {
    let config = json!({"baseUrl": "http://h/v1?k=secret"});
    let asking = prepare(&settings(config), &model("tiny"), &hello()).unwrap();
    from_answer(&asking, status, &[], body)
}

#[test]
fn the_question_goes_beside_the_api_with_the_headers_of_a_chat() {
    for (base, url) in [
        ("http://h/v1", "http://h/tokenize"),
        ("http://h/vllm/v1", "http://h/vllm/tokenize"),
        ("http://h/api/", "http://h/api/tokenize"),
        ("http://h/v1?k=v", "http://h/tokenize?k=v"),
    ] {
        let config = json!({
            "baseUrl": base, "headers": {"X-Team": "a"},
            "models": [{"id": "tiny", "headers": {"X-Model": "b"}}],
        });
        let asking = prepare(&settings(config), &model("tiny"), &hello()).unwrap();
        assert_eq!(
            (asking.http.method, asking.http.url.as_str()),
            ("POST", url)
        );
        for (name, value) in [
            ("content-type", "application/json"),
            ("accept", "application/json"),
            ("authorization", "Bearer key"),
            ("x-team", "a"),
            ("x-model", "b"),
        ] {
            let mut headers = asking.http.headers.iter();
            assert!(headers.any(|(n, v)| n == name && v == value), "{name}");
        }
    }
}

#[test]
fn what_makes_the_prompt_is_asked_as_the_chat_would_send_it_and_nothing_else() {
    let mut request = hello();
    request.tools = vec![Tool {
        name: "get_time".into(),
        description: None,
        parameters: r#"{"type":"object"}"#.into(),
    }];
    request.tool_choice = Some(ToolChoice::Required);
    request.stop = vec!["x".into()];
    request.reasoning = Some(ReasoningEffort::Off);
    request.extra = Some(r#"{"seed":1,"chat_template_kwargs":{"a":1}}"#.into());
    let config = json!({"params": {"chat_template_kwargs": {"a": 0, "b": 2}}});
    let body = asked(config.clone(), "Qwen/Qwen3-8B", &request);
    let chat = request::build(&settings(config), &model("Qwen/Qwen3-8B"), &request).unwrap();
    let chat: Value = serde_json::from_slice(&chat.body).unwrap();
    assert_eq!(
        body,
        json!({
            "model": "Qwen/Qwen3-8B",
            "messages": chat["messages"],
            "tools": chat["tools"],
            "chat_template_kwargs":
                {"enable_thinking": false, "preserve_thinking": true, "a": 1, "b": 2},
            "add_generation_prompt": true,
        })
    );
    assert_eq!(body["chat_template_kwargs"], chat["chat_template_kwargs"]);
    assert_eq!(body["tools"][0]["function"]["name"], "get_time");
}

#[test]
fn a_level_of_thinking_counts_as_the_template_arguments_that_it_becomes() {
    let mut request = hello();
    for (level, on) in [(ReasoningEffort::High, true), (ReasoningEffort::Off, false)] {
        let word = if on { "high" } else { "none" };
        request.reasoning = Some(level);
        let config = json!({"models": [
            {"id": "m", "reasoning": true, "compat": {"supportsReasoningEffort": true}},
        ]});
        let body = asked(config, "m", &request);
        let arguments = json!({"enable_thinking": on, "reasoning_effort": word});
        assert_eq!(body["chat_template_kwargs"], arguments);
        assert_eq!(body.get("reasoning_effort"), None);
    }
    // The user's own arguments win.
    request.extra = Some(
        r#"{"reasoning_effort":"low","chat_template_kwargs":{"enable_thinking":false}}"#.into(),
    );
    request.reasoning = None;
    let body = asked(json!({}), "m", &request);
    assert_eq!(
        body["chat_template_kwargs"],
        json!({"enable_thinking": false, "reasoning_effort": "low"})
    );
}

#[test]
fn a_user_who_continues_the_last_message_counts_it_so() {
    let mut request = hello();
    request.extra = Some(r#"{"continue_final_message":true,"add_generation_prompt":false}"#.into());
    let body = asked(json!({}), "m", &request);
    assert_eq!(body["continue_final_message"], true);
    assert_eq!(body["add_generation_prompt"], false);
    request.extra = Some(r#"{"continue_final_message":true}"#.into());
    assert_eq!(
        asked(json!({}), "m", &request).get("add_generation_prompt"),
        None
    );
}

#[test]
fn numbers_are_found_before_beside_and_without_the_tokens() {
    let long = "2001,".repeat(crate::asking::KEPT_BYTES);
    let cut = format!("{{\"count\":300000,\"max_model_len\":1000000,\"tokens\":[{long}");
    for (body, prompt, context_window) in [
        (
            r#"{"count":14,"max_model_len":4096,"tokens":[1],"token_strs":null}"#,
            14,
            Some(4096),
        ),
        (r#"{"tokens":[1,2],"count":2}"#, 2, None),
        (r#"{"count":0,"max_model_len":null}"#, 0, None),
        (&cut[..crate::asking::KEPT_BYTES], 300_000, Some(1_000_000)),
    ] {
        let expected = TokenCount {
            prompt,
            context_window,
        };
        assert_eq!(answer(200, body.as_bytes()).unwrap(), expected);
    }
}

#[test]
fn an_answer_without_a_count_is_a_protocol_error() {
    for (body, words) in [
        ("", "no count of tokens"),
        ("[]", "no count of tokens"),
        (r#"{"tokens":[1]}"#, "no count of tokens"),
        (r#"{"count":-1}"#, "no count of tokens"),
        (r#"{"count":1.5}"#, "no count of tokens"),
        (r#"{"count":4294967296}"#, "no count of tokens"),
        (r#"{"count":"14"}"#, "no count of tokens"),
        ("<html><title>Sign in</title>", "\"Sign in\""),
        ("\u{0}", "no count of tokens"),
    ] {
        let error = answer(200, body.as_bytes()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Protocol, "{body}");
        assert!(error.message.contains(words), "{}", error.message);
        assert!(error.message.starts_with("POST http://h/tokenize: "));
    }
}

#[test]
fn a_refusal_is_typed_and_a_server_without_the_endpoint_is_told_apart() {
    let unsupported = ErrorKind::Other(UNSUPPORTED.into());
    for (status, body, kind) in [
        (404, r#"{"detail":"Not Found"}"#, unsupported.clone()),
        (404, "", unsupported.clone()),
        (
            405,
            r#"{"detail":"Method Not Allowed"}"#,
            unsupported.clone(),
        ),
        (
            404,
            r#"{"error":{"message":"The model `nope` does not exist. Valid aliases: tiny.","type":"NotFoundError","param":"model","code":404}}"#,
            ErrorKind::ModelNotFound,
        ),
        (
            401,
            r#"{"error":"Unauthorized"}"#,
            ErrorKind::Authentication,
        ),
        (503, "", ErrorKind::Overloaded),
        (
            400,
            r#"{"error":{"message":"bad","code":400}}"#,
            ErrorKind::InvalidRequest,
        ),
    ] {
        let error = answer(status, body.as_bytes()).unwrap_err();
        assert_eq!(error.kind, kind, "{status} {body}");
        assert_eq!((error.status, error.request_sent), (Some(status), true));
        assert!(!error.message.contains("secret"));
        if kind == unsupported {
            assert!(
                error.message.contains("has no /tokenize"),
                "{}",
                error.message
            );
        }
    }
}

#[test]
fn what_can_not_be_sent_as_a_chat_can_not_be_counted() {
    let empty = ChatRequest::default();
    let error = prepare(&settings(json!({})), &model("m"), &empty).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidRequest);
}

/// A recorded request's body, and a recorded answer's.
fn recorded(case: &str) -> (Value, Vec<u8>) {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/vllm/");
    let read = |file: &str| std::fs::read(format!("{dir}{case}/{file}")).unwrap();
    let request = String::from_utf8(read("request.http")).unwrap();
    let body = request.lines().last().unwrap();
    let answer = read("response.raw");
    let head = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    (
        serde_json::from_str(body).unwrap(),
        answer[head + 4..].to_vec(),
    )
}

#[test]
fn a_recorded_count_is_the_prompt_of_the_recorded_chat() {
    for (counted, chatted) in [
        ("06-tokenize-chat", "12-chat-stream-usage"),
        ("06b-tokenize-chat-tools", "69d-tools-no-parser-use"),
    ] {
        let (question, body) = recorded(counted);
        let (chat, stream) = recorded(chatted);
        assert_eq!(question["messages"], chat["messages"]);
        assert_eq!(question.get("tools"), chat.get("tools"));

        // Our question is the recorded one.
        let mut request = hello();
        for tool in chat["tools"].as_array().into_iter().flatten() {
            let function = &tool["function"];
            request.tools.push(Tool {
                name: function["name"].as_str().unwrap().into(),
                description: function["description"].as_str().map(Into::into),
                parameters: function["parameters"].to_string(),
            });
        }
        let mut ours = asked(json!({}), "tiny", &request);
        let mut theirs = question.clone();
        for body in [&mut ours, &mut theirs] {
            let fields = body.as_object_mut().unwrap();
            fields.remove("return_token_strs");
            // True is what the server takes it for.
            fields.remove("add_generation_prompt");
        }
        assert_eq!(ours, theirs);

        let count = answer(200, &body).unwrap();
        let stream = String::from_utf8(stream).unwrap();
        let (_, prompt) = stream.rsplit_once("\"prompt_tokens\":").unwrap();
        let digits = prompt.split(|c: char| !c.is_ascii_digit()).next().unwrap();
        assert_eq!(count.prompt, digits.parse::<u32>().unwrap());
        assert_eq!(count.context_window, Some(4096));
    }
}
