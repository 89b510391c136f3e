//! The address of the server, taken apart once and trusted afterwards.
//!
//! In goes what the user wrote, out comes an origin that can be compared and
//! URLs that can be sent. It never adds `/v1` (OpenClaw does not, and a proxy
//! may serve the API elsewhere), never holds credentials, and what it shows in
//! messages never holds the query, for people put keys there.
//!
//! The grammar is the part of RFC 3986 that an API's base URL needs. Spellings
//! that only the WHATWG URL standard forgives (backslashes, `http:host`, hosts
//! such as `0x7f.1`) are refused or taken as names, so that nothing here and
//! the host's policy could read one text as two places.

use alloc::string::String;
use core::fmt;

use crate::number::{self, push_integer};
use crate::text;

/// Used when the configuration names none.
pub const DEFAULT_BASE_URL: &str = "http://127.0.0.1:8000/v1";

/// Endpoints of an OpenAI-compatible server, which users paste as a base URL with all that stands
/// before them. Of two that end alike, the longer one comes first.
const ENDPOINTS: [&str; 12] = [
    "/chat/completions",
    "/completions",
    "/chat",
    "/models",
    "/embeddings",
    "/responses",
    "/messages",
    "/tokenize",
    "/detokenize",
    "/health",
    "/version",
    "/metrics",
];

/// What stands before the endpoint that a URL without a query ends in, and the endpoint.
pub(crate) fn endpoint(url: &str) -> Option<(&str, &'static str)> {
    let (_, behind) = text::split(url, "://")?;
    let authority = url.len() - behind.len() + text::first_of(behind, b"/");
    ends_in_endpoint(url).filter(|(before, _)| before.len() >= authority)
}

/// What stands before the endpoint that a text ends in, and the endpoint.
fn ends_in_endpoint(text: &str) -> Option<(&str, &'static str)> {
    ENDPOINTS.iter().find_map(|endpoint| {
        let (before, end) = text::cut(text, text.len().checked_sub(endpoint.len())?);
        end.eq_ignore_ascii_case(endpoint)
            .then_some((before, *endpoint))
    })
}

/// What a base URL does that is `right` with an endpoint behind it.
pub(crate) fn endpoint_advice(right: &str, endpoint: &str) -> String {
    let advice = [
        "ends in the endpoint ",
        endpoint,
        ", which is added to it; write ",
        right,
    ];
    text::concat(&advice)
}

/// `http` or `https`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// As it is written in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that the scheme implies (RFC 9110 §4.2).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// An API's base URL, in normal form: no trailing slash, no fragment, no
/// credentials, host in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    scheme: Scheme,
    host: String,
    port: Option<u16>,
    path: String,
    query: Option<String>,
}

/// Why a text is no base URL: a clause such as `has no host`. It never quotes
/// the text, which may hold a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BaseUrlError(&'static str);

