//! From files and environment to a provider that can be asked.
//!
//! The steps are separate so that `doctor` can take them one by one; everything
//! else takes them all with [`open`].

use std::path::{Path, PathBuf};

use provider_host::configuration::{ConfigError, Configuration, ModelReference};
use provider_host::credentials::{CredentialError, ProfileFile, Profiles};
use provider_host::plugin::trust::Trust;
use provider_host::plugin::{BUILT_IN_ID, Compiler, IdApproval};
use provider_host::registry::{Registry, Slot, SwapPolicy};
use provider_host::{
    Engine, EngineOptions, Error, ErrorKind, Plugin, Provider, UserFolders, Wiring, types,
};

use super::arguments::{self, Arguments};
use super::carrier::{Carried, Carrier};
use super::failure::{self, Failure};
use super::terminal;

/// Chats at once in a process of one command, with room for the short calls
/// around them. Each one reserves address space.
const CHATS: u32 = 8;

/// A provider, with what it was made from.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) configuration: Configuration,
    pub(super) plugin: Plugin,
    pub(super) provider: Provider,
    pub(super) carried: Carried,
}

/// Opens the provider that the command line asks for. What host and plugin
/// have to say about the configuration goes to stderr.
pub(super) async fn open(arguments: &Arguments, carrier: &Carrier) -> anyhow::Result<Opened> {
    let configuration = configuration(arguments)?;
    let profiles = profiles()?;
    // What is wrong with a plugin or its policy is not wrong in the configuration.
    let plugin = approved_plugin(&engine()?, arguments, &configuration)?;
    let file = configuration.file().map(std::path::Path::to_owned);
    with(configuration, profiles, plugin, carrier, arguments)
        .await
        .map_err(|error| failure::under(file.as_deref(), error))
}

async fn with(
    configuration: Configuration,
    profiles: Profiles,
    plugin: Plugin,
    carrier: &Carrier,
    arguments: &Arguments,
) -> anyhow::Result<Opened> {
    let wired = wire(carrier, &configuration, &profiles, &plugin, arguments)?;
    let (provider, carried) = carrier.provider(&wired, &plugin)?;
    warn_of(provider.check_settings().await?);
    Ok(Opened {
        configuration,
        plugin,
        provider,
        carried,
    })
}

/// What the configuration says of a plugin; what is odd in it goes to stderr.
fn wire(
    carrier: &Carrier,
    configuration: &Configuration,
    profiles: &Profiles,
    plugin: &Plugin,
    arguments: &Arguments,
) -> anyhow::Result<Wiring> {
    let wire = |base_url: Option<&str>| carrier.wire(configuration, plugin, profiles, base_url);
    let wired = match wire(base_url(arguments, plugin).as_deref()) {
        Ok(wired) => wired,
        Err(error) => match asked_base_url(&error, plugin)? {
            Some(url) => wire(Some(&url))?,
            None => return Err(error.into()),
        },
    };
    for note in &wired.resolved.notes {
        terminal::warning(&with_path(note.path.as_deref(), &note.message));
    }
    Ok(wired)
}

fn warn_of(notes: Vec<types::Note>) {
    for note in notes {
        terminal::warning(&with_path(note.path.as_deref(), &note.message));
    }
}

/// A slot, with what it was made from.
pub(super) struct Served {
    pub(super) configuration: Configuration,
    pub(super) registry: Registry,
    pub(super) slot: Slot,
}

/// Opens the provider that the command line asks for so that its plugin can be replaced.
pub(super) async fn serve(arguments: &Arguments) -> anyhow::Result<Served> {
    let configuration = configuration(arguments)?;
    let profiles = profiles()?;
    let plugin = plugin(&engine()?, arguments)?;
    // What the user approved by the file's path holds for whatever the file becomes, unless the path
    // has a link, which may lead to another file later. Otherwise a newer file needs an approval of
    // its own.
    let by_path = approved_by_path(&plugin, arguments, &configuration)?;
    let lasting = by_path && (arguments.plugin_id.is_some() || !has_link(arguments));
    let plugin = match by_path {
        true => plugin.with_approved_id(),
        false => plugin,
    };
    let mut rules = SwapPolicy::new().with_approved_ids(!lasting);
    if let Some(policy) = policy(arguments)? {
        rules = rules.with_trust(policy.trust);
    }
    let registry = Registry::with_policy(rules);
    let file = configuration.file().map(Path::to_owned);
    let slot = async {
        let wired = wire(
            &Carrier::Network,
            &configuration,
            &profiles,
            &plugin,
            arguments,
        )?;
        let slot = registry.serve(&plugin, wired.options(wired.settings())?)?;
        warn_of(slot.check_settings().await?);
        Ok(slot)
    };
    let slot = slot.await;
    let slot = slot.map_err(|error| failure::under(file.as_deref(), error))?;
    Ok(Served {
        configuration,
        registry,
        slot,
    })
}

