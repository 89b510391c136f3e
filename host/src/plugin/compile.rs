//! From a component to machine code, within limits.
//!
//! A compiler is a large program, and a component decides what it works on: a
//! file of a few kilobytes can ask for minutes and gigabytes. So it can run in a
//! process of its own, which has bounds that no thread has, and a crash there is
//! an error here. What is cheap to count is counted before.
//!
//! The process is a program of the embedder's choice that calls [`serve`],
//! usually the embedder's own with an argument that says so. It gets the
//! component through stdin, without environment and arguments of the plugin's,
//! gives the machine code back through stdout, and ends. It inherits its three
//! pipes and nothing else ([`inherit`]), and makes the system calls that compiling
//! takes and no others ([`filter`]).

mod aside;
mod child;
mod filter;
mod inherit;
mod message;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;

pub use self::worker::serve;

use super::code::Code;
use super::inspect::{Inspection, words};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::CompileLimits;

/// Set in the environment of a compiler's process, so that a program which does
/// not call [`serve`] there can't start another, and that one another.
pub(crate) const MARK: &str = "PROVIDER_HOST_COMPILER";

/// Where plugins are compiled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compiler {
    /// In the host's own process. Nothing bounds the time and the memory that a
    /// plugin asks for, and a crash of the compiler ends the host: for plugins
    /// that are trusted that far.
    #[default]
    InProcess,
    /// In a process of its own.
    Child(CompilerProgram),
}

impl Compiler {
    /// A process of this very program, started with `arguments`. Its `main` must
    /// answer these arguments with [`serve`], and with nothing else.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Host`] if the system does not tell where the program is.
    pub fn this_program<A: Into<OsString>>(arguments: impl IntoIterator<Item = A>) -> Result<Self> {
        // On Linux this is the running program even where its file was replaced.
        let own = PathBuf::from("/proc/self/exe");
        let program = if cfg!(target_os = "linux") && own.exists() {
            own
        } else {
            std::env::current_exe().map_err(|error| {
                Error::new(
                    ErrorKind::Host,
                    format!("could not find this program's file to compile plugins with: {error}"),
                )
                .caused_by(error)
            })?
        };
        Ok(Self::Child(CompilerProgram {
            program,
            arguments: arguments.into_iter().map(Into::into).collect(),
        }))
    }

    /// A process of another program, which calls [`serve`]. On Unix it runs in `/`,
    /// in a session of its own and with no descriptor but its three pipes; a
    /// path that is relative is taken from where this process is.
    pub fn program<A: Into<OsString>>(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self::Child(CompilerProgram {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
        })
    }
}

/// A program that compiles: one whose `main` calls [`serve`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompilerProgram {
    program: PathBuf,
    arguments: Vec<OsString>,
}

/// Refuses a plugin for what it has, before a compiler sees it.
pub(super) fn check_size(inspection: &Inspection, limits: &CompileLimits) -> Result<()> {
    let has = |what: &str, found: u32, limit: u32| {
        Err(Error::new(
            ErrorKind::InvalidPlugin,
            format!("the plugin has {what} {found}; the limit is {limit}"),
        ))
    };
    let (functions, largest) = (inspection.functions, inspection.largest_function);
    if functions > limits.functions {
        return has(
            "too many functions to be compiled:",
            functions,
            limits.functions,
        );
    }
    if largest > limits.function_bytes {
        return has(
            "a function that is too large to be compiled, in bytes:",
            largest,
            limits.function_bytes,
        );
    }
    Ok(())
}

/// Whether somebody waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// On all processors.
    Now,
    /// On one, and only as far as nobody else wants it: chats are running.
    Aside,
}

/// Compiles a component that was inspected.
pub(super) fn compile(engine: &Engine, bytes: &[u8], urgency: Urgency) -> Result<Code> {
    match engine.compiler() {
        Compiler::InProcess => {
            let compiled = match urgency {
                Urgency::Now => engine.wasmtime().precompile_component(bytes),
                Urgency::Aside => aside::compile(bytes),
            };
            compiled
                .map(Code::vouched)
                .map_err(|error| refused(&format!("{error:#}")))
        }
        Compiler::Child(program) => child::compile(program, engine, bytes, urgency),
    }
}

fn refused(why: &str) -> Error {
    Error::new(
        ErrorKind::InvalidPlugin,
        words("the plugin does not compile", why),
    )
}
