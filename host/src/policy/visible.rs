//! Which characters of a text from outside may be shown.
//!
//! A server, a plugin or a file chooses what stands in names, messages and answers. Characters that are
//! not seen do harm there: they move a terminal's cursor, set its clipboard, turn the direction of the
//! text beside them, make two names look alike, or carry words that a person does not see and a machine
//! reads.
//!
//! This is the only definition of such characters. Every output of the host and of its command line asks
//! here: terminal, log, JSON, messages, errors, tables.
//!
//! # The rule
//!
//! *Hidden* ([`is_hidden`]) are, by the Unicode Character Database:
//!
//! - `General_Category` Cc: C0, DEL and C1 control characters, tab and line feed among them,
//! - `General_Category` Cf: directional marks, embeddings, overrides and isolates (all of
//!   `Bidi_Control`), interlinear annotation, musical and shorthand controls, tags, except
//!   `Prepended_Concatenation_Mark`, which have a glyph,
//! - `General_Category` Zl and Zp: the separators of lines and paragraphs,
//! - `Default_Ignorable_Code_Point`: soft hyphen, grapheme joiner, zero-width characters, variation
//!   selectors, Hangul and Khmer fillers, and what is reserved for such.
//!
//! | context | hidden characters |
//! |---|---|
//! | names, ids, messages, errors, notes, tool calls, tables, log lines | shown as `\u{202e}`; tab and line feed become a space ([`escaped`]) |
//! | JSON output | escaped as `\u202e`, which decodes to the original |
//! | messages of [`Error`](crate::Error) and of the egress | replaced by U+FFFD |
//! | the answer itself on a terminal | shown as `\u{202e}`, except what prose needs ([`is_hidden_in_prose`]) |
//! | the answer itself in a pipe or a file | as it came |
//! | thinking, which goes to stderr | as an answer on a terminal, wherever it goes |
//!
//! Prose needs tab and line feed, the joiners that Persian, Indic scripts and emoji are written with
//! (U+200C, U+200D), and the variation selectors of emoji and of Mongolian (U+FE00–FE0F, U+180B–180D,
//! U+180F). None of them turns text or drives a terminal. The selectors above U+E0100 are shown as escapes
//! in prose too: text without a limit can be hidden in them.

use icu_properties::props::{
    DefaultIgnorableCodePoint, GeneralCategory, PrependedConcatenationMark,
};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::borrow::Cow;

/// Whether a character is not seen, by the rule of this module.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    match CodePointMapData::<GeneralCategory>::new().get(character) {
        GeneralCategory::Control
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator => true,
        GeneralCategory::Format => {
            !CodePointSetData::new::<PrependedConcatenationMark>().contains(character)
        }
        _ => CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character),
    }
}

/// Whether a character is not seen and has no business in the text of an answer.
#[must_use]
pub fn is_hidden_in_prose(character: char) -> bool {
    let needed = matches!(
        character,
        '\n' | '\t'
            | '\u{200c}'
            | '\u{200d}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{180b}'..='\u{180d}'
            | '\u{180f}'
    );
    !needed && is_hidden(character)
}

/// A text on one line in which every character is seen: hidden ones stand as `\u{202e}`, tab and line
/// feed as a space.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    escaped_if(text, is_hidden, |one| {
        matches!(one, '\n' | '\t').then_some(" ")
    })
}

/// The text of an answer for a terminal: what prose has no need of stands as `\u{202e}`. A carriage return
/// is left out, because line ends may have one.
#[must_use]
pub fn escaped_prose(text: &str) -> Cow<'_, str> {
    escaped_if(text, is_hidden_in_prose, |one| (one == '\r').then_some(""))
}

