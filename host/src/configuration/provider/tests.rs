use serde_json::json;

use super::*;

const FACTS: ProviderFacts<'_> = ProviderFacts {
    key_variable: Some("VLLM_API_KEY"),
    default_base_url: Some("http://127.0.0.1:8000/v1"),
    config_schema: Some(r#"{"additionalProperties": true}"#),
    approval: IdApproval::BuiltIn,
    base_url: None,
};

fn environment(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some(String::from("s3cret")),
        "HOST" => Some(String::from("gpu.lan")),
        _ => None,
    }
}

/// Resolves `vllm`, with placeholders `<secret>` that a test can read.
fn resolve(text: &str) -> Result<Resolved, ConfigError> {
    resolve_in(&Configuration::parse(text, "f").unwrap())
}

fn resolve_in(configuration: &Configuration) -> Result<Resolved, ConfigError> {
    configuration.resolve_provider(
        "vllm",
        &FACTS,
        &environment,
        &Profiles::empty(),
        &mut |secret, _| format!("<{}>", secret.len()),
    )
}

fn config(resolved: &Resolved) -> Value {
    serde_json::from_str(resolved.settings.config.as_deref().unwrap()).unwrap()
}

#[test]
fn without_a_configuration_the_providers_own_facts_hold() {
    let resolved = resolve_in(&Configuration::empty()).unwrap();
    assert_eq!(
        resolved,
        Resolved {
            settings: SettingsText {
                config: None,
                api_key: None,
                discover: false,
                models: vec![]
            },
            base_url: "http://127.0.0.1:8000/v1".into(),
            base_url_source: BaseUrlSource::Default,
            allow_private: false,
            ca_pem: None,
            server_name: None,
            client_identity: None,
            proxy_mode: ProxyMode::None,
            proxy: None,
            timeout: None,
            key_source: KeySource::None,
            unready: vec![],
            notes: vec![],
        }
    );
}

#[test]
fn a_full_entry_is_taken_apart() {
    let resolved = resolve(
        "{
        models: { providers: { other: { apiKey: '${GONE}', headers: 7 }, vllm: {
            baseUrl: ' http://${HOST}:9000/v1 ', apiKey: '${TOKEN}', api: 'openai-completions',
            headers: { 'X-Team': 'red', Authorization: 'Bearer ${TOKEN}' },
            timeoutSeconds: 2.5,
            request: { allowPrivateNetwork: true, auth: { mode: 'authorization-bearer', token: 'lit' },
                       tls: { passphrase: 'private' },
                       proxy: { mode: 'env-proxy', tls: { key: 'private' } } },
            models: [ { id: 'm', contextWindow: 128000.0, headers: { Cookie: 'abc' } } ],
        } } },
        agents: { defaults: { models: { 'vllm/*': {}, 'vllm/m': { params: { a: 1 } } } } },
    }",
    )
    .unwrap();
    assert_eq!(
        config(&resolved),
        json!({
            "baseUrl": "http://gpu.lan:9000/v1",
            "api": "openai-completions",
            "headers": {"X-Team": "red", "Authorization": "<13>"},
            "timeoutSeconds": 2.5,
            "request": {"allowPrivateNetwork": true,
                        "auth": {"mode": "authorization-bearer", "token": "<3>"}},
            "models": [{"id": "m", "contextWindow": 128_000, "headers": {"Cookie": "<3>"}}],
        })
    );
    assert_eq!(resolved.settings.api_key.as_deref(), Some("<6>"));
    assert_eq!(resolved.key_source, KeySource::Environment("TOKEN".into()));
    assert!(resolved.settings.discover);
    assert_eq!(
        resolved.settings.models,
        [(String::from("m"), String::from("{\"a\":1}"))]
    );
    assert_eq!(resolved.base_url, "http://gpu.lan:9000/v1");
    assert!(resolved.allow_private);
    assert_eq!(resolved.timeout, Some(Duration::from_millis(2500)));
    let noted: Vec<_> = resolved.notes.iter().flat_map(|note| &note.path).collect();
    assert_eq!(
        noted,
        [
            "models.providers.vllm.request.tls.passphrase",
            "models.providers.vllm.request.proxy.tls"
        ]
    );
}

