//! A server that streams at a steady pace, and records how late it is itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::paced::{self, control, now};
use crate::record::Record;
use crate::timed;

/// Events of one answer: a minute of 20 a second.
const EVENTS: u32 = 1_200;

/// Starts one; its address.
pub(crate) fn start(rate: u32, record: Arc<Record>) -> SocketAddr {
    paced::start(move |socket| serve(socket, rate, record.clone()))
}

/// Answers one request whatever it is, and closes.
async fn serve(mut socket: TcpStream, rate: u32, record: Arc<Record>) -> std::io::Result<()> {
    let Some(path) = timed::path(&mut socket).await? else {
        return Ok(());
    };
    let pace = paced::beat(rate, Duration::from_nanos(now() % 50_000_000));
    let due = |due: Instant| {
        // A chat that does not read makes its stream late for a reason of its own.
        if path == control::PATH {
            let late = due.elapsed();
            record.server(now(), u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
        }
    };
    timed::stream(&mut socket, pace, EVENTS, due).await
}
