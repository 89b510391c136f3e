//! Thinking, switched.

use super::*;

#[test]
fn thinking_is_asked_for_as_the_model_understands_it() {
    use ReasoningEffort::{High, Low, Medium, Minimal, Off, Xhigh};
    let on = json!({"enable_thinking": true, "preserve_thinking": true});
    let off = json!({"enable_thinking": false, "preserve_thinking": true});
    let none = json!({});
    // Model, declared as reasoning, compat, level, and what is in the body.
    for (id, reasoning, compat, level, expected) in [
        ("m", true, json!({}), Some(High), none.clone()),
        (
            "m",
            true,
            json!({"supportsReasoningEffort": true}),
            None,
            none.clone(),
        ),
        (
            "m",
            true,
            json!({"supportsReasoningEffort": true}),
            Some(High),
            json!({"reasoning_effort": "high"}),
        ),
        (
            "m",
            true,
            json!({"supportsReasoningEffort": true}),
            Some(Off),
            json!({"reasoning_effort": "none"}),
        ),
        (
            "m",
            false,
            json!({"supportsReasoningEffort": true}),
            Some(High),
            none.clone(),
        ),
        (
            "m",
            true,
            json!({"thinkingFormat": "openai"}),
            Some(High),
            none.clone(),
        ),
        (
            "m",
            true,
            json!({"thinkingFormat": "qwen"}),
            Some(Off),
            json!({"enable_thinking": false}),
        ),
        (
            "m",
            true,
            json!({"thinkingFormat": "qwen"}),
            Some(Low),
            json!({"enable_thinking": true}),
        ),
        (
            "m",
            true,
            json!({"thinkingFormat": "qwen-chat-template"}),
            Some(Low),
            json!({"chat_template_kwargs": on}),
        ),
        (
            "m",
            false,
            json!({"thinkingFormat": "qwen-chat-template"}),
            Some(Low),
            none.clone(),
        ),
        (
            "Qwen/Qwen3-8B",
            true,
            json!({}),
            Some(Off),
            json!({"chat_template_kwargs": off}),
        ),
        ("Qwen/Qwen3-8B", true, json!({}), None, none.clone()),
        ("Qwen/Qwen3-8B", false, json!({}), Some(Off), none.clone()),
        (
            "Qwen/Qwen3-8B",
            true,
            json!({"thinkingFormat": "openai"}),
            Some(Off),
            none.clone(),
        ),
        (
            "nemotron-3-super",
            false,
            json!({}),
            Some(Off),
            json!({"chat_template_kwargs": {"enable_thinking": false, "force_nonempty_content": true}}),
        ),
        (
            "nemotron-3-super",
            true,
            json!({}),
            Some(High),
            json!({"chat_template_kwargs": {"enable_thinking": true}}),
        ),
        (
            "deepseek-ai/DeepSeek-V3.1",
            true,
            json!({}),
            Some(High),
            json!({"chat_template_kwargs": {"thinking": true, "enable_thinking": true}}),
        ),
        (
            "deepseek-v4",
            true,
            json!({}),
            Some(Off),
            json!({"chat_template_kwargs": {"thinking": false, "enable_thinking": false}}),
        ),
        (
            "zai-org/GLM-4.6",
            true,
            json!({}),
            Some(Off),
            json!({"chat_template_kwargs": {"enable_thinking": false}}),
        ),
        (
            "openai/gpt-oss-20b",
            true,
            json!({}),
            Some(Medium),
            json!({"reasoning_effort": "medium"}),
        ),
        (
            "openai/gpt-oss-20b",
            true,
            json!({}),
            Some(Off),
            json!({"reasoning_effort": "low"}),
        ),
        (
            "openai/gpt-oss-20b",
            true,
            json!({}),
            Some(Minimal),
            json!({"reasoning_effort": "low"}),
        ),
        (
            "openai/gpt-oss-20b",
            true,
            json!({}),
            Some(Xhigh),
            json!({"reasoning_effort": "high"}),
        ),
        (
            "openai/gpt-oss-20b",
            true,
            json!({"supportsReasoningEffort": false}),
            Some(High),
            none.clone(),
        ),
        (
            "deepseek-ai/DeepSeek-R1",
            true,
            json!({}),
            Some(High),
            none.clone(),
        ),
    ] {
        let settings = settings(json!({"models": [{"id": id, "compat": compat}]}));
        let model = Model {
            reasoning,
            ..model(id)
        };
        let request = ChatRequest {
            reasoning: level.clone(),
            ..hello()
        };
        let mut body = sent(&settings, &model, &request);
        let body = body.as_object_mut().unwrap();
        for usual in [
            "model",
            "messages",
            "stream",
            "stream_options",
            "max_completion_tokens",
        ] {
            body.remove(usual).unwrap();
        }
        assert_eq!(
            Value::Object(body.clone()),
            expected,
            "{id} {compat} {level:?}"
        );
    }
}

#[test]
fn the_users_own_template_arguments_win_key_by_key() {
    let mut own = settings(json!({"params": {"thinking": "off"}}));
    own.models = vec![ModelSettings {
        id: "Qwen/Qwen3-8B".to_owned(),
        params: r#"{"chat_template_kwargs":{"preserve_thinking":false},"qwenThinkingFormat":"chat-template"}"#.to_owned(),
    }];
    let model = Model {
        reasoning: true,
        ..model("Qwen/Qwen3-8B")
    };
    let body = sent(&own, &model, &hello());
    assert_eq!(
        body["chat_template_kwargs"],
        json!({"enable_thinking": false, "preserve_thinking": false})
    );
}
