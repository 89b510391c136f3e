//! No command says a secret, however loud it is told to be and however it
//! fails. The search itself is in [`super::process`]: it is made for every
//! command of every test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use serde_json::json;

use super::process::{HEADER_SECRET, Home, KEY, OTHER_KEY, WRONG_KEY};
use super::server::Server;

#[test]
#[should_panic(expected = "shows")]
fn a_command_that_says_a_secret_would_be_found() {
    Home::new().program("echo", &[&KEY[4..16]]).run();
}

#[test]
fn no_output_of_any_command_has_a_secret_in_it() {
    let server = Server::guarded(KEY);
    let mut configuration = server.configuration();
    let entry = &mut configuration["models"]["providers"]["vllm"];
    entry["apiKey"] = WRONG_KEY.into();
    entry["headers"] = json!({"X-Team": "${TEAM_SECRET}"});
    let home = Home::configured(&configuration);
    let plugin = home.write("p.wasm", provider_host::plugin::EMBEDDED);
    // (what is stored, what the chat ends with)
    for (key, status) in [(OTHER_KEY, 1), (KEY, 0)] {
        home.command(&["--log-level", "trace", "auth", "set", "vllm"])
            .input(key)
            .run()
            .exits(0);
        for (arguments, status) in [
            (&["chat", "hi"][..], status),
            (&["chat", "--json", "hi"], status),
            (&["models", "list"], status),
            (&["models", "list", "--json"], status),
            (&["doctor"], status),
            (&["auth", "list"], 0),
            (&["plugin", "inspect", &plugin], 0),
            (&["chat", "--bogus"], 2),
        ] {
            let arguments = [&["--log-level", "trace"], arguments].concat();
            home.command(&arguments)
                .env("TEAM_SECRET", HEADER_SECRET)
                .env("VLLM_API_KEY", WRONG_KEY)
                .run()
                .exits(status);
        }
    }
    // The search would have found them: they were really used.
    let last = server.chats().pop().expect("a chat");
    assert_eq!(last.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(last.headers["x-team"], HEADER_SECRET);
}

/// Answers every request with 401 and the key that it came with, in a header
/// and in the error's words. Returns its base URL.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut lines = BufReader::new(stream.expect("a client"));
            let mut key = String::new();
            loop {
                let mut line = String::new();
                lines.read_line(&mut line).expect("a line");
                if let Some((_, value)) = line.split_once("Bearer ") {
                    key = value.trim().to_owned();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let body =
                json!({"error": {"message": format!("Incorrect API key: {key}."), "code": key}});
            let body = body.to_string();
            let answer = format!(
                "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\nx-key: {key}\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = lines.get_mut().write_all(answer.as_bytes());
        }
    });
    url
}

#[test]
fn a_key_that_a_server_says_back_is_taken_out_of_its_words() {
    // One looks like a key and one does not.
    for key in [KEY, HEADER_SECRET] {
        let home = Home::configured(&json!({
            "models": {"providers": {"vllm": {"baseUrl": echo(), "apiKey": key}}},
            "agents": {"defaults": {"model": "vllm/tiny", "models": {"vllm/*": {}}}},
        }));
        for arguments in [
            &["models", "list"][..],
            &["chat", "hi"],
            &["chat", "--json", "hi"],
            &["doctor"],
        ] {
            let arguments = [&["--log-level", "trace"], arguments].concat();
            let outcome = home.run(&arguments).exits(1);
            let told = format!("{}{}", outcome.stdout, outcome.stderr);
            assert!(told.contains("Incorrect API key: "), "{outcome:#?}");
        }
    }
}

#[test]
fn failures_in_mid_answer_say_no_secret_either() {
    for fault in [
        "reset-mid-stream",
        "server-error",
        "invalid-json",
        "garbage",
        "endless-line",
    ] {
        let server = Server::with_faults(&[fault]);
        let mut configuration = server.configuration();
        configuration["models"]["providers"]["vllm"]["apiKey"] = KEY.into();
        let home = Home::configured(&configuration);
        home.run(&["--log-level", "trace", "chat", "--json", "hi"])
            .exits(1);
        home.run(&["--log-level", "trace", "chat", "hi"]).exits(1);
    }
}