/// A variable of the process.
pub(super) fn environment(name: &str) -> Option<String> {
    provider_host::process_environment(name)
}

/// The configuration that the command line asks for.
pub(super) fn configuration(arguments: &Arguments) -> anyhow::Result<Configuration> {
    let named = arguments.config.as_deref();
    let folders = UserFolders::of_process();
    Ok(
        match Configuration::discover_path(named, &environment, &folders)? {
            Some(path) => Configuration::load(&path)?,
            None => Configuration::empty(),
        },
    )
}

/// The user's stored keys. Says so on stderr if others can read them.
pub(super) fn profiles() -> anyhow::Result<Profiles> {
    let file = match ProfileFile::locate(&environment, &UserFolders::of_process()) {
        Ok(file) => file,
        // Without a home there is no file, and without a file no keys.
        Err(CredentialError::NoPlace) => return Ok(Profiles::empty()),
        Err(error) => return Err(error.into()),
    };
    let profiles = file.load()?;
    if let Some(exposed) = file.exposed() {
        terminal::warning(&exposed);
    }
    Ok(profiles)
}

/// The engine of a command.
pub(super) fn engine() -> anyhow::Result<Engine> {
    engine_for(CHATS)
}

/// The engine of a command that runs so many chats at once.
pub(super) fn engine_for(chats: u32) -> anyhow::Result<Engine> {
    let mut options = EngineOptions::default();
    options.cache_dir = provider_host::default_cache_dir();
    options.max_chats = chats;
    options.compiler = Compiler::this_program([arguments::COMPILER])?;
    Ok(Engine::new(options)?)
}

/// The user's policy about plugin files, and where it stands.
pub(super) struct Policy {
    pub(super) path: PathBuf,
    pub(super) trust: Trust,
}

/// The user's policy; none: any file that is a plugin may be loaded. One that
/// can't be read is never passed over, and neither is one whose place is unknown.
pub(super) fn policy(arguments: &Arguments) -> anyhow::Result<Option<Policy>> {
    let path = match &arguments.trust {
        Some(path) => path.clone(),
        None => match Trust::locate(&UserFolders::of_process())? {
            Some(path) => path,
            None => return Ok(None),
        },
    };
    let trust = Trust::from_file(&path)?;
    Ok(Some(Policy { path, trust }))
}

/// The plugin that the command line asks for.
pub(super) fn plugin(engine: &Engine, arguments: &Arguments) -> anyhow::Result<Plugin> {
    let policy = policy(arguments)?;
    let Some(path) = &arguments.plugin else {
        return embedded(engine, policy.as_ref());
    };
    load(engine, path, policy.as_ref()).map_err(|error| match error.downcast::<Failure>() {
        Ok(failure) => failure
            .hint("correct --plugin, or leave it out to use the plugin that this host has built in")
            .into(),
        Err(error) => error,
    })
}

/// The plugin that the command line asks for, with its id approved if the user did so: by
/// `--plugin-id`, or in the configuration.
pub(super) fn approved_plugin(
    engine: &Engine,
    arguments: &Arguments,
    configuration: &Configuration,
) -> anyhow::Result<Plugin> {
    let plugin = plugin(engine, arguments)?;
    Ok(match approved_by_path(&plugin, arguments, configuration)? {
        true => plugin.with_approved_id(),
        false => plugin,
    })
}

/// Whether the path of the plugin's file leads over a link.
fn has_link(arguments: &Arguments) -> bool {
    let path = arguments.plugin.as_deref().map(std::path::absolute);
    match path {
        Some(Ok(path)) => path.canonicalize().ok().as_ref() != Some(&path),
        _ => true,
    }
}

