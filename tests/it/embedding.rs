//! What an agent's author relies on: the builder's grants, threads, runtimes, cancellation.

use std::time::Duration;

use http::HeaderName;
use provider_host::configuration::{ConfigError, Configuration};
use provider_host::egress::recording::{Recorder, RecordingError, Replay};
use provider_host::egress::{Egress, NetworkTransport, TransportError};
use provider_host::mock::{Mock, Options};
use provider_host::policy::{NetworkLimits, Reach};
use provider_host::route::{Route, RoutedChat, Target};
use provider_host::types::{ChatRequest, Event, FinishReason};
use provider_host::{
    Answer, Chat, Engine, EngineOptions, Error, ErrorKind, Plugin, Provider, ProviderOptions,
};
use serde_json::{Value, json};

use crate::support::{model, plugin};

/// Fails to compile, and not to run.
#[test]
fn what_is_handed_out_goes_to_any_thread() {
    fn moves<T: Send + 'static>() {}
    fn shared<T: Send + Sync + 'static>() {}
    moves::<Chat>();
    moves::<RoutedChat>();
    moves::<Answer>();
    shared::<Engine>();
    shared::<EngineOptions>();
    shared::<Plugin>();
    shared::<Provider>();
    shared::<ProviderOptions>();
    shared::<Route>();
    shared::<Target>();
    shared::<Egress>();
    shared::<NetworkTransport>();
    shared::<Recorder>();
    shared::<Replay>();
    shared::<Error>();
    shared::<TransportError>();
    shared::<ConfigError>();
    shared::<RecordingError>();
    fn future<T: Send>(_: T) {}
    let _ = |provider: &'static Provider, request: &'static ChatRequest| {
        let model = Box::leak(Box::new(model("m")));
        future(provider.chat(model, request));
        future(provider.list_models());
        future(provider.resolve_model("m"));
    };
}

const KEY: &str = "sk-the-real-key-0123456789abcdef";

async fn hello(provider: Provider) -> Answer {
    let (model, request) = (model("mock-model"), ChatRequest::user("Say hello."));
    let chat = provider.chat(&model, &request).await.expect("a chat");
    chat.collect().await.expect("an answer")
}

