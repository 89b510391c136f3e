//! The exports of a chat by hand, and what a host calls without a caller's asking: the allocator that it fills, the call
//! after a call, the destructor, the start of the instance.
//!
//! What comes back from `next` is an address in this memory, and the host believes none of what it finds there.
#![allow(unsafe_code, reason = "the border of a component is its memory")]

use std::alloc::Layout;
use std::cell::Cell;
use std::hint::black_box;
use std::sync::OnceLock;

use wasip2::clocks::monotonic_clock::now;

use crate::bindings::exports::llm::provider::chat;
use crate::http::Ask;
use crate::{Hostile, Orders, Stream};

/// What `next` or `start` returns in place of an answer: an address.
pub(crate) type Returned = fn() -> usize;

struct Armed {
    /// `start` returns this.
    start: Cell<Option<Returned>>,
    /// `next` returns this.
    next: Cell<Option<Returned>>,
    /// The call after `next` follows these.
    after: Cell<Option<&'static Orders>>,
}

// SAFETY: a component has one thread.
unsafe impl Sync for Armed {}

static ARMED: Armed = Armed {
    start: Cell::new(None),
    next: Cell::new(None),
    after: Cell::new(None),
};

/// `start`, which is under way, returns this address.
pub(crate) fn start_returns(returned: Returned) {
    ARMED.start.set(Some(returned));
}

/// From the next call on `next` returns this address.
pub(crate) fn next_returns(returned: Returned) {
    ARMED.next.set(Some(returned));
}

/// From now on the call after `next` follows these orders.
pub(crate) fn attack_after_calls(orders: &Orders) {
    ARMED.after.set(Some(Box::leak(Box::new(orders.clone()))));
}

#[unsafe(export_name = "llm:provider/chat@0.1.0#start")]
unsafe extern "C" fn start(from: *mut u8) -> *mut u8 {
    // SAFETY: the host's arguments, as they came.
    let regular = unsafe { chat::_export_start_cabi::<Hostile>(from) };
    match ARMED.start.get() {
        Some(returned) => returned() as *mut u8,
        None => regular,
    }
}

#[unsafe(export_name = "cabi_post_llm:provider/chat@0.1.0#start")]
unsafe extern "C" fn after_start(_: *mut u8) {}

#[unsafe(export_name = "llm:provider/chat@0.1.0#[method]chat-stream.next")]
unsafe extern "C" fn next(stream: *mut u8, max: i32) -> *mut u8 {
    match ARMED.next.get() {
        Some(returned) => returned() as *mut u8,
        // SAFETY: the host's arguments, as they came.
        None => unsafe { chat::_export_method_chat_stream_next_cabi::<Stream>(stream, max) },
    }
}

#[unsafe(export_name = "cabi_post_llm:provider/chat@0.1.0#[method]chat-stream.next")]
unsafe extern "C" fn after_next(returned: *mut u8) {
    if let Some(orders) = ARMED.after.get() {
        let _ = orders.follow("post-return");
    }
    if ARMED.next.get().is_none() {
        // SAFETY: what the regular `next` returned.
        unsafe { chat::__post_return_method_chat_stream_next::<Stream>(returned) }
    }
}

#[unsafe(export_name = "llm:provider/chat@0.1.0#[method]chat-stream.subscribe")]
unsafe extern "C" fn subscribe(stream: *mut u8) -> i32 {
    // SAFETY: the host's argument, as it came.
    unsafe { chat::_export_method_chat_stream_subscribe_cabi::<Stream>(stream) }
}

#[unsafe(export_name = "llm:provider/chat@0.1.0#[dtor]chat-stream")]
unsafe extern "C" fn destroy(stream: *mut u8) {
    // SAFETY: the host's argument, as it came.
    unsafe { chat::ChatStream::dtor::<Stream>(stream) }
}

/// What the test writes over in the file: orders for what happens before any settings come.
#[used]
static MARK: [u8; 64] = *b"hostile-mark:                                                   ";

/// The orders in the file.
pub(crate) fn mark() -> &'static str {
    let mark = black_box(&MARK).get(13..).unwrap_or_default();
    std::str::from_utf8(mark).unwrap_or_default().trim()
}

/// What became of a request that was made while the instance started.
static WHILE_STARTING: OnceLock<String> = OnceLock::new();

pub(crate) fn while_starting() -> String {
    WHILE_STARTING.get().cloned().unwrap_or_default()
}

/// Called when the instance is made, before anything is asked of it.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    match mark() {
        "request" => {
            let _ = WHILE_STARTING.set(Ask::of("127.0.0.1:1").send());
        }
        "host-calls" => loop {
            black_box(now());
        },
        "memory" => {
            while std::arch::wasm32::memory_grow(0, 256) != usize::MAX {}
            std::arch::wasm32::unreachable()
        }
        _ => {}
    }
}

/// The first length that the host asks memory for in a call with settings is that of their text. These lengths are orders.
pub(crate) const ALLOCATOR_ORDERS: u32 = 60_000;

/// Where the host puts what it passes. It has to believe the address that it gets.
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(old: *mut u8, had: usize, align: usize, size: usize) -> *mut u8 {
    match (size as u32).wrapping_sub(ALLOCATOR_ORDERS) {
        1 => loop {
            black_box(size);
        },
        2 => std::arch::wasm32::unreachable(),
        3 => return std::ptr::without_provenance_mut(0xffff_fff0),
        4 => return std::ptr::without_provenance_mut(usize::MAX),
        5 => {
            while std::arch::wasm32::memory_grow(0, 256) != usize::MAX {}
            std::arch::wasm32::unreachable()
        }
        6 => {
            black_box(now());
        }
        _ => {}
    }
    if size == 0 {
        return std::ptr::without_provenance_mut(align);
    }
    // SAFETY: the host passes what it got from here, or nothing.
    unsafe {
        match Layout::from_size_align(had, align) {
            Ok(layout) if had > 0 => std::alloc::realloc(old, layout, size),
            _ => std::alloc::alloc(Layout::from_size_align_unchecked(size, align)),
        }
    }
}
