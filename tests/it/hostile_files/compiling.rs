//! Plugins that can't be compiled within bounds, and compilers that are none.

use std::time::Duration;

use provider_host::plugin::{Compiler, EMBEDDED};
use provider_host::policy::CompileLimits;
use provider_host::{Engine, EngineOptions, Error, ErrorKind, Plugin};

use super::components::{bomb, provider};
use super::{COMPILER, Folder, Row, engine, in_words, options, refused};

/// What compiling the embedded plugin takes, at most.
const ENOUGH: u64 = 64 << 20;

pub(super) fn rows() -> Vec<Row> {
    let folder = Folder::new();
    let bombs = provider(&[bomb(2_000, 4_096)]);
    let size = bombs.len() >> 10;
    assert!(size < 70, "{size} KB");
    let path = folder.write("bomb.wasm", bombs);
    let mut rows = Vec::new();
    let mut row = |name, tries, limits, words: &[&str]| {
        let error = refused(&engine(limits), &path, words);
        rows.push(Row {
            name,
            tries,
            ends: in_words(&error, &folder),
        });
    };
    let limits = CompileLimits::new;
    row(
        "a function of 69 KB with 2,000 variables in 4,096 loops",
        "to take the memory of the compiler",
        limits().with_memory_bytes(ENOUGH),
        &["too much memory", "67108864"],
    );
    row(
        "the same",
        "to take the processor (limit set to 1 s)",
        limits().with_cpu_time(Duration::from_millis(900)),
        &["too much processor time", "1s"],
    );
    row(
        "the same",
        "to take time (limit set to 300 ms)",
        limits().with_wall_time(Duration::from_millis(300)),
        &["too much time", "300ms"],
    );
    rows
}

#[test]
fn the_limits_on_compiling_are_above_what_a_plugin_takes_and_hold() {
    let folder = Folder::new();
    let path = folder.write("p.wasm", EMBEDDED);
    let load = |limits: CompileLimits| {
        let mut options = options(limits);
        options.cache_dir = Some(folder.path("cache"));
        let engine = Engine::new(options).expect("an engine");
        Plugin::from_file(&engine, &path)
    };
    let limits = || {
        CompileLimits::new()
            .with_memory_bytes(ENOUGH)
            .with_threads(1)
    };
    assert!(load(limits()).is_ok(), "64 MiB are enough");
    let entry = std::fs::read_dir(folder.path("cache"))
        .expect("the cache")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|found| found == "cwasm"))
        .expect("an entry");
    // Eight bytes of name and 32 of MAC come before the code.
    let code = std::fs::metadata(&entry).expect("a size").len() - 40;
    // It is not there where nothing was compiled.
    let empty = || drop(std::fs::remove_dir_all(folder.path("cache")));
    for (most, fits) in [(code, true), (code - 1, false)] {
        empty();
        let loaded = load(limits().with_output_bytes(most));
        assert_eq!(loaded.is_ok(), fits, "{most}: {loaded:?}");
        if let Err(error) = loaded {
            let words = format!("too much machine code; the limit is {most} bytes");
            assert!(error.message().contains(&words), "{error}");
        }
    }
    // What is in the cache is held to the limit too.
    empty();
    assert!(load(limits()).is_ok());
    assert!(load(limits()).is_ok_and(|plugin| plugin.from_cache()));
    assert!(load(limits().with_output_bytes(code - 1)).is_err());

    let error = load(
        CompileLimits::new()
            .with_memory_bytes(4 << 20)
            .with_output_bytes(1),
    );
    assert_eq!(
        error.expect_err("a refusal").kind(),
        &ErrorKind::InvalidPlugin
    );
}

/// Loads the embedded plugin with a program that is no compiler.
#[cfg(unix)]
fn with_program(program: &str, arguments: &[&str]) -> Error {
    let limits = CompileLimits::new().with_wall_time(Duration::from_secs(2));
    let mut options = options(limits.with_output_bytes(1 << 20));
    options.compiler = Compiler::program(program, arguments.iter().copied());
    let engine = Engine::new(options).expect("an engine");
    Plugin::from_bytes(&engine, EMBEDDED).expect_err("no compiler")
}

