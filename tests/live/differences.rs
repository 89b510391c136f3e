//! What older versions of vLLM do otherwise, as data.
//!
//! A difference is never a check that is left out in silence: it stands here with its reason, is shown in the results,
//! and where the check can run it must fail in the declared way. If it passes, the declaration is wrong and the run fails.

use anyhow::{Result, ensure};

use crate::harness::Check;
use crate::live::{Live, Profile};

/// How a check goes that meets a difference.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// The version has no such feature, so that there is nothing to run.
    Absent,
    /// The check fails, and says this.
    Fails(&'static str),
}

struct Difference {
    checks: &'static [&'static str],
    profiles: &'static [Profile],
    /// Versions before this one.
    before: &'static str,
    kind: Kind,
    why: &'static str,
}

const ALL: &[Difference] = &[
    Difference {
        checks: &["parallel_calls_can_be_switched_off"],
        profiles: &[Profile::Auth, Profile::Think],
        before: "0.14.1",
        kind: Kind::Fails("not one call"),
        why: "parallel_tool_calls is ignored, and both calls come",
    },
    Difference {
        checks: &[
            "an_alias_answers_under_the_first_name",
            "a_short_answer_comes_whole",
            "many_scripts_come_whole",
            "code_keeps_its_tabs_and_quotes",
            "a_long_answer_loses_nothing",
            "a_limit_cuts_the_answer",
            "a_chat_without_a_limit_is_answered",
            "a_limit_that_is_too_large_is_fitted_before_it_is_sent",
            "a_limit_that_is_refused_is_refitted_once",
            "an_unneeded_key_does_no_harm",
            "the_command_line_chats",
            "sixteen_chats_at_once_are_not_mixed_up",
        ],
        profiles: &[Profile::R1],
        before: "0.32.0",
        kind: Kind::Fails("thought \""),
        why: "the parser deepseek_r1 does not see that thinking is switched off, and takes every answer for thinking",
    },
    Difference {
        checks: &["an_answer_that_the_parser_took_for_thinking_is_explained"],
        profiles: &[Profile::Think],
        before: "0.32.0",
        kind: Kind::Fails("Event::Text(\"H\")"),
        why: "the parser qwen3 sends an answer without </think> as text, so that there is no trap to explain",
    },
    Difference {
        checks: &["a_chat_that_waits_in_the_queue_is_kept_alive"],
        profiles: &[Profile::Prio],
        before: "0.32.0",
        kind: Kind::Absent,
        why: "there is no --sse-keep-alive-interval: a chat that waits gets no byte until its turn",
    },
    Difference {
        checks: &["a_full_queue_is_overload"],
        profiles: &[Profile::Prio],
        before: "0.32.0",
        kind: Kind::Absent,
        why: "there is no --max-num-queued-reqs: the queue has no end",
    },
];

/// The difference that is declared for a check on the server at hand.
pub(crate) fn of(check: &str, live: &Live) -> Option<(Kind, &'static str)> {
    ALL.iter()
        .find(|difference| {
            difference.checks.contains(&check)
                && difference.profiles.contains(&live.profile)
                && numbers(&live.version) < numbers(difference.before)
        })
        .map(|difference| (difference.kind, difference.why))
}

/// Every declaration is about a check there is, in a profile it runs in.
pub(crate) fn are_about(checks: &[Check]) -> Result<()> {
    for difference in ALL {
        for name in difference.checks {
            let check = checks.iter().find(|check| check.name == *name);
            let known = check.is_some_and(|check| {
                let mut profiles = difference.profiles.iter();
                profiles.all(|profile| check.profiles.contains(profile))
            });
            ensure!(known, "a difference is declared for no check: {name}");
        }
    }
    Ok(())
}

fn numbers(version: &str) -> Vec<u32> {
    version
        .split('.')
        .map_while(|part| part.parse().ok())
        .collect()
}
