//! JSON that drives no terminal.
//!
//! JSON escapes C0 and leaves the rest as it is: `\u{9b}`, which many terminals take for the beginning of a command, the
//! marks that turn the direction of writing, and what is not seen at all. A plugin or a server that puts them into a name
//! would reach whoever looks at the output. So what is hidden by [`visible`](provider_host::policy::visible) is escaped: it
//! is the same JSON, and a script reads what was said.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use provider_host::policy::visible::is_hidden;

/// Writes a value in a line of its own, piece by piece: an answer may have hundreds of megabytes, and escapes six times
/// that.
pub(in crate::cli) fn write_line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Harmless))?;
    out.write_all(b"\n")
}

/// Compact JSON whose strings are harmless.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut written = 0;
        for (at, one) in fragment.char_indices().filter(|(_, one)| is_hidden(*one)) {
            out.write_all(&fragment.as_bytes()[written..at])?;
            let mut units = [0; 2];
            for unit in one.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}")?;
            }
            written = at + one.len_utf8();
        }
        out.write_all(&fragment.as_bytes()[written..])
    }
}

/// Writes a value over several lines.
pub(in crate::cli) fn write_pretty(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    writeln!(out, "{}", harmless(&text))
}

/// What is hidden stands in a string: outside of them JSON has line feeds alone.
fn harmless(json: &str) -> Cow<'_, str> {
    let hidden = |one: char| one != '\n' && is_hidden(one);
    if !json.contains(hidden) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for one in json.chars() {
        match hidden(one) {
            true => {
                let mut units = [0; 2];
                for unit in one.encode_utf16(&mut units) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
            false => escaped.push(one),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drives_a_terminal_is_escaped_and_reads_the_same() {
        let said = "a\u{1b}[2J\u{9b}31m\u{7f}\u{202e}b\u{2066}\n\tc é 漢 \u{1f600}";
        let text = |value: &str| {
            let mut line = Vec::new();
            write_line(&mut line, &value).expect("JSON");
            let line = String::from_utf8(line).expect("UTF-8");
            line.strip_suffix('\n').expect("a line").to_owned()
        };
        let json = text(said);
        assert_eq!(
            json,
            "\"a\\u001b[2J\\u009b31m\\u007f\\u202eb\\u2066\\n\\tc é 漢 \u{1f600}\""
        );
        assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), said);
        assert_eq!(text("plain"), "\"plain\"");

        // Beyond the first plane a character takes two units, and the form over several lines says the same.
        let hidden = "\u{200e}\u{ad}\u{feff}\u{fe0f}\u{3164}\u{e0041}\u{e0100}";
        let json = text(hidden);
        assert_eq!(
            json,
            "\"\\u200e\\u00ad\\ufeff\\ufe0f\\u3164\\udb40\\udc41\\udb40\\udd00\""
        );
        assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), hidden);
        let mut pretty = Vec::new();
        write_pretty(&mut pretty, &[hidden]).expect("JSON");
        assert_eq!(pretty, format!("[\n  {json}\n]\n").as_bytes());
    }
}
