//! A server that writes down every byte it gets: what reached it is what got out.
//!
//! It answers each request in two bytes, but for a few paths: `/redirect/STATUS` sends on to another server, `/silence` is
//! never answered, the answer to `/endless` has no end, and that to `/drops` has none either and comes in single bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(super) struct Witness {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Witness {
    /// Starts one; `elsewhere` is where it sends on to.
    pub(super) async fn start(elsewhere: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = seen.clone();
        let elsewhere = elsewhere.to_owned();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let at = {
                    let mut all = lock(&all);
                    all.push(Vec::new());
                    all.len() - 1
                };
                tokio::spawn(serve(socket, at, all.clone(), elsewhere.clone()));
            }
        });
        Self { address, seen }
    }

    /// What came, a text for each connection.
    pub(super) fn seen(&self) -> Vec<String> {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        lock(&self.seen).iter().map(text).collect()
    }
}

async fn serve(mut socket: TcpStream, at: usize, all: Arc<Mutex<Vec<Vec<u8>>>>, elsewhere: String) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(length @ 1..) = socket.read(&mut piece).await {
        let request = {
            let bytes = &mut lock(&all)[at];
            bytes.extend_from_slice(&piece[..length]);
            String::from_utf8_lossy(bytes).into_owned()
        };
        if is_whole(&request) && answer(&mut socket, &request, &elsewhere).await.is_err() {
            break;
        }
    }
}

async fn answer(socket: &mut TcpStream, request: &str, elsewhere: &str) -> std::io::Result<()> {
    let path = request.split(' ').nth(1).unwrap_or_default();
    if path == "/silence" {
        return Ok(());
    }
    if path == "/endless" {
        let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
        socket.write_all(head).await?;
        loop {
            socket.write_all(&[b'a'; 16 << 10]).await?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    if path == "/drops" {
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        socket.write_all(head).await?;
        loop {
            socket.write_all(b"1\r\na\r\n").await?;
            tokio::task::yield_now().await;
        }
    }
    let answer = match path.strip_prefix("/redirect/") {
        Some(status) => format!(
            "HTTP/1.1 {status} Elsewhere\r\nlocation: http://{elsewhere}{path}\r\n\
             content-length: 0\r\nconnection: close\r\n\r\n"
        ),
        None => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".to_owned(),
    };
    socket.write_all(answer.as_bytes()).await
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether head and body of a request are there.
fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.to_ascii_lowercase();
    let length = length.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
