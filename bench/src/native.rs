//! The same bytes read by other native code: what the sandbox is compared with.
//!
//! Each takes a whole answer's frames and gives back how many pieces it read and how many bytes of text, so that none can
//! leave out work that another does.

use std::borrow::Cow;
use std::convert::Infallible;

use async_openai::types::chat::CreateChatCompletionStreamResponse;
use bytes::Bytes;
use eventsource_stream::Eventsource;
use futures::StreamExt;
use serde::Deserialize;

use crate::answer::Read;

/// `eventsource-stream` and the types of `async-openai`: what a user's Rust client does natively.
pub async fn async_openai(frames: &[Bytes]) -> Read {
    let frames = futures::stream::iter(frames.iter().cloned().map(Ok::<_, Infallible>));
    let mut events = frames.eventsource();
    let mut read = Read::default();
    while let Some(event) = events.next().await {
        let Ok(event) = event else { break };
        if event.data == "[DONE]" {
            break;
        }
        let chunk: Result<CreateChatCompletionStreamResponse, _> =
            serde_json::from_str(&event.data);
        let Ok(chunk) = chunk else { continue };
        for choice in &chunk.choices {
            if let Some(text) = &choice.delta.content {
                read.add(text);
            }
            for call in choice.delta.tool_calls.iter().flatten() {
                if let Some(text) = call.function.as_ref().and_then(|f| f.arguments.as_ref()) {
                    read.add(text);
                }
            }
        }
    }
    read
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    #[expect(dead_code, reason = "read as a client reads it")]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Delta<'a>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reasoning: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tool_calls: Vec<Call<'a>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    arguments: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read as a client reads it")]
struct Usage {
    completion_tokens: u64,
}

/// Lines by `memchr`, `serde_json` into the fewest borrowed fields: the least that reads the answer at all.
#[must_use]
pub fn serde_minimal(frames: &[Bytes]) -> Read {
    let mut read = Read::default();
    each_line(frames, |line| {
        let Some(data) = line.strip_prefix(b"data: ") else {
            return;
        };
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else {
            return;
        };
        for choice in &chunk.choices {
            for text in [&choice.delta.content, &choice.delta.reasoning]
                .into_iter()
                .flatten()
            {
                read.add(text);
            }
            for call in &choice.delta.tool_calls {
                if let Some(text) = &call.function.arguments {
                    read.add(text);
                }
            }
        }
    });
    read
}

/// The floor: line ends are found and the bytes are copied. Nothing is read; the pieces are lines.
#[must_use]
pub fn floor(frames: &[Bytes]) -> Read {
    let mut read = Read::default();
    let mut copy = Vec::new();
    each_line(frames, |line| {
        copy.clear();
        copy.extend_from_slice(line);
        if !line.is_empty() {
            read.pieces += 1;
            read.bytes += std::hint::black_box(&copy).len() as u64;
        }
    });
    read
}

fn each_line(frames: &[Bytes], mut take: impl FnMut(&[u8])) {
    let mut cut: Vec<u8> = Vec::new();
    for frame in frames {
        let mut rest: &[u8] = frame;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            if cut.is_empty() {
                take(&rest[..end]);
            } else {
                cut.extend_from_slice(&rest[..end]);
                take(&cut);
                cut.clear();
            }
            rest = &rest[end + 1..];
        }
        cut.extend_from_slice(rest);
    }
}
