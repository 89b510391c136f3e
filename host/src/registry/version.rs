//! Which of two plugins is the newer one.

use std::cmp::Ordering;

use semver::Version;

/// Whether a version may take the place of another; else why not. Versions are semantic ones, as the contract says, and
/// what stands behind a `+` makes no difference (semver §10).
pub(super) fn follows(serving: &str, offered: &str) -> Result<(), String> {
    let Some(new) = parsed(offered) else {
        return Err(format!(
            "its version {:?} is no semantic version (such as 1.2.3), so that nobody can tell whether it is newer than \
             {serving}, which serves (SwapPolicy::with_downgrades takes it all the same)",
            offered.chars().take(80).collect::<String>()
        ));
    };
    // What serves without a version that can be read is older than anything.
    let Some(old) = parsed(serving) else {
        return Ok(());
    };
    match new.cmp_precedence(&old) {
        Ordering::Less => Err(format!(
            "it is version {new}, and {old} serves, which is newer (SwapPolicy::with_downgrades takes it all the same; \
             Slot::roll_back returns to what served before)"
        )),
        Ordering::Equal | Ordering::Greater => Ok(()),
    }
}

/// The order of versions; what is none is the oldest.
pub(super) fn precedence(one: &str, other: &str) -> Ordering {
    match (parsed(one), parsed(other)) {
        (Some(one), Some(other)) => one.cmp_precedence(&other),
        (one, other) => one.is_some().cmp(&other.is_some()),
    }
}

fn parsed(version: &str) -> Option<Version> {
    Version::parse(version).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_or_has_no_version_does_not_follow() {
        for (serving, offered, may) in [
            ("0.1.0", "0.1.0", true),
            ("0.1.0", "0.1.1", true),
            ("0.9.0", "0.10.0", true),
            ("0.10.0", "0.9.0", false),
            ("1.0.0", "1.0.0-rc.1", false),
            ("1.0.0-rc.1", "1.0.0", true),
            ("1.0.0+a", "1.0.0+b", true),
            ("1.0.0+b", "1.0.0+a", true),
            ("0.1.0", "newest", false),
            ("newest", "0.1.0", true),
            ("newest", "newer", false),
        ] {
            let judged = follows(serving, offered);
            assert_eq!(judged.is_ok(), may, "{serving} {offered}: {judged:?}");
        }
    }

    #[test]
    fn a_directory_is_ordered_by_version() {
        let mut versions = ["none", "1.0.0", "0.9.0", "1.0.0-rc.1", "0.10.0"];
        versions.sort_by(|one, other| precedence(other, one));
        assert_eq!(versions, ["1.0.0", "1.0.0-rc.1", "0.10.0", "0.9.0", "none"]);
    }
}
