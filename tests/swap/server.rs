//! A server on a thread of its own that streams at a steady pace; each piece carries its number and the time at which it was
//! written, and the last one says how many there were.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::paced::{self, now};

/// Pieces of an answer: at least, and how many more by chance.
const LEAST: u64 = 40;
const MORE: u64 = 80;

/// Starts one; its address.
pub(crate) fn start(rate: u32) -> SocketAddr {
    paced::start(move |socket| serve(socket, rate))
}

/// Answers one request after the other.
async fn serve(mut socket: TcpStream, rate: u32) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut seen = Vec::new();
    // Good enough a chance, and another one for each connection.
    let mut chance = u64::from(socket.peer_addr()?.port()) | 1;
    while request(&mut socket, &mut seen).await? {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        socket.write_all(head.as_bytes()).await?;
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let pieces = LEAST + (chance >> 33) % MORE;
        let phase = (chance >> 20) % (1_000_000_000 / u64::from(rate));
        let mut pace = paced::beat(rate, Duration::from_nanos(phase));
        for piece in 0..pieces {
            pace.tick().await;
            chunk(&mut socket, &format!("{piece}:{} ", now())).await?;
        }
        chunk(&mut socket, &format!("end:{pieces} ")).await?;
        let end = paced::END;
        let end = format!("{:x}\r\n{end}\r\n0\r\n\r\n", end.len());
        socket.write_all(end.as_bytes()).await?;
    }
    Ok(())
}

/// Reads one request; false: there is none any more.
async fn request(socket: &mut TcpStream, seen: &mut Vec<u8>) -> std::io::Result<bool> {
    loop {
        if let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&seen[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().expect("a length"));
            if seen.len() >= end + 4 + length {
                seen.drain(..end + 4 + length);
                return Ok(true);
            }
        }
        let mut piece = [0; 4096];
        match socket.read(&mut piece).await? {
            0 => return Ok(false),
            length => seen.extend_from_slice(&piece[..length]),
        }
    }
}

async fn chunk(socket: &mut TcpStream, text: &str) -> std::io::Result<()> {
    let event = paced::event(text);
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    socket.write_all(chunk.as_bytes()).await
}
