//! To smuggle by headers, or to speak for the host.

use crate::Orders;
use crate::http::Ask;

type Headers<'a> = &'a [(&'a str, &'a [u8])];

fn each(orders: &Orders, all: &[Headers<'_>]) -> Vec<String> {
    let send = |headers: &Headers<'_>| {
        let headers = *headers;
        let body = b"{}";
        Ask {
            headers,
            body,
            ..Ask::of(&orders.granted)
        }
        .send()
    };
    all.iter().map(send).collect()
}

pub(super) fn line_breaks(orders: &Orders) -> Vec<String> {
    each(
        orders,
        &[
            &[("x-a", b"b\r\nx-smuggled: 1")],
            &[("x-a", b"b\nx-smuggled: 1")],
            &[("x-a", b"b\rx-smuggled: 1")],
            &[("x-a", b"b\0")],
            &[("x-a", b"b\x7f")],
            &[("x-a\r\nx-smuggled", b"1")],
            &[("x-a: 1\nx-smuggled", b"1")],
            &[("x a", b"1")],
            &[("", b"1")],
            &[("x-a\0", b"1")],
            &[("x-a:", b"1")],
            &[("x-\u{e9}", b"1")],
        ],
    )
}

/// What only the host may say, in every spelling.
pub(super) fn of_the_host(orders: &Orders) -> Vec<String> {
    each(
        orders,
        &[
            &[("host", b"smuggled.example")],
            &[("Host", b"smuggled.example")],
            &[("hOsT", b"smuggled.example")],
            &[
                ("host", b"one.smuggled.example"),
                ("host", b"two.smuggled.example"),
            ],
            &[("connection", b"upgrade")],
            &[("Connection", b"x-smuggled")],
            &[("keep-alive", b"smuggled")],
            &[("transfer-encoding", b"smuggled")],
            &[("Transfer-Encoding", b"identity, smuggled")],
            &[("upgrade", b"smuggled")],
            &[("UPGRADE", b"smuggled")],
            &[("proxy-authorization", b"smuggled")],
            &[("proxy-authenticate", b"smuggled")],
            &[("proxy-connection", b"smuggled")],
            &[("http2-settings", b"smuggled")],
        ],
    )
}

/// Headers that would say where a message ends. They are taken out: the request goes out without them.
pub(super) fn framing(orders: &Orders) -> Vec<String> {
    each(
        orders,
        &[
            &[("content-length", b"7777")],
            &[("content-length", b"1"), ("content-length", b"2")],
            &[("Content-Length", b"-1")],
            &[("expect", b"100-continue")],
            &[("Expect", b"100-continue")],
            &[("te", b"trailers")],
            &[("trailer", b"x-smuggled")],
            &[("accept-encoding", b"gzip")],
        ],
    )
}

/// What a proxy says of who asks. A server that believes it would take the plugin for somebody else.
pub(super) fn of_proxies(orders: &Orders) -> Vec<String> {
    each(
        orders,
        &[
            &[("forwarded", b"for=smuggled")],
            &[("x-forwarded-for", b"smuggled")],
            &[("x-forwarded-host", b"smuggled")],
            &[("x-forwarded-proto", b"smuggled")],
            &[("X-Real-IP", b"smuggled")],
            &[("via", b"1.1 smuggled")],
        ],
    )
}

/// What a gateway or a framework takes for another path, method, host, file or user.
pub(super) fn of_gateways(orders: &Orders) -> Vec<String> {
    [
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Forwarded-Path",
        "X-HTTP-Method-Override",
        "X-Method-Override",
        "X-Accel-Redirect",
        "X-Sendfile",
        "X-Host",
        "X-Envoy-Original-Path",
        "X-Remote-User",
        "Impersonate-User",
        "CF-Connecting-IP",
        "Cookie",
        "Destination",
        "Range",
        "X_Original_URL",
        "content_type",
    ]
    .iter()
    .map(|name| {
        Ask {
            headers: &[(name, b"/smuggled.example")],
            body: b"{}",
            ..Ask::of(&orders.granted)
        }
        .send()
    })
    .collect()
}

/// The same header twice: whoever reads the first and whoever reads the last see two requests. Both come from this plugin,
/// for this server, and none of them says where the request ends.
pub(super) fn twice(orders: &Orders) -> Vec<String> {
    each(
        orders,
        &[
            &[
                ("content-type", b"application/json"),
                ("content-type", b"text/plain"),
            ],
            &[
                ("authorization", b"Bearer one"),
                ("Authorization", b"Bearer two"),
            ],
            &[("accept", b"a/b"), ("accept", b"c/d")],
        ],
    )
}

/// Announced and unannounced ends of a request.
pub(super) fn trailers(orders: &Orders) -> Vec<String> {
    let trailers: [Headers<'_>; 3] = [
        &[("x-smuggled", b"1")],
        &[("content-length", b"7777")],
        &[("authorization", b"smuggled")],
    ];
    trailers
        .iter()
        .map(|trailers| {
            Ask {
                trailers,
                body: b"{}",
                ..Ask::of(&orders.granted)
            }
            .send()
        })
        .collect()
}

/// A list at once goes the same way as one by one.
pub(super) fn as_a_list(orders: &Orders) -> Vec<String> {
    use wasip2::http::types::Fields;
    let _ = orders;
    let lists: [&[(&str, &[u8])]; 4] = [
        &[("host", b"smuggled.example")],
        &[("x-a", b"b\r\nx-smuggled: 1")],
        &[("transfer-encoding", b"smuggled")],
        &[("x a", b"1")],
    ];
    lists
        .iter()
        .map(|list| {
            let owned: Vec<_> = list
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
                .collect();
            match Fields::from_list(&owned) {
                Ok(_) => "taken".to_owned(),
                Err(error) => format!("refused header: {error:?}"),
            }
        })
        .collect()
}
