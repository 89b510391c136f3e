//! `chat --watch`: a conversation whose plugin is replaced meanwhile.

use serde_json::Value;

use super::answer::Answer;
use super::server::Server;
use crate::swap::variants;

/// Lines of stdout up to the one that ends an answer.
fn answer(running: &mut super::process::Running) -> (Value, Vec<Value>) {
    let mut lines = Vec::new();
    loop {
        let line: Value = serde_json::from_str(&running.line()).expect("JSON");
        if line["type"] == "result" || line["type"] == "error" {
            return (line, lines);
        }
        lines.push(line);
    }
}

#[test]
fn a_newer_file_takes_over_in_the_middle_of_an_answer_and_nothing_of_it_is_lost() {
    let server = Server::paced(100.0);
    let home = server.home();
    let file = home.write("p.wasm", variants::version("0.1.0"));
    let newer = home.write("newer.wasm", variants::version("0.2.0"));
    // So that the swap is quick: what it waits for is not what is shown here.
    home.run(&["plugin", "compile", &newer]).exits(0);
    let line = [
        "chat",
        "--watch",
        "--json",
        "--plugin",
        &file,
        "--plugin-id",
        "vllm",
    ];
    let mut running = home.command(&line).that_listens().start();
    running.say("Count to 120.");
    for _ in 0..5 {
        running.line();
    }
    std::fs::rename(home.path("newer.wasm"), home.path("p.wasm")).expect("renamed");
    running.complains("vllm 0.2.0 (sha256 ");
    running.complains("as generation 2");
    let (first, more) = answer(&mut running);
    let counted: Vec<String> = (1..=120).map(|number: u32| number.to_string()).collect();
    assert_eq!(first["text"], counted.join(" "), "{first}");
    assert!(more.len() > 5, "the swap was in the middle of it: {more:?}");

    // A turn on the newer one, which knows the conversation.
    running.say("Say hello.");
    let (second, _) = answer(&mut running);
    assert_eq!(second["text"], "Hello! How can I help you today?");
    let body = server.last_body();
    let messages = body["messages"].as_array().expect("messages");
    let roles: Vec<&str> = messages
        .iter()
        .filter_map(|one| one["role"].as_str())
        .collect();
    assert_eq!(roles, ["user", "assistant", "user"], "{body}");

    home.write("p.wasm", b"\0asm and no more");
    running.complains("was not taken over, at the step read");
    std::fs::remove_file(home.path("p.wasm")).expect("gone");
    running.complains("is no file any more");
    running.say("");
    running.say("Say hello.");
    let (third, _) = answer(&mut running);
    assert_eq!(third["type"], "result");
    let outcome = running.finish().exits(0);
    // Told once, by the session and not by the log as well.
    assert!(!outcome.stderr.contains("WARN"), "{}", outcome.stderr);
}

#[test]
fn each_line_of_a_pipe_is_a_turn_and_one_that_fails_ends_no_session() {
    let server = Server::tiny();
    let home = server.home();
    let file = home.write("p.wasm", provider_host::plugin::EMBEDDED);
    let line = [
        "chat",
        "--watch",
        "--plugin",
        &file,
        "--plugin-id",
        "vllm",
        "--max-retries",
        "0",
    ];
    let outcome = home
        .command(&line)
        .input("Say hello.\n\nSay hello.\n")
        .run()
        .exits(0);
    assert_eq!(
        outcome.stdout,
        "Hello! How can I help you today?\n".repeat(2)
    );
    outcome.complains(&["usage: "]);

    let full = Server::with_faults(&["overloaded"]);
    let home = full.home();
    let file = home.write("p.wasm", provider_host::plugin::EMBEDDED);
    let line = [
        "chat",
        "--watch",
        "--json",
        "--plugin",
        &file,
        "--max-retries",
        "0",
    ];
    let outcome = home
        .command(&line)
        .input("Say hello.\nSay hello.\n")
        .run()
        .exits(1);
    let errors = outcome.json_lines();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors.iter().all(|line| line["type"] == "error"),
        "{errors:?}"
    );
    assert_eq!(full.chats().len(), 2);
}

#[test]
fn a_session_without_a_file_to_watch_is_wrong_usage() {
    let home = Server::tiny().home();
    let outcome = home.run(&["chat", "--watch", "--json"]).exits(2);
    let answer = Answer::of(&outcome).expect("a last line");
    assert!(answer.error().is_some(), "{}", outcome.stdout);
    home.run(&["chat", "--watch"])
        .exits(2)
        .complains(&["--plugin FILE.wasm"]);
}
