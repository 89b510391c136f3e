//! Connections within a budget.

use super::super::Connections;
use super::*;
use crate::memory::Held;

/// A server that begins each answer and holds it, and counts the connections that its clients
/// close.
async fn holding() -> (SocketAddr, Arc<std::sync::atomic::AtomicUsize>) {
    let closed = Arc::<std::sync::atomic::AtomicUsize>::default();
    let count = Arc::clone(&closed);
    let address = server(move |mut stream, _| {
        let count = Arc::clone(&count);
        async move {
            while let Some(request) = read_request(&mut stream).await {
                let answer = if request.starts_with("GET /v1/hold") {
                    STREAM_HEAD
                } else {
                    OK
                };
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    })
    .await;
    (address, closed)
}

fn hold(address: SocketAddr) -> http::Request<WasiBody> {
    get(&format!("http://{address}/v1/hold"))
}

#[tokio::test]
async fn an_idle_connection_of_another_provider_is_closed_for_a_first_one() {
    let connections = Connections::new(4);
    let (other, closed) = holding().await;
    let egress_of_other = egress(other);
    let mut hooks = egress_of_other.hooks_within(&connections, Arc::new(Held::unbounded()));
    assert_eq!(fetch(&mut hooks, get(&url(other))).await.unwrap(), "ok");

    let (address, _) = holding().await;
    let egress = egress(address);
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut hooks = egress.hooks_within(&connections, Arc::new(Held::unbounded()));
        let response = send(&mut hooks, hold(address)).await.unwrap();
        held.push((hooks, response));
    }
    while closed.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut fifth = egress.hooks_within(&connections, Arc::new(Held::unbounded()));
    let told = send(&mut fifth, hold(address)).await.unwrap_err();
    assert_eq!(format!("{told:?}"), "ConnectionLimitReached");
    let failure = fifth.last_failure();
    assert_eq!(
        failure,
        Some(TransportError::ConnectionsUsedUp { limit: 4 })
    );
    assert!(!fifth.request_sent());
    held.pop();
    assert!(send(&mut fifth, hold(address)).await.is_ok());
}

#[tokio::test]
async fn idle_connections_are_a_quarter_and_the_latest_stay() {
    let connections = Connections::new(8);
    let mut closed = Vec::new();
    for _ in 0..6 {
        let (address, closed_there) = holding().await;
        let egress = egress(address);
        let mut hooks = egress.hooks_within(&connections, Arc::new(Held::unbounded()));
        assert_eq!(fetch(&mut hooks, get(&url(address))).await.unwrap(), "ok");
        closed.push((egress, closed_there));
    }
    let count = || {
        let at = |(_, closed): &&(Egress, Arc<std::sync::atomic::AtomicUsize>)| {
            closed.load(std::sync::atomic::Ordering::SeqCst) == 1
        };
        closed.iter().filter(at).count()
    };
    while count() < 4 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(count(), 4);
}

#[tokio::test]
async fn a_request_without_a_store_is_within_the_budget_of_the_process() {
    use super::super::{NetworkTransport, Timing, Transport as _};

    let (address, _) = answering(OK).await;
    let transport = NetworkTransport::new(&grant(address)).unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let request = http::Request::get(url(address)).body(Bytes::new()).unwrap();
    let timing = Timing::new(PATIENCE, PATIENCE, deadline);
    assert!(transport.send(request, timing).await.is_ok());
}

#[tokio::test]
async fn a_store_uses_its_first_connection_again_when_all_further_ones_are_in_use() {
    let connections = Connections::new(4);
    let (address, _) = holding().await;
    let egress = egress(address);
    let mut hooks = egress.hooks_within(&connections, Arc::new(Held::unbounded()));
    let mut first = Some(send(&mut hooks, hold(address)).await.unwrap());
    let _second = send(&mut hooks, hold(address)).await.unwrap();
    for _ in 0..3 {
        let refused = send(&mut hooks, hold(address)).await;
        assert!(refused.is_err(), "of four one is beyond the first");
        let failure = hooks.last_failure();
        let limit = 1;
        assert_eq!(
            failure,
            Some(TransportError::FurtherConnectionsUsedUp { limit })
        );
        drop(first.take());
        first = Some(send(&mut hooks, hold(address)).await.unwrap());
    }
    // One that comes to its end is idle, and is used again as the first.
    drop(first);
    for _ in 0..3 {
        assert_eq!(fetch(&mut hooks, get(&url(address))).await.unwrap(), "ok");
    }
}
