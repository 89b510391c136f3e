//! The contract's records, made in a line each.
//!
//! The types are those that cross the contract ([`types`](crate::types)), and all of their fields are public: what stands here is only shorter. What is not
//! set is left to the provider, the model or the server. Records grow with the contract, so that code which makes them by
//! these functions outlives a field more, and code which names every field does not.

use crate::bindings::types::{
    AssistantMessage, ChatRequest, ContentPart, Cost, Image, Message, Modality, Model,
    ModelSettings, ModelSource, ReasoningEffort, ResponseFormat, Sampling, Settings, Tool,
    ToolCall, ToolChoice, ToolResult, TurnStatus,
};

/// ```
/// use provider_host::types::{ChatRequest, Message, Tool};
///
/// let request = ChatRequest::user("What is the weather in Oslo?")
///     .with_system("Answer in one sentence.")
///     .with_tool(Tool::new("get_weather", "The weather of a city", r#"{"type": "object"}"#))
///     .with_max_tokens(200);
/// assert_eq!(request.messages.len(), 2);
/// ```
impl ChatRequest {
    /// A request for an answer to these messages, the oldest first.
    #[must_use]
    pub fn new(messages: Vec<Message>) -> Self {
        Self {
            messages,
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            max_tokens: None,
            prompt_tokens: None,
            sampling: Sampling::default(),
            stop: Vec::new(),
            response_format: None,
            reasoning: None,
            priority: None,
            extra: None,
        }
    }

    /// A request with one message of the user.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(vec![Message::user(text)])
    }

    /// Puts a system message before all others.
    #[must_use]
    pub fn with_system(mut self, text: impl Into<String>) -> Self {
        self.messages.insert(0, Message::system(text));
        self
    }

    /// Adds a message at the end.
    #[must_use]
    pub fn with_message(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    /// Offers a tool.
    #[must_use]
    pub fn with_tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// Says which tool is to be called, or that none is.
    #[must_use]
    pub fn with_tool_choice(mut self, choice: ToolChoice) -> Self {
        self.tool_choice = Some(choice);
        self
    }

    /// Bounds the answer, in tokens; at least 1.
    #[must_use]
    pub fn with_max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// Sets the sampling's temperature; 0 is greedy.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f64) -> Self {
        self.sampling.temperature = Some(temperature);
        self
    }

    /// Sets the sampling's seed.
    #[must_use]
    pub fn with_seed(mut self, seed: i64) -> Self {
        self.sampling.seed = Some(seed);
        self
    }

    /// Replaces all of the sampling.
    #[must_use]
    pub fn with_sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// Adds a text that ends the answer.
    #[must_use]
    pub fn with_stop(mut self, text: impl Into<String>) -> Self {
        self.stop.push(text.into());
        self
    }

    /// Asks for JSON of a shape: a name and a JSON Schema as text.
    #[must_use]
    pub fn with_response_format(
        mut self,
        name: impl Into<String>,
        schema: impl Into<String>,
    ) -> Self {
        self.response_format = Some(ResponseFormat {
            name: name.into(),
            schema: schema.into(),
            strict: None,
        });
        self
    }

    /// Says how hard to think.
    #[must_use]
    pub fn with_reasoning(mut self, effort: ReasoningEffort) -> Self {
        self.reasoning = Some(effort);
        self
    }

    /// Adds fields to the request's body: a JSON object as text, merged last.
    #[must_use]
    pub fn with_extra(mut self, json: impl Into<String>) -> Self {
        self.extra = Some(json.into());
        self
    }
}

/// No message, and nothing asked for.
impl Default for ChatRequest {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

/// Everything is left to the server.
#[allow(
    clippy::derivable_impls,
    reason = "the type is generated, and not every one of its kind has a default"
)]
impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: None,
            top_p: None,
            top_k: None,
            min_p: None,
            presence_penalty: None,
            frequency_penalty: None,
            repetition_penalty: None,
            seed: None,
        }
    }
}

