//! Corpora as others make them: answers that end in errors, without expectations, of other servers.

use std::path::Path;

use provider_host::check::{Options, Recorded, Report, Verdict};
use provider_host::plugin::EMBEDDED;
use serde_json::json;

use super::{corpus, name, not_passed, recorded, second, suite};

/// A folder of exchanges with an Ollama server.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// The cases of the second provider's corpus that are wanted, without what they decode to.
    fn with_corpus(self, wanted: impl Fn(&str) -> bool) -> Self {
        for case in std::fs::read_dir(corpus()).expect("the corpus") {
            let case = case.expect("a case");
            let own = case.file_name().into_string().expect("a name");
            if !case.path().is_dir() || !wanted(&own) {
                continue;
            }
            for file in ["request.http", "response.raw", "meta.json"] {
                let bytes = std::fs::read(case.path().join(file)).expect("a file");
                self.write(&own, file, &bytes);
            }
        }
        self
    }

    fn write(&self, case: &str, file: &str, bytes: &[u8]) {
        let folder = self.path().join(case);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(file), bytes).expect("a file");
    }

    /// Adds a whole answer with status 200.
    fn with(self, case: &str, request_line: &str, content_type: &str, body: &str) -> Self {
        let request = format!("{request_line} HTTP/1.1\r\nhost: 127.0.0.1:11434\r\n\r\n");
        let response = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.write(case, "request.http", request.as_bytes());
        self.write(case, "response.raw", response.as_bytes());
        self.write(case, "meta.json", br#"{"timing": {"end": "complete"}}"#);
        self
    }

    fn with_chat(self, case: &str, body: &str) -> Self {
        self.with(case, "POST /api/chat", "application/x-ndjson", body)
    }

    fn with_list(self, case: &str, body: &str) -> Self {
        self.with(case, "GET /api/tags", "application/json", body)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    async fn check(&self) -> Vec<Report> {
        let options = Options::default().with_exchanges(recorded(self.path()));
        suite(second(), options).run().await
    }
}

fn report<'a>(reports: &'a [Report], check: &str) -> &'a Report {
    let found = reports.iter().find(|report| name(report.check) == check);
    found.unwrap_or_else(|| panic!("there is no check {check}"))
}

fn failed(reports: &[Report]) -> Vec<String> {
    let failed = |report: &&Report| matches!(report.verdict, Verdict::Failed(_));
    reports
        .iter()
        .filter(failed)
        .map(|report| {
            let reasons = report.verdict.reasons().join("\n    ");
            format!("{}:\n    {reasons}", name(report.check))
        })
        .collect()
}

/// An answer whose error comes in its first half: nothing behind it changes how it ends.
fn early_error() -> String {
    let piece =
        r#"{"model":"llama3.2","message":{"role":"assistant","content":"Hel"},"done":false}"#;
    format!(
        "{piece}\n{{\"error\":\"out of memory\"}}\n{}",
        "\n".repeat(400)
    )
}

