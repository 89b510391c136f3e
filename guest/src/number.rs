//! Numbers as JSON writes them, to and from `f64`.
//!
//! The standard library does both to the last bit, for any number, with thirty
//! kilobytes of tables and code. What users write has few digits: 0.15 dollars,
//! a temperature of 0.7. Those are read and written exactly here, and the rest
//! within the last digits.

use alloc::string::String;
use alloc::vec::Vec;

use crate::text;

/// Powers of ten that are exact as `f64`.
const EXACT: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Integers up to here are exact as `f64`.
const MANTISSA: u64 = 1 << 53;

/// Reads a number of JSON's grammar; none if it is beyond any `f64`. Exact
/// with at most 15 digits and an exponent of at most 22, else perhaps off: half
/// a unit in the last place for each 22 of the exponent, so at most by nine.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let (mut mantissa, mut exponent) = (0u64, 0i32);
    let mut fraction = false;
    let mut bytes = text.bytes();
    for byte in bytes.by_ref() {
        match byte {
            b'0'..=b'9' => {
                let digit = u64::from(byte - b'0');
                // Digits that do not fit only count as places.
                let fits = mantissa < u64::MAX / 10;
                if fits {
                    mantissa = mantissa * 10 + digit;
                }
                exponent += i32::from(!fits) - i32::from(fraction);
            }
            b'.' => fraction = true,
            b'-' => {}
            _ => {
                exponent = exponent.saturating_add(written_exponent(&mut bytes));
                break;
            }
        }
    }
    let mut number = mantissa as f64;
    if number != 0.0 {
        let mut left = exponent.unsigned_abs().min(700);
        while left > 0 {
            let step = left.min(22);
            let power = EXACT[step as usize % EXACT.len()];
            number = if exponent < 0 {
                number / power
            } else {
                number * power
            };
            left -= step;
        }
    }
    if text.starts_with("-") {
        number = -number;
    }
    number.is_finite().then_some(number)
}

/// What stands behind the `e`.
fn written_exponent(bytes: &mut core::str::Bytes<'_>) -> i32 {
    let (mut exponent, mut negative) = (0i32, false);
    for byte in bytes {
        match byte {
            b'-' => negative = true,
            b'0'..=b'9' => {
                exponent = exponent
                    .saturating_mul(10)
                    .saturating_add(i32::from(byte - b'0'));
            }
            _ => {}
        }
    }
    if negative { -exponent } else { exponent }
}

/// Writes a finite number, without an exponent. The shortest text that is this
/// number, where 15 digits are enough; else 17 digits, which always are.
pub(crate) fn write(number: f64) -> String {
    let magnitude = number.abs();
    let short = EXACT.iter().position(|power| {
        let scaled = magnitude * power;
        // A quotient of two exact numbers is rounded once: it is the number
        // that a reader makes of these digits.
        scaled < MANTISSA as f64 && (round(scaled) as f64) / power == magnitude
    });
    let (digits, places) = match short {
        Some(places) => {
            let mut digits = String::new();
            push_integer(&mut digits, round(magnitude * EXACT[places % EXACT.len()]));
            (digits, places)
        }
        None => expand(magnitude),
    };
    let mut out = String::new();
    if number.is_sign_negative() {
        out.push('-');
    }
    let whole = digits.len().saturating_sub(places);
    out.push_str(if whole == 0 {
        "0"
    } else {
        text::between(&digits, 0, whole)
    });
    if places > 0 {
        out.push('.');
        for _ in digits.len()..places {
            out.push('0');
        }
        out.push_str(text::from(&digits, whole));
    }
    out
}

/// To the nearest integer; for what is below [`MANTISSA`].
fn round(number: f64) -> u64 {
    (number + 0.5) as u64
}

