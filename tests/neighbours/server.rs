//! A server that streams at a steady pace, on a thread of its own, and writes the time into each event.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::MissedTickBehavior;

/// Events of one answer.
const EVENTS: u32 = 400;

/// Nanoseconds since the first call, by one clock for the whole process.
pub(crate) fn now() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGAN.get_or_init(Instant::now).elapsed().as_nanos()).expect("five centuries")
}

pub(crate) struct Paced {
    address: SocketAddr,
}

impl Paced {
    pub(crate) fn start(rate: u32) -> Self {
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
        Self { address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
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
    let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
    // Streams that began together would be written together: each has a beat of its own.
    pace.reset_after(Duration::from_nanos(now() % 50_000_000));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..EVENTS {
        pace.tick().await;
        let event = format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"model\",\"choices\":[{{\"index\":0,\
             \"delta\":{{\"content\":\"{} \"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n",
            now()
        );
        socket.write_all(event.as_bytes()).await?;
    }
    let end = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"model\",\"choices\":[{\"index\":0,\
               \"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    socket.write_all(end.as_bytes()).await
}
