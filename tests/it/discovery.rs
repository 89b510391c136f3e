//! Which models there are, and why not.

use std::time::Duration;

use provider_host::mock::{self, Mock, Options};
use provider_host::policy::{Grant, Origin};
use provider_host::types::{CatalogSource, ModelSource, Settings};
use provider_host::{Provider, ProviderOptions};
use serde_json::{Value, json};

use crate::support::plugin;

/// A provider with the given entry of the configuration; the key is no secret
/// here.
fn provider(base_url: &str, config: Option<Value>, key: Option<&str>, discover: bool) -> Provider {
    let settings = Settings {
        config: config.map(|config| config.to_string()),
        api_key: key.map(str::to_owned),
        discover,
        models: Vec::new(),
    };
    let grant = Grant::new(Origin::parse(base_url).expect("an origin"));
    Provider::new(plugin(), ProviderOptions::new(settings, grant)).expect("a provider")
}

async fn mock(faults: &[&str]) -> Mock {
    Mock::start(Options {
        models: vec![
            mock::Model::new("Qwen/Qwen3-8B", 40_960),
            mock::Model::new("tiny", 4_096),
        ],
        api_keys: vec!["right".into()],
        faults: faults.iter().map(|f| f.parse().expect("a fault")).collect(),
        ..Options::default()
    })
    .await
    .expect("a mock")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn discovery_follows_the_table_of_configuration_and_credential() {
    let mock = mock(&[]).await;
    let url = mock.base_url();
    let declared = json!({"baseUrl": url, "models": [{"id": "mine", "contextWindow": 64_000}]});
    let empty = json!({"baseUrl": url, "models": []});
    let bare = json!({"baseUrl": url});
    struct Row {
        what: &'static str,
        entry: Option<Value>,
        key: Option<&'static str>,
        wildcard: bool,
        source: CatalogSource,
        models: &'static [&'static str],
        requests: usize,
    }
    let row = |what, entry, key, wildcard, source, models, requests| Row {
        what,
        entry,
        key,
        wildcard,
        source,
        models,
        requests,
    };
    let key = Some("right");
    let served: &[&str] = &["Qwen/Qwen3-8B", "tiny"];
    let all: &[&str] = &["Qwen/Qwen3-8B", "tiny", "mine"];
    let (off, ours) = (CatalogSource::Disabled, CatalogSource::Declared);
    let (asked, both) = (CatalogSource::Discovered, CatalogSource::Merged);
    let entry = Some(declared);
    let table = [
        row("no entry, no key", None, None, false, off, &[], 0),
        row(
            "declared",
            entry.clone(),
            key,
            false,
            ours.clone(),
            &["mine"],
            0,
        ),
        row(
            "declared, no key",
            entry.clone(),
            None,
            false,
            ours.clone(),
            &["mine"],
            0,
        ),
        row("empty list", Some(empty), key, false, ours.clone(), &[], 0),
        row("no list", Some(bare.clone()), key, false, ours, &[], 0),
        row("wildcard", Some(bare), key, true, asked, served, 1),
        row("wildcard and declared", entry, key, true, both, all, 1),
    ];
    for row in table {
        let what = row.what;
        let before = mock.requests().len();
        let provider = provider(&url, row.entry, row.key, row.wildcard);
        let catalog = provider
            .list_models()
            .await
            .unwrap_or_else(|e| panic!("{what}: {e:?}"));
        let ids: Vec<&str> = catalog.models.iter().map(|m| m.id.as_str()).collect();
        assert_eq!(ids, row.models, "{what}");
        assert_eq!(catalog.source, row.source, "{what}");
        assert_eq!(mock.requests().len() - before, row.requests, "{what}");
        if row.models.is_empty() {
            assert!(!catalog.notes.is_empty(), "{what}: an empty list says why");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_without_an_entry_asks_the_default_server() {
    // The default base URL is fixed, and what listens there is not ours to
    // know: the grant lets the plugin reach another port only, and the refusal
    // shows that the default was asked.
    let provider = provider("http://127.0.0.1:1/v1", None, Some("right"), false);
    let error = provider.list_models().await.expect_err("outside the grant");
    assert!(
        error.message().contains("http://127.0.0.1:8000/v1/models"),
        "{error:?}"
    );
    assert!(!error.request_sent());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discovered_model_has_the_servers_context_and_sane_defaults() {
    let mock = mock(&[]).await;
    let url = mock.base_url();
    let provider = provider(&url, Some(json!({"baseUrl": url})), Some("right"), true);
    let catalog = provider.list_models().await.expect("models");
    let qwen = &catalog.models[0];
    assert_eq!((qwen.context_window, qwen.max_tokens), (40_960, 8_192));
    assert!(qwen.reasoning);
    assert_eq!(qwen.source, ModelSource::Discovered);
    let tiny = &catalog.models[1];
    assert_eq!((tiny.context_window, tiny.max_tokens), (4_096, 4_096));
    assert!(!tiny.reasoning);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_discovery_are_told_apart() {
    for (fault, kind, words) in [
        ("refuse", "unreachable", "connection refused"),
        ("unauthorized@models", "authentication", "Unauthorized"),
        ("html@models", "protocol", ""),
        ("server-error@models", "server", ""),
        ("garbage@models", "protocol", ""),
        ("empty-body@models", "protocol", ""),
        ("huge-body@models", "protocol", ""),
        ("close-before-headers@models", "interrupted", ""),
    ] {
        let mock = mock(&[fault]).await;
        let config = json!({"baseUrl": mock.base_url()});
        let provider = provider(&mock.base_url(), Some(config), Some("right"), true);
        let error = provider.list_models().await.expect_err(fault);
        assert_eq!(error.kind_name(), kind, "{fault}: {error:?}");
        assert!(error.message().contains(words), "{fault}: {error:?}");
        assert!(
            error.message().contains(&mock.base_url()),
            "{fault} names the URL: {error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_is_given_up_after_the_discovery_time() {
    let mock = mock(&["silent@models"]).await;
    let config = json!({"baseUrl": mock.base_url()});
    let provider = provider(&mock.base_url(), Some(config), Some("right"), true);
    let start = std::time::Instant::now();
    let error = provider.list_models().await.expect_err("silence");
    assert_eq!(error.kind_name(), "timeout", "{error:?}");
    assert!(
        start.elapsed() >= Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_model_is_explained_by_its_cause() {
    let up = mock(&[]).await;
    let down = mock(&["refuse"]).await;
    let (url, down_url) = (up.base_url(), down.base_url());
    let (url, down_url) = (url.as_str(), down_url.as_str());
    let entry = |url: &str| Some(json!({"baseUrl": url}));
    let declared = Some(json!({"baseUrl": url, "models": [{"id": "mine"}]}));
    let cases = [
        (
            "no key",
            provider(url, None, None, false),
            "model-not-found",
            "VLLM_API_KEY",
        ),
        (
            "key refused",
            provider(url, entry(url), Some("wrong"), true),
            "authentication",
            "key",
        ),
        (
            "not reachable",
            provider(down_url, entry(down_url), Some("right"), true),
            "unreachable",
            down_url,
        ),
        (
            "not served",
            provider(url, entry(url), Some("right"), true),
            "model-not-found",
            "tiny",
        ),
        (
            "not declared",
            provider(url, declared, Some("right"), false),
            "model-not-found",
            "mine",
        ),
    ];
    for (what, provider, kind, words) in cases {
        let error = provider.resolve_model("tinny").await.expect_err(what);
        assert_eq!(error.kind_name(), kind, "{what}: {error:?}");
        assert!(error.message().contains(words), "{what}: {error:?}");
    }
}
