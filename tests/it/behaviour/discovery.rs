//! When a server is asked for its models, and how.

use std::time::{Duration, Instant};

use provider_host::types::{Catalog, CatalogSource, ModelSource};
use serde_json::{Value, json};

use super::answer::Answer;
use super::server::Server;
use super::user::User;

/// A server that lists these rows.
pub(super) async fn rows(rows: Value) -> Server {
    Server::listing(Answer::json(200, &json!({"object": "list", "data": rows}))).await
}

pub(super) fn ids(catalog: &Catalog) -> Vec<&str> {
    catalog
        .models
        .iter()
        .map(|model| model.id.as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_entry_and_key_the_provider_is_off_and_says_why() {
    let catalog = User::of(&json!({})).catalog().await.expect("a catalog");
    assert_eq!(
        (catalog.source, catalog.models),
        (CatalogSource::Disabled, vec![])
    );
    assert_eq!(catalog.notes.len(), 1);
    assert_eq!(catalog.notes[0].code, "provider-disabled");
    assert!(
        catalog.notes[0].message.contains("VLLM_API_KEY"),
        "{:?}",
        catalog.notes
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_entry_a_variable_or_a_profile_has_the_default_address_asked() {
    // What listens at the default address of this machine is not ours to know;
    // an answer and a failure both say which address was asked.
    let file = json!({"version": 1, "profiles": {
        "vllm:default": {"type": "api_key", "provider": "vllm", "key": "k"}}});
    for user in [
        User::of(&json!({})).env("VLLM_API_KEY", "k"),
        User::of(&json!({})).profiles(&file),
    ] {
        let wiring = user.wiring().expect("settings");
        assert_eq!(wiring.resolved.base_url, "http://127.0.0.1:8000/v1");
        match user.catalog().await {
            Ok(catalog) => assert_eq!(catalog.source, CatalogSource::Discovered),
            Err(error) => assert!(
                error
                    .message()
                    .contains("GET http://127.0.0.1:8000/v1/models"),
                "{error:?}"
            ),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_with_models_is_the_list_and_nothing_is_asked() {
    let server = Server::start().await;
    let entry = json!({"baseUrl": server.base_url(), "models": [{"id": "b"}, {"id": "a"}]});
    for user in [
        User::entry(&entry),
        User::entry(&entry).env("VLLM_API_KEY", "k"),
    ] {
        let catalog = user.catalog().await.expect("a catalog");
        assert_eq!(
            (ids(&catalog), &catalog.source),
            (vec!["b", "a"], &CatalogSource::Declared)
        );
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_without_models_has_none_asks_nothing_and_says_so() {
    let server = Server::start().await;
    for models in [None, Some(json!([]))] {
        let mut entry = json!({"baseUrl": server.base_url()});
        if let Some(models) = models {
            entry["models"] = models;
        }
        let user = User::entry(&entry).env("VLLM_API_KEY", "k");
        let catalog = user.catalog().await.expect("a catalog");
        assert_eq!(
            (ids(&catalog), &catalog.source),
            (vec![], &CatalogSource::Declared)
        );
        assert_eq!(catalog.notes[0].code, "no-models-declared");
        let message = &catalog.notes[0].message;
        assert!(
            message.contains("\"vllm/*\"") && message.contains("models.providers.vllm.models"),
            "{message}"
        );
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_wildcard_the_configured_address_is_asked_and_declared_models_override_by_id() {
    let server = rows(json!([
        {"id": "first", "max_model_len": 1_000},
        {"id": "second", "max_model_len": 2_000},
    ]))
    .await;
    let catalog = User::discovering(&server, json!({}))
        .catalog()
        .await
        .expect("models");
    assert_eq!(
        (ids(&catalog), &catalog.source),
        (vec!["first", "second"], &CatalogSource::Discovered)
    );

    let models = json!([
        {"id": "mine"},
        {"id": "first", "name": "Ours", "contextWindow": 500, "reasoning": true},
    ]);
    let user = User::discovering(&server, json!({"models": models}));
    let catalog = user.catalog().await.expect("models");
    assert_eq!(catalog.source, CatalogSource::Merged);
    assert_eq!(ids(&catalog), ["first", "second", "mine"]);
    let first = &catalog.models[0];
    assert_eq!(
        (
            first.name.as_str(),
            first.context_window,
            first.reasoning,
            &first.source
        ),
        ("Ours", 500, true, &ModelSource::Declared)
    );
    assert_eq!(catalog.models[1].source, ModelSource::Discovered);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_is_the_base_without_trailing_slashes_and_with_its_query() {
    let server = Server::start().await;
    let origin = server.origin();
    for (base, target) in [
        ("/v1", "/v1/models"),
        ("/v1/", "/v1/models"),
        ("/v1///", "/v1/models"),
        ("", "/models"),
        ("/", "/models"),
        ("/proxy/v1", "/proxy/v1/models"),
        ("/v1?tenant=a%20b&x=1", "/v1/models?tenant=a%20b&x=1"),
        ("/v1/?tenant=a", "/v1/models?tenant=a"),
    ] {
        let entry = json!({"baseUrl": format!("  {origin}{base}\n")});
        User::discovering(&server, entry)
            .catalog()
            .await
            .unwrap_or_else(|e| panic!("{base}: {e:?}"));
        assert_eq!(server.last().target, target, "{base}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v1_is_never_added_and_a_404_says_that_it_is_missing() {
    let server = Server::listing(Answer::json(404, &json!({"detail": "Not Found"}))).await;
    let entry = json!({"baseUrl": server.origin()});
    let error = User::discovering(&server, entry)
        .catalog()
        .await
        .expect_err("no such page");
    assert_eq!(server.last().target, "/models");
    assert_eq!(
        (&*error.kind_name(), error.status()),
        ("invalid-config", Some(404))
    );
    assert!(error.message().contains("/v1"), "{error:?}");

    // With it the hint would be wrong.
    let error = User::discovering(&server, json!({}))
        .catalog()
        .await
        .expect_err("no such page");
    assert_eq!(error.kind_name(), "invalid-config");
    assert!(!error.message().contains("ends in /v1"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_request_is_a_get_with_accept_key_and_configured_headers() {
    let server = Server::start().await;
    let entry = json!({"headers": {"X-Team": "blue"}, "request": {"headers": {"X-Trace": "1"}}});
    let user = User::discovering(&server, entry).env("VLLM_API_KEY", "key");
    user.catalog().await.expect("models");
    let request = server.last();
    assert_eq!((request.method.as_str(), request.body.len()), ("GET", 0));
    for (name, value) in [
        ("accept", "application/json"),
        ("authorization", "Bearer key"),
        ("x-team", "blue"),
        ("x-trace", "1"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert_eq!(
        request.header_names(),
        [
            "accept",
            "authorization",
            "host",
            "user-agent",
            "x-team",
            "x-trace"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_answer_is_given_up_after_five_seconds() {
    // Neither silence nor a list that drips in for ever is waited for.
    let dripping = (0..100).fold(Answer::status(200), |answer, _| {
        answer.bytes(" ").pause(Duration::from_millis(200))
    });
    for answer in [Answer::status(200).silent(), dripping] {
        let server = Server::listing(answer).await;
        let start = Instant::now();
        let error = User::discovering(&server, json!({}))
            .catalog()
            .await
            .expect_err("no answer");
        let waited = start.elapsed();
        assert_eq!(error.kind_name(), "timeout", "{error:?}");
        assert!(waited >= Duration::from_millis(4_900), "{waited:?}");
        assert!(waited < Duration::from_secs(15), "{waited:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shorter_timeout_of_the_configuration_counts() {
    let server = Server::listing(Answer::status(200).silent()).await;
    let start = Instant::now();
    let user = User::discovering(&server, json!({"timeoutSeconds": 0.5}));
    let error = user.catalog().await.expect_err("no answer");
    assert_eq!(error.kind_name(), "timeout", "{error:?}");
    assert!(
        start.elapsed() < Duration::from_millis(4_500),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_more_than_16_mib_is_a_protocol_error_and_one_below_is_read() {
    let padded = |bytes: usize| {
        let list = json!({"data": [{"id": "m"}]}).to_string();
        let mut body = list.into_bytes();
        body.resize(bytes, b' ');
        Answer::status(200)
            .header("content-type", "application/json")
            .bytes(body)
    };
    const LIMIT: usize = 16 << 20;
    let server = Server::listing(padded(LIMIT)).await;
    let catalog = User::discovering(&server, json!({}))
        .catalog()
        .await
        .expect("models");
    assert_eq!(ids(&catalog), ["m"]);
    let server = Server::listing(padded(LIMIT + 1)).await;
    let error = User::discovering(&server, json!({}))
        .catalog()
        .await
        .expect_err("too much");
    assert_eq!(error.kind_name(), "protocol", "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_are_not_followed() {
    let target = Server::start().await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/models", target.base_url());
        let server = Server::listing(Answer::status(status).header("location", &location)).await;
        let error = User::discovering(&server, json!({}))
            .catalog()
            .await
            .expect_err("elsewhere");
        assert_eq!(
            (&*error.kind_name(), error.status()),
            ("invalid-config", Some(status))
        );
        assert!(error.message().contains(&location), "{error:?}");
    }
    assert_eq!(target.requests().len(), 0);
}
