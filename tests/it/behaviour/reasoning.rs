//! Thinking in an answer: under which names, and what is made of tags.

use provider_host::types::Event;
use serde_json::{Value, json};

use super::answer::{Answer, delta, finish};
use super::user::hears;
use crate::support::text;

/// Thinking, text and the codes of the notes, of an answer that must succeed.
async fn heard(model: &Value, choices: &[Value]) -> (String, String, Vec<String>) {
    let (events, error) = hears(model, Answer::choices(choices)).await;
    assert!(error.is_none(), "{error:?} after {events:?}");
    assert!(matches!(events.last(), Some(Event::Finish(_))));
    let thinking = events.iter().filter_map(|event| match event {
        Event::Reasoning(text) => Some(text.as_str()),
        _ => None,
    });
    let notes = events.iter().filter_map(|event| match event {
        Event::Note(note) if note.code != "no-usage" => Some(note.code.clone()),
        _ => None,
    });
    (thinking.collect(), text(&events), notes.collect())
}

fn known() -> Value {
    json!({"id": "m", "reasoning": true})
}

fn unknown() -> Value {
    json!({"id": "m"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thinking_comes_under_three_names_and_once_where_two_say_the_same() {
    for (piece, thought) in [
        (json!({"reasoning": "A"}), "A"),
        (json!({"reasoning_content": "B"}), "B"),
        (json!({"reasoning_text": "C"}), "C"),
        (json!({"reasoning": "A", "reasoning_content": "A"}), "A"),
        (
            json!({"reasoning_content": "B", "reasoning": "A", "reasoning_text": "C"}),
            "A",
        ),
        (
            json!({"reasoning_text": "C", "reasoning_content": "B"}),
            "B",
        ),
        (json!({"reasoning": null, "reasoning_content": "B"}), "B"),
        (json!({"reasoning": "", "reasoning_content": "B"}), "B"),
    ] {
        let choices = [
            delta(piece.clone()),
            delta(json!({"content": "x"})),
            finish("stop"),
        ];
        let found = heard(&known(), &choices).await;
        assert_eq!(
            found,
            (thought.to_owned(), "x".to_owned(), vec![]),
            "{piece}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thinking_of_a_model_that_is_not_declared_so_is_thinking_and_not_text() {
    let choices = [
        delta(json!({"reasoning": "Hm."})),
        delta(json!({"content": "x"})),
        finish("stop"),
    ];
    let found = heard(&unknown(), &choices).await;
    assert_eq!(found, ("Hm.".to_owned(), "x".to_owned(), vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inline_thinking_at_the_start_is_split_off_for_reasoning_models() {
    let content = |pieces: &[&str]| {
        let mut choices: Vec<Value> = pieces
            .iter()
            .map(|piece| delta(json!({"content": piece})))
            .collect();
        choices.push(finish("stop"));
        choices
    };
    for pieces in [
        &["<think>Hm.</think>x"][..],
        &["<think>", "Hm.", "</think>", "x"],
        &["<th", "ink>H", "m.</th", "ink>", "x"],
        &["\n<think>Hm.</think>x"],
    ] {
        let found = heard(&known(), &content(pieces)).await;
        assert_eq!(
            found,
            ("Hm.".to_owned(), "x".to_owned(), vec![]),
            "{pieces:?}"
        );
        let whole = pieces.concat();
        let found = heard(&unknown(), &content(pieces)).await;
        assert_eq!(found, (String::new(), whole, vec![]), "{pieces:?}");
    }
    // Not at the start: it is text.
    let found = heard(&known(), &content(&["x <think>Hm.</think>"])).await;
    assert_eq!(found.1, "x <think>Hm.</think>");
    // A server that splits by itself means its text as text.
    let choices = [
        delta(json!({"reasoning": "Hm."})),
        delta(json!({"content": "<think>is a tag</think>"})),
        finish("stop"),
    ];
    let found = heard(&known(), &choices).await;
    assert_eq!(
        found,
        (
            "Hm.".to_owned(),
            "<think>is a tag</think>".to_owned(),
            vec![]
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_thinking_alone_ends_with_a_finish_and_a_note_on_the_cause() {
    for model in [known(), unknown()] {
        let choices = [delta(json!({"reasoning": "All of it."})), finish("stop")];
        let answer = Answer::choices(&choices);
        let (events, error) = hears(&model, answer).await;
        assert!(error.is_none(), "{error:?}");
        let kept = Event::Reasoning("All of it.".to_owned());
        assert!(events.contains(&kept), "nothing is thrown away: {events:?}");
        let note = events.iter().find_map(|event| match event {
            Event::Note(note) if note.code == "reasoning-only" => Some(note),
            _ => None,
        });
        let message = &note.expect("a note").message;
        for words in ["reasoning parser", "enable_thinking"] {
            assert!(message.contains(words), "no {words}: {message}");
        }
    }
    // An answer that was cut inside its thinking has another cause.
    let choices = [delta(json!({"reasoning": "All of"})), finish("length")];
    let (events, _) = hears(&known(), Answer::choices(&choices)).await;
    assert!(events.iter().any(|event| matches!(event,
        Event::Note(note) if note.code == "reasoning-only" && note.message.contains("limit"))));
    // With text or a call behind it nothing is wrong.
    let call = json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "look"}}]});
    for rest in [json!({"content": "x"}), call] {
        let choices = [
            delta(json!({"reasoning": "Hm."})),
            delta(rest),
            finish("stop"),
        ];
        assert_eq!(heard(&known(), &choices).await.2, Vec::<String>::new());
    }
}
