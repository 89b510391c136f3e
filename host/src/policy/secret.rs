//! Secrets, and the placeholders that stand for them inside the sandbox.
//!
//! The plugin is given a [`Placeholder`] and writes it into a header as if it were the key. The egress layer replaces it
//! by the [`Secret`] on the way out, in header values only and for the granted origin only. What a plugin prints, stores
//! or sends elsewhere is a random text that opens nothing.
//!
//! A server that echoes its caller's key back hands it to the plugin all the same: responses are not searched. vLLM does
//! not do that. Texts that leave the host for people and logs go through [`Secrets::redact`].

use http::HeaderValue;
use std::borrow::Cow;
use std::fmt;
use zeroize::Zeroizing;

/// Every placeholder begins with this word, so that one that turns up somewhere explains itself.
const PREFIX: &str = "placeholder-";

/// 128 random bits cannot be guessed.
const RANDOM_BYTES: usize = 16;

/// Length of a placeholder's text in bytes.
const PLACEHOLDER_LEN: usize = PREFIX.len() + 2 * RANDOM_BYTES;

/// Secrets shorter than this are not redacted: `a` as a key would turn every message into stars, and guards nothing.
const MIN_REDACTED_LEN: usize = 4;

/// Of a secret of twice this length or more, its first half is redacted too: a text that quotes a server may have been cut
/// in the middle of the key that the server said back.
const MIN_REDACTED_PART: usize = 8;

/// What a redacted secret is replaced by.
pub(crate) const REDACTED: &str = "***";

/// A value that must not be seen: an API key or the value of a secret header.
///
/// It has no `Display`, its `Debug` shows nothing, and its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// Why a text cannot be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The text is empty; an unset key is no secret.
    #[error("the key is empty")]
    Empty,
    /// The text cannot stand in a header value (RFC 9110 §5.5), most often because of a line break.
    #[error(
        "the key contains a control character at byte {at}, so it cannot be sent in a header; paste it again without \
         line breaks"
    )]
    NotHeaderSafe {
        /// Where the first such byte is.
        at: usize,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes for a placeholder: {0}")]
    NoRandom(String),
}

impl Secret {
    /// Takes a text as a secret.
    ///
    /// # Errors
    ///
    /// The text is empty or holds a byte that no header value may hold. The error does not quote it.
    pub fn new(text: impl Into<String>) -> Result<Self, SecretError> {
        let text = Zeroizing::new(text.into());
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        let control = |byte: u8| (byte < 0x20 && byte != b'\t') || byte == 0x7f;
        if let Some(at) = text.bytes().position(control) {
            return Err(SecretError::NotHeaderSafe { at });
        }
        Ok(Self(text))
    }

    /// The secret itself. Every caller of this is a place where it can leak.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The text that stands for one secret inside the sandbox: `placeholder-` and 32 hexadecimal digits.
///
/// It is made by [`Secrets::mint`] only, and it is no secret.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Placeholder(String);

impl Placeholder {
    fn random() -> Result<Self, SecretError> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|error| SecretError::NoRandom(error.to_string()))?;
        let mut text = String::with_capacity(PLACEHOLDER_LEN);
        text.push_str(PREFIX);
        for byte in random {
            for nibble in [byte >> 4, byte & 0xf] {
                text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
            }
        }
        Ok(Self(text))
    }

    /// The text, for the plugin's settings.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The secrets of one provider and the placeholders that were minted for them.
#[derive(Clone, Default)]
pub struct Secrets {
    entries: Vec<(Placeholder, Secret)>,
}

