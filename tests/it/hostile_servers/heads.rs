//! Attacks by the head of an answer: its time, its size, its form, its status.

use std::net::SocketAddr;
use std::time::Duration;

use super::scripted::{ANSWER, Reads, Step, events, with_length};
use super::{Attack, Call, Ends, attack, send};

const STEP: Duration = Duration::from_millis(20);

fn honest() -> String {
    with_length("text/event-stream", &events(ANSWER))
}

/// An answer with other lines behind the status line.
fn with_lines(lines: &str) -> String {
    honest().replacen("\r\n", &format!("\r\n{lines}"), 1)
}

pub(super) fn attacks(elsewhere: SocketAddr) -> Vec<Attack> {
    let mut all = vec![
        attack(
            "silent-head",
            "takes the request and says nothing",
            vec![Step::Silence],
            Ends::In("timeout"),
        )
        .first_byte_short(),
        attack(
            "slow-head",
            "a byte of the head every 20 ms, without end",
            vec![
                send("HTTP/1.1 200 OK\r\n"),
                Step::Drip(b"a: b\r\n".to_vec(), STEP),
            ],
            Ends::In("timeout"),
        )
        .first_byte_short(),
        attack(
            "slow-interim-answers",
            "a byte of `100 Continue` every 20 ms, without end",
            vec![Step::Drip(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), STEP)],
            Ends::In("timeout"),
        )
        .first_byte_short(),
        attack(
            "endless-head",
            "header fields without end",
            vec![
                send("HTTP/1.1 200 OK\r\n"),
                Step::Flood(b"a: b\r\n".to_vec()),
            ],
            Ends::In("protocol"),
        ),
        attack(
            "endless-header-line",
            "a header field without end",
            vec![send("HTTP/1.1 200 OK\r\na: "), Step::Flood(b"b".to_vec())],
            Ends::In("protocol"),
        ),
        attack(
            "endless-reason",
            "a reason phrase without end",
            vec![send("HTTP/1.1 200 "), Step::Flood(b"OK ".to_vec())],
            Ends::In("protocol"),
        ),
        attack(
            "endless-empty-lines",
            "empty lines in the place of a status line, without end",
            vec![Step::Flood(b"\r\n".to_vec())],
            Ends::In("protocol"),
        ),
        attack(
            "thousands-of-header-fields",
            "5,000 header fields of a byte",
            vec![send(with_lines(&"a:\r\n".repeat(5_000)))],
            Ends::In("protocol"),
        ),
        attack(
            "large-head",
            "60 KiB of header fields, which is allowed",
            vec![send(with_lines(
                &format!("a: {}\r\n", "b".repeat(3_000)).repeat(20),
            ))],
            Ends::Harmless,
        ),
        attack(
            "endless-continue",
            "`100 Continue` without end",
            vec![Step::Flood(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())],
            Ends::In("protocol"),
        ),
        attack(
            "endless-early-hints",
            "`103 Early Hints` of 60 KiB, without end",
            vec![Step::Flood(
                format!(
                    "HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n",
                    "x".repeat(60_000)
                )
                .into(),
            )],
            Ends::In("protocol"),
        ),
        attack(
            "some-interim-answers",
            "`100 Continue` and `103 Early Hints` before the answer",
            vec![send(format!(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n{}",
                honest()
            ))],
            Ends::Harmless,
        ),
        attack(
            "switching-protocols",
            "`101 Switching Protocols` to a web socket",
            vec![
                send(
                    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
                ),
                Step::Silence,
            ],
            Ends::In("protocol"),
        ),
        attack(
            "http-0.9",
            "the events alone, without a head",
            vec![send(events(ANSWER)), Step::Close],
            Ends::In("protocol"),
        ),
        attack(
            "http-2",
            "the frames of HTTP/2",
            vec![
                send(
                    b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff"
                        .to_vec(),
                ),
                Step::Close,
            ],
            Ends::In("protocol"),
        ),
        attack(
            "another-protocol",
            "the greeting of SSH",
            vec![send("SSH-2.0-OpenSSH_9.6\r\n"), Step::Close],
            Ends::In("protocol"),
        ),
        attack(
            "http-1.0",
            "HTTP/1.0, an answer that ends with its connection",
            vec![
                send(format!(
                    "HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{}",
                    events(ANSWER)
                )),
                Step::Close,
            ],
            Ends::Harmless,
        ),
        attack(
            "http-1.0-chunked",
            "chunks in HTTP/1.0, which does not know them",
            vec![send(
                "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            )],
            Ends::In("protocol"),
        ),
        attack(
            "http-9.9",
            "a version that there is not",
            vec![send(honest().replacen("HTTP/1.1", "HTTP/9.9", 1))],
            Ends::In("protocol"),
        ),
        attack(
            "folded-header",
            "a header field over two lines",
            vec![send(with_lines("a: b\r\n c\r\n"))],
            Ends::In("protocol"),
        ),
        attack(
            "nul-in-header",
            "NUL in the value of a header field",
            vec![send(with_lines("a: b\0c\r\n"))],
            Ends::In("protocol"),
        ),
        attack(
            "control-in-header",
            "an escape sequence in a header field",
            vec![send(with_lines("a: \x1b[2J\r\n"))],
            Ends::In("protocol"),
        ),
        attack(
            "header-without-colon",
            "a line that is no header field",
            vec![send(with_lines("what is this\r\n"))],
            Ends::In("protocol"),
        ),
        attack(
            "space-before-colon",
            "`content-length :`, which two readers read in two ways",
            vec![send(with_lines("content-length : 5\r\n"))],
            Ends::In("protocol"),
        ),
        attack(
            "bare-line-feeds",
            "a head whose lines end in LF alone",
            vec![send(honest().replace("\r\n", "\n"))],
            Ends::Harmless,
        ),
        attack(
            "set-cookie",
            "sets cookies; the next request does not bring them back",
            vec![send(with_lines(
                "set-cookie: a=b; Path=/\r\nset-cookie: c=d\r\n",
            ))],
            Ends::Harmless,
        ),
        attack(
            "reset",
            "resets the connection",
            vec![Step::Reset],
            Ends::In("interrupted"),
        ),
        attack(
            "half-close",
            "closes its side without an answer, and reads on",
            vec![Step::HalfClose],
            Ends::In("interrupted"),
        ),
        attack(
            "half-close-after",
            "closes its side behind its answer, and reads on",
            vec![send(honest()), Step::HalfClose],
            Ends::Harmless,
        ),
        Attack {
            call: Call::LargeChat,
            reads: Reads::FirstByte,
            ..attack(
                "never-reads",
                "reads a byte of a request of 8 MB, and nothing more",
                vec![Step::Deaf(Duration::from_secs(45))],
                Ends::In("timeout"),
            )
            .first_byte_short()
        },
        Attack {
            call: Call::LargeChat,
            reads: Reads::FirstByte,
            ..attack(
                "early-answer",
                "answers a request of 8 MB after its first byte",
                vec![send(honest()), Step::Deaf(Duration::from_secs(2))],
                Ends::Harmless,
            )
        },
    ];
    for (name, status, kind) in [
        ("status-999", "999 Odd", "server"),
        ("status-099", "099 Odd", "protocol"),
        ("status-000", "000 Odd", "protocol"),
        ("status-abc", "abc Odd", "protocol"),
        ("status-2000", "2000 OK", "protocol"),
        ("status-negative", "-200 OK", "protocol"),
    ] {
        let what = format!("the status `{status}`");
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        all.push(attack(
            name,
            what.leak(),
            vec![send(answer)],
            Ends::In(kind),
        ));
    }
    for (name, status) in [
        ("204-with-body", "204 No Content"),
        ("304-with-body", "304 Not Modified"),
    ] {
        let what = format!("`{status}` with an answer behind it");
        let answer = honest().replacen("200 OK", status, 1);
        let kind = if status.starts_with('2') {
            "interrupted"
        } else {
            "invalid-config"
        };
        all.push(attack(
            name,
            what.leak(),
            vec![send(answer)],
            Ends::In(kind),
        ));
    }
    for status in [301, 302, 303, 307, 308] {
        let there = format!("http://{elsewhere}/v1/chat/completions");
        all.push(redirect(
            status,
            &there,
            "another server, which is never reached",
        ));
    }
    all.push(redirect(
        307,
        "http://169.254.169.254/latest/meta-data/",
        "a cloud's metadata",
    ));
    all.push(redirect(307, "file:///etc/passwd", "a file"));
    all
}

fn redirect(status: u16, location: &str, whom: &str) -> Attack {
    let place = match location.split(':').next() {
        Some("file") => "file",
        _ if location.contains("169.254") => "metadata",
        _ => "elsewhere",
    };
    let answer =
        format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
    attack(
        format!("redirect-{status}-{place}").leak(),
        format!("{status} to {whom}").leak(),
        vec![send(answer)],
        Ends::In("invalid-config"),
    )
}
