//! An answer as people see it: the text on stdout as it comes, and nothing
//! else there; thinking, notes and the account on stderr.

use std::borrow::Cow;
use std::io::Write;

use anstyle::Style;
use provider_host::route::Step;
use provider_host::types::{self, Event};

use super::amount;
use super::answer::Answer;
use super::opened::with_path;
use super::terminal::{BOLD, DIM, escaped, escaped_prose};

/// Writes an answer for people.
pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
    aside: &'a mut dyn Write,
    /// `out` is a terminal: what could drive it is shown as an escape, and styles
    /// are put in.
    out_is_terminal: bool,
    at: Place,
    /// The text on `out` ends in the middle of a line.
    mid_line: bool,
    /// Line breaks at the end of the thinking so far, written only if more of
    /// it comes: templates end it with some.
    breaks: usize,
}

/// What was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nothing,
    Reasoning,
    Text,
}

impl<'a> Screen<'a> {
    /// `out` gets the answer, `aside` the rest.
    pub(super) fn new(
        (out, out_is_terminal): (&'a mut dyn Write, bool),
        aside: &'a mut dyn Write,
    ) -> Self {
        Self {
            out,
            aside,
            out_is_terminal,
            at: Place::Nothing,
            mid_line: false,
            breaks: 0,
        }
    }

    /// Shows a batch of events.
    pub(super) fn show(&mut self, events: &[Event]) -> std::io::Result<()> {
        for event in events {
            match event {
                Event::Text(text) => self.text(text)?,
                Event::Reasoning(text) => self.reasoning(text)?,
                Event::ToolCallEnd(call) => self.call(call)?,
                Event::Note(note) => {
                    self.end_of_line()?;
                    let message = with_path(note.path.as_deref(), &note.message);
                    writeln!(self.aside, "{BOLD}note{BOLD:#}: {}", escaped(&message))?;
                }
                Event::Start(_)
                | Event::ToolCallStart(_)
                | Event::ToolCallArguments(_)
                | Event::Usage(_)
                | Event::Finish(_)
                | Event::Other(_) => {}
            }
        }
        self.out.flush()?;
        self.aside.flush()
    }

    /// Says that the request will be sent again, or to another model.
    pub(super) fn detour(&mut self, step: &Step) -> std::io::Result<()> {
        let Some(sentence) = super::detour::sentence(step) else {
            return Ok(());
        };
        self.end_of_line()?;
        writeln!(self.aside, "{BOLD}note{BOLD:#}: {}", escaped(&sentence))?;
        self.aside.flush()
    }

    /// Says something in the middle of an answer, which goes on behind it. Where the answer goes elsewhere than to a terminal
    /// it is left as it is.
    pub(super) fn interject(&mut self, sentence: &str) -> std::io::Result<()> {
        if self.out_is_terminal {
            self.end_of_line()?;
        } else if self.at == Place::Reasoning {
            writeln!(self.aside)?;
            self.at = Place::Nothing;
        }
        writeln!(self.aside, "{BOLD}note{BOLD:#}: {}", escaped(sentence))?;
        self.aside.flush()
    }

    /// Ends what stands half-way on a line, before something else is said.
    pub(super) fn end_of_line(&mut self) -> std::io::Result<()> {
        if self.at == Place::Reasoning {
            writeln!(self.aside)?;
        }
        self.breaks = 0;
        if std::mem::take(&mut self.mid_line) {
            writeln!(self.out)?;
        }
        self.at = Place::Nothing;
        self.out.flush()
    }

    /// Says how the answer ended and what it took.
    pub(super) fn account(&mut self, answer: &Answer, model: &types::Model) -> std::io::Result<()> {
        self.end_of_line()?;
        use types::FinishReason as R;
        match answer.finish() {
            Some(R::Length) => writeln!(
                self.aside,
                "{BOLD}note{BOLD:#}: the answer was cut at the length limit (--max-tokens raises it)"
            )?,
            Some(R::ContentFilter) => {
                writeln!(
                    self.aside,
                    "{BOLD}note{BOLD:#}: the server withheld the rest"
                )?;
            }
            Some(R::Other(word)) => {
                let word = escaped(word);
                writeln!(
                    self.aside,
                    "{BOLD}note{BOLD:#}: the answer ended with {word:?}"
                )?;
            }
            Some(R::Stop | R::ToolCalls) | None => {}
        }
        writeln!(self.aside, "{DIM}{}{DIM:#}", usage_line(answer, model))
    }

    fn text(&mut self, text: &str) -> std::io::Result<()> {
        // Templates begin an answer with empty lines behind the thinking.
        let text = if self.at == Place::Text {
            text
        } else {
            text.trim_start_matches('\n')
        };
        let text = if self.out_is_terminal {
            escaped_prose(text)
        } else {
            Cow::Borrowed(text)
        };
        if text.is_empty() {
            return Ok(());
        }
        if self.at == Place::Reasoning {
            write!(self.aside, "\n\n")?;
            self.aside.flush()?;
            self.breaks = 0;
        }
        self.out.write_all(text.as_bytes())?;
        self.mid_line = !text.ends_with('\n');
        self.at = Place::Text;
        Ok(())
    }

    fn reasoning(&mut self, text: &str) -> std::io::Result<()> {
        let text = escaped_prose(text).into_owned();
        let text = if self.at == Place::Reasoning {
            text.as_str()
        } else {
            text.trim_start_matches('\n')
        };
        let whole = text.trim_end_matches('\n');
        if !whole.is_empty() {
            if self.at != Place::Reasoning {
                self.end_of_line()?;
            }
            let breaks = "\n".repeat(std::mem::take(&mut self.breaks));
            write!(self.aside, "{DIM}{breaks}{whole}{DIM:#}")?;
            self.at = Place::Reasoning;
        }
        if self.at == Place::Reasoning {
            self.breaks += text.len() - whole.len();
        }
        Ok(())
    }

    fn call(&mut self, call: &types::ToolCallEnd) -> std::io::Result<()> {
        self.end_of_line()?;
        let name = escaped(&call.name);
        let arguments = escaped(&call.arguments);
        let flaw = if call.valid {
            ""
        } else {
            "  (the arguments are not valid JSON)"
        };
        let style = if self.out_is_terminal {
            BOLD
        } else {
            Style::new()
        };
        writeln!(self.out, "{style}→ {name}{style:#} {arguments}{flaw}")
    }
}

/// `usage: 1,178 in (1,024 cached) + 56 out = 1,234 / 40,960 tokens (3 %) · …`
fn usage_line(answer: &Answer, model: &types::Model) -> String {
    use std::fmt::Write as _;
    let mut line = String::from("usage: ");
    // Writing to a string can't fail.
    match answer.usage() {
        None => line.push_str("the server sent none"),
        Some(usage) => {
            let prompt = usage
                .input
                .saturating_add(usage.cache_read)
                .saturating_add(usage.cache_write);
            let _ = write!(line, "{} in", amount::count(prompt));
            if usage.cache_read > 0 {
                let _ = write!(line, " ({} cached)", amount::count(usage.cache_read));
            }
            let _ = write!(line, " + {} out", amount::count(usage.output));
            if let Some(reasoning) = usage.reasoning.filter(|tokens| *tokens > 0) {
                let _ = write!(line, " ({} thinking)", amount::count(reasoning));
            }
            let window = u64::from(model.context_window);
            let _ = write!(
                line,
                " = {} / {} tokens ({})",
                amount::count(usage.total),
                amount::count(window),
                amount::share(usage.total, window)
            );
            if let Some(cost) = usage.cost.as_ref().filter(|cost| cost.total > 0.0) {
                let _ = write!(line, " · {}", amount::dollars(cost.total));
            }
        }
    }
    let _ = write!(line, " · {}", amount::seconds(answer.elapsed()));
    if let Some(first) = answer.first_content() {
        let _ = write!(line, " (first token {})", amount::seconds(first));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(events: &[Event], terminal: bool) -> (String, String) {
        let (mut out, mut aside) = (Vec::new(), Vec::new());
        let mut screen = Screen::new((&mut out, terminal), &mut aside);
        for event in events {
            screen.show(std::slice::from_ref(event)).unwrap();
        }
        screen.end_of_line().unwrap();
        let plain = |bytes: Vec<u8>| {
            let stripped = anstream::adapter::strip_bytes(&bytes).into_vec();
            String::from_utf8(stripped).unwrap()
        };
        (plain(out), plain(aside))
    }

    fn call(arguments: &str, valid: bool) -> Event {
        Event::ToolCallEnd(types::ToolCallEnd {
            index: 0,
            id: "c".into(),
            name: "look".into(),
            arguments: arguments.into(),
            valid,
        })
    }

    #[test]
    fn stdout_holds_the_answer_and_nothing_else() {
        let text = |text: &str| Event::Text(text.into());
        let reasoning = |text: &str| Event::Reasoning(text.into());
        let cases = [
            (vec![text("Hel"), text("lo")], "Hello\n", ""),
            (vec![text("done\n")], "done\n", ""),
            (
                vec![
                    reasoning("\n"),
                    reasoning("I th"),
                    reasoning("ink\n"),
                    reasoning("\nhard.\n"),
                    text("\n\n"),
                    text("Four"),
                    text("\n\n."),
                ],
                "Four\n\n.\n",
                "I think\n\nhard.\n\n",
            ),
            (
                vec![reasoning("Look.\n"), text("\n\n"), call("{}", true)],
                "→ look {}\n",
                "Look.\n",
            ),
            (
                vec![text("a"), reasoning("b"), text("c")],
                "a\nc\n",
                "b\n\n",
            ),
            (
                vec![
                    text("let me see"),
                    call("{\"x\":\n1}", true),
                    call("{", false),
                ],
                "let me see\n→ look {\"x\": 1}\n→ look {  (the arguments are not valid JSON)\n",
                "",
            ),
            (
                vec![Event::Note(types::Note {
                    code: "c".into(),
                    path: Some("a.b".into()),
                    message: "odd".into(),
                })],
                "",
                "note: a.b: odd\n",
            ),
            (vec![], "", ""),
        ];
        for (events, out, aside) in cases {
            assert_eq!(
                shown(&events, true),
                (out.into(), aside.into()),
                "{events:?}"
            );
        }
    }

    #[test]
    fn only_a_terminal_is_protected_from_control_characters() {
        let events = [Event::Text("a\u{7}b\rc".into())];
        assert_eq!(shown(&events, true).0, "a\\u{7}bc\n");
        let mut out = Vec::new();
        let mut aside = Vec::new();
        Screen::new((&mut out, false), &mut aside)
            .show(&events)
            .unwrap();
        assert_eq!(out, b"a\x07b\rc");
    }

    #[test]
    fn the_account_says_what_matters() {
        let model = types::Model {
            id: "m".into(),
            name: "m".into(),
            reasoning: false,
            input: vec![types::Modality::Text],
            cost: types::Cost {
                input: 0.0,
                output: 0.0,
                cache_read: 0.0,
                cache_write: 0.0,
            },
            context_window: 40_960,
            max_tokens: 8_192,
            parent: None,
            source: types::ModelSource::Discovered,
        };
        let mut answer = Answer::whole();
        assert!(usage_line(&answer, &model).starts_with("usage: the server sent none · "));
        answer.add(&Event::Usage(types::Usage {
            input: 210,
            output: 56,
            cache_read: 1_024,
            cache_write: 0,
            reasoning: Some(12),
            total: 1_290,
            cost: Some(types::CostBreakdown {
                input: 0.0,
                output: 0.0004,
                cache_read: 0.0,
                cache_write: 0.0,
                total: 0.0004,
            }),
            source: types::UsageSource::Final,
        }));
        let line = usage_line(&answer, &model);
        assert!(
            line.starts_with(
                "usage: 1,234 in (1,024 cached) + 56 out (12 thinking) = 1,290 / 40,960 tokens \
                 (3 %) · $0.0004 · "
            ),
            "{line}"
        );
    }
}
