//! The egress through its own door, against servers on this machine that do exactly what a test says.

mod bounds;
mod budget;
mod client_certificates;
mod connections;
mod exchange;
mod framing;
mod names;
mod proxies;
mod tls;

use super::{Egress, Hooks, TransportError};
use crate::policy::{Grant, NetworkLimits, Origin};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wasmtime_wasi_http::{Error as WasiError, RequestOptions, WasiBody, WasiHttpHooks};

/// Longer than anything here takes, shorter than a hang.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server whose connections are each handled by `handler`, which is told their number from 0.
async fn server<H, F>(handler: H) -> SocketAddr
where
    H: Fn(TcpStream, usize) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(handler(stream, number));
        }
    });
    address
}

/// A server that answers every request with the same bytes and keeps what it was sent.
async fn answering(answer: impl Into<Vec<u8>>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let answer: Arc<[u8]> = answer.into().into();
    let requests: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&requests);
    let address = server(move |mut stream, _| {
        let answer = Arc::clone(&answer);
        let seen = Arc::clone(&seen);
        async move {
            while let Some(request) = read_request(&mut stream).await {
                seen.lock().unwrap().push(request);
                // A client that has seen enough closes while this is still being written.
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (address, requests)
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// One request with its body, or `None` when the client closed.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let head = text.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(head) = head {
            let length = String::from_utf8_lossy(&text[..head])
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if text.len() >= head + 4 + length {
                return Some(String::from_utf8(text).unwrap());
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => text.extend_from_slice(&buffer[..read]),
        }
    }
}

/// Whether the client closes its side within bounds.
async fn closed_by_client(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 1024];
    let closing = async { while let Ok(1..) = stream.read(&mut buffer).await {} };
    tokio::time::timeout(PATIENCE, closing).await.is_ok()
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/v1")
}

fn grant(address: SocketAddr) -> Grant {
    Grant::new(Origin::parse(&url(address)).unwrap())
}

fn egress(address: SocketAddr) -> Egress {
    Egress::new(grant(address)).unwrap()
}

fn limited(address: SocketAddr, limits: NetworkLimits) -> Egress {
    Egress::new(grant(address).with_limits(limits)).unwrap()
}

fn body(bytes: impl Into<Bytes>) -> WasiBody {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn get(url: &str) -> http::Request<WasiBody> {
    http::Request::get(url).body(body("")).unwrap()
}

/// What the sandbox does with a guest's request.
async fn send(
    hooks: &mut Hooks,
    request: http::Request<WasiBody>,
) -> Result<http::Response<WasiBody>, WasiError> {
    send_with(hooks, request, None).await
}

async fn send_with(
    hooks: &mut Hooks,
    request: http::Request<WasiBody>,
    options: Option<RequestOptions>,
) -> Result<http::Response<WasiBody>, WasiError> {
    let done = Box::new(async { Ok(()) });
    let answer = Pin::from(hooks.send_request(request, options, done));
    let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap();
    answer.map(|(response, _)| response)
}

/// Sends, reads the body to its end, and gives back the text or what the guest is told.
async fn fetch(hooks: &mut Hooks, request: http::Request<WasiBody>) -> Result<String, String> {
    let told = |error: WasiError| format!("{error:?}");
    let response = send(hooks, request).await.map_err(told)?;
    let body = tokio::time::timeout(PATIENCE, response.into_body().collect()).await;
    let bytes = body.unwrap().map_err(told)?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

/// The next data of a body, or what the guest is told.
async fn next(body: &mut WasiBody) -> Option<Result<Bytes, String>> {
    let frame = tokio::time::timeout(PATIENCE, body.frame())
        .await
        .unwrap()?;
    Some(
        frame
            .map(|frame| frame.into_data().unwrap())
            .map_err(|error| format!("{error:?}")),
    )
}
