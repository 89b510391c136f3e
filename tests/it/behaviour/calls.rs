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
