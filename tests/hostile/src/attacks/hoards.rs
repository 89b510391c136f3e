//! To have the host hold memory for as long as the chat lives, and nothing of it in the guest's own: each of these keeps what
//! it made and then waits.

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    Fields, Method, OutgoingBody, OutgoingRequest, OutgoingResponse, Scheme,
};

use crate::Orders;
use crate::bindings::exports::llm::provider::chat::ChatStream;
use crate::bindings::llm::provider::types::{Error, Event};
use crate::http::Ask;
use crate::provider::greeting;

/// As many handles as leave a few for what is done with them.
const MANY: usize = 240;

const PIECE: usize = 64 << 10;

/// Keeps what is made, and waits for longer than any test takes.
fn hold<T>(count: usize, mut make: impl FnMut(usize) -> T) -> Vec<String> {
    let held: Vec<T> = (0..count).map(&mut make).collect();
    subscribe_duration(600_000_000_000).block();
    vec![format!("held {}", held.len())]
}

/// Fills a body with as much as it takes, and lets go of all but what is read.
fn write(body: &OutgoingBody) {
    let piece = vec![b'p'; PIECE];
    if let Ok(stream) = body.write() {
        while stream.check_write().is_ok_and(|room| room >= PIECE as u64) {
            if stream.write(&piece).is_err() {
                break;
            }
        }
    }
}

/// Requests that are never sent, each with the pieces of its body.
pub(super) fn pieces(_: &Orders) -> Vec<String> {
    hold(MANY, |_| {
        let request = OutgoingRequest::new(Fields::new());
        if let Ok(body) = request.body() {
            write(&body);
        }
        request
    })
}

/// The same with responses, which nobody asked for.
pub(super) fn responses(_: &Orders) -> Vec<String> {
    hold(MANY, |_| {
        let response = OutgoingResponse::new(Fields::new());
        if let Ok(body) = response.body() {
            write(&body);
        }
        response
    })
}

fn full() -> Fields {
    let fields = Fields::new();
    for count in 0..100 {
        let _ = fields.append(&format!("x-{count}"), &[b'a'; 1_100]);
    }
    fields
}

/// Fields as large as they may be.
pub(super) fn fields(_: &Orders) -> Vec<String> {
    hold(MANY, |_| full())
}

/// The same, each made by one call.
pub(super) fn lists(_: &Orders) -> Vec<String> {
    let entries: Vec<_> = (0..100)
        .map(|count| (format!("x-{count}"), vec![b'a'; 1_100]))
        .collect();
    hold(MANY, |_| Fields::from_list(&entries))
}

/// Many short fields, copied; a copy is made when it is written to.
pub(super) fn copies(_: &Orders) -> Vec<String> {
    let first = Fields::new();
    for count in 0..1_500 {
        let _ = first.append(&format!("{count}"), b"");
    }
    hold(MANY, |_| {
        let copy = first.clone();
        let _ = copy.delete("0");
        copy
    })
}

/// Fields with places for many values, none of which is left.
pub(super) fn places(_: &Orders) -> Vec<String> {
    let values = vec![Vec::new(); 3_000];
    let fields = |_| {
        let fields = Fields::new();
        let _ = fields.set("x-a", &values);
        let _ = fields.delete("x-a");
        fields
    };
    let held: Vec<Fields> = (0..MANY).map(fields).collect();
    vec![format!("held {}", held.len())]
}

/// Requests whose method is a mebibyte long.
pub(super) fn methods(_: &Orders) -> Vec<String> {
    let method = Method::Other("M".repeat(1 << 20));
    hold(MANY, |_| {
        let request = OutgoingRequest::new(Fields::new());
        let _ = request.set_method(&method);
        request
    })
}

/// Requests with fields, a path and a host as long as they may be.
pub(super) fn paths(_: &Orders) -> Vec<String> {
    let (path, host) = (format!("/{}", "p".repeat(60_000)), "h".repeat(60_000));
    hold(MANY, |_| {
        let request = OutgoingRequest::new(full());
        let _ = request.set_path_with_query(Some(&path));
        let _ = request.set_authority(Some(&host));
        request
    })
}

/// Bodies that end in fields.
pub(super) fn trailers(_: &Orders) -> Vec<String> {
    hold(MANY, |_| {
        let request = OutgoingRequest::new(full());
        if let Ok(body) = request.body() {
            let _ = OutgoingBody::finish(body, Some(full()));
        }
        request
    })
}

/// Answers whose bodies have ended, for their heads.
pub(super) fn heads(orders: &Orders, call: u32) -> Result<Vec<Event>, Error> {
    if call == 0 {
        return Ok(greeting().into());
    }
    let mut held = Vec::new();
    for _ in 0..MANY {
        let answer = Ask::path(&orders.granted, "/v1/models").answer();
        let answer = answer.map_err(crate::error)?;
        let _ = crate::http::read(&answer);
        held.push(answer);
    }
    hold(1, |_| ());
    Ok(Vec::new())
}

/// Four requests under way, with 15 MiB of a body each that does not end.
pub(super) fn bodies(orders: &Orders, call: u32) -> Result<Vec<Event>, Error> {
    if call == 0 {
        return Ok(greeting().into());
    }
    let piece = vec![b'p'; 4096];
    let mut held = Vec::new();
    for _ in 0..4 {
        let request = OutgoingRequest::new(Fields::new());
        let _ = request.set_method(&Method::Post);
        let _ = request.set_scheme(Some(&Scheme::Http));
        let _ = request.set_authority(Some(&orders.granted));
        let _ = request.set_path_with_query(Some("/v1/chat/completions"));
        let body = request.body();
        let answer = handle(request, None);
        if let Ok(body) = &body
            && let Ok(stream) = body.write()
        {
            for _ in 0..(15 << 20) / piece.len() {
                if stream.blocking_write_and_flush(&piece).is_err() {
                    return Err(crate::error("a body was refused".into()));
                }
            }
        }
        held.push((body, answer));
    }
    hold(1, |_| ());
    Ok(Vec::new())
}

/// Handles of the plugin's own.
pub(super) fn handles(orders: &Orders) -> Vec<String> {
    hold(1_000_000, |_| {
        ChatStream::new(crate::provider::Stream::of(orders.clone()))
    })
}

/// Thirteen mebibytes of events at once, again and again.
pub(super) fn events(_: &Orders, call: u32) -> Result<Vec<Event>, Error> {
    if call == 0 {
        return Ok(greeting().into());
    }
    let text = "t".repeat(208 << 10);
    Ok((0..64).map(|_| Event::Text(text.clone())).collect())
}
