//! The baseline: hyper's frames, lines by `memchr`, `serde_json` into a borrowed struct; one kept connection a chat.

use std::borrow::Cow;
use std::cell::RefCell;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use provider_bench::client::{self, Answer, Client, MODEL};
use serde::Deserialize;

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Delta<'a>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Usage {
    completion_tokens: u64,
}

#[derive(Default)]
struct Minimal {
    idle: RefCell<Vec<SendRequest<Full<Bytes>>>>,
}

fn take(line: &[u8], answer: &mut Answer) {
    let Some(data) = line.strip_prefix(b"data: ") else {
        return;
    };
    if data == b"[DONE]" {
        return;
    }
    let chunk: Chunk<'_> = serde_json::from_slice(data).expect("an honest answer");
    if let Some(choice) = chunk.choices.first() {
        if let Some(text) = choice
            .delta
            .content
            .as_ref()
            .filter(|text| !text.is_empty())
        {
            answer.delta(text);
        }
        answer.finish |= choice.finish_reason.is_some();
    }
    if let Some(usage) = chunk.usage {
        answer.usage = usage.completion_tokens;
    }
}

impl Client for Minimal {
    async fn chat(&self, base_url: &str, mut answer: Answer) -> Answer {
        let rest = base_url.strip_prefix("http://").expect("plain HTTP");
        let (host, path) = rest.split_at(rest.find('/').expect("a path"));
        let idle = self.idle.borrow_mut().pop();
        let mut sender = match idle {
            Some(sender) => sender,
            None => {
                let stream = tokio::net::TcpStream::connect(host)
                    .await
                    .expect("a server");
                stream.set_nodelay(true).expect("an option of every socket");
                let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
                tokio::task::spawn_local(async move {
                    let _ = connection.await;
                });
                sender
            }
        };
        sender.ready().await.expect("a connection");
        let body = serde_json::json!({
            "model": MODEL, "messages": [{"role": "user", "content": "Say hello."}], "stream": true,
            "stream_options": {"include_usage": true},
        });
        let request = hyper::Request::post(format!("{path}/chat/completions"))
            .header("host", host)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .expect("a request");
        let response = sender.send_request(request).await.expect("an answer");
        let mut body = response.into_body();
        let mut cut: Vec<u8> = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.expect("an honest answer").into_data() else {
                continue;
            };
            let mut rest: &[u8] = &data;
            while let Some(end) = memchr::memchr(b'\n', rest) {
                if cut.is_empty() {
                    take(&rest[..end], &mut answer);
                } else {
                    cut.extend_from_slice(&rest[..end]);
                    take(&cut, &mut answer);
                    cut.clear();
                }
                rest = &rest[end + 1..];
            }
            cut.extend_from_slice(rest);
        }
        self.idle.borrow_mut().push(sender);
        answer
    }
}

fn main() {
    client::run(Minimal::default);
}