impl BaseUrlError {
    /// The clause.
    pub fn reason(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for BaseUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl BaseUrl {
    /// Reads a base URL; blank text means [`DEFAULT_BASE_URL`].
    ///
    /// # Errors
    /// Anything that is not `http://` or `https://`, a host, an optional port,
    /// an optional path and an optional query.
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        let text = match text.trim() {
            "" => DEFAULT_BASE_URL,
            text => text,
        };
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(BaseUrlError("holds spaces or control characters"));
        }
        if text::has(text, "\\") {
            return Err(BaseUrlError("holds a backslash"));
        }
        let Some((scheme, rest)) = text::split(text, "://") else {
            return Err(BaseUrlError("does not begin with http:// or https://"));
        };
        let scheme = if scheme.eq_ignore_ascii_case("http") {
            Scheme::Http
        } else if scheme.eq_ignore_ascii_case("https") {
            Scheme::Https
        } else {
            return Err(BaseUrlError("does not begin with http:// or https://"));
        };
        if text::has(rest, "#") {
            return Err(BaseUrlError("holds a fragment (#), which is never sent"));
        }
        let end = text::first_of(rest, b"/?");
        let (authority, tail) = text::cut(rest, end);
        let (host, port) = authority_parts(authority)?;
        let (mut path, query) = match text::split(tail, "?") {
            Some((path, query)) => (path, Some(query)),
            None => (tail, None),
        };
        while let Some(shorter) = path.strip_suffix("/") {
            path = shorter;
        }
        Ok(Self {
            scheme,
            host,
            port: port.filter(|port| *port != scheme.default_port()),
            path: ascii(path),
            query: query.filter(|query| !query.is_empty()).map(ascii),
        })
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host and, where it is not the scheme's own, port: `example.com:8443`,
    /// `[::1]:8000`.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => {
                let mut authority = text::concat(&[&self.host, ":"]);
                push_integer(&mut authority, u64::from(port));
                authority
            }
            None => self.host.clone(),
        }
    }

    /// Scheme, host and port, as in `http://127.0.0.1:8000`.
    pub fn origin(&self) -> String {
        text::concat(&[self.scheme.as_str(), "://", &self.authority()])
    }

    /// The path below the base and the query: what stands in the request line.
    pub fn path_and_query(&self, resource: &str) -> String {
        let query = self.query.as_deref();
        let (mark, query) = query.map_or(("", ""), |query| ("?", query));
        text::concat(&[&self.path, "/", resource, mark, query])
    }

    /// The URL of a resource below the base: `join("models")`. The base's
    /// query is kept.
    pub fn join(&self, resource: &str) -> String {
        text::concat(&[&self.origin(), &self.path_and_query(resource)])
    }

    /// The same for messages: without the query.
    pub fn display(&self, resource: &str) -> String {
        text::concat(&[&self.origin(), &self.path, "/", resource])
    }

    /// What is wrong with the base URL, if it ends in an endpoint.
    pub(crate) fn endpoint_advice(&self) -> Option<String> {
        if self.has_v1() {
            return None;
        }
        let (before, endpoint) = ends_in_endpoint(&self.path)?;
        let right = text::concat(&[&self.origin(), before]);
        Some(endpoint_advice(&right, endpoint))
    }

    /// Whether the host is this machine: `localhost` and names below it
    /// (RFC 6761 §6.3), 127.0.0.0/8, `::1`, either of them mapped, and the
    /// unspecified addresses, which connect to this machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.host.strip_suffix(".").unwrap_or(&self.host);
        if host == "localhost" || host.ends_with(".localhost") {
            return true;
        }
        if let Some(address) = ipv4(host) {
            return is_this_machine(address);
        }
        let inner = host.strip_prefix("[").and_then(|h| h.strip_suffix("]"));
        match inner.and_then(ipv6) {
            Some([0, 0, 0, 0, 0, 0, 0, 0 | 1]) => true,
            Some([0, 0, 0, 0, 0, 0xffff, high, low]) => {
                is_this_machine(u32::from(high) << 16 | u32::from(low))
            }
            _ => false,
        }
    }

    /// The server itself, without a trailing `/v1`: vLLM's endpoints beside the
    /// API (`/version`, `/tokenize`) lie there, also where a proxy puts the
    /// server below a path. The query is kept.
    pub fn root(&self) -> Self {
        let path = self.path.strip_suffix("/v1").unwrap_or(&self.path);
        Self {
            path: String::from(path),
            ..self.clone()
        }
    }

    /// Whether the path ends in `/v1`, where vLLM serves its API.
    pub fn has_v1(&self) -> bool {
        self.path.ends_with("/v1")
    }
}

fn authority_parts(authority: &str) -> Result<(String, Option<u16>), BaseUrlError> {
    if text::has(authority, "@") {
        return Err(BaseUrlError(
            "holds credentials; set them as apiKey or in headers",
        ));
    }
    let (host, port) = match authority.bytes().rposition(|byte| byte == b':') {
        // The last colon of a bare IPv6 address is inside the brackets.
        Some(at) if !authority.ends_with("]") => {
            let host = text::between(authority, 0, at);
            (host, Some(text::from(authority, at + 1)))
        }
        _ => (authority, None),
    };
    if host.is_empty() {
        return Err(BaseUrlError("has no host"));
    }
    let host = host.to_ascii_lowercase();
    if let Some(inner) = host.strip_prefix("[") {
        if inner.strip_suffix("]").and_then(ipv6).is_none() {
            return Err(BaseUrlError(
                "has a host in brackets that is no IPv6 address",
            ));
        }
    } else if !host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
    {
        return Err(BaseUrlError(
            "has a host with characters that no host name has (write international names as xn--…)",
        ));
    }
    let port = match port {
        None | Some("") => None,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            match number::parse_integer(port) {
                Some(port @ 1..=0xffff) => Some(port as u16),
                _ => return Err(BaseUrlError("has a port that is not from 1 to 65535")),
            }
        }
        Some(_) => return Err(BaseUrlError("has a port that is not a number")),
    };
    Ok((host, port))
}

/// 127.0.0.0/8 and 0.0.0.0.
fn is_this_machine(address: u32) -> bool {
    address >> 24 == 127 || address == 0
}