#[test]
fn a_provider_is_found_however_its_id_is_spelled() {
    for key in ["vllm", "vLLM", " VLLM "] {
        let text = format!("{{models: {{providers: {{'{key}': {{models: []}}}}}}}}");
        let configuration = Configuration::parse(&text, "f").unwrap();
        assert!(configuration.has_provider("vllm"), "{key}");
        assert_eq!(config(&resolve(&text).unwrap()), json!({"models": []}));
    }
    let two = resolve("{models: {providers: {VLLM: {a: 1}, vllm: {a: 2}}}}").unwrap();
    assert_eq!(config(&two), json!({"a": 2}));
    assert_eq!(two.notes[0].code, "duplicate-provider");
    assert_eq!(two.notes[0].path.as_deref(), Some("models.providers.VLLM"));
    assert!(!Configuration::empty().has_provider("vllm"));
}

#[test]
fn an_empty_entry_is_an_entry() {
    let resolved = resolve("{models: {providers: {vllm: {}}}}").unwrap();
    assert_eq!(resolved.settings.config.as_deref(), Some("{}"));
}

#[test]
fn the_key_may_stand_in_the_header_that_the_entry_names_for_it() {
    let bindings = |request: &str| {
        let text =
            format!("{{models: {{providers: {{vllm: {{apiKey: 'k', request: {request}}}}}}}}}");
        let mut bindings = Vec::new();
        let mut mint = |secret: String, binding| {
            bindings.push((secret, binding));
            String::new()
        };
        Configuration::parse(&text, "f")
            .unwrap()
            .resolve_provider("vllm", &FACTS, &environment, &Profiles::empty(), &mut mint)
            .unwrap();
        bindings
    };
    let named = http::HeaderName::from_static("x-gateway");
    let found = bindings("{auth: {mode: 'header', headerName: ' X-Gateway '}}");
    let expected = Binding::api_key_or(Some(named));
    assert_eq!(found, [("k".to_owned(), expected)]);
    for other in ["{}", "{auth: {headerName: 'no name'}}", "{auth: null}"] {
        let found = bindings(other);
        assert_eq!(found, [("k".to_owned(), Binding::api_key())], "{other}");
    }
}

#[test]
fn a_blank_base_url_is_the_default_one() {
    for value in ["''", "'  '", "null"] {
        let text = format!("{{models: {{providers: {{vllm: {{baseUrl: {value}}}}}}}}}");
        assert_eq!(resolve(&text).unwrap().base_url, "http://127.0.0.1:8000/v1");
    }
    let error = Configuration::empty()
        .resolve_provider(
            "other",
            &ProviderFacts::default(),
            &environment,
            &Profiles::empty(),
            &mut |secret, _| secret,
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "provider other has no base URL: set models.providers.other.baseUrl"
    );
}

