//! What the plugin makes of its settings.

use serde_json::json;

use super::Subject;
use super::findings::{Findings, quoted};
use super::subject::told;
use crate::bindings::types::{CatalogSource, Note};
use crate::exercise::{Failure, Reply};

super::checks! { Settings:
    "accepted",
    "The configuration that the suite was given is accepted.",
    "info.check-settings: an `invalid-config` error, or the warnings there are",
    accepted;
    "garbage",
    "A configuration that is no JSON, or of wrong types, is taken or refused as `invalid-config`, in words that name what is wrong.",
    "info.check-settings: an `invalid-config` error that names path, value and what is allowed",
    garbage;
    "garbage-elsewhere",
    "A configuration that can't be used is no other error in `list-models`, `resolve-model` and `start`.",
    "types.error-kind.invalid-config: the settings can't be used; `message` names the path",
    elsewhere;
    "unknown-keys",
    "An unknown key of the configuration is named in a note, or refused by its name.",
    "info.check-settings: the warnings there are (unknown keys with the nearest known name)",
    unknown_keys;
    "notes",
    "Notes have a name in kebab-case and a sentence for people.",
    "types.note: stable machine-readable name in kebab-case; one sentence for people",
    notes;
    "silent",
    "`check-settings` sends nothing.",
    "info: no function here waits, and none sends anything",
    silent;
    "no-key",
    "Where a key is needed and there is none, the error is `authentication` and speaks of the key.",
    "types.error-kind.authentication: no key where one is needed; catalog.resolve-model: the error tells apart why",
    no_key;
    "off",
    "With neither a configuration nor a key nothing is sent that a provider which is off would not send.",
    "types.catalog-source.disabled: the provider is off: no configuration and no credential. A note says what would turn it on",
    off;
}

/// Configurations that are none, and the key that is wrong in them.
fn garbage_of(subject: &Subject) -> Vec<(String, Option<&'static str>)> {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let mut all: Vec<(String, Option<&'static str>)> = [
        "",
        " ",
        "{",
        "}",
        "nonsense",
        "\0",
        "{\"baseUrl\":",
        "{} {}",
        "null",
        "true",
        "1",
        "1e999",
        "\"x\"",
        "[]",
        "{\"\\ud800\": 1}",
        "{\"a\": 1, \"a\": 2}",
        "\u{feff}{}",
    ]
    .into_iter()
    .map(|text| (text.to_owned(), None))
    .collect();
    all.push((deep, None));
    all.push((format!("{{\"x\": {}}}", "9".repeat(50_000)), None));
    let wrong = [
        ("baseUrl", json!(1)),
        ("baseUrl", json!(null)),
        ("baseUrl", json!(["x"])),
        ("baseUrl", json!("no url at all")),
        ("baseUrl", json!("file:///etc/passwd")),
        ("baseUrl", json!("http://")),
        ("baseUrl", json!("http://a b/")),
        ("baseUrl", json!("http://\u{1b}[31m\u{9b}/")),
        ("baseUrl", json!(format!("ftp://{}", "x".repeat(50_000)))),
        ("headers", json!(1)),
        ("headers", json!({"x": {"y": 1}})),
        ("headers", json!({"a b": "c"})),
        ("models", json!(1)),
        ("models", json!([1])),
        ("models", json!([{}])),
        ("models", json!([{"id": 1}])),
        ("models", json!([{"id": "m", "api": "\u{1b}[31m\u{9b}"}])),
        ("models", json!([{"id": "m", "contextWindow": -1}])),
        ("models", json!([{"id": "m", "contextWindow": "many"}])),
    ];
    for (key, value) in wrong {
        let config = subject.configured(&[(key, value)]).config;
        all.push((config.unwrap_or_default(), Some(key)));
    }
    all
}

async fn accepted(subject: &Subject, findings: &mut Findings) {
    let asked = subject.check_settings(&subject.settings()).await;
    let config = subject.settings().config.unwrap_or_default();
    findings.expect(asked.result.is_ok(), &config, || {
        asked.told(|_| String::new())
    });
}

async fn garbage(subject: &Subject, findings: &mut Findings) {
    for (config, key) in garbage_of(subject) {
        let done = format!("check-settings of {}", quoted(&config));
        let asked = subject.check_settings(&subject.settings_of(&config)).await;
        if findings.stopped(&done, asked.failure()) || findings.enough() {
            return;
        }
        let good = match &asked.result {
            Ok(_) => true,
            Err(failure) => is_refusal(failure) && names(failure, subject, key),
        };
        findings.expect(good, &done, || asked.told(|_| String::new()));
    }
}

fn is_refusal(failure: &Failure) -> bool {
    let (message, long) = (&failure.message, 8 << 10);
    failure.kind == "invalid-config"
        && !message.trim().is_empty()
        && !message.contains(char::is_control)
        && message.len() <= long
        && !failure.request_sent
}

/// Whether the message says where: the key that is wrong, or else the provider's entry.
fn names(failure: &Failure, subject: &Subject, key: Option<&str>) -> bool {
    let id = &subject.plugin.manifest().id;
    let says = |what: &str| failure.message.contains(what);
    match key {
        Some(key) => says(key),
        None => says(&format!("models.providers.{id}")) || says("config"),
    }
}

