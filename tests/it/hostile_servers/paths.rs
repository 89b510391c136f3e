//! How much of an origin a base URL grants.

use provider_host::configuration::Configuration;
use provider_host::credentials::Profiles;
use provider_host::policy::{BasePath, Grant, Origin};
use provider_host::types::Settings;
use provider_host::{Provider, ProviderOptions, Wiring};
use serde_json::json;

use super::is_whole;
use super::scripted::{Front, Reads, Server, Step, events, with_length};
use crate::support::{ask, model, plugin, run};

async fn honest() -> Server {
    let answer = with_length("text/event-stream", &events(super::ANSWER));
    Server::start(Front::Plain, Reads::Whole, vec![Step::Send(answer.into())]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_url_grants_its_server_and_not_what_lies_beside_it() {
    for (path, granted) in [
        ("/v1", "/"),
        ("", "/"),
        ("/team-a/v1", "/team-a/"),
        ("/team-a/v1/", "/team-a/"),
        ("/team-a", "/team-a/"),
    ] {
        let server = honest().await;
        let base_url = format!("http://{}{path}", server.address);
        let configuration = json!({ "models": { "providers": { "vllm": {
            "baseUrl": base_url, "apiKey": "key", "models": [{ "id": "m" }],
        } } } });
        let configuration = Configuration::parse(&configuration.to_string(), "openclaw.json");
        let nothing = |_: &str| None;
        let wiring = Wiring::new(
            &configuration.expect("a configuration"),
            plugin(),
            &nothing,
            &Profiles::empty(),
        )
        .expect("good settings");
        let grant = wiring.grant().expect("a grant");
        assert_eq!(grant.base_path.to_string(), granted, "{base_url}");
        // The API, and what vLLM has beside it.
        let provider = wiring
            .provider(plugin(), wiring.settings())
            .expect("a provider");
        let (events, error) = run(&provider, &model("m"), &ask("Say hello.")).await;
        assert!(
            error.is_none() && is_whole(&events),
            "{base_url}: {error:?}"
        );
        let health = provider.check_health().await;
        let told = format!("{health:?}");
        assert!(!told.contains("not granted"), "{base_url}: {told}");
        let root = granted.trim_end_matches('/');
        let asked = server.requests();
        assert_eq!(asked.len(), 2, "{asked:?}");
        for request in asked {
            let target = request.split(' ').nth(1).unwrap_or_default();
            assert!(target.starts_with(&format!("{root}/")), "{target}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_asks_beside_the_base_path_is_told_so_and_nothing_is_sent() {
    let server = honest().await;
    let origin = format!("http://{}", server.address);
    let team = BasePath::of_base_url(&format!("{origin}/team-a/v1")).expect("a base URL");
    let grant = Grant::new(Origin::parse(&origin).expect("an origin")).with_base_path(team);
    let settings = Settings::at(&format!("{origin}/team-b/v1")).with_api_key("key");
    let provider =
        Provider::new(plugin(), ProviderOptions::new(settings, grant)).expect("a provider");
    let (_, error) = run(&provider, &model("m"), &ask("Say hello.")).await;
    let error = error.expect("a denial");
    assert!(!error.request_sent() && !error.retryable(), "{error:?}");
    let words = "path `/team-b/v1/chat/completions` is not below the granted `/team-a/`";
    assert!(error.message().contains(words), "{error}");
    assert!(server.requests().is_empty());
}
