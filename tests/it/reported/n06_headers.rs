//! Headers by which a gateway is told another path, method or file.

use http::{HeaderName, HeaderValue};
use provider_host::configuration::Configuration;
use provider_host::credentials::Profiles;
use provider_host::{Provider, Wiring};
use serde_json::json;

use super::wire::{Reads, Server, answer, ask, post};
use super::{Attack, ended};
use crate::support::{ask as question, model, plugin, run};

macro_rules! headers {
    ($($number:literal: $attempt:literal, $names:expr => $ends:expr;)*) => {
        /// Each row with the names that it stands for.
        const NAMES: &[(&str, &[&str])] = &[$(($number, $names)),*];
        pub(super) const ATTACKS: &[Attack] = &[
            $(Attack {
                number: $number,
                attempt: $attempt,
                ends: $ends,
                test: "a_header_that_a_gateway_acts_on_is_refused_unless_it_is_configured",
            },)*
        ];
    };
}

const ACTED_ON: &str = "could tell a proxy or a server another path, method, host, file or user; if the server needs it, \
     set it under `headers` in the provider's configuration";

const STANDARD: &str = "is not one that a provider needs, and servers and proxies may act on it; if the server needs it, \
     set it under `headers` in the provider's configuration";

headers! {
    "6a": "another path by `X-Original-URL`, `X-Rewrite-URL` and the like",
        &["x-original-url", "x-rewrite-url", "x-original-uri", "x-override-url", "x-request-uri",
          "x-forwarded-uri", "x-forwarded-path", "x-forwarded-prefix", "x-path-info", "base-url",
          "x-envoy-original-path", "x-replaced-path", "x-waws-unencoded-url"]
        => ACTED_ON;
    "6b": "another method by `X-HTTP-Method-Override`, `X-Method-Override` and the like",
        &["x-http-method-override", "x-method-override", "x-http-method", "x-original-method",
          "x-forwarded-method", "x-method"]
        => ACTED_ON;
    "6c": "a file of the gateway by `X-Accel-Redirect`, `X-Sendfile`",
        &["x-accel-redirect", "x-accel-buffering", "x-sendfile", "x-sendfile-type", "x-send-file",
          "x-lighttpd-send-file", "x-litespeed-location", "x-reproxy-url"]
        => ACTED_ON;
    "6d": "any of these with underscores or other characters that a gateway reads as hyphens",
        &["x_original_url", "x_http_method_override", "x-original_url", "content_type", "x.original.url",
          "x_forwarded_for", "http_host", "x~accel~redirect", "x--original-url", "-x-original-url",
          "x-original-url-"]
        => "has other characters than letters, digits and single hyphens";
    "6e": "another host or another upstream",
        &["x-host", "x-forwarded-host", "x-forwarded-server", "x-original-host", "x-backend-host",
          "x-upstream", "x-envoy-upstream-alt-stat-name", "x-envoy-original-dst-host", "x-proxy-url",
          "x-http-host-override", "x-route-to", "x-ms-routing-name"]
        => ACTED_ON;
    "6f": "another address, scheme or port of the caller",
        &["x-forwarded-for", "x-real-ip", "true-client-ip", "cf-connecting-ip", "x-client-ip",
          "x-cluster-client-ip", "x-originating-ip", "fastly-client-ip", "x-azure-clientip",
          "x-forwarded-proto", "x-forwarded-port", "x-url-scheme", "front-end-https"]
        => ACTED_ON;
    "6g": "another user",
        &["x-remote-user", "remote-user", "x-forwarded-user", "x-forwarded-email", "impersonate-user",
          "impersonate-group", "impersonate-extra-scopes", "x-goog-authenticated-user-email",
          "x-amzn-oidc-identity", "x-ms-client-principal", "x-auth-request-user", "x-webauth-user",
          "x-consumer-username", "x-forwarded-client-cert", "x-ssl-client-verify", "x-vault-token",
          "x-kubernetes-user", "x-scope-orgid", "x-cookie", "x-tenant-id"]
        => ACTED_ON;
    "6h": "a cookie, a range, a WebDAV operation, and what else standards define for intermediaries",
        &["cookie", "cookie2", "forwarded", "via", "range", "destination", "overwrite", "depth",
          "translate", "max-forwards", "origin", "early-data", "if-range", "sec-fetch-site",
          "content-location", "from", "priority", "sudo"]
        => STANDARD;
}

