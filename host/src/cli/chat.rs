//! `chat`: one request, one streamed answer; or a session of them ([`session`]).
//!
//! In `--json` everything that can happen ends in exactly one last line,
//! `result` or `error`; nothing else is ever written to stdout.

mod session;

use std::io::{self, BufWriter, Write as _};

use provider_host::configuration::Configuration;
use provider_host::route::{RetryPolicy, Route, RoutedChat, Step, Target};
use provider_host::types;

use super::answer::Answer;
use super::arguments::{Arguments, ChatOptions};
use super::carrier::Carrier;
use super::failure::{self, Failure, Status};
use super::json::{self, Line};
use super::opened::{self, Opened, with_path};
use super::screen::Screen;
use super::{request, terminal};

/// Most events of one batch, which is what is flushed at once.
const BATCH: u32 = 64;

/// Runs the command.
pub(super) fn run(arguments: &Arguments, options: &ChatOptions) -> anyhow::Result<Status> {
    if options.watch {
        return session::run(arguments, options);
    }
    let mut so_far = None;
    let outcome = if options.json {
        let mut lines = Lines::new();
        let outcome = prepare_and_converse(arguments, options, &mut lines, &mut so_far);
        let Err(error) = outcome else {
            return Ok(Status::Done);
        };
        if !failure::is_broken_pipe(&error) {
            lines.error(&error, so_far.as_ref())?;
        }
        return Ok(failure::status(&error));
    } else {
        on_screen(|screen| {
            let outcome = prepare_and_converse(arguments, options, screen, &mut so_far);
            if outcome.is_err() {
                // What came stays; the error begins a line of its own.
                screen.end_of_line()?;
            }
            outcome
        })
    };
    outcome.map(|()| Status::Done)
}

/// Does something with stdout for answers and stderr for the rest.
fn on_screen<T>(show: impl FnOnce(&mut Screen<'_>) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let is_terminal = terminal::stdout_is_terminal();
    // `anstream` would take escape sequences out of the answer, too, and a
    // file or a pipe is to get it as it came.
    let mut out: Box<dyn io::Write> = match is_terminal {
        true => Box::new(anstream::stdout()),
        false => Box::new(io::stdout()),
    };
    let mut aside = anstream::stderr();
    show(&mut Screen::new((&mut *out, is_terminal), &mut aside))
}

/// Where an answer is written to.
trait Sink {
    /// Writes a batch and flushes it.
    fn events(&mut self, events: &[types::Event]) -> io::Result<()>;
    /// Writes what stands between the request and its answer.
    fn detour(&mut self, step: &Step) -> io::Result<()>;
    /// An answer that keeps what this sink needs of it.
    fn answer(&self) -> Answer;
    /// Says something in the middle of an answer.
    fn interject(&mut self, sentence: &str) -> io::Result<()>;
    /// Writes that an answer failed, of which some may have come.
    fn failed(&mut self, error: &anyhow::Error, so_far: &Answer) -> io::Result<()>;
    /// Writes the end of a whole answer.
    fn done(&mut self, answer: &Answer, model: &types::Model) -> io::Result<()>;
}

/// The lines of `--json`.
struct Lines {
    out: BufWriter<io::StdoutLock<'static>>,
}

impl Lines {
    fn new() -> Self {
        Self {
            out: BufWriter::new(io::stdout().lock()),
        }
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        json::write_line(&mut self.out, line)
    }

    fn error(&mut self, error: &anyhow::Error, so_far: Option<&Answer>) -> io::Result<()> {
        let mut object = failure::to_json(error);
        if failure::status(error) == Status::Interrupted {
            object.request_sent = so_far.is_some();
        }
        self.line(&Line::Error {
            error: object,
            partial: so_far.and_then(Answer::partial),
            retries: so_far.and_then(Answer::detours),
        })?;
        self.out.flush()
    }
}

impl Sink for Lines {
    fn events(&mut self, events: &[types::Event]) -> io::Result<()> {
        for event in events {
            // A note is for people as well.
            if let types::Event::Note(note) = event {
                terminal::note(&with_path(note.path.as_deref(), &note.message));
            }
            if let Some(line) = Line::of(event) {
                self.line(&line)?;
            }
        }
        self.out.flush()
    }

    fn detour(&mut self, step: &Step) -> io::Result<()> {
        if let Some(sentence) = super::detour::sentence(step) {
            terminal::note(&sentence);
        }
        Ok(())
    }

    fn answer(&self) -> Answer {
        Answer::whole()
    }

    fn interject(&mut self, sentence: &str) -> io::Result<()> {
        terminal::note(sentence);
        Ok(())
    }

    fn failed(&mut self, error: &anyhow::Error, so_far: &Answer) -> io::Result<()> {
        self.error(error, Some(so_far))
    }

    fn done(&mut self, answer: &Answer, model: &types::Model) -> io::Result<()> {
        self.line(&Line::Result(answer.result(&model.id)))?;
        self.out.flush()
    }
}

impl Sink for Screen<'_> {
    fn events(&mut self, events: &[types::Event]) -> io::Result<()> {
        self.show(events)
    }

    fn detour(&mut self, step: &Step) -> io::Result<()> {
        self.detour(step)
    }

    fn answer(&self) -> Answer {
        Answer::passing()
    }

    fn interject(&mut self, sentence: &str) -> io::Result<()> {
        Screen::interject(self, sentence)
    }

    fn failed(&mut self, error: &anyhow::Error, _: &Answer) -> io::Result<()> {
        self.end_of_line()?;
        failure::report(error);
        Ok(())
    }

    fn done(&mut self, answer: &Answer, model: &types::Model) -> io::Result<()> {
        self.account(answer, model)
    }
}