#[test]
fn the_base_url_of_a_plugin_file_comes_from_the_user_and_never_from_its_manifest() {
    let manifest = "http://10.0.0.7:8000/v1";
    let resolve = |text: &str, approval, base_url| {
        Configuration::parse(text, "f").unwrap().resolve_provider(
            "my-gpu",
            &ProviderFacts {
                default_base_url: Some(manifest),
                approval,
                base_url,
                ..FACTS
            },
            &environment,
            &Profiles::empty(),
            &mut |secret, _| secret,
        )
    };
    let configured = "{models: {providers: {'my-gpu': {baseUrl: 'http://gpu/v1', models: []}}}}";
    for approval in [IdApproval::None, IdApproval::User] {
        for text in [
            "{}",
            "{models: {providers: {'my-gpu': {}}}}",
            "{models: {providers: {'my-gpu': {baseUrl: ' '}}}}",
        ] {
            for base_url in [None, Some(" ")] {
                let error = resolve(text, approval, base_url).unwrap_err();
                assert_eq!(
                    error.to_string(),
                    "provider my-gpu has no base URL: set models.providers.my-gpu.baseUrl (the \
                     plugin suggests \"http://10.0.0.7:8000/v1\", which is not used unless you set it)"
                );
            }
        }
        let resolved = resolve(configured, approval, None).unwrap();
        assert_eq!(resolved.base_url, "http://gpu/v1");
        assert_eq!(resolved.base_url_source, BaseUrlSource::Configuration);
        assert!(!resolved.settings.discover);
    }
    for text in ["{}", configured] {
        let named = resolve(text, IdApproval::None, Some(" http://other/v1 ")).unwrap();
        assert_eq!(named.base_url, "http://other/v1");
        assert_eq!(named.base_url_source, BaseUrlSource::Named);
        assert_eq!(config(&named)["baseUrl"], "http://other/v1");
        assert!(named.settings.discover);
    }
    let long = format!("http://h/{}", "x".repeat(5000));
    let error = Configuration::empty()
        .resolve_provider(
            "my-gpu",
            &ProviderFacts {
                default_base_url: Some(&long),
                ..ProviderFacts::default()
            },
            &environment,
            &Profiles::empty(),
            &mut |secret, _| secret,
        )
        .unwrap_err();
    assert!(error.to_string().len() < 400, "{error}");
}

#[test]
fn the_id_of_the_built_in_provider_needs_an_approval() {
    let facts = ProviderFacts {
        approval: IdApproval::None,
        ..FACTS
    };
    let text = "{models: {providers: {vllm: {baseUrl: 'http://gpu/v1', apiKey: 'k'}}}}";
    let resolve = |id: &str, facts: &ProviderFacts<'_>| {
        let configuration = Configuration::parse(text, "f").unwrap();
        configuration.resolve_provider(
            id,
            facts,
            &environment,
            &Profiles::empty(),
            &mut |secret, _| secret,
        )
    };
    for id in ["vllm", " vLLM "] {
        let error = resolve(id, &facts).unwrap_err();
        assert!(
            matches!(error, ConfigError::IdNotApproved { .. }),
            "{error}"
        );
    }
    let approved = ProviderFacts {
        approval: IdApproval::User,
        ..FACTS
    };
    assert_eq!(
        resolve("vllm", &approved).unwrap().base_url,
        "http://gpu/v1"
    );
}

