//! What the host holds for guests is charged to the memory that they share, whatever it is held in.
//!
//! Each attack of `tests/hostile/src/attacks/hoards.rs` keeps as much as it can of one thing and then waits. Sixteen chats that do
//! so must be refused once the shared memory is used up; the process must not grow beyond it; and chats beside them must end
//! well. Memory is measured in a process of its own, in which nothing else runs.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use provider_host::mock::{Mock, Options};
use provider_host::policy::limits::GUEST_MEMORY_RESERVE;
use provider_host::policy::{Grant, NetworkLimits, Origin};
use provider_host::types::{Event, FinishReason, Settings};
use provider_host::{
    Chat, Engine, EngineOptions, Error, ErrorKind, Plugin, Provider, ProviderOptions,
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::hostile::file;
use crate::support::{BOUND, ask, model, provider_of, run, text};

/// What the chats share beyond their reserves.
const SHARED: usize = 16 << 20;

/// Hostile chats at once.
const CHATS: usize = 16;

/// Of these so many have to be refused: each wants 13 MiB and more beyond its reserve.
const REFUSED: usize = 14;

const ATTACKS: [&str; 11] = [
    "hoarded-pieces",
    "hoarded-responses",
    "hoarded-fields",
    "hoarded-lists",
    "hoarded-copies",
    "hoarded-methods",
    "hoarded-paths",
    "hoarded-trailers",
    "hoarded-heads",
    "hoarded-bodies",
    "hoarded-events",
];

/// Names the attack to the process that makes it.
const CHILD: &str = "BUDGETS_HOST_MEMORY_CHILD";

/// A server that reads requests whole. It answers for its models with a head of 60 KB, and a chat
/// with a word.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket));
        }
    });
    address
}

async fn serve(mut socket: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().expect("a length"));
    tokio::io::copy(&mut (&mut socket).take(length), &mut tokio::io::sink()).await?;
    let answer = if head.contains(" /v1/models ") {
        let field = |number| format!("x-{number}: {}\r\n", "v".repeat(1_000));
        let fields: String = (0..60).map(field).collect();
        format!("HTTP/1.1 200 OK\r\n{fields}content-length: 2\r\nconnection: close\r\n\r\nok")
    } else {
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello."},
                "finish_reason": "stop"}]});
        let body = format!("data: {chunk}\n\ndata: [DONE]\n\n");
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            body.len()
        )
    };
    socket.write_all(answer.as_bytes()).await
}

fn engine(shared: usize) -> Engine {
    let mut options = EngineOptions::default();
    options.max_chats = 64;
    options.shared_guest_memory = shared;
    Engine::new(options).expect("an engine")
}

fn hostile(plugin: &Plugin, attack: &str, server: SocketAddr) -> Provider {
    let orders =
        json!({"attack": attack, "at": "next", "granted": server.to_string(), "other": ""});
    let origin = Origin::parse(&format!("http://{server}/v1")).expect("an origin");
    let options = ProviderOptions::new(Settings::new(orders.to_string()), Grant::new(origin));
    Provider::new(plugin, options).expect("a provider")
}

/// Reads an answer one event at a time, so that the rest of a batch waits.
async fn read(provider: Provider, patience: Duration) -> Result<Vec<Event>, Error> {
    let mut chat: Chat = provider.chat(&model("hostile"), &ask("Attack.")).await?;
    let mut events = Vec::new();
    loop {
        let batch = chat.next_batch(1).await?;
        if batch.is_empty() {
            return Ok(events);
        }
        // A large event is one of many that wait.
        if text(&batch).len() > 1_000 {
            tokio::time::sleep(patience).await;
        }
        events.extend(batch);
    }
}

/// Bytes of the process that are in memory, or were at most.
fn resident(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let words = line.and_then(|line| line.split_whitespace().nth(1));
    words
        .and_then(|word| word.parse::<usize>().ok())
        .expect("a number")
        << 10
}

