//! A connection that ends at each byte of a recorded answer, over a real socket, through the sandbox.

use std::collections::BTreeMap;
use std::sync::Arc;

use provider_host::policy::NetworkLimits;
use provider_host::types::Event;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::Finding;
use crate::recorded;
use crate::support::{ask, model, provider, run, text};

/// Streamed, with usage in each piece: 4 KB.
const CASE: &str = "12-chat-stream-usage";

/// How many cuts are tried at a time.
const AT_A_TIME: usize = 16;

/// A server whose connections end behind so many bytes of the answer: the number stands in the model's name.
async fn cutting(answer: Arc<[u8]>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let (mut request, mut piece) = (String::new(), [0; 4096]);
                // The body is read to its end, or closing would be a reset.
                while !request.ends_with('}') {
                    match socket.read(&mut piece).await {
                        Ok(length @ 1..) => {
                            request.push_str(&String::from_utf8_lossy(&piece[..length]));
                        }
                        _ => return,
                    }
                }
                let cut = request.split("cut-at-").nth(1).and_then(|rest| {
                    let end = rest.find(|one: char| !one.is_ascii_digit())?;
                    rest[..end].parse::<usize>().ok()
                });
                let end = cut.expect("a cut in the model's name").min(answer.len());
                let _ = socket.write_all(&answer[..end]).await;
                let _ = socket.shutdown().await;
                // Nothing else comes, and the client sees a clean end.
                while let Ok(1..) = socket.read(&mut piece).await {}
            });
        }
    });
    format!("http://{address}/v1")
}

/// Ends the connection at each byte; the row of that, and where it went wrong.
pub(super) async fn at_every_byte() -> Finding {
    let path = recorded::fixtures().join(CASE).join("response.raw");
    let answer: Arc<[u8]> = std::fs::read(path).expect("a recording").into();
    let base_url = cutting(Arc::clone(&answer)).await;
    let provider = provider(&base_url, "key", NetworkLimits::new());
    let request = ask("Say hello.");
    let whole = model(&format!("cut-at-{}", answer.len()));
    let (whole, error) = run(&provider, &whole, &request).await;
    assert!(error.is_none() && finished(&whole), "{error:?}");
    let whole: Arc<str> = text(&whole).into();
    assert!(!whole.is_empty());

    let room = Arc::new(Semaphore::new(AT_A_TIME));
    let mut running = Vec::new();
    for cut in 0..answer.len() {
        let turn = Arc::clone(&room).acquire_owned().await;
        let turn = turn.expect("it is never closed");
        let (provider, request, whole) = (provider.clone(), request.clone(), Arc::clone(&whole));
        running.push(tokio::spawn(async move {
            let _turn = turn;
            let model = model(&format!("cut-at-{cut}"));
            let (events, error) = run(&provider, &model, &request).await;
            let text = text(&events);
            let fits = match &error {
                None => finished(&events) && text == *whole,
                Some(error) => {
                    !finished(&events)
                        && whole.starts_with(&text)
                        && !error.is_plugin_fault()
                        && error.request_sent()
                }
            };
            let end = error.as_ref().map(|error| error.kind_name().into_owned());
            let failure = (!fits).then(|| format!("cut at {cut}: {events:?}, {error:?}"));
            (end.unwrap_or_else(|| "finish".to_owned()), failure)
        }));
    }
    let (mut ends, mut failures) = (BTreeMap::<String, usize>::new(), Vec::new());
    for one in running {
        let (end, failure) = one.await.expect("a chat that ends");
        *ends.entry(end).or_default() += 1;
        failures.extend(failure);
    }
    let ends: Vec<String> = ends
        .iter()
        .map(|(end, times)| format!("{end} {times} times"))
        .collect();
    let what = "ends the connection at each byte of a recorded answer; no text is ever wrong";
    let row = format!("| `cut-at-every-byte` | {what} | {} |", ends.join(", "));
    Finding { row, failures }
}

fn finished(events: &[Event]) -> bool {
    matches!(events.last(), Some(Event::Finish(_)))
}
