//! What carries a chat: the network, the network with a recorder before it, or a recording alone.

use std::path::PathBuf;
use std::sync::Arc;

use provider_host::configuration::{Configuration, Environment};
use provider_host::credentials::Profiles;
use provider_host::egress::NetworkTransport;
use provider_host::egress::recording::{Pace, Recorder, RecordingError, Replay};
use provider_host::{Plugin, Provider, Wiring};

use super::arguments::ChatOptions;
use super::failure::Failure;
use super::{opened, terminal};

/// What stands for a key or a variable that nobody has: a replay sends nothing.
const NO_SECRET: &str = "replay";

/// The carrier that a command line asks for.
pub(super) enum Carrier {
    Network,
    /// Into this file.
    Record(PathBuf),
    /// From this one.
    Replay(PathBuf, Pace),
}

/// What is left to look at when the chat is over.
#[derive(Debug, Default)]
pub(super) struct Carried(Option<(PathBuf, Arc<Recorder>)>);

impl Carrier {
    pub(super) fn of(options: &ChatOptions) -> Self {
        let pace = match options.replay_full_speed {
            true => Pace::Full,
            false => Pace::Original,
        };
        match (&options.record, &options.replay) {
            (Some(file), _) => Self::Record(file.clone()),
            (_, Some(file)) => Self::Replay(file.clone(), pace),
            _ => Self::Network,
        }
    }

    /// The provider's settings. A replay needs no key, so that whatever variable is not set has something in it.
    pub(super) fn wire(
        &self,
        configuration: &Configuration,
        plugin: &Plugin,
        profiles: &Profiles,
        base_url: Option<&str>,
    ) -> provider_host::Result<Wiring> {
        let wire = |environment: &Environment<'_>| {
            Wiring::with_base_url(configuration, plugin, environment, profiles, base_url)
        };
        if !matches!(self, Self::Replay(..)) {
            return wire(&opened::environment);
        }
        let filled = |name: &str| opened::environment(name).or_else(|| Some(NO_SECRET.to_owned()));
        // The provider's own variable goes before a configured key, and would be said to.
        let but_the_key = |name: &str| match plugin.key_variable() == Some(name) {
            true => opened::environment(name),
            false => filled(name),
        };
        wire(&but_the_key).or_else(|_| wire(&filled))
    }

    /// The provider over it.
    pub(super) fn provider(
        &self,
        wiring: &Wiring,
        plugin: &Plugin,
    ) -> anyhow::Result<(Provider, Carried)> {
        let mut settings = wiring.settings();
        match self {
            Self::Network => {
                let provider = wiring.provider(plugin, settings)?;
                Ok((provider, Carried::default()))
            }
            Self::Record(file) => {
                let options = wiring.options(settings)?;
                let network = NetworkTransport::new(&options.grant)?;
                let recorder = Recorder::create(file, network, &options.grant).map_err(unusable)?;
                let recorder = Arc::new(recorder);
                let provider = Provider::with_transport(plugin, options, recorder.clone());
                Ok((provider, Carried(Some((file.clone(), recorder)))))
            }
            Self::Replay(file, pace) => {
                settings.api_key.get_or_insert_with(|| NO_SECRET.to_owned());
                let replay = Replay::open(file).map_err(|error| match &error {
                    RecordingError::File { .. } => unusable(error),
                    _ => Failure::usage(format!("{}: {error}", file.display())).into(),
                })?;
                let replay = Arc::new(replay.with_pace(*pace));
                let options = wiring.options(settings)?;
                let provider = Provider::with_transport(plugin, options, replay);
                Ok((provider, Carried::default()))
            }
        }
    }
}

impl Carried {
    /// Says so if a recording is not whole.
    pub(super) fn report(&self) {
        if let Some((file, recorder)) = &self.0
            && let Some(why) = recorder.failure()
        {
            terminal::warning(&format!("{} is not whole: {why}", file.display()));
        }
    }
}

fn unusable(error: RecordingError) -> anyhow::Error {
    Failure::usage(error.to_string()).into()
}
