//! `demo`: the whole path with no server, no key and no configuration.
//!
//! A mock vLLM starts in this process; everything between it and the screen is
//! what a real chat goes through: the plugin in its sandbox, the egress layer,
//! the contract's events.

mod swap;

use std::io::Write as _;

use provider_host::configuration::Configuration;
use provider_host::credentials::Profiles;
use provider_host::mock::{Mock, Model, Options};
use provider_host::{Plugin, Provider, Wiring, types};

use super::answer::Answer;
use super::arguments::Arguments;
use super::failure::{Failure, Status};
use super::opened::{self, environment};
use super::screen::Screen;
use super::terminal::{BOLD, DIM, escaped};
use super::{amount, models, request, terminal};

/// The key of the mock server. It guards nothing.
const KEY: &str = "demo-key-that-the-plugin-never-sees";
const MODEL: &str = "Qwen/Qwen3-8B";
/// Slow enough to be seen, in tokens per second.
const RATE: f64 = 25.0;

/// Runs the command.
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<Status> {
    tokio::select! {
        biased;
        outcome = show(arguments) => outcome.map(|()| Status::Done),
        _ = tokio::signal::ctrl_c() => Err(Failure::interrupted().into()),
    }
}

async fn show(arguments: &Arguments) -> anyhow::Result<()> {
    let mock = Mock::start(Options {
        api_keys: vec![KEY.to_owned()],
        models: vec![
            Model::new(MODEL, 40_960),
            Model::new("openai/gpt-oss-20b", 131_072),
        ],
        rate: Some(RATE),
        ..Options::default()
    })
    .await
    .map_err(|error| {
        Failure::failed("host", format!("could not start the mock server: {error}"))
    })?;
    heading("1. A server", "a mock vLLM, in this process")?;
    say(&format!(
        "It listens on {} and wants a key.",
        mock.base_url()
    ))?;

    heading("2. The plugin", "a WebAssembly component, in a sandbox")?;
    let engine = opened::engine()?;
    // The demo's key and server are its own: a plugin gains nothing by its id.
    let plugin = opened::plugin(&engine, arguments)?.with_approved_id();
    let wired = wire(&mock, &plugin)?;
    let provider = wired.provider(&plugin, wired.settings())?;
    introduce(&plugin, &wired)?;

    heading("3. Discovery", "GET /v1/models, sent by the plugin")?;
    let catalog = provider.list_models().await?;
    models::table(&plugin.manifest().id, &catalog.models).write(&mut anstream::stdout())?;

    let model = provider.resolve_model(MODEL).await?;
    heading("4. A chat", "thinking, then the answer, as it comes")?;
    chat(
        &provider,
        &model,
        &request::of_prompt("Think: what is 2 + 2?"),
        "Think: what is 2 + 2?",
    )
    .await?;

    heading("5. A tool call", "the model asks for the weather")?;
    let mut request = request::of_prompt("Think: weather in Oslo?");
    request.tools.push(weather_tool());
    chat(&provider, &model, &request, "Think: weather in Oslo?").await?;

    heading(
        "6. A hot swap",
        "a newer plugin, in the middle of an answer",
    )?;
    swap::show(arguments, &plugin, wired.options(wired.settings())?, &model).await?;

    heading("7. What the plugin could not do", "the sandbox")?;
    explain(&mock, &wired)?;
    heading("Next", "with a vLLM of your own")?;
    say("  VLLM_API_KEY=any provider-host models list")?;
    say("  VLLM_API_KEY=any provider-host chat --model vllm/MODEL \"Say hello.\"")?;
    say("  provider-host doctor")
}

/// The settings of somebody who configured the mock server.
fn wire(mock: &Mock, plugin: &Plugin) -> anyhow::Result<Wiring> {
    let id = &plugin.manifest().id;
    let configuration = serde_json::json!({
        "models": {"providers": {id: {"baseUrl": mock.base_url()}}},
        "agents": {"defaults": {"models": {format!("{id}/*"): {}}}},
    });
    let configuration = Configuration::parse(&configuration.to_string(), "the demo")?;
    let mut profiles = Profiles::empty();
    profiles.set(id, KEY)?;
    Ok(Wiring::new(
        &configuration,
        plugin,
        &environment,
        &profiles,
    )?)
}

fn introduce(plugin: &Plugin, wired: &Wiring) -> anyhow::Result<()> {
    let manifest = plugin.manifest();
    let digest = plugin.digest().get(..16).unwrap_or_default();
    let how = if plugin.from_cache() {
        "from the compile cache"
    } else {
        "compiled just now"
    };
    say(&format!(
        "{} {}, sha256 {digest}…, {how}.",
        manifest.label, manifest.version
    ))?;
    let origin = wired.origin()?;
    say(&format!(
        "It may send HTTP to {}://{} and nowhere else. It has no files, no environment,",
        origin.scheme().as_str(),
        origin.authority()
    ))?;
    say("no sockets, no processes, and its memory and time are bounded.")?;
    say(&format!(
        "The key it is given: {}",
        wired.resolved.settings.api_key.as_deref().unwrap_or("none")
    ))
}

async fn chat(
    provider: &Provider,
    model: &types::Model,
    request: &types::ChatRequest,
    prompt: &str,
) -> anyhow::Result<()> {
    writeln!(anstream::stdout(), "{BOLD}>{BOLD:#} {prompt}")?;
    // Everything in one stream: the order is the story here.
    let (mut out, mut aside) = (anstream::stdout(), anstream::stdout());
    let is_terminal = terminal::stdout_is_terminal();
    let mut screen = Screen::new((&mut out, is_terminal), &mut aside);
    let mut answer = Answer::whole();
    let mut chat = provider.chat(model, request).await?;
    loop {
        let batch = chat.next_batch(64).await?;
        if batch.is_empty() {
            break;
        }
        for event in &batch {
            answer.add(event);
        }
        screen.show(&batch)?;
    }
    Ok(screen.account(&answer, model)?)
}

fn explain(mock: &Mock, wired: &Wiring) -> anyhow::Result<()> {
    let placeholder = wired.resolved.settings.api_key.as_deref().unwrap_or("none");
    let requests = mock.requests();
    let received = requests
        .last()
        .and_then(|request| request.headers.get("authorization"))
        .and_then(|value| value.to_str().ok())
        .unwrap_or("nothing");
    say(&format!(
        "The plugin wrote     authorization: Bearer {placeholder}"
    ))?;
    say(&format!("The server received  authorization: {received}"))?;
    say("The host put the key in on the way out, for this server only: a plugin that")?;
    say("prints, keeps or sends away its \"key\" gives away nothing.")?;
    say(&format!(
        "{} requests, each in a sandbox of its own that is gone now.",
        amount::count(requests.len() as u64)
    ))
}

fn weather_tool() -> types::Tool {
    types::Tool {
        name: String::from("get_weather"),
        description: Some(String::from("The weather in a city")),
        parameters: serde_json::json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city"],
        })
        .to_string(),
    }
}

fn heading(title: &str, what: &str) -> anyhow::Result<()> {
    Ok(writeln!(
        anstream::stdout(),
        "\n{BOLD}{title}{BOLD:#} {DIM}· {what}{DIM:#}"
    )?)
}

fn say(text: &str) -> anyhow::Result<()> {
    // A plugin's manifest has words in it.
    for line in text.lines() {
        writeln!(anstream::stdout(), "{}", escaped(line))?;
    }
    Ok(())
}
