//! A server that holds answers, and tests that run in a process of their own.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{ask, model, provider_of, run, short_limits, text};
use provider_host::{Error, Plugin};

const ANSWER: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\
    \"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\
    \"content\":\"Hello.\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":null}\n\n\
    data: [DONE]\n\n";

/// Starts a server. It begins an answer to `/endless` and holds it, tells at `/held` how many it
/// holds, and answers every other request as a chat.
pub(super) async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let held = Arc::<AtomicUsize>::default();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, held.clone()));
        }
    });
    address
}

async fn serve(mut socket: TcpStream, held: Arc<AtomicUsize>) -> std::io::Result<()> {
    loop {
        let mut request = Vec::new();
        while !is_whole(&request) {
            if socket.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        let answer = if request.windows(8).any(|window| window == b"/endless") {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n";
            socket.write_all(head.as_bytes()).await?;
            held.fetch_add(1, Ordering::SeqCst);
            let end = socket.read(&mut [0; 1]).await;
            held.fetch_sub(1, Ordering::SeqCst);
            return end.map(drop);
        } else if request.starts_with(b"GET /held") {
            held.load(Ordering::SeqCst).to_string()
        } else {
            ANSWER.to_owned()
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        socket.write_all(head.as_bytes()).await?;
        socket.write_all(answer.as_bytes()).await?;
    }
}

/// Whether head and body of a request are there.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let line = line.to_ascii_lowercase();
        line.strip_prefix("content-length: ")?.parse().ok()
    });
    body.len() >= length.unwrap_or(0)
}

/// How many answers the server holds.
pub(super) async fn held(server: SocketAddr) -> usize {
    let mut socket = TcpStream::connect(server).await.expect("the server");
    let request = b"GET /held HTTP/1.1\r\n\r\n";
    socket.write_all(request).await.expect("the server reads");
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((_, number)) = text.split_once("\r\n\r\n")
            && let Ok(number) = number.parse()
        {
            return number;
        }
        let read = socket.read_buf(&mut answer).await.expect("an answer");
        assert!(read > 0, "{text}");
    }
}

/// An ordinary chat; the error it ends in, if any.
pub(super) async fn honest(plugin: &Plugin, base_url: &str) -> Option<Error> {
    let provider = provider_of(plugin, base_url, "any", short_limits());
    let (events, error) = run(&provider, &model("m"), &ask("Say hello.")).await;
    assert!(error.is_some() || text(&events) == "Hello.", "{events:?}");
    error
}

/// The variable that holds the orders of a child, by which it knows that it is one.
const ORDERS: &str = "PROVIDER_BUDGET_TEST_CHILD";

/// The orders of this process, if it is the child of a test.
pub(super) fn orders() -> Option<String> {
    std::env::var(ORDERS).ok()
}

/// Runs one test of this binary again, as a child of `through`, and expects that it succeeds.
pub(super) async fn run_child(through: &[&str], test: &str, orders: &str) {
    let this = std::env::current_exe().expect("a program");
    let mut line: Vec<_> = through.iter().map(std::ffi::OsString::from).collect();
    line.push(this.into());
    let mut command = Command::new(&line[0]);
    command
        .args(&line[1..])
        .args(["--exact", test, "--nocapture"])
        .env(ORDERS, orders);
    let run = tokio::task::spawn_blocking(move || command.output());
    let output = run.await.expect("a thread").expect("a child");
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{errors}");
    assert!(told.contains("1 passed"), "{told}");
}
