//! Invisible and direction-changing characters in output.

use std::io::Write as _;

use provider_host::mock::{Model, Options};
use provider_host::policy::visible::{escaped, escaped_prose, is_hidden};
use serde_json::json;

use super::{Attack, ended};
use crate::cli::process::{Home, KEY, Outcome};
use crate::cli::server::Server;
use crate::hostile::file;

macro_rules! characters {
    ($($number:literal: $attempt:literal, $characters:literal => $ends:literal;)*) => {
        /// Each row with the characters that it stands for.
        const CHARACTERS: &[(&str, &str)] = &[$(($number, $characters)),*];
        pub(super) const ATTACKS: &[Attack] = &[
            $(Attack {
                number: $number,
                attempt: $attempt,
                ends: $ends,
                test: "a_name_of_a_model_is_shown_with_what_is_hidden_in_it",
            },)*
            Attack {
                number: "9j",
                attempt: "all of these in the texts, names, ids, notes and errors of a plugin, in every command",
                ends: "nothing hidden in 10 outputs",
                test: "no_output_shows_what_a_plugin_hides_in_its_texts",
            },
            Attack {
                number: "9k",
                attempt: "all of these in an answer, on a terminal",
                ends: r"\u{202e}\u{200e}\u{200f}\u{61c}\u{200b}\u{ad}\u{e0041}\u{e0100}",
                test: "an_answer_on_a_terminal_keeps_emoji_and_shows_the_rest",
            },
            Attack {
                number: "9l",
                attempt: "all of these in a message of the plugin, as a library's user gets it",
                ends: "the host's own message without hidden characters",
                test: "messages_for_embedders_have_nothing_hidden",
            },
            Attack {
                number: "9m",
                attempt: "all of these in a field of the log",
                ends: r"a\u{202e}\u{200e}",
                test: "a_line_of_the_log_shows_what_is_hidden",
            },
            Attack {
                number: "9n",
                attempt: "all of these in an argument that the command line does not know, in a pipe",
                ends: r"unexpected argument '--a\u{202e}\u{200e}b' found",
                test: "an_unknown_argument_is_shown_without_hidden_characters",
            },
        ];
    };
}

characters! {
    "9a": "directional marks: LRM, RLM, ALM",
        "\u{200e}\u{200f}\u{61c}" => r"vllm/m\u{200e}\u{200f}\u{61c}n";
    "9b": "embeddings, overrides and isolates",
        "\u{202a}\u{202e}\u{202c}\u{2066}\u{2069}" => r"vllm/m\u{202a}\u{202e}\u{202c}\u{2066}\u{2069}n";
    "9c": "zero-width space, joiners, word joiner, byte order mark",
        "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}" => r"vllm/m\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}n";
    "9d": "tags, in which a text can be hidden",
        "\u{e0001}\u{e0041}\u{e007f}" => r"vllm/m\u{e0001}\u{e0041}\u{e007f}n";
    "9e": "variation selectors, which carry bytes",
        "\u{fe00}\u{fe0f}\u{e0100}\u{e01ef}" => r"vllm/m\u{fe00}\u{fe0f}\u{e0100}\u{e01ef}n";
    "9f": "soft hyphen, grapheme joiner, Mongolian selectors, Hangul and Khmer fillers",
        "\u{ad}\u{34f}\u{180b}\u{180e}\u{115f}\u{1160}\u{3164}\u{ffa0}\u{17b4}"
        => r"vllm/m\u{ad}\u{34f}\u{180b}\u{180e}\u{115f}\u{1160}\u{3164}\u{ffa0}\u{17b4}n";
    "9g": "separators of lines and paragraphs, next line",
        "\u{2028}\u{2029}\u{85}" => r"vllm/m\u{2028}\u{2029}\u{85}n";
    "9h": "deprecated format characters, annotation, controls of shorthand and music, what is reserved",
        "\u{206a}\u{206f}\u{fff9}\u{fffb}\u{1bca0}\u{1d173}\u{2065}\u{fff0}\u{e0fff}"
        => r"vllm/m\u{206a}\u{206f}\u{fff9}\u{fffb}\u{1bca0}\u{1d173}\u{2065}\u{fff0}\u{e0fff}n";
    "9i": "C0, DEL and C1 controls",
        "\u{1b}[2J\u{7}\u{7f}\u{9b}31m" => r"vllm/m\u{1b}[2J\u{7}\u{7f}\u{9b}31mn";
}

