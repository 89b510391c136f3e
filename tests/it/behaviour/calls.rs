//! Calls of tools, put together from their pieces.

use provider_host::types::Event;
use serde_json::{Value, json};

use super::answer::{Answer, delta, finish};
use super::user::hears;

/// A call as it was at its end: index, id, name, arguments, valid.
type Ended = (u32, String, String, String, bool);

/// The calls of an answer whose deltas have these pieces, each a list.
async fn heard(pieces: &[Value]) -> (Vec<Ended>, Vec<Event>) {
    let mut choices: Vec<Value> = pieces
        .iter()
        .map(|calls| delta(json!({"tool_calls": calls})))
        .collect();
    choices.push(finish("tool_calls"));
    let (events, error) = hears(&json!({"id": "m"}), Answer::choices(&choices)).await;
    assert!(error.is_none(), "{error:?} after {events:?}");
    let ended = events
        .iter()
        .filter_map(|event| match event {
            Event::ToolCallEnd(c) => Some((
                c.index,
                c.id.clone(),
                c.name.clone(),
                c.arguments.clone(),
                c.valid,
            )),
            _ => None,
        })
        .collect();
    (ended, events)
}

fn ended(index: u32, id: &str, name: &str, arguments: &str) -> Ended {
    (
        index,
        id.to_owned(),
        name.to_owned(),
        arguments.to_owned(),
        true,
    )
}

