//! Starts the command line as a process, and sees how it ends.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::BOUND;

/// The key of the mock servers that ask for one.
pub(crate) const KEY: &str = "sk-Zq81vNn3-Xw72Lr05-Bt64";
/// Keys that no server knows.
pub(crate) const WRONG_KEY: &str = "sk-Hp29mFc7-Jd53Kv16-Gy80";
pub(crate) const OTHER_KEY: &str = "sk-Ru47bSe9-Ax31Wz62-Mo75";
/// A secret that is sent in a header of its own.
pub(crate) const HEADER_SECRET: &str = "team-Ly58tQi0-Nf92Cd34";

/// What no command may ever say, not even a part of it.
const SECRETS: [&str; 4] = [KEY, WRONG_KEY, OTHER_KEY, HEADER_SECRET];
/// Longest run of a secret's characters that may be shown.
const SHOWN: usize = 7;

/// A user's machine: a home directory with nothing in it but what the test
/// puts there.
pub(crate) struct Home {
    dir: TempDir,
    cache: PathBuf,
}

impl Home {
    /// An empty home. Compiled plugins are shared between all of them.
    pub(crate) fn new() -> Self {
        Self::with_cache(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-cache"))
    }

    /// An empty home with an empty compile cache.
    pub(crate) fn with_own_cache() -> Self {
        let mut home = Self::with_cache(PathBuf::new());
        home.cache = home.path("cache");
        home
    }

    fn with_cache(cache: PathBuf) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self { dir, cache }
    }

    /// A home with a configuration at the default place.
    pub(crate) fn configured(configuration: &Value) -> Self {
        let home = Self::new();
        home.configure(configuration);
        home
    }

    /// Writes the configuration at the default place.
    pub(crate) fn configure(&self, configuration: &Value) {
        self.write(".openclaw/openclaw.json", configuration.to_string());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where keys are stored.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.path("config/provider-host/auth-profiles.json")
    }

    /// Where compiled plugins are kept.
    pub(crate) fn compiled(&self) -> PathBuf {
        self.cache.join("provider-host")
    }

    /// Writes a file, and gives its path as an argument.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(&path, content).expect("a file");
        path.into_os_string()
            .into_string()
            .expect("a path of plain text")
    }

    /// A command line to be run here.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Invocation {
        self.program(env!("CARGO_BIN_EXE_provider-host"), arguments)
    }

    /// Any program, in the environment that commands get here.
    pub(crate) fn program<S: AsRef<OsStr>>(&self, program: &str, arguments: &[S]) -> Invocation {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_CACHE_HOME", &self.cache)
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_STATE_HOME", self.path("state"));
        Invocation {
            command,
            input: None,
            stdout: Stdio::piped(),
            stays: false,
        }
    }

    /// Runs a command line to its end, with nothing on stdin.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Outcome {
        self.command(arguments).run()
    }
}

/// A command line that was not started yet.
pub(crate) struct Invocation {
    command: Command,
    input: Option<Vec<u8>>,
    stdout: Stdio,
    stays: bool,
}

impl Invocation {
    /// Its stdin stays open: lines are said to it while it runs.
    pub(crate) fn that_listens(mut self) -> Self {
        self.stays = true;
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn input(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.input = Some(text.into());
        self
    }

    /// Nobody reads its stdout, from the beginning.
    pub(crate) fn without_reader(mut self) -> Self {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        self.stdout = writer.into();
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Outcome {
        self.start().finish()
    }

    pub(crate) fn start(mut self) -> Running {
        let what = format!("{:?}", self.command.get_args().collect::<Vec<_>>());
        let mut child = self
            .command
            .stdin(match self.input {
                None if !self.stays => Stdio::null(),
                _ => Stdio::piped(),
            })
            .stdout(self.stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        if let Some(input) = self.input
            && let Some(stdin) = child.stdin.take()
        {
            feed(stdin, input);
        }
        let mut pipe = child.stderr.take().expect("its stderr");
        let said = Arc::new(Mutex::new(Vec::new()));
        let so_far = said.clone();
        let stderr = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                so_far.lock().expect("a lock").extend(&buffer[..read]);
            }
        });
        Running {
            stdin: child.stdin.take(),
            said,
            stdout: child.stdout.take().map(read_pieces),
            stderr: Some(stderr),
            child,
            what,
            seen: Vec::new(),
            told: 0,
        }
    }
}

/// Writes in a thread: a process that reads nothing must not hold up the test.
fn feed(mut stdin: ChildStdin, input: Vec<u8>) {
    std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
}

