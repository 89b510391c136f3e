//! Which paths of the granted origin a plugin may use, and which paths have one reading only.
//!
//! Many servers may share an origin: a gateway puts each team's below a path of its own. A base URL such as
//! `https://gateway/team-a/v1` means that team and no other, so a grant may end at a path: [`BasePath`]. It is compared
//! byte by byte, because gateways differ in what they decode before they choose; for the same reason a path that one of them
//! could read as another path is refused, whatever is granted.

use super::quote::quote;
use super::{Denial, Origin, OriginError};
use std::fmt;
use url::Url;

/// The part of an origin that a grant covers: all of it, or one path and what lies below it.
///
/// # Examples
///
/// ```
/// use provider_host::policy::BasePath;
///
/// let team = BasePath::of_base_url("https://gateway/team-a/v1")?;
/// assert!(team.covers("/team-a/v1/models") && team.covers("/team-a/version"));
/// assert!(!team.covers("/team-b/v1/models") && !team.covers("/team-ab"));
/// # Ok::<(), provider_host::policy::OriginError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BasePath(
    /// Without a slash at the end; empty: everything.
    String,
);

impl BasePath {
    /// Every path.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// What belongs to the server of a base URL: its path and everything below. Where the last segment is the version of
    /// an API (`v1`), it is what that lies in, for a server has more than its API: vLLM's `/tokenize`, `/version` and
    /// `/health` stand beside `/v1`.
    ///
    /// # Errors
    ///
    /// See [`OriginError`].
    pub fn of_base_url(base_url: &str) -> Result<Self, OriginError> {
        let base_url = base_url.trim();
        Origin::from_url(&Url::parse(base_url)?)?;
        // As it is written and not as the URL rules rewrite it: this is what a plugin puts a resource behind.
        let written = base_url.split_once("://").map_or("", |(_, rest)| rest);
        let written = written.split(['?', '#']).next().unwrap_or_default();
        let path = written.find('/').map_or("", |at| &written[at..]);
        let path = path.trim_end_matches('/');
        let path = match path.rsplit_once('/') {
            Some((above, last)) if is_version(last) => above.trim_end_matches('/'),
            _ => path,
        };
        Ok(Self(ascii(path)))
    }

    /// Whether a path lies in it.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        path.strip_prefix(self.0.as_str())
            .is_some_and(|rest| self.0.is_empty() || rest.is_empty() || rest.starts_with('/'))
    }

    pub(crate) fn judge(&self, path: &str) -> Result<(), Denial> {
        if self.covers(path) {
            return Ok(());
        }
        Err(Denial::BasePath {
            asked: quote(path),
            granted: self.to_string(),
        })
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.0)
    }
}

/// `v1`, `v2beta`.
fn is_version(segment: &str) -> bool {
    matches!(segment.as_bytes(), [b'v' | b'V', b'0'..=b'9', ..])
}

/// A path as it goes over the wire: what no URI holds is percent-encoded (RFC 3986 §2).
fn ascii(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for one in path.chars() {
        if one.is_ascii() && !"\"<>^`{|}".contains(one) {
            out.push(one);
        } else {
            let mut utf8 = [0; 4];
            for byte in one.encode_utf8(&mut utf8).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    out
}

/// Says what is ambiguous about a path, if anything is.
///
/// Servers and the gateways before them differ: some decode twice, some take a backslash for a slash, some leave out a
/// segment's parameters (`..;x`) before they look for dots, some take overlong UTF-8 for the character that it spells.
pub(super) fn unambiguous(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') {
        return Err("does not begin with a slash");
    }
    if path.split('/').any(is_dot_segment) {
        return Err("contains a dot segment");
    }
    let bytes = path.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\\' => return Err("contains a backslash"),
            b'%' => encoded(bytes.get(at + 1..).unwrap_or_default())?,
            _ => {}
        }
    }
    Ok(())
}

/// Judges what stands behind a percent sign.
fn encoded(rest: &[u8]) -> Result<(), &'static str> {
    let hex = |at: usize| Some(char::from(*rest.get(at)?).to_digit(16)? as u8);
    let (Some(high), Some(low)) = (hex(0), hex(1)) else {
        return Err("contains a malformed percent-encoding");
    };
    match high << 4 | low {
        b'/' => Err("contains an encoded slash"),
        b'\\' => Err("contains an encoded backslash"),
        0 => Err("contains an encoded NUL"),
        ..b' ' | 0x7f => Err("contains an encoded control character"),
        b'%' if hex(2).is_some() && hex(3).is_some() => {
            Err("contains a percent-encoding that is encoded again")
        }
        0xc0 | 0xc1 => Err("contains an overlong encoding"),
        _ => Ok(()),
    }
}

