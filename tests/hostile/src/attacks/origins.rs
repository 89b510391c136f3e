//! To reach another server, or the granted one in another way than was granted.

use wasip2::http::types::{Method, Scheme};

use crate::Orders;
use crate::http::Ask;

pub(super) fn other_origins(orders: &Orders) -> Vec<String> {
    let host = host_of(&orders.granted);
    let all = [
        orders.other.clone(),
        host.to_owned(),
        format!("{host}:1"),
        "localhost:1".to_owned(),
        "example.com".to_owned(),
        "169.254.169.254".to_owned(),
        "metadata.google.internal".to_owned(),
    ];
    let mut steps: Vec<_> = all
        .iter()
        .map(|authority| Ask::of(authority).send())
        .collect();
    for scheme in [
        Scheme::Https,
        Scheme::Other("ftp".into()),
        Scheme::Other("file".into()),
    ] {
        let scheme = Some(scheme);
        steps.push(
            Ask {
                scheme,
                ..Ask::of(&orders.granted)
            }
            .send(),
        );
    }
    steps.push(
        Ask {
            scheme: None,
            authority: None,
            ..Ask::of("")
        }
        .send(),
    );
    steps
}

/// The address of the other server, in every form that some parser takes for it.
pub(super) fn addresses_by_other_names(orders: &Orders) -> Vec<String> {
    let (_, port) = orders.other.rsplit_once(':').unwrap_or_default();
    let hosts = [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[2002:7f00:1::]",
        "[64:ff9b::7f00:1]",
        "[fe80::1%25lo]",
        "[::1%25lo]",
        "127.0.0.1.nip.io",
        "①②⑦.⓪.⓪.①",
    ];
    hosts
        .iter()
        .map(|host| Ask::of(&format!("{host}:{port}")).send())
        .collect()
}

/// Authorities that name two servers, depending on who reads them.
pub(super) fn odd_authorities(orders: &Orders) -> Vec<String> {
    let (granted, other) = (&orders.granted, &orders.other);
    let (host, port) = other.rsplit_once(':').unwrap_or_default();
    [
        format!("{granted}@{other}"),
        format!("user:password@{other}"),
        format!("{other}#@{granted}"),
        format!("{other}\\@{granted}"),
        format!("{other}/@{granted}"),
        format!("{other}?@{granted}"),
        format!("{granted},{other}"),
        format!("{granted} {other}"),
        format!("{granted}\r\nhost: {other}"),
        format!("{granted}\0{other}"),
        format!("{host}:0{port}"),
        format!(
            "{host}:{}",
            port.parse::<u32>().unwrap_or_default() + 65_536
        ),
        format!("{host}:+{port}"),
        format!("{host}:"),
        format!(":{port}"),
    ]
    .iter()
    .map(|authority| Ask::of(authority).send())
    .collect()
}

/// Targets that would name another server, or end the request line early.
pub(super) fn odd_paths(orders: &Orders) -> Vec<String> {
    let other = &orders.other;
    [
        format!("http://{other}/"),
        format!("//{other}/"),
        format!("/\\{other}/"),
        format!("/ HTTP/1.1\r\nhost: {other}\r\n\r\nGET /"),
        format!("/\nhost: {other}"),
        "/\0".to_owned(),
        "*".to_owned(),
        other.clone(),
    ]
    .iter()
    .map(|path| {
        Ask {
            path: Some(path),
            ..Ask::of(&orders.granted)
        }
        .send()
    })
    .collect()
}

pub(super) fn odd_methods(orders: &Orders) -> Vec<String> {
    [
        Method::Connect,
        Method::Trace,
        Method::Options,
        Method::Delete,
        Method::Put,
        Method::Patch,
        Method::Head,
        Method::Other("PURGE".into()),
        Method::Other("GET / HTTP/1.1\r\nx: y\r\n\r\nGET".into()),
    ]
    .into_iter()
    .map(|method| {
        Ask {
            method,
            ..Ask::of(&orders.granted)
        }
        .send()
    })
    .collect()
}

fn host_of(authority: &str) -> &str {
    authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host)
}

/// Names of the metadata services of clouds, and addresses of the networks behind a host.
pub(super) fn metadata(orders: &Orders) -> Vec<String> {
    let _ = orders;
    [
        "169.254.169.254",
        "169.254.169.254:80",
        "169.254.170.2",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "[fe80::a9fe:a9fe]",
        "100.100.100.200",
        "192.0.0.192",
        "metadata",
        "metadata.google.internal",
        "instance-data",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "[fc00::1]",
    ]
    .iter()
    .map(|authority| Ask::of(authority).send())
    .collect()
}

/// Steps out of the base path, as they are, encoded, and as some server or gateway decodes them.
pub(super) fn dots(orders: &Orders) -> Vec<String> {
    [
        "/v1/../../etc/passwd",
        "/v1/%2e%2e/%2e%2e/admin",
        "/v1/..%2f..%2fadmin",
        "/v1/..;/admin",
        "/v1/%252e%252e/admin",
        "/v1//../admin",
        "/./v1/./models",
        "/v1/%25%32%65%25%32%65/admin",
        "/v1/%c0%ae%c0%ae/admin",
        "/v1/%e0%80%ae%e0%80%ae/admin",
        "/v1/%f0%80%80%ae%f0%80%80%ae/admin",
        "/v1/..%3f/admin",
        "/v1/..%23/admin",
        "/v1/..%20/admin",
        "/v1/\u{ff0e}\u{ff0e}/admin",
        "/v1/%u002e%u002e/admin",
        "/v1//admin",
        "/v1?/../../admin",
    ]
    .iter()
    .map(|path| Ask::path(&orders.granted, path).send())
    .collect()
}

/// A request in the body of another one, whose method gives a body no meaning: a server that does not read it answers the
/// next chat with it.
pub(super) fn body_of_a_get(orders: &Orders) -> Vec<String> {
    let bodies: [&[u8]; 3] = [
        b"GET /x-smuggled HTTP/1.1\r\nhost: smuggled.example\r\n\r\n",
        b"{}",
        b" ",
    ];
    let announced: &[(&str, &[u8])] = &[("content-length", b"7777")];
    let bodies = bodies.iter().map(|body| {
        Ask {
            method: Method::Get,
            body,
            ..Ask::path(&orders.granted, "/v1/models")
        }
        .send()
    });
    let announced = std::iter::once_with(|| {
        Ask {
            method: Method::Get,
            headers: announced,
            ..Ask::path(&orders.granted, "/v1/models")
        }
        .send()
    });
    bodies.chain(announced).collect()
}

/// The granted server sends on to the other one.
pub(super) fn redirects(orders: &Orders) -> Vec<String> {
    [
        "/redirect/301",
        "/redirect/302",
        "/redirect/303",
        "/redirect/307",
        "/redirect/308",
    ]
    .iter()
    .map(|path| Ask::path(&orders.granted, path).send())
    .collect()
}
