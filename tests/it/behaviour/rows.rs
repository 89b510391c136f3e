//! What the rows of a server's list say about its models.

use provider_host::types::{Cost, Modality, Model, ModelSource};
use serde_json::{Value, json};

use super::discovery::{ids, rows};
use super::user::User;

/// The models of a server that lists these rows.
async fn listed(data: Value) -> Vec<Model> {
    let server = rows(data.clone()).await;
    let catalog = User::discovering(&server, json!({})).catalog().await;
    catalog
        .unwrap_or_else(|error| panic!("{data}: {error:?}"))
        .models
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_without_a_usable_id_is_skipped_and_costs_no_other() {
    let server = rows(json!([
        {"id": "a"}, {}, {"id": ""}, {"id": "  "}, {"id": 7}, {"id": null}, null, " ", 1, ["c"],
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
        (
            json!({"max_model_len": "nine", "context_size": 6_000}),
            6_000,
        ),
        (
            json!({"max_model_len": "9000", "context_size": 6_000}),
            9_000,
        ),
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
