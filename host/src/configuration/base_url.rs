//! The base URL of a provider's entry, with its variables, and the secrets that it may hold.
//!
//! The plugin reads the base URL, so it must not hold a secret. A variable may give the whole URL, or
//! a part of scheme, host and port, which are no secrets: they are dialled. In a path or a query it
//! is refused, and so is a whole URL from a variable whose path or query looks like it holds a key.
//! What the user wrote there as a literal is passed on, and is taken out of every text for people.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};
use url::{Host, Url};

use super::environment::Environment;
use super::error::ConfigError;
use super::interpolation::{interpolate, sole_variable};
use super::path;
use super::provider::{BaseUrlSource, ProviderFacts};
use super::schema::is_credential;
use super::secret::looks_like_a_key;
use crate::plugin::IdApproval;

/// Most characters of a suggested base URL that an error quotes.
const LONGEST_SUGGESTION: usize = 200;

/// A base URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BaseUrl {
    /// The URL, trimmed.
    pub(super) text: String,
    pub(super) source: BaseUrlSource,
    /// Parts of it that are not to be shown.
    pub(super) secrets: Vec<String>,
}

impl BaseUrl {
    /// The URL that the user named beside the configuration. It is taken as it is: a prompt shows
    /// what a plugin suggests, and a variable in it would bring another text than was shown.
    pub(super) fn named(url: &str) -> Self {
        Self {
            text: url.to_owned(),
            source: BaseUrlSource::Named,
            secrets: secrets(url),
        }
    }
}

/// The URL of this machine for one whose host is an address to listen on: `0.0.0.0` or `[::]`. vLLM
/// prints such an address when it starts, and nothing can be asked at it everywhere. `None`: it is
/// another host.
pub(super) fn on_this_machine(url: &str) -> Option<String> {
    let mut parsed = Url::parse(url).ok()?;
    let address: IpAddr = match parsed.host()? {
        Host::Ipv4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        Host::Ipv6(address) if address.to_canonical().is_unspecified() => {
            match address.to_canonical() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            }
        }
        _ => return None,
    };
    parsed.set_ip_host(address).ok()?;
    Some(parsed.into())
}

/// Resolves the base URL: the entry's, else for the built-in plugin its manifest's. A blank one
/// counts as none, as in OpenClaw. `at`: where the entry stands.
pub(super) fn resolve(
    entry: &Map<String, Value>,
    at: &str,
    id: &str,
    facts: &ProviderFacts<'_>,
    environment: &Environment<'_>,
) -> Result<BaseUrl, ConfigError> {
    let at = path::member(at, "baseUrl");
    let configured = match entry.get("baseUrl") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => configured(text.trim(), &at, environment)?,
        Some(other) => {
            let allowed = "a URL, such as \"http://127.0.0.1:8000/v1\"";
            return Err(ConfigError::wrong_type(&at, other, allowed));
        }
    };
    if !configured.is_empty() {
        return Ok(BaseUrl {
            secrets: secrets(&configured),
            text: configured,
            source: BaseUrlSource::Configuration,
        });
    }
    let default = facts.default_base_url.map(str::trim);
    match default.filter(|url| !url.is_empty()) {
        Some(url) if facts.approval == IdApproval::BuiltIn => Ok(BaseUrl {
            text: url.to_owned(),
            source: BaseUrlSource::Default,
            secrets: Vec::new(),
        }),
        suggested => Err(ConfigError::NoBaseUrl {
            provider: id.to_owned(),
            path: at,
            suggested: suggested.map(|url| url.chars().take(LONGEST_SUGGESTION).collect()),
        }),
    }
}

