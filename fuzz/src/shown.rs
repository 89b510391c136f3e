//! What may stand in a text for people.

use vllm_provider::types::{Error, ErrorKind};

/// Most bytes of a message: 4 KiB of the server's words, and ours around them.
const MAX_MESSAGE: usize = 6 << 10;

/// Most bytes of a server's own name for an error: 200, and an ellipsis.
const MAX_CODE: usize = 204;

/// Stands in URLs and keys, and must never stand in a message.
pub(crate) const SECRET: &str = "hunter2-Xq";

/// Holds an error to what is promised of every error. `said`: what others said, who may know the secret by chance.
pub(crate) fn check(error: &Error, said: &[u8]) {
    check_text(&error.message, said);
    assert!(
        error.message.len() <= MAX_MESSAGE,
        "{}",
        error.message.len()
    );
    if let Some(code) = &error.code {
        check_text(code, said);
        assert!(!code.is_empty() && code.len() <= MAX_CODE, "{code}");
    }
    // A day is the longest wait that is believed.
    assert!(error.retry_after_ms.is_none_or(|wait| wait <= 86_400_000));
    assert!(error.kind != ErrorKind::Cancelled, "nobody cancels here");
}

/// The same where the user's own configuration is spoken of: names in it are shown as JSON writes them, so that DEL, C1 and
/// the marks of direction stay.
pub(crate) fn check_own(text: &str, said: &[u8]) {
    assert!(!text.contains(|c: char| c < ' '), "{text:?}");
    check_secret(text, said);
}

/// No control characters, no marks that turn the direction of writing, no secret.
pub(crate) fn check_text(text: &str, said: &[u8]) {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains(harmful), "{text:?}");
    check_secret(text, said);
}

fn check_secret(text: &str, said: &[u8]) {
    let knows = said
        .windows(SECRET.len())
        .any(|window| window == SECRET.as_bytes());
    assert!(knows || !text.contains(SECRET), "{text}");
}
