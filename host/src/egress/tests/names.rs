//! What a resolver may bring about: nothing that the grant does not cover.

use super::super::{NetworkTransport, Resolver, Resolving};
use super::*;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A resolver that answers each look-up with the next line of its script, and the last for ever.
struct Scripted {
    script: Vec<Vec<IpAddr>>,
    asked: Arc<AtomicUsize>,
}

impl Resolver for Scripted {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        assert_eq!(host, "gpu.example");
        let time = self.asked.fetch_add(1, Ordering::SeqCst);
        let line = self.script[time.min(self.script.len() - 1)].clone();
        Box::pin(async move { Ok(line) })
    }
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A door to `gpu.example`, a public name, which resolves by `script`; how often it was asked; and its URL.
fn named(script: Vec<Vec<IpAddr>>, port: u16, private: bool) -> (Hooks, Arc<AtomicUsize>, String) {
    let url = format!("http://gpu.example:{port}/v1");
    let grant = Grant::new(Origin::parse(&url).unwrap()).with_private_network(private);
    let asked = Arc::new(AtomicUsize::new(0));
    let resolver = Scripted {
        script,
        asked: Arc::clone(&asked),
    };
    let transport = NetworkTransport::with_resolver(&grant, Arc::new(resolver)).unwrap();
    let egress = Egress::with_transport(grant, Arc::new(transport));
    (egress.hooks(), asked, url)
}

/// An IPv4 address in each form in which IPv6 can say it.
fn spellings(v4: Ipv4Addr) -> Vec<IpAddr> {
    let [a, b, c, d] = v4.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let v6 = |parts: [u16; 8]| IpAddr::V6(Ipv6Addr::from(parts));
    vec![
        v4.into(),
        v6([0, 0, 0, 0, 0, 0xffff, high, low]),
        v6([0, 0, 0, 0, 0, 0, high, low]),
        v6([0, 0, 0, 0, 0xffff, 0, high, low]),
        v6([0x64, 0xff9b, 0, 0, 0, 0, high, low]),
        v6([0x64, 0xff9b, 1, 0, 0, 0, high, low]),
        v6([0x2002, high, low, 0, 0, 0, 0, 1]),
        v6([0x2a00, 0x1450, 0, 0, 0, 0x5efe, high, low]),
        v6([0x2a00, 0x1450, 0, 0, 0x200, 0x5efe, high, low]),
        // Teredo, with the address of its server and, inverted, of its client.
        v6([0x2001, 0, high, low, 0, 0, !high, !low]),
    ]
}

#[tokio::test]
async fn a_name_that_resolves_to_an_address_out_of_reach_is_not_dialled_however_it_is_spelled() {
    // Never, and not for a public name.
    let never = ["169.254.169.254", "100.100.100.200", "0.0.0.0", "224.0.0.1"];
    let not_public = ["127.0.0.1", "10.0.0.1", "192.168.0.1", "100.64.0.1"];
    let (server, requests) = answering(OK).await;
    for (texts, private) in [(never, false), (never, true), (not_public, false)] {
        for v4 in texts {
            for address in spellings(v4.parse().unwrap()) {
                let (mut hooks, _, url) = named(vec![vec![address]], server.port(), private);
                let told = fetch(&mut hooks, get(&url)).await.unwrap_err();
                assert_eq!(told, "DestinationIpProhibited", "{address}");
                assert!(!hooks.request_sent());
            }
        }
    }
    for address in [
        "fe80::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "100::1",
        "5f00::1",
    ] {
        let (mut hooks, _, url) = named(vec![ips(&[address])], server.port(), true);
        let told = fetch(&mut hooks, get(&url)).await.unwrap_err();
        assert_eq!(told, "DestinationIpProhibited", "{address}");
    }
    assert!(requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn of_good_and_bad_addresses_only_the_good_ones_are_dialled() {
    let (server, requests) = answering(OK).await;
    let mixed = ips(&["169.254.169.254", "fd00:ec2::254", "127.0.0.1", "fe80::1"]);
    let (mut hooks, asked, url) = named(vec![mixed], server.port(), true);
    assert_eq!(fetch(&mut hooks, get(&url)).await.unwrap(), "ok");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_judged_address_is_the_dialled_one_and_a_new_connection_is_judged_anew() {
    // The server closes after each answer, so that each request needs a connection.
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    let (server, requests) = answering(answer).await;
    // What the name says the second time has a listener too: it would be noticed.
    let other = TcpListener::bind(("127.0.0.2", server.port()))
        .await
        .unwrap();
    let script = vec![
        ips(&["127.0.0.1"]),
        ips(&["169.254.169.254"]),
        ips(&["127.0.0.1"]),
    ];
    let (mut hooks, asked, url) = named(script, server.port(), true);
    for (time, expected) in [
        (1, Ok("ok")),
        (2, Err("DestinationIpProhibited")),
        (3, Ok("ok")),
    ] {
        let answer = fetch(&mut hooks, get(&url)).await;
        let answer = answer.as_deref().map_err(String::as_str);
        assert_eq!(answer, expected, "time {time}");
        // One look-up for each connection: there is no second answer that could be dialled.
        assert_eq!(asked.load(Ordering::SeqCst), time);
    }
    assert_eq!(requests.lock().unwrap().len(), 2);
    let (mut hooks, asked, url) = named(
        vec![ips(&["127.0.0.1"]), ips(&["127.0.0.2"])],
        server.port(),
        true,
    );
    assert_eq!(fetch(&mut hooks, get(&url)).await.unwrap(), "ok");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let reached = tokio::time::timeout(Duration::from_millis(50), other.accept()).await;
    assert!(
        reached.is_err(),
        "another address than the judged one was dialled"
    );
}

#[tokio::test]
async fn a_connection_that_is_kept_is_not_led_elsewhere_by_its_name() {
    let (server, requests) = answering(OK).await;
    let script = vec![ips(&["127.0.0.1"]), ips(&["169.254.169.254"])];
    let (mut hooks, asked, url) = named(script, server.port(), true);
    for _ in 0..3 {
        assert_eq!(fetch(&mut hooks, get(&url)).await.unwrap(), "ok");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(requests.lock().unwrap().len(), 3);
}

/// A resolver that never answers, or fails with a flood of words.
struct Broken(Option<String>);

impl Resolver for Broken {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            match &self.0 {
                Some(words) => Err(io::Error::other(words.clone())),
                None => std::future::pending().await,
            }
        })
    }
}

/// A resolver that answers once it may, and is slow until then.
struct Slow {
    asked: AtomicUsize,
    may: tokio::sync::watch::Receiver<bool>,
    words: Option<&'static str>,
}

impl Resolver for Slow {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut may = self.may.clone();
        Box::pin(async move {
            let _ = may.wait_for(|may| *may).await;
            match self.words {
                Some(words) => Err(io::Error::other(words)),
                None => Ok(vec![Ipv4Addr::LOCALHOST.into()]),
            }
        })
    }
}

