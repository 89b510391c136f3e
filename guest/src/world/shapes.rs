//! The shapes of the contract's values: field for field and case for case what
//! `wit/types.wit` says, in its order.
#![allow(unsafe_code, reason = "the border of a component is its memory")]

use alloc::string::String;
use alloc::vec::Vec;

use super::abi::{Layout, Lift, Lists, Lower, Putting, Shape, Taking, bytes};
use crate::health::ServerHealth;
use crate::tokens::TokenCount;
use crate::types::{
    AssistantMessage, Catalog, CatalogSource, ChatRequest, ContentPart, Cost, CostBreakdown, Error,
    ErrorKind, Event, FinishReason, Image, Manifest, Message, Modality, Model, ModelSettings,
    ModelSource, Note, ReasoningEffort, ResponseFormat, Sampling, Settings, Tool, ToolCall,
    ToolChoice, ToolResult, TurnStatus, UsageSource,
};

/// A record: its shape, and that it comes in or goes out.
macro_rules! record {
    ($type:ty { $($field:ident: $of:ty),* $(,)? }) => {
        impl Shape for $type {
            const LAYOUT: Layout = Layout::record(&[$(<$of>::LAYOUT),*]);
        }
    };
    (in $type:ty { $($field:ident: $of:ty),* $(,)? }) => {
        record!($type { $($field: $of),* });
        record!(lift $type { $($field: $of),* });
    };
    (out $type:ty { $($field:ident: $of:ty),* $(,)? }) => {
        record!($type { $($field: $of),* });
        record!(lower $type { $($field: $of),* });
    };
    (in out $type:ty { $($field:ident: $of:ty),* $(,)? }) => {
        record!(in $type { $($field: $of),* });
        record!(lower $type { $($field: $of),* });
    };
    (lift $type:ty { $($field:ident: $of:ty),* }) => {
        impl Lift for $type {
            #[inline(never)]
            unsafe fn lift(from: *const u8) -> Self {
                let mut at = Taking(from);
                // SAFETY: the caller's, and the fields come in their order.
                unsafe { Self { $($field: at.take::<$of>()),* } }
            }
        }
    };
    (lower $type:ty { $($field:ident: $of:ty),* }) => {
        impl Lower for $type {
            #[inline(never)]
            unsafe fn lower(&self, to: *mut u8, lists: &mut Lists) {
                let mut at = Putting(to);
                // SAFETY: the caller's, and the fields come in their order.
                unsafe { $(at.put::<$of>(&self.$field, lists);)* }
            }
        }
    };
}

/// A variant of which the last case alone has a payload: a text.
macro_rules! words {
    (in $type:ty { $($number:literal => $case:path),* ; $other:path }) => {
        impl Shape for $type {
            const LAYOUT: Layout = Layout::variant(&[String::LAYOUT]);
        }
        impl Lift for $type {
            unsafe fn lift(from: *const u8) -> Self {
                // SAFETY: the caller's.
                unsafe {
                    match *from {
                        $($number => $case,)*
                        _ => $other(String::lift(from.wrapping_add(Self::LAYOUT.align))),
                    }
                }
            }
        }
    };
    (out $type:ty { $($number:literal => $case:path),* ; $last:literal => $other:path }) => {
        impl Shape for $type {
            const LAYOUT: Layout = Layout::variant(&[String::LAYOUT]);
        }
        words!(lower $type { $($number => $case),* ; $last => $other });
    };
    (lower $type:ty { $($number:literal => $case:path),* ; $last:literal => $other:path }) => {
        impl Lower for $type {
            unsafe fn lower(&self, to: *mut u8, lists: &mut Lists) {
                // SAFETY: the caller's.
                unsafe {
                    *to = match self {
                        $($case => $number,)*
                        $other(word) => {
                            word.lower(to.wrapping_add(Self::LAYOUT.align), lists);
                            $last
                        }
                    };
                }
            }
        }
    };
}