/// Whether a path segment is `.` or `..`, with either dot encoded or not, and with or without parameters.
fn is_dot_segment(segment: &str) -> bool {
    let mut rest = segment.as_bytes();
    let mut dots = 0;
    loop {
        rest = match rest {
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            [] | [b';', ..] | [b'%', b'3', b'b' | b'B', ..] => return dots == 1 || dots == 2,
            _ => return false,
        };
        dots += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_path_is_that_of_the_server_and_not_of_its_api() {
        let cases = [
            ("http://h:8000/v1", "/"),
            ("http://h:8000/v1/", "/"),
            ("http://h:8000", "/"),
            ("http://h/?v1", "/"),
            ("http://h//v1", "/"),
            (" http://h/team-a/v1 ", "/team-a/"),
            ("http://h/team-a/v1?x=/v2", "/team-a/"),
            ("http://h/team-a/V2beta//", "/team-a/"),
            ("http://h/team-a", "/team-a/"),
            ("http://h/team-a/openai/", "/team-a/openai/"),
            ("http://h/a/b/v1/v1", "/a/b/v1/"),
            ("http://h/vllm", "/vllm/"),
            ("http://h/büro/v1", "/b%C3%BCro/"),
            ("http://h/{a|b}/v1", "/%7Ba%7Cb%7D/"),
        ];
        for (base_url, expected) in cases {
            let path = BasePath::of_base_url(base_url).unwrap();
            assert_eq!(path.to_string(), expected, "{base_url}");
        }
        assert_eq!(
            BasePath::of_base_url("http://u:p@h/"),
            Err(OriginError::Credentials)
        );
    }

    #[test]
    fn a_path_is_covered_by_whole_segments_and_byte_by_byte() {
        let team = BasePath::of_base_url("http://h/team-a/v1").unwrap();
        for path in ["/team-a", "/team-a/", "/team-a/version", "/team-a//x"] {
            assert!(team.covers(path), "{path}");
        }
        for path in [
            "/",
            "",
            "/team-b/",
            "/team-ab/",
            "/team-a%2f",
            "/Team-A/x",
            "//team-a/x",
            "/%74eam-a/x",
            "/x/team-a/",
        ] {
            assert!(!team.covers(path), "{path}");
            let denial = team.judge(path).unwrap_err().to_string();
            assert!(
                denial.ends_with("is not below the granted `/team-a/`"),
                "{denial}"
            );
        }
        for path in ["/", "/anything", "//x"] {
            assert!(BasePath::everything().covers(path), "{path}");
        }
    }

    #[test]
    fn a_path_that_another_reader_could_take_for_another_is_ambiguous() {
        let cases = [
            ("x", "does not begin with a slash"),
            ("/..", "contains a dot segment"),
            ("/a/./b", "contains a dot segment"),
            ("/a/%2E%2e/b", "contains a dot segment"),
            ("/a/.%2e", "contains a dot segment"),
            ("/a/..;/b", "contains a dot segment"),
            ("/a/..;x=1/b", "contains a dot segment"),
            ("/a/..%3bx/b", "contains a dot segment"),
            ("/a\\b", "contains a backslash"),
            ("/a%5cb", "contains an encoded backslash"),
            ("/a%2Fb", "contains an encoded slash"),
            ("/a%00", "contains an encoded NUL"),
            ("/a%0d%0ab", "contains an encoded control character"),
            ("/..%09/b", "contains an encoded control character"),
            ("/a%7f", "contains an encoded control character"),
            (
                "/%252e%252e/b",
                "contains a percent-encoding that is encoded again",
            ),
            ("/%c0%ae%c0%ae/b", "contains an overlong encoding"),
            ("/a%", "contains a malformed percent-encoding"),
            ("/a%2", "contains a malformed percent-encoding"),
            ("/a%+1", "contains a malformed percent-encoding"),
        ];
        for (path, expected) in cases {
            assert_eq!(unambiguous(path), Err(expected), "{path}");
        }
        for path in ["/", "/a.b/..c/...", "/a;b/100%25", "/%C3%BC/%20", "/;/x"] {
            assert_eq!(unambiguous(path), Ok(()), "{path}");
        }
    }
}
