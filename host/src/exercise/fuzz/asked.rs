//! What a provider is asked with: settings, models and requests, the odd ones too.
//!
//! They come from a user and his agent and not from a server, so that they are changed now and then only.

use super::dice::Dice;
use super::tree::Node;
use super::words;
use crate::bindings::types::{
    AssistantMessage, ChatRequest, ContentPart, Cost, Image, Message, Modality, Model,
    ModelSettings, ReasoningEffort, ResponseFormat, Sampling, Settings, Tool, ToolCall, ToolChoice,
    ToolResult, TurnStatus,
};
use crate::exercise::runner;

/// A configuration with something at every place that OpenClaw's form has; the base URL comes in its place.
const CONFIG: &str = r#"{"baseUrl":"BASE","api":"openai-completions","auth":"api-key","headers":{"X-Team":"t"},"authHeader":true,
"timeoutSeconds":30,"params":{"temperature":0.2,"top_p":0.9,"topK":5,"stop":["END"],"maxTokens":100,"thinking":"high",
"chat_template_kwargs":{"a":1},"extra_body":{"b":2},"priority":1,"parallel_tool_calls":false},"request":{"headers":{"X-A":"b"},
"auth":{"mode":"header","headerName":"X-Key","value":"v","prefix":"p "},"tls":{},"allowPrivateNetwork":true},
"models":[{"id":"tiny","name":"Tiny","api":"openai-completions","reasoning":true,"input":["text","image"],
"cost":{"input":0.5,"output":1.5,"cacheRead":0.1,"cacheWrite":0.2},"contextWindow":8192,"contextTokens":4096,"maxTokens":1024,
"headers":{"X-M":"m"},"params":{"seed":1},"compat":{"supportsUsageInStreaming":true,"maxTokensField":"max_tokens",
"supportsReasoningEffort":true,"thinkingFormat":"qwen","supportsTools":true,"requiresStringContent":true,
"requiresToolResultName":true,"requiresAssistantAfterToolResult":true,"requiresThinkingAsText":true,"supportsDeveloperRole":true}},
{"id":"Qwen/Qwen3-8B"},{"id":"b","maxTokens":5}]}"#;

const URLS: &[&str] = &[
    "http://model-server.test/v1/",
    "http://model-server.test",
    "HTTP://Model-Server.Test:80/v1",
    "http://model-server.test:80/a/b/c?d=e",
    "http://model-server.test/v1#f",
    "http://user:pass@model-server.test/v1",
    "https://model-server.test/v1",
    "http://other.test/v1",
    "http://model-server.test:8000/v1",
    "//model-server.test/v1",
    "model-server.test/v1",
    "http://",
    "http://[::1",
    "http://model-server.test/v1/../..",
    "http://model-server.test/%00",
    "http://model-server.test/\u{e9}",
    "file:///etc/passwd",
    "",
    " http://model-server.test/v1 ",
];

/// Most often settings with the plain configuration.
pub(super) fn settings(plain: &str, dice: &mut Dice, often: bool) -> Settings {
    let mut settings = Settings {
        config: Some(plain.to_owned()),
        api_key: Some(super::KEY_HERE.to_owned()),
        discover: true,
        models: Vec::new(),
    };
    if !often && !dice.once_in(12) {
        return settings;
    }
    let url = if dice.once_in(4) {
        dice.pick(URLS)
    } else {
        runner::BASE_URL
    };
    let config = CONFIG.replace("BASE", url);
    settings.config = match dice.below(12) {
        0 => None,
        1 => Some(dice.pick(words::VALUES).to_owned()),
        2 => Some(config),
        3..=5 => Some(changed(plain, dice)),
        _ => Some(changed(&config, dice)),
    };
    if dice.once_in(8) {
        settings.api_key = None;
    }
    settings.discover = !dice.once_in(4);
    if dice.once_in(4) {
        let params = r#"{"temperature":0.5,"extra_body":{"top_k":3},"stop":"x"}"#;
        settings.models.push(ModelSettings {
            id: id(dice),
            params: changed(params, dice),
        });
    }
    settings
}

/// A JSON text with a few things changed.
fn changed(text: &str, dice: &mut Dice) -> String {
    let Some(mut tree) = Node::parse(text.as_bytes()) else {
        return text.to_owned();
    };
    for _ in 0..dice.length(4) {
        tree.mutate(dice);
    }
    tree.text()
}

/// A model's id.
pub(super) fn id(dice: &mut Dice) -> String {
    match dice.below(8) {
        0 => dice.pick(words::TEXTS).to_owned(),
        1 => dice
            .pick(&[
                "Qwen/Qwen3-8B",
                "openai/gpt-oss-20b",
                "TINY",
                "tin",
                "tiny-alias",
            ])
            .to_owned(),
        2 => "m/".repeat(dice.length(600)),
        _ => runner::MODEL.to_owned(),
    }
}

