//! What only a trial asks of a plugin ([`crate::check`]): the contract's functions that no chat needs, and a stream that is
//! dropped while its store lives.

use wasmtime::component::Resource;
use wasmtime_wasi_io::bindings::wasi::io::poll::HostPollable as _;

use super::{Running, Sandbox};
use crate::egress::TransportError;
use crate::error::Result;

impl Sandbox {
    /// From now on the plugin's errors and notes come as it makes them. What a host does to them, to cut them, to take out what could
    /// drive a terminal and to add what the transport knows, would hide what a plugin did wrong.
    pub(crate) fn verbatim(mut self) -> Self {
        self.verbatim = true;
        self
    }

    /// `chat-stream.subscribe`; the pollable is waited for if asked, and dropped.
    pub(crate) async fn subscribe(&mut self, running: &Running, wait: bool) -> Result<()> {
        self.begin_call();
        let stream = running.guest.chat_stream();
        let call = stream.call_subscribe(&mut self.store, running.stream);
        let result = self.pace.of(call).await;
        let pollable = self.outcome(result.map(Ok), "subscribe")?;
        if wait {
            let table = &mut self.store.data_mut().table;
            let ready = table.block(Resource::new_borrow(pollable.rep()));
            let waited = self.pace.of(ready).await;
            self.outcome(waited.map(Ok), "subscribe")?;
        }
        let dropped = self.store.data_mut().table.drop(pollable);
        self.outcome(dropped.map(Ok), "subscribe")
    }

    /// Drops `chat-stream`, and nothing else.
    pub(crate) async fn drop_stream(&mut self, running: Running) -> Result<()> {
        self.begin_call();
        let call = running.stream.resource_drop_async(&mut self.store);
        let result = self.pace.of(call).await;
        self.outcome(result.map(Ok), "drop")
    }

    /// The last failure of a request of this store.
    pub(crate) fn last_failure(&self) -> Option<TransportError> {
        self.store.data().hooks.last_failure()
    }
}
