//! A provider's entry for trials: `plugin check` and `plugin fuzz` hand it to the plugin and print it.

use serde_json::{Map, Value};

use super::Configuration;
use super::error::ConfigError;
use super::note::Note;
use super::schema::Schema;
use super::secret::Resolver;

/// What stands for a secret in a trial, which has none.
const NO_SECRET: &str = "no-secret";

/// Admits every field but credentials.
const EVERYTHING: &str = r#"{"additionalProperties": true}"#;

impl Configuration {
    /// The entry of the provider `id` as a trial without a server may have it, or the whole file if
    /// it has no `models.providers`. `None`: there is no such entry.
    ///
    /// There is no secret in it: `apiKey`, `request.tls` and `request.proxy` are left out, a fixed text
    /// stands for each secret in headers and in `request.auth`, and for each variable, and credentials
    /// elsewhere are left out with a note.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the entry is not an object, or has a variable in a field that the plugin
    /// reads.
    pub fn entry_without_secrets(
        &self,
        id: &str,
        notes: &mut Vec<Note>,
    ) -> Result<Option<Map<String, Value>>, ConfigError> {
        let (at, entry) = match self.object_at(&["models", "providers"])? {
            None => (String::new(), Some(&self.root)),
            Some(_) => self.entry(id, notes)?,
        };
        let Some(mut entry) = entry.cloned() else {
            return Ok(None);
        };
        entry.remove("apiKey");
        if let Some(Value::Object(request)) = entry.get_mut("request") {
            request.remove("tls");
            request.remove("proxy");
        }
        Schema::parse(EVERYTHING).retain_named(&mut entry, &at, notes);
        let set = |_: &str| Some(NO_SECRET.to_owned());
        let mut mint = |_: String, _| NO_SECRET.to_owned();
        Resolver::new(&set, &mut mint).entry(&mut entry, &at)?;
        Ok(Some(entry))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_for_a_trial_has_no_secret() {
        let text = "{models: {providers: {vllm: {
            baseUrl: 'http://h/v1', apiKey: 'sk-0123456789abcdef', fault: 'x', password: 'p',
            headers: {Authorization: 'Bearer k', 'X-Team': '${TEAM}'},
            request: {tls: {key: 'k'}, auth: {mode: 'header', headerName: 'x-a', value: 'v'}},
            models: [{id: 'm', apiKey: 'k'}],
        }}}, gateway: {token: 'k'}}";
        let configuration = Configuration::parse(text, "f").unwrap();
        let mut notes = Vec::new();
        let found = configuration
            .entry_without_secrets("vllm", &mut notes)
            .unwrap();
        assert_eq!(
            Value::Object(found.unwrap()),
            json!({
                "baseUrl": "http://h/v1", "fault": "x",
                "headers": {"Authorization": NO_SECRET, "X-Team": NO_SECRET},
                "request": {"auth": {"mode": "header", "headerName": "x-a", "value": NO_SECRET}},
                "models": [{"id": "m"}],
            })
        );
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert_eq!(
            configuration
                .entry_without_secrets("other", &mut notes)
                .unwrap(),
            None
        );

        let whole = Configuration::parse("{fault: 'x', gateway: {token: 'k'}}", "f").unwrap();
        let found = whole.entry_without_secrets("vllm", &mut notes).unwrap();
        assert_eq!(
            Value::Object(found.unwrap()),
            json!({"fault": "x", "gateway": {}})
        );

        let wrong =
            Configuration::parse("{models: {providers: {vllm: 'sk-0123456789abcdef'}}}", "f");
        let error = wrong
            .unwrap()
            .entry_without_secrets("vllm", &mut notes)
            .unwrap_err();
        assert!(!error.to_string().contains("sk-"), "{error}");
    }
}
