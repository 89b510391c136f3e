//! Secrets that a server returns, and placeholders in headers that they are not bound to.
//!
//! The hostile plugin makes one request as a test orders it, and gives out every byte that the host
//! lets it see of the answer. The server returns whatever a test makes of the request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderName;
use provider_host::policy::{Binding, Grant, Origin, Secret, Secrets};
use provider_host::types::Settings;
use provider_host::{Provider, ProviderOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::Attack;
use crate::hostile::plugin;
use crate::support::{ask, model, run, text};

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        number: "2a",
        attempt: "the key's placeholder in `x-request-id`, from which vLLM makes the id of its answer",
        ends: "is misplaced in the header `x-request-id`; it may stand only in `authorization`",
        test: "a_placeholder_in_x_request_id_is_refused_before_anything_is_sent",
    },
    Attack {
        number: "2b",
        attempt: "the placeholder in 20 other headers, such as `origin`, `cookie` and `referer`",
        ends: "it may stand only in `authorization`, `x-api-key`, `api-key` or `x-goog-api-key`",
        test: "a_placeholder_in_any_other_header_is_refused",
    },
    Attack {
        number: "2c",
        attempt: "the placeholder in the path, the query, the body and the name of a header",
        ends: "the placeholder of a secret is misplaced in",
        test: "a_placeholder_outside_of_header_values_is_refused",
    },
    Attack {
        number: "2d",
        attempt: "the placeholder in `authorization` beside other text, twice, or with a second value",
        ends: "as the only value, whole or behind a scheme and one space",
        test: "a_placeholder_beside_other_text_is_refused",
    },
    Attack {
        number: "2e",
        attempt: "the secret of a configured header in another header, or with text around it",
        ends: "it may stand only in `x-team`, as the only value, whole",
        test: "the_secret_of_a_configured_header_goes_into_no_other_one",
    },
    Attack {
        number: "2f",
        attempt: "a body that returns the key: raw, in other letter case, escaped or encoded",
        ends: "***",
        test: "a_key_that_a_body_returns_is_not_shown_in_any_spelling",
    },
    Attack {
        number: "2g",
        attempt: "a key in the values and the names of an answer's header fields",
        ends: "x-echo: Bearer ***",
        test: "a_key_that_a_head_returns_is_not_shown",
    },
    Attack {
        number: "2h",
        attempt: "a returned key in two pieces, cut at each of its bytes, and in pieces of one byte",
        ends: "got ***, no",
        test: "a_key_that_comes_in_pieces_is_not_shown",
    },
    Attack {
        number: "2i",
        attempt: "padding of a header section, to learn from the server's limit how long the key is",
        ends: "of a request that carries a secret have more than 4096 bytes",
        test: "a_head_with_a_secret_is_bounded_far_below_the_limits_of_servers",
    },
    Attack {
        number: "2j",
        attempt: "the `content-length` of an answer that returns the key",
        ends: "no length",
        test: "no_length_tells_how_long_a_returned_key_is",
    },
    Attack {
        number: "2k",
        attempt: "guesses of the key that a server repeats, to see by the redaction how far they are right",
        ends: "guess sk-the-real-key/0123456789+abcd.",
        test: "a_guess_that_a_server_repeats_is_not_told_from_a_wrong_one",
    },
    Attack {
        number: "2l",
        attempt: "a server that sends backslashes without end, each of which could begin an escaped key",
        ends: "100000 bytes came",
        test: "backslashes_without_end_are_not_kept",
    },
];

const KEY: &str = "sk-the-real-key/0123456789+abcdef";
const TEAM: &str = "team=fedcba9876543210; x=1";

/// A server that answers each request with the pieces that `answer` makes of it.
async fn server(
    answer: impl Fn(&str) -> Vec<Vec<u8>> + Send + Sync + 'static,
) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let (requests, answer) = (Arc::clone(&seen), Arc::new(answer));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
            tokio::spawn(async move {
                let mut request = vec![0; 64 << 10];
                let length = socket.read(&mut request).await.unwrap_or_default();
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let pieces = answer(&request);
                requests.lock().expect("requests").push(request);
                for piece in pieces {
                    let _ = socket.write_all(&piece).await;
                    let _ = socket.flush().await;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            });
        }
    });
    (address, seen)
}

/// What the plugin sees of the answer to its request, or the error in which it ends.
async fn made(address: SocketAddr, request: Value) -> String {
    let mut secrets = Secrets::new();
    let mut mint = |text, binding| {
        let secret = Secret::new(text).expect("a secret");
        let placeholder = secrets.mint(secret, binding).expect("a placeholder");
        placeholder.as_str().to_owned()
    };
    let key = mint(KEY, Binding::api_key());
    let team = mint(TEAM, Binding::header(HeaderName::from_static("x-team")));
    let mut orders = json!({
        "attack": "one-request", "at": "next", "granted": address.to_string(), "X-Team": team,
        "path": "/v1/chat/completions",
    });
    for (name, value) in request.as_object().expect("orders") {
        orders[name] = value.clone();
    }
    let settings = Settings::new(orders.to_string()).with_api_key(&key);
    let origin = Origin::parse(&format!("http://{address}/v1")).expect("an origin");
    let options = ProviderOptions::new(settings, Grant::new(origin).with_secrets(secrets));
    let provider = Provider::new(plugin(), options).expect("a provider");
    let (events, error) = run(&provider, &model("hostile"), &ask("Attack.")).await;
    let outcome = match error {
        Some(error) => format!("{error}"),
        None => text(&events),
    };
    // Whatever happened, nothing that the plugin or a user sees holds a secret.
    for secret in [KEY, TEAM] {
        assert!(!outcome.contains(secret), "{request}: {outcome}");
    }
    outcome
}

