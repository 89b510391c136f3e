//! Whatever comes in, nothing panics and what goes out is JSON.

use super::*;

/// Bytes that look random and are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    /// A text with none, one or two of its pieces replaced.
    fn damage(&mut self, text: &str) -> String {
        const PIECES: [&str; 18] = [
            "null",
            "true",
            "-1",
            "1e400",
            "0.5",
            "\"\"",
            "\"\\ud800\"",
            "[]",
            "{}",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "é",
            "99999999999999999999",
        ];
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..self.below(3) {
            let at = self.below(chars.len() + 1);
            let end = (at + self.below(12)).min(chars.len());
            let piece = PIECES[self.below(PIECES.len())];
            chars.splice(at..end, piece.chars());
        }
        chars.into_iter().collect()
    }
}

#[test]
fn no_settings_and_no_answer_make_it_panic() {
    let config = r#"{"baseUrl":"http://[::1]:8000/v1?q=1","headers":{"X-A":"b"},"authHeader":true,"timeoutSeconds":3.5,
        "auth":"none","params":{"temperature":0.5,"stop":["a"],"extra_body":{"top_k":3,"chat_template_kwargs":{"a":1}}},
        "request":{"headers":{"x":"y"},"auth":{"mode":"header","headerName":"x","value":"v","prefix":"p "}},
        "models":[{"id":"m","input":["text","image"],"cost":{"input":1},"contextWindow":4096,"maxTokens":9,
        "compat":{"thinkingFormat":"qwen","supportsTools":false}},{"id":"n"}]}"#;
    let params = r#"{"maxTokens":4,"thinking":"high","chat_template_kwargs":{"x":[1]}}"#;
    let answer = r#"{"object":"list","data":[{"id":"Qwen/Qwen3-8B","max_model_len":4096,"parent":null,"root":"x"},
        {"id":"lora","parent":"Qwen/Qwen3-8B","max_model_len":null}]}"#;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut good = 0;
    for round in 0..4_000 {
        let settings = Settings {
            config: (round % 7 != 0).then(|| dice.damage(config)),
            api_key: (round % 3 != 0).then(|| dice.damage("sk-1")),
            discover: round % 2 == 0,
            models: vec![ModelSettings {
                id: "m".to_owned(),
                params: dice.damage(params),
            }],
        };
        let settings = [
            settings,
            Settings {
                api_key: Some("k".to_owned()),
                ..Settings::default()
            },
        ];
        for settings in &settings {
            let catalog =
                crate::catalog::from_answer(settings, 200, &[], dice.damage(answer).as_bytes());
            let model = match &catalog {
                Ok(catalog) => {
                    good += 1;
                    for model in &catalog.models {
                        assert!(model.context_window > 0 && model.max_tokens > 0);
                        assert!(
                            model.max_tokens <= model.context_window && !model.input.is_empty()
                        );
                    }
                    catalog.models.first().cloned()
                }
                Err(_) => None,
            };
            let _ = crate::catalog::plan(settings);
            let _ = crate::catalog::find(settings, catalog, "Qwen3");
            let request = ChatRequest {
                tools: vec![tool("t", &dice.damage(r#"{"type":"object"}"#))],
                extra: Some(dice.damage(r#"{"chat_template_kwargs":{"a":1},"n":1}"#)),
                ..hello()
            };
            if let Ok(sent) = build(settings, &model.unwrap_or_else(vision), &request) {
                let body = String::from_utf8(sent.body).unwrap();
                assert!(Raw::parse(&body).is_ok(), "{body}");
            }
        }
    }
    // Else nothing but the refusals would have been tried.
    assert!(good > 1_000, "{good}");
}
