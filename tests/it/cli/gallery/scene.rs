//! One failure: how it is brought about, and how it is shown.

use std::any::Any;
use std::sync::OnceLock;

use serde_json::Value;

use crate::cli::process::Home;
use crate::cli::server::Server;

/// A failure that was not brought about yet.
pub(super) struct Case {
    title: String,
    make: Box<dyn FnOnce() -> Scene + Send>,
}

impl Case {
    pub(super) fn new(
        title: impl Into<String>,
        make: impl FnOnce() -> Scene + Send + 'static,
    ) -> Self {
        Self {
            title: title.into(),
            make: Box::new(make),
        }
    }

    /// The same with a change of its scene.
    pub(super) fn changed(self, change: impl FnOnce(Scene) -> Scene + Send + 'static) -> Self {
        let make = self.make;
        Self {
            title: self.title,
            make: Box::new(move || change(make())),
        }
    }

    /// Brings it about.
    pub(super) fn run(self) -> Shown {
        let scene = (self.make)();
        scene.play(self.title)
    }
}

/// A command line, and all that it needs around it.
pub(super) struct Scene {
    home: Home,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    input: Option<Vec<u8>>,
    given: Option<String>,
    hidden: Vec<(String, String)>,
    /// Of `doctor`, show only what it found.
    findings: bool,
    /// Servers, which live as long as the scene.
    stage: Vec<Box<dyn Any>>,
}

impl Scene {
    /// A command in a home.
    pub(super) fn new(home: Home, arguments: &[&str]) -> Self {
        Self {
            home,
            arguments: arguments.iter().map(|one| (*one).to_owned()).collect(),
            environment: Vec::new(),
            input: None,
            given: None,
            hidden: Vec::new(),
            findings: false,
            stage: Vec::new(),
        }
    }

    /// A command against a mock server that its home is configured for.
    pub(super) fn at(server: Server, arguments: &[&str]) -> Self {
        Self::new(server.home(), arguments).with(server)
    }

    /// A command with a configuration, which is shown as it is written.
    pub(super) fn given(text: &str, arguments: &[&str]) -> Self {
        let home = Home::new();
        home.write(".openclaw/openclaw.json", text);
        let mut scene = Self::new(home, arguments);
        scene.given = Some(text.to_owned());
        scene
    }

    /// A command with a configuration that is not worth showing.
    pub(super) fn configured(configuration: &Value, arguments: &[&str]) -> Self {
        Self::new(Home::configured(configuration), arguments)
    }

    /// Keeps a server up until the command has ended.
    pub(super) fn with(mut self, server: impl Any) -> Self {
        self.stage.push(Box::new(server));
        self
    }

    pub(super) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.home.write(name, content);
        self
    }

    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Shows `text` as `name`: what differs from run to run or may not be shown.
    pub(super) fn hiding(mut self, text: &str, name: &str) -> Self {
        self.hidden.push((text.to_owned(), name.to_owned()));
        self
    }

    /// Leaves out the lines of `doctor` that say that all is well, or that
    /// something has to be mended first.
    pub(super) fn findings(mut self) -> Self {
        self.findings = true;
        self
    }

    /// The home, to be prepared further.
    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    fn play(self, title: String) -> Shown {
        let mut arguments = self.arguments.clone();
        if arguments.first().is_some_and(|first| first == "chat") && retries_can_be_off() {
            arguments.splice(1..1, ["--max-retries".to_owned(), "0".to_owned()]);
        }
        let mut command = self.home.command(&arguments);
        for (name, value) in &self.environment {
            command = command.env(name, value);
        }
        if let Some(input) = &self.input {
            command = command.input(input.clone());
        }
        let outcome = command.run();
        let clean = |text: &str| self.clean(text);
        let mut line = String::from("$ ");
        for (name, value) in &self.environment {
            line.push_str(&format!("{name}={} ", quoted(value)));
        }
        line.push_str("provider-host");
        for argument in &self.arguments {
            line.push(' ');
            line.push_str(&quoted(argument));
        }
        // The answer so far is no error; only `doctor` tells its findings there.
        let doctor = self.arguments.iter().any(|argument| argument == "doctor");
        let printed = match doctor {
            true if self.findings => findings(&outcome.stdout) + &outcome.stderr,
            true => format!("{}{}", outcome.stdout, outcome.stderr),
            false => without_usage(&outcome.stderr),
        };
        Shown {
            title,
            given: self.given.as_deref().map(clean),
            command: clean(&line),
            printed: match printed.is_empty() {
                true => String::from("(the answer, and nothing else)\n"),
                false => clean(&printed),
            },
            status: outcome.status,
        }
    }

    /// A text without what differs from run to run.
    fn clean(&self, text: &str) -> String {
        let home = self.home.path("").display().to_string();
        let home = home.trim_end_matches('/');
        let mut text = text.replace(home, "~");
        // The usage that a wrong line is answered with repeats what was put in.
        text = text.replace("--max-retries <N> ", "");
        for (hidden, name) in &self.hidden {
            text = text.replace(hidden, name);
        }
        for (before, name, of) in [
            ("127.0.0.1:", "PORT", "0123456789"),
            ("localhost:", "PORT", "0123456789"),
            ("sha256 ", "DIGEST", "0123456789abcdef"),
            ("offset 0x", "OFFSET", "0123456789abcdef"),
        ] {
            text = replaced(&text, before, name, of);
        }
        // Each resolver has its own words.
        if let Some(at) = text.find("failed to lookup address information: ") {
            let words = &text[at + "failed to lookup address information: ".len()..];
            let end = words.find([')', ';', '\n']).unwrap_or(words.len());
            let words = words[..end].to_owned();
            text = text.replace(&words, "Name or service not known");
        }
        text.lines().map(|line| durations(line) + "\n").collect()
    }
}

