//! Each limit is kept exactly: what an ordinary chat needs is enough, and one less is refused by name.
//!
//! The need is found by trying: the smallest value with which the chat goes well. So the page's figures are measured, and a
//! limit that were not looked at, or looked at loosely, would need nothing at all.

use std::fmt::Write as _;
use std::net::SocketAddr;

use provider_host::policy::{Grant, NetworkLimits, Origin, SandboxLimits};
use provider_host::types::{Event, FinishReason, Settings};
use provider_host::{Error, Provider, ProviderOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{ask, model, plugin, run};

/// The limits of one chat.
#[derive(Default)]
struct Limits {
    sandbox: SandboxLimits,
    network: NetworkLimits,
}

/// A limit: its name, its default, how it is set, and the words of the error that one less ends in.
struct Limit {
    name: &'static str,
    default: u64,
    set: fn(&mut Limits, u64),
    words: &'static str,
}

macro_rules! limit {
    ($part:ident.$field:ident, $words:literal) => {
        Limit {
            name: stringify!($field),
            default: u64::try_from(Limits::default().$part.$field).expect("a number"),
            set: |limits, value| limits.$part.$field = value.try_into().expect("a number"),
            words: $words,
        }
    };
}

fn limits() -> Vec<Limit> {
    vec![
        limit!(sandbox.memory_bytes, "memory"),
        limit!(sandbox.memories, "memories"),
        limit!(sandbox.tables, "tables"),
        limit!(sandbox.table_elements, "table elements"),
        limit!(sandbox.instances, "instances"),
        limit!(sandbox.resource_table_entries, "handles"),
        limit!(sandbox.field_bytes, "header fields"),
        limit!(sandbox.host_call_fuel, "data of one call"),
        limit!(sandbox.event_bytes, "events"),
        limit!(network.request_body_bytes, "the request is larger than"),
        limit!(network.response_header_bytes, "header is too large"),
        limit!(network.response_header_fields, "header is too large"),
        limit!(network.response_body_bytes, "more than"),
        limit!(network.concurrent_requests, "are under way already"),
    ]
}

const ANSWER: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\
    \"delta\":{\"role\":\"assistant\",\"content\":\"Hello.\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],\
    \"usage\":null}\n\ndata: [DONE]\n\n";

/// A server that answers every request with the same bytes.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(answer(socket));
        }
    });
    address
}

async fn answer(mut socket: TcpStream) -> std::io::Result<()> {
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    while !whole(&seen) {
        match socket.read(&mut piece).await? {
            0 => return Ok(()),
            length => seen.extend_from_slice(&piece[..length]),
        }
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        ANSWER.len()
    );
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(ANSWER.as_bytes()).await
}

/// Whether head and body of a request are there.
fn whole(seen: &[u8]) -> bool {
    let text = String::from_utf8_lossy(seen);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let value = line.to_ascii_lowercase();
        value.strip_prefix("content-length: ")?.parse().ok()
    });
    body.len() >= length.unwrap_or(0)
}

/// An ordinary chat under these limits; the error it ends in, if any.
async fn chat(server: SocketAddr, limits: Limits) -> Option<Error> {
    let base_url = format!("http://{server}/v1");
    let settings = Settings::at(&base_url)
        .with_api_key("any")
        .with_discovery(false);
    let grant =
        Grant::new(Origin::parse(&base_url).expect("an origin")).with_limits(limits.network);
    let options = ProviderOptions::new(settings, grant).with_sandbox(limits.sandbox);
    let provider = Provider::new(plugin(), options).expect("a provider");
    let (events, error) = run(&provider, &model("m"), &ask("Say hello.")).await;
    let finished = matches!(events.last(), Some(Event::Finish(FinishReason::Stop)));
    assert!(finished || error.is_some(), "{events:?}");
    error
}

impl Limit {
    async fn chat(&self, server: SocketAddr, value: u64) -> Option<Error> {
        let mut limits = Limits::default();
        (self.set)(&mut limits, value);
        chat(server, limits).await
    }

    /// The smallest value with which the chat goes well, and the error of one less.
    async fn need(&self, server: SocketAddr) -> (u64, Option<Error>) {
        let mut refused = None;
        let (mut too_little, mut enough) = (None, self.default);
        assert!(self.chat(server, enough).await.is_none(), "{}", self.name);
        while too_little.map_or(0, |value| value + 1) < enough {
            let least = too_little.map_or(0, |value| value + 1);
            let value = least + (enough - least) / 2;
            match self.chat(server, value).await {
                None => enough = value,
                Some(error) => {
                    too_little = Some(value);
                    refused = Some(error);
                }
            }
        }
        // The last refusal may be of a value further down.
        if let Some(below) = enough.checked_sub(1) {
            refused = self.chat(server, below).await;
        }
        (enough, refused)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_ordinary_chat_needs_is_enough_and_one_less_is_refused_by_name() {
    let server = server().await;
    let mut table = String::from(
        "| limit | default | an ordinary chat needs | one less |\n|---|---|---|---|\n",
    );
    let mut failures = Vec::new();
    for limit in limits() {
        let (need, refused) = limit.need(server).await;
        match &refused {
            None => failures.push(format!("{}: nothing is refused", limit.name)),
            Some(error) if !error.message().contains(limit.words) => {
                failures.push(format!("{}: {error:?}", limit.name));
            }
            Some(error) => {
                let _ = writeln!(
                    table,
                    "| `{}` | {} | {} | {}: {} |",
                    limit.name,
                    limit.default,
                    need,
                    error.kind_name(),
                    limit.words
                );
            }
        }
    }
    println!("{table}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
