//! Making a finding small: what can be left out without its going away is left out.
//!
//! Parts are left out in halves, quarters and so on: first whole events, then bytes. It stops after a number of executions,
//! with what it has then.

use super::input::Input;
use super::judge::Invariant;
use crate::exercise::exchange::Kind;
use crate::exercise::reply::{Answer, Ending, Latin1, Reply, Step};
use crate::exercise::runner::{Call, ask, model};

const KINDS: [Kind; 4] = [Kind::Models, Kind::Chat, Kind::Tokenize, Kind::Other];

/// A search for a smaller input that still breaks `invariant`.
pub(super) struct Search<'a> {
    /// Whether an input breaks it.
    fails: &'a mut dyn FnMut(&Input) -> bool,
    /// Executions that are left.
    left: u32,
}

/// The smallest input that was found in `executions` tries.
pub(super) fn minimize(
    input: Input,
    invariant: Invariant,
    executions: u32,
    fails: &mut dyn FnMut(&Input) -> bool,
) -> Input {
    let mut search = Search {
        fails,
        left: executions,
    };
    let mut best = input;
    loop {
        let before = best.clone();
        search.settings(&mut best);
        for kind in KINDS {
            search.try_on(&mut best, |input| input.script.replies_mut(kind).clear());
        }
        search.request(&mut best);
        for kind in KINDS {
            for at in 0..best.script.replies(kind).len() {
                search.answer(&mut best, kind, at, invariant == Invariant::Cuts);
            }
        }
        if best == before || search.left == 0 {
            return best;
        }
    }
}

