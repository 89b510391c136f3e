//! What the set-up has to know about the rustc that will be used.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};

use crate::component::{ask_rustc, target_libdir};

/// The compiler that cargo calls.
pub(crate) struct Toolchain {
    /// `1.95.0`, or `1.97.0-nightly`.
    pub(crate) release: String,
    /// The commit it was built from: the name under which a library that fits it is kept.
    pub(crate) commit: String,
    pub(crate) sysroot: PathBuf,
    /// Where it looks for the wasm target's standard library.
    pub(crate) libdir: PathBuf,
}

impl Toolchain {
    /// The one in use here.
    pub(crate) fn in_use() -> Result<Self> {
        let asked = |arguments: &[&str]| ask_rustc(arguments).map_err(|reason| anyhow!(reason));
        let (release, commit) = release_and_commit(&asked(&["-vV"])?)?;
        let sysroot = PathBuf::from(asked(&["--print", "sysroot"])?);
        let libdir = target_libdir().map_err(|reason| anyhow!(reason))?;
        Ok(Self {
            release,
            commit,
            sysroot,
            libdir,
        })
    }
}

/// From the output of `rustc -vV`. A rustc without a commit (some distributions') is known by its release.
fn release_and_commit(version: &str) -> Result<(String, String)> {
    let field = |name: &str| {
        version
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let release = field("release:").context("`rustc -vV` names no release")?;
    let commit =
        field("commit-hash:").filter(|hash| hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    Ok((release.to_owned(), commit.unwrap_or(release).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rustc_is_known_by_its_commit_or_else_by_its_release() {
        let official = "rustc 1.95.0 (5980 2026-04-14)\nbinary: rustc\ncommit-hash: 59807616\nrelease: 1.95.0\n";
        let distribution = "rustc 1.95.0\ncommit-hash: unknown\nrelease: 1.95.0\n";
        let own = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            release_and_commit(official).unwrap(),
            own("1.95.0", "59807616")
        );
        assert_eq!(
            release_and_commit(distribution).unwrap(),
            own("1.95.0", "1.95.0")
        );
        assert!(release_and_commit("").is_err());
    }
}
