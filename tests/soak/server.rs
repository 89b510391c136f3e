//! A server that streams at a steady pace, and records how late it is itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::paced::{self, now};
use crate::record::Record;

/// What the control asks for. The server's lateness is that of these streams alone: one whose
/// client does not read would be late for its client's reason.
pub(crate) const CONTROL: &str = "/control";

/// Events of one answer: a minute of 20 a second.
const EVENTS: u32 = 1_200;

/// Starts one; its address.
pub(crate) fn start(rate: u32, record: Arc<Record>) -> SocketAddr {
    paced::start(move |socket| serve(socket, rate, record.clone()))
}

/// The times in a piece of an answer.
pub(crate) fn times(data: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(data);
    text.split("\"content\":\"")
        .skip(1)
        .filter_map(|rest| rest.split(' ').next()?.parse().ok())
        .collect()
}

/// Answers one request whatever it is, and closes.
async fn serve(mut socket: TcpStream, rate: u32, record: Arc<Record>) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    while !seen.windows(4).any(|four| four == b"\r\n\r\n") {
        match socket.read(&mut piece).await? {
            0 => return Ok(()),
            length => seen.extend_from_slice(&piece[..length]),
        }
    }
    let control = seen
        .windows(CONTROL.len())
        .any(|part| part == CONTROL.as_bytes());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    socket.write_all(head.as_bytes()).await?;
    let mut pace = paced::beat(rate, Duration::from_nanos(now() % 50_000_000));
    for _ in 0..EVENTS {
        let due = pace.tick().await;
        if control {
            let late = due.elapsed();
            record.server(now(), u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
        }
        let event = paced::event(&format!("{} ", now()));
        socket.write_all(event.as_bytes()).await?;
    }
    socket.write_all(paced::END.as_bytes()).await
}