impl Message {
    /// What the assistant is to keep to.
    #[must_use]
    pub fn system(text: impl Into<String>) -> Self {
        Self::System(text.into())
    }

    /// A turn of the user: a text.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self::User(vec![ContentPart::Text(text.into())])
    }

    /// A turn of the assistant: a text. One with calls is [`Answer::message`](crate::Answer::message).
    #[must_use]
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::Assistant(AssistantMessage {
            content: vec![ContentPart::Text(text.into())],
            reasoning: None,
            tool_calls: Vec::new(),
            status: TurnStatus::Completed,
        })
    }

    /// What a tool gave back for a call.
    #[must_use]
    pub fn tool_result(call: &ToolCall, text: impl Into<String>) -> Self {
        Self::Tool(ToolResult {
            call_id: call.id.clone(),
            name: Some(call.name.clone()),
            content: vec![ContentPart::Text(text.into())],
            is_error: false,
        })
    }

    /// How a tool failed.
    #[must_use]
    pub fn tool_error(call: &ToolCall, text: impl Into<String>) -> Self {
        match Self::tool_result(call, text) {
            Self::Tool(result) => Self::Tool(ToolResult {
                is_error: true,
                ..result
            }),
            other => other,
        }
    }

    /// Adds an image to a turn that may have one: the user's or a tool's. Of any other it is left out.
    #[must_use]
    pub fn with_image(mut self, media_type: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        let image = ContentPart::Image(Image {
            media_type: media_type.into(),
            data: data.into(),
        });
        match &mut self {
            Self::User(parts) => parts.push(image),
            Self::Tool(result) => result.content.push(image),
            Self::System(_) | Self::Assistant(_) => {}
        }
        self
    }
}

impl Tool {
    /// A tool that the model may call. `parameters` is the JSON Schema of its arguments, as text: an object.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            description: Some(description.into()),
            parameters: parameters.into(),
        }
    }
}

impl Settings {
    /// The settings of a provider whose entry in the configuration is `config`, a JSON object as text. It has no key, and
    /// asks its server for its models.
    ///
    /// A real key has no place here: what stands for it has, by [`Secrets::mint`](crate::policy::Secrets::mint).
    /// [`Provider::builder`](crate::Provider::builder) sees to that.
    #[must_use]
    pub fn new(config: impl Into<String>) -> Self {
        Self {
            config: Some(config.into()),
            api_key: None,
            discover: true,
            models: Vec::new(),
        }
    }

    /// The same for an entry that has a base URL and nothing else.
    #[must_use]
    pub fn at(base_url: &str) -> Self {
        Self::new(serde_json::json!({ "baseUrl": base_url }).to_string())
    }

    /// Sets what stands for the key: the text of a placeholder.
    #[must_use]
    pub fn with_api_key(mut self, placeholder: impl Into<String>) -> Self {
        self.api_key = Some(placeholder.into());
        self
    }

    /// Whether the server is asked for its models beside those that the configuration declares.
    #[must_use]
    pub fn with_discovery(mut self, discover: bool) -> Self {
        self.discover = discover;
        self
    }

    /// Adds free parameters for requests to a model: a JSON object as text.
    #[must_use]
    pub fn with_model(mut self, id: impl Into<String>, params: impl Into<String>) -> Self {
        self.models.push(ModelSettings {
            id: id.into(),
            params: params.into(),
        });
        self
    }
}

impl Model {
    /// A model as a configuration would declare it: it reads text, does not think and costs nothing. Both sizes are in
    /// tokens; one answer has at most `max_tokens` of the `context_window`.
    #[must_use]
    pub fn new(id: impl Into<String>, context_window: u32, max_tokens: u32) -> Self {
        let id = id.into();
        Self {
            name: id.clone(),
            id,
            reasoning: false,
            input: vec![Modality::Text],
            cost: Cost {
                input: 0.0,
                output: 0.0,
                cache_read: 0.0,
                cache_write: 0.0,
            },
            context_window,
            max_tokens,
            parent: None,
            source: ModelSource::Declared,
        }
    }
}
