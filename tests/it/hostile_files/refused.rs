//! Files that are refused for what can be seen of them, before any of it is compiled.

use std::path::Path;

use provider_host::plugin::{
    EMBEDDED, MANIFEST_SECTION, MAX_MANIFEST_SIZE, MAX_NAMES, MAX_PLUGIN_SIZE, inspect,
};
use provider_host::policy::CompileLimits;
use provider_host::{Engine, Plugin};

use super::components::{
    MANIFEST, PROVIDER, component, idle, invalid, nested, provider, with_section,
};
use super::{Folder, Row, engine, in_words, refused};

/// What a plugin would like to have.
const WANTED: &[&str] = &[
    "wasi:filesystem/types@0.2.12",
    "wasi:filesystem/preopens@0.2.12",
    "wasi:cli/environment@0.2.12",
    "wasi:sockets/tcp@0.2.12",
    "wasi:random/random@0.2.12",
    "wasi:clocks/wall-clock@0.2.12",
    "wasi:http/incoming-handler@0.2.12",
    "wasi:http/types@0.3.0",
    "my:own/door",
];

/// A provider whose manifest is these bytes.
fn described(manifest: &[u8]) -> Vec<u8> {
    with_section(component(&[], PROVIDER, &[]), MANIFEST_SECTION, manifest)
}

fn of_contract(interfaces: &[&str], version: &str) -> Vec<u8> {
    let exports: Vec<String> = interfaces
        .iter()
        .map(|interface| format!("llm:provider/{interface}@{version}"))
        .collect();
    let exports: Vec<&str> = exports.iter().map(String::as_str).collect();
    component(&[], &exports, &[])
}

/// A file of this size, none of which takes room on the disk.
fn sparse(path: &Path, size: u64) {
    let file = std::fs::File::create(path).expect("a file");
    file.set_len(size).expect("a size");
}

