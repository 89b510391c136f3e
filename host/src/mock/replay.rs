//! Recorded exchanges, served again byte for byte.
//!
//! A case is a folder with `response.raw` (status line, headers, framing, body),
//! perhaps `request.http` (which method and path it answers) and `meta.json`
//! (how the connection ended). The bytes are written as they are, cut where the
//! dice say, because a client must not care where a network cuts.

use super::dice::Dice;
use bytes::Bytes;
use std::io;
use std::path::{Path, PathBuf};

/// Recorded exchanges to serve instead of the script.
#[derive(Clone, Debug)]
pub struct Replay {
    /// A case, or a folder of cases.
    pub dir: PathBuf,
    /// Which case answers a chat.
    pub pick: Pick,
    /// Seed of the cuts.
    pub seed: u64,
    /// How the bytes are cut into writes.
    pub cut: Cut,
}

impl Replay {
    /// All cases of `dir`, picked by the model's name, cut at random.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Replay {
            dir: dir.into(),
            pick: Pick::ByModel,
            seed: 0,
            cut: Cut::Random,
        }
    }
}

/// Which case answers a chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pick {
    /// The case named as the request's `model` (or its `x-mock-case` header); a
    /// single case always.
    #[default]
    ByModel,
    /// One after the other in the order of their names, over and over.
    Sequence,
}

/// How the bytes are cut into writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// Pieces of random length, most of them short.
    #[default]
    Random,
    /// One write.
    Whole,
    /// A write for every byte.
    EveryByte,
}

/// What the server did with the connection after the last recorded byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It stayed usable: the answer was complete.
    KeepAlive,
    /// It was closed.
    Close,
    /// It stayed open and silent in the middle of an answer.
    Silent,
}

/// One recorded exchange.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) raw: Bytes,
    pub(crate) ending: Ending,
}

impl Case {
    fn load(dir: &Path, name: String) -> io::Result<Option<Case>> {
        let Ok(raw) = std::fs::read(dir.join("response.raw")) else {
            return Ok(None);
        };
        let request = std::fs::read(dir.join("request.http")).unwrap_or_default();
        let meta = std::fs::read(dir.join("meta.json")).unwrap_or_default();
        Ok(Some(Case::new(name, &request, raw.into(), &meta)))
    }

    /// A case from what stands in its three files.
    pub(crate) fn new(name: String, request: &[u8], raw: Bytes, meta: &[u8]) -> Case {
        let line =
            String::from_utf8_lossy(request.split(|b| *b == b'\r').next().unwrap_or_default())
                .into_owned();
        let mut words = line.split(' ');
        let method = words
            .next()
            .filter(|m| !m.is_empty())
            .unwrap_or("POST")
            .to_owned();
        let path = words.next().unwrap_or("/v1/chat/completions").to_owned();
        let meta: serde_json::Value = serde_json::from_slice(meta).unwrap_or_default();
        let end = meta
            .pointer("/timing/end")
            .and_then(serde_json::Value::as_str);
        // Where not one byte came, the client had left first: there is no silence
        // to replay, only a connection without an answer.
        let ending = if raw.is_empty() {
            Ending::Close
        } else if end.is_some_and(|end| end.starts_with("Timeout")) {
            Ending::Silent
        } else if complete(&raw) {
            Ending::KeepAlive
        } else {
            Ending::Close
        };
        Case {
            name,
            method,
            path,
            raw,
            ending,
        }
    }

    /// Whether it answers a chat.
    pub(crate) fn is_chat(&self) -> bool {
        self.method == "POST" && self.path == super::CHAT_PATH
    }
}

