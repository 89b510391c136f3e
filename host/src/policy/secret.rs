//! Secrets, the placeholders that stand for them inside the sandbox, and where they may go.
//!
//! The plugin is given a [`Placeholder`] and writes it into a header as if it were the key. The
//! egress layer replaces it by the [`Secret`] on the way out, for the granted origin only, and only
//! where the secret's [`Binding`] allows it. A placeholder anywhere else in a request refuses the
//! request before anything is sent ([`Misplaced`]): a server may return a header such as
//! `x-request-id` in its answer, as vLLM does, and would hand the key to the plugin. What a plugin
//! prints, stores or sends elsewhere is a random text that opens nothing.
//!
//! A server may return the key all the same, for instance in an error message that quotes the
//! `authorization` field. So secrets of 16 bytes and more are taken out of response heads and
//! bodies before the guest sees them, and secrets of four bytes and more out of texts for people
//! and logs ([`Secrets::redact`]) and out of recordings.
//!
//! # What is found, and what is not
//!
//! | | guest | people, logs, recordings |
//! |---|---|---|
//! | secrets | 16 bytes and more | 4 bytes and more |
//! | parts | half or more, at least 32 bytes | 12 bytes, or half and at least 8 bytes |
//! | in pieces | however the network cuts | the same; recordings: over events and JSON strings, too |
//!
//! For both: raw, in any letter case; with JSON escapes and percent-encoding, in any mixture; in
//! base64 (standard and URL-safe, at any alignment, padded or not, alone or behind `user:` or a
//! scheme); in hexadecimal digits.
//!
//! The guest's parts are long because it sees what is taken out: of a short part it could have a
//! server repeat guesses, and extend the one that is replaced.
//!
//! Not found: shorter secrets and parts; a secret that is reversed, hashed, encrypted, compressed,
//! escaped for HTML, encoded twice, or split by other characters (for the guest also: split over
//! JSON strings or events, or over several header fields); log probabilities, which spell tokens as
//! decimal bytes and as names of members; of a secret of fewer than six bytes some base64 forms; a
//! key whose URL-encoding holds a line break, decoded. A server that wants to tell the plugin a
//! secret can always do so; what is searched for is what servers and proxies do without meaning to.

use super::binding::{Binding, Misplaced, Place};
use super::search::{Matcher, Scope};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};
use zeroize::Zeroizing;

/// Every placeholder begins with this word, so that one that turns up somewhere explains itself.
const PREFIX: &str = "placeholder-";

/// 128 random bits cannot be guessed.
const RANDOM_BYTES: usize = 16;

/// Length of a placeholder's text in bytes.
const PLACEHOLDER_LEN: usize = PREFIX.len() + 2 * RANDOM_BYTES;

/// Bytes of names and values of a request's header fields, and of its target, where a secret is
/// among them. A plugin that could fill a header section up to the limit of a server would learn from
/// the server's refusal how long the secret is. Servers and proxies allow 8 KiB at the least
/// (Tomcat 8 KiB in all, Apache, nginx and gunicorn 8 KiB a line, HAProxy and Node.js 16 KiB in
/// all). Half of that is left for the secret itself and for what the transport adds.
pub const HEAD_WITH_SECRET_BYTES: usize = 4 << 10;

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

/// A secret, what stands for it, and where it may stand.
#[derive(Clone)]
struct Entry {
    placeholder: Placeholder,
    secret: Secret,
    binding: Binding,
}

/// The secrets of one provider, the placeholders that were minted for them, and where each may go.
#[derive(Clone, Default)]
pub struct Secrets {
    entries: Vec<Entry>,
    /// Made when it is first asked for, and anew after the next [`Secrets::mint`].
    shown: OnceLock<Arc<Matcher>>,
    guest: OnceLock<Arc<Matcher>>,
}

