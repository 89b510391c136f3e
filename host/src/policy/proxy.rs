//! The HTTP proxy that a provider's requests go through, as its URL names it.
//!
//! A proxy is named by the user and never by a plugin. It resolves the names of origins itself, so
//! that what it connects to is not judged by this host ([`Reach`](super::Reach)).

use super::origin::{Origin, OriginError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use std::fmt;
use url::Url;
use zeroize::Zeroizing;

/// Most bytes of user name and password together. They go out in a header field, beside which a
/// request has [`HEAD_WITH_SECRET_BYTES`](super::secret::HEAD_WITH_SECRET_BYTES).
const MAX_CREDENTIALS_BYTES: usize = 1024;

/// An HTTP proxy: its address, and the user name and password for it.
///
/// Neither `Debug` nor any message shows the password.
///
/// # Examples
///
/// ```
/// use provider_host::policy::Proxy;
///
/// let proxy = Proxy::parse("http://me:p%40ss@proxy.example:3128")?;
/// assert_eq!(proxy.address(), "proxy.example:3128");
/// assert!(proxy.has_credentials() && !format!("{proxy:?}").contains("p@ss"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Where it listens.
    origin: Origin,
    credentials: Option<Credentials>,
}

#[derive(Clone, PartialEq, Eq)]
struct Credentials {
    password: Zeroizing<String>,
    /// The value of `proxy-authorization`.
    authorization: HeaderValue,
}

/// Why a URL names no proxy that can be used. No message quotes the URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// It is not a URL, or one without a usable host or port.
    #[error("it is not the URL of a proxy ({0}); write it as http://HOST:PORT")]
    Syntax(String),
    /// It begins with `https://`.
    #[error(
        "it begins with https://; this host speaks plain HTTP to a proxy (what goes to an https \
         server is encrypted inside of that): write http://HOST:PORT"
    )]
    Https,
    /// It names a SOCKS proxy, or something else.
    #[error(
        "it names no HTTP proxy; SOCKS and other kinds are not supported: write http://HOST:PORT"
    )]
    Scheme,
    /// It has a path, a query or a fragment.
    #[error("it has something behind host and port; write it as http://HOST:PORT")]
    Path,
    /// User name or password can't be sent.
    #[error(
        "its user name or password {0}; characters such as @, :, / and % have to be \
         percent-encoded in a URL (@ is %40)"
    )]
    Credentials(&'static str),
}

impl Proxy {
    /// Reads `http://HOST:PORT` or `http://USER:PASSWORD@HOST:PORT`. The port is 80 if none is
    /// named, and `http://` may be left out. User name and password are percent-decoded.
    ///
    /// # Errors
    ///
    /// [`ProxyUrlError`].
    pub fn parse(url: &str) -> Result<Self, ProxyUrlError> {
        let url = url.trim();
        let text = match url.contains("://") {
            true => Zeroizing::new(url.to_owned()),
            false => Zeroizing::new(format!("http://{url}")),
        };
        let mut url = Url::parse(&text).map_err(|why| ProxyUrlError::Syntax(why.to_string()))?;
        match url.scheme() {
            "http" => {}
            "https" => return Err(ProxyUrlError::Https),
            _ => return Err(ProxyUrlError::Scheme),
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(ProxyUrlError::Path);
        }
        let credentials = credentials(&url)?;
        // The parser of origins refuses what is taken out here.
        if url.set_username("").is_err() || url.set_password(None).is_err() {
            return Err(ProxyUrlError::Syntax("it has no host".to_owned()));
        }
        let origin = Origin::from_url(&url).map_err(|why| {
            ProxyUrlError::Syntax(match why {
                OriginError::Port => "port 0".to_owned(),
                OriginError::HostName => "its host is not a name".to_owned(),
                _ => "it has no host".to_owned(),
            })
        })?;
        Ok(Self {
            origin,
            credentials,
        })
    }

