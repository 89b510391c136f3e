//! A server that streams numbered pieces, as far as the test lets it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Pieces of an answer.
pub(super) const PIECES: u32 = 40;

/// Dropping it leaves its connections to themselves.
pub(crate) struct Numbered {
    address: SocketAddr,
    allowed: watch::Sender<u32>,
    connections: Arc<AtomicUsize>,
}

impl Numbered {
    /// Starts one that sends nothing but the head yet.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (allowed, receiver) = watch::channel(0);
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                // A client that leaves ends it.
                tokio::spawn(serve(socket, receiver.clone()));
            }
        });
        Self {
            address,
            allowed,
            connections,
        }
    }

    pub(super) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Lets each answer have so many pieces; all of them end it.
    pub(super) fn allow(&self, pieces: u32) {
        self.allowed.send_replace(pieces);
    }

    /// Connections that were made so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Answers one request after the other.
async fn serve(mut socket: TcpStream, mut allowed: watch::Receiver<u32>) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut seen = Vec::new();
    loop {
        let Some(path) = request(&mut socket, &mut seen).await? else {
            return Ok(());
        };
        if path.ends_with("/models") {
            let models = r#"{"object":"list","data":[{"id":"model","object":"model","max_model_len":4096}]}"#;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{models}",
                models.len()
            );
            socket.write_all(head.as_bytes()).await?;
            continue;
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        socket.write_all(head.as_bytes()).await?;
        for piece in 0..PIECES {
            let open = allowed.wait_for(|allowed| piece < *allowed).await.is_ok();
            if !open {
                return Ok(());
            }
            let delta = format!(r#"{{"content":"{piece} "}}"#);
            chunk(&mut socket, &event(&delta, "null")).await?;
        }
        chunk(&mut socket, &event("{}", "\"stop\"")).await?;
        chunk(&mut socket, "data: [DONE]\n\n").await?;
        socket.write_all(b"0\r\n\r\n").await?;
    }
}

/// Reads one request; its path.
async fn request(socket: &mut TcpStream, seen: &mut Vec<u8>) -> std::io::Result<Option<String>> {
    loop {
        if let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&seen[..end]).to_lowercase();
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .map_or(0, |length| length.trim().parse().expect("a length"));
            if seen.len() >= end + 4 + length {
                seen.drain(..end + 4 + length);
                return Ok(head.split(' ').nth(1).map(str::to_owned));
            }
        }
        let mut piece = [0; 4096];
        match socket.read(&mut piece).await? {
            0 => return Ok(None),
            length => seen.extend_from_slice(&piece[..length]),
        }
    }
}

fn event(delta: &str, finish: &str) -> String {
    format!(
        r#"data: {{"id":"c","object":"chat.completion.chunk","created":1,"model":"model","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]}}"#
    ) + "\n\n"
}

async fn chunk(socket: &mut TcpStream, data: &str) -> std::io::Result<()> {
    let chunk = format!("{:x}\r\n{data}\r\n", data.len());
    socket.write_all(chunk.as_bytes()).await
}
