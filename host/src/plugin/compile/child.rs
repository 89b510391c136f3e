//! The compiler's process, from the outside.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::message::{Order, Reply};
use super::{CompilerProgram, MARK, Urgency, aside, inherit, refused};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::code::Code;
use crate::policy::CompileLimits;
use crate::shortage;

/// Bytes of what the process says on stderr that are kept.
const WORDS: u64 = 4 << 10;

/// How often a process that has closed its stdout is asked whether it has ended.
const LOOK: Duration = Duration::from_millis(2);

/// What the standard library says of an allocation that fails, before it aborts.
const NO_MEMORY: &str = "memory allocation of";

/// Compiles in a process of its own.
pub(super) fn compile(
    program: &CompilerProgram,
    engine: &Engine,
    bytes: &[u8],
    urgency: Urgency,
) -> Result<Code> {
    let limits = engine.compile_limits();
    let deadline = Instant::now() + limits.wall_time;
    let mut process = Process::start(program, limits, urgency)?;
    let output = process.feed(order(limits), bytes, limits.output_bytes);
    let Some(output) = process.output(output, deadline) else {
        return Err(too_much("time", &format!("{:?}", limits.wall_time)));
    };
    let Some(status) = process.end(deadline) else {
        return Err(too_much("time", &format!("{:?}", limits.wall_time)));
    };
    let words = process.words();
    match output.map(Reply::parse) {
        Err(error) => Err(host(&format!("its output can't be read: {error}"), program)),
        Ok(Some(Reply::Code(code))) if code.len() as u64 > limits.output_bytes => {
            Err(too_large(limits))
        }
        Ok(Some(Reply::Code(code))) if status.success() => Ok(Code::vouched(code)),
        Ok(Some(Reply::Output(_))) => Err(too_large(limits)),
        Ok(Some(Reply::Refused(why))) => Err(refused(&why)),
        Ok(Some(Reply::Memory)) => Err(out_of_memory(limits)),
        Ok(Some(Reply::Failed(why))) => Err(host(&why, program)),
        // It ended before it had said all of it.
        Ok(Some(Reply::Code(_)) | None) => Err(ended(status, &words, limits, program)),
    }
}

fn order(limits: &CompileLimits) -> Order {
    Order {
        memory_bytes: limits.memory_bytes,
        cpu_seconds: cpu_seconds(limits),
        output_bytes: limits.output_bytes,
    }
}

/// The processor time in whole seconds, which is how a system counts it; at
/// least one.
fn cpu_seconds(limits: &CompileLimits) -> u64 {
    let time = limits.cpu_time;
    let part = u64::from(time.subsec_nanos() > 0);
    time.as_secs().saturating_add(part).max(1)
}

/// A running process. It does not outlive this.
struct Process {
    child: Child,
    words: Option<Receiver<io::Result<Vec<u8>>>>,
}

impl Process {
    fn start(program: &CompilerProgram, limits: &CompileLimits, urgency: Urgency) -> Result<Self> {
        let threads = match urgency {
            Urgency::Now => limits.threads.max(1),
            Urgency::Aside => 1,
        };
        let mut command = Command::new(inherit::located(&program.program));
        command
            .args(&program.arguments)
            .env_clear()
            .env(MARK, "1")
            // The compiler's threads; their memory is its memory.
            .env("RAYON_NUM_THREADS", threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(windows)]
        if let Some(root) = std::env::var_os("SystemRoot") {
            // Without it, a process finds no system libraries.
            command.env("SystemRoot", root);
        }
        inherit::inherit_nothing(&mut command);
        let child = command.spawn().map_err(|error| {
            if shortage::is(&error) {
                let why = format!("it could not be started: {error} ({})", shortage::REMEDY);
                return Error::new(ErrorKind::Overloaded, host(&why, program).message())
                    .retryable_later()
                    .caused_by(error);
            }
            host(&format!("it could not be started: {error}"), program).caused_by(error)
        })?;
        if urgency == Urgency::Aside {
            // It waits for its order, and has no other thread yet.
            aside::set_aside(&child);
        }
        Ok(Self { child, words: None })
    }

