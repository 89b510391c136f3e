//! The parts of `docs/openclaw.md` that are made from what the tests compute.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Compared;
use super::declared::{Difference, WHYS, Why};

/// The tables of requests.
pub(super) fn check(all: &[Compared]) {
    let mut text = String::from(
        "| recording | OpenClaw | sent by OpenClaw | sent by us | points | | differs in |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let (mut equal, mut but_for_headers) = (0, 0);
    for one in all {
        let differences: Vec<_> = one.case.declared().collect();
        let number = one.case.file.split('-').next().expect("a number");
        let ours = |method| one.ours.count(method) as u64;
        let theirs = |method| one.recorded.sent(method);
        let whys: BTreeSet<&str> = differences.iter().map(|d| d.why.id).collect();
        let verdict = verdict(&whys);
        equal += usize::from(verdict == EQUAL);
        but_for_headers += usize::from(verdict == BUT_FOR_HEADERS);
        let _ = writeln!(
            text,
            "| {number} {} | {} | {} | {} | {} | {verdict} | {} |",
            one.case.title,
            one.recorded.text("/release").expect("a release"),
            requests(theirs("GET"), theirs("POST")),
            requests(ours("GET"), ours("POST")),
            one.points,
            order(&whys),
        );
    }
    let _ = writeln!(
        text,
        "\n{} recordings: {equal} equal, {but_for_headers} equal but for header fields, {} different. \
         \"Points\" counts what was compared. Every difference, once:\n\n\
         | field | OpenClaw | we | in | why |\n|---|---|---|---|---|",
        all.len(),
        all.len() - equal - but_for_headers
    );
    for (difference, files) in merged(all) {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            difference.field,
            cell(difference.theirs),
            cell(difference.ours),
            files.join(" "),
            difference.why.id,
        );
    }
    text.push_str("\nAnd why:\n\n| | | asked for in OpenClaw's issues |\n|---|---|---|\n");
    for why in WHYS {
        let _ = writeln!(text, "| {} | {} | {} |", why.id, why.text, issues(why));
    }
    block("requests", &text);
}

const EQUAL: &str = "equal";
const BUT_FOR_HEADERS: &str = "equal but for header fields";

fn verdict(whys: &BTreeSet<&str>) -> &'static str {
    if whys.is_empty() {
        EQUAL
    } else if whys.iter().all(|why| ["headers", "accept"].contains(why)) {
        BUT_FOR_HEADERS
    } else {
        "different"
    }
}

/// Each difference with the numbers of the recordings that have it.
fn merged(all: &[Compared]) -> Vec<(&'static Difference, Vec<&'static str>)> {
    let mut merged: Vec<(&Difference, Vec<&str>)> = Vec::new();
    for one in all {
        let number = one.case.file.split('-').next().expect("a number");
        for d in one.case.declared() {
            let same = |(own, _): &&mut (&Difference, Vec<&str>)| {
                (own.field, own.theirs, own.ours, own.why.id)
                    == (d.field, d.theirs, d.ours, d.why.id)
            };
            match merged.iter_mut().find(same) {
                Some((_, files)) if files.contains(&number) => {}
                Some((_, files)) => files.push(number),
                None => merged.push((d, vec![number])),
            }
        }
    }
    let place = |why: &Why| WHYS.iter().position(|own| own.id == why.id);
    merged.sort_by_key(|(d, _)| place(d.why));
    merged
}

fn requests(get: u64, post: u64) -> String {
    match (get, post) {
        (0, 0) => "nothing".to_owned(),
        (0, post) => format!("{post} POST"),
        (get, 0) => format!("{get} GET"),
        (get, post) => format!("{get} GET, {post} POST"),
    }
}

fn order(ids: &BTreeSet<&str>) -> String {
    let known = WHYS.iter().map(|why| why.id);
    let ids: Vec<_> = known.filter(|id| ids.contains(id)).collect();
    ids.join(", ")
}

fn issues(why: &Why) -> String {
    let numbers: Vec<_> = why.issues.iter().map(|n| format!("#{n}")).collect();
    match numbers.is_empty() {
        true => "–".to_owned(),
        false => numbers.join(", "),
    }
}

/// Text of a table's cell.
fn cell(text: &str) -> String {
    let quoted = [
        "absent",
        "sent",
        "not known",
        "a string",
        "one text part",
        "answer",
    ];
    match quoted.contains(&text) || text.starts_with("error: ") {
        true => text.replace('|', "\\|"),
        false => format!("`{}`", text.replace('|', "\\|")),
    }
}

/// Holds a block of the page against what it must be, or writes it.
pub(super) fn block(name: &str, text: &str) {
    crate::computed::block("docs/openclaw.md", name, text);
}
