//! Secrets in fields of the configuration that the plugin receives.

use provider_host::configuration::Configuration;
use provider_host::credentials::Profiles;
use provider_host::{Plugin, Wiring};
use serde_json::{Value, json};

use super::{Attack, ended};
use crate::cli::process::{Home, KEY, OTHER_KEY};
use crate::cli::server::Server;
use crate::hostile_files::components::with_manifest;
use crate::support::{engine, plugin};

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        number: "3a",
        attempt: "to read a secret that a variable puts into the path or the query of `baseUrl`",
        ends: "models.providers.vllm.baseUrl uses the environment variable TOKEN, and the plugin reads this field",
        test: "a_variable_in_a_base_url_does_not_reach_the_plugin",
    },
    Attack {
        number: "3b",
        attempt: "to read variables in `params`, `request.auth.headerName`, `models[].…` and the agent's `params`",
        ends: "uses the environment variable TOKEN, and the plugin reads this field",
        test: "a_variable_in_a_field_that_the_plugin_reads_is_refused",
    },
    Attack {
        number: "3c",
        attempt: "to read variables and secrets in fields that the plugin's `config_schema` does not name",
        ends: "\"extra\":null",
        test: "the_plugin_receives_no_value_of_a_field_that_its_schema_does_not_name",
    },
    Attack {
        number: "3d",
        attempt: "to read literals named `apiKey`, `password` or `token` below a model",
        ends: "\"apiKey\":null",
        test: "credentials_below_a_model_do_not_reach_the_plugin",
    },
    Attack {
        number: "3e",
        attempt: "the same with a `config_schema` that admits everything",
        ends: "is not passed to the plugin, because its name is that of a secret",
        test: "a_schema_that_admits_everything_gets_no_credentials",
    },
    Attack {
        number: "3f",
        attempt: "`doctor` prints a token that stands in the URL of the server",
        ends: "v1?token=***",
        test: "doctor_does_not_print_a_token_in_a_url",
    },
    Attack {
        number: "3g",
        attempt: "to read a secret of `headers` or `request.auth` that stands there in a wrong form, as an object, a list or a number",
        ends: "; allowed is ",
        test: "a_secret_in_a_wrong_form_does_not_reach_the_plugin",
    },
    Attack {
        number: "3h",
        attempt: "a `config_schema` that names `password` and `apiKey` below a model",
        ends: "is not passed to the plugin, because its name is that of a secret",
        test: "a_schema_that_names_a_credential_does_not_get_it",
    },
    Attack {
        number: "3i",
        attempt: "`plugin check --config` prints the secrets of the configuration",
        ends: "passed  manifest/loads",
        test: "a_trial_prints_no_secret_of_the_configuration",
    },
];

const VARIABLE: &str = "TOKEN";

fn environment(name: &str) -> Option<String> {
    (name == VARIABLE).then(|| KEY.to_owned())
}

fn wiring(configuration: &Value, plugin: &Plugin) -> provider_host::Result<Wiring> {
    let configuration = Configuration::parse(&configuration.to_string(), "f").expect("JSON5");
    Wiring::new(&configuration, plugin, &environment, &Profiles::empty())
}

/// A configuration whose entry for `vllm` has these members and a base URL.
fn with(members: &Value) -> Value {
    let mut entry = json!({"baseUrl": "http://127.0.0.1:9/v1"});
    for (name, value) in members.as_object().expect("an object") {
        entry[name] = value.clone();
    }
    json!({"models": {"providers": {"vllm": entry}}})
}

/// Everything that the plugin receives, as one text.
fn received(wiring: &Wiring) -> String {
    let settings = wiring.settings();
    let text = format!(
        "{settings:?} {}",
        settings.config.as_deref().unwrap_or_default()
    );
    assert!(
        !text.contains(KEY),
        "the plugin receives the secret: {text}"
    );
    assert!(
        !text.contains(OTHER_KEY),
        "the plugin receives the secret: {text}"
    );
    text
}

