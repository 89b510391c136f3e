//! `mock`: a vLLM server that needs no GPU, for trying and testing.

use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use provider_host::mock::{Fault, Mock, Model, Options, Recorded, Replay};

use super::arguments::MockOptions;
use super::failure::{Failure, Status};
use super::terminal::{DIM, escaped};

/// Where vLLM listens by default.
const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);

/// Context window of a model that is named without one.
const CONTEXT: u64 = 32_768;

/// How often the log looks for new requests.
const LOG_EVERY: Duration = Duration::from_millis(100);

/// Requests that the server keeps for the log.
const KEPT: usize = 1_000;

/// Runs the command until it is interrupted.
pub(super) fn run(arguments: &MockOptions) -> anyhow::Result<Status> {
    let options = options(arguments)?;
    tokio::runtime::Runtime::new()
        .context("could not start the asynchronous runtime")?
        .block_on(serve(options, arguments.listen.is_none()))
}

async fn serve(options: Options, any_port: bool) -> anyhow::Result<Status> {
    let listen = options.listen;
    let mock = match Mock::start(options.clone()).await {
        Err(error) if any_port && error.kind() == ErrorKind::AddrInUse => {
            let free = SocketAddr::new(listen.ip(), 0);
            Mock::start(Options {
                listen: free,
                ..options
            })
            .await
        }
        other => other,
    };
    let mock = mock.map_err(|error| {
        Failure::usage(format!(
            "could not start the mock server on {listen}: {error}"
        ))
    })?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", mock.base_url())?;
    out.flush()?;
    let mut log = Log::default();
    let mut tick = tokio::time::interval(LOG_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => log.write(&mock.requests()),
            _ = tokio::signal::ctrl_c() => {
                log.write(&mock.requests());
                return Ok(Status::Interrupted);
            }
        }
    }
}

fn options(arguments: &MockOptions) -> anyhow::Result<Options> {
    let mut options = Options {
        listen: arguments.listen.unwrap_or(DEFAULT),
        api_keys: arguments.api_key.iter().cloned().collect(),
        rate: arguments.rate,
        replay: arguments.replay.as_ref().map(Replay::new),
        ..Options::default()
    };
    if let Some(rate) = arguments.rate
        && !(rate.is_finite() && rate > 0.0)
    {
        return Err(Failure::usage("--rate is a number of tokens a second above 0").into());
    }
    if !arguments.model.is_empty() {
        options.models = arguments
            .model
            .iter()
            .map(|text| model(text))
            .collect::<anyhow::Result<_>>()?;
    }
    options.faults = arguments
        .fault
        .iter()
        .map(|text| {
            text.parse::<Fault>()
                .map_err(|error| Failure::usage(error.to_string()).into())
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(options)
}

/// `ID` or `ID=CONTEXT`.
fn model(text: &str) -> anyhow::Result<Model> {
    let wrong = || {
        Failure::usage(format!(
            "--model {text}: write ID or ID=CONTEXT, such as Qwen/Qwen3-8B=40960"
        ))
    };
    let (id, context) = match text.rsplit_once('=') {
        None => (text, CONTEXT),
        Some((id, context)) => (id, context.trim().parse().map_err(|_| wrong())?),
    };
    if id.trim().is_empty() || context == 0 {
        return Err(wrong().into());
    }
    Ok(Model::new(id.trim(), context))
}

/// The requests that were told of.
#[derive(Debug, Default)]
struct Log {
    told: usize,
    full: bool,
}

impl Log {
    fn write(&mut self, requests: &[Recorded]) {
        for request in requests.iter().skip(self.told) {
            line(&describe(request));
        }
        self.told = requests.len();
        // From then on the oldest are forgotten and new ones can't be told apart.
        if self.told >= KEPT && !self.full {
            self.full = true;
            line("more than 1,000 requests: no more of them are logged");
        }
    }
}

/// A log that can't be written is nobody's loss.
fn line(text: &str) {
    let _ = writeln!(anstream::stderr(), "{DIM}{}{DIM:#}", escaped(text));
}

fn describe(request: &Recorded) -> String {
    let mut text = format!("{} {}", request.method, request.path);
    let body: Option<serde_json::Value> = serde_json::from_slice(&request.body).ok();
    if let Some(body) = &body {
        if let Some(model) = body.get("model").and_then(|model| model.as_str()) {
            text.push_str(&format!(" model={model}"));
        }
        if let Some(messages) = body.get("messages").and_then(|list| list.as_array()) {
            text.push_str(&format!(" messages={}", messages.len()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_an_id_with_an_optional_context() {
        for (text, id, context) in [
            ("a", "a", CONTEXT),
            ("Qwen/Qwen3-8B=40960", "Qwen/Qwen3-8B", 40_960),
            ("a=b=5", "a=b", 5),
        ] {
            let found = model(text).unwrap();
            assert_eq!((found.id.as_str(), found.context), (id, context));
        }
        for text in ["", "=5", "a=", "a=x", "a=0", "a=-1"] {
            assert!(model(text).is_err(), "{text}");
        }
    }
}
