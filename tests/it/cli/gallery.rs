//! Every failure that a user can meet, as the user meets it: the program is run
//! as a process against a server that goes wrong in one way, and what it prints
//! is compared with `docs/errors.md`, word for word.
//!
//! The document is the review: whoever changes a sentence sees it there among
//! its neighbours. `UPDATE_DOCS=1 cargo test -p provider-host --test it gallery`
//! writes it anew; what changed is then read as prose and committed.

pub(super) mod canned;
mod configuration;
mod doctor;
mod faults;
mod keys;
mod models;
mod network;
mod plugins;
mod recorded;
mod scene;
mod terminal;
mod usage;

use std::path::Path;
use std::sync::Mutex;

use scene::{Case, Shown};

/// Processes at once: most of them wait.
const AT_ONCE: usize = 4;

const PREFACE: &str = "\
# Errors, and what to do about them

What `provider-host` says when something is wrong: each failure of `chat`, `models list`, `doctor`, `auth` and
`plugin` that is known, with the command, what it prints and the exit status (1: the provider or the server refused
or failed; 2: wrong usage or configuration). An `error:` says what happened, and to which URL, file or setting; a
`hint:` says what to do now.

`cargo test -p provider-host --test it gallery` runs every command below and compares; `UPDATE_DOCS=1` in its
environment writes this page anew. Chats are not retried here (`--max-retries 0`). Ports are shown as `PORT`, the
user's home as `~`, durations and digests as `TIME` and `DIGEST`; the words after an operating system's error differ
between systems.
";

struct Group {
    title: &'static str,
    about: &'static str,
    cases: Vec<Case>,
}

fn groups() -> Vec<Group> {
    let group = |title, about, cases| Group {
        title,
        about,
        cases,
    };
    vec![
        group(
            "Usage",
            "What is typed is checked before anything is sent.",
            usage::cases(),
        ),
        group(
            "Configuration",
            "The file's line and column, or the path of the setting, comes first.",
            configuration::cases(),
        ),
        group("Keys", "No message shows a key.", keys::cases()),
        group(
            "Models",
            "Why a model is not there has five causes, and each wants something else done.",
            models::cases(),
        ),
        group(
            "Network",
            "Between this machine and the server.",
            network::cases(),
        ),
        group(
            "Servers that fail",
            "The faults of `provider-host mock --fault NAME`, one after the other.",
            faults::cases(),
        ),
        group(
            "Requests that a real vLLM refused",
            "Recorded answers of vLLM 0.32.0 and 0.11.0 (`tests/fixtures/vllm`), replayed.",
            recorded::cases(),
        ),
        group(
            "Plugin files",
            "A file is judged before any of it runs.",
            plugins::cases(),
        ),
        group(
            "Doctor",
            "One line a check: `ok`, `warning`, `failed` or `skipped`. After the first two, only warnings and \
             failures are shown here.",
            doctor::cases(),
        ),
        group(
            "Text of servers",
            "Control characters of a server never reach a terminal by way of a message.",
            terminal::cases(),
        ),
    ]
}

#[test]
#[cfg_attr(
    not(target_os = "linux"),
    ignore = "the operating system's words in the document are those of Linux"
)]
fn every_failure_reads_as_documented() {
    let mut text = String::from(PREFACE);
    let groups = groups();
    let heads: Vec<(usize, &str, &str)> = groups
        .iter()
        .map(|group| (group.cases.len(), group.title, group.about))
        .collect();
    let mut shown = run(groups.into_iter().flat_map(|group| group.cases).collect()).into_iter();
    for (count, title, about) in heads {
        text.push_str(&format!("\n## {title}\n\n{about}\n"));
        for shown in shown.by_ref().take(count) {
            text.push_str(&shown.markdown());
        }
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &text).expect("the document can be written");
        return;
    }
    let documented = std::fs::read_to_string(&file).unwrap_or_default();
    let differs: Vec<String> = difference(&documented, &text);
    assert!(
        differs.is_empty(),
        "docs/errors.md does not say what the program says; UPDATE_DOCS=1 rewrites it:\n{}",
        differs.join("\n")
    );
}

/// Runs the cases, some at a time, and keeps their order.
fn run(cases: Vec<Case>) -> Vec<Shown> {
    let mut shown: Vec<Option<Shown>> = Vec::new();
    shown.resize_with(cases.len(), || None);
    let shown = Mutex::new(shown);
    let queue = Mutex::new(cases.into_iter().enumerate());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("the queue").next();
                    let Some((index, case)) = next else { return };
                    let outcome = case.run();
                    shown.lock().expect("the outcomes")[index] = Some(outcome);
                }
            });
        }
    });
    let shown = shown.into_inner().expect("the outcomes");
    shown.into_iter().flatten().collect()
}

/// The lines that only one of two texts has, with the heading they stand under.
fn difference(old: &str, new: &str) -> Vec<String> {
    let sections = |text: &str| -> Vec<(String, String)> {
        text.split("\n### ")
            .map(|section| {
                let (head, body) = section.split_once('\n').unwrap_or((section, ""));
                (head.to_owned(), body.to_owned())
            })
            .collect()
    };
    let (old, new) = (sections(old), sections(new));
    let mut out = Vec::new();
    for (sign, these, those) in [("-", &old, &new), ("+", &new, &old)] {
        for section in these.iter().filter(|section| !those.contains(section)) {
            out.push(format!("{sign} ### {}\n{}", section.0, section.1));
        }
    }
    if out.is_empty() && old != new {
        out.push("the order of the sections".to_owned());
    }
    out
}
