//! Attacks by the list of models.

use super::scripted::Step;
use super::{Attack, Ends, attack, send};

fn list(body: impl AsRef<[u8]>) -> Vec<Step> {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    vec![send([head.as_bytes(), body].concat())]
}

/// A list with these rows before an honest one.
fn rows(rows: &str) -> Vec<Step> {
    list(format!("{{\"data\":[{rows}{{\"id\":\"honest\"}}]}}"))
}

fn numbered(count: usize) -> String {
    (0..count)
        .map(|at| format!("{{\"id\":\"{at}\"}},"))
        .collect()
}

pub(super) fn attacks() -> Vec<Attack> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let attacks = vec![
        attack(
            "ten-thousand-models",
            "10,000 models, which is allowed",
            rows(&numbered(9_999)),
            Ends::Models(10_000),
        ),
        attack(
            "hundred-thousand-models",
            "100,000 models",
            rows(&numbered(100_000)),
            Ends::In("protocol"),
        ),
        attack(
            "million-rows",
            "a million rows with nothing in them",
            rows(&"{},".repeat(1_000_000)),
            Ends::In("protocol"),
        ),
        attack(
            "model-ids-of-a-megabyte",
            "three ids of 1 MB, which are skipped",
            rows(
                &(0..3)
                    .map(|at| format!("{{\"id\":\"{at}{}\"}},", "x".repeat(1 << 20)))
                    .collect::<String>(),
            ),
            Ends::Models(1),
        ),
        attack(
            "model-ids-with-escapes",
            "ids of escape sequences, which every message quotes",
            rows("{\"id\":\"\\u001b[2J\"},{\"id\":\"a\\u0000b\"},{\"id\":\"a\\nb\"},"),
            Ends::Models(4),
        ),
        attack(
            "wide-model",
            "a model of 200,000 fields",
            rows(&format!(
                "{{\"id\":\"wide\",{}\"x\":1}},",
                (0..200_000)
                    .map(|at| format!("\"{at}\":1,"))
                    .collect::<String>()
            )),
            Ends::Models(2),
        ),
        attack(
            "deep-models",
            "100,000 brackets in brackets, as a row and in the place of an id",
            rows(&format!("{deep},{{\"id\":{deep}}},")),
            Ends::Models(1),
        ),
        attack(
            "numbers-in-models",
            "1e400, -1, 2^64 and a number of 100,000 digits as the size of a context",
            rows(
                &["1e400", "-1", "18446744073709551616", &"9".repeat(100_000)]
                    .iter()
                    .enumerate()
                    .map(|(at, number)| format!("{{\"id\":\"m{at}\",\"max_model_len\":{number}}},"))
                    .collect::<String>(),
            ),
            Ends::Models(5),
        ),
        attack(
            "duplicate-models",
            "100 rows of one id, and each field twice",
            rows(
                &"{\"id\":\"no\",\"id\":\"honest\",\"max_model_len\":1,\"max_model_len\":2},"
                    .repeat(100),
            ),
            Ends::Models(1),
        ),
        attack(
            "parents-in-a-circle",
            "models that are each other's parents",
            rows(
                "{\"id\":\"a\",\"parent\":\"b\"},{\"id\":\"b\",\"parent\":\"a\"},{\"id\":\"c\",\"parent\":\"c\"},",
            ),
            Ends::Models(4),
        ),
        attack(
            "invalid-utf-8-in-models",
            "bytes that are no UTF-8, and half a surrogate pair, in ids",
            list(b"{\"data\":[{\"id\":\"a\xff\"},{\"id\":\"\\ud800\"},{\"id\":\"honest\"}]}"),
            Ends::Models(2),
        ),
        attack(
            "nul-in-models",
            "NUL between the rows",
            list(b"{\"data\":[\0{\"id\":\"honest\"}]}"),
            Ends::In("protocol"),
        ),
        attack(
            "endless-models",
            "rows without end, of which 16 MiB are read",
            vec![
                send(head),
                send("{\"data\":["),
                Step::Flood(b"{\"id\":\"a\"},".to_vec()),
            ],
            Ends::In("protocol"),
        ),
        attack(
            "slow-models",
            "a byte of a list every 20 ms, without end",
            vec![
                send(head),
                send("{\"data\":["),
                Step::Drip(
                    b"{\"id\":\"a\"},".to_vec(),
                    std::time::Duration::from_millis(20),
                ),
            ],
            Ends::In("timeout"),
        )
        .total_short(),
        attack(
            "models-that-are-none",
            "a string in the place of the list",
            list("{\"data\":\"honest\"}"),
            Ends::In("protocol"),
        ),
    ];
    attacks.into_iter().map(Attack::on_models).collect()
}
