//! What is measured of a chat.

use provider_host::mock::FaultKind;
use provider_host::policy::{Binding, Grant, Origin, SandboxLimits, Secret, Secrets};
use provider_host::types::{ContentPart, Image, Message, Modality, Settings};
use provider_host::{Provider, ProviderOptions, Telemetry};

use super::meter::Measured;
use super::{CASE, KEY, PROMPT, mock_with, port, provider, replayed, request};
use crate::support::{ask, model, plugin, run};

#[tokio::test]
async fn what_is_measured_of_a_recorded_answer_is_what_the_conventions_name() {
    let mock = replayed().await;
    let measured = Measured::default();
    // Without a subscriber: metrics need none.
    let telemetry = Telemetry::new().with_meter(&measured.meter());
    let (provider, _) = provider(&mock.base_url(), telemetry);
    let (_, error) = run(&provider, &model(CASE), &request()).await;
    assert!(error.is_none(), "{error:?}");

    let mut plain = vec![
        "gen_ai.operation.name=chat".to_owned(),
        "gen_ai.provider.name=vllm".to_owned(),
        format!("gen_ai.request.model={CASE}"),
        "server.address=127.0.0.1".to_owned(),
        format!("server.port={}", port(&mock)),
    ];
    plain.sort();
    let mut of_text = plain.clone();
    of_text.push("gen_ai.token.modality=text".to_owned());
    of_text.sort();
    for (name, value, attributes) in [
        ("operation.input_tokens", 246.0, &plain),
        ("operation.output_tokens", 42.0, &plain),
        ("usage.input_tokens", 246.0, &of_text),
        ("usage.output_tokens", 42.0, &of_text),
        ("usage.cache_read.input_tokens", 128.0, &of_text),
        ("usage.reasoning.output_tokens", 7.0, &of_text),
    ] {
        let all = measured.of(&format!("gen_ai.client.inference.{name}"));
        assert_eq!(all, [(value, attributes.clone())], "{name}");
    }
    let none = measured.of("gen_ai.client.inference.usage.cache_write.input_tokens");
    assert_eq!(none, []);
    let time = |name: &str| match &measured.of(name)[..] {
        [(seconds, attributes)] if *attributes == plain => *seconds,
        other => panic!("{name}: {other:?}"),
    };
    let first = time("gen_ai.client.inference.time_to_first_chunk");
    let whole = time("gen_ai.client.inference.duration");
    assert!(
        0.0 < first && first <= whole && whole < 60.0,
        "{first} {whole}"
    );

    let seconds = [
        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
    ];
    let tokens: Vec<f64> = (0..14).map(|power| f64::from(4_u32.pow(power))).collect();
    for (name, (unit, buckets)) in measured.instruments() {
        let advised: &[f64] = match (unit.as_str(), name.contains(".operation.")) {
            ("s", _) => &seconds,
            ("{token}", true) => &tokens,
            ("{token}" | "{chat}" | "{step}" | "{fault}", false) => &[],
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(buckets, advised, "{name}");
    }
}

#[tokio::test]
async fn an_exchange_without_a_usage_counts_no_tokens_of_a_modality_that_is_not_known() {
    let measured = Measured::default();
    let telemetry = Telemetry::new().with_meter(&measured.meter());
    let mock = mock_with(&[FaultKind::ServerError]).await;
    let (fails, _) = provider(&mock.base_url(), telemetry.clone());
    let (_, error) = run(&fails, &model("tiny"), &ask(PROMPT)).await;
    error.expect("an error");
    // With an image nobody knows which tokens are the text's.
    let mock = replayed().await;
    let (sees, _) = provider(&mock.base_url(), telemetry);
    let mut request = ask(PROMPT);
    let image = ContentPart::Image(Image {
        media_type: "image/png".into(),
        data: vec![1, 2, 3],
    });
    request.messages.push(Message::User(vec![image]));
    let mut model = model(CASE);
    model.input.push(Modality::Image);
    let (_, error) = run(&sees, &model, &request).await;
    assert!(error.is_none(), "{error:?}");

    let unknown = "gen_ai.token.modality=unknown".to_owned();
    let input = measured.of("gen_ai.client.inference.usage.input_tokens");
    let output = measured.of("gen_ai.client.inference.usage.output_tokens");
    assert_eq!((input[0].0, output[0].0), (0.0, 0.0));
    assert!(input[0].1.contains(&unknown) && output[0].1.contains(&unknown));
    assert!(
        input[1].0 > 0.0 && input[1].1.contains(&unknown),
        "{input:?}"
    );
    assert!(
        output[1].0 > 0.0 && !output[1].1.contains(&unknown),
        "{output:?}"
    );
    let each = measured.of("gen_ai.client.inference.operation.input_tokens");
    assert!(
        each[0].1.contains(&"error.type=server".to_owned()),
        "{each:?}"
    );
    let first = measured.of("gen_ai.client.inference.time_to_first_chunk");
    assert_eq!(first.len(), 1, "of an answer that began");
}

#[tokio::test]
async fn a_fault_of_a_plugin_is_counted() {
    let mock = mock_with(&[]).await;
    let measured = Measured::default();
    let mut secrets = Secrets::new();
    let key = secrets
        .mint(Secret::new(KEY).expect("a key"), Binding::api_key())
        .expect("a placeholder");
    let settings = Settings::at(&mock.base_url()).with_api_key(key.as_str());
    let grant = Grant::new(Origin::parse(&mock.base_url()).expect("an origin"));
    let options = ProviderOptions::new(settings, grant.with_secrets(secrets))
        .with_sandbox(SandboxLimits::new().with_event_bytes(1))
        .with_telemetry(Telemetry::new().with_meter(&measured.meter()));
    let provider = Provider::new(plugin(), options).expect("a provider");
    let (_, error) = run(&provider, &model("tiny"), &ask("Say hello.")).await;
    assert!(error.expect("the limit").is_plugin_fault());
    let faults = measured.of("provider_host.plugin.faults");
    let [(1.0, attributes)] = &faults[..] else {
        panic!("{faults:?}");
    };
    for attribute in [
        "error.type=plugin-limit".to_owned(),
        "gen_ai.operation.name=chat".to_owned(),
        format!(
            "provider_host.plugin.version={}",
            plugin().manifest().version
        ),
    ] {
        assert!(
            attributes.contains(&attribute),
            "{attribute}: {attributes:?}"
        );
    }
}
