use super::*;

fn context() -> Context {
    Context {
        method: "POST",
        url: "http://127.0.0.1:8000/v1/chat/completions?token=secret".to_owned(),
        model: Some("tiny".to_owned()),
        base_has_v1: true,
        has_key: true,
    }
}

fn answered(status: u16, body: &str) -> Error {
    from_response(&context(), status, &[], body.as_bytes())
}

#[test]
fn every_status_has_its_kind_and_its_word_on_retries() {
    use ErrorKind::*;
    let model = r#"{"error":{"message":"The model `nope` does not exist. Valid aliases: a, b.","type":"NotFoundError","param":"model","code":404}}"#;
    for (status, body, kind, retryable) in [
        (
            400,
            r#"{"error":{"message":"bad","code":400}}"#,
            InvalidRequest,
            false,
        ),
        (401, r#"{"error":"Unauthorized"}"#, Authentication, false),
        (402, "", InvalidRequest, false),
        (403, "", Permission, false),
        (404, model, ModelNotFound, false),
        (404, r#"{"detail":"Not Found"}"#, InvalidConfig, false),
        (404, "", InvalidConfig, false),
        (
            404,
            "<html><title>model not found</title>",
            InvalidConfig,
            false,
        ),
        (
            404,
            r#"{"error":{"message":"no such route"}}"#,
            InvalidConfig,
            false,
        ),
        (
            404,
            r#"{"error":{"message":"model \"x\" not found, try pulling it first"}}"#,
            ModelNotFound,
            false,
        ),
        (
            405,
            r#"{"detail":"Method Not Allowed"}"#,
            InvalidRequest,
            false,
        ),
        (408, "", Timeout, true),
        (413, "", InvalidRequest, false),
        (415, "", InvalidRequest, false),
        (
            422,
            r#"{"detail":[{"msg":"field required"}]}"#,
            InvalidRequest,
            false,
        ),
        (425, "", RateLimited, true),
        (429, "", RateLimited, true),
        (500, "", Server, true),
        (501, "", Server, true),
        (
            502,
            "<html><title>502 Bad Gateway</title></html>",
            Overloaded,
            true,
        ),
        (
            503,
            r#"{"error":"The model is currently scaling"}"#,
            Overloaded,
            true,
        ),
        (504, "", Overloaded, true),
        (529, "", Overloaded, true),
        (599, "", Server, true),
        (307, "", InvalidConfig, false),
        (100, "", Protocol, false),
        (999, "", Server, true),
    ] {
        let error = answered(status, body);
        assert_eq!(
            (error.kind, error.retryable),
            (kind, retryable),
            "{status} {body}"
        );
        assert_eq!(error.status, Some(status));
        assert!(error.request_sent);
    }
}

#[test]
fn a_message_says_what_was_tried_what_came_and_what_to_do() {
    assert_eq!(
        answered(401, r#"{"error":"Unauthorized"}"#).message,
        "POST http://127.0.0.1:8000/v1/chat/completions: 401: Unauthorized (the server does not know the key that was sent; set VLLM_API_KEY or models.providers.vllm.apiKey to one of its --api-key values)"
    );
    assert_eq!(
        answered(403, "").message,
        "POST http://127.0.0.1:8000/v1/chat/completions: 403: the server does not allow this, or not with this key"
    );
    let context = Context {
        has_key: false,
        ..context()
    };
    let error = from_response(&context, 401, &[], br#"{"error":"Unauthorized"}"#);
    assert!(
        error.message.contains("wants a key, and none was sent"),
        "{}",
        error.message
    );
}

#[test]
fn a_proxy_is_told_from_its_server() {
    let page = "<html><head><title>502 Bad Gateway</title></head></html>";
    assert_eq!(
        answered(502, page).message,
        "POST http://127.0.0.1:8000/v1/chat/completions: 502 Bad Gateway (a proxy answered, whose server did not; check that the server runs)"
    );
    assert_eq!(
        answered(504, "upstream timed out").message,
        "POST http://127.0.0.1:8000/v1/chat/completions: 504: upstream timed out (a proxy answered, whose server did not; check that the server runs)"
    );
}

#[test]
fn a_missing_model_keeps_the_ids_that_the_server_named() {
    let error = answered(
        404,
        r#"{"error":{"message":"The model `nope` does not exist. Valid aliases: tiny, tiny-alias.","type":"NotFoundError","param":"model","code":404}}"#,
    );
    assert!(
        error.message.contains("Valid aliases: tiny, tiny-alias."),
        "{}",
        error.message
    );
    assert_eq!(error.code.as_deref(), Some("NotFoundError"));
}

#[test]
fn a_wrong_path_is_told_that_v1_is_missing_only_where_it_is() {
    let body = br#"{"detail":"Not Found"}"#;
    let bare = Context {
        base_has_v1: false,
        has_key: true,
        ..context()
    };
    assert!(
        from_response(&bare, 404, &[], body)
            .message
            .contains("ends in /v1")
    );
    assert!(
        !from_response(&context(), 404, &[], body)
            .message
            .contains("ends in /v1")
    );
    assert_eq!(from_response(&bare, 404, &[], body).code, None);
}

#[test]
fn an_overflow_names_limit_and_request() {
    let error = answered(
        400,
        r#"{"error":{"message":"This model's maximum context length is 4096 tokens. However, your prompt contains at least 4097 input tokens, which exceeds this limit even without any output tokens.","type":"BadRequestError","param":"input_tokens","code":400}}"#,
    );
    assert_eq!(error.kind, ErrorKind::ContextOverflow);
    assert_eq!(
        (error.limit, error.requested, error.retryable),
        (Some(4096), Some(4097), false)
    );

    let error = answered(
        400,
        r#"{"error":{"message":"max_tokens=100000 cannot be greater than max_model_len=4096. Please request fewer output tokens.","type":"BadRequestError","param":"max_tokens","code":400}}"#,
    );
    assert_eq!(error.kind, ErrorKind::InvalidRequest);
    assert_eq!(
        (error.limit, error.requested, error.retryable),
        (Some(4096), Some(100_000), true)
    );

    let error = answered(
        400,
        r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#,
    );
    assert_eq!(
        (error.kind, error.limit),
        (ErrorKind::ContextOverflow, None)
    );

    // Whatever the status, but tokens a minute are a rate.
    for (message, kind) in [
        (
            "maximum context length is 5 tokens",
            ErrorKind::ContextOverflow,
        ),
        (
            "Rate limit reached: the input exceeds the context window of 5 tokens per minute",
            ErrorKind::RateLimited,
        ),
    ] {
        let body = format!(r#"{{"error":{{"message":"{message}"}}}}"#);
        assert_eq!(answered(429, &body).kind, kind, "{message}");
    }
}

#[test]
fn waits_and_redirects_come_from_the_headers() {
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let error = from_response(&context(), 429, &[header("Retry-After", "7")], b"");
    assert_eq!(error.retry_after_ms, Some(7000));
    let location = header("Location", "http://u:p@h/v1/models?k=1\x1b");
    let error = from_response(&context(), 307, &[location], b"");
    assert!(
        error.message.contains("points to http://h/v1/models;"),
        "{}",
        error.message
    );
}

#[test]
fn transport_failures_say_whether_the_request_left() {
    use ErrorKind as Kind;
    use TransportFailureKind::*;
    for (failure, kind, sent, retryable) in [
        (Unreachable, Kind::Unreachable, false, true),
        (Tls, Kind::Unreachable, false, false),
        (ConnectTimeout, Kind::Timeout, false, true),
        (ReadTimeout, Kind::Timeout, true, true),
        (Closed, Kind::Interrupted, true, true),
        (Protocol, Kind::Protocol, true, false),
        (Denied, Kind::Unreachable, false, false),
    ] {
        let failure = TransportFailure {
            kind: failure,
            message: "it\nbroke".to_owned(),
        };
        let error = from_transport(&context(), &failure);
        assert_eq!(
            (
                &error.kind,
                error.request_sent,
                error.retryable,
                error.status
            ),
            (&kind, sent, retryable, None),
            "{failure:?}"
        );
        assert!(
            error
                .message
                .starts_with("POST http://127.0.0.1:8000/v1/chat/completions: it broke (")
        );
    }
}

#[test]
fn an_error_in_the_stream_is_judged_by_its_own_code() {
    use ErrorKind::*;
    for (data, kind, retryable, code) in [
        (
            r#"{"error": {"message": "EngineCore", "type": "InternalServerError", "param": null, "code": 500}}"#,
            Server,
            true,
            Some("InternalServerError"),
        ),
        (
            r#"{"error":{"message":"list index out of range","type":"BadRequestError","code":400}}"#,
            InvalidRequest,
            false,
            Some("BadRequestError"),
        ),
        (
            r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#,
            RateLimited,
            true,
            Some("rate_limit_error"),
        ),
        (r#"{"error":"boom"}"#, Server, true, None),
        (
            r#"{"error":"This model's maximum context length is 10 tokens"}"#,
            ContextOverflow,
            false,
            None,
        ),
        (
            r#"{"object":"error","message":"flat","code":503}"#,
            Overloaded,
            true,
            Some("503"),
        ),
    ] {
        let error = from_event(&context(), 200, data.as_bytes());
        assert_eq!(
            (error.kind, error.retryable, error.code.as_deref()),
            (kind, retryable, code),
            "{data}"
        );
        assert_eq!((error.status, error.request_sent), (Some(200), true));
    }
}

#[test]
fn no_body_makes_a_message_long_or_dangerous() {
    let error = answered(500, &"\u{1b}]0;x\u{7}".repeat(100_000));
    assert!(error.message.len() < 4096 + 300, "{}", error.message.len());
    assert!(!error.message.contains(char::is_control));
}

#[test]
fn what_the_server_calls_lasting_is_not_tried_again() {
    let never = vec![("x-should-retry".to_owned(), b"false".to_vec())];
    let quota =
        r#"{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#;
    let alone = r#"{"error":{"message":"Request too large for m on tokens per min (TPM): Limit 30000, Requested 50000."}}"#;
    let wait = r#"{"error":{"message":"You exceeded your current quota. Please retry in 34 s.","code":429}}"#;
    for (status, headers, body, retryable) in [
        (500, &never, "{}", false),
        (500, &Vec::new(), "{}", true),
        (429, &Vec::new(), quota, false),
        (429, &Vec::new(), alone, false),
        (429, &Vec::new(), wait, true),
    ] {
        let error = from_response(&context(), status, headers, body.as_bytes());
        assert_eq!(error.retryable, retryable, "{status} {body}");
    }
}
