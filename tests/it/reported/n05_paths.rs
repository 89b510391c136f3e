//! Paths that leave the granted base path.

use provider_host::policy::BasePath;

use super::wire::{Reads, Server, answer, ask, get};
use super::{Attack, ended};

const NOT_BELOW: &str = "is not below the granted `/teams/v4lidator/`";

macro_rules! paths {
    ($($number:literal: $attempt:literal, $paths:expr => $ends:expr;)*) => {
        /// Each row with the paths that it stands for, behind the base path.
        const PATHS: &[(&str, &[&str])] = &[$(($number, $paths)),*];
        pub(super) const ATTACKS: &[Attack] = &[
            $(Attack {
                number: $number,
                attempt: $attempt,
                ends: $ends,
                test: "no_spelling_of_a_path_leaves_the_base_path",
            },)*
            Attack {
                number: "5q",
                attempt: "a base path `/teams/v4lidator`, whose end looks like the version of an API",
                ends: NOT_BELOW,
                test: "a_name_that_begins_like_a_version_is_not_one",
            },
            Attack {
                number: "5r",
                attempt: "a base URL with a backslash, a tab or one slash, of which the URL rules and the \
                          host read different paths",
                ends: "write it as http://HOST/PATH",
                test: "a_base_url_that_can_be_read_in_two_ways_grants_nothing",
            },
        ];
    };
}

paths! {
    "5a": "dots that are encoded twice, each character by itself",
        &["/%25%32%65%25%32%65/team-b", "/%252e%252e/team-b", "/%25252e%25252e/team-b", "/%2%35%32e/x"]
        => "the request's path contains";
    "5b": "dots in overlong UTF-8 of two, three and four bytes",
        &["/%c0%ae%c0%ae/team-b", "/%e0%80%ae%e0%80%ae/team-b", "/%f0%80%80%ae%f0%80%80%ae/team-b",
          "/%C0%2E/x", "/%e0%40%ae/x", "/%f8%80%80%80%ae/x"]
        => "the request's path contains";
    "5c": "`..` before an encoded question mark",
        &["/..%3f/team-b", "/..%3F", "/x%3f/../team-b"] => "the request's path contains";
    "5d": "`..` before an encoded number sign",
        &["/..%23/team-b", "/..%23"] => "the request's path contains an encoded delimiter";
    "5e": "`..` before an encoded space",
        &["/..%20/team-b", "/%20../team-b", "/..%a0/x"] => "the request's path contains";
    "5f": "full-width dots and other characters that a mapping turns into dots",
        &["/\u{ff0e}\u{ff0e}/team-b", "/%EF%BC%8E%EF%BC%8E/team-b", "/%E2%80%A4%E2%80%A4/x",
          "/%E2%80%A5/x", "/%E3%80%82%E3%80%82/x", "/%EF%BD%A1%EF%BD%A1/x", "/\u{2025}/x"]
        => "outside of ASCII";
    "5g": "bytes above 127 that are not UTF-8, as they are and encoded",
        &["/%fe%fe/team-b", "/%ae%ae/team-b", "/%80", "/%ff"] => "outside of ASCII";
    "5h": "an encoded slash or backslash, and slashes of other scripts",
        &["/..%2fteam-b", "/x%2f..%2f..%2fteam-b", "/..%5cteam-b", "/%EF%BC%8Fx", "/%E2%88%95x"]
        => "the request's path contains";
    "5i": "segments that begin with `..`",
        &["/..", "/../team-b", "/...", "/..x", "/..:x", "/x/..=/y", "/..,"]
        => "the request's path contains a dot segment";
    "5j": "a parameter behind a segment, which some servers leave out",
        &["/v1;x/models", "/x;/y", "/x;a=b"] => "the request's path contains a semicolon";
    "5k": "single dots, empty segments and dots at the end of a segment",
        &["/./x", "//team-b", "/v1//x", "/x./y", "/v1/models.", "/.%2e/x", "/%2e/x"]
        => "the request's path contains";
    "5l": "control characters, as a server that strips them reads them",
        &["/.%09./team-b", "/.%0d./x", "/.%0a./x", "/%00../x", "/.%7f./x", "/.%c2%85./x"]
        => "the request's path contains an encoded";
    "5m": "letters that are encoded though they need not be, to get past a rule of the gateway",
        &["/v1/%61dmin", "/%76%31/models", "/v1/mode%6Cs", "/%7Euser", "/a%2Db"]
        => "the request's path encodes a character that needs no encoding";
    "5n": "invisible characters between dots",
        &["/.%E2%80%8B./x", "/.%C2%AD./x", "/.\u{200b}./x", "/.\u{feff}./x"] => "outside of ASCII";
    "5o": "`..` in a query, for a gateway that normalizes the whole target",
        &["/v1?/../../team-b", "/v1?../../team-b", "/v1?x=/%2e%2e/team-b", "/v1?x=%2F..%2Fteam-b"]
        => "the request's query contains a dot segment";
    "5p": "a second question mark, a semicolon, a backslash or a line break in a query",
        &["/v1?a?b", "/v1?a;b", "/v1?a\\..\\b", "/v1?a%5c..", "/v1?a%0d%0ahost:%20x", "/v1?a%3fb",
          "/v1?a%23b", "/v1?a%252e", "/v1?a=%ff"]
        => "the request's query contains";
}

