//! The four functions of wasi:http whose errors are an `error-code`, read where
//! the host wrote it.
//!
//! The bindings of `wasip2` rebuild all 39 cases with their payloads, once in
//! each of these functions. What is told of a code here is a kind and a
//! sentence, and one case alone has words of its own.
#![allow(unsafe_code, reason = "the border of a component is its memory")]

use alloc::string::String;

use wasip2::http::types::{
    FutureIncomingResponse, IncomingResponse, OutgoingBody, OutgoingRequest, RequestOptions,
};
use wasip2::io::error::Error as StreamError;

use super::abi::Lift;
use crate::types::{TransportFailure, TransportFailureKind as Kind};

#[link(wasm_import_module = "wasi:http/outgoing-handler@0.2.12")]
unsafe extern "C" {
    #[link_name = "handle"]
    fn handle(request: u32, has_options: u32, options: u32, out: *mut Area);
}

#[link(wasm_import_module = "wasi:http/types@0.2.12")]
unsafe extern "C" {
    #[link_name = "[method]future-incoming-response.get"]
    fn get(future: u32, out: *mut Area);
    #[link_name = "[static]outgoing-body.finish"]
    fn finish_body(body: u32, has_trailers: u32, trailers: u32, out: *mut Area);
    #[link_name = "http-error-code"]
    fn code_of(error: u32, out: *mut Area);
}

/// Where a result is written. An `error-code` has 32 bytes and stands at
/// multiples of 8, for some of its cases hold an `option<u64>`; the case of each
/// option or result around it has 8 bytes, too.
type Area = [u64; 6];

/// The first bytes of one of the words: the number of a case.
fn case(area: &Area, word: usize) -> u8 {
    area[word] as u8
}

/// Sends a request, up to its body.
pub(super) fn send(
    request: OutgoingRequest,
    options: Option<RequestOptions>,
) -> Result<FutureIncomingResponse, TransportFailure> {
    let mut area = Area::default();
    // SAFETY: both are given away; the area is as large as the result.
    unsafe {
        handle(
            request.take_handle(),
            u32::from(options.is_some()),
            options.map_or(0, |options| options.take_handle()),
            &raw mut area,
        );
        match case(&area, 0) {
            0 => Ok(FutureIncomingResponse::from_handle(area[1] as u32)),
            _ => Err(failure(&area, 1)),
        }
    }
}

/// The answer, once it is there.
pub(super) fn answer(
    future: &FutureIncomingResponse,
) -> Option<Result<IncomingResponse, TransportFailure>> {
    let mut area = Area::default();
    // SAFETY: the area is as large as option<result<result<response, code>>>.
    unsafe {
        get(future.handle(), &raw mut area);
        match [case(&area, 0), case(&area, 1), case(&area, 2)] {
            [0, ..] => None,
            [_, 0, 0] => Some(Ok(IncomingResponse::from_handle(area[3] as u32))),
            [_, 0, _] => Some(Err(failure(&area, 3))),
            _ => Some(Err(TransportFailure {
                kind: Kind::Denied,
                message: "the host gave the answer away twice".into(),
            })),
        }
    }
}

/// Says that a body is whole. Why it could not be sent is told by the answer.
pub(super) fn finish(body: &OutgoingBody) {
    let mut area = Area::default();
    // SAFETY: the body is given away; the area is as large as the result.
    unsafe { finish_body(body.take_handle(), 0, 0, &raw mut area) };
}

/// Why a stream of an answer broke, if the host knows.
pub(super) fn stream_failure(error: &StreamError) -> Option<TransportFailure> {
    let mut area = Area::default();
    // SAFETY: the area is as large as the option.
    unsafe { code_of(error.handle(), &raw mut area) };
    (case(&area, 0) != 0).then(|| failure(&area, 1))
}

/// The case `internal-error`, the only one whose words are passed on.
const INTERNAL: u8 = 38;

/// What each code means: its number in `wasi:http/types`, kind and sentence.
/// What is not here is no HTTP.
const CODES: &[(u8, Kind, &str)] = &[
    (
        0,
        Kind::Unreachable,
        "the look-up of the host's name timed out",
    ),
    (1, Kind::Unreachable, "the host's name has no address"),
    (2, Kind::Unreachable, "the host was not found"),
    (3, Kind::Unreachable, "the host is not available"),
    (
        4,
        Kind::Denied,
        "the address is one that a plugin may not reach",
    ),
    (5, Kind::Unreachable, "there is no route to the host"),
    (6, Kind::Unreachable, "connection refused"),
    (7, Kind::Closed, "the server closed the connection"),
    (
        8,
        Kind::ConnectTimeout,
        "no connection within the time limit",
    ),
    (9, Kind::ReadTimeout, "the server fell silent"),
    (
        10,
        Kind::ReadTimeout,
        "the server did not take the request in time",
    ),
    (11, Kind::Unreachable, "too many connections"),
    (12, Kind::Tls, "the TLS handshake failed"),
    (13, Kind::Tls, "the server's certificate is not trusted"),
    (14, Kind::Tls, "the server ended the TLS handshake"),
    (
        15,
        Kind::Denied,
        "the request is outside the plugin's grant",
    ),
    (
        25,
        Kind::Closed,
        "the connection ended before the answer did",
    ),
    (26, Kind::Protocol, "the answer's header is too large"),
    (27, Kind::Protocol, "the answer's header is too large"),
    (28, Kind::Protocol, "the answer is too large"),
    (
        32,
        Kind::Protocol,
        "the answer is compressed, which was not asked for",
    ),
    (33, Kind::ReadTimeout, "no answer within the time limit"),
];

/// The failure of the code that begins at a word of the area.
fn failure(area: &Area, word: usize) -> TransportFailure {
    let code = case(area, word);
    let known = CODES.iter().find(|(number, ..)| *number == code);
    let (kind, sentence) = known.map_or(
        (Kind::Protocol, "what the server sent is not HTTP"),
        |(_, kind, sentence)| (*kind, *sentence),
    );
    // The payload of the other cases is left where it is: a few bytes, once, at
    // the end of an exchange.
    let words = (code == INTERNAL)
        // SAFETY: the payload of this case is an optional text.
        .then(|| unsafe { Option::<String>::lift((&raw const area[word + 1]).cast()) })
        .flatten();
    TransportFailure {
        kind,
        message: words.unwrap_or_else(|| sentence.into()),
    }
}
