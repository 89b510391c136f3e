//! `request.proxy`: which proxy the requests of a provider go through.
//!
//! OpenClaw's shapes are `{mode: "explicit-proxy", url}` and `{mode: "env-proxy"}`; the URL alone
//! is taken as well. The variables are read for `env-proxy` only, by the rules of OpenClaw's HTTP
//! client: names in lower case go first, and an `https` server falls back on the proxy for `http`.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::super::environment::Environment;
use super::super::error::ConfigError;
use super::super::interpolation::{interpolate, sole_variable};
use super::super::path;
use super::super::secret::from_reference;
use crate::policy::origin::Scheme;
use crate::policy::{Origin, Proxy, Reach};

/// How `request.proxy` names a proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyMode {
    /// It is not set: the server is dialled itself.
    #[default]
    None,
    /// `env-proxy`: by `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.
    Environment,
    /// `explicit-proxy`: by its URL.
    Explicit,
}

const ALLOWED: &str = "the URL of a proxy, { mode: \"explicit-proxy\", url: \"http://HOST:PORT\" } \
                       or { mode: \"env-proxy\" }";

/// Resolves the setting at `at` for the server at `base_url`. `note` is told what is not followed.
pub(super) fn resolve(
    setting: &Value,
    at: &str,
    base_url: &str,
    environment: &Environment<'_>,
    note: &mut dyn FnMut(String, &str),
) -> Result<(ProxyMode, Option<Proxy>), ConfigError> {
    let setting = match setting {
        Value::Object(setting) if !setting.contains_key("source") => setting,
        Value::String(text) if text.trim().is_empty() => return Ok((ProxyMode::None, None)),
        // The URL alone.
        url => {
            let proxy = explicit(url, at, environment)?;
            return Ok((ProxyMode::Explicit, Some(proxy)));
        }
    };
    note_unsupported(setting, at, note);
    match setting.get("mode") {
        Some(Value::String(mode)) if mode == "env-proxy" => {
            let proxy = of_environment(at, base_url, environment)?;
            Ok((ProxyMode::Environment, proxy))
        }
        Some(Value::String(mode)) if mode == "explicit-proxy" => {
            let at = path::member(at, "url");
            let proxy = explicit(setting.get("url").unwrap_or(&Value::Null), &at, environment)?;
            Ok((ProxyMode::Explicit, Some(proxy)))
        }
        None | Some(Value::Null) if setting.contains_key("url") => {
            let proxy = explicit(&setting["url"], &path::member(at, "url"), environment)?;
            Ok((ProxyMode::Explicit, Some(proxy)))
        }
        other => Err(ConfigError::wrong_type(
            &path::member(at, "mode"),
            other.unwrap_or(&Value::Null),
            "\"explicit-proxy\" or \"env-proxy\"",
        )),
    }
}

fn note_unsupported(setting: &Map<String, Value>, at: &str, note: &mut dyn FnMut(String, &str)) {
    for (key, value) in setting {
        let message = match key.as_str() {
            "mode" | "url" => continue,
            _ if value.is_null() => continue,
            "tls" => {
                "not followed: a proxy is spoken to over plain HTTP; TLS with the server goes \
                 through it, and request.tls is for that"
            }
            _ => "not followed: of request.proxy, mode and url are supported",
        };
        note(path::member(at, key), message);
    }
}

/// The proxy of a URL in the configuration. In a part of it, what a variable holds is
/// percent-encoded where it would end the part: `http://me:${PASSWORD}@proxy:3128` takes any
/// password.
fn explicit(url: &Value, at: &str, environment: &Environment<'_>) -> Result<Proxy, ConfigError> {
    let text = match url {
        Value::String(text) => {
            let whole = sole_variable(text.trim()).is_some();
            interpolate(text, at, environment, &mut |_, value| {
                Ok(match whole {
                    true => value,
                    false => encoded(&value),
                })
            })?
        }
        Value::Object(reference) => from_reference(reference, at, environment)?,
        other => return Err(ConfigError::wrong_secret(at, other, ALLOWED)),
    };
    parse(&text, at.to_owned())
}

fn parse(text: &str, path: String) -> Result<Proxy, ConfigError> {
    Proxy::parse(text).map_err(|why| ConfigError::Unusable {
        path,
        why: why.to_string(),
    })
}

/// A value as a part of a URL. What is percent-encoded already stays.
fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let bytes = value.as_bytes();
    for (at, one) in value.char_indices() {
        let escape = |end: usize| {
            let digits = bytes.get(at + 1..end);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        match one {
            '%' if escape(at + 3) => text.push('%'),
            '%' => text.push_str("%25"),
            '@' => text.push_str("%40"),
            '/' => text.push_str("%2F"),
            '\\' => text.push_str("%5C"),
            '?' => text.push_str("%3F"),
            '#' => text.push_str("%23"),
            other => text.push(other),
        }
    }
    text
}