#[tokio::test]
async fn recorded_answers_that_end_in_errors_fail_no_provider() {
    let near = r#"{"models":[{"name":"llama3.2","model":"llama3.2"},{"name":"llama3.2x","model":"llama3.2x"}]}"#;
    let folder = Folder::new()
        .with_corpus(|_| true)
        .with_chat("30-error-first", "{\"error\":\"out of memory\"}\n")
        .with_chat("31-error-early", &early_error())
        .with_list("00-tags-error", r#"{"error":"unexpected endpoint"}"#)
        .with_list("04-tags-near", near);
    let reports = folder.check().await;
    let broken = not_passed(&reports, &["chat/expected"]);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test]
async fn where_no_recorded_answer_ends_well_that_is_said_and_nothing_fails() {
    let folder = Folder::new()
        .with_corpus(|case| case == "21-error-in-stream")
        .with_chat("30-error-first", "{\"error\":\"out of memory\"}\n")
        .with_chat("31-error-early", &early_error())
        .with_list("00-tags-error", r#"{"error":"unexpected endpoint"}"#);
    let reports = folder.check().await;
    let broken = failed(&reports);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    for (check, words) in [
        ("chat/grammar", "each recorded answer ended in an error"),
        ("catalog/well-formed", "00-tags-error gave the error"),
    ] {
        let report = report(&reports, check);
        assert_eq!(report.verdict.name(), "skipped", "{report:?}");
        let reason = &report.verdict.reasons()[0];
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(
        report(&reports, "cancel/subscribe").verdict.name(),
        "passed"
    );
}

#[tokio::test]
async fn exchanges_of_another_address_are_told_apart_from_faults() {
    // Another protocol's exchanges: what is asked for, what is recorded, and what to do.
    let reports = suite(second(), Options::default()).run().await;
    let reason = &report(&reports, "chat/grammar").verdict.reasons()[0];
    for words in [
        "POST http://model-server.test/v1/api/chat. ",
        "answered at http://model-server.test/v1, wherever they were recorded",
        "a path that ends in /api/chat",
        "POST /v1/chat/completions at 127.0.0.1:",
        "--corpus",
    ] {
        assert!(reason.contains(words), "{words}: {reason}");
    }

    // An expectation that names the server of the recording, which no message of a check does.
    let folder = Folder::new().with_corpus(|case| case == "20-unknown-model" || case == "01-tags");
    let expected = json!({"events": [], "error": {"message_contains": ["127.0.0.1:11434/api"]}});
    folder.write(
        "20-unknown-model",
        "expected.json",
        expected.to_string().as_bytes(),
    );
    let reports = folder.check().await;
    let reason = &report(&reports, "chat/expected").verdict.reasons()[0];
    for words in [
        "recorded at 127.0.0.1:11434",
        "answers at http://model-server.test/v1",
        "message_contains",
    ] {
        assert!(reason.contains(words), "{words}: {reason}");
    }

    // A request line with the whole URL, as a proxy gets it.
    let folder = Folder::new().with(
        "40-through-a-proxy",
        "GET http://elsewhere.test:1/api/tags",
        "application/json",
        r#"{"models":[{"name":"llama3.2","model":"llama3.2"}]}"#,
    );
    let reports = folder.check().await;
    let report = report(&reports, "catalog/found");
    assert_eq!(report.verdict.name(), "passed", "{report:?}");
}

#[tokio::test]
async fn a_configuration_of_another_server_is_refused_and_of_another_path_taken() {
    let options = |url: &str| {
        let config = json!({ "baseUrl": url });
        Options::default().with_config(config.as_object().expect("an object").clone())
    };
    let error = options("http://127.0.0.1:8000/v1").validate();
    let message = error.expect_err("another server").message().to_owned();
    for words in [
        "baseUrl is http://127.0.0.1:8000",
        "answered at http://model-server.test/v1",
        "Leave baseUrl out",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    // What is wrong with it otherwise is the plugin's to say.
    assert!(options("no url").validate().is_ok());

    let options = options("http://model-server.test/gateway/openai");
    let suite = suite(EMBEDDED, options);
    let wanted = ["chat/grammar", "catalog/found", "chat/cuts"];
    for check in provider_host::check::all().filter(|one| wanted.contains(&&*name(one))) {
        let report = suite.check(check).await;
        assert_eq!(report.verdict.name(), "passed", "{report:?}");
    }
}

#[test]
fn what_a_recording_says_of_itself_is_read_or_refused() {
    for (meta, words) in [
        (
            r#"{"timing": {"end": "exploded"}}"#,
            r#"timing.end is "exploded"; allowed is "complete", "closed", "silent""#,
        ),
        (r#"{"note": ["x"]}"#, r#"note is ["x"]; allowed is a text"#),
        ("{", "it is not JSON"),
    ] {
        let folder = Folder::new().with_corpus(|case| case == "10-text");
        folder.write("10-text", "meta.json", meta.as_bytes());
        let error = Recorded::load(folder.path()).expect_err(meta);
        let message = error.message();
        assert!(message.contains("10-text/meta.json"), "{message}");
        assert!(message.contains(words), "{message}");
    }
}
