//! What the compiling process inherits.
//!
//! A component that breaks the compiler has code of its own run in the compiler's process. The tests
//! look at such a process from outside while it compiles a component that takes long, and at what a
//! program is given that stands in the compiler's place.

#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
#[cfg(target_os = "linux")]
use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::process::{Child, Command, Stdio};
#[cfg(target_os = "linux")]
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use provider_host::plugin::{Compiler, EMBEDDED};
#[cfg(target_os = "linux")]
use provider_host::policy::CompileLimits;
#[cfg(target_os = "linux")]
use provider_host::{Engine, EngineOptions, ErrorKind, Plugin};

use super::Attack;
#[cfg(target_os = "linux")]
use super::ended;
#[cfg(target_os = "linux")]
use crate::hostile_files::components::{bomb, provider};

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        number: "11a",
        attempt: "a file, a socket or a pipe of the host that was opened without the mark to be closed",
        ends: "descriptors: 0 a pipe, 1 a pipe, 2 a pipe",
        test: "a_process_that_compiles_has_three_pipes_and_no_privilege_to_gain",
    },
    Attack {
        number: "11b",
        attempt: "the host's working directory, and files relative to it",
        ends: "working directory: /",
        test: "a_process_that_compiles_has_three_pipes_and_no_privilege_to_gain",
    },
    Attack {
        number: "11c",
        attempt: "a set-user-ID program, to gain privileges",
        ends: "NoNewPrivs: 1",
        test: "a_process_that_compiles_has_three_pipes_and_no_privilege_to_gain",
    },
    Attack {
        number: "11d",
        attempt: "files, sockets, other programs and executable memory, by system calls",
        ends: "Seccomp: 2",
        test: "a_process_that_compiles_has_three_pipes_and_no_privilege_to_gain",
    },
    Attack {
        number: "11e",
        attempt: "the host's terminal and its session",
        ends: "a session of its own",
        test: "a_process_that_compiles_has_three_pipes_and_no_privilege_to_gain",
    },
    Attack {
        number: "11f",
        attempt: "a process that goes on compiling when its host was killed",
        ends: "it ended with its host",
        test: "a_process_that_compiles_ends_with_its_host",
    },
    Attack {
        number: "11g",
        attempt: "another program in the compiler's place, and what it is given",
        ends: "0 1 2 in / with 1",
        test: "a_program_in_the_compilers_place_is_given_no_more",
    },
];

/// A component that is compiled for minutes.
#[cfg(target_os = "linux")]
fn long() -> Vec<u8> {
    provider(&[bomb(2_000, 4_096)])
}

/// Most time for a process to come and to go.
#[cfg(target_os = "linux")]
const BOUND: Duration = Duration::from_secs(60);

/// Waits for something.
#[track_caller]
fn waited<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < BOUND, "{what}: not within {BOUND:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A field of `/proc/PID/status`.
#[cfg(target_os = "linux")]
fn status(pid: u32, field: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.strip_prefix(':')?.trim().to_owned())
}

/// The process that was started by this path.
#[cfg(target_os = "linux")]
fn process_of(program: &Path) -> Option<u32> {
    let mut first = program.as_os_str().as_encoded_bytes().to_vec();
    first.push(0);
    let entries = std::fs::read_dir("/proc").ok()?.flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(&first)
    })
}

/// What stands behind each descriptor of a process.
#[cfg(target_os = "linux")]
fn descriptors(pid: u32) -> String {
    let mut all: Vec<(u32, PathBuf)> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("its descriptors")
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, std::fs::read_link(entry.path()).ok()?))
        })
        .collect();
    all.sort();
    let all: Vec<String> = all
        .into_iter()
        .map(|(number, to)| match to.to_string_lossy() {
            to if to.starts_with("pipe:") => format!("{number} a pipe"),
            to => format!("{number} {to}"),
        })
        .collect();
    all.join(", ")
}

/// A descriptor that a child inherits, as one that a C library opened. It is in this process for the
/// rest of its life.
#[cfg(target_os = "linux")]
fn inherited(file: impl AsRawFd + calls::AsFd) -> i32 {
    calls::inherit(&file);
    let number = file.as_raw_fd();
    std::mem::forget(file);
    number
}