/// The URL with the values of its variables.
fn configured(text: &str, at: &str, environment: &Environment<'_>) -> Result<String, ConfigError> {
    let refused = |variable: &str| ConfigError::VariableNotAllowed {
        variable: variable.to_owned(),
        path: at.to_owned(),
    };
    let whole = sole_variable(text);
    let mut url = String::new();
    let mut from_variables: Vec<(usize, String)> = Vec::new();
    // `interpolate` gives the parts in order; their places are looked up behind it.
    let marked = interpolate(text, at, environment, &mut |name, value| {
        from_variables.push((value.len(), name.to_owned()));
        Ok(format!("\0{value}"))
    })?;
    let mut variables = from_variables.into_iter();
    let mut rest = marked.as_str();
    while let Some((literal, behind)) = rest.split_once('\0') {
        url.push_str(literal);
        let Some((length, name)) = variables.next() else {
            break;
        };
        let value = behind.get(..length).unwrap_or(behind);
        if whole.is_none() && (resource(&url).is_some() || value.contains(['/', '?', '#', '@'])) {
            return Err(refused(&name));
        }
        url.push_str(value);
        rest = &behind[value.len()..];
    }
    url.push_str(rest);
    let url = url.trim().to_owned();
    if let Some(name) = whole
        && !secrets(&url).is_empty()
    {
        return Err(refused(name));
    }
    Ok(url)
}

/// What stands behind scheme and authority: path, query and fragment. `None`: nothing yet.
fn resource(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.find(['/', '?', '#']).map(|at| &rest[at..])
}

/// Parameters of a query that hold no secret.
const HARMLESS: [&str; 5] = ["alt", "api-version", "apiversion", "format", "version"];

/// Shortest value of a parameter that is a secret although its name does not say so. A shorter one
/// would be taken out of ordinary texts.
const SHORTEST_VALUE: usize = 8;

/// The parts of a URL that may be secrets: segments of the path that look like keys, and values of
/// parameters, in the query or in the path, but for those that are known to hold none.
fn secrets(url: &str) -> Vec<String> {
    let resource = resource(url).unwrap_or_default();
    let (path, query) = resource.split_once('?').unwrap_or((resource, ""));
    let segments = path.split(['/', '#', ';']);
    let pairs = query.split(['&', ';', '#', '/']);
    let mut found = Vec::new();
    for part in segments.chain(pairs) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if value.is_empty() {
            if looks_like_a_key(name) {
                found.push(name.to_owned());
            }
            continue;
        }
        let name = decoded(name);
        let secret = is_credential(&name)
            || names_a_credential(&name)
            || looks_like_a_key(value)
            || value.len() >= SHORTEST_VALUE;
        if secret && !HARMLESS.contains(&name.as_str()) {
            found.push(value.to_owned());
            // A server or a message may write it decoded.
            let plain = decoded(value);
            if plain != *value {
                found.push(plain);
            }
        }
    }
    // Only what can stand in a header is a secret elsewhere; nothing else is ever sent.
    found.retain(|secret| !secret.is_empty() && !secret.chars().any(char::is_control));
    found
}