#[test]
fn what_the_host_reads_itself_is_checked_with_path_finding_and_choice() {
    let cases = [
        ("models: 1", "models is the number 1; allowed is an object"),
        (
            "models: {providers: []}",
            "models.providers is a list; allowed is an object",
        ),
        (
            "models: {providers: {vllm: 'x'}}",
            "models.providers.vllm is the text \"x\"; allowed is an object",
        ),
        (
            "models: {providers: {VLLM: null}}",
            "models.providers.VLLM is null; allowed is an object",
        ),
        (
            "models: {providers: {vllm: {baseUrl: 8000}}}",
            "models.providers.vllm.baseUrl is the number 8000; allowed is a URL",
        ),
        (
            "models: {providers: {vllm: {timeoutSeconds: '5'}}}",
            "models.providers.vllm.timeoutSeconds is the text \"5\"; allowed is a number",
        ),
        (
            "models: {providers: {vllm: {timeoutSeconds: 0}}}",
            "timeoutSeconds is the number 0; allowed is a number of seconds above 0",
        ),
        (
            "models: {providers: {vllm: {timeoutSeconds: 1e300}}}",
            "timeoutSeconds is the number 1e+300",
        ),
        (
            "models: {providers: {vllm: {timeoutSeconds: 1e-12}}}",
            "timeoutSeconds is the number 1e-12",
        ),
        (
            "models: {providers: {vllm: {request: []}}}",
            "models.providers.vllm.request is a list; allowed is an object",
        ),
        (
            "models: {providers: {vllm: {request: {allowPrivateNetwork: 'yes'}}}}",
            "request.allowPrivateNetwork is the text \"yes\"; allowed is true or false",
        ),
        (
            "models: {providers: {vllm: {request: {tls: 'ca'}}}}",
            "models.providers.vllm.request.tls is a text; allowed is an object",
        ),
        (
            "models: {providers: {vllm: {request: {tls: {ca: 5}}}}}",
            "models.providers.vllm.request.tls.ca is the number 5; allowed is certificates",
        ),
        (
            "models: {providers: {vllm: {request: {tls: {ca: '-----BEGIN KEY-----'}}}}}",
            "models.providers.vllm.request.tls.ca is a text; allowed is certificates",
        ),
        (
            "models: {providers: {vllm: {apiKey: '${GONE}'}}}",
            "environment variable GONE is not set, and models.providers.vllm.apiKey uses it",
        ),
    ];
    for (text, expected) in cases {
        let error = resolve(&format!("{{{text}}}")).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_key_that_is_not_used_is_said_not_to_be() {
    let mut stored = Profiles::empty();
    stored.set("vllm", "profile-key").unwrap();
    let none = Profiles::empty();
    let with_variable = |name: &str| (name == "VLLM_API_KEY").then(|| String::from("v"));
    let nothing = |_: &str| None;
    type Env<'a> = &'a Environment<'a>;
    let cases: [(&str, Env<'_>, &Profiles, Option<&str>); 7] = [
        (
            "'literal'",
            &with_variable,
            &none,
            Some("not used: environment variable VLLM_API_KEY goes before it"),
        ),
        ("'${VLLM_API_KEY}'", &with_variable, &none, None),
        ("'VLLM_API_KEY'", &with_variable, &none, None),
        (
            "{source: 'env', id: 'VLLM_API_KEY'}",
            &with_variable,
            &none,
            None,
        ),
        ("'literal'", &nothing, &none, None),
        (
            "'literal'",
            &nothing,
            &stored,
            Some("not used: key profile vllm:default goes before it"),
        ),
        ("null", &nothing, &stored, None),
    ];
    for (key, environment, profiles, expected) in cases {
        let text = format!("{{models: {{providers: {{vllm: {{apiKey: {key}}}}}}}}}");
        let resolved = Configuration::parse(&text, "f")
            .unwrap()
            .resolve_provider("vllm", &FACTS, environment, profiles, &mut |key, _| key)
            .unwrap();
        let message = resolved.notes.first().map(|note| note.message.as_str());
        assert_eq!(message, expected, "{key}");
    }
}

#[test]
fn certificates_are_pem_text_or_a_file_beside_the_configuration() {
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("ca.pem"), pem).unwrap();
    std::fs::write(directory.path().join("empty.pem"), "nothing").unwrap();
    let load = |ca: &str| {
        let path = directory.path().join("openclaw.json");
        let text = json!({"models": {"providers": {"vllm": {"request": {"tls": {"ca": ca}}}}}});
        std::fs::write(&path, text.to_string()).unwrap();
        resolve_in(&Configuration::load(&path).unwrap())
    };
    let absolute = directory.path().join("ca.pem").display().to_string();
    for ca in [pem, "ca.pem", " ca.pem ", absolute.as_str()] {
        assert_eq!(load(ca).unwrap().ca_pem.as_deref(), Some(pem), "{ca}");
    }
    assert_eq!(load("").unwrap().ca_pem, None);
    let error = load("gone.pem").unwrap_err().to_string();
    assert!(error.contains("gone.pem: "), "{error}");
    let error = load("empty.pem").unwrap_err().to_string();
    assert!(error.contains("holds no certificate"), "{error}");
}

#[test]
fn a_client_certificate_and_its_key_are_read_from_texts_files_and_variables() {
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let key = "-----BEGIN EC PRIVATE KEY-----\nhush\n-----END EC PRIVATE KEY-----\n";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("openclaw.json");
    std::fs::write(
        directory.path().join("both.pem"),
        format!("{certificate}{key}"),
    )
    .unwrap();
    std::fs::write(directory.path().join("client.pem"), certificate).unwrap();
    std::fs::write(directory.path().join("client.key"), key).unwrap();
    let environment = |name: &str| match name {
        "CLIENT_CERT" => Some(certificate.to_owned()),
        "CLIENT_KEY" => Some(key.to_owned()),
        _ => None,
    };
    let load = |base: &str, tls: serde_json::Value| {
        let entry = json!({"baseUrl": base, "request": {"tls": tls}});
        let text = json!({"models": {"providers": {"vllm": entry}}});
        std::fs::write(&path, text.to_string()).unwrap();
        let mut mint = |secret: String, _| panic!("{secret} is minted");
        Configuration::load(&path)
            .unwrap()
            .resolve_provider("vllm", &FACTS, &environment, &Profiles::empty(), &mut mint)
            .map_err(|error| error.to_string())
    };
    let plain = ClientIdentity::from_pem(certificate, key);
    let https = "https://gpu.example/v1";
    for (tls, expected) in [
        (json!({"cert": certificate, "key": key}), plain.clone()),
        (
            json!({"cert": "client.pem", "key": " client.key "}),
            plain.clone(),
        ),
        (
            json!({"cert": "${CLIENT_CERT}", "key": "${CLIENT_KEY}"}),
            plain.clone(),
        ),
        (
            json!({"cert": "client.pem", "key": {"source": "env", "id": "CLIENT_KEY"}}),
            plain.clone(),
        ),
        (
            json!({"cert": "both.pem", "key": "both.pem"}),
            ClientIdentity::from_pem(format!("{certificate}{key}"), format!("{certificate}{key}")),
        ),
    ] {
        let resolved = load(https, tls.clone()).unwrap();
        assert_eq!(resolved.client_identity, Some(expected), "{tls}");
        assert_eq!(resolved.notes, [], "{tls}");
        let seen = format!("{resolved:?}");
        assert!(!seen.contains("hush") && !seen.contains("BEGIN"), "{seen}");
        assert_eq!(config(&resolved), json!({"baseUrl": https, "request": {}}));
    }
    let resolved = load("http://gpu/v1", json!({"cert": "client.pem", "key": key})).unwrap();
    assert!(
        resolved.notes[0]
            .message
            .contains("baseUrl begins with http://")
    );

    let bare = format!("M{}", "Aa0+".repeat(20));
    for (tls, words) in [
        (
            json!({"cert": "client.pem"}),
            "request.tls.cert can't be used: a client certificate needs",
        ),
        (
            json!({"key": key}),
            "request.tls.key can't be used: a client certificate needs both",
        ),
        (
            json!({"cert": "client.pem", "key": "client.pem"}),
            "holds no private key",
        ),
        (
            json!({"cert": "client.key", "key": key}),
            "holds no certificate",
        ),
        (
            json!({"cert": key, "key": key}),
            "request.tls.cert is a text; allowed is certificates",
        ),
        (
            json!({"cert": certificate, "key": 7}),
            "request.tls.key is a number; allowed is a private",
        ),
        (
            json!({"cert": certificate, "key": &bare}),
            "request.tls.key is a text; allowed is",
        ),
        (
            json!({"cert": certificate, "key": "a\nhush"}),
            "request.tls.key is a text; allowed is",
        ),
        (
            json!({"cert": certificate, "key": "${GONE}"}),
            "environment variable GONE is not set",
        ),
        (
            json!({"cert": certificate, "key": "gone.key"}),
            "gone.key: ",
        ),
    ] {
        let error = load(https, tls.clone()).unwrap_err();
        assert!(error.contains(words), "{tls}: {error}");
        assert!(!error.contains("hush") && !error.contains(&bare), "{error}");
    }
}

#[test]
fn the_proxys_password_is_a_secret_that_may_stand_nowhere() {
    let text = "{models: {providers: {vllm: {baseUrl: 'http://gpu.example/v1', request: {
        proxy: {mode: 'explicit-proxy', url: 'http://me:hush-hush@proxy:3128'}}}}}}";
    let mut minted = Vec::new();
    let mut mint = |secret: String, binding| {
        minted.push((secret, binding));
        String::from("placeholder")
    };
    let resolved = Configuration::parse(text, "f")
        .unwrap()
        .resolve_provider("vllm", &FACTS, &|_| None, &Profiles::empty(), &mut mint)
        .unwrap();
    assert_eq!(minted, [(String::from("hush-hush"), Binding::Nowhere)]);
    assert_eq!(resolved.proxy.as_ref().unwrap().address(), "proxy:3128");
    assert!(!format!("{resolved:?}").contains("hush-hush"));
    let seen = json!({"baseUrl": "http://gpu.example/v1", "request": {}});
    assert_eq!(config(&resolved), seen);
}

