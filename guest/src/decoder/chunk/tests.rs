use std::borrow::Cow;

use super::*;

fn choice(text: &str) -> Choice<'_> {
    let chunk = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    chunk.choices.into_iter().next().expect("a choice")
}

fn content(text: &str) -> Option<String> {
    let delta = choice(text).delta;
    delta
        .and_then(|mut delta| delta.content.take())
        .map(Cow::into_owned)
}

#[test]
fn a_common_chunk_is_borrowed_from_its_text() {
    let text = r#"{"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"hey"},"logprobs":null,"finish_reason":null,"token_ids":null}]}"#;
    let chunk = parse(text).expect("JSON");
    assert!(matches!(chunk.id.0, Some(Cow::Borrowed("c-1"))));
    assert!(matches!(chunk.model.0, Some(Cow::Borrowed("m"))));
    let choice = chunk.choices.into_iter().next().expect("a choice");
    assert_eq!(choice.index, Some(0));
    assert!(choice.finish_reason.0.is_none());
    let delta = choice.delta.expect("a delta");
    assert!(matches!(delta.content.0, Some(Cow::Borrowed("hey"))));
}

#[test]
fn what_is_null_absent_or_of_another_type_is_not_there() {
    for text in [
        r#"{}"#,
        r#"{"id":null,"choices":null,"usage":null,"error":null,"model":null,"object":null}"#,
        r#"{"id":7,"choices":{},"usage":[1,{}],"error":false,"model":{"a":[1]},"object":true}"#,
        r#"{"id":1.5,"choices":"x","usage":"x","error":"","model":-1,"object":7}"#,
        r#"{"choices":[null,1,"x",[],true],"error":[],"created":1e999,"logprobs":{"a":[{}]}}"#,
        r#"{"error":0,"usage":0,"choices":0.5,"id":[]}"#,
        r#"{"error":{}}"#,
    ] {
        let chunk = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(chunk.id.0.is_none() && chunk.model.0.is_none(), "{text}");
        assert!(chunk.choices.is_empty() && chunk.usage.is_none(), "{text}");
        assert!(!chunk.is_error, "{text}");
    }
    for delta in [
        "null",
        "1",
        "[]",
        "{}",
        r#"{"content":null,"tool_calls":null}"#,
    ] {
        let text =
            format!(r#"{{"choices":[{{"index":null,"delta":{delta},"finish_reason":{{}}}}]}}"#);
        let choice = choice(&text);
        assert!(
            choice.index.is_none() && choice.finish_reason.0.is_none(),
            "{text}"
        );
        let delta = choice.delta.unwrap_or_default();
        assert!(
            delta.content.0.is_none() && delta.thinking.0.is_none(),
            "{text}"
        );
        assert!(
            delta.tool_calls.is_empty() && delta.function_call.is_none(),
            "{text}"
        );
    }
}

#[test]
fn text_that_is_no_object_is_refused() {
    for text in [
        "", "null", "1", "[]", "[{}]", "\"x\"", "{", "{\"a\":}", "{} {}", "nope", "{'a':1}",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn words_are_kept_whatever_they_come_as() {
    for (value, expected, thought) in [
        (r#""a\nb\u00e9""#, Some("a\nbé"), None),
        (
            r#"[{"type":"text","text":"a"},{"type":"text","text":"b"}]"#,
            Some("ab"),
            None,
        ),
        (
            r#"[{"type":"image_url","image_url":{"url":"x"}},{"text":"c"},"d",null]"#,
            Some("cd"),
            None,
        ),
        (
            r#"[{"type":"thinking","thinking":[{"type":"text","text":"t"}]},{"type":"text","text":"s"}]"#,
            Some("s"),
            Some("t"),
        ),
        (r#"{"type":"thinking","thinking":"t"}"#, None, Some("t")),
        (r#"[{"type":"refusal","refusal":"no"}]"#, Some("no"), None),
        (r#"{"text":"x"}"#, Some("x"), None),
        ("42", Some("42"), None),
        ("-0.50", Some("-0.50"), None),
        ("true", Some("true"), None),
        ("null", None, None),
        ("[]", None, None),
        (r#""""#, None, None),
        // Deeper than any part is.
        (r#"[[[[["x"]]]]]"#, None, None),
    ] {
        let text = format!(r#"{{"choices":[{{"delta":{{"content":{value}}}}}]}}"#);
        let mut delta = choice(&text).delta.expect("a delta");
        assert_eq!(delta.content.take().as_deref(), expected, "{value}");
        assert_eq!(delta.thinking.take().as_deref(), thought, "{value}");
    }
    for (choice, expected) in [
        (r#""text":"a""#, Some("a")),
        (r#""text":"a","delta":{}"#, Some("a")),
        (r#""text":"a","delta":{"content":"b"}"#, Some("b")),
        (r#""delta":"c""#, Some("c")),
        (r#""message":"d""#, Some("d")),
    ] {
        let text = format!(r#"{{"choices":[{{{choice}}}]}}"#);
        assert_eq!(content(&text).as_deref(), expected, "{choice}");
    }
}

#[test]
fn the_first_reasoning_field_with_text_counts() {
    for (fields, expected) in [
        (r#""reasoning":"a","reasoning_content":"a""#, Some("a")),
        (r#""reasoning":null,"reasoning_content":"b""#, Some("b")),
        (
            r#""reasoning":"","reasoning_content":"","reasoning_text":"c""#,
            Some("c"),
        ),
        (r#""reasoning":{"x":1},"reasoning_content":"d""#, Some("d")),
        (r#""reasoning":[{"type":"text","text":"i"}]"#, Some("i")),
        (r#""reasoning_text":"e","reasoning":"f""#, Some("f")),
        (r#""reasoning":"g","reasoning_text":"h""#, Some("g")),
        (r#""content":"x""#, None),
    ] {
        let text = format!(r#"{{"choices":[{{"delta":{{{fields}}}}}]}}"#);
        let mut delta = choice(&text).delta.expect("a delta");
        assert_eq!(delta.thinking.take().as_deref(), expected, "{fields}");
    }
}

#[test]
fn counts_are_read_whatever_numbers_they_are() {
    for (usage, expected) in [
        (
            r#"{"prompt_tokens":14,"total_tokens":29,"completion_tokens":15,"prompt_tokens_details":{"cached_tokens":3,"created_cache_tokens":2,"multimodal_tokens":null},"completion_tokens_details":{"reasoning_tokens":5}}"#,
            Counts {
                prompt: Some(14),
                completion: Some(15),
                total: Some(29),
                cached: Some(3),
                written: Some(2),
                reasoning: Some(5),
            },
        ),
        (
            r#"{"prompt_tokens":-3,"completion_tokens":2.9,"total_tokens":1e300}"#,
            Counts {
                completion: Some(2),
                total: Some(u64::MAX),
                ..Counts::default()
            },
        ),
        (
            r#"{"prompt_tokens":99999999999999999999999,"prompt_tokens_details":{"cache_write_tokens":4,"cached_tokens":"9","reasoning_tokens":"many"}}"#,
            Counts {
                prompt: Some(u64::MAX),
                cached: Some(9),
                written: Some(4),
                ..Counts::default()
            },
        ),
        (
            r#"{"prompt_tokens":null,"prompt_tokens_details":null}"#,
            Counts::default(),
        ),
    ] {
        let text = format!(r#"{{"usage":{usage},"choices":[]}}"#);
        assert_eq!(
            parse(&text).expect("JSON").usage.as_deref(),
            Some(&expected),
            "{usage}"
        );
    }
}

#[test]
fn errors_are_recognized_in_every_shape() {
    for text in [
        r#"{"error":{"message":"m"}}"#,
        r#"{"error":"m"}"#,
        r#"{"object":"error","message":"m"}"#,
    ] {
        assert!(parse(text).expect("JSON").is_error, "{text}");
    }
}

#[test]
fn arguments_that_are_an_object_become_its_text() {
    let text = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":{"a":[1,"x"]}}}]}}]}"#;
    let call = choice(text)
        .delta
        .expect("a delta")
        .tool_calls
        .into_iter()
        .next()
        .expect("a call");
    assert_eq!(
        call.function.arguments.0.as_deref(),
        Some(r#"{"a":[1,"x"]}"#)
    );
}

#[test]
fn the_last_of_two_equal_names_counts() {
    assert_eq!(
        content(r#"{"choices":[{"delta":{"content":"a","content":"b"}}]}"#).as_deref(),
        Some("b")
    );
    assert_eq!(
        content(r#"{"choices":[{"delta":{"\u0063ontent":"c"}}]}"#).as_deref(),
        Some("c")
    );
}
