//! The one error of the library.
//!
//! What a provider says went wrong, what the sandbox stopped and what could not
//! be loaded are told in the same terms, so that a caller acts on
//! [`Error::kind`] without asking who said it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::bindings::types;
use crate::policy::limits::{MESSAGE_BYTES, WORD_BYTES};
use crate::policy::visible::is_hidden;

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller would act on it.
///
/// The first group is the contract's own (`llm:provider/types.error-kind`); the
/// second is what only a host can find.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The settings can't be used.
    InvalidConfig,
    /// The request can't be sent, or the server refused it as it is.
    InvalidRequest,
    /// No key where one is needed, or one that the server does not take.
    Authentication,
    /// The key is known and may not do this.
    Permission,
    /// There is no such model.
    ModelNotFound,
    /// The prompt alone is longer than the context.
    ContextOverflow,
    /// Too many requests.
    RateLimited,
    /// No room just now: at the server, or in this host's own pool.
    Overloaded,
    /// No connection.
    Unreachable,
    /// A time limit ran out.
    Timeout,
    /// The server failed.
    Server,
    /// The server broke its protocol.
    Protocol,
    /// The connection ended before the answer did.
    Interrupted,
    /// The caller ended it.
    Cancelled,
    /// The provider's own word.
    Other(String),

    /// The file is no plugin that this host can run.
    InvalidPlugin,
    /// The plugin may be one, but nobody whom the user trusts vouches for the file.
    UntrustedPlugin,
    /// The plugin trapped. Its chat is lost; nothing else is.
    PluginTrapped,
    /// The plugin reached a limit of its sandbox.
    PluginLimit,
    /// The plugin broke the contract: its events left the grammar
    /// ([`crate::grammar`]).
    PluginMisbehaved,
    /// The plugin was replaced while it answered, and the time that its answers
    /// had to end in is over ([`crate::registry`]).
    PluginRetired,
    /// The host itself could not do it: no memory, no file, no engine.
    Host,
}

impl ErrorKind {
    /// The name in kebab-case, as it stands in JSON output.
    pub fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::InvalidConfig => "invalid-config",
            Self::InvalidRequest => "invalid-request",
            Self::Authentication => "authentication",
            Self::Permission => "permission",
            Self::ModelNotFound => "model-not-found",
            Self::ContextOverflow => "context-overflow",
            Self::RateLimited => "rate-limited",
            Self::Overloaded => "overloaded",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Server => "server",
            Self::Protocol => "protocol",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
            Self::Other(name) => name,
            Self::InvalidPlugin => "invalid-plugin",
            Self::UntrustedPlugin => "untrusted-plugin",
            Self::PluginTrapped => "plugin-trapped",
            Self::PluginLimit => "plugin-limit",
            Self::PluginMisbehaved => "plugin-misbehaved",
            Self::PluginRetired => "plugin-retired",
            Self::Host => "host",
        })
    }
}

/// A failure, whole: what was tried, what came back, what to do next.
///
/// The message never holds a secret of the grant it came about under.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    status: Option<u16>,
    code: Option<String>,
    retryable: bool,
    retry_after: Option<Duration>,
    request_sent: bool,
    limit: Option<u64>,
    requested: Option<u64>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    core_dump: Option<Vec<u8>>,
}

impl Error {
    /// An error that is the host's own.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            status: None,
            code: None,
            retryable: false,
            retry_after: None,
            request_sent: false,
            limit: None,
            requested: None,
            source: None,
            core_dump: None,
        }))
    }

    pub(crate) fn retryable_later(mut self) -> Self {
        self.0.retryable = true;
        self
    }

    pub(crate) fn sent(mut self, sent: bool) -> Self {
        self.0.request_sent = sent;
        self
    }

    pub(crate) fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn map_message(mut self, f: impl FnOnce(String) -> String) -> Self {
        self.0.message = f(std::mem::take(&mut self.0.message));
        self
    }

    /// The same failure in other words, without its cause and core dump.
    pub(crate) fn restated(&self, message: String) -> Self {
        Self(Box::new(Inner {
            kind: self.0.kind.clone(),
            message,
            status: self.0.status,
            code: self.0.code.clone(),
            retryable: self.0.retryable,
            retry_after: self.0.retry_after,
            request_sent: self.0.request_sent,
            limit: self.0.limit,
            requested: self.0.requested,
            source: None,
            core_dump: None,
        }))
    }

    /// Puts every text of the error that is not the host's own through `f`, and
    /// keeps it to one line that drives no terminal.
    pub(crate) fn map_texts(mut self, f: impl Fn(String) -> String) -> Self {
        let f = |text| printable(f(text));
        if let ErrorKind::Other(word) = &mut self.0.kind {
            *word = f(std::mem::take(word));
        }
        self.0.code = self.0.code.take().map(&f);
        self.map_message(f)
    }

    /// Keeps the texts that are not the host's own to what people can read.
    pub(crate) fn bounded(mut self) -> Self {
        cut(&mut self.0.message, MESSAGE_BYTES);
        if let ErrorKind::Other(word) = &mut self.0.kind {
            cut(word, WORD_BYTES);
        }
        if let Some(code) = &mut self.0.code {
            cut(code, WORD_BYTES);
        }
        self
    }

    pub(crate) fn with_core_dump(mut self, dump: Option<Vec<u8>>) -> Self {
        self.0.core_dump = dump;
        self
    }

    /// What a caller would act on.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// [`ErrorKind::name`] of the kind.
    pub fn kind_name(&self) -> Cow<'_, str> {
        self.0.kind.name()
    }

    /// One or more sentences for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// HTTP status, where the server answered.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The server's own name of the error.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Whether the same request may succeed later.
    pub fn retryable(&self) -> bool {
        self.0.retryable
    }

    /// How long the server asks to wait first.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the request left: the server may have worked on it.
    pub fn request_sent(&self) -> bool {
        self.0.request_sent
    }

    /// The limit that was hit, in tokens.
    pub fn limit(&self) -> Option<u64> {
        self.0.limit
    }

    /// What was asked for, in tokens.
    pub fn requested(&self) -> Option<u64> {
        self.0.requested
    }

    /// The plugin's memory and stack at the moment it was stopped, as a
    /// WebAssembly core dump; only with
    /// [`EngineOptions::core_dumps`](crate::EngineOptions::core_dumps).
    pub fn core_dump(&self) -> Option<&[u8]> {
        self.0.core_dump.as_deref()
    }

    /// Whether the plugin is to blame, not the server or the user.
    pub fn is_plugin_fault(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::InvalidPlugin
                | ErrorKind::PluginTrapped
                | ErrorKind::PluginLimit
                | ErrorKind::PluginMisbehaved
        )
    }
}

