//! What host and compiler's process say to each other: one order, one reply.

use std::io::{self, Read, Write};

/// First bytes of an order and of a reply; the number is the version.
const MAGIC: &[u8; 8] = b"llmphw\0\x01";

/// Bytes of an order before the component.
const ORDER_LEN: usize = MAGIC.len() + 3 * 8;

/// What the process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) memory_bytes: u64,
    pub(super) cpu_seconds: u64,
    pub(super) output_bytes: u64,
}

impl Order {
    /// Writes the order and the component.
    pub(super) fn write(&self, component: &[u8], mut to: impl Write) -> io::Result<()> {
        to.write_all(MAGIC)?;
        for number in [self.memory_bytes, self.cpu_seconds, self.output_bytes] {
            to.write_all(&number.to_le_bytes())?;
        }
        to.write_all(component)?;
        to.flush()
    }

    /// Reads the order; none: what came is no order. The component follows.
    pub(super) fn read(mut from: impl Read) -> io::Result<Option<Self>> {
        let mut bytes = [0; ORDER_LEN];
        from.read_exact(&mut bytes)?;
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            return Ok(None);
        };
        let mut numbers = rest.chunks_exact(8).map(|eight| {
            let mut number = [0; 8];
            number.copy_from_slice(eight);
            u64::from_le_bytes(number)
        });
        let mut next = || numbers.next().unwrap_or_default();
        Ok(Some(Self {
            memory_bytes: next(),
            cpu_seconds: next(),
            output_bytes: next(),
        }))
    }
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// Machine code.
    Code(Vec<u8>),
    /// The component is at fault, in the compiler's words.
    Refused(String),
    /// The memory was not enough.
    Memory,
    /// There is more machine code than was ordered: this many bytes.
    Output(u64),
    /// The process could not do its work.
    Failed(String),
}

impl Reply {
    /// Bytes of a reply before what it holds.
    pub(super) const HEAD: usize = MAGIC.len() + 1;

    pub(super) fn write(&self, mut to: impl Write) -> io::Result<()> {
        let number;
        let (tag, content): (u8, &[u8]) = match self {
            Self::Code(code) => (0, code),
            Self::Refused(why) => (1, why.as_bytes()),
            Self::Memory => (2, &[]),
            Self::Output(bytes) => {
                number = bytes.to_le_bytes();
                (3, &number)
            }
            Self::Failed(why) => (4, why.as_bytes()),
        };
        to.write_all(MAGIC)?;
        to.write_all(&[tag])?;
        to.write_all(content)?;
        to.flush()
    }

    /// A whole reply; none: what came is no reply.
    pub(super) fn parse(mut bytes: Vec<u8>) -> Option<Self> {
        let (tag, content) = bytes.strip_prefix(MAGIC)?.split_first()?;
        let text = || String::from_utf8_lossy(content).into_owned();
        Some(match tag {
            0 => {
                bytes.drain(..Self::HEAD);
                Self::Code(bytes)
            }
            1 => Self::Refused(text()),
            2 => Self::Memory,
            3 => Self::Output(u64::from_le_bytes(content.try_into().ok()?)),
            4 => Self::Failed(text()),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else_is_taken_for_it() {
        let order = Order {
            memory_bytes: 1,
            cpu_seconds: u64::MAX,
            output_bytes: 3,
        };
        let mut bytes = Vec::new();
        order.write(b"component", &mut bytes).unwrap();
        let mut rest = &bytes[..];
        assert_eq!(Order::read(&mut rest).unwrap(), Some(order));
        assert_eq!(rest, b"component");
        bytes[0] ^= 1;
        assert_eq!(Order::read(&bytes[..]).unwrap(), None);
        assert!(Order::read(&bytes[..ORDER_LEN - 1]).is_err());

        for reply in [
            Reply::Code(vec![1, 2, 3]),
            Reply::Code(Vec::new()),
            Reply::Refused("why".into()),
            Reply::Memory,
            Reply::Output(7),
            Reply::Failed("how".into()),
        ] {
            let mut bytes = Vec::new();
            reply.write(&mut bytes).unwrap();
            assert_eq!(Reply::parse(bytes), Some(reply));
        }
        for bytes in [
            &b""[..],
            b"Hello",
            MAGIC,
            b"llmphw\0\x01\x09",
            b"llmphw\0\x01\x03no",
        ] {
            assert_eq!(Reply::parse(bytes.to_vec()), None, "{bytes:?}");
        }
    }
}
