//! A server that answers as the recorded one did, and keeps what it is sent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::recorded::{self, Recorded};

/// One request as it came.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) method: String,
    pub(super) path: String,
    /// Names in lower case, in the order of the wire.
    pub(super) headers: Vec<(String, String)>,
    /// `null` without a body.
    pub(super) body: Value,
}

#[derive(Default)]
struct Script {
    list: Vec<Vec<u8>>,
    chats: Vec<Vec<u8>>,
    sent: Vec<Sent>,
}

/// The server; it listens until the process ends.
pub(super) struct Server {
    pub(super) port: u16,
    script: Arc<Mutex<Script>>,
}

impl Server {
    /// Listens on a port of four digits, as the default one has.
    pub(super) fn start() -> Self {
        let first = 2_000 + (std::process::id() % 6_000) as u16;
        let listener = (first..10_000)
            .find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok())
            .expect("a free port of four digits");
        let port = listener.local_addr().expect("an address").port();
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = Arc::clone(&script);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &shared);
            }
        });
        Self { port, script }
    }

    /// Answers from now on as the recorded server did. What was not asked for
    /// there is answered as in the run of the same release that did ask.
    pub(super) fn play(&self, recorded: &Recorded) {
        let answers = |method: &str, otherwise: &str| {
            let own: Vec<Vec<u8>> = recorded
                .requests(method)
                .iter()
                .map(|r| answer(r))
                .collect();
            match own.is_empty() {
                false => own,
                true => vec![answer(recorded::load(otherwise).requests(method)[0])],
            }
        };
        *self.script.lock().expect("the script") = Script {
            list: answers("GET", "10-models-list-refresh"),
            chats: answers("POST", "20-agent-explicit"),
            sent: Vec::new(),
        };
    }

    /// What was sent since [`Server::play`].
    pub(super) fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.script.lock().expect("the script").sent)
    }
}

/// The recorded answer as bytes.
fn answer(request: &Value) -> Vec<u8> {
    let (kind, body) = match request["chunks"].as_array() {
        Some(chunks) => {
            let events: String = chunks.iter().map(|c| format!("data: {c}\n\n")).collect();
            ("text/event-stream", events + "data: [DONE]\n\n")
        }
        None => ("application/json", request["answer"].to_string()),
    };
    format!(
        "HTTP/1.1 {} Recorded\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        request["status"],
        body.len()
    )
    .into_bytes()
}

/// Serves one request and closes.
fn serve(stream: TcpStream, script: &Mutex<Script>) {
    let mut reader = BufReader::new(stream);
    let Some(sent) = read(&mut reader) else {
        return;
    };
    let answer = {
        let mut script = script.lock().expect("the script");
        let before = script.sent.iter().filter(|s| s.method == sent.method);
        let position = before.count();
        let answers = match sent.method.as_str() {
            "GET" => &script.list,
            _ => &script.chats,
        };
        let answer = answers.get(position).or(answers.last()).cloned();
        script.sent.push(sent);
        answer.unwrap_or_default()
    };
    let _ = reader.into_inner().write_all(&answer);
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Sent> {
    let mut line = || {
        let mut text = String::new();
        reader.read_line(&mut text).ok()?;
        Some(text.trim_end_matches(['\r', '\n']).to_owned())
    };
    let first = line()?;
    let (method, rest) = first.split_once(' ')?;
    let (path, _) = rest.split_once(' ')?;
    let mut headers = Vec::new();
    loop {
        let field = line()?;
        let Some((name, value)) = field.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, text)| text.parse().expect("a length"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Sent {
        method: method.to_owned(),
        path: path.to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    })
}
