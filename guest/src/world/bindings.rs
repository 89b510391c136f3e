//! The contract, as wit-bindgen binds it; WASI's own interfaces come from the
//! `wasip2` crate.
//!
//! Types that are the same in the core are the core's own: what a caller gave
//! is not moved over once more, and what is not written is not compiled.
#![allow(missing_docs, unsafe_code, unreachable_pub, reason = "generated")]

wit_bindgen::generate!({
    path: "../wit",
    world: "llm:provider/provider",
    generate_all,
    with: {
        "llm:provider/types@0.1.0/manifest": crate::types::Manifest,
        "llm:provider/types@0.1.0/model-settings": crate::types::ModelSettings,
        "llm:provider/types@0.1.0/settings": crate::types::Settings,
        "llm:provider/types@0.1.0/note": crate::types::Note,
        "llm:provider/types@0.1.0/modality": crate::types::Modality,
        "llm:provider/types@0.1.0/cost": crate::types::Cost,
        "llm:provider/types@0.1.0/image": crate::types::Image,
        "llm:provider/types@0.1.0/content-part": crate::types::ContentPart,
        "llm:provider/types@0.1.0/tool-call": crate::types::ToolCall,
        "llm:provider/types@0.1.0/turn-status": crate::types::TurnStatus,
        "llm:provider/types@0.1.0/assistant-message": crate::types::AssistantMessage,
        "llm:provider/types@0.1.0/tool-result": crate::types::ToolResult,
        "llm:provider/types@0.1.0/message": crate::types::Message,
        "llm:provider/types@0.1.0/tool": crate::types::Tool,
        "llm:provider/types@0.1.0/tool-choice": crate::types::ToolChoice,
        "llm:provider/types@0.1.0/response-format": crate::types::ResponseFormat,
        "llm:provider/types@0.1.0/reasoning-effort": crate::types::ReasoningEffort,
        "llm:provider/types@0.1.0/sampling": crate::types::Sampling,
        "llm:provider/types@0.1.0/chat-request": crate::types::ChatRequest,
        "llm:provider/types@0.1.0/finish-reason": crate::types::FinishReason,
        "llm:provider/types@0.1.0/cost-breakdown": crate::types::CostBreakdown,
        "llm:provider/types@0.1.0/error-kind": crate::types::ErrorKind,
        "llm:provider/types@0.1.0/error": crate::types::Error,
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
        "wasi:clocks/monotonic-clock@0.2.12": wasip2::clocks::monotonic_clock,
        "wasi:http/types@0.2.12": wasip2::http::types,
        "wasi:http/outgoing-handler@0.2.12": wasip2::http::outgoing_handler,
    },
});

use crate::types::TurnStatus;
use crate::world::provider::Provider;

impl TurnStatus {
    /// What the bindings call to make the value of its number.
    fn _lift(number: u8) -> Self {
        match number {
            0 => Self::Completed,
            1 => Self::Failed,
            _ => Self::Aborted,
        }
    }
}

export!(Provider);
