//! Fetches a file over HTTP with nothing but the standard library, every wait bounded.
//!
//! In goes an address, out come the bytes; whether they are the right ones the caller judges by their SHA-256, which is
//! why plain HTTP does. An `https` address is handed to `curl`. `http_proxy` and `no_proxy` are respected.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use sha2::{Digest, Sha256};

use super::bounded;

const CONNECT: Duration = Duration::from_secs(10);
/// How long the other side may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// The longest a whole transfer may take.
const TRANSFER: Duration = Duration::from_secs(600);
const REDIRECTS: usize = 4;
/// Longest accepted response head in bytes.
const HEAD_LIMIT: u64 = 64 << 10;
/// Largest accepted body in bytes: ten times what is fetched today.
const BODY_LIMIT: u64 = 512 << 20;

/// The body at `address`.
pub(crate) fn to_memory(address: &str) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    copy(address, &mut body)?;
    Ok(body)
}

/// Writes the body at `address` to `file` and checks that its SHA-256 is `sha256`.
pub(crate) fn to_file(address: &str, file: &Path, sha256: &str) -> Result<()> {
    let mut sink = Hashing {
        file: File::create(file)?,
        digest: Sha256::new(),
    };
    copy(address, &mut sink).with_context(|| format!("fetching {address}"))?;
    let found: String = sink
        .digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    ensure!(
        found == sha256,
        "{address} has SHA-256 {found}, expected {sha256}: not used"
    );
    Ok(())
}

struct Hashing {
    file: File,
    digest: Sha256,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn copy(address: &str, sink: &mut dyn Write) -> Result<()> {
    let mut address = address.to_owned();
    for _ in 0..=REDIRECTS {
        if address.starts_with("https://") {
            return by_curl(&address, sink);
        }
        match get(&address, sink)? {
            None => return Ok(()),
            Some(next) => address = next,
        }
    }
    bail!("more than {REDIRECTS} redirects")
}

fn by_curl(address: &str, sink: &mut dyn Write) -> Result<()> {
    let mut curl = Command::new("curl");
    curl.args([
        "-fsSL",
        "--proto",
        "=https,http",
        "--connect-timeout",
        "10",
        "--speed-time",
        "30",
    ]);
    curl.args(["--speed-limit", "1", "--max-filesize"])
        .arg(BODY_LIMIT.to_string())
        .arg(address);
    let output =
        bounded::output(&mut curl, TRANSFER).context("an https address needs the program curl")?;
    ensure!(
        output.status.success(),
        "curl: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(sink.write_all(&output.stdout)?)
}

/// One exchange. Gives the next address if the answer is a redirect.
fn get(address: &str, sink: &mut dyn Write) -> Result<Option<String>> {
    let (host, path) = split(address)?;
    let proxy = proxy_for(host, |name| std::env::var(name).ok());
    let (server, target) = match &proxy {
        Some(proxy) => (split(proxy)?.0, address),
        None => (host, path),
    };
    let deadline = Instant::now() + TRANSFER;
    let mut stream = connect(server).with_context(|| format!("connecting to {server}"))?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    // Not version 1.0, simpler though its bodies are: some mirrors answer it with 426.
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )?;
    let mut reader = BufReader::new(stream);
    let head = read_head(&mut reader)?;
    match head.status {
        200 => {}
        301 | 302 | 303 | 307 | 308 => {
            let next = head
                .location
                .ok_or_else(|| anyhow!("a redirect without a Location"))?;
            let absolute = if next.starts_with('/') {
                format!("http://{host}{next}")
            } else {
                next
            };
            return Ok(Some(absolute));
        }
        status => bail!("the server answered with status {status}"),
    }
    let mut body = Body {
        sink,
        received: 0,
        deadline,
    };
    match head.length {
        _ if head.chunked => body.chunks(&mut reader)?,
        Some(length) => body.exactly(&mut reader, length)?,
        None => {
            body.up_to(&mut reader, u64::MAX)?;
        }
    }
    Ok(None)
}

/// What has been received of a body, held to the limits however it is framed.
struct Body<'a> {
    sink: &'a mut dyn Write,
    received: u64,
    deadline: Instant,
}

