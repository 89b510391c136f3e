//! What the standard library would bring along: an allocator, and an end for
//! panics.
//!
//! A panic is a bug, and there is nobody to tell: the host sees the trap, with
//! the function it happened in.
//!
//! The allocator keeps a list of free blocks for each power of two. What is
//! freed is found again at once, and nothing is searched, split or joined: a
//! few instructions a call, in a tenth of the code that std's allocator is. The
//! price is memory: up to twice what is asked for, and a block of one size never
//! serves another. Vectors double when they grow, so most sizes are powers of
//! two anyway, and an instance lives no longer than a conversation.
#![allow(unsafe_code, reason = "an allocator hands out memory")]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32;
use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    wasm32::unreachable()
}

#[global_allocator]
static ALLOCATOR: Allocator = Allocator {
    heap: UnsafeCell::new(Heap {
        free: [None; CLASSES],
        next: 0,
        end: 0,
    }),
};

/// Blocks have 2^4 to 2^31 bytes.
const CLASSES: usize = 28;
const LEAST: usize = 4;
/// Bytes of a page of WebAssembly's memory.
const PAGE: usize = 1 << 16;

struct Allocator {
    heap: UnsafeCell<Heap>,
}

/// A free block: its first bytes say where the next one is.
type Free = Option<NonNull<Block>>;

struct Block {
    next: Free,
}

struct Heap {
    /// By class, the last freed first.
    free: [Free; CLASSES],
    /// The memory that was never handed out: from here,
    next: usize,
    /// to here.
    end: usize,
}

// SAFETY: a component has one thread.
unsafe impl Sync for Allocator {}

/// The class of a layout, if there is one.
fn class(layout: Layout) -> Option<usize> {
    // Blocks are aligned to the least of them.
    if layout.align() > 1 << LEAST || layout.size() > 1 << 31 {
        return None;
    }
    let bits = usize::BITS - layout.size().saturating_sub(1).leading_zeros();
    Some((bits as usize).saturating_sub(LEAST))
}

// SAFETY: a block is in one list or with one caller, and has its class' size.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread, and nothing below calls back.
        let heap = unsafe { &mut *self.heap.get() };
        let Some(class) = class(layout) else {
            wasm32::unreachable();
        };
        let Some(free) = heap.free.get_mut(class) else {
            wasm32::unreachable();
        };
        if let Some(block) = *free {
            // SAFETY: what is in the list was written by `dealloc`.
            *free = unsafe { block.as_ref().next };
            return block.as_ptr().cast();
        }
        let fresh = heap.fresh(1 << (class + LEAST));
        if fresh.is_null() {
            wasm32::unreachable();
        }
        fresh
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: one thread, and nothing below calls back.
        let heap = unsafe { &mut *self.heap.get() };
        let list = class(layout).and_then(|class| heap.free.get_mut(class));
        if let (Some(list), Some(block)) = (list, NonNull::new(memory.cast::<Block>())) {
            // SAFETY: the block is the caller's no more, and holds a pointer.
            unsafe { block.write(Block { next: *list }) };
            *list = Some(block);
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller warrants that size and alignment are a layout.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let (Some(old), Some(new)) = (class(layout), class(wanted)) else {
            return ptr::null_mut();
        };
        if old == new {
            return memory;
        }
        // The last block grows where it is: a body of many megabytes does not
        // leave all its smaller selves behind.
        let (old, new) = (1 << (old + LEAST), 1 << (new + LEAST));
        let behind = memory.wrapping_add(old);
        // SAFETY: one thread, and nothing below calls back.
        let heap = unsafe { &mut *self.heap.get() };
        if new > old && behind.addr() == heap.next && heap.fresh(new - old) == behind {
            return memory;
        }
        // SAFETY: the new block is another one, and holds the lesser size.
        unsafe {
            let fresh = self.alloc(wanted);
            if !fresh.is_null() {
                ptr::copy_nonoverlapping(memory, fresh, layout.size().min(size));
                self.dealloc(memory, layout);
            }
            fresh
        }
    }
}

unsafe extern "C" {
    /// Where the data end. The linker says so; nothing is there.
    static __heap_base: u8;
}

impl Heap {
    /// Memory that was never handed out.
    fn fresh(&mut self, size: usize) -> *mut u8 {
        if self.next == 0 {
            // Behind the data the memory goes on for as much as an ordinary chat needs (`--initial-memory`): what grows
            // costs the host two changes of its page table, and what is not touched costs nothing.
            self.next = (&raw const __heap_base).addr().next_multiple_of(1 << LEAST);
            self.end = wasm32::memory_size(0) * PAGE;
        }
        if self.end - self.next < size {
            let pages = size.div_ceil(PAGE);
            let start = wasm32::memory_grow(0, pages);
            if start == usize::MAX {
                return ptr::null_mut();
            }
            // What grew may lie behind what others grew.
            if start * PAGE != self.end {
                self.next = start * PAGE;
            }
            self.end = (start + pages) * PAGE;
        }
        let memory = self.next;
        self.next += size;
        ptr::with_exposed_provenance_mut(memory)
    }
}
