//! A server that streams at a steady pace, on a thread of its own, and writes the time into each event.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::paced::{self, now};

/// Events of one answer.
const EVENTS: u32 = 400;

/// Starts one; its address.
pub(crate) fn start(rate: u32) -> SocketAddr {
    paced::start(move |socket| serve(socket, rate))
}

/// Starts the server that helps hostile chats; its address.
pub(crate) fn start_helper() -> SocketAddr {
    paced::start(help)
}

/// Reads the head of a request; none: the client never sends a whole one.
async fn head(socket: &mut TcpStream) -> std::io::Result<Option<String>> {
    socket.set_nodelay(true)?;
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    while !seen.windows(4).any(|four| four == b"\r\n\r\n") {
        match socket.read(&mut piece).await? {
            0 => return Ok(None),
            length => seen.extend_from_slice(&piece[..length]),
        }
    }
    Ok(Some(String::from_utf8_lossy(&seen).into_owned()))
}

/// Answers one request whatever it is, and closes.
async fn serve(mut socket: TcpStream, rate: u32) -> std::io::Result<()> {
    if head(&mut socket).await?.is_none() {
        return Ok(());
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    socket.write_all(head.as_bytes()).await?;
    let mut pace = paced::beat(rate, Duration::from_nanos(now() % 50_000_000));
    for _ in 0..EVENTS {
        pace.tick().await;
        let event = paced::event(&format!("{} ", now()));
        socket.write_all(event.as_bytes()).await?;
    }
    socket.write_all(paced::END.as_bytes()).await
}

/// Sends what buys credit: at `/drops` a byte in a chunk of its own every 5 ms, at `/beats` every
/// 100 ms, at `/endless` 16 KiB every 20 ms. More would keep this server busy instead of the plugin.
async fn help(mut socket: TcpStream) -> std::io::Result<()> {
    let Some(head) = head(&mut socket).await? else {
        return Ok(());
    };
    let (piece, pause) = match head.split(' ').nth(1) {
        Some("/drops") => (b"1\r\na\r\n".to_vec(), 5),
        Some("/beats") => (b"1\r\na\r\n".to_vec(), 100),
        Some("/endless") => {
            let mut piece = b"4000\r\n".to_vec();
            piece.resize(piece.len() + 0x4000, b'a');
            piece.extend_from_slice(b"\r\n");
            (piece, 20)
        }
        _ => (b"0\r\n\r\n".to_vec(), 0),
    };
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(&piece).await?;
    if pause == 0 {
        return Ok(());
    }
    loop {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        socket.write_all(&piece).await?;
    }
}
