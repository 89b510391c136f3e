//! What a body with a good status is, by its content type and first bytes.
//!
//! Proxies answer a streaming request with JSON, call a stream JSON or plain
//! text, or put a web page in the way, so the bytes have the last word. Nothing
//! is decided before there are enough of them: the verdict must not depend on
//! where the network cut.

use alloc::vec::Vec;

use crate::error::quote;

/// Most bytes looked at before a verdict.
const MAX_SNIFFED: usize = 1024;

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Server-sent events.
    Stream,
    /// One JSON object.
    Json,
    /// Something that is no answer.
    Foreign,
}

/// Holds the first bytes until it is clear what they are.
#[derive(Debug)]
pub(super) struct Sniffer {
    /// What the content type says it is; `Json` also for no answer to that.
    declared: Option<Content>,
    held: Vec<u8>,
}

impl Sniffer {
    /// By the value of the content type, if there is one.
    pub(super) fn new(content_type: Option<&[u8]>) -> Self {
        let essence = content_type.map(|value| {
            let end = value
                .iter()
                .position(|&byte| byte == b';')
                .unwrap_or(value.len());
            value
                .get(..end)
                .unwrap_or(value)
                .trim_ascii()
                .to_ascii_lowercase()
        });
        let declared = match essence.as_deref() {
            Some(b"text/event-stream") => Some(Content::Stream),
            Some(b"text/html" | b"application/xhtml+xml") => Some(Content::Foreign),
            _ => None,
        };
        Self {
            declared,
            held: Vec::new(),
        }
    }

    /// Takes bytes; gives the verdict and everything taken so far once it is
    /// clear.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<(Content, Vec<u8>)> {
        self.held.extend_from_slice(bytes);
        let content = self.judge(false)?;
        Some((content, core::mem::take(&mut self.held)))
    }

    /// The verdict over what there is, because no more comes.
    pub(super) fn end(&mut self) -> (Content, Vec<u8>) {
        let content = self.judge(true).unwrap_or(Content::Foreign);
        (content, core::mem::take(&mut self.held))
    }

    fn judge(&self, ended: bool) -> Option<Content> {
        if self.declared == Some(Content::Foreign) {
            return self.declared;
        }
        // The verdict reads no further than this, however much is held.
        let window = self.held.get(..MAX_SNIFFED).unwrap_or(&self.held);
        let full = ended || window.len() == MAX_SNIFFED;
        let start = window.trim_ascii_start();
        match quote::is_compressed(start) {
            Some(true) => return Some(Content::Foreign),
            None if !full => return None,
            _ => {}
        }
        let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
        match start.first() {
            Some(b'{') => return Some(Content::Json),
            Some(_) if self.declared.is_some() => return self.declared,
            None if full => return self.declared.or(Some(Content::Foreign)),
            None => return None,
            Some(_) => {}
        }
        // No declared type: a stream shows itself by its first field.
        const FIELDS: [&[u8]; 5] = [b":", b"data:", b"event:", b"id:", b"retry:"];
        if FIELDS.iter().any(|field| start.starts_with(field)) {
            return Some(Content::Stream);
        }
        let undecided = !full
            && (FIELDS.iter().any(|field| field.starts_with(start))
                || b"\xEF\xBB\xBF".starts_with(start));
        (!undecided).then_some(Content::Foreign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_have_the_last_word_wherever_they_are_cut() {
        use Content::*;
        let sse = Some("text/event-stream; charset=utf-8");
        let json = Some("Application/JSON");
        for (content_type, body, expected) in [
            (sse, "data: {}\n\n", Stream),
            (sse, ": keep-alive\n\n", Stream),
            (sse, "x", Stream),
            (sse, "(\u{1}", Stream),
            (sse, "what: ever\n", Stream),
            (sse, "\n\n{\"error\":1}", Json),
            (sse, "", Stream),
            (json, " {\"a\":1}", Json),
            (json, "data: {}\n\n", Stream),
            (json, "\u{feff}{}", Json),
            (json, "[1]", Foreign),
            (json, "", Foreign),
            (None, "{}", Json),
            (None, "data:x", Stream),
            (None, "\u{feff}data:x", Stream),
            (None, "\u{feff}", Foreign),
            (None, "event: x\n", Stream),
            (None, "dat", Foreign),
            (None, "database down", Foreign),
            (Some("text/plain"), "id: 1\n", Stream),
            (Some("text/plain"), "no", Foreign),
            (Some("text/html"), "{\"a\":1}", Foreign),
            (None, "<html>", Foreign),
        ] {
            for cut in 0..=body.len() {
                let mut sniffer = Sniffer::new(content_type.map(str::as_bytes));
                let (a, b) = body.as_bytes().split_at(cut);
                let mut rest = Vec::new();
                let verdict = match sniffer.push(a) {
                    Some(verdict) => {
                        rest = b.to_vec();
                        verdict
                    }
                    None => sniffer.push(b).unwrap_or_else(|| sniffer.end()),
                };
                assert_eq!(
                    verdict.0, expected,
                    "{content_type:?} {body:?} cut at {cut}"
                );
                let all = [verdict.1, rest].concat();
                assert_eq!(all, body.as_bytes(), "nothing is lost");
            }
        }
    }

    #[test]
    fn compressed_bytes_are_no_answer_whatever_their_type() {
        for content_type in [None, Some("text/event-stream"), Some("application/json")] {
            let mut sniffer = Sniffer::new(content_type.map(str::as_bytes));
            assert_eq!(sniffer.push(b"\x1f"), None);
            let (content, held) = sniffer.push(b"\x8b\x08\n").expect("a verdict");
            assert_eq!(content, Content::Foreign);
            assert_eq!(held, b"\x1f\x8b\x08\n");
        }
    }

    #[test]
    fn white_space_is_not_held_for_ever() {
        let mut sniffer = Sniffer::new(Some(b"text/event-stream"));
        let blank = vec![b'\n'; MAX_SNIFFED];
        assert_eq!(
            sniffer.push(&blank).map(|(content, _)| content),
            Some(Content::Stream)
        );
    }
}