/// What comes through a pipe, as it comes. Dropping the receiver closes the
/// pipe when the next piece comes.
fn read_pieces(mut pipe: ChildStdout) -> Receiver<Vec<u8>> {
    let (sender, pieces) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read) = pipe.read(&mut buffer) {
            if read == 0 || sender.send(buffer[..read].to_vec()).is_err() {
                return;
            }
        }
    });
    pieces
}

/// A process that may still be running. It does not outlive its test.
pub(crate) struct Running {
    child: Child,
    what: String,
    stdout: Option<Receiver<Vec<u8>>>,
    stdin: Option<ChildStdin>,
    stderr: Option<JoinHandle<()>>,
    /// What came through stderr so far.
    said: Arc<Mutex<Vec<u8>>>,
    seen: Vec<u8>,
    /// How much of it was given out as lines.
    told: usize,
}

impl Running {
    /// The next line of stdout, without its end.
    pub(crate) fn line(&mut self) -> String {
        loop {
            let rest = &self.seen[self.told..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8(rest[..end].to_vec()).expect("text");
                self.told += end + 1;
                return line;
            }
            self.piece();
        }
    }

    /// Waits until more of stdout comes.
    pub(crate) fn piece(&mut self) {
        let pieces = self.stdout.as_ref().expect("an open stdout");
        let piece = pieces.recv_timeout(BOUND);
        self.seen.extend(
            piece.unwrap_or_else(|error| panic!("{}: nothing more comes: {error}", self.what)),
        );
    }

    /// Closes the reading end of stdout.
    pub(crate) fn close_stdout(&mut self) {
        self.stdout = None;
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -INT {}", self.child.id())])
            .status()
            .expect("a shell");
        assert!(sent.success(), "the signal was not sent");
    }

    /// Says a line to it.
    pub(crate) fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("an open stdin");
        writeln!(stdin, "{line}").expect("somebody who listens");
    }

    /// Waits until its stderr has these words.
    pub(crate) fn complains(&self, words: &str) {
        let start = Instant::now();
        loop {
            let said = self.said.lock().expect("a lock").clone();
            let said = String::from_utf8_lossy(&said).into_owned();
            if said.contains(words) {
                return;
            }
            assert!(
                start.elapsed() < BOUND,
                "{}: no {words:?} in {said}",
                self.what
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for the end of it. It is said nothing more.
    pub(crate) fn finish(mut self) -> Outcome {
        self.stdin = None;
        let start = Instant::now();
        let left = || BOUND.saturating_sub(start.elapsed());
        if let Some(pieces) = self.stdout.take() {
            loop {
                match pieces.recv_timeout(left()) {
                    Ok(piece) => self.seen.extend(piece),
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                    Err(mpsc::RecvTimeoutError::Timeout) => self.overdue(),
                }
            }
        }
        let status = loop {
            match self.child.try_wait().expect("its status") {
                Some(status) => break status,
                None if left().is_zero() => self.overdue(),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        let stderr = self.stderr.take().expect("its stderr");
        stderr.join().expect("the reader of stderr");
        let stderr = std::mem::take(&mut *self.said.lock().expect("a lock"));
        let outcome = Outcome {
            what: self.what.clone(),
            status: status.code(),
            stdout: String::from_utf8(std::mem::take(&mut self.seen)).expect("stdout is text"),
            stderr: String::from_utf8(stderr).expect("stderr is text"),
        };
        outcome.keeps_secrets();
        outcome
    }

    fn overdue(&mut self) -> ! {
        let _ = self.child.kill();
        let seen = String::from_utf8_lossy(&self.seen);
        panic!("{} does not end within {BOUND:?}; so far {seen}", self.what);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Outcome {
    what: String,
    /// None: a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Holds the exit status against `status`.
    #[track_caller]
    pub(crate) fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self:#?}");
        self
    }

    /// Whether stderr has all of `words`.
    #[track_caller]
    pub(crate) fn complains(self, words: &[&str]) -> Self {
        for words in words {
            assert!(self.stderr.contains(words), "no {words:?} in {self:#?}");
        }
        self
    }

    /// The lines of stdout, each of which is JSON.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        assert!(self.stdout.ends_with('\n'), "{self:#?}");
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    #[track_caller]
    fn keeps_secrets(&self) {
        let texts = [&self.stdout, &self.stderr].map(|text| text.to_lowercase());
        for secret in SECRETS {
            for at in 0..secret.len() - SHOWN {
                let part = secret[at..=at + SHOWN].to_lowercase();
                for text in &texts {
                    assert!(!text.contains(&part), "{} shows {part}: {text}", self.what);
                }
            }
        }
    }
}
