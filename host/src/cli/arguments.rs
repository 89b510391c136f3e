//! What can be written on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use provider_host::route::RetryPolicy;

/// Runs model-provider plugins that need not be trusted: a vLLM server, seen
/// through a WebAssembly sandbox.
#[derive(Debug, Parser)]
#[command(name = "provider-host", version, max_term_width = 100)]
#[command(after_help = "\
Start here:
  provider-host demo                      the whole path, without a server or a configuration
  VLLM_API_KEY=x provider-host models list   what the server on http://127.0.0.1:8000/v1 has
  provider-host doctor                    what is wrong, and what to do

Exit status: 0 done, 1 the provider or the server failed, 2 wrong usage or configuration,
130 interrupted.")]
pub(super) struct Arguments {
    /// Configuration file, JSON5 in OpenClaw's shape
    /// [default: $OPENCLAW_CONFIG_PATH, then ~/.openclaw/openclaw.json, then none]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Plugin to load [default: the vllm-provider built with this host]
    #[arg(long, global = true, value_name = "FILE.wasm")]
    pub(super) plugin: Option<PathBuf>,

    /// Approves that the plugin file is the provider ID: it may use the key profiles stored for it,
    /// and be vllm in place of the built-in plugin
    #[arg(long, global = true, value_name = "ID", requires = "plugin")]
    pub(super) plugin_id: Option<String>,

    /// Whose plugin files are loaded: keys, digests, what is revoked, minimum versions; JSON5
    /// [default: provider-host/trust.json5 in $XDG_CONFIG_HOME or ~/.config, then any file]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) trust: Option<PathBuf>,

    /// What of the program's own log goes to stderr
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        default_value = "warn",
        hide_possible_values = false
    )]
    pub(super) log_level: LogLevel,

    #[command(subcommand)]
    pub(super) command: Command,
}

