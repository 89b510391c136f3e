//! Terminals: colours, and what a server must not do to one.
//!
//! Text of a server is untrusted. Written raw to a terminal it could move the
//! cursor, rewrite what was printed, set the clipboard (OSC 52) or turn round
//! what stands beside it. Which characters do so, and what is shown of them, is
//! the rule of [`provider_host::policy::visible`]. The answer is protected where
//! its reader is a terminal; a file or a pipe gets it as it came. Messages are for
//! people wherever they go, and a log is read in a terminal later: they are
//! protected always, and keep to their line, so that no server can write a `hint:`
//! of its own.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use anstyle::{AnsiColor, Style};
pub(super) use provider_host::policy::visible::{escaped, escaped_prose};

/// Most bytes of a reply to a question.
const LONGEST_REPLY: u64 = 8 << 10;

pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const BOLD: Style = Style::new().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();

pub(super) fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

pub(super) fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Whether stderr takes colours: a terminal, and `NO_COLOR` is not set.
pub(super) fn stderr_has_colour() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

/// Whether a question can be asked: a person sees stderr and types into stdin.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && stderr_is_terminal()
}

/// Asks a question on stderr and reads one line of at most 8 KiB from stdin.
///
/// # Errors
///
/// What reading or writing gave.
pub(super) fn ask(question: &str) -> std::io::Result<String> {
    let mut stderr = anstream::stderr();
    write!(stderr, "{}", escaped(question))?;
    stderr.flush()?;
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .take(LONGEST_REPLY)
        .read_line(&mut line)?;
    Ok(line)
}

/// Tells of an error and what can be done, on stderr.
pub(super) fn error(message: &str, hints: &[String]) {
    labelled("error", BAD, message);
    for hint in hints {
        labelled("hint", BOLD, hint);
    }
}

/// Tells of something odd, on stderr.
pub(super) fn warning(message: &str) {
    labelled("warning", WARNING, message);
}

/// Tells something, on stderr.
pub(super) fn note(message: &str) {
    labelled("note", BOLD, message);
}

/// A stderr that can't be written to leaves nobody to tell.
fn labelled(label: &str, style: Style, message: &str) {
    let message = escaped(message);
    let _ = writeln!(anstream::stderr(), "{style}{label}{style:#}: {message}");
}
