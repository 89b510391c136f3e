//! A recorded run, done again by the product.

use std::net::TcpListener;

use provider_host::configuration::{Configuration, Environment, ProviderFacts};
use provider_host::credentials::Profiles;
use provider_host::plugin::IdApproval;
use provider_host::policy::{BasePath, Binding, Grant, Origin, Secret, Secrets};
use provider_host::types::{
    AssistantMessage, ChatRequest, ContentPart, Event, Message, ModelSettings, ReasoningEffort,
    Settings, Tool, ToolCall, ToolResult, TurnStatus, Usage,
};
use provider_host::{Error, ErrorKind, Plugin, Provider, ProviderOptions};
use serde_json::Value;

use super::recorded::Recorded;
use super::server::{Sent, Server};
use crate::support::{ask, engine, run, text};

/// Where the plugin looks for a server that nobody configured.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8000";

/// What came of it.
pub(super) struct Ours {
    pub(super) sent: Vec<Sent>,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    /// Id and context window; why the list is as it is.
    Models(Vec<(String, u32)>, String),
    /// The answer of each turn.
    Answers(Vec<Answer>),
    /// Kind and message.
    Failed(String, String),
}

pub(super) struct Answer {
    pub(super) text: String,
    pub(super) usage: Option<Usage>,
    events: Vec<Event>,
}

impl Ours {
    /// What the user reads beside an answer.
    pub(super) fn message(&self) -> &str {
        match &self.outcome {
            Outcome::Failed(_, message) | Outcome::Models(_, message) => message,
            Outcome::Answers(_) => "",
        }
    }

    pub(super) fn count(&self, method: &str) -> usize {
        self.sent.iter().filter(|s| s.method == method).count()
    }
}

/// The product and a server.
pub(super) struct Product {
    plugin: Plugin,
    server: Server,
}

impl Product {
    /// The port of the default server is fixed and may be taken on the machine
    /// that runs this. So the component is run with the four digits of its
    /// default port replaced by those of the test's server; all else of it is
    /// as it ships.
    pub(super) fn new() -> Self {
        let server = Server::start();
        let mut bytes = provider_host::plugin::EMBEDDED.to_vec();
        let own = format!("http://127.0.0.1:{}", server.port);
        let mut replaced = 0;
        for at in 0..bytes.len() - own.len() {
            if bytes[at..].starts_with(DEFAULT_SERVER.as_bytes()) {
                bytes[at..at + own.len()].copy_from_slice(own.as_bytes());
                replaced += 1;
            }
        }
        assert!(replaced > 0, "the component names its default server");
        let plugin = Plugin::from_bytes(engine(), &bytes)
            .expect("the plugin")
            .with_approved_id();
        Self { plugin, server }
    }

    /// Runs what was recorded: the list, or each turn of the conversation.
    pub(super) async fn run(&self, recorded: &Recorded) -> Ours {
        self.server.play(recorded);
        let outcome = match self.outcome(recorded).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(error.kind_name().into_owned(), self.told(&error)),
        };
        Ours {
            sent: self.server.take(),
            outcome,
        }
    }

    /// An error as a person reads it, with the numbers that a program gets.
    fn told(&self, error: &Error) -> String {
        let port = self.server.port.to_string();
        let mut told = error.message().replace(&port, "8000");
        for (name, number) in [("limit", error.limit()), ("requested", error.requested())] {
            if let Some(number) = number {
                told.push_str(&format!(" [{name} {number}]"));
            }
        }
        told
    }

    /// What the provider runs with. The component has another default port than the one that ships,
    /// so it is not the built-in one by its digest, and its settings are resolved as that one's.
    fn options(
        &self,
        configuration: &Configuration,
        environment: &Environment<'_>,
    ) -> Result<ProviderOptions, Error> {
        let manifest = self.plugin.manifest();
        let facts = ProviderFacts {
            key_variable: manifest.key_variable.as_deref(),
            default_base_url: manifest.default_base_url.as_deref(),
            config_schema: Some(&manifest.config_schema),
            approval: IdApproval::BuiltIn,
            base_url: None,
        };
        let mut secrets = Secrets::new();
        let mut mint = |text: String, binding: Binding| {
            let secret = Secret::new(text).expect("a secret");
            let placeholder = secrets.mint(secret, binding).expect("a placeholder");
            placeholder.as_str().to_owned()
        };
        let none = Profiles::empty();
        let resolved = configuration
            .resolve_provider(&manifest.id, &facts, environment, &none, &mut mint)
            .map_err(|error| Error::new(ErrorKind::InvalidConfig, error.to_string()))?;
        let mut settings = Settings::new("");
        settings.config = resolved.settings.config;
        settings.api_key = resolved.settings.api_key;
        settings.discover = resolved.settings.discover;
        for (id, params) in resolved.settings.models {
            settings.models.push(ModelSettings { id, params });
        }
        let url = &resolved.base_url;
        let grant = Grant::new(Origin::parse(url).expect("an origin"))
            .with_base_path(BasePath::of_base_url(url).expect("a path"))
            .with_secrets(secrets);
        Ok(ProviderOptions::new(settings, grant).with_unready(resolved.unready))
    }

    async fn outcome(&self, recorded: &Recorded) -> Result<Outcome, Error> {
        let configuration = self.configuration(recorded);
        let key = recorded.text("/api_key").filter(|key| !key.is_empty());
        let environment = |name: &str| (name == "VLLM_API_KEY").then(|| key.map(str::to_owned))?;
        let options = self.options(&configuration, &environment)?;
        let provider = Provider::new(&self.plugin, options)?;
        if recorded.is_list() {
            let catalog = provider.list_models().await?;
            let models = catalog.models.iter();
            let notes: Vec<_> = catalog.notes.iter().map(|n| n.message.as_str()).collect();
            return Ok(Outcome::Models(
                models.map(|m| (m.id.clone(), m.context_window)).collect(),
                notes.join(" "),
            ));
        }
        let choice = configuration.default_model(&environment).expect("a model");
        // `infer model run` names the model on the command line.
        let id = choice.primary.map(|m| m.model().to_owned());
        let id = id.unwrap_or_else(|| "Qwen/Qwen3-8B".to_owned());
        converse(&provider, recorded, &id).await
    }

    /// The recorded file with this server's port in it.
    fn configuration(&self, recorded: &Recorded) -> Configuration {
        let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
        let nobody = nobody.local_addr().expect("an address").port();
        let own = format!("127.0.0.1:{}", self.server.port);
        let text = recorded.text("/configuration").expect("a configuration");
        let text = text
            .replace("127.0.0.1:8000", &own)
            .replace("127.0.0.1:8001", &own)
            .replace("127.0.0.1:8999", &format!("127.0.0.1:{nobody}"));
        Configuration::parse(&text, "openclaw.json").expect("a configuration")
    }
}

