//! Answers that are none: what comes back is an address in this memory, and what lies there is no list of events.
//!
//! The layout is the canonical ABI's. A result has its case at 0 and what it holds at 8; a list is where it begins and how
//! long it is; an event has 128 bytes, its case at 0 and what it holds at 8; a text is as a list.
#![allow(unsafe_code, reason = "the wrong answers have no type")]

use wasip2::clocks::monotonic_clock::subscribe_duration;

/// Words of an event.
const EVENT: usize = 32;

const TEXT: u32 = 1;
const NOTE: u32 = 7;
const FINISH: u32 = 8;

/// Where nobody has memory.
const OUTSIDE: u32 = 0xffff_0000;

/// Puts words where a number of eight bytes could stand, for good.
fn at_an_even_address(words: &[u32]) -> u32 {
    let wide: Vec<u64> = words
        .chunks(2)
        .map(|pair| u64::from(pair[0]) | u64::from(pair.get(1).copied().unwrap_or(0)) << 32)
        .collect();
    Vec::leak(wide).as_ptr().addr() as u32
}

/// A result with 120 bytes of what it holds.
fn result(case: u32, first: u32, second: u32) -> usize {
    let mut words = [0; EVENT];
    words[0] = case;
    words[2] = first;
    words[3] = second;
    at_an_even_address(&words) as usize
}

/// A list of events.
fn list(at: u32, length: u32) -> usize {
    result(0, at, length)
}

/// A list of one event: its case, and the words that it holds.
fn event(case: u32, holds: &[u32]) -> usize {
    let mut words = [0; EVENT];
    words[0] = case;
    words[2..2 + holds.len()].copy_from_slice(holds);
    list(at_an_even_address(&words), 1)
}

pub(super) fn address_outside() -> usize {
    OUTSIDE as usize
}

pub(super) fn odd_address() -> usize {
    list(0, 0) + 1
}

pub(super) fn list_outside() -> usize {
    list(OUTSIDE, 512)
}

pub(super) fn list_without_end() -> usize {
    list(0, u32::MAX)
}

pub(super) fn list_at_an_odd_address() -> usize {
    list(at_an_even_address(&[0; 2 * EVENT]) + 4, 1)
}

pub(super) fn neither_list_nor_error() -> usize {
    result(2, 0, 0)
}

pub(super) fn no_such_event() -> usize {
    event(200, &[])
}

pub(super) fn no_such_reason() -> usize {
    event(FINISH, &[99])
}

/// A note's path is neither there nor not.
pub(super) fn no_such_option() -> usize {
    event(NOTE, &[0, 0, 7, 0, 0, 0, 0])
}

pub(super) fn text_outside() -> usize {
    event(TEXT, &[OUTSIDE, 4096])
}

pub(super) fn text_without_end() -> usize {
    event(TEXT, &[0, u32::MAX])
}

pub(super) fn text_that_is_none() -> usize {
    let bytes: &'static [u8] = Vec::leak(vec![b'a', 0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80]);
    event(TEXT, &[bytes.as_ptr().addr() as u32, bytes.len() as u32])
}

/// A hundred thousand texts of 8 MiB, all of them the same.
pub(super) fn aliased_texts() -> usize {
    const COUNT: u32 = 100_000;
    let text: &'static [u8] = Vec::leak(vec![b'a'; 8 << 20]);
    let mut words = [0; EVENT];
    words[0] = TEXT;
    words[2] = text.as_ptr().addr() as u32;
    words[3] = text.len() as u32;
    let all: Vec<u32> = words.repeat(COUNT as usize);
    list(at_an_even_address(&all), COUNT)
}

/// A handle that was never given out.
pub(super) fn made_up_handle() -> usize {
    result(0, 99_999, 0)
}

/// No handle at all.
pub(super) fn no_handle() -> usize {
    result(0, 0, 0)
}

/// The handle of something else.
pub(super) fn handle_of_another_kind() -> usize {
    result(0, subscribe_duration(1).take_handle(), 0)
}
