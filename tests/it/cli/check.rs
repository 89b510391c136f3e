//! `plugin check`: what scripts rely on.

use provider_host::plugin::EMBEDDED;
use serde_json::json;

use super::process::Home;
use crate::check::{corpus, faulty};

#[test]
fn a_plugin_that_keeps_the_contract_ends_in_0_and_a_json_line_for_each_check() {
    let home = Home::new();
    let file = home.write("p.wasm", EMBEDDED);
    // An unoptimized host, beside other tests, takes longer than one that is installed.
    let arguments = ["plugin", "check", &file, "--json", "--seconds", "1800"];
    let outcome = home.run(&arguments).exits(0);
    let lines = outcome.json_lines();
    let (totals, checks) = lines.split_last().expect("lines");
    assert_eq!(checks.len(), provider_host::check::all().count());
    for (line, check) in checks.iter().zip(provider_host::check::all()) {
        assert_eq!(line["type"], "check");
        assert_eq!(line["group"], check.group.name());
        assert_eq!(line["name"], check.name);
        assert_eq!(line["says"], check.says);
        assert_eq!(line["contract"], check.contract);
    }
    let count = |result: &str| {
        checks
            .iter()
            .filter(|line| line["result"] == result)
            .count()
    };
    let counted = json!({
        "type": "totals", "passed": count("passed"), "failed": 0, "skipped": count("skipped"),
        "not_tried": 0, "complete": true,
    });
    assert_eq!(*totals, counted);
    assert!(count("passed") > 50, "{totals}");
}

#[test]
fn a_fault_ends_in_1_and_its_words_can_drive_no_terminal() {
    let home = Home::new();
    let file = home.write("p.wasm", faulty());
    let entry = json!({"fault": "parrots"});
    let shapes = [
        entry.clone(),
        json!({"models": {"providers": {"ollama": entry}}}),
    ];
    let folder = corpus().display().to_string();
    for shape in shapes {
        let config = home.write("c.json5", format!("// a comment\n{shape}"));
        let arguments = [
            "plugin", "check", &file, "--corpus", &folder, "--config", &config,
        ];
        let outcome = home.run(&arguments).exits(1);
        let lines: Vec<&str> = outcome.stdout.lines().collect();
        let failed = lines
            .iter()
            .position(|line| line.starts_with("failed  errors/messages: "));
        let reason = lines[failed.expect("the check that fails") + 1];
        assert!(reason.contains("a message of 30005 bytes"), "{reason}");
        assert!(!outcome.stdout.contains('\u{1b}'), "{}", outcome.stdout);
        assert!(
            lines.last().expect("totals").ends_with(", 0 skipped"),
            "{lines:?}"
        );
    }
    // What a plugin says of itself is quoted as it is, and shown as what it is.
    let config = home.write("c.json5", json!({"fault": "shouts"}).to_string());
    let arguments = [
        "plugin", "check", &file, "--corpus", &folder, "--config", &config,
    ];
    let outcome = home.run(&arguments).exits(1);
    assert!(
        outcome.stdout.contains("\\u{1b}[31mread this"),
        "{}",
        outcome.stdout
    );
    assert!(!outcome.stdout.contains('\u{1b}'), "{}", outcome.stdout);
}

#[test]
fn what_can_not_be_checked_is_wrong_usage() {
    let home = Home::new();
    let plugin = home.write("p.wasm", EMBEDDED);
    let text = home.write("text.wasm", "#!/bin/sh\n");
    let foreign = home.write("foreign.wasm", b"\0asm\x0d\0\x01\0");
    let list = home.write("list.json", "[]");
    let other = home.write(
        "other.json",
        json!({"models": {"providers": {"x": {}}}}).to_string(),
    );
    let broken = home.write("broken.json", "{");
    let elsewhere = json!({"baseUrl": "http://127.0.0.1:8000/v1"});
    let elsewhere = home.write("elsewhere.json", elsewhere.to_string());
    home.write("odd/case/response.raw", "HTTP/1.1 200 OK\r\n\r\n");
    home.write("odd/case/meta.json", r#"{"timing": {"end": "exploded"}}"#);
    let cases: [(&[&str], &str); 9] = [
        (
            &["plugin", "check", &plugin, "--corpus", "odd"],
            "timing.end is \"exploded\"; allowed is \"complete\"",
        ),
        (
            &["plugin", "check", &plugin, "--config", &elsewhere],
            "elsewhere.json: baseUrl is http://127.0.0.1:8000, and no server is asked",
        ),
        (&["plugin", "check", &text], "not WebAssembly"),
        (&["plugin", "check", &foreign], "llm:provider/provider"),
        (
            &["plugin", "check", "gone.wasm"],
            "could not read the plugin",
        ),
        (
            &["plugin", "check", &plugin, "--corpus", "gone"],
            "recorded exchanges",
        ),
        (
            &["plugin", "check", &plugin, "--config", &list],
            "is a list; allowed is an object",
        ),
        (
            &["plugin", "check", &plugin, "--config", &other],
            "no models.providers.vllm",
        ),
        (
            &["plugin", "check", &plugin, "--config", &broken],
            "broken.json",
        ),
    ];
    for (arguments, words) in cases {
        let outcome = home.run(arguments).exits(2).complains(&[words]);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
    }
}
