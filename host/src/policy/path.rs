//! Which paths and queries of the granted origin a plugin may ask for.
//!
//! Several servers may share an origin: a gateway puts each team below a path of its own. A base URL
//! such as `https://gateway/team-a/v1` means that team and no other, so a grant may end at a path:
//! [`BasePath`]. The base path is compared byte by byte, because gateways differ in what they decode
//! before they route.
//!
//! # Behind the base path
//!
//! What the plugin appends is held to an allow-list. Gateways and servers decode a path once, twice or
//! not at all, map characters outside of ASCII to dots and slashes, drop what stands behind `;` or an
//! encoded `?`, merge slashes and cut trailing dots. A list of spellings that one of them reads as `..`
//! is never complete. Of the bytes below, no reader known makes another path:
//!
//! | part | literal | percent-encoded | refused as a whole |
//! |---|---|---|---|
//! | path | letters, digits, `-._~:@,+=`, `/` between segments | `:@,+=` | a segment that is `.`, begins with `..` or ends with a dot; an empty segment, except the last |
//! | query | the same, `/&!$'()*` | printable ASCII except `%\#?` | a segment between slashes that begins with `..`, after decoding |
//!
//! A percent sign is never percent-encoded, so decoding once leaves nothing to decode. A fragment is
//! not part of an HTTP request and is not sent.
//!
//! The path and the query of the configured base URL are exempt: the user wrote them, and the plugin
//! can only repeat their bytes.

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
pub struct BasePath {
    /// Without a slash at the end. Empty: everything.
    granted: String,
    /// What a request may begin with as it was configured: the path of the base URL, and the same without the version of
    /// an API. They differ from `granted` by slashes at the end.
    configured: [String; 2],
    /// The query of the base URL. Empty: none.
    query: String,
}

impl BasePath {
    /// Every path.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// The path of a base URL and everything below. Where the last segment is the version of an API, it
    /// is the path above, because a server has more than its API: vLLM's `/tokenize`, `/version` and
    /// `/health` stand beside `/v1`.
    ///
    /// A version is `v` and digits, and optionally `alpha` or `beta` and digits: `v1`, `V2`, `v1beta`,
    /// `v1alpha3`. Case does not matter, because no other word has this form.
    ///
    /// # Errors
    ///
    /// See [`OriginError`]. [`OriginError::Spelling`] if the URL holds what the WHATWG URL rules remove or
    /// rewrite (spaces, control characters, backslashes, `http:host`): the granted path is taken from the
    /// text, and must be what the text means.
    pub fn of_base_url(base_url: &str) -> Result<Self, OriginError> {
        let base_url = base_url.trim();
        Origin::from_url(&Url::parse(base_url)?)?;
        let rewritten = |byte: u8| byte <= b' ' || byte == 0x7f || byte == b'\\';
        if base_url.bytes().any(rewritten) {
            return Err(OriginError::Spelling);
        }
        // As it is written and not as the URL rules rewrite it: a plugin appends to this text.
        let (_, written) = base_url.split_once("://").ok_or(OriginError::Spelling)?;
        let written = written.split('#').next().unwrap_or_default();
        let (written, query) = written.split_once('?').unwrap_or((written, ""));
        let path = written.find('/').map_or("", |at| &written[at..]);
        let configured = path.trim_end_matches('/');
        let above = match configured.rsplit_once('/') {
            Some((above, last)) if is_version(last) => above,
            _ => configured,
        };
        Ok(Self {
            granted: ascii(above.trim_end_matches('/')),
            configured: [ascii(configured), ascii(above)],
            query: ascii(query),
        })
    }

