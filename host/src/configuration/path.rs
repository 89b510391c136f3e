//! Two kinds of paths: where a value stands in the configuration
//! (`models.providers.vllm.models[0].headers`), as errors and notes name it,
//! and files that the configuration names.

use std::path::{Path, PathBuf};

/// `parent.key`, or `parent["key"]` where the key is not a plain word.
pub(super) fn member(parent: &str, key: &str) -> String {
    let plain = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    match (parent.is_empty(), plain) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{parent}.{key}"),
        (_, false) => format!("{parent}[{}]", serde_json::Value::from(key)),
    }
}

/// `parent[index]`.
pub(super) fn element(parent: &str, index: usize) -> String {
    format!("{parent}[{index}]")
}

/// A file name as people write it: a leading `~/` is the home directory.
pub(super) fn expand_home(text: &str, home: Option<&Path>) -> PathBuf {
    match (text.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_dotted_with_brackets_for_odd_keys_and_positions() {
        assert_eq!(member("models.providers", "vllm"), "models.providers.vllm");
        assert_eq!(member("", "models"), "models");
        assert_eq!(
            member("agents.defaults.models", "vllm/a.b"),
            "agents.defaults.models[\"vllm/a.b\"]"
        );
        assert_eq!(member("headers", "X-Team"), "headers.X-Team");
        assert_eq!(element("models", 3), "models[3]");
    }

    #[test]
    fn only_a_leading_tilde_means_home() {
        let home = Path::new("/home/a");
        for (text, expected) in [
            ("~/c.json", "/home/a/c.json"),
            ("c~/d.json", "c~/d.json"),
            ("~bob/c", "~bob/c"),
            ("/x", "/x"),
        ] {
            assert_eq!(expand_home(text, Some(home)), PathBuf::from(expected));
        }
        assert_eq!(expand_home("~/c", None), PathBuf::from("~/c"));
    }
}
