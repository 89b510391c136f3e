//! `doctor`: one line per check, from the file on disk to one token of an
//! answer. Every line says `ok`, `warn` or `fail`, and what to do.
//!
//! A check that can't be made because an earlier one failed is left out: its
//! line would only repeat the first.

use std::io::Write as _;
use std::time::Instant;

use provider_host::configuration::{Configuration, KeySource, ModelReference};
use provider_host::credentials::Profiles;
use provider_host::policy::Reach;
use provider_host::{Error, Plugin, Provider, Wiring, types};

use super::amount;
use super::arguments::Arguments;
use super::failure::{self, Status};
use super::opened::{self, environment, with_path};
use super::request;
use super::terminal::{BAD, GOOD, WARNING, one_line};

/// Most model ids in one line.
const NAMED: usize = 5;

/// Runs the command.
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<Status> {
    let mut report = Report::default();
    tokio::select! {
        biased;
        outcome = examine(arguments, &mut report) => outcome?,
        _ = tokio::signal::ctrl_c() => return Ok(Status::Interrupted),
    }
    Ok(if report.failed {
        Status::Failed
    } else {
        Status::Done
    })
}

async fn examine(arguments: &Arguments, report: &mut Report) -> std::io::Result<()> {
    let Some(configuration) = configuration(arguments, report)? else {
        return Ok(());
    };
    let Some(plugin) = plugin(arguments, report)? else {
        return Ok(());
    };
    let Some(wired) = settings(&configuration, &plugin, report).await? else {
        return Ok(());
    };
    key(&wired, &plugin, report)?;
    if !origin(&wired, report)? {
        return Ok(());
    }
    let Some(served) = server(&wired, &plugin, report).await? else {
        return Ok(());
    };
    let Some(model) = model(&configuration, &wired, &plugin, &served, report).await? else {
        return Ok(());
    };
    one_token(&wired, &plugin, &model, report).await
}

/// The lines, as they are found.
#[derive(Debug, Default)]
struct Report {
    failed: bool,
}

impl Report {
    fn ok(&mut self, check: &str, text: &str) -> std::io::Result<()> {
        Self::line(GOOD, "ok", check, text)
    }

    fn warn(&mut self, check: &str, text: &str) -> std::io::Result<()> {
        Self::line(WARNING, "warn", check, text)
    }

    fn fail(&mut self, check: &str, text: &str) -> std::io::Result<()> {
        self.failed = true;
        Self::line(BAD, "fail", check, text)
    }

    fn line(style: anstyle::Style, word: &str, check: &str, text: &str) -> std::io::Result<()> {
        let mut out = anstream::stdout();
        let text = one_line(text);
        writeln!(out, "{style}{word:<4}{style:#}  {check:<13}  {text}")
    }
}

fn configuration(
    arguments: &Arguments,
    report: &mut Report,
) -> std::io::Result<Option<Configuration>> {
    const CHECK: &str = "configuration";
    match opened::configuration(arguments) {
        Ok(configuration) => {
            match configuration.file() {
                Some(file) => report.ok(CHECK, &file.display().to_string())?,
                None => report.ok(
                    CHECK,
                    "none (no --config, no OPENCLAW_CONFIG_PATH, no ~/.openclaw/openclaw.json): \
                     the defaults hold",
                )?,
            }
            Ok(Some(configuration))
        }
        Err(error) => {
            report.fail(CHECK, &failure::text(&error))?;
            Ok(None)
        }
    }
}

fn plugin(arguments: &Arguments, report: &mut Report) -> std::io::Result<Option<Plugin>> {
    const CHECK: &str = "plugin";
    match opened::engine().and_then(|engine| opened::plugin(&engine, arguments)) {
        Ok(plugin) => {
            let manifest = plugin.manifest();
            let digest = plugin.digest().get(..12).unwrap_or_default();
            report.ok(
                CHECK,
                &format!("{} {} (sha256 {digest}…)", manifest.label, manifest.version),
            )?;
            Ok(Some(plugin))
        }
        Err(error) => {
            report.fail(CHECK, &failure::text(&error))?;
            Ok(None)
        }
    }
}

