//! What chats share is a budget of the engine's or the process's, with a reserve for each chat that no other can take.
//!
//! One module for each budget; `cargo test -p provider-host --test it -- budgets::NAME` shows its attacks refused.

mod host_memory;
mod pool_totals;
