//! Compiling beside chats that run.
//!
//! A compiler takes every processor for as long as it runs, and chats that wait for one are late by what the scheduler
//! gives it at a time. So it gets one thread of the lowest priority, which runs where nobody else wants to.

use crate::engine;

/// The lowest: what it does can wait.
#[cfg(unix)]
const NICE: i32 = 19;

/// Compiles in this process, on a thread of its own: a thread cannot raise its priority again, and no other must inherit
/// it.
pub(super) fn compile(bytes: &[u8]) -> wasmtime::Result<Vec<u8>> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("compile-aside".into());
        let running = thread.spawn_scoped(scope, || {
            step_aside();
            engine::compiling_aside()?.precompile_component(bytes)
        })?;
        match running.join() {
            Ok(code) => code,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Gives this thread the lowest priority. It is no failure if the system does not let it.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn step_aside() {
    // On Linux the number is a thread's, and 0 this one's.
    let _ = rustix::process::setpriority_process(None, NICE);
}

/// Elsewhere it would be the whole process's.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn step_aside() {}

/// Gives a child that has just begun the lowest priority; threads that it starts have it from there.
#[cfg(unix)]
pub(super) fn set_aside(child: &std::process::Child) {
    let _ =
        rustix::process::setpriority_process(Some(rustix::process::Pid::from_child(child)), NICE);
}

#[cfg(not(unix))]
pub(super) fn set_aside(_: &std::process::Child) {}