/// The provider's settings: what the host and what the plugin make of them.
async fn settings(
    configuration: &Configuration,
    plugin: &Plugin,
    report: &mut Report,
) -> std::io::Result<Option<Wiring>> {
    const CHECK: &str = "settings";
    let id = &plugin.manifest().id;
    let profiles = match opened::profiles() {
        Ok(profiles) => profiles,
        Err(error) => {
            report.fail(CHECK, &failure::text(&error))?;
            Profiles::empty()
        }
    };
    let wired = match Wiring::new(configuration, plugin.manifest(), &environment, &profiles) {
        Ok(wired) => wired,
        Err(error) => {
            report.fail(CHECK, &failure::text(&error.into()))?;
            return Ok(None);
        }
    };
    let mut notes: Vec<String> = wired
        .resolved
        .notes
        .iter()
        .map(|note| with_path(note.path.as_deref(), &note.message))
        .collect();
    // Without an origin there is no provider; the line of the origin says so.
    if let Ok(provider) = wired.provider(plugin, wired.settings()) {
        match provider.check_settings().await {
            Ok(more) => notes.extend(
                more.iter()
                    .map(|note| with_path(note.path.as_deref(), &note.message)),
            ),
            Err(error) => {
                report.fail(CHECK, error.message())?;
                return Ok(None);
            }
        }
    }
    let present = configuration.has_provider(id);
    if notes.is_empty() {
        let text = match (present, wired.resolved.settings.discover) {
            (true, true) => format!("models.providers.{id}, with discovery (\"{id}/*\")"),
            (true, false) => format!("models.providers.{id}: the declared models"),
            (false, _) => format!("no models.providers.{id}: models are discovered"),
        };
        report.ok(CHECK, &text)?;
    }
    for note in notes {
        report.warn(CHECK, &note)?;
    }
    Ok(Some(wired))
}

fn key(wired: &Wiring, plugin: &Plugin, report: &mut Report) -> std::io::Result<()> {
    const CHECK: &str = "key";
    let manifest = plugin.manifest();
    match &wired.resolved.key_source {
        KeySource::None => {
            let variable = manifest.key_variable.as_deref().unwrap_or("the key");
            let how = format!(
                "set {variable}, or run `provider-host auth set {}`",
                manifest.id
            );
            let here = wired
                .origin()
                .is_ok_and(|origin| Reach::of(&origin) == Reach::Loopback);
            if wired.resolved.settings.config.is_none() {
                report.warn(
                    CHECK,
                    &format!(
                        "none, and no configuration: the provider is off; \
                         any value turns it on: {how}"
                    ),
                )
            } else if here {
                report.ok(
                    CHECK,
                    &format!("none, which a server on this machine may allow; else {how}"),
                )
            } else {
                report.warn(CHECK, &format!("none; if the server wants one, {how}"))
            }
        }
        source => report.ok(CHECK, &source.to_string()),
    }
}

fn origin(wired: &Wiring, report: &mut Report) -> std::io::Result<bool> {
    const CHECK: &str = "base URL";
    let origin = match wired.origin() {
        Ok(origin) => origin,
        Err(error) => {
            report.fail(CHECK, &failure::text(&error.into()))?;
            return Ok(false);
        }
    };
    let reach = match Reach::of(&origin) {
        Reach::Private => "private addresses allowed",
        _ if wired.resolved.allow_private => "private addresses allowed",
        Reach::Loopback => "this machine only",
        Reach::Public => "public addresses only",
    };
    report.ok(
        CHECK,
        &format!(
            "{} ({}://{} and nothing else, {reach})",
            wired.resolved.base_url,
            origin.scheme().as_str(),
            origin.authority()
        ),
    )?;
    Ok(true)
}

/// Asks the server for its models, whatever the configuration declares.
async fn server(
    wired: &Wiring,
    plugin: &Plugin,
    report: &mut Report,
) -> std::io::Result<Option<Vec<types::Model>>> {
    const CHECK: &str = "server";
    let start = Instant::now();
    let asked = match wired.provider(plugin, probe(wired)) {
        Ok(provider) => provider.list_models().await.map_err(anyhow::Error::from),
        Err(error) => Err(error.into()),
    };
    match asked {
        Ok(catalog) if catalog.models.is_empty() => {
            report.warn(
                CHECK,
                "it answers /models and serves no model: is it still loading one?",
            )?;
            Ok(None)
        }
        Ok(catalog) => {
            report.ok(
                CHECK,
                &format!(
                    "answers in {} and serves {}",
                    amount::seconds(start.elapsed()),
                    named(&catalog.models)
                ),
            )?;
            Ok(Some(catalog.models))
        }
        Err(error) => {
            report.fail(CHECK, &failure::text(&error))?;
            Ok(None)
        }
    }
}

/// The settings with discovery on and no declared models.
fn probe(wired: &Wiring) -> types::Settings {
    let mut settings = wired.settings();
    let mut entry: serde_json::Map<String, serde_json::Value> = settings
        .config
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    entry.remove("models");
    settings.config = Some(serde_json::Value::Object(entry).to_string());
    settings.discover = true;
    settings
}