async fn within_bound(what: &str, met: impl Fn() -> bool) {
    let start = Instant::now();
    while !met() {
        assert!(start.elapsed() < 2 * BOUND, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Makes an attack in many chats at once; what is wrong, if anything is.
async fn hoard(engine: &Engine, plugin: &Plugin, honest: &Provider, attack: &str) {
    let server = server().await;
    let before = resident("VmRSS");
    let mut chats = JoinSet::new();
    for _ in 0..CHATS {
        chats.spawn(read(hostile(plugin, attack, server), 10 * BOUND));
    }
    for _ in 0..REFUSED {
        let ended = tokio::time::timeout(2 * BOUND, chats.join_next()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{attack}: too few are refused"));
        let error = ended
            .expect("a chat")
            .expect("no panic")
            .expect_err("it waits");
        assert_eq!(error.kind(), &ErrorKind::Overloaded, "{error:?}");
        assert!(error.message().contains("shared_guest_memory"), "{error}");
        assert!(error.retryable(), "{error:?}");
    }
    let grown = resident("VmRSS").saturating_sub(before);
    let most = SHARED + CHATS * GUEST_MEMORY_RESERVE;
    println!(
        "{attack}: {} MiB grown, {} MiB taken",
        grown >> 20,
        engine.shared_guest_memory_used() >> 20
    );
    assert!(
        grown < most * 3 / 2,
        "{attack}: the process has grown by {} MiB",
        grown >> 20
    );
    for _ in 0..3 {
        let (events, error) = run(honest, &model("mock-model"), &ask("Say hello.")).await;
        assert!(
            error.is_none() && !text(&events).is_empty(),
            "{attack}: {error:?}"
        );
    }
    chats.shutdown().await;
    within_bound("all is given back", || {
        engine.shared_guest_memory_used() == 0
    })
    .await;
}

/// Runs in a process of its own, which [`CHILD`] tells what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(attack) = std::env::var(CHILD) else {
        return;
    };
    let engine = engine(SHARED);
    let plugin = Plugin::from_file(&engine, file()).expect("a plugin like any other");
    let embedded = Plugin::embedded(&engine).expect("the plugin of this build");
    let mock = Mock::start(Options::default()).await.expect("a mock");
    let honest = provider_of(&embedded, &mock.base_url(), "key", NetworkLimits::new());
    let (_, error) = run(&honest, &model("mock-model"), &ask("Say hello.")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(
        engine.shared_guest_memory_used(),
        0,
        "an ordinary chat takes no more than its reserve"
    );
    if attack == "hoarded-places" {
        let before = resident("VmRSS");
        let provider = hostile(&plugin, &attack, server().await);
        let events = read(provider, Duration::ZERO)
            .await
            .expect("it keeps nothing");
        assert!(text(&events).contains("held 240"), "{events:?}");
        let grown = resident("VmHWM").saturating_sub(before);
        assert!(grown < 40 << 20, "{} MiB grown", grown >> 20);
        return;
    }
    hoard(&engine, &plugin, &honest, &attack).await;
}

/// Makes attacks, each in a process of its own.
fn in_children(attacks: &[&str]) {
    let program = std::env::current_exe().expect("this program");
    for attack in attacks {
        let child = Command::new(&program)
            .args(["budgets::host_memory::child", "--exact", "--nocapture"])
            .env(CHILD, attack)
            .output()
            .expect("a process");
        let told = String::from_utf8_lossy(&child.stdout);
        print!("{told}");
        let errors = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{attack}: {told}{errors}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn whatever_a_guest_has_the_host_keep_is_refused_once_the_shared_memory_is_used_up() {
    file();
    in_children(&ATTACKS);
}

#[cfg(target_os = "linux")]
#[test]
fn the_places_of_values_that_were_removed_are_not_kept() {
    file();
    in_children(&["hoarded-places"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_of_the_plugins_own_are_a_limit_of_its_sandbox() {
    let provider = hostile(crate::hostile::plugin(), "hoarded-handles", server().await);
    let error = read(provider, Duration::ZERO).await.expect_err("a limit");
    assert_eq!(error.kind(), &ErrorKind::PluginLimit, "{error:?}");
    assert!(
        error.message().contains("handles of the component"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_60_mib_goes_out_and_gives_its_memory_back() {
    let base_url = format!("http://{}/v1", server().await);
    let mut options = EngineOptions::default();
    options.max_chats = 4;
    let engine = Engine::new(options).expect("an engine");
    let plugin = Plugin::embedded(&engine).expect("the plugin of this build");
    let provider = provider_of(&plugin, &base_url, "key", NetworkLimits::new());
    let request = ask(&"a".repeat(60 << 20));
    let chat = provider.chat(&model("m"), &request).await;
    let mut chat = chat.unwrap_or_else(|error| panic!("{error}"));
    let mut events = Vec::new();
    loop {
        let batch = chat
            .next_batch(64)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        // The request's body is charged until the answer has ended.
        let held = engine.shared_guest_memory_used();
        match batch.is_empty() {
            true => break,
            false => assert!(held > 60 << 20, "{held}"),
        }
        events.extend(batch);
    }
    assert_eq!(text(&events), "Hello.");
    assert!(
        matches!(events.last(), Some(Event::Finish(FinishReason::Stop))),
        "{events:?}"
    );
    drop(chat);
    assert_eq!(engine.shared_guest_memory_used(), 0);
}
