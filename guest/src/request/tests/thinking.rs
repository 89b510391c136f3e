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

#[test]
fn the_users_words_for_levels_go_beside_the_switch() {
    use ReasoningEffort::{High, Low, Medium, Minimal, Off, Xhigh};
    let other = |word: &str| ReasoningEffort::Other(word.to_owned());
    let ladder = json!({"supportedReasoningEfforts": ["low", "high", "max"]});
    let map = json!({"reasoningEffortMap": {"minimal": "tiny", "xhigh": "max", "off": "none"}});
    let both =
        json!({"supportedReasoningEfforts": ["low"], "reasoningEffortMap": {"high": "deep"}});
    for (compat, level, word) in [
        (&ladder, Minimal, Some("low")),
        (&ladder, Low, Some("low")),
        (&ladder, Medium, Some("low")),
        (&ladder, High, Some("high")),
        (&ladder, Xhigh, Some("high")),
        (&ladder, other("max"), Some("max")),
        (&ladder, other("odd"), Some("odd")),
        (&ladder, Off, None),
        (&map, Minimal, Some("tiny")),
        (&map, High, Some("high")),
        (&map, Xhigh, Some("max")),
        (&map, Off, Some("none")),
        (&both, High, Some("deep")),
        (&both, Medium, Some("low")),
    ] {
        let request = ChatRequest {
            reasoning: Some(level.clone()),
            ..hello()
        };
        let on = level != Off;
        // Where the word goes, by the format of the model.
        for (id, format, template) in [
            ("Qwen/Qwen3-8B", json!(null), true),
            ("deepseek-ai/DeepSeek-V4", json!(null), true),
            ("m", json!("qwen-chat-template"), true),
            ("m", json!("deepseek"), true),
            ("m", json!("qwen"), false),
        ] {
            let mut compat = compat.clone();
            if format.is_string() {
                compat["thinkingFormat"] = format;
            }
            let settings = settings(json!({"models": [{"id": id, "compat": compat}]}));
            let model = Model {
                reasoning: true,
                ..model(id)
            };
            let body = sent(&settings, &model, &request);
            let place = if template {
                &body["chat_template_kwargs"]
            } else {
                &body
            };
            let word = word.map_or(Value::Null, Value::from);
            assert_eq!(place["reasoning_effort"], word, "{id} {compat} {level:?}");
            assert_eq!(
                place["enable_thinking"],
                json!(on),
                "{id} {compat} {level:?}"
            );
        }
        // As OpenAI's field, off has a word in any case.
        let mut compat = compat.clone();
        compat["supportsReasoningEffort"] = json!(true);
        let settings = settings(json!({"models": [{"id": "m", "compat": compat}]}));
        let model = Model {
            reasoning: true,
            ..model("m")
        };
        let body = sent(&settings, &model, &request);
        assert_eq!(
            body["reasoning_effort"],
            json!(word.unwrap_or("none")),
            "{compat} {level:?}"
        );
    }
    for (compat, path) in [
        (
            json!({"supportedReasoningEfforts": "low"}),
            "compat.supportedReasoningEfforts is",
        ),
        (
            json!({"supportedReasoningEfforts": [1]}),
            "compat.supportedReasoningEfforts is",
        ),
        (
            json!({"reasoningEffortMap": {"low": 1}}),
            "compat.reasoningEffortMap.low is",
        ),
    ] {
        let settings = settings(json!({"models": [{"id": "m", "compat": compat}]}));
        let error = build(&settings, &model("m"), &hello()).unwrap_err();
        assert!(error.message.contains(path), "{}", error.message);
    }
}

#[test]
fn a_budget_of_thinking_goes_with_its_level() {
    let settings = settings(json!({
        "params": {"thinkingBudgets": {"low": 100, "high": 900}},
        "models": [{"id": "m", "params": {"thinking_budgets": {"high": 800}}}],
    }));
    for (reasoning, level, expected) in [
        (true, Some(ReasoningEffort::Low), json!(100)),
        (true, Some(ReasoningEffort::High), json!(800)),
        (true, Some(ReasoningEffort::Medium), Value::Null),
        (true, Some(ReasoningEffort::Off), Value::Null),
        (true, None, Value::Null),
        (false, Some(ReasoningEffort::Low), Value::Null),
    ] {
        let model = Model {
            reasoning,
            ..model("m")
        };
        let mut request = ChatRequest {
            reasoning: level.clone(),
            ..hello()
        };
        let body = sent(&settings, &model, &request);
        assert_eq!(body["thinking_token_budget"], expected, "{level:?}");
        request.extra = Some(r#"{"thinking_token_budget":7}"#.to_owned());
        let body = sent(&settings, &model, &request);
        assert_eq!(body["thinking_token_budget"], json!(7));
    }
}

#[test]
fn a_level_that_can_not_be_asked_for_is_told() {
    for (id, reasoning, level, why) in [
        (
            "m",
            false,
            Some(ReasoningEffort::Off),
            Some("\"off\" has no effect: the model m is not known to reason"),
        ),
        (
            "m",
            false,
            Some(ReasoningEffort::High),
            Some("is not known to reason"),
        ),
        (
            "m",
            true,
            Some(ReasoningEffort::High),
            Some("has no switch for its thinking"),
        ),
        ("Qwen/Qwen3-8B", true, Some(ReasoningEffort::Off), None),
        ("m", false, None, None),
    ] {
        let model = Model {
            reasoning,
            ..model(id)
        };
        let request = ChatRequest {
            reasoning: level,
            ..hello()
        };
        // What the user sets for all chats is not told with each.
        let own = settings(json!({"params": {"thinking": "low"}}));
        let notes = prepare(&own, &model, &request).unwrap().decoding.notes;
        match why {
            None => assert_eq!(notes, []),
            Some(why) => {
                assert_eq!(notes[0].code, "reasoning-not-sent");
                assert!(notes[0].message.contains(why), "{}", notes[0].message);
            }
        }
    }
}
