//! How attacks end: as they have to, held against how they did, and in words for the page.

use provider_host::policy::limits::MESSAGE_BYTES;
use provider_host::types::Event;
use provider_host::{Error as HostError, ErrorKind};

use crate::support::text;

/// How an attack has to end.
pub(super) enum Ends {
    /// The sandbox stops it at this limit.
    Limit(&'static str),
    /// It is stopped as a program that failed, in these words.
    Trap(&'static str),
    /// It is stopped because it left the contract, in these words.
    Contract(&'static str),
    /// It is not loaded, in these words.
    Refused(&'static str),
    /// It tells an error of its own, with these words in kind or message.
    Error(&'static str),
    /// It comes back, and each of its steps begins with one of these. `answered` means the granted server.
    Steps(&'static [&'static str]),
    /// It comes back, and that is all.
    Well,
}

/// What became of an attack.
#[derive(Default, Debug)]
pub(super) struct Made {
    pub(super) events: Vec<Event>,
    pub(super) error: Option<HostError>,
}

impl From<HostError> for Made {
    fn from(error: HostError) -> Self {
        Self {
            error: Some(error),
            ..Self::default()
        }
    }
}

/// The words of an error that say what stopped it.
fn between<'a>(message: &'a str, begin: &str, end: &str) -> &'a str {
    let Some((_, rest)) = message.split_once(begin) else {
        return message;
    };
    rest.split_once(end).map_or(rest, |(words, _)| words)
}

impl Made {
    /// Holds it against how it has to end: what happened, in words, or what is wrong with it.
    pub(super) fn judge(&self, ends: &Ends, secrets: &[&str]) -> Result<String, String> {
        let otherwise = |what: &str| {
            let mut told = format!("{what}: {:?}, {:?}", self.error, self.events);
            told.truncate(told.floor_char_boundary(2_000));
            Err(told)
        };
        if let Some(error) = &self.error {
            // The host's own sentence stands around the plugin's words.
            if error.message().len() > MESSAGE_BYTES + 1_024 {
                return otherwise("a long message");
            }
            let told = format!("{error} {:?} {}", error.code(), error.kind_name());
            if secrets.iter().any(|secret| told.contains(secret)) {
                return otherwise("a secret is in the error");
            }
        }
        match (ends, &self.error) {
            (Ends::Limit(words), Some(error)) if is(error, &ErrorKind::PluginLimit, words) => {
                let limit = between(error.message(), "of its sandbox in ", ";");
                let limit = limit.split_once("`: ").map_or(limit, |(_, limit)| limit);
                Ok(format!("limit: {}", between(limit, "", " (")))
            }
            (Ends::Trap(words), Some(error)) if is(error, &ErrorKind::PluginTrapped, words) => {
                let why = between(error.message(), "was stopped: ", "; its chat");
                Ok(format!("stopped: {}", without_numbers(why)))
            }
            (Ends::Contract(words), Some(error))
                if is(error, &ErrorKind::PluginMisbehaved, words) =>
            {
                let why = between(error.message(), "the contract in `next`: ", "; its chat");
                Ok(format!("left the contract: {why}"))
            }
            (Ends::Refused(words), Some(error)) if is(error, &ErrorKind::InvalidPlugin, words) => {
                let why = error.message();
                let why = between(why, "this host gives to no plugin: ", "; it may");
                let why = between(why, "does not compile: ", " (at offset");
                let why = between(why, "this host gives to one: ", " (at offset");
                let why = between(why, "does not fit the contract: ", " (at offset");
                Ok(format!("not loaded: {}", without_numbers(why)))
            }
            (Ends::Error(words), Some(error))
                if error.message().contains(words) || error.kind_name() == *words =>
            {
                let length = error.message().len();
                Ok(match length {
                    0..1_000 => format!("an error: {}", error.kind_name()),
                    _ => format!("an error of {length} bytes"),
                })
            }
            (Ends::Steps(allowed), None) => self.steps(allowed).or_else(|why| otherwise(&why)),
            (Ends::Well, None) => Ok("comes back".into()),
            _ => otherwise("ended otherwise"),
        }
    }

    /// What became of the steps, each counted.
    fn steps(&self, allowed: &[&str]) -> Result<String, String> {
        let text = text(&self.events);
        let mut counted: Vec<(&str, usize)> = Vec::new();
        for step in text.lines().skip(1) {
            let Some(begin) = allowed.iter().find(|begin| step.starts_with(**begin)) else {
                return Err(format!("a step went otherwise: {step}"));
            };
            match counted.iter_mut().find(|(seen, _)| seen == begin) {
                Some((_, count)) => *count += 1,
                None => counted.push((begin, 1)),
            }
        }
        let told = |(step, count): &(&str, usize)| match count {
            1 => (*step).to_owned(),
            _ => format!("{count} × {step}"),
        };
        let all: Vec<String> = counted.iter().map(told).collect();
        match all.is_empty() {
            true => Err("no step".into()),
            false => Ok(format!("comes back: {}", all.join(", "))),
        }
    }
}

fn is(error: &HostError, kind: &ErrorKind, words: &str) -> bool {
    error.kind() == kind
        && error
            .message()
            .to_lowercase()
            .contains(&words.to_lowercase())
}

/// The first line, without the numbers that differ from build to build: addresses and sizes.
fn without_numbers(why: &str) -> String {
    let is_long = |word: &str| {
        let digits = word.trim_matches(|one: char| !one.is_ascii_alphanumeric());
        digits.len() > 3 && digits.bytes().all(|digit| digit.is_ascii_digit())
    };
    let line = why.lines().next().unwrap_or_default();
    let words = line.split(' ');
    let shown: Vec<&str> = words
        .map(|word| if is_long(word) { "…" } else { word })
        .collect();
    shown.join(" ")
}
