//! A chat request, from flags or from a JSON file.
//!
//! The file is read strictly: a value of the wrong type is an error with its
//! path, an unknown key is a warning. A request that silently lost a tool or a
//! limit would be answered, and wrongly.

mod fields;
mod file;

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use provider_host::file::{self as bounded, Links};
use provider_host::types;

use super::amount;
use super::arguments::ChatOptions;
use super::failure::Failure;
use super::image;
use super::terminal;

/// Largest request file and longest prompt that is read.
const LARGEST: u64 = 64 << 20;

/// Builds the request that the options ask for. `warn` is told of what was
/// ignored.
pub(super) fn build(
    options: &ChatOptions,
    warn: &mut dyn FnMut(String),
) -> anyhow::Result<types::ChatRequest> {
    let mut request = match &options.request {
        Some(path) => {
            let text = read_file(path)?;
            file::parse(&text, warn)
                .map_err(|why| Failure::usage(format!("{}: {why}", path.display())))?
        }
        None => from_prompt(options)?,
    };
    apply_flags(options, &mut request)?;
    let path = match &options.reasoning {
        Some(_) => "--reasoning",
        None => "reasoning of the request",
    };
    let odd = request.reasoning.as_ref();
    if let Some(warning) = odd.and_then(|level| fields::odd_level(path, level)) {
        warn(warning);
    }
    Ok(request)
}

/// A request with nothing in it.
pub(super) fn empty() -> types::ChatRequest {
    types::ChatRequest::default()
}

/// A request with everything that the flags say, and no turn of the user yet.
pub(super) fn opening(options: &ChatOptions) -> anyhow::Result<types::ChatRequest> {
    let mut request = empty();
    request
        .messages
        .extend(options.system.clone().map(types::Message::System));
    apply_flags(options, &mut request)?;
    Ok(request)
}

/// A request of one user's turn.
pub(super) fn of_prompt(prompt: impl Into<String>) -> types::ChatRequest {
    types::ChatRequest::user(prompt)
}

fn from_prompt(options: &ChatOptions) -> anyhow::Result<types::ChatRequest> {
    // Images first: a mistake there should not wait for somebody to type.
    let images = options
        .image
        .iter()
        .map(|path| image::read(path).map(types::ContentPart::Image))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let prompt = match options.prompt.as_deref() {
        None | Some("-") => read_stdin()?,
        Some(prompt) => beside_prompt(prompt)?,
    };
    if prompt.trim().is_empty() && images.is_empty() {
        return Err(Failure::usage("the prompt is empty")
            .hint("give it as the last argument, or on stdin")
            .into());
    }
    let mut content = Vec::new();
    if !prompt.is_empty() {
        content.push(types::ContentPart::Text(prompt));
    }
    content.extend(images);
    let mut request = empty();
    if let Some(system) = &options.system {
        request
            .messages
            .push(types::Message::System(system.clone()));
    }
    request.messages.push(types::Message::User(content));
    Ok(request)
}

/// Flags go over what the file says.
fn apply_flags(options: &ChatOptions, request: &mut types::ChatRequest) -> anyhow::Result<()> {
    if options.max_tokens.is_some() {
        request.max_tokens = options.max_tokens;
    }
    if options.temperature.is_some() {
        request.sampling.temperature = options.temperature;
    }
    if let Some(level) = &options.reasoning {
        request.reasoning = Some(fields::reasoning(level).ok_or_else(|| {
            Failure::usage(
                "--reasoning is blank; allowed is off, minimal, low, medium, high, xhigh or max",
            )
        })?);
    }
    if let Some(text) = &options.extra {
        let extra = match serde_json::from_str(text) {
            Ok(serde_json::Value::Object(extra)) => extra,
            Ok(other) => {
                return Err(Failure::usage(format!(
                    "--extra is {}; allowed is a JSON object, such as '{{\"top_k\": 20}}'",
                    fields::describe(&other)
                ))
                .into());
            }
            Err(error) => {
                return Err(Failure::usage(format!("--extra is not JSON: {error}")).into());
            }
        };
        let mut merged = match request.extra.as_deref().map(serde_json::from_str) {
            Some(Ok(serde_json::Value::Object(merged))) => merged,
            _ => serde_json::Map::new(),
        };
        merged.extend(extra);
        request.extra = Some(serde_json::Value::Object(merged).to_string());
    }
    Ok(())
}

fn read_file(path: &Path) -> anyhow::Result<String> {
    let text = bounded::read_text(path, LARGEST, Links::Followed).map_err(|error| {
        let (path, remedy) = (path.display(), error.remedy());
        Failure::usage(format!("cannot read {path}: {error}{remedy}"))
    })?;
    Ok(text)
}

/// The prompt of the command line, behind what stdin has, if that is no terminal: `chat "Sum this
/// up" < notes.txt` asks about the notes.
fn beside_prompt(prompt: &str) -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Ok(prompt.to_owned());
    }
    // A script may have left a pipe open that nothing comes through.
    let waiting = say_if_slow(
        "waiting for stdin to end, which goes before the prompt; `< /dev/null` leaves it out",
    );
    let text = read_text(stdin.lock(), "stdin, which goes before the prompt", LARGEST)?;
    drop(waiting);
    let text = text.trim_end_matches(['\r', '\n']);
    match text.trim().is_empty() {
        true => Ok(prompt.to_owned()),
        false => Ok(format!("{text}\n\n{prompt}")),
    }
}

