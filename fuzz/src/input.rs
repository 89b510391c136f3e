//! An input taken apart: a few bytes of choices, then texts, then the bytes under test.

/// Separates the parts of an input. None of what is parsed here has a NUL to lose.
const SEPARATOR: u8 = 0;

/// What is left of an input. Behind its end there are zeros and empty texts, so that every input is one.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((byte, rest)) => {
                self.0 = rest;
                *byte
            }
            None => 0,
        }
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from(self.u16()) | u32::from(self.u16()) << 16
    }

    /// The next part, as text.
    pub(crate) fn text(&mut self) -> String {
        let end = self.0.iter().position(|byte| *byte == SEPARATOR);
        let part = &self.0[..end.unwrap_or(self.0.len())];
        self.0 = end.map_or(&[], |end| &self.0[end + 1..]);
        String::from_utf8_lossy(part).into_owned()
    }

    /// The next part as header fields, a line each.
    pub(crate) fn headers(&mut self) -> Vec<(String, Vec<u8>)> {
        let end = self.0.iter().position(|byte| *byte == SEPARATOR);
        let part = &self.0[..end.unwrap_or(self.0.len())];
        self.0 = end.map_or(&[], |end| &self.0[end + 1..]);
        let field = |line: &[u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = String::from_utf8_lossy(&line[..colon]).into_owned();
            Some((name, line[colon + 1..].to_vec()))
        };
        part.split(|byte| *byte == b'\n')
            .filter_map(field)
            .collect()
    }

    /// Everything that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Most bytes of a body that are also tried one by one.
const ONE_BY_ONE: usize = 512;

/// The ways in which a body comes: in one piece, byte by byte where it is short, and cut by `choice`.
pub(crate) fn cuts(body: &[u8], choice: u32) -> Vec<Vec<&[u8]>> {
    let mut ways = vec![vec![body]];
    if body.len() <= ONE_BY_ONE {
        ways.push(body.chunks(1).collect());
    }
    ways.push(match choice % 2 {
        0 => {
            let at = choice as usize / 2 % (body.len() + 1);
            vec![&body[..at], &body[at..]]
        }
        _ => pieces(body, choice),
    });
    ways
}

/// Pieces of random lengths from 0 on, empty ones among them.
fn pieces(mut body: &[u8], seed: u32) -> Vec<&[u8]> {
    let longest = [4, 16, 64, 1024][seed as usize / 2 % 4];
    let mut state = u64::from(seed) | 1 << 40;
    let mut pieces = Vec::new();
    while !body.is_empty() {
        // xorshift
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let length = (state as usize >> 8) % (longest + 1);
        let (piece, rest) = body.split_at(length.min(body.len()));
        pieces.push(piece);
        body = rest;
    }
    pieces
}
