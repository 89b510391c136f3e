//! One token of an answer, and one more with a tool: what only a chat can tell.

use std::io;
use std::time::{Duration, Instant};

use provider_host::types::{self, Event};
use provider_host::{Error, ErrorKind};

use super::Setup;
use super::report::{Report, explained};
use crate::cli::amount::{count, seconds};
use crate::cli::request;

/// How long an answer of one token is waited for. A server that takes longer is
/// busy or still loading, and nobody wants to watch that.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What came of a probe.
#[derive(Debug, Default)]
struct Answer {
    /// Time to the first piece of text or thinking.
    first: Option<Duration>,
    text: bool,
    reasoning: bool,
    usage: Option<types::Usage>,
}

/// Asks for one token. How long it took, if it came.
pub(super) async fn one_token(
    setup: &Setup,
    model: &types::Model,
    report: &mut Report,
) -> io::Result<Option<Duration>> {
    const CHECK: &str = "one token";
    let start = Instant::now();
    let answer = match ask(setup, model, plain()).await {
        Ok(answer) => answer,
        Err(error) => {
            report.error(CHECK, &error)?;
            return Ok(None);
        }
    };
    let took = start.elapsed();
    match &answer.usage {
        Some(usage) => report.ok(
            CHECK,
            &format!(
                "answered in {}: {} in + {} out",
                seconds(took),
                count(usage.total.saturating_sub(usage.output)),
                count(usage.output)
            ),
        )?,
        None => report.warning(
            CHECK,
            "answered, but the server sent no usage, so that tokens can't be counted: look for a \
             proxy that drops stream_options",
        )?,
    }
    reasoning(setup, model, &answer, report).await?;
    Ok(Some(answer.first.unwrap_or(took)))
}

/// Whether what comes as thinking is thinking. A reasoning parser that does not
/// fit the model takes the whole answer for it, and the text stays empty.
async fn reasoning(
    setup: &Setup,
    model: &types::Model,
    answer: &Answer,
    report: &mut Report,
) -> io::Result<()> {
    const CHECK: &str = "reasoning";
    const REMEDY: &str = "if answers stay empty, start the server with the --reasoning-parser that \
                          fits the model, or with none";
    if !answer.reasoning {
        return report.ok(CHECK, "the answer came as text");
    }
    let mut quiet = plain();
    quiet.reasoning = Some(types::ReasoningEffort::Off);
    match ask(setup, model, quiet).await {
        Ok(answer) if !answer.reasoning => report.ok(
            CHECK,
            "the model thinks before it answers, and answers at once with --reasoning off",
        ),
        Ok(_) if model.reasoning => report.warning(
            CHECK,
            &format!(
                "the answer came as reasoning even with --reasoning off: the model can't stop \
                 thinking, or the server's reasoning parser takes its answers for thinking; {REMEDY}"
            ),
        ),
        Ok(_) => report.warning(
            CHECK,
            &format!(
                "the answer came as reasoning, though {} is not known to think: the server's \
                 reasoning parser may take its answers for thinking; {REMEDY}",
                model.id
            ),
        ),
        Err(error) => report.warning(
            CHECK,
            &format!("the answer came as reasoning, and with --reasoning off none came: {}", explained(&error)),
        ),
    }
}

/// Offers a tool, as agents do with every request.
pub(super) async fn tools(
    setup: &Setup,
    model: &types::Model,
    report: &mut Report,
) -> io::Result<()> {
    const CHECK: &str = "tools";
    let mut request = plain();
    request.tools = vec![types::Tool {
        name: String::from("noop"),
        description: Some(String::from("Does nothing.")),
        parameters: String::from(r#"{"type":"object","properties":{}}"#),
    }];
    request.tool_choice = Some(types::ToolChoice::Auto);
    let error = match ask(setup, model, request).await {
        Ok(_) => return report.ok(CHECK, "the server takes tools"),
        Err(error) => error,
    };
    let text = explained(&error);
    match text.contains("--tool-call-parser") {
        true => report.warning(
            CHECK,
            &format!(
                "the server takes no tools, so that agents can't call any: start it with \
                 --enable-auto-tool-choice --tool-call-parser NAME, where NAME fits the model \
                 (hermes for Qwen); it said: {text}"
            ),
        ),
        false => report.warning(CHECK, &format!("a request with a tool failed: {text}")),
    }
}

fn plain() -> types::ChatRequest {
    let mut request = request::of_prompt("Say hello.");
    request.max_tokens = Some(1);
    request
}

/// Sends a request and reads the answer to its end.
async fn ask(
    setup: &Setup,
    model: &types::Model,
    request: types::ChatRequest,
) -> anyhow::Result<Answer> {
    // The user's settings need not know a model that this command chose.
    let settings = match setup.wired.resolved.settings.config {
        Some(_) => setup.wired.settings(),
        None => setup.discovering(),
    };
    let provider = setup.wired.provider(&setup.plugin, settings)?;
    let answer = async {
        let start = Instant::now();
        let mut answer = Answer::default();
        let mut chat = provider.chat(model, &request).await?;
        loop {
            let batch = chat.next_batch(64).await?;
            if batch.is_empty() {
                return Ok(answer);
            }
            for event in batch {
                match event {
                    Event::Text(_) => answer.text = true,
                    Event::Reasoning(_) => answer.reasoning = true,
                    Event::Usage(usage) => answer.usage = Some(usage),
                    _ => continue,
                }
                answer.first.get_or_insert_with(|| start.elapsed());
            }
        }
    };
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::new(
            ErrorKind::Timeout,
            format!(
                "no whole answer of one token from {} within {} s; look at the server's log: it \
                 may be loading, or have many requests before this one",
                setup.wired.resolved.base_url,
                PATIENCE.as_secs()
            ),
        )
        .into()),
    }
}
