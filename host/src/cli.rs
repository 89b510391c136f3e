//! The command line. It owns what a library must not: the process's
//! environment, its standard streams, signals, exit status, and words for
//! people. Everything else is a call of the library.
//!
//! What scripts may rely on (names, JSON lines, exit status) is fixed; tables,
//! colours and sentences are not.

mod amount;
mod answer;
mod arguments;
mod auth;
mod carrier;
mod chat;
mod check;
mod demo;
mod detour;
mod doctor;
mod failure;
mod fuzz;
mod image;
mod json;
mod logging;
mod mock;
mod models;
mod opened;
mod plugin;
mod request;
mod screen;
mod table;
mod terminal;

use std::future::Future;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use arguments::{Arguments, Command};
use failure::Status;

/// Runs the command that the process was started with.
pub(crate) fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors and go to stdout; a reader that
            // has gone is none either.
            let words = error.render().to_string();
            let shown = terminal::escaped_prose(&words);
            // An argument may have come from a script with anything in it.
            let _ = match error.use_stderr() && shown != words {
                true => write!(std::io::stderr(), "{shown}"),
                false => error.print(),
            };
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    logging::start(&arguments);
    let status = run(&arguments).unwrap_or_else(|error| failure::report(&error));
    ExitCode::from(status as u8)
}

fn run(arguments: &Arguments) -> anyhow::Result<Status> {
    match &arguments.command {
        Command::Models { command } => block_on(interruptible(models::run(arguments, command))),
        // Reports its own failures: in `--json` they are part of the output.
        Command::Chat(options) => chat::run(arguments, options),
        Command::Doctor(_) => block_on(doctor::run(arguments)),
        Command::Auth { command } => auth::run(command),
        Command::Plugin { command } => plugin::run(arguments, command),
        Command::Mock(options) => mock::run(options),
        Command::Demo => block_on(demo::run(arguments)),
        Command::Compiler => Ok(provider_host::plugin::serve_compiler().map(|()| Status::Done)?),
    }
}

/// Runs a command's future on one thread: starting more costs more than any
/// command but `mock` would gain.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start the asynchronous runtime")?
        .block_on(future)
}

/// Ends a command by Ctrl-C as documented, with a status and not by the signal.
/// What the future holds is dropped, and with it its connections.
async fn interruptible<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::select! {
        biased;
        outcome = future => outcome,
        _ = tokio::signal::ctrl_c() => Err(failure::Failure::interrupted().into()),
    }
}
