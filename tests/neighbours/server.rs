//! A server that streams at a steady pace, on a thread of its own, and writes the time into each event.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::paced::{self, now};
use crate::timed;

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

/// Answers one request whatever it is, and closes.
async fn serve(mut socket: TcpStream, rate: u32) -> std::io::Result<()> {
    if timed::path(&mut socket).await?.is_none() {
        return Ok(());
    }
    let pace = paced::beat(rate, Duration::from_nanos(now() % 50_000_000));
    timed::stream(&mut socket, pace, EVENTS, |_| ()).await
}

/// Sends what buys credit: at `/drops` a byte in a chunk of its own every 5 ms, at `/beats` every
/// 100 ms, at `/endless` 16 KiB every 20 ms. More would keep this server busy instead of the plugin.
async fn help(mut socket: TcpStream) -> std::io::Result<()> {
    let Some(path) = timed::path(&mut socket).await? else {
        return Ok(());
    };
    let (piece, pause) = match path.as_str() {
        "/drops" => (b"1\r\na\r\n".to_vec(), 5),
        "/beats" => (b"1\r\na\r\n".to_vec(), 100),
        "/endless" => {
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
