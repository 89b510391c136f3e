//! Recordings that were cut, and files that are none.

use std::io::BufReader;

use provider_host::egress::recording::{Recording, RecordingError, Replay};
use provider_host::policy::NetworkLimits;

use super::{BASE, Echo, KEY, over, replaying};
use crate::support::{ask, model, options, run};

const TITLE: &str = r#"{"recording":"provider-host","version":1}"#;
const REQUEST: &str = r#"{"exchange":0,"at_us":0,"request":{"begun_us":0,"method":"GET","uri":"http://a/v1/models","headers":[]}}"#;
const RESPONSE: &str = r#"{"exchange":0,"at_us":1,"response":{"status":200,"headers":[]}}"#;
const END: &str = r#"{"exchange":0,"at_us":2,"end":"complete"}"#;

#[tokio::test]
async fn a_recording_that_is_cut_anywhere_is_an_error_or_gives_what_came_and_an_error() {
    use provider_host::egress::recording::Pace;

    let (provider, file) = over(Echo, options(BASE, KEY, NetworkLimits::new()));
    let (whole, error) = run(&provider, &model("m"), &ask("Hello?")).await;
    assert!(error.is_none(), "{error:?}");
    let file = file.bytes();
    let first = file.iter().position(|byte| *byte == b'\n').expect("a line");
    for at in 0..file.len() {
        let cut = &file[..at];
        match Recording::read(cut) {
            Err(RecordingError::Version { .. }) => assert!(at < first, "{at}"),
            Err(other) => panic!("cut at {at}: {other}"),
            // A replay of each cut would take minutes and tell nothing more.
            Ok(_) if at % 7 != 0 => {}
            Ok(recording) => {
                let provider = replaying(BASE, cut, Pace::Full, NetworkLimits::new());
                let (events, error) = run(&provider, &model("m"), &ask("Hello?")).await;
                if recording.exchanges().is_empty() {
                    let error = error.expect("nothing was recorded");
                    assert!(error.message().contains("has no answer"), "{error}");
                } else if events != redacted(&whole) {
                    let error = error.unwrap_or_else(|| panic!("cut at {at}: {events:?}"));
                    assert_eq!(error.kind_name(), "interrupted", "cut at {at}: {error}");
                }
            }
        }
    }
}

/// The events as they stand in the recording.
fn redacted(events: &[provider_host::types::Event]) -> Vec<provider_host::types::Event> {
    let text = serde_json::to_string(events)
        .expect("JSON")
        .replace(KEY, "***");
    serde_json::from_str(&text).expect("events")
}

