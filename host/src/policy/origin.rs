//! The one origin a plugin may talk to, and the judgement of a request against it.
//!
//! An origin is scheme, host and port (RFC 6454 §4). It is parsed once from the configured base URL by the WHATWG URL
//! rules, so that `http://0x7f.1:8000/v1` and `http://127.0.0.1:8000/v1` are the same origin and a guest cannot name one
//! while meaning the other. How much of the origin is granted is said by its [`BasePath`](super::BasePath).

use super::binding::Misplaced;
use super::path::{judge_path, judge_query};
use super::quote::quote;
use http::Uri;
use std::fmt;
use std::net::IpAddr;
use url::{Host, Url};

/// Scheme, host and port of a configured server.
///
/// It cannot be built from a URL that carries credentials, and it always has an explicit port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    host: Host<String>,
    port: u16,
    /// The host as it stands in a `Host` field and in a URI: lower case, brackets around IPv6.
    host_text: String,
}

/// The two schemes a provider can be reached by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP/1.1 over TCP.
    Http,
    /// HTTP/1.1 over TLS.
    Https,
}

impl Scheme {
    /// The scheme's name as URIs spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that is meant when none is written: 80 or 443.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Why a base URL gives no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// The text is not a URL by the WHATWG rules.
    #[error("the base URL is not a valid URL ({0})")]
    Syntax(url::ParseError),
    /// The text begins with a host or a path.
    #[error("the base URL does not say http:// or https://")]
    NoScheme,
    /// The scheme is neither http nor https.
    #[error("the base URL begins with `{0}:` instead of http:// or https://")]
    Scheme(String),
    /// The URL names no host.
    #[error("the base URL names no host")]
    NoHost,
    /// The host is a name that no server can have.
    #[error(
        "the base URL's host holds characters that no host name has; letters, digits, `-`, `_` and dots are"
    )]
    HostName,
    /// The URL is written in a way that the WHATWG URL rules rewrite: with spaces, control characters or
    /// backslashes, or without `//` behind the scheme.
    #[error(
        "the base URL holds spaces, control characters or backslashes, or no `//` behind the scheme; write it \
         as http://HOST/PATH with `%20` for a space"
    )]
    Spelling,
    /// The URL has a user name or a password in it.
    #[error(
        "the base URL contains a user name or password; put the key into `apiKey` or a header instead"
    )]
    Credentials,
    /// The port is 0, which no server listens on.
    #[error("the base URL has port 0; name the port that the server listens on")]
    Port,
}

/// Why a guest's request is outside its grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// The request's scheme is not the granted one.
    #[error("scheme `{asked}` is not the granted `{granted}`")]
    Scheme {
        /// What the guest asked for.
        asked: String,
        /// What the grant has.
        granted: &'static str,
    },
    /// The request goes to another host.
    #[error("host `{asked}` is not the granted `{granted}`")]
    Host {
        /// What the guest asked for.
        asked: String,
        /// What the grant has.
        granted: String,
    },
    /// The request goes to another port of the granted host.
    #[error("port {asked} is not the granted {granted}")]
    Port {
        /// What the guest asked for.
        asked: u16,
        /// What the grant has.
        granted: u16,
    },
    /// The request's authority has no host or an unreadable port.
    #[error("the request's authority is missing or malformed")]
    Authority,
    /// The request's authority has a user name or a password in it.
    #[error("the request's authority contains credentials")]
    Credentials,
    /// The path holds what is not on the allow-list, because a gateway or a server could read another path.
    #[error(
        "the request's path {0}; a path may consist of letters, digits and `-._~:@,+=`, in segments that do not \
         begin with `..`"
    )]
    Path(&'static str),
    /// The query holds what is not on the allow-list.
    #[error(
        "the request's query {0}; a query may consist of letters, digits and `-._~:@,+=/&!$'()*`, and of other \
         printable ASCII percent-encoded"
    )]
    Query(&'static str),
    /// The path is outside of the part of the origin that is granted.
    #[error("path `{asked}` is not below the granted `{granted}`")]
    BasePath {
        /// What the guest asked for.
        asked: String,
        /// What the grant has.
        granted: String,
    },
    /// The method is not one that a provider needs.
    #[error("method {} is not granted; a provider may use GET and POST", quote(.0.as_str()))]
    Method(http::Method),
    /// A placeholder of a secret stands where the secret may not.
    #[error(transparent)]
    Secret(#[from] Misplaced),
    /// A request has a body, or announces one, although its method gives it no meaning (RFC 9110 §9.3.1). A server that
    /// does not read it takes it for the next request on the connection.
    #[error("a {} request may not have a body; a provider sends one with POST", quote(.0.as_str()))]
    Body(http::Method),
    /// A header field that the plugin may not send unless the user configured it.
    #[error(
        "the header `{name}` {why}; if the server needs it, set it under `headers` in the provider's configuration"
    )]
    Header {
        /// The field's name.
        name: String,
        /// Why it is refused, as a clause behind the name.
        why: &'static str,
    },
}

