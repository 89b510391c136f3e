//! Behaviour through the public door: the real component in the real sandbox,
//! over real sockets.

#[path = "../support/machine.rs"]
mod machine;
#[path = "../support/recorded.rs"]
mod recorded;

mod behaviour;
mod budgets;
mod cancel;
mod check;
mod cli;
mod component;
mod computed;
mod discovery;
mod embedding;
mod examples;
mod exercise;
mod faults;
mod fuzz;
mod hostile;
mod hostile_files;
mod hostile_servers;
mod limits;
mod openclaw;
mod recording;
mod replay;
mod reported;
mod route;
mod secrets;
mod support;
mod swap;
mod telemetry;
mod tokens;