fn escaped_if(
    text: &str,
    hidden: fn(char) -> bool,
    instead: fn(char) -> Option<&'static str>,
) -> Cow<'_, str> {
    let Some(first) = text.find(hidden) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 8);
    out.push_str(&text[..first]);
    for one in text[first..].chars() {
        match instead(one) {
            Some(instead) => out.push_str(instead),
            None if hidden(one) => out.extend(one.escape_unicode()),
            None => out.push(one),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters that were reported or belong to a group that was, one of each kind at least.
    const HIDDEN: &str = "\0\u{7}\u{8}\t\n\r\u{1b}\u{7f}\u{85}\u{9b}\u{9f}\u{ad}\u{34f}\u{61c}\u{115f}\
        \u{1160}\u{17b4}\u{17b5}\u{180b}\u{180e}\u{180f}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\
        \u{2029}\u{202a}\u{202e}\u{2060}\u{2064}\u{2065}\u{2066}\u{2069}\u{206a}\u{206f}\u{3164}\u{fe00}\
        \u{fe0f}\u{feff}\u{ffa0}\u{fff0}\u{fff9}\u{fffb}\u{13430}\u{1bca0}\u{1d173}\u{1d17a}\u{e0000}\
        \u{e0001}\u{e0020}\u{e0041}\u{e007f}\u{e0100}\u{e01ef}\u{e0fff}";

    #[test]
    fn every_kind_of_hidden_character_is_hidden() {
        for one in HIDDEN.chars() {
            assert!(is_hidden(one), "{one:?}");
        }
        for one in " ~aé漢ключ😀🇳🇴ا\u{600}\u{6dd}\u{300}\u{a0}\u{3000}\u{fffd}\u{e000}".chars()
        {
            assert!(!is_hidden(one), "{one:?}");
        }
    }

    #[test]
    fn prose_keeps_what_scripts_and_emoji_are_written_with() {
        for text in [
            "tabs\tand\nlines",
            "👩\u{200d}👩\u{200d}👧 ❤\u{fe0f} ✔\u{fe0e}",
            "می\u{200c}خواهم",
            "क\u{94d}\u{200d}ष",
            "ᠠ\u{180b}ᠡ\u{180f}",
            "مرحبا שלום \u{600}١",
        ] {
            assert_eq!(escaped_prose(text), text);
        }
        let kept = HIDDEN.chars().filter(|one| !is_hidden_in_prose(*one));
        assert_eq!(
            kept.collect::<String>(),
            "\t\n\u{180b}\u{180f}\u{200c}\u{200d}\u{fe00}\u{fe0f}"
        );
    }

    #[test]
    fn what_is_hidden_is_shown_in_the_place_where_it_stands() {
        for (text, names, prose) in [
            ("plain é 漢", "plain é 漢", "plain é 漢"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("a\r\nb\tc", "a\\u{d} b c", "a\nb\tc"),
            (
                "a\u{200f}b\u{e0041}",
                "a\\u{200f}b\\u{e0041}",
                "a\\u{200f}b\\u{e0041}",
            ),
            ("a\u{200d}b", "a\\u{200d}b", "a\u{200d}b"),
        ] {
            assert_eq!(escaped(text), names, "{text:?}");
            assert_eq!(escaped_prose(text), prose, "{text:?}");
        }
    }

    /// The sets of the standard, written out: Unicode 17, `DerivedCoreProperties.txt` and
    /// `DerivedGeneralCategory.txt`. A new version of Unicode shows here.
    #[test]
    fn the_rule_is_the_set_of_the_standard() {
        const RANGES: &[(u32, u32)] = &[
            (0x0, 0x1f),
            (0x7f, 0x9f),
            (0xad, 0xad),
            (0x34f, 0x34f),
            (0x61c, 0x61c),
            (0x115f, 0x1160),
            (0x17b4, 0x17b5),
            (0x180b, 0x180f),
            (0x200b, 0x200f),
            (0x2028, 0x202e),
            (0x2060, 0x206f),
            (0x3164, 0x3164),
            (0xfe00, 0xfe0f),
            (0xfeff, 0xfeff),
            (0xffa0, 0xffa0),
            (0xfff0, 0xfffb),
            (0x13430, 0x1343f),
            (0x1bca0, 0x1bca3),
            (0x1d173, 0x1d17a),
            (0xe0000, 0xe0fff),
        ];
        for one in '\0'..=char::MAX {
            let code = u32::from(one);
            let listed = RANGES
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&code));
            assert_eq!(is_hidden(one), listed, "{one:?}");
        }
    }
}
