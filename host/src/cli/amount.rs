//! Numbers for people.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// US dollars with as many digits as say something: `$12.50`, `$0.0004`.
pub(super) fn dollars(amount: f64) -> String {
    if amount == 0.0 {
        return String::from("$0");
    }
    if amount >= 1.0 {
        return format!("${amount:.2}");
    }
    // Two digits behind the first that is not zero.
    let zeros = (-amount.abs().log10()).floor().clamp(0.0, 12.0) as usize;
    let text = format!("{amount:.*}", zeros + 2);
    format!("${}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Seconds, or milliseconds below a tenth of one.
pub(super) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 0.1 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{seconds:.1} s")
    }
}

/// A part of a whole in per cent.
pub(super) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return String::from("?");
    }
    let percent = part as f64 * 100.0 / whole as f64;
    if percent > 0.0 && percent < 1.0 {
        String::from("< 1 %")
    } else {
        format!("{percent:.0} %")
    }
}

/// Bytes: `190.2 KiB`.
pub(super) fn bytes(number: u64) -> String {
    let size = number as f64;
    if number < 1024 {
        format!("{number} bytes")
    } else if number < 1024 * 1024 {
        format!("{:.1} KiB", size / 1024.0)
    } else {
        format!("{:.1} MiB", size / 1024.0 / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (40_960, "40,960"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn dollars_show_what_matters() {
        for (amount, text) in [
            (0.0, "$0"),
            (12.5, "$12.50"),
            (1.0, "$1.00"),
            (0.5, "$0.5"),
            (0.05, "$0.05"),
            (0.000_4, "$0.0004"),
            (0.000_266, "$0.00027"),
            (f64::NAN, "$NaN"),
        ] {
            assert_eq!(dollars(amount), text);
        }
    }

    #[test]
    fn times_shares_and_sizes_are_short() {
        assert_eq!(seconds(Duration::from_millis(12)), "12 ms");
        assert_eq!(seconds(Duration::from_millis(850)), "0.8 s");
        assert_eq!(share(1_290, 40_960), "3 %");
        assert_eq!(share(1, 40_960), "< 1 %");
        assert_eq!(share(0, 10), "0 %");
        assert_eq!(share(1, 0), "?");
        assert_eq!(bytes(12), "12 bytes");
        assert_eq!(bytes(194_765), "190.2 KiB");
        assert_eq!(bytes(5 << 20), "5.0 MiB");
    }
}
