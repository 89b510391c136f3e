//! Terminals: colours, and what a server must not do to one.
//!
//! Text of a server is untrusted. Written raw to a terminal it could move the
//! cursor, rewrite what was printed, or set the clipboard (OSC 52). So an
//! answer loses its control characters where its reader is a terminal; a file or
//! a pipe gets it as it came. Messages are for people wherever they go, and a
//! log is read in a terminal later: they show such characters as escapes, always,
//! and keep to their line, so that no server can write a `hint:` of its own.

use std::borrow::Cow;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use anstyle::{AnsiColor, Style};

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

/// Text without control characters: C0 but tab and line feed, DEL, C1, and the
/// marks that turn the direction of writing.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_harmful) {
        Cow::Owned(text.chars().filter(|one| !is_harmful(*one)).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// [`harmless`], and in one line.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(['\n', '\t']) {
        let spaced: String = text
            .chars()
            .map(|one| if matches!(one, '\n' | '\t') { ' ' } else { one })
            .collect();
        Cow::Owned(harmless(&spaced).into_owned())
    } else {
        harmless(text)
    }
}

/// Text of a message: in one line, and what could drive a terminal is shown as
/// `\u{1b}`.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(|one| is_harmful(one) || matches!(one, '\n' | '\t')) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\n' | '\t' => out.push(' '),
            harmful if is_harmful(harmful) => out.extend(harmful.escape_unicode()),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// Whether a character could drive a terminal or turn its text round.
pub(super) fn is_harmful(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => character.is_control(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_drive_a_terminal_is_taken_out() {
        let cases = [
            ("plain é 漢\n\ttext", "plain é 漢\n\ttext"),
            ("\u{1b}[31mred\u{1b}[0m", "[31mred[0m"),
            ("\u{1b}]52;c;aGk=\u{7}", "]52;c;aGk="),
            ("\u{9b}2J", "2J"),
            ("over\rwritten\u{8}\u{7f}", "overwritten"),
            ("a\u{202e}b\u{2066}c", "abc"),
            ("\0", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(harmless(text), expected, "{text:?}");
        }
        assert_eq!(one_line("a\nb\tc\u{1b}d"), "a b cd");
    }

    #[test]
    fn a_message_shows_what_it_does_not_do_and_keeps_to_its_line() {
        for (text, expected) in [
            ("plain é 漢", "plain é 漢"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("no\nhint: run this", "no hint: run this"),
            ("a\r\u{202e}b\u{9b}", "a\\u{d}\\u{202e}b\\u{9b}"),
        ] {
            assert_eq!(escaped(text), expected, "{text:?}");
        }
    }
}