/// The arguments of the call `index`, as the pieces that came add up.
fn pieces(events: &[Event], index: u32) -> String {
    events
        .iter()
        .filter_map(|event| match event {
            Event::ToolCallArguments(c) if c.index == index => Some(c.delta.as_str()),
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pieces_find_their_call_by_index_also_interleaved() {
    let start = |index: u32, id: &str| json!({"index": index, "id": id, "type": "function", "function": {"name": format!("f{index}")}});
    let more = |index: u32, text: &str| json!({"index": index, "function": {"arguments": text}});
    let (calls, events) = heard(&[
        json!([start(0, "a"), start(1, "b")]),
        json!([more(0, "{\"x\"")]),
        json!([more(1, "{\"y\"")]),
        json!([more(1, ":2}"), more(0, ":1}")]),
    ])
    .await;
    assert_eq!(
        calls,
        [
            ended(0, "a", "f0", "{\"x\":1}"),
            ended(1, "b", "f1", "{\"y\":2}")
        ]
    );
    assert_eq!(pieces(&events, 0), "{\"x\":1}");
    assert_eq!(pieces(&events, 1), "{\"y\":2}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_index_the_id_tells_calls_apart() {
    let piece = |id: &str, name: Value, text: &str| json!({"id": id, "function": {"name": name, "arguments": text}});
    let (calls, _) = heard(&[
        json!([piece("a", json!("f"), "{")]),
        json!([piece("b", json!("g"), "{")]),
        json!([piece("a", Value::Null, "}")]),
        json!([piece("b", Value::Null, "}")]),
    ])
    .await;
    assert_eq!(calls, [ended(0, "a", "f", "{}"), ended(1, "b", "g", "{}")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_comes_again_does_not_split_a_call() {
    let piece = |text: &str| {
        json!([{"index": 0, "id": "a", "type": "function",
            "function": {"name": "f", "arguments": text}}])
    };
    let (calls, events) = heard(&[piece("{\"x\""), piece(":"), piece("1}")]).await;
    assert_eq!(calls, [ended(0, "a", "f", "{\"x\":1}")]);
    let starts = events
        .iter()
        .filter(|event| matches!(event, Event::ToolCallStart(_)));
    assert_eq!(starts.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_an_id_gets_one_of_its_own() {
    let piece = |index: u32, id: Value| json!([{"index": index, "id": id, "function": {"name": "f", "arguments": "{}"}}]);
    let (calls, _) = heard(&[
        piece(0, Value::Null),
        piece(1, json!("")),
        piece(2, json!("c")),
    ])
    .await;
    let ids: Vec<&str> = calls.iter().map(|call| call.1.as_str()).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| !id.trim().is_empty()), "{ids:?}");
    assert!(ids[0] != ids[1] && ids[2] == "c", "{ids:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_are_passed_on_as_they_come_and_none_are_an_empty_object() {
    let start = json!([{"index": 0, "id": "a", "function": {"name": "f"}}]);
    let (calls, events) = heard(std::slice::from_ref(&start)).await;
    assert_eq!(calls, [ended(0, "a", "f", "{}")]);
    assert_eq!(pieces(&events, 0), "");

    let more = |text: &str| json!([{"index": 0, "function": {"arguments": text}}]);
    let (_, events) = heard(&[start, more("{ "), more("\"x\" : 1.0"), more(" }")]).await;
    let deltas: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::ToolCallArguments(c) => Some(c.delta.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(deltas, ["{ ", "\"x\" : 1.0", " }"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_that_are_no_json_are_delivered_as_they_are_with_a_flag() {
    for (arguments, valid) in [
        ("{\"x\":1", false),
        ("{'x':1}", false),
        ("{\"x\":1}}", false),
        ("<tool_call>", false),
        ("{\"x\":1}", true),
        ("\"text\"", true),
        ("[1]", true),
    ] {
        let piece = json!([{"index": 0, "id": "a",
            "function": {"name": "look", "arguments": arguments}}]);
        let (calls, events) = heard(&[piece]).await;
        let expected = (
            0,
            "a".to_owned(),
            "look".to_owned(),
            arguments.to_owned(),
            valid,
        );
        assert_eq!(calls, [expected]);
        let told = events.iter().any(|event| {
            matches!(event, Event::Note(note)
            if note.code == "invalid-tool-arguments" && note.message.contains("look"))
        });
        assert_eq!(told, !valid, "{arguments}: {events:?}");
    }
}

/// A piece of a call `f` with these members, and this name and these arguments where there are any.
fn part(members: &Value, name: Option<&str>, arguments: Option<&str>) -> Value {
    let mut part = members.clone();
    part["function"] = json!({});
    if let Some(name) = name {
        part["function"]["name"] = json!(name);
    }
    if let Some(arguments) = arguments {
        part["function"]["arguments"] = json!(arguments);
    }
    json!([part])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_piece_with_the_same_name_or_none_goes_on_while_the_arguments_are_not_whole() {
    let texts = ["{\"a\"", ":\"b", "\"", "}"];
    let members: [fn(usize) -> Value; 5] = [
        |_| json!({}),
        |_| json!({"index": 0}),
        |number| json!({"index": 0, "id": format!("made-up-{number}")}),
        |number| json!({"id": format!("made-up-{number}")}),
        |number| json!({"index": number}),
    ];
    for of in members {
        for named_again in [true, false] {
            let all: Vec<Value> = texts
                .iter()
                .enumerate()
                .map(|(number, text)| {
                    let name = (number == 0 || named_again).then_some("f");
                    part(&of(number), name, Some(text))
                })
                .collect();
            let (calls, events) = heard(&all).await;
            assert_eq!(calls.len(), 1, "{all:?}: {calls:?}");
            assert_eq!(calls[0].3, "{\"a\":\"b\"}", "{all:?}");
            assert_eq!(pieces(&events, 0), calls[0].3);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_whole_calls_stay_two_whatever_they_share() {
    for (first, second) in [
        (json!({"index": 0}), json!({"index": 0})),
        (json!({}), json!({})),
        (json!({"index": 0, "id": ""}), json!({"index": 0, "id": ""})),
        (
            json!({"index": 0, "id": "x"}),
            json!({"index": 1, "id": "x"}),
        ),
        (
            json!({"index": 0, "id": "x"}),
            json!({"index": 0, "id": "x"}),
        ),
    ] {
        let all = [
            part(&first, Some("f"), Some("{\"a\":1}")),
            part(&second, Some("f"), Some("{\"a\":2}")),
        ];
        let (calls, events) = heard(&all).await;
        assert_eq!(calls.len(), 2, "{all:?}: {calls:?}");
        assert_eq!(
            (calls[0].3.as_str(), calls[1].3.as_str()),
            ("{\"a\":1}", "{\"a\":2}")
        );
        // Each has an id of its own, so that its result can be told apart.
        assert_ne!(calls[0].1, calls[1].1, "{all:?}");
        let shared = first["id"] == "x";
        let told =
            |event: &Event| matches!(event, Event::Note(note) if note.code == "shared-call-id");
        assert_eq!(events.iter().any(told), shared, "{events:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_may_come_in_fragments_or_grow() {
    let id = json!({"index": 0, "id": "x"});
    for names in [["get_", "weather"], ["get", "get_weather"]] {
        let all = [
            part(&id, Some(names[0]), Some("")),
            part(&json!({"index": 0}), Some(names[1]), None),
            part(&json!({"index": 0}), None, Some("{}")),
        ];
        let (calls, events) = heard(&all).await;
        assert_eq!(calls, [ended(0, "x", "get_weather", "{}")]);
        let started =
            |event: &Event| matches!(event, Event::ToolCallStart(c) if c.name == "get_weather");
        assert!(events.iter().any(started), "{events:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_behind_the_finish_reason_are_taken_while_the_call_is_open() {
    let choices = [
        delta(
            json!({"tool_calls": part(&json!({"index": 0, "id": "x"}), Some("f"), Some("{\"a\":"))}),
        ),
        finish("tool_calls"),
        delta(json!({"tool_calls": part(&json!({"index": 0}), None, Some("1}"))})),
    ];
    let (events, error) = hears(&json!({"id": "m"}), Answer::choices(&choices)).await;
    assert!(error.is_none(), "{error:?}");
    let whole = |event: &Event| matches!(event, Event::ToolCallEnd(c) if c.arguments == "{\"a\":1}" && c.valid);
    assert!(events.iter().any(whole), "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_that_are_neither_text_nor_an_object_are_passed_on_and_told() {
    for arguments in [json!([1, 2]), json!(7), json!(true)] {
        let call =
            json!([{"index": 0, "id": "x", "function": {"name": "f", "arguments": arguments}}]);
        let (calls, events) = heard(&[call]).await;
        assert_eq!(calls, [ended(0, "x", "f", &arguments.to_string())]);
        let told = |event: &Event| matches!(event, Event::Note(note) if note.code == "foreign-tool-arguments");
        assert!(events.iter().any(told), "{events:?}");
    }
}
