//! Attacks by where an answer ends: lengths, chunks, trailers, codings, and what comes behind.

use std::time::Duration;

use super::scripted::{ANSWER, Step, events, with_length};
use super::{Attack, Ends, attack, send};

const STEP: Duration = Duration::from_millis(20);

/// The head of a streamed answer with these fields.
fn head(fields: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{fields}\r\n")
}

fn chunked() -> String {
    head("transfer-encoding: chunked\r\n")
}

/// `body` as one chunk, with an extension.
fn chunk(body: &str, extension: &str) -> String {
    format!("{:x}{extension}\r\n{body}\r\n", body.len())
}

/// A whole chunked answer with other trailers.
fn whole(trailers: &str) -> String {
    format!(
        "{}{}0\r\n{trailers}\r\n",
        chunked(),
        chunk(&events(ANSWER), "")
    )
}

/// What a compressor writes first, and then noise.
fn compressed(magic: &[u8]) -> Vec<u8> {
    let noise = (0..4096_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8);
    magic.iter().copied().chain(noise).collect()
}

pub(super) fn attacks() -> Vec<Attack> {
    let honest = events(ANSWER);
    let mut all = vec![
        attack(
            "slow-body",
            "a byte of a comment every 20 ms, without end",
            vec![
                send(head("")),
                Step::Drip(b": still here\n\n".to_vec(), STEP),
            ],
            Ends::In("timeout"),
        )
        .total_short(),
        attack(
            "slow-chunk-size",
            "a digit of a chunk's size every 20 ms, without end",
            vec![send(chunked()), Step::Drip(b"0".to_vec(), STEP)],
            Ends::In("timeout"),
        )
        .first_byte_short(),
        attack(
            "slow-chunk-size-later",
            "the same behind the first chunk",
            vec![
                send(chunked()),
                send(chunk(": hello\n\n", "")),
                Step::Drip(b"0".to_vec(), STEP),
            ],
            Ends::In("timeout"),
        )
        .idle_short(),
        attack(
            "slow-trailers",
            "a byte of a trailer every 20 ms, without end, in the place of the last events",
            vec![
                send(chunked()),
                send(chunk(": hello\n\n", "")),
                send("0\r\na: "),
                Step::Drip(b"b".to_vec(), STEP),
            ],
            Ends::In("timeout"),
        )
        .idle_short(),
        attack(
            "endless-chunk-size",
            "digits of a chunk's size without end",
            vec![send(chunked()), Step::Flood(b"0".to_vec())],
            Ends::In("protocol"),
        ),
        attack(
            "endless-space-in-chunk-size",
            "spaces behind a chunk's size without end",
            vec![send(chunked()), send("5"), Step::Flood(b" ".to_vec())],
            Ends::In("protocol"),
        ),
        attack(
            "endless-chunk-extension",
            "an extension of a chunk without end",
            vec![send(chunked()), send("5;a="), Step::Flood(b"b".to_vec())],
            Ends::In("protocol"),
        ),
        attack(
            "many-chunk-extensions",
            "chunks of a byte with an extension of 1 KiB each, without end",
            vec![
                send(chunked()),
                Step::Flood(chunk(":", &format!(";a={}", "b".repeat(1 << 10))).into()),
            ],
            Ends::In("protocol"),
        ),
        attack(
            "chunk-extension",
            "a chunk with extensions, which is allowed",
            vec![send(format!(
                "{}{}0;b\r\n\r\n",
                chunked(),
                chunk(&honest, ";name=\"value\";other")
            ))],
            Ends::Harmless,
        ),
        attack(
            "chunk-size-overflow",
            "a chunk of 2^68 bytes",
            vec![send(chunked()), send("100000000000000000\r\n")],
            Ends::In("protocol"),
        ),
        attack(
            "chunk-size-huge",
            "a chunk of 2^63 bytes, and the events in it",
            vec![
                send(chunked()),
                send(format!("7fffffffffffffff\r\n{honest}")),
                Step::Silence,
            ],
            Ends::Harmless,
        ),
        attack(
            "chunk-size-negative",
            "a chunk of -5 bytes",
            vec![send(chunked()), send("-5\r\nabcde\r\n")],
            Ends::In("protocol"),
        ),
        attack(
            "chunk-size-hexadecimal",
            "a chunk of 0x5 bytes",
            vec![send(chunked()), send("0x5\r\nabcde\r\n")],
            Ends::In("protocol"),
        ),
        attack(
            "chunk-size-missing",
            "a chunk of no size",
            vec![send(chunked()), send("\r\nabcde\r\n")],
            Ends::In("protocol"),
        ),
        attack(
            "chunk-without-end",
            "no CRLF behind a chunk",
            vec![send(chunked()), send("9\r\n: hello\n\nX0\r\n\r\n")],
            Ends::In("protocol"),
        ),
        attack(
            "chunk-with-line-feed",
            "LF alone behind a chunk's size",
            vec![send(chunked()), send("9\n: hello\n\n\r\n0\r\n\r\n")],
            Ends::In("protocol"),
        ),
        attack(
            "trailers",
            "trailers, which are allowed and passed over",
            vec![send(whole("content-length: 3\r\nset-cookie: a=b\r\n"))],
            Ends::Harmless,
        ),
        attack(
            "bad-trailers",
            "NUL and no colon in the trailers behind a whole answer",
            vec![send(whole("what\0is this\r\n"))],
            Ends::Harmless,
        ),
        attack(
            "endless-trailers",
            "trailers without end behind the first chunk",
            vec![
                send(chunked()),
                send(chunk(": hello\n\n", "")),
                send("0\r\n"),
                Step::Flood(b"a: b\r\n".to_vec()),
            ],
            Ends::In("protocol"),
        ),
        attack(
            "endless-trailers-after",
            "the same behind a whole answer",
            vec![
                send(chunked()),
                send(chunk(&honest, "")),
                send("0\r\n"),
                Step::Flood(b"a: b\r\n".to_vec()),
            ],
            Ends::Harmless,
        ),
        attack(
            "length-too-short",
            "a length that cuts the answer, and the rest behind it",
            vec![send(head("content-length: 60\r\n") + &honest)],
            Ends::In("interrupted"),
        ),
        attack(
            "length-too-long",
            "a length of 9,999 for a whole answer, and the end of the connection",
            vec![
                send(head("content-length: 9999\r\n") + &honest),
                Step::Close,
            ],
            Ends::Harmless,
        ),
        attack(
            "two-lengths",
            "two lengths that differ",
            vec![send(
                head("content-length: 5\r\ncontent-length: 6\r\n") + &honest,
            )],
            Ends::In("protocol"),
        ),
        attack(
            "two-equal-lengths",
            "the same length twice, which is allowed",
            vec![send(
                head(&format!("content-length: {0}\r\n", honest.len()).repeat(2)) + &honest,
            )],
            Ends::Harmless,
        ),
        attack(
            "length-and-chunks",
            "a length and chunks at once; the chunks count, and the connection is closed",
            vec![send(format!(
                "{}{}0\r\n\r\n",
                head("content-length: 5\r\ntransfer-encoding: chunked\r\n"),
                chunk(&honest, "")
            ))],
            Ends::Harmless,
        ),
        attack(
            "length-negative",
            "a length of -1",
            vec![send(head("content-length: -1\r\n") + &honest)],
            Ends::In("protocol"),
        ),
        attack(
            "length-huge",
            "a length of 2^63",
            vec![send(
                head("content-length: 9223372036854775808\r\n") + &honest,
            )],
            Ends::In("protocol"),
        ),
        attack(
            "length-overflow",
            "a length of 2^64",
            vec![send(
                head("content-length: 18446744073709551616\r\n") + &honest,
            )],
            Ends::In("protocol"),
        ),
        attack(
            "second-answer",
            "a second answer behind the first; the next chat does not get it",
            vec![send(
                with_length("text/event-stream", &honest)
                    + &with_length("text/event-stream", &events("You are poisoned now.")),
            )],
            Ends::Harmless,
        ),
        Attack {
            pause: Duration::from_millis(500),
            ..attack(
                "second-answer-later",
                "the same, 50 ms later, while nobody asks",
                vec![
                    send(with_length("text/event-stream", &honest)),
                    Step::Pause(Duration::from_millis(50)),
                    send(with_length(
                        "text/event-stream",
                        &events("You are poisoned now."),
                    )),
                ],
                Ends::Harmless,
            )
        },
        attack(
            "second-answer-behind-chunks",
            "the same behind a chunked answer with trailers",
            vec![send(
                whole("a: b\r\n")
                    + &with_length("text/event-stream", &events("You are poisoned now.")),
            )],
            Ends::Harmless,
        ),
        attack(
            "bytes-behind-length",
            "one byte more than the length says",
            vec![send(with_length("text/event-stream", &honest) + "X")],
            Ends::Harmless,
        ),
        attack(
            "reset-in-body",
            "resets the connection in the middle of the answer",
            vec![
                send(head("content-length: 9999\r\n")),
                send(&honest[..60]),
                Step::Pause(Duration::from_millis(100)),
                Step::Reset,
            ],
            Ends::In("interrupted"),
        ),
    ];
    for (coding, magic) in [
        ("gzip", &b"\x1f\x8b\x08\0"[..]),
        ("br", b"\x8b\x02\x80"),
        ("zstd", b"\x28\xb5\x2f\xfd"),
        ("deflate", b"\x78\x9c"),
    ] {
        let mut bytes = head(&format!("content-encoding: {coding}\r\n")).into_bytes();
        bytes.extend(compressed(magic));
        all.push(attack(
            format!("content-encoding-{coding}").leak(),
            format!("an answer in {coding}, which was not asked for").leak(),
            vec![send(bytes), Step::Close],
            Ends::In("protocol"),
        ));
    }
    let gzip = compressed(b"\x1f\x8b\x08\0");
    all.extend([
        attack(
            "compressed-bomb",
            "gzip without end, which nobody unpacks",
            vec![
                send(head("content-encoding: gzip\r\n")),
                Step::Flood(gzip.clone()),
            ],
            Ends::In("protocol"),
        ),
        attack(
            "two-content-encodings",
            "`identity, gzip`",
            vec![
                send(head("content-encoding: identity, gzip\r\n")),
                Step::Close,
            ],
            Ends::In("protocol"),
        ),
        attack(
            "escapes-in-content-encoding",
            "a coding of 1,000 escape sequences in C1",
            vec![
                send(head(&format!(
                    "content-encoding: {}\r\n",
                    "\u{9b}2J".repeat(1_000)
                ))),
                Step::Close,
            ],
            Ends::In("protocol"),
        ),
        attack(
            "transfer-encoding-gzip",
            "chunks of gzip by `transfer-encoding: gzip, chunked`",
            vec![send(
                head("transfer-encoding: gzip, chunked\r\n") + "2\r\nok\r\n0\r\n\r\n",
            )],
            Ends::In("protocol"),
        ),
        attack(
            "unsaid-gzip",
            "gzip that is called a stream of events",
            vec![
                send([head("").into_bytes(), gzip.clone()].concat()),
                Step::Close,
            ],
            Ends::In("protocol"),
        ),
        attack(
            "unsaid-gzip-as-json",
            "gzip that is called JSON",
            vec![
                send(
                    [
                        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".to_vec(),
                        gzip,
                    ]
                    .concat(),
                ),
                Step::Close,
            ],
            Ends::In("protocol"),
        ),
    ]);
    all
}
