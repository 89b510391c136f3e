//! `docs/behaviour.md`, read as data: its rules, and the tests that they name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A rule of the page.
#[derive(Debug, Default)]
struct Rule {
    /// A letter for the section and a number, such as `C7`.
    id: String,
    /// Its text and the names behind it, as one line.
    text: String,
}

impl Rule {
    /// The paths of the tests that it names.
    fn tests(&self) -> impl Iterator<Item = &str> {
        let quoted = self.text.split('`').skip(1).step_by(2);
        quoted.filter(|word| word.contains("::") && !word.contains(' '))
    }

    /// What stands before the first test.
    fn sentence(&self) -> &str {
        let end = self
            .tests()
            .next()
            .and_then(|test| self.text.find(&format!("`{test}`")));
        self.text[..end.unwrap_or(self.text.len())].trim()
    }
}

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rules of a page, in order: items of a list that begin with a bold id.
fn rules(page: &str) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        if let Some(item) = line.strip_prefix("- **") {
            let (id, text) = item
                .split_once("**")
                .unwrap_or_else(|| panic!("no id: {line}"));
            rules.push(Rule {
                id: id.to_owned(),
                text: text.trim().to_owned(),
            });
            inside = true;
        } else if line.starts_with("  ") && inside {
            let rule = rules.last_mut().expect("a rule");
            rule.text.push(' ');
            rule.text.push_str(line.trim());
        } else {
            inside = false;
        }
    }
    rules
}

/// The text of the module that `path` names below a crate's root: the file of
/// the longest beginning that is one, which must have the rest inline.
fn module(path: &[&str]) -> Option<String> {
    let (name, modules) = path.split_first()?;
    let (folder, top) = match *name {
        "it" => ("tests/it", "main.rs"),
        "recorded" => ("tests/guest", "recorded.rs"),
        "provider_host" => ("host/src", "lib.rs"),
        "vllm_provider" => ("guest/src", "lib.rs"),
        _ => return None,
    };
    let folder = root().join(folder);
    for length in (0..=modules.len()).rev() {
        let (files, inline) = modules.split_at(length);
        let file = match files.split_last() {
            None => folder.join(top),
            Some((last, parents)) => {
                let parent = parents
                    .iter()
                    .fold(folder.clone(), |path, name| path.join(name));
                parent.join(format!("{last}.rs"))
            }
        };
        if file.is_file() {
            let text = read(&file);
            let all = inline
                .iter()
                .all(|name| text.contains(&format!("mod {name} {{")));
            return all.then_some(text);
        }
    }
    None
}

/// Whether `text` has a test of that name.
fn has_test(text: &str, name: &str) -> bool {
    tests(text).any(|test| test == name)
}

/// The names of the tests of a file: functions under an attribute that says so.
fn tests(text: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    text.lines().map(str::trim).filter_map(move |line| {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            return None;
        }
        let function = line
            .strip_prefix("async ")
            .unwrap_or(line)
            .strip_prefix("fn ")?;
        let name = function.split('(').next()?;
        std::mem::take(&mut is_test).then_some(name)
    })
}

/// Whether there is such a test, such as `it::replay::name`.
pub(crate) fn exists(test: &str) -> bool {
    let path: Vec<&str> = test.split("::").collect();
    let Some((name, modules)) = path.split_last() else {
        return false;
    };
    module(modules).is_some_and(|text| has_test(&text, name))
}

/// What is wrong with a page.
fn mistakes(page: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut before: Option<(char, u32)> = None;
    for rule in rules(page) {
        let id = &rule.id;
        let mut letters = id.chars();
        let letter = letters.next().unwrap_or('?');
        let number = letters.as_str().parse::<u32>().unwrap_or(0);
        let expected = match before {
            Some((last, number)) if last == letter => number + 1,
            _ => 1,
        };
        if number != expected {
            mistakes.push(format!("{id} stands where {letter}{expected} must"));
        }
        before = Some((letter, number));
        if rule.sentence().is_empty() {
            mistakes.push(format!("{id} says nothing"));
        }
        if rule.tests().next().is_none() {
            mistakes.push(format!("{id} names no test"));
        }
        for test in rule.tests().filter(|test| !exists(test)) {
            mistakes.push(format!("{id} names {test}, which is not there"));
        }
    }
    mistakes
}

fn page() -> String {
    read(&root().join("docs/behaviour.md"))
}

/// Every heading of the page is one of a section's own or below one.
pub(super) const SECTIONS: [&str; 10] = [
    "Identity",
    "Configuration",
    "Discovery",
    "Request",
    "Response",
    "Usage",
    "Errors",
    "Context that fits",
    "Trying again",
    "The server",
];

/// What is wrong with the page.
pub(super) fn mistakes_of_the_page() -> Vec<String> {
    let page = page();
    let sections: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    assert_eq!(sections, SECTIONS);
    let letters: BTreeSet<char> = rules(&page)
        .iter()
        .filter_map(|rule| rule.id.chars().next())
        .collect();
    assert_eq!(
        letters.len(),
        SECTIONS.len(),
        "a letter for each section: {letters:?}"
    );
    mistakes(&page)
}

/// The tests of this folder that no rule names.
pub(super) fn tests_without_a_rule() -> Vec<String> {
    let page = page();
    let folder = root().join("tests/it/behaviour");
    let mut orphans = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the folder of these tests") {
        let path = entry.expect("an entry").path();
        let module = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let text = read(&path);
        for test in tests(&text) {
            let name = format!("it::behaviour::{module}::{test}");
            if module != "page" && !page.contains(&format!("`{name}`")) {
                orphans.push(name);
            }
        }
    }
    orphans
}

#[test]
fn a_page_with_a_mistake_is_found_out() {
    let here = "it::behaviour::page::a_page_with_a_mistake_is_found_out";
    let good =
        format!("## Title\n\n- **A1** Says `much`.\n  `{here}`\n- **A2** Says\n  more. `{here}`\n");
    assert_eq!(mistakes(&good), Vec::<String>::new());
    for (page, mistake) in [
        (
            good.replacen("found_out`", "found`", 1),
            "A1 names it::behaviour::page::a_page_with_a_mistake_is_found, which",
        ),
        (good.replacen("::page::", "::pages::", 1), "A1 names"),
        (good.replacen("it::", "other::", 1), "A1 names"),
        (
            good.replacen(&format!("`{here}`"), "", 1),
            "A1 names no test",
        ),
        (good.replace("A2", "A3"), "A3 stands where A2 must"),
        (good.replace("A2", "A1"), "A1 stands where A2 must"),
        (good.replace(" Says `much`.", ""), "A1 says nothing"),
        // A function that is no test does not count.
        (
            good.replacen("a_page_with_a_mistake_is_found_out", "read", 1),
            "A1 names",
        ),
    ] {
        let found = mistakes(&page);
        assert!(
            found.iter().any(|found| found.starts_with(mistake)),
            "{found:?}\n{page}"
        );
    }
}
