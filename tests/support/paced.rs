//! What servers that stream at a steady pace have in common: a thread of their own, one clock, the
//! events of a stream, and how far they fell behind their own schedule. Needs `mod machine` beside it.

#[allow(dead_code, reason = "not every user of these has a control")]
pub(crate) mod control;

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Interval, MissedTickBehavior};

use super::machine::Lateness;

/// How late these servers wrote at most, against their own schedule. Each write is due one period
/// after the one before, so that one pause counts once.
pub(crate) static LATENESS: Lateness = Lateness::new();

/// The finish of an answer and the end of its stream.
pub(crate) const END: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"model\",\"choices\":[{\"index\":0,\
                              \"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// Nanoseconds since the first call, by one clock for the whole process.
pub(crate) fn now() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGAN.get_or_init(Instant::now).elapsed().as_nanos()).expect("five centuries")
}

/// Starts a server whose connections are each handled by `serve`; its address.
pub(crate) fn start<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    now();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket));
            }
        });
    });
    address
}

/// The schedule of a stream's writes.
pub(crate) struct Beat(Interval);

/// A schedule with so many writes a second, after a first pause. Streams that began together would
/// be written together: each needs another pause.
pub(crate) fn beat(rate: u32, first: Duration) -> Beat {
    let mut beat = tokio::time::interval(Duration::from_secs(1) / rate);
    beat.reset_after(first);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Beat(beat)
}

impl Beat {
    /// Waits until the next write is due, and puts into [`LATENESS`] how much later it is then;
    /// when it was due.
    pub(crate) async fn tick(&mut self) -> Instant {
        let due = self.0.tick().await.into_std();
        LATENESS.record(due, Instant::now());
        due
    }
}

/// The event of a piece of text.
pub(crate) fn event(text: &str) -> String {
    format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"model\",\"choices\":[{{\"index\":0,\
         \"delta\":{{\"content\":\"{text}\"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n"
    )
}