/// Asks turn by turn. What the model answered goes into the next turn as it
/// was decoded here; the rest of each turn is OpenClaw's.
async fn converse(provider: &Provider, recorded: &Recorded, id: &str) -> Result<Outcome, Error> {
    let model = provider.resolve_model(id).await?;
    let posts = recorded.requests("POST");
    let mut answers: Vec<Answer> = Vec::new();
    for turn in 0..recorded.turns() {
        let mut request = match posts.get(turn) {
            Some(post) => conversation(&post["body"], answers.last()),
            None => ask("Say hello"),
        };
        request.reasoning = recorded.text("/thinking").map(|level| match level {
            "low" => ReasoningEffort::Low,
            "medium" => ReasoningEffort::Medium,
            "high" => ReasoningEffort::High,
            other => panic!("level {other}"),
        });
        let (events, error) = run(provider, &model, &request).await;
        if let Some(error) = error {
            return Err(error);
        }
        answers.push(Answer {
            text: text(&events),
            usage: events.iter().find_map(|event| match event {
                Event::Usage(usage) => Some(usage.clone()),
                _ => None,
            }),
            events,
        });
    }
    Ok(Outcome::Answers(answers))
}

/// The conversation behind a recorded body, in the contract's words.
fn conversation(body: &Value, last: Option<&Answer>) -> ChatRequest {
    let calls = last.map_or_else(Vec::new, Answer::calls);
    let messages = body["messages"].as_array().expect("messages").iter();
    let mut request = ask("");
    request.messages = messages
        .map(|message| match message["role"].as_str().expect("a role") {
            "system" => Message::System(message["content"].as_str().expect("a text").to_owned()),
            "user" => Message::User(parts(&message["content"])),
            "assistant" if message["tool_calls"].is_array() => {
                Message::Assistant(last.expect("an answer before").message())
            }
            "assistant" => Message::Assistant(AssistantMessage {
                content: parts(&message["content"]),
                reasoning: None,
                tool_calls: Vec::new(),
                status: TurnStatus::Completed,
            }),
            "tool" => Message::Tool(ToolResult {
                call_id: calls[0].id.clone(),
                name: None,
                content: parts(&message["content"]),
                is_error: false,
            }),
            role => panic!("{role}"),
        })
        .collect();
    let tools = body["tools"].as_array().expect("tools").iter();
    request.tools = tools
        .map(|name| Tool {
            name: name.as_str().expect("a name").to_owned(),
            description: Some("…".to_owned()),
            parameters: r#"{"type":"object"}"#.to_owned(),
        })
        .collect();
    request
}

fn parts(content: &Value) -> Vec<ContentPart> {
    match content {
        Value::String(text) => vec![ContentPart::Text(text.clone())],
        Value::Array(parts) => parts
            .iter()
            .map(|p| ContentPart::Text(p["text"].as_str().expect("a text").to_owned()))
            .collect(),
        _ => Vec::new(),
    }
}

impl Answer {
    /// The answer as a message of the history.
    fn message(&self) -> AssistantMessage {
        let reasoning: String = self
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Reasoning(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        AssistantMessage {
            content: match self.text.is_empty() {
                true => Vec::new(),
                false => vec![ContentPart::Text(self.text.clone())],
            },
            reasoning: (!reasoning.is_empty()).then_some(reasoning),
            tool_calls: self.calls(),
            status: TurnStatus::Completed,
        }
    }

    fn calls(&self) -> Vec<ToolCall> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::ToolCallEnd(call) => Some(ToolCall {
                    id: call.id.clone(),
                    name: call.name.clone(),
                    arguments: call.arguments.clone(),
                }),
                _ => None,
            })
            .collect()
    }
}
