//! The values of the contract, as plain Rust.
//!
//! They mirror the interface `llm:provider/types` field for field; the world
//! files move them across, and nothing else in the core knows that there is a
//! component model. The WIT is the place where each is explained; here stands
//! only what the core adds.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// Constant facts about the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Provider id, `vllm`.
    pub id: String,
    /// Name for people.
    pub label: String,
    /// Wire protocol in the words of the agent's configuration.
    pub api: String,
    /// Version of the plugin.
    pub version: String,
    /// Environment variable that holds the key by convention.
    pub key_variable: Option<String>,
    /// Base URL used when the configuration names none.
    pub default_base_url: Option<String>,
    /// Page for users.
    pub documentation_url: Option<String>,
    /// JSON Schema of [`Settings::config`], as text.
    pub config_schema: String,
}

/// What the agent keeps for one model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelSettings {
    /// Model id without the provider's prefix.
    pub id: String,
    /// JSON object, as text.
    pub params: String,
}

/// The provider's settings as the host resolved them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// JSON object of `models.providers.vllm`, as text.
    pub config: Option<String>,
    /// The key, or the host's placeholder for it.
    pub api_key: Option<String>,
    /// `agents.defaults.models` has `vllm/*`.
    pub discover: bool,
    /// Settings by model.
    pub models: Vec<ModelSettings>,
}

/// Something a user should be told that is not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Stable name in kebab-case.
    pub code: String,
    /// Path in the configuration, where there is one.
    pub path: Option<String>,
    /// One sentence.
    pub message: String,
}

impl Note {
    /// A note that concerns no path of the configuration.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            path: None,
            message: message.into(),
        }
    }
}

/// A kind of input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Modality {
    /// Text.
    Text,
    /// Images.
    Image,
    /// Anything else, by name.
    Other(String),
}

/// US dollars for one million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Prompt tokens.
    pub input: f64,
    /// Answer tokens.
    pub output: f64,
    /// Cached prompt tokens.
    pub cache_read: f64,
    /// Prompt tokens written to the cache.
    pub cache_write: f64,
}

/// How the provider came to know a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelSource {
    /// The configuration lists it.
    Declared,
    /// The server listed it.
    Discovered,
}

/// One model.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The server's id, verbatim.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Thinks before it answers.
    pub reasoning: bool,
    /// What it reads; never empty.
    pub input: Vec<Modality>,
    /// Prices.
    pub cost: Cost,
    /// Tokens that prompt and answer share.
    pub context_window: u32,
    /// Most tokens of one answer.
    pub max_tokens: u32,
    /// What it was made from.
    pub parent: Option<String>,
    /// Declared or discovered.
    pub source: ModelSource,
}

/// Where the models of a catalog come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogSource {
    /// No configuration and no credential.
    Disabled,
    /// Only the configuration.
    Declared,
    /// Only the server.
    Discovered,
    /// Both.
    Merged,
}

/// The models of the provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalog {
    /// Where they come from.
    pub source: CatalogSource,
    /// Unique by id.
    pub models: Vec<Model>,
    /// Why the list is empty or short.
    pub notes: Vec<Note>,
}

/// An image, inline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Such as `image/png`.
    pub media_type: String,
    /// The file's bytes.
    pub data: Vec<u8>,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentPart {
    /// Text.
    Text(String),
    /// An image.
    Image(Image),
}

/// A complete call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolCall {
    /// Opaque id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// JSON text, as the model wrote it.
    pub arguments: String,
}

/// How an assistant's turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TurnStatus {
    /// As it should.
    #[default]
    Completed,
    /// In an error.
    Failed,
    /// Stopped by the user.
    Aborted,
}

/// An assistant's turn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AssistantMessage {
    /// What it said.
    pub content: Vec<ContentPart>,
    /// What it thought.
    pub reasoning: Option<String>,
    /// What it called.
    pub tool_calls: Vec<ToolCall>,
    /// How it ended.
    pub status: TurnStatus,
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolResult {
    /// The id of the call.
    pub call_id: String,
    /// The tool's name.
    pub name: Option<String>,
    /// What it gave.
    pub content: Vec<ContentPart>,
    /// It failed.
    pub is_error: bool,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Instructions.
    System(String),
    /// The user.
    User(Vec<ContentPart>),
    /// The model.
    Assistant(AssistantMessage),
    /// A tool.
    Tool(ToolResult),
}

/// A tool on offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// JSON Schema, as text.
    pub parameters: String,
}

/// Whether and what to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No call.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// JSON of a given shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseFormat {
    /// Name of the shape.
    pub name: String,
    /// JSON Schema, as text.
    pub schema: String,
    /// To the letter.
    pub strict: Option<bool>,
}

/// How hard to think.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReasoningEffort {
    /// Not at all.
    Off,
    /// Least.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// More.
    Xhigh,
    /// In the server's own word.
    Other(String),
}

/// Knobs of sampling; none is the server's default.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "the names are the server's own fields")]
pub struct Sampling {
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<i32>,
    pub min_p: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub frequency_penalty: Option<f64>,
    pub repetition_penalty: Option<f64>,
    pub seed: Option<i64>,
}