/// The proxy that the variables name for the server. None: it is dialled itself.
fn of_environment(
    at: &str,
    base_url: &str,
    environment: &Environment<'_>,
) -> Result<Option<Proxy>, ConfigError> {
    // A base URL that names no origin is refused with its own words, later.
    let Ok(origin) = Origin::parse(base_url) else {
        return Ok(None);
    };
    let set = |names: &[&'static str]| {
        names.iter().find_map(|&name| {
            let value = environment(name).filter(|value| !value.trim().is_empty())?;
            Some((name, value))
        })
    };
    let names: &[&str] = match origin.scheme() {
        Scheme::Https => &["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"],
        Scheme::Http => &["http_proxy", "HTTP_PROXY"],
    };
    let Some((name, url)) = set(names) else {
        return Ok(None);
    };
    let exempt = set(&["no_proxy", "NO_PROXY"]).map(|(_, list)| list);
    if is_exempt(&origin, exempt.as_deref().unwrap_or_default()) {
        return Ok(None);
    }
    parse(&url, format!("{at} (variable {name})")).map(Some)
}

/// Whether a server is dialled itself: this machine, and what `NO_PROXY` lists, by name (with all
/// names below it), address, or network as `10.0.0.0/8`, each with a port or for all ports.
fn is_exempt(origin: &Origin, list: &str) -> bool {
    if Reach::of(origin) == Reach::Loopback {
        return true;
    }
    let entries = list.split([',', ' ', '\t']).map(str::trim);
    entries
        .filter(|entry| !entry.is_empty())
        .any(|entry| names(entry, origin))
}

