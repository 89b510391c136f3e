//! Whether a JSON text is whole, while it grows.

/// How far a text was read, and where that is in it. Each byte is looked at once.
#[derive(Default)]
pub(super) struct Progress {
    /// Bytes that were read.
    read: usize,
    /// Objects and arrays that are open.
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// There was anything but white space.
    begun: bool,
}

impl Progress {
    /// Whether `text`, which begins with what was read before, is a whole value: everything that it
    /// opens it closes. Whether it is valid JSON is not asked.
    pub(super) fn is_whole(&mut self, text: &str) -> bool {
        for byte in text.as_bytes().get(self.read..).unwrap_or_default() {
            self.begun |= !byte.is_ascii_whitespace();
            if self.in_string {
                self.in_string = self.escaped || *byte != b'"';
                self.escaped = !self.escaped && *byte == b'\\';
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        self.read = text.len();
        self.begun && self.depth == 0 && !self.in_string
    }
}

/// Whether a text may be the beginning of arguments: an object, or an array.
pub(super) fn begins(text: &str) -> bool {
    matches!(
        text.trim_ascii_start().as_bytes().first(),
        Some(b'{' | b'[')
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_whole_when_all_that_it_opens_is_closed() {
        for (text, whole_at) in [
            (r#"{"a":"}\"}","b":[1,{"c":2}]}"#, vec![28]),
            (r#""te\\\"xt""#, vec![10]),
            ("[] ", vec![2, 3]),
            ("  ", vec![]),
            ("{}{}", vec![2, 4]),
            ("12", vec![1, 2]),
            ("}{}", vec![1, 3]),
        ] {
            let mut progress = Progress::default();
            let found: Vec<usize> = (0..=text.len())
                .filter(|&end| progress.is_whole(&text[..end]))
                .collect();
            assert_eq!(found, whole_at, "{text}");
        }
    }
}
