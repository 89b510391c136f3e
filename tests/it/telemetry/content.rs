//! Content where it is asked for, and no secret anywhere.

use provider_host::Telemetry;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::meter::Measured;
use super::spans::Spans;
use super::{CASE, KEY, PROMPT, provider, replayed, request};
use crate::support::{ask, model, run};

#[tokio::test]
async fn content_is_told_as_the_conventions_shape_it_when_it_is_asked_for() {
    let (spans, _guard) = Spans::collect();
    let mock = replayed().await;
    let (provider, _) = provider(&mock.base_url(), Telemetry::new().with_content(true));
    let (_, error) = run(&provider, &model(CASE), &request()).await;
    assert!(error.is_none(), "{error:?}");
    let span = spans.one("chat ");
    let told = |field: &str| -> Value {
        let text = span.get(field).and_then(Value::as_str).expect("a text");
        serde_json::from_str(text).expect("JSON")
    };
    assert_eq!(
        told("gen_ai.input.messages"),
        json!([{"role": "user", "parts": [{"type": "text", "content": PROMPT}]}])
    );
    assert_eq!(
        told("gen_ai.tool.definitions"),
        json!([{"type": "function", "name": "get_weather"}])
    );
    let answer = told("gen_ai.output.messages");
    let parts = answer[0]["parts"].as_array().expect("parts");
    let kinds: Vec<_> = parts.iter().map(|part| part["type"].clone()).collect();
    assert_eq!(kinds, ["reasoning", "text", "tool_call"], "{answer}");
    assert_eq!(answer[0]["role"], "assistant");
    assert_eq!(parts[2]["name"], "get_weather");
    assert!(parts[2]["arguments"].is_object(), "{answer}");
}

/// Answers each request with the same text and closes the connection.
async fn serve(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base_url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.ends_with(b"}") {
                match socket.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(n) => request.extend(&buffer[..n]),
                }
            }
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    base_url
}

#[tokio::test]
async fn the_key_is_in_no_span_and_no_metric_whoever_says_it() {
    let chunk = |delta: Value, finish: Value| {
        let chunk = json!({
            "id": format!("id-{KEY}"), "object": "chat.completion.chunk", "created": 1,
            "model": format!("model-{KEY}"),
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        });
        format!("data: {chunk}\n\n")
    };
    let head = "content-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let (half, rest) = KEY.split_at(20);
    let echo = [
        format!("HTTP/1.1 200 OK\r\n{head}"),
        chunk(
            json!({"role": "assistant", "content": "The key is "}),
            Value::Null,
        ),
        chunk(json!({"content": half}), Value::Null),
        chunk(json!({"content": rest}), Value::Null),
        chunk(json!({}), json!(format!("stop-{KEY}"))),
        "data: [DONE]\n\n".to_owned(),
    ];
    let refusal =
        json!({"error": {"message": format!("{PROMPT} by {KEY}"), "type": KEY, "code": 400}});
    let refusal = refusal.to_string();
    let refusal = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{refusal}",
        refusal.len()
    );
    for (answer, content) in [
        (echo.concat(), false),
        (echo.concat(), true),
        (refusal.clone(), false),
        (refusal, true),
    ] {
        let (spans, _guard) = Spans::collect();
        let measured = Measured::default();
        let telemetry = Telemetry::new().with_content(content);
        let telemetry = telemetry.with_meter(&measured.meter());
        let (provider, placeholder) = provider(&serve(answer).await, telemetry);
        let mut request = ask(&format!("{PROMPT} {KEY}"));
        request.stop = vec![KEY.to_owned()];
        let (_, error) = run(&provider, &model(&format!("m-{KEY}")), &request).await;
        let all = spans.all();
        let told = format!("{all:?} {}", measured.text());
        assert!(
            !told.contains(KEY) && !told.contains(&placeholder),
            "{told}"
        );
        // Nor the half of it that one chunk held.
        assert!(!told.contains(half), "{told}");
        assert!(told.contains("***"), "it was there to be taken out: {told}");
        assert_eq!(told.contains(PROMPT), content, "{told}");
        if let Some(error) = error {
            let words = all[0].get("otel.status_description");
            assert_eq!(words, content.then(|| json!(error.message())).as_ref());
        }
    }
}