/// Everything from the command line to the end of the answer. `so_far` is what
/// came, whatever happens.
fn prepare_and_converse(
    arguments: &Arguments,
    options: &ChatOptions,
    sink: &mut dyn Sink,
    so_far: &mut Option<Answer>,
) -> anyhow::Result<()> {
    // Before anything waits: Ctrl-C while the prompt is typed ends the process
    // as it would any other.
    let request = request::build(options, &mut |warning| terminal::warning(&warning))?;
    super::block_on(async {
        tokio::select! {
            biased;
            outcome = converse(arguments, options, &request, sink, so_far) => outcome,
            // Dropping the conversation closes its connection, and the server
            // stops generating.
            _ = tokio::signal::ctrl_c() => Err(Failure::interrupted().into()),
        }
    })
}

async fn converse(
    arguments: &Arguments,
    options: &ChatOptions,
    request: &types::ChatRequest,
    sink: &mut dyn Sink,
    so_far: &mut Option<Answer>,
) -> anyhow::Result<()> {
    let opened = opened::open(arguments, &Carrier::of(options)).await?;
    let outcome = ask(&opened, options, request, sink, so_far).await;
    opened.carried.report();
    outcome
}

async fn ask(
    opened: &Opened,
    options: &ChatOptions,
    request: &types::ChatRequest,
    sink: &mut dyn Sink,
    so_far: &mut Option<Answer>,
) -> anyhow::Result<()> {
    let target = |model: &str| Target::new(&opened.provider, model);
    let provider = &opened.plugin.manifest().id;
    let route = route(options, &opened.configuration, provider, &target)?;
    let answer = so_far.insert(sink.answer());
    let mut chat = route.chat(request.clone());
    let mut images = has_images(request);
    loop {
        let batch = chat.next_batch(BATCH).await?;
        if batch.is_empty() {
            break;
        }
        if let Some(model) = chat.model().filter(|_| std::mem::take(&mut images))
            && !model.input.contains(&types::Modality::Image)
        {
            terminal::warning(&format!(
                "{:?} takes no images, so that each was replaced by a line that says so; if it \
                 does, set input: [\"text\", \"image\"] for it in models.providers.vllm.models",
                model.id
            ));
        }
        take(batch, answer, sink)?;
    }
    conclude(&chat, answer, sink)
}

/// Takes a batch into the answer, and shows it.
fn take(batch: Vec<Step>, answer: &mut Answer, sink: &mut dyn Sink) -> anyhow::Result<()> {
    let mut events = Vec::with_capacity(batch.len());
    for step in batch {
        match step {
            Step::Event(event) => {
                answer.add(&event);
                events.push(event);
            }
            detour => {
                answer.detour(&detour);
                sink.detour(&detour)?;
            }
        }
    }
    Ok(sink.events(&events)?)
}

/// Shows how an answer ended.
fn conclude(chat: &RoutedChat, answer: &Answer, sink: &mut dyn Sink) -> anyhow::Result<()> {
    match chat.model().filter(|_| answer.is_finished()) {
        Some(model) => Ok(sink.done(answer, &model)?),
        None => Err(Failure::failed(
            "protocol",
            "the plugin ended the answer without saying how (no finish event)",
        )
        .into()),
    }
}

/// Whether a request has images, the user's or those of tools.
fn has_images(request: &types::ChatRequest) -> bool {
    request.messages.iter().any(|message| {
        let parts = match message {
            types::Message::User(parts) => parts,
            types::Message::Tool(result) => &result.content,
            _ => return false,
        };
        let image = |part: &types::ContentPart| matches!(part, types::ContentPart::Image(_));
        parts.iter().any(image)
    })
}

/// The model that the command line or the configuration names, and the
/// configured fallbacks of the latter: who names a model wants that one.
fn route(
    options: &ChatOptions,
    configuration: &Configuration,
    provider: &str,
    target: &dyn Fn(&str) -> Target,
) -> anyhow::Result<Route> {
    let named = options.model.as_deref();
    let reference = opened::model_reference(named, configuration, provider)?;
    let mut route = Route::new(target(reference.model()))
        .with_retries(RetryPolicy::default().with_max_retries(options.max_retries));
    if named.is_some() || options.no_fallback {
        return Ok(route);
    }
    let choice = configuration.default_model(&opened::environment)?;
    for (index, fallback) in choice.fallbacks.iter().enumerate() {
        if fallback.provider() == provider {
            route = route.or(target(fallback.model()));
        } else {
            terminal::warning(&format!(
                "agents.defaults.model.fallbacks[{index}] is skipped: it names the provider {:?}, \
                 and the loaded plugin is {provider:?}",
                fallback.provider()
            ));
        }
    }
    Ok(route)
}
