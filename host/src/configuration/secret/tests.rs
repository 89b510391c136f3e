use serde_json::json;

use super::*;

fn resolve(entry: Value) -> Result<(Value, Vec<String>), ConfigError> {
    let texts = |minted: Vec<Minted>| minted.into_iter().map(|(text, _)| text).collect();
    resolve_all(entry).map(|(entry, minted, _)| (entry, texts(minted)))
}

type Minted = (String, Binding);
type Resolved = (Value, Vec<Minted>, Vec<UnreadyModel>);

fn resolve_all(entry: Value) -> Result<Resolved, ConfigError> {
    let Value::Object(mut entry) = entry else {
        panic!("an entry is an object")
    };
    let environment = |name: &str| match name {
        "T" => Some(String::from("s3cret")),
        "HOST" => Some(String::from("gpu.lan")),
        "LINES" => Some(String::from("a\nb")),
        _ => None,
    };
    let mut secrets = Vec::new();
    let mut mint = |secret: String, binding: Binding| {
        secrets.push((secret, binding));
        format!("<{}>", secrets.len())
    };
    let mut resolver = Resolver::new(&environment, &mut mint);
    resolver.entry(&mut entry, "p")?;
    let unready = resolver.unready;
    Ok((Value::Object(entry), secrets, unready))
}

#[test]
fn a_variable_missing_in_the_headers_of_a_model_concerns_that_model_alone() {
    let (entry, _, unready) = resolve_all(json!({"models": [
        {"id": " a ", "headers": {"X": "${GONE}"}},
        {"id": "b", "headers": {"X": "red"}},
        {"id": "b", "headers": {"X": "${GONE}"}},
        {"id": "c"},
        {"id": "c", "headers": {"X": "${GONE}"}},
    ]}))
    .unwrap();
    assert_eq!(
        entry,
        json!({"models": [{"id": " a "}, {"id": "b", "headers": {"X": "red"}}, {"id": "b"},
                          {"id": "c"}, {"id": "c"}]})
    );
    let why = "environment variable GONE is not set, and p.models[0].headers.X uses it";
    assert_eq!(unready.len(), 1, "{unready:?}");
    assert_eq!(unready[0].id, "a");
    assert!(unready[0].why.starts_with(why), "{unready:?}");
    // Without an id there is no model to set apart.
    assert!(resolve(json!({"models": [{"headers": {"X": "${GONE}"}}]})).is_err());
    // The headers of the provider are everybody's.
    assert!(resolve(json!({"headers": {"X": "${GONE}"}, "models": []})).is_err());
}

#[test]
fn a_literal_is_a_secret_by_its_form_where_its_name_says_nothing() {
    for (value, secret) in [
        ("hf9Zq81vNn3Xw72Lr05Bt64", true),
        ("a1b2c3d4-e5f6-7890", true),
        ("research", false),
        ("short1key", false),
        ("application/json; q=1", false),
        ("no-digits-in-this-one", false),
        ("2026-11-24T04:15:00Z", true),
        ("1234567890123456", false),
    ] {
        let (entry, secrets) = resolve(json!({"headers": {"X-Team": value}})).unwrap();
        assert_eq!(secrets.len(), usize::from(secret), "{value}");
        let found = entry["headers"]["X-Team"].as_str().unwrap();
        assert_eq!(found == value, !secret, "{value}");
    }
}

