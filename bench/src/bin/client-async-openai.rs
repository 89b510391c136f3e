//! `async-openai`, its typed chat stream, as its documentation shows it.

use std::cell::RefCell;
use std::collections::HashMap;

use async_openai::Client as Openai;
use async_openai::config::OpenAIConfig;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessageArgs, ChatCompletionStreamOptions,
    CreateChatCompletionRequestArgs,
};
use futures::StreamExt;
use provider_bench::client::{self, Answer, Client, MODEL};

struct Peer {
    http: reqwest::Client,
    clients: RefCell<HashMap<String, Openai<OpenAIConfig>>>,
}

impl Peer {
    fn client(&self, base_url: &str) -> Openai<OpenAIConfig> {
        let make = || {
            let config = OpenAIConfig::new()
                .with_api_base(base_url)
                .with_api_key("EMPTY");
            Openai::with_config(config).with_http_client(self.http.clone())
        };
        let mut clients = self.clients.borrow_mut();
        clients
            .entry(base_url.to_owned())
            .or_insert_with(make)
            .clone()
    }
}

impl Client for Peer {
    async fn chat(&self, base_url: &str, mut answer: Answer) -> Answer {
        let message = ChatCompletionRequestUserMessageArgs::default()
            .content("Say hello.")
            .build()
            .expect("a message");
        let request = CreateChatCompletionRequestArgs::default()
            .model(MODEL)
            .messages(vec![message.into()])
            .stream_options(ChatCompletionStreamOptions {
                include_usage: Some(true),
                include_obfuscation: None,
            })
            .build()
            .expect("a request");
        let client = self.client(base_url);
        let mut stream = client
            .chat()
            .create_stream(request)
            .await
            .expect("a stream");
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.expect("an honest answer");
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
                answer.usage = u64::from(usage.completion_tokens);
            }
        }
        answer
    }
}

fn main() {
    client::run(|| Peer {
        http: reqwest::Client::new(),
        clients: RefCell::default(),
    });
}
