//! File descriptors: chats that hold connections do not keep another from its first one, and a
//! process without descriptors says so.

use std::fs::File;
use std::net::SocketAddr;
use std::time::Duration;

use provider_host::policy::{Grant, Origin};
use provider_host::registry::{Source, Stage, SwapPolicy, What};
use provider_host::types::Settings;
use provider_host::{Engine, EngineOptions, ErrorKind, Plugin, Provider, ProviderOptions};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use super::support::{held, honest, orders, run_child, server};
use crate::support::{BOUND, ask, model, run};
use crate::swap::{event, slot, variants};

/// The soft limit on open files of the children: what most systems give.
const OPEN_FILES: u64 = 1_024;

/// Chats that want four connections each.
const HOSTILE: usize = 270;

fn limit_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(OPEN_FILES);
    setrlimit(Resource::Nofile, limit).expect("a lower limit");
}

fn engine(max_connections: Option<u32>) -> Engine {
    let mut options = EngineOptions::default();
    options.max_chats = 400;
    options.max_connections = max_connections;
    Engine::new(options).expect("an engine")
}

/// A provider whose plugin opens as many connections as it may, and holds them.
fn hostile(plugin: &Plugin, server: SocketAddr) -> Provider {
    let orders = json!({
        "attack": "held-answers", "at": "next",
        "granted": server.to_string(), "other": "127.0.0.1:1",
    });
    let origin = Origin::parse(&format!("http://{server}/v1")).expect("an origin");
    let options = ProviderOptions::new(Settings::new(orders.to_string()), Grant::new(origin));
    Provider::new(plugin, options).expect("a provider")
}

