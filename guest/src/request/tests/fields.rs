//! Tools, limits, sampling, parameters and extra fields.

use super::*;

#[test]
fn tools_go_out_with_the_very_text_of_their_schema() {
    let schema = r#"{"type":"object","properties":{"z":{"maximum":1e400},"a":{}}}"#;
    let mut request = hello();
    request.tools = vec![tool("t", &format!(" {schema}\n"))];
    let body = build(&settings(json!({})), &model("m"), &request)
        .unwrap()
        .body;
    let body = String::from_utf8(body).unwrap();
    let expected = format!(
        r#""tools":[{{"type":"function","function":{{"name":"t","parameters":{schema}}}}}]"#
    );
    assert!(body.contains(&expected), "{body}");
    assert!(!body.contains("tool_choice") && !body.contains("strict"));
}

#[test]
fn a_choice_is_sent_only_with_tools_that_it_can_mean() {
    use ToolChoice::{Auto, Named, Required};
    let named = |name: &str| Named(name.to_owned());
    for (tools, choice, expected) in [
        (1, None, Ok(Value::Null)),
        (1, Some(Auto), Ok(json!("auto"))),
        (1, Some(ToolChoice::None), Ok(json!("none"))),
        (1, Some(Required), Ok(json!("required"))),
        (
            1,
            Some(named("t")),
            Ok(json!({"type": "function", "function": {"name": "t"}})),
        ),
        (1, Some(named("u")), Err("no such tool")),
        (0, Some(Auto), Ok(Value::Null)),
        (0, Some(ToolChoice::None), Ok(Value::Null)),
        (0, Some(Required), Err("no tool is offered")),
        (0, Some(named("t")), Err("no tool is offered")),
    ] {
        let mut request = hello();
        request.tools = vec![tool("t", "{}"); tools];
        request.tool_choice = choice;
        match (build(&settings(json!({})), &model("m"), &request), expected) {
            (Ok(sent), Ok(expected)) => {
                let body: Value = serde_json::from_slice(&sent.body).unwrap();
                assert_eq!(body["tool_choice"], expected);
                assert_eq!(body.get("tools").is_some(), tools > 0);
            }
            (Err(error), Err(why)) => {
                assert_eq!(error.kind, ErrorKind::InvalidRequest);
                assert!(error.message.contains(why), "{}", error.message);
            }
            (sent, expected) => panic!("{sent:?}, not {expected:?}"),
        }
    }
}

#[test]
fn the_limit_is_fitted_to_what_the_context_leaves() {
    let capped = json!({"models": [{"id": "m", "contextWindow": 1000, "contextTokens": 500, "maxTokens": 400}]});
    let bare = json!({});
    let params = json!({"params": {"maxTokens": 7}});
    for (config, window, own, asked, prompt, expected) in [
        (&bare, 1000, 400, None, None, 400),
        (&bare, 1000, 400, Some(900), None, 900),
        (&bare, 1000, 400, None, Some(100), 400),
        (&bare, 1000, 400, None, Some(700), 300),
        (&bare, 1000, 400, Some(900), Some(700), 300),
        (&bare, 1000, 400, Some(1), Some(700), 1),
        (&bare, 1000, 400, None, Some(999), 1),
        (&bare, 1000, 400, None, Some(1000), 1),
        (&bare, 1000, 400, None, Some(u32::MAX), 1),
        (&capped, 1000, 400, None, None, 400),
        (&capped, 1000, 400, None, Some(200), 300),
        (&params, 1000, 400, None, None, 7),
        (&params, 1000, 400, Some(9), None, 9),
    ] {
        let model = Model {
            context_window: window,
            max_tokens: own,
            ..model("m")
        };
        let request = ChatRequest {
            max_tokens: asked,
            prompt_tokens: prompt,
            ..hello()
        };
        let body = sent(&settings(config.clone()), &model, &request);
        assert_eq!(
            body["max_completion_tokens"], expected,
            "{asked:?} {prompt:?} {config}"
        );
    }
}