#[cfg(target_os = "linux")]
fn engine(compiler: Compiler) -> Engine {
    let mut options = EngineOptions::default();
    options.max_chats = 1;
    options.compiler = compiler;
    options.compile_limits = CompileLimits::new().with_wall_time(BOUND);
    Engine::new(options).expect("an engine")
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_compiles_has_three_pipes_and_no_privilege_to_gain() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a secret").expect("a file");
    let opened = [
        inherited(std::fs::File::open(&secret).expect("a file")),
        inherited(std::net::TcpListener::bind("127.0.0.1:0").expect("a socket")),
        inherited(std::io::pipe().expect("a pipe").0),
    ];
    // Programs get them, unless somebody takes care.
    let seen = Command::new("/bin/ls")
        .arg("/proc/self/fd")
        .output()
        .expect("ls");
    let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
    let numbers: Vec<&str> = seen.lines().collect();
    for number in opened {
        assert!(
            numbers.contains(&number.to_string().as_str()),
            "{number}: {seen}"
        );
    }

    // A name of its own tells this process from those of other tests.
    let program = folder.path().join("compiler-of-this-test");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_provider-host"), &program).expect("a link");
    let engine = engine(Compiler::program(&program, ["compiler-process"]));
    let compiling = std::thread::spawn(move || Plugin::from_bytes(&engine, &long()));
    let pid = waited("a process that compiles", || {
        let pid = process_of(&program)?;
        // It has begun with the component when the filter is there.
        (status(pid, "Seccomp")? == "2").then_some(pid)
    });
    ended("11a", &format!("descriptors: {}", descriptors(pid)));
    let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).expect("a folder");
    ended("11b", &format!("working directory: {}", folder.display()));
    for (number, field) in [("11c", "NoNewPrivs"), ("11d", "Seccomp")] {
        let value = status(pid, field).expect("a value");
        ended(number, &format!("{field}: {value}"));
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("its numbers");
    // After the name in brackets: state, parent, group, session, terminal.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split_whitespace()
        .collect();
    let own = fields[3] == pid.to_string() && fields[4] == "0";
    ended("11e", if own { "a session of its own" } else { &stat });
    let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("variables");
    let names = environment
        .split(|byte| *byte == 0)
        .filter(|one| !one.is_empty())
        .count();
    assert_eq!(names, 2, "{}", String::from_utf8_lossy(&environment));
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("limits");
    for (limit, most) in [("Max open files", "16"), ("Max core file size", "0")] {
        let line = limits
            .lines()
            .find(|line| line.starts_with(limit))
            .expect("a limit");
        let value = line[limit.len()..].split_whitespace().next();
        assert_eq!(value, Some(most), "{line}");
    }

    // A process that makes a system call which ends it is the plugin's fault, and an error.
    calls::signal(pid, calls::SYS);
    let error = compiling.join().expect("a thread").expect_err("a refusal");
    assert_eq!(error.kind(), &ErrorKind::InvalidPlugin, "{error}");
    let words = "tried a system call that compiling has no use for";
    assert!(error.message().contains(words), "{error}");
}

/// A running program that is killed in any case.
#[cfg(target_os = "linux")]
struct Running(Child);

#[cfg(target_os = "linux")]
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_compiles_ends_with_its_host() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("p.wasm"), long()).expect("a file");
    let host = Command::new(env!("CARGO_BIN_EXE_provider-host"))
        .args(["plugin", "compile", "p.wasm"])
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program");
    let mut host = Running(host);
    let children = format!("/proc/{0}/task/{0}/children", host.0.id());
    let pid: u32 = waited("a process that compiles", || {
        let text = std::fs::read_to_string(&children).ok()?;
        let pid = text.split_whitespace().next()?.parse().ok()?;
        (status(pid, "Seccomp")? == "2").then_some(pid)
    });
    host.0.kill().expect("it ends");
    host.0.wait().expect("its end");
    // A process that nobody waits for may stay as a zombie.
    waited("its end", || match status(pid, "State") {
        None => Some(()),
        Some(state) => state.starts_with('Z').then_some(()),
    });
    ended("11f", "it ended with its host");
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_in_the_compilers_place_is_given_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let _kept = inherited(std::fs::File::open(folder.path()).expect("a folder"));
    let seen = folder.path().join("seen");
    // No process of the script's own: the descriptors are those of the shell.
    let script = format!(
        "cd -P .; for one in /proc/$$/fd/*; do all=\"$all${{one##*/}} \"; done
         while read name value; do [ $name = NoNewPrivs: ] && privileges=$value; done < /proc/$$/status
         echo \"${{all}}in $PWD with $privileges\" > {}",
        seen.display()
    );
    let engine = engine(Compiler::program("/bin/sh", ["-c", script.as_str()]));
    let error = Plugin::from_bytes(&engine, EMBEDDED).expect_err("no compiler");
    assert_eq!(error.kind(), &ErrorKind::Host, "{error}");
    // The shell opens what it expands the names of.
    let seen = std::fs::read_to_string(seen)
        .expect("what it saw")
        .replace("0 1 2 3 in", "0 1 2 in");
    ended("11g", &seen);
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_whose_path_is_relative_is_found_from_where_the_host_is() {
    let here = std::env::current_dir().expect("a folder");
    let program = Path::new(env!("CARGO_BIN_EXE_provider-host"));
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    let relative = up.join(program.strip_prefix("/").expect("an absolute path"));
    assert!(relative.is_relative() && relative.exists(), "{relative:?}");
    let engine = engine(Compiler::program(relative, ["compiler-process"]));
    Plugin::from_bytes(&engine, EMBEDDED).expect("a plugin");
}

/// The few system calls of these tests.
#[cfg(target_os = "linux")]
mod calls {
    pub(super) use rustix::fd::AsFd;

    pub(super) const SYS: rustix::process::Signal = rustix::process::Signal::SYS;

    /// Takes the mark from a descriptor by which programs do not get it.
    pub(super) fn inherit(file: &impl AsFd) {
        rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty()).expect("a descriptor");
    }

    pub(super) fn signal(pid: u32, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a process");
        rustix::process::kill_process(pid, signal).expect("a running process");
    }
}
