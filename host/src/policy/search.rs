//! Finds secrets in bytes: whole, in part, in other spellings, and across the cuts of a stream.
//!
//! One [`Matcher`] is made for a grant and serves both directions in which a secret could become
//! visible: to the guest, in a response ([`Scope::Guest`]), and to people, in messages and
//! recordings ([`Scope::Shown`]). A match is a run of bytes that also occurs in a *form* of a
//! secret and is at least as long as the form's `part`. So the second half of a key is found as the
//! first one is, and so is a key of which the end was cut off.
//!
//! # Forms
//!
//! The secret itself; its base64 with the standard and the URL-safe alphabet, at each of the three
//! alignments, without the characters at the edges that depend on what is encoded beside it
//! (so `user:key` and `Bearer key` in base64 are found, padded or not); its hexadecimal digits.
//! Letter case is ignored everywhere. JSON escapes (`\u0073`, `\/`, also escaped again in nested
//! JSON) and percent-encoding are undone before the search, in any mixture. A span maps back to the
//! bytes as they stood.
//!
//! Not found: a secret that is reversed, encrypted, hashed, compressed, escaped for HTML, encoded
//! twice, or interspersed with other characters, and a part that is shorter than `part`.
//!
//! # Cost
//!
//! A run of at least `part` bytes contains a whole gram of four bytes at some multiple of
//! `part - 3`. So it is enough to look at one gram for every `part - 3` bytes, nine and more for the
//! guest, in a table of all grams of all forms. Only a hit is compared byte by byte. That is less
//! than a general multi-pattern matcher costs, which has to look at each byte, and it finds each
//! part without a pattern of its own.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::{Bytes, BytesMut};
use zeroize::Zeroizing;

use super::secret::REDACTED;

/// Bytes of a gram.
const GRAM: usize = 4;

/// Bits of the hash of a gram: 16 KiB for each matcher, of which a key of 48 bytes fills 2 %.
const HASH_BITS: u32 = 14;

/// Bits of the hash in the quick look, which has more grams to know.
const QUICK_BITS: u32 = 16;

/// Places in one form at which one gram is compared. More occur only in a form such as `000000…`,
/// of which the remaining places find nothing else.
const PLACES: usize = 64;

/// The shortest form in another spelling than the secret's own. A shorter one would be found in
/// ordinary base64 data by chance.
const MIN_SPELLED: usize = 8;

/// The shortest part of a secret that is taken out of what the guest reads.
const GUEST_PART: usize = 32;

/// Backslashes that belong to one escape: those of JSON that is nested in JSON four times. More of
/// them are text, so that a stream of backslashes is not held back.
const MAX_SLASHES: usize = 16;

/// Who must not see a secret, and so which secrets and parts count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The guest: secrets of 16 bytes and more. Shorter ones may be words of an answer, and a model
    /// that is named like the value of a header has to go on working. Parts count from 32 bytes
    /// and half of the secret on. What is taken out tells a guest that it guessed right: if short
    /// parts counted, it could have a server repeat its guesses and extend them byte by byte. Of 32
    /// bytes more are unknown than can be guessed, also where it knows a scheme and a prefix.
    Guest,
    /// People, logs and recordings: secrets of four bytes and more, and of those each part of 12
    /// bytes, or of half of the secret and at least eight.
    Shown,
}

impl Scope {
    /// The shortest secret that is looked for.
    const fn shortest(self) -> usize {
        match self {
            Self::Guest => 16,
            Self::Shown => 4,
        }
    }

    /// The shortest part of a secret of `length` bytes that is taken for it.
    fn part(self, length: usize) -> usize {
        let half = length.div_ceil(2);
        match self {
            Self::Guest if length < GUEST_PART => length,
            Self::Guest => half.max(GUEST_PART),
            Self::Shown => half.clamp(8, 12).min(length),
        }
    }
}

/// A secret in one spelling.
struct Form {
    text: Zeroizing<Vec<u8>>,
    /// The shortest run of it that is a match.
    part: usize,
}

