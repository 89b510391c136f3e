//! What the plugin uses, and what it sends.

use std::sync::Arc;

use super::Subject;
use super::findings::Findings;
use super::subject::told;
use crate::bindings::types::{ContentPart, Message, Tool};
use crate::exercise::{Failure, KEY, NoAnswer, Reply, Seen, Wire};

super::checks! { Limits:
    "large-requests",
    "A request of a megabyte is sent, within the limits of the sandbox.",
    "chat.start: builds and sends the request",
    large_requests;
    "large-answers",
    "Answers of a megabyte, whatever they hold, end within the limits of the sandbox.",
    "chat.next; types.error-kind.protocol",
    large_answers;
    "one-exchange",
    "A chat sends one request, a POST, and nothing after it failed.",
    "chat.start: builds and sends the request",
    one_exchange;
    "odd-requests",
    "A request that can't be sent is `invalid-request`, and nothing is sent.",
    "types.error-kind.invalid-request: the request can't be sent, or the server refused it as it is",
    odd_requests;
    "key",
    "The key goes out in the values of headers and nowhere else.",
    "types.settings: the host replaces it on the wire, in header values only",
    key;
    "granted",
    "In all of these checks nothing was asked of anybody but the granted server.",
    "worlds.provider: HTTP to where the host lets it",
    granted;
}

const MEGABYTE: usize = 1 << 20;

async fn large_requests(subject: &Subject, findings: &mut Findings) {
    let text = "word ".repeat(MEGABYTE / 5);
    let mut long = subject.request();
    long.messages = vec![
        Message::System(text.clone()),
        Message::User(vec![ContentPart::Text(text)]),
    ];
    let mut many = subject.request();
    many.messages = vec![Message::User(vec![ContentPart::Text("x".to_owned())]); 10_000];
    let mut tools = subject.request();
    tools.tools = (0..1_000)
        .map(|at| Tool {
            name: format!("tool_{at}"),
            description: Some("d".repeat(500)),
            parameters: r#"{"type":"object","properties":{}}"#.to_owned(),
        })
        .collect();
    for (done, request) in [
        ("two messages of a megabyte", long),
        ("ten thousand messages", many),
        ("a thousand tools", tools),
    ] {
        let reply = Reply::new(500, "text/plain", "no");
        let talk = subject
            .chat_with(&subject.model(), &request, reply, 64)
            .await;
        if findings.stopped(done, talk.error.as_ref()) || findings.enough() {
            return;
        }
        findings.expect(talk.requests.len() == 1, done, || {
            format!("{} requests, and {}", talk.requests.len(), talk.end())
        });
    }
}

async fn large_answers(subject: &Subject, findings: &mut Findings) {
    let fill = |piece: &str| piece.repeat(MEGABYTE / piece.len());
    let mut bodies = vec![
        ("one line", fill("x")),
        ("empty lines", fill("\n")),
        ("spaces", fill(" ")),
        ("short lines", fill("x\n")),
        ("brackets", fill("[")),
        ("objects", fill("{\"a\":")),
        ("numbers", fill("9")),
        ("events", fill("data: {}\n\n")),
        ("objects, a line each", fill("{}\n")),
        ("comments", fill(": x\n")),
        ("quotes", fill("\"\\")),
    ];
    if let Some(recorded) = subject.few_chats(1).first() {
        let text = String::from_utf8_lossy(&recorded.exchange.body).into_owned();
        if !text.is_empty() {
            bodies.push(("an answer over and over", fill(&text)));
        }
    }
    for (name, body) in bodies {
        for kind in ["application/json", "text/event-stream"] {
            let done = format!("a megabyte of {name}, as {kind}");
            for status in [200, 500] {
                let talk = subject
                    .chat(Reply::new(status, kind, body.clone()), 64)
                    .await;
                if findings.stopped(&done, talk.error.as_ref()) || findings.enough() {
                    return;
                }
                let ended = talk.has_finish() != talk.error.is_some();
                findings.expect(ended, &done, || talk.end());
            }
        }
        let asked = subject
            .list(
                &subject.settings(),
                Reply::new(200, "application/json", body),
            )
            .await;
        let done = format!("a megabyte of {name}, as a list of models");
        if findings.stopped(&done, asked.failure()) {
            return;
        }
        findings.tried();
    }
}