impl From<url::ParseError> for OriginError {
    fn from(error: url::ParseError) -> Self {
        match error {
            url::ParseError::RelativeUrlWithoutBase => Self::NoScheme,
            url::ParseError::EmptyHost => Self::NoHost,
            other => Self::Syntax(other),
        }
    }
}

impl Origin {
    /// Takes the origin of a base URL such as `http://127.0.0.1:8000/v1`.
    ///
    /// # Errors
    ///
    /// See [`OriginError`]. The error never quotes the URL, which may hold a password.
    pub fn parse(base_url: &str) -> Result<Self, OriginError> {
        Self::from_url(&Url::parse(base_url.trim())?)
    }

    /// Takes the origin of a URL that is parsed already.
    ///
    /// # Errors
    ///
    /// See [`OriginError`].
    pub fn from_url(url: &Url) -> Result<Self, OriginError> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => return Err(OriginError::Scheme(other.to_owned())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OriginError::Credentials);
        }
        let host = url.host().ok_or(OriginError::NoHost)?.to_owned();
        // The URL rules take `"` or `{` for a name, which no request could carry and no resolver knows.
        if let Host::Domain(name) = &host
            && !name.bytes().all(is_of_a_name)
        {
            return Err(OriginError::HostName);
        }
        let port = url.port().unwrap_or(scheme.default_port());
        if port == 0 {
            return Err(OriginError::Port);
        }
        let host_text = host.to_string();
        Ok(Self {
            scheme,
            host,
            port,
            host_text,
        })
    }

    /// http or https.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host in canonical form.
    #[must_use]
    pub const fn host(&self) -> &Host<String> {
        &self.host
    }

    /// The host as text: lower case, IPv6 in brackets.
    #[must_use]
    pub fn host_text(&self) -> &str {
        &self.host_text
    }

    /// The port, the scheme's own where the URL named none.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The address, where the host is one and not a name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match &self.host {
            Host::Ipv4(ip) => Some(IpAddr::V4(*ip)),
            Host::Ipv6(ip) => Some(IpAddr::V6(*ip)),
            Host::Domain(_) => None,
        }
    }

    /// Host and port as they stand in a `Host` field (RFC 9110 §7.2): the port only where it is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host_text.clone()
        } else {
            format!("{}:{}", self.host_text, self.port)
        }
    }

    /// Judges the target of a guest's request.
    ///
    /// Scheme and port must be equal, the host must be equal after both are brought into canonical form, there must be no
    /// credentials, and path and query must hold nothing but what [`path`](super::path) allows.
    ///
    /// [`Grant::judge`](super::Grant::judge) exempts the path of the configured base URL from the last rule.
    ///
    /// # Errors
    ///
    /// The first reason found.
    pub fn matches(&self, target: &Uri) -> Result<(), Denial> {
        self.is_origin_of(target)?;
        judge_path(target.path()).map_err(Denial::Path)?;
        judge_query(target.query().unwrap_or_default()).map_err(Denial::Query)
    }

    /// The part of [`Origin::matches`] that concerns scheme, host and port.
    pub(crate) fn is_origin_of(&self, target: &Uri) -> Result<(), Denial> {
        match target.scheme_str() {
            Some(scheme) if scheme.eq_ignore_ascii_case(self.scheme.as_str()) => {}
            other => {
                return Err(Denial::Scheme {
                    asked: quote(other.unwrap_or("none")),
                    granted: self.scheme.as_str(),
                });
            }
        }
        let authority = target.authority().ok_or(Denial::Authority)?;
        if authority.as_str().contains('@') {
            return Err(Denial::Credentials);
        }
        let host = authority.host();
        if !self.host_is(host) {
            return Err(Denial::Host {
                asked: quote(host),
                granted: self.host_text.clone(),
            });
        }
        let port = match authority.as_str().get(host.len()..) {
            // `port_u16` says `None` to a port it cannot read as well as to none; only the latter is the default.
            Some("") => self.scheme.default_port(),
            _ => authority.port_u16().ok_or(Denial::Authority)?,
        };
        if port != self.port {
            return Err(Denial::Port {
                asked: port,
                granted: self.port,
            });
        }
        Ok(())
    }

    fn host_is(&self, asked: &str) -> bool {
        // The usual case costs one comparison; other spellings of the same host go through the URL rules.
        asked.eq_ignore_ascii_case(&self.host_text)
            || Host::parse(asked).is_ok_and(|asked| asked == self.host)
    }
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}:{}",
            self.scheme.as_str(),
            self.host_text,
            self.port
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::parse(url).unwrap()
    }

    #[test]
    fn an_origin_is_canonical_and_has_an_explicit_port() {
        let cases = [
            ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000"),
            (" HTTP://LocalHost/v1 ", "http://localhost:80"),
            ("https://GPU.Example.org", "https://gpu.example.org:443"),
            ("http://0x7f.1:8000", "http://127.0.0.1:8000"),
            (
                "http://[::FFFF:127.0.0.1]:8000",
                "http://[::ffff:7f00:1]:8000",
            ),
            (
                "https://bücher.example/v1",
                "https://xn--bcher-kva.example:443",
            ),
        ];
        for (url, expected) in cases {
            assert_eq!(origin(url).to_string(), expected, "{url}");
        }
    }

    #[test]
    fn a_url_that_is_no_plain_http_origin_is_refused() {
        let cases = [
            ("http://user@host/", OriginError::Credentials),
            ("http://:pw@host/", OriginError::Credentials),
            ("ftp://host/", OriginError::Scheme("ftp".into())),
            ("file:///etc/passwd", OriginError::Scheme("file".into())),
            ("http://host:0/", OriginError::Port),
            ("http://", OriginError::NoHost),
            ("http://\":75", OriginError::HostName),
            ("http://gpu{1}/v1", OriginError::HostName),
            ("http://a`b", OriginError::HostName),
            ("127.0.0.1:8000", OriginError::NoScheme),
        ];
        for (url, expected) in cases {
            assert_eq!(Origin::parse(url), Err(expected), "{url}");
        }
    }

    #[test]
    fn the_host_field_names_the_port_only_where_it_is_not_the_default() {
        assert_eq!(origin("http://host:8000").authority(), "host:8000");
        assert_eq!(origin("http://host:80").authority(), "host");
        assert_eq!(origin("https://[::1]:80").authority(), "[::1]:80");
    }

    #[test]
    fn other_spellings_of_the_granted_target_are_the_granted_target() {
        let cases = [
            (
                "http://127.0.0.1:8000/v1",
                "http://127.0.0.1:8000/v1/models",
            ),
            (
                "http://127.0.0.1:8000/v1",
                "http://127.0.0.1:8000/health?x=/a.b/y",
            ),
            ("http://0x7f.1:8000/v1", "http://0x7f.1:8000/v1"),
            ("http://GPU:80", "http://gpu/v1"),
            ("http://gpu", "HTTP://GPU:80"),
            ("https://gpu", "https://gpu:443/a.b/c..d/%3A?%20"),
            ("http://[::1]:8000", "http://[0:0::1]:8000/"),
        ];
        for (granted, asked) in cases {
            let asked: Uri = asked.parse().unwrap();
            assert_eq!(origin(granted).matches(&asked), Ok(()), "{asked}");
        }
    }

    #[test]
    fn a_request_to_anything_else_is_denied_for_its_own_reason() {
        let granted = origin("http://gpu.example:8000/v1");
        let cases = [
            (
                "https://gpu.example:8000/",
                "scheme `https` is not the granted `http`",
            ),
            (
                "http://evil.example:8000/",
                "host `evil.example` is not the granted `gpu.example`",
            ),
            (
                "http://gpu.example.:8000/",
                "host `gpu.example.` is not the granted `gpu.example`",
            ),
            (
                "http://xgpu.example:8000/",
                "host `xgpu.example` is not the granted `gpu.example`",
            ),
            (
                "http://gpu.example:8001/",
                "port 8001 is not the granted 8000",
            ),
            ("http://gpu.example/", "port 80 is not the granted 8000"),
            (
                "http://u:p@gpu.example:8000/",
                "the request's authority contains credentials",
            ),
            (
                "http://gpu.example:8000@evil/",
                "the request's authority contains credentials",
            ),
            ("/v1/models", "scheme `none` is not the granted `http`"),
            (
                "http://gpu.example:8000/v1/../x",
                "the request's path contains a dot segment",
            ),
            (
                "http://gpu.example:8000/v1/%2E%2e/x",
                "the request's path contains an encoded dot",
            ),
            (
                "http://gpu.example:8000/v1?x=/../y",
                "the request's query contains a dot segment",
            ),
            (
                "http://gpu.example:8000/a%2fb",
                "the request's path contains an encoded slash",
            ),
            (
                "http://gpu.example:8000/a%5Cb",
                "the request's path contains an encoded backslash",
            ),
            (
                "http://gpu.example:8000/a%00",
                "the request's path contains an encoded NUL",
            ),
            (
                "http://gpu.example:8000/a%zz",
                "the request's path contains a malformed percent-encoding",
            ),
        ];
        for (asked, expected) in cases {
            let uri: Uri = asked.parse().unwrap();
            let denial = granted.matches(&uri).unwrap_err().to_string();
            // Behind a semicolon stands what is allowed.
            assert_eq!(denial.split(';').next(), Some(expected), "{asked}");
        }
    }
}
