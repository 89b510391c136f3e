//! Settings, however odd: used as they are meant, or refused with a message that gives nothing away.

use crate::input::Input;
use crate::shown::{self, SECRET};
use vllm_provider::catalog::{self, Plan};
use vllm_provider::config::Config;
use vllm_provider::types::{CatalogSource, ErrorKind, HttpRequest, Model, ModelSettings, Settings};

/// `[choices: 1][configuration, NUL][key, NUL][parameters of the model `m`]`.
pub(crate) fn config(data: &[u8]) {
    let mut input = Input::new(data);
    let settings = settings(&mut input);
    let refusals = [ErrorKind::InvalidConfig, ErrorKind::Authentication];
    match Config::from_settings(&settings) {
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::InvalidConfig, "{error:?}");
            assert!(!error.request_sent && !error.retryable);
            shown::check_own(&error.message, data);
        }
        Ok((_, notes)) => {
            for note in notes {
                shown::check_own(&note.message, data);
            }
            let object = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            assert!(settings.config.as_deref().is_none_or(object));
            assert!(settings.models.iter().all(|model| object(&model.params)));
        }
    }
    match catalog::plan(&settings) {
        Err(error) => {
            assert!(refusals.contains(&error.kind), "{error:?}");
            shown::check_own(&error.message, data);
        }
        Ok(Plan::Discover(request)) => check_request(&request),
        Ok(Plan::Ready(catalog)) => {
            check_models(&catalog.models);
            assert!(!catalog.models.is_empty() || !catalog.notes.is_empty());
            assert_ne!(catalog.source, CatalogSource::Discovered);
        }
    }
}

/// Settings from an input; the key holds a secret where the input does not say otherwise.
pub(crate) fn settings(input: &mut Input<'_>) -> Settings {
    let choices = input.byte();
    let config = input.text();
    let key = input.text();
    let params = input.text();
    Settings {
        config: (choices & 1 == 0).then_some(config),
        api_key: match choices >> 1 & 3 {
            0 => Some(SECRET.into()),
            1 => Some(format!("{key}{SECRET}")),
            2 => Some(key),
            _ => None,
        },
        discover: choices & 8 != 0,
        models: match params.is_empty() {
            true => Vec::new(),
            false => vec![ModelSettings {
                id: "m".into(),
                params,
            }],
        },
    }
}

/// What a transport could send as it is: a URL that two parsers take, and fields that HTTP has.
pub(crate) fn check_request(request: &HttpRequest) {
    let uri: http::Uri = request.url.parse().expect("a URI");
    assert!(matches!(uri.scheme_str(), Some("http" | "https")), "{uri}");
    assert!(
        uri.authority()
            .is_some_and(|authority| !authority.as_str().contains('@'))
    );
    let mut names = Vec::new();
    for (name, value) in &request.headers {
        let name = http::HeaderName::from_lowercase(name.as_bytes()).expect("a name");
        assert!(!names.contains(&name), "{name} twice");
        http::HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        for reserved in [
            "host",
            "connection",
            "content-length",
            "transfer-encoding",
            "upgrade",
            "te",
        ] {
            assert_ne!(name, reserved);
        }
        names.push(name);
    }
    assert_eq!(request.method == "GET", request.body.is_empty());
}

/// What is promised of every model, wherever it comes from.
pub(crate) fn check_models(models: &[Model]) {
    for (place, model) in models.iter().enumerate() {
        assert!(!model.id.is_empty(), "a model without an id");
        assert!(
            models[..place].iter().all(|other| other.id != model.id),
            "{} twice",
            model.id
        );
        assert!(
            0 < model.max_tokens && model.max_tokens <= model.context_window,
            "{model:?}"
        );
        assert!(!model.input.is_empty());
        let cost = model.cost;
        for price in [cost.input, cost.output, cost.cache_read, cost.cache_write] {
            assert!(price.is_finite() && price >= 0.0, "{model:?}");
        }
    }
}