    /// Whether a path lies in it.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        behind(&self.granted, path).is_some()
    }

    /// Judges the path and the query of a request.
    ///
    /// # Errors
    ///
    /// [`Denial::BasePath`], [`Denial::Path`] or [`Denial::Query`].
    pub(crate) fn judge(&self, path: &str, query: Option<&str>) -> Result<(), Denial> {
        let mut exempt = self.configured.iter().chain([&self.granted]);
        let Some(appended) = exempt.find_map(|prefix| behind(prefix, path)) else {
            return Err(Denial::BasePath {
                asked: quote(path),
                granted: self.to_string(),
            });
        };
        judge_path(appended).map_err(Denial::Path)?;
        match query {
            None => Ok(()),
            Some(query) => judge_query(self.appended_query(query)).map_err(Denial::Query),
        }
    }

    /// What the plugin appended to the configured query.
    fn appended_query<'q>(&self, query: &'q str) -> &'q str {
        match query.strip_prefix(self.query.as_str()) {
            Some(rest) if self.query.is_empty() || rest.is_empty() || rest.starts_with('&') => rest,
            _ => query,
        }
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.granted)
    }
}

/// What stands behind `prefix` in `path`, if `prefix` ends where a segment of `path` does.
fn behind<'p>(prefix: &str, path: &'p str) -> Option<&'p str> {
    let rest = path.strip_prefix(prefix)?;
    (prefix.is_empty() || rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// `v1`, `V2`, `v1beta`, `v1beta2`, `v1alpha1`.
fn is_version(segment: &str) -> bool {
    let Some(rest) = segment.strip_prefix(['v', 'V']) else {
        return false;
    };
    let stage = rest.trim_start_matches(|one: char| one.is_ascii_digit());
    if stage.len() == rest.len() {
        return false;
    }
    let stage = stage.to_ascii_lowercase();
    let number = stage.strip_prefix("alpha").or(stage.strip_prefix("beta"));
    stage.is_empty() || number.is_some_and(|rest| rest.bytes().all(|one| one.is_ascii_digit()))
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

/// RFC 3986 §2.3: never percent-encoded.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// What a path may hold beside [`is_unreserved`] and slashes, percent-encoded or not. Ids of models
/// hold them: `gemini-2.5-pro:generateContent`, `claude@20250929`.
fn is_of_an_id(byte: u8) -> bool {
    b":@,+=".contains(&byte)
}

/// Judges a path, or what stands behind an exempt part of it, by the table of this module.
pub(super) fn judge_path(path: &str) -> Result<(), &'static str> {
    let Some(segments) = path.strip_prefix('/') else {
        return match path {
            "" => Ok(()),
            _ => Err("does not begin with a slash"),
        };
    };
    let bytes = path.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'/' => {}
            b'%' => match decoded(&bytes[at + 1..])? {
                byte if is_of_an_id(byte) => {}
                b'.' => return Err("contains an encoded dot"),
                b'/' => return Err("contains an encoded slash"),
                b'\\' => return Err("contains an encoded backslash"),
                b' ' => return Err("contains an encoded space"),
                byte if is_unreserved(byte) => {
                    return Err("encodes a character that needs no encoding");
                }
                _ => return Err("contains an encoded delimiter"),
            },
            byte if is_unreserved(*byte) || is_of_an_id(*byte) => {}
            byte => return Err(literal(*byte)),
        }
    }
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err("contains an empty segment");
        }
        if segment == "." || segment.starts_with("..") {
            return Err("contains a dot segment");
        }
        if segment.ends_with('.') {
            return Err("contains a segment that ends with a dot");
        }
    }
    Ok(())
}

/// Judges a query, or what stands behind an exempt part of it, by the table of this module.
pub(super) fn judge_query(query: &str) -> Result<(), &'static str> {
    let bytes = query.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        match byte {
            b'%' => match decoded(&bytes[at + 1..])? {
                b'\\' => return Err("contains an encoded backslash"),
                b'#' | b'?' => return Err("contains an encoded delimiter"),
                byte => {
                    plain.push(byte);
                    at += 2;
                }
            },
            b'/' | b'&' | b'!' | b'$' | b'\'' | b'(' | b')' | b'*' => plain.push(byte),
            _ if is_unreserved(byte) || is_of_an_id(byte) => plain.push(byte),
            _ => return Err(literal(byte)),
        }
        at += 1;
    }
    let mut segments = plain.split(|byte| *byte == b'/');
    match segments.any(|segment| segment.starts_with(b"..")) {
        true => Err("contains a dot segment"),
        false => Ok(()),
    }
}

