//! Texts and lists of a size that nobody needs, which the host is to copy. What is passed many times lies in memory once.
#![allow(unsafe_code, reason = "the bindings would not let it")]

use wasip2::http::types::{Fields, Method, OutgoingRequest, Scheme};

use crate::Orders;
use crate::http::Ask;

#[link(wasm_import_module = "wasi:http/types@0.2.12")]
unsafe extern "C" {
    #[link_name = "[static]fields.from-list"]
    fn fields_from_list(at: usize, length: usize, to: *mut u8);
    #[link_name = "[method]fields.set"]
    fn set_fields(
        handle: u32,
        name: usize,
        length: usize,
        values: usize,
        count: usize,
        to: *mut u8,
    );
    #[link_name = "[method]outgoing-request.set-path-with-query"]
    fn set_path(handle: u32, some: i32, at: usize, length: usize) -> i32;
}

const GIANT: usize = 24 << 20;

fn giant() -> String {
    "a".repeat(GIANT)
}

fn tell<E>(result: Result<(), E>, what: &str) -> Vec<String> {
    vec![match result {
        Ok(()) => format!("taken {what}"),
        Err(_) => format!("refused {what}"),
    }]
}

pub(super) fn path(_: &Orders) -> Vec<String> {
    let request = OutgoingRequest::new(Fields::new());
    tell(
        request.set_path_with_query(Some(&format!("/{}", giant()))),
        "path",
    )
}

pub(super) fn authority(_: &Orders) -> Vec<String> {
    let request = OutgoingRequest::new(Fields::new());
    tell(request.set_authority(Some(&giant())), "authority")
}

pub(super) fn method(_: &Orders) -> Vec<String> {
    let request = OutgoingRequest::new(Fields::new());
    tell(request.set_method(&Method::Other(giant())), "method")
}

pub(super) fn scheme(_: &Orders) -> Vec<String> {
    let request = OutgoingRequest::new(Fields::new());
    tell(request.set_scheme(Some(&Scheme::Other(giant()))), "scheme")
}

pub(super) fn header_name(_: &Orders) -> Vec<String> {
    tell(Fields::new().append(&giant(), b"1"), "header")
}

pub(super) fn header_value(_: &Orders) -> Vec<String> {
    tell(Fields::new().append("x-a", giant().as_bytes()), "header")
}

/// As large as the host takes them; then what of it is sent, and answered.
pub(super) fn smaller_giants(orders: &Orders) -> Vec<String> {
    let path = format!("/{}", "a".repeat(60 << 10));
    let longer = format!("/{}", "a".repeat(1 << 20));
    let authority = format!("{}@{}", "a".repeat(1 << 20), orders.other);
    let method = "A".repeat(1 << 20);
    let value = vec![b'a'; 60 << 10];
    vec![
        Ask {
            path: Some(&path),
            ..Ask::of(&orders.granted)
        }
        .send(),
        Ask {
            path: Some(&longer),
            ..Ask::of(&orders.granted)
        }
        .send(),
        Ask::of(&authority).send(),
        Ask {
            method: Method::Other(method),
            ..Ask::of(&orders.granted)
        }
        .send(),
        Ask {
            headers: &[("x-a", &value)],
            ..Ask::of(&orders.granted)
        }
        .send(),
    ]
}

pub(super) fn body(orders: &Orders) -> Vec<String> {
    let body = vec![b' '; 2 << 20];
    vec![
        Ask {
            body: &body,
            ..Ask::of(&orders.granted)
        }
        .send(),
    ]
}

/// Fields are kept in the host's memory.
pub(super) fn header_bytes(_: &Orders) -> Vec<String> {
    let fields = Fields::new();
    let value = vec![b'a'; 16 << 10];
    for count in 0..1_000 {
        if let Err(error) = fields.append(&format!("x-{count}"), &value) {
            return vec![format!("refused after {count}: {error:?}")];
        }
    }
    vec!["taken: 16 MB of header fields".into()]
}

/// A hundred thousand small ones, one by one.
pub(super) fn header_count(_: &Orders) -> Vec<String> {
    let fields = Fields::new();
    for count in 0..100_000 {
        if let Err(error) = fields.append(&format!("x{count}"), b"") {
            return vec![format!("refused after {count}: {error:?}")];
        }
    }
    vec!["taken: 100,000 header fields".into()]
}

