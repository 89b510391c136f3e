//! Tool calls: the model's own, those that are asked for, and broken ones.

use std::sync::Arc;

use anyhow::{Result, ensure};
use provider_host::ErrorKind;
use provider_host::types::{ChatRequest, FinishReason, ToolCall, ToolChoice};
use serde_json::json;

use crate::live::Live;
use crate::{answer, request};

fn asked(live: &Live, question: &str) -> ChatRequest {
    let mut request = live.request(question);
    request.tools = request::tools();
    request
}

pub(crate) async fn the_model_may_call_a_tool(live: Arc<Live>) -> Result<()> {
    for choice in [None, Some(ToolChoice::Auto)] {
        let mut request = asked(&live, "Weather in Paris?");
        request.tool_choice = choice;
        let answer = live.chat(&request).await?;
        let (call, arguments) = answer.one_call()?;
        ensure!(
            call.name == "get_weather" && !call.id.is_empty(),
            "{call:?}"
        );
        ensure!(
            arguments == json!({"city": "Paris", "unit": "celsius"}),
            "{call:?}"
        );
        answer.finished(FinishReason::ToolCalls)?;
    }
    Ok(())
}

pub(crate) async fn two_calls_come_in_parallel(live: Arc<Live>) -> Result<()> {
    let answer = live
        .chat(&asked(&live, "Weather in Paris and Tokyo?"))
        .await?;
    let calls = answer.calls();
    ensure!(calls.len() == 2, "{:?}", answer.events);
    for (index, (call, city)) in calls.iter().zip(["Paris", "Tokyo"]).enumerate() {
        ensure!(call.index as usize == index && call.valid, "{call:?}");
        let arguments: serde_json::Value = serde_json::from_str(&call.arguments)?;
        ensure!(
            arguments == json!({"city": city, "unit": "celsius"}),
            "{call:?}"
        );
    }
    ensure!(calls[0].id != calls[1].id, "{calls:?}");
    answer.finished(FinishReason::ToolCalls)
}

pub(crate) async fn parallel_calls_can_be_switched_off(live: Arc<Live>) -> Result<()> {
    let mut request = asked(&live, "Weather in Paris and Tokyo?");
    request.parallel_tool_calls = Some(false);
    let answer = live.chat(&request).await?;
    let (_, arguments) = answer.one_call()?;
    ensure!(arguments["city"] == "Paris", "{arguments}");
    Ok(())
}

pub(crate) async fn a_call_may_follow_text(live: Arc<Live>) -> Result<()> {
    let answer = live
        .chat(&asked(&live, "Say something, then weather in Rome."))
        .await?;
    ensure!(
        answer.text().trim() == "Let me look that up.",
        "{:?}",
        answer.text()
    );
    let (_, arguments) = answer.one_call()?;
    ensure!(arguments["city"] == "Rome", "{arguments}");
    Ok(())
}

pub(crate) async fn a_call_may_follow_thinking(live: Arc<Live>) -> Result<()> {
    let mut request = request::ask("Think, say something, then weather in Lima.");
    request.tools = request::tools();
    let answer = live.chat(&request).await?;
    ensure!(
        answer.reasoning().trim() == "Lima needs the weather tool.",
        "{:?}",
        answer.reasoning()
    );
    ensure!(
        answer.text().trim() == "Looking up Lima.",
        "{:?}",
        answer.text()
    );
    let (_, arguments) = answer.one_call()?;
    ensure!(arguments["city"] == "Lima", "{arguments}");
    answer.finished(FinishReason::ToolCalls)
}

pub(crate) async fn a_call_without_arguments_has_an_empty_object(live: Arc<Live>) -> Result<()> {
    let answer = live.chat(&asked(&live, "What time is it?")).await?;
    let (call, arguments) = answer.one_call()?;
    ensure!(
        call.name == "get_time" && arguments == json!({}),
        "{call:?}"
    );
    Ok(())
}

pub(crate) async fn long_arguments_with_escapes_come_whole(live: Arc<Live>) -> Result<()> {
    let answer = live.chat(&asked(&live, "Write the file.")).await?;
    let (call, arguments) = answer.one_call()?;
    let expected = json!({
        "path": "/tmp/é.txt",
        "text": "line \"one\"\nline two\t{\"a\": [1, 2.5, null, true]}\n</p> \\ 日本 👋",
        "mode": 420,
        "opts": {"deep": {"x": []}},
    });
    ensure!(
        call.name == "write_file" && arguments == expected,
        "{call:?}"
    );
    Ok(())
}

pub(crate) async fn a_required_call_is_made(live: Arc<Live>) -> Result<()> {
    let mut request = asked(&live, "Weather in Paris?");
    request.tool_choice = Some(ToolChoice::Required);
    request.max_tokens = Some(200);
    let answer = live.chat(&request).await?;
    let calls = answer.calls();
    ensure!(
        !calls.is_empty()
            && calls
                .iter()
                .all(|call| call.valid && call.name == "get_weather"),
        "{:?}",
        answer.events
    );
    answer.finished(FinishReason::ToolCalls)
}

pub(crate) async fn a_named_tool_is_called(live: Arc<Live>) -> Result<()> {
    let mut request = asked(&live, "Weather in Paris?");
    request.tool_choice = Some(ToolChoice::Named("get_weather".into()));
    request.max_tokens = Some(200);
    let answer = live.chat(&request).await?;
    let (call, arguments) = answer.one_call()?;
    ensure!(
        call.name == "get_weather" && arguments["city"].is_string(),
        "{call:?}"
    );
    // vLLM itself says that it stopped.
    answer.finished(FinishReason::ToolCalls)
}

pub(crate) async fn arguments_that_are_no_json_are_flagged(live: Arc<Live>) -> Result<()> {
    let answer = live.chat(&asked(&live, "Broken call.")).await?;
    let calls = answer.calls();
    ensure!(calls.len() == 1 && !calls[0].valid, "{:?}", answer.events);
    ensure!(calls[0].arguments.contains("Par"), "{calls:?}");
    ensure!(
        answer.has_note("invalid-tool-arguments"),
        "{:?}",
        answer.events
    );
    Ok(())
}

pub(crate) async fn the_result_of_a_call_is_answered(live: Arc<Live>) -> Result<()> {
    let mut request = asked(&live, "Weather in Paris?");
    let answer = live.chat(&request).await?;
    let (end, _) = answer.one_call()?;
    let call = ToolCall {
        id: end.id.clone(),
        name: end.name.clone(),
        arguments: end.arguments.clone(),
    };
    request.messages.push(request::called(&call));
    request
        .messages
        .push(request::result(&call, "18 degrees, sunny"));
    live.chat(&request)
        .await?
        .is_text("It is 18 degrees and sunny.")
}

pub(crate) async fn tools_without_a_parser_are_refused(live: Arc<Live>) -> Result<()> {
    let request = asked(&live, "Weather in Paris?");
    let (error, events) = answer::failure(&live.provider, &live.model, &request).await?;
    ensure!(error.kind() == &ErrorKind::InvalidRequest, "{error:?}");
    ensure!(
        error.status() == Some(400) && !error.retryable(),
        "{error:?}"
    );
    ensure!(error.message().contains("--tool-call-parser"), "{error:?}");
    ensure!(events.is_empty(), "{events:?}");
    Ok(())
}
