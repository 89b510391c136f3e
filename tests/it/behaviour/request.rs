//! What every request has and never has, and how long its answer may be.

use provider_host::types::{ChatRequest, Message, ReasoningEffort, ResponseFormat, Sampling};
use serde_json::{Value, json};

use super::conversation::{calling, chat, result, system, text, tool, user};
use super::server::Server;
use super::user::User;
use crate::support::ask;

/// A request that asks for much.
fn rich() -> ChatRequest {
    ChatRequest {
        tools: vec![tool("look")],
        reasoning: Some(ReasoningEffort::High),
        response_format: Some(ResponseFormat {
            name: "shape".into(),
            schema: "{\"type\":\"object\"}".into(),
            strict: None,
        }),
        ..chat(vec![
            system("Be brief."),
            user("a"),
            Message::Assistant(calling("", &["c"])),
            result("c", vec![text("fog")]),
            user("b"),
        ])
    }
}

/// Whether `name` is a field anywhere in `value`.
fn has(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| key == name || has(value, name)),
        Value::Array(items) => items.iter().any(|item| has(item, name)),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_is_a_streaming_post_to_chat_completions() {
    let server = Server::start().await;
    for model in [json!({"id": "m"}), json!({"id": "m", "reasoning": true})] {
        for request in [ask("hi"), rich()] {
            let sent = User::declaring(&server, &model)
                .sends(&server, "m", &request)
                .await;
            assert_eq!(
                (&*sent.method, &*sent.target),
                ("POST", "/v1/chat/completions")
            );
            let body = sent.json();
            assert_eq!(body["stream"], true);
            assert_eq!(body["stream_options"], json!({"include_usage": true}));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_headers_are_type_accept_key_name_and_the_configured_ones() {
    let server = Server::start().await;
    let entry = json!({"baseUrl": server.base_url(), "headers": {"X-Team": "blue"},
        "models": [{"id": "m"}]});
    let user = User::entry(&entry).env("VLLM_API_KEY", "key");
    let sent = user.sends(&server, "m", &rich()).await;
    assert_eq!(
        sent.header_names(),
        [
            "accept",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "x-team"
        ]
    );
    assert_eq!(sent.header("content-type"), Some("application/json"));
    assert_eq!(sent.header("accept"), Some("text/event-stream"));
    assert_eq!(sent.header("authorization"), Some("Bearer key"));
    let name = concat!("vllm-provider/", env!("CARGO_PKG_VERSION"));
    assert_eq!(sent.header("user-agent"), Some(name));
}

const NEVER: [&str; 14] = [
    "store",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "cache_control",
    "cache_salt",
    "safety_identifier",
    "user",
    "metadata",
    "strict",
    "verbosity",
    "session_id",
    "request_id",
    "reasoning_effort",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openais_own_fields_are_never_sent_by_themselves() {
    let server = Server::start().await;
    for id in ["m", "openai/gpt-5", "Qwen/Qwen3-8B"] {
        let model = json!({"id": id, "reasoning": id != "m",
            "compat": {"supportsStore": true, "supportsStrictMode": true}});
        let user = User::declaring(&server, &model);
        for request in [ask("hi"), rich()] {
            let body = user.sends(&server, id, &request).await.json();
            for field in NEVER {
                assert!(!has(&body, field), "{id}: {field} in {body}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_users_extra_or_extra_body_sends_any_of_them() {
    let server = Server::start().await;
    for field in NEVER {
        let value = json!("mine");
        let model = json!({"id": "m", "params": {"extra_body": {field: value}}});
        let body = User::declaring(&server, &model)
            .says(&server, &ask("hi"))
            .await;
        assert_eq!(body[field], value, "extra_body.{field}");

        let request = ChatRequest {
            extra: Some(json!({field: value}).to_string()),
            ..ask("hi")
        };
        let body = User::declaring(&server, &json!({"id": "m"}))
            .says(&server, &request)
            .await;
        assert_eq!(body[field], value, "extra.{field}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reasoning_effort_needs_a_reasoning_model_a_level_and_the_flag() {
    let server = Server::start().await;
    for reasoning in [false, true] {
        for level in [None, Some(ReasoningEffort::High)] {
            for flag in [Value::Null, json!(false), json!(true)] {
                let mut model = json!({"id": "m", "reasoning": reasoning});
                if !flag.is_null() {
                    model["compat"] = json!({"supportsReasoningEffort": flag});
                }
                let request = ChatRequest {
                    reasoning: level.clone(),
                    ..ask("hi")
                };
                let body = User::declaring(&server, &model)
                    .says(&server, &request)
                    .await;
                let sent = reasoning && level.is_some() && flag == json!(true);
                let expected = if sent { json!("high") } else { Value::Null };
                assert_eq!(body["reasoning_effort"], expected, "{model} {level:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_is_the_callers_else_the_models_fitted_to_what_a_prompt_leaves() {
    let server = Server::start().await;
    let model = json!({"id": "m", "contextWindow": 4_096, "maxTokens": 1_024});
    for (caller, prompt, sent) in [
        (None, None, 1_024),
        (Some(2_000), None, 2_000),
        // A server says by how much a limit is too large; nobody guesses.
        (Some(100_000), None, 100_000),
        (None, Some(1_000), 1_024),
        (None, Some(3_072), 1_024),
        (None, Some(3_073), 1_023),
        (Some(2_000), Some(3_000), 1_096),
        (Some(1), Some(3_000), 1),
        (None, Some(4_095), 1),
        // Never below 1: the server words the overflow.
        (None, Some(4_096), 1),
        (None, Some(1_000_000), 1),
    ] {
        let request = ChatRequest {
            max_tokens: caller,
            prompt_tokens: prompt,
            ..ask("hi")
        };
        let body = User::declaring(&server, &model)
            .says(&server, &request)
            .await;
        assert_eq!(body["max_completion_tokens"], sent, "{caller:?} {prompt:?}");
        assert!(body.get("max_tokens").is_none());
    }
    let request = ChatRequest {
        max_tokens: Some(0),
        ..ask("hi")
    };
    let (_, error) = User::declaring(&server, &model).chat("m", &request).await;
    assert_eq!(
        error.expect("no answer has 0 tokens").kind_name(),
        "invalid-request"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typed_fields_are_sent_under_the_servers_names() {
    let server = Server::start().await;
    let user = User::declaring(&server, &json!({"id": "m"}));
    let sampled = |change: fn(&mut Sampling)| {
        let mut request = ask("hi");
        change(&mut request.sampling);
        request
    };
    for (request, field, value) in [
        (
            ChatRequest {
                priority: Some(-3),
                ..ask("hi")
            },
            "priority",
            json!(-3),
        ),
        (sampled(|s| s.seed = Some(7)), "seed", json!(7)),
        (
            sampled(|s| s.seed = Some(i64::MIN)),
            "seed",
            json!(i64::MIN),
        ),
        (
            sampled(|s| s.temperature = Some(0.0)),
            "temperature",
            json!(0),
        ),
        (
            sampled(|s| s.temperature = Some(0.1)),
            "temperature",
            json!(0.1),
        ),
        (sampled(|s| s.top_p = Some(0.95)), "top_p", json!(0.95)),
        (sampled(|s| s.top_k = Some(-1)), "top_k", json!(-1)),
        (sampled(|s| s.min_p = Some(0.05)), "min_p", json!(0.05)),
        (
            sampled(|s| s.repetition_penalty = Some(1.1)),
            "repetition_penalty",
            json!(1.1),
        ),
        (
            sampled(|s| s.presence_penalty = Some(-0.5)),
            "presence_penalty",
            json!(-0.5),
        ),
        (
            sampled(|s| s.frequency_penalty = Some(0.5)),
            "frequency_penalty",
            json!(0.5),
        ),
        (
            ChatRequest {
                stop: vec!["END".into(), "\"".into()],
                ..ask("hi")
            },
            "stop",
            json!(["END", "\""]),
        ),
    ] {
        let mut body = user.says(&server, &request).await;
        assert_eq!(body[field], value, "{field}");
        body.as_object_mut().expect("an object").remove(field);
        assert_eq!(
            body,
            user.says(&server, &ask("hi")).await,
            "{field} and nothing more"
        );
    }
    // A number that is none is refused, for no server could read it.
    for value in [f64::NAN, f64::INFINITY] {
        let mut request = ask("hi");
        request.sampling.top_p = Some(value);
        let (_, error) = user.chat("m", &request).await;
        let error = error.expect("no number");
        assert_eq!(
            (&*error.kind_name(), error.request_sent()),
            ("invalid-request", false)
        );
        assert!(error.message().contains("top_p"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shape_of_the_answer_is_response_format() {
    let server = Server::start().await;
    let user = User::declaring(&server, &json!({"id": "m"}));
    let schema = "{\"type\":\"object\",\"properties\":{\"b\":{},\"a\":{}}}";
    for strict in [None, Some(true), Some(false)] {
        let format = ResponseFormat {
            name: "shape_1-a".into(),
            schema: schema.into(),
            strict,
        };
        let request = ChatRequest {
            response_format: Some(format),
            ..ask("hi")
        };
        let sent = user.sends(&server, "m", &request).await;
        let format = &sent.json()["response_format"];
        assert_eq!(format["type"], "json_schema");
        assert_eq!(format["json_schema"]["name"], "shape_1-a");
        assert_eq!(
            format["json_schema"].get("strict"),
            strict.map(Value::from).as_ref()
        );
        // The order of a schema is part of what the model reads.
        let text = String::from_utf8(sent.body).expect("text");
        assert!(text.contains(schema), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_typed_field_goes_through_extra() {
    let server = Server::start().await;
    let extra = json!({
        "structured_outputs": {"regex": "a+"}, "cache_salt": "s", "stop_token_ids": [1],
        "include_reasoning": false, "thinking_token_budget": 9, "min_tokens": 1,
        "response_format": {"type": "json_object"}, "null_field": null,
        "chat_template_kwargs": {"k": [1, {"n": null}]},
    });
    let request = ChatRequest {
        extra: Some(extra.to_string()),
        ..ask("hi")
    };
    let body = User::declaring(&server, &json!({"id": "m"}))
        .says(&server, &request)
        .await;
    for (field, value) in extra.as_object().expect("an object") {
        assert_eq!(body.get(field), Some(value), "{field}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn extra_is_merged_last_and_may_not_set_stream_or_messages() {
    let server = Server::start().await;
    let model = json!({"id": "m", "params": {"seed": 1, "extra_body": {"seed": 3, "x": 3}}});
    let user = User::declaring(&server, &model);
    let request = ChatRequest {
        sampling: Sampling {
            seed: Some(2),
            ..ask("").sampling
        },
        extra: Some("{\"seed\":4,\"max_completion_tokens\":5,\"tool_choice\":\"none\"}".into()),
        ..ask("hi")
    };
    let body = user.says(&server, &request).await;
    assert_eq!(
        (
            &body["seed"],
            &body["x"],
            &body["max_completion_tokens"],
            &body["tool_choice"]
        ),
        (&json!(4), &json!(3), &json!(5), &json!("none"))
    );
    let before = server.requests().len();
    for (extra, words) in [
        ("{\"stream\":false}", "extra.stream"),
        ("{\"stream\":true}", "extra.stream"),
        ("{\"messages\":[]}", "extra.messages"),
        ("[]", "object"),
        ("{", "not JSON"),
    ] {
        let request = ChatRequest {
            extra: Some(extra.into()),
            ..ask("hi")
        };
        let (_, error) = user.chat("m", &request).await;
        let error = error.unwrap_or_else(|| panic!("{extra} was sent"));
        assert_eq!(
            (&*error.kind_name(), error.request_sent()),
            ("invalid-request", false)
        );
        assert!(error.message().contains(words), "{error:?}");
    }
    assert_eq!(server.requests().len(), before, "nothing was sent");
}