#[test]
fn it_runs_on_the_embedders_runtime_of_one_thread_and_of_many() {
    let one = || tokio::runtime::Builder::new_current_thread();
    let many = || tokio::runtime::Builder::new_multi_thread();
    for mut builder in [one(), many()] {
        let runtime = builder.enable_all().build().expect("a runtime");
        let answer = runtime.block_on(async {
            let mock = Mock::start(Options::default()).await.expect("a mock");
            let provider = Provider::builder(plugin())
                .base_url(mock.base_url())
                .api_key(KEY)
                .build()
                .expect("a provider");
            tokio::spawn(hello(provider)).await.expect("a task")
        });
        assert_eq!(answer.text, "Hello! How can I help you today?");
        assert_eq!(answer.finish, Some(FinishReason::Stop));
        assert!(answer.usage.is_some() && !answer.id.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_collected_whole_or_kept_until_it_failed() {
    let mock = Mock::start(Options {
        faults: vec!["reset-mid-stream:3".parse().expect("a fault")],
        ..Options::default()
    })
    .await
    .expect("a mock");
    let provider = Provider::builder(plugin())
        .base_url(mock.base_url())
        .api_key(KEY)
        .build()
        .expect("a provider");
    let request = ChatRequest::user("Say hello.");
    let mut chat = provider
        .chat(&model("mock-model"), &request)
        .await
        .expect("a chat");
    let mut answer = Answer::new();
    let error = chat
        .collect_into(&mut answer)
        .await
        .expect_err("an interruption");
    assert_eq!(error.kind(), &ErrorKind::Interrupted);
    assert!(
        !answer.text.is_empty() && !answer.is_finished(),
        "{answer:?}"
    );

    mock.set_faults([]).expect("a healthy mock");
    let routed = Route::new(Target::new(&provider, "mock-model")).chat(request.clone());
    let whole = routed.collect().await.expect("an answer");
    assert!(whole.text.starts_with(&answer.text) && whole.is_finished());

    // An event at a time, and dropped before the end: the server sees its client leave.
    let mut chat = provider
        .chat(&model("mock-model"), &request)
        .await
        .expect("a chat");
    let first = chat.next_event().await.expect("an event");
    assert!(matches!(first, Some(Event::Start(_))), "{first:?}");
    while let Some(event) = chat.next_event().await.expect("an event") {
        if let Event::Finish(_) = event {
            break;
        }
    }
    assert_eq!(chat.next_event().await.expect("the end"), None);
}

/// Settings as the plugin would get them.
fn config(options: &ProviderOptions) -> Value {
    let config = options.settings.config.as_deref().expect("an entry");
    serde_json::from_str(config).expect("JSON")
}

#[test]
fn the_builder_grants_the_server_and_puts_every_secret_behind_a_placeholder() {
    let options = Provider::builder(plugin())
        .base_url("http://gpu:8000/team-a/v1")
        .api_key(KEY)
        .header("X-Team", "team-secret-fedcba9876543210")
        .setting("timeoutSeconds", 30)
        .timeout(Duration::from_secs(7))
        .options()
        .expect("options");
    let shown = format!("{:?}", options.settings);
    assert!(
        !shown.contains(KEY) && !shown.contains("team-secret"),
        "{shown}"
    );
    let config = config(&options);
    assert_eq!(config["baseUrl"], "http://gpu:8000/team-a/v1");
    assert_eq!(config["timeoutSeconds"], 30);
    let placeholder = config["headers"]["X-Team"].as_str().expect("a header");
    let value = placeholder.parse().expect("a value");
    let name = HeaderName::from_static("x-team");
    let sent = options.grant.secrets.substitute(&name, &value);
    let sent = sent.expect("its place").expect("a secret");
    assert_eq!(sent, "team-secret-fedcba9876543210");
    let key = options.settings.api_key.as_deref().expect("a key");
    assert!(key.starts_with("placeholder-"));
    assert!(options.settings.discover);

    let grant = &options.grant;
    assert_eq!(grant.reach, Reach::Private, "the name has no dot");
    assert_eq!(grant.limits.total_timeout, Duration::from_secs(7));
    let judge = |url: &str| grant.judge(&url.parse().expect("a URI")).is_ok();
    assert!(judge("http://gpu:8000/team-a/v1/models") && judge("http://gpu:8000/team-a/tokenize"));
    assert!(!judge("http://gpu:8000/team-b/v1/models") && !judge("http://gpu:8001/team-a/v1"));

    let public = Provider::builder(plugin()).base_url("https://api.example.org/v1");
    assert_eq!(
        public.options().expect("options").grant.reach,
        Reach::Public
    );
    let inside = Provider::builder(plugin())
        .base_url("https://api.example.org/v1")
        .allow_private(true);
    assert_eq!(
        inside.options().expect("options").grant.reach,
        Reach::Private
    );
}

#[test]
fn the_builder_begins_with_a_configuration_and_is_stronger_than_it() {
    let text = json!({"models": {"providers": {"vllm": {
        "baseUrl": "http://10.0.0.1:8000/v1", "apiKey": "${KEY}", "timeoutSeconds": 9,
        "headers": {"X-Team": "${TEAM}", "X-Kept": "${TEAM}"},
    }}}});
    let configuration = Configuration::parse(&text.to_string(), "test").expect("a configuration");
    let environment = |name: &str| (name != "VLLM_API_KEY").then(|| format!("secret-of-{name}"));
    let begun = || {
        Provider::builder(plugin())
            .configuration(&configuration)
            .environment(&environment)
    };
    let options = begun().options().expect("options");
    assert_eq!(options.grant.limits.total_timeout, Duration::from_secs(9));
    assert_eq!(config(&options)["baseUrl"], "http://10.0.0.1:8000/v1");
    assert!(!options.settings.discover);

    let options = begun()
        .base_url("http://10.0.0.2:8000/v1")
        .header("X-Team", "another-secret")
        .network_limits(NetworkLimits::new().with_concurrent_requests(2))
        .discover(true)
        .options()
        .expect("options");
    let config = config(&options);
    assert_eq!(config["baseUrl"], "http://10.0.0.2:8000/v1");
    assert_eq!(options.grant.limits.concurrent_requests, 2);
    assert_eq!(options.grant.limits.total_timeout, Duration::from_secs(9));
    assert!(options.settings.discover);
    let real = |name: &str| {
        let value = config["headers"][name].as_str().expect("a header");
        let value = value.parse().expect("a value");
        let name = HeaderName::try_from(name).expect("a name");
        let sent = options.grant.secrets.substitute(&name, &value);
        sent.expect("its place").expect("a secret")
    };
    assert_eq!(real("X-Team"), "another-secret");
    assert_eq!(real("X-Kept"), "secret-of-TEAM");
    assert!(
        options
            .grant
            .judge(&"http://10.0.0.1:8000/v1".parse().expect("a URI"))
            .is_err()
    );

    // Nobody's environment is read unasked.
    let unset = Provider::builder(plugin())
        .configuration(&configuration)
        .options();
    let error = unset.expect_err("a variable without a value");
    assert_eq!(error.kind(), &ErrorKind::InvalidConfig);
}

#[test]
fn what_the_builder_can_not_use_is_told_without_being_shown() {
    let builder = || Provider::builder(plugin()).base_url("http://gpu:8000/v1");
    let cases = [
        (
            builder().api_key("sk-broken\nline"),
            "the API key can't be used",
        ),
        (builder().api_key(""), "the key is empty"),
        (
            builder().header("a b", "value"),
            "\"a b\" is no name of a header field",
        ),
        (
            builder().header("X-Team", "broken\nline"),
            "the header X-Team can't be used",
        ),
        (
            builder().base_url("gpu"),
            "does not say http:// or https://",
        ),
        (
            builder()
                .base_url("https://gpu:8443/v1")
                .ca_pem("no certificate"),
            "certificate",
        ),
        (
            builder()
                .base_url("https://gpu:8443/v1")
                .client_certificate("broken", "broken"),
            "`request.tls.cert` holds no usable certificate",
        ),
        (
            builder()
                .base_url("https://gpu:8443/v1")
                .server_name("no name"),
            "`request.tls.serverName`",
        ),
        (
            builder().proxy("socks5://me:broken@proxy:1080"),
            "the proxy can't be used: it names no HTTP proxy",
        ),
    ];
    for (builder, words) in cases {
        let error = builder.build().expect_err(words);
        assert_eq!(error.kind(), &ErrorKind::InvalidConfig, "{error}");
        assert!(
            error.message().contains(words),
            "{words:?} is not in {error}"
        );
        assert!(!error.message().contains("broken"), "{error}");
    }
}
