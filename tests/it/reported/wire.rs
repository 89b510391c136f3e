//! Requests as a sandboxed plugin makes them, and servers that write down what reaches them.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use provider_host::egress::Egress;
use provider_host::policy::{BasePath, Grant, Origin};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wasmtime_wasi_http::{WasiBody, WasiHttpHooks as _};

use crate::support::BOUND;

/// Where a server takes a request to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// Behind the body that its `content-length` announces.
    Whole,
    /// Behind its head. A body is the beginning of the next request.
    Heads,
}

/// A server on this machine.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    requests: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Server {
    /// A server that answers each request with what `answer` makes of it.
    pub(super) async fn start(reads: Reads, answer: fn(&str) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            for number in 0.. {
                let Ok((socket, _)) = listener.accept().await else {
                    return;
                };
                let serving = serve(socket, number, reads, answer, Arc::clone(&seen));
                tokio::spawn(tokio::time::timeout(BOUND, serving));
            }
        });
        Self { address, requests }
    }

    /// Each request with the number of its connection, from 0.
    pub(super) fn requests(&self) -> Vec<(usize, String)> {
        let requests = self.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections brought a request.
    pub(super) fn connections(&self) -> usize {
        let requests = self.requests();
        let mut numbers: Vec<usize> = requests.iter().map(|(number, _)| *number).collect();
        numbers.dedup();
        numbers.len()
    }

    /// `http://ADDRESS` and a path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A grant for this server under a base path such as `/v1`.
    pub(super) fn grant(&self, base_path: &str) -> Grant {
        let base_url = self.url(base_path);
        Grant::new(Origin::parse(&base_url).expect("an origin"))
            .with_base_path(BasePath::of_base_url(&base_url).expect("a base path"))
    }

    /// The way out under that grant.
    pub(super) fn egress(&self, base_path: &str) -> Egress {
        Egress::new(self.grant(base_path)).expect("an egress")
    }
}

async fn serve(
    mut socket: TcpStream,
    number: usize,
    reads: Reads,
    answer: fn(&str) -> String,
    seen: Arc<Mutex<Vec<(usize, String)>>>,
) {
    let mut came = Vec::new();
    loop {
        while let Some(end) = end_of_request(&came, reads) {
            let request = String::from_utf8_lossy(&came[..end]).into_owned();
            came.drain(..end);
            let answer = answer(&request);
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((number, request));
            if socket.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
        let mut piece = vec![0; 64 << 10];
        match socket.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(length) => came.extend_from_slice(&piece[..length]),
        }
    }
}

fn end_of_request(bytes: &[u8], reads: Reads) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap_or(0));
    let end = match reads {
        Reads::Whole => head + length,
        Reads::Heads => head,
    };
    (bytes.len() >= end).then_some(end)
}

/// An answer with a body of known length.
pub(super) fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// A request body.
pub(super) fn body(bytes: impl Into<Bytes>) -> WasiBody {
    let whole = Full::new(bytes.into());
    whole.map_err(|never| match never {}).boxed_unsync()
}

/// A `GET`, without a body.
pub(super) fn get(url: &str) -> http::Request<WasiBody> {
    http::Request::get(url).body(body("")).expect("a request")
}

/// A `POST`.
pub(super) fn post(url: &str, text: impl Into<Bytes>) -> http::Request<WasiBody> {
    http::Request::post(url)
        .body(body(text))
        .expect("a request")
}

/// Sends a request as the sandbox does, and reads the answer to its end: `answered STATUS: BODY`, or the
/// host's words for why not.
pub(super) async fn ask(egress: &Egress, request: http::Request<WasiBody>) -> String {
    let mut hooks = egress.hooks();
    let done = Box::new(async { Ok(()) });
    let exchange = async {
        let (response, _) = Pin::from(hooks.send_request(request, None, done))
            .await
            .ok()?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.ok()?.to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Some(format!("answered {status}: {text}"))
    };
    let ended = tokio::time::timeout(BOUND, exchange).await.expect("an end");
    ended.unwrap_or_else(|| hooks.last_failure().expect("a reason").to_string())
}