async fn elsewhere(subject: &Subject, findings: &mut Findings) {
    for (config, _) in garbage_of(subject) {
        let settings = subject.settings_of(&config);
        let judged = subject.check_settings(&settings).await;
        if !judged.failure().is_some_and(is_refusal) {
            continue;
        }
        let nothing = || Reply::new(404, "text/plain", "");
        let list = subject.list(&settings, nothing()).await;
        let resolve = subject.resolve(&settings, "a-model", nothing()).await;
        let start = subject.start(&settings).await;
        let calls = [
            ("list-models", list.failure().cloned(), list.requests),
            (
                "resolve-model",
                resolve.failure().cloned(),
                resolve.requests,
            ),
            ("start", start.failure().cloned(), start.requests),
        ];
        for (call, failure, requests) in calls {
            let done = format!("{call} with {}", quoted(&config));
            if findings.stopped(&done, failure.as_ref()) || findings.enough() {
                return;
            }
            let good = failure.as_ref().is_some_and(is_refusal) && requests.is_empty();
            findings.expect(good, &done, || match failure {
                Some(failure) => told(&failure),
                None => "no error".to_owned(),
            });
        }
    }
}

/// A key that no provider has.
const UNKNOWN: &str = "zzUnknownKey";

async fn unknown_keys(subject: &Subject, findings: &mut Findings) {
    let settings = subject.configured(&[(UNKNOWN, json!(1))]);
    let asked = subject.check_settings(&settings).await;
    if findings.stopped("check-settings", asked.failure()) {
        return;
    }
    let good = match &asked.result {
        Ok(notes) => notes.iter().any(|note| {
            let path = note.path.as_deref().unwrap_or_default();
            path.contains(UNKNOWN) || note.message.contains(UNKNOWN)
        }),
        Err(failure) => is_refusal(failure) && failure.message.contains(UNKNOWN),
    };
    let done = format!("a configuration with the key {UNKNOWN}");
    findings.expect(good, &done, || {
        asked.told(|notes| format!("notes: {:?}", codes(notes)))
    });
}

fn codes(notes: &[Note]) -> Vec<&str> {
    notes.iter().map(|note| note.code.as_str()).collect()
}

/// How notes have to be, wherever they come from.
pub(super) fn judge_notes(findings: &mut Findings, done: &str, notes: &[Note]) {
    for note in notes {
        let kebab = |one: char| matches!(one, 'a'..='z' | '0'..='9' | '-');
        let good = !note.code.is_empty()
            && note.code.chars().all(kebab)
            && !note.message.trim().is_empty()
            && !note.message.contains(char::is_control)
            && note.message.len() <= 8 << 10;
        findings.expect(good, done, || {
            format!("the note {:?}: {:?}", note.code, note.message)
        });
    }
}

async fn notes(subject: &Subject, findings: &mut Findings) {
    let hostile = "zz\u{1b}[31m\r\n\u{9b}";
    for settings in [
        subject.settings(),
        subject.configured(&[(UNKNOWN, json!(1))]),
        subject.configured(&[(hostile, json!(1))]),
    ] {
        let asked = subject.check_settings(&settings).await;
        let config = settings.config.unwrap_or_default();
        if findings.stopped(&config, asked.failure()) {
            return;
        }
        if let Ok(notes) = &asked.result {
            judge_notes(findings, &config, notes);
        }
    }
}

async fn silent(subject: &Subject, findings: &mut Findings) {
    let mut without_key = subject.settings();
    without_key.api_key = None;
    let mut nothing = without_key.clone();
    nothing.config = None;
    let odd = subject.settings_of("[]");
    for settings in [subject.settings(), without_key, nothing, odd] {
        let asked = subject.check_settings(&settings).await;
        let config = settings
            .config
            .unwrap_or_else(|| "no configuration".to_owned());
        findings.expect(asked.requests.is_empty(), &config, || {
            format!("{} requests were sent", asked.requests.len())
        });
    }
}

async fn no_key(subject: &Subject, findings: &mut Findings) {
    let mut settings = subject.settings();
    settings.api_key = None;
    let refusal = || Reply::json(401, &json!({"error": "no key was sent"}));
    let list = subject.list(&settings, refusal()).await;
    let resolve = subject.resolve(&settings, "a-model", refusal()).await;
    let calls = [
        ("list-models", list.failure(), list.result.is_ok()),
        ("resolve-model", resolve.failure(), resolve.result.is_ok()),
    ];
    for (call, failure, worked) in calls {
        if worked {
            // It knows its models without its server: nothing that needs a key.
            continue;
        }
        let done = format!("{call} without a key, where the server answers 401");
        if findings.stopped(&done, failure) {
            return;
        }
        let good = failure.is_some_and(|failure| {
            failure.kind == "authentication" && failure.message.to_lowercase().contains("key")
        });
        findings.expect(good, &done, || failure.map_or_else(String::new, told));
    }
}

async fn off(subject: &Subject, findings: &mut Findings) {
    let mut settings = subject.settings();
    settings.config = None;
    settings.api_key = None;
    settings.discover = false;
    let done = "list-models with neither";
    let asked = subject
        .list(&settings, Reply::new(404, "text/plain", ""))
        .await;
    if findings.stopped(done, asked.failure()) {
        return;
    }
    if let Ok(catalog) = &asked.result
        && catalog.source == CatalogSource::Disabled
    {
        let good =
            catalog.models.is_empty() && !catalog.notes.is_empty() && asked.requests.is_empty();
        findings.expect(good, done, || {
            format!(
                "off, with {} models, {} notes and {} requests",
                catalog.models.len(),
                catalog.notes.len(),
                asked.requests.len()
            )
        });
        return;
    }
    findings.expect(asked.requests.len() <= 1, done, || {
        format!("{} requests", asked.requests.len())
    });
}