/// Makes a request that must be refused before anything is sent, and says how.
async fn refused(request: Value) -> String {
    let (address, seen) = server(|request| vec![echo("200 OK", "", request)]).await;
    let outcome = made(address, request.clone()).await;
    let seen = seen.lock().expect("requests").clone();
    assert!(seen.is_empty(), "{request}: {seen:?}");
    outcome
}

fn echo(status: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{fields}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_placeholder_in_x_request_id_is_refused_before_anything_is_sent() {
    for name in ["x-request-id", "X-Request-Id"] {
        for value in ["KEY", "id-KEY"] {
            let outcome = refused(json!({"fields": format!("{name}={value}")})).await;
            super::ended("2a", &outcome);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_placeholder_in_any_other_header_is_refused() {
    for name in [
        "origin",
        "cookie",
        "referer",
        "user-agent",
        "accept",
        "accept-language",
        "content-type",
        "content-language",
        "x-correlation-id",
        "traceparent",
        "tracestate",
        "baggage",
        "x-forwarded-for",
        "x-real-ip",
        "from",
        "if-none-match",
        "access-control-request-headers",
        "x-authorization",
        "authorization2",
        "x-team",
    ] {
        let outcome = refused(json!({"fields": format!("{name}=KEY")})).await;
        assert!(
            outcome.contains(&format!("the header `{name}`")),
            "{outcome}"
        );
        super::ended("2b", &outcome);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_placeholder_outside_of_header_values_is_refused() {
    for (request, place) in [
        (json!({"path": "/v1/KEY"}), "the path;"),
        (json!({"path": "/v1/models?key=KEY"}), "the path;"),
        (json!({"body": "[KEY]"}), "the body;"),
        (
            json!({"fields": "authorization=Bearer KEY", "body": "KEY"}),
            "the body;",
        ),
        (json!({"fields": "x-KEY=1"}), "the name of a header;"),
    ] {
        let outcome = refused(request).await;
        assert!(outcome.contains(place), "{outcome}");
        super::ended("2c", &outcome);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_placeholder_beside_other_text_is_refused() {
    for value in [
        "Bearer  KEY",
        "Bearer KEY x",
        "KEYKEY",
        "KEY, KEY",
        "Bearer a KEY",
        "(KEY)",
        "Bearer:KEY",
        "Digest username=KEY",
        "KEY|authorization=Bearer KEY",
        "Bearer x|authorization=Bearer KEY",
        "Bearer KEY|Authorization=x",
    ] {
        let outcome = refused(json!({"fields": format!("authorization={value}")})).await;
        super::ended("2d", &outcome);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secret_of_a_configured_header_goes_into_no_other_one() {
    for fields in [
        "x-request-id=TEAM",
        "authorization=Bearer TEAM",
        "x-api-key=TEAM",
        "x-team=Bearer TEAM",
        "x-team=TEAM; more",
        "x-team=a|x-team=TEAM",
    ] {
        super::ended("2e", &refused(json!({"fields": fields})).await);
    }
    let (address, seen) = server(|_| vec![echo("200 OK", "", "ok")]).await;
    let outcome = made(
        address,
        json!({"fields": "x-team=TEAM|authorization=Bearer KEY"}),
    )
    .await;
    assert!(outcome.contains("answered 200"), "{outcome}");
    let seen = seen.lock().expect("requests")[0].clone();
    assert!(seen.contains(&format!("x-team: {TEAM}\r\n")), "{seen}");
    assert!(
        seen.contains(&format!("authorization: Bearer {KEY}\r\n")),
        "{seen}"
    );
}

/// The key in the spellings that a server may give it.
fn spellings() -> Vec<String> {
    let each = |write: fn(u8) -> String| KEY.bytes().map(write).collect::<String>();
    vec![
        KEY.to_owned(),
        format!("Bearer {KEY}"),
        KEY.to_uppercase(),
        KEY.replace('/', "\\/"),
        KEY.replace('/', "\\\\\\/"),
        each(|byte| format!("\\u{byte:04x}")),
        each(|byte| format!("\\u{byte:04X}")),
        KEY.replace('/', "%2F").replace('+', "%2b"),
        each(|byte| format!("%{byte:02x}")),
        each(|byte| format!("{byte:02x}")),
        each(|byte| format!("{byte:02X}")),
        STANDARD.encode(KEY),
        STANDARD.encode(format!("Bearer {KEY}")),
        STANDARD.encode(format!("user:{KEY}")),
        STANDARD.encode(format!("me:{KEY}\n")),
        URL_SAFE_NO_PAD.encode(format!("x:{KEY}")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_a_body_returns_is_not_shown_in_any_spelling() {
    for spelling in spellings() {
        let said = spelling.clone();
        let answer = move |_: &str| vec![echo("401 No", "", &format!("{{\"error\":\"{said}\"}}"))];
        let (address, _) = server(answer).await;
        let outcome = made(address, json!({"fields": "authorization=Bearer KEY"})).await;
        assert!(!outcome.contains(&spelling), "{outcome}");
        // What is left of base64 are the characters that other bytes decide as well.
        let left = outcome.split("error\":\"").nth(1).expect("a body").len();
        assert!(left <= 2 + 3 + 14, "{spelling}: {outcome}");
        super::ended("2f", &outcome);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_a_head_returns_is_not_shown() {
    let answer = |request: &str| {
        let sent = request
            .lines()
            .find(|line| line.starts_with("authorization: "));
        let sent = sent
            .unwrap_or_default()
            .trim_start_matches("authorization: ");
        let name = KEY.replace('/', "-").to_lowercase();
        let fields = format!(
            "x-echo: {sent}\r\nx-lower: {}\r\nx-{}: 1\r\nx-coded: {}\r\nlocation: /?k={}\r\n",
            sent.to_lowercase(),
            &name[..15],
            STANDARD.encode(sent),
            KEY.replace('/', "%2F"),
        );
        vec![echo("401 Unauthorized", &fields, "no")]
    };
    let (address, _) = server(answer).await;
    let outcome = made(address, json!({"fields": "authorization=Bearer KEY"})).await;
    for left in [
        "the-real",
        "0123456789",
        "c2st",
        &STANDARD.encode(KEY)[8..20],
    ] {
        let values: Vec<_> = outcome
            .lines()
            .filter(|line| line.starts_with("x-"))
            .collect();
        let named = |line: &&&str| !line.ends_with(": 1");
        let found = values.iter().filter(named).any(|line| line.contains(left));
        assert!(!found, "{left}: {outcome}");
    }
    super::ended("2g", &outcome);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_comes_in_pieces_is_not_shown() {
    let body = format!("got {KEY}, no");
    let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    let cuts = (5..5 + KEY.len()).step_by(4).map(|cut| {
        let (one, two) = body.split_at(cut);
        vec![one.as_bytes().to_vec(), two.as_bytes().to_vec()]
    });
    let single = body.bytes().map(|byte| vec![byte]).collect();
    for pieces in cuts.chain([single]) {
        let mut all = vec![head.clone()];
        all.extend(pieces);
        let (address, _) = server(move |_| all.clone()).await;
        let outcome = made(address, json!({"fields": "api-key=KEY"})).await;
        super::ended("2h", &outcome);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_with_a_secret_is_bounded_far_below_the_limits_of_servers() {
    for fields in ["authorization=Bearer KEY|x-pad=PAD", "x-PAD=1|api-key=KEY"] {
        super::ended(
            "2i",
            &refused(json!({"fields": fields, "pad": "4080"})).await,
        );
    }
    let path = json!({"fields": "api-key=KEY", "path": "/v1/PAD", "pad": "4080"});
    super::ended("2i", &refused(path).await);
    // A scheme is no room for padding either.
    let scheme = refused(json!({"fields": "authorization=PAD KEY", "pad": "33"})).await;
    assert!(scheme.contains("misplaced"), "{scheme}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_length_tells_how_long_a_returned_key_is() {
    let (address, _) = server(|request| vec![echo("200 OK", "", request)]).await;
    let outcome = made(address, json!({"fields": "authorization=Bearer KEY"})).await;
    let length = outcome.lines().find(|line| {
        let name = line.split(':').next().unwrap_or_default();
        // The server's copy of the request has the request's own.
        name.eq_ignore_ascii_case("content-length") && !line.ends_with(": 0")
    });
    assert!(outcome.contains("***"), "{outcome}");
    super::ended("2j", length.unwrap_or("no length"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guess_that_a_server_repeats_is_not_told_from_a_wrong_one() {
    // Nearly all of it is right, which is more than a guest can know.
    for known in [6, 16, 20, 31] {
        let guess = format!("guess {}.", &KEY[..known]);
        let said = guess.clone();
        let (address, _) = server(move |_: &str| vec![echo("200 OK", "", &said)]).await;
        let outcome = made(address, json!({"fields": "authorization=Bearer KEY"})).await;
        assert!(outcome.contains(&guess), "{known}: {outcome}");
        if known == 31 {
            super::ended("2k", &outcome);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backslashes_without_end_are_not_kept() {
    let body = "\\".repeat(100_000);
    let (address, _) = server(move |_: &str| vec![echo("200 OK", "", &body)]).await;
    let outcome = made(address, json!({"fields": "authorization=Bearer KEY"})).await;
    let came = outcome.bytes().filter(|byte| *byte == b'\\').count();
    super::ended("2l", &format!("{came} bytes came"));
}
