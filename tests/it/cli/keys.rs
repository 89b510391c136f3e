//! Keys: stored by `auth`, chosen among three places, put in for variables.

use serde_json::{Value, json};

use super::process::{HEADER_SECRET, Home, KEY, OTHER_KEY, WRONG_KEY};
use super::server::Server;

/// The Authorization header of the latest chat.
fn authorization(server: &Server) -> Option<String> {
    let chats = server.chats();
    let headers = &chats.last().expect("a chat").headers;
    let value = headers.get("authorization")?;
    Some(value.to_str().expect("text").to_owned())
}

fn bearer(key: &str) -> Option<String> {
    Some(format!("Bearer {key}"))
}

#[cfg(unix)]
fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    metadata.permissions().mode() & 0o777
}

#[test]
fn a_key_is_stored_listed_and_removed_and_never_shown() {
    let home = Home::new();
    let outcome = home.run(&["auth", "list"]).exits(0);
    assert!(
        outcome.stdout.contains("no keys are stored"),
        "{outcome:#?}"
    );

    let outcome = home
        .command(&["auth", "set", "VLLM"])
        .input(format!("{KEY}\r\n"))
        .run()
        .exits(0);
    assert!(outcome.stdout.contains("vllm:default"), "{outcome:#?}");
    let stored = std::fs::read_to_string(home.key_file()).expect("the key file");
    let stored: Value = serde_json::from_str(&stored).expect("JSON");
    assert_eq!(
        stored["profiles"]["vllm:default"],
        json!({"type": "api_key", "provider": "vllm", "key": KEY})
    );
    for arguments in [&["auth", "list"][..], &["auth", "list", "vllm"]] {
        let outcome = home.run(arguments).exits(0);
        let shown = outcome.stdout.lines().nth(1).expect("a row");
        assert!(
            shown.contains("vllm:default") && shown.contains("****"),
            "{outcome:#?}"
        );
    }
    let outcome = home.run(&["auth", "list", "acme"]).exits(0);
    assert!(!outcome.stdout.contains("vllm"), "{outcome:#?}");

    home.run(&["auth", "remove", "acme"])
        .exits(2)
        .complains(&["no key for acme"]);
    let outcome = home.run(&["auth", "remove", "vllm"]).exits(0);
    assert!(
        outcome.stdout.contains("removed vllm:default"),
        "{outcome:#?}"
    );
    let left = std::fs::read_to_string(home.key_file()).expect("the key file");
    assert!(!left.contains(KEY));
    home.run(&["auth", "remove", "vllm"]).exits(2);
}

#[test]
#[cfg(unix)]
fn the_key_file_is_its_owners_alone_from_the_start() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.command(&["auth", "set", "vllm"])
        .input(KEY)
        .run()
        .exits(0);
    let file = home.key_file();
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().expect("a directory")), 0o700);

    // One that others can read is told of, and the next write repairs it.
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("permissions");
    home.run(&["auth", "list"]).exits(0).complains(&[
        "warning: ",
        "can be read by others",
        "chmod 600",
    ]);
    home.run(&["models", "list"])
        .complains(&["can be read by others"]);
    home.command(&["auth", "set", "acme"])
        .input(OTHER_KEY)
        .run()
        .exits(0);
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn what_is_no_key_is_not_stored() {
    let home = Home::new();
    for (input, words) in [
        (&b""[..], "the key is empty"),
        (b" \r\n", "the key is empty"),
        (b"a\x07b", "the key is not text"),
        (b"\xff\xfe", "is no text"),
    ] {
        home.command(&["auth", "set", "vllm"])
            .input(input)
            .run()
            .exits(2)
            .complains(&[words]);
    }
    // Behind the provider it is not said back: the run itself looks for that.
    for arguments in [
        &["auth", "set", "vllm", KEY][..],
        &["auth", "set", "vllm", "--", KEY, KEY],
    ] {
        home.command(arguments)
            .input(OTHER_KEY)
            .run()
            .exits(2)
            .complains(&["nothing was stored", "stdin"]);
    }
    assert!(!home.key_file().exists(), "nothing was stored");
}

#[test]
fn a_key_file_that_is_broken_is_not_overwritten() {
    let home = Home::new();
    let broken = format!("{{\"profiles\": {{\"vllm:default\": {{\"key\": \"{KEY}\" ]");
    home.write("config/provider-host/auth-profiles.json", &broken);
    for arguments in [
        &["auth", "set", "vllm"][..],
        &["auth", "list"],
        &["models", "list"],
    ] {
        home.command(arguments)
            .input(OTHER_KEY)
            .run()
            .exits(2)
            .complains(&["auth-profiles.json", "line 1", "repair"]);
    }
    let left = std::fs::read_to_string(home.key_file()).expect("the key file");
    assert_eq!(left, broken);
}

