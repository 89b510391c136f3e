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

/// Answers one request whatever it is, and closes. A client that never sends a whole head gets nothing.
async fn serve(mut socket: TcpStream, rate: u32) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    while !seen.windows(4).any(|four| four == b"\r\n\r\n") {
        match socket.read(&mut piece).await? {
            0 => return Ok(()),
            length => seen.extend_from_slice(&piece[..length]),
        }
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
