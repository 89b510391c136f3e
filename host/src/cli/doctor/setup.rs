//! What can be checked without a network: the configuration, the plugin, its
//! settings, the key, the base URL, and variables that name a proxy.

use std::io;

use provider_host::configuration::{BaseUrlSource, Configuration, KeySource, ProxyMode};
use provider_host::plugin::IdApproval;
use provider_host::policy::Reach;
use provider_host::policy::origin::Scheme;
use provider_host::{Plugin, Wiring};

use super::Setup;
use super::report::{Fault, Report};
use crate::cli::arguments::Arguments;
use crate::cli::failure;
use crate::cli::opened::{self, environment, with_path};

/// Variables by which other programs are told to use a proxy.
const PROXIES: [&str; 6] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// Makes these checks; none if one of them failed.
pub(super) async fn check(arguments: &Arguments, report: &mut Report) -> io::Result<Option<Setup>> {
    let Some(configuration) = configuration(arguments, report)? else {
        return Ok(None);
    };
    let Some(plugin) = plugin(arguments, &configuration, report)? else {
        return Ok(None);
    };
    let Some(wired) = settings(arguments, &configuration, &plugin, report).await? else {
        return Ok(None);
    };
    let setup = Setup {
        configuration,
        plugin,
        wired,
    };
    let usable = key(&setup, report)? & base_url(arguments, &setup, report)?;
    if !usable {
        return Ok(None);
    }
    proxy(&setup, report)?;
    Ok(Some(setup))
}

fn configuration(arguments: &Arguments, report: &mut Report) -> io::Result<Option<Configuration>> {
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
            report.error(CHECK, &error)?;
            Ok(None)
        }
    }
}

fn plugin(
    arguments: &Arguments,
    configuration: &Configuration,
    report: &mut Report,
) -> io::Result<Option<Plugin>> {
    const CHECK: &str = "plugin";
    let approved = |engine| opened::approved_plugin(&engine, arguments, configuration);
    match opened::engine().and_then(approved) {
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
            report.error(CHECK, &error)?;
            Ok(None)
        }
    }
}

/// The provider's settings: what the host and what the plugin make of them.
async fn settings(
    arguments: &Arguments,
    configuration: &Configuration,
    plugin: &Plugin,
    report: &mut Report,
) -> io::Result<Option<Wiring>> {
    const CHECK: &str = "settings";
    let id = &plugin.manifest().id;
    let profiles = match opened::profiles() {
        Ok(profiles) => profiles,
        Err(error) => {
            report.error("key", &error)?;
            return Ok(None);
        }
    };
    let base_url = opened::base_url(arguments, plugin);
    let wired = Wiring::with_base_url(
        configuration,
        plugin,
        &environment,
        &profiles,
        base_url.as_deref(),
    );
    let wired = match wired {
        Ok(wired) => wired,
        Err(error) => {
            let error = failure::under(configuration.file(), error.into());
            report.error(CHECK, &error)?;
            return Ok(None);
        }
    };
    report.redact(wired.secrets());
    let mut notes: Vec<String> = wired
        .resolved
        .notes
        .iter()
        .map(|note| with_path(note.path.as_deref(), &note.message))
        .collect();
    // Without an origin there is no provider; the line of the base URL says so.
    if wired.origin().is_ok() {
        let checked = match wired.provider(plugin, wired.settings()) {
            Ok(provider) => provider.check_settings().await,
            Err(error) => Err(error),
        };
        match checked {
            Ok(more) => notes.extend(
                more.iter()
                    .map(|note| with_path(note.path.as_deref(), &note.message)),
            ),
            Err(error) => {
                let error = failure::under(configuration.file(), error.into());
                report.error(CHECK, &error)?;
                return Ok(None);
            }
        }
    }
    if notes.is_empty() {
        let text = match (
            configuration.has_provider(id),
            wired.resolved.settings.discover,
        ) {
            _ if base_url.is_some() => {
                "a base URL beside the configuration: its models are discovered".to_owned()
            }
            (true, true) => format!("models.providers.{id}, with discovery (\"{id}/*\")"),
            (true, false) => format!("models.providers.{id}: the declared models"),
            (false, _) => format!("no models.providers.{id}: models are discovered"),
        };
        report.ok(CHECK, &text)?;
    }
    for note in notes {
        report.warning(CHECK, &note)?;
    }
    Ok(Some(wired))
}