fn refused(number: &str, configuration: &Value) {
    let error = wiring(configuration, plugin()).expect_err("a refusal");
    assert_eq!(error.kind_name(), "invalid-config");
    assert!(!error.message().contains(KEY), "{error}");
    ended(number, error.message());
}

#[test]
fn a_variable_in_a_base_url_does_not_reach_the_plugin() {
    for url in [
        "http://127.0.0.1:9/${TOKEN}/v1",
        "http://127.0.0.1:9/v1?token=${TOKEN}",
        "http://127.0.0.1:9/v1?${TOKEN}",
        "http://127.0.0.1:9/v1#${TOKEN}",
        "http://127.0.0.1:9/v1/${TOKEN}x",
    ] {
        refused("3a", &with(&json!({"baseUrl": url})));
    }
    // A whole URL may come from a variable; one that holds a key may not.
    let whole = with(&json!({"baseUrl": "${TOKEN}"}));
    for (url, good) in [
        ("http://127.0.0.1:9/v1", true),
        ("http://127.0.0.1:9/team-a/v1?api-version=1", true),
        ("http://127.0.0.1:9/v1?token=t", false),
        ("http://127.0.0.1:9/sk-Zq81vNn3-Xw72Lr05/v1", false),
        ("http://me:sk-Zq81vNn3-Xw72Lr05@127.0.0.1:9/v1", false),
    ] {
        let environment = |name: &str| (name == VARIABLE).then(|| url.to_owned());
        let configuration = Configuration::parse(&whole.to_string(), "f").expect("JSON5");
        let wiring = Wiring::new(&configuration, plugin(), &environment, &Profiles::empty());
        let wiring = wiring.and_then(|wiring| wiring.grant().map(|_| wiring));
        assert_eq!(wiring.is_ok(), good, "{url}");
    }
}

#[test]
fn a_variable_in_a_field_that_the_plugin_reads_is_refused() {
    for members in [
        json!({"params": {"extra_body": {"key": "${TOKEN}"}}}),
        json!({"params": {"stop": ["a", "b${TOKEN}"]}}),
        json!({"request": {"auth": {"mode": "header", "headerName": "${TOKEN}", "value": "v"}}}),
        json!({"request": {"auth": {"mode": "${TOKEN}"}}}),
        json!({"models": [{"id": "${TOKEN}"}]}),
        json!({"models": [{"id": "m", "name": "a ${TOKEN}"}]}),
        json!({"models": [{"id": "m", "params": {"extra_body": {"a": [{"b": "${TOKEN}"}]}}}]}),
        json!({"models": [{"id": "m", "compat": {"thinkingFormat": "${TOKEN}"}}]}),
        json!({"models": [{"id": "m", "input": ["${TOKEN}"]}]}),
        json!({"api": "${TOKEN}"}),
    ] {
        refused("3b", &with(&members));
    }
    let mut agents = with(&json!({}));
    agents["agents"] =
        json!({"defaults": {"models": {"vllm/m": {"params": {"seed": "${TOKEN}"}}}}});
    refused("3b", &agents);
}

#[test]
fn the_plugin_receives_no_value_of_a_field_that_its_schema_does_not_name() {
    let hidden = json!({
        "extra": "${TOKEN}", "apiToken": KEY, "password": OTHER_KEY, "localService": {"env": {"A": "${TOKEN}"}},
        "request": {"extra": {"a": "${TOKEN}"}, "password": KEY},
        "params": {"unknown": "${TOKEN}"},
        "models": [{"id": "m", "baseUrl": "http://h/${TOKEN}", "extra": {"deep": ["${TOKEN}", KEY]}}],
    });
    let wiring = wiring(&with(&hidden), plugin()).expect("settings");
    let received = received(&wiring);
    for word in ["localService", "apiToken", "password", "unknown"] {
        assert!(
            received.contains(&format!("\"{word}\":null")),
            "{word} in {received}"
        );
    }
    ended("3c", &received);

    // The plugin warns about the fields all the same.
    let home = Home::configured(&with(&json!({"headerz": {"X": "${TOKEN}"}, "models": []})));
    let outcome = home.run(&["models", "list"]);
    assert!(
        outcome.stderr.contains("headerz") && outcome.stderr.contains("headers"),
        "{outcome:#?}"
    );
}