/// Whether the user approved the id of the plugin's file: by `--plugin-id`, or in the configuration.
fn approved_by_path(
    plugin: &Plugin,
    arguments: &Arguments,
    configuration: &Configuration,
) -> anyhow::Result<bool> {
    let Some(file) = &arguments.plugin else {
        return Ok(false);
    };
    let id = &plugin.manifest().id;
    match &arguments.plugin_id {
        Some(named) if named == id => Ok(true),
        Some(named) => Err(Failure::usage(format!(
            "--plugin-id is {named:?}, and the plugin {} is the provider {id:?}",
            file.display()
        ))
        .into()),
        None => configuration
            .approves_plugin(id, file, &environment)
            .map_err(|error| failure::under(configuration.file(), error.into())),
    }
}

/// The base URL that the user named beside the configuration: `--base-url`, or the variable
/// `VLLM_BASE_URL` for the provider `vllm`. Another plugin chose its id, and would choose the variable
/// with it.
pub(super) fn base_url(arguments: &Arguments, plugin: &Plugin) -> Option<String> {
    if let Some(url) = arguments.base_url() {
        return Some(url.to_owned());
    }
    let is_vllm = plugin.manifest().id == BUILT_IN_ID && plugin.id_approval() != IdApproval::None;
    let url = environment(BASE_URL_VARIABLE).filter(|url| !url.trim().is_empty());
    url.filter(|_| is_vllm)
}

/// The variable for the base URL of the provider `vllm`.
pub(super) const BASE_URL_VARIABLE: &str = "VLLM_BASE_URL";

/// Asks for the base URL that nobody named, if there is somebody to ask.
fn asked_base_url(error: &Error, plugin: &Plugin) -> anyhow::Result<Option<String>> {
    let Some(ConfigError::NoBaseUrl { suggested, .. }) = failure::cause(error) else {
        return Ok(None);
    };
    if !terminal::can_ask() {
        return Ok(None);
    }
    let answer = terminal::ask(&match suggested {
        Some(url) => format!(
            "Base URL of the provider {} (the plugin suggests {url:?}; type yes to use it): ",
            plugin.manifest().id
        ),
        None => format!("Base URL of the provider {}: ", plugin.manifest().id),
    })?;
    Ok(match (answer.trim(), suggested) {
        ("", _) => None,
        ("yes", Some(url)) => Some(url.clone()),
        (url, _) => Some(url.to_owned()),
    })
}

/// Loads a plugin file under the user's policy.
pub(super) fn load(
    engine: &Engine,
    path: &Path,
    policy: Option<&Policy>,
) -> anyhow::Result<Plugin> {
    let Some(policy) = policy else {
        return Plugin::from_file(engine, path).map_err(|error| unusable(error, None));
    };
    Plugin::from_trusted_file(engine, path, &policy.trust)
        .map(|(plugin, _)| plugin)
        .map_err(|error| unusable(error, Some(policy)))
}

/// A file that is no plugin, or not a trusted one, is wrong usage; what else went
/// wrong is told as it is.
fn unusable(error: Error, policy: Option<&Policy>) -> anyhow::Error {
    match (error.kind(), policy) {
        (ErrorKind::InvalidPlugin, _) => Failure::unusable_plugin(error.message()).into(),
        (ErrorKind::UntrustedPlugin, Some(policy)) => Failure::untrusted_plugin(error.message())
            .hint(format!("the trust file is {}", policy.path.display()))
            .into(),
        _ => error.into(),
    }
}

/// Reads a plugin file that the user's policy lets in, for a command that loads
/// its bytes by itself.
pub(super) fn read_trusted(arguments: &Arguments, path: &Path) -> anyhow::Result<Vec<u8>> {
    let Some(policy) = policy(arguments)? else {
        return Ok(read_plugin(path)?);
    };
    let read = policy.trust.read(path);
    read.map(|(bytes, _)| bytes)
        .map_err(|error| unusable(error, Some(&policy)))
}

/// Reads a plugin file; one that can't be read is wrong usage.
pub(super) fn read_plugin(path: &Path) -> Result<Vec<u8>, Failure> {
    provider_host::plugin::read(path).map_err(|error| Failure::unusable_plugin(error.to_string()))
}