#[tokio::test]
async fn all_who_wait_share_one_lookup_of_a_replaced_resolver() {
    let (server, _) = answering(OK).await;
    let url = format!("http://gpu.example:{}/v1", server.port());
    for words in [None, Some("no")] {
        let (let_go, may) = tokio::sync::watch::channel(false);
        let resolver = Arc::new(Slow {
            asked: AtomicUsize::new(0),
            may,
            words,
        });
        let grant = Grant::new(Origin::parse(&url).unwrap())
            .with_private_network(true)
            .with_limits(NetworkLimits::new().with_pool_idle_connections(0));
        let transport = NetworkTransport::with_resolver(&grant, resolver.clone()).unwrap();
        let egress = Egress::with_transport(grant, Arc::new(transport));
        let ask = || {
            let (egress, url) = (egress.clone(), url.clone());
            tokio::spawn(async move { fetch(&mut egress.hooks(), get(&url)).await })
        };
        let mut waiting: Vec<_> = (0..100).map(|_| ask()).collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        // The one that polls the lookup leaves, and others go on with it.
        for left in waiting.drain(..50) {
            left.abort();
        }
        waiting.extend((0..50).map(|_| ask()));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(resolver.asked.load(Ordering::SeqCst), 1);
        let_go.send_replace(true);
        for answer in waiting {
            assert_eq!(answer.await.unwrap().is_ok(), words.is_none());
        }
        assert_eq!(resolver.asked.load(Ordering::SeqCst), 1);
        // An address is never kept, a failure for a moment.
        let mut hooks = egress.hooks();
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(send(&mut hooks, get(&url)).await);
        }
        let asked = resolver.asked.load(Ordering::SeqCst);
        assert_eq!(asked == 1, words.is_some(), "{asked}");
    }
}

#[tokio::test]
async fn a_resolver_that_fails_or_never_answers_is_a_typed_failure() {
    let url = "http://gpu.example/v1";
    for (words, expected) in [
        (None, "DnsTimeout"),
        (Some("\x1b[2J".repeat(1 << 20)), "DnsError"),
    ] {
        let limits = NetworkLimits::new().with_connect_timeout(Duration::from_millis(40));
        let grant = Grant::new(Origin::parse(url).unwrap()).with_limits(limits);
        let resolver = Arc::new(Broken(words));
        let transport = NetworkTransport::with_resolver(&grant, resolver).unwrap();
        let mut hooks = Egress::with_transport(grant, Arc::new(transport)).hooks();
        let told = fetch(&mut hooks, get(url)).await.unwrap_err();
        assert!(
            told.starts_with(expected) && told.len() < 2048,
            "{} bytes",
            told.len()
        );
    }
}