#[test]
#[cfg(unix)]
fn a_program_that_is_no_compiler_is_the_hosts_failure_and_ends() {
    for (program, arguments, kind, words) in [
        (
            "/nowhere/at-all",
            &[][..],
            ErrorKind::Host,
            "could not be started",
        ),
        (
            "/bin/sh",
            &["-c", "exit 0"],
            ErrorKind::Host,
            "gave no reply",
        ),
        (
            "/bin/sh",
            &["-c", "echo hello; cat >/dev/null"],
            ErrorKind::Host,
            "gave no reply",
        ),
        // Another command of this program.
        (
            env!("CARGO_BIN_EXE_provider-host"),
            &["--version"],
            ErrorKind::Host,
            "gave no reply",
        ),
        (
            "/bin/sh",
            &["-c", "kill -SEGV $$"],
            ErrorKind::InvalidPlugin,
            "the compiler ended over it",
        ),
        (
            "/bin/sh",
            &["-c", "sleep 1000"],
            ErrorKind::InvalidPlugin,
            "too much time; the limit is 2s",
        ),
        (
            "/bin/sh",
            &["-c", "exec yes"],
            ErrorKind::InvalidPlugin,
            "the compiler ended over it",
        ),
        (
            "/bin/sh",
            &["-c", "exec yes >&2"],
            ErrorKind::InvalidPlugin,
            "the compiler ended over it",
        ),
    ] {
        let error = with_program(program, arguments);
        assert_eq!(error.kind(), &kind, "{arguments:?}: {error}");
        assert!(error.message().contains(words), "{arguments:?}: {error}");
    }
}

#[test]
fn a_compilers_process_that_does_not_compile_starts_no_other() {
    let folder = Folder::new();
    let path = folder.write("p.wasm", EMBEDDED);
    let outcome = std::process::Command::new(env!("CARGO_BIN_EXE_provider-host"))
        .args(["plugin", "compile"])
        .arg(&path)
        .env("PROVIDER_HOST_COMPILER", "1")
        .env("XDG_CACHE_HOME", folder.path("cache"))
        .env("XDG_CONFIG_HOME", folder.path("config"))
        .output()
        .expect("the program");
    let words = String::from_utf8_lossy(&outcome.stderr);
    assert_eq!(outcome.status.code(), Some(1), "{words}");
    assert!(
        words.contains("this process was started to compile plugins"),
        "{words}"
    );
}

#[test]
#[cfg(unix)]
fn the_command_line_outlives_a_plugin_that_its_compiler_does_not() {
    let folder = Folder::new();
    folder.write("p.wasm", provider(&[bomb(2_000, 4_096)]));
    // Two seconds of the processor for each process: the compiler needs more, and the command line much less.
    let script = format!(
        "ulimit -t 2; exec {} plugin compile p.wasm",
        env!("CARGO_BIN_EXE_provider-host")
    );
    let outcome = std::process::Command::new("/bin/sh")
        .args(["-c", &script])
        .current_dir(folder.0.path())
        .env("XDG_CACHE_HOME", folder.path("cache"))
        .env("XDG_CONFIG_HOME", folder.path("config"))
        .output()
        .expect("a shell");
    let words = String::from_utf8_lossy(&outcome.stderr);
    assert_eq!(outcome.status.code(), Some(2), "{words}");
    assert!(
        words.contains("p.wasm: the plugin does not compile: the compiler ended over it"),
        "{words}"
    );
}

#[test]
fn a_compilers_process_gets_nothing_of_its_hosts_environment() {
    // `env` prints what it was given; as a compiler that is no reply, and its first line is in no message.
    let folder = Folder::new();
    let seen = folder.path("seen");
    let script = format!("env > {}; ls -l /proc/$$/fd >> {0}", seen.display());
    let mut options = options(CompileLimits::new());
    options.compiler = Compiler::program("/bin/sh", ["-c", script.as_str()]);
    let engine = Engine::new(options).expect("an engine");
    assert!(
        std::env::var_os("CARGO_MANIFEST_DIR").is_some(),
        "cargo's variables"
    );
    Plugin::from_bytes(&engine, EMBEDDED).expect_err("no compiler");
    let seen = std::fs::read_to_string(seen).expect("what it saw");
    assert!(seen.contains("PROVIDER_HOST_COMPILER=1"), "{seen}");
    assert!(!seen.contains("CARGO") && !seen.contains("HOME="), "{seen}");
}

#[test]
fn in_the_hosts_own_process_the_same_plugin_comes_of_it() {
    let mut options = EngineOptions::default();
    options.max_chats = 1;
    assert_eq!(options.compiler, Compiler::InProcess);
    let engine = Engine::new(options).expect("an engine");
    let own = Plugin::from_bytes(&engine, EMBEDDED).expect("a plugin");
    let child = super::engine(CompileLimits::new());
    let other = Plugin::from_bytes(&child, EMBEDDED).expect("a plugin");
    assert_eq!(own.digest(), other.digest());
    assert_eq!(own.manifest(), other.manifest());
    assert!(matches!(
        Compiler::this_program([COMPILER]),
        Ok(Compiler::Child(_))
    ));
}
