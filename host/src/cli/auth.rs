//! `auth`: the stored keys. A key is read from stdin and never shown whole.

use std::io::{IsTerminal as _, Read as _, Write as _};

use provider_host::UserFolders;
use provider_host::credentials::{ProfileFile, mask};

use super::arguments::AuthCommand;
use super::failure::{Failure, Status};
use super::opened::environment;
use super::table::{Align, Table};
use super::terminal::{self, escaped};

/// Longest key that is read, in bytes.
const LONGEST_KEY: u64 = 64 * 1024;

/// Runs the command.
pub(super) fn run(command: &AuthCommand) -> anyhow::Result<Status> {
    let file = ProfileFile::locate(&environment, &UserFolders::of_process())?;
    match command {
        AuthCommand::Set { provider, surplus } => {
            let provider = checked(provider)?;
            if !surplus.is_empty() {
                return Err(Failure::usage(
                    "nothing was stored: on the command line stands the provider, and nothing else",
                )
                .hint(from_stdin("vllm"))
                .hint(EXPOSED)
                .into());
            }
            set(&file, &provider)
        }
        AuthCommand::List { provider } => {
            let provider = provider.as_deref().map(checked).transpose()?;
            list(&file, provider.as_deref())
        }
        AuthCommand::Remove { provider } => remove(&file, &checked(provider)?),
    }
}

const EXPOSED: &str =
    "if it was a key, it now stands in the shell's history: replace it at the server";

/// How a key is given.
fn from_stdin(provider: &str) -> String {
    format!(
        "a key is read from stdin: `provider-host auth set {provider} < FILE`, or paste it when asked"
    )
}

/// A provider id as the contract has it: lower case, `[a-z0-9-]+`. What is none
/// is never quoted: somebody may have put the key here.
fn checked(provider: &str) -> anyhow::Result<String> {
    let id = provider.trim().to_lowercase();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if looks_like_a_key(provider.trim()) {
        return Err(Failure::usage(
            "what stands in the place of the provider looks like a key; nothing was done with it",
        )
        .hint(from_stdin("vllm"))
        .hint(EXPOSED)
        .into());
    }
    if !id.is_empty() && id.bytes().all(fits) {
        return Ok(id);
    }
    Err(Failure::usage(
        "what stands in the place of the provider is no provider id: an id is made of letters, \
         digits and hyphens, such as vllm",
    )
    .hint(from_stdin("vllm"))
    .into())
}

/// Longest provider id that is taken for one, in bytes. Those in use have at
/// most 24.
const LONGEST_ID: usize = 32;

/// Whether a word is rather a key than a provider's id: by the prefixes that
/// keys begin with, by its length, or by letters of both cases mixed with
/// digits.
fn looks_like_a_key(word: &str) -> bool {
    const PREFIXES: [&str; 7] = ["sk-", "sk_", "pk-", "hf_", "nvapi-", "gsk_", "token-"];
    let lower = word.to_ascii_lowercase();
    let mixed = word.bytes().any(|byte| byte.is_ascii_uppercase())
        && word.bytes().any(|byte| byte.is_ascii_lowercase())
        && word.bytes().any(|byte| byte.is_ascii_digit());
    PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) || word.len() > LONGEST_ID || mixed
}

fn set(file: &ProfileFile, provider: &str) -> anyhow::Result<Status> {
    // A broken file is found before somebody pastes a key.
    let mut profiles = file.load()?;
    let stdin = std::io::stdin();
    let mut key = Vec::new();
    if stdin.is_terminal() {
        terminal::note(&format!(
            "paste the key for {provider} and press Enter (it will be visible)"
        ));
        let mut line = String::new();
        stdin.read_line(&mut line)?;
        key = line.into_bytes();
    } else {
        stdin.lock().take(LONGEST_KEY + 1).read_to_end(&mut key)?;
    }
    if key.len() as u64 > LONGEST_KEY {
        return Err(Failure::usage(format!(
            "nothing was stored: stdin holds more than {LONGEST_KEY} bytes, which is longer than any key"
        ))
        .hint(from_stdin(provider))
        .into());
    }
    let key = String::from_utf8(key).map_err(|_| {
        Failure::usage("nothing was stored: what came on stdin is no text, so it is no key")
            .hint(from_stdin(provider))
    })?;
    let profile = profiles
        .set(provider, &key)
        .map_err(|error| Failure::usage(error.to_string()).hint(from_stdin(provider)))?;
    file.save(&profiles)?;
    writeln!(
        anstream::stdout(),
        "stored {} in {}",
        escaped(&profile),
        escaped(&file.path().display().to_string())
    )?;
    Ok(Status::Done)
}

fn list(file: &ProfileFile, provider: Option<&str>) -> anyhow::Result<Status> {
    let profiles = file.load()?;
    if let Some(exposed) = file.exposed() {
        terminal::warning(&exposed);
    }
    let mut table = Table::new([
        ("Provider", Align::Left),
        ("Profile", Align::Left),
        ("Key", Align::Left),
    ]);
    let mut count = 0;
    for credential in profiles.credentials() {
        if provider.is_some_and(|provider| provider != credential.provider()) {
            continue;
        }
        count += 1;
        table.row([
            credential.provider().to_owned(),
            credential.profile().to_owned(),
            mask(credential.key()),
        ]);
    }
    let mut out = anstream::stdout();
    if count == 0 {
        let path = file.path().display().to_string();
        writeln!(out, "no keys are stored in {}", escaped(&path))?;
    } else {
        table.write(&mut out)?;
    }
    Ok(Status::Done)
}

fn remove(file: &ProfileFile, provider: &str) -> anyhow::Result<Status> {
    let mut profiles = file.load()?;
    let removed = profiles.remove(provider);
    if removed.is_empty() {
        return Err(Failure::usage(format!(
            "no key for {provider} is stored in {}",
            file.path().display()
        ))
        .hint("`provider-host auth list` shows the keys that are")
        .into());
    }
    file.save(&profiles)?;
    for profile in removed {
        writeln!(anstream::stdout(), "removed {}", escaped(&profile))?;
    }
    Ok(Status::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_place_of_a_provider_is_not_repeated() {
        for id in [
            "vllm",
            " VLLM ",
            "my-provider2",
            "amazon-bedrock-mantle",
            "sky",
        ] {
            assert!(checked(id).is_ok(), "{id}");
        }
        for id in ["", "  ", "a/b", "a b"] {
            let error = checked(id).unwrap_err().to_string();
            assert!(error.contains("no provider id"), "{error}");
        }
        for key in [
            "sk_live_abc",
            "sk-proj-abc",
            "HF_abc",
            "Zq81vNn3Xw72",
            "0123456789abcdef0123456789abcdef0123",
        ] {
            let error = checked(key).unwrap_err().to_string();
            assert!(error.contains("looks like a key"), "{key}: {error}");
            assert!(!error.contains(key), "{error}");
        }
    }
}
