//! Inputs made of what real servers sent, `tests/fixtures/vllm`, and of exchanges that were written
//! after public bug reports, `tests/fixtures/wild`. Both are read where they lie.

use serde_json::Value;
use std::path::Path;

/// One recorded exchange, without its framing.
struct Recorded {
    name: String,
    chat: bool,
    streamed: bool,
    sent: Vec<u8>,
    path: String,
    status: u16,
    headers: Vec<u8>,
    body: Vec<u8>,
}

/// The inputs of a target that the recordings make, by the name of the recording.
///
/// # Panics
/// Where the recordings are not as they should be.
#[must_use]
pub fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let recorded = all();
    let of = |is: fn(&Recorded) -> bool, input: fn(&Recorded) -> Vec<u8>| {
        let chosen = recorded.iter().filter(|exchange| is(exchange));
        chosen
            .map(|exchange| (exchange.name.clone(), input(exchange)))
            .collect()
    };
    match target {
        "answer" => of(
            |e| e.chat && !e.streamed && e.status == 200,
            |e| with(&[0; 5], &e.body),
        ),
        "catalog" => of(
            |e| e.path.ends_with("/models"),
            |e| head(&[0], e, b"Qwen3\0"),
        ),
        "config" => of(
            |e| e.chat && is_json(&e.sent),
            |e| {
                let params =
                    b"\0{\"baseUrl\":\"http://127.0.0.1:8000/v1\",\"params\":{\"extra_body\":";
                with(&[&[8], &params[1..], &e.sent[..], b"}}\0\0"].concat(), b"")
            },
        ),
        "decoder" => of(
            |e| e.chat && e.streamed,
            |e| with(&[3, 0, 0, 0, 0, 0], &e.body),
        ),
        "error" => of(
            |e| e.status >= 400,
            |e| {
                let [low, high] = e.status.to_le_bytes();
                with(&[7, low, high], &with(&with(&e.headers, b"\0"), &e.body))
            },
        ),
        "health" => of(|e| e.path.ends_with("/version"), |e| head(&[], e, b"")),
        "json" => of(|e| is_json(&e.body), |e| e.body.clone()),
        "request" => of(|e| e.chat && is_json(&e.sent), request),
        "sse" => of(|e| e.streamed, |e| with(&[0; 4], &e.body)),
        "sse_whatwg" => of(|e| e.streamed, |e| e.body.clone()),
        "tokens" => of(|e| e.path.ends_with("/tokenize"), |e| head(&[], e, b"")),
        _ => Vec::new(),
    }
}

fn with(front: &[u8], back: &[u8]) -> Vec<u8> {
    [front, back].concat()
}

/// `front`, the status, `between`, the head and the body.
fn head(front: &[u8], e: &Recorded, between: &[u8]) -> Vec<u8> {
    [
        front,
        &e.status.to_le_bytes(),
        between,
        &e.headers,
        b"\0",
        &e.body,
    ]
    .concat()
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Value>(bytes).is_ok_and(|value| value.is_object())
}

/// The conversation that was sent, as the parts that the target reads.
fn request(e: &Recorded) -> Vec<u8> {
    let sent: Value = serde_json::from_slice(&e.sent).unwrap_or_default();
    // No configuration, no parameters, a model that thinks and sees.
    let mut input = b"\x03\x01\0\0\0tiny\0".to_vec();
    let mut part = |kind: u8, texts: &[&str]| {
        input.push(kind);
        for text in texts {
            input.extend_from_slice(text.as_bytes());
            input.push(0);
        }
    };
    for message in sent["messages"].as_array().into_iter().flatten() {
        let text = message["content"].as_str().unwrap_or_default();
        match message["role"].as_str() {
            Some("system") => part(b's', &[text]),
            Some("tool") => part(
                b't',
                &[
                    message["tool_call_id"].as_str().unwrap_or("1"),
                    "",
                    &format!("\x01.{text}"),
                    "\0",
                ],
            ),
            Some("assistant") => part(b'a', &[&format!("\x01.{text}"), "", "\0\x02"]),
            _ => part(b'u', &[&format!("\x01.{text}")]),
        }
    }
    for tool in sent["tools"].as_array().into_iter().flatten() {
        let function = &tool["function"];
        let text = |name: &str| function[name].as_str().unwrap_or_default();
        part(
            b'T',
            &[
                text("name"),
                text("description"),
                &function["parameters"].to_string(),
            ],
        );
    }
    part(
        b'x',
        &[&serde_json::json!({"temperature": sent["temperature"]}).to_string()],
    );
    input
}

fn all() -> Vec<Recorded> {
    let mut all = recorded();
    all.extend(reported());
    all
}

fn recorded() -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/vllm");
    let cases = std::fs::read(folder.join("cases.json")).expect("the list of cases");
    let cases: Vec<Value> = serde_json::from_slice(&cases).expect("a list");
    cases
        .iter()
        .filter_map(|case| {
            let mut recorded = load(&folder, case["case"].as_str()?)?;
            recorded.chat = case["kind"] == "chat";
            recorded.streamed = case["streamed"] == true;
            Some(recorded)
        })
        .collect()
}

/// The exchanges of bug reports. Their names do not meet those of the recordings.
fn reported() -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/wild");
    let entries = std::fs::read_dir(&folder).expect("the folder of bug reports");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let read = |name: &String| {
        let mut read = load(&folder, name).unwrap_or_else(|| panic!("{name} is no exchange"));
        read.name = format!("wild-{name}");
        read
    };
    names.iter().map(read).collect()
}

/// Takes off what HTTP put around a body. None: nothing came back.
fn load(folder: &Path, name: &str) -> Option<Recorded> {
    let sent = std::fs::read(folder.join(name).join("request.http")).ok()?;
    let (request_line, sent) = (first_line(&sent), body_of(&sent)?);
    let path = request_line
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    let came = std::fs::read(folder.join(name).join("response.raw")).ok()?;
    let mut rest: &[u8] = &came;
    let (mut status, mut fields, mut body);
    loop {
        let line = first_line(rest);
        status = line.get(9..12)?.parse().ok()?;
        body = body_of(rest)?;
        fields = &rest[line.len()..rest.len() - body.len()];
        if status >= 200 {
            break;
        }
        rest = body;
    }
    let text = String::from_utf8_lossy(fields).to_ascii_lowercase();
    let body = match text.contains("transfer-encoding: chunked") {
        true => unchunked(body),
        false => body.to_vec(),
    };
    let headers = String::from_utf8_lossy(fields).trim().replace("\r\n", "\n");
    Some(Recorded {
        name: name.replace('/', "-"),
        chat: path.ends_with("/chat/completions"),
        streamed: text.contains("content-type: text/event-stream"),
        sent: sent.to_vec(),
        path,
        status,
        headers: headers.into_bytes(),
        body,
    })
}

fn first_line(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\r')
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn body_of(message: &[u8]) -> Option<&[u8]> {
    let end = message
        .windows(4)
        .position(|window| window == b"\r\n\r\n")?;
    message.get(end + 4..)
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).ok();
        let Some(size) = size.and_then(|size| usize::from_str_radix(size, 16).ok()) else {
            break;
        };
        rest = &rest[end + 2..];
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        rest = rest.get(size + 2..).unwrap_or_default();
        if size == 0 {
            break;
        }
    }
    body
}
