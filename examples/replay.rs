//! A chat is recorded, and replayed without its server: first at its own speed, then at once.
//!
//! ```sh
//! cargo run -p provider-host --example replay
//! ```

use std::error::Error;
use std::time::Instant;

use provider_host::egress::recording::{Pace, Replay};
use provider_host::mock::{Mock, Options};
use provider_host::types::ChatRequest;
use provider_host::{Answer, Engine, EngineOptions, Plugin, Provider};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new(EngineOptions::default())?;
    let plugin = Plugin::embedded(&engine)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("chat.jsonl");

    let mock = Mock::start(Options {
        rate: Some(50.0),
        ..Options::default()
    })
    .await?;
    let base_url = mock.base_url();
    let recorded = Provider::builder(&plugin)
        .base_url(&base_url)
        .api_key("a key that is not recorded")
        .record(&file)
        .build()?;
    let answer = ask(&recorded).await?;
    drop(mock);
    println!("recorded: {} bytes", std::fs::metadata(&file)?.len());

    for pace in [Pace::Original, Pace::Full] {
        let began = Instant::now();
        let replayed = Provider::builder(&plugin)
            .base_url(&base_url)
            .transport(Replay::open(&file)?.with_pace(pace))
            .build()?;
        assert_eq!(ask(&replayed).await?, answer);
        println!("{pace:?}: {:?} in {:?}", answer.text, began.elapsed());
    }
    Ok(())
}

async fn ask(provider: &Provider) -> provider_host::Result<Answer> {
    let model = provider.resolve_model("mock-model").await?;
    let request = ChatRequest::user("Say hello.");
    provider.chat(&model, &request).await?.collect().await
}
