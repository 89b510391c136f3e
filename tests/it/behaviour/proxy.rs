//! A provider behind an HTTP proxy.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::server::Server;
use super::tls::Gateway;
use super::user::User;
use crate::support::{ask, text};

const KEY: &str = "sk-the-real-key-0123456789abcdef";
const PASSWORD: &str = "open-sesame-0123456789";

/// What a proxy does with a connection.
#[derive(Clone)]
enum Does {
    /// Has it lead to this address, whatever server is asked for; to a `CONNECT` it answers first.
    Lead(SocketAddr),
    /// The same, and closes it after so many bytes of the answer.
    Cut(SocketAddr, usize),
    /// Answers with these bytes, and closes it.
    Say(&'static str),
}

/// A proxy, and all that it read from clients.
struct Proxy {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    async fn that(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
        let kept = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (does, kept) = (does.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    // Clients and servers may leave at any time.
                    let _ = serve(client, does, &kept).await;
                });
            }
        });
        Self { address, heard }
    }

    /// What was read, as text.
    fn heard(&self) -> String {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&heard).into_owned()
    }

    fn url(&self) -> String {
        format!("http://me:{PASSWORD}@{}", self.address)
    }
}

async fn serve(mut client: TcpStream, does: Does, kept: &Mutex<Vec<u8>>) -> std::io::Result<()> {
    let keep = |bytes: &[u8]| {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
    };
    let mut first = Vec::new();
    while !first.windows(4).any(|window| window == b"\r\n\r\n") {
        if client.read_buf(&mut first).await? == 0 {
            return Ok(());
        }
    }
    keep(&first);
    let (target, most) = match does {
        Does::Lead(target) => (target, usize::MAX),
        Does::Cut(target, most) => (target, most),
        Does::Say(answer) => return client.write_all(answer.as_bytes()).await,
    };
    let mut server = TcpStream::connect(target).await?;
    if first.starts_with(b"CONNECT ") {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    } else {
        server.write_all(&first).await?;
    }
    let (mut up, mut down, mut passed) = ([0; 4096], [0; 4096], 0);
    while passed < most {
        tokio::select! {
            read = client.read(&mut up) => match read? {
                0 => break,
                read => {
                    keep(&up[..read]);
                    server.write_all(&up[..read]).await?;
                }
            },
            read = server.read(&mut down) => match read? {
                0 => break,
                read => {
                    let read = read.min(most - passed);
                    client.write_all(&down[..read]).await?;
                    passed += read;
                }
            },
        }
    }
    Ok(())
}

/// A user of one model at `base_url`.
fn user(base_url: &str, request: Value) -> User {
    User::entry(&json!({
        "baseUrl": base_url, "apiKey": KEY, "request": request, "models": [{"id": "m"}],
    }))
}

