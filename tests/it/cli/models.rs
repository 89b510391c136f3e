//! `models list`: as a table, as JSON, and why there are none.

use provider_host::mock::{Model, Options};
use serde_json::{Value, json};

use super::process::{Home, KEY};
use super::server::Server;

/// A server of two models, one of which the configuration declares.
fn mixed() -> (Server, Home) {
    let server = Server::start(Options {
        models: vec![
            Model::new("Qwen/Qwen3-8B", 40_960),
            Model::new("tiny", 4_096),
        ],
        ..Options::default()
    });
    let mut configuration = server.configuration();
    configuration["models"]["providers"]["vllm"]["models"] = json!([{
        "id": "tiny", "name": "Tiny", "input": ["text", "image"], "contextWindow": 2048,
        "maxTokens": 512,
        "cost": {"input": 0.5, "output": 1.5, "cacheRead": 0.25, "cacheWrite": 0.75},
    }]);
    let home = Home::configured(&configuration);
    (server, home)
}

#[test]
fn the_table_has_declared_and_discovered_models_in_columns() {
    let (_server, home) = mixed();
    let outcome = home.run(&["models", "list"]).exits(0);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{outcome:#?}");
    // Each column begins, or ends, at the same place in every line.
    for (title, cells, ends) in [
        ("Model", ["vllm/Qwen/Qwen3-8B", "vllm/tiny"], false),
        ("Name", ["Qwen/Qwen3-8B", "Tiny"], false),
        ("Input", ["text", "text+image"], false),
        ("Context", ["40,960", "2,048"], true),
        ("Max out", ["8,192", "512"], true),
        ("Reasoning", ["yes", "no"], false),
        ("Source", ["discovered", "declared"], false),
    ] {
        let rows = lines[1..].iter().map(|row| {
            let cell = cells
                .iter()
                .find(|cell| row.split("  ").any(|found| found.trim() == **cell));
            let cell = cell.unwrap_or_else(|| panic!("{title} in {row:?}: {outcome:#?}"));
            (*row, *cell)
        });
        let places: Vec<usize> = std::iter::once((lines[0], title))
            .chain(rows)
            .map(|(row, cell)| {
                // Padded, so that `text` is not found in `text+image`.
                let row = format!("  {row}  ");
                let at = row.find(&format!(" {cell} ")).expect("the cell");
                row[..at].chars().count() + if ends { cell.chars().count() } else { 0 }
            })
            .collect();
        assert!(
            places.windows(2).all(|two| two[0] == two[1]),
            "{title}: {places:?} {outcome:#?}"
        );
    }
    assert_eq!(outcome.stderr, "");
}

#[test]
fn the_json_has_the_documented_fields_and_no_others() {
    let (_server, home) = mixed();
    let outcome = home.run(&["models", "list", "--json"]).exits(0);
    let lines = outcome.json_lines();
    let mut listed: Vec<Value> = lines[0]["models"].as_array().expect("models").clone();
    listed.sort_by_key(|model| model["ref"].to_string());
    let expected = json!([
        {"ref": "vllm/Qwen/Qwen3-8B", "id": "Qwen/Qwen3-8B", "name": "Qwen/Qwen3-8B",
         "reasoning": true, "input": ["text"], "context_window": 40_960, "max_tokens": 8_192,
         "cost": {"input": 0.0, "output": 0.0, "cache_read": 0.0, "cache_write": 0.0},
         "source": "discovered"},
        {"ref": "vllm/tiny", "id": "tiny", "name": "Tiny", "reasoning": false,
         "input": ["text", "image"], "context_window": 2_048, "max_tokens": 512,
         "cost": {"input": 0.5, "output": 1.5, "cache_read": 0.25, "cache_write": 0.75},
         "source": "declared"},
    ]);
    assert_eq!(Value::from(listed), expected);
    assert_eq!(lines.len(), 1);
    assert_eq!(
        lines[0].as_object().map(|object| object.len()),
        Some(1),
        "{}",
        lines[0]
    );
}

#[test]
fn a_provider_is_named_in_any_case() {
    let (_server, home) = mixed();
    let all = home.run(&["models", "list"]).exits(0).stdout;
    for id in ["vllm", "VLLM"] {
        let outcome = home.run(&["models", "list", "--provider", id]).exits(0);
        assert_eq!(outcome.stdout, all);
    }
}

#[test]
fn an_empty_list_is_explained_on_stderr() {
    let server = Server::tiny();
    let url = server.base_url();
    let provider = |entry: Value| json!({"models": {"providers": {"vllm": entry}}});
    let cases = [
        (
            "no key and no configuration",
            json!({}),
            &["off", "VLLM_API_KEY"][..],
        ),
        (
            "no models declared",
            provider(json!({"baseUrl": url})),
            &["vllm/*"],
        ),
        (
            "an empty list",
            provider(json!({"baseUrl": url, "models": []})),
            &["vllm/*"],
        ),
    ];
    for (what, configuration, words) in cases {
        let home = Home::configured(&configuration);
        home.run(&["models", "list"]).exits(0).complains(words);
        let outcome = home
            .run(&["models", "list", "--json"])
            .exits(0)
            .complains(words);
        assert_eq!(outcome.json_lines(), [json!({"models": []})], "{what}");
    }
    assert_eq!(server.requests().len(), 0, "nobody was asked");
}

#[test]
fn a_server_that_serves_nothing_is_no_error() {
    let server = Server::start(Options {
        models: Vec::new(),
        ..Options::default()
    });
    let outcome = server.home().run(&["models", "list", "--json"]).exits(0);
    assert_eq!(outcome.json_lines(), [json!({"models": []})]);
    assert!(!outcome.stderr.is_empty(), "an empty list is explained");
}

#[test]
fn a_server_that_does_not_list_its_models_ends_with_1() {
    for (fault, words) in [
        ("refuse", "connection refused"),
        ("unauthorized@models", "Unauthorized"),
        ("html@models", "text/html"),
        ("server-error@models", "500"),
    ] {
        let server = Server::with_faults(&[fault]);
        let outcome = server.home().run(&["models", "list"]).exits(1);
        let told = outcome.stderr.to_lowercase();
        assert!(
            told.contains(&words.to_lowercase()),
            "{fault}: {outcome:#?}"
        );
        assert!(
            outcome.stderr.contains(&server.base_url()),
            "{fault}: {outcome:#?}"
        );
        assert_eq!(outcome.stdout, "", "{fault}");
    }
}

#[test]
fn declared_models_need_no_server() {
    let home = Home::configured(&json!({"models": {"providers": {"vllm":
        {"baseUrl": "http://127.0.0.1:9/v1", "apiKey": KEY, "models": [{"id": "mine"}]}}}}));
    let outcome = home.run(&["models", "list", "--json"]).exits(0);
    assert_eq!(outcome.json_lines()[0]["models"][0]["ref"], "vllm/mine");
}

#[test]
fn the_server_of_base_url_is_asked_with_or_without_a_key_whatever_is_configured() {
    let (server, other) = (Server::guarded(KEY), Server::tiny());
    let url = server.base_url();
    let list = ["models", "list", "--base-url", url.as_str()];
    let empty = Home::new();
    empty.run(&list).exits(1).complains(&["401"]);
    let listed = empty.command(&list).env("VLLM_API_KEY", KEY).run().exits(0);
    assert!(listed.stdout.contains("vllm/"), "{listed:#?}");
    // The flag goes before the variable, and the variable before the file.
    let configured = other.home();
    let run = |arguments: &[&str], variable: &str| {
        let run = configured.command(arguments).env("VLLM_API_KEY", KEY);
        run.env("VLLM_BASE_URL", variable).run()
    };
    run(&list, "http://127.0.0.1:9/v1").exits(0);
    run(&["models", "list"], &url).exits(0);
    assert_eq!(other.requests().len(), 0);
    for (arguments, variable, source) in [
        (
            &["doctor", "--base-url", url.as_str()][..],
            "",
            "from --base-url",
        ),
        (&["doctor"][..], url.as_str(), "from VLLM_BASE_URL"),
        (&["doctor"][..], " ", "from the configuration"),
    ] {
        let outcome = run(arguments, variable);
        assert!(outcome.stdout.contains(source), "{source}: {outcome:#?}");
    }
    let outcome = empty.command(&["doctor"]).env("VLLM_API_KEY", KEY).run();
    assert!(outcome.stdout.contains("from the default"), "{outcome:#?}");
    let models = run(
        &[
            "chat",
            "--base-url",
            &url,
            "--model",
            "vllm/tiny",
            "Say hello.",
        ],
        "",
    );
    assert!(models.exits(0).stdout.contains("Hello"));
}
