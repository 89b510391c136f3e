//! Exchanges written down at the egress, and replayed without a server.

mod hostile;

use std::io::Write;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body::{Body, Frame};
use provider_host::egress::recording::{End, Pace, Recorder, Recording, Replay};
use provider_host::egress::{
    Exchange, NetworkTransport, ResponseBody, Timing, Transport, TransportError,
};
use provider_host::mock::{Cut, Fault, FaultKind, Mock, Options, Pick};
use provider_host::policy::NetworkLimits;
use provider_host::types::Event;
use provider_host::{Error, ErrorKind, Provider};
use serde_json::Value;

use crate::recorded::{self, compare};
use crate::support::{
    ask, collect, error_json, event_json, model, options, plugin, run, short_limits, text,
};

const KEY: &str = "sk-the-real-key-0123456789abcdef";

/// A file in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("the bytes").clone()
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes()).expect("a recording is text")
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the bytes").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A provider that records what it does at a server.
fn recording(base_url: &str, limits: NetworkLimits) -> (Provider, Memory) {
    let options = options(base_url, KEY, limits);
    let network = NetworkTransport::new(&options.grant).expect("a transport");
    over(network, options)
}

fn over(transport: impl Transport, options: provider_host::ProviderOptions) -> (Provider, Memory) {
    let file = Memory::default();
    let recorder = Recorder::to_writer(file.clone(), transport, &options.grant);
    let recorder = Arc::new(recorder.expect("a recorder"));
    (Provider::with_transport(plugin(), options, recorder), file)
}

/// A provider that is answered from a recording.
fn replaying(base_url: &str, recorded: &[u8], pace: Pace, limits: NetworkLimits) -> Provider {
    let recorded = Recording::read(recorded).expect("a recording");
    let replay = Replay::new(recorded).with_pace(pace);
    Provider::with_transport(plugin(), options(base_url, KEY, limits), Arc::new(replay))
}

fn in_json((events, error): &(Vec<Event>, Option<Error>)) -> (Vec<Value>, Option<Value>) {
    let events = events.iter().map(event_json).collect();
    (events, error.as_ref().map(error_json))
}