impl Arguments {
    /// `--base-url`, of the commands that have it.
    pub(super) fn base_url(&self) -> Option<&str> {
        let server = match &self.command {
            Command::Models {
                command: ModelsCommand::List { server, .. },
            } => server,
            Command::Chat(options) => &options.server,
            Command::Doctor(server) => server,
            _ => return None,
        };
        server.base_url.as_deref()
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub(super) fn level(self) -> Option<tracing::Level> {
        Some(match self {
            Self::Off => return None,
            Self::Error => tracing::Level::ERROR,
            Self::Warn => tracing::Level::WARN,
            Self::Info => tracing::Level::INFO,
            Self::Debug => tracing::Level::DEBUG,
            Self::Trace => tracing::Level::TRACE,
        })
    }
}

/// The command that this program starts itself with to compile a plugin.
pub(super) const COMPILER: &str = "compiler-process";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The models that the provider can run
    Models {
        #[command(subcommand)]
        command: ModelsCommand,
    },
    /// One streamed chat
    Chat(ChatOptions),
    /// Checks configuration, key, server and model, and says what to do
    Doctor(ServerOptions),
    /// Keys in a file that only you can read
    Auth {
        #[command(subcommand)]
        command: AuthCommand,
    },
    /// Looks at plugin files
    Plugin {
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// A mock vLLM server; prints its base URL first
    Mock(MockOptions),
    /// The whole path with a mock server: discovery, a streamed chat, usage
    Demo,
    /// Compiles a plugin that comes through stdin: what other commands start
    /// as a process with limits
    #[command(hide = true, name = COMPILER)]
    Compiler,
}

#[derive(Debug, Subcommand)]
pub(super) enum ModelsCommand {
    /// Lists models, declared and discovered
    List {
        /// Only the models of this provider
        #[arg(long, value_name = "ID")]
        provider: Option<String>,
        /// Prints one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerOptions,
    },
}

/// Which server a command talks to.
#[derive(Debug, Args)]
pub(super) struct ServerOptions {
    /// The server's API, such as http://gpu:8000/v1, in place of the configuration's baseUrl; its
    /// models are discovered, with or without a key [default: $VLLM_BASE_URL, then the
    /// configuration, then http://127.0.0.1:8000/v1]
    #[arg(long, value_name = "URL")]
    pub(super) base_url: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ChatOptions {
    #[command(flatten)]
    pub(super) server: ServerOptions,

    /// Model reference, such as vllm/Qwen/Qwen3-8B
    /// [default: agents.defaults.model.primary]
    #[arg(long, value_name = "REF")]
    pub(super) model: Option<String>,

    /// System message
    #[arg(long, value_name = "TEXT", conflicts_with = "request")]
    pub(super) system: Option<String>,

    /// Image to send with the prompt: PNG, JPEG, GIF or WebP; may be repeated
    #[arg(long, value_name = "FILE", conflicts_with = "request")]
    pub(super) image: Vec<PathBuf>,

    /// The whole chat request as JSON: messages, tools, tool_choice …
    #[arg(long, value_name = "FILE.json")]
    pub(super) request: Option<PathBuf>,

    /// Most tokens of the answer
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_tokens: Option<u32>,

    /// Sampling temperature
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(super) temperature: Option<f64>,

    /// How hard to think: off, minimal, low, medium, high, xhigh, max, or a word
    /// of the server's own
    #[arg(long, value_name = "LEVEL")]
    pub(super) reasoning: Option<String>,

    /// JSON object of further fields for the request's body
    #[arg(long, value_name = "JSON")]
    pub(super) extra: Option<String>,

    /// How often a request that may succeed later is sent again; 0: never,
    /// and neither is one with a limit that fits
    #[arg(long, value_name = "N", default_value_t = RetryPolicy::MAX_RETRIES)]
    pub(super) max_retries: u32,

    /// Leaves the configured fallbacks alone (agents.defaults.model.fallbacks);
    /// --model implies it
    #[arg(long)]
    pub(super) no_fallback: bool,

    /// Writes everything that is sent and received to a new file, without secrets
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    pub(super) record: Option<PathBuf>,

    /// Answers from such a file instead of a server; no key is needed
    #[arg(long, value_name = "FILE")]
    pub(super) replay: Option<PathBuf>,

    /// Replays without the pauses that were recorded
    #[arg(long, requires = "replay")]
    pub(super) replay_full_speed: bool,

    /// Prints one JSON object per line instead of text
    #[arg(long)]
    pub(super) json: bool,

    /// A session: each line of stdin is a prompt, and a newer file at --plugin takes over
    /// between turns or in the middle of one
    #[arg(long, conflicts_with_all = ["request", "image", "record", "replay"])]
    pub(super) watch: bool,

    /// The prompt; `-` or none reads it from stdin, and what stdin has beside a prompt goes before it
    #[arg(value_name = "PROMPT", conflicts_with = "request")]
    pub(super) prompt: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum AuthCommand {
    /// Stores a key, read from stdin
    Set {
        /// Provider id, such as vllm
        provider: String,
        /// A key that somebody put on the command line: taken only to be
        /// refused without being repeated
        #[arg(hide = true)]
        surplus: Vec<String>,
    },
    /// Lists the stored keys, without showing them
    List {
        /// Only the keys of this provider
        provider: Option<String>,
    },
    /// Removes the keys of a provider
    Remove {
        /// Provider id, such as vllm
        provider: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// World, imports, exports, manifest, size, SHA-256, signature; runs nothing
    Inspect {
        /// Component to look at
        file: PathBuf,
        /// Prints one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Runs a plugin over mutated recordings in the sandbox, in memory; a finding is written as a
    /// file that replays; --config gives it a configuration
    Fuzz(FuzzOptions),
    /// Compiles a plugin into the cache, so that its first use starts at once
    Compile {
        /// Component to compile
        file: PathBuf,
    },
    /// Holds a plugin against the contract, in memory and without a network;
    /// --config gives it a configuration
    Check {
        /// Component to check
        file: PathBuf,
        /// Recorded exchanges with its server [default: those of vLLM]
        #[arg(long, value_name = "DIR")]
        corpus: Option<PathBuf>,
        /// How long all of it may take; what was not tried until then is reported as such, and
        /// the exit status is 1 [default: 300]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        seconds: Option<u64>,
        /// Prints one JSON object a line
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct FuzzOptions {
    /// Component to fuzz
    pub(super) file: PathBuf,

    /// How long [default: 60, or without bound where --runs is given]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) seconds: Option<u64>,

    /// How many executions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) runs: Option<u64>,

    /// What everything is drawn from: the same seed gives the same executions [default: by chance]
    #[arg(long, value_name = "S")]
    pub(super) seed: Option<u64>,

    /// Recorded exchanges to start from, in the form of `mock --replay` [default: a few of vLLM's,
    /// and some that were made from bug reports about other servers]
    #[arg(long, value_name = "DIR")]
    pub(super) corpus: Option<PathBuf>,

    /// Where findings are written
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) findings: PathBuf,

    /// Runs a finding once more instead: 1 if it still is one, else 0
    #[arg(long, value_name = "FINDING", conflicts_with_all = ["seconds", "runs", "seed", "corpus"])]
    pub(super) replay: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct MockOptions {
    /// Address to listen on; port 0 takes a free one
    /// [default: 127.0.0.1:8000, or a free port if that is taken]
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<SocketAddr>,

    /// Key that clients must send
    #[arg(long, value_name = "K")]
    pub(super) api_key: Option<String>,

    /// Model to serve, with its context window; may be repeated
    #[arg(long, value_name = "ID[=CONTEXT]")]
    pub(super) model: Vec<String>,

    /// Misbehaviour to show; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) fault: Vec<String>,

    /// Answers from recorded exchanges in this folder
    #[arg(long, value_name = "DIR")]
    pub(super) replay: Option<PathBuf>,

    /// Tokens per second [default: as fast as they are read]
    #[arg(long, value_name = "N")]
    pub(super) rate: Option<f64>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_documented_command_lines_are_understood() {
        let lines = [
            "models list",
            "models list --provider vllm --json",
            "models list --base-url http://gpu:8000/v1",
            "chat --base-url http://gpu:8000/v1 hello",
            "doctor --base-url http://gpu:8000/v1",
            "--plugin p.wasm --plugin-id vllm chat --watch",
            "--config c.json --plugin p.wasm --log-level debug doctor",
            "chat --model vllm/a --system s --image a.png --image b.png --max-tokens 5 \
             --temperature 0.5 --reasoning high --extra {} --json hello",
            "chat --max-retries 0 --no-fallback hello",
            "chat --record r.jsonl hello",
            "chat --replay r.jsonl --replay-full-speed --json hello",
            "chat --watch --plugin p.wasm --model vllm/a --system s",
            "chat --watch --json",
            "chat --request r.json --json --config c.json",
            "chat -",
            "chat",
            "auth set vllm",
            "auth list",
            "auth remove vllm",
            "plugin inspect p.wasm --json",
            "--trust t.json5 --plugin p.wasm models list",
            "plugin inspect p.wasm --trust t.json5",
            "plugin compile p.wasm",
            "plugin check p.wasm --corpus d --config c.json5 --json",
            "plugin fuzz p.wasm --seconds 5 --runs 100 --seed 7 --corpus d --findings f",
            "plugin fuzz p.wasm --replay finding-0.json",
            "mock --listen 127.0.0.1:0 --api-key k --model a=4096 --model b --fault 401 \
             --replay d --rate 20",
            "demo",
        ];
        for line in lines {
            let words = std::iter::once("provider-host").chain(line.split_whitespace());
            Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let lines = [
            "chat --request r.json hello",
            "chat --request r.json --system s",
            "chat --watch --request r.json",
            "chat --watch --image i.png",
            "chat --request r.json --image i.png",
            "chat --max-tokens 0 x",
            "chat --record r.jsonl --replay r.jsonl x",
            "chat --replay-full-speed x",
            "mock --listen nowhere",
            "mock --base-url http://gpu:8000/v1",
            "--plugin-id vllm models list",
            "plugin fuzz",
            "plugin fuzz p.wasm --seconds 0",
            "plugin fuzz p.wasm --replay finding-0.json --seed 7",
            "models",
            "",
        ];
        for line in lines {
            let words = std::iter::once("provider-host").chain(line.split_whitespace());
            assert!(Arguments::try_parse_from(words).is_err(), "{line}");
        }
    }
}