/// The same name, again and again.
pub(super) fn header_repeated(_: &Orders) -> Vec<String> {
    let fields = Fields::new();
    for _ in 0..100_000 {
        if fields.append("x", b"").is_err() {
            return vec!["refused".into()];
        }
    }
    vec!["taken: 100,000 times the same header field".into()]
}

/// A list in which each of a million fields is the same text of a mebibyte.
pub(super) fn aliased_headers(_: &Orders) -> Vec<String> {
    let text = vec![b'a'; 1 << 20];
    let (at, length) = (text.as_ptr().addr() as u32, text.len() as u32);
    let list = vec![[at, length, at, length]; 1 << 20];
    let mut result = [0_u8; 16];
    // SAFETY: each part lies in this memory, many times the same.
    unsafe { fields_from_list(list.as_ptr().addr(), list.len(), result.as_mut_ptr()) };
    vec![format!("result: {}", result[0])]
}

pub(super) fn aliased_values(_: &Orders) -> Vec<String> {
    let text = vec![b'a'; 1 << 20];
    let (at, length) = (text.as_ptr().addr() as u32, text.len() as u32);
    let list = vec![[at, length]; 1 << 20];
    let mut result = [0_u8; 8];
    let handle = Fields::new().take_handle();
    let name = "x-a";
    // SAFETY: as above.
    unsafe {
        set_fields(
            handle,
            name.as_ptr().addr(),
            name.len(),
            list.as_ptr().addr(),
            list.len(),
            result.as_mut_ptr(),
        );
    }
    vec![format!("result: {}", result[0])]
}

/// A list that begins at the end of memory.
pub(super) fn list_out_of_memory(_: &Orders) -> Vec<String> {
    let mut result = [0_u8; 16];
    // SAFETY: the list does not lie in this memory; the host has to find out.
    unsafe { fields_from_list(0xffff_0000, 4096, result.as_mut_ptr()) };
    vec![format!("result: {}", result[0])]
}

/// A list of as many fields as a number can say.
pub(super) fn list_without_end(_: &Orders) -> Vec<String> {
    let mut result = [0_u8; 16];
    // SAFETY: as above.
    unsafe { fields_from_list(0, u32::MAX as usize, result.as_mut_ptr()) };
    vec![format!("result: {}", result[0])]
}

/// The answer is to be written where there is no memory.
pub(super) fn result_out_of_memory(_: &Orders) -> Vec<String> {
    // SAFETY: as above.
    unsafe { fields_from_list(0, 0, std::ptr::without_provenance_mut(0xffff_fff0)) };
    vec!["written".into()]
}

/// The answer is to be written across a boundary.
pub(super) fn result_at_an_odd_address(_: &Orders) -> Vec<String> {
    let mut result = [0_u8; 16];
    // SAFETY: as above.
    unsafe { fields_from_list(0, 0, result.as_mut_ptr().map_addr(|at| (at | 3) + 2)) };
    vec!["written".into()]
}

pub(super) fn text_out_of_memory(_: &Orders) -> Vec<String> {
    let request = OutgoingRequest::new(Fields::new());
    // SAFETY: as above.
    let result = unsafe { set_path(request.handle(), 1, 0xffff_fff0, 4096) };
    vec![format!("result: {result}")]
}

pub(super) fn text_that_is_none(_: &Orders) -> Vec<String> {
    let request = OutgoingRequest::new(Fields::new());
    let bytes = [b'/', 0xff, 0xfe, 0x80];
    // SAFETY: the bytes are no text; the host has to find out.
    let result = unsafe { set_path(request.handle(), 1, bytes.as_ptr().addr(), 4) };
    vec![format!("result: {result}")]
}

/// Neither some nor none.
pub(super) fn discriminant_of_an_argument(_: &Orders) -> Vec<String> {
    let request = OutgoingRequest::new(Fields::new());
    // SAFETY: there is no such case; the host has to find out.
    let result = unsafe { set_path(request.handle(), 77, 0, 0) };
    vec![format!("result: {result}")]
}
