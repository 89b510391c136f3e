//! Tools on offer, and which of them must be called.

use provider_host::types::{ChatRequest, Tool, ToolChoice};
use serde_json::{Value, json};

use super::conversation::{tool, tool_json};
use super::server::Server;
use super::user::User;
use crate::support::ask;

async fn body(request: ChatRequest) -> Value {
    let server = Server::start().await;
    User::declaring(&server, &json!({"id": "m"}))
        .says(&server, &request)
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_is_its_name_description_and_parameters_as_they_were_written() {
    let parameters = "{\"type\":\"object\",\"properties\":{\"z\":{\"type\":\"string\"},\"a\":{\"type\":\"number\",\"minimum\":1.0}},\"required\":[\"z\"]}";
    let server = Server::start().await;
    let request = ChatRequest {
        tools: vec![
            Tool {
                name: "look".into(),
                description: Some("Looks.".into()),
                parameters: parameters.into(),
            },
            tool("other"),
        ],
        ..ask("hi")
    };
    let sent = User::declaring(&server, &json!({"id": "m"}))
        .sends(&server, "m", &request)
        .await;
    let schema: Value = serde_json::from_str(parameters).expect("a schema");
    assert_eq!(
        sent.json()["tools"],
        json!([
            {"type": "function", "function":
                {"name": "look", "description": "Looks.", "parameters": schema}},
            tool_json("other"),
        ])
    );
    // To the letter: its order is what the model reads.
    let text = String::from_utf8(sent.body).expect("text");
    assert!(text.contains(parameters), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_tools_there_is_no_list_of_them() {
    for choice in [None, Some(ToolChoice::Auto), Some(ToolChoice::None)] {
        let request = ChatRequest {
            tool_choice: choice,
            parallel_tool_calls: Some(true),
            ..ask("hi")
        };
        let body = body(request).await;
        for field in ["tools", "tool_choice", "parallel_tool_calls"] {
            assert!(body.get(field).is_none(), "{field} in {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_choice_is_sent_only_when_asked_for_and_in_the_servers_form() {
    for (choice, sent) in [
        (None, Value::Null),
        (Some(ToolChoice::Auto), json!("auto")),
        (Some(ToolChoice::None), json!("none")),
        (Some(ToolChoice::Required), json!("required")),
        (
            Some(ToolChoice::Named("look".into())),
            json!({"type": "function", "function": {"name": "look"}}),
        ),
    ] {
        let request = ChatRequest {
            tools: vec![tool("look")],
            tool_choice: choice.clone(),
            ..ask("hi")
        };
        let body = body(request).await;
        assert_eq!(body["tool_choice"], sent, "{choice:?}");
        assert_eq!(body["tools"], json!([tool_json("look")]));
        assert!(body.get("parallel_tool_calls").is_none());
    }
    for parallel in [false, true] {
        let request = ChatRequest {
            tools: vec![tool("look")],
            parallel_tool_calls: Some(parallel),
            ..ask("hi")
        };
        assert_eq!(body(request).await["parallel_tool_calls"], parallel);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_choice_that_no_tool_can_meet_is_refused_before_it_is_sent() {
    let server = Server::start().await;
    let user = User::declaring(&server, &json!({"id": "m"}));
    for (tools, choice) in [
        (vec![], ToolChoice::Required),
        (vec![], ToolChoice::Named("look".into())),
        (vec![tool("look")], ToolChoice::Named("other".into())),
    ] {
        let request = ChatRequest {
            tools,
            tool_choice: Some(choice),
            ..ask("hi")
        };
        let (_, error) = user.chat("m", &request).await;
        let error = error.expect("no such tool");
        assert_eq!(
            (&*error.kind_name(), error.request_sent()),
            ("invalid-request", false)
        );
    }
    assert_eq!(server.requests().len(), 0);
}
