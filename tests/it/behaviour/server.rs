//! A server that writes down what it is asked, to the byte, and answers what a
//! test says, to the byte.
//!
//! The mock of this crate behaves as vLLM does; here nothing behaves. What was
//! sent is kept as it came over the socket, and an answer may be anything.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::answer::{Answer, Ending, Step, plain};

/// One request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query, as in the request line.
    pub(super) target: String,
    /// In order; names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The value of a header; a header that stands twice fails the test.
    #[track_caller]
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} twice: {self:?}");
        value
    }

    /// The names of all headers, sorted.
    pub(super) fn header_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The body as JSON.
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A server; it ends with the runtime of its test.
pub(super) struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    seen: Mutex<Vec<Request>>,
    models: Answer,
    /// The last one is given for ever.
    chats: Mutex<VecDeque<Answer>>,
}

impl Server {
    /// A server that answers every chat with [`plain`].
    pub(super) async fn start() -> Self {
        Self::answering([plain()]).await
    }

    /// A server that answers chats with these, in turn.
    pub(super) async fn answering(chats: impl IntoIterator<Item = Answer>) -> Self {
        let models = Answer::json(200, &json!({"object": "list", "data": [{"id": "m"}]}));
        Self::with(models, chats).await
    }

    /// A server with this answer to `GET …/models`.
    pub(super) async fn listing(models: Answer) -> Self {
        Self::with(models, [plain()]).await
    }

    async fn with(models: Answer, chats: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            seen: Mutex::default(),
            models,
            chats: Mutex::new(chats.into_iter().collect()),
        });
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = shared.clone();
                tokio::spawn(async move { serve(stream, &state).await });
            }
        });
        Self { address, state }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`
    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `http://127.0.0.1:PORT/v1`
    pub(super) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Everything that was asked so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.state
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The latest request.
    #[track_caller]
    pub(super) fn last(&self) -> Request {
        self.requests().pop().expect("a request")
    }
}

impl State {
    fn answer(&self, request: &Request) -> Answer {
        let path = request.target.split('?').next().unwrap_or_default();
        if request.method == "GET" && path.ends_with("/models") {
            return self.models.clone();
        }
        if request.method != "POST" || !path.ends_with("/chat/completions") {
            return Answer::json(404, &json!({"detail": "Not Found"}));
        }
        let mut chats = self.chats.lock().unwrap_or_else(PoisonError::into_inner);
        match chats.len() {
            0 | 1 => chats.front().cloned().unwrap_or_else(plain),
            _ => chats.pop_front().unwrap_or_else(plain),
        }
    }
}

/// Answers the requests of one connection, TCP or TLS.
pub(super) async fn serve_one(stream: impl AsyncRead + AsyncWrite + Unpin, answer: Answer) {
    let state = State {
        seen: Mutex::default(),
        models: answer,
        chats: Mutex::default(),
    };
    serve(stream, &state).await;
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, state: &State) {
    while let Some(request) = read(&mut stream).await {
        let answer = state.answer(&request);
        state
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request);
        if write(&mut stream, &answer).await.is_none() {
            return;
        }
    }
}

/// A request with its body, of a length or in chunks; none when the connection
/// ends.
async fn read(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = find(&bytes, b"\r\n\r\n") {
            break at;
        }
        more(stream, &mut bytes).await?;
        if !bytes[0].is_ascii_uppercase() {
            // No method begins so: TLS, most likely. Real servers say no word
            // of it either but a 400, and close.
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut rest = bytes.split_off(end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let mut request = Request {
        method: first.next()?.to_owned(),
        target: first.next()?.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = name.to_ascii_lowercase();
        request.headers.push((name, value.trim().to_owned()));
    }
    if let Some(length) = request.header("content-length") {
        let length: usize = length.parse().ok()?;
        while rest.len() < length {
            more(stream, &mut rest).await?;
        }
        request.body = rest;
    } else if request.header("transfer-encoding").is_some() {
        loop {
            let Some(line) = find(&rest, b"\r\n") else {
                more(stream, &mut rest).await?;
                continue;
            };
            let size = std::str::from_utf8(&rest[..line]).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            while rest.len() < line + 2 + size + 2 {
                more(stream, &mut rest).await?;
            }
            request.body.extend(&rest[line + 2..line + 2 + size]);
            rest.drain(..line + 2 + size + 2);
            if size == 0 {
                break;
            }
        }
    }
    Some(request)
}

async fn more(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(bytes).await {
        Ok(1..) => Some(()),
        _ => None,
    }
}

/// Writes an answer; none when the connection is over.
async fn write(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), answer: &Answer) -> Option<()> {
    if answer.status != 0 {
        let mut head = format!(
            "HTTP/1.1 {} Said\r\ntransfer-encoding: chunked\r\n",
            answer.status
        );
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream
            .write_all(format!("{head}\r\n").as_bytes())
            .await
            .ok()?;
    }
    for step in &answer.steps {
        match step {
            Step::Pause(time) => tokio::time::sleep(*time).await,
            Step::Bytes(bytes) if bytes.is_empty() => {}
            Step::Bytes(bytes) => {
                let mut piece = format!("{:x}\r\n", bytes.len()).into_bytes();
                piece.extend(bytes);
                piece.extend(b"\r\n");
                stream.write_all(&piece).await.ok()?;
            }
        }
        stream.flush().await.ok()?;
    }
    match answer.ending {
        Ending::Whole => {
            stream.write_all(b"0\r\n\r\n").await.ok()?;
            stream.flush().await.ok()
        }
        Ending::Cut => None,
        Ending::Silent => {
            // Until the client leaves.
            while more(stream, &mut Vec::new()).await.is_some() {}
            None
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
