//! The compiler's process, from the inside.

use std::io::{self, Read as _};

use super::filter;
use super::message::{Order, Reply};
use crate::engine;
use crate::plugin::MAX_PLUGIN_SIZE;

/// Compiles one component that comes through stdin, and writes the machine code
/// to stdout. The process ends then.
///
/// A program that was named in [`Compiler`](super::Compiler) calls this first of
/// all, before it starts a thread or reads its configuration. It puts the
/// order's limits and a filter of system calls on the whole process, and they
/// can't be taken back: what the program does afterwards is to end.
///
/// # Errors
///
/// If the outcome can't be written: whoever asked has gone.
pub fn serve() -> io::Result<()> {
    work().write(io::stdout().lock())
}

fn work() -> Reply {
    let mut input = io::stdin().lock();
    let order = match Order::read(&mut input) {
        Ok(Some(order)) => order,
        Ok(None) => return Reply::Failed("what came through stdin is no order".into()),
        Err(error) => return Reply::Failed(format!("could not read the order: {error}")),
    };
    if let Err(why) = confine(&order) {
        return Reply::Failed(why);
    }
    let engine = match engine::compiling() {
        Ok(engine) => engine,
        Err(error) => return Reply::Failed(format!("could not set up the compiler: {error:#}")),
    };
    if let Err(why) = filter::install() {
        return Reply::Failed(why);
    }
    let mut component = Vec::new();
    if let Err(error) = input.take(MAX_PLUGIN_SIZE + 1).read_to_end(&mut component) {
        return Reply::Failed(format!("could not read the component: {error}"));
    }
    match engine.precompile_component(&component) {
        Ok(code) if code.len() as u64 > order.output_bytes => Reply::Output(code.len() as u64),
        Ok(code) => Reply::Code(code),
        Err(error) if out_of_memory(&error) => Reply::Memory,
        Err(error) => Reply::Refused(format!("{error:#}")),
    }
}

/// Whether the system refused memory, where the compiler could still say so.
fn out_of_memory(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<wasmtime::error::OutOfMemory>()
            || cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::OutOfMemory)
    })
}

/// Most descriptors of the process. It has three, and its compiler opens none.
#[cfg(unix)]
const DESCRIPTORS: u64 = 16;

/// Puts the limits on this process. Writing files and core dumps has no place
/// in a compiler.
#[cfg(unix)]
fn confine(order: &Order) -> Result<(), String> {
    use rustix::process::Resource;

    // The second limit is for a process that does not end by the first.
    let mut limits = vec![
        ("processor time", Resource::Cpu, order.cpu_seconds, 1),
        ("core dumps", Resource::Core, 0, 0),
        ("files", Resource::Fsize, 0, 0),
        ("descriptors", Resource::Nofile, DESCRIPTORS, 0),
    ];
    // Elsewhere the system takes the number and does not hold it, or counts
    // address space, of which an allocator reserves what it never uses.
    if cfg!(any(target_os = "linux", target_os = "android")) {
        limits.push(("memory", Resource::Data, order.memory_bytes, 0));
    }
    for (what, resource, limit, more) in limits {
        lower(resource, limit, more).map_err(|error| format!("could not limit {what}: {error}"))?;
    }
    Ok(())
}

#[cfg(unix)]
fn lower(resource: rustix::process::Resource, limit: u64, more: u64) -> io::Result<()> {
    use rustix::process::{Rlimit, getrlimit, setrlimit};

    // Who started the host may have set lower limits, which only go down.
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let new = Rlimit {
        current: Some(limit.min(most)),
        maximum: Some(limit.saturating_add(more).min(most)),
    };
    Ok(setrlimit(resource, new)?)
}

#[cfg(not(unix))]
fn confine(_: &Order) -> Result<(), String> {
    Ok(())
}
