//! To fill the host's table of handles, and to use handles that are none.
#![allow(unsafe_code, reason = "the bindings would not let it")]

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme};
use wasip2::io::poll::Pollable;

use crate::Orders;
use crate::http::Ask;

#[link(wasm_import_module = "wasi:http/types@0.2.12")]
unsafe extern "C" {
    #[link_name = "[resource-drop]fields"]
    fn drop_fields(handle: u32);
    #[link_name = "[method]fields.clone"]
    fn clone_fields(handle: u32) -> u32;
}

#[link(wasm_import_module = "wasi:io/poll@0.2.12")]
unsafe extern "C" {
    #[link_name = "[method]pollable.block"]
    fn block(handle: u32);
    #[link_name = "[resource-drop]pollable"]
    fn drop_pollable(handle: u32);
}

/// Makes things until it is stopped.
fn hoard<T>(mut make: impl FnMut() -> T) -> Vec<String> {
    let mut held = Vec::new();
    loop {
        held.push(make());
    }
}

pub(super) fn pollables(_: &Orders) -> Vec<String> {
    hoard(|| subscribe_duration(1))
}

pub(super) fn fields(_: &Orders) -> Vec<String> {
    hoard(Fields::new)
}

pub(super) fn copies_of_fields(_: &Orders) -> Vec<String> {
    let full = Fields::new();
    for count in 0..100 {
        let _ = full.append(&format!("x-{count}"), &[b'a'; 1_000]);
    }
    hoard(move || full.clone())
}

pub(super) fn requests(_: &Orders) -> Vec<String> {
    hoard(|| {
        let request = OutgoingRequest::new(Fields::new());
        let body = request.body();
        let stream = body.as_ref().map(OutgoingBody::write);
        // A child keeps its parent.
        std::mem::forget(stream);
        (request, body)
    })
}

pub(super) fn request_options(_: &Orders) -> Vec<String> {
    hoard(RequestOptions::new)
}

/// Dropped handles make room: this may go on for as long as there is time.
pub(super) fn made_and_dropped(_: &Orders) -> Vec<String> {
    loop {
        drop(Fields::new());
        drop(subscribe_duration(1));
    }
}

pub(super) fn used_after_drop(_: &Orders) -> Vec<String> {
    let handle = Fields::new().take_handle();
    // SAFETY: there is no such handle after the first of these; the host has to find out.
    let copy = unsafe {
        drop_fields(handle);
        clone_fields(handle)
    };
    vec![format!("a copy: {copy}")]
}

pub(super) fn dropped_twice(_: &Orders) -> Vec<String> {
    let handle = Fields::new().take_handle();
    // SAFETY: as above.
    unsafe {
        drop_fields(handle);
        drop_fields(handle);
    }
    vec!["dropped twice".into()]
}

pub(super) fn of_another_kind(_: &Orders) -> Vec<String> {
    let handle = Fields::new().take_handle();
    // SAFETY: fields are no pollable; the host has to find out.
    unsafe { block(handle) };
    vec!["it blocked".into()]
}

/// A number that was never given out.
pub(super) fn made_up(_: &Orders) -> Vec<String> {
    // SAFETY: as above.
    unsafe { drop_pollable(0x0fff_fff0) };
    vec!["it is gone".into()]
}

/// The request's body outlives the request, its stream the body.
pub(super) fn children_after_parents(orders: &Orders) -> Vec<String> {
    let request = OutgoingRequest::new(Fields::new());
    let _ = request.set_scheme(Some(&Scheme::Http));
    let _ = request.set_authority(Some(&orders.granted));
    let _ = request.set_method(&Method::Post);
    let body = request.body();
    drop(request);
    let Ok(body) = body else {
        return vec!["no body".into()];
    };
    let stream = body.write();
    drop(body);
    match stream.map(|stream| stream.blocking_write_and_flush(b"smuggled")) {
        Ok(Ok(())) => vec!["written".into()],
        _ => vec!["failed write".into()],
    }
}

/// What can be had once, twice.
pub(super) fn had_twice(orders: &Orders) -> Vec<String> {
    let request = OutgoingRequest::new(Fields::new());
    let mut steps = vec![match (request.body(), request.body()) {
        (Ok(_), Err(())) => "refused second body".to_owned(),
        _ => "two bodies".into(),
    }];
    let Ok(answer) = Ask::of(&orders.granted).answer() else {
        return vec!["no answer".into()];
    };
    let (one, two) = (answer.consume(), answer.consume());
    steps.push(match (&one, &two) {
        (Ok(_), Err(())) => "refused second consume".to_owned(),
        _ => "consumed twice".into(),
    });
    if let Ok(body) = &one {
        let (first, second) = (body.stream(), body.stream());
        steps.push(match (&first, &second) {
            (Ok(_), Err(())) => "refused second stream".to_owned(),
            _ => "two streams".into(),
        });
    }
    steps
}

/// A pollable outlives what it waits for.
pub(super) fn pollable_after_its_subject(orders: &Orders) -> Vec<String> {
    let pollable: Option<Pollable> = Ask::of(&orders.granted)
        .answer()
        .ok()
        .and_then(|answer| answer.consume().ok())
        .and_then(|body| body.stream().ok())
        .map(|stream| stream.subscribe());
    match pollable {
        Some(pollable) => {
            pollable.block();
            vec!["it blocked".into()]
        }
        None => vec!["no stream".into()],
    }
}