/// Where a gram occurs.
#[derive(Clone, Copy)]
struct Place {
    gram: u32,
    form: u32,
    at: u32,
}

/// Everything that must not be seen, ready to be searched for.
pub(crate) struct Matcher {
    forms: Vec<Form>,
    /// Sorted by gram.
    places: Vec<Place>,
    /// By hash: whether a gram with it occurs. A byte each, which is looked at in fewer instructions
    /// than a bit.
    hashes: Box<[bool; 1 << HASH_BITS]>,
    /// The grams of all forms and of all ways to escape a secret, sorted. A part of a secret that is
    /// long enough holds one of them at each place, whatever of it is escaped.
    spellings: Vec<u32>,
    /// By hash: whether one of them has it.
    quick: Box<[bool; 1 << QUICK_BITS]>,
    /// Whether a secret holds what looks like an escape itself, so that the grams don't suffice.
    odd: bool,
    /// One gram in so many bytes is looked at.
    stride: usize,
    /// Bytes that occur in a form, in either case.
    occurs: [bool; 256],
    /// Bytes after which a text may have to wait: those, and what an escape may end with.
    waits: [bool; 256],
    /// Bytes behind a backslash that make an escape of something that a secret holds.
    escaped: [bool; 256],
}

/// What a search found.
pub(crate) struct Found {
    /// Where matches stand: in order, none touching the inside of another.
    pub(crate) spans: Vec<Range<usize>>,
    /// Bytes from here on may be the beginning of a match that goes on behind the end.
    pub(crate) decided: usize,
}