/// One request for one answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChatRequest {
    /// Oldest first.
    pub messages: Vec<Message>,
    /// On offer.
    pub tools: Vec<Tool>,
    /// None: nothing is sent.
    pub tool_choice: Option<ToolChoice>,
    /// None: the server's default.
    pub parallel_tool_calls: Option<bool>,
    /// None: the model's own.
    pub max_tokens: Option<u32>,
    /// Size of the prompt, where known.
    pub prompt_tokens: Option<u32>,
    /// Sampling.
    pub sampling: Sampling,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Structured output.
    pub response_format: Option<ResponseFormat>,
    /// Thinking.
    pub reasoning: Option<ReasoningEffort>,
    /// vLLM: lower is sooner.
    pub priority: Option<i32>,
    /// JSON object, as text.
    pub extra: Option<String>,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// The limit.
    Length,
    /// Calls to run.
    ToolCalls,
    /// Withheld.
    ContentFilter,
    /// The server's own word.
    Other(String),
}

/// What an answer cost, in US dollars.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[expect(missing_docs, reason = "the parts of a usage")]
pub struct CostBreakdown {
    pub input: f64,
    pub output: f64,
    pub cache_read: f64,
    pub cache_write: f64,
    pub total: f64,
}

/// Where the numbers of a usage come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageSource {
    /// The closing account.
    Final,
    /// A running account of an answer that was cut.
    Interim,
}

/// Tokens of one exchange.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Prompt tokens computed anew.
    pub input: u64,
    /// Answer, thinking included.
    pub output: u64,
    /// Prompt tokens read from the cache.
    pub cache_read: u64,
    /// Prompt tokens written to the cache.
    pub cache_write: u64,
    /// Thinking, part of `output`.
    pub reasoning: Option<u64>,
    /// Prompt and answer.
    pub total: u64,
    /// None: prices not known.
    pub cost: Option<CostBreakdown>,
    /// Where the numbers come from.
    pub source: UsageSource,
}

/// One event of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The answer began.
    Start {
        /// The server's id; empty when it gave none.
        id: String,
        /// The model in the server's words.
        model: String,
    },
    /// A piece of text; never empty.
    Text(String),
    /// A piece of thinking; never empty.
    Reasoning(String),
    /// A call began.
    ToolCallStart {
        /// Position among the calls, from 0, without gaps.
        index: u32,
        /// Opaque id.
        id: String,
        /// The tool.
        name: String,
    },
    /// A piece of a call's arguments; never empty.
    ToolCallArguments {
        /// Which call.
        index: u32,
        /// JSON text, the next piece.
        delta: String,
    },
    /// A call is complete.
    ToolCallEnd {
        /// Which call.
        index: u32,
        /// Opaque id.
        id: String,
        /// The tool.
        name: String,
        /// Whole JSON text, `{}` if nothing came.
        arguments: String,
        /// Whether it is JSON.
        valid: bool,
    },
    /// The account.
    Usage(Usage),
    /// Something to be told.
    Note(Note),
    /// The end.
    Finish(FinishReason),
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "explained in the WIT")]
pub enum ErrorKind {
    InvalidConfig,
    InvalidRequest,
    Authentication,
    Permission,
    ModelNotFound,
    ContextOverflow,
    RateLimited,
    Overloaded,
    Unreachable,
    Timeout,
    Server,
    Protocol,
    Interrupted,
    Cancelled,
    Other(String),
}

/// A failure, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What a caller would act on.
    pub kind: ErrorKind,
    /// What was tried, what came back, what to do.
    pub message: String,
    /// HTTP status.
    pub status: Option<u16>,
    /// The server's own name of it.
    pub code: Option<String>,
    /// May succeed later.
    pub retryable: bool,
    /// The server's wait.
    pub retry_after_ms: Option<u64>,
    /// The request left.
    pub request_sent: bool,
    /// Tokens.
    pub limit: Option<u64>,
    /// Tokens.
    pub requested: Option<u64>,
}

impl Error {
    /// An error of which nothing but kind and message is known: not sent, not
    /// retryable.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            status: None,
            code: None,
            retryable: false,
            retry_after_ms: None,
            request_sent: false,
            limit: None,
            requested: None,
        }
    }
}

/// Inside the core an error is passed on by its address: it is a large record,
/// and on the way up each function would move it.
impl From<Box<Error>> for Error {
    fn from(error: Box<Error>) -> Self {
        *error
    }
}

/// A request to send as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Absolute URL.
    pub url: String,
    /// In order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// Empty for `GET`.
    pub body: Vec<u8>,
}

/// Why an exchange ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportFailureKind {
    /// No connection: nothing was sent.
    Unreachable,
    /// No connection that could be trusted: nothing was sent.
    Tls,
    /// A limit ran out before the connection stood.
    ConnectTimeout,
    /// A limit ran out while the answer was waited for.
    ReadTimeout,
    /// The connection ended.
    Closed,
    /// The peer broke HTTP.
    Protocol,
    /// The host forbids it.
    Denied,
}

/// An exchange that ended early, as the transport tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportFailure {
    /// What happened.
    pub kind: TransportFailureKind,
    /// In the transport's words.
    pub message: String,
}
