//! One fault at a time, the check that finds it, and in which words.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use provider_host::check::{Check, Options, Report, Verdict, all};
use serde_json::json;
use tokio::sync::Semaphore;

use super::{corpus, faulty, hostile, name, not_passed, recorded, suite, tight};
use crate::computed::block;

/// Fault of `tests/faulty`, check, words of a reason.
const FAULTS: &[(&str, &str, &str)] = &[
    ("forgets-its-name", "manifest/constant", "Ollama 1"),
    (
        "loops-in-check-settings",
        "settings/accepted",
        "processor time",
    ),
    (
        "traps-in-check-settings",
        "settings/accepted",
        "unreachable",
    ),
    ("shrugs", "settings/garbage", "the error no: no"),
    ("does-not-say-where", "settings/garbage", "a value is wrong"),
    (
        "judges-late",
        "settings/garbage-elsewhere",
        "something is wrong",
    ),
    (
        "ignores-unknown-keys",
        "settings/unknown-keys",
        "zzUnknownKey",
    ),
    ("shouts", "settings/notes", "VERY_IMPORTANT"),
    (
        "asks-in-check-settings",
        "settings/silent",
        "1 requests were sent",
    ),
    ("one-error-for-all", "settings/no-key", "the error server"),
    ("model-without-id", "catalog/well-formed", "has an empty id"),
    (
        "model-without-context",
        "catalog/well-formed",
        "has a context of 0",
    ),
    (
        "model-that-pays",
        "catalog/well-formed",
        "has a price that is negative",
    ),
    ("model-twice", "catalog/well-formed", "twice"),
    ("asks-twice", "catalog/one-request", "2 requests"),
    (
        "one-error-for-all",
        "catalog/typed",
        "expected authentication, came the error server",
    ),
    ("empty-without-a-word", "catalog/empty", "no note"),
    (
        "asks-for-what-is-declared",
        "catalog/declared",
        "1 requests",
    ),
    ("another-entry", "catalog/found", "another entry"),
    (
        "invents-models",
        "catalog/not-found",
        "the model \"no-such-model-zz\"",
    ),
    (
        "never-there",
        "catalog/tells-apart",
        "expected authentication, came the error model-not-found",
    ),
    (
        "finishes-twice",
        "chat/grammar",
        "`finish` came after `finish`",
    ),
    (
        "talks-after-finish",
        "chat/grammar",
        "`text` came after `finish`",
    ),
    ("starts-twice", "chat/grammar", "a second `start`"),
    ("never-starts", "chat/grammar", "came before `start`"),
    (
        "never-finishes",
        "chat/grammar",
        "the answer ended without `finish`",
    ),
    (
        "numbers-from-1",
        "chat/grammar",
        "a tool call numbered 1 where 0 is next",
    ),
    (
        "leaves-calls-open",
        "chat/grammar",
        "while tool call 0 was open",
    ),
    (
        "accounts-twice",
        "chat/grammar",
        "`usage` came after `usage`",
    ),
    ("traps-in-the-middle", "chat/grammar", "unreachable"),
    ("says-something-else", "chat/expected", "HEL"),
    ("more-than-asked", "chat/at-most", "events in one call"),
    (
        "depends-on-the-batch",
        "chat/any-max",
        "next(1) and next(64)",
    ),
    ("speaks-after-the-end", "chat/end", "next gave 1 events"),
    ("waits-in-start", "chat/start", "waiting included"),
    ("shows-the-cuts", "chat/cuts", "in pieces of"),
    ("mends-arguments", "chat/calls", "the whole is \"{}\""),
    ("miscounts", "chat/usage", "its parts are"),
    (
        "makes-up-its-prices",
        "chat/usage",
        "by the model's prices it is",
    ),
    (
        "one-kind-for-all",
        "errors/kinds",
        "expected invalid-request with its status",
    ),
    ("loses-the-status", "errors/kinds", "status None"),
    (
        "always-again",
        "errors/retryable",
        "retryable is Some(true), expected false",
    ),
    (
        "forgets-to-wait",
        "errors/retry-after",
        "expected one of [Some(7000)]",
    ),
    ("parrots", "errors/messages", "a message of 30005 bytes"),
    (
        "passes-escapes-on",
        "errors/messages",
        "hidden characters in the message",
    ),
    (
        "never-sent",
        "errors/no-answer",
        "expected unreachable, not sent",
    ),
    (
        "one-kind-for-all",
        "errors/no-answer",
        "came 0 events and the error server",
    ),
    (
        "takes-a-cut-for-the-end",
        "errors/broken-answer",
        "the last one finish",
    ),
    ("traps-at-a-broken-end", "errors/truncated", "unreachable"),
    (
        "takes-a-cut-for-the-end",
        "errors/garbage",
        "came before `start`",
    ),
    ("holds-on", "cancel/dropped", "still under way"),
    ("holds-on", "cancel/unanswered", "still under way"),
    ("traps-in-subscribe", "cancel/subscribe", "unreachable"),
    ("is-never-ready", "cancel/subscribe", "waiting included"),
    ("never-lets-go", "cancel/ended", "still under way"),
    ("tells-the-time", "state/twice", "\"time\""),
    ("counts-chats", "state/again", "this is chat"),
    (
        "holds-a-grudge",
        "state/after-failure",
        "there was a failure",
    ),
    ("mixes-chats", "state/side-by-side", "beside"),
    ("counts-listings", "state/catalog-again", "another catalog"),
    ("hoards", "limits/large-requests", "memory"),
    (
        "is-slow-with-long-lines",
        "limits/large-answers",
        "processor time",
    ),
    ("asks-everything-twice", "limits/one-exchange", "2 requests"),
    ("takes-any-request", "limits/odd-requests", "1 requests"),
    ("sends-no-key", "limits/key", "no header has the key"),
    (
        "asks-another-server",
        "limits/granted",
        "a request that is not granted",
    ),
    (
        "puts-the-key-into-the-body",
        "limits/granted",
        "a secret is misplaced in the body",
    ),
    (
        "puts-the-key-into-the-url",
        "limits/granted",
        "a secret is misplaced in the path",
    ),
];

