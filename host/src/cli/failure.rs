//! Failures, told to people on stderr, to scripts by the exit status and in
//! `--json` as an object.

use std::fmt;
use std::io;

use std::path::{Path, PathBuf};

use provider_host::configuration::ConfigError;
use provider_host::credentials::CredentialError;
use provider_host::egress::TransportError;
use provider_host::policy::OriginError;
use provider_host::{Error, ErrorKind};

use super::json;
use super::terminal;

/// The exit status, as documented in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Status {
    Done = 0,
    /// The provider or the server refused or failed.
    Failed = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// Ctrl-C.
    Interrupted = 130,
}

/// A failure that the command line itself found.
#[derive(Debug)]
pub(super) struct Failure {
    status: Status,
    /// In the contract's words.
    kind: &'static str,
    message: String,
    hints: Vec<String>,
}

impl Failure {
    /// Something on the command line, or in a file that it names, is wrong.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Status::Usage, "invalid-request", message)
    }

    /// The configuration does not do.
    pub(super) fn configuration(message: impl Into<String>) -> Self {
        Self::new(Status::Usage, "invalid-config", message)
    }

    /// The file named as a plugin is none that this host can load.
    pub(super) fn unusable_plugin(message: impl Into<String>) -> Self {
        Self::new(Status::Usage, "invalid-plugin", message)
    }

    /// The user's policy does not let the plugin file in.
    pub(super) fn untrusted_plugin(message: impl Into<String>) -> Self {
        Self::new(Status::Usage, "untrusted-plugin", message)
    }

    /// Somebody else failed.
    pub(super) fn failed(kind: &'static str, message: impl Into<String>) -> Self {
        Self::new(Status::Failed, kind, message)
    }

    /// The user pressed Ctrl-C.
    pub(super) fn interrupted() -> Self {
        Self::new(Status::Interrupted, "cancelled", "interrupted")
    }

    fn new(status: Status, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            hints: Vec::new(),
        }
    }

    /// Adds what the user can do.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The configuration file that has to be changed: a context of an
/// [`anyhow::Error`], since a path such as `models.providers.vllm` does not say
/// which file it stands in.
#[derive(Debug)]
struct Under(PathBuf);

impl fmt::Display for Under {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the configuration is {}", self.0.display())
    }
}

/// Adds the configuration file to a failure that is about it.
pub(super) fn under(file: Option<&Path>, error: anyhow::Error) -> anyhow::Error {
    match file {
        Some(file) if about_the_configuration(&error) => error.context(Under(file.to_owned())),
        _ => error,
    }
}

/// Tells a person, and says what the process ends with.
pub(super) fn report(error: &anyhow::Error) -> Status {
    if is_broken_pipe(error) {
        return Status::Done;
    }
    let status = status(error);
    if status != Status::Interrupted {
        terminal::error(&text(error), &hints(error));
    }
    status
}

/// The error in words. The library's own errors tell the whole story
/// themselves; of others the causes belong to it.
pub(super) fn text(error: &anyhow::Error) -> String {
    if let Some(error) = error.downcast_ref::<Error>() {
        return error.message().to_owned();
    }
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        return error.to_string();
    }
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.message.clone();
    }
    if error.downcast_ref::<io::Error>().is_some() {
        // Reading is told of where it is done; what is left is writing.
        return format!("could not write the output: {error:#}");
    }
    format!("{error:#}")
}

/// What the process ends with after this error.
pub(super) fn status(error: &anyhow::Error) -> Status {
    if is_broken_pipe(error) {
        return Status::Done;
    }
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.status;
    }
    if error.is::<ConfigError>() || error.is::<CredentialError>() {
        return Status::Usage;
    }
    match error.downcast_ref::<Error>() {
        // A server that says "not found" to a wrong base URL has refused; only
        // what was wrong before anything was sent is the user's alone.
        Some(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidConfig
                    | ErrorKind::InvalidRequest
                    | ErrorKind::InvalidPlugin
                    | ErrorKind::UntrustedPlugin
            ) && !answered(error) =>
        {
            Status::Usage
        }
        _ => Status::Failed,
    }
}

/// The error object of `chat --json`.
pub(super) fn to_json(error: &anyhow::Error) -> json::Error {
    if let Some(error) = error.downcast_ref::<Error>() {
        return json::Error::from(error);
    }
    let kind = match error.downcast_ref::<Failure>() {
        Some(failure) => failure.kind,
        None if error.is::<ConfigError>() || error.is::<CredentialError>() => "invalid-config",
        None => "host",
    };
    json::Error::unsent(kind, text(error))
}

/// Whether the reader of stdout has gone, which is no failure.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn answered(error: &Error) -> bool {
    error.status().is_some() || error.request_sent()
}

/// What to do next, where the message does not say so itself.
pub(super) fn hints(error: &anyhow::Error) -> Vec<String> {
    let mut hints = advice(error);
    hints.extend(error.downcast_ref::<Under>().map(Under::to_string));
    hints
}

/// Whether the configuration's text is what has to be changed.
fn about_the_configuration(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<Error>() {
        Some(error) => *error.kind() == ErrorKind::InvalidConfig,
        None => match error.downcast_ref::<ConfigError>() {
            // `--model` stands on the command line.
            Some(error) => error.path().is_some_and(|path| !path.starts_with("--")),
            None => error
                .downcast_ref::<Failure>()
                .is_some_and(|failure| failure.kind == "invalid-config"),
        },
    }
}

fn advice(error: &anyhow::Error) -> Vec<String> {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.hints.clone();
    }
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        return of_configuration(error).into_iter().collect();
    }
    match error.downcast_ref::<Error>() {
        Some(error) => of_provider(error),
        None => Vec::new(),
    }
}

