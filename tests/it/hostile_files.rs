//! Files that attack whoever loads them: what is no plugin, what can't be compiled, what lies in the compile cache, what is
//! replaced meanwhile, what nobody vouches for.
//!
//! Each goes through the public door, as a file. What came of it is written down as the block `files` of `docs/attacks.md`.

#[cfg(unix)]
mod cache;
mod compiling;
pub(crate) mod components;
mod refused;
mod replaced;
mod signed;
pub(crate) mod signer;

use std::path::{Path, PathBuf};

use provider_host::mock::{Mock, Options};
use provider_host::plugin::{Compiler, EMBEDDED};
use provider_host::policy::{CompileLimits, NetworkLimits};
use provider_host::{Engine, EngineOptions, Error, ErrorKind, Plugin};

use crate::support::{ask, model, provider_of, run, text};

/// What the command line answers as a compiler's process.
const COMPILER: &str = "compiler-process";

/// A file, what it tries, and what came of it.
struct Row {
    name: &'static str,
    tries: &'static str,
    ends: String,
}

/// A folder for the files of a test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file");
        path
    }
}

/// The options of a host that compiles in a child of the command line's program.
fn options(limits: CompileLimits) -> EngineOptions {
    let mut options = EngineOptions::default();
    options.max_chats = 8;
    options.compiler = Compiler::program(env!("CARGO_BIN_EXE_provider-host"), [COMPILER]);
    options.compile_limits = limits;
    options
}

pub(crate) fn engine(limits: CompileLimits) -> Engine {
    Engine::new(options(limits)).expect("an engine")
}

/// An error in the words of the table, without what differs from machine to machine.
fn in_words(error: &Error, folder: &Folder) -> String {
    let folder = folder.0.path().display().to_string();
    let message = error.message().replace(&format!("{folder}/"), "");
    let mut message = message.replace(&folder, "folder");
    if let Some(at) = message.find(" (at offset ") {
        message.truncate(at);
    }
    format!("`{}`: {}", error.kind_name(), escaped(&message))
}

/// Text that stays in its cell.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Loads a file that must be refused as no plugin, with each of these words.
#[track_caller]
fn refused(engine: &Engine, path: &Path, words: &[&str]) -> Error {
    let error = Plugin::from_file(engine, path).expect_err("a refusal");
    assert_eq!(error.kind(), &ErrorKind::InvalidPlugin, "{error}");
    for words in words {
        assert!(error.message().contains(words), "no {words:?} in: {error}");
    }
    error
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(target_os = "linux"),
    ignore = "the operating system's words and limits in the table are those of Linux"
)]
async fn each_hostile_file_ends_in_a_typed_error_and_the_host_goes_on() {
    let engine = engine(CompileLimits::new());
    let rows = tokio::task::spawn_blocking({
        let engine = engine.clone();
        move || {
            let mut rows = refused::rows(&engine);
            rows.extend(compiling::rows());
            #[cfg(unix)]
            rows.extend(cache::rows());
            rows.extend(signed::rows());
            rows
        }
    });
    let rows = rows.await.expect("the rows");
    let mut table = String::from("| file | what it tries | how it ends |\n|---|---|---|\n");
    for row in &rows {
        table.push_str(&format!(
            "| {} | {} | {} |\n",
            row.name, row.tries, row.ends
        ));
    }
    crate::computed::block("docs/attacks.md", "files", &table);

    // The same engine, after all of it.
    let plugin = Plugin::from_bytes(&engine, EMBEDDED).expect("the plugin");
    let mock = Mock::start(Options::default()).await.expect("a mock");
    let provider = provider_of(&plugin, &mock.base_url(), "key", NetworkLimits::new());
    let (events, error) = run(&provider, &model("mock-model"), &ask("Say hello.")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(text(&events), "Hello! How can I help you today?");
}
