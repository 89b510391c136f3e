//! What the plugin says of itself, before it runs and when it does.

use std::sync::Arc;

use super::Subject;
use super::findings::Findings;
use super::subject::told;
use crate::bindings::types::Manifest;
use crate::exercise::{Failure, Script, Wire};
use crate::plugin::is_id;
use crate::policy::Origin;

/// The check that a plugin fails which the host does not load.
pub(super) const LOADS: &str = "loads";

super::checks! { Manifest:
    "loads",
    "The component is of the world `provider`, imports HTTP, streams and a counting clock and nothing else, and the host loads it.",
    "worlds.provider: its imports are its capabilities, and these are all of them",
    loads;
    "same-twice",
    "The manifest of the custom section is what `get-manifest` returns.",
    "types.manifest: the same facts stand as JSON in the custom section `llm-provider-manifest`",
    same_twice;
    "constant",
    "`get-manifest` returns the same in every instance, and after other calls.",
    "info.get-manifest: constant for a component",
    constant;
    "id",
    "The id is of lower-case letters, digits and hyphens.",
    "types.manifest.id: lower case, `[a-z0-9-]+`",
    id;
    "version",
    "The version is a semantic one.",
    "types.manifest.version: version of the plugin itself (semantic versioning)",
    version;
    "texts",
    "Label and API are named, and the variable of the key is one that a shell can set.",
    "types.manifest.label, .api, .key-variable",
    texts;
    "default-url",
    "The default base URL, where there is one, is an http or https URL.",
    "types.manifest.default-base-url: base URL used when the configuration names none",
    default_url;
    "schema",
    "The schema of the configuration is a JSON object.",
    "types.manifest.config-schema: JSON Schema of `settings.config`, as text",
    schema;
}

async fn loads(_: &Subject, findings: &mut Findings) {
    // It was loaded: that is what the host found on the way here.
    findings.tried();
}

async fn manifest(subject: &Subject) -> Result<Manifest, Failure> {
    let wire = Wire::new(Script::new());
    let mut sandbox = subject.open(Arc::new(wire)).await?;
    let found = sandbox.manifest().await;
    found.map_err(|error| Failure::of(&error))
}

/// A manifest as JSON, its schema as a value: space in it says nothing.
fn facts(manifest: &Manifest) -> serde_json::Value {
    let mut facts = serde_json::to_value(manifest).unwrap_or_default();
    if let Ok(schema) = serde_json::from_str::<serde_json::Value>(&manifest.config_schema) {
        facts["config_schema"] = schema;
    }
    facts
}

async fn same_twice(subject: &Subject, findings: &mut Findings) {
    let section = facts(subject.plugin.manifest());
    let found = match manifest(subject).await {
        Ok(found) => facts(&found),
        Err(failure) => return findings.expect(false, "get-manifest", || told(&failure)),
    };
    for (key, value) in section.as_object().into_iter().flatten() {
        findings.expect(&found[key] == value, key, || {
            format!("the section says {value}, get-manifest says {}", found[key])
        });
    }
}

/// The first field in which two manifests differ.
fn differing(one: &Manifest, other: &Manifest) -> String {
    let (one, other) = (facts(one), facts(other));
    let mut fields = one.as_object().into_iter().flatten();
    match fields.find(|(key, value)| other[*key] != **value) {
        Some((key, value)) => format!("{key} was {value}, and is {}", other[key]),
        None => "the schema is written otherwise".to_owned(),
    }
}

async fn constant(subject: &Subject, findings: &mut Findings) {
    let first = match manifest(subject).await {
        Ok(first) => first,
        Err(failure) => return findings.expect(false, "get-manifest", || told(&failure)),
    };
    let wire = Wire::new(subject.script(None, None));
    let mut sandbox = match subject.open(Arc::new(wire)).await {
        Ok(sandbox) => sandbox,
        Err(failure) => return findings.expect(false, "another instance", || told(&failure)),
    };
    for when in [
        "in another instance",
        "the second time",
        "after check-settings",
        "after list-models",
    ] {
        // What these return is not the question here.
        let stopped = match when {
            "after check-settings" => sandbox.check_settings(&subject.settings()).await.err(),
            "after list-models" => sandbox.list_models(&subject.settings()).await.err(),
            _ => None,
        };
        let stopped = stopped.map(|error| Failure::of(&error));
        if findings.stopped(when, stopped.as_ref()) {
            return;
        }
        match sandbox.manifest().await {
            Ok(again) => findings.expect(again == first, when, || differing(&first, &again)),
            Err(error) => {
                findings.expect(false, when, || told(&Failure::of(&error)));
                return;
            }
        }
    }
}

async fn id(subject: &Subject, findings: &mut Findings) {
    let id = &subject.plugin.manifest().id;
    findings.expect(is_id(id), "the id", || format!("{id:?}"));
}

async fn version(subject: &Subject, findings: &mut Findings) {
    let version = &subject.plugin.manifest().version;
    findings.expect(is_semver(version), "the version", || format!("{version:?}"));
}

fn is_semver(version: &str) -> bool {
    let named = |part: &str| {
        let allowed = |one: char| one.is_ascii_alphanumeric() || one == '-';
        part.split('.')
            .all(|word| !word.is_empty() && word.chars().all(allowed))
    };
    let (rest, build) = match version.split_once('+') {
        Some((rest, build)) => (rest, Some(build)),
        None => (version, None),
    };
    let (core, pre) = match rest.split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (rest, None),
    };
    let number = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        digits && (part == "0" || !part.starts_with('0'))
    };
    let numbers: Vec<&str> = core.split('.').collect();
    numbers.len() == 3
        && numbers.iter().all(|part| number(part))
        && build.is_none_or(named)
        && pre.is_none_or(named)
}

async fn texts(subject: &Subject, findings: &mut Findings) {
    let manifest = subject.plugin.manifest();
    for (name, text) in [("the label", &manifest.label), ("the API", &manifest.api)] {
        let good = !text.trim().is_empty() && !text.contains(char::is_control);
        findings.expect(good, name, || format!("{text:?}"));
    }
    if let Some(variable) = &manifest.key_variable {
        let allowed = |one: char| one.is_ascii_alphanumeric() || one == '_';
        let good = variable.chars().all(allowed)
            && variable.starts_with(|one: char| one == '_' || one.is_ascii_alphabetic());
        findings.expect(good, "the variable of the key", || format!("{variable:?}"));
    }
}

async fn default_url(subject: &Subject, findings: &mut Findings) {
    match &subject.plugin.manifest().default_base_url {
        None => findings.skip("the manifest names none"),
        Some(url) => match Origin::parse(url) {
            Ok(_) => findings.tried(),
            Err(error) => findings.expect(false, url, || error.to_string()),
        },
    }
}

async fn schema(subject: &Subject, findings: &mut Findings) {
    let schema = &subject.plugin.manifest().config_schema;
    let parsed = serde_json::from_str::<serde_json::Value>(schema);
    let good = matches!(parsed, Ok(serde_json::Value::Object(_)));
    findings.expect(good, "the schema", || schema.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_three_numbers_and_what_may_follow() {
        for good in [
            "0.1.0",
            "1.20.300",
            "1.0.0-rc.1",
            "1.0.0+build.5",
            "1.0.0-a-b+c",
        ] {
            assert!(is_semver(good), "{good}");
        }
        for bad in [
            "",
            "1",
            "1.0",
            "v1.0.0",
            "1.0.0.0",
            "01.0.0",
            "1.0.x",
            "1.0.0-",
            "1.0.0+",
            "1.0.0-a..b",
        ] {
            assert!(!is_semver(bad), "{bad}");
        }
    }
}
