use proptest::prelude::*;

use super::*;

fn skip(text: &str) -> Result<(), Malformed> {
    let mut json = Reader::new(text);
    json.skip()?;
    json.end()
}

#[test]
fn the_grammar_is_the_standard_s() {
    for text in [
        "0",
        "-0",
        "10",
        "1.5",
        "1e5",
        "1E-05",
        "1.25e+10",
        "true",
        "false",
        "null",
        "\"\"",
        "\"a\\\"b\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
        "\"\\ud800\"",
        "[]",
        "[ ]",
        "{}",
        " { } ",
        "[1,[2,{}],\"x\"]",
        "{\"a\":{\"b\":[]},\"c\":1}\n",
        "\"é€😀\u{7f}\"",
    ] {
        assert_eq!(skip(text), Ok(()), "{text}");
        let valid = serde_json::from_str::<serde::de::IgnoredAny>(text);
        assert!(valid.is_ok(), "{text}");
    }
    for text in [
        "",
        " ",
        "-",
        "01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "+1",
        "nul",
        "nulll",
        "True",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "\"\u{0}\"",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[}",
        "{",
        "{a:1}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":1]",
        "1 2",
        "{} {}",
        "]",
        "\u{feff}{}",
        "'a'",
        "\u{0}",
    ] {
        assert!(skip(text).is_err(), "{text}");
        let valid = serde_json::from_str::<serde::de::IgnoredAny>(text);
        assert!(valid.is_err(), "{text}");
    }
}

#[test]
fn an_error_says_what_and_where() {
    for (text, message) in [
        ("{\"a\": }", "a value was expected at line 1 column 7"),
        ("{\n\"a\" 1}", "a colon was expected at line 2 column 5"),
        (
            "[1\n\n2]",
            "a comma or a closing bracket was expected at line 3 column 1",
        ),
        ("\"abc", "a string without an end at line 1 column 5"),
        (
            "{} x",
            "something stands behind the value at line 1 column 4",
        ),
    ] {
        let error = skip(text).expect_err(text);
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn strings_are_unescaped_and_half_a_pair_is_none() {
    for (text, expected) in [
        (r#""plain""#, Some("plain")),
        (r#""a\nb\u00e9\ud83d\ude00\"\/\\""#, Some("a\nbé😀\"/\\")),
        (r#""\b\f\r\t""#, Some("\u{8}\u{c}\r\t")),
        (r#""\u0000""#, Some("\0")),
        (r#""\ud83d""#, None),
        (r#""\ude00""#, None),
        (r#""\ud83d\n""#, None),
        (r#""\ud83d\u0041""#, None),
        (r#""\ud83dabcdefghij""#, None),
    ] {
        let string = Reader::new(text).string().ok();
        assert_eq!(string.as_deref(), expected, "{text}");
    }
    assert!(matches!(
        Reader::new("\"abc\"").string(),
        Ok(Cow::Borrowed("abc"))
    ));
}

#[test]
fn names_and_items_come_one_by_one() {
    let mut json = Reader::new(r#" {"a" : [1 , {"x":[]}] ,"\u0062":"c", "d":null } "#);
    assert_eq!(json.object(), Ok(true));
    assert_eq!(json.name().unwrap().as_deref(), Some("a"));
    assert_eq!(json.array(), Ok(true));
    assert_eq!(json.item(), Ok(true));
    assert_eq!(json.kind(), Ok(Kind::Number));
    assert_eq!(json.value(), Ok("1"));
    assert_eq!(json.item(), Ok(true));
    assert_eq!(json.value(), Ok(r#"{"x":[]}"#));
    assert_eq!(json.item(), Ok(false));
    assert_eq!(json.name().unwrap().as_deref(), Some("b"));
    assert_eq!(json.object(), Ok(false));
    assert_eq!(json.name().unwrap().as_deref(), Some("d"));
    assert_eq!(json.skip(), Ok(()));
    assert_eq!(json.name(), Ok(None));
    assert_eq!(json.end(), Ok(()));
}

/// Text that is JSON, or nearly.
fn nearly_json() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(",".to_owned()),
        Just(":".to_owned()),
        Just("\"a\"".to_owned()),
        Just("\"".to_owned()),
        Just("1".to_owned()),
        Just("-0.5e3".to_owned()),
        Just("null".to_owned()),
        Just("\\n".to_owned()),
        Just("\\u00e9".to_owned()),
        Just(" ".to_owned()),
        Just("\"a\":".to_owned()),
        Just("\"k\\t\":[".to_owned()),
        "[ -~\u{e9}]{0,12}",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn serde_json_takes_and_refuses_the_same_texts(text in nearly_json()) {
        let valid = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(skip(&text).is_ok(), valid, "{}", text);
    }

    #[test]
    fn serde_json_reads_the_same_strings(inner in "([ -~é😀]|\\\\[\"nrtbf/]|\\\\u[0-9a-fD-F]{4}){0,24}") {
        let text = format!("\"{inner}\"");
        let theirs = serde_json::from_str::<String>(&text).ok();
        let mut json = Reader::new(&text);
        let ours = json.string().ok().filter(|_| json.end().is_ok()).map(Cow::into_owned);
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn the_end_of_the_plain_bytes_is_found(bytes in prop::collection::vec(any::<u8>(), 0..40), plainly in "[a-z]{0,20}") {
        let bytes = [plainly.as_bytes(), &bytes].concat();
        let slow = bytes.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20);
        prop_assert_eq!(plain(&bytes), slow.unwrap_or(bytes.len()));
    }
}
