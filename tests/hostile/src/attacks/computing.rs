//! To compute, to wait and to look at the clock without end.

use std::arch::wasm32;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use wasip2::clocks::monotonic_clock::{now, subscribe_duration};
use wasip2::http::types::{Fields, OutgoingRequest};
use wasip2::io::poll::poll;

use crate::Orders;

pub(super) fn endless_loop(_: &Orders) -> Vec<String> {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Each call lets the host in for a moment, which must not start the clock anew.
pub(super) fn endless_host_calls(_: &Orders) -> Vec<String> {
    loop {
        black_box(now());
    }
}

/// Each call makes the host copy 12 MiB: long enough to look like waiting.
pub(super) fn costly_host_calls(_: &Orders) -> Vec<String> {
    let path = format!("/{}", "a".repeat(12 << 20));
    let request = OutgoingRequest::new(Fields::new());
    loop {
        let _ = black_box(request.set_path_with_query(Some(&path)));
    }
}

/// One instruction that writes 32 MiB: no turn of a loop at which it could be stopped.
pub(super) fn bulk_instructions(_: &Orders) -> Vec<String> {
    let mut block = vec![0_u8; 32 << 20];
    let mut turns = 0_u8;
    loop {
        turns = turns.wrapping_add(1);
        black_box(&mut block).fill(turns);
    }
}

/// A wait of no length, again and again, between which it computes.
pub(super) fn endless_yields(_: &Orders) -> Vec<String> {
    loop {
        subscribe_duration(0).block();
    }
}

/// Waiting costs no processor time; a day of it holds a chat's place.
pub(super) fn endless_wait(_: &Orders) -> Vec<String> {
    loop {
        subscribe_duration(86_400_000_000_000).block();
    }
}

/// The longest wait that can be written down.
pub(super) fn longest_wait(_: &Orders) -> Vec<String> {
    loop {
        subscribe_duration(u64::MAX).block();
    }
}

/// A stack in the guest's own memory, which it leaves at the wrong end.
#[allow(unconditional_recursion, reason = "that is the attack")]
pub(super) fn recursion_in_memory(_: &Orders) -> Vec<String> {
    fn deeper(depth: u64) -> u64 {
        let here = black_box([depth; 64]);
        deeper(here[0] + 1).wrapping_add(here[63])
    }
    vec![deeper(0).to_string()]
}

/// The stack that the host gives its calls.
pub(super) fn recursion(_: &Orders) -> Vec<String> {
    static ENOUGH: AtomicU64 = AtomicU64::new(0);
    fn deeper(depth: u64) -> u64 {
        if ENOUGH.load(Ordering::Relaxed) == 1 {
            return depth;
        }
        deeper(depth + 1).rotate_left(3) ^ depth
    }
    vec![deeper(0).to_string()]
}

pub(super) fn trap(_: &Orders) -> Vec<String> {
    wasm32::unreachable()
}

/// A poll of nothing would never end.
pub(super) fn poll_of_nothing(_: &Orders) -> Vec<String> {
    poll(&[]);
    vec!["it ended".into()]
}

/// One poll of one pollable, named a hundred thousand times.
pub(super) fn poll_of_many(_: &Orders) -> Vec<String> {
    let ready = subscribe_duration(0);
    let all = vec![&ready; 100_000];
    vec![format!("ready: {}", poll(&all).len())]
}

/// One poll of more than the host would copy.
pub(super) fn poll_of_millions(_: &Orders) -> Vec<String> {
    let ready = subscribe_duration(0);
    let all = vec![&ready; 8 << 20];
    vec![format!("ready: {}", poll(&all).len())]
}

/// The finest step of time that can be seen: what a timing attack would measure with.
pub(super) fn clock_resolution(_: &Orders) -> Vec<String> {
    let mut finest = u64::MAX;
    let mut last = now();
    let end = last + 50_000_000;
    while last < end {
        let next = now();
        if next > last {
            finest = finest.min(next - last);
        }
        last = next;
    }
    let aligned = last.is_multiple_of(1_000_000);
    vec![match finest {
        1_000_000.. if aligned => "steps of a millisecond".into(),
        _ => format!("steps of {finest} ns"),
    }]
}
