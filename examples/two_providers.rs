//! Two providers in one agent, each a plugin of its own: vLLM, and Ollama as `tests/second` implements it.
//!
//! They share an engine and nothing else: each has its own sandbox, server, key and connections. A route leads from one to
//! the other.
//!
//! ```sh
//! cargo build --profile component -p second-provider --target wasm32-unknown-unknown --target-dir target/component
//! cargo run -p provider-host --example two_providers -- target/component/wasm32-unknown-unknown/component/second_provider.wasm
//! ```
//!
//! With a URL behind the file a real Ollama is asked. Without a file the second plugin is the built-in one once more, for another server.

use std::error::Error;
use std::path::PathBuf;

use provider_host::exercise::{Reply, Script, Wire};
use provider_host::mock::{FaultKind, Mock, Options};
use provider_host::route::{RetryPolicy, Route, Step, Target};
use provider_host::types::{ChatRequest, Event};
use provider_host::{Engine, EngineOptions, Plugin, Provider};
use serde_json::json;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    run(arguments.next().map(PathBuf::from), arguments.next()).await
}

pub(crate) async fn run(file: Option<PathBuf>, url: Option<String>) -> Result<(), Box<dyn Error>> {
    let mock = Mock::start(Options::default()).await?;
    let other = Mock::start(Options::default()).await?;
    let engine = Engine::new(EngineOptions::default())?;

    let vllm = Plugin::embedded(&engine)?;
    let vllm = Provider::builder(&vllm)
        .base_url(mock.base_url())
        .api_key("the key of the first server")
        .build()?;
    let second = match &file {
        None => {
            let plugin = Plugin::embedded(&engine)?;
            let builder = Provider::builder(&plugin).base_url(other.base_url());
            builder.api_key("the key of the second server").build()?
        }
        Some(file) => {
            let plugin = Plugin::from_file(&engine, file)?;
            // A plugin does not choose its server: the host names it, also where a script answers.
            let local = "http://127.0.0.1:11434";
            let builder = Provider::builder(&plugin).base_url(url.as_deref().unwrap_or(local));
            match url {
                Some(_) => builder.build()?,
                None => builder.transport(ollama()).build()?,
            }
        }
    };

    let mut targets = Vec::new();
    for provider in [&vllm, &second] {
        let catalog = provider.list_models().await?;
        let model = catalog.models.first().ok_or("the server has no model")?;
        let target = Target::new(provider, &model.id);
        let answer = Route::new(target.clone()).chat(ChatRequest::user("Say hello."));
        println!("{}: {}", target.reference(), answer.collect().await?.text);
        targets.push(target);
    }

    // The first has no room just now: the second answers.
    mock.set_faults([FaultKind::Overloaded.into()])?;
    let [first, second] = targets.try_into().map_err(|_| "two targets")?;
    let never = RetryPolicy::default().with_max_retries(0);
    let route = Route::new(first).or(second).with_retries(never);
    let mut chat = route.chat(ChatRequest::user("Say hello."));
    loop {
        let steps = chat.next_batch(64).await?;
        if steps.is_empty() {
            break;
        }
        for step in steps {
            match step {
                Step::Fallback(step) => println!("{} gives way to {}", step.model, step.to),
                Step::Event(Event::Text(text)) => print!("{text}"),
                _ => {}
            }
        }
    }
    println!();
    Ok(())
}

/// An Ollama in memory, as far as this example asks for it.
fn ollama() -> Wire {
    let line = |text: &str| {
        let message = json!({"role": "assistant", "content": text});
        json!({"model": "llama3.2", "message": message, "done": false}).to_string() + "\n"
    };
    let end = json!({"model": "llama3.2", "message": {"role": "assistant", "content": ""},
        "done": true, "done_reason": "stop", "prompt_eval_count": 26, "eval_count": 3});
    let lines = format!("{}{}{end}\n", line("Hello from "), line("Ollama."));
    let chat = Reply::new(200, "application/x-ndjson", lines);
    let tags = json!({"models": [{"name": "llama3.2", "model": "llama3.2"}]});
    let script = Script::new().with_other(Reply::json(200, &tags));
    // The last reply is given again and again.
    Wire::new(script.with_chat(chat))
}
