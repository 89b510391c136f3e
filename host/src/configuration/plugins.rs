//! Which plugin files the user approved in the configuration.
//!
//! OpenClaw's own keys say it: `plugins.load.paths` lists files and folders, and
//! `plugins.entries.<id>.enabled` switches a plugin on by its id. A plugin file is approved for an id
//! if both name it. One of the two says too little: an entry alone may be about a plugin of the
//! agent's that has the same id.

use std::path::Path;

use serde_json::Value;

use super::environment::{Environment, home};
use super::error::ConfigError;
use super::{Configuration, path};

impl Configuration {
    /// Whether the configuration approves the plugin file `file` as the provider `id`:
    /// `plugins.entries.<id>.enabled` is true, and `plugins.load.paths` has the file or its folder.
    ///
    /// Paths may begin with `~/`; relative ones start at the configuration's folder. Links are
    /// resolved before paths are compared.
    ///
    /// # Errors
    ///
    /// [`ConfigError::WrongType`] if one of these keys is not of its type.
    pub fn approves_plugin(
        &self,
        id: &str,
        file: &Path,
        environment: &Environment<'_>,
    ) -> Result<bool, ConfigError> {
        let enabled = match self.object_at(&["plugins", "entries", id])? {
            Some(entry) => entry.get("enabled") == Some(&Value::Bool(true)),
            None => false,
        };
        let enabled = enabled && self.plugins_admit(id)?;
        let load = self.object_at(&["plugins", "load"])?;
        let paths = match load.and_then(|load| load.get("paths")) {
            None | Some(Value::Null) => return Ok(false),
            Some(Value::Array(paths)) => paths,
            Some(other) => {
                return Err(ConfigError::wrong_type(
                    "plugins.load.paths",
                    other,
                    "a list of files and folders",
                ));
            }
        };
        let (true, Ok(file)) = (enabled, file.canonicalize()) else {
            return Ok(false);
        };
        let home = home(environment);
        let base = self.file().and_then(Path::parent).unwrap_or(Path::new(""));
        Ok(paths.iter().filter_map(Value::as_str).any(|listed| {
            let listed = path::expand_home(listed.trim(), home.as_deref());
            let listed = base.join(listed);
            listed
                .canonicalize()
                .is_ok_and(|listed| listed == file || Some(listed.as_path()) == file.parent())
        }))
    }
}

impl Configuration {
    /// Whether nothing in `plugins` speaks against the plugins of `id`: `enabled` is not false,
    /// `deny` does not have the id, and `allow` has it if there is one.
    fn plugins_admit(&self, id: &str) -> Result<bool, ConfigError> {
        let Some(plugins) = self.object_at(&["plugins"])? else {
            return Ok(false);
        };
        let lists = |key: &str| match plugins.get(key) {
            Some(Value::Array(ids)) => Some(ids.iter().any(|one| one.as_str() == Some(id))),
            _ => None,
        };
        Ok(plugins.get("enabled") != Some(&Value::Bool(false))
            && lists("deny") != Some(true)
            && lists("allow") != Some(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_file_is_approved_by_its_path_and_its_id_together() {
        let folder = tempfile::tempdir().unwrap();
        let plugins = folder.path().join("plugins");
        std::fs::create_dir(&plugins).unwrap();
        let file = plugins.join("p.wasm");
        let other = folder.path().join("other.wasm");
        for path in [&file, &other] {
            std::fs::write(path, "").unwrap();
        }
        let here = folder.path().display().to_string();
        let environment = |name: &str| (name == "HOME").then(|| here.clone());
        let on = "entries: {vllm: {enabled: true}}";
        let cases = [
            (format!("{on}, load: {{paths: ['plugins/p.wasm']}}"), true),
            (format!("{on}, load: {{paths: ['~/plugins']}}"), true),
            (
                format!("{on}, load: {{paths: ['plugins']}}, allow: ['a', 'vllm'], deny: ['b']"),
                true,
            ),
            (
                format!("{on}, load: {{paths: ['plugins']}}, allow: ['other']"),
                false,
            ),
            (
                format!("{on}, load: {{paths: ['plugins']}}, deny: ['vllm']"),
                false,
            ),
            (
                format!("{on}, load: {{paths: ['plugins']}}, enabled: false"),
                false,
            ),
            (
                format!("{on}, load: {{paths: ['{here}/./plugins/p.wasm']}}"),
                true,
            ),
            (
                format!("{on}, load: {{paths: ['other.wasm', 'nowhere', '']}}"),
                false,
            ),
            (format!("{on}, load: {{paths: ['/']}}"), false),
            (on.to_owned(), false),
            ("load: {paths: ['plugins/p.wasm']}".to_owned(), false),
            (
                "entries: {vllm: {}}, load: {paths: ['plugins']}".to_owned(),
                false,
            ),
            (
                "entries: {vllm: {enabled: 'true'}}, load: {paths: ['plugins']}".to_owned(),
                false,
            ),
            (
                "entries: {other: {enabled: true}}, load: {paths: ['plugins']}".to_owned(),
                false,
            ),
        ];
        for (text, expected) in cases {
            let path = folder.path().join("c.json5");
            std::fs::write(&path, format!("{{plugins: {{{text}}}}}")).unwrap();
            let configuration = Configuration::load(&path).unwrap();
            let approved = configuration.approves_plugin("vllm", &file, &environment);
            assert_eq!(approved.unwrap(), expected, "{text}");
        }
        let wrong = Configuration::parse("{plugins: {load: {paths: 'p.wasm'}}}", "f").unwrap();
        let error = wrong
            .approves_plugin("vllm", &file, &environment)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("plugins.load.paths is the text"),
            "{error}"
        );
    }
}
