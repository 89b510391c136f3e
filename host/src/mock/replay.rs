//! Recorded exchanges, served again byte for byte.
//!
//! A case is a folder with `response.raw` (status line, headers, framing, body),
//! perhaps `request.http` (which method and path it answers) and `meta.json`
//! (how the connection ended). The bytes are written as they are, cut where the
//! dice say, because a client must not care where a network cuts.

use super::dice::Dice;
use super::meta::Meta;
use crate::file::{Entry, FileError, Folder};
use bytes::Bytes;
use std::io;
use std::path::{Path, PathBuf};

/// Most bytes of a recorded answer: 32 MiB. The longest one in this repository has 100 KiB.
pub(crate) const MAX_RESPONSE_BYTES: u64 = 32 << 20;

/// Most bytes of a recorded request: 4 MiB.
const MAX_REQUEST_BYTES: u64 = 4 << 20;

/// Most bytes of what is noted of an exchange: 1 MiB.
const MAX_META_BYTES: u64 = 1 << 20;

/// Most bytes of all files of a replay together: 256 MiB. They are held in memory.
const MAX_TOTAL_BYTES: u64 = 256 << 20;

/// Most cases of a replay.
const MAX_CASES: usize = 10_000;

/// Folders between the one that is named and that of a case.
const MAX_DEPTH: usize = 2;

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
    /// The host that was asked, with its port if it has one.
    pub(crate) host: Option<String>,
    pub(crate) raw: Bytes,
    pub(crate) ending: Ending,
}

impl Case {
    /// A case from what stands in its three files. An empty one is as one that is not there.
    ///
    /// # Errors
    /// `meta` is not what a `meta.json` may be, and why.
    pub(crate) fn new(
        name: String,
        request: &[u8],
        raw: Bytes,
        meta: &[u8],
    ) -> Result<Case, String> {
        let Target { method, path, host } = Target::read(request);
        let meta = Meta::read(meta)?;
        // Where not one byte came, the client had left first: there is no silence
        // to replay, only a connection without an answer.
        let ending = if raw.is_empty() {
            Ending::Close
        } else if meta.is_silent {
            Ending::Silent
        } else if complete(&raw) {
            Ending::KeepAlive
        } else {
            Ending::Close
        };
        Ok(Case {
            name,
            method,
            path,
            host,
            raw,
            ending,
        })
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

/// What a recorded request asked, and whom.
struct Target {
    method: String,
    path: String,
    host: Option<String>,
}

impl Target {
    /// Reads a request's first line and its `host`. A client that goes through a proxy names the
    /// whole URL in that line.
    fn read(request: &[u8]) -> Target {
        let head = request.windows(4).position(|four| four == b"\r\n\r\n");
        let head = String::from_utf8_lossy(&request[..head.unwrap_or(request.len())]);
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let method = words.next().filter(|method| !method.is_empty());
        let target = words.next().unwrap_or(super::CHAT_PATH);
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            let is_host = name.eq_ignore_ascii_case("host");
            is_host.then(|| value.trim().to_owned())
        };
        let host = lines.find_map(field).filter(|host| !host.is_empty());
        let url = ["http://", "https://"]
            .iter()
            .find_map(|scheme| target.strip_prefix(scheme));
        let (path, host) = match url {
            None => (target, host),
            Some(url) => {
                let (authority, path) = url.split_at(url.find('/').unwrap_or(url.len()));
                let path = if path.is_empty() { "/" } else { path };
                (path, Some(authority.to_owned()))
            }
        };
        Target {
            method: method.unwrap_or("POST").to_owned(),
            path: path.to_owned(),
            host,
        }
    }
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
/// The folder may come from somebody else: no link is followed below it, each file is a regular one
/// within its bound, and so are all of them together.
///
/// # Errors
/// When the folder cannot be read, has no case in it, or has something in it that is not read.
pub(crate) fn read(dir: &Path) -> io::Result<Vec<Case>> {
    let found = read_beside(dir, None)?.into_iter();
    Ok(found.map(|found| found.case).collect())
}

/// A case of a folder, and what a further file of it holds.
pub(crate) struct Found {
    pub(crate) case: Case,
    /// The content of the file that was asked for, if there is one.
    pub(crate) beside: Option<Vec<u8>>,
}

/// The same with a further file of each case, by its name and the most bytes of it.
pub(crate) fn read_beside(
    dir: &Path,
    beside: Option<(&'static str, u64)>,
) -> io::Result<Vec<Found>> {
    let mut reader = Reader {
        beside,
        found: Vec::new(),
        bytes: 0,
    };
    let own = dir
        .file_name()
        .map_or_else(|| "case".to_owned(), |n| n.to_string_lossy().into_owned());
    let folder = Folder::open(dir).map_err(FileError::into_io)?;
    if !reader.case(&folder, &own)? {
        reader.collect(&folder, "", 0)?;
    }
    let mut found = reader.found;
    if found.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!(
                "no recorded case in {}: a case is a folder with a response.raw in it",
                dir.display()
            ),
        ));
    }
    found.sort_by(|a, b| a.case.name.cmp(&b.case.name));
    Ok(found)
}

