//! Record and replay, at the seam between policy and network.
//!
//! A [`Recorder`] stands before any other transport and writes down what passes: requests, heads, each piece of a body, and
//! when. A [`Replay`] stands in for the network and gives the same answers again, at the speed they had or at once. Above
//! both, every rule of the egress applies.
//!
//! ```no_run
//! use std::sync::Arc;
//! use provider_host::egress::NetworkTransport;
//! use provider_host::egress::recording::{Pace, Recorder, Replay};
//! # use provider_host::{Plugin, Provider, ProviderOptions, policy::Grant, types::Settings};
//! # fn example(plugin: &Plugin, settings: Settings, grant: Grant, again: ProviderOptions) -> Result<(), Box<dyn std::error::Error>> {
//!
//! let recorder = Recorder::create("chat.jsonl", NetworkTransport::new(&grant)?, &grant)?;
//! let options = ProviderOptions::new(settings, grant);
//! let provider = Provider::with_transport(plugin, options, Arc::new(recorder));
//! // ... and later, without a server:
//! let replay = Replay::open("chat.jsonl")?.with_pace(Pace::Full);
//! let provider = Provider::with_transport(plugin, again, Arc::new(replay));
//! # Ok(())
//! # }
//! ```
//!
//! # The file
//!
//! JSON Lines, UTF-8. The first line says what it is, each other is one thing that happened, written as it happened, so that an
//! interrupted chat leaves what came until then:
//!
//! ```text
//! {"recording":"provider-host","version":1}
//! {"exchange":0,"at_us":0,"request":{"begun_us":310,"method":"POST","uri":"http://gpu:8000/v1/chat/completions","headers":[["authorization","***"]],"body":"{…}"}}
//! {"exchange":0,"at_us":5210,"response":{"sent_us":470,"status":200,"headers":[["content-type","text/event-stream"]]}}
//! {"exchange":0,"at_us":5391,"data":"data: {…}\n\n"}
//! {"exchange":0,"at_us":9127,"end":"complete"}
//! ```
//!
//! - `exchange` ties lines together; exchanges may interleave. Their order is that of their requests.
//! - `at_us`: microseconds since the exchange's request was given to the transport. `sent_us`: when it left, after the
//!   connecting. `begun_us`: since the recording began.
//! - `headers` are pairs in order; a value has a character (U+0000 to U+00FF) for each byte.
//! - A body, and each frame of one, is text (`body`, `data`) where its bytes are UTF-8, else a character for each byte
//!   (`body_latin1`, `data_latin1`). `trailers` are as `headers`.
//! - `end` is `complete`, `failed` with the `failure`, or `dropped`: whoever waited for the answer left. One that leaves because a
//!   time or a size was over tells why, so that it is `failed`.
//!
//! A request that [`NetworkTransport`](super::NetworkTransport) sent twice, because a pooled connection turned out to be closed,
//! is one exchange; one that a [`Route`](crate::route::Route) tried again is two.
//!
//! # What is redacted, and what is not
//!
//! Header values that hold a secret of the grant, and the fields that carry credentials by their name, are written as
//! `***`. So is every secret of the grant (of four bytes or more), every placeholder, and each part of a secret that has 12
//! bytes, or half of it and at least eight, wherever they stand in a URI, a header, a body (across frames, too) or an error: in
//! any letter case, with JSON escapes, percent-encoded, in base64 at any alignment and in hexadecimal digits
//! ([`crate::policy::secret`]). A secret that comes in parts of any length is found over JSON strings under one name, over
//! events and over lines; what is left of a secret of which a part was found, in every later string of the body.
//!
//! **Not promised:** a secret that is reversed, hashed, compressed, encoded twice, or spread over strings under several names in
//! parts of fewer than 12 bytes; the first three bytes of a secret that comes in parts as short as that; parts that are more than
//! 16 KiB apart; a secret that the grant does not know; and anything else in the conversation. The prompt, the answer, the images
//! and the tools *are* the recording. The file is made readable by its owner only, where the system can. A piece that may hold the
//! beginning of a secret is written when the next ones decide, so that a process that is killed may leave up to 16 KiB unwritten.

mod failure;
mod format;
mod log;
mod read;
mod recorder;
mod redaction;
mod replay;
mod strings;

use std::path::PathBuf;

pub use read::{End, Frame, Head, RecordedExchange, Recording};
pub(super) use recorder::RecordedBody;
pub use recorder::Recorder;
pub use replay::{Pace, Replay};

/// The largest recording that is written or read, in bytes: half an hour of 400 tokens a second, each with 250 bytes beside
/// its text. A replay holds it in memory.
pub const MAX_RECORDING_BYTES: u64 = 256 << 20;

/// The longest line, in bytes. The longest there are hold a request's body, which this host bounds to half of it
/// ([`REQUEST_BODY_BYTES`](crate::policy::limits::REQUEST_BODY_BYTES)).
pub const MAX_LINE_BYTES: u64 = 128 << 20;

/// Lines of one recording: an hour of 400 frames a second.
pub const MAX_LINES: usize = 1_500_000;

/// Exchanges in one recording.
pub const MAX_EXCHANGES: usize = 10_000;

/// Fields of a header or trailer section; more than a transport lets in.
const MAX_FIELDS: usize = 256;

/// The latest time within an exchange: a day. No exchange of this host takes longer than a fraction of it.
const LATEST_US: u64 = 24 * 3600 * 1_000_000;

/// Why a recording can't be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// There is such a file already, and a recording never replaces one.
    #[error("{} is there already, and a recording replaces nothing; remove it, or name another file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file can't be made or read.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's words, or what it is instead of a file.
        why: String,
    },
    /// What it is written to or read from failed.
    #[error("the recording can't be written or read: {0}")]
    Io(std::io::Error),
    /// It is no recording, or one of a later version.
    #[error("this is no recording that this version can read: {why}")]
    Version {
        /// What stands in its place.
        why: String,
    },
    /// A line makes no sense.
    #[error("line {line} of the recording: {why}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// It is too large: [`MAX_RECORDING_BYTES`], [`MAX_LINE_BYTES`], [`MAX_LINES`].
    #[error("line {line} of the recording: more than {limit} {of}, which is the most that is read")]
    TooLarge {
        /// Where that is noticed, from 1.
        line: usize,
        /// The limit.
        limit: u64,
        /// Of what.
        of: &'static str,
    },
}
