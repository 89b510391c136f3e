//! A trust file that is not found.
//!
//! The trust file lies in the user's home, and the attacks change how the home is found, or what
//! stands in the place of the file. An unsigned plugin must not be loaded in any of them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::{Attack, ended};
use crate::hostile_files::components::variant;

const UNSIGNED: &str = "the plugin is not signed, and the trust file asks for a signature";

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        number: "7a",
        attempt: "`HOME` unset, so that the trust file in the home of the user database is missed",
        ends: UNSIGNED,
        test: "the_home_of_the_user_database_counts_where_no_variable_names_one",
    },
    Attack {
        number: "7b",
        attempt: "`HOME` set to the empty text or to spaces",
        ends: UNSIGNED,
        test: "the_home_of_the_user_database_counts_where_no_variable_names_one",
    },
    Attack {
        number: "7c",
        attempt: "`HOME` unset, and a user whom the user database does not have",
        ends: "it cannot be told whether there is a trust file: HOME is not set, and the system names no home folder for this user",
        test: "a_user_without_any_home_loads_no_plugin",
    },
    Attack {
        number: "7d",
        attempt: "`HOME` set to a relative path",
        ends: "which is not an absolute path; set HOME or XDG_CONFIG_HOME to the absolute path of a folder",
        test: "a_home_that_cannot_be_looked_into_is_no_home_without_a_policy",
    },
    Attack {
        number: "7e",
        attempt: "`HOME` set to a folder that does not exist",
        ends: "does not exist; set HOME or XDG_CONFIG_HOME",
        test: "a_home_that_cannot_be_looked_into_is_no_home_without_a_policy",
    },
    Attack {
        number: "7f",
        attempt: "`HOME` set to a path that the system refuses as too long",
        ends: "File name too long",
        test: "a_home_that_cannot_be_looked_into_is_no_home_without_a_policy",
    },
    Attack {
        number: "7g",
        attempt: "`HOME` set to a link to itself",
        ends: "Too many levels of symbolic links",
        test: "a_home_that_cannot_be_looked_into_is_no_home_without_a_policy",
    },
    Attack {
        number: "7h",
        attempt: "`XDG_CONFIG_HOME` set to a relative or an empty path beside a home with a trust file",
        ends: UNSIGNED,
        test: "a_relative_xdg_folder_hides_no_trust_file",
    },
    Attack {
        number: "7i",
        attempt: "a home whose name is not Unicode",
        ends: UNSIGNED,
        test: "a_home_whose_name_is_not_unicode_has_its_trust_file",
    },
    Attack {
        number: "7j",
        attempt: "a link that leads nowhere in the place of the trust file",
        ends: "No such file or directory",
        test: "what_stands_in_the_place_of_the_trust_file_is_never_passed_over",
    },
    Attack {
        number: "7k",
        attempt: "a pipe in the place of the trust file",
        ends: "trust.json5: it is a pipe, not a file",
        test: "what_stands_in_the_place_of_the_trust_file_is_never_passed_over",
    },
    Attack {
        number: "7l",
        attempt: "a folder in the place of the trust file",
        ends: "trust.json5: it is a directory, not a file",
        test: "what_stands_in_the_place_of_the_trust_file_is_never_passed_over",
    },
    Attack {
        number: "7m",
        attempt: "a file in the place of the trust file's folder",
        ends: "Not a directory",
        test: "what_stands_in_the_place_of_the_trust_file_is_never_passed_over",
    },
    Attack {
        number: "7n",
        attempt: "a link that leads nowhere in the place of `~/.config`, as where it is not mounted",
        ends: ".config leads nowhere",
        test: "what_stands_in_the_place_of_the_trust_file_is_never_passed_over",
    },
    Attack {
        number: "7o",
        attempt: "`HOME` unset, so that the configuration in the home of the user database is missed",
        ends: "openclaw.json:1:",
        test: "the_default_configuration_is_looked_for_in_the_same_home",
    },
];

