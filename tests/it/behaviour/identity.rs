//! Who the provider is, and how its models are named.

use provider_host::configuration::ModelReference;
use serde_json::json;

use super::server::Server;
use super::user::User;
use crate::support::{ask, plugin};

#[test]
fn the_manifest_names_id_label_api_key_variable_and_default_address() {
    let manifest = plugin().manifest();
    assert_eq!(
        (&*manifest.id, &*manifest.label, &*manifest.api),
        ("vllm", "vLLM", "openai-completions")
    );
    assert_eq!(manifest.key_variable.as_deref(), Some("VLLM_API_KEY"));
    assert_eq!(
        manifest.default_base_url.as_deref(),
        Some("http://127.0.0.1:8000/v1")
    );
}

#[test]
fn a_reference_is_split_at_its_first_slash_and_its_provider_is_of_any_case() {
    for (text, model) in [
        ("vllm/tiny", "tiny"),
        ("vllm/Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        (" VLLM / Qwen/Qwen3-8B ", "Qwen/Qwen3-8B"),
        ("vLLM/a/b/c", "a/b/c"),
    ] {
        let reference = ModelReference::parse(text, "--model").expect(text);
        assert_eq!(
            (reference.provider(), reference.model()),
            ("vllm", model),
            "{text}"
        );
    }
    for text in ["", "tiny", "/tiny", "vllm/", " / "] {
        ModelReference::parse(text, "--model").expect_err(text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_id_goes_to_the_server_verbatim() {
    let server = Server::start().await;
    for id in [
        "Qwen/Qwen3-8B",
        "org/Team/Model.V1@main",
        "Größe-7B",
        "UPPER lower",
    ] {
        let user = User::declaring(&server, &json!({"id": id}));
        let sent = user.sends(&server, id, &ask("hi")).await.json();
        assert_eq!(sent["model"], id);
    }
}
