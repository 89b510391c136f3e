//! An agent's loop: the model asks for a tool, the tool is run, its result goes back, until there is an answer.
//!
//! ```sh
//! cargo run -p provider-host --example tools
//! VLLM_BASE_URL=http://gpu:8000/v1 VLLM_MODEL=Qwen/Qwen3-8B cargo run -p provider-host --example tools
//! ```

use provider_host::mock::{Mock, Options};
use provider_host::route::{Route, Target};
use provider_host::types::{ChatRequest, FinishReason, Message, Tool, ToolCall};
use provider_host::{Engine, EngineOptions, Plugin, Provider};
use serde_json::Value;

/// A model that never stops asking must not keep the loop going.
const MOST_TURNS: usize = 8;

/// JSON Schema of the tool's arguments.
const CITY: &str =
    r#"{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}"#;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mock = Mock::start(Options::default()).await?;
    let base_url = std::env::var("VLLM_BASE_URL").unwrap_or_else(|_| mock.base_url());
    let model = std::env::var("VLLM_MODEL").unwrap_or_else(|_| "mock-model".to_owned());

    let engine = Engine::new(EngineOptions::default())?;
    let plugin = Plugin::embedded(&engine)?;
    let provider = Provider::builder(&plugin)
        .base_url(base_url)
        .api_key(std::env::var("VLLM_API_KEY").unwrap_or_else(|_| "any".to_owned()))
        .build()?;
    // A route tries again where that helps; a provider alone sends once.
    let route = Route::new(Target::new(&provider, model));

    let mut request = ChatRequest::user("Think: weather in Oslo?").with_tool(Tool::new(
        "get_weather",
        "The weather of a city",
        CITY,
    ));
    for _ in 0..MOST_TURNS {
        let answer = route.chat(request.clone()).collect().await?;
        if answer.finish != Some(FinishReason::ToolCalls) {
            println!("{}", answer.text);
            return Ok(());
        }
        request = request.with_message(answer.message());
        for call in &answer.tool_calls {
            let message = match run(call) {
                Ok(result) => Message::tool_result(call, result),
                // The model is told, and may do better.
                Err(why) => Message::tool_error(call, why),
            };
            println!("{}({}) → {message:?}", call.name, call.arguments);
            request = request.with_message(message);
        }
    }
    Err(format!("no answer after {MOST_TURNS} turns").into())
}

/// Runs a tool. Name and arguments are the model's: neither need make sense.
fn run(call: &ToolCall) -> Result<String, String> {
    if call.name != "get_weather" {
        return Err(format!("there is no tool {:?}", call.name));
    }
    let arguments: Value = serde_json::from_str(&call.arguments).map_err(|why| why.to_string())?;
    match arguments["city"].as_str() {
        Some(_) => Ok("18 degrees, sunny".to_owned()),
        None => Err("the argument `city` is missing".to_owned()),
    }
}
