//! Between this machine and the server.

use serde_json::{Value, json};

use super::canned::{Canned, Full, closed_port, http};
use super::scene::{Case, Scene};
use crate::cli::server::Server;

const LIST: &[&str] = &["models", "list"];
const CHAT: &[&str] = &["chat", "Say hello."];

/// Discovery at this URL, with time enough on a busy machine.
fn discovering(url: &str) -> Value {
    json!({
        "models": {"providers": {"vllm": {"baseUrl": url, "timeoutSeconds": 30, "apiKey": "x"}}},
        "agents": {"defaults": {"model": "vllm/tiny", "models": {"vllm/*": {}}}},
    })
}

/// The same, and the model is declared, so that a chat asks for nothing first.
fn declaring(url: &str) -> Value {
    let mut configuration = discovering(url);
    configuration["models"]["providers"]["vllm"]["models"] = json!([{"id": "tiny"}]);
    configuration
}

/// `models list` and `chat` with the same server.
fn both<S: 'static>(
    title: &str,
    start: impl Fn() -> (S, String) + Clone + Send + 'static,
) -> [Case; 2] {
    let again = start.clone();
    [
        Case::new(format!("{title}: models"), move || {
            let (server, url) = start();
            Scene::configured(&discovering(&url), LIST).with(server)
        }),
        Case::new(format!("{title}: a chat"), move || {
            let (server, url) = again();
            Scene::configured(&declaring(&url), CHAT).with(server)
        }),
    ]
}

/// The same with a server that keeps its clients waiting: for a second.
fn waiting<S: 'static>(
    title: &str,
    start: impl Fn() -> (S, String) + Clone + Send + 'static,
) -> [Case; 2] {
    both(title, start).map(|case| {
        case.changed(|scene| {
            let file = scene.home().path(".openclaw/openclaw.json");
            let text = std::fs::read_to_string(&file).expect("a configuration");
            let shorter = text.replace("\"timeoutSeconds\":30", "\"timeoutSeconds\":1");
            assert_ne!(text, shorter);
            std::fs::write(file, shorter).expect("a configuration");
            scene
        })
    })
}

/// A server that answers everything with these bytes.
fn raw(title: &str, answer: impl Fn() -> Vec<u8> + Clone + Send + 'static) -> [Case; 2] {
    both(title, move || {
        let server = Canned::raw(answer());
        let url = server.url("http");
        (server, url)
    })
}

pub(super) fn cases() -> Vec<Case> {
    let page = "<!doctype html><html><head><title>Grafana</title></head><body></body></html>";
    let mut cases = Vec::new();
    cases.extend(both("Nothing listens on the port", || ((), closed_port())));
    cases.extend(both("The host's name does not exist", || {
        ((), "http://nowhere.invalid:8000/v1".to_owned())
    }));
    cases.extend(waiting("No connection in time", || {
        let full = Full::start();
        let url = full.url();
        (full, url)
    }));
    cases.extend(both("https to a server that speaks plain HTTP", || {
        let server = Server::tiny();
        let url = server.base_url().replace("http:", "https:");
        (server, url)
    }));
    cases.extend(both("http to a server that speaks TLS", || {
        let server = Canned::tls("127.0.0.1");
        let url = server.url("http");
        (server, url)
    }));
    cases.extend(waiting("https to a server that never answers", || {
        let server = Canned::silent();
        let url = server.url("https");
        (server, url)
    }));
    cases.extend(both("A certificate that nobody vouches for", || {
        let server = Canned::tls("127.0.0.1");
        let url = server.url("https");
        (server, url)
    }));
    cases.extend(waiting("A server that never answers", || {
        let server = Canned::silent();
        let url = server.url("http");
        (server, url)
    }));
    cases.extend(both("A port of something else: SSH", || {
        let server = Canned::greeting("SSH-2.0-OpenSSH_9.6\r\n");
        let url = server.url("http");
        (server, url)
    }));
    cases.extend(raw("A port of something else: a web page", move || {
        http("200 OK", &["content-type: text/html"], page)
    }));
    cases.extend(raw("An answer that is not JSON", || {
        http("200 OK", &["content-type: text/plain"], "It works!")
    }));
    cases.extend(raw("An answer of another API", || {
        http(
            "200 OK",
            &["content-type: application/json"],
            r#"{"version":"0.6.2"}"#,
        )
    }));
    cases.extend(both("A base URL without /v1", || {
        let server = Server::tiny();
        let url = server.base_url().replace("/v1", "");
        (server, url)
    }));
    cases.extend(both("A base URL with a path that is not there", || {
        let server = Server::tiny();
        let url = server.base_url().replace("/v1", "/openai/v1");
        (server, url)
    }));
    cases.extend(raw("A redirect", || {
        http(
            "308 Permanent Redirect",
            &["location: https://gpu.example/v1/models"],
            "",
        )
    }));
    cases.extend(raw("A compressed answer", || {
        http(
            "200 OK",
            &["content-type: application/json", "content-encoding: gzip"],
            b"\x1f\x8b\x08\x00",
        )
    }));
    cases.extend(raw("A header section that is too large", || {
        let cookie = format!("set-cookie: a={}", "x".repeat(70_000));
        http("200 OK", &[&cookie], "{}")
    }));
    cases.extend(raw("A proxy whose server is down", || {
        http(
            "502 Bad Gateway",
            &["content-type: text/html"],
            "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
        )
    }));
    cases.extend(raw("A proxy that finds the request too large", || {
        http(
            "413 Request Entity Too Large",
            &["content-type: text/html"],
            "<html><head><title>413 Request Entity Too Large</title></head></html>",
        )
    }));
    cases.push(Case::new("A configured proxy wants a password", || {
        let fields = ["proxy-authenticate: Basic realm=\"office\""];
        let proxy = Canned::raw(http("407 Proxy Authentication Required", &fields, ""));
        let mut configuration = declaring("https://gpu.example/v1");
        let url = proxy.url("http").replace("/v1", "");
        configuration["models"]["providers"]["vllm"]["request"] = json!({"proxy": url});
        Scene::configured(&configuration, CHAT).with(proxy)
    }));
    cases.push(Case::new("A path that takes no chats", || {
        let server = Canned::raw(http(
            "405 Method Not Allowed",
            &["content-type: application/json"],
            r#"{"detail":"Method Not Allowed"}"#,
        ));
        Scene::configured(&declaring(&server.url("http")), CHAT).with(server)
    }));
    cases.push(Case::new("An address that is never dialled", || {
        // The whole block of TEST-NET-1 is no address that is ever dialled.
        Scene::configured(&declaring("http://192.0.2.1:8000/v1"), CHAT)
    }));
    cases
}