fn names(entry: &str, origin: &Origin) -> bool {
    if entry == "*" {
        return true;
    }
    if let (Some(ip), Some((network, bits))) = (origin.ip(), entry.split_once('/')) {
        return is_in(ip, network, bits);
    }
    let (host, port) = match entry.rsplit_once(':') {
        // Of an IPv6 address without brackets the last group is no port.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (entry, None),
    };
    if port.is_some_and(|port| port.parse() != Ok(origin.port())) {
        return false;
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Some(ip) = origin.ip() {
        return host.parse() == Ok(ip);
    }
    let host = host.trim_start_matches('*').trim_matches('.');
    let name = origin.host_text().trim_end_matches('.');
    let host = host.to_ascii_lowercase();
    let below = name.strip_suffix(host.as_str());
    !host.is_empty() && below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_in(ip: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
    };
    let same = |width: u32, a: u128, b: u128| {
        bits <= width && a.checked_shr(width - bits) == b.checked_shr(width - bits)
    };
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            same(32, u128::from(ip.to_bits()), u128::from(network.to_bits()))
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => same(128, ip.to_bits(), network.to_bits()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn environment(name: &str) -> Option<String> {
        Some(String::from(match name {
            "PROXY_URL" => "http://me:a%40b@proxy.example:3128",
            "PASSWORD" => "p@ss/w:ord%4%41",
            "PROXY_HOST" => "proxy.example:3128",
            _ => return None,
        }))
    }

    fn proxy(setting: &Value) -> Result<(ProxyMode, Option<Proxy>), String> {
        let base = "https://gpu.example/v1";
        let mut notes = Vec::new();
        let mut note = |path: String, _: &str| notes.push(path);
        let found = resolve(setting, "p", base, &environment, &mut note);
        assert!(notes.is_empty(), "{notes:?}");
        found.map_err(|error| error.to_string())
    }

    #[test]
    fn each_shape_of_the_setting_names_the_proxy() {
        let plain = "http://proxy.example:3128";
        for setting in [
            json!(plain),
            json!("proxy.example:3128"),
            json!({"mode": "explicit-proxy", "url": plain}),
            json!({"url": plain}),
            json!("${PROXY_URL}"),
            json!({"source": "env", "id": "PROXY_URL"}),
            json!({"mode": "explicit-proxy", "url": {"source": "env", "id": "PROXY_URL"}}),
            json!({"mode": "explicit-proxy", "url": "http://me:${PASSWORD}@${PROXY_HOST}"}),
        ] {
            let (mode, found) = proxy(&setting).unwrap();
            assert_eq!(mode, ProxyMode::Explicit, "{setting}");
            assert_eq!(found.unwrap().address(), "proxy.example:3128", "{setting}");
        }
        let found = proxy(&json!("http://me:${PASSWORD}@${PROXY_HOST}"))
            .unwrap()
            .1
            .unwrap();
        assert_eq!(found.password(), Some("p@ss/w:ord%4A"));
        let found = proxy(&json!("${PROXY_URL}")).unwrap().1.unwrap();
        assert_eq!(found.password(), Some("a@b"));
        assert_eq!(proxy(&json!("")).unwrap(), (ProxyMode::None, None));
        let none = proxy(&json!({"mode": "env-proxy"})).unwrap();
        assert_eq!(none, (ProxyMode::Environment, None));
    }

    #[test]
    fn what_names_no_proxy_is_an_error_with_its_place() {
        for (setting, words) in [
            (json!(7), "p is a number; allowed is the URL of a proxy"),
            (json!({}), "p.mode is null; allowed is \"explicit-proxy\""),
            (json!({"mode": "pac"}), "p.mode is the text \"pac\""),
            (
                json!({"mode": "explicit-proxy"}),
                "p.url is null; allowed is",
            ),
            (
                json!("socks5://me:hush@proxy:1080"),
                "p can't be used: it names no HTTP proxy",
            ),
            (
                json!({"mode": "explicit-proxy", "url": "https://me:hush@proxy"}),
                "p.url can't be used: it begins with https://",
            ),
            (json!("${GONE}"), "environment variable GONE is not set"),
        ] {
            let error = proxy(&setting).unwrap_err();
            assert!(error.starts_with(words), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn the_variables_are_read_by_the_rules_of_other_programs() {
        let chosen = |base: &str, set: &[(&str, &str)]| {
            let environment = |name: &str| {
                let found = set.iter().find(|(set, _)| *set == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let proxy = of_environment("p", base, &environment);
            proxy
                .map(|proxy| proxy.map(|proxy| proxy.address()))
                .map_err(|error| error.to_string())
        };
        let of = |base: &str, set: &[(&str, &str)]| chosen(base, set).unwrap();
        let (http, https) = ("http://gpu.example:8000/v1", "https://gpu.example/v1");
        let a = Some("a:1".to_owned());
        assert_eq!(of(http, &[]), None);
        assert_eq!(
            of(http, &[("HTTPS_PROXY", "a:1"), ("ALL_PROXY", "a:1")]),
            None
        );
        assert_eq!(of(http, &[("HTTP_PROXY", "a:1")]), a);
        assert_eq!(of(https, &[("HTTP_PROXY", "a:1")]), a);
        let both = [("HTTP_PROXY", "b:1"), ("HTTPS_PROXY", "a:1")];
        assert_eq!(of(https, &both), a);
        assert_eq!(of(http, &[("HTTP_PROXY", "b:1"), ("http_proxy", "a:1")]), a);
        assert_eq!(of(http, &[("http_proxy", " "), ("HTTP_PROXY", "a:1")]), a);
        // This machine is never asked for at another's.
        for here in [
            "http://127.0.0.1:8000/v1",
            "http://localhost/v1",
            "http://[::1]/v1",
        ] {
            assert_eq!(of(here, &[("HTTP_PROXY", "a:1")]), None, "{here}");
        }
        let error = chosen(http, &[("HTTP_PROXY", "socks5://me:hush@x")]).unwrap_err();
        assert!(
            error.starts_with("p (variable HTTP_PROXY) can't be used"),
            "{error}"
        );
        assert!(!error.contains("hush"), "{error}");

        let exempt = |base: &str, list: &str| {
            of(base, &[("HTTP_PROXY", "a:1"), ("NO_PROXY", list)]).is_none()
        };
        for (base, list, expected) in [
            (http, "*", true),
            (http, "gpu.example", true),
            (http, "other, GPU.example", true),
            (http, "example", true),
            (http, ".example", true),
            (http, "*.example", true),
            (http, "gpu.example:8000", true),
            (http, "gpu.example:80", false),
            (http, "pu.example", false),
            (http, "a.gpu.example", false),
            (http, ",. ,", false),
            ("http://10.1.2.3/v1", "10.0.0.0/8", true),
            ("http://10.1.2.3/v1", "10.1.2.3", true),
            ("http://10.1.2.3/v1", "10.1.2.3:81", false),
            ("http://10.1.2.3/v1", "11.0.0.0/8 10.1.0.0/x", false),
            ("http://10.1.2.3/v1", "2.3", false),
            ("http://10.1.2.3/v1", "0.0.0.0/0", true),
            ("http://[fd00::1]/v1", "fd00::/8", true),
            ("http://[fd00::1]:81/v1", "[fd00::1]:81", true),
            ("http://[fd00::1]/v1", "fd00::1", true),
            ("http://[fd00::1]/v1", "fe80::/10", false),
        ] {
            assert_eq!(exempt(base, list), expected, "{base} {list}");
        }
    }

    #[test]
    fn what_is_not_followed_is_named() {
        let setting = json!({"mode": "env-proxy", "tls": {"ca": "x"}, "bypass": "y", "z": null});
        let mut paths = Vec::new();
        let mut note = |path: String, _: &str| paths.push(path);
        resolve(&setting, "p", "http://gpu/v1", &|_| None, &mut note).unwrap();
        assert_eq!(paths, ["p.bypass", "p.tls"]);
    }
}