/// Most often the model that the recordings are of.
pub(super) fn model(dice: &mut Dice) -> Model {
    let mut model = runner::model(runner::MODEL);
    if !dice.once_in(6) {
        model.reasoning = dice.once_in(4);
        return model;
    }
    model.id = id(dice);
    model.reasoning = dice.once_in(2);
    let window = [1, 2, 128, 4_096, 131_072, u32::MAX];
    model.context_window = dice.pick(&window);
    model.max_tokens = (dice.pick(&window)).min(model.context_window);
    if dice.once_in(2) {
        model.input.push(Modality::Image);
    }
    let price = |dice: &mut Dice| dice.pick(&[0.0, 1e-9, 0.15, 3.0, 1e12]);
    model.cost = Cost {
        input: price(dice),
        output: price(dice),
        cache_read: price(dice),
        cache_write: price(dice),
    };
    model
}

/// Most often one message of the user.
pub(super) fn request(dice: &mut Dice) -> ChatRequest {
    let mut request = runner::ask("Say hello.");
    if dice.once_in(3) {
        request.tools.push(tool(dice, false));
    }
    if !dice.once_in(8) {
        return request;
    }
    request.messages = (0..dice.length(12)).map(|_| message(dice)).collect();
    request.tools = (0..dice.length(4)).map(|_| tool(dice, true)).collect();
    let named = ToolChoice::Named("get_weather".to_owned());
    let choices = [ToolChoice::Auto, ToolChoice::None, ToolChoice::Required];
    request.tool_choice = match dice.below(5) {
        0 => None,
        1 => Some(named),
        _ => Some(dice.one(&choices).clone()),
    };
    request.parallel_tool_calls = dice.pick(&[None, Some(true), Some(false)]);
    let tokens = [None, Some(0), Some(1), Some(4_096), Some(u32::MAX)];
    request.max_tokens = dice.pick(&tokens);
    request.prompt_tokens = dice.pick(&tokens);
    let number = |dice: &mut Dice| {
        dice.pick(&[
            None,
            Some(0.0),
            Some(-0.0),
            Some(0.7),
            Some(1e300),
            Some(-2.0),
        ])
    };
    request.sampling = Sampling {
        temperature: number(dice),
        top_p: number(dice),
        top_k: dice.pick(&[None, Some(-1), Some(i32::MIN), Some(40)]),
        min_p: number(dice),
        presence_penalty: number(dice),
        frequency_penalty: number(dice),
        repetition_penalty: number(dice),
        seed: dice.pick(&[None, Some(0), Some(i64::MIN), Some(i64::MAX)]),
    };
    request.stop = (0..dice.length(5)).map(|_| text(dice)).collect();
    if dice.once_in(3) {
        request.response_format = Some(ResponseFormat {
            name: text(dice),
            schema: changed(
                r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
                dice,
            ),
            strict: dice.pick(&[None, Some(true), Some(false)]),
        });
    }
    let efforts = [
        ReasoningEffort::Off,
        ReasoningEffort::Minimal,
        ReasoningEffort::High,
        ReasoningEffort::Xhigh,
    ];
    request.reasoning = match dice.below(4) {
        0 => None,
        1 => Some(ReasoningEffort::Other(text(dice))),
        _ => Some(dice.one(&efforts).clone()),
    };
    request.priority = dice.pick(&[None, Some(0), Some(i32::MIN)]);
    if dice.once_in(3) {
        let extra =
            r#"{"top_k":5,"messages":[],"stream":false,"guided_json":{},"logit_bias":{"5":1}}"#;
        request.extra = Some(changed(extra, dice));
    }
    request
}

fn text(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => "Say hello.".to_owned(),
        1 => "long ".repeat(dice.length(3_000)),
        _ => dice.pick(words::TEXTS).to_owned(),
    }
}

fn tool(dice: &mut Dice, odd: bool) -> Tool {
    let parameters =
        r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#;
    if !odd {
        return Tool {
            name: "get_weather".to_owned(),
            description: Some("Tells the weather.".to_owned()),
            parameters: parameters.to_owned(),
        };
    }
    Tool {
        name: text(dice),
        description: dice.once_in(2).then(|| text(dice)),
        parameters: changed(parameters, dice),
    }
}

fn message(dice: &mut Dice) -> Message {
    match dice.below(5) {
        0 => Message::System(text(dice)),
        1 | 2 => Message::User(content(dice)),
        3 => Message::Assistant(AssistantMessage {
            content: content(dice),
            reasoning: dice.once_in(2).then(|| text(dice)),
            tool_calls: (0..dice.length(3))
                .map(|_| ToolCall {
                    id: text(dice),
                    name: text(dice),
                    arguments: changed("{\"city\":\"Oslo\"}", dice),
                })
                .collect(),
            status: dice.pick(&[
                TurnStatus::Completed,
                TurnStatus::Completed,
                TurnStatus::Failed,
                TurnStatus::Aborted,
            ]),
        }),
        _ => Message::Tool(ToolResult {
            call_id: text(dice),
            name: dice.once_in(2).then(|| text(dice)),
            content: content(dice),
            is_error: dice.once_in(2),
        }),
    }
}

fn content(dice: &mut Dice) -> Vec<ContentPart> {
    (0..dice.length(4))
        .map(|_| {
            if !dice.once_in(5) {
                return ContentPart::Text(text(dice));
            }
            let length = dice.length(3_000);
            ContentPart::Image(Image {
                media_type: dice
                    .pick(&["image/png", "image/jpeg", "", "a\r\nb"])
                    .to_owned(),
                data: (0..length).map(|_| dice.below(256) as u8).collect(),
            })
        })
        .collect()
}
