//! Which stored profile is used, and why others are passed over.
//!
//! The rules of eligibility and order are those of OpenClaw's documentation of
//! auth profiles: an explicit order names the only candidates, a token is good
//! until it expires, a key may be the name of a variable. What OpenClaw keeps
//! about the past of a profile (`lastGood`, `usageStats` with its cooldowns) is
//! not looked at: a key that failed a minute ago for another program is tried
//! again, and the server's own answer is what the user gets to read.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::{Credential, Profiles, clean_key, default_profile, normal, provider_of};
use crate::configuration::{Environment, sole_variable};

/// Last instant that a date of JavaScript can name, in milliseconds since 1970.
const LAST_DATE_MS: f64 = 8.64e15;

/// The profile that is used, and what was passed over on the way to it.
#[derive(Debug)]
pub(crate) struct Choice {
    /// The key; none if no profile has one that can be used.
    pub(crate) credential: Option<Credential>,
    /// Profiles that would have gone before it, with the reason in words that
    /// follow "not used: ".
    pub(crate) passed_over: Vec<(String, String)>,
}

impl Profiles {
    /// Chooses the profile of a provider (id in any case) by the order of the
    /// file, else the one of the configuration (`auth.order`), else
    /// `<provider>:default` and then by id. Variables that profiles name are
    /// looked up.
    pub(crate) fn choose(
        &self,
        provider: &str,
        configured_order: &[String],
        environment: &Environment<'_>,
        now: SystemTime,
    ) -> Choice {
        let provider = normal(provider);
        let mut choice = Choice {
            credential: None,
            passed_over: Vec::new(),
        };
        for id in self.candidates(&provider, configured_order) {
            let Some((_, entry)) = self.entries().find(|(known, _)| **known == id) else {
                continue;
            };
            if provider_of(&id, entry.get("provider")) != provider {
                continue;
            }
            match key(entry, environment, now) {
                Ok(key) => {
                    choice.credential = Some(Credential {
                        profile: id,
                        provider,
                        key,
                    });
                    return choice;
                }
                Err(why) => choice.passed_over.push((id, why)),
            }
        }
        choice
    }

    /// The ids that may be used, the first choice first.
    fn candidates(&self, provider: &str, configured_order: &[String]) -> Vec<String> {
        let explicit = match self.order_of_file(provider) {
            Some(order) => order,
            None => configured_order.to_vec(),
        };
        if !explicit.is_empty() {
            return explicit;
        }
        let mut all: Vec<String> = self
            .entries()
            .filter(|(id, entry)| provider_of(id, entry.get("provider")) == provider)
            .map(|(id, _)| id.clone())
            .collect();
        let default = default_profile(provider);
        all.sort_by_cached_key(|id| (*id != default, id.clone()));
        all
    }

    /// The file's own order for a provider. An empty list is none.
    pub(super) fn order_of_file(&self, provider: &str) -> Option<Vec<String>> {
        let orders = self.document.get("order")?.as_object()?;
        let (_, order) = orders.iter().find(|(id, _)| normal(id) == provider)?;
        let ids = order.as_array()?.iter().filter_map(Value::as_str);
        let ids: Vec<String> = ids.map(str::to_owned).collect();
        (!ids.is_empty()).then_some(ids)
    }
}

/// The key of a profile, or why it has none that can be used.
fn key(
    entry: &Map<String, Value>,
    environment: &Environment<'_>,
    now: SystemTime,
) -> Result<String, String> {
    let (text, reference) = match entry.get("type").and_then(Value::as_str) {
        Some("api_key") => ("key", "keyRef"),
        Some("token") => ("token", "tokenRef"),
        Some("oauth") => return Err(String::from("OAuth logins are not supported")),
        _ => return Err(String::from("its type is none of api_key and token")),
    };
    if entry.get("setup").is_some_and(|setup| !setup.is_null()) {
        return Err(String::from("OpenClaw has not activated it yet"));
    }
    if text == "token" {
        not_expired(entry.get("expires"), now)?;
    }
    let inline = entry.get(text).and_then(Value::as_str).unwrap_or_default();
    let found = match (
        sole_variable(inline.trim()),
        inline.trim(),
        entry.get(reference),
    ) {
        (Some(name), ..) => variable(name, environment)?,
        (None, "", Some(Value::Object(reference))) => referenced(reference, environment)?,
        _ => inline.to_owned(),
    };
    let key = clean_key(&found);
    if key.is_empty() {
        return Err(String::from("it holds no key"));
    }
    if key.chars().any(char::is_control) {
        return Err(String::from("its key holds a control character"));
    }
    Ok(key)
}

