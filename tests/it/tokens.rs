//! What is asked beside the chat: how long a prompt is, and how the server is.

use std::time::Duration;

use provider_host::mock::{self, Mock, Options};
use provider_host::policy::NetworkLimits;
use provider_host::types::{
    AssistantMessage, ChatRequest, ContentPart, Event, Image, Message, Modality, Model,
    ReasoningEffort, ResponseFormat, Sampling, Tool, ToolCall, ToolChoice, ToolResult, TurnStatus,
};
use provider_host::{ErrorKind, Provider};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::recorded::fixtures;
use crate::support::{ask, model, plugin, provider, run, short_limits};

fn text(text: &str) -> Vec<ContentPart> {
    vec![ContentPart::Text(text.into())]
}

fn tool(name: &str) -> Tool {
    Tool {
        name: name.into(),
        description: Some(format!("Call {name}")),
        parameters: r#"{"type":"object","properties":{"z":{},"a":{}}}"#.into(),
    }
}

/// Answers every request with these bytes, and closes. Gives the base URL.
async fn canned(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base_url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !complete(&request) {
                match socket.read(&mut buffer).await {
                    Ok(n @ 1..) => request.extend(&buffer[..n]),
                    _ => break,
                }
            }
            let _ = socket.write_all(&answer).await;
            let _ = socket.shutdown().await;
        }
    });
    base_url
}

/// Whether a request is there with all of its body.
fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().expect("a length"))
    });
    body.len() >= length.unwrap_or(0)
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn recorded(case: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(case).join("response.raw")).expect("a recording")
}

async fn provider_of_canned(answer: Vec<u8>) -> Provider {
    let base_url = canned(answer).await;
    provider(&base_url, "secret-1", short_limits())
}

