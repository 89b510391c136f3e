//! The file that a recording is written to: a line at a time, whole, and never more than may be read again.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::format::{Line, MAGIC, Title, VERSION};
use super::redaction::Redaction;
use super::{MAX_EXCHANGES, MAX_LINE_BYTES, MAX_LINES, MAX_RECORDING_BYTES, RecordingError};

/// Where the lines of one recording go.
pub(super) struct Log {
    out: Mutex<Out>,
    pub(super) redaction: Redaction,
    began: Instant,
    exchanges: AtomicU64,
}

struct Out {
    writer: Box<dyn Write + Send>,
    written: u64,
    lines: u64,
    /// Why nothing is written any more.
    failure: Option<Arc<str>>,
}

impl Log {
    /// Writes the first line.
    pub(super) fn begin(
        writer: impl Write + Send + 'static,
        redaction: Redaction,
    ) -> Result<Self, RecordingError> {
        let title = Title {
            recording: MAGIC.to_owned(),
            version: VERSION,
        };
        let mut out = Out {
            writer: Box::new(writer),
            written: 0,
            lines: 0,
            failure: None,
        };
        out.line(&title).map_err(RecordingError::Io)?;
        Ok(Self {
            out: Mutex::new(out),
            redaction,
            began: Instant::now(),
            exchanges: AtomicU64::new(0),
        })
    }

    /// The number of an exchange that begins now, and when that is in microseconds. Beyond the most that are read there
    /// is none.
    pub(super) fn exchange(&self) -> Option<(u64, u64)> {
        let number = self.exchanges.fetch_add(1, Ordering::Relaxed);
        if number >= MAX_EXCHANGES as u64 {
            let why = format!("it has {MAX_EXCHANGES} exchanges, which is the most that are read");
            self.out().stop(why);
            return None;
        }
        Some((number, microseconds(self.began.elapsed())))
    }

    /// Writes a line. The first that can't be written is the last: the exchange goes on without being recorded.
    pub(super) fn write(&self, line: &Line) {
        let mut out = self.out();
        if out.failure.is_none()
            && let Err(error) = out.line(line)
        {
            out.stop(error.to_string());
        }
    }

    /// Why the recording is not whole; none if it is.
    pub(super) fn failure(&self) -> Option<Arc<str>> {
        self.out().failure.clone()
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Out {
    fn line(&mut self, line: &impl Serialize) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.written += text.len() as u64;
        self.lines += 1;
        let bounds = [
            (text.len() as u64, MAX_LINE_BYTES, "bytes in a line"),
            (self.written, MAX_RECORDING_BYTES, "bytes"),
            (self.lines, MAX_LINES as u64, "lines"),
        ];
        if let Some((_, most, of)) = bounds.into_iter().find(|(is, most, _)| is > most) {
            let why = format!("more than {most} {of} would not be read again");
            return Err(std::io::Error::other(why));
        }
        self.writer.write_all(&text)?;
        self.writer.flush()
    }

    fn stop(&mut self, why: String) {
        if self.failure.is_none() {
            tracing::warn!(why, "the recording ends early");
            self.failure = Some(why.into());
        }
    }
}

/// Makes a file that only its owner can read. One that is there is left alone.
pub(super) fn create(path: &Path) -> Result<File, RecordingError> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => RecordingError::Exists {
            path: path.to_owned(),
        },
        _ => RecordingError::File {
            path: path.to_owned(),
            why: error.to_string(),
        },
    })
}

/// A time in whole microseconds.
pub(super) fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
