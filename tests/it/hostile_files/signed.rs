//! Signatures that are missing, wrong, somebody else's or revoked.

use std::path::Path;

use provider_host::plugin::trust::{Refusal, Signatures, Standing, Trust, signature_path};
use provider_host::plugin::{EMBEDDED, inspect};
use provider_host::policy::CompileLimits;
use provider_host::{ErrorKind, Plugin};

use super::components::variant;
use super::signer::Signer;
use super::{Folder, Row, engine, in_words};

fn required() -> Trust {
    Trust::new(Signatures::Required)
}

fn with_alice(trust: Trust) -> Trust {
    trust.with_key("alice", &alice().public()).expect("a key")
}

fn alice() -> Signer {
    Signer::new(1)
}

fn mallory() -> Signer {
    Signer::new(2)
}

fn sha256(bytes: &[u8]) -> String {
    inspect(bytes).expect("a component").sha256
}

/// The cause of a refusal, without what it says.
fn kind(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Unsigned { .. } => "unsigned",
        Refusal::Malformed { .. } => "malformed",
        Refusal::Mismatch { .. } => "mismatch",
        Refusal::UnknownKey { .. } => "unknown key",
        Refusal::RevokedKey { .. } => "revoked key",
        Refusal::RevokedDigest { .. } => "revoked digest",
        _ => "another",
    }
}

pub(super) fn rows() -> Vec<Row> {
    let folder = Folder::new();
    let engine = engine(CompileLimits::new());
    let mine = variant("signed");
    let digest = sha256(&mine);
    let path = folder.write("p.wasm", &mine);
    let beside = signature_path(&path);
    let good = alice().sign(&mine);
    let mut rows = Vec::new();
    let mut row = |name, tries, signature: Option<&[u8]>, trust: &Trust, expected: &str| {
        match signature {
            Some(signature) => std::fs::write(&beside, signature).expect("a signature"),
            None => {
                let _ = std::fs::remove_file(&beside);
            }
        }
        let error = Plugin::from_trusted_file(&engine, &path, trust).expect_err(name);
        assert_eq!(error.kind(), &ErrorKind::UntrustedPlugin, "{name}: {error}");
        let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref());
        let cause: &Refusal = cause.unwrap_or_else(|| panic!("{name}: no cause: {error}"));
        assert_eq!(kind(cause), expected, "{name}: {error}");
        rows.push(Row {
            name,
            tries,
            ends: in_words(&error, &folder).replace(&digest, "DIGEST"),
        });
    };
    let trust = with_alice(required());
    let as_alice = "to be taken for alice's";

    row(
        "a plugin without a signature, where one is asked for",
        "to be loaded all the same",
        None,
        &trust,
        "unsigned",
    );
    let other = alice().sign(&variant("another"));
    row(
        "… with alice's signature of another file",
        as_alice,
        Some(other.as_bytes()),
        &trust,
        "mismatch",
    );
    let stranger = mallory().sign(&mine);
    row(
        "… signed by a key that is not pinned",
        "to be loaded all the same",
        Some(stranger.as_bytes()),
        &trust,
        "unknown key",
    );
    let forged = Signer::numbered(2, 1).sign(&mine);
    row(
        "… signed by a key with the number of alice's",
        as_alice,
        Some(forged.as_bytes()),
        &trust,
        "mismatch",
    );
    let comment = good.replace("file:p.wasm", "file:q.wasm");
    assert_ne!(comment, good);
    row(
        "… with another trusted comment",
        "to put words into alice's mouth",
        Some(comment.as_bytes()),
        &trust,
        "mismatch",
    );
    let bit = changed_signature(&good);
    row(
        "… with a signature that has one bit changed",
        as_alice,
        Some(bit.as_bytes()),
        &trust,
        "mismatch",
    );
    let old = alice().sign_as_of_old(&mine);
    row(
        "… signed in minisign's old format",
        "to be verified in a weaker way",
        Some(old.as_bytes()),
        &trust,
        "malformed",
    );
    row(
        "… with a signature that is none",
        "to break its reader",
        Some(b"hello"),
        &trust,
        "malformed",
    );
    row(
        "… with a signature of bytes that are no text",
        "to break its reader",
        Some(b"\xff\xfe\n\xff\n"),
        &trust,
        "malformed",
    );
    let half = &good.as_bytes()[..good.len() / 2];
    row(
        "… with half a signature",
        "to break its reader",
        Some(half),
        &trust,
        "malformed",
    );
    let optional = with_alice(Trust::new(Signatures::Optional));
    row(
        "… wrongly signed, where no signature is asked for",
        as_alice,
        Some(other.as_bytes()),
        &optional,
        "mismatch",
    );
    row(
        "… signed by a stranger, where no signature is asked for",
        "to look signed",
        Some(stranger.as_bytes()),
        &optional,
        "unknown key",
    );
    let revoked = trust
        .clone()
        .with_revoked_key("alice's old key", &alice().public())
        .expect("a key");
    row(
        "… signed by a key that is revoked",
        "to be loaded with a key that was stolen",
        Some(good.as_bytes()),
        &revoked,
        "revoked key",
    );
    let pinned = revoked.with_digest("mine", &digest).expect("a digest");
    row(
        "… the same, its digest pinned",
        "the same",
        Some(good.as_bytes()),
        &pinned,
        "revoked key",
    );
    let revoked = trust
        .clone()
        .with_revoked_digest("leaks", &digest)
        .expect("a digest");
    row(
        "… well signed, its digest revoked",
        "to be loaded though it is known to be bad",
        Some(good.as_bytes()),
        &revoked,
        "revoked digest",
    );
    let both = revoked.with_digest("mine", &digest).expect("a digest");
    row(
        "… its digest pinned and revoked",
        "the same",
        Some(good.as_bytes()),
        &both,
        "revoked digest",
    );

    let mut unread = |name, tries, words: &str| {
        let error = Plugin::from_trusted_file(&engine, &path, &trust).expect_err(name);
        assert_eq!(error.kind(), &ErrorKind::UntrustedPlugin, "{name}: {error}");
        assert!(error.message().contains(words), "{name}: {error}");
        rows.push(Row {
            name,
            tries,
            ends: in_words(&error, &folder),
        });
    };
    std::fs::write(&beside, vec![b' '; (16 << 10) + 1]).expect("a signature");
    unread(
        "a signature of one byte too many",
        "to fill memory",
        "16384",
    );
    #[cfg(unix)]
    {
        std::fs::remove_file(&beside).expect("the signature");
        let made = std::process::Command::new("mkfifo")
            .arg(&beside)
            .status()
            .expect("mkfifo");
        assert!(made.success());
        unread("a pipe as a signature", "to hold the host up", "a pipe");
        std::fs::remove_file(&beside).expect("the signature");
        std::os::unix::fs::symlink("nowhere", &beside).expect("a link");
        unread(
            "a signature that leads nowhere",
            "to be taken for none",
            "No such file",
        );
    }
    rows
}

