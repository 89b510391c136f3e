//! How long a server asks to wait: `retry-after-ms` (OpenAI, Azure), else
//! `retry-after` as seconds or as a date (RFC 9110 § 10.2.3).
//!
//! There is no clock in the core. A date is taken relative to the answer's own
//! `date` header, which also cancels a server whose clock is wrong; without
//! that header a date says nothing.

use alloc::string::String;
use alloc::vec::Vec;

use crate::number::parse_integer;
use crate::text;

/// Longest wait that is believed, in milliseconds: one day.
const MAX_WAIT_MS: u64 = 24 * 60 * 60 * 1000;

/// The wait in milliseconds. What is negative, past or not understood is as if
/// it were not there; what is longer than a day is a day.
pub(super) fn wait_ms(headers: &[(String, Vec<u8>)]) -> Option<u64> {
    let exact = header(headers, "retry-after-ms").and_then(|value| decimal(value, 1));
    let wait = exact.or_else(|| {
        let value = header(headers, "retry-after")?;
        decimal(value, 1000).or_else(|| {
            let until = seconds_of_date(value)?;
            let now = seconds_of_date(header(headers, "date")?)?;
            let wait = u64::try_from(until.checked_sub(now)?).ok()?;
            Some(wait.saturating_mul(1000))
        })
    });
    wait.map(|wait| wait.min(MAX_WAIT_MS))
}

/// The first header of that name, as text without surrounding space.
pub(super) fn header<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a str> {
    let (_, value) = headers
        .iter()
        .find(|(found, _)| found.eq_ignore_ascii_case(name))?;
    core::str::from_utf8(value).ok().map(str::trim)
}

/// A decimal number times `scale` (1 or 1000), its fraction cut to thousandths.
fn decimal(value: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = text::split(value, ".").unwrap_or((value, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    // Only too many digits can fail now: longer than any wait that counts.
    let whole = parse_integer(whole).unwrap_or(u64::MAX);
    let thousandths = (0..3).fold(0, |sum, place| {
        let digit = fraction.as_bytes().get(place).map_or(0, |byte| byte - b'0');
        sum * 10 + u64::from(digit)
    });
    Some(
        whole
            .saturating_mul(scale)
            .saturating_add(thousandths * scale / 1000),
    )
}

/// Seconds since 1970 of an HTTP date in any of its three forms (RFC 9110
/// § 5.6.7). The weekday is not checked.
fn seconds_of_date(date: &str) -> Option<i64> {
    let mut words = text::pieces(date, b" ,-:")
        .filter(|word| !word.is_empty())
        .skip(1);
    let mut word = || words.next();
    let first = word()?;
    let (day, month, year, clock);
    if let Some(found) = month_of(first) {
        // Sun Nov  6 08:49:37 1994
        month = found;
        day = number(word()?)?;
        clock = [number(word()?)?, number(word()?)?, number(word()?)?];
        year = word()?;
    } else {
        // Sun, 06 Nov 1994 08:49:37 GMT; Sunday, 06-Nov-94 08:49:37 GMT
        day = number(first)?;
        month = month_of(word()?)?;
        year = word()?;
        clock = [number(word()?)?, number(word()?)?, number(word()?)?];
    }
    let year = match (year.len(), number(year)?) {
        (2, short @ 70..) => 1900 + short,
        (2, short) => 2000 + short,
        (_, long) => long,
    };
    let [hour, minute, second] = clock;
    let valid = (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    valid.then(|| days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// At most four digits.
fn number(word: &str) -> Option<i64> {
    if word.len() > 4 {
        return None;
    }
    Some(parse_integer(word)? as i64)
}

fn month_of(word: &str) -> Option<i64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let at = text::find(MONTHS, word).filter(|_| word.len() == 3)?;
    (at % 3 == 0).then_some(at as i64 / 3 + 1)
}

/// Days of the Gregorian calendar, counted in years that begin in March, so
/// that the leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        let pair = |&(name, value): &(&str, &str)| (name.to_owned(), value.as_bytes().to_vec());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn dates_of_all_three_forms_are_the_same_second() {
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(seconds_of_date(date), Some(784_111_777), "{date}");
        }
        for (date, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Thu, 29 Feb 2024 23:59:60 GMT", 1_709_251_200),
            ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_200),
            ("Wed, 01-Jan-69 00:00:00 GMT", 3_124_224_000),
        ] {
            assert_eq!(seconds_of_date(date), Some(seconds), "{date}");
        }
    }

    #[test]
    fn every_form_of_the_headers_is_understood() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (given, expected) in [
            (vec![("retry-after", "2")], Some(2000)),
            (vec![("Retry-After", " 1.25 ")], Some(1250)),
            (vec![("retry-after", "0")], Some(0)),
            (vec![("retry-after-ms", "1500")], Some(1500)),
            (vec![("retry-after-ms", "12.9")], Some(12)),
            (
                vec![("retry-after", "9"), ("retry-after-ms", "70")],
                Some(70),
            ),
            (
                vec![("retry-after", "9"), ("retry-after-ms", "soon")],
                Some(9000),
            ),
            (
                vec![("retry-after", "Sun, 06 Nov 1994 08:50:00 GMT"), date],
                Some(23_000),
            ),
            (
                vec![("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT"), date],
                None,
            ),
            (vec![("retry-after", "Sun, 06 Nov 1994 08:50:00 GMT")], None),
            (
                vec![("retry-after", "999999999999999999999999")],
                Some(MAX_WAIT_MS),
            ),
            (
                vec![("retry-after", "Sun, 06 Nov 2094 08:50:00 GMT"), date],
                Some(MAX_WAIT_MS),
            ),
            (vec![("retry-after", "-5")], None),
            (vec![("retry-after", "1e9")], None),
            (vec![("retry-after", "NaN")], None),
            (vec![("retry-after", ".5")], None),
            (vec![("retry-after", "")], None),
            (vec![("retry-after", "tomorrow"), date], None),
            (
                vec![("retry-after", "Sun, 99 Nov 1994 08:50:00 GMT"), date],
                None,
            ),
            (
                vec![("retry-after", "Sun, 06 ovD 1994 08:50:00 GMT"), date],
                None,
            ),
            (vec![], None),
        ] {
            assert_eq!(wait_ms(&headers(&given)), expected, "{given:?}");
        }
        let bytes = vec![("retry-after".to_owned(), vec![0xff, b'1'])];
        assert_eq!(wait_ms(&bytes), None);
    }
}
