//! `params` of the provider, of a model and of the agent, on the wire.

use provider_host::types::{ChatRequest, Sampling};
use serde_json::{Value, json};

use super::server::Server;
use super::user::User;
use crate::support::ask;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn params_become_fields_and_the_nearer_to_the_request_wins() {
    let server = Server::start().await;
    let user = User::of(&json!({
        "models": {"providers": {"vllm": {
            "baseUrl": server.base_url(),
            "params": {"temperature": 0.1, "topP": 0.2, "seed": 1, "maxTokens": 100},
            "models": [{"id": "m", "params": {"topP": 0.3, "seed": 2, "max_tokens": 200}}, {"id": "n"}],
        }}},
        "agents": {"defaults": {"models": {
            "vllm/m": {"alias": "mine", "params": {"seed": 3, "stop": "END"}},
            "other/m": {"params": {"seed": 4}},
        }}},
    }));
    let shown = |body: &Value| -> Value {
        let fields = [
            "temperature",
            "top_p",
            "seed",
            "stop",
            "max_completion_tokens",
        ];
        fields.iter().map(|name| body[*name].clone()).collect()
    };
    let body = user.says(&server, &ask("hi")).await;
    assert_eq!(shown(&body), json!([0.1, 0.3, 3, ["END"], 200]));
    let body = user.sends(&server, "n", &ask("hi")).await.json();
    assert_eq!(shown(&body), json!([0.1, 0.2, 1, null, 100]));
    // The request itself is the nearest.
    let request = ChatRequest {
        max_tokens: Some(7),
        sampling: Sampling {
            seed: Some(5),
            ..ask("").sampling
        },
        ..ask("hi")
    };
    let body = user.says(&server, &request).await;
    assert_eq!(shown(&body), json!([0.1, 0.3, 5, ["END"], 7]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_named_parameter_is_known_in_snake_and_in_camel_case() {
    let server = Server::start().await;
    for (snake, camel, value, field, sent) in [
        (
            "temperature",
            "temperature",
            json!(0.5),
            "temperature",
            json!(0.5),
        ),
        ("top_p", "topP", json!(0.9), "top_p", json!(0.9)),
        ("top_k", "topK", json!(-1), "top_k", json!(-1)),
        ("min_p", "minP", json!(0.05), "min_p", json!(0.05)),
        (
            "presence_penalty",
            "presencePenalty",
            json!(1.5),
            "presence_penalty",
            json!(1.5),
        ),
        (
            "frequency_penalty",
            "frequencyPenalty",
            json!(-2),
            "frequency_penalty",
            json!(-2),
        ),
        (
            "repetition_penalty",
            "repetitionPenalty",
            json!(1.1),
            "repetition_penalty",
            json!(1.1),
        ),
        ("seed", "seed", json!(42), "seed", json!(42)),
        ("stop", "stop", json!(["a", "b"]), "stop", json!(["a", "b"])),
        ("priority", "priority", json!(-5), "priority", json!(-5)),
        (
            "max_tokens",
            "maxTokens",
            json!(9),
            "max_completion_tokens",
            json!(9),
        ),
        (
            "max_completion_tokens",
            "maxCompletionTokens",
            json!(9),
            "max_completion_tokens",
            json!(9),
        ),
        (
            "chat_template_kwargs",
            "chatTemplateKwargs",
            json!({"a": 1}),
            "chat_template_kwargs",
            json!({"a": 1}),
        ),
        (
            "extra_body",
            "extraBody",
            json!({"ignore_eos": true}),
            "ignore_eos",
            json!(true),
        ),
    ] {
        for name in [snake, camel] {
            let model = json!({"id": "m", "params": {name: value}});
            let body = User::declaring(&server, &model)
                .says(&server, &ask("hi"))
                .await;
            assert_eq!(body[field], sent, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn extra_body_is_merged_over_the_body_and_template_arguments_key_by_key() {
    let server = Server::start().await;
    let user = User::of(&json!({
        "models": {"providers": {"vllm": {
            "baseUrl": server.base_url(),
            "params": {
                "chat_template_kwargs": {"a": 1, "b": 1, "c": 1, "d": 1},
                "extra_body": {"x": 1, "y": {"whole": true}, "temperature": 0.9,
                    "chat_template_kwargs": {"c": 3}},
            },
            "models": [{"id": "m", "params": {
                "chat_template_kwargs": {"b": 2}, "extra_body": {"y": [2], "store": false},
            }}],
        }}},
        "agents": {"defaults": {"models": {"vllm/m": {"params": {"extra_body": {"x": 4}}}}}},
    }));
    let request = ChatRequest {
        sampling: Sampling {
            temperature: Some(0.1),
            ..ask("").sampling
        },
        extra: Some(json!({"z": 5, "chat_template_kwargs": {"d": 6}}).to_string()),
        ..ask("hi")
    };
    let body = user.says(&server, &request).await;
    assert_eq!(
        body,
        json!({
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "stream": true,
            "stream_options": {"include_usage": true},
            "max_completion_tokens": 8192,
            "temperature": 0.9, "x": 4, "y": [2], "z": 5, "store": false,
            "chat_template_kwargs": {"a": 1, "b": 2, "c": 3, "d": 6},
        })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn params_of_the_agent_hold_for_discovered_models_too() {
    let server = Server::start().await;
    let user = User::of(&json!({
        "models": {"providers": {"vllm": {"baseUrl": server.base_url(), "params": {"seed": 1}}}},
        "agents": {"defaults": {"models": {
            "VLLM/*": {}, "vllm/m": {"params": {"temperature": 0.3}},
        }}},
    }));
    let body = user.says(&server, &ask("hi")).await;
    assert_eq!(
        (&body["seed"], &body["temperature"]),
        (&json!(1), &json!(0.3))
    );
}