struct Reader {
    beside: Option<(&'static str, u64)>,
    found: Vec<Found>,
    /// Bytes of what was read so far.
    bytes: u64,
}

impl Reader {
    /// Reads a folder as a case; false: it is none.
    fn case(&mut self, folder: &Folder, name: &str) -> io::Result<bool> {
        let Some(raw) = self.file(folder, "response.raw", MAX_RESPONSE_BYTES)? else {
            return Ok(false);
        };
        if self.found.len() == MAX_CASES {
            return Err(refused(
                folder.path(),
                format!("there are more than {MAX_CASES} recorded cases"),
            ));
        }
        let request = self.file(folder, "request.http", MAX_REQUEST_BYTES)?;
        let meta = self.file(folder, "meta.json", MAX_META_BYTES)?;
        let beside = match self.beside {
            Some((name, most)) => self.file(folder, name, most)?,
            None => None,
        };
        let (request, meta) = (request.unwrap_or_default(), meta.unwrap_or_default());
        let case = Case::new(name.to_owned(), &request, raw.into(), &meta);
        let case = case.map_err(|why| refused(&folder.path().join("meta.json"), why))?;
        self.found.push(Found { case, beside });
        Ok(true)
    }

    /// Reads a file of a case; none: there is no such file.
    fn file(&mut self, folder: &Folder, name: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
        let path = || folder.path().join(name);
        let bytes = folder.read(name, most);
        let bytes = bytes.map_err(|error| refused(&path(), error.to_string()))?;
        self.bytes += bytes.as_ref().map_or(0, Vec::len) as u64;
        if self.bytes > MAX_TOTAL_BYTES {
            return Err(refused(
                &path(),
                format!("with it, the recorded cases have more than {MAX_TOTAL_BYTES} bytes"),
            ));
        }
        Ok(bytes)
    }

    fn collect(&mut self, folder: &Folder, prefix: &str, depth: usize) -> io::Result<()> {
        let names = folder.names();
        for own in names.map_err(|error| refused(folder.path(), error.to_string()))? {
            let path = folder.path().join(&own);
            let entry = folder.entry(&own);
            let below = match entry.map_err(|error| refused(&path, error.to_string()))? {
                Entry::Folder(below) => below,
                Entry::Other => continue,
            };
            let own = own.to_str().filter(|own| !own.contains(char::is_control));
            let Some(own) = own else {
                let why = "a case is named by plain text".to_owned();
                return Err(refused(&path, why));
            };
            let name = format!("{prefix}{own}");
            // Some cases have several exchanges, one folder deeper.
            if !self.case(&below, &name)? && depth < MAX_DEPTH {
                self.collect(&below, &format!("{name}/"), depth + 1)?;
            }
        }
        Ok(())
    }
}

fn refused(path: &Path, why: String) -> io::Error {
    let what = format!(
        "could not read {}: {why}",
        path.display().to_string().escape_debug()
    );
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_its_path_and_its_server() {
        let cases: [(&[u8], &str, &str, Option<&str>); 5] = [
            (b"", "POST", "/v1/chat/completions", None),
            (
                b"GET /v1/models?a=b HTTP/1.1\r\nHost: h:80\r\n\r\n",
                "GET",
                "/v1/models?a=b",
                Some("h:80"),
            ),
            (
                b"POST http://h:81/x/chat HTTP/1.1\r\naccept: */*\r\nhost: p\r\n\r\n",
                "POST",
                "/x/chat",
                Some("h:81"),
            ),
            (b"GET https://h HTTP/1.1\r\n\r\n", "GET", "/", Some("h")),
            (
                b"POST /x HTTP/1.1\r\n\r\nhost: in the body",
                "POST",
                "/x",
                None,
            ),
        ];
        for (request, method, path, host) in cases {
            let found = Target::read(request);
            let found = (&*found.method, &*found.path, found.host.as_deref());
            assert_eq!(found, (method, path, host), "{}", request.escape_ascii());
        }
    }

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