#[tokio::test]
async fn a_header_that_a_gateway_acts_on_is_refused_unless_it_is_configured() {
    let server = Server::start(Reads::Whole, |_| answer("200 OK", "ok")).await;
    let egress = server.egress("/v1");
    let request = |name: &str| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        let mut request = post(&server.url("/v1/chat/completions"), "{}");
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static("/admin"));
        request
    };
    for (number, names) in NAMES {
        for name in *names {
            let outcome = ask(&egress, request(name)).await;
            ended(number, &outcome);
            assert!(
                outcome.contains(&format!("the header `{name}` ")),
                "{outcome}"
            );
        }
    }
    assert!(server.requests().is_empty(), "{:?}", server.requests());

    // The same names are the user's to configure.
    for (_, names) in NAMES {
        for name in *names {
            let configured = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            let grant = server.grant("/v1").with_configured_headers([configured]);
            let egress = provider_host::egress::Egress::new(grant).expect("an egress");
            assert_eq!(
                ask(&egress, request(name)).await,
                "answered 200: ok",
                "{name}"
            );
        }
    }
    // Headers that providers send need no configuration.
    for name in [
        "authorization",
        "x-api-key",
        "api-key",
        "anthropic-version",
        "openai-organization",
        "x-request-id",
        "x-session-id",
        "traceparent",
        "x-stainless-helper-method",
        "x-goog-api-client",
        "http-referer",
        "x-title",
        "acme-version",
    ] {
        assert_eq!(
            ask(&egress, request(name)).await,
            "answered 200: ok",
            "{name}"
        );
    }
}

/// Every place of the configuration that names headers makes them the user's, and only those.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_of_the_configuration_reach_the_server_whatever_they_are_called() {
    fn vllm(_: &str) -> String {
        let events = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\
                      \"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        let length = events.len();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n{events}"
        )
    }
    let server = Server::start(Reads::Whole, vllm).await;
    let configuration = json!({ "models": { "providers": { "vllm": {
        "baseUrl": server.url("/v1"), "apiKey": "key",
        "headers": { "X-Forwarded-User": "of-the-provider", "X_Team": "with-underscores" },
        "request": { "headers": { "Impersonate-User": "of-the-request" } },
        "models": [{ "id": "m", "headers": { "Cookie": "of-the-model" } }],
    } } } });
    let configuration = Configuration::parse(&configuration.to_string(), "openclaw.json");
    let configuration = configuration.expect("a configuration");
    let wiring = Wiring::new(&configuration, plugin(), &|_| None, &Profiles::empty());
    let wiring = wiring.expect("good settings");
    let configured = wiring
        .provider(plugin(), wiring.settings())
        .expect("a provider");
    let built = Provider::builder(plugin())
        .base_url(server.url("/v1"))
        .api_key("key")
        .header("X-Forwarded-User", "of-the-provider")
        .build()
        .expect("a provider");
    let (_, error) = run(&configured, &model("m"), &question("Hi")).await;
    assert!(error.is_none(), "{error:?}");
    let (_, error) = run(&built, &model("m"), &question("Hi")).await;
    assert!(error.is_none(), "{error:?}");
    let requests = server.requests();
    for line in [
        "x-forwarded-user: of-the-provider",
        "x_team: with-underscores",
        "impersonate-user: of-the-request",
        "cookie: of-the-model",
    ] {
        assert!(requests[0].1.contains(line), "{line}: {requests:?}");
    }
    assert!(
        requests[1].1.contains("x-forwarded-user: of-the-provider"),
        "{requests:?}"
    );
}
