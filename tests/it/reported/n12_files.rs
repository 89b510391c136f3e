//! Files that are read without a bound.
//!
//! Each attack puts something else in the place of a file: a pipe that nobody writes to, a device
//! without an end, a sparse file of three gigabytes, a link to a file that the other user must not
//! get. The program is killed after [`BOUND`], and an attack has succeeded then.

#[cfg(unix)]
use std::io::Read as _;
#[cfg(unix)]
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::{Command, Stdio};
#[cfg(unix)]
use std::time::{Duration, Instant};

use super::Attack;
#[cfg(unix)]
use super::ended;

/// How long a command may take to refuse a file.
#[cfg(unix)]
const BOUND: Duration = Duration::from_secs(60);

const PIPE: &str = "it is a pipe, not a file; pipes, such as <(…) of a shell, are not read: write the content to a file";

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        number: "12a",
        attempt: "`mock --replay` of a folder whose answer is a link to another file",
        ends: "response.raw: it is a symbolic link, which is not followed here",
        test: "a_replayed_folder_leads_nowhere_else",
    },
    Attack {
        number: "12b",
        attempt: "`mock --replay` of a folder in which a case is a link to another folder",
        ends: "case: it is a symbolic link, which is not followed here",
        test: "a_replayed_folder_leads_nowhere_else",
    },
    Attack {
        number: "12c",
        attempt: "`mock --replay` of a pipe, a device or a socket in the place of an answer, a request or a note",
        ends: ", not a file",
        test: "nothing_in_a_replayed_folder_holds_the_mock_up",
    },
    Attack {
        number: "12d",
        attempt: "`mock --replay` of an answer of 3 GiB",
        ends: "response.raw: it has 3221225472 bytes; at most 33554432 are read",
        test: "a_replayed_folder_fills_no_memory",
    },
    Attack {
        number: "12e",
        attempt: "`mock --replay` of many answers that are each within the bound",
        ends: "with it, the recorded cases have more than 268435456 bytes",
        test: "a_replayed_folder_fills_no_memory",
    },
    Attack {
        number: "12f",
        attempt: "`mock --replay` of more than 10,000 empty cases",
        ends: "there are more than 10000 recorded cases",
        test: "a_replayed_folder_fills_no_memory",
    },
    Attack {
        number: "12g",
        attempt: "`mock --replay` of a case whose name drives a terminal",
        ends: "a case is named by plain text",
        test: "a_replayed_folder_leads_nowhere_else",
    },
    Attack {
        number: "12h",
        attempt: "`plugin check --corpus` and `plugin fuzz --corpus` of a folder with a link or a pipe",
        ends: "could not read recorded exchanges from",
        test: "a_corpus_is_bounded_as_a_replayed_folder_is",
    },
    Attack {
        number: "12i",
        attempt: "a pipe that nobody writes to as the configuration, by `--config`, by its variable and at its default place",
        ends: PIPE,
        test: "a_pipe_in_the_place_of_any_file_is_refused_at_once",
    },
    Attack {
        number: "12j",
        attempt: "a pipe as the file of key profiles",
        ends: PIPE,
        test: "a_pipe_in_the_place_of_any_file_is_refused_at_once",
    },
    Attack {
        number: "12k",
        attempt: "a pipe as `request.tls.ca`",
        ends: PIPE,
        test: "a_pipe_in_the_place_of_any_file_is_refused_at_once",
    },
    Attack {
        number: "12l",
        attempt: "a pipe as `--request`, as `--image` and as `plugin fuzz --replay`",
        ends: PIPE,
        test: "a_pipe_in_the_place_of_any_file_is_refused_at_once",
    },
    Attack {
        number: "12m",
        attempt: "`/dev/stdin` as the configuration, with stdin a pipe that stays open",
        ends: PIPE,
        test: "a_pipe_in_the_place_of_any_file_is_refused_at_once",
    },
    Attack {
        number: "12n",
        attempt: "`/dev/zero`, a socket and a folder as the configuration, the key profiles and the request",
        ends: "not a file; only regular files are read",
        test: "devices_sockets_and_folders_are_named_for_what_they_are",
    },
    Attack {
        number: "12o",
        attempt: "a file of 3 GiB as the configuration, the key profiles, the certificates and the request",
        ends: "it has 3221225472 bytes; at most",
        test: "a_file_of_gigabytes_is_refused_by_its_length",
    },
    Attack {
        number: "12p",
        attempt: "a configuration of `plugin check` that is nested deeper than the stack",
        ends: "nested more than 128 levels deep",
        test: "a_configuration_of_the_suite_is_bounded_as_any_other",
    },
    Attack {
        number: "12q",
        attempt: "a pipe as `SSL_CERT_FILE`, from which the system's roots are read",
        ends: "SSL_CERT_FILE names",
        test: "a_pipe_as_the_systems_roots_is_refused_at_once",
    },
    Attack {
        number: "12r",
        attempt: "a watched folder with more than 1,000 plugin files, each of which would be read",
        ends: "has more than 1000 files *.wasm; none of them is looked at",
        test: "a_folder_of_plugins_is_bounded_in_number",
    },
];