    /// Host and port, for messages and for dialling.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.origin.host_text(), self.origin.port())
    }

    /// Whether a user name or a password is sent.
    #[must_use]
    pub const fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// Where it listens.
    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The value of `proxy-authorization`.
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        Some(&self.credentials.as_ref()?.authorization)
    }

    /// The password, to be taken out of texts. `None`: there is none.
    pub(crate) fn password(&self) -> Option<&str> {
        let password = self.credentials.as_ref()?.password.as_str();
        (!password.is_empty()).then_some(password)
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, ProxyUrlError> {
    let (user, password) = (url.username(), url.password());
    if user.is_empty() && password.is_none() {
        return Ok(None);
    }
    let user = decoded(user)?;
    let password = decoded(password.unwrap_or_default())?;
    if user.contains(':') {
        // RFC 7617 §2: the first colon ends the user name.
        return Err(ProxyUrlError::Credentials("has a colon in the user name"));
    }
    if user.len() + password.len() > MAX_CREDENTIALS_BYTES {
        return Err(ProxyUrlError::Credentials("is too long"));
    }
    let both = Zeroizing::new(format!("{}:{}", *user, *password));
    let coded = Zeroizing::new(format!("Basic {}", STANDARD.encode(both.as_bytes())));
    let mut authorization = HeaderValue::from_str(&coded)
        .map_err(|_| ProxyUrlError::Credentials("can't be sent in a header"))?;
    authorization.set_sensitive(true);
    Ok(Some(Credentials {
        password,
        authorization,
    }))
}

/// A part of a URL without its percent-encoding.
fn decoded(text: &str) -> Result<Zeroizing<String>, ProxyUrlError> {
    let plain: Zeroizing<Vec<u8>> = Zeroizing::new(percent_decode_str(text).collect());
    if plain.iter().any(u8::is_ascii_control) {
        return Err(ProxyUrlError::Credentials("holds a control character"));
    }
    match std::str::from_utf8(&plain) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(ProxyUrlError::Credentials("is not UTF-8 text")),
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = self.credentials.as_ref().map(|_| "***");
        f.debug_struct("Proxy")
            .field("address", &self.address())
            .field("credentials", &credentials)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(url: &str) -> Option<String> {
        let proxy = Proxy::parse(url).unwrap();
        let coded = proxy.authorization()?.to_str().unwrap();
        let bytes = STANDARD.decode(coded.strip_prefix("Basic ").unwrap());
        Some(String::from_utf8(bytes.unwrap()).unwrap())
    }

    #[test]
    fn a_proxy_is_a_host_and_a_port_with_or_without_a_scheme() {
        for (url, address) in [
            ("http://proxy.example:3128", "proxy.example:3128"),
            (" http://proxy.example:3128/ ", "proxy.example:3128"),
            ("proxy.example:3128", "proxy.example:3128"),
            ("proxy", "proxy:80"),
            ("http://10.0.0.1:8080", "10.0.0.1:8080"),
            ("[::1]:3128", "[::1]:3128"),
            ("me:secret@proxy:3128", "proxy:3128"),
        ] {
            assert_eq!(Proxy::parse(url).unwrap().address(), address, "{url}");
        }
    }

    #[test]
    fn user_name_and_password_are_decoded_and_sent_as_basic_credentials() {
        assert_eq!(sent("http://proxy:3128"), None);
        for (url, both) in [
            ("http://me:secret@proxy", "me:secret"),
            ("http://me@proxy", "me:"),
            ("http://:secret@proxy", ":secret"),
            ("http://me:p%40ss%3aw%2Ford%25@proxy", "me:p@ss:w/ord%"),
            ("http://me:100%@proxy", "me:100%"),
            ("http://m%C3%A9:x@proxy", "mé:x"),
        ] {
            assert_eq!(sent(url).as_deref(), Some(both), "{url}");
        }
    }

    #[test]
    fn what_is_no_http_proxy_is_refused_without_quoting_it() {
        let long = format!("http://me:{}@proxy", "x".repeat(MAX_CREDENTIALS_BYTES));
        for (url, words) in [
            ("", "not the URL of a proxy"),
            ("http://", "not the URL of a proxy"),
            ("http://me:hush@proxy:0", "port 0"),
            ("http://me:hush@proxy:99999", "not the URL of a proxy"),
            ("https://me:hush@proxy", "begins with https://"),
            ("socks5://me:hush@proxy:1080", "SOCKS"),
            ("http://me:hush@proxy/pac", "behind host and port"),
            ("http://me:hush@proxy?hush", "behind host and port"),
            ("http://me%3Ayou:hush@proxy", "colon in the user name"),
            ("http://me:hush%0d%0a@proxy", "control character"),
            ("http://me:hush%ff@proxy", "not UTF-8"),
            (&long, "too long"),
        ] {
            let error = Proxy::parse(url).unwrap_err().to_string();
            assert!(error.contains(words), "{url}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn no_debug_output_shows_the_password() {
        let proxy = Proxy::parse("http://me:a-secret@proxy:3128").unwrap();
        let shown = format!("{proxy:?} {:?}", proxy.authorization());
        assert!(shown.contains("proxy:3128"), "{shown}");
        let coded = STANDARD.encode("me:a-secret");
        assert!(
            !shown.contains("a-secret") && !shown.contains(&coded),
            "{shown}"
        );
        assert_eq!(proxy.password(), Some("a-secret"));
    }
}