#[cfg(feature = "embedded-plugin")]
fn embedded(engine: &Engine, policy: Option<&Policy>) -> anyhow::Result<Plugin> {
    if let Some(policy) = policy {
        policy
            .trust
            .judge_built_in(provider_host::plugin::EMBEDDED)
            .map_err(|error| {
                Failure::untrusted_plugin(format!("the plugin built with this host: {error}"))
                    .hint(format!("the trust file is {}", policy.path.display()))
                    .hint("name another with --plugin FILE.wasm")
            })?;
    }
    Ok(Plugin::embedded(engine)?)
}

#[cfg(not(feature = "embedded-plugin"))]
fn embedded(_: &Engine, _: Option<&Policy>) -> anyhow::Result<Plugin> {
    Err(Failure::usage("this host was built without a plugin")
        .hint("name one with --plugin FILE.wasm")
        .into())
}

/// The model to use: the one named by `--model`, else the configuration's.
pub(super) fn model_reference(
    named: Option<&str>,
    configuration: &Configuration,
    provider: &str,
) -> anyhow::Result<ModelReference> {
    let (reference, by) = match named {
        Some(text) => (ModelReference::parse(text, "--model")?, "--model"),
        None => {
            let located = |error| failure::under(configuration.file(), error);
            let choice = configuration
                .default_model(&environment)
                .map_err(|error| located(error.into()))?;
            let reference = choice.primary.ok_or_else(|| {
                let failure = Failure::configuration(
                    "no model is named: neither --model nor agents.defaults.model.primary is set",
                );
                located(
                    failure
                        .hint(format!(
                            "add --model {provider}/ID, or set agents.defaults.model.primary; \
                             `provider-host models list` shows the models there are"
                        ))
                        .into(),
                )
            })?;
            (reference, "agents.defaults.model.primary")
        }
    };
    if reference.provider() != provider {
        let failure = Failure::configuration(format!(
            "{by} is {:?}, a model of the provider {:?}; this plugin is the provider {provider:?}",
            reference.to_string(),
            reference.provider()
        ));
        // `Qwen/Qwen3-8B` is a model id that looks like a reference.
        return Err(match named {
            Some(text) => failure
                .hint(format!(
                    "if {text} is the model's id, write --model {provider}/{text}"
                ))
                .hint("--plugin FILE.wasm loads another provider"),
            None => failure.hint(format!(
                "name a model of this provider with --model {provider}/ID, or in the configuration"
            )),
        }
        .into());
    }
    Ok(reference)
}

/// A message with the place in the configuration that it is about.
pub(super) fn with_path(path: Option<&str>, message: &str) -> String {
    match path {
        // Plugins put the path into the sentence or leave it to the field.
        Some(path) if !message.contains(path) => format!("{path}: {message}"),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::failure::{Status, status};

    #[test]
    fn the_model_is_the_named_one_or_the_configured_one() {
        let configured =
            Configuration::parse("{agents: {defaults: {model: 'vllm/b'}}}", "f").unwrap();
        let foreign =
            Configuration::parse("{agents: {defaults: {model: 'other/b'}}}", "f").unwrap();
        let none = Configuration::empty();
        let cases = [
            (Some("vllm/a/c"), &configured, Ok("vllm/a/c")),
            (None, &configured, Ok("vllm/b")),
            (None, &none, Err("no model is named")),
            (None, &foreign, Err("the provider \"other\"")),
            (Some("Qwen/Qwen3-8B"), &none, Err("the provider \"qwen\"")),
            (Some("tiny"), &none, Err("is no model reference")),
        ];
        for (named, configuration, expected) in cases {
            match (model_reference(named, configuration, "vllm"), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.to_string(), expected),
                (Err(error), Err(expected)) => {
                    let text = crate::cli::failure::text(&error);
                    assert!(text.contains(expected), "{text}");
                    assert_eq!(status(&error), Status::Usage);
                }
                (found, expected) => panic!("{found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn a_path_is_said_once() {
        assert_eq!(with_path(Some("a.b"), "is odd"), "a.b: is odd");
        assert_eq!(with_path(Some("a.b"), "a.b is odd"), "a.b is odd");
        assert_eq!(with_path(None, "odd"), "odd");
    }
}