/// Starts such chats, and waits until they hold `connections`.
async fn hold(
    plugin: &Plugin,
    server: SocketAddr,
    chats: usize,
    connections: usize,
) -> Vec<tokio::task::JoinHandle<()>> {
    let provider = hostile(plugin, server);
    let chats = (0..chats).map(|_| {
        let provider = provider.clone();
        tokio::spawn(async move {
            let _ = run(&provider, &model("hostile"), &ask("Attack.")).await;
        })
    });
    let chats = chats.collect();
    let held = async {
        while held(server).await < connections {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let held = tokio::time::timeout(BOUND, held).await;
    assert!(
        held.is_ok(),
        "the chats do not hold {connections} connections"
    );
    chats
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_chats_with_four_connections_each_leave_one_to_every_honest_chat() {
    let Some(orders) = orders() else {
        let orders = format!("{} {}", server().await, crate::hostile::file().display());
        let test = concat!(
            "budgets::connections::",
            "hostile_chats_with_four_connections_each_leave_one_to_every_honest_chat"
        );
        return run_child(&[], test, &orders).await;
    };
    let (server, file) = orders.split_once(' ').expect("two orders");
    let server: SocketAddr = server.parse().expect("an address");
    limit_open_files();
    let engine = engine(None);
    let attacker = Plugin::from_file(&engine, file.as_ref()).expect("a plugin like any other");
    let plugin = Plugin::embedded(&engine).expect("the plugin");
    // One each, and a quarter of half of the limit beyond.
    let most = HOSTILE + OPEN_FILES as usize / 2 / 4;
    let hostile = hold(&attacker, server, HOSTILE, most).await;
    let base_url = format!("http://{server}/v1");
    for _ in 0..4 {
        let chats: Vec<_> = (0..16)
            .map(|_| {
                let (plugin, base_url) = (plugin.clone(), base_url.clone());
                tokio::spawn(async move { honest(&plugin, &base_url).await })
            })
            .collect();
        for chat in chats {
            let error = chat.await.expect("a task");
            assert!(error.is_none(), "{error:?}");
        }
    }
    assert_eq!(held(server).await, most, "nobody has more than its share");
    assert!(hostile.iter().all(|chat| !chat.is_finished()));
    hostile.iter().for_each(|chat| chat.abort());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_beyond_the_budget_says_overloaded_and_how_to_raise_it() {
    let server = server().await;
    let engine = engine(Some(8));
    let attacker = Plugin::from_file(&engine, crate::hostile::file()).expect("a plugin");
    let plugin = Plugin::embedded(&engine).expect("the plugin");
    // Six with one each, and the two that there are beyond.
    let hostile = hold(&attacker, server, 6, 8).await;
    let error = honest(&plugin, &format!("http://{server}/v1")).await;
    let error = error.expect("no connection is left");
    assert_eq!(*error.kind(), ErrorKind::Overloaded, "{error:?}");
    assert!(error.retryable() && !error.request_sent(), "{error:?}");
    let words = [
        "8 connections",
        "ulimit -n",
        "EngineOptions::max_connections",
    ];
    for words in words {
        assert!(error.message().contains(words), "{error}");
    }
    hostile.iter().for_each(|chat| chat.abort());
    let again = async {
        while honest(&plugin, &format!("http://{server}/v1"))
            .await
            .is_some()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let again = tokio::time::timeout(BOUND, again).await;
    assert!(again.is_ok(), "the connections did not come back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_without_descriptors_is_overloaded_and_no_server_is_blamed() {
    let Some(orders) = orders() else {
        let test = concat!(
            "budgets::connections::",
            "a_process_without_descriptors_is_overloaded_and_no_server_is_blamed"
        );
        return run_child(&[], test, &server().await.to_string()).await;
    };
    let server: SocketAddr = orders.parse().expect("an address");
    limit_open_files();
    let engine = engine(None);
    let plugin = Plugin::embedded(&engine).expect("the plugin");
    let plain = format!("http://{server}/v1");
    let named = format!("http://localhost:{}/v1", server.port());
    let unknown = format!("http://no-such-host.invalid:{}/v1", server.port());
    let tls = format!("https://{server}/v1");
    assert!(honest(&plugin, &plain).await.is_none());

    let file = tempfile::NamedTempFile::new().expect("a file that is no plugin");

    // What the embedding program may do: it holds all descriptors that there are.
    let mut all: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    for base_url in [&plain, &named, &unknown, &tls] {
        let error = honest(&plugin, base_url).await.expect("no descriptor");
        assert_eq!(
            *error.kind(),
            ErrorKind::Overloaded,
            "{base_url}: {error:?}"
        );
        assert!(error.retryable() && !error.request_sent(), "{error:?}");
        assert!(error.message().contains("ulimit -n"), "{error}");
        assert!(!error.message().contains("baseUrl"), "{error}");
    }
    let error = Plugin::from_file(&engine, file.path()).expect_err("no descriptor");
    assert_eq!(*error.kind(), ErrorKind::Overloaded, "{error:?}");
    // One is enough to connect, and not to read the certificates beside it.
    all.pop();
    let error = honest(&plugin, &tls).await.expect("no descriptor");
    assert_eq!(*error.kind(), ErrorKind::Overloaded, "{error:?}");
    assert!(honest(&plugin, &plain).await.is_none());
    drop(all);
    let error = Plugin::from_file(&engine, file.path()).expect_err("no plugin");
    assert_eq!(*error.kind(), ErrorKind::InvalidPlugin, "{error:?}");
    for base_url in [&plain, &named] {
        let error = honest(&plugin, base_url).await;
        assert!(error.is_none(), "{base_url}: {error:?}");
    }
    for base_url in [&unknown, &tls] {
        let error = honest(&plugin, base_url).await.expect("no such server");
        assert_ne!(
            *error.kind(),
            ErrorKind::Overloaded,
            "{base_url}: {error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_without_descriptors_is_overloaded_and_no_folder_is_blamed() {
    if orders().is_none() {
        let test = concat!(
            "budgets::connections::",
            "a_process_without_descriptors_is_overloaded_and_no_folder_is_blamed"
        );
        return run_child(&[], test, "none").await;
    }
    limit_open_files();
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (folder.path().join("1.wasm"), folder.path().join("2.wasm"));
    std::fs::write(&one, variants::version("0.2.0")).expect("a plugin");
    let policy = SwapPolicy::new().with_debounce(Duration::from_millis(20));
    let (_server, registry, slot) = slot(policy).await;
    let mut events = registry.subscribe();
    let watcher = slot.watch(Source::Directory(folder.path().to_owned()));
    let _watcher = watcher.expect("a runtime");
    event(&mut events, |one| matches!(one.what, What::Serving(_))).await;

    let mut all: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    // One is enough to list the folder, and not to read a file beside it.
    for left in 0..2 {
        let refusal = slot.offer_directory(folder.path()).await;
        let refusal = refusal.expect_err("no descriptor");
        let error = refusal.error();
        assert_eq!(*error.kind(), ErrorKind::Overloaded, "{left}: {error:?}");
        assert_eq!(refusal.stage(), Stage::Read, "{left}: {refusal}");
        assert!(error.retryable(), "{left}: {error:?}");
        assert!(error.message().contains("ulimit -n"), "{left}: {error}");
        event(&mut events, |one| matches!(one.what, What::Refused { .. })).await;
        all.pop();
    }
    all.extend(std::iter::from_fn(|| File::open("/dev/null").ok()));
    // The watcher notices that something has changed, and can't look at it.
    std::fs::rename(&one, &other).expect("renamed");
    let told = event(&mut events, |one| {
        matches!(one.what, What::Refused { .. } | What::Gone { .. })
    });
    match told.await.what {
        What::Refused { stage, error } => {
            assert_eq!(stage, Stage::Read);
            assert_eq!(*error.kind(), ErrorKind::Overloaded, "{error:?}");
        }
        what => panic!("nothing is known of the folder: {what:?}"),
    }
    drop(all);
    std::fs::write(&one, variants::version("0.3.0")).expect("a plugin");
    let serving = event(&mut events, |one| {
        assert!(!matches!(one.what, What::Gone { .. }), "{one:?}");
        matches!(one.what, What::Serving(_))
    });
    let serving = serving.await;
    assert_eq!(serving.version.as_deref(), Some("0.3.0"), "{serving:?}");
}