pub(super) fn rows(engine: &Engine) -> Vec<Row> {
    let folder = Folder::new();
    let mut rows = Vec::new();
    let mut row = |name, tries, path: &Path, words: &[&str]| {
        let error = refused(engine, path, words);
        rows.push(Row {
            name,
            tries,
            ends: in_words(&error, &folder),
        });
    };
    let write = |name: &str, bytes: &[u8]| folder.write(name, bytes);

    let path = write("text.wasm", b"#!/bin/sh\n");
    row(
        "a script",
        "to be run as something else",
        &path,
        &["not WebAssembly"],
    );
    let path = write("empty.wasm", b"");
    row(
        "an empty file",
        "to be read as a plugin of nothing",
        &path,
        &["not WebAssembly"],
    );
    let path = write("module.wasm", b"\0asm\x01\0\0\0");
    row(
        "a core module",
        "to run without a component's border",
        &path,
        &["core module"],
    );
    let path = write("version.wasm", b"\0asm\x0d\0\x02\0");
    row(
        "another binary format",
        "to be read as what it is not",
        &path,
        &["not well-formed"],
    );
    let path = write("cut.wasm", &EMBEDDED[..EMBEDDED.len() / 2]);
    row(
        "half a plugin",
        "to be taken for a whole one",
        &path,
        &["not well-formed"],
    );
    let mut longer = EMBEDDED.to_vec();
    longer.extend([0xff; 64]);
    let path = write("longer.wasm", &longer);
    row(
        "a plugin and bytes behind it",
        "to carry what nobody looks at",
        &path,
        &["not well-formed"],
    );
    let path = write("lies.wasm", b"\0asm\x0d\0\x01\0\x01\xff\xff\xff\xff\x0f");
    row(
        "a section that says 4 GiB",
        "to have memory made for it",
        &path,
        &["not well-formed"],
    );

    let path = folder.path("large.wasm");
    sparse(&path, MAX_PLUGIN_SIZE + 1);
    row(
        "a file of one byte too many",
        "to fill memory",
        &path,
        &["67108865 bytes", "67108864"],
    );
    let path = folder.path("huge.wasm");
    sparse(&path, 1 << 40);
    row(
        "a file of a tebibyte",
        "to fill memory",
        &path,
        &["67108864"],
    );
    row(
        "a folder",
        "to be opened",
        folder.0.path(),
        &["a directory"],
    );
    #[cfg(unix)]
    {
        let path = folder.path("pipe.wasm");
        let made = std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .expect("mkfifo");
        assert!(made.success());
        row(
            "a pipe that nobody writes to",
            "to hold the host up",
            &path,
            &["a pipe"],
        );
        let path = folder.path("zero.wasm");
        std::os::unix::fs::symlink("/dev/zero", &path).expect("a link");
        row(
            "a link to a device without end",
            "to fill memory",
            &path,
            &["a device"],
        );
    }
    let path = folder.path("gone.wasm");
    row("no file", "—", &path, &["could not read the plugin"]);

    let path = write("nested.wasm", &nested(10_000));
    row(
        "10,000 components in each other",
        "to use up the stack",
        &path,
        &["more than 16 levels"],
    );
    let path = write("bare.wasm", &component(&[], &[], &[]));
    row(
        "a component without a world",
        "to be loaded without a contract",
        &path,
        &["exports nothing"],
    );
    let path = write("other.wasm", &component(&[], &["wasi:cli/run@0.2.12"], &[]));
    row(
        "a component of another world",
        "to be run as a program",
        &path,
        &["`wasi:cli/run@0.2.12`"],
    );
    let path = write("part.wasm", &of_contract(&["info", "chat"], "0.1.0"));
    row(
        "half of the world",
        "to be called where it has nothing",
        &path,
        &["does not export the world"],
    );
    let path = write("codec.wasm", &of_contract(&["info", "wire"], "0.1.0"));
    row(
        "a codec",
        "to be run without a transport",
        &path,
        &["is a codec"],
    );
    let path = write(
        "newer.wasm",
        &of_contract(&["info", "catalog", "chat"], "0.2.0"),
    );
    row(
        "a plugin of a newer contract",
        "to be called in the wrong way",
        &path,
        &["version `0.2.0`", "0.1.x"],
    );

    let path = write("wants.wasm", &component(WANTED, PROVIDER, &[]));
    row(
        "a plugin that imports files, environment, sockets, chance, the time of day, a door of its own",
        "to be given them",
        &path,
        WANTED,
    );
    let many: Vec<String> = (0..1_000)
        .map(|n| format!("\u{1b}]0;{n}\u{7}{}", "x".repeat(1_000)))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let path = write("many.wasm", &component(&many, PROVIDER, &[]));
    let error = refused(engine, &path, &["and 980 more"]);
    assert!(
        error.message().len() < 8 << 10,
        "{} bytes",
        error.message().len()
    );
    assert!(!error.message().contains(char::is_control), "{error}");
    rows.push(Row {
        name: "1,000 imports whose names drive a terminal",
        tries: "to write where the error is shown",
        ends: format!(
            "`{}`: the first 20 are named, escaped and cut, in less than 8 KiB",
            error.kind_name()
        ),
    });
    let mut row = |name, tries, path: &Path, words: &[&str]| {
        let error = refused(engine, path, words);
        rows.push(Row {
            name,
            tries,
            ends: in_words(&error, &folder),
        });
    };
    let crowd = vec!["a"; 1_000_000];
    let path = write("crowd.wasm", &component(&crowd, PROVIDER, &[]));
    row(
        "a million imports of one letter",
        "to have a text made of each",
        &path,
        &["more than 1000 imports"],
    );
    let path = write("crowded.wasm", &component(&[], &crowd, &[]));
    row(
        "a million exports of one letter",
        "the same",
        &path,
        &["more than 1000 exports"],
    );
    let long = format!("0.1\u{1b}]0;owned\u{7}{}", "9".repeat(90_000));
    let path = write(
        "long.wasm",
        &of_contract(&["info", "catalog", "chat"], &long),
    );
    let error = refused(
        engine,
        &path,
        &["speaks version `0.1\\u{1b}]0;owned\\u{7}999", "…`"],
    );
    assert!(
        error.message().len() < 1 << 10,
        "{} bytes",
        error.message().len()
    );
    row(
        "a contract's version of 90,000 characters that drive a terminal",
        "to write where the error is shown",
        &path,
        &[],
    );

    let path = write("nameless.wasm", &component(&[], PROVIDER, &[]));
    row("no manifest", "to be nobody", &path, &["has no manifest"]);
    let path = write("broken.wasm", &described(b"{\"id\": "));
    row(
        "a manifest that is cut off",
        "to break its reader",
        &path,
        &["can't be read"],
    );
    let path = write("deep.wasm", &described("[".repeat(100_000).as_bytes()));
    row(
        "a manifest of 100,000 brackets",
        "to use up its reader's stack",
        &path,
        &["recursion limit"],
    );
    let path = write("big.wasm", &described(&vec![b' '; MAX_MANIFEST_SIZE + 1]));
    row(
        "a manifest of one byte too many",
        "to fill memory",
        &path,
        &["262145 bytes", "262144"],
    );
    let path = write("typed.wasm", &described(br#"{"id": 5}"#));
    row(
        "a manifest of numbers",
        "to break its reader",
        &path,
        &["`id` is missing or no text"],
    );
    let twice = with_section(described(MANIFEST), MANIFEST_SECTION, MANIFEST);
    let path = write("twice.wasm", &twice);
    row(
        "two manifests",
        "to show one and be the other",
        &path,
        &["more than one section"],
    );

    let path = write("functions.wasm", &provider(&[idle(100_001, 2)]));
    row(
        "100,001 functions",
        "to be compiled for long",
        &path,
        &["too many functions", "100001", "100000"],
    );
    let path = write("function.wasm", &provider(&[idle(1, (1 << 20) + 1)]));
    row(
        "a function of one byte too many",
        "to be compiled for long",
        &path,
        &["1048577", "1048576"],
    );
    let path = write("unfit.wasm", &provider(&[]));
    row(
        "the right names and no functions",
        "to be called where it has nothing",
        &path,
        &["does not fit the contract"],
    );
    let path = write("invalid.wasm", &provider(&[invalid()]));
    row(
        "code that is not valid",
        "to be compiled all the same",
        &path,
        &["does not compile"],
    );
    rows
}

#[test]
fn a_plugin_is_taken_up_to_its_limits_and_refused_one_past_them() {
    let folder = Folder::new();
    let limits = CompileLimits::new()
        .with_functions(3)
        .with_function_bytes(50)
        .with_nesting(3);
    let engine = engine(limits);
    // What is within its limits is refused later, for what it is.
    for (name, bytes, words) in [
        (
            "functions",
            provider(&[idle(2, 50), idle(1, 2)]),
            "does not fit the contract",
        ),
        (
            "function",
            provider(&[idle(2, 2), idle(2, 2)]),
            "too many functions to be compiled: 4; the limit is 3",
        ),
        (
            "bytes",
            provider(&[idle(1, 51)]),
            "in bytes: 51; the limit is 50",
        ),
        ("levels", nested(3), "does not export the world"),
        ("level", nested(4), "more than 3 levels deep"),
    ] {
        let path = folder.write(name, bytes);
        refused(&engine, &path, &[words]);
    }
    assert!(inspect(&nested(16)).is_ok());
    assert!(inspect(&nested(17)).is_err());
    for (names, taken) in [(MAX_NAMES, true), (MAX_NAMES + 1, false)] {
        let names = vec!["a"; names];
        assert_eq!(inspect(&component(&names, &[], &[])).is_ok(), taken);
        assert_eq!(inspect(&component(&[], &names, &[])).is_ok(), taken);
    }

    let mut largest = MANIFEST.to_vec();
    largest.resize(MAX_MANIFEST_SIZE, b' ');
    let path = folder.write("manifest", described(&largest));
    refused(&engine, &path, &["does not fit the contract"]);

    // A plugin of the largest size, most of which is a section that nobody reads.
    let room = usize::try_from(MAX_PLUGIN_SIZE).expect("a size") - EMBEDDED.len();
    let largest = with_section(EMBEDDED.to_vec(), "fill", &vec![0; room - 10]);
    assert_eq!(largest.len() as u64, MAX_PLUGIN_SIZE);
    let path = folder.write("largest", &largest);
    let engine = super::engine(CompileLimits::new());
    let plugin = Plugin::from_file(&engine, &path).expect("a plugin");
    assert_eq!(plugin.manifest().id, "vllm");
}