#[test]
fn credentials_below_a_model_do_not_reach_the_plugin() {
    let model = json!({
        "id": "m", "apiKey": KEY, "password": OTHER_KEY, "token": KEY,
        "cost": {"token": KEY}, "compat": {"apiKey": KEY},
        "params": {"password": KEY, "extra_body": {"api_key": KEY, "nested": {"Access-Token": KEY}}},
    });
    let wiring = wiring(&with(&json!({"models": [model]})), plugin()).expect("settings");
    let received = received(&wiring);
    // Where the schema admits anything, as in `extra_body`, a credential is left out.
    assert!(!received.contains("api_key"), "{received}");
    ended("3d", &received);
}

#[test]
fn a_schema_that_admits_everything_gets_no_credentials() {
    let schemas = [
        json!({"additionalProperties": true}),
        json!({"additionalProperties": {}}),
        json!({"properties": {"models": {}, "baseUrl": {}}}),
        json!({"properties": {"models": true, "baseUrl": true}}),
        json!({"anyOf": [{"properties": {"models": {"items": {"additionalProperties": true}}}}]}),
    ];
    for schema in schemas {
        let manifest = json!({
            "id": "greedy", "label": "Greedy", "api": "a", "version": "0.1.0", "config_schema": schema,
        });
        let plugin = Plugin::from_bytes(engine(), &with_manifest(&manifest)).expect("a plugin");
        let entry = json!({
            "baseUrl": "http://127.0.0.1:9/v1", "password": OTHER_KEY,
            "models": [{"id": "m", "apiKey": KEY, "x": {"token": KEY, "secret": KEY, "key": KEY}}],
        });
        let configuration = json!({"models": {"providers": {"greedy": entry}}});
        let wiring = wiring(&configuration, &plugin).expect("settings");
        received(&wiring);
        let notes = &wiring.resolved.notes;
        assert!(notes.iter().all(|note| !note.message.contains(KEY)));
        let note = notes.iter().find(|note| note.code == "secret-not-passed");
        ended("3e", &note.expect("a note").message);
    }
}

#[test]
fn doctor_does_not_print_a_token_in_a_url() {
    let (home, server) = (Home::new(), Server::tiny());
    for (token, rest) in [
        (KEY, format!("?token={KEY}")),
        ("s3cr3t", "?token=s3cr3t".to_owned()),
        ("s3cr3t", "?%74oken=s3cr3t".to_owned()),
        ("s3cr3t", "?pwd=s3cr3t".to_owned()),
        ("s3cr3t-abc", "?x=s3cr3t-abc".to_owned()),
    ] {
        let url = format!("{}{rest}", server.base_url());
        let run = |arguments: &[&str]| {
            let outcome = home.run(arguments);
            let said = format!("{}{}", outcome.stdout, outcome.stderr);
            assert!(!said.contains(token), "{arguments:?}: {said}");
            said
        };
        let shown = run(&["doctor", "--base-url", &url]);
        if rest.starts_with("?token=") {
            ended("3f", &shown);
        }
        run(&["models", "list", "--base-url", &url]);
        run(&["chat", "--base-url", &url, "--model", "vllm/none", "Hi"]);
        // Nobody listens there.
        let gone = format!("http://127.0.0.1:9/v1{rest}");
        for command in [
            &["doctor"][..],
            &["models", "list"],
            &["chat", "--model", "vllm/m", "Hi"],
        ] {
            run(&[command, &["--base-url", &gone]].concat());
        }
    }
}

