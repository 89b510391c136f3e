//! What the sandboxed provider costs, beside what users would pick instead.
//!
//! Two kinds of measurement. *In process* (`src/bin/in-process.rs`): one thread, the answer's bytes come from memory, nothing
//! but decoding and the sandbox is in the figure. *Over loopback* (`src/bin/loopback.rs`): whole client processes against
//! one paced server, as the operating system accounts for them.
//!
//! Machines are shared and drift. So everything that is compared runs in turn, round by round, in one process or one run,
//! and what is quoted are medians of rounds and ratios within a round. Nothing here fails because something was slow;
//! the gate on regressions counts instructions instead (`cargo xtask bench gate`).

pub mod answer;
pub mod client;
pub mod core;
#[path = "../../tests/support/machine.rs"]
pub mod machine;
pub mod measure;
pub mod native;
pub mod sandbox;
