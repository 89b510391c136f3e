//! Which fields of a provider's entry the plugin receives: those that its `config_schema` names.
//!
//! The entry may hold fields of other programs and of other versions, and secrets among them. So a
//! field that the schema does not name keeps its key, for the plugin may warn about it, and its value
//! becomes `null`.
//!
//! Of JSON Schema (draft 2020-12) this reads what says which members an object has: `properties`,
//! `additionalProperties`, `items`, `prefixItems`, `$ref` into the same schema, and the branches of
//! `allOf`, `anyOf`, `oneOf`, `then` and `else`, of which each may name fields. `patternProperties`
//! name none. `max_tokens` and `maxTokens` are one name, because agents write both. A value whose schema says nothing about members is named as a whole, except the entry
//! itself.
//!
//! A member that is a credential by its name (`apiKey`, `password`, `token`), or whose name has a word
//! of one and whose value looks like a key, does not reach the plugin even if the schema names it:
//! the schema is the plugin's own word. Where the schema names members one by one it is `null`, and
//! elsewhere it is left out. Headers and `request.auth` are exempt, because their secrets leave the
//! entry in another way (`secret`).

use serde_json::{Map, Value};

use super::note::Note;
use super::path;
use super::secret::looks_like_a_key;

/// Most schemas that apply to one value at the same time, its branches included. The schema is the
/// plugin's own text.
const MOST_BRANCHES: usize = 64;

/// Most levels of a value that are looked into; what lies deeper is not passed on.
const DEEPEST: usize = 64;

/// Names of credentials, in lower case and without `-` and `_`.
const CREDENTIALS: [&str; 18] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "apisecret",
    "apitoken",
    "authorization",
    "authtoken",
    "bearer",
    "bearertoken",
    "clientsecret",
    "credential",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "token",
];

/// Words in the names of credentials and of ordinary values (`eos_token`): the value decides.
const WORDS: [&str; 10] = [
    "auth", "bearer", "cookie", "cred", "key", "pass", "pwd", "secret", "session", "token",
];

/// Where in the entry an object stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Entry,
    Request,
    Models,
    Model,
    /// Headers or `request.auth`.
    Secrets,
    Other,
}

impl Place {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Entry, "request") => Self::Request,
            (Self::Entry, "models") => Self::Models,
            (Self::Entry | Self::Request | Self::Model, "headers") | (Self::Request, "auth") => {
                Self::Secrets
            }
            _ => Self::Other,
        }
    }
}

/// The schema of a provider's entry.
pub(super) struct Schema {
    root: Value,
}

/// What the schemas of an object say about its members.
enum Members<'a> {
    /// None is named.
    None,
    /// Nothing: the object is named as a whole.
    Any,
    /// These say it.
    By(Vec<&'a Value>),
}

