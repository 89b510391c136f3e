//! Names that no name server answers: chats that wait for one take nothing that another needs.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use provider_host::policy::NetworkLimits;
use provider_host::{Engine, EngineOptions, Plugin};

use super::support::{honest, orders, run_child, server};
use crate::support::{ask, model, provider_of, run};

/// Chats that ask for a name that is never answered.
const WAITING: usize = 300;

/// What asks the system for a dead name: a name server that reads nothing, in a mount namespace
/// where it is the only one.
const NAME_SERVER: &str = "127.53.0.1:53";

#[test]
fn three_hundred_chats_for_a_dead_name_do_not_delay_a_chat_with_localhost() {
    let many = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Fewer than there are chats: no lookup may use these threads.
        .max_blocking_threads(64)
        .enable_all()
        .build()
        .expect("a runtime");
    match orders() {
        Some(orders) => {
            let chats = many.spawn(async move { beside_a_dead_name(&orders).await });
            let ended = many.block_on(chats);
            // Threads that look names up for other reasons are not waited for.
            many.shutdown_background();
            ended.expect("no delay");
        }
        None => many.block_on(in_a_child()),
    }
}

async fn in_a_child() {
    let server = server().await;
    let silent = UdpSocket::bind(NAME_SERVER);
    let folder = tempfile::tempdir().expect("a folder");
    let resolv = folder.path().join("resolv.conf");
    let (ip, _) = NAME_SERVER.split_once(':').expect("an address");
    let lines = format!("nameserver {ip}\noptions timeout:30 attempts:1\n");
    std::fs::write(&resolv, lines).expect("a file");
    let mounted = format!(
        "mount --bind '{}' /etc/resolv.conf && exec \"$0\" \"$@\"",
        resolv.display()
    );
    let through = ["unshare", "-rm", "sh", "-c", &mounted];
    let test = concat!(
        "budgets::names::",
        "three_hundred_chats_for_a_dead_name_do_not_delay_a_chat_with_localhost"
    );
    let can = Command::new(through[0])
        .args(&through[1..])
        .arg("true")
        .output()
        .is_ok_and(|output| output.status.success());
    match can && silent.is_ok() {
        true => run_child(&through, test, &format!("dead {server}")).await,
        // Where the system does not let a test have its own name server, the name may be answered.
        false => run_child(&[], test, &format!("perhaps {server}")).await,
    }
}

async fn beside_a_dead_name(orders: &str) {
    let (dead, server) = orders.split_once(' ').expect("two orders");
    let server: SocketAddr = server.parse().expect("an address");
    let mut options = EngineOptions::default();
    options.max_chats = 400;
    let engine = Engine::new(options).expect("an engine");
    let plugin = Plugin::embedded(&engine).expect("the plugin");
    let patient = NetworkLimits::new().with_connect_timeout(Duration::from_secs(60));
    let waiting: Vec<_> = (0..WAITING)
        .map(|_| {
            let url = "http://nobody-answers.example:1/v1";
            let provider = provider_of(&plugin, url, "any", patient.clone());
            tokio::spawn(async move { run(&provider, &model("m"), &ask("Hello?")).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let localhost = format!("http://localhost:{}/v1", server.port());
    for _ in 0..8 {
        let honest = honest(&plugin, &localhost);
        let error = tokio::time::timeout(Duration::from_secs(15), honest).await;
        let error = error.expect("an end before those with a dead name");
        assert!(error.is_none(), "{error:?}");
    }
    let ended = waiting.iter().filter(|one| one.is_finished()).count();
    assert!(dead != "dead" || ended == 0, "{ended} did not wait");
    println!("8 chats with localhost ended, {ended} of {WAITING} with a dead name");
    waiting.iter().for_each(|one| one.abort());
}