#[test]
fn the_plugin_says_that_it_counts_and_tells() {
    assert!(plugin().counts_tokens());
    assert!(plugin().tells_health());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_count_is_the_prompt_of_the_usage_of_the_same_chat() {
    let mock = Mock::start(Options {
        models: vec![mock::Model::new("Qwen/Qwen3-8B", 4_096)],
        api_keys: vec!["right".into()],
        ..Options::default()
    })
    .await
    .expect("a mock");
    let provider = provider(&mock.base_url(), "right", short_limits());
    let model = Model {
        reasoning: true,
        ..model("Qwen/Qwen3-8B")
    };
    let plain = ask("Say hello.");
    let mut talk = ask("What time is it?");
    talk.messages
        .insert(0, Message::System("Be brief. 简短。".into()));
    talk.messages.extend([
        Message::Assistant(AssistantMessage {
            content: Vec::new(),
            reasoning: Some("a clock".into()),
            tool_calls: vec![ToolCall {
                id: "c1".into(),
                name: "get_time".into(),
                arguments: "{}".into(),
            }],
            status: TurnStatus::Completed,
        }),
        Message::Tool(ToolResult {
            call_id: "c1".into(),
            name: None,
            content: text("12:00"),
            is_error: false,
        }),
    ]);
    talk.tools = vec![tool("get_time"), tool("get_weather")];
    let mut quiet = talk.clone();
    quiet.reasoning = Some(ReasoningEffort::Off);
    let mut prompts = Vec::new();
    for request in [&plain, &talk, &quiet] {
        let count = provider.count_tokens(&model, request).await;
        let count = count.expect("a count").expect("a plugin that counts");
        assert_eq!(count.context_window, Some(4_096));
        let (events, error) = run(&provider, &model, request).await;
        assert!(error.is_none(), "{error:?}");
        let usage = events.iter().find_map(|event| match event {
            Event::Usage(usage) => Some(usage),
            _ => None,
        });
        let usage = usage.expect("a usage");
        let prompt = usage.input + usage.cache_read + usage.cache_write;
        assert_eq!(u64::from(count.prompt), prompt, "{request:?}");
        prompts.push(prompt);
    }
    assert!(
        prompts[0] < prompts[1] && prompts[1] != prompts[2],
        "{prompts:?}"
    );

    let asked = mock.requests();
    let counted: Vec<_> = asked.iter().filter(|r| r.path == "/tokenize").collect();
    assert_eq!(counted.len(), 3);
    for request in counted {
        assert_eq!(request.method, "POST");
        assert_eq!(request.headers["authorization"], "Bearer right");
        assert_eq!(request.headers["accept"], "application/json");
        assert_eq!(request.headers["content-type"], "application/json");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_counts_of_a_real_server_are_read() {
    for (case, prompt) in [
        ("06-tokenize-chat", 14),
        ("06b-tokenize-chat-tools", 239),
        ("06c-tokenize-prompt", 8),
        ("v0.14.1-06-tokenize-chat", 14),
        ("v0.14.1-06b-tokenize-chat-tools", 239),
        ("v0.19.1-06-tokenize-chat", 14),
        ("v0.19.1-06b-tokenize-chat-tools", 239),
        ("v0.23.0-06b-tokenize-chat-tools", 239),
    ] {
        let provider = provider_of_canned(recorded(case)).await;
        let count = provider
            .count_tokens(&model("tiny"), &ask("Say hello."))
            .await;
        let count = count.expect("a count").expect("a plugin that counts");
        assert_eq!(
            (count.prompt, count.context_window),
            (prompt, Some(4096)),
            "{case}"
        );
    }
    let provider = provider_of_canned(recorded("06e-tokenize-unknown-model")).await;
    let refused = provider.count_tokens(&model("nope"), &ask("x")).await;
    let error = refused.expect_err("an unknown model");
    assert_eq!(error.kind(), &ErrorKind::ModelNotFound);
    assert!(
        error.message().contains("Valid aliases: tiny, tiny-alias."),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_of_a_million_tokens_is_counted_without_keeping_them() {
    let tokens = vec!["151643"; 1_000_000].join(",");
    let body = format!(
        "{{\"count\":1000000,\"max_model_len\":1048576,\"tokens\":[{tokens}],\"token_strs\":null}}"
    );
    let provider = provider_of_canned(answer("200 OK", &body)).await;
    let count = provider.count_tokens(&model("tiny"), &ask("x")).await;
    let count = count.expect("a count").expect("a plugin that counts");
    assert_eq!(
        (count.prompt, count.context_window),
        (1_000_000, Some(1_048_576))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_a_prompt_was_not_counted_is_a_typed_error() {
    let unsupported = ErrorKind::Other("unsupported".into());
    for (status, body, kind, words) in [
        (
            "404 Not Found",
            r#"{"detail":"Not Found"}"#,
            unsupported,
            "has no /tokenize",
        ),
        (
            "401 Unauthorized",
            r#"{"error":"Unauthorized"}"#,
            ErrorKind::Authentication,
            "VLLM_API_KEY",
        ),
        ("503 Busy", "", ErrorKind::Overloaded, "no room"),
        (
            "200 OK",
            "<title>Sign in</title>",
            ErrorKind::Protocol,
            "\"Sign in\"",
        ),
        ("200 OK", "{}", ErrorKind::Protocol, "no count of tokens"),
    ] {
        let provider = provider_of_canned(answer(status, body)).await;
        let refused = provider.count_tokens(&model("tiny"), &ask("x")).await;
        let error = refused.expect_err(status);
        assert_eq!(error.kind(), &kind, "{error}");
        assert!(error.message().contains(words), "{error}");
    }
    let nobody = provider("http://127.0.0.1:9/v1", "k", short_limits());
    let refused = nobody.count_tokens(&model("tiny"), &ask("x")).await;
    let error = refused.expect_err("nobody listens");
    assert_eq!(error.kind(), &ErrorKind::Unreachable);
    assert!(!error.request_sent());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_tells_its_version_and_what_is_known_of_it() {
    let mock = Mock::start(Options::default()).await.expect("a mock");
    let provider = provider(&mock.base_url(), "k", NetworkLimits::new());
    let health = provider
        .check_health()
        .await
        .expect("health")
        .expect("a plugin that tells");
    assert_eq!(health.version.as_deref(), Some("0.32.0"));
    assert!(health.notes.is_empty(), "{:?}", health.notes);
    let asked = mock.requests();
    assert_eq!(
        (asked[0].method.as_str(), asked[0].path.as_str()),
        ("GET", "/version")
    );
    assert_eq!(asked.len(), 1);

    for (answer, version, notes) in [
        (recorded("03-version"), Some("0.32.0"), 0),
        (recorded("v0.14.1-03-version"), Some("0.14.1"), 6),
        (recorded("v0.19.1-03-version"), Some("0.19.1"), 2),
        (recorded("v0.23.0-03-version"), Some("0.23.0"), 2),
        (
            answer("404 Not Found", r#"{"detail":"Not Found"}"#),
            None,
            0,
        ),
    ] {
        let provider = provider_of_canned(answer).await;
        let health = provider
            .check_health()
            .await
            .expect("health")
            .expect("a plugin that tells");
        assert_eq!(health.version.as_deref(), version);
        assert_eq!(health.notes.len(), notes, "{:?}", health.notes);
        assert!(health.notes.iter().all(|note| note.code == "known-limit"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_can_not_be_used_says_why() {
    for (status, body, kind) in [
        (
            "401 Unauthorized",
            r#"{"error":"Unauthorized"}"#,
            ErrorKind::Authentication,
        ),
        ("500 Internal Server Error", "", ErrorKind::Server),
        ("200 OK", "hello", ErrorKind::Protocol),
    ] {
        let provider = provider_of_canned(answer(status, body)).await;
        let error = provider.check_health().await.expect_err(status);
        assert_eq!(error.kind(), &kind, "{error}");
    }
    let nobody = provider("http://127.0.0.1:9/v1", "k", short_limits());
    let error = nobody.check_health().await.expect_err("nobody listens");
    assert_eq!(error.kind(), &ErrorKind::Unreachable);

    // One that takes the question and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base_url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let silent = provider(&base_url, "k", short_limits());
    let bound = Duration::from_secs(10);
    let told = tokio::time::timeout(bound, silent.check_health()).await;
    let error = told.expect("an end").expect_err("silence");
    assert_eq!(error.kind(), &ErrorKind::Timeout);
}

/// The border of the component is written by hand: a field that was read at the
/// wrong place would be another one, or none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_of_a_model_and_a_request_crosses_the_border() {
    let mock = Mock::start(Options {
        models: vec![mock::Model::new("m/x", 4_096)],
        ..Options::default()
    })
    .await
    .expect("a mock");
    let provider = provider(&mock.base_url(), "k", short_limits());
    let model = Model {
        reasoning: true,
        input: vec![
            Modality::Text,
            Modality::Other("smell".into()),
            Modality::Image,
        ],
        parent: Some("m".into()),
        context_window: 1000,
        max_tokens: 900,
        ..model("m/x")
    };
    let image = Image {
        media_type: "image/png".into(),
        data: vec![0xff, 0xfe, 0x00],
    };
    let request = ChatRequest {
        messages: vec![
            Message::System("rules".into()),
            Message::User(vec![
                ContentPart::Text("see".into()),
                ContentPart::Image(image),
            ]),
            Message::Assistant(AssistantMessage {
                content: text("dropped"),
                reasoning: None,
                tool_calls: Vec::new(),
                status: TurnStatus::Aborted,
            }),
            Message::Assistant(AssistantMessage {
                content: text("looking"),
                reasoning: Some("hm".into()),
                tool_calls: vec![ToolCall {
                    id: "c1".into(),
                    name: "look".into(),
                    arguments: r#"{"at":1}"#.into(),
                }],
                status: TurnStatus::Completed,
            }),
            Message::Tool(ToolResult {
                call_id: "c1".into(),
                name: Some("look".into()),
                content: text("seen"),
                is_error: true,
            }),
        ],
        tools: vec![tool("look")],
        tool_choice: Some(ToolChoice::Named("look".into())),
        parallel_tool_calls: Some(false),
        max_tokens: Some(800),
        prompt_tokens: Some(900),
        sampling: Sampling {
            temperature: Some(0.25),
            top_p: Some(0.5),
            top_k: Some(-1),
            min_p: Some(0.125),
            presence_penalty: Some(-0.5),
            frequency_penalty: Some(0.75),
            repetition_penalty: Some(1.5),
            seed: Some(-7),
        },
        stop: vec!["a".into(), "b".into()],
        response_format: Some(ResponseFormat {
            name: "shape".into(),
            schema: r#"{"type":"object"}"#.into(),
            strict: Some(true),
        }),
        reasoning: Some(ReasoningEffort::Other("max".into())),
        priority: Some(-3),
        extra: Some(r#"{"cache_salt":"s","reasoning_effort":"max"}"#.into()),
    };
    // The mock's models read no images, and it says so; what it was asked is what
    // counts here.
    let (_, error) = run(&provider, &model, &request).await;
    assert_eq!(error.expect("a refusal").kind(), &ErrorKind::InvalidRequest);
    let asked = mock.requests();
    let body: Value = serde_json::from_slice(&asked[0].body).expect("JSON");
    let parameters = json!({"type": "object", "properties": {"z": {}, "a": {}}});
    let definition = json!({"name": "look", "description": "Call look", "parameters": parameters});
    let call = json!({"id": "c1", "type": "function",
        "function": {"name": "look", "arguments": r#"{"at":1}"#}});
    assert_eq!(
        body,
        json!({
            "model": "m/x",
            "messages": [
                {"role": "system", "content": "rules"},
                {"role": "user", "content": [
                    {"type": "text", "text": "see"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,//4A"}},
                ]},
                {"role": "assistant", "content": "looking", "reasoning": "hm",
                 "reasoning_content": "hm", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": "seen"},
            ],
            "stream": true,
            "stream_options": {"include_usage": true},
            "tools": [{"type": "function", "function": definition}],
            "tool_choice": {"type": "function", "function": {"name": "look"}},
            "parallel_tool_calls": false,
            "max_completion_tokens": 100,
            "temperature": 0.25, "top_p": 0.5, "top_k": -1, "min_p": 0.125,
            "presence_penalty": -0.5, "frequency_penalty": 0.75, "repetition_penalty": 1.5,
            "seed": -7,
            "stop": ["a", "b"],
            "priority": -3,
            "response_format": {"type": "json_schema", "json_schema":
                {"name": "shape", "schema": {"type": "object"}, "strict": true}},
            "cache_salt": "s",
            "reasoning_effort": "max",
        })
    );
}