impl Secrets {
    /// No secrets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a secret and makes a placeholder for it. The same secret twice gives two placeholders.
    ///
    /// # Errors
    ///
    /// [`SecretError::NoRandom`].
    pub fn mint(&mut self, secret: Secret) -> Result<Placeholder, SecretError> {
        let placeholder = Placeholder::random()?;
        self.entries.push((placeholder.clone(), secret));
        Ok(placeholder)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Replaces every placeholder in a header value by its secret, and marks the result as sensitive.
    ///
    /// `None` when there is nothing to replace; the value stays as it is then. What is inserted is not searched again, so
    /// a secret that looks like a placeholder stays what it is.
    #[must_use]
    pub fn substitute(&self, value: &HeaderValue) -> Option<HeaderValue> {
        let bytes = value.as_bytes();
        if self.entries.is_empty() || bytes.len() < PLACEHOLDER_LEN {
            return None;
        }
        let mut replaced: Option<Zeroizing<Vec<u8>>> = None;
        let mut copied = 0;
        let mut at = 0;
        while at + PLACEHOLDER_LEN <= bytes.len() {
            let Some(secret) = self.lookup(&bytes[at..at + PLACEHOLDER_LEN]) else {
                at += 1;
                continue;
            };
            let out = replaced.get_or_insert_with(|| Zeroizing::new(Vec::with_capacity(256)));
            out.extend_from_slice(&bytes[copied..at]);
            out.extend_from_slice(secret.expose().as_bytes());
            at += PLACEHOLDER_LEN;
            copied = at;
        }
        let mut replaced = replaced?;
        replaced.extend_from_slice(&bytes[copied..]);
        // A value and a secret that are valid on their own are valid when they are joined.
        let mut value = HeaderValue::from_bytes(&replaced).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn lookup(&self, text: &[u8]) -> Option<&Secret> {
        if !text.starts_with(PREFIX.as_bytes()) {
            return None;
        }
        self.entries
            .iter()
            .find(|(placeholder, _)| placeholder.0.as_bytes() == text)
            .map(|(_, secret)| secret)
    }

    /// Replaces every secret and every placeholder in a text by `***`.
    ///
    /// For anything that people or logs get to see. Secrets of fewer than four bytes are left alone: as part of ordinary
    /// words they would make messages unreadable without being any safer.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        let words = self.words();
        for word in &words {
            if text.contains(word) {
                text = Cow::Owned(text.replace(word, REDACTED));
            }
        }
        for word in &words {
            if let Cow::Owned(cut) = without_parts(&text, word) {
                text = Cow::Owned(cut);
            }
        }
        text
    }

    /// What must not be seen, the longest first: secrets and placeholders that are long enough to be told from ordinary
    /// words. A secret may be the beginning of another; were it looked for first, the tail of the other would stay.
    pub(crate) fn words(&self) -> Vec<&str> {
        let secrets = self.entries.iter().map(|(_, secret)| secret.expose());
        let placeholders = self
            .entries
            .iter()
            .map(|(placeholder, _)| placeholder.as_str());
        let mut words: Vec<&str> = secrets
            .chain(placeholders)
            .filter(|word| word.len() >= MIN_REDACTED_LEN)
            .collect();
        words.sort_unstable_by_key(|word| std::cmp::Reverse(word.len()));
        words
    }
}

/// Where the first half of a word ends that is taken for the word; none for words of which only the whole is.
pub(crate) fn half(word: &str) -> Option<usize> {
    let half = word.len().div_ceil(2).max(MIN_REDACTED_PART);
    word.char_indices().map(|(at, _)| at).find(|at| *at >= half)
}

/// `text` without what begins as `word` does, for the half of its length or more.
fn without_parts<'a>(text: &'a str, word: &str) -> Cow<'a, str> {
    let Some(part) = half(word).and_then(|at| word.get(..at)) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(part) {
        out.push_str(before);
        out.push_str(REDACTED);
        let more = behind.chars().zip(word[part.len()..].chars());
        let more = more.take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8());
        rest = &behind[more.sum()..];
    }
    if rest.len() == text.len() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} of them)", self.entries.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minted(secrets: &mut Secrets, text: &str) -> String {
        let placeholder = secrets.mint(Secret::new(text).unwrap()).unwrap();
        placeholder.as_str().to_owned()
    }

    #[test]
    fn a_placeholder_is_replaced_wherever_it_stands_in_the_value() {
        let mut secrets = Secrets::new();
        let a = minted(&mut secrets, "sk-a");
        let b = minted(&mut secrets, "ключ");
        let cases = [
            (format!("Bearer {a}"), "Bearer sk-a".to_owned()),
            (a.clone(), "sk-a".to_owned()),
            (format!("{a}{b}{a}"), "sk-aключsk-a".to_owned()),
            (format!("x={a}; y={b};"), "x=sk-a; y=ключ;".to_owned()),
            (format!("placeholder-{a}"), "placeholder-sk-a".to_owned()),
        ];
        for (value, expected) in cases {
            let value = HeaderValue::from_str(&value).unwrap();
            let replaced = secrets.substitute(&value).unwrap();
            assert_eq!(replaced.as_bytes(), expected.as_bytes());
            assert!(replaced.is_sensitive());
        }
    }

    #[test]
    fn a_value_without_a_known_placeholder_is_left_alone() {
        let mut secrets = Secrets::new();
        let known = minted(&mut secrets, "sk-a");
        let foreign = minted(&mut Secrets::new(), "sk-b");
        for value in ["", "Bearer x", foreign.as_str(), &known[..43], &known[1..]] {
            let value = HeaderValue::from_str(value).unwrap();
            assert_eq!(secrets.substitute(&value), None, "{value:?}");
        }
    }

    #[test]
    fn a_secret_that_looks_like_a_placeholder_is_not_replaced_again() {
        let mut secrets = Secrets::new();
        let first = minted(&mut secrets, "sk-first");
        let second = minted(&mut secrets, &first);
        let value = HeaderValue::from_str(&second).unwrap();
        assert_eq!(
            secrets.substitute(&value).unwrap().as_bytes(),
            first.as_bytes()
        );
    }

    #[test]
    fn no_debug_output_shows_a_secret() {
        let mut secrets = Secrets::new();
        minted(&mut secrets, "sk-hidden");
        let secret = Secret::new("sk-hidden").unwrap();
        let shown = format!("{secret:?} {secrets:?}");
        assert!(!shown.contains("sk-hidden"), "{shown}");
    }

    #[test]
    fn a_text_that_cannot_stand_in_a_header_is_no_secret() {
        assert_eq!(Secret::new("").unwrap_err(), SecretError::Empty);
        let cases = [("a\r\nx: y", 1), ("key\n", 3), ("\0", 0), ("k\u{7f}", 1)];
        for (text, at) in cases {
            let error = Secret::new(text).unwrap_err();
            assert_eq!(error, SecretError::NotHeaderSafe { at }, "{text:?}");
        }
    }

    #[test]
    fn texts_for_people_contain_neither_secrets_nor_placeholders() {
        let mut secrets = Secrets::new();
        let placeholder = minted(&mut secrets, "sk-1");
        minted(&mut secrets, "sk-1-longer");
        minted(&mut secrets, "abc");
        let cases = [
            ("Incorrect API key: sk-1!", "Incorrect API key: ***!"),
            ("sk-1-longer and sk-1", "*** and ***"),
            ("abcdef", "abcdef"),
            (placeholder.as_str(), "***"),
        ];
        for (text, expected) in cases {
            assert_eq!(secrets.redact(text), expected);
        }
        assert!(matches!(secrets.redact("nothing here"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_secret_that_was_cut_in_a_quotation_is_taken_out_as_well() {
        let mut secrets = Secrets::new();
        minted(&mut secrets, "sk-0123456789abcdef");
        minted(&mut secrets, "ключключключ");
        minted(&mut secrets, "short-one");
        let cases = [
            ("you sent sk-0123456789abc… no", "you sent ***… no"),
            ("you sent sk-0123456x", "you sent ***x"),
            ("you sent sk-01234 only", "you sent sk-01234 only"),
            ("ключключклю", "***"),
            ("sk-0123456789abcdef sk-0123456789abcdef0", "*** ***0"),
            ("short-on, sk-", "***, sk-"),
        ];
        for (text, expected) in cases {
            assert_eq!(secrets.redact(text), expected);
        }
    }

    #[test]
    fn placeholders_differ_and_are_safe_in_headers() {
        let mut secrets = Secrets::new();
        let a = minted(&mut secrets, "same");
        let b = minted(&mut secrets, "same");
        assert_ne!(a, b);
        assert_eq!(a.len(), PLACEHOLDER_LEN);
        assert!(
            a.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        );
    }
}