fn of_configuration(error: &ConfigError) -> Option<String> {
    Some(match error {
        ConfigError::Missing { named_by, .. } => format!(
            "correct {named_by}, or leave it out: VLLM_API_KEY alone is enough to find the models \
             of a server on this machine"
        ),
        ConfigError::Syntax { .. } => String::from(
            "correct the file there: JSON5 is JSON with comments, trailing commas and bare keys",
        ),
        ConfigError::NotAReference { path, found } if path == "--model" && !found.contains('/') => {
            format!("if {found:?} is the model's id, write --model vllm/{found}")
        }
        ConfigError::NotAHeaderValue { .. } => {
            String::from("set it again, without what came along when it was copied")
        }
        ConfigError::Read { .. } => String::from("check the path, and that you may read the file"),
        ConfigError::NoBaseUrl { .. } => {
            String::from("or add --base-url URL: a plugin file does not choose its own server")
        }
        ConfigError::IdNotApproved { id } => format!(
            "if that is what you want, add --plugin-id {id}, or set plugins.entries.{id}.enabled \
             and plugins.load.paths in the configuration, or list the plugin under `ids` in the \
             trust file"
        ),
        _ => return None,
    })
}

/// The cause of an error, where the library keeps one of this type: it knows
/// what the kind alone does not say.
pub(super) fn cause<T: std::error::Error + 'static>(error: &Error) -> Option<&T> {
    std::error::Error::source(error)?.downcast_ref()
}

const WHICH_KEY: &str = "`provider-host doctor` says which key is used";

fn of_provider(error: &Error) -> Vec<String> {
    let mut hints = Vec::new();

    if let Some(error) = cause::<ConfigError>(error) {
        hints.extend(of_configuration(error));
    }
    if cause::<OriginError>(error).is_some() {
        hints.push(String::from(
            "set models.providers.vllm.baseUrl to one such as http://127.0.0.1:8000/v1",
        ));
    }
    match cause::<TransportError>(error) {
        // The message says the same.
        None | Some(TransportError::Refused { .. } | TransportError::NotRecorded(_)) => {}
        Some(cause) => hints.extend(cause.advice().map(String::from)),
    }
    let by_kind = match error.kind() {
        ErrorKind::Authentication if error.status().is_some() => {
            hints.push(String::from(WHICH_KEY));
            Some("`provider-host auth set vllm` stores a key")
        }
        ErrorKind::Authentication => Some("`provider-host auth set vllm` stores a key"),
        ErrorKind::Permission => {
            hints.push(String::from(WHICH_KEY));
            Some("use a key that may do this: `provider-host auth set vllm` stores another")
        }
        ErrorKind::Unreachable => {
            Some("`provider-host doctor` checks the server and the settings step by step")
        }
        ErrorKind::ModelNotFound => {
            Some("`provider-host models list` shows the models there are, and why others are not")
        }
        ErrorKind::ContextOverflow => {
            Some("shorten the conversation, or use a model with a larger context")
        }
        ErrorKind::PluginTrapped | ErrorKind::PluginLimit | ErrorKind::PluginMisbehaved => {
            Some("this is a fault of the plugin: tell its authors, with this message")
        }
        ErrorKind::Timeout | ErrorKind::Interrupted
            if error.retryable() && cause::<TransportError>(error).is_some() =>
        {
            None
        }
        ErrorKind::InvalidRequest if error.message().contains("--tool-call-parser") => Some(
            "start the server with --enable-auto-tool-choice --tool-call-parser NAME, where NAME \
             fits the model (hermes for Qwen), or offer no tools",
        ),
        ErrorKind::InvalidRequest if error.message().contains("not a multimodal model") => {
            Some("declare the model with `input: [\"text\"]`, or leave the image out")
        }
        // Not the same request: a shorter one, as the message says.
        ErrorKind::InvalidRequest => None,
        _ if error.retryable() => Some("the same request may succeed later"),
        _ => None,
    };
    hints.extend(by_kind.map(String::from));
    if let Some(wait) = error.retry_after() {
        hints.push(format!(
            "the server asks to wait {}",
            super::amount::seconds(wait)
        ));
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_follows_the_cause() {
        let missing = ConfigError::Missing {
            file: "c.json".into(),
            named_by: "--config".into(),
        };
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let cases: [(anyhow::Error, Status); 9] = [
            (missing.into(), Status::Usage),
            (CredentialError::NoPlace.into(), Status::Usage),
            (Failure::usage("x").into(), Status::Usage),
            (Failure::configuration("x").into(), Status::Usage),
            (Failure::interrupted().into(), Status::Interrupted),
            (
                Error::new(ErrorKind::InvalidConfig, "x").into(),
                Status::Usage,
            ),
            (
                Error::new(ErrorKind::Unreachable, "x").into(),
                Status::Failed,
            ),
            (pipe.into(), Status::Done),
            (full.into(), Status::Failed),
        ];
        for (error, expected) in cases {
            assert_eq!(status(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn a_failure_before_the_chat_is_an_error_object_too() {
        let object = to_json(&Failure::configuration("no model").into());
        assert_eq!(
            serde_json::to_string(&object).unwrap(),
            "{\"kind\":\"invalid-config\",\"message\":\"no model\",\"status\":null,\"code\":null,\
             \"retryable\":false,\"retry_after_ms\":null,\"request_sent\":false,\"limit\":null,\
             \"requested\":null}"
        );
        let object = to_json(&Error::new(ErrorKind::ContextOverflow, "too long").into());
        assert_eq!(object.kind, "context-overflow");
    }
}