const BASE: &str = "http://127.0.0.1:8000/v1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_is_replayed_as_the_same_events_at_its_own_speed_and_at_once() {
    let mock = Mock::start(Options {
        api_keys: vec![KEY.to_owned()],
        rate: Some(100.0),
        ..Options::default()
    })
    .await
    .expect("a mock");
    let (provider, file) = recording(&mock.base_url(), NetworkLimits::new());
    let found = provider.resolve_model("mock-model").await.expect("a model");
    let request = ask("Think: weather in Oslo?");
    let live = run(&provider, &found, &request).await;
    assert!(live.1.is_none() && live.0.len() > 10, "{live:?}");
    drop(mock);

    let written = Recording::read(&*file.bytes()).expect("a recording");
    let [models, chat] = written.exchanges() else {
        panic!("{written:?}");
    };
    assert_eq!(
        (models.method.as_str(), models.uri.path()),
        ("GET", "/v1/models")
    );
    assert_eq!(chat.uri.path(), "/v1/chat/completions");
    assert_eq!(chat.headers["authorization"], "***");
    let times: Vec<Duration> = chat.frames.iter().map(|(at, _)| *at).collect();
    assert!(times.is_sorted(), "{times:?}");
    let span = chat.end.0;
    assert!(
        span > Duration::from_millis(100),
        "a paced answer takes its time: {span:?}"
    );

    for pace in [Pace::Full, Pace::Original] {
        let provider = replaying(BASE, &file.bytes(), pace, NetworkLimits::new());
        let again = provider.resolve_model("mock-model").await.expect("a model");
        assert_eq!(again, found);
        let start = Instant::now();
        let replayed = run(&provider, &again, &request).await;
        assert_eq!(replayed.0, live.0, "{pace:?}");
        assert!(replayed.1.is_none());
        // The last frames stand a millisecond or so before the recorded end.
        if pace == Pace::Original {
            let last = times.last().expect("frames");
            assert!(
                start.elapsed() >= *last,
                "{:?} of {last:?}",
                start.elapsed()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_exchange_with_a_real_server_comes_back_as_it_was() {
    let chats = recorded::chats();
    let mock = Mock::start(Options {
        replay: Some(provider_host::mock::Replay {
            dir: recorded::fixtures(),
            pick: Pick::ByModel,
            seed: 1,
            cut: Cut::Random,
        }),
        ..Options::default()
    })
    .await
    .expect("a mock");
    let mut failures = Vec::new();
    for recorded in &chats {
        let (provider, file) = recording(&mock.base_url(), short_limits());
        let (model, request) = (model(&recorded.case), ask("Say hello."));
        let live = run(&provider, &model, &request).await;
        let file = file.text();
        assert!(!file.contains(KEY), "{file}");
        let provider = replaying(BASE, file.as_bytes(), Pace::Full, short_limits());
        let (events, error) = in_json(&run(&provider, &model, &request).await);
        if let Err(difference) = compare(recorded, &events, error.as_ref()) {
            failures.push(difference);
        }
        if events != in_json(&live).0 {
            failures.push(format!("{}: not what was live", recorded.case));
        }
    }
    assert!(
        failures.is_empty(),
        "{}\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_a_server_is_replayed_as_the_same_error() {
    for kind in FaultKind::ALL {
        let mock = Mock::start(Options {
            faults: vec![Fault::from(*kind)],
            ..Options::default()
        })
        .await
        .expect("a mock");
        let (provider, file) = recording(&mock.base_url(), short_limits());
        let (model, request) = (model("mock-model"), ask("Say hello."));
        let live = run(&provider, &model, &request).await;
        let base_url = mock.base_url();
        drop(mock);
        let provider = replaying(&base_url, &file.bytes(), Pace::Full, short_limits());
        let replayed = run(&provider, &model, &request).await;
        assert_eq!(in_json(&replayed), in_json(&live), "{}", kind.name());
    }
}

/// A server that says its caller's key back, in two pieces.
struct Echo;

impl Transport for Echo {
    fn send(&self, request: http::Request<bytes::Bytes>, _: Timing) -> Exchange<'_> {
        Box::pin(async move {
            let key = request.headers()["authorization"].to_str().expect("text");
            let key = key.trim_start_matches("Bearer ");
            let chunk = |text: &str| {
                let delta = serde_json::json!({"id": "1", "model": "m", "object": "chat.completion.chunk",
                    "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
                format!("data: {delta}\n\n")
            };
            let end = "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
                       data: [DONE]\n\n";
            let body = format!("{}{end}", chunk(&format!("You sent {key}.")));
            let (first, second) = body.split_at(body.find(key).expect("the key") + 9);
            let pieces = [first.to_owned(), second.to_owned()];
            let mut response = http::Response::new(ResponseBody::stream(Pieces(
                pieces.map(bytes::Bytes::from).into_iter(),
            )));
            let value = "text/event-stream".parse().expect("a value");
            response.headers_mut().insert("content-type", value);
            let value = format!("for {key}").parse().expect("a value");
            response.headers_mut().insert("x-echo", value);
            Ok(response)
        })
    }
}

struct Pieces(std::array::IntoIter<bytes::Bytes, 2>);

impl Body for Pieces {
    type Data = bytes::Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, TransportError>>> {
        Poll::Ready(self.0.next().map(|piece| Ok(Frame::data(piece))))
    }
}

#[tokio::test]
async fn a_key_that_a_server_says_back_in_pieces_is_not_in_the_recording() {
    let (provider, file) = over(Echo, options(BASE, KEY, NetworkLimits::new()));
    let (events, error) = run(&provider, &model("m"), &ask("What did I send?")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(
        text(&events),
        "You sent ***.",
        "the plugin is not shown it either"
    );
    let file = file.text();
    for part in [KEY, &KEY[..16], &KEY[9..], "placeholder-"] {
        assert!(!file.contains(part), "{part}: {file}");
    }
    assert!(file.contains("[\"x-echo\",\"for ***\"]"), "{file}");
    let replay = replaying(BASE, file.as_bytes(), Pace::Full, NetworkLimits::new());
    let (events, _) = run(&replay, &model("m"), &ask("What did I send?")).await;
    assert_eq!(text(&events), "You sent ***.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_that_was_dropped_leaves_what_came_until_then() {
    let mock = Mock::start(Options {
        rate: Some(50.0),
        ..Options::default()
    })
    .await
    .expect("a mock");
    let (provider, file) = recording(&mock.base_url(), NetworkLimits::new());
    let (model, request) = (model("mock-model"), ask("Count to one hundred."));
    let mut chat = provider.chat(&model, &request).await.expect("a chat");
    let mut seen = Vec::new();
    while seen.len() < 5 {
        seen.extend(chat.next_batch(1).await.expect("events"));
    }
    drop(chat);

    let written = Recording::read(&*file.bytes()).expect("a recording");
    assert_eq!(written.exchanges()[0].end.1, End::Dropped);
    let provider = replaying(BASE, &file.bytes(), Pace::Full, NetworkLimits::new());
    let (events, error) = run(&provider, &model, &request).await;
    assert_eq!(events[..5], seen);
    let error = error.expect("no end was recorded");
    assert_eq!(error.kind(), &ErrorKind::Interrupted);
    assert!(error.message().contains("whoever made it left"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chats_at_once_share_a_recording_and_each_finds_its_own() {
    let mock = Mock::start(Options::default()).await.expect("a mock");
    let (provider, file) = recording(&mock.base_url(), NetworkLimits::new());
    let model = model("mock-model");
    let requests: Vec<_> = (0..8)
        .map(|n| ask(&format!("Repeat: number {n}")))
        .collect();
    let running = requests.iter().map(|request| {
        let (provider, model, request) = (provider.clone(), model.clone(), request.clone());
        tokio::spawn(async move { run(&provider, &model, &request).await.0 })
    });
    let mut live = Vec::new();
    for one in running.collect::<Vec<_>>() {
        live.push(one.await.expect("a chat"));
    }
    // Backwards: bodies decide, not the order.
    let provider = replaying(BASE, &file.bytes(), Pace::Full, NetworkLimits::new());
    for (request, live) in requests.iter().zip(&live).rev() {
        assert_eq!(&run(&provider, &model, request).await.0, live);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_prompt_is_answered_in_order_and_a_used_exchange_only_once() {
    let mock = Mock::start(Options::default()).await.expect("a mock");
    let (provider, file) = recording(&mock.base_url(), NetworkLimits::new());
    let model = model("mock-model");
    let live = run(&provider, &model, &ask("Say hello.")).await.0;
    let recorded = Recording::read(&*file.bytes()).expect("a recording");
    let replay = Arc::new(Replay::new(recorded).with_pace(Pace::Full));
    let again = options(BASE, KEY, NetworkLimits::new());
    let provider = Provider::with_transport(plugin(), again, replay.clone());
    assert_eq!(replay.remaining(), 1);
    assert_eq!(run(&provider, &model, &ask("Say goodbye.")).await.0, live);
    assert_eq!(replay.remaining(), 0);
    let (events, error) = run(&provider, &model, &ask("Say hello.")).await;
    let error = error.expect("nothing is left");
    assert!(events.is_empty());
    assert_eq!(error.kind(), &ErrorKind::InvalidRequest);
    assert!(!error.retryable() && !error.request_sent(), "{error:?}");
    let words =
        "the recording has no answer to POST /v1/chat/completions: all of its 1 exchanges are used";
    assert!(error.message().contains(words), "{error}");
}

#[tokio::test]
async fn a_recording_replaces_no_file_and_is_for_its_owner_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("chat.jsonl");
    let options = options(BASE, KEY, NetworkLimits::new());
    let create = |path: &Path| Recorder::create(path, Echo, &options.grant);
    let recorder = create(&path).expect("a recorder");
    assert_eq!(recorder.failure(), None);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path)
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let before = std::fs::read(&path).expect("a file");
    let refused = create(&path).expect_err("a refusal").to_string();
    assert!(refused.contains("is there already"), "{refused}");
    assert_eq!(std::fs::read(&path).expect("a file"), before);
    let refused = create(&folder.path().join("no/such/folder")).expect_err("a refusal");
    assert!(refused.to_string().contains("no/such/folder"), "{refused}");
}

/// A disk with room for the first lines.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.0.checked_sub(1) {
            Some(left) => self.0 = left,
            None => return Err(std::io::Error::from(std::io::ErrorKind::StorageFull)),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_full_disk_ends_the_recording_and_not_the_chat() {
    let options = options(BASE, KEY, NetworkLimits::new());
    let recorder = Recorder::to_writer(Full(3), Echo, &options.grant).expect("a recorder");
    let recorder = Arc::new(recorder);
    let provider = Provider::with_transport(plugin(), options, recorder.clone());
    let chat = provider
        .chat(&model("m"), &ask("Hello?"))
        .await
        .expect("a chat");
    let (events, error) = collect(chat, 64).await;
    assert!(error.is_none() && matches!(events.last(), Some(Event::Finish(_))));
    assert!(recorder.failure().is_some());
}
