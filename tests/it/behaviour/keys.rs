//! Which key goes out, and when none may be missing.

use serde_json::{Value, json};

use super::server::Server;
use super::user::User;
use crate::support::ask;

fn entry(server: &Server, key: Value) -> Value {
    json!({"baseUrl": server.base_url(), "apiKey": key, "models": [{"id": "m"}]})
}

/// The Authorization header of a chat.
async fn authorization(user: &User, server: &Server) -> Option<String> {
    let request = user.sends(server, "m", &ask("hi")).await;
    request.header("authorization").map(str::to_owned)
}

/// A file as OpenClaw writes it, with more in it than keys.
fn profile_file(order: &Value) -> Value {
    json!({
        "version": 1,
        "profiles": {
            "vllm:login": {"type": "oauth", "provider": "vllm", "access": "a", "refresh": "r", "expires": 1},
            "vllm:work": {"type": "token", "provider": "VLLM", "token": " profile-work\r\n"},
            "vllm:default": {"type": "api_key", "provider": "vllm", "key": "profile-default"},
            "openai:default": {"type": "api_key", "provider": "openai", "key": "profile-openai"},
        },
        "order": order,
        "lastGood": {"vllm": "vllm:default"},
        "usageStats": {"vllm:default": {"lastUsed": 1, "errorCount": 0}},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_goes_before_the_variable_and_the_variable_before_the_configuration() {
    let server = Server::start().await;
    let file = profile_file(&json!({}));
    for (profile, variable, configured, sent) in [
        (
            true,
            Some("variable"),
            json!("configured"),
            Some("Bearer profile-default"),
        ),
        (
            true,
            None,
            json!("configured"),
            Some("Bearer profile-default"),
        ),
        (true, None, Value::Null, Some("Bearer profile-default")),
        (
            false,
            Some("variable"),
            json!("configured"),
            Some("Bearer variable"),
        ),
        (
            false,
            Some("variable"),
            Value::Null,
            Some("Bearer variable"),
        ),
        (false, None, json!("configured"), Some("Bearer configured")),
        (
            false,
            Some(" \r\n"),
            json!("configured"),
            Some("Bearer configured"),
        ),
        (false, None, Value::Null, None),
    ] {
        let what = format!("profile {profile}, variable {variable:?}, configured {configured}");
        let mut user = User::entry(&entry(&server, configured));
        if profile {
            user = user.profiles(&file);
        }
        if let Some(key) = variable {
            user = user.env("VLLM_API_KEY", key);
        }
        assert_eq!(
            authorization(&user, &server).await.as_deref(),
            sent,
            "{what}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_file_of_openclaws_shape_gives_the_key_in_its_own_order() {
    let server = Server::start().await;
    for (order, sent) in [
        (json!({}), "Bearer profile-default"),
        (
            json!({"vllm": ["vllm:work", "vllm:default"]}),
            "Bearer profile-work",
        ),
        // A login is no key: the next one is taken.
        (
            json!({"vllm": ["vllm:login", "vllm:work"]}),
            "Bearer profile-work",
        ),
        (
            json!({"openai": ["openai:default"]}),
            "Bearer profile-default",
        ),
    ] {
        let user = User::entry(&entry(&server, Value::Null)).profiles(&profile_file(&order));
        assert_eq!(
            authorization(&user, &server).await.as_deref(),
            Some(sent),
            "{order}"
        );
    }
    // A file without a key for vLLM is no key for vLLM.
    let others = json!({"version": 1, "profiles": {
        "openai:default": {"type": "api_key", "provider": "openai", "key": "profile-openai"}}});
    let user = User::entry(&entry(&server, Value::Null)).profiles(&others);
    assert_eq!(authorization(&user, &server).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_key_is_a_text_or_the_name_of_a_variable() {
    let server = Server::start().await;
    for (configured, sent) in [
        (json!("a literal"), Some("Bearer a literal")),
        (json!("${TEAM_KEY}"), Some("Bearer team")),
        (json!("TEAM_KEY"), Some("Bearer team")),
        (
            json!({"source": "env", "provider": "default", "id": "TEAM_KEY"}),
            Some("Bearer team"),
        ),
        // A word in capitals that names nothing is the key itself.
        (json!("EMPTY"), Some("Bearer EMPTY")),
        // OpenClaw's own mark for "the variable": never the key.
        (json!("VLLM_API_KEY"), None),
        (json!("$${TEAM_KEY}"), Some("Bearer ${TEAM_KEY}")),
    ] {
        let user = User::entry(&entry(&server, configured.clone())).env("TEAM_KEY", "team");
        assert_eq!(
            authorization(&user, &server).await.as_deref(),
            sent,
            "{configured}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_freed_of_line_breaks_and_the_space_around_it() {
    let server = Server::start().await;
    for (key, sent) in [
        ("  key\r\n", Some("Bearer key")),
        ("ke\r\ny", Some("Bearer key")),
        ("\tkey with space ", Some("Bearer key with space")),
        ("", None),
        (" \r\n\t", None),
    ] {
        let user = User::entry(&entry(&server, Value::Null)).env("VLLM_API_KEY", key);
        assert_eq!(
            authorization(&user, &server).await.as_deref(),
            sent,
            "{key:?}"
        );
        let user = User::entry(&entry(&server, json!(key)));
        assert_eq!(
            authorization(&user, &server).await.as_deref(),
            sent,
            "configured {key:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyless_server_on_this_machine_gets_no_authorization() {
    let server = Server::start().await;
    let request = User::declaring(&server, &json!({"id": "m"}))
        .sends(&server, "m", &ask("hi"))
        .await;
    assert_eq!(request.header("authorization"), None);
    let catalog = User::discovering(&server, json!({}))
        .catalog()
        .await
        .expect("models");
    assert_eq!(catalog.models.len(), 1);
    assert_eq!(server.last().header("authorization"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_elsewhere_is_asked_without_a_key_only_where_auth_is_none() {
    // No name below `invalid` exists (RFC 6761): what is tried is not reached.
    for base_url in ["http://vllm.invalid:8000/v1", "https://vllm.invalid/v1"] {
        let entry =
            |auth: Value| json!({"baseUrl": base_url, "auth": auth, "models": [{"id": "m"}]});
        let (_, error) = User::entry(&entry(json!("api-key")))
            .chat("m", &ask("hi"))
            .await;
        let error = error.expect("no key");
        assert_eq!(error.kind_name(), "authentication", "{error:?}");
        assert!(!error.request_sent() && !error.retryable(), "{error:?}");
        for words in ["vllm.invalid", "VLLM_API_KEY", "auth", "none"] {
            assert!(error.message().contains(words), "no {words}: {error:?}");
        }

        let (_, error) = User::entry(&entry(json!("none")))
            .chat("m", &ask("hi"))
            .await;
        assert_eq!(error.expect("no server").kind_name(), "unreachable");
    }
    // Nor is it asked for its models.
    let user = User::of(&json!({
        "models": {"providers": {"vllm": {"baseUrl": "http://vllm.invalid/v1"}}},
        "agents": {"defaults": {"models": {"vllm/*": {}}}},
    }));
    let error = user.catalog().await.expect_err("no key");
    assert_eq!(
        (&*error.kind_name(), error.request_sent()),
        ("authentication", false)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auth_none_sends_no_key_although_there_is_one() {
    let server = Server::start().await;
    let entry = json!({"baseUrl": server.base_url(), "auth": "none", "models": [{"id": "m"}]});
    let user = User::entry(&entry).env("VLLM_API_KEY", "variable");
    assert_eq!(authorization(&user, &server).await, None);
}