/// A folder, and commands run in it.
#[cfg(unix)]
struct Place(tempfile::TempDir);

#[cfg(unix)]
impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.made(name);
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// A path whose folder exists, and under which nothing stands.
    fn made(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        let _ = std::fs::remove_file(&path);
        path
    }

    fn pipe(&self, name: &str) -> PathBuf {
        let path = self.made(name);
        let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
        path
    }

    fn link(&self, to: &str, name: &str) -> PathBuf {
        let path = self.made(name);
        std::os::unix::fs::symlink(to, &path).expect("a link");
        path
    }

    /// A file that has a length and no content.
    fn sparse(&self, bytes: u64, name: &str) -> PathBuf {
        let path = self.made(name);
        let file = std::fs::File::create(&path).expect("a file");
        file.set_len(bytes).expect("a sparse file");
        path
    }

    /// What a command says that is refused as wrong usage, with its stdin held open.
    #[track_caller]
    fn refused(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let mut child = Command::new(env!("CARGO_BIN_EXE_provider-host"))
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .env("VLLM_API_KEY", "key")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("a status") {
                break status;
            }
            if started.elapsed() > BOUND {
                child.kill().expect("it ends");
                panic!("{arguments:?} was held up");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut words = String::new();
        let mut stderr = child.stderr.take().expect("its stderr");
        stderr.read_to_string(&mut words).expect("text");
        assert!(
            matches!(status.code(), Some(1 | 2)),
            "{arguments:?}: {status}: {words}"
        );
        words
    }

    fn mock(&self) -> String {
        self.refused(
            &["mock", "--listen", "127.0.0.1:0", "--replay", "replay"],
            &[],
        )
    }
}

#[cfg(unix)]
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// A file of three gigabytes.
#[cfg(unix)]
const HUGE: u64 = 3 << 30;

#[cfg(unix)]
#[test]
fn a_replayed_folder_leads_nowhere_else() {
    let place = Place::new();
    place.write("secret", ANSWER);
    place.link("../../secret", "replay/case/response.raw");
    ended("12a", &place.mock());
    place.write("replay/case/response.raw", ANSWER);
    for beside in ["request.http", "meta.json"] {
        place.link("../../secret", &format!("replay/case/{beside}"));
        assert!(place.mock().contains("it is a symbolic link"), "{beside}");
        std::fs::remove_file(place.path(format!("replay/case/{beside}"))).expect("the link");
    }
    // A link that leads nowhere is no missing file.
    place.link("nowhere", "replay/case/response.raw");
    ended("12a", &place.mock());

    let place = Place::new();
    place.write("elsewhere/response.raw", ANSWER);
    place.link("../elsewhere", "replay/case");
    ended("12b", &place.mock());
    let place = Place::new();
    place.write("elsewhere/deeper/response.raw", ANSWER);
    std::fs::create_dir_all(place.path("replay/one")).expect("a folder");
    place.link("../../elsewhere/deeper", "replay/one/case");
    ended("12b", &place.mock());

    let place = Place::new();
    place.write("replay/a\u{1b}[2Jb/response.raw", ANSWER);
    let outcome = place.mock();
    assert!(!outcome.contains('\u{1b}'), "{outcome:?}");
    ended("12g", &outcome);
}