/// The byte that two hexadecimal digits behind a percent sign spell.
///
/// # Errors
///
/// There are no two digits, or the byte is one that is never allowed.
fn decoded(rest: &[u8]) -> Result<u8, &'static str> {
    let hex = |at: usize| Some(char::from(*rest.get(at)?).to_digit(16)? as u8);
    let (Some(high), Some(low)) = (hex(0), hex(1)) else {
        return Err("contains a malformed percent-encoding");
    };
    match high << 4 | low {
        0 => Err("contains an encoded NUL"),
        0x01..=0x1f | 0x7f => Err("contains an encoded control character"),
        b'%' => Err("contains an encoded percent sign"),
        0x80.. => Err("contains an encoded character outside of ASCII"),
        byte => Ok(byte),
    }
}

/// Why a byte is not allowed as it is.
fn literal(byte: u8) -> &'static str {
    match byte {
        b'\\' => "contains a backslash",
        b';' => "contains a semicolon",
        ..b' ' | 0x7f => "contains a control character",
        0x80.. => "contains a character outside of ASCII",
        _ => "contains a delimiter that is not allowed there",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(base_url: &str) -> BasePath {
        BasePath::of_base_url(base_url).unwrap()
    }

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
            assert_eq!(base(base_url).to_string(), expected, "{base_url}");
        }
        assert_eq!(
            BasePath::of_base_url("http://u:p@h/"),
            Err(OriginError::Credentials)
        );
    }

    #[test]
    fn a_name_that_only_begins_like_a_version_is_part_of_the_base_path() {
        for version in ["v1", "V2", "v10", "v1beta", "v1beta2", "v1alpha1", "V1Beta"] {
            let granted = base(&format!("http://h/teams/{version}")).to_string();
            assert_eq!(granted, "/teams/", "{version}");
        }
        for name in [
            "v4lidator",
            "v1betamax",
            "v1gamma",
            "v1.1",
            "v1-a",
            "v1_",
            "v",
            "vbeta",
            "v-1",
            "v1beta2x",
            "v1beta-2",
            "v\u{661}",
            "v1%62eta",
            "w1",
            "v1alphabeta",
        ] {
            let granted = base(&format!("http://h/teams/{name}"));
            assert_ne!(granted.to_string(), "/teams/", "{name}");
            assert!(!granted.covers("/teams/other"), "{name}");
        }
    }

    #[test]
    fn a_base_url_that_the_url_rules_rewrite_grants_nothing() {
        for base_url in [
            "http:/h/team-a/v1",
            "http:h/team-a/v1",
            "http:\\\\h\\team-a\\v1",
            "http://h\\team-a/v1",
            "http://h/team-a\\v1",
            "http://h/te\tam-a/v1",
            "http://h/team-a\n/v1",
            "http://h/team a/v1",
        ] {
            let found = BasePath::of_base_url(base_url);
            assert_eq!(found, Err(OriginError::Spelling), "{base_url:?}");
        }
    }

    #[test]
    fn a_path_is_covered_by_whole_segments_and_byte_by_byte() {
        let team = base("http://h/team-a/v1");
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
            let denial = team.judge(path, None).unwrap_err().to_string();
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
    fn what_the_user_configured_is_repeated_byte_for_byte() {
        for (base_url, path, query) in [
            ("http://h/büro/v1", "/b%C3%BCro/v1/models", None),
            ("http://h/büro/v1", "/b%C3%BCro/version", None),
            ("http://h/a%20b%2Fc;x/v1", "/a%20b%2Fc;x/v1/models", None),
            ("http://h//v1", "//v1/models", None),
            ("http://h//v1", "//version", None),
            ("http://h/a//v1", "/a//version", None),
            ("http://h/a//v1", "/a//v1/models", None),
            ("http://h/v1?q=%25%2F..", "/v1/models", Some("q=%25%2F..")),
            ("http://h/v1?k=ü", "/v1/models", Some("k=%C3%BC&a=b")),
        ] {
            assert_eq!(base(base_url).judge(path, query), Ok(()), "{base_url}");
        }
        for (base_url, path, query) in [
            ("http://h/büro/v1", "/b%C3%BCro/v1/%C3%BC", None),
            ("http://h/büro/v1", "/b%c3%bcro/v1/models", None),
            ("http://h/a//v1", "/a///v2", None),
            ("http://h/v1?q=%25", "/v1/models", Some("q=%25x")),
            ("http://h/v1?q=%25", "/v1/models", Some("a=b&q=%25")),
        ] {
            let verdict = base(base_url).judge(path, query);
            assert!(verdict.is_err(), "{base_url} {path}");
        }
    }

    #[test]
    fn paths_and_queries_that_providers_need_are_allowed() {
        for path in [
            "/",
            "/v1/models",
            "/v1/models/",
            "/v1beta/models/gemini-2.5-pro:streamGenerateContent",
            "/openai/deployments/gpt-4o_mini/chat/completions",
            "/v1/projects/p/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict",
            "/model/anthropic.claude-3-sonnet-20240229-v1:0/invoke",
            "/model/anthropic.claude-v1%3A0/converse",
            "/accounts/a/ai/run/@cf/meta/llama-3.1-8b-instruct",
            "/a.b/.well-known/~user/x,y/a+b/c=d",
            "/v1/models/Qwen%40main%2Cfast%2Bslow%3D",
        ] {
            assert_eq!(judge_path(path), Ok(()), "{path}");
        }
        for query in [
            "",
            "alt=sse",
            "api-version=2024-10-21",
            "limit=20&after=file_abc&order=desc",
            "$filter=name%20eq%20%27a%27",
            "url=https%3A%2F%2Fexample.org%2Fa.png",
            "ids=a,b&name=x@y:z~1+2",
            "json=%7B%22a%22%3A%5B1%5D%7D",
            "range=1..5",
        ] {
            assert_eq!(judge_query(query), Ok(()), "{query}");
        }
    }

    #[test]
    fn a_path_that_another_reader_could_take_for_another_is_refused() {
        let outside = "contains a character outside of ASCII";
        let encoded_outside = "contains an encoded character outside of ASCII";
        let cases = [
            ("x", "does not begin with a slash"),
            ("/..", "contains a dot segment"),
            ("/a/./b", "contains a dot segment"),
            ("/a/..b", "contains a dot segment"),
            ("/a/...", "contains a dot segment"),
            ("/a/..:x", "contains a dot segment"),
            ("/a/b.", "contains a segment that ends with a dot"),
            ("//a", "contains an empty segment"),
            ("/a//b", "contains an empty segment"),
            ("/a//", "contains an empty segment"),
            ("/a/%2E%2e/b", "contains an encoded dot"),
            ("/a/.%2e", "contains an encoded dot"),
            ("/a/..;/b", "contains a semicolon"),
            ("/a;b", "contains a semicolon"),
            ("/a/..%3bx/b", "contains an encoded delimiter"),
            ("/a/..%3f/b", "contains an encoded delimiter"),
            ("/a/..%23/b", "contains an encoded delimiter"),
            ("/a/..%20/b", "contains an encoded space"),
            ("/a\\b", "contains a backslash"),
            ("/a%5cb", "contains an encoded backslash"),
            ("/a%2Fb", "contains an encoded slash"),
            ("/a%00", "contains an encoded NUL"),
            ("/a%0d%0ab", "contains an encoded control character"),
            ("/..%09/b", "contains an encoded control character"),
            ("/a%7f", "contains an encoded control character"),
            ("/a\tb", "contains a control character"),
            ("/%252e%252e/b", "contains an encoded percent sign"),
            ("/%25%32%65%25%32%65/b", "contains an encoded percent sign"),
            ("/%25252e/b", "contains an encoded percent sign"),
            ("/100%25", "contains an encoded percent sign"),
            ("/%61dmin", "encodes a character that needs no encoding"),
            ("/%5F", "encodes a character that needs no encoding"),
            ("/%c0%ae%c0%ae/b", encoded_outside),
            ("/%e0%80%ae%e0%80%ae/b", encoded_outside),
            ("/%f0%80%80%ae/b", encoded_outside),
            ("/%EF%BC%8E%EF%BC%8E/b", encoded_outside),
            ("/%fe%fe/b", encoded_outside),
            ("/\u{ff0e}\u{ff0e}/b", outside),
            ("/\u{2025}/b", outside),
            ("/\u{2024}\u{2024}/b", outside),
            ("/\u{3002}\u{3002}/b", outside),
            ("/\u{ff61}/b", outside),
            ("/a\u{ff0f}b", outside),
            ("/a%", "contains a malformed percent-encoding"),
            ("/a%2", "contains a malformed percent-encoding"),
            ("/a%+1", "contains a malformed percent-encoding"),
            ("/%u002e%u002e/b", "contains a malformed percent-encoding"),
            ("/\\x2e", "contains a backslash"),
            ("/a\"b", "contains a delimiter that is not allowed there"),
            ("/a?b", "contains a delimiter that is not allowed there"),
            ("/a#b", "contains a delimiter that is not allowed there"),
        ];
        for (path, expected) in cases {
            assert_eq!(judge_path(path), Err(expected), "{path}");
        }
    }

    #[test]
    fn a_query_that_another_reader_could_take_for_a_path_is_refused() {
        let cases = [
            ("/../admin", "contains a dot segment"),
            ("../admin", "contains a dot segment"),
            ("x=/%2e%2e/admin", "contains a dot segment"),
            ("x=%2F..%2Fadmin", "contains a dot segment"),
            ("a;b", "contains a semicolon"),
            ("a?b", "contains a delimiter that is not allowed there"),
            ("a%3Fb", "contains an encoded delimiter"),
            ("a%23b", "contains an encoded delimiter"),
            ("a\\..", "contains a backslash"),
            ("a%5c..", "contains an encoded backslash"),
            ("a%0d%0ahost:%20x", "contains an encoded control character"),
            ("a%252e", "contains an encoded percent sign"),
            ("a=ü", "contains a character outside of ASCII"),
            ("a=%C3%BC", "contains an encoded character outside of ASCII"),
            ("a=%", "contains a malformed percent-encoding"),
        ];
        for (query, expected) in cases {
            assert_eq!(judge_query(query), Err(expected), "{query}");
        }
    }

    #[test]
    fn each_byte_is_allowed_or_refused_by_the_table_alone() {
        for byte in 0..=u8::MAX {
            let path = format!("/a%{byte:02X}b");
            let allowed = b":@,+=".contains(&byte);
            assert_eq!(judge_path(&path).is_ok(), allowed, "{path}");
            let query = format!("a%{byte:02x}b");
            let allowed = (b' '..0x7f).contains(&byte) && !b"%\\#?".contains(&byte);
            assert_eq!(judge_query(&query).is_ok(), allowed, "{query}");
        }
        for one in (0..=0x2_0000).filter_map(char::from_u32) {
            let path = format!("/a{one}b");
            let allowed = one.is_ascii_alphanumeric() || "-._~:@,+=/".contains(one);
            assert_eq!(judge_path(&path).is_ok(), allowed, "{path:?}");
        }
    }
}