/// What is hidden in an output, if anything is. A line feed ends a line.
fn hidden(text: &str) -> Option<char> {
    text.chars().find(|one| *one != '\n' && is_hidden(*one))
}

#[test]
fn a_name_of_a_model_is_shown_with_what_is_hidden_in_it() {
    for (number, characters) in CHARACTERS {
        let id = format!("m{characters}n");
        let server = Server::start(Options {
            models: vec![Model::new(&id, 4_096)],
            ..Options::default()
        });
        let home = server.home();
        let outcome = home.run(&["models", "list"]).exits(0);
        ended(number, &outcome.stdout);
        assert_eq!(hidden(&outcome.stdout), None, "{outcome:#?}");
        // A script reads the id as it is, from text without hidden characters.
        let outcome = home.run(&["models", "list", "--json"]).exits(0);
        assert_eq!(hidden(&outcome.stdout), None, "{outcome:#?}");
        let listed = &outcome.json_lines()[0]["models"][0]["id"];
        assert!(
            listed.as_str().is_some_and(|listed| listed.ends_with(&id)),
            "{listed}"
        );
    }
}

#[test]
fn no_output_shows_what_a_plugin_hides_in_its_texts() {
    let mut outputs = 0;
    let mut check = |outcome: &Outcome, texts: &[&str]| {
        assert!(matches!(outcome.status, Some(0..=2)), "{outcome:#?}");
        for text in texts {
            assert_eq!(hidden(text), None, "{outcome:#?}");
        }
        outputs += 1;
    };
    for (attack, at) in [("escape-sequences", "next"), ("giant-error", "list-models")] {
        let server = Server::tiny();
        let home = Home::configured(&json!({
            "models": {"providers": {"hostile": {
                "baseUrl": server.base_url(), "apiKey": KEY, "attack": attack, "at": at,
            }}},
            "agents": {"defaults": {"model": "hostile/hostile", "models": {"hostile/*": {}}}},
        }));
        let plugin = home.write("hostile.wasm", std::fs::read(file()).expect("the plugin"));
        for arguments in [
            &["models", "list"][..],
            &["models", "list", "--json"],
            &["chat", "--json", "hi"],
            &["doctor"],
            &["--log-level", "trace", "models", "list"],
        ] {
            let all = [&["--plugin", &plugin][..], arguments].concat();
            let outcome = home.run(&all);
            // A log is in colour only on a terminal.
            check(&outcome, &[&outcome.stdout, &outcome.stderr]);
        }
    }
    ended("9j", &format!("nothing hidden in {outputs} outputs"));
}

#[test]
fn an_answer_on_a_terminal_keeps_emoji_and_shows_the_rest() {
    const SAID: &str = "👩\u{200d}🔬 ❤\u{fe0f} می\u{200c}خواهم \u{202e}\u{200e}\u{200f}\u{61c}\u{200b}\
                        \u{ad}\u{e0041}\u{e0100}";
    let shown = escaped_prose(SAID);
    ended("9k", &shown);
    assert!(
        shown.starts_with("👩\u{200d}🔬 ❤\u{fe0f} می\u{200c}خواهم "),
        "{shown}"
    );

    let server = Server::tiny();
    let home = server.home();
    let request = json!({"messages": [{"role": "user", "content": SAID}]});
    let request = home.write("r.json", request.to_string());
    // A pipe gets it as it is.
    let outcome = home.run(&["chat", "--request", &request]).exits(0);
    assert!(outcome.stdout.contains(SAID), "{outcome:#?}");
    // JSON says the same in characters that are seen.
    let outcome = home
        .run(&["chat", "--json", "--request", &request])
        .exits(0);
    assert_eq!(hidden(&outcome.stdout), None, "{outcome:#?}");
    let text = outcome.json_lines().pop().expect("a result")["text"].clone();
    assert!(
        text.as_str().is_some_and(|text| text.contains(SAID)),
        "{text}"
    );

    if home.program("sh", &["-c", "script --version"]).run().status != Some(0) {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: nothing was tested on a terminal, the program `script` of util-linux is missing"
        );
        return;
    }
    let program = env!("CARGO_BIN_EXE_provider-host");
    let line = format!("'{program}' chat --request '{request}'");
    let terminal = home.program("script", &["-qec", &line, "/dev/null"]);
    let outcome = terminal
        .env("NO_COLOR", "1")
        .env("SHELL", "/bin/sh")
        .run()
        .exits(0);
    assert!(outcome.stdout.contains(&*shown), "{outcome:#?}");
}