/// `expires` counts milliseconds since 1970; absent means never.
fn not_expired(expires: Option<&Value>, now: SystemTime) -> Result<(), String> {
    let expires = match expires {
        None | Some(Value::Null) => return Ok(()),
        Some(value) => value.as_f64(),
    };
    let Some(expires) = expires.filter(|ms| *ms > 0.0 && *ms <= LAST_DATE_MS) else {
        return Err(String::from(
            "its `expires` is no time in milliseconds since 1970",
        ));
    };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    if now.as_secs_f64() * 1000.0 >= expires {
        return Err(String::from("its token has expired"));
    }
    Ok(())
}

fn referenced(
    reference: &Map<String, Value>,
    environment: &Environment<'_>,
) -> Result<String, String> {
    let word = |key: &str| reference.get(key).and_then(Value::as_str);
    match (word("source"), word("id")) {
        (Some("env"), Some(name)) => variable(name, environment),
        _ => Err(String::from(
            "its key comes from a file or a command, which is not supported",
        )),
    }
}

fn variable(name: &str, environment: &Environment<'_>) -> Result<String, String> {
    environment(name)
        .filter(|value| !value.trim().is_empty())
        .ok_or_else(|| format!("environment variable {name}, which holds its key, is not set"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A file as OpenClaw writes it, with every field that it may hold.
    const FILE: &str = r#"{
        "version": 1,
        "profiles": {
            "vllm:default": {"type": "api_key", "provider": "vllm", "key": "k-default", "email": "a@b.c",
                             "displayName": "lab", "copyToAgents": true, "metadata": {"account": "x"}},
            "vllm:work": {"type": "token", "provider": "vllm", "token": "t-work", "expires": 2000000},
            "vllm:env": {"type": "api_key", "provider": "vllm",
                         "keyRef": {"source": "env", "provider": "default", "id": "LAB_KEY"}},
            "vllm:template": {"type": "api_key", "provider": "vllm", "key": "${LAB_KEY}"},
            "vllm:token-ref": {"type": "token", "provider": "vllm",
                               "tokenRef": {"source": "env", "provider": "default", "id": "LAB_KEY"}},
            "vllm:file": {"type": "api_key", "provider": "vllm",
                          "keyRef": {"source": "file", "provider": "mounted", "id": "/vllm"}},
            "vllm:login": {"type": "oauth", "provider": "vllm", "access": "a", "refresh": "r", "expires": 1},
            "vllm:new": {"type": "api_key", "provider": "vllm", "key": "k-new", "setup": {"model": "m"}},
            "other:default": {"type": "api_key", "provider": "other", "key": "k-other"}
        },
        "lastGood": {"vllm": "vllm:work"},
        "usageStats": {"vllm:default": {"lastUsed": 5, "errorCount": 3, "cooldownUntil": 9000000000000,
                       "disabledUntil": 9000000000000, "disabledReason": "auth",
                       "failureCounts": {"auth": 3}, "lastFailureAt": 6}}
    }"#;

    fn profiles(order: &str) -> Profiles {
        let text = FILE.replace("\"lastGood\"", &format!("{order}\"lastGood\""));
        Profiles::parse(&text).unwrap()
    }

    fn at(ms: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(ms)
    }

    fn environment(name: &str) -> Option<String> {
        (name == "LAB_KEY").then(|| String::from("k-lab\n"))
    }

    fn chosen(profiles: &Profiles, configured: &[&str], now: u64) -> (Option<String>, Vec<String>) {
        let configured: Vec<String> = configured.iter().map(|id| (*id).to_owned()).collect();
        let choice = profiles.choose(" vLLM ", &configured, &environment, at(now));
        let passed_over = choice.passed_over.into_iter();
        (
            choice.credential.map(|one| one.key().to_owned()),
            passed_over
                .map(|(id, why)| format!("{id}: {why}"))
                .collect(),
        )
    }

    #[test]
    fn the_default_profile_is_used_whatever_cooldown_openclaw_has_noted() {
        let found = chosen(&profiles(""), &[], 1);
        assert_eq!(found, (Some("k-default".into()), vec![]));
    }

    #[test]
    fn an_order_names_the_only_candidates_and_the_files_goes_before_the_configurations() {
        let cases: [(&str, &[&str], Option<&str>); 6] = [
            ("", &["vllm:work", "vllm:default"], Some("t-work")),
            (
                r#""order": {"vllm": ["vllm:env"]}, "#,
                &["vllm:work"],
                Some("k-lab"),
            ),
            (r#""order": {"VLLM": ["vllm:work"]}, "#, &[], Some("t-work")),
            (r#""order": {"vllm": []}, "#, &[], Some("k-default")),
            // Not silently another one.
            (r#""order": {"vllm": ["vllm:gone"]}, "#, &[], None),
            // A profile of another provider is none of this one's.
            (r#""order": {"vllm": ["other:default"]}, "#, &[], None),
        ];
        for (order, configured, key) in cases {
            let (found, _) = chosen(&profiles(order), configured, 1);
            assert_eq!(found.as_deref(), key, "{order} {configured:?}");
        }
    }

    #[test]
    fn a_token_is_good_until_it_expires() {
        let profiles = profiles(r#""order": {"vllm": ["vllm:work", "vllm:default"]}, "#);
        assert_eq!(chosen(&profiles, &[], 1_999_999).0.unwrap(), "t-work");
        let (key, passed_over) = chosen(&profiles, &[], 2_000_000);
        assert_eq!(key.unwrap(), "k-default");
        assert_eq!(passed_over, ["vllm:work: its token has expired"]);
    }

    #[test]
    fn an_expiry_that_is_no_time_makes_a_token_unusable_and_none_is_forever() {
        for (expires, good) in [
            ("null", true),
            ("5000000.5", true),
            ("0", false),
            ("-1", false),
            ("1e300", false),
            ("\"2027-01-01\"", false),
        ] {
            let text = FILE.replace("2000000", expires);
            let profiles = Profiles::parse(&text).unwrap();
            let found = chosen(&profiles, &["vllm:work"], 1).0;
            assert_eq!(found.is_some(), good, "{expires}");
        }
    }

    #[test]
    fn keys_come_from_the_profile_or_from_a_variable_that_it_names() {
        for (id, expected) in [
            ("vllm:default", Ok("k-default")),
            ("vllm:env", Ok("k-lab")),
            ("vllm:template", Ok("k-lab")),
            ("vllm:token-ref", Ok("k-lab")),
            ("vllm:file", Err("its key comes from a file or a command")),
            ("vllm:login", Err("OAuth logins are not supported")),
            ("vllm:new", Err("OpenClaw has not activated it yet")),
        ] {
            let (key, passed_over) = chosen(&profiles(""), &[id], 1);
            match expected {
                Ok(expected) => assert_eq!(key.as_deref(), Some(expected), "{id}"),
                Err(why) => assert!(passed_over[0].contains(why), "{passed_over:?}"),
            }
        }
        let nothing = |_: &str| None;
        let order = [String::from("vllm:env")];
        let choice = profiles("").choose("vllm", &order, &nothing, at(1));
        assert!(choice.credential.is_none());
        assert!(choice.passed_over[0].1.contains("LAB_KEY"));
    }
}