/// What is written into the file of the plugin.
struct Edit {
    /// What stands there; the last of it only, which is the custom section's, if `last`.
    from: &'static str,
    /// What is put in its place, with spaces up to its length.
    to: &'static str,
    last: bool,
    check: &'static str,
    words: &'static str,
}

const EDITS: &[Edit] = &[
    Edit {
        from: "wasi:clocks/monotonic-clock@0.2.12",
        to: "wasi:clocks/monotonic-clack@0.2.12",
        last: false,
        check: "manifest/loads",
        words: "`wasi:clocks/monotonic-clack@0.2.12`",
    },
    Edit {
        from: "\"label\": \"Ollama\"",
        to: "\"label\": \"Ohlala\"",
        last: true,
        check: "manifest/same-twice",
        words: "Ohlala",
    },
    Edit {
        from: "\"id\": \"ollama\"",
        to: "\"id\": \"Ollama\"",
        last: false,
        check: "manifest/id",
        words: "Ollama",
    },
    Edit {
        from: "\"version\": \"0.1.0\"",
        to: "\"version\": \"v0.10\"",
        last: false,
        check: "manifest/version",
        words: "v0.10",
    },
    Edit {
        from: "OLLAMA_API_KEY\"",
        to: "OLLAMA API KEY\"",
        last: false,
        check: "manifest/texts",
        words: "OLLAMA API KEY",
    },
    Edit {
        from: "\"http://127.0.0.1:11434\",\n  \"documentation_url\"",
        to: "\"http//:127.0.0.1:11434\", \"documentation_url\"",
        last: false,
        check: "manifest/default-url",
        words: "http//:127",
    },
    Edit {
        from: "{\n    \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",",
        to: "1, \"x\": {",
        last: false,
        check: "manifest/schema",
        words: "the schema: 1",
    },
    Edit {
        from: "without a configuration: none              ",
        to: "without a configuration: off-without-a-word",
        last: false,
        check: "settings/off",
        words: "0 notes",
    },
];

impl Edit {
    fn of(&self, bytes: &[u8]) -> Vec<u8> {
        let (from, mut to) = (self.from.as_bytes(), self.to.as_bytes().to_vec());
        assert!(to.len() <= from.len(), "{} is longer", self.to);
        to.resize(from.len(), b' ');
        let mut edited = bytes.to_vec();
        let starts = |at: &usize| bytes[*at..].starts_with(from);
        let mut places: Vec<usize> = (0..=bytes.len() - from.len()).filter(starts).collect();
        assert!(!places.is_empty(), "{} is not in the file", self.from);
        if self.last {
            places.drain(..places.len() - 1);
        }
        for at in places {
            edited[at..at + from.len()].copy_from_slice(&to);
        }
        edited
    }
}

fn check_named(wanted: &str) -> &'static Check {
    let found = all().find(|check| name(check) == wanted);
    found.unwrap_or_else(|| panic!("there is no check {wanted}"))
}

