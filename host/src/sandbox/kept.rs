//! What the host keeps behind a guest's handles: header fields, parts of requests, pieces of bodies. It is charged to the
//! store's memory.
//!
//! Each function of `wasi:http/types` that makes the host keep more stands here in place of wasmtime's: it adds the most that
//! the call can add to an estimate, and then does what wasmtime's does. Nothing is subtracted when a handle goes. Where the
//! estimate reaches what is charged, the table is weighed, and the charge follows. So an ordinary chat, which has a dozen
//! handles and some kilobytes behind them, pays an addition for each call and is never weighed.
//!
//! The bytes of a body are not in the table: they wait in a channel, and go with the half that reads it, wherever that is by
//! then. So that half carries a charge for the most that can wait there.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi_http::p2::HeaderResult;
use wasmtime_wasi_http::p2::bindings::http::types::{
    self, ErrorCode, HeaderError, Host as _, HostFields as _, HostIncomingResponse as _,
    HostOutgoingBody as _, HostOutgoingRequest as _, Method, Scheme,
};
use wasmtime_wasi_http::p2::body::{
    HostFutureTrailers, HostIncomingBody, HostOutgoingBody, HyperOutgoingBody,
};
use wasmtime_wasi_http::p2::types::{
    HostFutureIncomingResponse, HostIncomingResponse, HostOutgoingRequest, HostOutgoingResponse,
};
use wasmtime_wasi_http::{Error as WasiError, FieldMap, WasiHttpCtxView, WasiHttpView as _};

use super::State;
use super::meter::Stopped;
use crate::memory::{Charge, Held, fields};
use crate::policy::limits::{HANDLE_BYTES, KEPT_BYTES, OUTGOING_PIECE_BYTES};

/// The interface as wasmtime 48 links it.
const INTERFACE: &str = "wasi:http/types@0.2.12";

/// Pieces of one body that wait at most: wasmtime's channel has one place more than it says.
const WAITING_PIECES: usize = 2;

/// What a store's resource table keeps.
pub(super) struct KeptCharge {
    charge: Charge,
    /// No less than what is kept.
    estimate: usize,
    /// What the trailers of a response may take while a guest has not asked for them.
    trailers: usize,
}

impl KeptCharge {
    /// `header_bytes` is the limit for the trailers of a response.
    pub(super) fn new(held: Arc<Held>, header_bytes: usize) -> Self {
        let mut charge = Charge::none(held);
        // It is the first part of the reserve, which is always there.
        let _ = charge.grow(KEPT_BYTES);
        Self {
            charge,
            estimate: 0,
            // Half as much again for the map.
            trailers: header_bytes.saturating_add(header_bytes / 2),
        }
    }

    /// Adds what a call may make the host keep. False: there is not as much memory.
    fn add(&mut self, bytes: usize, table: &mut ResourceTable) -> bool {
        self.estimate = self.estimate.saturating_add(bytes);
        self.estimate <= self.charge.bytes() || self.weigh(bytes, table)
    }

    /// Charges what the table keeps and `bytes` more, with room for as much as makes weighing rare.
    #[cold]
    fn weigh(&mut self, bytes: usize, table: &mut ResourceTable) -> bool {
        let kept = table
            .iter_mut()
            .map(|entry| self.weight(entry))
            .fold(0, usize::saturating_add);
        self.estimate = kept.saturating_add(bytes);
        let room = KEPT_BYTES.max(self.estimate / 4);
        self.charge.set(self.estimate.saturating_add(room))
            // The room is a convenience, and not what fails a chat.
            || self.charge.set(self.estimate.max(KEPT_BYTES))
    }

    /// What an entry of the table keeps, as though it shared nothing with another one. The bytes of bodies are charged elsewhere:
    /// with the half that reads them, or with the request that is under way.
    fn weight(&self, entry: &(dyn Any + Send)) -> usize {
        let beside = if let Some(fields) = entry.downcast_ref::<FieldMap>() {
            fields::bytes(fields)
        } else if let Some(request) = entry.downcast_ref::<HostOutgoingRequest>() {
            let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
            fields::bytes(&request.headers)
                + other_method(&request.method)
                + text(&request.authority)
                + text(&request.path_with_query)
        } else if let Some(response) = entry.downcast_ref::<HostIncomingResponse>() {
            fields::bytes(&response.headers)
        } else if let Some(response) = entry.downcast_ref::<HostOutgoingResponse>() {
            fields::bytes(&response.headers)
        } else if let Some(trailers) = entry.downcast_ref::<HostFutureTrailers>() {
            match trailers {
                HostFutureTrailers::Waiting(_) => self.trailers,
                HostFutureTrailers::Done(Ok(Some(trailers))) => fields::bytes(trailers),
                HostFutureTrailers::Done(_) | HostFutureTrailers::Consumed => 0,
            }
        } else if entry.is::<HostIncomingBody>() {
            self.trailers
        } else {
            0
        };
        HANDLE_BYTES + beside
    }
}