#[test]
fn what_is_no_recording_is_refused_with_its_line_and_a_reason() {
    let with = |lines: &[&str]| format!("{TITLE}\n{}\n", lines.join("\n"));
    let line = |text: &str| with(&[REQUEST, RESPONSE, text]);
    let cases = [
        (String::new(), "it is empty"),
        ("\n".to_owned(), "its first line does not say so"),
        ("{}".to_owned(), "its first line does not say so"),
        ("\u{0}\u{ff}".to_owned(), "its first line does not say so"),
        (
            r#"{"recording":"other","version":1}"#.to_owned(),
            "a recording of \"other\"",
        ),
        (
            r#"{"recording":"provider-host","version":2}"#.to_owned(),
            "it has version 2, and 1 is",
        ),
        (
            with(&[RESPONSE]),
            "line 2 of the recording: exchange 0 has not begun",
        ),
        (
            with(&[REQUEST, REQUEST]),
            "line 3 of the recording: exchange 0 has begun already",
        ),
        (
            with(&[REQUEST, END]),
            "line 3 of the recording: an exchange without a response",
        ),
        (
            with(&[REQUEST, r#"{"exchange":0,"at_us":1,"data":"x"}"#]),
            "line 3 of the recording: a body comes before",
        ),
        (
            line(RESPONSE),
            "line 4 of the recording: the exchange has a response already",
        ),
        (
            with(&[REQUEST, RESPONSE, END, END]),
            "line 5 of the recording: exchange 0 has not begun, or has ended",
        ),
        (line("not JSON"), "line 4 of the recording: expected"),
        (line(""), "line 4 of the recording: EOF"),
        (
            line(r#"{"exchange":0,"at_us":2}"#),
            "one of request, response, data, trailers and end",
        ),
        (
            line(r#"{"exchange":0,"at_us":2,"data":"a","end":"complete"}"#),
            "one of request",
        ),
        (
            line(r#"{"exchange":0,"at_us":2,"data":"a","data_latin1":"a"}"#),
            "in two spellings",
        ),
        (
            line(r#"{"exchange":0,"at_us":2,"data_latin1":"漢"}"#),
            "is no byte",
        ),
        (
            line(r#"{"exchange":0,"at_us":2,"later":1}"#),
            "unknown field `later`",
        ),
        (
            line(r#"{"exchange":0,"at_us":-1,"data":"a"}"#),
            "invalid value",
        ),
        (
            line(r#"{"exchange":0,"at_us":18446744073709551615,"data":"a"}"#),
            "the latest is 86400000000, a day",
        ),
        (
            line(r#"{"exchange":0,"at_us":2,"end":"failed"}"#),
            "a failure stands beside the end `failed`",
        ),
        (
            line(r#"{"exchange":0,"at_us":2,"end":"failed","failure":{"kind":"odd"}}"#),
            "an unknown kind",
        ),
        (
            line(r#"{"exchange":0,"at_us":2,"end":"complete","failure":{"kind":"dns"}}"#),
            "and nowhere else",
        ),
        (
            line(r#"{"exchange":0,"at_us":2,"trailers":[["a b","c"]]}"#),
            "\"a b\" is no header field",
        ),
        (
            line(&format!("{}1", "[".repeat(100_000))),
            "line 4 of the recording: ",
        ),
        (
            with(&[&REQUEST.replace("GET", "G T")]),
            "\"G T\" is no method",
        ),
        (with(&[&REQUEST.replace("http://a", "h ttp")]), "is no URI"),
        (
            with(&[REQUEST, &RESPONSE.replace("200", "99")]),
            "99 is no status of HTTP",
        ),
    ];
    for (text, words) in cases {
        let error = match Recording::read(text.as_bytes()) {
            Err(error) => error.to_string(),
            Ok(recording) => panic!("{words}: {recording:?}"),
        };
        assert!(error.contains(words), "{words:?} is not in {error:?}");
        assert!(error.len() < 500, "{error}");
    }
}

/// A text again and again.
struct Repeat(String, usize);

impl std::io::Read for Repeat {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut rest = &self.0.as_bytes()[self.1..];
        let read = rest.read(buffer)?;
        self.1 = (self.1 + read) % self.0.len();
        Ok(read)
    }
}

#[test]
fn a_recording_without_end_is_given_up_at_its_bounds() {
    let title = format!("{TITLE}\n");
    let endless = std::io::Read::chain(title.as_bytes(), std::io::repeat(b' '));
    let error = Recording::read(BufReader::new(endless)).expect_err("too large");
    let words = "line 2 of the recording: more than 134217728 bytes in a line";
    assert!(error.to_string().contains(words), "{error}");
    let frame = r#"{"exchange":0,"at_us":1,"data":""}"#;
    let lines = format!("{}\n", [TITLE, REQUEST, RESPONSE].join("\n"));
    let endless = std::io::Read::chain(lines.as_bytes(), Repeat(format!("{frame}\n"), 0));
    let error = Recording::read(BufReader::new(endless)).expect_err("too many");
    assert!(
        error.to_string().contains("more than 1500000 lines"),
        "{error}"
    );
    let many =
        (0..=10_000).map(|n| REQUEST.replace("\"exchange\":0", &format!("\"exchange\":{n}")));
    let many: Vec<String> = std::iter::once(TITLE.to_owned()).chain(many).collect();
    let error = Recording::read(many.join("\n").as_bytes()).expect_err("too many");
    assert!(
        error.to_string().contains("more than 10000 exchanges"),
        "{error}"
    );
    let fields = vec![r#"["a","b"]"#; 100_000].join(",");
    let many = format!(
        "{TITLE}\n{}\n",
        REQUEST.replace("[]", &format!("[{fields}]"))
    );
    let error = Recording::read(many.as_bytes()).expect_err("too many");
    assert!(
        error.to_string().contains("100000 header fields"),
        "{error}"
    );
}

#[test]
fn what_is_no_file_is_refused_without_waiting_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut paths = vec![folder.path().to_owned(), folder.path().join("nothing")];
    #[cfg(unix)]
    {
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
        paths.extend([pipe, "/dev/zero".into()]);
    }
    for path in paths {
        let error = Replay::open(&path).expect_err("a refusal");
        assert!(matches!(error, RecordingError::File { .. }), "{error}");
        assert!(
            error.to_string().contains(&path.display().to_string()),
            "{error}"
        );
    }
}
