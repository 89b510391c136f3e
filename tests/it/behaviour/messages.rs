//! Conversations, and the messages that they become.

use provider_host::types::{AssistantMessage, Message, ToolCall, ToolResult, TurnStatus};
use serde_json::{Value, json};

use super::conversation::{
    calling, calls_json, chat, data_url, image, result, said, system, text, user,
};
use super::server::Server;
use super::user::User;

/// The messages of a conversation with the model `m`, which is declared with
/// these fields.
async fn messages(model: Value, conversation: Vec<Message>) -> Value {
    let server = Server::start().await;
    let mut declared = json!({"id": "m"});
    declared
        .as_object_mut()
        .expect("an object")
        .extend(model.as_object().expect("an object").clone());
    let body = User::declaring(&server, &declared)
        .says(&server, &chat(conversation))
        .await;
    body["messages"].clone()
}

fn sees() -> Value {
    json!({"input": ["text", "image"]})
}

fn thinks() -> Value {
    json!({"reasoning": true})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_message_is_system_and_developer_only_by_its_flag() {
    let conversation = || vec![system("Be brief."), user("hi")];
    for (model, role) in [
        (json!({}), "system"),
        (thinks(), "system"),
        (
            json!({"compat": {"supportsDeveloperRole": true}}),
            "developer",
        ),
    ] {
        let sent = messages(model.clone(), conversation()).await;
        assert_eq!(
            sent[0],
            json!({"role": role, "content": "Be brief."}),
            "{model}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_alone_is_a_string_and_an_image_makes_parts_with_data_urls() {
    let sent = messages(
        sees(),
        vec![
            user("hi"),
            Message::User(vec![text("one"), text("two")]),
            Message::User(vec![text("Look."), image(b"\x89PNG"), text("Well?")]),
            Message::User(vec![image(b"alone")]),
        ],
    )
    .await;
    assert_eq!(
        sent,
        json!([
            {"role": "user", "content": "hi"},
            {"role": "user", "content": "one\ntwo"},
            {"role": "user", "content": [
                {"type": "text", "text": "Look."},
                {"type": "image_url", "image_url": {"url": data_url(b"\x89PNG")}},
                {"type": "text", "text": "Well?"},
            ]},
            {"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": data_url(b"alone")}},
            ]},
        ])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_for_a_model_that_does_not_see_are_told_once_in_a_row() {
    const OMITTED: &str = "(image omitted: model does not support images)";
    let sent = messages(
        json!({}),
        vec![
            Message::User(vec![
                text("a"),
                image(b"1"),
                image(b"2"),
                text("b"),
                image(b"3"),
            ]),
            Message::User(vec![image(b"1"), image(b"2")]),
            Message::Assistant(calling("", &["c"])),
            result("c", vec![image(b"1"), image(b"2"), text("map")]),
        ],
    )
    .await;
    assert_eq!(sent[0]["content"], format!("a\n{OMITTED}\nb\n{OMITTED}"));
    assert_eq!(sent[1]["content"], OMITTED);
    assert_eq!(sent[3]["content"], format!("{OMITTED}\nmap"));
    assert_eq!(
        sent.as_array().map(Vec::len),
        Some(4),
        "no message of images"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn earlier_thinking_is_replayed_to_reasoning_models_only() {
    let turn = || AssistantMessage {
        reasoning: Some("Hm.".into()),
        ..said("Yes.")
    };
    let conversation = || vec![user("a"), Message::Assistant(turn()), user("b")];
    let sent = messages(thinks(), conversation()).await;
    assert_eq!(
        sent[1],
        json!({"role": "assistant", "content": "Yes.", "reasoning": "Hm.",
        "reasoning_content": "Hm."})
    );
    let sent = messages(json!({}), conversation()).await;
    assert_eq!(sent[1], json!({"role": "assistant", "content": "Yes."}));
    // No thinking is no field.
    let blank = AssistantMessage {
        reasoning: Some(" ".into()),
        ..said("Yes.")
    };
    for turn in [said("Yes."), blank] {
        let sent = messages(
            thinks(),
            vec![user("a"), Message::Assistant(turn), user("b")],
        )
        .await;
        assert_eq!(sent[1], json!({"role": "assistant", "content": "Yes."}));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_and_arguments_of_calls_go_back_unchanged() {
    // Two ids that OpenClaw's cleaning makes one, and shapes of other servers.
    let ids = [
        "call|a-1",
        "call_a-1",
        "functions.look:0",
        "AbC123xyz",
        "é/…",
        "chatcmpl-tool-9cb2",
    ];
    let arguments = [
        "{\"city\": \"Oslo\"}",
        "{",
        "",
        "[1]",
        "\"text\"",
        "{\"a\":1.0}",
    ];
    let mut turn = said("");
    for (id, arguments) in ids.iter().zip(arguments) {
        turn.tool_calls.push(ToolCall {
            id: (*id).into(),
            name: "look".into(),
            arguments: arguments.into(),
        });
    }
    let mut conversation = vec![user("a"), Message::Assistant(turn)];
    conversation.extend(ids.iter().map(|id| result(id, vec![text(id)])));
    let sent = messages(json!({}), conversation).await;
    for (at, id) in ids.iter().enumerate() {
        let call = &sent[1]["tool_calls"][at];
        assert_eq!(call["id"], *id);
        // A call without arguments has an empty object of them.
        let expected = if arguments[at].is_empty() {
            "{}"
        } else {
            arguments[at]
        };
        assert_eq!(call["function"]["arguments"], expected, "{id}");
        assert_eq!(
            sent[2 + at],
            json!({"role": "tool", "tool_call_id": id, "content": id})
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_of_calls_alone_has_null_content() {
    for words in ["", " \n"] {
        let sent = messages(
            json!({}),
            vec![
                user("a"),
                Message::Assistant(calling(words, &["c"])),
                result("c", vec![text("fog")]),
            ],
        )
        .await;
        assert_eq!(
            sent[1],
            json!({"role": "assistant", "content": null,
            "tool_calls": calls_json(&["c"])})
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_has_the_id_of_its_call_and_its_text() {
    let failed = Message::Tool(ToolResult {
        call_id: "c2".into(),
        name: Some("look".into()),
        content: vec![text("no such"), text("city")],
        is_error: true,
    });
    let sent = messages(
        json!({}),
        vec![
            user("a"),
            Message::Assistant(calling("", &["c1", "c2", "c3"])),
            result("c1", vec![text("fog")]),
            failed,
            result("c3", vec![]),
        ],
    )
    .await;
    assert_eq!(
        sent[2],
        json!({"role": "tool", "tool_call_id": "c1", "content": "fog"})
    );
    assert_eq!(
        sent[3],
        json!({"role": "tool", "tool_call_id": "c2", "content": "no such\ncity"})
    );
    assert_eq!(
        sent[4],
        json!({"role": "tool", "tool_call_id": "c3", "content": "(no output)"})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_of_results_follow_in_one_user_message() {
    let sent = messages(
        sees(),
        vec![
            user("a"),
            Message::Assistant(calling("", &["c1", "c2"])),
            result("c1", vec![text("a map"), image(b"1")]),
            result("c2", vec![image(b"2"), image(b"3")]),
            user("b"),
        ],
    )
    .await;
    assert_eq!(sent[2]["content"], "a map");
    assert_eq!(sent[3]["content"], "(see attached image)");
    let shown = |bytes: &[u8]| json!({"type": "image_url", "image_url": {"url": data_url(bytes)}});
    assert_eq!(
        sent[4],
        json!({"role": "user", "content": [
            {"type": "text", "text": "Attached image(s) from tool result:"},
            shown(b"1"), shown(b"2"), shown(b"3"),
        ]})
    );
    assert_eq!(sent[5], json!({"role": "user", "content": "b"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_a_result_gets_one_that_says_so() {
    let nothing =
        |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "No result provided"});
    let sent = messages(
        json!({}),
        vec![
            user("a"),
            Message::Assistant(calling("", &["c1", "c2", "c3"])),
            result("c2", vec![text("fog")]),
            user("b"),
            Message::Assistant(calling("", &["c4"])),
        ],
    )
    .await;
    let fog = json!({"role": "tool", "tool_call_id": "c2", "content": "fog"});
    let b = json!({"role": "user", "content": "b"});
    assert_eq!(sent[2], fog);
    assert_eq!(
        (&sent[3], &sent[4], &sent[5]),
        (&nothing("c1"), &nothing("c3"), &b)
    );
    assert_eq!(sent[7], nothing("c4"));
    assert_eq!(sent.as_array().map(Vec::len), Some(8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_that_failed_or_were_stopped_are_left_out_with_their_results() {
    for status in [TurnStatus::Failed, TurnStatus::Aborted] {
        let broken = AssistantMessage {
            status,
            ..calling("half an ans", &["c1"])
        };
        let sent = messages(
            json!({}),
            vec![
                user("a"),
                Message::Assistant(broken),
                result("c1", vec![text("fog")]),
                user("b"),
                Message::Assistant(said("whole")),
                user("c"),
            ],
        )
        .await;
        assert_eq!(
            sent,
            json!([
                {"role": "user", "content": "a"},
                {"role": "user", "content": "b"},
                {"role": "assistant", "content": "whole"},
                {"role": "user", "content": "c"},
            ]),
            "{status:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_of_every_plane_arrives_as_it_was() {
    let words = "é 漢 😀 \u{10ffff} \u{2028} \"quoted\" \\ \u{0} \u{1b} \u{7f} \u{feff}";
    let sent = messages(json!({}), vec![user(words)]).await;
    assert_eq!(sent[0]["content"], words);
}