#[test]
fn the_key_is_the_profiles_then_the_variables_then_the_configurations() {
    let server = Server::tiny();
    let mut configuration = server.configuration();
    configuration["models"]["providers"]["vllm"]["apiKey"] = WRONG_KEY.into();
    let home = Home::configured(&configuration);
    let chat = |variable: &str| {
        home.command(&["chat", "hi"])
            .env("VLLM_API_KEY", variable)
            .run()
            .exits(0)
    };
    // (the variable, a profile is stored, the key that is sent)
    for (variable, stored, key) in [
        ("", false, WRONG_KEY),
        (" \n", false, WRONG_KEY),
        (OTHER_KEY, false, OTHER_KEY),
        (OTHER_KEY, true, KEY),
        ("", true, KEY),
    ] {
        if stored {
            home.command(&["auth", "set", "vllm"])
                .input(KEY)
                .run()
                .exits(0);
        }
        let outcome = chat(variable);
        assert_eq!(
            authorization(&server),
            bearer(key),
            "{variable:?}, stored: {stored}"
        );
        // A key that stands in the configuration and is not used is told of.
        let told = outcome
            .stderr
            .contains("models.providers.vllm.apiKey: not used");
        assert_eq!(told, key != WRONG_KEY, "{outcome:#?}");
    }
    home.run(&["auth", "remove", "vllm"]).exits(0);
    chat("");
    assert_eq!(authorization(&server), bearer(WRONG_KEY));
}

#[test]
fn a_configured_key_is_a_text_a_variable_or_the_name_of_one() {
    let server = Server::tiny();
    for (configured, key) in [
        (json!(KEY), bearer(KEY)),
        (json!(format!(" {KEY}\n")), bearer(KEY)),
        (json!("${MY_KEY}"), bearer(OTHER_KEY)),
        (json!("MY_KEY"), bearer(OTHER_KEY)),
        (json!("VLLM_API_KEY"), None),
        (json!("EMPTY"), bearer("EMPTY")),
        (json!(""), None),
        (Value::Null, None),
    ] {
        let mut configuration = server.configuration();
        configuration["models"]["providers"]["vllm"]["apiKey"] = configured.clone();
        let home = Home::configured(&configuration);
        home.command(&["chat", "hi"])
            .env("MY_KEY", OTHER_KEY)
            .run()
            .exits(0);
        assert_eq!(authorization(&server), key, "{configured}");
    }
}

#[test]
fn a_keyless_server_gets_no_authorization() {
    let server = Server::tiny();
    server.home().run(&["chat", "hi"]).exits(0);
    assert_eq!(authorization(&server), None);
    assert!(
        !server
            .requests()
            .iter()
            .any(|r| r.headers.contains_key("authorization"))
    );
}

#[test]
fn variables_are_put_in_where_they_are_used() {
    let server = Server::tiny();
    let mut configuration = server.configuration();
    configuration["models"]["providers"]["vllm"]["headers"] = json!({
        "X-Team": "${TEAM_SECRET}",
        "X-Both": "a ${ONE} and ${TWO}",
        "X-Literal": "$${ONE} stays, and so do $ONE and ${one}",
    });
    configuration["models"]["providers"]["other"] = json!({"apiKey": "${NOT_SET_ANYWHERE}"});
    let home = Home::configured(&configuration);
    home.command(&["chat", "hi"])
        .env("TEAM_SECRET", HEADER_SECRET)
        .env("ONE", "1")
        .env("TWO", "2")
        .run()
        .exits(0);
    for request in server.requests() {
        for (name, value) in [
            ("x-team", HEADER_SECRET),
            ("x-both", "a 1 and 2"),
            ("x-literal", "${ONE} stays, and so do $ONE and ${one}"),
        ] {
            assert_eq!(request.headers[name], value, "{} {}", request.path, name);
        }
    }
    assert_eq!(server.requests().len(), 3, "a list, a count and a chat");
}

#[test]
fn a_variable_that_is_missing_is_named_with_its_place() {
    for (entry, path) in [
        (
            json!({"apiKey": "${NO_KEY}"}),
            "models.providers.vllm.apiKey",
        ),
        (
            json!({"headers": {"X-Team": "a ${NO_KEY}"}}),
            "models.providers.vllm.headers.X-Team",
        ),
        (
            json!({"baseUrl": "http://${NO_KEY}/v1"}),
            "models.providers.vllm.baseUrl",
        ),
    ] {
        let home = Home::configured(&json!({
            "models": {"providers": {"vllm": entry}},
            "agents": {"defaults": {"model": "vllm/tiny"}},
        }));
        for arguments in [&["models", "list"][..], &["chat", "hi"]] {
            home.command(arguments)
                .env("NO_KEY", "")
                .run()
                .exits(2)
                .complains(&["NO_KEY is not set", path]);
        }
    }
}

#[test]
fn a_secret_that_a_header_cannot_carry_is_refused_and_not_shown() {
    let server = Server::tiny();
    let mut configuration = server.configuration();
    configuration["models"]["providers"]["vllm"]["headers"] = json!({"X-Team": "${TEAM_SECRET}"});
    let home = Home::configured(&configuration);
    home.command(&["chat", "hi"])
        .env("TEAM_SECRET", &format!("{HEADER_SECRET}\u{7}"))
        .run()
        .exits(2)
        .complains(&["models.providers.vllm.headers.X-Team", "TEAM_SECRET"]);
    assert_eq!(server.requests().len(), 0);
}