/// Whether there is a key, or may be none.
fn key(setup: &Setup, report: &mut Report) -> io::Result<bool> {
    const CHECK: &str = "key";
    let wired = &setup.wired;
    let manifest = setup.plugin.manifest();
    if wired.resolved.key_source != KeySource::None {
        report.ok(CHECK, &wired.resolved.key_source.to_string())?;
        return Ok(true);
    }
    let id = &manifest.id;
    // A plugin file's own word is not where a key belongs: then the configuration is.
    let own = setup.plugin.key_variable().map(str::to_owned);
    let variable = own.unwrap_or_else(|| setup.path("apiKey"));
    let stored = match setup.plugin.id_approval() {
        IdApproval::None => String::new(),
        _ => format!(", or run `provider-host auth set {id}`"),
    };
    if wired.resolved.settings.config.is_none() {
        report.failed(
            CHECK,
            Fault::Configuration,
            &format!(
                "none, and no models.providers.{id}: the provider {id} is off; first start a \
                 server, then set {variable} to its key (any value if it checks none){stored}; \
                 for a server that is not at {}, set {}",
                wired.resolved.base_url,
                setup.path("baseUrl"),
            ),
        )?;
        return Ok(false);
    }
    let here = wired
        .origin()
        .is_ok_and(|origin| Reach::of(&origin) == Reach::Loopback);
    let how = format!("set {variable}{stored}");
    match here {
        true => report.ok(
            CHECK,
            &format!("none, which a server on this machine may allow; else {how}"),
        )?,
        false => report.warning(CHECK, &format!("none; if the server wants one, {how}"))?,
    }
    Ok(true)
}

fn base_url(arguments: &Arguments, setup: &Setup, report: &mut Report) -> io::Result<bool> {
    const CHECK: &str = "base URL";
    let wired = &setup.wired;
    let origin = match wired.origin() {
        Ok(origin) => origin,
        Err(error) => {
            let error = failure::under(setup.configuration.file(), error.into());
            report.error(CHECK, &error)?;
            return Ok(false);
        }
    };
    let reach = match Reach::of(&origin) {
        Reach::Private => "private addresses allowed",
        _ if wired.resolved.allow_private => "private addresses allowed",
        Reach::Loopback => "this machine only",
        Reach::Public => "public addresses only",
    };
    let source = match wired.resolved.base_url_source {
        BaseUrlSource::Named if arguments.base_url().is_some() => "--base-url",
        BaseUrlSource::Named => opened::BASE_URL_VARIABLE,
        BaseUrlSource::Configuration => "the configuration",
        _ => "the default",
    };
    report.ok(
        CHECK,
        &format!(
            "{} from {source} ({}://{} and nothing else, {reach})",
            wired.resolved.base_url,
            origin.scheme().as_str(),
            origin.authority()
        ),
    )?;
    Ok(true)
}

/// Which proxy is used. Other programs of the same shell may reach the server by
/// one that variables name; this one does only where `request.proxy` says so. The
/// values of variables are not shown: they may hold a password.
fn proxy(setup: &Setup, report: &mut Report) -> io::Result<()> {
    const CHECK: &str = "proxy";
    let resolved = &setup.wired.resolved;
    if let Some(proxy) = &resolved.proxy {
        let http = setup
            .wired
            .origin()
            .is_ok_and(|origin| origin.scheme() == Scheme::Http);
        let seen = match http {
            true => "; it sees requests, answers and the key, because the base URL is http://",
            false => "",
        };
        let by = match resolved.proxy_mode {
            ProxyMode::Environment => ", which a variable names",
            _ => "",
        };
        let address = proxy.address();
        return report.ok(
            CHECK,
            &format!("requests go through {address} (request.proxy{by}){seen}"),
        );
    }
    if resolved.proxy_mode == ProxyMode::Environment {
        return report.ok(
            CHECK,
            "request.proxy is env-proxy, and no variable names a proxy for this server: it is \
             dialled itself",
        );
    }
    let set: Vec<&str> = PROXIES
        .into_iter()
        .filter(|name| environment(name).is_some_and(|value| !value.trim().is_empty()))
        .collect();
    let is = if set.len() == 1 { "is" } else { "are" };
    let set = set.join(", ");
    if set.is_empty() {
        return report.ok(CHECK, "no variable names one");
    }
    let here = setup
        .wired
        .origin()
        .is_ok_and(|origin| Reach::of(&origin) == Reach::Loopback);
    match here {
        true => report.ok(
            CHECK,
            &format!("{set} {is} set and not used; the server is on this machine"),
        ),
        false => report.warning(
            CHECK,
            &format!(
                "{set} {is} set and not used: this program connects to the server itself; to \
                 use the proxy, set {} to {{ mode: \"env-proxy\" }}",
                setup.path("request.proxy")
            ),
        ),
    }
}