#[test]
fn a_limit_that_the_user_sets_in_the_body_itself_is_not_fitted() {
    let own = json!({"params": {"extra_body": {"max_tokens": 3000}}});
    let (none, extra) = (json!({}), r#"{"max_completion_tokens":4000}"#);
    for (config, extra, field, expected) in [
        (&none, None, "max_completion_tokens", 300),
        (&own, None, "max_tokens", 3000),
        (&none, Some(extra), "max_completion_tokens", 4000),
        (&own, Some(extra), "max_completion_tokens", 4000),
    ] {
        let model = Model {
            context_window: 1000,
            ..model("m")
        };
        let request = ChatRequest {
            prompt_tokens: Some(700),
            max_tokens: Some(600),
            extra: extra.map(str::to_owned),
            ..hello()
        };
        let body = sent(&settings(config.clone()), &model, &request);
        let limits = ["max_tokens", "max_completion_tokens"].map(|name| body.get(name));
        assert_eq!(body[field], expected, "{body}");
        assert_eq!(limits.iter().flatten().count(), 1, "{body}");
    }
}

#[test]
fn typed_fields_have_the_names_of_the_server() {
    let request = ChatRequest {
        sampling: Sampling {
            temperature: Some(0.7),
            top_p: Some(1.0),
            top_k: Some(-1),
            min_p: Some(0.0),
            presence_penalty: Some(-2.0),
            frequency_penalty: Some(1e-7),
            repetition_penalty: Some(1.1),
            seed: Some(i64::MIN),
        },
        stop: vec!["\n".to_owned(), "\"".to_owned()],
        priority: Some(-100),
        response_format: Some(ResponseFormat {
            name: "shape".to_owned(),
            schema: r#"{"type":"object"}"#.to_owned(),
            strict: Some(true),
        }),
        ..hello()
    };
    let body = sent(&settings(json!({})), &model("m"), &request);
    assert_eq!(
        body,
        json!({
            "model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": true,
            "stream_options": {"include_usage": true}, "max_completion_tokens": 8192,
            "temperature": 0.7, "top_p": 1, "top_k": -1, "min_p": 0, "presence_penalty": -2,
            "frequency_penalty": 1e-7, "repetition_penalty": 1.1, "seed": i64::MIN,
            "stop": ["\n", "\""], "priority": -100,
            "response_format": {"type": "json_schema", "json_schema":
                {"name": "shape", "schema": {"type": "object"}, "strict": true}},
        })
    );
}

#[test]
fn of_parameters_and_fields_the_nearer_to_the_request_wins() {
    let mut layered = settings(json!({
        "params": {"temperature": 0.1, "topP": 0.1, "min_p": 0.1, "seed": 1, "stop": "provider",
                   "chat_template_kwargs": {"a": 1, "b": 1}, "extra_body": {"x": 1, "y": 1}},
        "models": [{"id": "m", "params": {"top_p": 0.2, "min_p": 0.2, "seed": 2, "extraBody": {"y": 2, "top_k": 2}}}],
    }));
    layered.models = vec![
        ModelSettings { id: "m".to_owned(), params: r#"{"minP":0.3,"seed":3,"chat_template_kwargs":{"b":3},"extra_body":{"priority":3}}"#.to_owned() },
        ModelSettings { id: "other".to_owned(), params: r#"{"temperature":9}"#.to_owned() },
    ];
    let request = ChatRequest {
        sampling: Sampling {
            seed: Some(4),
            top_k: Some(4),
            ..Sampling::default()
        },
        priority: Some(4),
        extra: Some(r#"{"x": 5, "chat_template_kwargs": {"c": 5}, "metadata": {}}"#.to_owned()),
        ..hello()
    };
    let body = sent(&layered, &model("m"), &request);
    for (field, expected) in [
        ("temperature", json!(0.1)),
        ("top_p", json!(0.2)),
        ("min_p", json!(0.3)),
        ("seed", json!(4)),
        ("stop", json!(["provider"])),
        ("x", json!(5)),
        ("y", json!(2)),
        // `extra_body` is OpenClaw's last override, also of the request.
        ("top_k", json!(2)),
        ("priority", json!(3)),
        ("chat_template_kwargs", json!({"a": 1, "b": 3, "c": 5})),
        ("metadata", json!({})),
    ] {
        assert_eq!(body[field], expected, "{field}");
    }
}

#[test]
fn extra_may_set_anything_but_the_exchange_itself() {
    for (extra, expected) in [
        (r#"{"stream": false}"#, "extra.stream can't be set"),
        (r#"{"messages": []}"#, "extra.messages can't be set"),
        ("[]", "extra is an array"),
        ("{", "extra is not JSON"),
        (
            r#"{"chat_template_kwargs": 1}"#,
            "extra.chat_template_kwargs is a number",
        ),
    ] {
        let request = ChatRequest {
            extra: Some(extra.to_owned()),
            ..hello()
        };
        let error = build(&settings(json!({})), &model("m"), &request).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidRequest);
        assert!(error.message.contains(expected), "{}", error.message);
    }
    let extra = r#"{"model":"alias","store":false,"max_tokens":5,"stream_options":{"include_usage":false},"tool_choice":"required"}"#;
    let request = ChatRequest {
        extra: Some(extra.to_owned()),
        ..hello()
    };
    let body = sent(&settings(json!({})), &model("m"), &request);
    assert_eq!(
        body,
        json!({"model": "alias", "messages": [{"role": "user", "content": "hello"}], "stream": true,
               "stream_options": {"include_usage": false}, "store": false, "max_tokens": 5,
               "tool_choice": "required"})
    );
}

#[test]
fn what_no_server_could_take_is_refused_before_it_is_sent() {
    let refused = |change: &dyn Fn(&mut ChatRequest), word: &str| {
        let mut request = hello();
        change(&mut request);
        let error = build(&settings(json!({})), &model("m"), &request).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidRequest, "{word}");
        assert!(
            error.message.contains(word),
            "no {word} in {}",
            error.message
        );
        assert!(!error.request_sent && !error.retryable);
    };
    let format = |name: &str, schema: &str| {
        Some(ResponseFormat {
            name: name.to_owned(),
            schema: schema.to_owned(),
            strict: None,
        })
    };
    refused(&|r| r.messages.clear(), "no message");
    refused(
        &|r| r.messages = vec![Message::Assistant(AssistantMessage::default())],
        "no message",
    );
    refused(&|r| r.max_tokens = Some(0), "max-tokens");
    refused(
        &|r| r.sampling.temperature = Some(f64::NAN),
        "temperature is NaN",
    );
    refused(&|r| r.sampling.min_p = Some(f64::INFINITY), "min_p is inf");
    refused(
        &|r| r.tools = vec![tool("get_weather", "{")],
        "\"get_weather\"",
    );
    refused(
        &|r| r.tools = vec![tool("get_weather", "[]")],
        "\"get_weather\"",
    );
    refused(
        &|r| r.tools = vec![tool("get_weather", "")],
        "\"get_weather\"",
    );
    refused(&|r| r.tools = vec![tool(" ", "{}")], "no name");
    refused(&|r| r.response_format = format("a b", "{}"), "1 to 64");
    refused(&|r| r.response_format = format("", "{}"), "1 to 64");
    refused(
        &|r| r.response_format = format(&"x".repeat(65), "{}"),
        "1 to 64",
    );
    refused(&|r| r.response_format = format("shape", "nope"), "shape");
}