impl Body<'_> {
    /// Reads until `limit` bytes have come or the connection ends, and says how many it were.
    fn up_to(&mut self, reader: &mut impl BufRead, limit: u64) -> Result<u64> {
        let mut taken = reader.take(limit);
        let mut buffer = vec![0; 64 << 10];
        let mut total = 0;
        loop {
            let n = taken.read(&mut buffer).context("reading the body")?;
            if n == 0 {
                return Ok(total);
            }
            total += n as u64;
            self.received += n as u64;
            ensure!(
                self.received <= BODY_LIMIT,
                "the body is larger than {BODY_LIMIT} bytes"
            );
            ensure!(
                Instant::now() < self.deadline,
                "not complete after {} s",
                TRANSFER.as_secs()
            );
            self.sink.write_all(&buffer[..n])?;
        }
    }

    fn exactly(&mut self, reader: &mut impl BufRead, length: u64) -> Result<()> {
        let received = self.up_to(reader, length)?;
        ensure!(received == length, "cut after {received} of {length} bytes");
        Ok(())
    }

    /// RFC 9112 section 7.1; extensions and trailers are read over.
    fn chunks(&mut self, reader: &mut impl BufRead) -> Result<()> {
        loop {
            let line = chunk_line(reader)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16)
                .with_context(|| format!("not a chunk's size: {line:?}"))?;
            if size == 0 {
                return Ok(());
            }
            self.exactly(reader, size)?;
            ensure!(
                chunk_line(reader)?.is_empty(),
                "a chunk is longer than its size"
            );
        }
    }
}

fn chunk_line(reader: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    reader
        .take(HEAD_LIMIT)
        .read_line(&mut line)
        .context("reading a chunk's size")?;
    ensure!(line.ends_with('\n'), "cut between two chunks");
    Ok(line.trim_end().to_owned())
}

struct Head {
    status: u16,
    length: Option<u64>,
    chunked: bool,
    location: Option<String>,
}

fn read_head(reader: &mut impl BufRead) -> Result<Head> {
    let mut lines = reader.take(HEAD_LIMIT).lines();
    let mut line = || {
        lines
            .next()
            .transpose()
            .context("reading the answer")?
            .context("the answer ends in its head")
    };
    let first = line()?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("not an HTTP answer: {first:?}"))?;
    let mut head = Head {
        status,
        length: None,
        chunked: false,
        location: None,
    };
    loop {
        let line = line()?;
        if line.is_empty() {
            return Ok(head);
        }
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => head.length = value.trim().parse().ok(),
            "location" => head.location = Some(value.trim().to_owned()),
            "transfer-encoding" => head.chunked = value.trim().eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
}

/// Resolving has no time-out of its own, so it happens on a thread that is left behind if it takes too long.
fn connect(server: &str) -> Result<TcpStream> {
    let name = if server.contains(':') {
        server.to_owned()
    } else {
        format!("{server}:80")
    };
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        sender.send(name.to_socket_addrs().map(Iterator::collect::<Vec<_>>))
    });
    let addresses = receiver
        .recv_timeout(CONNECT)
        .context("its name is not resolved in time")??;
    let mut last = anyhow!("its name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = anyhow!("{address}: {error}"),
        }
    }
    Err(last)
}

/// `host[:port]` and `/path` of an `http` address.
fn split(address: &str) -> Result<(&str, &str)> {
    let rest = address
        .strip_prefix("http://")
        .with_context(|| format!("not an http address: {address}"))?;
    let (host, path) = rest
        .find('/')
        .map_or((rest, "/"), |slash| rest.split_at(slash));
    ensure!(
        !host.is_empty() && !host.contains('@'),
        "no plain host in {address}"
    );
    ensure!(
        !address.contains(|c: char| c.is_whitespace() || c.is_control()),
        "a blank in {address:?}"
    );
    Ok((host, path))
}

