//! `chat --watch`: a conversation, line by line, whose plugin may be replaced meanwhile.
//!
//! The plugin's file is watched. A newer one takes over for the next turn; an
//! answer that is under way goes on with the one that it began with. What was
//! taken over, or was not and why, is said on stderr when it happens.

mod told;

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use provider_host::registry::{RegistryEvent, Source};
use provider_host::route::{Route, Target};
use provider_host::types;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc;

use super::{BATCH, Lines, Sink, conclude, on_screen, route, take};
use crate::cli::answer::Answer;
use crate::cli::arguments::{Arguments, ChatOptions};
use crate::cli::failure::{self, Failure, Status};
use crate::cli::{block_on, opened, request, terminal};

/// Runs the session. It ends with stdin, and as its turns did: a failed one is told, and the next line goes on.
pub(super) fn run(arguments: &Arguments, options: &ChatOptions) -> anyhow::Result<Status> {
    let opening = request::opening(options)?;
    let talk = |sink: &mut dyn Sink| {
        block_on(async {
            tokio::select! {
                biased;
                outcome = converse(arguments, options, opening.clone(), sink) => outcome,
                _ = tokio::signal::ctrl_c() => Err(Failure::interrupted().into()),
            }
        })
    };
    if options.json {
        let mut lines = Lines::new();
        let Err(error) = talk(&mut lines) else {
            return Ok(Status::Done);
        };
        // A turn that failed has told of itself.
        if !failure::is_broken_pipe(&error) && !error.is::<Told>() {
            lines.error(&error, None)?;
        }
        return Ok(failure::status(&error));
    }
    on_screen(|screen| {
        let outcome = talk(screen);
        if outcome.is_err() {
            screen.end_of_line()?;
        }
        match outcome {
            Err(error) if error.is::<Told>() => Ok(Status::Failed),
            outcome => outcome,
        }
    })
}

/// A turn failed, and its error was shown.
#[derive(Debug, thiserror::Error)]
#[error("a turn of the session failed")]
struct Told;

async fn converse(
    arguments: &Arguments,
    options: &ChatOptions,
    mut request: types::ChatRequest,
    sink: &mut dyn Sink,
) -> anyhow::Result<Status> {
    let Some(file) = arguments.plugin.clone() else {
        return Err(Failure::usage("--watch watches the file of --plugin, and there is none")
            .hint("add --plugin FILE.wasm; `cargo xtask build-component` makes one of this project's plugin")
            .into());
    };
    let served = opened::serve(arguments).await?;
    let slot = &served.slot;
    let target = |model: &str| Target::of_slot(slot, model);
    let route = route(options, &served.configuration, slot.id(), &target)?;
    let mut news = News {
        events: served.registry.subscribe(),
        file: file.clone(),
    };
    let _watcher = slot.watch(Source::File(file))?;
    let mut prompts = Prompts::start(options.prompt.clone());
    let mut failed = false;
    while let Some(prompt) = prompts.next(&mut news, sink).await? {
        request.messages.push(types::Message::user(prompt));
        let mut answer = Answer::whole();
        match turn(&route, &request, &mut answer, &mut news, sink).await {
            Ok(()) => request.messages.push(answer.turn()),
            // Nobody reads on.
            Err(error) if failure::is_broken_pipe(&error) => return Err(error),
            Err(error) => {
                failed = true;
                sink.failed(&error, &answer)?;
                // What was not answered is no part of the conversation.
                request.messages.pop();
            }
        }
    }
    if failed {
        Err(Told.into())
    } else {
        Ok(Status::Done)
    }
}

/// One answer.
async fn turn(
    route: &Route,
    request: &types::ChatRequest,
    answer: &mut Answer,
    news: &mut News,
    sink: &mut dyn Sink,
) -> anyhow::Result<()> {
    let mut chat = route.chat(request.clone());
    loop {
        let batch = tokio::select! {
            biased;
            sentence = news.next() => {
                sink.interject(&sentence)?;
                continue;
            }
            // Dropping the wait for a batch loses nothing of it.
            batch = chat.next_batch(BATCH) => batch?,
        };
        if batch.is_empty() {
            return conclude(&chat, answer, sink);
        }
        take(batch, answer, sink)?;
    }
}

/// What happens to the plugin, in sentences.
struct News {
    events: broadcast::Receiver<RegistryEvent>,
    file: std::path::PathBuf,
}

impl News {
    /// The next one that is worth telling.
    async fn next(&mut self) -> String {
        loop {
            match self.events.recv().await {
                Ok(event) => {
                    if let Some(sentence) = told::sentence(&event, &self.file) {
                        return sentence;
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

/// The lines of stdin.
struct Prompts {
    lines: mpsc::Receiver<std::io::Result<String>>,
    first: Option<String>,
    marked: bool,
}

impl Prompts {
    /// Reads on a thread of its own, which ends with the process: a read of a terminal can't be taken back.
    fn start(first: Option<String>) -> Self {
        let (sender, lines) = mpsc::channel(1);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let failed = line.is_err();
                if sender.blocking_send(line).is_err() || failed {
                    return;
                }
            }
        });
        Self {
            lines,
            first: first.filter(|prompt| prompt != "-"),
            marked: std::io::stdin().is_terminal() && terminal::stderr_is_terminal(),
        }
    }

    /// The next prompt; none: stdin has ended. Tells what happens meanwhile.
    async fn next(
        &mut self,
        news: &mut News,
        sink: &mut dyn Sink,
    ) -> anyhow::Result<Option<String>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        loop {
            self.mark();
            let line = loop {
                tokio::select! {
                    biased;
                    sentence = news.next() => {
                        if self.marked {
                            eprintln!();
                        }
                        sink.interject(&sentence)?;
                        self.mark();
                    }
                    line = self.lines.recv() => break line,
                }
            };
            match line {
                None => {
                    if self.marked {
                        eprintln!();
                    }
                    return Ok(None);
                }
                Some(Err(error)) => {
                    let failure = Failure::usage(format!("could not read the prompt: {error}"));
                    return Err(failure.into());
                }
                Some(Ok(line)) if line.trim().is_empty() => {}
                Some(Ok(line)) => return Ok(Some(line)),
            }
        }
    }

    /// Shows a person that it is their turn.
    fn mark(&self) {
        if self.marked {
            eprint!("> ");
            let _ = std::io::stderr().flush();
        }
    }
}
