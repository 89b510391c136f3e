//! Which header fields a plugin may send that the user did not configure.
//!
//! A gateway, a proxy or a framework in front of a server reads some fields as another path, another
//! method, another host, a file to send or another user: `X-Original-URL`, `X-HTTP-Method-Override`,
//! `X-Forwarded-Host`, `X-Accel-Redirect`, `Impersonate-User`, `Cookie`. With them a plugin would reach
//! what its grant does not cover, or act as somebody else.
//!
//! # The rule
//!
//! The first that applies decides.
//!
//! 1. A field that the user configured may be sent. [`Grant::configured_headers`] has the names.
//! 2. A name consists of letters, digits and single hyphens. CGI, WSGI and several gateways read `_`,
//!    and some read every other character, as `-`: `X_Forwarded_Host` arrives as `X-Forwarded-Host`.
//! 3. The fields of [`KNOWN`] and [`FAMILIES`] may be sent: what HTTP defines for a request's content and
//!    its credentials, tracing, and what clients of model servers send.
//! 4. A name of one word may not be sent, nor one that begins with a word of [`STANDARD`]. Fields of
//!    that form are defined by standards, and intermediaries act on them (`Range`, `Forwarded`, `If-…`,
//!    `Sec-…`).
//! 5. A name with a word that speaks of routing, of proxies or of identities may not be sent: [`WORDS`],
//!    [`STEMS`].
//! 6. Any other name may be sent (`x-session-id`, `acme-version`). A provider's API is free to have fields
//!    of its own, so a list of complete names would refuse providers that nobody has written yet.
//!
//! What is refused wrongly can be configured by the user under `headers`; the denial says so.
//!
//! Sources: the fields that nginx, Apache, IIS, Envoy, HAProxy, Traefik, Kong, CDNs, oauth2-proxy, the
//! Kubernetes API, Symfony, Rails, Django, Zend and Spring read for these purposes, and the IANA registry
//! of HTTP field names.
//!
//! [`Grant::configured_headers`]: super::Grant::configured_headers

/// Fields that a provider may send, beside those that rule 6 admits.
const KNOWN: &[&str] = &[
    // Content, its negotiation, conditions (RFC 9110), caching (RFC 9111), preferences (RFC 7240).
    "accept",
    "accept-charset",
    "accept-language",
    "cache-control",
    "content-digest",
    "content-encoding",
    "content-language",
    "content-type",
    "date",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "last-event-id",
    "pragma",
    "prefer",
    "referer",
    "user-agent",
    // Credentials and signatures.
    "apikey",
    "authorization",
    "dpop",
    "signature",
    "signature-input",
    "token",
    // Tracing.
    "b3",
    "baggage",
    "traceparent",
    "tracestate",
    // Clients of model servers whose names rule 5 would refuse.
    "http-referer",
    "mcp-protocol-version",
    "x-amz-target",
    "x-goog-user-project",
    "x-server-timeout",
    "x-vscode-user-agent-library-version",
];

/// Beginnings of fields that one API defines for its own clients.
const FAMILIES: &[&str] = &["anthropic-", "openai-", "x-amzn-bedrock-", "x-stainless-"];

/// First words of fields that standards define.
const STANDARD: &[&str] = &[
    "accept",
    "access",
    "alt",
    "apply",
    "connection",
    "content",
    "cross",
    "device",
    "early",
    "expect",
    "if",
    "keep",
    "max",
    "save",
    "sec",
    "set",
    "strict",
    "te",
    "trailer",
    "transfer",
    "viewport",
    "want",
    "www",
];

/// Words of names that are refused, as whole words.
const WORDS: &[&str] = &[
    "act", "acting", "amzn", "arr", "as", "base", "cf", "clientip", "dest", "dn", "document",
    "dst", "edge", "fly", "gae", "iap", "iis", "internal", "ip", "ips", "ipv4", "ipv6", "jwt",
    "lb", "lock", "original", "port", "ports", "range", "real", "realip", "remoteip", "root",
    "scope", "scopes", "script", "source", "sourceip", "src", "sub", "true", "verb", "via", "waf",
];