/// A chat that must succeed.
async fn chats(user: &User) {
    let (events, error) = user.chat("m", &ask("hi")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(text(&events), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_goes_through_the_configured_proxy_over_http_and_https() {
    // Names that nothing resolves: only the proxy can know where they are.
    let server = Server::start().await;
    let proxy = Proxy::that(Does::Lead(server.address())).await;
    let setting = json!({"mode": "explicit-proxy", "url": proxy.url()});
    let plain = user("http://gpu.invalid:8000/v1", json!({"proxy": setting}));
    chats(&plain).await;
    let request = server.last();
    assert_eq!(
        request.target,
        "http://gpu.invalid:8000/v1/chat/completions"
    );
    assert_eq!(request.header("host"), Some("gpu.invalid:8000"));
    assert_eq!(
        request.header("authorization"),
        Some(&*format!("Bearer {KEY}"))
    );

    let server = Server::start().await;
    let gateway = Gateway::before(&server, "gpu.invalid", false).await;
    let proxy = Proxy::that(Does::Lead(gateway.address)).await;
    let tunnelled = json!({"proxy": proxy.url(), "tls": {"ca": gateway.authority}});
    let tunnelled = user("https://gpu.invalid/v1", tunnelled);
    chats(&tunnelled).await;
    let request = server.last();
    assert_eq!(request.target, "/v1/chat/completions");
    assert_eq!(request.header("host"), Some("gpu.invalid"));
    assert_eq!(
        request.header("authorization"),
        Some(&*format!("Bearer {KEY}"))
    );
    assert_eq!(request.header("proxy-authorization"), None);
    let heard = proxy.heard();
    assert!(
        heard.starts_with(
            "CONNECT gpu.invalid:443 HTTP/1.1\r\nHost: gpu.invalid:443\r\n\
             Proxy-Authorization: Basic "
        ),
        "{heard}"
    );
    assert!(
        !heard.contains(KEY) && !heard.contains("completions"),
        "{heard}"
    );

    for user in [plain, tunnelled] {
        let wiring = user.wiring().expect("settings");
        let seen = format!("{:?}", wiring.settings());
        assert!(
            !seen.contains("proxy") && !seen.contains("127.0.0.1"),
            "{seen}"
        );
        assert!(
            !format!("{seen} {wiring:?}").contains(PASSWORD),
            "{wiring:?}"
        );
        assert_eq!(wiring.resolved.notes, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_proxy_refuses_is_not_sent_to_the_server_itself() {
    let server = Server::start().await;
    let gateway = Gateway::before(&server, "127.0.0.1", false).await;
    let forbidden = "HTTP/1.1 403 Forbidden\r\nx-squid-error: ERR_ACCESS_DENIED 0\r\n\
                     content-length: 0\r\n\r\n";
    let wants = "HTTP/1.1 407 Proxy Authentication Required\r\n\
                 proxy-authenticate: Basic realm=\"office\"\r\ncontent-length: 0\r\n\r\n";
    let http = server.base_url();
    let https = format!("https://{}/v1", gateway.address);
    for (base, answer, kind, retryable, words) in [
        (
            &http,
            forbidden,
            "unreachable",
            false,
            "does not allow a connection to 127.0.0.1:",
        ),
        (
            &https,
            forbidden,
            "unreachable",
            false,
            "does not allow a connection to 127.0.0.1:",
        ),
        (
            &http,
            wants,
            "unreachable",
            false,
            "does not accept the user name and password",
        ),
        (
            &https,
            wants,
            "unreachable",
            false,
            "does not accept the user name and password",
        ),
        (
            &https,
            "HTTP/1.1 502 Bad Gateway\r\n\r\n",
            "unreachable",
            true,
            "did not get through to 127.0.0.1:",
        ),
        (
            &https,
            "220 smtp.example ESMTP\r\n",
            "unreachable",
            false,
            "not a usable HTTP proxy",
        ),
        (
            &https,
            "",
            "unreachable",
            true,
            "closed the connection without an answer",
        ),
    ] {
        let proxy = Proxy::that(Does::Say(answer)).await;
        let request = json!({"proxy": proxy.url(), "tls": {"ca": gateway.authority}});
        let (events, error) = user(base, request).chat("m", &ask("hi")).await;
        let error = error.expect("no answer");
        assert!(events.is_empty(), "{events:?}");
        assert_eq!(error.kind_name(), kind, "{answer:?}: {error:?}");
        assert_eq!(error.retryable(), retryable, "{answer:?}: {error:?}");
        assert!(!error.request_sent(), "{answer:?}: {error:?}");
        assert!(error.message().contains(words), "{answer:?}: {error:?}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(PASSWORD) && !shown.contains(KEY), "{shown}");
        assert!(!proxy.heard().is_empty());
    }
    assert!(server.requests().is_empty(), "{:?}", server.requests());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_a_proxy_cuts_is_an_interrupted_answer() {
    let server = Server::start().await;
    let proxy = Proxy::that(Does::Cut(server.address(), 150)).await;
    let cut = user("http://gpu.invalid/v1", json!({"proxy": proxy.url()}));
    let (_, error) = cut.chat("m", &ask("hi")).await;
    let error = error.expect("no whole answer");
    assert_eq!(error.kind_name(), "interrupted", "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variables_name_a_proxy_only_where_the_configuration_says_so() {
    let server = Server::start().await;
    let proxy = Proxy::that(Does::Lead(server.address())).await;
    let base = "http://gpu.invalid:8000/v1";
    let with = |request: Value| user(base, request).env("HTTP_PROXY", &proxy.url());
    let by_variable = json!({"proxy": {"mode": "env-proxy"}});
    chats(&with(by_variable.clone())).await;
    assert_eq!(server.last().header("host"), Some("gpu.invalid:8000"));

    let before = (server.requests().len(), proxy.heard().len());
    let exempt = with(by_variable).env("NO_PROXY", "gpu.invalid");
    for user in [with(json!({})), exempt] {
        let (_, error) = user.chat("m", &ask("hi")).await;
        let error = error.expect("no such name");
        assert_eq!(error.kind_name(), "unreachable", "{error:?}");
        assert!(error.message().contains("gpu.invalid"), "{error:?}");
    }
    assert_eq!((server.requests().len(), proxy.heard().len()), before);
}