/// Whether a member is named, and the schemas that apply to it.
enum Naming<'a> {
    No,
    /// It is admitted together with others, and not named itself.
    Admitted(Vec<&'a Value>),
    Yes(Vec<&'a Value>),
}

impl Schema {
    /// Reads the text of a schema. One that is not JSON names nothing.
    pub(super) fn parse(text: &str) -> Self {
        Self {
            root: serde_json::from_str(text).unwrap_or(Value::Null),
        }
    }

    /// Whether `properties` has a field of the entry by this name.
    pub(super) fn names(&self, key: &str) -> bool {
        let schemas = self.branches(&[&self.root]);
        let mut properties = schemas.iter().filter_map(|schema| schema.get("properties"));
        properties.any(|fields| fields.get(key).is_some())
    }

    /// Sets the value of each field to `null` that the schema does not name. A note tells of each
    /// credential among them.
    pub(super) fn retain_named(
        &self,
        entry: &mut Map<String, Value>,
        at: &str,
        notes: &mut Vec<Note>,
    ) {
        let schemas = self.branches(&[&self.root]);
        let members = match schemas.iter().any(|schema| speaks_of_members(schema)) {
            true => Members::By(schemas),
            false => Members::None,
        };
        let mut walk = Walk {
            schema: self,
            notes,
        };
        walk.members(entry, at, &members, Place::Entry, 0);
    }

    /// These schemas, what they refer to, and the branches of all of them.
    fn branches<'a>(&'a self, schemas: &[&'a Value]) -> Vec<&'a Value> {
        let mut all = schemas.to_vec();
        all.truncate(MOST_BRANCHES);
        let mut next = 0;
        while let Some(schema) = all.get(next).copied() {
            next += 1;
            let target = schema.get("$ref").and_then(Value::as_str);
            let target = target.and_then(|target| self.root.pointer(target.strip_prefix('#')?));
            let lists = ["allOf", "anyOf", "oneOf"].into_iter();
            let lists = lists.filter_map(|key| schema.get(key)?.as_array());
            let single = ["then", "else"]
                .into_iter()
                .filter_map(|key| schema.get(key));
            for branch in target.into_iter().chain(lists.flatten()).chain(single) {
                let known = all.iter().any(|known| std::ptr::eq(*known, branch));
                if !known && all.len() < MOST_BRANCHES {
                    all.push(branch);
                }
            }
        }
        all
    }
}

/// Sets the values of members that are credentials by their names to `null`, at any depth.
pub(super) fn drop_credentials(value: &mut Value, at: &str, notes: &mut Vec<Note>) {
    let mut walk = Walk {
        schema: &Schema::parse(""),
        notes,
    };
    walk.value(value, at, &[], Place::Other, 0);
}

/// A way through an entry.
struct Walk<'a> {
    schema: &'a Schema,
    notes: &'a mut Vec<Note>,
}

impl Walk<'_> {
    fn members(
        &mut self,
        object: &mut Map<String, Value>,
        at: &str,
        members: &Members<'_>,
        place: Place,
        depth: usize,
    ) {
        object.retain(|key, value| {
            let at = path::member(at, key);
            let below = place.below(key);
            let exempt = place == Place::Secrets || below == Place::Secrets;
            let secret = !exempt && is_secret(key, value);
            if secret && !value.is_null() {
                self.notes.push(not_passed(&at));
            }
            match members.naming(key) {
                Naming::Admitted(_) if secret => return false,
                Naming::Yes(schemas) | Naming::Admitted(schemas) if !secret && depth < DEEPEST => {
                    self.value(value, &at, &schemas, below, depth + 1);
                }
                _ => *value = Value::Null,
            }
            true
        });
    }

    /// Goes into a value that is named.
    fn value(
        &mut self,
        value: &mut Value,
        at: &str,
        schemas: &[&Value],
        place: Place,
        depth: usize,
    ) {
        match value {
            Value::Object(object) => {
                let schemas = self.schema.branches(schemas);
                let members = match schemas.iter().any(|schema| speaks_of_members(schema)) {
                    true => Members::By(schemas),
                    false => Members::Any,
                };
                self.members(object, at, &members, place, depth);
            }
            Value::Array(list) if depth < DEEPEST => {
                let schemas = self.schema.branches(schemas);
                let place = match place {
                    Place::Models => Place::Model,
                    _ => Place::Other,
                };
                for (index, value) in list.iter_mut().enumerate() {
                    let items = schemas.iter().filter_map(|schema| item(schema, index));
                    let items: Vec<&Value> = items.collect();
                    self.value(value, &path::element(at, index), &items, place, depth + 1);
                }
            }
            Value::Array(_) => *value = Value::Null,
            _ => {}
        }
    }
}

impl<'a> Members<'a> {
    fn naming(&self, key: &str) -> Naming<'a> {
        let schemas = match self {
            Self::None => return Naming::No,
            Self::Any => return Naming::Admitted(Vec::new()),
            Self::By(schemas) => schemas,
        };
        let properties = schemas.iter().filter_map(|schema| schema.get("properties"));
        let properties = properties.filter_map(Value::as_object).flatten();
        let named = properties.filter(|(name, _)| same_name(name, key));
        let named: Vec<&Value> = named.map(|(_, schema)| schema).collect();
        if !named.is_empty() {
            return Naming::Yes(named);
        }
        let others = |schema: &&'a Value| schema.get("additionalProperties");
        let admitting = |schema: &&Value| **schema != Value::Bool(false);
        let admitted: Vec<&Value> = schemas
            .iter()
            .filter_map(others)
            .filter(admitting)
            .collect();
        match admitted.is_empty() {
            true => Naming::No,
            false => Naming::Admitted(admitted),
        }
    }
}