#[test]
fn a_line_of_the_log_shows_what_is_hidden() {
    // What a server calls a model stands in a span of the chat.
    let id = "a\u{202e}\u{200e}\u{e0041}\u{3164}\u{115f}b";
    let server = Server::start(Options {
        models: vec![Model::new(id, 4_096)],
        ..Options::default()
    });
    let home = server.home();
    let named = format!("vllm/{id}");
    let outcome = home.run(&["--log-level", "trace", "chat", "--model", &named, "hi"]);
    ended("9m", &outcome.stderr);
    assert_eq!(hidden(&outcome.stderr), None, "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_for_embedders_have_nothing_hidden() {
    use crate::support::plugin;
    use provider_host::types::Settings;
    use provider_host::{Provider, ProviderOptions};

    let all: String = CHARACTERS
        .iter()
        .map(|(_, characters)| *characters)
        .collect();
    let entry =
        json!({ "baseUrl": "http://h/v1", format!("odd{all}"): 1, "models": [{ "id": 7 }] });
    let mut settings = Settings::new(entry.to_string());
    settings.api_key = Some("key".into());
    let origin = provider_host::policy::Origin::parse("http://h/v1").expect("an origin");
    let grant = provider_host::policy::Grant::new(origin);
    let provider =
        Provider::new(plugin(), ProviderOptions::new(settings, grant)).expect("a provider");
    let error = provider
        .check_settings()
        .await
        .expect_err("settings that are none");
    assert_eq!(hidden(error.message()), None, "{error:?}");

    // What is asked for is said back in the refusal.
    let error = provider
        .resolve_model(&format!("m{all}"))
        .await
        .expect_err("no such model");
    let message = error.message();
    let outcome = match hidden(message) {
        None => "the host's own message without hidden characters".to_owned(),
        Some(found) => format!("{found:?} in {message}"),
    };
    ended("9l", &outcome);
}

/// The plugin quotes by a table of its own, because it runs in other hosts as well.
#[test]
fn the_plugin_s_own_quotation_hides_the_same_characters() {
    use vllm_provider::catalog::find;
    use vllm_provider::types::{Error, ErrorKind, Settings};

    let all: Vec<char> = ('\0'..=char::MAX)
        .filter(|one| !one.is_whitespace())
        .collect();
    for some in all.chunks(32) {
        let id: String = some.iter().collect();
        let failed = Error::new(ErrorKind::Unreachable, String::new());
        let error = find(&Settings::default(), Err(failed), &id).expect_err("an error");
        let expected: String = some
            .iter()
            .map(|one| {
                if is_hidden(*one) {
                    char::REPLACEMENT_CHARACTER
                } else {
                    *one
                }
            })
            .collect();
        assert!(
            error.message.contains(&expected),
            "{:?}",
            escaped(&error.message)
        );
    }
}

#[test]
fn an_unknown_argument_is_shown_without_hidden_characters() {
    let outcome = Home::new().run(&["chat", "--a\u{202e}\u{200e}b"]).exits(2);
    assert_eq!(hidden(&outcome.stderr), None, "{outcome:#?}");
    ended("9n", &outcome.stderr);
}