#[test]
fn a_secret_in_a_wrong_form_does_not_reach_the_plugin() {
    for members in [
        json!({"headers": {"Authorization": {"X-Team": KEY}}}),
        json!({"headers": {"Authorization": [KEY]}}),
        json!({"headers": {"X-Api-Key": 1234567890123456_u64}}),
        json!({"headers": [{"X-Team": KEY}]}),
        json!({"headers": KEY}),
        json!({"request": {"headers": [KEY]}}),
        json!({"request": [KEY]}),
        json!({"request": {"auth": KEY}}),
        json!({"request": {"auth": {"mode": "authorization-bearer", "token": {"a": KEY}}}}),
        json!({"request": {"auth": {"mode": "header", "headerName": "x", "value": "v", "prefix": [KEY]}}}),
        json!({"models": [{"id": "m", "headers": {"Authorization": {"a": KEY}}}]}),
        json!({"models": [{"id": "m", "headers": [KEY]}]}),
        json!({"models": {"m": {"headers": {"X-Team": KEY}}}}),
        json!({"models": KEY}),
        json!({"headers": "${TOKEN}"}),
        json!({"models": "${TOKEN}"}),
    ] {
        refused("3g", &with(&members));
    }
}

#[test]
fn a_schema_that_names_a_credential_does_not_get_it() {
    let schema = json!({"properties": {
        "baseUrl": {}, "password": {}, "apiKey": {}, "hfToken": {},
        "models": {"items": {"properties": {"id": {}, "apiKey": {}, "password": {}, "token": {}}}},
    }});
    let manifest = json!({
        "id": "greedy", "label": "Greedy", "api": "a", "version": "0.1.0", "config_schema": schema,
    });
    let plugin = Plugin::from_bytes(engine(), &with_manifest(&manifest)).expect("a plugin");
    let entry = json!({
        "baseUrl": "http://127.0.0.1:9/v1", "password": OTHER_KEY, "api_key": KEY, "hfToken": KEY,
        "models": [{"id": "m", "apiKey": KEY, "password": OTHER_KEY, "token": KEY}],
    });
    let configuration = json!({"models": {"providers": {"greedy": entry}}});
    let wiring = wiring(&configuration, &plugin).expect("settings");
    received(&wiring);
    let notes = wiring.resolved.notes.iter();
    let notes: Vec<_> = notes
        .filter(|note| note.code == "secret-not-passed")
        .collect();
    assert_eq!(notes.len(), 6, "{notes:?}");
    ended("3h", &notes[0].message);
}

#[test]
fn a_trial_prints_no_secret_of_the_configuration() {
    let home = Home::new();
    let file = home.write("p.wasm", provider_host::plugin::EMBEDDED);
    let entry = json!({
        "apiKey": KEY, "headers": {"Authorization": KEY, "X-Team": KEY}, "password": OTHER_KEY,
        "request": {"auth": {"mode": "authorization-bearer", "token": KEY}},
        "models": [{"id": "tiny", "apiKey": KEY}],
    });
    let all = json!({"models": {"providers": {"vllm": entry}}, "gateway": {"token": KEY}});
    for configuration in [all, json!({"models": {"providers": {"vllm": KEY}}})] {
        let config = home.write("c.json", configuration.to_string());
        for arguments in [
            &["plugin", "check", &file, "--config", &config][..],
            &["plugin", "check", &file, "--config", &config, "--json"],
        ] {
            // Whatever a command says is searched for the keys.
            let outcome = home.run(arguments);
            assert!(
                !outcome.stdout.contains(KEY) && !outcome.stderr.contains(KEY),
                "{outcome:#?}"
            );
            if outcome.stdout.contains(" passed") && arguments.len() == 5 {
                ended("3i", &outcome.stdout);
            }
        }
    }
}