impl Matcher {
    /// A matcher for the words that `scope` has to be kept from: `secrets`, and `placeholders` as
    /// they are.
    pub(crate) fn new<'a>(
        scope: Scope,
        secrets: impl Iterator<Item = &'a str>,
        placeholders: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut forms: Vec<Form> = Vec::new();
        let mut add = |text: Vec<u8>, part: usize| {
            let text = Zeroizing::new(text);
            match forms.iter_mut().find(|form| form.text == text) {
                Some(form) => form.part = form.part.min(part),
                None => forms.push(Form { text, part }),
            }
        };
        let secrets: Vec<&str> = secrets
            .filter(|secret| secret.len() >= scope.shortest())
            .collect();
        let mut escaped = [false; 256];
        escaped[usize::from(b'u')] = true;
        let all = secrets.iter().flat_map(|secret| secret.bytes());
        for byte in all.filter(|byte| b"/\"\\".contains(byte)) {
            escaped[usize::from(byte)] = true;
        }
        for secret in &secrets {
            let part = scope.part(secret.len());
            let mut plains = vec![secret.as_bytes().to_vec(), surrogates(secret)];
            // Undoing an escape leaves the backslashes of the secret itself twice.
            for nested in 0..2 {
                if secret.contains('\\') {
                    plains.push(in_json(&plains[if nested == 0 { 0 } else { 2 }]));
                }
            }
            for plain in plains {
                let view = View::of(&plain, &escaped);
                let length = view.bytes.len();
                // A line break that is decoded from the secret would make an event wait.
                let one_line = !view.bytes.iter().any(u8::is_ascii_control);
                if length >= scope.shortest() && one_line {
                    add(view.bytes.to_vec(), scope.part(length));
                }
                add(plain, part);
            }
            let whole = part == secret.len();
            for (text, part) in spelled(secret.as_bytes(), part) {
                if text.len() >= MIN_SPELLED {
                    let part = if whole { text.len() } else { part };
                    let part = part.clamp(GRAM, text.len());
                    add(text, part);
                }
            }
        }
        for placeholder in placeholders {
            // Its first twelve bytes are those of every other.
            let text = placeholder.as_bytes();
            add(text.to_vec(), text.len().div_ceil(2));
        }
        let mut matcher = Self::of(forms, escaped);
        matcher.odd = secrets.iter().any(|secret| secret.contains(['%', '\\']));
        for secret in &secrets {
            matcher.spellings.extend(escaped_grams(secret));
        }
        matcher.spellings.sort_unstable();
        matcher.spellings.dedup();
        for gram in &matcher.spellings {
            matcher.quick[hash::<QUICK_BITS>(*gram)] = true;
        }
        matcher
    }

    fn of(forms: Vec<Form>, escaped: [bool; 256]) -> Self {
        let mut hashes = Box::new([false; 1 << HASH_BITS]);
        let (mut places, mut occurs) = (Vec::new(), [false; 256]);
        for (number, form) in (0..).zip(&forms) {
            for byte in form.text.iter() {
                occurs[usize::from(byte.to_ascii_lowercase())] = true;
                occurs[usize::from(byte.to_ascii_uppercase())] = true;
            }
            for (at, gram) in (0..).zip(form.text.windows(GRAM)) {
                let gram = folded(gram);
                hashes[hash::<HASH_BITS>(gram)] = true;
                let form = number;
                places.push(Place { gram, form, at });
            }
        }
        places.sort_unstable_by_key(|place| (place.gram, place.form, place.at));
        let mut count = 0;
        let mut last = None;
        places.retain(|place| {
            let this = Some((place.gram, place.form));
            count = if this == last { count + 1 } else { 1 };
            last = this;
            count <= PLACES
        });
        let mut waits = occurs;
        for byte in *b"0123456789abcdefABCDEFu\\%" {
            waits[usize::from(byte)] = true;
        }
        let shortest = forms.iter().map(|form| form.part).min();
        Self {
            spellings: places.iter().map(|place| place.gram).collect(),
            quick: Box::new([false; 1 << QUICK_BITS]),
            odd: false,
            places,
            hashes,
            stride: shortest.unwrap_or(GRAM).saturating_sub(GRAM - 1).max(1),
            waits,
            occurs,
            escaped,
            forms,
        }
    }

    /// Whether there is nothing to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// Searches `bytes`. `last`: nothing comes behind them, so everything is decided.
    pub(crate) fn find(&self, bytes: &[u8], last: bool) -> Found {
        if self.is_empty() {
            return Found {
                spans: Vec::new(),
                decided: bytes.len(),
            };
        }
        // An escape that the end cuts is undone when the rest of it is there.
        let whole = match last {
            true => bytes.len(),
            false => without_cut_escape(bytes),
        };
        let text = &bytes[..whole];
        if !self.has_escapes(text) {
            let spans = self.runs(text);
            let decided = if last { whole } else { self.pending(text) };
            return Found { spans, decided };
        }
        let view = View::of(text, &self.escaped);
        let mut spans: Vec<_> = self
            .runs(&view.bytes)
            .into_iter()
            .map(|span| view.at[span.start].0..view.at[span.end - 1].1)
            .collect();
        // What looks like an escape may be the secret's own text, which the view changes.
        spans.extend(self.runs(text));
        let decided = if last {
            whole
        } else {
            let pending = view.at.get(self.pending(&view.bytes));
            let pending = pending.map_or(whole, |(start, _)| *start);
            pending.min(self.pending(text))
        };
        Found {
            spans: merged(spans),
            decided,
        }
    }

    /// Text without what must not be seen. Characters are removed whole.
    pub(crate) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut spans = self.find(text.as_bytes(), true).spans;
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        for span in &mut spans {
            *span = text.floor_char_boundary(span.start)..text.ceil_char_boundary(span.end);
        }
        let spans = merged(spans);
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for span in spans {
            out.push_str(&text[at..span.start]);
            out.push_str(REDACTED);
            at = span.end;
        }
        out.push_str(&text[at..]);
        Cow::Owned(out)
    }

    /// Bytes without what must not be seen.
    pub(crate) fn bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        without(bytes, 0..bytes.len(), &self.find(bytes, true).spans, 0)
    }

    /// Whether there are escapes in which a secret could be spelled.
    fn has_escapes(&self, text: &[u8]) -> bool {
        memchr::memchr2_iter(b'\\', b'%', text).any(|at| match text[at] {
            b'%' => percent(&text[at..]).is_some(),
            _ => text
                .get(at + 1)
                .is_some_and(|next| self.escaped[usize::from(*next)]),
        })
    }

    /// The runs that are long enough, merged.
    fn runs(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut spans = Vec::new();
        for at in (0..text.len()).step_by(self.stride) {
            if let Some(gram) = text.get(at..at + GRAM).map(folded)
                && self.hashes[hash::<HASH_BITS>(gram)]
            {
                self.compare(text, at, gram, &mut spans);
            }
        }
        merged(spans)
    }

    /// Whether nothing is found in a text and nothing of it has to wait, as far as a quick look
    /// tells. It is what nearly every event of an answer takes.
    fn is_clean(&self, text: &[u8]) -> bool {
        let Some(last) = text.last() else {
            return true;
        };
        if self.waits[usize::from(*last)] || self.stride < GRAM {
            return false;
        }
        let mut pieces = text.chunks_exact(self.stride);
        let rest = pieces.remainder().first_chunk();
        let hits = |gram: &[u8; GRAM]| self.hits(folded_chunk(gram));
        let found = pieces.any(|piece| piece.first_chunk().is_some_and(hits));
        !(found || rest.is_some_and(hits) || self.odd && self.has_escapes(text))
    }

    /// Whether a gram may be of a secret in whatever spelling.
    #[inline]
    fn hits(&self, gram: u32) -> bool {
        self.quick[hash::<QUICK_BITS>(gram)] && self.is_of_a_spelling(gram)
    }

    #[cold]
    fn is_of_a_spelling(&self, gram: u32) -> bool {
        self.spellings.binary_search(&gram).is_ok()
    }

    /// Compares what stands around `at` with each form that has the gram there.
    fn compare(&self, text: &[u8], at: usize, gram: u32, spans: &mut Vec<Range<usize>>) {
        let first = self.places.partition_point(|place| place.gram < gram);
        for place in &self.places[first..] {
            if place.gram != gram {
                break;
            }
            let form = &self.forms[place.form as usize];
            let (before, behind) = form.text.split_at(place.at as usize);
            let behind = common(behind.iter(), text[at..].iter());
            if behind < GRAM {
                continue;
            }
            let before = common(before.iter().rev(), text[..at].iter().rev());
            if before + behind < form.part {
                continue;
            }
            let mut span = at - before..at + behind;
            if span.len() < form.text.len() {
                // A quotation mark beside a part is the text's own, which JSON can't be without.
                let marks = |byte: &&u8| **byte == b'"';
                span.start += text[span.clone()].iter().take_while(marks).count();
                let behind = text[span.clone()].iter().rev().take_while(marks);
                span.end -= behind.count();
            }
            spans.push(span);
        }
    }

    /// Where the longest run begins that ends with the text and may become a match. The end of the
    /// text, if there is none.
    fn pending(&self, text: &[u8]) -> usize {
        let Some(last) = text.last() else {
            return 0;
        };
        if !self.occurs[usize::from(*last)] {
            return text.len();
        }
        let mut longest = 0;
        for form in &self.forms {
            // A run that ends where the form does does not go on.
            for end in 1..form.text.len() {
                if !form.text[end - 1].eq_ignore_ascii_case(last) {
                    continue;
                }
                let run = common(form.text[..end].iter().rev(), text.iter().rev());
                if form.text.len() - (end - run) >= form.part {
                    longest = longest.max(run);
                }
            }
        }
        text.len() - longest
    }

    /// What each form that holds `run` has behind it, if that is `least` bytes or more.
    pub(crate) fn behind<'a>(
        &'a self,
        run: &'a [u8],
        least: usize,
    ) -> impl Iterator<Item = &'a [u8]> {
        self.forms.iter().filter_map(move |form| {
            let mut windows = form.text.windows(run.len().max(1));
            let at = windows.position(|window| window.eq_ignore_ascii_case(run))?;
            form.text
                .get(at + run.len()..)
                .filter(|rest| rest.len() >= least)
        })
    }
}

