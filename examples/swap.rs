//! An agent keeps its slot while plugin and settings are replaced behind it: in the middle of an answer, refused, and back.
//!
//! ```sh
//! cargo run -p provider-host --example swap
//! ```

use provider_host::mock::{Mock, Options};
use provider_host::plugin::EMBEDDED;
use provider_host::registry::{Offered, Registry};
use provider_host::types::{ChatRequest, Event};
use provider_host::{Engine, EngineOptions, Plugin, Provider};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mock = Mock::start(Options {
        rate: Some(50.0),
        ..Options::default()
    })
    .await?;
    let other = Mock::start(Options::default()).await?;
    let engine = Engine::new(EngineOptions::default())?;
    let plugin = Plugin::embedded(&engine)?;
    let server = |mock: &Mock| {
        let builder = Provider::builder(&plugin).base_url(mock.base_url());
        builder.api_key("any").options()
    };
    let registry = Registry::new();
    let vllm = registry.serve(&plugin, server(&mock)?)?;

    let model = vllm.resolve_model("mock-model").await?;
    let mut chat = vllm
        .chat(&model, &ChatRequest::user("Count to 20."))
        .await?;
    // The first piece has come: what follows happens in the middle of the answer.
    let first = chat.next_batch(1).await?;
    assert!(!first.is_empty());

    // The same component with a section more, as a newer build would be. `watch` does this for a file or a folder.
    let newer = [EMBEDDED, b"\0\x06\x04note!"].concat();
    match vllm.offer_bytes(newer).await? {
        Offered::Serving(new) => println!("generation {} serves", new.generation),
        _ => println!("it served already"),
    }
    match vllm
        .offer_bytes(EMBEDDED.get(..1_000).unwrap_or_default())
        .await
    {
        Ok(_) => return Err("half a component serves".into()),
        Err(refusal) => println!("{refusal}"),
    }
    // Another server, for whatever is asked from now on.
    vllm.configure(server(&other)?).await?;

    while let Some(event) = chat.next_event().await? {
        if let Event::Text(text) = event {
            print!("{text}");
        }
    }
    println!();

    vllm.roll_back()?; // the first server again
    let status = vllm.status();
    println!(
        "generation {} serves; {:?}",
        status.serving.number, status.counters
    );
    Ok(())
}