/// The 17 first digits, and how many of all digits stand behind the point.
fn expand(magnitude: f64) -> (String, usize) {
    const IMPLIED: u64 = MANTISSA / 2;
    let bits = magnitude.to_bits();
    let (fraction, power) = (bits & (IMPLIED - 1), (bits >> 52) as i32);
    let mantissa = if power > 0 {
        fraction | IMPLIED
    } else {
        fraction
    };
    let power = power.max(1) - 1075;
    // m × 2ⁿ, and m × 2⁻ⁿ = m × 5ⁿ / 10ⁿ: an integer of many digits, nine to a
    // limb, the lowest first.
    const LIMB: u64 = 1_000_000_000;
    let factor = if power < 0 { 5 } else { 2 };
    let mut limbs = Vec::new();
    let mut rest = mantissa;
    while rest > 0 {
        limbs.push(rest % LIMB);
        rest /= LIMB;
    }
    for _ in 0..power.unsigned_abs() {
        let mut carry = 0;
        for limb in &mut limbs {
            let product = *limb * factor + carry;
            *limb = product % LIMB;
            carry = product / LIMB;
        }
        if carry > 0 {
            limbs.push(carry);
        }
    }
    let mut places = if power < 0 {
        power.unsigned_abs() as usize
    } else {
        0
    };
    let mut all = String::new();
    for limb in limbs.iter().rev() {
        if all.is_empty() {
            if *limb > 0 {
                push_integer(&mut all, *limb);
            }
            continue;
        }
        // A leading one keeps the zeros of every limb but the first.
        let mut nine = String::new();
        push_integer(&mut nine, *limb + LIMB);
        all.push_str(nine.get(1..).unwrap_or_default());
    }
    const KEPT: usize = 17;
    if let Some((kept, dropped)) = all.split_at_checked(KEPT) {
        let mut value = kept
            .bytes()
            .fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
        value += u64::from(dropped.as_bytes().first().is_some_and(|byte| *byte >= b'5'));
        let mut cut = dropped.len();
        while value > 0 && value % 10 == 0 {
            value /= 10;
            cut += 1;
        }
        all.clear();
        push_integer(&mut all, value);
        for _ in places..cut {
            all.push('0');
        }
        places = places.saturating_sub(cut);
    }
    (all, places)
}

/// Reads an integer of nothing but decimal digits; none if it is beyond `u64`.
pub(crate) fn parse_integer(text: &str) -> Option<u64> {
    let mut value = 0u64;
    for byte in text.bytes() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    (!text.is_empty()).then_some(value)
}

/// Reads up to eight hexadecimal digits.
pub(crate) fn parse_hex(text: &str) -> Option<u32> {
    let mut value = 0;
    for byte in text.bytes() {
        value = value << 4 | char::from(byte).to_digit(16)?;
    }
    Some(value)
}

/// Appends an integer in decimal digits.
pub(crate) fn push_integer(out: &mut String, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        start -= 1;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    for digit in digits.iter().skip(start) {
        out.push(char::from(*digit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_write_is_exact_both_ways() {
        for text in [
            "0",
            "1",
            "0.7",
            "0.15",
            "2.5",
            "-2",
            "1.1",
            "0.0000001",
            "128000",
            "4294967295",
            "0.3333333333333333",
            "9007199254740991",
            "-0.05",
            "3.14159265358979",
            "-0",
        ] {
            assert_eq!(parse(text), text.parse().ok(), "{text}");
            assert_eq!(write(text.parse().unwrap_or(f64::NAN)), text);
        }
        for (text, number) in [
            ("1e3", 1e3),
            ("1E+3", 1e3),
            ("25e-2", 0.25),
            ("1.50", 1.5),
            ("0e999", 0.0),
            ("0.1e1", 1.0),
            ("1e22", 1e22),
            ("1e30", 1e30),
        ] {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        for text in ["1e400", "-1e400", "1e99999999999", "123e308"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("1e-99999999999"), Some(0.0));
        assert_eq!(parse(&"9".repeat(300)).map(|n| n > 9.9e299), Some(true));
    }

    #[test]
    fn seventeen_digits_are_written_where_fewer_do_not_do() {
        for (number, text) in [
            (0.1 + 0.2, "0.30000000000000004"),
            (1e21, "1000000000000000000000"),
            (1e22, "10000000000000000000000"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (-123_456_789_012_345_680.0, "-123456789012345680"),
        ] {
            assert_eq!(write(number), text);
        }
    }

    #[test]
    fn integers_are_read_as_the_standard_library_reads_them() {
        for text in [
            "",
            "0",
            "007",
            "18446744073709551615",
            "18446744073709551616",
            "-1",
            "1.0",
            "1 ",
            "x",
            "99999999999999999999999",
        ] {
            assert_eq!(parse_integer(text), text.parse().ok(), "{text}");
        }
        assert_eq!(parse_integer("+1"), None);
        for text in ["0", "ffFF", "12345678", "g", "+1", "-1"] {
            let theirs = u32::from_str_radix(text, 16).ok();
            assert_eq!(parse_hex(text), theirs.filter(|_| text != "+1"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_finite_number_written_is_the_number_read(bits: u64) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            let text = write(number);
            prop_assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(bits), "{}", text);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
            // The reader is within a few units of the last place.
            let read = parse(&text);
            let off = read.map_or(f64::INFINITY, |read| (read - number).abs());
            prop_assert!(off <= number.abs() * 1e-14 || number.abs() > 1e308 || number.abs() < 1e-290, "{}", text);
        }

        #[test]
        fn decimals_of_fifteen_digits_are_read_exactly(digits in 0u64..1_000_000_000_000_000, places in 0usize..22) {
            let text = format!("{digits}e-{places}");
            prop_assert_eq!(parse(&text), text.parse::<f64>().ok());
            let number: f64 = text.parse().unwrap_or_default();
            prop_assert_eq!(write(number), number.to_string());
        }
    }
}