#[test]
fn secrets_are_replaced_by_their_place() {
    let cases = [
        // Variables in headers, wherever headers may stand: the whole value is the secret, and
        // the variable's own value is known besides.
        (
            json!({"headers": {"X-Team": "a-${T}-b"}}),
            json!({"headers": {"X-Team": "<2>"}}),
            vec!["s3cret", "a-s3cret-b"],
        ),
        (
            json!({"request": {"headers": {"authorization": "Bearer ${T}"}}}),
            json!({"request": {"headers": {"authorization": "<2>"}}}),
            vec!["s3cret", "Bearer s3cret"],
        ),
        (
            json!({"models": [{"id": "m", "headers": {"A": "${T}${T}"}}]}),
            json!({"models": [{"id": "m", "headers": {"A": "<3>"}}]}),
            vec!["s3cret", "s3cret", "s3crets3cret"],
        ),
        // Literal credentials, whole.
        (
            json!({"headers": {"Authorization": "Basic abc", "COOKIE": "a=b", "X-Team": "red"}}),
            json!({"headers": {"Authorization": "<1>", "COOKIE": "<2>", "X-Team": "red"}}),
            vec!["Basic abc", "a=b"],
        ),
        (
            json!({"headers": {"X-Auth-Token": "t", "api-key": "k", "x-api-key": ""}}),
            json!({"headers": {"X-Auth-Token": "<1>", "api-key": "<2>", "x-api-key": ""}}),
            vec!["t", "k"],
        ),
        (
            json!({"request": {"auth": {"mode": "header", "headerName": "x-team",
                   "value": "v", "prefix": "Bearer "}}}),
            json!({"request": {"auth": {"mode": "header", "headerName": "x-team",
                   "value": "<1>", "prefix": "Bearer "}}}),
            vec!["v"],
        ),
        (
            json!({"request": {"auth": {"mode": "authorization-bearer", "token": "${T}"}}}),
            json!({"request": {"auth": {"mode": "authorization-bearer", "token": "<1>"}}}),
            vec!["s3cret"],
        ),
        // OpenClaw's references.
        (
            json!({"headers": {"X-Team": {"source": "env", "provider": "default", "id": "T"}}}),
            json!({"headers": {"X-Team": "<1>"}}),
            vec!["s3cret"],
        ),
        // An escape is a literal, and a literal credential is a secret.
        (
            json!({"headers": {"X-Team": "$${T}", "cookie": "$${T}"}}),
            json!({"headers": {"X-Team": "${T}", "cookie": "<1>"}}),
            vec!["${T}"],
        ),
        // Everywhere else there are escapes only; the base URL is resolved before.
        (
            json!({"baseUrl": "http://${HOST}/v1", "params": {"a": ["$${HOST}", 1, null]},
                   "models": [{"id": "a$${HOST}"}, "$HOST"]}),
            json!({"baseUrl": "http://${HOST}/v1", "params": {"a": ["${HOST}", 1, null]},
                   "models": [{"id": "a${HOST}"}, "$HOST"]}),
            vec![],
        ),
        // Nothing is no wrong type.
        (
            json!({"headers": {"authorization": null}, "request": null, "models": null}),
            json!({"headers": {"authorization": null}, "request": null, "models": null}),
            vec![],
        ),
    ];
    for (entry, expected, secrets) in cases {
        let (found, minted) = resolve(entry.clone()).unwrap();
        assert_eq!(found, expected, "{entry}");
        assert_eq!(minted, secrets, "{entry}");
    }
}