record!(out Manifest {
    id: String,
    label: String,
    api: String,
    version: String,
    key_variable: Option<String>,
    default_base_url: Option<String>,
    documentation_url: Option<String>,
    config_schema: String,
});
record!(in ModelSettings { id: String, params: String });
record!(in Settings {
    config: Option<String>,
    api_key: Option<String>,
    discover: bool,
    models: Vec<ModelSettings>,
});
record!(out Note { code: String, path: Option<String>, message: String });
words!(in Modality { 0 => Self::Text, 1 => Self::Image; Self::Other });
words!(lower Modality { 0 => Self::Text, 1 => Self::Image; 2 => Self::Other });
record!(in out Cost { input: f64, output: f64, cache_read: f64, cache_write: f64 });
record!(in out Model {
    id: String,
    name: String,
    reasoning: bool,
    input: Vec<Modality>,
    cost: Cost,
    context_window: u32,
    max_tokens: u32,
    parent: Option<String>,
    source: ModelSource,
});
record!(out Catalog { source: CatalogSource, models: Vec<Model>, notes: Vec<Note> });
record!(Image { media_type: String, data: Vec<u8> });
record!(in ToolCall { id: String, name: String, arguments: String });
record!(in AssistantMessage {
    content: Vec<ContentPart>,
    reasoning: Option<String>,
    tool_calls: Vec<ToolCall>,
    status: TurnStatus,
});
record!(in ToolResult {
    call_id: String,
    name: Option<String>,
    content: Vec<ContentPart>,
    is_error: bool,
});
record!(in Tool { name: String, description: Option<String>, parameters: String });
words!(in ToolChoice {
    0 => Self::Auto, 1 => Self::None, 2 => Self::Required; Self::Named
});
record!(in ResponseFormat { name: String, schema: String, strict: Option<bool> });
words!(in ReasoningEffort {
    0 => Self::Off, 1 => Self::Minimal, 2 => Self::Low, 3 => Self::Medium, 4 => Self::High,
    5 => Self::Xhigh; Self::Other
});
record!(in Sampling {
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<i32>,
    min_p: Option<f64>,
    presence_penalty: Option<f64>,
    frequency_penalty: Option<f64>,
    repetition_penalty: Option<f64>,
    seed: Option<i64>,
});
record!(in ChatRequest {
    messages: Vec<Message>,
    tools: Vec<Tool>,
    tool_choice: Option<ToolChoice>,
    parallel_tool_calls: Option<bool>,
    max_tokens: Option<u32>,
    prompt_tokens: Option<u32>,
    sampling: Sampling,
    stop: Vec<String>,
    response_format: Option<ResponseFormat>,
    reasoning: Option<ReasoningEffort>,
    priority: Option<i32>,
    extra: Option<String>,
});
record!(out TokenCount { prompt: u32, context_window: Option<u32> });
record!(out ServerHealth { version: Option<String>, notes: Vec<Note> });
record!(out CostBreakdown {
    input: f64, output: f64, cache_read: f64, cache_write: f64, total: f64,
});
record!(out crate::types::Usage {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    reasoning: Option<u64>,
    total: u64,
    cost: Option<CostBreakdown>,
    source: UsageSource,
});
words!(out FinishReason {
    0 => Self::Stop, 1 => Self::Length, 2 => Self::ToolCalls, 3 => Self::ContentFilter;
    4 => Self::Other
});
words!(out ErrorKind {
    0 => Self::InvalidConfig, 1 => Self::InvalidRequest, 2 => Self::Authentication,
    3 => Self::Permission, 4 => Self::ModelNotFound, 5 => Self::ContextOverflow,
    6 => Self::RateLimited, 7 => Self::Overloaded, 8 => Self::Unreachable, 9 => Self::Timeout,
    10 => Self::Server, 11 => Self::Protocol, 12 => Self::Interrupted, 13 => Self::Cancelled;
    14 => Self::Other
});
record!(out Error {
    kind: ErrorKind,
    message: String,
    status: Option<u16>,
    code: Option<String>,
    retryable: bool,
    retry_after_ms: Option<u64>,
    request_sent: bool,
    limit: Option<u64>,
    requested: Option<u64>,
});

impl Lift for Image {
    unsafe fn lift(from: *const u8) -> Self {
        let mut at = Taking(from);
        // SAFETY: the caller's. Bytes are taken over as they lie, not one by one.
        unsafe {
            Self {
                media_type: at.take(),
                data: bytes(at.0),
            }
        }
    }
}

/// Cases that the contract may add to are few in the core: no `other` goes out,
/// and one that comes in is the nearest of those there are.
macro_rules! source {
    ($type:ty { $($number:literal => $case:path),* }) => {
        impl Shape for $type {
            const LAYOUT: Layout = Layout::variant(&[String::LAYOUT]);
        }
        impl Lower for $type {
            unsafe fn lower(&self, to: *mut u8, _: &mut Lists) {
                // SAFETY: the caller's.
                unsafe { *to = match self { $($case => $number),* } }
            }
        }
    };
}