/// The account of an answer is no error, and it holds times.
fn without_usage(text: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with("usage: "))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// What `doctor` found.
fn findings(text: &str) -> String {
    let found = |line: &&str| line.starts_with("warning ") || line.starts_with("failed ");
    text.lines()
        .filter(found)
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Whether this build has the flag that turns retries off.
fn retries_can_be_off() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let help = Home::new().run(&["chat", "--help"]);
        help.stdout.contains("--max-retries")
    })
}

/// Replaces each run of characters `of` that follows `before`.
fn replaced(text: &str, before: &str, name: &str, of: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(before) {
        let (head, tail) = rest.split_at(at + before.len());
        out.push_str(head);
        let after = tail.trim_start_matches(|one| of.contains(one));
        let found = &tail[..tail.len() - after.len()];
        // vLLM's own port is never a free one that a test was given.
        out.push_str(match found {
            "" | "8000" => found,
            _ => name,
        });
        rest = after;
    }
    out + rest
}

/// `in 12 ms` and `in 0.2 s` are measured; `after 1s` is configured.
fn durations(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let mut out = Vec::new();
    let mut index = 0;
    while let Some(word) = words.get(index) {
        let number = words
            .get(index + 1)
            .is_some_and(|next| next.parse::<f64>().is_ok());
        let unit = words.get(index + 2).copied().unwrap_or_default();
        let bare = unit.trim_end_matches(|one: char| !one.is_alphanumeric());
        if matches!(*word, "in" | "after") && number && matches!(bare, "ms" | "s") {
            out.push(format!("{word} TIME{}", &unit[bare.len()..]));
            index += 3;
        } else {
            out.push((*word).to_owned());
            index += 1;
        }
    }
    out.join(" ")
}

/// An argument as one would type it.
fn quoted(argument: &str) -> String {
    let plain = |one: char| one.is_ascii_alphanumeric() || "-_./:=@*~".contains(one);
    match argument {
        "" => String::from("''"),
        _ if argument.chars().all(plain) => argument.to_owned(),
        _ if argument.contains('\'') || argument.contains(char::is_control) => {
            format!("{argument:?}")
        }
        _ => format!("'{argument}'"),
    }
}

/// A failure as the document shows it.
pub(super) struct Shown {
    title: String,
    given: Option<String>,
    command: String,
    printed: String,
    status: Option<i32>,
}

impl Shown {
    pub(super) fn markdown(&self) -> String {
        let mut out = format!("\n### {}\n\n", self.title);
        if let Some(given) = &self.given {
            out.push_str(&format!("```json5\n{}\n```\n\n", given.trim_end()));
        }
        let status = self
            .status
            .map_or_else(|| String::from("a signal"), |status| status.to_string());
        out.push_str(&format!(
            "```text\n{}\n{}\n```\n\nExit status {status}.\n",
            self.command.trim_end(),
            self.printed.trim_end()
        ));
        out
    }
}