fn other_method(method: &Method) -> usize {
    match method {
        Method::Other(name) => name.len(),
        _ => 0,
    }
}

/// The half of an outgoing body that is read, with a charge for the pieces that wait in it.
struct ChargedBody {
    body: HyperOutgoingBody,
    _charge: Charge,
}

impl Body for ChargedBody {
    type Data = Bytes;
    type Error = WasiError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WasiError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl State {
    /// Charges what a call may make the host keep.
    fn keep(&mut self, bytes: usize) -> Result<()> {
        if self.kept.add(bytes, &mut self.table) {
            return Ok(());
        }
        Err(self.no_memory())
    }

    /// Stops the guest for want of memory that all chats share.
    pub(super) fn no_memory(&mut self) -> wasmtime::Error {
        self.meter.stopped_by = Some(Stopped::SharedMemory);
        wasmtime::format_err!("the memory that this host's chats share is used up")
    }

    /// A charge for a body that a guest is about to write.
    fn body_charge(&mut self) -> Result<Charge> {
        let bytes = WAITING_PIECES * OUTGOING_PIECE_BYTES;
        match Charge::take(&self.held, bytes) {
            Some(charge) => Ok(charge),
            None => Err(self.no_memory()),
        }
    }
}

/// Puts the charge where the pieces are.
fn charged(body: &mut Option<HyperOutgoingBody>, charge: Charge) {
    *body = body.take().map(|body| {
        ChargedBody {
            body,
            _charge: charge,
        }
        .boxed_unsync()
    });
}

/// A result of wasmtime's, as the guest is told it.
fn told<T>(
    http: &mut WasiHttpCtxView<'_>,
    result: HeaderResult<T>,
) -> Result<(std::result::Result<T, HeaderError>,)> {
    Ok((match result {
        Ok(value) => Ok(value),
        Err(error) => Err(http.convert_header_error(error)?),
    },))
}

/// Gives a map of fields no more places than it has use for: removing values leaves those that they had.
fn tightened(table: &mut ResourceTable, resource: &Resource<FieldMap>, limit: usize) -> Result<()> {
    let loose = table.get_mut(resource)?;
    let mut tight = FieldMap::new_mutable(limit);
    for (name, value) in loose.iter() {
        tight.append_raw(name.clone(), value.clone())?;
    }
    *loose = tight;
    Ok(())
}

/// How many values a field has.
fn values_of(table: &ResourceTable, fields: &Resource<FieldMap>, name: &str) -> usize {
    table
        .get(fields)
        .map_or(0, |fields| fields.get_all(name).iter().count())
}

type HostStore<'a> = StoreContextMut<'a, State>;
type FieldsHandle = Resource<FieldMap>;
type Unit = std::result::Result<(), ()>;

/// Replaces the functions of `wasi:http/types` that make the host keep more by ones that charge it.
///
/// To be called after `wasmtime_wasi_http` has put its functions into the linker. Shadowing is allowed for these functions
/// and forbidden again afterwards.
pub(super) fn link_charges(linker: &mut Linker<State>) -> Result<()> {
    linker.allow_shadowing(true);
    let linked = shadow(linker);
    linker.allow_shadowing(false);
    linked
}

fn shadow(linker: &mut Linker<State>) -> Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    interface.func_wrap(
        "[static]fields.from-list",
        |mut store: HostStore<'_>, (entries,): (Vec<(String, Vec<u8>)>,)| {
            let state = store.data_mut();
            let field =
                |(name, value): &(String, Vec<u8>)| name.len() + value.len() + fields::FIELD;
            state.keep(HANDLE_BYTES + entries.iter().map(field).sum::<usize>())?;
            let mut http = state.http();
            let made = http.from_list(entries);
            told(&mut http, made)
        },
    )?;
    interface.func_wrap(
        "[method]fields.append",
        |mut store: HostStore<'_>, (fields, name, value): (FieldsHandle, String, Vec<u8>)| {
            let state = store.data_mut();
            state.keep(name.len() + value.len() + fields::FIELD)?;
            let mut http = state.http();
            let done = http.append(fields, name, value);
            told(&mut http, done)
        },
    )?;
    interface.func_wrap(
        "[method]fields.set",
        |mut store: HostStore<'_>, (fields, name, values): (FieldsHandle, String, Vec<Vec<u8>>)| {
            let state = store.data_mut();
            let value = |value: &Vec<u8>| value.len() + fields::FIELD;
            state.keep(name.len() + values.iter().map(value).sum::<usize>())?;
            let before = values_of(&state.table, &fields, &name);
            let limit = state.meter.limits.field_bytes;
            let mut http = state.http();
            let done = http.set(Resource::new_borrow(fields.rep()), name, values);
            if done.is_ok() && before > 1 {
                tightened(http.table, &fields, limit)?;
            }
            told(&mut http, done)
        },
    )?;
    interface.func_wrap(
        "[method]fields.delete",
        |mut store: HostStore<'_>, (fields, name): (FieldsHandle, String)| {
            let state = store.data_mut();
            let before = values_of(&state.table, &fields, &name);
            let limit = state.meter.limits.field_bytes;
            let mut http = state.http();
            let done = http.delete(Resource::new_borrow(fields.rep()), name);
            if done.is_ok() && before > 1 {
                tightened(http.table, &fields, limit)?;
            }
            told(&mut http, done)
        },
    )?;
    interface.func_wrap(
        "[method]fields.clone",
        |mut store: HostStore<'_>, (fields,): (FieldsHandle,)| {
            let state = store.data_mut();
            // The copy is made when one of the two is written to.
            let bytes = fields::bytes(state.table.get(&fields)?);
            state.keep(HANDLE_BYTES + bytes)?;
            Ok((types::HostFields::clone(&mut state.http(), fields)?,))
        },
    )?;
    interface.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: HostStore<'_>, (request, method): (Resource<HostOutgoingRequest>, Method)| {
            let state = store.data_mut();
            state.keep(other_method(&method))?;
            Ok::<(Unit,), _>((state.http().set_method(request, method)?,))
        },
    )?;
    interface.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut store: HostStore<'_>,
         (request, path): (Resource<HostOutgoingRequest>, Option<String>)| {
            let state = store.data_mut();
            state.keep(path.as_ref().map_or(0, String::len))?;
            Ok::<(Unit,), _>((state.http().set_path_with_query(request, path)?,))
        },
    )?;
    interface.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: HostStore<'_>,
         (request, authority): (Resource<HostOutgoingRequest>, Option<String>)| {
            let state = store.data_mut();
            state.keep(authority.as_ref().map_or(0, String::len))?;
            Ok::<(Unit,), _>((state.http().set_authority(request, authority)?,))
        },
    )?;
    interface.func_wrap(
        "[method]outgoing-request.set-scheme",
        |mut store: HostStore<'_>,
         (request, scheme): (Resource<HostOutgoingRequest>, Option<Scheme>)| {
            let state = store.data_mut();
            if let Some(Scheme::Other(name)) = &scheme {
                state.keep(name.len())?;
            }
            Ok::<(Unit,), _>((state.http().set_scheme(request, scheme)?,))
        },
    )?;
    interface.func_wrap(
        "[method]outgoing-request.body",
        |mut store: HostStore<'_>, (request,): (Resource<HostOutgoingRequest>,)| {
            let state = store.data_mut();
            let charge = state.body_charge()?;
            let body = state.http().body(Resource::new_borrow(request.rep()))?;
            if body.is_ok() {
                charged(&mut state.table.get_mut(&request)?.body, charge);
            }
            Ok((body,))
        },
    )?;
    interface.func_wrap(
        "[method]outgoing-response.body",
        |mut store: HostStore<'_>, (response,): (Resource<HostOutgoingResponse>,)| {
            let state = store.data_mut();
            let charge = state.body_charge()?;
            let same = Resource::new_borrow(response.rep());
            let body = types::HostOutgoingResponse::body(&mut state.http(), same)?;
            if body.is_ok() {
                charged(&mut state.table.get_mut(&response)?.body, charge);
            }
            Ok((body,))
        },
    )?;
    interface.func_wrap(
        "[static]outgoing-body.finish",
        |mut store: HostStore<'_>,
         (body, trailers): (Resource<HostOutgoingBody>, Option<FieldsHandle>)| {
            let state = store.data_mut();
            if let Some(trailers) = &trailers {
                // A body with trailers is refused for having them, whatever they are.
                *state.table.get_mut(trailers)? = FieldMap::default();
            }
            let mut http = state.http();
            Ok::<(std::result::Result<(), ErrorCode>,), _>((match http.finish(body, trailers) {
                Ok(()) => Ok(()),
                Err(error) => Err(http.convert_error_code(error)?),
            },))
        },
    )?;
    interface.func_wrap(
        "[method]future-incoming-response.get",
        |mut store: HostStore<'_>, (response,): (Resource<HostFutureIncomingResponse>,)| {
            let state = store.data_mut();
            let got = types::HostFutureIncomingResponse::get(&mut state.http(), response)?;
            if let Some(Ok(Ok(response))) = &got {
                let bytes = fields::bytes(&state.table.get(response)?.headers);
                state.keep(HANDLE_BYTES + bytes)?;
            }
            Ok((got,))
        },
    )?;
    interface.func_wrap(
        "[method]incoming-response.consume",
        |mut store: HostStore<'_>, (response,): (Resource<HostIncomingResponse>,)| {
            let state = store.data_mut();
            state.keep(state.kept.trailers)?;
            Ok((state.http().consume(response)?,))
        },
    )?;
    Ok(())
}
