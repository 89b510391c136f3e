//! One input: what is asked, with which settings, and what comes back.

use serde::{Deserialize, Serialize};

use super::dice::Dice;
use super::{KEY_HERE, asked, mutate};
use crate::bindings::types::Settings;
use crate::exercise::exchange::{Exchange, Kind};
use crate::exercise::reply::Reply;
use crate::exercise::runner::{Ask, Call, Runner};
use crate::exercise::wire::Script;

/// Up to so many bytes a cut after each takes no time to speak of.
const CUT_EVERYWHERE: usize = 400;

/// Everything that an execution depends on, but the plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Input {
    /// What is called.
    pub call: Call,
    /// With which settings; the key is written as [`KEY_HERE`], because its placeholder is another in each process.
    pub settings: Settings,
    /// What comes back.
    pub script: Script,
}

impl Input {
    /// The input of one execution of a seed: it depends on nothing but these, the recordings, and the configuration that
    /// most inputs have.
    #[must_use]
    pub fn generate(recorded: &[Exchange], config: &str, seed: u64, execution: u64) -> Self {
        let mut dice = Dice::of(seed, execution);
        let call = match dice.below(32) {
            0 => Call::CheckSettings,
            1 | 2 => Call::ListModels,
            3 => Call::ResolveModel(asked::id(&mut dice)),
            4 => Call::CheckHealth,
            5 => Call::CountTokens(Box::new(ask(&mut dice))),
            _ => Call::Chat(Box::new(ask(&mut dice))),
        };
        let settings = asked::settings(config, &mut dice, call == Call::CheckSettings);
        let mut input = Self {
            script: Script::new(),
            call,
            settings,
        };
        let Some(kind) = input.kind() else {
            return input;
        };
        // Now and then something quite different comes back.
        let mut fitting: Vec<&Exchange> = recorded
            .iter()
            .filter(|one| one.kind() == kind || dice.once_in(150))
            .collect();
        if fitting.is_empty() {
            // Not every server lists its models where OpenAI's does.
            let chat = kind == Kind::Chat;
            let alike = |one: &&Exchange| (one.kind() == Kind::Chat) == chat;
            fitting = recorded.iter().filter(alike).collect();
        }
        let Some(base) = choose(&fitting, &mut dice) else {
            return input;
        };
        let other = choose(&fitting, &mut dice).map(|one| &one.body[..]);
        let mut reply = Reply::of(base);
        if dice.once_in(64) {
            mutate::cut(&mut reply, &mut dice);
        } else {
            mutate::reply(&mut reply, other.unwrap_or_default(), &mut dice);
        }
        if kind == Kind::Models {
            input.script.other.push(reply.clone());
        }
        input.script.replies_mut(kind).push(reply);
        input
    }

    /// Which kind of request the call is answered by; none: it sends none.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        Some(match self.call {
            Call::CheckSettings => return None,
            Call::ListModels | Call::ResolveModel(_) => Kind::Models,
            Call::CountTokens(_) => Kind::Tokenize,
            Call::CheckHealth => Kind::Other,
            Call::Chat(_) => Kind::Chat,
        })
    }

    /// The settings with a runner's placeholder in its place.
    pub(super) fn settings(&self, runner: &Runner) -> Settings {
        let mut settings = self.settings.clone();
        if settings.api_key.as_deref() == Some(KEY_HERE) {
            settings.api_key = Some(runner.placeholder().to_owned());
        }
        settings
    }

    /// How many bytes come back: the longest reply, since one call reads one.
    pub(super) fn received(&self) -> usize {
        let kinds = [Kind::Models, Kind::Chat, Kind::Tokenize, Kind::Other];
        let longest = |kind: &Kind| {
            let replies = self.script.replies(*kind).iter();
            replies.map(Reply::len).max().unwrap_or_default()
        };
        kinds.iter().map(longest).max().unwrap_or_default()
    }

    /// The same with every reply put through `change`.
    #[must_use]
    pub(super) fn with_replies(&self, mut change: impl FnMut(Reply) -> Reply) -> Self {
        let mut input = self.clone();
        for kind in [Kind::Models, Kind::Chat, Kind::Tokenize, Kind::Other] {
            for reply in input.script.replies_mut(kind) {
                let old = std::mem::replace(reply, Reply::new(200, "", ""));
                *reply = change(old);
            }
        }
        input
    }

    /// The same with what comes back in one piece.
    #[must_use]
    pub(super) fn whole(&self) -> Self {
        self.with_replies(|reply| reply.cut_by(|left| (left, false)))
    }

    /// The same with what comes back cut somewhere else: a little of it after each byte.
    #[must_use]
    pub(super) fn cut_otherwise(&self, dice: &mut Dice) -> Self {
        if self.received() <= CUT_EVERYWHERE {
            return self.with_replies(|reply| reply.cut_every(1));
        }
        self.with_replies(|reply| {
            let least = reply.len() / 2_000;
            let most = dice.pick(&[1, 3, 40, 400]);
            reply.cut_by(|_| (1 + least + dice.below(most), dice.once_in(3)))
        })
    }
}

/// Half of the time a small one: they are quick, and most of what can go wrong goes wrong there.
fn choose<'a>(from: &[&'a Exchange], dice: &mut Dice) -> Option<&'a Exchange> {
    if from.is_empty() {
        return None;
    }
    let (a, b) = (dice.pick(from), dice.pick(from));
    let smaller = if a.body.len() < b.body.len() { a } else { b };
    Some(if dice.once_in(2) { smaller } else { a })
}

fn ask(dice: &mut Dice) -> Ask {
    Ask {
        model: asked::model(dice),
        request: asked::request(dice),
        batch: dice.pick(&[1, 2, 7, 64, 64, 1_000, u32::MAX]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_depends_on_seed_and_number_only_and_is_the_same_when_read_again() {
        let recorded = Exchange::built_in();
        let mut kinds = std::collections::BTreeSet::new();
        for execution in 0..400 {
            let input = Input::generate(&recorded, "{}", 7, execution);
            assert_eq!(input, Input::generate(&recorded, "{}", 7, execution));
            let text = serde_json::to_string(&input).expect("JSON");
            let read: Input = serde_json::from_str(&text).expect("an input");
            assert_eq!(read, input, "{text}");
            assert!(input.received() <= super::super::MAX_INPUT);
            kinds.insert(input.call.name());
        }
        assert_eq!(kinds.len(), 6, "{kinds:?}");
        let other = Input::generate(&recorded, "{}", 8, 0);
        assert_ne!(other, Input::generate(&recorded, "{}", 7, 0));
    }

    #[test]
    fn cutting_otherwise_changes_the_pieces_and_no_byte() {
        let recorded = Exchange::built_in();
        let input = Input::generate(&recorded, "{}", 1, 3);
        let mut dice = Dice::of(0, 0);
        let cut = input.cut_otherwise(&mut dice);
        assert_eq!(cut.whole(), input.whole());
        assert_eq!(cut.received(), input.received());
    }
}