impl Secrets {
    /// No secrets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a secret and makes a placeholder for it, which is replaced where `binding` allows it.
    /// The same secret twice gives two placeholders.
    ///
    /// # Errors
    ///
    /// [`SecretError::NoRandom`].
    pub fn mint(&mut self, secret: Secret, binding: Binding) -> Result<Placeholder, SecretError> {
        let placeholder = Placeholder::random()?;
        self.entries.push(Entry {
            placeholder: placeholder.clone(),
            secret,
            binding,
        });
        self.shown = OnceLock::new();
        self.guest = OnceLock::new();
        Ok(placeholder)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Replaces the placeholders in the header fields of a request by their secrets, and marks these
    /// values as sensitive.
    ///
    /// What is inserted is not searched again, so that a secret that looks like a placeholder stays
    /// what it is. A text that only looks like a placeholder of these secrets stays as well.
    ///
    /// # Errors
    ///
    /// [`Misplaced`] for the first placeholder that stands where its binding does not allow it: in
    /// the target, in a field's name, in the body, in another field, beside other text, twice, or
    /// in a field that has a second value. The request must not be sent then. Also where the whole
    /// head is larger than [`HEAD_WITH_SECRET_BYTES`].
    pub fn put_in(
        &self,
        target: &Uri,
        headers: &mut HeaderMap,
        body: &[u8],
    ) -> Result<(), Misplaced> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let target = target.to_string();
        if let Some(entry) = self.first_in(target.as_bytes()) {
            return Err(entry.misplaced(Place::Target));
        }
        let mut found = false;
        for (name, value) in headers.iter() {
            if let Some(entry) = self.first_in(name.as_str().as_bytes()) {
                return Err(entry.misplaced(Place::Name));
            }
            if let Some(entry) = self.first_in(value.as_bytes()) {
                found = true;
                let several = headers.get_all(name).iter().nth(1).is_some();
                if several || !entry.binding.allows(name, value, &entry.placeholder) {
                    return Err(entry.misplaced(Place::Header(name.clone())));
                }
            }
        }
        if let Some(entry) = self.first_in(body) {
            return Err(entry.misplaced(Place::Body));
        }
        if !found {
            return Ok(());
        }
        let fields = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4);
        if target.len() + fields.sum::<usize>() > HEAD_WITH_SECRET_BYTES {
            return Err(Misplaced::HeadTooLarge);
        }
        for (name, value) in headers.iter_mut() {
            if let Some(real) = self.substitute(name, value)? {
                *value = real;
            }
        }
        Ok(())
    }

    /// The value of one header field with its placeholder replaced, marked as sensitive. `None`: it
    /// holds none.
    ///
    /// # Errors
    ///
    /// [`Misplaced`], as [`Secrets::put_in`].
    pub fn substitute(
        &self,
        name: &HeaderName,
        value: &HeaderValue,
    ) -> Result<Option<HeaderValue>, Misplaced> {
        let Some(entry) = self.first_in(value.as_bytes()) else {
            return Ok(None);
        };
        let misplaced = || entry.misplaced(Place::Header(name.clone()));
        if !entry.binding.allows(name, value, &entry.placeholder) {
            return Err(misplaced());
        }
        // The binding has seen to it that the placeholder is the end of the value.
        let before = &value.as_bytes()[..value.len() - PLACEHOLDER_LEN];
        let real = entry.secret.expose().as_bytes();
        let mut whole = Zeroizing::new(Vec::with_capacity(before.len() + real.len()));
        whole.extend_from_slice(before);
        whole.extend_from_slice(real);
        // A value and a secret that are valid on their own are valid when they are joined.
        let mut value = HeaderValue::from_bytes(&whole).map_err(|_| misplaced())?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// The first placeholder in some bytes that is one of these.
    fn first_in(&self, bytes: &[u8]) -> Option<&Entry> {
        let mut places = memchr::memmem::find_iter(bytes, PREFIX);
        places.find_map(|at| {
            let text = bytes.get(at..at + PLACEHOLDER_LEN)?;
            let is = |entry: &&Entry| entry.placeholder.0.as_bytes() == text;
            self.entries.iter().find(is)
        })
    }

    /// Replaces every secret and every placeholder in a text by `***`.
    ///
    /// For anything that people or logs get to see. Secrets of fewer than four bytes are left alone:
    /// as part of ordinary words they would make messages unreadable without being any safer. What
    /// is found beside the secrets as they are is told in [the module](self).
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.entries.is_empty() {
            return Cow::Borrowed(text);
        }
        self.shown().text(text)
    }

    /// Finds what people, logs and recordings must not see.
    pub(crate) fn shown(&self) -> &Arc<Matcher> {
        self.shown.get_or_init(|| {
            let placeholders = self.entries.iter().map(|entry| entry.placeholder.as_str());
            Arc::new(Matcher::new(Scope::Shown, self.exposed(), placeholders))
        })
    }

    /// Finds what the guest must not see in a response.
    pub(crate) fn guest(&self) -> &Arc<Matcher> {
        let none = std::iter::empty();
        self.guest
            .get_or_init(|| Arc::new(Matcher::new(Scope::Guest, self.exposed(), none)))
    }

    fn exposed(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.secret.expose())
    }
}

