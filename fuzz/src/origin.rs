//! Where a plugin may send: the text of a base URL, read by the plugin, by the host, by `url`, by `http::Uri` and by the
//! resolver, and a request's target held against it.
//!
//! The danger is a text that two of them read as two places. Whatever the host lets through must be the granted host and port
//! to each of them.

use crate::policy::{AddressClass, BasePath, Denial, Origin, Reach};
use http::Uri;
use std::net::{IpAddr, Ipv6Addr};
use url::{Host, Url};
use vllm_provider::base_url::BaseUrl;

/// `[text]`: an origin says the same thing to everybody, and reads itself back.
pub(crate) fn origin(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(origin) = Origin::parse(&text) else {
        return;
    };
    assert_ne!(origin.port(), 0);
    let written = origin.to_string();
    assert_eq!(Origin::parse(&written).as_ref(), Ok(&origin), "{written}");
    let uri: Uri = written.parse().expect("an origin is a URI");
    assert_eq!(uri.host(), Some(origin.host_text()));
    assert_eq!(uri.port_u16(), Some(origin.port()));
    // The plugin is granted its own base URL, and what stands in the `Host` field means the same.
    let request: Uri = format!("{}://{}/", origin.scheme().as_str(), origin.authority())
        .parse()
        .expect("a URI");
    assert_eq!(origin.matches(&request), Ok(()), "{request}");
    check_dialled(&origin);
    check_reach(&origin);
}

/// The dialler takes the address where the host is one, and asks the resolver where it is a name; the resolver must not take
/// the name for an address of its own.
fn check_dialled(origin: &Origin) {
    let bare = origin
        .host_text()
        .trim_start_matches('[')
        .trim_end_matches(']');
    match origin.ip() {
        Some(ip) => {
            assert_eq!(bare.parse(), Ok(ip), "{bare}");
            assert_eq!(numeric(bare), Some(ip), "{bare}");
        }
        None => {
            assert!(bare.parse::<IpAddr>().is_err(), "{bare}");
            assert_eq!(
                numeric(bare),
                None,
                "{bare} is a name to us and an address to the resolver"
            );
        }
    }
}

/// What the system's resolver reads as an address, without asking anybody: `inet_aton`'s spellings too.
fn numeric(host: &str) -> Option<IpAddr> {
    let hints = dns_lookup::AddrInfoHints {
        // AI_NUMERICHOST of Linux, macOS and Windows.
        flags: 4,
        ..dns_lookup::AddrInfoHints::default()
    };
    let mut found = dns_lookup::getaddrinfo(Some(host), None, Some(hints)).ok()?;
    Some(found.next()?.ok()?.sockaddr.ip())
}

/// Only a name of this machine reaches this machine, and no metadata service is ever reached.
fn check_reach(origin: &Origin) {
    let reach = Reach::of(origin);
    match origin.ip() {
        Some(ip) => {
            let class = AddressClass::of(ip);
            let expected = match class {
                AddressClass::Loopback => Reach::Loopback,
                AddressClass::Private => Reach::Private,
                _ => Reach::Public,
            };
            assert_eq!(reach, expected);
        }
        None => {
            // The dot at the end is the root's; two of them are no name.
            let name = origin.host_text();
            let name = name.strip_suffix('.').unwrap_or(name);
            let local = name == "localhost" || name.ends_with(".localhost");
            assert_eq!(reach == Reach::Loopback, local, "{name}");
        }
    }
}

/// `[base URL]\n[target]`: what the host allows is the granted host and port to both other parsers, and has one path.
pub(crate) fn matches(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (base, target) = text.split_once('\n').unwrap_or((&text, ""));
    let (Ok(origin), Ok(uri)) = (Origin::parse(base), target.parse::<Uri>()) else {
        return;
    };
    let verdict = origin.matches(&uri);
    let url = Url::parse(target);
    if verdict.is_err() {
        // The same place in the same spelling is not refused, unless for its path or what is no origin's.
        if let (Err(Denial::Host { .. } | Denial::Port { .. }), Ok(url)) = (&verdict, &url) {
            let same = url.host().map(|host| host.to_owned()).as_ref() == Some(origin.host())
                && url.port_or_known_default() == Some(origin.port());
            assert!(!same, "{target} is {origin}, and refused: {verdict:?}");
        }
        return;
    }
    let url = url.unwrap_or_else(|error| panic!("{target} is allowed, and no URL: {error}"));
    assert_eq!(url.scheme(), origin.scheme().as_str());
    assert_eq!(
        url.host().map(|host| host.to_owned()).as_ref(),
        Some(origin.host()),
        "{target}"
    );
    assert_eq!(url.port_or_known_default(), Some(origin.port()), "{target}");
    assert!(
        url.username().is_empty() && url.password().is_none(),
        "{target}"
    );

    let authority = uri.authority().expect("it is allowed");
    let port = authority
        .port_u16()
        .unwrap_or(origin.scheme().default_port());
    assert_eq!(port, origin.port(), "{target}");
    let host = authority.host();
    match host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>()
    {
        Ok(ip) => assert_eq!(Some(ip), origin.ip(), "{target}"),
        Err(_) => assert_eq!(Host::parse(host).as_ref(), Ok(origin.host()), "{target}"),
    }
    // Nothing is folded away: each parser sees as many segments as the other.
    let segments = |path: &str| path.split('/').count();
    assert_eq!(segments(url.path()), segments(uri.path()), "{target}");
}

/// `[text]`: what the plugin takes for its base URL is the same place to the host, and its requests are allowed there.
pub(crate) fn base_url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // The plugin reads addresses as the standard library does.
    let bracketed = format!("http://[{text}]/");
    if !text.contains(['/', '?', '#', '\\', '@'])
        && !text.contains(|c: char| c <= ' ' || c == '\u{7f}')
    {
        let ours = BaseUrl::parse(&bracketed).is_ok();
        assert_eq!(ours, text.parse::<Ipv6Addr>().is_ok(), "{bracketed}");
    }

    let Ok(base) = BaseUrl::parse(&text) else {
        return;
    };
    let again = BaseUrl::parse(&base.join("x")).expect("what is joined is a base URL");
    assert_eq!(
        (again.scheme(), again.authority()),
        (base.scheme(), base.authority())
    );
    assert_eq!(again.is_loopback(), base.is_loopback());
    assert!(!base.display("models").contains('?'));
    // The host has the same text. What it refuses to grant is never asked; blank text is the plugin's default.
    let Ok(origin) = Origin::parse(&text) else {
        return;
    };
    assert_eq!(base.scheme().as_str(), origin.scheme().as_str());
    let base_path = BasePath::of_base_url(&text).expect("it has an origin");
    for url in [base.join("models"), base.root().join("version")] {
        let uri: Uri = url.parse().expect("a URI");
        assert!(
            base_path.covers(uri.path()),
            "{text:?}: the plugin's {uri} is not below {base_path}"
        );
        // What the user configured is exempt from the rules on characters.
        let judged = base_path.judge(uri.path(), uri.query());
        if let Err(denial) = origin.is_origin_of(&uri).and(judged) {
            panic!("{text:?}: the plugin's {uri} is refused: {denial}");
        }
    }
    // A plugin that takes a server for this machine's sends no key to it; the host must not take it elsewhere.
    if base.is_loopback() {
        let nowhere = origin.ip().map(AddressClass::of) == Some(AddressClass::Unspecified);
        let reach = Reach::of(&origin);
        assert!(
            reach == Reach::Loopback || nowhere,
            "{origin} is this machine to the plugin"
        );
    }
}