/// How long something is waited for in silence.
const PATIENCE: Duration = Duration::from_secs(2);

/// Says something if what is returned still lives after [`PATIENCE`].
fn say_if_slow(sentence: &'static str) -> Option<mpsc::Sender<()>> {
    let (alive, ended) = mpsc::channel::<()>();
    let watch = move || {
        if ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            terminal::note(sentence);
        }
    };
    // Without a thread nothing is said.
    let started = std::thread::Builder::new().spawn(watch);
    started.is_ok().then_some(alive)
}

/// The prompt on stdin, without the line break that ends it.
fn read_stdin() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        terminal::note("type the prompt, then press Ctrl-D on an empty line");
    }
    let mut text = read_text(stdin.lock(), "the prompt from stdin", LARGEST)?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

/// Reads at most `largest` bytes of text; more is refused, never cut.
fn read_text(from: impl std::io::Read, what: &str, largest: u64) -> anyhow::Result<String> {
    let mut text = String::new();
    from.take(largest + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("cannot read {what}: {error}")))?;
    if text.len() as u64 > largest {
        let most = amount::bytes(largest);
        return Err(Failure::usage(format!("cannot read {what}: it is longer than {most}")).into());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ChatOptions {
        ChatOptions {
            server: super::super::arguments::ServerOptions { base_url: None },
            model: None,
            system: None,
            image: Vec::new(),
            request: None,
            max_tokens: None,
            temperature: None,
            reasoning: None,
            extra: None,
            max_retries: 0,
            no_fallback: false,
            record: None,
            replay: None,
            replay_full_speed: false,
            watch: false,
            json: false,
            prompt: Some("hi".into()),
        }
    }

    #[test]
    fn flags_make_a_request_of_one_turn() {
        let request = build(
            &ChatOptions {
                system: Some("be brief".into()),
                max_tokens: Some(5),
                temperature: Some(0.5),
                reasoning: Some("xhigh".into()),
                extra: Some("{\"top_k\": 3}".into()),
                ..options()
            },
            &mut |_| {},
        )
        .unwrap();
        assert_eq!(
            request.messages,
            [
                types::Message::System("be brief".into()),
                types::Message::User(vec![types::ContentPart::Text("hi".into())])
            ]
        );
        assert_eq!(request.max_tokens, Some(5));
        assert_eq!(request.sampling.temperature, Some(0.5));
        assert_eq!(request.reasoning, Some(types::ReasoningEffort::Xhigh));
        assert_eq!(request.extra.as_deref(), Some("{\"top_k\":3}"));
    }

    #[test]
    fn flags_go_over_the_request_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.json");
        let text = r#"{"messages": [{"role": "user", "content": "file"}], "max_tokens": 9,
                       "temperature": 1, "extra": {"a": 1, "b": 1}}"#;
        std::fs::write(&path, text).unwrap();
        let request = build(
            &ChatOptions {
                request: Some(path),
                prompt: None,
                max_tokens: Some(5),
                extra: Some("{\"b\": 2}".into()),
                ..options()
            },
            &mut |_| {},
        )
        .unwrap();
        assert_eq!(request.max_tokens, Some(5));
        assert_eq!(request.sampling.temperature, Some(1.0));
        assert_eq!(request.extra.as_deref(), Some("{\"a\":1,\"b\":2}"));
        assert_eq!(
            request.messages,
            [types::Message::User(vec![types::ContentPart::Text(
                "file".into()
            )])]
        );
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_and_not_cut() {
        assert_eq!(read_text(&b"1234"[..], "it", 4).unwrap(), "1234");
        let error = read_text(&b"12345"[..], "it", 4).unwrap_err().to_string();
        assert_eq!(error, "cannot read it: it is longer than 4 bytes");
        assert!(read_text(&b"\xff"[..], "it", 4).is_err());
    }

    #[test]
    fn wrong_flags_are_refused_in_words() {
        let cases = [
            (
                ChatOptions {
                    extra: Some("[1]".into()),
                    ..options()
                },
                "--extra is a list; allowed is a JSON object",
            ),
            (
                ChatOptions {
                    extra: Some("{".into()),
                    ..options()
                },
                "--extra is not JSON",
            ),
            (
                ChatOptions {
                    prompt: Some("  ".into()),
                    ..options()
                },
                "the prompt is empty",
            ),
            (
                ChatOptions {
                    reasoning: Some(" ".into()),
                    ..options()
                },
                "--reasoning is blank",
            ),
            (
                ChatOptions {
                    request: Some("/nowhere/r.json".into()),
                    prompt: None,
                    ..options()
                },
                "cannot read /nowhere/r.json",
            ),
        ];
        for (options, expected) in cases {
            let error = build(&options, &mut |_| {}).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
