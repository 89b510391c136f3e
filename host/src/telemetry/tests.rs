use std::sync::Arc;

use serde_json::{Value, json};
use tracing::subscriber::{NoSubscriber, with_default};

use super::*;
use crate::bindings::types::{
    AssistantMessage, ChatRequest, ContentPart, Event, Image, Manifest, Message, Model, ToolCall,
    ToolResult, TurnStatus,
};
use crate::policy::{Grant, Origin};

fn observer(base_url: &str, telemetry: Telemetry) -> Arc<Observer> {
    let manifest = Manifest {
        id: "vllm".into(),
        label: "vLLM".into(),
        api: "openai-completions".into(),
        version: "0.1.0".into(),
        key_variable: None,
        default_base_url: None,
        documentation_url: None,
        config_schema: "{}".into(),
    };
    let grant = Grant::new(Origin::parse(base_url).expect("an origin"));
    let egress = Egress::new(grant).expect("an egress");
    Arc::new(Observer::new(telemetry, &manifest, &egress))
}

fn model() -> Model {
    Model::new("tiny", 4096, 1024)
}

fn request() -> ChatRequest {
    ChatRequest::new(vec![Message::system("Be brief.")])
}

#[test]
fn who_is_watched_by_nobody_has_no_watch() {
    with_default(NoSubscriber::default(), || {
        for telemetry in [Telemetry::new(), Telemetry::new().with_content(true)] {
            let observer = observer("http://127.0.0.1:8000/v1", telemetry);
            assert!(observer.chat(&model(), &request()).is_none());
        }
    });
}

#[cfg(feature = "otel")]
#[test]
fn a_meter_watches_without_a_subscriber() {
    use opentelemetry::metrics::{MeterProvider as _, NoopMeterProvider};

    with_default(NoSubscriber::default(), || {
        let meter = NoopMeterProvider::new().meter("test");
        let telemetry = Telemetry::new().with_meter(&meter);
        let observer = observer("http://127.0.0.1:8000/v1", telemetry);
        assert!(observer.chat(&model(), &request()).is_some());
    });
}

#[test]
fn an_address_is_told_without_what_urls_put_around_it() {
    for (base_url, address, port) in [
        ("http://[::1]:8000/v1", "::1", 8000),
        ("http://10.0.0.1/v1", "10.0.0.1", 80),
        ("https://GPU.example.org/v1", "gpu.example.org", 443),
    ] {
        let observer = observer(base_url, Telemetry::new());
        assert_eq!((&*observer.address, observer.port), (address, port));
    }
}

#[test]
fn a_stranger_s_word_makes_no_time_series_of_its_own() {
    assert_eq!(error_type(&ErrorKind::Other("anything".into())), "_OTHER");
    assert_eq!(error_type(&ErrorKind::PluginLimit), "plugin-limit");
}

#[test]
fn words_are_kept_short_and_on_one_line() {
    let told = word(&format!("a\u{1b}[2J\n{}", "b".repeat(1 << 20)));
    assert!(told.starts_with("a\u{fffd}[2J bbb"), "{told}");
    assert_eq!(told.len(), WORD_BYTES);
}

fn as_it_is(text: &str) -> String {
    text.to_owned()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn says(text: &str) -> Message {
    Message::User(vec![ContentPart::Text(text.into())])
}

#[test]
fn a_conversation_is_told_in_its_order_and_by_the_schema() {
    let call = ToolCall {
        id: "call-1".into(),
        name: "get_weather".into(),
        arguments: r#"{"city": "Oslo"}"#.into(),
    };
    let broken = ToolCall {
        arguments: r#"{"city"#.into(),
        ..call.clone()
    };
    let messages = [
        Message::System("Be brief.".into()),
        Message::User(vec![
            ContentPart::Text("What is this?".into()),
            ContentPart::Image(Image {
                media_type: "image/png".into(),
                data: vec![0; 1000],
            }),
        ]),
        Message::Assistant(AssistantMessage {
            content: vec![ContentPart::Text("I look.".into())],
            reasoning: Some("Hm.".into()),
            tool_calls: vec![call, broken],
            status: TurnStatus::Completed,
        }),
        Message::Tool(ToolResult {
            call_id: "call-1".into(),
            name: None,
            content: vec![ContentPart::Text("rain".into())],
            is_error: false,
        }),
    ];
    let text = |text: &str| json!({"type": "text", "content": text});
    let call = |arguments: Value| json!({"type": "tool_call", "id": "call-1", "name": "get_weather", "arguments": arguments});
    assert_eq!(
        parsed(&content::input(&messages, CONTENT_BYTES, &as_it_is)),
        json!([
            {"role": "system", "parts": [text("Be brief.")]},
            {"role": "user", "parts": [
                text("What is this?"),
                {"type": "image", "mime_type": "image/png", "bytes": 1000},
            ]},
            {"role": "assistant", "parts": [
                {"type": "reasoning", "content": "Hm."},
                text("I look."),
                call(json!({"city": "Oslo"})),
                call(json!(r#"{"city"#)),
            ]},
            {"role": "tool", "parts": [
                {"type": "tool_call_response", "id": "call-1", "response": [text("rain")]},
            ]},
        ])
    );
}

#[test]
fn of_a_long_conversation_the_newest_is_told_and_how_much_is_not() {
    let messages = [says("oldest"), says(&"é".repeat(1000)), says("newest")];
    let told = content::input(&messages, 1000, &as_it_is);
    let told = parsed(&told);
    assert_eq!(
        told[0]["parts"][0],
        json!({"type": "left_out", "messages": 1})
    );
    let cut = told[0]["parts"][1]["content"].as_str().expect("a text");
    assert!(cut.ends_with("é…") && cut.len() < 1000, "{cut}");
    assert_eq!(told[1]["parts"][0]["content"], "newest");
    assert_eq!(told.as_array().map(Vec::len), Some(2));
}

#[test]
fn no_conversation_makes_an_attribute_without_end() {
    let many = vec![Message::User(vec![ContentPart::Text(String::new()); 100]); 10_000];
    assert!(content::input(&many, 10_000, &as_it_is).len() < 20_000);
    let tool = crate::bindings::types::Tool {
        name: String::new(),
        description: None,
        parameters: "{}".into(),
    };
    assert!(content::tools(&vec![tool; 100_000], 10_000, &as_it_is).len() < 20_000);
    let call = || ToolCall {
        id: String::new(),
        name: String::new(),
        arguments: "{}".into(),
    };
    let calls = Message::Assistant(AssistantMessage {
        content: Vec::new(),
        reasoning: None,
        tool_calls: vec![call(); 100_000],
        status: TurnStatus::Completed,
    });
    assert!(content::input(&[calls], 10_000, &as_it_is).len() < 20_000);

    let mut answer = content::Answer::new(1000);
    for _ in 0..1000 {
        answer.event(&Event::Text("word ".repeat(10)));
        answer.event(&Event::Reasoning("word ".repeat(10)));
        answer.event(&Event::ToolCallEnd(crate::bindings::types::ToolCallEnd {
            index: 0,
            id: String::new(),
            name: String::new(),
            arguments: "{}".into(),
            valid: true,
        }));
    }
    let told = answer.messages(&as_it_is);
    assert!(told.len() < 3000, "{}", told.len());
    let parts = parsed(&told)[0]["parts"].clone();
    let last = parts.as_array().and_then(|parts| parts.last().cloned());
    assert_eq!(last, Some(json!({"type": "left_out"})), "it says so");
}