/// Spellings that no version of this host let through.
const REFUSED: &[&str] = &[
    "/..;/team-b",
    "/..;x=1/team-b",
    "/.;/x",
    "/;/../x",
    "/v1;x/../../team-b",
    "/..%3b/x",
    "/%u002e%u002e/team-b",
    "/%",
    "/%2",
    "/%zz",
    "/%.e/x",
    "/%%32%65/x",
];

/// A path of another team, however it is written, must not reach the server.
#[tokio::test]
async fn no_spelling_of_a_path_leaves_the_base_path() {
    let server = Server::start(Reads::Whole, |_| answer("200 OK", "ok")).await;
    let egress = server.egress("/team-a/v1");
    for (number, paths) in PATHS {
        for path in *paths {
            for base in ["/team-a", "/team-a/v1", "/team-a/v1/models"] {
                // What is no target of a request at all never gets so far.
                let Ok(target) = server.url(&format!("{base}{path}")).parse::<http::Uri>() else {
                    continue;
                };
                let mut request = get(&server.url("/"));
                *request.uri_mut() = target;
                ended(number, &ask(&egress, request).await);
            }
        }
    }
    for path in REFUSED {
        let mut request = get(&server.url("/"));
        let target = server.url(&format!("/team-a{path}")).parse::<http::Uri>();
        *request.uri_mut() = target.expect("a target");
        let outcome = ask(&egress, request).await;
        assert!(
            outcome.contains("the request's path contains"),
            "{path}: {outcome}"
        );
    }
    assert!(server.requests().is_empty(), "{:?}", server.requests());
    // What a provider needs goes on as it is.
    for path in [
        "/team-a/v1/chat/completions",
        "/team-a/tokenize",
        "/team-a/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        "/team-a/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
        "/team-a/model/anthropic.claude-v2%3A1/invoke",
        "/team-a/v1/models/a@b,c~d+e=f/",
    ] {
        assert_eq!(
            ask(&egress, get(&server.url(path))).await,
            "answered 200: ok",
            "{path}"
        );
        let (_, last) = server.requests().pop().expect("a request");
        assert!(
            last.starts_with(&format!("GET {path} HTTP/1.1\r\n")),
            "{last}"
        );
    }
}

#[tokio::test]
async fn a_name_that_begins_like_a_version_is_not_one() {
    let server = Server::start(Reads::Whole, |_| answer("200 OK", "ok")).await;
    let egress = server.egress("/teams/v4lidator");
    for path in [
        "/teams/other",
        "/teams/",
        "/teams",
        "/teams/v4lidators",
        "/teams/V4lidator/x",
    ] {
        ended("5q", &ask(&egress, get(&server.url(path))).await);
    }
    for name in ["v1x", "v1beta-2", "v2.0", "v1alphabeta", "v1_beta", "v٣"] {
        let base_path = BasePath::of_base_url(&format!("http://h/teams/{name}")).expect("a path");
        assert!(!base_path.covers("/teams/other"), "{name}");
    }
    assert!(server.requests().is_empty());
    let own = ask(&egress, get(&server.url("/teams/v4lidator/v1/models"))).await;
    assert_eq!(own, "answered 200: ok");
}

#[test]
fn a_base_url_that_can_be_read_in_two_ways_grants_nothing() {
    for base_url in [
        "http://h\\team-a/v1",
        "http:/h/team-a/v1",
        "http:h/team-a/v1",
        "http:\\\\h\\team-a\\v1",
        "http://h/te\tam-a/v1",
    ] {
        let refused = BasePath::of_base_url(base_url).expect_err(base_url);
        ended("5r", &refused.to_string());
    }
}

#[tokio::test]
async fn a_fragment_is_not_sent() {
    let server = Server::start(Reads::Whole, |_| answer("200 OK", "ok")).await;
    let egress = server.egress("/team-a/v1");
    ask(&egress, get(&server.url("/team-a/v1/models#/../../team-b"))).await;
    let (_, request) = server.requests().pop().expect("a request");
    assert!(
        request.starts_with("GET /team-a/v1/models HTTP/1.1\r\n"),
        "{request}"
    );
}
