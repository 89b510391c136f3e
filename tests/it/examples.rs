//! Each example is run as it is, and the README shows one that was.

#[path = "../../examples/custom_transport.rs"]
mod custom_transport;
#[path = "../../examples/minimal.rs"]
mod minimal;
#[path = "../../examples/replay.rs"]
mod replay;
#[path = "../../examples/swap.rs"]
mod swap;
#[path = "../../examples/tools.rs"]
mod tools;
#[path = "../../examples/two_providers.rs"]
#[allow(
    dead_code,
    reason = "its `main` reads the command line, and what it runs is called here"
)]
mod two_providers;

use std::path::Path;

#[test]
fn each_example_runs_without_a_server_and_without_a_configuration() {
    minimal::main().expect("minimal");
    tools::main().expect("tools");
    custom_transport::main().expect("custom_transport");
    replay::main().expect("replay");
    swap::main().expect("swap");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_of_two_providers_runs_with_the_second_one_and_without() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("second.wasm");
    std::fs::write(&file, crate::check::second()).expect("a file");
    for file in [Some(file), None] {
        two_providers::run(file, None).await.expect("two providers");
    }
}

#[test]
fn what_the_readme_shows_of_the_library_is_the_example_that_runs() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| std::fs::read_to_string(workspace.join(name)).expect(name);
    let readme = read("README.md");
    let (_, section) = readme.split_once("## As a library").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("another section");
    let shown: Vec<&str> = section
        .split("```rust\n")
        .skip(1)
        .filter_map(|block| block.split_once("```").map(|(code, _)| code))
        .collect();
    assert!(!shown.is_empty());
    let sources: String = ["minimal", "tools"]
        .map(|name| read(&format!("examples/{name}.rs")))
        .concat();
    // Indentation and what is left out (`…`) aside, line for line.
    let mut lines = sources.lines().map(str::trim);
    for line in shown.iter().flat_map(|code| code.lines()).map(str::trim) {
        if !line.is_empty() && line != "// …" {
            assert!(
                lines.any(|one| one == line),
                "no example has, in its place: {line}"
            );
        }
    }
}