/// A name or a value with its percent-encoding undone.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digit = |at: usize| char::from(*behind.get(at)?).to_digit(16);
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high << 4 | low) as u8);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether the name of a parameter has a word of a credential in it, such as `access_token`.
fn names_a_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "token", "secret", "pass", "pwd", "key", "auth", "sig", "cred", "code",
    ]
    .iter()
    .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_listen_on_is_read_as_this_machine() {
        for (url, expected) in [
            ("http://0.0.0.0:8000/v1", Some("http://127.0.0.1:8000/v1")),
            ("http://0.0.0.0:8000", Some("http://127.0.0.1:8000/")),
            (
                "https://[::]:8000/v1?k=v",
                Some("https://[::1]:8000/v1?k=v"),
            ),
            ("http://[::ffff:0.0.0.0]/v1", Some("http://127.0.0.1/v1")),
            ("http://0/v1", Some("http://127.0.0.1/v1")),
            ("http://127.0.0.1:8000/v1", None),
            ("http://0.0.0.1/v1", None),
            ("http://h/v1", None),
            ("0.0.0.0:8000", None),
        ] {
            assert_eq!(on_this_machine(url).as_deref(), expected, "{url}");
        }
    }

    const KEY: &str = "sk-0123456789abcdef";

    fn environment(name: &str) -> Option<String> {
        Some(match name {
            "HOST" => "gpu.lan".into(),
            "PORT" => "8000".into(),
            "SCHEME" => "https".into(),
            "HOST_PORT" => "gpu.lan:8000".into(),
            "URL" => " http://gpu:8000/v1 ".into(),
            "TEAM_URL" => "http://gpu:8000/team-a/v1?api-version=2026-01-01".into(),
            "KEY" => KEY.into(),
            "SHORT" => "abc".into(),
            "USER" => "me:secret@gpu".into(),
            "KEY_URL" => format!("http://gpu/{KEY}/v1"),
            "TOKEN_URL" => "http://gpu/v1?token=abc".into(),
            "NUL" => "a\0b".into(),
            _ => return None,
        })
    }

    #[test]
    fn a_variable_may_give_the_url_or_a_part_of_scheme_host_and_port() {
        let cases = [
            ("http://h/v1", "http://h/v1"),
            ("http://${HOST}/v1", "http://gpu.lan/v1"),
            ("${SCHEME}://${HOST}:${PORT}/v1", "https://gpu.lan:8000/v1"),
            ("http://a.${HOST_PORT}/v1", "http://a.gpu.lan:8000/v1"),
            ("http://${HOST}:${PORT}", "http://gpu.lan:8000"),
            ("${URL}", "http://gpu:8000/v1"),
            (
                "${TEAM_URL}",
                "http://gpu:8000/team-a/v1?api-version=2026-01-01",
            ),
            ("http://h/$${KEY}", "http://h/${KEY}"),
            ("http://h/v1?token=abc", "http://h/v1?token=abc"),
        ];
        for (text, expected) in cases {
            assert_eq!(
                configured(text, "b", &environment).unwrap(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_variable_in_a_path_or_a_query_is_refused_and_its_value_not_shown() {
        for text in [
            "http://h/${KEY}/v1",
            "http://h/${SHORT}/v1",
            "http://h/v1?token=${KEY}",
            "http://h?${SHORT}",
            "http://h#${SHORT}",
            "http://${HOST}/${SHORT}",
            "http://${HOST}/a?b=${SHORT}&c=d",
            "http://${USER}/v1",
            "${URL}/${SHORT}",
            "${URL}?x=${SHORT}",
            "${KEY_URL}",
            "${TOKEN_URL}",
        ] {
            let error = configured(text, "models.providers.vllm.baseUrl", &environment);
            let error = error.unwrap_err().to_string();
            assert!(
                error.contains("models.providers.vllm.baseUrl uses"),
                "{text}: {error}"
            );
            assert!(
                !error.contains(KEY) && !error.contains("abc"),
                "{text}: {error}"
            );
        }
        assert!(
            configured("http://${NUL}/v1", "b", &environment).is_ok_and(|url| url.contains('\0'))
        );
    }

    #[test]
    fn what_looks_like_a_secret_in_a_url_is_known_as_one() {
        let cases: [(&str, &[&str]); 16] = [
            ("http://h:8000/v1", &[]),
            ("http://h/team-a/v1?api-version=2026-01-01", &[]),
            ("http://h/v1?token=abc&x=y", &["abc"]),
            ("http://h/v1?access_token=abc;sig=d", &["abc", "d"]),
            ("http://h/v1?x=sk-0123456789abcdef", &[KEY]),
            ("http://h/v1?sk-0123456789abcdef", &[KEY]),
            ("http://h/sk-0123456789abcdef/v1", &[KEY]),
            ("http://h/v1?api_key=abc#x", &["abc"]),
            ("http://h/v1?%74oken=a%62c", &["a%62c", "abc"]),
            ("http://h/v1?code=abc&pwd=d&pass=e", &["abc", "d", "e"]),
            ("http://h/v1;token=abc", &["abc"]),
            ("http://h/token=abc/v1", &["abc"]),
            ("http://h/v1?x=s3cr3t-abc", &["s3cr3t-abc"]),
            ("http://h/v1?stream=true&alt=sse", &[]),
            (
                "http://h/openai/deployments/gpt-4o-mini?api-version=2026-01-01-preview",
                &[],
            ),
            ("http://h/v1?token=%0a", &["%0a"]),
        ];
        for (url, expected) in cases {
            assert_eq!(secrets(url), expected, "{url}");
        }
    }
}
