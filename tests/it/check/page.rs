//! `docs/check.md`: its list of checks is the suite's own.

use std::fmt::Write as _;

use provider_host::check::all;

use crate::computed::block;

#[test]
fn the_page_has_every_check_with_its_place_in_the_contract() {
    let mut text = String::new();
    let mut group = None;
    for check in all() {
        if group != Some(check.group) {
            let gap = if group.is_some() { "\n" } else { "" };
            let _ = writeln!(text, "{gap}### {}\n", check.group.name());
            text.push_str(
                "| check | what has to be so | where the contract says it |\n|---|---|---|\n",
            );
            group = Some(check.group);
        }
        let cell = |words: &str| words.replace('|', "\\|");
        let (says, contract) = (cell(check.says), cell(check.contract));
        let _ = writeln!(text, "| `{}` | {says} | {contract} |", check.name);
    }
    block("docs/check.md", "checks", &text);
}
