//! The least there is: a question, and its answer as it comes.
//!
//! ```sh
//! cargo run -p provider-host --example minimal
//! VLLM_BASE_URL=http://gpu:8000/v1 VLLM_API_KEY=sk-… VLLM_MODEL=Qwen/Qwen3-8B cargo run -p provider-host --example minimal
//! ```

use provider_host::mock::{Mock, Options};
use provider_host::types::{ChatRequest, Event};
use provider_host::{Engine, EngineOptions, Plugin, Provider};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Without a server of yours, one that stands in for it.
    let mock = Mock::start(Options::default()).await?;
    let base_url = std::env::var("VLLM_BASE_URL").unwrap_or_else(|_| mock.base_url());
    let api_key = std::env::var("VLLM_API_KEY").unwrap_or_else(|_| "any".to_owned());
    let model = std::env::var("VLLM_MODEL").unwrap_or_else(|_| "mock-model".to_owned());

    let engine = Engine::new(EngineOptions::default())?;
    let plugin = Plugin::embedded(&engine)?; // or Plugin::from_file(&engine, path)
    let provider = Provider::builder(&plugin)
        .base_url(base_url)
        .api_key(api_key) // stays here: the plugin is given what stands for it
        .build()?;

    let model = provider.resolve_model(&model).await?;
    let request = ChatRequest::user("Say hello.");
    let mut chat = provider.chat(&model, &request).await?; // dropping it cancels
    while let Some(event) = chat.next_event().await? {
        if let Event::Text(text) = event {
            print!("{text}");
        }
    }
    println!();
    Ok(())
}
