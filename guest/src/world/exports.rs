//! The component's exports, by the names and signatures that the canonical ABI
//! gives the functions of the contract.
//!
//! Up to 16 numbers come as arguments; in the order they come, the numbers of
//! the settings are what the record looks like in memory, so that they are
//! put there and lifted like any other. More than 16 come in memory.
#![allow(unsafe_code, reason = "the border of a component is its memory")]

use alloc::boxed::Box;
use alloc::string::String;

use super::abi::{Layout, Lift, Shape, Taking, free, give};
use super::provider::{self, ChatStream};
use crate::types::{ChatRequest, Error, Model, Settings};

/// The numbers of the settings.
type Flat = [u32; 9];

/// Takes over what came as numbers.
fn settings(flat: Flat) -> Settings {
    // SAFETY: the host made them; a case's number is the first byte of its word.
    unsafe { Settings::lift(flat.as_ptr().cast()) }
}

/// Takes over what came in memory: settings, model and request.
///
/// # Safety
/// The host made it.
#[inline(never)]
unsafe fn chat(from: *const u8) -> (Settings, Model, ChatRequest) {
    const ALL: Layout = Layout::record(&[Settings::LAYOUT, Model::LAYOUT, ChatRequest::LAYOUT]);
    let mut at = Taking(from);
    // SAFETY: the caller's, in their order.
    unsafe {
        let all = (at.take(), at.take(), at.take());
        free(from, ALL, 1);
        all
    }
}

#[unsafe(export_name = "llm:provider/info@0.1.0#get-manifest")]
extern "C" fn get_manifest() -> *const u8 {
    give(crate::manifest::manifest())
}

#[unsafe(export_name = "llm:provider/info@0.1.0#check-settings")]
#[rustfmt::skip]
extern "C" fn check_settings(
    a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32, h: u32, i: u32,
) -> *const u8 {
    give(provider::check(&settings([a, b, c, d, e, f, g, h, i])))
}

#[unsafe(export_name = "llm:provider/catalog@0.1.0#list-models")]
#[rustfmt::skip]
extern "C" fn list_models(
    a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32, h: u32, i: u32,
) -> *const u8 {
    give(provider::list(&settings([a, b, c, d, e, f, g, h, i])))
}

#[unsafe(export_name = "llm:provider/catalog@0.1.0#resolve-model")]
#[rustfmt::skip]
extern "C" fn resolve_model(
    a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32, h: u32, i: u32, id: usize, length: usize,
) -> *const u8 {
    // SAFETY: the host made the text.
    let id = unsafe { String::lift([id, length].as_ptr().cast()) };
    give(provider::resolve(&settings([a, b, c, d, e, f, g, h, i]), &id))
}

#[unsafe(export_name = "llm:provider/chat@0.1.0#start")]
unsafe extern "C" fn start(from: *const u8) -> *const u8 {
    // SAFETY: the host made what is there.
    let (settings, model, request) = unsafe { chat(from) };
    give::<Result<u32, Error>>(ChatStream::start(&settings, &model, &request).map(handle))
}

#[link(wasm_import_module = "[export]llm:provider/chat@0.1.0")]
unsafe extern "C" {
    #[link_name = "[resource-new]chat-stream"]
    fn new(representation: usize) -> u32;
}

/// The host's handle of a stream, which then owns it.
fn handle(stream: ChatStream) -> u32 {
    // SAFETY: the address is of a stream that nothing else owns.
    unsafe { new(Box::into_raw(Box::new(stream)).expose_provenance()) }
}

#[unsafe(export_name = "llm:provider/chat@0.1.0#[dtor]chat-stream")]
unsafe extern "C" fn drop_stream(stream: *mut ChatStream) {
    // SAFETY: made by `handle`; the host drops it once.
    drop(unsafe { Box::from_raw(stream) });
}

#[unsafe(export_name = "llm:provider/chat@0.1.0#[method]chat-stream.next")]
unsafe extern "C" fn next(stream: *mut ChatStream, max: u32) -> *const u8 {
    // SAFETY: made by `handle`, and the component model lets no call in while
    // another is under way.
    give(unsafe { &mut *stream }.next(max))
}

#[unsafe(export_name = "llm:provider/chat@0.1.0#[method]chat-stream.subscribe")]
unsafe extern "C" fn subscribe(stream: *mut ChatStream) -> u32 {
    // SAFETY: as above.
    unsafe { &*stream }.subscribe().take_handle()
}

#[unsafe(export_name = "llm:provider/token-counter@0.1.0#count-tokens")]
unsafe extern "C" fn count_tokens(from: *const u8) -> *const u8 {
    // SAFETY: the host made what is there.
    let (settings, model, request) = unsafe { chat(from) };
    give(provider::count(&settings, &model, &request))
}

#[unsafe(export_name = "llm:provider/health@0.1.0#check-health")]
#[rustfmt::skip]
extern "C" fn check_health(
    a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32, h: u32, i: u32,
) -> *const u8 {
    give(provider::check_health(&settings([a, b, c, d, e, f, g, h, i])))
}