#[cfg(unix)]
#[test]
fn nothing_in_a_replayed_folder_holds_the_mock_up() {
    for name in ["response.raw", "request.http", "meta.json"] {
        let place = Place::new();
        place.write("replay/case/response.raw", ANSWER);
        let name = format!("replay/case/{name}");
        place.pipe(&name);
        ended("12c", &place.mock());
        let socket = place.made(&name);
        let _listening = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        ended("12c", &place.mock());
        std::fs::remove_file(&socket).expect("the socket");
        std::fs::create_dir(&socket).expect("a folder");
        ended("12c", &place.mock());
    }
    // The folder that the user named may be a link, and a file is no folder.
    let place = Place::new();
    place.pipe("replay");
    assert!(place.mock().contains("Not a directory"));
}

#[cfg(unix)]
#[test]
fn a_replayed_folder_fills_no_memory() {
    let place = Place::new();
    place.sparse(HUGE, "replay/case/response.raw");
    ended("12d", &place.mock());

    let place = Place::new();
    for case in 0..9 {
        place.sparse(32 << 20, &format!("replay/{case}/response.raw"));
    }
    ended("12e", &place.mock());

    let place = Place::new();
    for case in 0..=10_000 {
        place.write(&format!("replay/{case}/response.raw"), "");
    }
    ended("12f", &place.mock());
}

