//! `provider-host`: the command line of the host library.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
