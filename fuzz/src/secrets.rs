//! Keys and what stands for them: a placeholder is replaced where it may stand and refused anywhere else, nothing secret is
//! left in what is shown, and a stream gives the guest the same however it is cut.

use crate::policy::search::Stream;
use crate::policy::{Binding, Placeholder, Secret, Secrets};
use http::{HeaderName, HeaderValue};
use std::sync::LazyLock;

/// Secrets, and their placeholders. One secret begins like the other, and one holds the word that placeholders begin with.
const SECRETS: [&str; 3] = ["sk-live-1", "sk-live-12345", "placeholder-of-mine/2"];

static MINTED: LazyLock<(Secrets, Vec<Placeholder>)> = LazyLock::new(|| {
    let mut secrets = Secrets::new();
    let mint = |text| {
        secrets
            .mint(Secret::new(text).expect("a key"), Binding::api_key())
            .expect("random bytes")
    };
    let placeholders = SECRETS.map(mint).to_vec();
    (secrets, placeholders)
});

/// `[text]`, in which the bytes 1 to 3 stand for placeholders (which are random), 4 to 6 for all but their last byte, and 7 to
/// 9 for secrets.
pub(crate) fn secrets(data: &[u8]) {
    let (secrets, placeholders) = &*MINTED;
    let (mut given, mut expected) = (Vec::new(), Vec::new());
    for byte in data.iter().copied() {
        let at = usize::from(byte).wrapping_sub(1);
        let piece = match byte {
            1..=3 => {
                given.extend(placeholders[at].as_str().bytes());
                expected.extend(SECRETS[at].bytes());
                continue;
            }
            4..=6 => {
                let whole = placeholders[at - 3].as_str();
                &whole.as_bytes()[..whole.len() - 1]
            }
            7..=9 => SECRETS[at - 6].as_bytes(),
            // A digit would complete the placeholder before it.
            b'0'..=b'9' | b'a'..=b'f' => b"g",
            other => &[other],
        };
        given.extend_from_slice(piece);
        expected.extend_from_slice(piece);
    }
    if let Ok(value) = HeaderValue::from_bytes(&given) {
        let name = HeaderName::from_static("authorization");
        match secrets.substitute(&name, &value) {
            Ok(Some(replaced)) => {
                assert!(replaced.is_sensitive());
                assert_eq!(replaced.as_bytes(), expected);
            }
            Ok(None) => assert_eq!(given, expected),
            // Elsewhere than at the end of a value that has it once.
            Err(_) => assert_ne!(given, expected),
        }
        let elsewhere = HeaderName::from_static("x-request-id");
        let outcome = secrets.substitute(&elsewhere, &value);
        assert_eq!(outcome.is_err(), given != expected);
    }
    let text = String::from_utf8_lossy(&given);
    let shown = secrets.redact(&text);
    let words = SECRETS.iter().copied();
    for word in words.chain(placeholders.iter().map(Placeholder::as_str)) {
        assert!(!shown.contains(word), "{shown}");
    }
    let guest = secrets.guest();
    let whole = guest.bytes(&given).into_owned();
    let size = 1 + data.first().map_or(0, |byte| usize::from(byte % 7));
    let (mut stream, mut streamed) = (Stream::default(), Vec::new());
    for piece in given.chunks(size) {
        let passes = stream.passes(guest, piece);
        let out = stream.push(guest, piece.to_vec().into());
        assert!(!passes || out == piece, "the quick look lets it pass");
        streamed.extend_from_slice(&out);
    }
    streamed.extend_from_slice(&stream.finish(guest));
    assert_eq!(streamed, whole, "in pieces of {size}");
}
