//! How values cross the component's border: the canonical ABI, for the few
//! shapes that the contract is made of.
//!
//! What comes in lies in memory that the host filled through `cabi_realloc`,
//! and is taken over, text by text, without copying. What goes out is kept here
//! with all that it owns until the next result takes its place, so that
//! the host reads it where it is: nothing is copied, there is no post-return
//! call to make, and at most one batch of events is held too long.
//!
//! wit-bindgen writes the same code into each export again, settings and
//! request included, which was an eighth of the component. Here a shape is
//! written once. Sizes and offsets are computed from the shapes as the canonical
//! ABI says (component-model, `CanonicalABI.md`, "Alignment" and "Element
//! Size"); `wit-component` checks the signatures of the exports when it
//! links, and the tests of the host carry every field across.
#![allow(unsafe_code, reason = "the border of a component is its memory")]

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::alloc::Layout as Allocated;
use core::cell::UnsafeCell;

/// Size and alignment of a value in memory.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    size: usize,
    pub(super) align: usize,
}

impl Layout {
    const fn scalar(size: usize) -> Self {
        Self { size, align: size }
    }

    /// Fields one behind the other.
    pub(super) const fn record(fields: &[Self]) -> Self {
        let mut all = Self { size: 0, align: 1 };
        let mut at = 0;
        while at < fields.len() {
            let field = fields[at];
            all.size = all.size.next_multiple_of(field.align) + field.size;
            if field.align > all.align {
                all.align = field.align;
            }
            at += 1;
        }
        all.size = all.size.next_multiple_of(all.align);
        all
    }

    /// The number of a case in one byte, and behind it the payload of one of
    /// the cases. The payload stands at the offset that is the alignment of the
    /// whole.
    pub(super) const fn variant(payloads: &[Self]) -> Self {
        let mut all = Self { size: 0, align: 1 };
        let mut at = 0;
        while at < payloads.len() {
            let payload = payloads[at];
            if payload.size > all.size {
                all.size = payload.size;
            }
            if payload.align > all.align {
                all.align = payload.align;
            }
            at += 1;
        }
        all.size = (all.align + all.size).next_multiple_of(all.align);
        all
    }
}

/// A value that the contract has a shape for.
pub(super) trait Shape {
    const LAYOUT: Layout;
}

/// A value that comes in.
pub(super) trait Lift: Shape + Sized {
    /// Takes over the value at `from`.
    ///
    /// # Safety
    /// A value of this shape lies there, aligned, made by the host, and is
    /// not read again.
    unsafe fn lift(from: *const u8) -> Self;
}

/// A value that goes out.
pub(super) trait Lower: Shape {
    /// Writes the value to `to`. What it points to stays its own, or is put
    /// into `lists`.
    ///
    /// # Safety
    /// There is room for a value of this shape, aligned, and zero.
    unsafe fn lower(&self, to: *mut u8, lists: &mut Lists);
}

/// The items of lists that go out.
pub(super) type Lists = Vec<Vec<u64>>;

/// A place in a record that comes in.
pub(super) struct Taking(pub(super) *const u8);

impl Taking {
    /// The next field.
    ///
    /// # Safety
    /// As [`Lift::lift`]; the fields are taken in their order.
    pub(super) unsafe fn take<T: Lift>(&mut self) -> T {
        let at = self.0.wrapping_add(self.0.align_offset(T::LAYOUT.align));
        self.0 = at.wrapping_add(T::LAYOUT.size);
        // SAFETY: the caller's.
        unsafe { T::lift(at) }
    }
}

/// A place in a record that goes out.
pub(super) struct Putting(pub(super) *mut u8);

impl Putting {
    /// The next field.
    ///
    /// # Safety
    /// As [`Lower::lower`]; the fields are put in their order.
    pub(super) unsafe fn put<T: Lower>(&mut self, value: &T, lists: &mut Lists) {
        let at = self.0.wrapping_add(self.0.align_offset(T::LAYOUT.align));
        self.0 = at.wrapping_add(T::LAYOUT.size);
        // SAFETY: the caller's.
        unsafe { value.lower(at, lists) }
    }
}

/// What was returned last, and what it owns.
struct Kept(UnsafeCell<Option<(Box<dyn Keep>, Lists)>>);

/// Something that is kept, and dropped in the end.
trait Keep {}
impl<T> Keep for T {}

// SAFETY: a component has one thread, and lets no call in during a call.
unsafe impl Sync for Kept {}

static KEPT: Kept = Kept(UnsafeCell::new(None));

/// Lays out a result and keeps it for the host to read; gives its address.
pub(super) fn give<T: Lower + 'static>(value: T) -> *const u8 {
    let value = Box::new(value);
    let mut area = zeroed(T::LAYOUT.size);
    let address: *mut u8 = area.as_mut_ptr().cast();
    let mut lists = Lists::new();
    // SAFETY: the area has the size, is zero and aligned for anything.
    unsafe { value.lower(address, &mut lists) };
    lists.push(area);
    // SAFETY: one thread, and dropping what was kept calls nothing back.
    unsafe { *KEPT.0.get() = Some((value, lists)) };
    address
}

fn zeroed(size: usize) -> Vec<u64> {
    vec![0; size.div_ceil(8)]
}