/// Beginnings and ends of words of names that are refused.
const STEMS: &[&str] = &[
    "accel",
    "addr",
    "admin",
    "akamai",
    "apache",
    "apisix",
    "appengine",
    "appservice",
    "authenticat",
    "authority",
    "azure",
    "backend",
    "balancer",
    "behalf",
    "cdn",
    "cert",
    "cloudflare",
    "cloudfront",
    "cluster",
    "connecting",
    "consul",
    "cookie",
    "delegat",
    "depth",
    "destination",
    "downstream",
    "email",
    "envoy",
    "etcd",
    "fastly",
    "file",
    "forward",
    "front",
    "gateway",
    "group",
    "haproxy",
    "heroku",
    "host",
    "http",
    "identity",
    "impersonat",
    "ingress",
    "istio",
    "k8s",
    "kong",
    "kube",
    "lighttpd",
    "litespeed",
    "location",
    "login",
    "method",
    "mtls",
    "netlify",
    "nginx",
    "nomad",
    "oidc",
    "org",
    "origin",
    "overrid",
    "overwrite",
    "path",
    "peer",
    "prefix",
    "principal",
    "proto",
    "proxied",
    "proxy",
    "query",
    "redirect",
    "remote",
    "rewrit",
    "role",
    "rout",
    "saml",
    "scheme",
    "server",
    "service",
    "spiffe",
    "ssl",
    "subject",
    "sudo",
    "surrogate",
    "target",
    "tenant",
    "tls",
    "traefik",
    "translate",
    "upgrade",
    "upstream",
    "uri",
    "url",
    "user",
    "varnish",
    "vault",
    "vercel",
];

