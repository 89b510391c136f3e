//! The decode loop: tokens in, one step per token out, until something ends it.
//!
//! This is the part of vLLM's engine that a client can see: the token limit,
//! the end-of-sequence token (it counts as a completion token and has no text),
//! stop strings, and the text held back while a stop string may be growing.

use std::collections::VecDeque;

/// Where tokens come from: the text of one token each; the end is the
/// end-of-sequence token.
pub(crate) type Tokens = Box<dyn Iterator<Item = String> + Send>;

/// Why a generation ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finish {
    /// The end-of-sequence token.
    End,
    /// A stop string, by name.
    Stop(String),
    /// The token limit.
    Length,
}

/// What one token brought.
#[derive(Debug, PartialEq)]
pub(crate) struct Step {
    /// Text that may be given out now; empty while it is held back.
    pub(crate) text: String,
    /// Set on the last step.
    pub(crate) finish: Option<Finish>,
}

/// One generation under way.
pub(crate) struct Engine {
    tokens: Tokens,
    limit: u64,
    produced: u64,
    ignore_eos: bool,
    stops: Vec<String>,
    keep_stop: bool,
    hold: usize,
    held: VecDeque<char>,
    finished: bool,
}

impl Engine {
    /// `limit` is the most tokens to produce, at least 1.
    pub(crate) fn new(tokens: Tokens, limit: u64, ignore_eos: bool) -> Self {
        Engine {
            tokens,
            limit: limit.max(1),
            produced: 0,
            ignore_eos,
            stops: Vec::new(),
            keep_stop: false,
            hold: 0,
            held: VecDeque::new(),
            finished: false,
        }
    }

    /// Stop strings (none of them empty), and whether the one that was found
    /// stays in the text (`include_stop_str_in_output`).
    pub(crate) fn stop_at(mut self, stops: Vec<String>, keep: bool) -> Self {
        let longest = stops.iter().map(|s| s.chars().count()).max().unwrap_or(0);
        self.hold = longest.saturating_sub(1);
        self.stops = stops;
        self.keep_stop = keep;
        self
    }

    /// Tokens produced so far, the end-of-sequence token among them.
    pub(crate) fn produced(&self) -> u64 {
        self.produced
    }

    /// Produces one token. None after the step that had a finish.
    pub(crate) fn step(&mut self) -> Option<Step> {
        if self.finished {
            return None;
        }
        self.produced += 1;
        let token = match self.tokens.next() {
            Some(token) => token,
            // A model told to ignore its end emits tokens without text.
            None if self.ignore_eos => String::new(),
            None => return Some(self.finish(Finish::End)),
        };
        self.held.extend(token.chars());
        if let Some(stop) = self.found_stop() {
            return Some(self.finish(Finish::Stop(stop)));
        }
        if self.produced >= self.limit {
            return Some(self.finish(Finish::Length));
        }
        let free = self.held.len().saturating_sub(self.hold);
        Some(Step {
            text: self.held.drain(..free).collect(),
            finish: None,
        })
    }

    /// Looks for a stop string and cuts the held text at it. The text given out
    /// before cannot hold its beginning: that is what is held back.
    fn found_stop(&mut self) -> Option<String> {
        if self.stops.is_empty() {
            return None;
        }
        let text: String = self.held.iter().collect();
        let (at, stop) = self
            .stops
            .iter()
            .filter_map(|stop| text.find(stop.as_str()).map(|at| (at, stop)))
            .min_by_key(|(at, _)| *at)?;
        let end = if self.keep_stop { at + stop.len() } else { at };
        self.held = text[..end].chars().collect();
        Some(stop.clone())
    }

    fn finish(&mut self, finish: Finish) -> Step {
        self.finished = true;
        Step {
            text: self.held.drain(..).collect(),
            finish: Some(finish),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::token::pieces;

    fn engine(text: &str, limit: u64) -> Engine {
        let tokens: Vec<String> = pieces(text).map(str::to_owned).collect();
        Engine::new(Box::new(tokens.into_iter()), limit, false)
    }

    fn drain(mut engine: Engine) -> (Vec<String>, Option<Finish>, u64) {
        let mut texts = Vec::new();
        let mut finish = None;
        while let Some(step) = engine.step() {
            texts.push(step.text);
            finish = step.finish;
        }
        (texts, finish, engine.produced())
    }

    #[test]
    fn the_end_of_the_sequence_is_a_token_without_text() {
        let (texts, finish, produced) = drain(engine("a b", 9));
        assert_eq!(texts, ["a", " b", ""]);
        assert_eq!((finish, produced), (Some(Finish::End), 3));
    }

    #[test]
    fn the_limit_ends_with_the_last_token_in_the_same_step() {
        let (texts, finish, produced) = drain(engine("1 2 3", 2));
        assert_eq!(texts, ["1", " "]);
        assert_eq!((finish, produced), (Some(Finish::Length), 2));
    }

    #[test]
    fn a_stop_string_over_two_tokens_is_never_given_out() {
        let (texts, finish, produced) =
            drain(engine("5 6 7 8", 99).stop_at(vec![" 7".into()], false));
        assert_eq!(texts.concat(), "5 6");
        assert_eq!((finish, produced), (Some(Finish::Stop(" 7".into())), 5));
    }

    #[test]
    fn a_stop_string_stays_when_asked_for() {
        let (texts, ..) = drain(engine("5 6 7 8", 99).stop_at(vec![" 7".into()], true));
        assert_eq!(texts.concat(), "5 6 7");
    }

    #[test]
    fn a_model_that_ignores_its_end_runs_to_the_limit() {
        let mut engine = engine("a", 4);
        engine.ignore_eos = true;
        let (texts, finish, produced) = drain(engine);
        assert_eq!(texts, ["a", "", "", ""]);
        assert_eq!((finish, produced), (Some(Finish::Length), 4));
    }
}
