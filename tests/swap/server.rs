//! A server on a thread of its own that streams at a steady pace; each piece carries its number and the time at which it was
//! written, and the last one says how many there were.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::MissedTickBehavior;

/// Pieces of an answer: at least, and how many more by chance.
const LEAST: u64 = 40;
const MORE: u64 = 80;

/// Nanoseconds since the first call, by one clock for the whole process.
pub(crate) fn now() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGAN.get_or_init(Instant::now).elapsed().as_nanos()).expect("five centuries")
}

/// Starts one; its address.
pub(crate) fn start(rate: u32) -> SocketAddr {
    now();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, rate));
            }
        });
    });
    address
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
        let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
        // Streams that began together would be written together: each has a beat of its own.
        pace.reset_after(Duration::from_nanos(
            (chance >> 20) % (1_000_000_000 / u64::from(rate)),
        ));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for piece in 0..pieces {
            pace.tick().await;
            chunk(&mut socket, &format!("{piece}:{} ", now())).await?;
        }
        chunk(&mut socket, &format!("end:{pieces} ")).await?;
        let end = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"model\",\"choices\":[{\"index\":0,\
                   \"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
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
    let event = format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"model\",\"choices\":[{{\"index\":0,\
         \"delta\":{{\"content\":\"{text}\"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n"
    );
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    socket.write_all(chunk.as_bytes()).await
}
