//! A server that streams answers as fast, or as slowly, as a measurement asks: `replay [PORT]` prints `listening PORT`.
//!
//! What to answer stands anywhere in the head of the request, most easily in the base URL's path: `replay=n:N` pieces (8),
//! `per:K` events a write (1), `pace:US` microseconds between writes (0: none), `stamp:1` pieces that say when they were
//! written (`@` and nanoseconds of the monotonic clock), `jit:1` a random phase. Framing and events are those of vLLM
//! 0.32.0: the role first, then the pieces, the finish, the usage, `[DONE]`, each a chunk of HTTP of its own. One thread.
//!
//! `GET /lateness` gives, in microseconds, how late the server wrote at most since it was asked last,
//! against the schedules of all answers with a `pace`.

use std::io::{self, Write as _};
use std::time::Duration;

use provider_bench::answer::{self, Kind};
use provider_bench::machine::Lateness;
use provider_bench::measure::now;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

/// Of all writes that have a time at which they are due.
static LATENESS: Lateness = Lateness::new();

/// What a request asks for.
#[derive(Clone, Copy)]
struct Wanted {
    pieces: usize,
    per: usize,
    pace: Duration,
    stamped: bool,
    jittered: bool,
}

impl Wanted {
    fn of(head: &str) -> Self {
        let mut wanted = Self {
            pieces: 8,
            per: 1,
            pace: Duration::ZERO,
            stamped: false,
            jittered: false,
        };
        let Some((_, rest)) = head.split_once("replay=") else {
            return wanted;
        };
        let end = rest.find(['/', ' ', '\r', '&']).unwrap_or(rest.len());
        for (name, number) in rest[..end]
            .split(',')
            .filter_map(|pair| pair.split_once(':'))
        {
            let number: usize = number.parse().unwrap_or(0);
            match name {
                "n" => wanted.pieces = number,
                "per" => wanted.per = number.max(1),
                "pace" => wanted.pace = Duration::from_micros(number as u64),
                "stamp" => wanted.stamped = number != 0,
                "jit" => wanted.jittered = number != 0,
                _ => {}
            }
        }
        wanted
    }
}

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(([127, 0, 0, 1], port.unwrap_or(0)).into())?;
        let listener: TcpListener = socket.listen(4096)?;
        println!("listening {}", listener.local_addr()?.port());
        io::stdout().flush()?;
        let mut connections = 0_u64;
        loop {
            let (stream, _) = listener.accept().await?;
            connections += 1;
            tokio::spawn(async move {
                // A client that goes is no event here.
                let _ = serve(stream, connections).await;
            });
        }
    })
}

async fn serve(mut stream: TcpStream, number: u64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::new();
    while let Some(head) = request(&mut stream, &mut input).await? {
        if head.starts_with("GET ") {
            let body = match head.starts_with("GET /lateness ") {
                true => LATENESS.take().as_micros().to_string().into(),
                false => answer::models(1),
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
            continue;
        }
        chat(&mut stream, Wanted::of(&head), number).await?;
    }
    Ok(())
}

/// The head of the next request, whose body is read and forgotten; none at the end.
async fn request(stream: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<Option<String>> {
    loop {
        if let Some(end) = memchr::memmem::find(input, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&input[..end + 4]).into_owned();
            let lower = head.to_ascii_lowercase();
            let length = lower
                .split_once("content-length:")
                .and_then(|(_, rest)| rest.split("\r\n").next()?.trim().parse::<usize>().ok());
            let whole = end + 4 + length.unwrap_or(0);
            while input.len() < whole {
                if stream.read_buf(input).await? == 0 {
                    return Ok(None);
                }
            }
            input.drain(..whole);
            return Ok(Some(head));
        }
        if stream.read_buf(input).await? == 0 {
            return Ok(None);
        }
    }
}

async fn chat(stream: &mut TcpStream, wanted: Wanted, number: u64) -> io::Result<()> {
    // The frames of an answer of one piece: role, piece, finish, usage, [DONE]; the piece is made anew each time.
    let frames = answer::frames(Kind::Text, wanted.pieces, 1);
    let (role, rest) = frames.split_first().expect("an answer has a role");
    let (pieces, ends) = rest.split_at(wanted.pieces);
    let mut out = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
        transfer-encoding: chunked\r\n\r\n"
        .to_vec();
    chunk(&mut out, role);
    let mut due = Instant::now();
    if wanted.jittered {
        let spread = wanted.pace.as_micros() as u64;
        // Golden-ratio steps spread any number of connections evenly.
        let phase = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % spread.max(1);
        due += Duration::from_micros(phase);
    }
    if !wanted.pace.is_zero() {
        stream.write_all(&out).await?;
        out.clear();
    }
    for group in pieces.chunks(wanted.per) {
        if !wanted.pace.is_zero() {
            due += wanted.pace;
            sleep_until(due).await;
            LATENESS.record(due.into_std(), std::time::Instant::now());
        }
        for piece in group {
            match wanted.stamped {
                true => chunk(&mut out, answer::stamped(now()).as_bytes()),
                false => chunk(&mut out, piece),
            }
        }
        if !wanted.pace.is_zero() || wanted.pieces > wanted.per {
            stream.write_all(&out).await?;
            out.clear();
        }
    }
    for end in ends {
        chunk(&mut out, end);
    }
    out.extend_from_slice(b"0\r\n\r\n");
    stream.write_all(&out).await
}

fn chunk(out: &mut Vec<u8>, event: &[u8]) {
    let _ = write!(out, "{:x}\r\n", event.len());
    out.extend_from_slice(event);
    out.extend_from_slice(b"\r\n");
}