/// Whether two names are equal, or one is in snake case and the other the same in camel case.
fn same_name(one: &str, other: &str) -> bool {
    fn in_camel(name: &str) -> impl Iterator<Item = char> {
        let mut behind = false;
        name.chars().filter_map(move |character| {
            let at_word = std::mem::replace(&mut behind, character == '_');
            match character {
                '_' => None,
                _ if at_word => Some(character.to_ascii_uppercase()),
                _ => Some(character),
            }
        })
    }
    let differ = one.contains('_') != other.contains('_');
    one == other || (differ && in_camel(one).eq(in_camel(other)))
}

/// Whether a schema says which members an object has.
fn speaks_of_members(schema: &Value) -> bool {
    ["properties", "additionalProperties", "patternProperties"]
        .iter()
        .any(|key| schema.get(key).is_some())
}

/// The schema of an element of a list.
fn item(schema: &Value, index: usize) -> Option<&Value> {
    let prefix = schema.get("prefixItems").and_then(Value::as_array);
    let own = prefix.and_then(|prefix| prefix.get(index));
    own.or_else(|| schema.get("items"))
}

/// The letters and digits of a name, in lower case.
fn plain(key: &str) -> String {
    let plain = key.chars().filter(char::is_ascii_alphanumeric);
    plain.map(|one| one.to_ascii_lowercase()).collect()
}

/// Whether a name is that of a credential.
pub(super) fn is_credential(key: &str) -> bool {
    CREDENTIALS.contains(&plain(key).as_str())
}

/// Whether a member is a credential.
fn is_secret(key: &str, value: &Value) -> bool {
    let name = plain(key);
    let key_like = value.as_str().is_some_and(looks_like_a_key);
    CREDENTIALS.contains(&name.as_str()) || key_like && WORDS.iter().any(|word| name.contains(word))
}

