//! When a server is asked for its models, how, and what its answer means.

use std::time::{Duration, Instant};

use provider_host::types::{Catalog, CatalogSource, Cost, Modality, Model, ModelSource};
use serde_json::{Value, json};

use super::server::{Answer, Server};
use super::user::User;

/// A server that lists these rows.
async fn rows(rows: Value) -> Server {
    Server::listing(Answer::json(200, &json!({"object": "list", "data": rows}))).await
}

/// The models of a server that lists these rows.
async fn listed(data: Value) -> Vec<Model> {
    let server = rows(data.clone()).await;
    let catalog = User::discovering(&server, json!({})).catalog().await;
    catalog
        .unwrap_or_else(|error| panic!("{data}: {error:?}"))
        .models
}

fn ids(catalog: &Catalog) -> Vec<&str> {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_without_a_usable_id_is_skipped_and_costs_no_other() {
    let server = rows(json!([
        {"id": "a"}, {}, {"id": ""}, {"id": "  "}, {"id": 7}, {"id": null}, null, "b", 1, ["c"],
        {"id": "d", "max_model_len": "many", "parent": 5, "root": []}, {"id": " e "},
    ]))
    .await;
    let catalog = User::discovering(&server, json!({}))
        .catalog()
        .await
        .expect("models");
    assert_eq!(ids(&catalog), ["a", "d", "e"]);
    assert!(
        catalog.notes.iter().any(|note| note.code == "rows-skipped"),
        "{:?}",
        catalog.notes
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_is_kept_and_the_first_of_equal_ids_stands() {
    let models = listed(json!([
        {"id": "z", "max_model_len": 1}, {"id": "a", "max_model_len": 2},
        {"id": "z", "max_model_len": 3}, {"id": "M", "max_model_len": 4},
        {"id": "m", "max_model_len": 5},
    ]))
    .await;
    let found: Vec<_> = models
        .iter()
        .map(|m| (m.id.as_str(), m.context_window))
        .collect();
    assert_eq!(found, [("z", 1), ("a", 2), ("M", 4), ("m", 5)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discovered_row_has_its_id_as_name_and_costs_nothing() {
    let models = listed(json!([{"id": "org/model", "object": "model", "created": 1,
        "owned_by": "vllm", "root": "org/model", "parent": null, "max_model_len": 40_960,
        "permission": [{"id": "modelperm-1"}]}]))
    .await;
    assert_eq!(
        models,
        [Model {
            id: "org/model".into(),
            name: "org/model".into(),
            reasoning: false,
            input: vec![Modality::Text],
            cost: Cost {
                input: 0.0,
                output: 0.0,
                cache_read: 0.0,
                cache_write: 0.0
            },
            context_window: 40_960,
            max_tokens: 8_192,
            parent: None,
            source: ModelSource::Discovered,
        }]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_context_is_the_first_positive_number_of_the_row_then_of_its_parent() {
    let base = json!({"id": "base", "max_model_len": 7_000});
    for (row, window) in [
        (json!({"max_model_len": 1_000}), 1_000),
        (json!({"context_length": 2_000}), 2_000),
        (json!({"context_window": 3_000}), 3_000),
        (json!({"context_size": 4_000}), 4_000),
        (
            json!({"context_size": 4, "context_window": 3, "context_length": 2, "max_model_len": 1}),
            1,
        ),
        (
            json!({"max_model_len": null, "context_length": 5_000}),
            5_000,
        ),
        (
            json!({"max_model_len": 0, "context_window": -1, "context_size": 6_000}),
            6_000,
        ),
        (json!({"max_model_len": "9", "context_size": 6_000}), 6_000),
        (json!({"max_model_len": 2_000.9}), 2_000),
        (json!({}), 128_000),
        (json!({"max_model_len": null}), 128_000),
        // An adapter has the context of what it was made from.
        (json!({"parent": "base", "max_model_len": null}), 7_000),
        (json!({"parent": "base", "max_model_len": 500}), 500),
        (json!({"parent": "nobody"}), 128_000),
        // Of its direct parent: no further.
        (json!({"parent": "adapter"}), 128_000),
    ] {
        let mut row = row;
        row["id"] = json!("m");
        let adapter = json!({"id": "adapter", "parent": "base"});
        let models = listed(json!([row, adapter, base])).await;
        assert_eq!(models[0].context_window, window, "{row}");
        assert_eq!(models[0].max_tokens, window.min(8_192), "{row}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thinking_and_seeing_are_told_by_the_family_of_a_model() {
    for (id, reasoning, sees) in [
        ("Qwen/Qwen3-8B", true, false),
        ("Qwen/Qwen3-30B-A3B-Thinking-2507", true, false),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", false, false),
        ("Qwen/Qwen2.5-7B-Instruct", false, false),
        ("Qwen/Qwen2.5-VL-7B-Instruct", false, true),
        ("deepseek-ai/DeepSeek-R1", true, false),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", true, false),
        ("deepseek-ai/DeepSeek-V3", false, false),
        ("deepseek-ai/DeepSeek-V3.1", true, false),
        ("openai/gpt-oss-120b", true, false),
        ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B", true, false),
        ("zai-org/GLM-4.6", true, false),
        ("zai-org/GLM-4.5V", true, true),
        ("moonshotai/Kimi-K2-Thinking", true, false),
        ("moonshotai/Kimi-K2-Instruct", false, false),
        ("mistralai/Magistral-Small-2506", true, false),
        ("google/gemma-3-27b-it", false, true),
        ("meta-llama/Meta-Llama-3-8B-Instruct", false, false),
        ("mistralai/Pixtral-12B-2409", false, true),
        // Words count whole, OpenClaw's too.
        ("lab/model-r1", true, false),
        ("lab/model-r10", false, false),
        ("lab/my-reasoning-7b", true, false),
        ("lab/unthinkable-7b", false, false),
        ("lab/seasoning-7b", false, false),
        ("lab/deep-think", true, false),
    ] {
        let models = listed(json!([{"id": id}])).await;
        assert_eq!(models[0].reasoning, reasoning, "{id} thinks");
        assert_eq!(
            models[0].input.contains(&Modality::Image),
            sees,
            "{id} sees"
        );
        assert!(models[0].input.contains(&Modality::Text), "{id} reads");
    }
    // A name of one's own does not hide what was loaded.
    let models = listed(json!([{"id": "assistant", "root": "Qwen/Qwen3-8B"}])).await;
    assert!(models[0].reasoning);
}