#[test]
fn errors_name_the_place_and_never_the_secret() {
    let cases = [
        (
            json!({"headers": {"A": "${GONE}"}}),
            "environment variable GONE is not set, and p.headers.A uses it",
        ),
        (
            json!({"models": [{}, {"headers": {"A": "${LINES}"}}]}),
            "p.models[1].headers.A (variable LINES) holds a line break",
        ),
        (
            json!({"headers": {"cookie": "s3cret\r\nX: y"}}),
            "p.headers.cookie holds a line break",
        ),
        (
            json!({"request": {"auth": {"token": {"source": "file", "id": "/k"}}}}),
            "p.request.auth.token.source is the text \"file\"; allowed is \"env\"",
        ),
        (
            json!({"headers": {"A": {"source": "env", "id": "s3cret value"}}}),
            "p.headers.A.id is a text; allowed is the name of an environment variable",
        ),
        (
            json!({"params": {"deep": [{"x": "${GONE}"}]}}),
            "p.params.deep[0].x uses the environment variable GONE, and the plugin reads this field",
        ),
        (
            json!({"models": [{"id": "${T}"}]}),
            "p.models[0].id uses the environment variable T",
        ),
        (
            json!({"models": ["a", "${T}"]}),
            "p.models[1] uses the environment variable T",
        ),
        (
            json!({"request": {"auth": {"headerName": "x-${T}"}}}),
            "p.request.auth.headerName uses the environment variable T",
        ),
        (
            json!({"request": {"extra": {"a": "${T}"}}}),
            "p.request.extra.a uses the environment variable T",
        ),
        (
            json!({"api": "${T}"}),
            "p.api uses the environment variable T",
        ),
        (
            json!({"headers": {"authorization": {"a": "s3cret"}}}),
            "p.headers.authorization is an object; allowed is a text, or",
        ),
        (
            json!({"headers": ["s3cret"]}),
            "p.headers is a list; allowed is an object of texts",
        ),
        (
            json!({"request": {"auth": "s3cret"}}),
            "p.request.auth is a text; allowed is an object of texts",
        ),
        (
            json!({"models": {"m": {"apiKey": "s3cret"}}}),
            "p.models is an object; allowed is a list of objects",
        ),
    ];
    for (entry, expected) in cases {
        let error = resolve(entry.clone()).unwrap_err().to_string();
        assert!(error.contains(expected), "{entry}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn each_secret_is_bound_to_the_header_that_it_was_configured_for() {
    let name = |text: &str| HeaderName::try_from(text).unwrap();
    let behind = |header: &str, before: &str| Binding::Header {
        name: name(header),
        before: before.to_owned(),
    };
    let only = |header: &str| behind(header, "");
    let cases = [
        (
            json!({"headers": {" X-Team ": "a=${T}; b", "Cookie": "c=1", "no name": "${T}"}}),
            vec![
                ("s3cret", Binding::Nowhere),
                ("a=s3cret; b", only("x-team")),
                ("c=1", only("cookie")),
                ("s3cret", Binding::Nowhere),
            ],
        ),
        (
            json!({"request": {"headers": {"X-A": "${T}"}},
                   "models": [{"id": "m", "headers": {"X-B": " ${T} "}}]}),
            vec![("s3cret", only("x-b")), ("s3cret", only("x-a"))],
        ),
        (
            json!({"request": {"auth": {"mode": "authorization-bearer", "token": "t"}}}),
            vec![("t", behind("authorization", "Bearer "))],
        ),
        (
            json!({"request": {"auth": {"mode": "header", "headerName": "x-gateway",
                   "value": "v", "prefix": "Token "}}}),
            vec![("v", behind("x-gateway", "Token "))],
        ),
        // A prefix that is a secret is put together with the value.
        (
            json!({"request": {"auth": {"mode": "header", "headerName": "x-a",
                   "value": "v", "prefix": "${T}:"}}}),
            vec![("s3cret", Binding::Nowhere), ("s3cret:v", only("x-a"))],
        ),
        (
            json!({"request": {"auth": {"mode": "header", "headerName": "x-a", "prefix": "${T}:",
                   "value": {"source": "env", "id": "HOST"}}}}),
            vec![
                ("s3cret", Binding::Nowhere),
                ("gpu.lan", Binding::Nowhere),
                ("s3cret:gpu.lan", only("x-a")),
            ],
        ),
        // Without a header there is no place for it.
        (
            json!({"request": {"auth": {"mode": "header", "value": "v", "user": "${T}"}}}),
            vec![("s3cret", Binding::Nowhere), ("v", Binding::Nowhere)],
        ),
    ];
    for (entry, expected) in cases {
        let (_, mut minted, _) = resolve_all(entry.clone()).unwrap();
        let mut expected: Vec<Minted> = expected
            .into_iter()
            .map(|(text, binding)| (text.to_owned(), binding))
            .collect();
        // An object's members come in no order that matters.
        minted.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
        expected.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
        assert_eq!(minted, expected, "{entry}");
    }
}
