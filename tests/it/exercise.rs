//! A plugin over exchanges in memory: the same sandbox, grant and grammar as over a socket, and no socket.

use provider_host::exercise::{
    BASE_URL, Call, Ending, Exchange, KEY, Kind, NoAnswer, Reply, Runner, Script, Wire, ask, model,
};
use provider_host::types::Event;
use serde_json::json;

use crate::recorded::{self, compare};
use crate::support::{event_json, plugin};

fn runner() -> Runner {
    Runner::new(plugin()).expect("a runner")
}

#[tokio::test]
async fn each_recorded_answer_gives_the_expected_events_in_memory_too() {
    let runner = runner();
    let exchanges = Exchange::load(&recorded::fixtures()).expect("the recordings");
    let mut compared = 0;
    let mut failures = Vec::new();
    for recorded in recorded::chats() {
        let exchange = exchanges.iter().find(|one| one.name == recorded.case);
        let exchange = exchange.unwrap_or_else(|| panic!("{} was not read", recorded.case));
        for reply in [
            Reply::of(exchange),
            Reply::of(exchange).cut_every(1 + recorded.body.len() / 9),
        ] {
            let wire = Wire::new(Script::new().with_chat(reply));
            let provider = runner.provider(runner.settings(), &wire);
            let call = Call::chat(model(&recorded.case), ask("Say hello."));
            let outcome = runner.run(&provider, &call).await;
            let events: Vec<_> = outcome.events.iter().map(event_json).collect();
            let error = outcome.error.as_ref().map(|error| json!(error));
            if let Err(difference) = compare(&recorded, &events, error.as_ref()) {
                failures.push(difference);
            }
            assert_eq!(wire.under_way(), 0, "{}", recorded.case);
            compared += 1;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(compared, 2 * 355);
}

#[tokio::test]
async fn what_was_asked_is_written_down_as_a_server_would_have_got_it() {
    let runner = runner();
    let recorded = Exchange::built_in();
    let of = |kind| {
        let found = recorded.iter().find(|one| one.kind() == kind);
        Reply::of(found.expect("a recording of each kind"))
    };
    let script = Script::new()
        .with_models(of(Kind::Models))
        .with_tokenize(of(Kind::Tokenize))
        .with_chat(of(Kind::Chat))
        .with_other(of(Kind::Other));
    let wire = Wire::new(script);
    let provider = runner.provider(runner.settings(), &wire);
    for call in [
        Call::CheckSettings,
        Call::ListModels,
        Call::ResolveModel("tiny".into()),
        Call::count(model("tiny"), ask("Hello.")),
        Call::CheckHealth,
        Call::chat(model("tiny"), ask("Hello.")),
    ] {
        let outcome = runner.run(&provider, &call).await;
        assert_eq!(outcome.error, None, "{}", call.name());
        assert_eq!(outcome.value.is_none(), call.name() == "chat");
    }
    let seen = wire.requests();
    let asked: Vec<&str> = seen
        .iter()
        .map(|one| one.uri.strip_prefix("http://model-server.test"))
        .map(|path| path.unwrap_or("another origin"))
        .collect();
    let expected = [
        "/v1/models",
        "/v1/models",
        "/tokenize",
        "/version",
        "/v1/chat/completions",
    ];
    assert_eq!(asked, expected);
    assert!(BASE_URL.starts_with("http://model-server.test/"));
    let key = format!("Bearer {KEY}");
    let keyed = |name: &str, value: &[u8]| name == "authorization" && value == key.as_bytes();
    assert!(
        seen[4]
            .headers
            .iter()
            .any(|(name, value)| keyed(name, value))
    );
}

#[tokio::test]
async fn an_exchange_that_fails_fails_as_over_the_network() {
    let runner = runner();
    let body = r#"{"id":"1","model":"tiny","choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    for (reply, kind, sent) in [
        (Reply::NoAnswer(NoAnswer::Refused), "unreachable", false),
        (Reply::NoAnswer(NoAnswer::NoName), "unreachable", false),
        (Reply::NoAnswer(NoAnswer::NoConnection), "timeout", false),
        (Reply::NoAnswer(NoAnswer::Silent), "timeout", true),
        (Reply::NoAnswer(NoAnswer::Closed), "interrupted", true),
        (Reply::NoAnswer(NoAnswer::NoHttp), "protocol", true),
        (
            Reply::events([body]).ending(Ending::Reset),
            "interrupted",
            true,
        ),
        (
            Reply::events([body]).ending(Ending::Silent),
            "timeout",
            true,
        ),
        (
            Reply::events([body]).ending(Ending::Broken),
            "protocol",
            true,
        ),
        (Reply::events([body]), "interrupted", true),
        (Reply::json(503, &json!({})), "overloaded", true),
    ] {
        let told = format!("{reply:?}");
        let wire = Wire::new(Script::new().with_chat(reply));
        let provider = runner.provider(runner.settings(), &wire);
        let call = Call::chat(model("tiny"), ask("Hello."));
        let error = runner.run(&provider, &call).await.error;
        let error = error.unwrap_or_else(|| panic!("no error of {told}"));
        assert_eq!(
            (error.kind.as_str(), error.request_sent),
            (kind, sent),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_server_that_says_the_key_back_gets_it_into_no_note_and_no_error() {
    let runner = runner();
    let call = json!({"choices": [{"index": 0, "delta": {"tool_calls": [{
        "index": 0, "id": "1", "function": {"name": format!("f-{KEY}\n"), "arguments": "{"},
    }]}, "finish_reason": "tool_calls"}]});
    let streamed = Reply::events([call.to_string(), "[DONE]".to_owned()]);
    let refused = Reply::json(400, &json!({"error": {"message": format!("no {KEY}\n")}}));
    // The host replaces the key by stars before the plugin reads the answer.
    for (reply, instead) in [(streamed, "f-***"), (refused, "no ***")] {
        let wire = Wire::new(Script::new().with_chat(reply));
        let provider = runner.provider(runner.settings(), &wire);
        let call = Call::chat(model("tiny"), ask("Hello."));
        let outcome = runner.run(&provider, &call).await;
        let quoting = outcome.events.iter().filter_map(|event| match event {
            Event::Note(note) if note.code == "invalid-tool-arguments" => Some(&note.message),
            _ => None,
        });
        let texts: Vec<&String> = quoting
            .chain(outcome.error.iter().map(|error| &error.message))
            .collect();
        assert_eq!(texts.len(), 1, "{outcome}");
        assert!(texts[0].contains(instead), "{texts:?}");
        assert!(
            !texts[0].contains(KEY) && !texts[0].contains('\n'),
            "{texts:?}"
        );
    }
}
