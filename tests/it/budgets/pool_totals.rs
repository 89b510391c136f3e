//! Each total of the engine's pool is that of `max_chats` chats, all of components that have as much as one may have. So a
//! plugin's needs are never what another plugin's chat lacks.
//!
//! The components are the hostile plugin, which behaves when nothing is ordered, with modules added to it.

use provider_host::policy::limits::{INSTANCES, TABLE_ELEMENTS, TABLES};
use provider_host::policy::{Grant, Origin};
use provider_host::types::Settings;
use provider_host::{Chat, Engine, EngineOptions, ErrorKind, Plugin, Provider, ProviderOptions};
use wasmparser::{Parser, Payload};

use crate::hostile::file;
use crate::support::{ask, model, text};

const CHATS: u32 = 6;

/// What an added module has.
const EMPTY: &str = "(module)";

fn engine() -> Engine {
    let mut options = EngineOptions::default();
    options.max_chats = CHATS;
    Engine::new(options).expect("an engine")
}

/// How many core instances and tables the plugin has by itself.
fn own() -> (usize, usize) {
    let bytes = std::fs::read(file()).expect("the plugin's file");
    let (mut instances, mut tables) = (0, 0);
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.expect("a component") {
            Payload::InstanceSection(section) => {
                instances += section
                    .into_iter()
                    .filter(|one| matches!(one, Ok(wasmparser::Instance::Instantiate { .. })))
                    .count();
            }
            Payload::TableSection(section) => tables += section.count() as usize,
            _ => {}
        }
    }
    (instances, tables)
}

/// The plugin with a module added, instantiated so often.
fn with(engine: &Engine, module: &str, times: usize) -> provider_host::Result<Plugin> {
    let bytes = std::fs::read(file()).expect("the plugin's file");
    let module = wat::parse_str(module).expect("a module");
    Plugin::from_bytes(engine, &crate::hostile::added(&bytes, &module, times))
}

fn tables(count: usize, elements: usize) -> String {
    format!(
        "(module {})",
        format!("(table {elements} funcref)").repeat(count)
    )
}

fn provider(plugin: &Plugin) -> Provider {
    let origin = Origin::parse("http://127.0.0.1:9/v1").expect("an origin");
    let options = ProviderOptions::new(Settings::new("{}"), Grant::new(origin));
    Provider::new(plugin, options).expect("a provider")
}

async fn begin(provider: &Provider) -> provider_host::Result<Chat> {
    provider.chat(&model("m"), &ask("Hello.")).await
}

async fn ends_well(mut chat: Chat) {
    let events = chat.next_batch(64).await.expect("events");
    assert_eq!(text(&events), "Hello.\n");
}

/// As many chats as there may be, of these plugins in turn; one more is refused, and all of them work.
async fn fill(plugins: &[&Plugin]) {
    let providers: Vec<_> = plugins.iter().map(|plugin| provider(plugin)).collect();
    let mut chats = Vec::new();
    for (number, provider) in (0..CHATS).zip(providers.iter().cycle()) {
        let chat = begin(provider).await;
        chats.push(chat.unwrap_or_else(|error| panic!("chat {number}: {error:?}")));
    }
    for provider in &providers {
        let error = begin(provider).await.expect_err("no place");
        assert_eq!(error.kind(), &ErrorKind::Overloaded, "{error:?}");
        assert!(error.message().contains("max_chats"), "{error}");
    }
    for chat in chats {
        ends_well(chat).await;
    }
    for provider in &providers {
        ends_well(begin(provider).await.expect("there is a place again")).await;
    }
}

#[tokio::test]
async fn each_chat_has_a_place_for_as_many_instances_as_a_component_may_have() {
    let (engine, (instances, _)) = (engine(), own());
    let honest = Plugin::from_file(&engine, file()).expect("a plugin");
    let thirteen = with(&engine, EMPTY, 13 - instances).expect("a plugin");
    let most = with(&engine, EMPTY, INSTANCES - instances).expect("a plugin");
    fill(&[&thirteen]).await;
    fill(&[&most]).await;
    fill(&[&most, &honest]).await;
}

#[tokio::test]
async fn each_chat_has_a_place_for_as_many_tables_as_a_component_may_have() {
    let (engine, (_, own)) = (engine(), own());
    let honest = Plugin::from_file(&engine, file()).expect("a plugin");
    let two_more = with(&engine, &tables(2, 1), 1).expect("a plugin");
    let most = with(&engine, &tables(TABLES - own, TABLE_ELEMENTS), 1).expect("a plugin");
    let in_modules = with(&engine, &tables(1, 1), TABLES - own).expect("a plugin");
    fill(&[&two_more]).await;
    fill(&[&most]).await;
    fill(&[&in_modules]).await;
    fill(&[&most, &honest]).await;
}

/// What has no place in the pool is the plugin's doing, and known before it runs.
#[tokio::test]
async fn a_component_that_needs_more_than_a_place_has_is_refused_when_it_is_loaded() {
    let (engine, (instances, own)) = (engine(), own());
    let globals = "(global (mut i64) (i64.const 1))".repeat(20_000);
    for (what, module, times) in [
        (
            "core module instances",
            EMPTY.to_owned(),
            INSTANCES + 1 - instances,
        ),
        ("tables", tables(TABLES + 1 - own, 1), 1),
        ("tables", tables(1, 1), TABLES + 1 - own),
        ("table", tables(1, TABLE_ELEMENTS + 1), 1),
        ("memories", "(module (memory 1))".to_owned(), 1),
        ("instance", format!("(module {globals})"), 1),
        // Each of these fits by itself.
        (
            "instance",
            format!("(module {})", &globals[..globals.len() / 4]),
            5,
        ),
        ("gc", "(module (type (struct)))".to_owned(), 1),
        ("", "(module (memory 1 1 shared))".to_owned(), 1),
    ] {
        let error = with(&engine, &module, times)
            .err()
            .unwrap_or_else(|| panic!("{what}: loaded"));
        assert_eq!(error.kind(), &ErrorKind::InvalidPlugin, "{what}: {error:?}");
        assert!(error.message().contains(what), "{what}: {error}");
    }
}

/// A grant may give less than a place has. That is the plugin's limit, never the host's.
#[tokio::test]
async fn a_grant_that_gives_less_is_a_limit_of_the_sandbox() {
    let engine = engine();
    let plugin = with(&engine, EMPTY, 2).expect("a plugin");
    let origin = Origin::parse("http://127.0.0.1:9/v1").expect("an origin");
    let limits = provider_host::policy::SandboxLimits::new().with_instances(1);
    let options =
        ProviderOptions::new(Settings::new("{}"), Grant::new(origin)).with_sandbox(limits);
    let provider = Provider::new(&plugin, options).expect("a provider");
    for _ in 0..2 * CHATS {
        let error = begin(&provider).await.expect_err("too many instances");
        assert_eq!(error.kind(), &ErrorKind::PluginLimit, "{error:?}");
    }
    // None of those has kept a place.
    fill(&[&plugin]).await;
}