/// Gives back the memory of what was taken over.
///
/// # Safety
/// It was made by `cabi_realloc` with this layout.
pub(super) unsafe fn free(memory: *const u8, layout: Layout, count: usize) {
    let size = layout.size * count;
    if size > 0 {
        // SAFETY: the caller's.
        unsafe {
            let layout = Allocated::from_size_align_unchecked(size, layout.align);
            alloc::alloc::dealloc(memory.cast_mut(), layout);
        }
    }
}

macro_rules! scalars {
    ($($type:ty),*) => {$(
        impl Shape for $type {
            const LAYOUT: Layout = Layout::scalar(size_of::<$type>());
        }
        impl Lift for $type {
            unsafe fn lift(from: *const u8) -> Self {
                // SAFETY: the caller's.
                unsafe { *from.cast() }
            }
        }
        impl Lower for $type {
            unsafe fn lower(&self, to: *mut u8, _: &mut Lists) {
                // SAFETY: the caller's.
                unsafe { *to.cast() = *self }
            }
        }
    )*};
}

scalars!(u8, u16, u32, i32, usize, u64, i64, f64);

impl Shape for bool {
    const LAYOUT: Layout = u8::LAYOUT;
}

impl Lift for bool {
    unsafe fn lift(from: *const u8) -> Self {
        // SAFETY: the caller's.
        unsafe { *from != 0 }
    }
}

impl Lower for bool {
    unsafe fn lower(&self, to: *mut u8, _: &mut Lists) {
        // SAFETY: the caller's.
        unsafe { *to = u8::from(*self) }
    }
}

/// An address and a count.
const LIST: Layout = Layout::record(&[usize::LAYOUT, usize::LAYOUT]);

/// Reads a list's address and count.
///
/// # Safety
/// There is one.
unsafe fn list(from: *const u8) -> (*mut u8, usize) {
    // SAFETY: the caller's.
    let [address, count] = unsafe { *from.cast::<[usize; 2]>() };
    (core::ptr::with_exposed_provenance_mut(address), count)
}

/// Writes a list's address and count.
///
/// # Safety
/// There is room for them.
unsafe fn point(to: *mut u8, address: *const u8, count: usize) {
    // SAFETY: the caller's.
    unsafe { *to.cast::<[usize; 2]>() = [address.expose_provenance(), count] }
}

impl Shape for String {
    const LAYOUT: Layout = LIST;
}

impl Lift for String {
    #[inline(never)]
    unsafe fn lift(from: *const u8) -> Self {
        // SAFETY: the host made the memory, and the component model has it
        // checked that text is UTF-8.
        unsafe { Self::from_utf8_unchecked(bytes(from)) }
    }
}

/// A list of bytes, taken over.
///
/// # Safety
/// As [`Lift::lift`].
pub(super) unsafe fn bytes(from: *const u8) -> Vec<u8> {
    // SAFETY: the caller's; without items nothing was allocated.
    unsafe {
        match list(from) {
            (_, 0) => Vec::new(),
            (address, count) => Vec::from_raw_parts(address, count, count),
        }
    }
}

impl Lower for String {
    unsafe fn lower(&self, to: *mut u8, _: &mut Lists) {
        // SAFETY: the caller's.
        unsafe { point(to, self.as_ptr(), self.len()) }
    }
}

impl<T> Shape for Vec<T> {
    const LAYOUT: Layout = LIST;
}

impl<T: Lift> Lift for Vec<T> {
    unsafe fn lift(from: *const u8) -> Self {
        // SAFETY: the caller's: so many items lie side by side.
        unsafe {
            let (address, count) = list(from);
            let mut items = Self::with_capacity(count);
            let mut at = Taking(address);
            for _ in 0..count {
                items.push(at.take());
            }
            free(address, T::LAYOUT, count);
            items
        }
    }
}

impl<T: Lower> Lower for Vec<T> {
    unsafe fn lower(&self, to: *mut u8, lists: &mut Lists) {
        let mut area = zeroed(T::LAYOUT.size * self.len());
        // SAFETY: the area has room for so many items.
        unsafe {
            point(to, area.as_ptr().cast(), self.len());
            let mut at = Putting(area.as_mut_ptr().cast());
            for item in self {
                at.put(item, lists);
            }
        }
        lists.push(area);
    }
}

impl<T: Shape> Shape for Option<T> {
    const LAYOUT: Layout = Layout::variant(&[T::LAYOUT]);
}

impl<T: Lift> Lift for Option<T> {
    unsafe fn lift(from: *const u8) -> Self {
        // SAFETY: the caller's.
        unsafe { (*from != 0).then(|| T::lift(from.wrapping_add(Self::LAYOUT.align))) }
    }
}

impl<T: Lower> Lower for Option<T> {
    unsafe fn lower(&self, to: *mut u8, lists: &mut Lists) {
        if let Some(value) = self {
            // SAFETY: the caller's.
            unsafe {
                *to = 1;
                value.lower(to.wrapping_add(Self::LAYOUT.align), lists);
            }
        }
    }
}

impl<T: Shape, E: Shape> Shape for Result<T, E> {
    const LAYOUT: Layout = Layout::variant(&[T::LAYOUT, E::LAYOUT]);
}

impl<T: Lower, E: Lower> Lower for Result<T, E> {
    unsafe fn lower(&self, to: *mut u8, lists: &mut Lists) {
        let payload = to.wrapping_add(Self::LAYOUT.align);
        // SAFETY: the caller's.
        unsafe {
            match self {
                Ok(value) => value.lower(payload, lists),
                Err(error) => {
                    *to = 1;
                    error.lower(payload, lists);
                }
            }
        }
    }
}