#[test]
fn skipping_verification_is_refused_with_a_note() {
    let text = "{models: {providers: {vllm: {request: {tls: {insecureSkipVerify: true}}}}}}";
    let resolved = resolve(text).unwrap();
    assert!(
        resolved.notes[0]
            .message
            .contains("certificates are always verified")
    );
    let off = text.replace("true", "false");
    assert!(resolve(&off).unwrap().notes.is_empty());
}

#[test]
fn a_file_that_includes_others_is_said_not_to() {
    let resolved = resolve("{'$include': './models.json5'}").unwrap();
    assert_eq!(resolved.notes[0].path.as_deref(), Some("$include"));
}

#[test]
fn the_configurations_order_of_profiles_is_followed_and_what_is_passed_over_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth-profiles.json");
    let file = json!({"version": 1, "profiles": {
        "vllm:default": {"type": "api_key", "provider": "vllm", "key": "k-default"},
        "vllm:work": {"type": "token", "provider": "vllm", "token": "t-work"},
        "vllm:old": {"type": "token", "provider": "vllm", "token": "t-old", "expires": 1},
    }});
    std::fs::write(&path, file.to_string()).unwrap();
    let profiles = crate::credentials::ProfileFile::at(path).load().unwrap();
    let resolve = |text: &str| {
        Configuration::parse(text, "f").unwrap().resolve_provider(
            "vllm",
            &FACTS,
            &environment,
            &profiles,
            &mut |key, _| key,
        )
    };
    let work = resolve("{auth: {order: {vLLM: ['vllm:old', 'vllm:work']}}}").unwrap();
    assert_eq!(work.key_source, KeySource::Profile("vllm:work".into()));
    assert_eq!(
        work.notes[0].message,
        "key profile vllm:old is not used: its token has expired"
    );
    let default = resolve("{auth: {order: {other: ['x']}}}").unwrap();
    assert_eq!(
        default.key_source,
        KeySource::Profile("vllm:default".into())
    );
    let error = resolve("{auth: {order: {vllm: 'vllm:work'}}}").unwrap_err();
    assert!(error.to_string().contains("auth.order.vllm is"), "{error}");
}

#[test]
fn a_model_that_is_not_used_may_miss_a_variable() {
    let resolved = resolve(
        "{models: {providers: {vllm: {models: [{id: 'a', headers: {X: '${GONE}'}}, {id: 'b'}]}}}}",
    )
    .unwrap();
    assert_eq!(
        config(&resolved),
        json!({"models": [{"id": "a"}, {"id": "b"}]})
    );
    assert_eq!(resolved.unready[0].id, "a");
    assert_eq!(resolved.notes[0].code, "model-not-ready");
    assert!(resolved.notes[0].message.contains("GONE"));
}