/// How many bytes two texts have in common at their beginning, in whatever case.
fn common<'a>(a: impl Iterator<Item = &'a u8>, b: impl Iterator<Item = &'a u8>) -> usize {
    a.zip(b)
        .take_while(|(a, b)| a.eq_ignore_ascii_case(b))
        .count()
}

/// Four bytes in lower case, more or less: some other bytes fall together as well, which a
/// comparison tells apart.
fn folded_chunk(gram: &[u8; GRAM]) -> u32 {
    u32::from_le_bytes(*gram) | 0x2020_2020
}

fn folded(gram: &[u8]) -> u32 {
    gram.first_chunk().map_or(0, folded_chunk)
}

fn hash<const BITS: u32>(gram: u32) -> usize {
    (gram.wrapping_mul(0x9E37_79B1) >> (32 - BITS)) as usize
}

/// Each gram that a secret can have where any of its characters are escaped, in either case.
fn escaped_grams(secret: &str) -> BTreeSet<u32> {
    let in_both_cases = |one: char| {
        let (lower, upper) = (one.to_ascii_lowercase(), one.to_ascii_uppercase());
        let mut all = spellings_of(lower);
        if upper != lower {
            all.extend(spellings_of(upper));
        }
        all.sort_unstable();
        all.dedup();
        all
    };
    let spelled: Vec<Vec<Vec<u8>>> = secret.chars().map(in_both_cases).collect();
    let mut grams = BTreeSet::new();
    for (at, spellings) in spelled.iter().enumerate() {
        for spelling in spellings {
            for from in 0..spelling.len() {
                extend(&spelling[from..], &spelled[at + 1..], &mut grams);
            }
        }
    }
    grams
}

