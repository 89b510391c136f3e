//! The command line as scripts rely on it: a black box that is started as a
//! process of its own, with an environment of its own, against a mock server.
//!
//! No test reads the machine's configuration, keys or cache, and no secret of
//! any test may turn up in any output of any command: whoever runs a command
//! here has its output searched for them ([`process`]).

mod answer;
mod chat_json;
mod check;
mod doctor;
mod fuzz;
mod gallery;
mod hostile;
mod interrupt;
mod keys;
mod mock_server;
mod models;
mod plugins;
pub(crate) mod process;
mod record;
mod recordings;
mod request;
mod retries;
mod screen;
mod secrets;
pub(crate) mod server;
mod session;
mod status;