/// A text on one line without [hidden](crate::policy::visible) characters: it is shown by whoever embeds
/// this host, and it is not the host's.
pub(crate) fn printable(text: String) -> String {
    if !text.contains(is_hidden) {
        return text;
    }
    let shown = |one| match one {
        '\n' | '\t' => ' ',
        one if is_hidden(one) => char::REPLACEMENT_CHARACTER,
        one => one,
    };
    text.chars().map(shown).collect()
}

/// Cuts a text to at most `most` bytes, the ellipsis that says so included.
pub(crate) fn cut(text: &mut String, most: usize) {
    const ELLIPSIS: char = '…';
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most - ELLIPSIS.len_utf8()));
        text.push(ELLIPSIS);
        text.shrink_to_fit();
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        use types::ErrorKind as K;
        let kind = match error.kind {
            K::InvalidConfig => ErrorKind::InvalidConfig,
            K::InvalidRequest => ErrorKind::InvalidRequest,
            K::Authentication => ErrorKind::Authentication,
            K::Permission => ErrorKind::Permission,
            K::ModelNotFound => ErrorKind::ModelNotFound,
            K::ContextOverflow => ErrorKind::ContextOverflow,
            K::RateLimited => ErrorKind::RateLimited,
            K::Overloaded => ErrorKind::Overloaded,
            K::Unreachable => ErrorKind::Unreachable,
            K::Timeout => ErrorKind::Timeout,
            K::Server => ErrorKind::Server,
            K::Protocol => ErrorKind::Protocol,
            K::Interrupted => ErrorKind::Interrupted,
            K::Cancelled => ErrorKind::Cancelled,
            K::Other(name) => ErrorKind::Other(name),
        };
        Self(Box::new(Inner {
            kind,
            message: error.message,
            status: error.status,
            code: error.code,
            retryable: error.retryable,
            retry_after: error.retry_after_ms.map(Duration::from_millis),
            request_sent: error.request_sent,
            limit: error.limit,
            requested: error.requested,
            source: None,
            core_dump: None,
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("status", &self.0.status)
            .field("code", &self.0.code)
            .field("retryable", &self.0.retryable)
            .field("retry_after", &self.0.retry_after)
            .field("request_sent", &self.0.request_sent)
            .field("limit", &self.0.limit)
            .field("requested", &self.0.requested)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_a_character_and_says_so() {
        for (text, cut_to_8) in [
            ("", ""),
            ("12345678", "12345678"),
            ("123456789", "12345…"),
            ("1234é6789", "1234…"),
            ("漢漢漢", "漢…"),
        ] {
            let mut cut_text = text.to_owned();
            cut(&mut cut_text, 8);
            assert_eq!(cut_text, cut_to_8, "{text}");
        }
    }

    #[test]
    fn only_what_is_too_long_is_cut() {
        let long = "a".repeat(1 << 20);
        let mut error = Error::new(ErrorKind::Other(long.clone()), long.clone());
        error.0.code = Some(long);
        let error = error.bounded();
        assert_eq!(error.message().len(), MESSAGE_BYTES);
        assert_eq!(error.kind_name().len(), WORD_BYTES);
        assert_eq!(error.code().map(str::len), Some(WORD_BYTES));
        let error = Error::new(ErrorKind::Server, "short").bounded();
        assert_eq!(error.message(), "short");
    }

    #[test]
    fn what_a_plugin_says_of_its_error_drives_no_terminal() {
        let error = Error::new(
            ErrorKind::Other("a\u{1b}[2J".into()),
            "one\nline\t\u{1b}]52;c;aGk=\u{7} \u{202e}é 漢",
        );
        let error = error.map_texts(|text| text);
        assert_eq!(error.kind_name(), "a\u{fffd}[2J");
        assert_eq!(
            error.message(),
            "one line \u{fffd}]52;c;aGk=\u{fffd} \u{fffd}é 漢"
        );
    }
}