source!(ModelSource { 0 => Self::Declared, 1 => Self::Discovered });
source!(CatalogSource {
    0 => Self::Disabled, 1 => Self::Declared, 2 => Self::Discovered, 3 => Self::Merged
});
source!(UsageSource { 0 => Self::Final, 1 => Self::Interim });

impl Lift for ModelSource {
    unsafe fn lift(from: *const u8) -> Self {
        // SAFETY: the caller's; case 2 has a text, which is dropped.
        unsafe {
            match *from {
                0 => Self::Declared,
                1 => Self::Discovered,
                _ => {
                    drop(String::lift(from.wrapping_add(Self::LAYOUT.align)));
                    Self::Discovered
                }
            }
        }
    }
}

impl Shape for TurnStatus {
    const LAYOUT: Layout = u8::LAYOUT;
}

impl Lift for TurnStatus {
    unsafe fn lift(from: *const u8) -> Self {
        // SAFETY: the caller's.
        match unsafe { *from } {
            0 => Self::Completed,
            1 => Self::Failed,
            _ => Self::Aborted,
        }
    }
}

impl Shape for ContentPart {
    const LAYOUT: Layout = Layout::variant(&[String::LAYOUT, Image::LAYOUT]);
}

impl Lift for ContentPart {
    unsafe fn lift(from: *const u8) -> Self {
        let payload = from.wrapping_add(Self::LAYOUT.align);
        // SAFETY: the caller's.
        unsafe {
            match *from {
                0 => Self::Text(String::lift(payload)),
                _ => Self::Image(Image::lift(payload)),
            }
        }
    }
}

impl Shape for Message {
    const LAYOUT: Layout = Layout::variant(&[
        String::LAYOUT,
        <Vec<ContentPart>>::LAYOUT,
        AssistantMessage::LAYOUT,
        ToolResult::LAYOUT,
    ]);
}

impl Lift for Message {
    unsafe fn lift(from: *const u8) -> Self {
        let payload = from.wrapping_add(Self::LAYOUT.align);
        // SAFETY: the caller's.
        unsafe {
            match *from {
                0 => Self::System(String::lift(payload)),
                1 => Self::User(Vec::lift(payload)),
                2 => Self::Assistant(AssistantMessage::lift(payload)),
                _ => Self::Tool(ToolResult::lift(payload)),
            }
        }
    }
}

impl Shape for Event {
    const LAYOUT: Layout = Layout::variant(&[
        // The largest are a call's end and the usage; the others fit.
        Layout::record(&[
            u32::LAYOUT,
            String::LAYOUT,
            String::LAYOUT,
            String::LAYOUT,
            bool::LAYOUT,
        ]),
        crate::types::Usage::LAYOUT,
        Note::LAYOUT,
        FinishReason::LAYOUT,
    ]);
}

impl Lower for Event {
    unsafe fn lower(&self, to: *mut u8, lists: &mut Lists) {
        let mut at = Putting(to.wrapping_add(Self::LAYOUT.align));
        // SAFETY: the caller's, and the fields come in their order.
        unsafe {
            *to = match self {
                Self::Start { id, model } => {
                    at.put(id, lists);
                    at.put(model, lists);
                    0
                }
                Self::Text(text) => {
                    at.put(text, lists);
                    1
                }
                Self::Reasoning(text) => {
                    at.put(text, lists);
                    2
                }
                Self::ToolCallStart { index, id, name } => {
                    at.put(index, lists);
                    at.put(id, lists);
                    at.put(name, lists);
                    3
                }
                Self::ToolCallArguments { index, delta } => {
                    at.put(index, lists);
                    at.put(delta, lists);
                    4
                }
                Self::ToolCallEnd {
                    index,
                    id,
                    name,
                    arguments,
                    valid,
                } => {
                    at.put(index, lists);
                    at.put(id, lists);
                    at.put(name, lists);
                    at.put(arguments, lists);
                    at.put(valid, lists);
                    5
                }
                Self::Usage(usage) => {
                    at.put(usage, lists);
                    6
                }
                Self::Note(note) => {
                    at.put(note, lists);
                    7
                }
                Self::Finish(reason) => {
                    at.put(reason, lists);
                    8
                }
            };
        }
    }
}