const TRUST: &str = "{ signatures: 'required' }";

/// A place with a home that has a trust file, and an unsigned plugin.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        place.write("p.wasm", variant("unsigned"));
        place.write("home/.config/provider-host/trust.json5", TRUST);
        place
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }

    /// Loads the plugin with these variables and no others, from within the place.
    fn load(&self, variables: &[(&str, &OsStr)]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_provider-host"));
        command
            .args(["plugin", "compile", "p.wasm"])
            .current_dir(self.folder.path())
            .env_clear()
            .envs(variables.iter().copied());
        said(&finished(command))
    }

    /// Loads the plugin where the user database says that this user's home is `home`, or where it
    /// has no user at all. None: this system does not let the test replace the user database.
    fn with_user_database(
        &self,
        home: Option<&Path>,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Option<String> {
        // The namespace of `unshare` maps this user to root.
        let database = home.map_or_else(String::new, |home| {
            format!("somebody:x:0:0::{}:/bin/sh\n", home.display())
        });
        self.write("passwd", database);
        // No other source of users: some systems make an entry for root up.
        self.write("nsswitch.conf", "passwd: files\n");
        let script = format!(
            "mount --bind {0}/passwd /etc/passwd || exit 99
             [ ! -e /etc/nsswitch.conf ] || mount --bind {0}/nsswitch.conf /etc/nsswitch.conf || exit 99
             exec \"$0\" \"$@\"",
            self.folder.path().display()
        );
        let mut command = Command::new("unshare");
        command
            .args([
                "--user",
                "--map-root-user",
                "--mount",
                "/bin/sh",
                "-c",
                &script,
            ])
            .arg(env!("CARGO_BIN_EXE_provider-host"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(variables.iter().copied());
        let output = command.stdin(Stdio::null()).output().ok()?;
        let words = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(99) || words.contains("unshare:") {
            eprintln!("left out, there are no mount namespaces here: {words}");
            return None;
        }
        assert_eq!(output.status.code(), Some(2), "{words}");
        Some(words.into_owned())
    }
}

fn finished(mut command: Command) -> Output {
    command.stdin(Stdio::null()).output().expect("the program")
}

/// What a refused command said.
#[track_caller]
fn said(output: &Output) -> String {
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(output.stdout.is_empty(), "{words}");
    words
}

const COMPILE: &[&str] = &["plugin", "compile", "p.wasm"];

#[test]
#[cfg(target_os = "linux")]
fn the_home_of_the_user_database_counts_where_no_variable_names_one() {
    let place = Place::new();
    let home = place.path("home");
    for (number, variables) in [
        ("7a", &[][..]),
        ("7b", &[("HOME", "")]),
        ("7b", &[("HOME", " \t")]),
        ("7a", &[("XDG_CONFIG_HOME", "relative")]),
    ] {
        if let Some(outcome) = place.with_user_database(Some(&home), COMPILE, variables) {
            ended(number, &outcome);
        }
    }
    // The variable goes before the database: this is the home of somebody else.
    let nobody = place.path("nobody");
    std::fs::create_dir(&nobody).expect("a folder");
    let named = [("HOME", home.to_str().expect("a path of plain text"))];
    if let Some(outcome) = place.with_user_database(Some(&nobody), COMPILE, &named) {
        ended("7a", &outcome);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_user_without_any_home_loads_no_plugin() {
    let place = Place::new();
    if let Some(outcome) = place.with_user_database(None, COMPILE, &[]) {
        ended("7c", &outcome);
    }
    // The plugin of this build is held to the policy too: its digest may be revoked.
    if let Some(outcome) = place.with_user_database(None, &["models", "list"], &[]) {
        ended("7c", &outcome);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_home_that_cannot_be_looked_into_is_no_home_without_a_policy() {
    let place = Place::new();
    let itself = place.path("itself");
    std::os::unix::fs::symlink(&itself, &itself).expect("a link");
    let long = format!("/{}", "a/".repeat(3_000));
    for (number, home) in [
        ("7d", Path::new("home")),
        ("7d", Path::new("./home")),
        ("7d", Path::new("~")),
        ("7e", &place.path("nowhere")),
        ("7e", &place.path("nowhere/at/all")),
        ("7f", Path::new(&long)),
        ("7g", &itself),
    ] {
        ended(number, &place.load(&[("HOME", home.as_os_str())]));
    }
}

#[test]
#[cfg(unix)]
fn a_relative_xdg_folder_hides_no_trust_file() {
    let place = Place::new();
    let home = place.path("home");
    place.write("relative/here", "");
    for folder in ["relative", "./relative", "", "  "] {
        let variables = [
            ("HOME", home.as_os_str()),
            ("XDG_CONFIG_HOME", OsStr::new(folder)),
        ];
        ended("7h", &place.load(&variables));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_home_whose_name_is_not_unicode_has_its_trust_file() {
    use std::os::unix::ffi::OsStrExt as _;
    let place = Place::new();
    let name = OsStr::from_bytes(b"home\xff");
    let home = place.path(name);
    place.write(home.join(".config/provider-host/trust.json5"), TRUST);
    ended("7i", &place.load(&[("HOME", home.as_os_str())]));
    // The same in the other variable, beside a home that has no trust file.
    let empty = place.path("empty");
    std::fs::create_dir(&empty).expect("a folder");
    let configuration = home.join(".config");
    let variables = [
        ("HOME", empty.as_os_str()),
        ("XDG_CONFIG_HOME", configuration.as_os_str()),
    ];
    ended("7i", &place.load(&variables));
}

#[test]
#[cfg(target_os = "linux")]
fn what_stands_in_the_place_of_the_trust_file_is_never_passed_over() {
    let place = Place::new();
    let home = place.path("home");
    let path = home.join(".config/provider-host/trust.json5");
    let replaced = |put: &dyn Fn(&Path), at: &Path| {
        let _ = std::fs::remove_file(at);
        let _ = std::fs::remove_dir_all(at);
        std::fs::create_dir_all(at.parent().expect("a parent")).expect("a folder");
        put(at);
        place.load(&[("HOME", home.as_os_str())])
    };
    let nowhere = |at: &Path| std::os::unix::fs::symlink("nowhere", at).expect("a link");
    let pipe = |at: &Path| {
        let made = Command::new("mkfifo").arg(at).status().expect("mkfifo");
        assert!(made.success());
    };
    ended("7j", &replaced(&nowhere, &path));
    ended("7k", &replaced(&pipe, &path));
    ended(
        "7l",
        &replaced(&|at| std::fs::create_dir(at).expect("a folder"), &path),
    );
    let folder = path.parent().expect("a parent");
    ended(
        "7m",
        &replaced(&|at| std::fs::write(at, "").expect("a file"), folder),
    );
    ended(
        "7n",
        &replaced(&nowhere, folder.parent().expect("a parent")),
    );

    // Where nothing is missing but the file, there is no policy, and the plugin is loaded.
    std::fs::remove_file(home.join(".config")).expect("the link");
    std::fs::create_dir(home.join(".config")).expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_provider-host"));
    command
        .args(COMPILE)
        .current_dir(place.folder.path())
        .env_clear()
        .env("HOME", &home);
    let output = finished(command);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{words}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_default_configuration_is_looked_for_in_the_same_home() {
    let place = Place::new();
    let home = place.path("home");
    place.write("home/.openclaw/openclaw.json", "not a configuration");
    if let Some(outcome) = place.with_user_database(Some(&home), &["models", "list"], &[]) {
        ended("7o", &outcome);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_provider-host"));
    command
        .args(["models", "list"])
        .current_dir(place.folder.path())
        .env_clear()
        .env("HOME", &home);
    ended("7o", &said(&finished(command)));
}
