//! The two questions beside the chat: how long is this prompt, which version is this?

use crate::config::check_request;
use crate::input::Input;
use crate::shown::{self, SECRET};
use serde_json::Value;
use vllm_provider::asking::Asking;
use vllm_provider::types::{
    ChatRequest, ContentPart, Cost, Error, Message, Modality, Model, ModelSource, Settings,
};
use vllm_provider::{health, tokens};

/// A model to ask about.
pub(crate) fn model(id: &str, reasoning: bool, images: bool) -> Model {
    Model {
        id: id.into(),
        name: id.into(),
        reasoning,
        input: match images {
            true => vec![Modality::Text, Modality::Image],
            false => vec![Modality::Text],
        },
        cost: Cost::default(),
        context_window: 4_096,
        max_tokens: 1_024,
        parent: None,
        source: ModelSource::Discovered,
    }
}

fn settings() -> Settings {
    Settings {
        api_key: Some(SECRET.into()),
        ..Settings::default()
    }
}

/// `[status: 2][headers, NUL][body]`: a count that serde_json finds in the body too, or a typed error.
pub(crate) fn tokens(data: &[u8]) {
    let request = ChatRequest {
        messages: vec![Message::User(vec![ContentPart::Text("Hello".into())])],
        ..ChatRequest::default()
    };
    let asking = tokens::prepare(&settings(), &model("tiny", false, false), &request);
    let asking = asking.expect("a question");
    let (status, headers, body) = answer(data, &asking);
    let count = tokens::from_answer(&asking, status, &headers, body);
    hold(&count, status, data);
    if let (Ok(count), Ok(value)) = (count, serde_json::from_slice::<Value>(body)) {
        assert_eq!(value["count"].as_u64(), Some(u64::from(count.prompt)));
        let window = value["max_model_len"].as_u64();
        assert_eq!(
            window.and_then(|window| u32::try_from(window).ok()),
            count.context_window
        );
    }
}

/// `[status: 2][headers, NUL][body]`: the version that serde_json finds in the body too, or a typed error.
pub(crate) fn health(data: &[u8]) {
    let asking = health::prepare(&settings()).expect("a question");
    let (status, headers, body) = answer(data, &asking);
    let health = health::from_answer(&asking, status, &headers, body);
    if status == 404 {
        assert!(
            health.is_ok(),
            "a server without versions is none the worse"
        );
        return;
    }
    hold(&health, status, data);
    if let Ok(health) = health {
        for note in &health.notes {
            shown::check_text(&note.message, data);
        }
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            assert_eq!(value["version"].as_str(), health.version.as_deref());
        }
    }
}

/// Status, head and body.
type Answer<'d> = (u16, Vec<(String, Vec<u8>)>, &'d [u8]);

fn answer<'d>(data: &'d [u8], asking: &Asking) -> Answer<'d> {
    check_request(&asking.http);
    let mut input = Input::new(data);
    let status = match input.u16() {
        odd @ 100..600 => odd,
        _ => 200,
    };
    (status, input.headers(), input.rest())
}

fn hold<T>(outcome: &Result<T, Error>, status: u16, data: &[u8]) {
    match outcome {
        Ok(_) => assert!((200..300).contains(&status)),
        Err(error) => {
            shown::check(error, data);
            assert_eq!(error.status, Some(status));
        }
    }
}