/// A signature with one bit of its own changed, and not one of its frame.
fn changed_signature(good: &str) -> String {
    let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
    let line = &mut lines[1];
    let at = line.len() / 2;
    let other = if line.as_bytes()[at] == b'A' {
        "B"
    } else {
        "A"
    };
    line.replace_range(at..=at, other);
    lines.join("\n")
}

#[track_caller]
fn loads(path: &Path, trust: &Trust) -> Standing {
    let engine = engine(CompileLimits::new());
    let (plugin, standing) = Plugin::from_trusted_file(&engine, path, trust).expect("a plugin");
    assert_eq!(plugin.manifest().id, "vllm");
    standing
}

#[test]
fn what_the_policy_trusts_is_loaded_and_it_says_why() {
    let folder = Folder::new();
    let path = folder.write("p.wasm", EMBEDDED);
    let (mine, digest) = (EMBEDDED, sha256(EMBEDDED));
    let pinned = required()
        .with_digest("mine", &digest.to_uppercase())
        .expect("a digest");
    let name = String::from("mine");
    assert_eq!(loads(&path, &pinned), Standing::Pinned { name });
    assert_eq!(
        loads(&path, &Trust::new(Signatures::Optional)),
        Standing::Unsigned
    );
    folder.write("p.wasm.minisig", alice().sign(mine));
    let trust = required()
        .with_key("bob", &mallory().public())
        .expect("a key");
    let trust = with_alice(trust)
        .with_revoked_key("eve", &Signer::new(3).public())
        .expect("a key");
    let signed = Standing::Signed {
        key: "alice".into(),
        comment: "timestamp:1764000000\tfile:p.wasm".into(),
    };
    assert_eq!(loads(&path, &trust), signed);
    // A key whose number is that of another one is not hidden by it.
    let twin = required()
        .with_key("twin", &Signer::numbered(9, 1).public())
        .expect("a key");
    assert_eq!(loads(&path, &with_alice(twin)), signed);
}

#[test]
fn the_plugin_built_with_this_host_is_trusted_unless_it_is_revoked() {
    assert!(required().judge_built_in(EMBEDDED).is_ok());
    let revoked = required()
        .with_revoked_digest("leaks", &sha256(EMBEDDED))
        .expect("a digest");
    let error = revoked.judge_built_in(EMBEDDED).expect_err("a refusal");
    assert_eq!(error.kind(), &ErrorKind::UntrustedPlugin);
}
