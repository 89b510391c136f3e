//! The recordings, and what they say of themselves.

use serde_json::Value;

/// One recorded run of OpenClaw.
pub(super) struct Recorded {
    pub(super) file: Value,
}

macro_rules! recordings {
    ($($name:literal),* $(,)?) => {
        /// Every recording, by the name of its file.
        pub(super) const ALL: &[(&str, &str)] = &[$((
            $name,
            include_str!(concat!("../../fixtures/openclaw/", $name, ".json")),
        )),*];
    };
}

recordings![
    "02-models-list-all",
    "03-agent-default-discovery",
    "04-models-list-all",
    "05-agent-default-discovery",
    "06-agent-explicit",
    "07-agent-400-context",
    "08-agent-401",
    "09-agent-400-context-wrapped",
    "10-models-list-refresh",
    "11-agent-default-no-gateway",
    "12-infer-model-run",
    "13-models-list-no-key",
    "14-models-list-wildcard",
    "15-agent-wildcard",
    "20-agent-explicit",
    "21-agent-401",
    "22-agent-404-model",
    "23-agent-400-context",
    "24-agent-conn-refused",
    "25-agent-reasoning-and-tool",
    "26-agent-qwen-thinking-high",
    "26-agent-qwen-thinking-on",
    "30-agent-404-model",
    "31-agent-conn-refused",
    "32-agent-tool-roundtrip",
    "33-agent-reasoning-medium",
];

pub(super) fn load(name: &str) -> Recorded {
    let (_, text) = ALL
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("no recording {name}"));
    Recorded {
        file: serde_json::from_str(text).expect("JSON"),
    }
}

impl Recorded {
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.file.pointer(pointer).and_then(Value::as_str)
    }

    /// The requests of a method, in their order.
    pub(super) fn requests(&self, method: &str) -> Vec<&Value> {
        let all = self.file["requests"].as_array().expect("requests");
        all.iter().filter(|r| r["method"] == method).collect()
    }

    /// How many requests OpenClaw sent, those included that are not kept.
    pub(super) fn sent(&self, method: &str) -> u64 {
        self.file["sent"][method].as_u64().expect("a count")
    }

    /// `models list`, and not a turn of a conversation.
    pub(super) fn is_list(&self) -> bool {
        let command = self.file["command"].as_array().expect("a command");
        command.iter().any(|word| word == "list")
    }

    /// There was no server.
    pub(super) fn is_refused(&self) -> bool {
        let configuration = self.text("/configuration").expect("a configuration");
        configuration.contains(":8999/")
    }

    /// How many turns the conversation has: requests that were answered, and
    /// the first one at any rate. What follows an error is OpenClaw's own
    /// retrying.
    pub(super) fn turns(&self) -> usize {
        let posts = self.requests("POST");
        posts.iter().filter(|r| r["status"] == 200).count().max(1)
    }

    /// OpenClaw ended without an answer.
    pub(super) fn failed(&self) -> bool {
        let refused = |r: &&Value| r["status"] != 200;
        !self.is_list()
            && (self.file["result"]["exit"] != 0
                || self.is_refused()
                || self.requests("POST").iter().any(refused))
    }
}