fn named(models: &[types::Model]) -> String {
    let mut text = models
        .iter()
        .take(NAMED)
        .map(|model| model.id.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    if models.len() > NAMED {
        text.push_str(&format!(" and {} more", models.len() - NAMED));
    }
    text
}

/// The model that the agent would use: configured, known to the provider, and
/// served.
async fn model(
    configuration: &Configuration,
    wired: &Wiring,
    plugin: &Plugin,
    served: &[types::Model],
    report: &mut Report,
) -> std::io::Result<Option<types::Model>> {
    const CHECK: &str = "model";
    let id = &plugin.manifest().id;
    let choice = match configuration.default_model(&environment) {
        Ok(choice) => choice,
        Err(error) => {
            report.fail(CHECK, &error.to_string())?;
            return Ok(None);
        }
    };
    let reference = match choice.primary {
        Some(reference) if reference.provider() == id => reference,
        other => {
            let first = &served[0].id;
            let why = match other {
                Some(reference) => format!("the default model {reference} is another provider's"),
                None => String::from("no default model (agents.defaults.model.primary)"),
            };
            report.warn(CHECK, &format!("{why}; trying {id}/{first}"))?;
            // The plugin's ids are no references to be parsed.
            return resolve_served(wired, plugin, &served[0], report).await;
        }
    };
    if !served.iter().any(|model| model.id == reference.model()) {
        report.fail(
            CHECK,
            &format!(
                "the server does not serve {}; it serves {}: set agents.defaults.model.primary \
                 to one of them",
                reference.model(),
                named(served)
            ),
        )?;
        return Ok(None);
    }
    configured(wired, plugin, &reference, report).await
}

/// A model as the provider knows it under the user's own settings.
async fn configured(
    wired: &Wiring,
    plugin: &Plugin,
    reference: &ModelReference,
    report: &mut Report,
) -> std::io::Result<Option<types::Model>> {
    const CHECK: &str = "model";
    let provider = match wired.provider(plugin, wired.settings()) {
        Ok(provider) => provider,
        Err(error) => {
            report.fail(CHECK, &failure::text(&error.into()))?;
            return Ok(None);
        }
    };
    match provider.resolve_model(reference.model()).await {
        Ok(model) => {
            report.ok(
                CHECK,
                &format!(
                    "{reference} is served; context {}, answers up to {}",
                    amount::count(model.context_window.into()),
                    amount::count(model.max_tokens.into())
                ),
            )?;
            Ok(Some(model))
        }
        Err(error) => {
            report.fail(CHECK, error.message())?;
            Ok(None)
        }
    }
}

/// A model that the server lists; the user's settings need not know it.
async fn resolve_served(
    wired: &Wiring,
    plugin: &Plugin,
    served: &types::Model,
    report: &mut Report,
) -> std::io::Result<Option<types::Model>> {
    let provider = match wired.provider(plugin, wired.settings()) {
        Ok(provider) => provider,
        Err(error) => {
            report.fail("model", &failure::text(&error.into()))?;
            return Ok(None);
        }
    };
    Ok(Some(
        provider
            .resolve_model(&served.id)
            .await
            .unwrap_or_else(|_| served.clone()),
    ))
}

async fn one_token(
    wired: &Wiring,
    plugin: &Plugin,
    model: &types::Model,
    report: &mut Report,
) -> std::io::Result<()> {
    const CHECK: &str = "one token";
    let mut settings = wired.settings();
    if settings.config.is_none() {
        settings = probe(wired);
    }
    let start = Instant::now();
    let answered = match wired.provider(plugin, settings) {
        Ok(provider) => ask(&provider, model).await.map_err(anyhow::Error::from),
        Err(error) => Err(error.into()),
    };
    match answered {
        Ok(Some(usage)) => report.ok(
            CHECK,
            &format!(
                "answered in {}: {} in + {} out",
                amount::seconds(start.elapsed()),
                amount::count(usage.total.saturating_sub(usage.output)),
                amount::count(usage.output)
            ),
        ),
        Ok(None) => report.warn(
            CHECK,
            "answered, but the server sent no usage: token counts will be missing \
             (a proxy that drops stream_options?)",
        ),
        Err(error) => report.fail(CHECK, &failure::text(&error)),
    }
}

/// One token from the model; its usage.
async fn ask(provider: &Provider, model: &types::Model) -> Result<Option<types::Usage>, Error> {
    let mut request = request::of_prompt("Say hello.");
    request.max_tokens = Some(1);
    let mut chat = provider.chat(model, &request).await?;
    let mut usage = None;
    loop {
        let batch = chat.next_batch(64).await?;
        if batch.is_empty() {
            return Ok(usage);
        }
        for event in batch {
            if let types::Event::Usage(found) = event {
                usage = Some(found);
            }
        }
    }
}
