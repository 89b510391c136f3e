//! To begin exchanges and not to end them, and to end them otherwise than one does.

use std::time::Duration;

use wasip2::clocks::monotonic_clock::{now, subscribe_duration};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::io::poll::poll;

use crate::Orders;
use crate::http::Ask;

pub(super) fn unfinished_requests(orders: &Orders) -> Vec<String> {
    let mut held = Vec::new();
    let mut denied = 0;
    for _ in 0..64 {
        let request = OutgoingRequest::new(Fields::new());
        let _ = request.set_scheme(Some(&Scheme::Http));
        let _ = request.set_authority(Some(&orders.granted));
        let _ = request.set_path_with_query(Some("/v1/models"));
        let body = request.body();
        match handle(request, None) {
            Ok(answer) => held.push((answer, body)),
            Err(_) => denied += 1,
        }
    }
    // The bodies are open still: no request is whole.
    let ready: Vec<_> = held.iter().map(|(answer, _)| answer.subscribe()).collect();
    let enough = now() + 200_000_000;
    while now() < enough {
        let timer = subscribe_duration(10_000_000);
        let mut all: Vec<_> = ready.iter().collect();
        all.push(&timer);
        poll(&all);
    }
    drop(ready);
    let (mut waiting, mut answered) = (0, 0);
    for (answer, _) in &held {
        match answer.get() {
            None => waiting += 1,
            Some(Ok(Err(_))) => denied += 1,
            Some(Ok(Ok(_)) | Err(())) => answered += 1,
        }
    }
    vec![format!(
        "{waiting} waiting, {denied} denied, {answered} answered"
    )]
}

/// Until a request is sent nobody takes the bytes of its body.
pub(super) fn body_that_nobody_reads(_: &Orders) -> Vec<String> {
    let request = OutgoingRequest::new(Fields::new());
    if let Ok(body) = request.body()
        && let Ok(stream) = body.write()
    {
        while stream.blocking_write_and_flush(&[b' '; 4096]).is_ok() {}
    }
    vec!["failed".into()]
}

/// Never says that the body has ended.
pub(super) fn endless_request(orders: &Orders) -> Vec<String> {
    let request = OutgoingRequest::new(Fields::new());
    let _ = request.set_method(&wasip2::http::types::Method::Post);
    let _ = request.set_scheme(Some(&Scheme::Http));
    let _ = request.set_authority(Some(&orders.granted));
    let _ = request.set_path_with_query(Some("/v1/chat/completions"));
    let Ok(body) = request.body() else {
        return vec!["no body".into()];
    };
    let Ok(answer) = handle(request, None) else {
        return vec!["denied".into()];
    };
    if let Ok(stream) = body.write() {
        while stream
            .blocking_write_and_flush(b"{\"smuggled\": 1}")
            .is_ok()
        {}
    }
    answer.subscribe().block();
    vec![match answer.get() {
        Some(Ok(Err(_))) => "denied".into(),
        Some(Ok(Ok(response))) => format!("answered {}", response.status()),
        _ => "no answer".to_owned(),
    }]
}

/// Lets go of the body before it is finished.
pub(super) fn dropped_request(orders: &Orders) -> Vec<String> {
    let request = OutgoingRequest::new(Fields::new());
    let _ = request.set_scheme(Some(&Scheme::Http));
    let _ = request.set_authority(Some(&orders.granted));
    let _ = request.set_path_with_query(Some("/v1/models"));
    let Ok(body) = request.body() else {
        return vec!["no body".into()];
    };
    let Ok(answer) = handle(request, None) else {
        return vec!["denied".into()];
    };
    if let Ok(stream) = body.write() {
        let _ = stream.blocking_write_and_flush(b"{\"smuggled\": ");
    }
    drop(body);
    answer.subscribe().block();
    vec![match answer.get() {
        Some(Ok(Err(_))) => "denied".into(),
        Some(Ok(Ok(response))) => format!("answered {}", response.status()),
        _ => "no answer".to_owned(),
    }]
}

/// A request, and nobody who waits for its answer.
pub(super) fn forgotten_requests(orders: &Orders) -> Vec<String> {
    for _ in 0..200 {
        let request = OutgoingRequest::new(Fields::new());
        let _ = request.set_scheme(Some(&Scheme::Http));
        let _ = request.set_authority(Some(&orders.granted));
        let _ = request.set_path_with_query(Some("/v1/models"));
        if let Ok(body) = request.body()
            && let Ok(answer) = handle(request, None)
        {
            let _ = OutgoingBody::finish(body, None);
            drop(answer);
        }
    }
    vec!["forgotten".into()]
}

/// Keeps each answer, with its body unread.
pub(super) fn kept_answers(orders: &Orders) -> Vec<String> {
    let mut kept = Vec::new();
    for _ in 0..100 {
        match Ask::path(&orders.granted, "/endless").answer() {
            Ok(answer) => kept.push(answer),
            Err(_) => return vec![format!("{} kept, then denied", kept.len())],
        }
    }
    vec!["a hundred kept".into()]
}

/// Keeps each answer, and asks for more of them for as long as it may run.
pub(super) fn held_answers(orders: &Orders) -> Vec<String> {
    let mut held = Vec::new();
    loop {
        match Ask::path(&orders.granted, "/endless").answer() {
            Ok(answer) => held.push(answer),
            Err(_) => subscribe_duration(100_000_000).block(),
        }
    }
}

/// An answer without end, read for as long as it comes.
pub(super) fn endless_answer(orders: &Orders) -> Vec<String> {
    vec![Ask::path(&orders.granted, "/endless").read()]
}

/// A hundred answers without end, each left in the middle.
pub(super) fn left_answers(orders: &Orders) -> Vec<String> {
    for _ in 0..50 {
        let answer = Ask::path(&orders.granted, "/endless").answer();
        let body = answer.ok().and_then(|answer| answer.consume().ok());
        let Some(body) = body else {
            return vec!["no answer".into()];
        };
        if let Ok(stream) = body.stream() {
            let _ = stream.blocking_read(4096);
        }
    }
    vec!["left 50".into()]
}

/// No time at all, as a limit of the guest's own.
pub(super) fn no_time(orders: &Orders) -> Vec<String> {
    let times = Some(0);
    vec![
        Ask {
            times,
            ..Ask::path(&orders.granted, "/silence")
        }
        .send(),
    ]
}

/// All the time there is, for a server that says nothing.
pub(super) fn all_the_time(orders: &Orders) -> Vec<String> {
    let times = Some(u64::MAX);
    vec![
        Ask {
            times,
            ..Ask::path(&orders.granted, "/silence")
        }
        .send(),
    ]
}

/// A server that says nothing, asked again and again.
pub(super) fn silence_again_and_again(orders: &Orders) -> Vec<String> {
    loop {
        let _ = Ask::path(&orders.granted, "/silence").send();
        let pause = Duration::from_millis(1);
        subscribe_duration(pause.as_nanos() as u64).block();
    }
}
