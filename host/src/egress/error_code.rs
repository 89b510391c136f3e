//! The error code of a body that failed, for the guest.
//!
//! wasmtime 48 hands an error within a response's body to the guest as an `io-error` that holds its own error type, while
//! its `http-error-code` looks for an error code in there. So a guest would be told that the failure was not HTTP's, and
//! could not tell silence from a connection that broke. [`link_http_error_code`] puts a function in its place that looks
//! for both.

use wasmtime::component::{Linker, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi_http::p2::bindings::http::types::{
    DnsErrorPayload, ErrorCode, FieldSizePayload, IoError, TlsAlertReceivedPayload,
};
use wasmtime_wasi_http::{Error as WasiError, WasiHttpView};

/// The interface as wasmtime 48 links it.
const INTERFACE: &str = "wasi:http/types@0.2.12";

/// Replaces `wasi:http/types.http-error-code` by one that knows the errors of response bodies.
///
/// To be called after `wasmtime_wasi_http` has put its functions into the linker. Shadowing is allowed for this one
/// function and forbidden again afterwards.
///
/// # Errors
///
/// The linker's, if it refuses the function.
pub fn link_http_error_code<T: WasiHttpView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    linker.allow_shadowing(true);
    let linked = linker.instance(INTERFACE).and_then(|mut interface| {
        interface.func_wrap(
            "http-error-code",
            |mut store: StoreContextMut<'_, T>, (error,): (Resource<IoError>,)| {
                let error = store.data_mut().http().table.get(&error)?;
                let code = error
                    .downcast_ref::<ErrorCode>()
                    .cloned()
                    .or_else(|| error.downcast_ref().and_then(error_code));
                Ok((code,))
            },
        )
    });
    linker.allow_shadowing(false);
    linked
}

/// The error code for an error that this layer gives out; `None` for those that it never does.
#[must_use]
pub fn error_code(error: &WasiError) -> Option<ErrorCode> {
    Some(match error {
        WasiError::HttpRequestDenied => ErrorCode::HttpRequestDenied,
        WasiError::ConnectionLimitReached => ErrorCode::ConnectionLimitReached,
        WasiError::HttpRequestBodySize(size) => ErrorCode::HttpRequestBodySize(*size),
        WasiError::InternalError(words) => ErrorCode::InternalError(words.clone()),
        WasiError::ConfigurationError => ErrorCode::ConfigurationError,
        WasiError::DnsError { rcode, info_code } => ErrorCode::DnsError(DnsErrorPayload {
            rcode: rcode.clone(),
            info_code: *info_code,
        }),
        WasiError::DnsTimeout => ErrorCode::DnsTimeout,
        WasiError::DestinationIpProhibited => ErrorCode::DestinationIpProhibited,
        WasiError::ConnectionRefused => ErrorCode::ConnectionRefused,
        WasiError::DestinationUnavailable => ErrorCode::DestinationUnavailable,
        WasiError::ConnectionTimeout => ErrorCode::ConnectionTimeout,
        WasiError::TlsCertificateError => ErrorCode::TlsCertificateError,
        WasiError::TlsAlertReceived {
            alert_id,
            alert_message,
        } => ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload {
            alert_id: *alert_id,
            alert_message: alert_message.clone(),
        }),
        WasiError::TlsProtocolError => ErrorCode::TlsProtocolError,
        WasiError::HttpResponseTimeout => ErrorCode::HttpResponseTimeout,
        WasiError::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        WasiError::ConnectionTerminated => ErrorCode::ConnectionTerminated,
        WasiError::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
        WasiError::HttpProtocolError => ErrorCode::HttpProtocolError,
        WasiError::HttpResponseHeaderSectionSize(size) => {
            ErrorCode::HttpResponseHeaderSectionSize(*size)
        }
        WasiError::HttpResponseHeaderSize {
            field_name,
            field_size,
        } => ErrorCode::HttpResponseHeaderSize(FieldSizePayload {
            field_name: field_name.clone(),
            field_size: *field_size,
        }),
        WasiError::HttpResponseBodySize(size) => ErrorCode::HttpResponseBodySize(*size),
        WasiError::HttpResponseContentCoding(coding) => {
            ErrorCode::HttpResponseContentCoding(coding.clone())
        }
        _ => return None,
    })
}
