//! Attacks that were reported from outside, each with the words in which it ends today.
//!
//! One module for each reported kind, numbered as in the table `reported` of `docs/attacks.md`. The
//! tests of a module make its attacks and compare what came of them with its rows by [`ended`], so a
//! row of the page is what a run gives. All tests of kind 2:
//! `cargo test -p provider-host --test it -- reported::n02`.

mod n01_key_destination;
mod n02_bound_secrets;
mod n03_settings;
mod n04_desync;
mod n05_paths;
mod n06_headers;
mod n07_trust_file;
mod n08_rollback;
mod n09_terminal;
mod n10_recordings;
mod n11_compile_child;
mod n12_files;
mod wire;

use std::path::Path;

/// A reported attack and how it ends.
struct Attack {
    /// The number of its kind and a letter, such as `2b`.
    number: &'static str,
    /// What is attempted, as a noun phrase.
    attempt: &'static str,
    /// Words of the refusal, or of the harmless outcome. [`ended`] looks for them.
    ends: &'static str,
    /// The function that makes the attack, in the module of its kind.
    test: &'static str,
}

/// The kinds: number, module and rows.
const KINDS: &[(&str, &str, &[Attack])] = &[
    ("1", "n01_key_destination", n01_key_destination::ATTACKS),
    ("2", "n02_bound_secrets", n02_bound_secrets::ATTACKS),
    ("3", "n03_settings", n03_settings::ATTACKS),
    ("4", "n04_desync", n04_desync::ATTACKS),
    ("5", "n05_paths", n05_paths::ATTACKS),
    ("6", "n06_headers", n06_headers::ATTACKS),
    ("7", "n07_trust_file", n07_trust_file::ATTACKS),
    ("8", "n08_rollback", n08_rollback::ATTACKS),
    ("9", "n09_terminal", n09_terminal::ATTACKS),
    ("10", "n10_recordings", n10_recordings::ATTACKS),
    ("11", "n11_compile_child", n11_compile_child::ATTACKS),
    ("12", "n12_files", n12_files::ATTACKS),
];

/// Compares the outcome of an attack with its row.
///
/// # Panics
///
/// There is no row `number`, or `outcome` does not contain the words of its `ends`.
#[track_caller]
fn ended(number: &str, outcome: &str) {
    let mut rows = KINDS.iter().flat_map(|(_, _, rows)| rows.iter());
    let row = rows
        .find(|row| row.number == number)
        .unwrap_or_else(|| panic!("no row {number} in the table of reported attacks"));
    assert!(
        outcome.contains(row.ends),
        "attack {number} ({}) must end in {:?}, and ended in: {outcome}",
        row.attempt,
        row.ends
    );
}

#[test]
fn the_page_lists_each_reported_attack_and_the_test_that_makes_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/it/reported");
    let mut table = String::from(
        "| attack | attempt | how it ends | command: `cargo test -p provider-host --test it --` … |\n|---|---|---|---|\n",
    );
    for (kind, module, rows) in KINDS {
        let source = std::fs::read_to_string(folder.join(format!("{module}.rs")))
            .unwrap_or_else(|error| panic!("{module}: {error}"));
        assert!(!rows.is_empty(), "kind {kind} has no rows");
        for row in *rows {
            let letter = row.number.strip_prefix(kind).unwrap_or_default();
            assert!(
                letter.len() == 1 && letter.as_bytes()[0].is_ascii_lowercase(),
                "{} is not a number of kind {kind} and a letter",
                row.number
            );
            assert!(
                source.contains(&format!("fn {}(", row.test)),
                "{module} has no test {}",
                row.test
            );
            // Once as the row itself, and once more where its outcome is compared: with the number, or
            // in a loop over the rows.
            let body = source
                .split_once(&format!("fn {}(", row.test))
                .expect("the test")
                .1;
            let body = body.split_once("\n}\n").map_or(body, |(body, _)| body);
            assert!(
                body.contains("number")
                    || source.matches(&format!("\"{}\"", row.number)).count() > 1,
                "{module} never compares row {} with an outcome",
                row.number
            );
            let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
            table.push_str(&format!(
                "| {} | {} | {} | `reported::{module}::{}` |\n",
                row.number,
                cell(row.attempt),
                cell(row.ends),
                row.test
            ));
        }
    }
    crate::computed::block("docs/attacks.md", "reported", &table);
}