/// Puts in each gram that begins with `text` and goes on with a spelling of each of `rest`.
fn extend(text: &[u8], rest: &[Vec<Vec<u8>>], grams: &mut BTreeSet<u32>) {
    if let Some(gram) = text.first_chunk() {
        grams.insert(folded_chunk(gram));
    } else if let Some((next, rest)) = rest.split_first() {
        for spelling in next {
            extend(&[text, spelling].concat(), rest, grams);
        }
    }
}

/// The ways to write a character: as it is, percent-encoded, and behind one to four backslashes,
/// where more make no other grams.
fn spellings_of(one: char) -> Vec<Vec<u8>> {
    let mut buffer = [0; 4];
    let plain = one.encode_utf8(&mut buffer).as_bytes();
    let percent: String = plain.iter().map(|byte| format!("%{byte:02x}")).collect();
    let mut units = [0; 2];
    let units = one.encode_utf16(&mut units);
    let mut all = vec![plain.to_vec(), percent.into_bytes()];
    for count in 1..=GRAM {
        let slashes = "\\".repeat(count);
        let escape = |unit: &u16| format!("{slashes}u{unit:04x}");
        all.push(units.iter().map(escape).collect::<String>().into_bytes());
        if matches!(one, '/' | '"') {
            all.push(format!("{slashes}{one}").into_bytes());
        }
    }
    all
}

/// Spans in order, those that overlap put together. Spans that only touch stay apart.
pub(crate) fn merged(mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    if spans.len() < 2 {
        return spans;
    }
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    let mut out: Vec<Range<usize>> = Vec::with_capacity(spans.len());
    for span in spans {
        match out.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => out.push(span),
        }
    }
    out
}

/// The bytes of a range without spans. What replaces a span stands where the span begins, if that
/// is not before `fresh`: then it was given out already.
pub(crate) fn without<'a>(
    bytes: &'a [u8],
    range: Range<usize>,
    spans: &[Range<usize>],
    fresh: usize,
) -> Cow<'a, [u8]> {
    let touches = |span: &&Range<usize>| span.start < range.end && span.end > range.start;
    let mut touching = spans.iter().filter(touches).peekable();
    if touching.peek().is_none() {
        return Cow::Borrowed(&bytes[range]);
    }
    let mut out = Vec::with_capacity(range.len());
    let mut at = range.start;
    for span in touching {
        if span.start >= range.start {
            out.extend_from_slice(&bytes[at..span.start]);
            if span.start >= fresh {
                out.extend_from_slice(REDACTED.as_bytes());
            }
        }
        at = span.end.min(range.end);
    }
    out.extend_from_slice(&bytes[at..range.end]);
    Cow::Owned(out)
}

