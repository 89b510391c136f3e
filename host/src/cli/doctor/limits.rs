//! How long an answer is waited for, held against how long one took.

use std::io;
use std::time::Duration;

use super::Setup;
use super::report::Report;
use crate::cli::amount::{count, seconds};

/// Least time-out that does not get in the way: a long prompt takes a server
/// tens of seconds before its first token, and so does a queue before it.
const FLOOR: Duration = Duration::from_secs(60);

/// Explains the limits that hold. `took`: the time to the first token, if one
/// came.
pub(super) fn check(setup: &Setup, took: Option<Duration>, report: &mut Report) -> io::Result<()> {
    const CHECK: &str = "time limits";
    let Ok(grant) = setup.wired.grant() else {
        return Ok(());
    };
    let limits = grant.limits;
    let whole = |time: Duration| count(time.as_secs());
    let at = setup.path("timeoutSeconds");
    let Some(timeout) = setup.wired.resolved.timeout else {
        return report.ok(
            CHECK,
            &format!(
                "the defaults: {} s to connect, {} s to the first token, {} s of silence, {} s in \
                 all; {at} sets others",
                whole(limits.connect_timeout),
                whole(limits.first_byte_timeout),
                whole(limits.idle_timeout),
                whole(limits.total_timeout)
            ),
        );
    };
    let set = format!(
        "{at} is {} s, which ends every wait and the whole answer",
        timeout.as_secs_f64()
    );
    let token = match took {
        Some(took) => format!("the first token came after {}", seconds(took)),
        None => String::from("no token came"),
    };
    if timeout >= FLOOR {
        return report.ok(CHECK, &format!("{set}; {token}"));
    }
    report.warning(
        CHECK,
        &format!(
            "{set}; {token}, but a long prompt or a busy server takes longer: set it to {} or \
             more, or remove it",
            FLOOR.as_secs()
        ),
    )
}