impl Search<'_> {
    /// Takes a smaller input if it fails as well.
    fn try_on(&mut self, best: &mut Input, change: impl FnOnce(&mut Input)) -> bool {
        if self.left == 0 {
            return false;
        }
        let mut smaller = best.clone();
        change(&mut smaller);
        if smaller == *best {
            return false;
        }
        self.left -= 1;
        let fails = (self.fails)(&smaller);
        if fails {
            *best = smaller;
        }
        fails
    }

    fn settings(&mut self, best: &mut Input) {
        let plain = format!("{{\"baseUrl\":\"{}\"}}", crate::exercise::runner::BASE_URL);
        self.try_on(best, |input| input.settings.config = Some(plain));
        self.try_on(best, |input| input.settings.config = None);
        self.try_on(best, |input| input.settings.models.clear());
        self.try_on(best, |input| input.settings.api_key = None);
        if let Some(config) = best.settings.config.clone() {
            let shortened = self.shorter(config.into_bytes(), |search, bytes| {
                let Ok(text) = String::from_utf8(bytes.to_vec()) else {
                    return false;
                };
                search.try_on(best, |input| input.settings.config = Some(text))
            });
            debug_assert!(best.settings.config.is_some() || shortened.is_empty());
        }
    }

    fn request(&mut self, best: &mut Input) {
        let (Call::Chat(asked) | Call::CountTokens(asked)) = &best.call else {
            return;
        };
        let mut plain = asked.clone();
        plain.request = ask("Say hello.");
        let request = plain.clone();
        self.try_on(best, |input| set(&mut input.call, request));
        plain.model = model(crate::exercise::runner::MODEL);
        self.try_on(best, |input| set(&mut input.call, plain));
        self.without(best, |asked| asked.request.tools.clear());
        self.without(best, |asked| asked.request.stop.clear());
        self.without(best, |asked| asked.request.extra = None);
        self.without(best, |asked| asked.request.response_format = None);
        self.without(best, |asked| asked.request.tool_choice = None);
        self.without(best, |asked| asked.request.reasoning = None);
        let mut at = 0;
        while messages(best) > 1 && at < messages(best) {
            let removed = self.without(best, |asked| {
                asked.request.messages.remove(at);
            });
            at += usize::from(!removed);
        }
    }

    fn without(
        &mut self,
        best: &mut Input,
        change: impl FnOnce(&mut crate::exercise::runner::Ask),
    ) -> bool {
        self.try_on(best, |input| {
            if let Call::Chat(asked) | Call::CountTokens(asked) = &mut input.call {
                change(asked);
            }
        })
    }

    fn answer(&mut self, best: &mut Input, kind: Kind, at: usize, keep_cuts: bool) {
        let Some(Reply::Answer(answer)) = best.script.replies(kind).get(at) else {
            return;
        };
        let answer = answer.clone();
        let mut put = |search: &mut Self, answer: Answer| {
            search.try_on(best, |input| {
                input.script.replies_mut(kind)[at] = Reply::Answer(answer);
            })
        };
        let mut current = answer;
        if !keep_cuts {
            let whole = with_body(&current, current.body().to_vec());
            if put(self, whole.clone()) {
                current = whole;
            }
        }
        let complete = Answer {
            end: Ending::Complete,
            ..current.clone()
        };
        if put(self, complete.clone()) {
            current = complete;
        }
        let mut field = 0;
        while field < current.headers.len() {
            let mut smaller = current.clone();
            smaller.headers.remove(field);
            if put(self, smaller.clone()) {
                current = smaller;
            } else {
                field += 1;
            }
        }
        // Whole events first.
        let mut blocks: Vec<Vec<u8>> = Vec::new();
        for line in current.body().split_inclusive(|byte| *byte == b'\n') {
            match blocks.last_mut() {
                Some(block) if !block.ends_with(b"\n\n") => block.extend_from_slice(line),
                _ => blocks.push(line.to_vec()),
            }
        }
        let base = current.clone();
        let blocks = self.shorter(blocks, |search, left| {
            put(search, with_body(&base, left.concat()))
        });
        let body = blocks.concat();
        if body.len() < base.body().len() {
            current = with_body(&base, body);
        }
        let base = current.clone();
        self.shorter(base.body().to_vec(), |search, left| {
            put(search, with_body(&base, left.to_vec()))
        });
    }

    /// Leaves parts out as long as `fails` says that what is left will do.
    fn shorter<T: Clone>(
        &mut self,
        mut all: Vec<T>,
        mut fails: impl FnMut(&mut Self, &[T]) -> bool,
    ) -> Vec<T> {
        let mut size = all.len().div_ceil(2);
        while size > 0 && self.left > 0 {
            let mut from = 0;
            while from < all.len() && self.left > 0 {
                let to = (from + size).min(all.len());
                let left: Vec<T> = [&all[..from], &all[to..]].concat();
                if fails(self, &left) {
                    all = left;
                } else {
                    from = to;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
        all
    }
}

fn messages(input: &Input) -> usize {
    match &input.call {
        Call::Chat(asked) | Call::CountTokens(asked) => asked.request.messages.len(),
        _ => 0,
    }
}

fn set(call: &mut Call, asked: Box<crate::exercise::runner::Ask>) {
    if let Call::Chat(old) | Call::CountTokens(old) = call {
        *old = asked;
    }
}

/// The same head and end with other bytes, in one piece.
fn with_body(answer: &Answer, body: Vec<u8>) -> Answer {
    Answer {
        steps: vec![Step::Bytes(Latin1(body.into()))],
        ..answer.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exercise::exchange::Exchange;

    #[test]
    fn what_makes_no_difference_is_left_out() {
        let recorded = Exchange::built_in();
        let mut input = Input::generate(&recorded, "{}", 3, 0);
        let body = format!("data: {}\n\ndata: {{\"bad\":1}}\n\n", "x".repeat(5_000));
        input.script = crate::exercise::wire::Script::new()
            .with_chat(Reply::new(200, "text/event-stream", body).ending(Ending::Reset));
        input.call = Call::chat(model("odd"), ask("Something else."));
        let mut tries = 0;
        let small = minimize(input, Invariant::NoTrap, 2_000, &mut |input| {
            tries += 1;
            let Some(Reply::Answer(answer)) = input.script.chat.first() else {
                return false;
            };
            let body = String::from_utf8_lossy(&answer.body()).into_owned();
            body.contains("bad")
        });
        let Some(Reply::Answer(answer)) = small.script.chat.first() else {
            panic!("the reply is kept");
        };
        assert_eq!(answer.body(), "bad");
        assert_eq!((answer.end, answer.headers.len()), (Ending::Complete, 0));
        assert_eq!(small.call, Call::chat(model("tiny"), ask("Say hello.")));
        assert!(tries < 2_000, "{tries}");
    }
}