async fn one_exchange(subject: &Subject, findings: &mut Findings) {
    let mut replies: Vec<(String, Reply)> = vec![
        ("a 401".to_owned(), Reply::new(401, "text/plain", "no")),
        ("a 500".to_owned(), Reply::new(500, "text/plain", "no")),
        ("a 503".to_owned(), Reply::new(503, "text/plain", "no")),
        (
            "a closed connection".to_owned(),
            Reply::NoAnswer(NoAnswer::Closed),
        ),
        (
            "a refused connection".to_owned(),
            Reply::NoAnswer(NoAnswer::Refused),
        ),
    ];
    for recorded in subject.few_chats(4) {
        replies.push((
            recorded.exchange.name.clone(),
            Reply::of(&recorded.exchange),
        ));
    }
    for (done, reply) in replies {
        let talk = subject.chat(reply, 64).await;
        if findings.stopped(&done, talk.error.as_ref()) || findings.enough() {
            return;
        }
        let good = matches!(talk.requests.as_slice(), [only] if only.method == "POST");
        findings.expect(good, &done, || {
            let methods: Vec<&str> = talk
                .requests
                .iter()
                .map(|one| one.method.as_str())
                .collect();
            format!("{} requests {methods:?}, and {}", methods.len(), talk.end())
        });
    }
}

async fn odd_requests(subject: &Subject, findings: &mut Findings) {
    let base = subject.request();
    let mut cases = Vec::new();
    for extra in ["no JSON", "[]", "1", "{"] {
        let mut request = base.clone();
        request.extra = Some(extra.to_owned());
        cases.push((format!("extra is {extra:?}"), request));
    }
    let mut request = base.clone();
    request.tools[0].parameters = "no JSON".to_owned();
    cases.push(("a tool whose schema is no JSON".to_owned(), request));
    for (done, request) in cases {
        let reply = Reply::new(500, "text/plain", "no");
        let talk = subject
            .chat_with(&subject.model(), &request, reply, 64)
            .await;
        if findings.stopped(&done, talk.error.as_ref()) || findings.enough() {
            return;
        }
        let refused =
            |failure: &Failure| failure.kind == "invalid-request" && !failure.request_sent;
        let good = talk.error.as_ref().is_some_and(refused) && talk.requests.is_empty();
        findings.expect(good, &done, || {
            format!("{} requests, and {}", talk.requests.len(), talk.end())
        });
    }
}

async fn key(subject: &Subject, findings: &mut Findings) {
    let chat = subject.chat(Reply::new(500, "text/plain", "no"), 64).await;
    let list = subject
        .list(&subject.settings(), Reply::new(500, "text/plain", "no"))
        .await;
    if findings.stopped("a chat", chat.error.as_ref())
        || findings.stopped("a listing", list.failure())
    {
        return;
    }
    let has_key = |request: &Seen| {
        let mut headers = request.headers.iter();
        headers.any(|(_, value)| String::from_utf8_lossy(value).contains(KEY))
    };
    let mut all = chat.requests.iter().chain(&list.requests);
    if subject.plugin.manifest().key_variable.is_none() && !all.any(has_key) {
        findings.skip("its manifest names no variable for a key, and no request has one");
        return;
    }
    for (done, requests) in [("a chat", chat.requests), ("a listing", list.requests)] {
        for request in requests {
            let sent = has_key(&request);
            findings.expect(sent, done, || "no header has the key".to_owned());
        }
    }
}

async fn granted(subject: &Subject, findings: &mut Findings) {
    // What the others sent was judged as it was sent. A call for each function here, for a suite of this check alone.
    let wire = Wire::new(subject.script(None, None));
    match subject.open(Arc::new(wire.clone())).await {
        Ok(mut sandbox) => {
            let settings = subject.settings();
            let failures = [
                sandbox.check_settings(&settings).await.err(),
                sandbox.list_models(&settings).await.err(),
                sandbox.resolve_model(&settings, "a-model").await.err(),
            ];
            for failure in failures.iter().flatten() {
                if findings.stopped("a call", Some(&Failure::of(failure))) {
                    break;
                }
            }
            subject.judge(&sandbox);
        }
        Err(failure) => findings.expect(false, "an instance", || told(&failure)),
    }
    subject.chat(Reply::new(500, "text/plain", "no"), 64).await;
    let conduct = subject.conduct();
    findings.tried();
    for found in conduct {
        findings.add("what was sent", &found);
    }
}