/// Whether a response leaves its connection usable: it says where it ends, it
/// does end there, and it does not say `connection: close`.
fn complete(raw: &[u8]) -> bool {
    let Some(head_end) = raw.windows(4).position(|w| w == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&raw[..head_end]).to_ascii_lowercase();
    if head.contains("\r\nconnection: close") {
        return false;
    }
    if head.contains("\r\ntransfer-encoding: chunked") {
        return raw.ends_with(b"\r\n0\r\n\r\n");
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    length.and_then(|n| n.trim().parse::<usize>().ok()) == Some(raw.len() - head_end - 4)
}

/// The cases of a replay, in the order of their names.
#[derive(Debug)]
pub(crate) struct Cases {
    cases: Vec<Case>,
    pick: Pick,
    cut: Cut,
    next: usize,
    dice: Dice,
}

impl Cases {
    /// Reads the cases from disk.
    ///
    /// # Errors
    /// When the folder cannot be read or has no case in it.
    pub(crate) fn load(replay: &Replay) -> io::Result<Cases> {
        Ok(Cases {
            cases: read(&replay.dir)?,
            pick: replay.pick,
            cut: replay.cut,
            next: 0,
            dice: Dice::new(replay.seed),
        })
    }

    /// The names of the chat cases: what `GET /v1/models` lists.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.cases
            .iter()
            .filter(|c| c.is_chat())
            .map(|c| c.name.as_str())
            .collect()
    }

    /// The case that answers a request, or none. `name` is the model asked for.
    pub(crate) fn find(&mut self, method: &str, path: &str, name: Option<&str>) -> Option<Case> {
        let chat = method == "POST" && path == super::CHAT_PATH;
        if !chat {
            // Models are listed by the mock, so that every case has a name to ask for.
            let listed = path == super::MODELS_PATH && self.cases.iter().any(Case::is_chat);
            return self
                .cases
                .iter()
                .find(|c| !listed && c.method == method && c.path == path)
                .cloned();
        }
        let chats: Vec<&Case> = self.cases.iter().filter(|c| c.is_chat()).collect();
        if self.pick == Pick::Sequence && !chats.is_empty() {
            let case = chats[self.next % chats.len()].clone();
            self.next += 1;
            return Some(case);
        }
        match chats.as_slice() {
            [only] => Some((*only).clone()),
            many => many
                .iter()
                .find(|c| Some(c.name.as_str()) == name)
                .map(|c| (*c).clone()),
        }
    }

    /// Lengths of the writes for `total` bytes.
    pub(crate) fn cuts(&mut self, total: usize) -> Vec<usize> {
        let mut left = total;
        let mut out = Vec::new();
        while left > 0 {
            let length = match self.cut {
                Cut::Whole => left,
                Cut::EveryByte => 1,
                // One in eight is long enough for several events.
                Cut::Random if self.dice.below(8) == 0 => 1 + self.dice.below(2048),
                Cut::Random => 1 + self.dice.below(64),
            };
            let length = length.min(left);
            out.push(length);
            left -= length;
        }
        out
    }
}

/// A case, or all cases of a folder, in the order of their names.
///
/// # Errors
/// When the folder cannot be read or has no case in it.
pub(crate) fn read(dir: &Path) -> io::Result<Vec<Case>> {
    let mut cases = Vec::new();
    let own = dir
        .file_name()
        .map_or_else(|| "case".to_owned(), |n| n.to_string_lossy().into_owned());
    if let Some(case) = Case::load(dir, own)? {
        cases.push(case);
    } else {
        collect(dir, "", 0, &mut cases)?;
    }
    if cases.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!(
                "no recorded case in {}: a case is a folder with a response.raw in it",
                dir.display()
            ),
        ));
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

fn collect(dir: &Path, prefix: &str, depth: usize, cases: &mut Vec<Case>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        let own = path
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let name = format!("{prefix}{own}");
        match Case::load(&path, name.clone())? {
            Some(case) => cases.push(case),
            // Some cases have several exchanges, one folder deeper.
            None if depth < 2 => collect(&path, &format!("{name}/"), depth + 1, cases)?,
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_keeps_its_connection_only_if_it_is_complete() {
        let cases: [(&[u8], bool); 6] = [
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
                true,
            ),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n",
                false,
            ),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab", true),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", false),
            (
                b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab",
                false,
            ),
            (b"HTTP/1.1 200 OK\r\n", false),
        ];
        for (raw, keeps) in cases {
            assert_eq!(complete(raw), keeps, "{}", String::from_utf8_lossy(raw));
        }
    }
}
