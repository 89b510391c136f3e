//! To have more memory than there is for it, and to see what others left there.

use std::arch::wasm32;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Orders;

/// Bytes of a mark that an earlier chat left.
static SEEN: AtomicUsize = AtomicUsize::new(0);

const MARK: &[u8; 16] = b"a chat was here!";

/// Grows without touching, as a program does that wants to be noticed late.
pub(super) fn growth(_: &Orders) -> Vec<String> {
    while wasm32::memory_grow(0, 256) != usize::MAX {}
    wasm32::unreachable()
}

/// A page at a time.
pub(super) fn growth_by_pages(_: &Orders) -> Vec<String> {
    while wasm32::memory_grow(0, 1) != usize::MAX {}
    wasm32::unreachable()
}

/// All that there can be, in one step.
pub(super) fn growth_at_once(_: &Orders) -> Vec<String> {
    wasm32::memory_grow(0, 65_535);
    wasm32::unreachable()
}

/// Memory that costs the host something: each page is written to.
pub(super) fn touched(_: &Orders) -> Vec<String> {
    let mut held = Vec::new();
    loop {
        let mut block = vec![0_u8; 1 << 20];
        for page in block.chunks_mut(4096) {
            page[0] = 1;
        }
        held.push(black_box(block));
    }
}

/// Writes its mark all over 16 MiB.
fn leave_marks() -> String {
    let mut block = Vec::with_capacity(16 << 20);
    for _ in 0..(1 << 20) {
        block.extend_from_slice(MARK);
    }
    black_box(&block);
    "marked".into()
}

/// Looks for the mark in memory that is fresh to it. What an allocator gave out is as the host made it.
pub(super) fn marks_of_others(_: &Orders) -> Vec<String> {
    const PAGES: usize = 257;
    let before = wasm32::memory_grow(0, PAGES);
    if before == usize::MAX {
        return vec!["no memory".into()];
    }
    let fresh = fresh(before << 16, PAGES << 16);
    let odd = fresh.iter().filter(|byte| **byte != 0).count();
    // A variable of the program's is memory as well.
    let odd = odd + SEEN.swap(MARK.len(), Ordering::Relaxed);
    let mut steps = vec![format!("{odd} bytes of others")];
    steps.push(leave_marks());
    steps
}

#[allow(unsafe_code, reason = "memory that no value is in yet")]
fn fresh(at: usize, length: usize) -> &'static [u8] {
    let start = std::ptr::with_exposed_provenance::<u8>(at);
    // SAFETY: it was grown just now and nothing else knows of it; WebAssembly has it filled with zeroes.
    unsafe { std::slice::from_raw_parts(start, length) }
}
