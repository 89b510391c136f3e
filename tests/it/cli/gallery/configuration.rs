//! What is wrong in the configuration file.

use super::scene::{Case, Scene};
use crate::cli::process::Home;

const LIST: [&str; 2] = ["models", "list"];

/// This text at the default place, and `models list`.
fn text(title: &str, text: &'static str) -> Case {
    Case::new(title, move || Scene::given(text, &LIST))
}

/// The same with a variable.
fn with_variable(title: &str, text: &'static str, value: &'static str) -> Case {
    Case::new(title, move || {
        Scene::given(text, &LIST).env("GPU_KEY", value)
    })
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("A named file that is not there", || {
            Scene::new(
                Home::new(),
                &["--config", "openclaw.json", "models", "list"],
            )
        }),
        Case::new("A file named by the variable that is not there", || {
            Scene::new(Home::new(), &LIST).env("OPENCLAW_CONFIG_PATH", "gone.json")
        }),
        Case::new("A folder in place of a file", || {
            Scene::new(Home::new(), &["--config", ".", "models", "list"])
        }),
        text("A syntax error", "{\n  models: {\n    providers: ]\n  }\n}"),
        text("A file that ends too early", "{\n  models: {\n"),
        text("A file that is no object", "[]"),
        text("A section of the wrong type", "{models: 5}"),
        text(
            "A provider that is no object",
            "{models: {providers: {vllm: []}}}",
        ),
        text(
            "Providers at the top of the file",
            "{providers: {vllm: {models: [{id: 'tiny'}]}}}",
        ),
        text(
            "A setting of the model at the provider's entry",
            "{models: {providers: {vllm: {contextWindow: 4096, models: [{id: 'tiny'}]}}}}",
        ),
        text(
            "An address to listen on as base URL",
            "{models: {providers: {vllm: {baseUrl: 'http://0.0.0.0:8000/v1', models: [{id: 'tiny'}]}}}}",
        ),
        text(
            "An endpoint as base URL",
            "{models: {providers: {vllm: {baseUrl: 'http://127.0.0.1:8000/v1/chat/completions', models: [{id: 'tiny'}]}}}}",
        ),
        text(
            "A key in another tool's words for a variable",
            "{models: {providers: {vllm: {apiKey: '$GPU_KEY', models: [{id: 'tiny'}]}}}}",
        ),
        text(
            "A variable that is not set",
            "{models: {providers: {vllm: {apiKey: '${GPU_KEY}', models: [{id: 'tiny'}]}}}}",
        ),
        text(
            "A key by reference whose variable is not set",
            "{models: {providers: {vllm: {apiKey: {source: 'env', provider: 'default', id: 'GPU_KEY'}, models: [{id: 'tiny'}]}}}}",
        ),
        text(
            "A key by reference of a kind that is not supported",
            "{models: {providers: {vllm: {apiKey: {source: 'exec', provider: 'vault', id: 'vllm'}, models: [{id: 'tiny'}]}}}}",
        ),
        text(
            "A key of the wrong type",
            "{models: {providers: {vllm: {apiKey: 12345, models: [{id: 'tiny'}]}}}}",
        ),
        with_variable(
            "A key with a control character",
            "{models: {providers: {vllm: {apiKey: '${GPU_KEY}', models: [{id: 'tiny'}]}}}}",
            "one\u{7}two",
        ),
        with_variable(
            "A header with a line break",
            "{models: {providers: {vllm: {headers: {'X-Team': '${GPU_KEY}'}, models: [{id: 'tiny'}]}}}}",
            "one\ntwo",
        ),
        text(
            "A base URL of the wrong type",
            "{models: {providers: {vllm: {baseUrl: 8000}}}}",
        ),
        text(
            "A base URL without its scheme",
            "{models: {providers: {vllm: {baseUrl: '127.0.0.1:8000/v1'}}}}",
        ),
        text(
            "A base URL of another protocol",
            "{models: {providers: {vllm: {baseUrl: 'ftp://gpu/v1'}}}}",
        ),
        text(
            "A base URL without a host",
            "{models: {providers: {vllm: {baseUrl: 'http://'}}}}",
        ),
        text(
            "A base URL with a password",
            "{models: {providers: {vllm: {baseUrl: 'http://me:secret@gpu/v1'}}}}",
        ),
        text(
            "A base URL with port 0",
            "{models: {providers: {vllm: {baseUrl: 'http://gpu:0/v1'}}}}",
        ),
        text(
            "A time-out below zero",
            "{models: {providers: {vllm: {timeoutSeconds: -1}}}}",
        ),
        text(
            "Models that are no list",
            "{models: {providers: {vllm: {models: {}}}}}",
        ),
        text(
            "A model without an id",
            "{models: {providers: {vllm: {models: [{name: 'Qwen'}]}}}}",
        ),
        text(
            "A context window that is no number",
            "{models: {providers: {vllm: {models: [{id: 'tiny', contextWindow: '32k'}]}}}}",
        ),
        text(
            "An API that this provider does not speak",
            "{models: {providers: {vllm: {api: 'anthropic-messages', models: [{id: 'tiny'}]}}}}",
        ),
        text(
            "A private network setting of the wrong type",
            "{models: {providers: {vllm: {request: {allowPrivateNetwork: 'yes'}, models: [{id: 'tiny'}]}}}}",
        ),
        text(
            "A certificate file that is not there",
            "{models: {providers: {vllm: {baseUrl: 'https://gpu/v1', request: {tls: {ca: 'ca.pem'}}}}}}",
        ),
        Case::new("A certificate file that holds none", || {
            Scene::given(
                "{models: {providers: {vllm: {baseUrl: 'https://gpu/v1', request: {tls: {ca: 'ca.pem'}}}}}}",
                &LIST,
            )
            .file(".openclaw/ca.pem", "hello")
        }),
        Case::new("A certificate that is broken", || {
            Scene::given(
                "{models: {providers: {vllm: {baseUrl: 'https://gpu/v1', request: {tls: {ca: 'ca.pem'}}}}}}",
                &LIST,
            )
            .file(
                ".openclaw/ca.pem",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            )
        }),
        text(
            "A client certificate without its key",
            "{models: {providers: {vllm: {request: {tls: {cert: '-----BEGIN CERTIFICATE-----'}}, models: [{id: 'tiny'}]}}}}",
        ),
        text(
            "A proxy of another kind",
            "{models: {providers: {vllm: {request: {proxy: 'socks5://proxy:1080'}, models: [{id: 'tiny'}]}}}}",
        ),
        text(
            "A misspelt setting (the command goes on without it)",
            "{models: {providers: {vllm: {timeoutSecond: 5, models: [{id: 'tiny'}]}}}}",
        ),
        text(
            "Settings that are not followed (the command goes on without them)",
            "{$include: './more.json', models: {providers: {vllm: {request: {proxy: {mode: 'env-proxy', tls: {}}, tls: {insecureSkipVerify: true}}, models: [{id: 'tiny'}]}}}}",
        ),
        text(
            "The same provider twice (the first is used)",
            "{models: {providers: {vllm: {models: [{id: 'tiny'}]}, VLLM: {models: [{id: 'small'}]}}}}",
        ),
        Case::new("A default model that is no reference", || {
            Scene::given(
                "{agents: {defaults: {model: 'tiny'}}, models: {providers: {vllm: {models: [{id: 'tiny'}]}}}}",
                &["chat", "Hello"],
            )
        }),
        Case::new("A default model of the wrong type", || {
            Scene::given(
                "{agents: {defaults: {model: ['vllm/tiny']}}, models: {providers: {vllm: {models: [{id: 'tiny'}]}}}}",
                &["chat", "Hello"],
            )
        }),
        Case::new("A default model of another provider", || {
            Scene::given(
                "{agents: {defaults: {model: 'openai/gpt-5'}}, models: {providers: {vllm: {models: [{id: 'tiny'}]}}}}",
                &["chat", "Hello"],
            )
        }),
        Case::new("No default model", || {
            Scene::given(
                "{models: {providers: {vllm: {models: [{id: 'tiny'}]}}}}",
                &["chat", "Hello"],
            )
        }),
        Case::new("A file of key profiles that is broken", || {
            Scene::new(Home::new(), &LIST)
                .file("config/provider-host/auth-profiles.json", "{\"profiles\": ")
        }),
        Case::new("A file of key profiles of another shape", || {
            Scene::new(Home::new(), &LIST).file(
                "config/provider-host/auth-profiles.json",
                "{\"profiles\": [\"vllm\"]}",
            )
        }),
        Case::new(
            "A file of key profiles that others can read (the command goes on)",
            || {
                let scene = Scene::given(
                    "{models: {providers: {vllm: {models: [{id: 'tiny'}]}}}}",
                    &LIST,
                )
                .file(
                    "config/provider-host/auth-profiles.json",
                    "{\"version\": 1, \"profiles\": {}}",
                );
                #[cfg(unix)]
                {
                    use std::os::unix::fs::PermissionsExt as _;
                    let mode = std::fs::Permissions::from_mode(0o644);
                    std::fs::set_permissions(scene.home().key_file(), mode).expect("permissions");
                }
                scene
            },
        ),
    ]
}
