//! The key is nowhere but on the wire.

use std::time::Duration;

use http::HeaderName;
use provider_host::policy::{
    Binding, Grant, NetworkLimits, Origin, SandboxLimits, Secret, Secrets,
};
use provider_host::types::Settings;
use provider_host::{Engine, EngineOptions, ErrorKind, Plugin, Provider, ProviderOptions};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{ask, collect, model};

const KEY: &str = "sk-the-real-key-0123456789abcdef";
const HEADER_SECRET: &str = "team-secret-fedcba9876543210";

/// Answers one chat: a start, some text, and then comments without end, so that
/// the guest computes until its limit stops it. Returns what the client sent.
async fn serve_text_then_comments(listener: TcpListener) -> Vec<u8> {
    let (mut socket, _) = listener.accept().await.expect("a client");
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"}") {
        let n = socket.read(&mut buffer).await.expect("a request");
        assert!(n > 0, "the request ended early");
        request.extend(&buffer[..n]);
    }
    let events = concat!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n",
        r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"tiny","#,
        r#""choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]}"#,
        "\n\n",
    );
    let _ = socket.write_all(events.as_bytes()).await;
    let comments = ": nothing\n".repeat(6_000);
    while socket.write_all(comments.as_bytes()).await.is_ok() {}
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_key_is_nowhere_in_the_memory_of_the_guest_after_a_chat() {
    let mut options = EngineOptions::default();
    options.max_chats = 4;
    options.core_dumps = true;
    let engine = Engine::new(options).expect("an engine");
    let plugin = Plugin::embedded(&engine).expect("the plugin");

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base_url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let server = tokio::spawn(serve_text_then_comments(listener));

    let mut secrets = Secrets::new();
    let mint = |secrets: &mut Secrets, text, binding| {
        let secret = Secret::new(text).expect("a secret");
        secrets
            .mint(secret, binding)
            .expect("a placeholder")
            .as_str()
            .to_owned()
    };
    let key = mint(&mut secrets, KEY, Binding::api_key());
    let team = mint(
        &mut secrets,
        HEADER_SECRET,
        Binding::header(HeaderName::from_static("x-team")),
    );
    let config = json!({"baseUrl": base_url, "headers": {"X-Team": team}});
    let settings = Settings::new(config.to_string()).with_api_key(&key);
    let grant = Grant::new(Origin::parse(&base_url).expect("an origin"))
        .with_secrets(secrets)
        .with_limits(NetworkLimits::new());
    let sandbox = SandboxLimits::new().with_cpu_time_per_call(Duration::from_millis(10));
    let provider = Provider::new(
        &plugin,
        ProviderOptions::new(settings, grant).with_sandbox(sandbox),
    )
    .expect("a provider");

    let chat = provider
        .chat(&model("tiny"), &ask("Say hello."))
        .await
        .expect("a chat");
    let (events, error) = collect(chat, 1).await;
    let error = error.expect("the limit");
    assert_eq!(
        error.kind(),
        &ErrorKind::PluginLimit,
        "{error:?} {events:?}"
    );
    assert!(!events.is_empty(), "the chat had begun");

    let request = server.await.expect("the server");
    let request = String::from_utf8_lossy(&request).to_lowercase();
    assert!(request.contains(&format!("authorization: bearer {KEY}")));
    assert!(request.contains(&format!("x-team: {HEADER_SECRET}")));
    assert!(!request.contains("placeholder-"), "{request}");

    let memory = error.core_dump().expect("the guest's memory");
    let holds = |text: &str| memory.windows(text.len()).any(|w| w == text.as_bytes());
    // The guest has handled the key in its disguise: the search would find it.
    // What was freed may be half overwritten, so that a piece of it is enough.
    assert!(
        key.as_bytes().windows(16).any(|piece| {
            let piece = std::str::from_utf8(piece).expect("text");
            holds(piece)
        }),
        "the placeholder is not in the dump: is it whole?"
    );
    assert!(holds("Say hello."));
    assert!(!holds(KEY));
    assert!(!holds(HEADER_SECRET));
    // Nor any piece of it that would be worth having.
    assert!(!holds(&KEY[3..19]));
    assert!(!holds(&HEADER_SECRET[5..21]));

    for shown in [
        format!("{error}"),
        format!("{error:?}"),
        format!("{provider:?}"),
    ] {
        assert!(
            !shown.contains(KEY) && !shown.contains(HEADER_SECRET),
            "{shown}"
        );
    }
}