/// An IPv4 address as the standard library reads it: four decimal numbers up to
/// 255, without leading zeros.
fn ipv4(text: &str) -> Option<u32> {
    let mut address = 0;
    let mut parts = 0;
    for part in text::pieces(text, b".") {
        let padded = part.len() > 1 && part.starts_with("0");
        let byte = number::parse_integer(part).filter(|byte| *byte < 256 && !padded)?;
        address = address << 8 | byte as u32;
        parts += 1;
    }
    (parts == 4).then_some(address)
}

/// An IPv6 address (RFC 4291 §2.2): eight groups, one run of them as `::`, the
/// last two perhaps as an IPv4 address.
fn ipv6(text: &str) -> Option<[u16; 8]> {
    let (front, back) = match text::split(text, "::") {
        Some((front, back)) => (front, Some(back)),
        None => (text, None),
    };
    let mut address = [0; 8];
    // An IPv4 address can only stand at the very end.
    let in_front = groups(front, back.is_none(), &mut address)?;
    let Some(back) = back else {
        return (in_front == 8).then_some(address);
    };
    let mut end = [0; 8];
    let behind = groups(back, true, &mut end)?;
    // The run stands for at least one group.
    let gap = 8usize
        .checked_sub(in_front + behind)
        .filter(|gap| *gap > 0)?;
    for (group, value) in address.iter_mut().skip(in_front + gap).zip(end) {
        *group = value;
    }
    Some(address)
}

/// Reads groups of an IPv6 address to the front of `address`, and counts them.
fn groups(text: &str, ipv4_at_end: bool, address: &mut [u16; 8]) -> Option<usize> {
    let mut count = 0;
    if text.is_empty() {
        return Some(count);
    }
    let mut parts = text::pieces(text, b":").peekable();
    while let Some(part) = parts.next() {
        if ipv4_at_end && parts.peek().is_none() && text::has(part, ".") {
            let tail = ipv4(part)?;
            *address.get_mut(count)? = (tail >> 16) as u16;
            *address.get_mut(count + 1)? = tail as u16;
            return Some(count + 2);
        }
        if part.is_empty() || part.len() > 4 {
            return None;
        }
        *address.get_mut(count)? = number::parse_hex(part)? as u16;
        count += 1;
    }
    Some(count)
}

