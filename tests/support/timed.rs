//! A stream whose events carry the time at which they were written, and a provider that reads it.
//! Needs `mod machine` and `mod paced` beside it.

use std::net::SocketAddr;
use std::time::Instant;

use provider_host::policy::{Grant, Origin};
use provider_host::types::{Event, Settings};
use provider_host::{Engine, Plugin, Provider, ProviderOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::paced::{self, Beat, now};

/// Reads the head of a request; its path. None: the client never sends a whole one.
pub(crate) async fn path(socket: &mut TcpStream) -> std::io::Result<Option<String>> {
    socket.set_nodelay(true)?;
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    while !seen.windows(4).any(|four| four == b"\r\n\r\n") {
        match socket.read(&mut piece).await? {
            0 => return Ok(None),
            length => seen.extend_from_slice(&piece[..length]),
        }
    }
    let head = String::from_utf8_lossy(&seen);
    Ok(Some(head.split(' ').nth(1).unwrap_or_default().to_owned()))
}

/// Answers with so many events at this pace. `due` is told when each was due.
pub(crate) async fn stream(
    socket: &mut TcpStream,
    mut pace: Beat,
    events: u32,
    due: impl Fn(Instant),
) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    socket.write_all(head.as_bytes()).await?;
    for _ in 0..events {
        due(pace.tick().await);
        let event = paced::event(&format!("{} ", now()));
        socket.write_all(event.as_bytes()).await?;
    }
    socket.write_all(paced::END.as_bytes()).await
}

/// The times at which a chat's texts were written.
pub(crate) fn written(batch: &[Event]) -> impl Iterator<Item = u64> {
    batch.iter().filter_map(|event| match event {
        Event::Text(text) => Some(text.trim().parse().expect("the time it was written")),
        _ => None,
    })
}

/// The plugin of this build, for this server.
pub(crate) fn provider(engine: &Engine, server: SocketAddr) -> Provider {
    let base_url = format!("http://{server}/v1");
    let settings = Settings::at(&base_url)
        .with_api_key("any")
        .with_discovery(false);
    let grant = Grant::new(Origin::parse(&base_url).expect("an origin"));
    let plugin = Plugin::embedded(engine).expect("the plugin of this build");
    Provider::new(&plugin, ProviderOptions::new(settings, grant)).expect("a provider")
}
