//! OpenClaw's `compat` flags: what each of them changes on the wire.

use provider_host::types::{ChatRequest, Message, ReasoningEffort};
use serde_json::{Value, json};

use super::conversation::{calling, chat, image, result, system, text, tool, user};
use super::server::Server;
use super::user::User;

/// A conversation in which every flag finds something to change.
fn conversation() -> ChatRequest {
    let mut turn = calling("I ask.", &["c1"]);
    turn.reasoning = Some("Hm.".to_owned());
    ChatRequest {
        tools: vec![tool("look")],
        reasoning: Some(ReasoningEffort::Low),
        ..chat(vec![
            system("Be brief."),
            Message::User(vec![text("Look."), image(b"png")]),
            Message::Assistant(turn),
            result("c1", vec![text("fog")]),
            user("And now?"),
        ])
    }
}

/// The body without any flag.
fn body() -> Value {
    json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "Look."},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
            ]},
            {"role": "assistant", "content": "I ask.", "reasoning": "Hm.",
                "reasoning_content": "Hm.", "tool_calls": [{"id": "c1", "type": "function",
                "function": {"name": "look", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "fog"},
            {"role": "user", "content": "And now?"},
        ],
        "stream": true,
        "stream_options": {"include_usage": true},
        "tools": [{"type": "function",
            "function": {"name": "look", "parameters": {"type": "object"}}}],
        "max_completion_tokens": 8192,
    })
}

/// Holds the body under `compat` against `expected`, which is the body without
/// any flag as `change` makes it.
async fn changes(compat: Value, change: impl FnOnce(&mut Value)) {
    let server = Server::start().await;
    let model = json!({"id": "m", "reasoning": true, "input": ["text", "image"],
        "compat": compat});
    let found = User::declaring(&server, &model)
        .says(&server, &conversation())
        .await;
    let mut expected = body();
    change(&mut expected);
    assert_eq!(found, expected, "{compat}");
}

fn remove(value: &mut Value, key: &str) {
    value.as_object_mut().expect("an object").remove(key);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_flags_the_defaults_hold() {
    changes(json!({}), |_| ()).await;
    // What says the default says nothing.
    let flags = json!({"supportsUsageInStreaming": true, "maxTokensField": "max_completion_tokens",
        "supportsTools": true, "requiresStringContent": false, "requiresToolResultName": false,
        "requiresAssistantAfterToolResult": false, "requiresThinkingAsText": false,
        "supportsDeveloperRole": false});
    changes(flags, |_| ()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn supports_usage_in_streaming_false_leaves_out_stream_options() {
    changes(json!({"supportsUsageInStreaming": false}), |body| {
        remove(body, "stream_options");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn max_tokens_field_names_the_field_of_the_limit() {
    changes(json!({"maxTokensField": "max_tokens"}), |body| {
        remove(body, "max_completion_tokens");
        body["max_tokens"] = json!(8192);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn supports_reasoning_effort_sends_the_level() {
    changes(json!({"supportsReasoningEffort": true}), |body| {
        body["reasoning_effort"] = json!("low");
    })
    .await;
    changes(json!({"supportsReasoningEffort": false}), |_| ()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thinking_format_says_how_thinking_is_asked_for() {
    for (format, field, value) in [
        ("qwen", "enable_thinking", json!(true)),
        (
            "qwen-chat-template",
            "chat_template_kwargs",
            json!({"enable_thinking": true, "preserve_thinking": true}),
        ),
        (
            "deepseek",
            "chat_template_kwargs",
            json!({"thinking": true, "enable_thinking": true}),
        ),
    ] {
        changes(json!({"thinkingFormat": format}), |body| {
            body[field] = value
        })
        .await;
    }
    // OpenAI's way is `reasoning_effort`, where the server is said to know it.
    changes(json!({"thinkingFormat": "openai"}), |_| ()).await;
    changes(
        json!({"thinkingFormat": "openai", "supportsReasoningEffort": true}),
        |body| body["reasoning_effort"] = json!("low"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn supports_tools_false_offers_no_tools() {
    changes(json!({"supportsTools": false}), |body| {
        remove(body, "tools")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requires_string_content_sends_no_parts() {
    changes(json!({"requiresStringContent": true}), |body| {
        body["messages"][1]["content"] =
            json!("Look.\n(image omitted: model does not support images)");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requires_tool_result_name_names_the_tool_of_a_result() {
    changes(json!({"requiresToolResultName": true}), |body| {
        body["messages"][3]["name"] = json!("look");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requires_assistant_after_tool_result_puts_a_turn_between() {
    changes(json!({"requiresAssistantAfterToolResult": true}), |body| {
        let turn = json!({"role": "assistant", "content": "I have processed the tool results."});
        body["messages"]
            .as_array_mut()
            .expect("a list")
            .insert(4, turn);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requires_thinking_as_text_replays_thinking_before_the_text() {
    changes(json!({"requiresThinkingAsText": true}), |body| {
        let turn = &mut body["messages"][2];
        turn["content"] = json!("Hm.\n\nI ask.");
        remove(turn, "reasoning");
        remove(turn, "reasoning_content");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn supports_developer_role_renames_the_systems_role() {
    changes(json!({"supportsDeveloperRole": true}), |body| {
        body["messages"][0]["role"] = json!("developer");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_about_what_is_never_sent_change_nothing_and_draw_no_note() {
    let flags = json!({"supportsStore": true, "supportsStrictMode": true,
        "supportsPromptCacheKey": true});
    changes(flags.clone(), |_| ()).await;
    let user = User::entry(&json!({"models": [{"id": "m", "compat": flags}]}));
    assert_eq!(user.notes().await, []);
}