/// Percent-encodes what is not ASCII, and the ASCII that no URI holds (RFC 3986
/// § 2), as every URL library would.
fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii() && !b"\"<>^`{|}".contains(&byte) {
            out.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_endpoint_at_the_end_of_a_base_url_is_named() {
        for (url, right) in [
            (
                "http://h:8000/v1/chat/completions",
                Some("http://h:8000/v1"),
            ),
            ("http://h/v1/chat/completions/", Some("http://h/v1")),
            ("http://h/v1/completions?k=v", Some("http://h/v1")),
            ("http://h/models", Some("http://h")),
            ("http://h/v1/Chat/Completions", Some("http://h/v1")),
            ("http://h/v1", None),
            ("http://models", None),
            ("http://chat/v1", None),
            ("http://h/my-models", None),
        ] {
            let advice = BaseUrl::parse(url).unwrap().endpoint_advice();
            let right = right.map(|right| format!("; write {right}"));
            match (&advice, &right) {
                (Some(advice), Some(right)) => assert!(advice.ends_with(right), "{url}: {advice}"),
                _ => assert_eq!(advice, right, "{url}"),
            }
        }
    }

    #[test]
    fn a_resource_is_joined_below_the_base() {
        for (base, models) in [
            ("", "http://127.0.0.1:8000/v1/models"),
            ("  \n", "http://127.0.0.1:8000/v1/models"),
            (" http://h:9/v1/ ", "http://h:9/v1/models"),
            ("http://h/v1///", "http://h/v1/models"),
            ("http://h", "http://h/models"),
            ("http://h/", "http://h/models"),
            (
                "HTTPS://H.Example:443/api/v1",
                "https://h.example/api/v1/models",
            ),
            ("http://h:80", "http://h/models"),
            ("http://h:443", "http://h:443/models"),
            ("http://[::1]:8000/v1", "http://[::1]:8000/v1/models"),
            ("http://[2001:DB8::1]", "http://[2001:db8::1]/models"),
            (
                "https://h/v1?api-version=3",
                "https://h/v1/models?api-version=3",
            ),
            ("https://h/v1/?a=b/", "https://h/v1/models?a=b/"),
            ("https://h?x=1", "https://h/models?x=1"),
            ("https://h/v1?", "https://h/v1/models"),
            ("https://h/ä?ö", "https://h/%C3%A4/models?%C3%B6"),
            (
                "http://h/{a|b}`?q=<\"^\">",
                "http://h/%7Ba%7Cb%7D%60/models?q=%3C%22%5E%22%3E",
            ),
            ("http://h:/v1", "http://h/v1/models"),
        ] {
            assert_eq!(
                BaseUrl::parse(base).unwrap().join("models"),
                models,
                "{base}"
            );
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused_with_a_reason() {
        for (base, reason) in [
            ("127.0.0.1:8000/v1", "begin with"),
            ("localhost:8000", "begin with"),
            ("ftp://h/v1", "begin with"),
            ("http:///v1", "no host"),
            ("http://:8000", "no host"),
            ("http://user:secret@h/v1", "credentials"),
            ("http://h:port", "not a number"),
            ("http://h:+80", "not a number"),
            ("http://h:0", "1 to 65535"),
            ("http://h:65536", "1 to 65535"),
            ("http://[::1", "brackets"),
            ("http://[h]", "brackets"),
            ("http://::1/v1", "characters"),
            ("http://h /v1", "spaces"),
            ("http://h/\r\nx: y", "spaces"),
            ("http://h\\@evil/v1", "backslash"),
            ("http://h/#/v1", "fragment"),
            ("http://ünï/v1", "xn--"),
            ("http://h%00/v1", "characters"),
        ] {
            let error = BaseUrl::parse(base).unwrap_err().to_string();
            assert!(error.contains(reason), "{base}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn this_machine_is_recognised_in_every_canonical_spelling() {
        for (host, loopback) in [
            ("localhost", true),
            ("LOCALHOST.", true),
            ("vllm.localhost", true),
            ("127.0.0.1", true),
            ("127.8.9.10", true),
            ("0.0.0.0", true),
            ("[::1]", true),
            ("[::]", true),
            ("[::ffff:127.0.0.1]", true),
            ("[::ffff:8.8.8.8]", false),
            ("192.168.1.50", false),
            ("localhost.example.com", false),
            ("notlocalhost", false),
            ("127.0.0.1.example.com", false),
            ("0x7f.1", false),
        ] {
            let base = BaseUrl::parse(&format!("http://{host}:8000/v1")).unwrap();
            assert_eq!(base.is_loopback(), loopback, "{host}");
        }
    }

    #[test]
    fn addresses_are_read_as_the_standard_library_reads_them() {
        use std::net::{Ipv4Addr, Ipv6Addr};
        for text in [
            "1.2.3.4",
            "0.0.0.0",
            "255.255.255.255",
            "256.1.1.1",
            "1.2.3",
            "1.2.3.4.5",
            "01.2.3.4",
            "1..3.4",
            "",
            "a.b.c.d",
            "+1.2.3.4",
            "1.2.3.4 ",
        ] {
            let theirs = text.parse::<Ipv4Addr>().ok().map(u32::from);
            assert_eq!(ipv4(text), theirs, "{text}");
        }
        for text in [
            "::",
            "::1",
            "1::",
            "1::8",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7::",
            "::2:3:4:5:6:7:8",
            "1:2:3:4::5:6:7:8",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "::ffff:1.2.3.4",
            "1:2:3:4:5:6:1.2.3.4",
            "1:2:3:4:5:6:7:1.2.3.4",
            "1.2.3.4::",
            "::1.2.3.4:5",
            "::1.2.3",
            "fe80::1%eth0",
            ":",
            ":::",
            "1::2::3",
            "12345::",
            "g::",
            "00001::",
            "::+1",
            "",
            "1:",
            ":1",
            "abCD::EF01",
            "::1:",
            ":1::",
        ] {
            let theirs = text
                .parse::<Ipv6Addr>()
                .ok()
                .map(|address| address.segments());
            assert_eq!(ipv6(text), theirs, "{text}");
        }
    }

    #[test]
    fn what_is_shown_holds_no_query() {
        let base = BaseUrl::parse("https://h/v1?key=secret").unwrap();
        assert_eq!(base.display("models"), "https://h/v1/models");
        assert_eq!(base.path_and_query("models"), "/v1/models?key=secret");
        assert!(base.has_v1());
        assert!(!BaseUrl::parse("http://h/v10").unwrap().has_v1());
        assert!(!BaseUrl::parse("http://h").unwrap().has_v1());
    }
}