/// The note on a credential that the plugin does not receive.
pub(super) fn not_passed(at: &str) -> Note {
    Note {
        code: "secret-not-passed",
        path: Some(at.to_owned()),
        message: "is not passed to the plugin, because its name is that of a secret: secrets may \
                  stand in apiKey, in headers, and in request.auth"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn retained(schema: &Value, entry: Value) -> (Value, Vec<String>) {
        let Value::Object(mut entry) = entry else {
            panic!("an entry is an object");
        };
        let mut notes = Vec::new();
        Schema::parse(&schema.to_string()).retain_named(&mut entry, "p", &mut notes);
        let paths = notes.into_iter().filter_map(|note| note.path).collect();
        (Value::Object(entry), paths)
    }

    #[test]
    fn a_field_that_is_not_named_keeps_its_key_and_loses_its_value() {
        let schema = json!({
            "properties": {
                "baseUrl": {"type": "string"},
                "models": {"items": {"$ref": "#/$defs/model"}},
                "open": {"type": "object"},
                "closed": {"additionalProperties": false},
                "listed": {"prefixItems": [{"properties": {"a": {}}}], "items": {"properties": {"b": {}}}},
                "either": {"anyOf": [{"properties": {"a": {}}}, {"oneOf": [{"properties": {"b": {}}}]}]},
                "texts": {"additionalProperties": {"properties": {"a": {}}}},
                "token": {},
            },
            "$defs": {
                "model": {"properties": {"id": {}, "params": {"$ref": "#/$defs/params"}}},
                "params": {"properties": {"stream": false}, "additionalProperties": true},
            },
        });
        let cases = [
            (
                json!({"baseUrl": "u", "other": "x", "token": "named"}),
                json!({"baseUrl": "u", "other": null, "token": null}),
                vec!["p.token"],
            ),
            (
                json!({"models": [{"id": "m", "apiKey": "k", "x": {"y": 1}, "password": "p"}, "m", 7]}),
                json!({"models": [{"id": "m", "apiKey": null, "x": null, "password": null}, "m", 7]}),
                vec!["p.models[0].apiKey", "p.models[0].password"],
            ),
            (
                json!({"models": [{"params": {"stream": 1, "x": {"y": [{"api_key": "k", "z": 2}]}}}]}),
                json!({"models": [{"params": {"stream": 1, "x": {"y": [{"z": 2}]}}}]}),
                vec!["p.models[0].params.x.y[0].api_key"],
            ),
            (
                json!({"models": {"id": "m"}}),
                json!({"models": {"id": "m"}}),
                vec![],
            ),
            (
                json!({"open": {"a": {"b": 1}, "Auth-Token": "t"}}),
                json!({"open": {"a": {"b": 1}}}),
                vec!["p.open.Auth-Token"],
            ),
            (
                json!({"closed": {"a": 1}, "closed2": 1}),
                json!({"closed": {"a": null}, "closed2": null}),
                vec![],
            ),
            (
                json!({"listed": [{"a": 1, "b": 1}, {"a": 1, "b": 1}]}),
                json!({"listed": [{"a": 1, "b": null}, {"a": null, "b": 1}]}),
                vec![],
            ),
            (
                json!({"either": {"a": 1, "b": 2, "c": 3}}),
                json!({"either": {"a": 1, "b": 2, "c": null}}),
                vec![],
            ),
            (
                json!({"texts": {"x": {"a": 1, "b": 1}}}),
                json!({"texts": {"x": {"a": 1, "b": null}}}),
                vec![],
            ),
        ];
        for (entry, expected, told) in cases {
            let (found, notes) = retained(&schema, entry.clone());
            assert_eq!(found, expected, "{entry}");
            assert_eq!(notes, told, "{entry}");
        }
    }

    #[test]
    fn a_name_in_snake_case_is_the_same_in_camel_case_and_no_other_spelling_is() {
        let schema = json!({"properties": {"max_tokens": {}, "baseUrl": {}}});
        let entry = json!({
            "max_tokens": 1, "maxTokens": 1, "base_url": 1, "baseUrl": 1,
            "maxtokens": 1, "MaxTokens": 1, "max-tokens": 1, "BaseUrl": 1, "base__url": 1,
        });
        let (found, _) = retained(&schema, entry);
        let kept = found.as_object().unwrap().iter();
        let kept = kept.filter(|(_, value)| !value.is_null());
        let kept: Vec<&str> = kept.map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            kept,
            [
                "baseUrl",
                "base__url",
                "base_url",
                "maxTokens",
                "max_tokens"
            ]
        );
    }

    #[test]
    fn a_schema_that_says_nothing_or_is_none_names_nothing() {
        for schema in [
            json!({}),
            json!(true),
            json!(null),
            json!("x"),
            json!({"type": "object"}),
            json!({"patternProperties": {".*": true}}),
            json!({"$ref": "#/nowhere"}),
        ] {
            let (found, _) = retained(&schema, json!({"a": 1, "b": {"c": 2}}));
            assert_eq!(found, json!({"a": null, "b": null}), "{schema}");
        }
        let mut entry = Map::from_iter([("a".to_owned(), json!(1))]);
        Schema::parse("{not JSON").retain_named(&mut entry, "p", &mut Vec::new());
        assert_eq!(entry["a"], Value::Null);
        let (found, _) = retained(
            &json!({"additionalProperties": true}),
            json!({"a": 1, "key": 2}),
        );
        assert_eq!(found, json!({"a": 1, "key": 2}));
    }

    #[test]
    fn credentials_stay_where_placeholders_stand_for_them_and_where_their_value_is_none() {
        let open = json!({"additionalProperties": true});
        let entry = json!({
            "headers": {"Authorization": "k"},
            "request": {"auth": {"token": "k"}, "headers": {"api-key": "k"}, "token": "k"},
            "models": [{"headers": {"api-key": "k"}, "auth": {"token": "k"}}],
            "auth": "none", "key": "sk-0123456789abcdef",
        });
        let expected = json!({
            "headers": {"Authorization": "k"},
            "request": {"auth": {"token": "k"}, "headers": {"api-key": "k"}},
            "models": [{"headers": {"api-key": "k"}, "auth": {}}],
            "auth": "none",
        });
        let (found, notes) = retained(&open, entry);
        assert_eq!(found, expected);
        assert_eq!(
            notes,
            ["p.key", "p.models[0].auth.token", "p.request.token"]
        );
    }

    #[test]
    fn a_schema_that_refers_to_itself_or_has_a_thousand_branches_ends() {
        let circle =
            json!({"$ref": "#", "allOf": [{"$ref": "#"}], "additionalProperties": {"$ref": "#"}});
        let mut deep = json!(1);
        for _ in 0..200 {
            deep = json!({"a": [deep]});
        }
        let (found, _) = retained(&circle, json!({"x": deep}));
        let text = found.to_string();
        assert!(text.contains("null") && !text.contains('1'), "{text}");
        let wide = json!({"anyOf": vec![json!({"properties": {"a": {}}}); 1_000]});
        assert_eq!(
            retained(&wide, json!({"a": 1, "b": 1})).0,
            json!({"a": 1, "b": null})
        );
    }
}
