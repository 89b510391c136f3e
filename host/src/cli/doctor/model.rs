//! The model that the agent would use: configured, served, and declared with
//! the limits that the server has.

use std::io;

use provider_host::types::{self, ModelSource};
use serde_json::Value;

use super::Setup;
use super::report::{Fault, Report};
use crate::cli::amount::count;
use crate::cli::failure;
use crate::cli::opened::environment;

const CHECK: &str = "model";

/// The model as the provider knows it under the user's own settings; none if
/// there is none to try.
pub(super) async fn check(
    setup: &Setup,
    served: &[types::Model],
    report: &mut Report,
) -> io::Result<Option<types::Model>> {
    let id = &setup.plugin.manifest().id;
    let choice = match setup.configuration.default_model(&environment) {
        Ok(choice) => choice,
        Err(error) => {
            let error = failure::under(setup.configuration.file(), error.into());
            report.error(CHECK, &error)?;
            return Ok(None);
        }
    };
    let (wanted, configured) = match choice.primary {
        Some(reference) if reference.provider() == id => (reference.model().to_owned(), true),
        other => {
            let Some(first) = served.first() else {
                return Ok(None);
            };
            let why = match other {
                Some(reference) => {
                    format!("agents.defaults.model.primary is {reference}, another provider's")
                }
                None => String::from("agents.defaults.model.primary is not set"),
            };
            report.warning(
                CHECK,
                &format!(
                    "{why}: each chat has to name one (--model {id}/{}); this is tried now",
                    first.id
                ),
            )?;
            (first.id.clone(), false)
        }
    };
    let Some(there) = served.iter().find(|model| model.id == wanted) else {
        not_served(setup, &wanted, report).await?;
        return Ok(None);
    };
    let known = match setup.wired.provider(&setup.plugin, setup.wired.settings()) {
        Ok(provider) => provider.resolve_model(&wanted).await,
        Err(error) => Err(error),
    };
    match known {
        Ok(model) => {
            limits(setup, &model, there, configured, report)?;
            Ok(Some(model))
        }
        // Only the model that this command chose by itself may be undeclared.
        Err(_) if !configured => Ok(Some(there.clone())),
        Err(error) => {
            report.error(CHECK, &error.into())?;
            Ok(None)
        }
    }
}

/// The provider says which ids come nearest.
async fn not_served(setup: &Setup, wanted: &str, report: &mut Report) -> io::Result<()> {
    let asked = match setup.wired.provider(&setup.plugin, setup.discovering()) {
        Ok(provider) => provider.resolve_model(wanted).await,
        Err(error) => Err(error),
    };
    let text = match asked {
        Ok(_) => format!("the server began to serve {wanted} just now: run this again"),
        Err(error) => format!(
            "{}; agents.defaults.model.primary names it: set that to a model that is served",
            error.message()
        ),
    };
    report.failed(CHECK, Fault::Server, &text)
}

/// Holds what the settings say of a model against what the server allows.
fn limits(
    setup: &Setup,
    model: &types::Model,
    served: &types::Model,
    configured: bool,
    report: &mut Report,
) -> io::Result<()> {
    let (mine, theirs) = (model.context_window, served.context_window);
    let reference = format!("{}/{}", setup.plugin.manifest().id, model.id);
    let declared = matches!(model.source, ModelSource::Declared);
    let entry = declared_as(setup, &model.id);
    let at = |key: &str| match &entry {
        Some((index, _)) => format!("{}[{index}].{key}", setup.path("models")),
        None => format!("{key} of {reference}"),
    };
    let is_set = |key: &str| {
        entry
            .as_ref()
            .is_some_and(|(_, entry)| entry.get(key).is_some())
    };
    let assumed = |key| {
        if is_set(key) {
            "is"
        } else {
            "is not set and taken as"
        }
    };
    let mut odd = Vec::new();
    if declared && mine > theirs {
        odd.push(format!(
            "{} {} {}, and the server's context is {}: prompts that are longer will be refused; \
             set it to {}",
            at("contextWindow"),
            assumed("contextWindow"),
            count(mine.into()),
            count(theirs.into()),
            count(theirs.into()),
        ));
    }
    if declared && model.max_tokens >= theirs {
        odd.push(format!(
            "{} {} {}, which leaves no room for a prompt in the server's context of {}; set it \
             to less",
            at("maxTokens"),
            assumed("maxTokens"),
            count(model.max_tokens.into()),
            count(theirs.into()),
        ));
    }
    for text in &odd {
        report.warning(CHECK, text)?;
    }
    if odd.is_empty() && configured {
        let unused = match declared && mine < theirs {
            true => format!(" of the server's {}", count(theirs.into())),
            false => String::new(),
        };
        report.ok(
            CHECK,
            &format!(
                "{reference} is served; context {}{unused}, answers up to {}",
                count(mine.into()),
                count(model.max_tokens.into())
            ),
        )?;
    }
    Ok(())
}

/// The place and the entry of a declared model.
fn declared_as(setup: &Setup, id: &str) -> Option<(usize, Value)> {
    let text = setup.wired.settings().config?;
    let entry: Value = serde_json::from_str(&text).ok()?;
    let models = entry.get("models")?.as_array()?;
    let is = |model: &Value| model.get("id").and_then(Value::as_str).map(str::trim) == Some(id);
    let index = models.iter().position(is)?;
    Some((index, models.get(index)?.clone()))
}
