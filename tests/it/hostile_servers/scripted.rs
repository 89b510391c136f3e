//! A server that does one hostile thing and is honest otherwise.
//!
//! The first request of its first connection gets the attack. Every other request, on that connection as far as it still
//! stands and on every later one, gets an honest answer: so what an attack leaves behind shows in the next chat.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::BOUND;

/// What the server does, one after the other.
#[derive(Clone)]
pub(super) enum Step {
    Send(Vec<u8>),
    /// Sends the same again and again until the client goes away.
    Flood(Vec<u8>),
    /// The same, byte by byte, with a pause before each.
    Drip(Vec<u8>, Duration),
    /// One byte, so many times.
    Large(u8, usize),
    Pause(Duration),
    /// Neither reads nor sends for this time, and closes.
    Deaf(Duration),
    /// Sends nothing until the client goes away.
    Silence,
    /// Closes its side for writing.
    HalfClose,
    Close,
    /// Closes the connection by a reset.
    Reset,
}

/// How much of the request is read before the attack begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    Whole,
    FirstByte,
}

/// What is before HTTP.
#[derive(Clone)]
pub(super) enum Front {
    Plain,
    Tls(TlsAcceptor),
    /// Takes connections and says nothing, whatever comes.
    Mute,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

pub(super) const ANSWER: &str = "Hello from an honest server.";

impl Server {
    pub(super) async fn start(front: Front, reads: Reads, steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut attack = Some((reads, steps));
            while let Ok((socket, _)) = listener.accept().await {
                let (front, seen) = (front.clone(), Arc::clone(&seen));
                let attack = attack.take();
                tokio::spawn(tokio::time::timeout(BOUND, async move {
                    match front {
                        Front::Plain => serve(socket, attack, &seen).await,
                        Front::Tls(acceptor) => {
                            if let Ok(stream) = acceptor.accept(socket).await {
                                serve(stream, attack, &seen).await;
                            }
                        }
                        Front::Mute => read_to_end(&mut { socket }).await,
                    }
                }));
            }
        });
        Self { address, requests }
    }

    /// The requests that came, as far as they were read.
    pub(super) fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A stream that can be reset.
trait Socket: AsyncRead + AsyncWrite + Unpin {
    fn reset_on_close(&self);
}

impl Socket for TcpStream {
    fn reset_on_close(&self) {
        let _ = self.set_zero_linger();
    }
}

impl Socket for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset_on_close(&self) {
        self.get_ref().0.reset_on_close();
    }
}

async fn serve(
    mut socket: impl Socket,
    mut attack: Option<(Reads, Vec<Step>)>,
    seen: &Mutex<Vec<String>>,
) {
    loop {
        let reads = attack.as_ref().map_or(Reads::Whole, |(reads, _)| *reads);
        let Some(request) = read_request(&mut socket, reads).await else {
            return;
        };
        let honest = honest_answer(&request);
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request);
        let steps = match attack.take() {
            Some((_, steps)) => steps,
            None => vec![Step::Send(honest.into_bytes())],
        };
        for step in steps {
            if !play(&mut socket, step).await {
                return;
            }
        }
    }
}

/// Makes one step; whether the connection still stands.
async fn play(socket: &mut impl Socket, step: Step) -> bool {
    match step {
        Step::Send(bytes) => socket.write_all(&bytes).await.is_ok() && socket.flush().await.is_ok(),
        Step::Flood(bytes) => {
            // Few and large writes, so that it is the client that has the work.
            let piece = bytes.repeat((64 << 10) / bytes.len().max(1) + 1);
            while socket.write_all(&piece).await.is_ok() {}
            false
        }
        Step::Drip(bytes, pause) => {
            for byte in bytes.iter().cycle() {
                tokio::time::sleep(pause).await;
                if socket.write_all(&[*byte]).await.is_err() || socket.flush().await.is_err() {
                    break;
                }
            }
            false
        }
        Step::Large(byte, count) => {
            let piece = vec![byte; 64 << 10];
            let mut left = count;
            while left > 0 {
                let now = left.min(piece.len());
                if socket.write_all(&piece[..now]).await.is_err() {
                    return false;
                }
                left -= now;
            }
            true
        }
        Step::Pause(time) => {
            tokio::time::sleep(time).await;
            true
        }
        Step::Deaf(time) => {
            tokio::time::sleep(time).await;
            false
        }
        Step::Silence => {
            read_to_end(socket).await;
            false
        }
        Step::HalfClose => {
            let _ = socket.shutdown().await;
            read_to_end(socket).await;
            false
        }
        Step::Close => {
            let _ = socket.shutdown().await;
            false
        }
        Step::Reset => {
            socket.reset_on_close();
            false
        }
    }
}

async fn read_to_end(socket: &mut (impl AsyncRead + Unpin)) {
    let mut piece = [0; 16 << 10];
    while let Ok(1..) = socket.read(&mut piece).await {}
}

/// A request, or as much of it as is to be read; none when the client has gone.
async fn read_request(socket: &mut (impl AsyncRead + Unpin), reads: Reads) -> Option<String> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 << 10];
    let mut whole = None;
    loop {
        if reads == Reads::FirstByte && !bytes.is_empty() {
            break;
        }
        if whole.is_none() {
            whole = length_of(&bytes);
        }
        if whole.is_some_and(|length| bytes.len() >= length) {
            break;
        }
        let room = if reads == Reads::FirstByte {
            1
        } else {
            piece.len()
        };
        match socket.read(&mut piece[..room]).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Head and body of a request, once the head is there.
fn length_of(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok());
    Some(head + length.unwrap_or(0))
}

fn honest_answer(request: &str) -> String {
    match request.starts_with("GET") {
        true => with_length("application/json", r#"{"data":[{"id":"honest"}]}"#),
        false => with_length("text/event-stream", &events(ANSWER)),
    }
}

/// A whole response with a body of known length.
pub(super) fn with_length(content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// A streamed answer of two pieces, its account and its end.
pub(super) fn events(text: &str) -> String {
    let (first, second) = text.split_at(text.len() / 2);
    let chunk = |delta: &str, reason: &str| {
        format!(
            "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{delta}\"}},\
             \"finish_reason\":{reason}}}]}}\n\n"
        )
    };
    let usage = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\
                 \"completion_tokens\":2,\"total_tokens\":5}}\n\n";
    let pieces = [
        chunk(first, "null"),
        chunk(second, "\"stop\""),
        usage.to_owned(),
        "data: [DONE]\n\n".to_owned(),
    ];
    pieces.concat()
}