impl Entry {
    fn misplaced(&self, place: Place) -> Misplaced {
        Misplaced::Secret {
            place,
            allowed: self.binding.clone(),
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} of them)", self.entries.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::binding::KEY_HEADERS;
    use super::*;

    fn minted(secrets: &mut Secrets, text: &str) -> String {
        bound(secrets, text, Binding::api_key())
    }

    fn bound(secrets: &mut Secrets, text: &str, binding: Binding) -> String {
        let placeholder = secrets.mint(Secret::new(text).unwrap(), binding).unwrap();
        placeholder.as_str().to_owned()
    }

    fn name(text: &str) -> HeaderName {
        HeaderName::try_from(text).unwrap()
    }

    /// What goes out of one field, or why nothing does.
    fn sent(secrets: &Secrets, field: &str, value: &str) -> Result<String, String> {
        let target = Uri::from_static("http://h/v1");
        let mut headers = HeaderMap::new();
        headers.insert(name(field), HeaderValue::from_str(value).unwrap());
        let outcome = secrets.put_in(&target, &mut headers, b"{}");
        outcome.map_err(|why| why.to_string())?;
        let value = &headers[field];
        Ok(String::from_utf8(value.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn a_key_goes_into_the_fields_for_keys_whole_or_behind_a_scheme() {
        let mut secrets = Secrets::new();
        let key = minted(&mut secrets, "ключ");
        let named = Binding::api_key_or(Some(name("X-Gateway")));
        let other = bound(&mut secrets, "sk-other", named);
        for field in KEY_HEADERS {
            for scheme in ["", "Bearer ", "Basic ", "a!#$%&'*+-.^_`|~9 "] {
                let found = sent(&secrets, field.as_str(), &format!("{scheme}{key}"));
                assert_eq!(found, Ok(format!("{scheme}ключ")));
            }
        }
        let found = sent(&secrets, "x-gateway", &format!("Token {other}"));
        assert_eq!(found.as_deref(), Ok("Token sk-other"));
        let why = sent(&secrets, "x-gateway", &key).unwrap_err();
        assert_eq!(
            why,
            "the placeholder of a secret is misplaced in the header `x-gateway`; it may stand only \
             in `authorization`, `x-api-key`, `api-key` or `x-goog-api-key`, as the only value, \
             whole or behind a scheme and one space"
        );
    }

    #[test]
    fn a_placeholder_in_another_field_or_beside_other_text_is_refused() {
        let mut secrets = Secrets::new();
        let key = minted(&mut secrets, "sk-the-real-key");
        let cases = [
            ("x-request-id", key.clone()),
            ("origin", key.clone()),
            ("cookie", format!("a={key}")),
            ("authorization", format!("Bearer  {key}")),
            ("authorization", format!(" {key}")),
            ("authorization", format!("Bearer\t{key}")),
            ("authorization", format!("Bearer {key} ")),
            ("authorization", format!("Bearer {key}, x")),
            ("authorization", format!("Two words {key}")),
            ("authorization", format!("{key}{key}")),
            ("authorization", format!("{key} {key}")),
            ("authorization", format!("placeholder-{key}")),
            ("authorization", format!("\"{key}\"")),
            ("authorization", format!("{} {key}", "A".repeat(33))),
        ];
        for (field, value) in cases {
            let why = sent(&secrets, field, &value).unwrap_err();
            let place = format!("misplaced in the header `{field}`; it may stand only in");
            assert!(why.contains(&place), "{field}: {value}: {why}");
            assert!(
                !why.contains("sk-the-real-key") && !why.contains(&key),
                "{why}"
            );
        }
    }

    #[test]
    fn a_placeholder_outside_of_values_or_in_a_second_value_is_refused() {
        let mut secrets = Secrets::new();
        let key = minted(&mut secrets, "sk-the-real-key");
        let plain = Uri::from_static("http://h/v1");
        let refused = |target: &Uri, fields: &[(&str, &str)], body: &str| {
            let mut headers = HeaderMap::new();
            for (field, value) in fields {
                headers.append(name(field), HeaderValue::from_str(value).unwrap());
            }
            let before = headers.clone();
            let why = secrets.put_in(target, &mut headers, body.as_bytes());
            assert_eq!(headers, before, "nothing is put in");
            why.unwrap_err().to_string()
        };
        for target in [format!("http://h/{key}"), format!("http://h/v1?k={key}")] {
            let why = refused(&target.parse().unwrap(), &[], "");
            assert!(why.contains("misplaced in the path;"), "{why}");
        }
        let why = refused(&plain, &[(&format!("x-{key}"), "1")], "");
        assert!(why.contains("misplaced in the name of a header;"), "{why}");
        let why = refused(&plain, &[("x-api-key", &key)], &format!("[\"{key}\"]"));
        assert!(why.contains("misplaced in the body;"), "{why}");
        for other in [key.as_str(), "x"] {
            let why = refused(&plain, &[("x-api-key", &key), ("x-api-key", other)], "");
            assert!(why.contains("as the only value"), "{why}");
            refused(&plain, &[("x-api-key", other), ("x-api-key", &key)], "");
        }
    }

    #[test]
    fn a_configured_header_takes_its_secret_and_no_other_text() {
        let mut secrets = Secrets::new();
        let team = bound(&mut secrets, "a=1; b=2", Binding::header(name("X-Team")));
        let auth = Binding::Header {
            name: name("x-auth"),
            before: "Token ".to_owned(),
        };
        let auth = bound(&mut secrets, "t0ken", auth);
        let hidden = bound(&mut secrets, "part", Binding::Nowhere);
        assert_eq!(sent(&secrets, "x-team", &team).as_deref(), Ok("a=1; b=2"));
        let behind = format!("Token {auth}");
        assert_eq!(
            sent(&secrets, "x-auth", &behind).as_deref(),
            Ok("Token t0ken")
        );
        for (field, value) in [
            ("x-team", format!("Bearer {team}")),
            ("x-other", team.clone()),
            ("authorization", team),
            ("x-auth", format!("token {auth}")),
            ("authorization", hidden.clone()),
            ("x-team", hidden),
        ] {
            let why = sent(&secrets, field, &value).unwrap_err();
            assert!(why.contains(&format!("the header `{field}`")), "{why}");
        }
    }

    #[test]
    fn the_head_of_a_request_with_a_secret_is_bounded_by_what_the_plugin_wrote() {
        // A guest that fills the head to a server's limit would learn the length of the key.
        for length in [8, 3000] {
            let mut secrets = Secrets::new();
            let key = minted(&mut secrets, &"k".repeat(length));
            let head = |padding: usize, value: &str| {
                let target = Uri::from_static("http://h/v1");
                let mut headers = HeaderMap::new();
                headers.insert("x-api-key", HeaderValue::from_str(value).unwrap());
                headers.insert(
                    "x-pad",
                    HeaderValue::from_str(&"p".repeat(padding)).unwrap(),
                );
                secrets.put_in(&target, &mut headers, b"")
            };
            let room = HEAD_WITH_SECRET_BYTES
                - "http://h/v1".len()
                - "x-api-key".len()
                - "x-pad".len()
                - PLACEHOLDER_LEN
                - 8;
            assert_eq!(head(room, &key), Ok(()));
            assert_eq!(head(room + 1, &key), Err(Misplaced::HeadTooLarge));
            assert_eq!(head(60_000, "no secret"), Ok(()));
        }
    }

    #[test]
    fn a_value_without_a_known_placeholder_is_left_alone() {
        let mut secrets = Secrets::new();
        let known = minted(&mut secrets, "sk-a");
        let foreign = minted(&mut Secrets::new(), "sk-b");
        let upper = known.to_uppercase();
        for value in ["", "Bearer x", &foreign, &known[..43], &known[1..], &upper] {
            assert_eq!(sent(&secrets, "x-request-id", value).as_deref(), Ok(value));
        }
    }

    #[test]
    fn a_secret_that_looks_like_a_placeholder_is_not_replaced_again() {
        let mut secrets = Secrets::new();
        let first = minted(&mut secrets, "sk-first");
        let second = minted(&mut secrets, &first);
        assert_eq!(sent(&secrets, "api-key", &second), Ok(first));
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
