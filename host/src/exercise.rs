//! Any provider plugin over exchanges in memory: no socket, no clock to wait for, the same twice.
//!
//! A plugin that need not be trusted still has to be tried, and a real server says what one wants to see once a year. Here
//! the network is a [`Wire`]: a [`Script`] says what comes back for the listing of models, a chat and the rest, in which
//! pieces, after how many moments of waiting, and how it ends. Everything above the wire is what runs in earnest: the
//! grant, the limits, the sandbox, the grammar. A [`Runner`] makes one call of the contract over it and writes down what
//! became of it as an [`Outcome`], which can be compared and printed.
//!
//! What servers say is taken from recordings ([`Exchange`]): a few are built in, and a folder may hold more.
//! For fuzzing there are exchanges made from bug reports as well ([`Exchange::reported`]).
//!
//! `provider-host plugin check` and `plugin fuzz` are made of this.
//!
//! ```no_run
//! # async fn example(engine: &provider_host::Engine) -> Result<(), Box<dyn std::error::Error>> {
//! use provider_host::Plugin;
//! use provider_host::exercise::{Call, Exchange, Reply, Runner, Script, Wire, ask, model};
//!
//! let plugin = Plugin::from_file(engine, "vllm-provider.wasm".as_ref())?;
//! let recorded = Exchange::built_in();
//! let streamed = recorded.iter().find(|one| one.is_streamed()).ok_or("none")?;
//!
//! let runner = Runner::new(&plugin)?;
//! let wire = Wire::new(Script::new().with_chat(Reply::of(streamed).cut_every(7)));
//! let provider = runner.provider(runner.settings(), &wire);
//! let outcome = runner.run(&provider, &Call::chat(model("tiny"), ask("Say hello."))).await;
//! for line in outcome.lines() {
//!     println!("{line}");
//! }
//! assert_eq!(wire.under_way(), 0);
//! # Ok(())
//! # }
//! ```

mod exchange;
pub mod fuzz;
mod outcome;
mod reply;
mod runner;
mod wire;

pub use exchange::{End, Exchange, Kind};
pub use outcome::{Failure, Outcome, Value};
pub use reply::{Answer, Ending, Latin1, NoAnswer, Reply, Step};
pub use runner::{Ask, BASE_URL, Call, KEY, MAX_EVENTS, MODEL, Runner, ask, model};
pub use wire::{Script, Seen, Wire};
