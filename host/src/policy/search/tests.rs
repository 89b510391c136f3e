use super::*;

const KEY: &str = "sk-the/real+key_0123456789ABCDEF";

fn matcher(scope: Scope, secrets: &[&str]) -> Matcher {
    Matcher::new(scope, secrets.iter().copied(), std::iter::empty())
}

/// What a guest is given of a text that comes in pieces of these sizes.
fn streamed(matcher: &Matcher, text: &[u8], sizes: impl Iterator<Item = usize>) -> Vec<u8> {
    let mut stream = Stream::default();
    let mut rest = Bytes::copy_from_slice(text);
    let mut out = Vec::new();
    for size in sizes {
        if rest.is_empty() {
            break;
        }
        let piece = rest.split_to(size.min(rest.len()));
        let passes = stream.passes(matcher, &piece);
        let given = stream.push(matcher, piece.clone());
        // The quick look lets nothing pass that the search changes or holds back.
        assert!(
            !passes || given == piece,
            "{:?}",
            piece.escape_ascii().to_string()
        );
        out.extend_from_slice(&given);
    }
    out.extend_from_slice(&stream.finish(matcher));
    assert!(!stream.holds());
    out
}

fn unicode_escaped(text: &str, upper: bool) -> String {
    text.bytes()
        .map(|byte| match upper {
            true => format!("\\u{byte:04X}"),
            false => format!("\\u{byte:04x}"),
        })
        .collect()
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The key in each spelling that has to be found.
fn spellings(scope: Scope) -> Vec<String> {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    let percent: String = KEY.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mixed: String = KEY
        .bytes()
        .enumerate()
        .map(|(at, byte)| match at % 3 {
            0 => format!("\\u{byte:04x}"),
            1 => format!("%{byte:02x}"),
            _ => char::from(byte).to_string(),
        })
        .collect();
    let mut all = vec![
        KEY.to_owned(),
        KEY.to_lowercase(),
        KEY.to_uppercase(),
        KEY.replace('/', "\\/"),
        KEY.replace('/', "\\\\\\/"),
        KEY.replace('/', "\\u002f"),
        KEY.replace('/', "%2F").replace('+', "%2b"),
        unicode_escaped(KEY, false),
        unicode_escaped(KEY, true),
        unicode_escaped(KEY, true).replace('\\', "\\\\"),
        percent,
        mixed,
        hex(KEY),
        hex(KEY).to_uppercase(),
    ];
    if scope == Scope::Shown {
        // Half of it, from either side and from the middle.
        all.extend([&KEY[..16], &KEY[16..], &KEY[7..25]].map(str::to_owned));
    }
    for engine in [&STANDARD, &URL_SAFE] {
        for before in ["", "u:", "user:", "Bearer ", "x"] {
            all.push(engine.encode(format!("{before}{KEY}")));
            all.push(engine.encode(format!("{before}{KEY}!")));
            all.push(engine.encode(format!("{before}{KEY}??")));
        }
    }
    all
}

#[test]
fn each_spelling_is_found_wherever_it_is_cut() {
    for scope in [Scope::Guest, Scope::Shown] {
        let matcher = matcher(scope, &[KEY]);
        for spelling in spellings(scope) {
            let text = format!("data: {{\"error\":\"got {spelling}, no\"}}\n\n");
            let all = text.as_bytes();
            let whole = matcher.bytes(all).into_owned();
            let shown = String::from_utf8(whole.clone()).unwrap();
            // The characters at the edges of base64 depend on other bytes as well.
            let left = all.len() - spelling.len() + 3 + 14;
            assert!(shown.len() <= left, "{spelling}: {shown}");
            assert!(shown.contains("***"), "{spelling}: {shown}");
            for first in 1..all.len() {
                for then in [1, 5, all.len()] {
                    let sizes = std::iter::once(first).chain(std::iter::repeat(then));
                    let given = streamed(&matcher, all, sizes);
                    let given = String::from_utf8(given).unwrap();
                    assert_eq!(given, shown, "{spelling} at {first}, then {then}");
                }
            }
        }
    }
}

#[test]
fn what_only_resembles_a_key_is_left_alone_and_nothing_is_lost() {
    let matcher = matcher(Scope::Guest, &[KEY, "aaaaaaaaaaaaaaaaaaaaaaaa"]);
    for text in [
        "sk-the/real+ke",
        "0123456789ABCDE",
        "aaaaaaaaaaa",
        "\\u00",
        "100%",
        "%4",
        "\\",
        "\\\\\\u0073",
        "C:\\users\\user",
        "caf\\u00e9 \\ud83d\\ude00",
        "",
    ] {
        for size in 1..6 {
            let given = streamed(&matcher, text.as_bytes(), std::iter::repeat(size));
            assert_eq!(given, text.as_bytes(), "in {size}");
        }
    }
}

#[test]
fn a_secret_of_one_letter_is_neither_lost_nor_waited_for_without_end() {
    let matcher = matcher(Scope::Guest, &["aaaaaaaaaaaaaaaa"]);
    let mut stream = Stream::default();
    let mut out = Vec::new();
    for _ in 0..10_000 {
        out.extend_from_slice(&stream.push(&matcher, Bytes::from_static(b"a")));
        assert!(stream.held.len() <= 32);
    }
    out.extend_from_slice(&stream.finish(&matcher));
    assert_eq!(out, b"***");
}

#[test]
fn only_what_may_be_the_beginning_of_a_secret_waits() {
    let matcher = matcher(Scope::Guest, &[KEY]);
    for (text, waits) in [
        ("data: {\"a\":1}\n\n", 0),
        ("{\"a\":\"sk-the\"}", 0),
        ("got sk-the", 6),
        ("got sk-the/real+key_0123456", 23),
        ("!\\u007", 5),
        ("!%7", 2),
        ("!", 0),
    ] {
        let mut stream = Stream::default();
        let given = stream.push(&matcher, Bytes::copy_from_slice(text.as_bytes()));
        assert_eq!(text.len() - given.len(), waits, "{text}");
        stream.finish(&matcher);
    }
    // A line break is in no form, whatever stands before it.
    let mut stream = Stream::default();
    let event = Bytes::from(format!("data: {}\n\n", &KEY[..11]));
    assert_eq!(stream.push(&matcher, event.clone()), event);
}

#[test]
fn a_guest_learns_nothing_from_a_server_that_repeats_its_guesses() {
    let key = "Bearer sk-9f3c2b7a41d80e5c66f1a2";
    let guest = matcher(Scope::Guest, &[key]);
    // It knows the scheme and the prefix, and extends them.
    for known in 1..key.len() {
        assert_eq!(guest.text(&key[..known]), key[..known], "{known}");
    }
    assert_eq!(guest.text(key), "***");
    // Of a longer one a part counts that is longer than anything that is known of it.
    let long = format!("sk-or-v1-{}", "0f1e2d3c4b5a6978".repeat(4));
    let guest = matcher(Scope::Guest, &[&long]);
    let half = long.len().div_ceil(2);
    assert_eq!(guest.text(&long[..half - 1]), long[..half - 1]);
    assert_eq!(guest.text(&long[half - 1..]), "***");
}

#[test]
fn backslashes_without_end_are_given_out_as_they_come() {
    let matcher = matcher(Scope::Guest, &[KEY]);
    let mut stream = Stream::default();
    let mut given = 0;
    for _ in 0..200_000 {
        given += stream.push(&matcher, Bytes::from_static(b"\\")).len();
        assert!(stream.held.len() <= MAX_SLASHES, "{}", stream.held.len());
    }
    assert_eq!(given + stream.finish(&matcher).len(), 200_000);
    // An escape behind them is found, with those that belong to it.
    let text = format!("{}{}", "\\".repeat(50), unicode_escaped(KEY, false));
    let whole = matcher.bytes(text.as_bytes()).into_owned();
    assert!(whole.ends_with(b"***") && whole.len() < 60);
    for first in 1..text.len() {
        let sizes = [first].into_iter().chain(std::iter::repeat(7));
        assert_eq!(streamed(&matcher, text.as_bytes(), sizes), whole, "{first}");
    }
}

#[test]
fn a_secret_that_is_url_encoded_changes_no_ordinary_answer_and_delays_no_event() {
    let secrets = [
        "session=%7B%22user%22%3A%22alice%22%2C%22role%22%3A%22assistant%22%7D",
        "session=Ym9v%0AGOgZ1234567890abcdefghijklmnopqrstuvwxyz",
    ];
    let guest = matcher(Scope::Guest, &secrets);
    for event in [
        "data: {\"content\":\"The user said blue\"}\n\n",
        "data: {\"id\":\"c\",\"role\":\"assistant\"}\n\n",
        "data: session=Ym9v\n\n",
    ] {
        let mut stream = Stream::default();
        let given = stream.push(&guest, Bytes::from_static(event.as_bytes()));
        assert_eq!(given, event.as_bytes());
    }
    for secret in secrets {
        assert_eq!(guest.text(secret), "***");
    }
    assert_eq!(
        guest.text("session={\"user\":\"alice\",\"role\":\"assistant\"}"),
        "***"
    );
}

#[test]
fn a_guest_is_spared_short_secrets_and_people_are_not() {
    let short = ["sk-0123", "a secret of some"];
    let guest = matcher(Scope::Guest, &short);
    assert_eq!(guest.text("sk-0123 a secret of some"), "sk-0123 ***");
    let shown = matcher(Scope::Shown, &short);
    assert_eq!(shown.text("sk-0123 a secret of"), "*** ***");
    assert!(matcher(Scope::Guest, &["sk-0123"]).is_empty());
}

#[test]
fn secrets_that_hold_escapes_and_letters_of_all_kinds_are_found() {
    let secret = "a\\b\"c%41\u{1d11e}é-and-more-of-it";
    for scope in [Scope::Guest, Scope::Shown] {
        let matcher = matcher(scope, &[secret]);
        let quoted = serde_json::to_string(secret).unwrap();
        let twice = serde_json::to_string(&quoted).unwrap();
        let units: String = secret
            .encode_utf16()
            .map(|unit| format!("\\u{unit:04x}"))
            .collect();
        for text in [secret, &quoted, &twice, &units] {
            let text = format!("<{text}>");
            let whole = matcher.text(&text).into_owned();
            assert!(whole.contains("***") && !whole.contains("more"), "{whole}");
            for size in 1..9 {
                let given = streamed(&matcher, text.as_bytes(), std::iter::repeat(size));
                assert_eq!(String::from_utf8(given).unwrap(), whole, "in {size}");
            }
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_searched_as_well() {
    let matcher = matcher(Scope::Guest, &[KEY]);
    let bytes = [b"\xff\xfe", KEY.as_bytes(), b"\x80"].concat();
    assert_eq!(matcher.bytes(&bytes).as_ref(), b"\xff\xfe***\x80");
}

/// Numbers that look random, the same in each run.
fn numbers(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    }
}

#[test]
fn what_a_guest_is_given_does_not_depend_on_the_cuts() {
    let matchers = [
        matcher(Scope::Guest, &[KEY, "aaaaabaaaaabaaaaabaaaaab"]),
        matcher(Scope::Shown, &[KEY, "aab/aab\"aab", "\\n\\u0041%41/x"]),
    ];
    let mut number = numbers(1);
    for round in 0..4_000 {
        let mut text = Vec::new();
        for _ in 0..1 + number(8) {
            let (from, length) = (number(KEY.len()), 1 + number(24));
            let part = &KEY[from..KEY.len().min(from + length)];
            let piece = match number(10) {
                0 => part.to_uppercase(),
                1 => unicode_escaped(part, false),
                2 => part.replace('/', "\\\\/"),
                3 => part.bytes().map(|byte| format!("%{byte:02x}")).collect(),
                4 => ["\\", "%", "\"", "\\u", "\n", "\\n"][number(6)].to_owned(),
                5 => "aaaaab"[number(6)..].repeat(1 + number(5)),
                6 => "\\n\\u0041%41/x"[number(14)..].to_owned(),
                _ => part.to_owned(),
            };
            text.extend_from_slice(piece.as_bytes());
        }
        for matcher in &matchers {
            let whole = matcher.bytes(&text).into_owned();
            let sizes = std::iter::from_fn(|| Some(1 + number(9)));
            let given = streamed(matcher, &text, sizes);
            let shown = String::from_utf8_lossy(&text);
            assert_eq!(
                String::from_utf8_lossy(&given),
                String::from_utf8_lossy(&whole),
                "{round}: {shown}"
            );
        }
    }
}
