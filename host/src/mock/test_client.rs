//! A client that sees bytes: what tests of the wire need and no HTTP library
//! gives.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One answer: its head and its body without the chunk framing.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: String,
    /// Names and values in the order of the wire.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// Chunks of the body; one for a body of known length.
    pub(crate) chunks: usize,
    /// Whether the framing came to its end.
    pub(crate) complete: bool,
}

/// Takes a response apart. None without a whole head.
pub(crate) fn read_reply(raw: &[u8]) -> Option<Reply> {
    let at = raw.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&raw[..at]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let rest = &raw[at + 4..];
    let find = |wanted: &str| {
        headers
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
    };
    let (body, chunks, complete) = if find("transfer-encoding") == Some("chunked") {
        dechunk(rest)
    } else {
        let length = find("content-length").and_then(|n| n.parse().ok());
        (
            rest.to_vec(),
            1,
            length.is_none_or(|n: usize| rest.len() >= n),
        )
    };
    Some(Reply {
        status,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        chunks,
        complete,
    })
}

fn dechunk(mut rest: &[u8]) -> (Vec<u8>, usize, bool) {
    let (mut body, mut chunks) = (Vec::new(), 0);
    loop {
        let Some(at) = rest.windows(2).position(|w| w == b"\r\n") else {
            return (body, chunks, false);
        };
        let Ok(length) = usize::from_str_radix(&String::from_utf8_lossy(&rest[..at]), 16) else {
            return (body, chunks, false);
        };
        rest = &rest[at + 2..];
        if length == 0 {
            return (body, chunks, true);
        }
        if rest.len() < length + 2 {
            body.extend_from_slice(rest);
            return (body, chunks, false);
        }
        body.extend_from_slice(&rest[..length]);
        rest = &rest[length + 2..];
        chunks += 1;
    }
}

/// A chat request with a body.
pub(crate) fn chat_request(body: &str) -> Vec<u8> {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: mock\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A streamed chat that says one thing.
pub(crate) fn streamed(message: &str) -> Vec<u8> {
    chat_request(&format!(
        r#"{{"messages":[{{"role":"user","content":{message:?}}}],"stream":true}}"#
    ))
}

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Client {
        Client {
            stream: TcpStream::connect(address).await.unwrap(),
        }
    }

    pub(crate) async fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.unwrap();
    }

    /// Reads until the answer is complete, or the connection ends; then how it
    /// ended, if it did.
    pub(crate) async fn reply(&mut self) -> (Option<Reply>, Option<std::io::ErrorKind>) {
        let mut raw = Vec::new();
        let mut buffer = vec![0; 65_536];
        loop {
            let end = match self.stream.read(&mut buffer).await {
                Ok(0) => Some(std::io::ErrorKind::UnexpectedEof),
                Err(error) => Some(error.kind()),
                Ok(n) => {
                    raw.extend_from_slice(&buffer[..n]);
                    None
                }
            };
            let reply = read_reply(&raw);
            if end.is_some() || reply.as_ref().is_some_and(|r| r.complete) {
                return (reply, end);
            }
        }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Reply {
        self.send(request).await;
        self.reply().await.0.unwrap()
    }
}

/// One request on a connection of its own.
pub(crate) async fn ask(address: SocketAddr, request: &[u8]) -> Reply {
    Client::connect(address).await.ask(request).await
}