    /// Gives it its order and the component, and begins to read what it says:
    /// each pipe by a thread, none of which can hold up the host.
    fn feed(&mut self, order: Order, bytes: &[u8], most: u64) -> Receiver<io::Result<Vec<u8>>> {
        if let Some(stdin) = self.child.stdin.take() {
            let component = bytes.to_vec();
            std::thread::spawn(move || {
                // A process that has ended reads no more: its end says why.
                let _ = order.write(&component, stdin);
            });
        }
        self.words = self.child.stderr.take().map(|pipe| read(pipe, WORDS));
        match self.child.stdout.take() {
            Some(pipe) => read(pipe, most.saturating_add(Reply::HEAD as u64)),
            None => mpsc::channel().1,
        }
    }

    /// All that it gave back; none: the time is over.
    fn output(
        &self,
        output: Receiver<io::Result<Vec<u8>>>,
        deadline: Instant,
    ) -> Option<io::Result<Vec<u8>>> {
        let left = deadline.saturating_duration_since(Instant::now());
        match output.recv_timeout(left) {
            Ok(output) => Some(output),
            Err(mpsc::RecvTimeoutError::Timeout) => None,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Some(Err(io::ErrorKind::BrokenPipe.into()))
            }
        }
    }

    /// How it ended; none: the time is over.
    fn end(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            // A status that can't be asked for never comes.
            if let Some(status) = self.child.try_wait().ok()? {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What it said on stderr, of a process that has ended.
    fn words(&mut self) -> String {
        let words = self.words.take();
        let bytes = words.and_then(|words| words.recv_timeout(Duration::from_secs(1)).ok());
        String::from_utf8_lossy(&bytes.and_then(io::Result::ok).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a pipe to its end and keeps at most `most` bytes and one, which tells
/// that there were more; the pipe is closed then.
fn read(pipe: impl Read + Send + 'static, most: u64) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let outcome = pipe.take(most.saturating_add(1)).read_to_end(&mut bytes);
        // Nobody may be waiting any more.
        let _ = sender.send(outcome.map(|_| bytes));
    });
    receiver
}

/// Why a process ended that gave no reply.
fn ended(
    status: ExitStatus,
    words: &str,
    limits: &CompileLimits,
    program: &CompilerProgram,
) -> Error {
    if words.contains(NO_MEMORY) {
        return out_of_memory(limits);
    }
    #[cfg(unix)]
    {
        use rustix::process::Signal;
        use std::os::unix::process::ExitStatusExt as _;

        match status.signal() {
            Some(signal) if signal == Signal::XCPU.as_raw() => {
                let seconds = cpu_seconds(limits);
                return too_much("processor time", &format!("{seconds}s"));
            }
            Some(signal) if signal == Signal::SYS.as_raw() => {
                let why =
                    "the compiler tried a system call that compiling has no use for, and was ended";
                return refused(why);
            }
            Some(_) => return refused(&format!("the compiler ended over it ({status})")),
            None => {}
        }
    }
    // What a panic ends with.
    if status.code() == Some(101) {
        let first = words.lines().find(|line| !line.trim().is_empty());
        let first = first.unwrap_or_default();
        return refused(&format!("the compiler ended over it ({status}: {first})"));
    }
    host(
        &format!(
            "it gave no reply ({status}); a program that compiles plugins calls \
             provider_host::plugin::serve_compiler()"
        ),
        program,
    )
}

fn too_much(what: &str, limit: &str) -> Error {
    Error::new(
        ErrorKind::InvalidPlugin,
        format!("compiling the plugin takes too much {what}; the limit is {limit}"),
    )
}

fn out_of_memory(limits: &CompileLimits) -> Error {
    too_much("memory", &format!("{} bytes", limits.memory_bytes))
}

fn too_large(limits: &CompileLimits) -> Error {
    Error::new(
        ErrorKind::InvalidPlugin,
        format!(
            "the plugin has too much machine code; the limit is {} bytes",
            limits.output_bytes
        ),
    )
}

/// A failure that is not the plugin's.
fn host(why: &str, program: &CompilerProgram) -> Error {
    Error::new(
        ErrorKind::Host,
        format!(
            "could not compile the plugin with the program {}: {why}",
            program.program.display()
        ),
    )
}
