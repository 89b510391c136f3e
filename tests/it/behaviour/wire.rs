//! A dozen configurations, and the whole request that each of them makes: the
//! request line, every header, and the body to the last field.

use provider_host::types::{ChatRequest, Message, ReasoningEffort, Sampling, ToolChoice};
use serde_json::json;

use super::case::Case;
use super::conversation::{
    calling, calls_json, chat, data_url, image, result, said, system, text, tool, tool_json, user,
};
use crate::support::ask;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bare_entry_makes_the_smallest_request() {
    Case::new("nothing is configured").hold().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_and_headers_are_in_the_request_and_nothing_else_is() {
    Case {
        entry: json!({"headers": {"X-Team": "blue"}, "request": {"headers": {"X-Trace": "t"}}}),
        model: json!({"headers": {"X-Model": "m"}}),
        key: Some("key-1"),
        headers: &[
            ("authorization", "Bearer key-1"),
            ("x-team", "blue"),
            ("x-trace", "t"),
            ("x-model", "m"),
        ],
        ..Case::new("a key and headers")
    }
    .hold()
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_url_of_any_form_makes_one_address() {
    for (base, target) in [
        ("/v1/", "/v1/chat/completions"),
        ("/v1///", "/v1/chat/completions"),
        ("", "/chat/completions"),
        ("/team/api", "/team/api/chat/completions"),
        ("/v1/?tenant=a&b=%20", "/v1/chat/completions?tenant=a&b=%20"),
    ] {
        Case {
            entry: json!({"baseUrl": base}),
            target,
            ..Case::new("a base URL")
        }
        .hold()
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_with_a_header_of_its_own_gets_it_instead_of_the_key() {
    Case {
        entry: json!({
            "request": {"auth": {"mode": "header", "headerName": "X-Api-Key", "value": "v"}},
            "headers": {"User-Agent": "agent/1"},
        }),
        key: Some("key-1"),
        headers: &[("x-api-key", "v"), ("user-agent", "agent/1")],
        ..Case::new("a header of its own")
    }
    .hold()
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_server_gets_the_fields_it_knows() {
    Case {
        model: json!({"contextWindow": 4_096, "compat": {
            "supportsUsageInStreaming": false, "maxTokensField": "max_tokens"}}),
        body: json!({"stream_options": null, "max_completion_tokens": null, "max_tokens": 4_096}),
        ..Case::new("an old server")
    }
    .hold()
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_with_parameters_of_three_layers_gets_the_nearest() {
    Case {
        entry: json!({"params": {"temperature": 0.1, "top_p": 0.1, "top_k": 1}}),
        model: json!({"maxTokens": 500, "params": {"top_p": 0.2, "top_k": 2, "maxTokens": 400}}),
        agent: json!({"top_k": 3, "stop": ["END"], "extra_body": {"min_tokens": 2}}),
        body: json!({"temperature": 0.1, "top_p": 0.2, "top_k": 3, "stop": ["END"],
            "min_tokens": 2, "max_completion_tokens": 400}),
        ..Case::new("three layers")
    }
    .hold()
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_with_every_typed_field_has_them_under_the_servers_names() {
    Case {
        request: ChatRequest {
            tools: vec![tool("look"), tool("other")],
            tool_choice: Some(ToolChoice::Named("look".into())),
            parallel_tool_calls: Some(false),
            max_tokens: Some(9_000),
            sampling: Sampling {
                temperature: Some(0.25),
                top_p: Some(0.5),
                top_k: Some(-1),
                min_p: Some(0.0),
                presence_penalty: Some(-1.5),
                frequency_penalty: Some(2.0),
                repetition_penalty: Some(1.05),
                seed: Some(-9_007_199_254_740_993),
            },
            stop: vec!["END".into(), "\n\n".into()],
            priority: Some(-7),
            response_format: Some(provider_host::types::ResponseFormat {
                name: "yes".into(),
                schema: "{\"type\":\"object\"}".into(),
                strict: Some(true),
            }),
            ..ask("hi")
        },
        body: json!({
            "tools": [tool_json("look"), tool_json("other")],
            "tool_choice": {"type": "function", "function": {"name": "look"}},
            "parallel_tool_calls": false,
            "max_completion_tokens": 9_000,
            "temperature": 0.25, "top_p": 0.5, "top_k": -1, "min_p": 0,
            "presence_penalty": -1.5, "frequency_penalty": 2, "repetition_penalty": 1.05,
            "seed": -9_007_199_254_740_993_i64,
            "stop": ["END", "\n\n"],
            "priority": -7,
            "response_format": {"type": "json_schema", "json_schema":
                {"name": "yes", "schema": {"type": "object"}, "strict": true}},
        }),
        ..Case::new("every typed field")
    }
    .hold()
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_sees_gets_images_also_those_of_tools() {
    Case {
        model: json!({"input": ["text", "image"]}),
        request: chat(vec![
            system("Be brief."),
            Message::User(vec![text("Look."), image(b"1"), image(b"2")]),
            Message::Assistant(calling("", &["c1", "c2"])),
            result("c1", vec![text("a map"), image(b"3")]),
            result("c2", vec![image(b"4")]),
            user("And?"),
        ]),
        body: json!({"messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "Look."},
                {"type": "image_url", "image_url": {"url": data_url(b"1")}},
                {"type": "image_url", "image_url": {"url": data_url(b"2")}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": calls_json(&["c1", "c2"])},
            {"role": "tool", "tool_call_id": "c1", "content": "a map"},
            {"role": "tool", "tool_call_id": "c2", "content": "(see attached image)"},
            {"role": "user", "content": [
                {"type": "text", "text": "Attached image(s) from tool result:"},
                {"type": "image_url", "image_url": {"url": data_url(b"3")}},
                {"type": "image_url", "image_url": {"url": data_url(b"4")}},
            ]},
            {"role": "user", "content": "And?"},
        ]}),
        ..Case::new("a model that sees")
    }
    .hold()
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thinking_qwen_gets_its_switch_and_its_earlier_thinking() {
    let mut turn = said("Yes.");
    turn.reasoning = Some("Let me see.".into());
    Case {
        model: json!({"reasoning": true, "compat": {"thinkingFormat": "qwen-chat-template"}}),
        agent: json!({"chat_template_kwargs": {"preserve_thinking": false, "style": "short"}}),
        request: ChatRequest {
            reasoning: Some(ReasoningEffort::High),
            ..chat(vec![
                user("Is it?"),
                Message::Assistant(turn),
                user("Sure?"),
            ])
        },
        body: json!({
            "messages": [
                {"role": "user", "content": "Is it?"},
                {"role": "assistant", "content": "Yes.", "reasoning": "Let me see.",
                    "reasoning_content": "Let me see."},
                {"role": "user", "content": "Sure?"},
            ],
            "chat_template_kwargs": {"enable_thinking": true, "preserve_thinking": false,
                "style": "short"},
        }),
        ..Case::new("a thinking Qwen")
    }
    .hold()
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reasoning_model_with_effort_gets_the_level_alone() {
    Case {
        model: json!({"reasoning": true, "compat": {"supportsReasoningEffort": true,
            "supportsDeveloperRole": true}}),
        request: ChatRequest {
            reasoning: Some(ReasoningEffort::Medium),
            ..chat(vec![system("Be brief."), user("hi")])
        },
        body: json!({
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": "hi"},
            ],
            "reasoning_effort": "medium",
        }),
        ..Case::new("effort")
    }
    .hold()
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_template_gets_strings_names_and_turns_between() {
    Case {
        model: json!({"input": ["text", "image"], "compat": {
            "requiresStringContent": true, "requiresToolResultName": true,
            "requiresAssistantAfterToolResult": true, "supportsTools": false}}),
        request: ChatRequest {
            tools: vec![tool("look")],
            ..chat(vec![
                Message::User(vec![text("Look."), image(b"1")]),
                Message::Assistant(calling("I ask.", &["c1"])),
                result("c1", vec![text("fog")]),
                user("And?"),
            ])
        },
        body: json!({"messages": [
            {"role": "user", "content": "Look.\n(image omitted: model does not support images)"},
            {"role": "assistant", "content": "I ask.", "tool_calls": calls_json(&["c1"])},
            {"role": "tool", "tool_call_id": "c1", "name": "look", "content": "fog"},
            {"role": "assistant", "content": "I have processed the tool results."},
            {"role": "user", "content": "And?"},
        ]}),
        ..Case::new("a strict template")
    }
    .hold()
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_users_own_fields_go_over_everything_but_the_exchange() {
    Case {
        model: json!({"params": {"extra_body": {"store": false, "metadata": {"a": 1}, "temperature": 1}}}),
        request: ChatRequest {
            sampling: Sampling { temperature: Some(0.5), ..ask("").sampling },
            extra: Some(json!({
                "model": "alias", "cache_salt": "s", "stop_token_ids": [1, 2],
                "include_reasoning": false, "thinking_token_budget": 64,
                "structured_outputs": {"choice": ["a", "b"]}, "max_tokens": 5,
                "stream_options": {"include_usage": true, "continuous_usage_stats": true},
            }).to_string()),
            ..ask("hi")
        },
        body: json!({
            "model": "alias", "store": false, "metadata": {"a": 1}, "temperature": 1,
            "cache_salt": "s", "stop_token_ids": [1, 2], "include_reasoning": false,
            "thinking_token_budget": 64, "structured_outputs": {"choice": ["a", "b"]},
            "max_tokens": 5, "max_completion_tokens": null,
            "stream_options": {"include_usage": true, "continuous_usage_stats": true},
        }),
        ..Case::new("the user's own fields")
    }
.hold()
    .await;
}