/// Bytes with escapes undone, and where each of them stood.
struct View {
    bytes: Zeroizing<Vec<u8>>,
    /// First byte and end of what stands for the byte.
    at: Vec<(usize, usize)>,
}

impl View {
    /// `\uXXXX` behind up to [`MAX_SLASHES`] backslashes and `%XX` are decoded. Backslashes before a byte of
    /// `escaped` are left out, and belong to it. A surrogate is three bytes, as it is in
    /// [`surrogates`]. Everything else stays, so that what is found in a place depends on the bytes
    /// there alone, and not on where a stream was cut.
    fn of(text: &[u8], escaped: &[bool; 256]) -> Self {
        let mut view = Self {
            bytes: Zeroizing::new(Vec::with_capacity(text.len())),
            at: Vec::with_capacity(text.len()),
        };
        let mut at = 0;
        while at < text.len() {
            let start = at;
            let slashes = text[at..].iter().take_while(|byte| **byte == b'\\').count();
            at += slashes;
            if slashes > MAX_SLASHES {
                // The first of them are no part of an escape.
                at -= MAX_SLASHES;
                for at in start..at {
                    view.push(b"\\", (at, at + 1));
                }
                continue;
            }
            let plain = text.get(at).is_none_or(|byte| !escaped[usize::from(*byte)]);
            if at > start && plain {
                for at in start..at {
                    view.push(&text[at..=at], (at, at + 1));
                }
                continue;
            }
            let Some(byte) = text.get(at) else {
                break;
            };
            if at > start
                && let Some(unit) = text.get(at..at + 5).and_then(unicode)
            {
                at += 5;
                let (bytes, length) = generalized_utf8(unit);
                view.push(&bytes[..length], (start, at));
            } else if let Some(byte) = percent(&text[at..]) {
                at += 3;
                view.push(&[byte], (start, at));
            } else {
                at += 1;
                view.push(&[*byte], (start, at));
            }
        }
        view
    }

    fn push(&mut self, bytes: &[u8], at: (usize, usize)) {
        self.bytes.extend_from_slice(bytes);
        self.at.extend(std::iter::repeat_n(at, bytes.len()));
    }
}

/// The code unit of `uXXXX`.
fn unicode(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"u")?;
    digits.iter().try_fold(0, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | digit as u16)
    })
}

/// The byte of `%XX`, where the text begins with it.
fn percent(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else {
        return None;
    };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
}

/// A code unit as UTF-8 would write it, surrogates included.
fn generalized_utf8(unit: u16) -> ([u8; 3], usize) {
    let low = |shift: u16| 0x80 | (unit >> shift & 0x3f) as u8;
    match unit {
        0..0x80 => ([unit as u8, 0, 0], 1),
        0x80..0x800 => ([0xc0 | (unit >> 6) as u8, low(0), 0], 2),
        _ => ([0xe0 | (unit >> 12) as u8, low(6), low(0)], 3),
    }
}

/// The text as JSON writes it between its quotation marks, as far as backslashes and these go.
fn in_json(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 8);
    for byte in text {
        if matches!(byte, b'\\' | b'"') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out
}

/// The text as UTF-16 would write it, each unit in UTF-8's manner: what [`View`] makes of escapes.
fn surrogates(text: &str) -> Vec<u8> {
    let units = text.encode_utf16().map(generalized_utf8);
    units
        .flat_map(|(bytes, length)| bytes.into_iter().take(length))
        .collect()
}

