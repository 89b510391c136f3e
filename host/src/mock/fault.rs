//! What can be wrong with a server, by name.
//!
//! A fault is given as `NAME`, `NAME:N`, `NAME@models`, `NAME@all` or
//! `NAME:N@all`. Without `@` it befalls chats only, so that a client can still
//! find the models. N means what the kind says, 3 events unless told.

use std::fmt;
use std::str::FromStr;

/// Declares the kinds once: name, default number, what happens on the wire.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $number:literal;)+) => {
        /// The kinds of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum FaultKind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl FaultKind {
            /// All kinds, in the order of their documentation.
            pub const ALL: &'static [FaultKind] = &[$(FaultKind::$variant,)+];

            /// The name on the command line.
            pub fn name(self) -> &'static str {
                match self { $(FaultKind::$variant => $name,)+ }
            }

            /// What happens on the wire, in a sentence.
            pub fn describe(self) -> &'static str {
                match self { $(FaultKind::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// What N is when it is not given.
            pub fn default_number(self) -> u64 {
                match self { $(FaultKind::$variant => $number,)+ }
            }
        }
    };
}

kinds! {
    /// Nothing: the request is answered as usual. To take turns with the others.
    None = "none", 0;
    /// Nobody listens: the port refuses connections and open ones are reset.
    Refuse = "refuse", 0;
    /// The request is read, then the connection is closed without a byte.
    CloseBeforeHeaders = "close-before-headers", 0;
    /// The headers of a stream come, then a TCP reset instead of an event.
    ResetBeforeFirstEvent = "reset-before-first-event", 0;
    /// A TCP reset after N events.
    ResetMidStream = "reset-mid-stream", 3;
    /// The connection is closed after N events, without the last chunk.
    CloseMidStream = "close-mid-stream", 3;
    /// The request is read and never answered; the connection stays open.
    Silent = "silent", 0;
    /// Headers and N events, then nothing more; the connection stays open.
    SilentAfter = "silent-after", 3;
    /// After N events a chunk that promises more bytes than come, then the close.
    TruncatedChunk = "truncated-chunk", 3;
    /// Random bytes instead of HTTP, then the close.
    Garbage = "garbage", 0;
    /// After N events a data line that is no JSON; the rest as usual.
    InvalidJson = "invalid-json", 3;
    /// After N events vLLM's own error event and `[DONE]`, as when its engine dies.
    ErrorInStream = "error-in-stream", 3;
    /// A whole stream without the final `data: [DONE]`.
    NoDone = "no-done", 0;
    /// After N events a line that never ends, as fast as the client takes it.
    EndlessLine = "endless-line", 3;
    /// The whole answer one byte at a time, N milliseconds apart.
    SlowDrip = "slow-drip", 1;
    /// The stream as usual, declared as `content-type: text/plain`.
    WrongContentType = "wrong-content-type", 0;
    /// A web page with status 200, as a captive portal sends it.
    Html = "html", 0;
    /// 429 with `retry-after: N` seconds, as a proxy in front of vLLM sends it.
    RateLimited = "rate-limited", 1;
    /// 503 in the words of a vLLM whose request queue is full.
    Overloaded = "overloaded", 0;
    /// A JSON body without end, as fast as the client takes it.
    HugeBody = "huge-body", 0;
    /// A content length far above what comes before the close.
    LyingContentLength = "lying-content-length", 0;
    /// Status 200 with an empty body.
    EmptyBody = "empty-body", 0;
    /// 401 as for a wrong key.
    Unauthorized = "unauthorized", 0;
    /// 404 as for an unknown model.
    NotFound = "not-found", 0;
    /// 500 in the words of a vLLM whose engine died.
    ServerError = "server-error", 0;
}

/// Which requests a fault befalls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Target {
    /// `POST /v1/chat/completions`.
    #[default]
    Chats,
    /// `GET /v1/models`.
    Models,
    /// Every request.
    All,
}

/// One fault: what, when, to which requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// The kind's N: events before it, milliseconds or seconds.
    pub number: u64,
    /// The requests it befalls. `refuse` befalls the whole server whatever
    /// stands here.
    pub target: Target,
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Fault {
            kind,
            number: kind.default_number(),
            target: Target::Chats,
        }
    }
}

impl Fault {
    /// The same fault with another N.
    pub fn number(self, number: u64) -> Self {
        Fault { number, ..self }
    }

    /// The same fault for other requests.
    pub fn on(self, target: Target) -> Self {
        Fault { target, ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if self.number != self.kind.default_number() {
            write!(f, ":{}", self.number)?;
        }
        match self.target {
            Target::Chats => Ok(()),
            Target::Models => f.write_str("@models"),
            Target::All => f.write_str("@all"),
        }
    }
}

/// A fault's name that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFault {
    asked: String,
}

impl fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
        write!(
            f,
            "no fault is written {:?}; write NAME, NAME:N, NAME@models or NAME@all with one of these names: {}",
            self.asked,
            names.join(", ")
        )
    }
}

impl std::error::Error for UnknownFault {}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let unknown = || UnknownFault {
            asked: text.to_owned(),
        };
        let (rest, target) = match text.split_once('@') {
            None => (text, Target::Chats),
            Some((rest, "chats")) => (rest, Target::Chats),
            Some((rest, "models")) => (rest, Target::Models),
            Some((rest, "all")) => (rest, Target::All),
            Some(_) => return Err(unknown()),
        };
        let (name, number) = match rest.split_once(':') {
            None => (rest, None),
            Some((name, number)) => (name, Some(number.parse().map_err(|_| unknown())?)),
        };
        let kind = FaultKind::ALL
            .iter()
            .copied()
            .find(|kind| kind.name() == name);
        let kind = kind.ok_or_else(unknown)?;
        Ok(Fault {
            kind,
            number: number.unwrap_or(kind.default_number()),
            target,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_read_as_it_is_written() {
        for kind in FaultKind::ALL {
            for fault in [
                Fault::from(*kind),
                Fault::from(*kind).number(7).on(Target::All),
            ] {
                assert_eq!(fault.to_string().parse(), Ok(fault));
            }
            assert!(kind.describe().ends_with('.'), "{kind:?}");
        }
    }

    #[test]
    fn an_unknown_fault_is_refused_with_the_list_of_names() {
        for text in ["", "sulk", "silent@moon", "silent-after:x", ":3"] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains("reset-mid-stream"), "{error}");
        }
    }
}
