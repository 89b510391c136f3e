//! Thinking, switched as each family of models understands it.

use provider_host::types::{ChatRequest, ReasoningEffort};
use serde_json::{Value, json};

use super::server::Server;
use super::user::User;
use crate::support::ask;

use ReasoningEffort::{High, Low, Medium, Minimal, Off, Xhigh};

/// What of a body is about thinking, for a model, its parameters and a level.
async fn asked(model: &Value, params: &Value, level: Option<ReasoningEffort>) -> Value {
    let server = Server::start().await;
    let id = model["id"].as_str().expect("an id");
    let user = User::entry(&json!({"baseUrl": server.base_url(), "params": params,
        "models": [model]}));
    let request = ChatRequest {
        reasoning: level,
        ..ask("hi")
    };
    let mut body = user.sends(&server, id, &request).await.json();
    let fields = body.as_object_mut().expect("an object");
    for usual in [
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_completion_tokens",
    ] {
        fields.remove(usual);
    }
    body
}

fn thinking(id: &str) -> Value {
    json!({"id": id, "reasoning": true})
}

async fn hold(model: Value, cases: &[(Option<ReasoningEffort>, Value)]) {
    for (level, expected) in cases {
        let found = asked(&model, &json!({}), level.clone()).await;
        assert_eq!(found, *expected, "{model} {level:?}");
    }
}

fn template(arguments: Value) -> Value {
    json!({"chat_template_kwargs": arguments})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_asked_for_unless_a_level_is_and_only_of_reasoning_models() {
    for id in [
        "m",
        "Qwen/Qwen3-8B",
        "openai/gpt-oss-20b",
        "deepseek-ai/DeepSeek-V3.1",
    ] {
        hold(thinking(id), &[(None, json!({}))]).await;
        hold(
            json!({"id": id}),
            &[(Some(High), json!({})), (Some(Off), json!({}))],
        )
        .await;
    }
    // Nobody knows how a model of no family is asked.
    hold(
        thinking("m"),
        &[(Some(High), json!({})), (Some(Off), json!({}))],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn qwen_is_asked_through_its_template_or_at_the_root_of_the_body() {
    let on = template(json!({"enable_thinking": true, "preserve_thinking": true}));
    let off = template(json!({"enable_thinking": false, "preserve_thinking": true}));
    let cases = [
        (Some(Low), on.clone()),
        (Some(Xhigh), on.clone()),
        (Some(Off), off.clone()),
    ];
    hold(thinking("Qwen/Qwen3-8B"), &cases).await;
    let mut other = thinking("org/tuned");
    other["compat"] = json!({"thinkingFormat": "qwen-chat-template"});
    hold(other, &cases).await;
    let mut root = thinking("org/tuned");
    root["compat"] = json!({"thinkingFormat": "qwen"});
    hold(
        root,
        &[
            (Some(Medium), json!({"enable_thinking": true})),
            (Some(Off), json!({"enable_thinking": false})),
        ],
    )
    .await;
    // OpenClaw's parameter says the same.
    for (format, expected) in [
        ("chat-template", off),
        ("top-level", json!({"enable_thinking": false})),
    ] {
        let params = json!({"qwenThinkingFormat": format});
        let found = asked(&thinking("org/tuned"), &params, Some(Off)).await;
        assert_eq!(found, expected, "{format}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nemotron_3_is_kept_from_thinking_by_two_arguments() {
    let off = template(json!({"enable_thinking": false, "force_nonempty_content": true}));
    let id = "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B";
    // Also where nobody declared that it thinks, as in OpenClaw.
    for model in [thinking(id), json!({"id": id})] {
        hold(model, &[(Some(Off), off.clone()), (None, json!({}))]).await;
    }
    hold(
        thinking(id),
        &[(Some(High), template(json!({"enable_thinking": true})))],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deepseek_from_v3_1_is_asked_by_both_names() {
    let both = |on: bool| template(json!({"thinking": on, "enable_thinking": on}));
    for id in [
        "deepseek-ai/DeepSeek-V3.1",
        "deepseek-ai/DeepSeek-V3.2-Exp",
        "deepseek-v4",
    ] {
        hold(
            thinking(id),
            &[(Some(High), both(true)), (Some(Off), both(false))],
        )
        .await;
    }
    // R1 can't be asked.
    hold(
        thinking("deepseek-ai/DeepSeek-R1"),
        &[(Some(Off), json!({}))],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gpt_oss_is_asked_by_one_of_its_three_efforts() {
    let effort = |word: &str| json!({"reasoning_effort": word});
    hold(
        thinking("openai/gpt-oss-20b"),
        &[
            (Some(Off), effort("low")),
            (Some(Minimal), effort("low")),
            (Some(Low), effort("low")),
            (Some(Medium), effort("medium")),
            (Some(High), effort("high")),
            (Some(Xhigh), effort("high")),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_users_own_template_arguments_win_key_by_key() {
    let found = asked(
        &thinking("Qwen/Qwen3-8B"),
        &json!({"chat_template_kwargs": {"preserve_thinking": false, "style": 1}}),
        Some(High),
    )
    .await;
    let expected =
        template(json!({"enable_thinking": true, "preserve_thinking": false, "style": 1}));
    assert_eq!(found, expected);
    // Also against a level that says the opposite.
    let found = asked(
        &thinking("Qwen/Qwen3-8B"),
        &json!({"extra_body": {"chat_template_kwargs": {"enable_thinking": false}}}),
        Some(High),
    )
    .await;
    let expected = template(json!({"enable_thinking": false, "preserve_thinking": true}));
    assert_eq!(found, expected);
}