/// The length of the text without an escape at its end that may go on.
fn without_cut_escape(text: &[u8]) -> usize {
    /// All of `\uXXXX` but its last digit.
    const LONGEST: usize = 5;
    let tail = text.len().saturating_sub(LONGEST);
    let Some(at) = memchr::memrchr2(b'\\', b'%', &text[tail..]) else {
        return text.len();
    };
    let at = tail + at;
    let rest = &text[at + 1..];
    let digits = |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit);
    let goes_on = match (text[at], rest) {
        (b'%', rest) => rest.len() < 2 && digits(rest),
        (_, []) => true,
        (_, [b'u', rest @ ..]) => rest.len() < 4 && digits(rest),
        _ => false,
    };
    if !goes_on {
        return text.len();
    }
    // The backslashes before it belong to it.
    let before = text[..at].iter().rev().take(MAX_SLASHES - 1);
    at - before.take_while(|byte| **byte == b'\\').count()
}

/// Base64 and hexadecimal forms with the shortest part of each that stands for `part` bytes.
fn spelled(secret: &[u8], part: usize) -> Vec<(Vec<u8>, usize)> {
    let mut forms = Vec::new();
    for alphabet in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for before in 0..3 {
            let mut text = Zeroizing::new(vec![0; before]);
            text.extend_from_slice(secret);
            let coded = Zeroizing::new(alphabet.encode(&text));
            // The characters that the secret's own bits decide alone.
            let own = (before * 8).div_ceil(6)..text.len() * 8 / 6;
            let part = (part * 8).saturating_sub(10) / 6;
            forms.push((coded.as_bytes()[own].to_vec(), part));
        }
    }
    let digits = |byte: &u8| [byte >> 4, byte & 0xf].map(|one| b"0123456789abcdef"[one as usize]);
    forms.push((secret.iter().flat_map(digits).collect(), 2 * part));
    forms
}

/// A stream on its way to the guest, of which what may be the beginning of a secret waits.
///
/// At most as many bytes wait as the longest form has, and none behind a line break, which no form
/// holds.
#[derive(Default)]
pub(crate) struct Stream {
    held: Bytes,
    /// Bytes at the beginning of what is held that were replaced already.
    replaced: usize,
}

impl Stream {
    /// Whether the next bytes pass as they are, as far as a quick look tells: nearly every event of
    /// an answer does. Otherwise they go to [`Stream::push`].
    pub(crate) fn passes(&self, matcher: &Matcher, bytes: &[u8]) -> bool {
        self.held.is_empty() && self.replaced == 0 && matcher.is_clean(bytes)
    }

    /// Takes the next bytes, and gives out those that are decided. Bytes in which nothing is found
    /// are not copied.
    pub(crate) fn push(&mut self, matcher: &Matcher, bytes: Bytes) -> Bytes {
        let bytes = if self.held.is_empty() {
            bytes
        } else {
            let mut all = BytesMut::with_capacity(self.held.len() + bytes.len());
            all.extend_from_slice(&self.held);
            all.extend_from_slice(&bytes);
            all.freeze()
        };
        self.decide(matcher, bytes, false)
    }

    /// Gives out what waits: nothing comes any more.
    pub(crate) fn finish(&mut self, matcher: &Matcher) -> Bytes {
        let held = std::mem::take(&mut self.held);
        self.decide(matcher, held, true)
    }

    /// Whether something waits.
    pub(crate) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    fn decide(&mut self, matcher: &Matcher, bytes: Bytes, last: bool) -> Bytes {
        let Found { mut spans, decided } = matcher.find(&bytes, last);
        let replaced = std::mem::take(&mut self.replaced);
        if replaced > 0 {
            spans.push(0..replaced);
            spans = merged(spans);
        }
        let given_before = |span: &Range<usize>| span.start < decided || span.start < replaced;
        let crossing = |span: &&Range<usize>| span.end > decided && given_before(span);
        self.replaced = spans
            .iter()
            .find(crossing)
            .map_or(0, |span| span.end - decided);
        let given = match without(&bytes, 0..decided, &spans, replaced) {
            Cow::Borrowed(_) => bytes.slice(..decided),
            Cow::Owned(given) => Bytes::from(given),
        };
        self.held = bytes.slice(decided..);
        given
    }
}

// The fuzz targets include this file from another folder, where the usual place would be another.
#[cfg(test)]
#[path = "search/tests.rs"]
mod tests;