#[cfg(unix)]
#[test]
fn a_corpus_is_bounded_as_a_replayed_folder_is() {
    let plugin = provider_host::plugin::EMBEDDED;
    for (command, name) in [
        ("check", "response.raw"),
        ("check", "expected.json"),
        ("fuzz", "response.raw"),
        ("fuzz", "meta.json"),
    ] {
        let arguments = ["plugin", command, "p.wasm", "--corpus", "corpus"];
        let place = Place::new();
        place.write("p.wasm", plugin);
        place.write("corpus/case/response.raw", ANSWER);
        place.pipe(&format!("corpus/case/{name}"));
        let outcome = place.refused(&arguments, &[]);
        assert!(outcome.contains("it is a pipe, not a file"), "{outcome}");
        ended("12h", &outcome);
        place.link("../../p.wasm", &format!("corpus/case/{name}"));
        let outcome = place.refused(&arguments, &[]);
        assert!(outcome.contains("it is a symbolic link"), "{outcome}");
        ended("12h", &outcome);
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_any_file_is_refused_at_once() {
    let place = Place::new();
    place.pipe("pipe");
    let list = ["models", "list"];
    let by_flag = ["--config", "pipe", "models", "list"];
    ended("12i", &place.refused(&by_flag, &[]));
    ended(
        "12i",
        &place.refused(&list, &[("OPENCLAW_CONFIG_PATH", "pipe")]),
    );
    ended(
        "12i",
        &place.refused(&list, &[("OPENCLAW_CONFIG_PATH", "~/pipe")]),
    );
    let check = ["plugin", "check", "p.wasm", "--config", "pipe"];
    place.write("p.wasm", provider_host::plugin::EMBEDDED);
    ended("12i", &place.refused(&check, &[]));
    ended(
        "12m",
        &place.refused(&["--config", "/dev/stdin", "models", "list"], &[]),
    );
    ended(
        "12m",
        &place.refused(&["--config", "/proc/self/fd/0", "models", "list"], &[]),
    );

    ended(
        "12j",
        &place.refused(&list, &[("PROVIDER_HOST_AUTH_FILE", "pipe")]),
    );
    ended(
        "12j",
        &place.refused(&["auth", "list"], &[("PROVIDER_HOST_AUTH_FILE", "pipe")]),
    );
    place.pipe(".config/provider-host/auth-profiles.json");
    ended("12j", &place.refused(&list, &[]));
    std::fs::remove_dir_all(place.path(".config")).expect("the folder");

    let ca = r#"{ models: { providers: { vllm: { baseUrl: "https://127.0.0.1:1/v1", request: { tls: { ca: "pipe" } }, models: [] } } } }"#;
    place.write("ca.json5", ca);
    ended(
        "12k",
        &place.refused(&["--config", "ca.json5", "models", "list"], &[]),
    );

    let chat = ["chat", "--model", "vllm/m"];
    ended(
        "12l",
        &place.refused(&[&chat[..], &["--request", "pipe"]].concat(), &[]),
    );
    ended(
        "12l",
        &place.refused(&[&chat[..], &["--image", "pipe", "hi"]].concat(), &[]),
    );
    let replay = ["plugin", "fuzz", "p.wasm", "--replay", "pipe"];
    ended("12l", &place.refused(&replay, &[]));

    place.pipe(".openclaw/openclaw.json");
    ended("12i", &place.refused(&list, &[]));
}

#[cfg(unix)]
#[test]
fn devices_sockets_and_folders_are_named_for_what_they_are() {
    let place = Place::new();
    let _listening =
        std::os::unix::net::UnixListener::bind(place.path("socket")).expect("a socket");
    for file in ["/dev/zero", "/dev/tty", "socket", "."] {
        let list = ["models", "list"];
        let config = ["--config", file, "models", "list"];
        ended("12n", &place.refused(&config, &[]));
        ended(
            "12n",
            &place.refused(&list, &[("PROVIDER_HOST_AUTH_FILE", file)]),
        );
        let request = ["chat", "--model", "vllm/m", "--request", file];
        ended("12n", &place.refused(&request, &[]));
    }
}

#[cfg(unix)]
#[test]
fn a_file_of_gigabytes_is_refused_by_its_length() {
    let place = Place::new();
    place.sparse(HUGE, "huge");
    let list = ["models", "list"];
    ended(
        "12o",
        &place.refused(&["--config", "huge", "models", "list"], &[]),
    );
    ended(
        "12o",
        &place.refused(&list, &[("PROVIDER_HOST_AUTH_FILE", "huge")]),
    );
    let ca = r#"{ models: { providers: { vllm: { baseUrl: "https://127.0.0.1:1/v1", request: { tls: { ca: "huge" } }, models: [] } } } }"#;
    place.write("ca.json5", ca);
    ended(
        "12o",
        &place.refused(&["--config", "ca.json5", "models", "list"], &[]),
    );
    let request = ["chat", "--model", "vllm/m", "--request", "huge"];
    ended("12o", &place.refused(&request, &[]));
    let image = ["chat", "--model", "vllm/m", "--image", "huge", "hi"];
    let outcome = place.refused(&image, &[]);
    assert!(outcome.contains("is larger than 32 MiB"), "{outcome}");
}

#[cfg(unix)]
#[test]
fn a_configuration_of_the_suite_is_bounded_as_any_other() {
    let place = Place::new();
    place.write("p.wasm", provider_host::plugin::EMBEDDED);
    place.write("deep.json5", "[".repeat(1 << 20));
    let check = ["plugin", "check", "p.wasm", "--config", "deep.json5"];
    ended("12p", &place.refused(&check, &[]));
}

#[cfg(unix)]
#[test]
fn a_pipe_as_the_systems_roots_is_refused_at_once() {
    let place = Place::new();
    let roots = place.pipe("roots");
    let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a server");
    let address = server.local_addr().expect("an address");
    let config = format!(
        "{{ models: {{ providers: {{ vllm: {{ baseUrl: 'https://{address}/v1', models: [{{ id: 'm' }}] }} }} }} }}"
    );
    place.write("c.json5", config);
    // Of a request in a file: a prompt waits for stdin, which stays open here.
    let request = r#"{"messages": [{"role": "user", "content": "hi"}]}"#;
    place.write("r.json", request);
    let chat = [
        "--config",
        "c.json5",
        "chat",
        "--max-retries",
        "0",
        "--model",
        "vllm/m",
        "--request",
        "r.json",
    ];
    let roots = roots.to_str().expect("a path of plain text");
    let outcome = place.refused(&chat, &[("SSL_CERT_FILE", roots)]);
    assert!(outcome.contains("it is a pipe, not a file"), "{outcome}");
    ended("12q", &outcome);
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_of_plugins_is_bounded_in_number() {
    use crate::support;
    use provider_host::policy::NetworkLimits;
    use provider_host::registry::{Registry, Stage};

    let options = support::options("http://127.0.0.1:9/v1", "key", NetworkLimits::new());
    let slot = Registry::new()
        .serve(support::plugin(), options)
        .expect("a slot");
    let place = Place::new();
    for number in 0..=1_000 {
        place.write(&format!("{number}.wasm"), "");
    }
    let refusal = slot.offer_directory(place.path(".")).await;
    let refusal = refusal.expect_err("a refusal");
    assert_eq!(refusal.stage(), Stage::Read);
    ended("12r", refusal.error().message());
}