fn proxy_for(host: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let host = host.split(':').next().unwrap_or(host);
    let excepted = variable("no_proxy")
        .or_else(|| variable("NO_PROXY"))
        .unwrap_or_default();
    let direct = excepted
        .split(',')
        .map(|entry| entry.trim().trim_start_matches('.'))
        .any(|entry| {
            let is_below = || {
                host.strip_suffix(entry)
                    .is_some_and(|before| before.ends_with('.'))
            };
            entry == "*" || (!entry.is_empty() && (host == entry || is_below()))
        });
    // Upper-case HTTP_PROXY is not read: a CGI request can set it (httpoxy).
    let proxy = variable("http_proxy").filter(|proxy| !direct && !proxy.is_empty())?;
    Some(if proxy.contains("://") {
        proxy
    } else {
        format!("http://{proxy}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server that gives one answer per connection, in order.
    fn server(answers: Vec<String>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = BufReader::new(stream.try_clone().unwrap()).lines();
                while !request.next().unwrap().unwrap().is_empty() {}
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        host
    }

    fn fetched(answers: &[&str]) -> Result<String> {
        let host = server(answers.iter().map(|answer| (*answer).to_owned()).collect());
        let mut body = Vec::new();
        let mut address = format!("http://{host}/file");
        while let Some(next) = get(&address, &mut body)? {
            address = next;
        }
        Ok(String::from_utf8(body)?)
    }

    #[test]
    fn a_body_is_read_and_a_redirect_is_followed() {
        let moved = "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\n\r\n";
        let found = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";
        assert_eq!(fetched(&[moved, found]).unwrap(), "body");
        assert_eq!(
            fetched(&["HTTP/1.0 200 OK\r\n\r\nopen end"]).unwrap(),
            "open end"
        );
    }

    #[test]
    fn a_chunked_body_is_put_together() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nbody\r\n1\r\n!\r\n0\r\n\r\n";
        assert_eq!(fetched(&[chunked]).unwrap(), "body!");
    }

    #[test]
    fn answers_that_are_not_the_whole_file_are_errors() {
        let cases = [
            ("HTTP/1.1 404 Not Found\r\n\r\n", "status 404"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut",
                "cut after 3 of 9",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ncut",
                "cut after 3 of 9",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
                "cut between",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
                "longer than its size",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
                "not a chunk's size",
            ),
            ("HTTP/1.1 302 Found\r\n\r\n", "without a Location"),
            ("nonsense\r\n\r\n", "not an HTTP answer"),
            ("HTTP/1.1 200 OK\r\n", "ends in its head"),
        ];
        for (answer, expected) in cases {
            let error = format!("{:#}", fetched(&[answer]).unwrap_err());
            assert!(error.contains(expected), "{answer:?}: {error}");
        }
    }

    #[test]
    fn a_file_with_another_digest_is_refused() {
        let host = server(vec!["HTTP/1.1 200 OK\r\n\r\nabc".to_owned(); 2]);
        let file = std::env::temp_dir().join(format!("xtask-{}-digest", std::process::id()));
        let address = format!("http://{host}/f");
        let error = to_file(&address, &file, &"0".repeat(64))
            .unwrap_err()
            .to_string();
        assert!(error.contains("not used"), "{error}");
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        to_file(&address, &file, abc).unwrap();
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn the_proxy_is_used_unless_the_host_is_excepted() {
        let cases = [
            (Some("http://proxy:3128"), None, Some("http://proxy:3128")),
            (
                Some("proxy:3128"),
                Some("example.net"),
                Some("http://proxy:3128"),
            ),
            (Some("proxy:3128"), Some("other, .example.org"), None),
            (Some("proxy:3128"), Some("mirror.example.org"), None),
            (
                Some("proxy:3128"),
                Some("ple.org"),
                Some("http://proxy:3128"),
            ),
            (Some("proxy:3128"), Some("*"), None),
            (Some(""), None, None),
            (None, None, None),
        ];
        for (proxy, excepted, expected) in cases {
            let variable = |name: &str| match name {
                "http_proxy" => proxy.map(str::to_owned),
                "no_proxy" => excepted.map(str::to_owned),
                _ => None,
            };
            assert_eq!(
                proxy_for("mirror.example.org:80", variable).as_deref(),
                expected,
                "{excepted:?}"
            );
        }
    }
}