fn options(fault: &str) -> Options {
    let config = json!({ "fault": fault });
    Options::default()
        .with_exchanges(recorded(&corpus()))
        .with_config(config.as_object().expect("an object").clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_is_found_by_its_check_and_told_in_its_words() {
    let mut missed = Vec::new();
    let mut table = String::from("| fault | found by |\n|---|---|\n");
    let mut row = |fault: &str, report: &Report| {
        let _ = writeln!(table, "| {fault} | `{}` |", name(report.check));
    };
    let few = Arc::new(Semaphore::new(4));
    let mut tried = Vec::new();
    let mut begin = |fault: String,
                     bytes: Vec<u8>,
                     options: Options,
                     check: &'static str,
                     words: &'static str| {
        let few = few.clone();
        let report = tokio::spawn(async move {
            let _one = few.acquire().await;
            suite(&bytes, options).check(check_named(check)).await
        });
        tried.push((fault, check, words, report));
    };
    for (fault, check, words) in FAULTS {
        // Waiting for what never comes is all that takes time here.
        let waits = words.contains("waiting included") || words.contains("under way");
        let patience = Duration::from_secs(if waits { 3 } else { 60 });
        let mut options = options(fault).with_patience(patience);
        if words.contains("processor time") {
            options = options.with_sandbox(tight());
        }
        begin(
            (*fault).to_owned(),
            faulty().to_vec(),
            options,
            check,
            words,
        );
    }
    for edit in EDITS {
        let fault = format!(
            "`{}` in the file",
            edit.to.replace(char::is_whitespace, " ")
        );
        begin(
            fault,
            edit.of(faulty()),
            options(""),
            edit.check,
            edit.words,
        );
    }
    for (fault, check, words, report) in tried {
        let report = report.await.expect("a report");
        let reasons = report.verdict.reasons().join("\n    ");
        let found = matches!(&report.verdict, Verdict::Failed(_)) && reasons.contains(words);
        match found {
            true => row(&fault, &report),
            false => missed.push(format!(
                "{fault}, {check} {}: {reasons}",
                report.verdict.name()
            )),
        }
    }
    assert!(missed.is_empty(), "{}\n{}", missed.len(), missed.join("\n"));
    block("docs/check.md", "faults", &table);
}

/// Attack of `tests/hostile`, function that makes it, check, words of a reason.
const ATTACKS: &[(&str, &str, &str, &str)] = &[
    (
        "endless-loop",
        "check-settings",
        "settings/accepted",
        "processor time",
    ),
    (
        "endless-host-calls",
        "list-models",
        "catalog/one-request",
        "processor time",
    ),
    ("memory", "start", "errors/kinds", "memory"),
    ("recursion", "next", "errors/kinds", "stack"),
    ("trap", "next", "errors/no-answer", "unreachable"),
    ("other-origins", "next", "limits/granted", "not granted"),
    (
        "key-outside-header-values",
        "next",
        "limits/granted",
        "a secret is misplaced in",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hostile_plugin_fails_for_what_it_does() {
    let mut missed = Vec::new();
    for (attack, at, check, words) in ATTACKS {
        let orders = json!({
            "attack": attack, "at": at, "granted": "model-server.test", "other": "example.com:1",
        });
        let options = Options::default()
            .with_config(orders.as_object().expect("an object").clone())
            .with_sandbox(tight());
        let report = suite(hostile(), options).check(check_named(check)).await;
        let reasons = report.verdict.reasons().join("\n    ");
        if !matches!(&report.verdict, Verdict::Failed(_)) || !reasons.contains(words) {
            missed.push(format!(
                "{attack} in {at}, {check} {}: {reasons}",
                report.verdict.name()
            ));
        }
    }
    assert!(missed.is_empty(), "{}\n{}", missed.len(), missed.join("\n"));
}

#[tokio::test]
async fn a_plugin_that_only_looks_like_a_provider_is_found_out() {
    // Without orders the hostile plugin behaves; it answers by heart, and asks no server.
    let options = Options::default().with_sandbox(tight());
    let reports = suite(hostile(), options).run().await;
    let failed = |check: &str| {
        let report = reports.iter().find(|report| name(report.check) == check);
        matches!(
            report.map(|report| &report.verdict),
            Some(Verdict::Failed(_))
        )
    };
    for check in [
        "settings/unknown-keys",
        "errors/kinds",
        "limits/one-exchange",
        "limits/odd-requests",
    ] {
        assert!(failed(check), "{check}: {reports:?}");
    }
}

#[test]
fn each_check_has_a_fault_that_it_finds() {
    let faults = FAULTS.iter().map(|(_, check, _)| *check);
    let found: BTreeSet<&str> = faults.chain(EDITS.iter().map(|edit| edit.check)).collect();
    for check in all() {
        assert!(
            found.contains(name(check).as_str()),
            "{check:?} finds no fault"
        );
    }
}

#[tokio::test]
async fn the_faulty_provider_without_a_fault_has_none() {
    let reports = suite(faulty(), options("")).run().await;
    let broken = not_passed(&reports, &[]);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