/// Judges the name of a field, in lower case, that the user did not configure.
///
/// # Errors
///
/// Why it is refused, as a clause behind the field's name.
pub(super) fn judge(name: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !name.bytes().all(plain) || name.split('-').any(str::is_empty) {
        return Err("has other characters than letters, digits and single hyphens");
    }
    if KNOWN.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family)) {
        return Ok(());
    }
    let standard = match name.split_once('-') {
        Some((first, _)) => STANDARD.contains(&first),
        None => true,
    };
    if standard {
        return Err("is not one that a provider needs, and servers and proxies may act on it");
    }
    let refused = |word: &str| {
        let stem = |stem: &&str| word.starts_with(stem) || word.ends_with(stem);
        WORDS.contains(&word) || STEMS.iter().any(stem)
    };
    if name.split('-').any(refused) {
        return Err("could tell a proxy or a server another path, method, host, file or user");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_providers_send_is_allowed() {
        for name in [
            "authorization",
            "content-type",
            "accept",
            "user-agent",
            "api-key",
            "x-api-key",
            "xi-api-key",
            "x-key",
            "anthropic-version",
            "anthropic-beta",
            "anthropic-dangerous-direct-browser-access",
            "openai-organization",
            "openai-project",
            "openai-beta",
            "openai-intent",
            "x-request-id",
            "x-client-request-id",
            "x-correlation-id",
            "x-session-id",
            "mcp-session-id",
            "idempotency-key",
            "x-idempotency-key",
            "traceparent",
            "tracestate",
            "baggage",
            "x-b3-traceid",
            "x-datadog-trace-id",
            "x-stainless-lang",
            "x-stainless-os",
            "x-stainless-retry-count",
            "x-stainless-helper-method",
            "x-goog-api-key",
            "x-goog-api-client",
            "x-goog-user-project",
            "x-goog-request-params",
            "x-ms-client-request-id",
            "x-amz-date",
            "x-amz-security-token",
            "x-amz-content-sha256",
            "x-amzn-bedrock-trace",
            "x-amzn-bedrock-guardrailidentifier",
            "ocp-apim-subscription-key",
            "http-referer",
            "x-title",
            "x-openrouter-title",
            "x-use-cache",
            "x-wait-for-model",
            "x-dashscope-sse",
            "nvcf-poll-seconds",
            "copilot-integration-id",
            "editor-version",
            "x-github-api-version",
            "chatgpt-account-id",
            "helicone-auth",
            "x-portkey-api-key",
            "x-auth-token",
            "x-vllm-priority",
            "acme-version",
        ] {
            assert_eq!(judge(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_a_proxy_or_a_framework_acts_on_is_refused() {
        for name in [
            // Another path, query, host or scheme.
            "x-original-url",
            "x-original-uri",
            "x-original-host",
            "x-originalurl",
            "x-rewrite-url",
            "x-rewriteurl",
            "x-override-url",
            "x-request-uri",
            "x-request-path",
            "x-request-url",
            "request-uri",
            "base-url",
            "x-base-url",
            "x-uri",
            "x-url-scheme",
            "x-scheme",
            "x-path-info",
            "x-script-name",
            "x-http-destinationurl",
            "x-http-host-override",
            "x-host",
            "x-host-override",
            "x-backend-host",
            "x-forwarded-host",
            "x-forwarded-server",
            "x-forwarded-prefix",
            "x-forwarded-path",
            "x-forwarded-uri",
            "x-forwarded-method",
            "x-forwarded-proto",
            "x-forwarded-port",
            "x-forwarded-ssl",
            "x-forwarded-scheme",
            "x-forward-for",
            "x-waws-unencoded-url",
            "front-end-https",
            "x-envoy-original-path",
            "x-envoy-original-dst-host",
            "x-envoy-upstream-alt-stat-name",
            "x-envoy-decorator-operation",
            "x-envoy-internal",
            "x-upstream",
            "x-route-to",
            "x-ms-routing-name",
            "x-proxy-url",
            "proxy-host",
            "x-target-url",
            "x-kong-upstream-host",
            // Another method.
            "x-http-method",
            "x-http-method-override",
            "x-method-override",
            "x-method",
            "x-original-method",
            "x-tunneled-method",
            // A file, a cache, a WebDAV operation.
            "x-accel-redirect",
            "x-accel-buffering",
            "x-sendfile",
            "x-sendfile-type",
            "x-send-file",
            "x-lighttpd-send-file",
            "x-litespeed-location",
            "destination",
            "overwrite",
            "depth",
            "lock-token",
            "translate",
            "range",
            "if-range",
            "x-amz-copy-source",
            "x-wap-profile",
            "profile",
            "surrogate-capability",
            // Another caller.
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-user",
            "x-forwarded-email",
            "x-forwarded-groups",
            "x-forwarded-access-token",
            "x-forwarded-client-cert",
            "x-real-ip",
            "x-realip",
            "x-client-ip",
            "client-ip",
            "true-client-ip",
            "x-cluster-client-ip",
            "x-originating-ip",
            "x-remote-ip",
            "x-remote-addr",
            "x-remote-user",
            "remote-user",
            "x-custom-ip-authorization",
            "x-user",
            "x-user-id",
            "x-username",
            "x-auth-user",
            "x-auth-request-user",
            "x-auth-request-email",
            "x-authenticated-user",
            "x-authenticated-userid",
            "x-consumer-username",
            "x-webauth-user",
            "x-proxy-user",
            "x-goog-authenticated-user-email",
            "x-goog-authenticated-user-id",
            "x-goog-iap-jwt-assertion",
            "x-amzn-oidc-identity",
            "x-amzn-oidc-data",
            "x-amzn-trace-id",
            "x-amzn-mtls-clientcert",
            "x-ms-client-principal",
            "x-ms-client-principal-name",
            "x-azure-clientip",
            "x-appengine-user-ip",
            "cf-connecting-ip",
            "cf-access-authenticated-user-email",
            "cf-ipcountry",
            "fastly-client-ip",
            "fastly-ssl",
            "x-akamai-edgescape",
            "x-ssl-client-verify",
            "ssl-client-cert",
            "x-client-cert",
            "x-kubernetes-pf-flowschema-uid",
            "impersonate-user",
            "impersonate-group",
            "impersonate-extra-scopes",
            "x-vault-token",
            "x-vault-namespace",
            "x-consul-token",
            "x-scope-orgid",
            "x-tenant-id",
            "x-grafana-org-id",
            "x-run-as",
            "x-on-behalf-of",
            "x-sudo",
            "sudo",
            "cookie",
            "cookie2",
            "set-cookie",
            "x-cookie",
            // Fields of standards.
            "host",
            "via",
            "from",
            "origin",
            "max-forwards",
            "upgrade",
            "upgrade-insecure-requests",
            "http2-settings",
            "proxy-authorization",
            "proxy-connection",
            "early-data",
            "alt-used",
            "priority",
            "service-worker",
            "sec-fetch-site",
            "access-control-request-method",
            "content-location",
            "content-disposition",
            "x-client-hostname",
        ] {
            assert!(judge(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_name_has_letters_digits_and_single_hyphens() {
        for name in [
            "x_original_url",
            "content_type",
            "x_api_key",
            "x.original.url",
            "x-session~id",
            "x-a|b",
            "x-a'b",
            "x!a",
            "x--a",
            "-x-a",
            "x-a-",
            "-",
            "",
        ] {
            let why = "has other characters than letters, digits and single hyphens";
            assert_eq!(judge(name), Err(why), "{name}");
        }
    }
}
