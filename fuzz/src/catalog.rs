//! The server's list of models.

use crate::config::check_models;
use crate::input::Input;
use crate::shown::{self, SECRET};
use serde_json::Value;
use vllm_provider::catalog::{find, from_answer};
use vllm_provider::types::{CatalogSource, Settings};

/// A declared model beside the discovered ones.
const DECLARED: &str =
    r#"{"baseUrl":"http://127.0.0.1:8000/v1","models":[{"id":"Qwen/Qwen3-8B"}]}"#;

/// `[choices: 1][status: 2][id asked for, NUL][headers, NUL][body]`: the models are those that serde_json finds in the list,
/// each whole, and one that is not there is told in words that can be shown.
pub(crate) fn catalog(data: &[u8]) {
    let mut input = Input::new(data);
    let choices = input.byte();
    let status = match input.u16() {
        odd @ 100..600 => odd,
        _ => 200,
    };
    let asked = input.text();
    let headers = input.headers();
    let body = input.rest();
    let declared = choices & 1 != 0;
    let settings = Settings {
        config: declared.then(|| DECLARED.into()),
        api_key: Some(SECRET.into()),
        discover: declared,
        models: Vec::new(),
    };
    let catalog = from_answer(&settings, status, &headers, body);
    match &catalog {
        Err(error) => shown::check(error, data),
        Ok(catalog) => {
            assert!((200..300).contains(&status));
            check_models(&catalog.models);
            let source = if declared {
                CatalogSource::Merged
            } else {
                CatalogSource::Discovered
            };
            assert_eq!(catalog.source, source);
            for note in &catalog.notes {
                shown::check_text(&note.message, data);
            }
            if let Some(mut expected) = ids(body) {
                if declared && !expected.iter().any(|id| id == "Qwen/Qwen3-8B") {
                    expected.push("Qwen/Qwen3-8B".into());
                }
                let found: Vec<&str> = catalog.models.iter().map(|model| &*model.id).collect();
                assert_eq!(found, expected);
            }
        }
    }
    let listed = catalog.as_ref().is_ok_and(|catalog| {
        let mut models = catalog.models.iter();
        models.any(|model| model.id == asked.trim())
    });
    match find(&settings, catalog, &asked) {
        Ok(model) => assert!(listed && model.id == asked.trim()),
        Err(error) => {
            assert!(!listed);
            // The id that was asked for is the caller's own, and is not taken apart.
            if !asked.contains(char::is_control) && asked.is_ascii() && asked.len() < 100 {
                shown::check(&error, data);
            }
        }
    }
}

/// The ids of a list as serde_json reads it; none where it cannot.
fn ids(body: &[u8]) -> Option<Vec<String>> {
    let text = String::from_utf8_lossy(body);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let value: Value = serde_json::from_str(text).ok()?;
    let mut ids: Vec<String> = Vec::new();
    for row in value.get("data")?.as_array()? {
        let id = row.get("id").and_then(Value::as_str).unwrap_or_default();
        let usable = (1..=1024).contains(&id.trim().len());
        if usable && !ids.iter().any(|known| known == id.trim()) {
            ids.push(id.trim().into());
        }
    }
    Some(ids)
}
