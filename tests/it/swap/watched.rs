//! Files that are noticed.

use std::path::Path;
use std::time::Duration;

use provider_host::registry::{RegistryEvent, Source, Stage, SwapPolicy, What};

use super::{event, slot, variants};

fn policy() -> SwapPolicy {
    SwapPolicy::new().with_debounce(Duration::from_millis(20))
}

fn serving(version: &'static str) -> impl Fn(&RegistryEvent) -> bool {
    move |one| matches!(one.what, What::Serving(_)) && one.version.as_deref() == Some(version)
}

fn refused(stage: Stage) -> impl Fn(&RegistryEvent) -> bool {
    move |one| matches!(&one.what, What::Refused { stage: at, .. } if *at == stage)
}

/// As a careful installer does it: a file beside it, and renamed.
fn replace(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes).expect("a file");
    std::fs::rename(beside, path).expect("renamed");
}

#[tokio::test]
async fn a_file_that_is_new_or_changed_is_offered_and_what_was_rolled_back_is_not() {
    let (_server, registry, slot) = slot(policy()).await;
    let mut events = registry.subscribe();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plugin.wasm");
    let watcher = slot.watch(Source::File(path.clone())).expect("a watcher");

    std::fs::write(&path, variants::version("0.2.0")).expect("a file");
    event(
        &mut events,
        |one| matches!(&one.what, What::Noticed { file } if *file == path),
    )
    .await;
    event(&mut events, serving("0.2.0")).await;
    replace(&path, &variants::version("0.3.0"));
    event(&mut events, serving("0.3.0")).await;
    // In the middle of being written: refused, and the whole of it is a change.
    let whole = variants::version("0.4.0");
    std::fs::write(&path, &whole[..1_000]).expect("half a file");
    event(&mut events, refused(Stage::Read)).await;
    std::fs::write(&path, &whole).expect("a file");
    event(&mut events, serving("0.4.0")).await;

    slot.roll_back().expect("what served before");
    event(&mut events, serving("0.3.0")).await;
    replace(&path, &whole);
    event(&mut events, refused(Stage::Version)).await;
    let gone = |one: &RegistryEvent| matches!(&one.what, What::Gone { place } if *place == path);
    std::fs::remove_file(&path).expect("gone");
    event(&mut events, gone).await;
    std::fs::create_dir(&path).expect("a folder in its place");
    std::fs::remove_dir(&path).expect("gone");
    replace(&path, &variants::version("0.5.0"));
    event(&mut events, serving("0.5.0")).await;

    drop(watcher);
    replace(&path, &variants::version("0.6.0"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(&*slot.status().serving.version, "0.5.0", "nobody watches");
}

#[tokio::test]
async fn the_newest_of_a_watched_folder_serves() {
    let (_server, registry, slot) = slot(policy()).await;
    let mut events = registry.subscribe();
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| replace(&folder.path().join(name), bytes);
    write("a.wasm", &variants::version("0.2.0"));
    let _watcher = slot
        .watch(Source::Directory(folder.path().to_owned()))
        .expect("a watcher");
    event(&mut events, serving("0.2.0")).await;
    write("c.wasm", &variants::version("0.0.3"));
    write("b.wasm", &variants::version("0.9.0"));
    event(&mut events, serving("0.9.0")).await;
}

#[tokio::test]
async fn a_signature_that_comes_later_than_its_file_is_noticed_too() {
    use provider_host::plugin::trust::{Signatures, Trust};

    let signer = crate::hostile_files::signer::Signer::new(1);
    let trust = Trust::new(Signatures::Required).with_key("them", &signer.public());
    let policy = policy().with_trust(trust.expect("a key"));
    let (_server, registry, slot) = slot(policy).await;
    let mut events = registry.subscribe();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plugin.wasm");
    let newer = variants::version("0.2.0");
    replace(&path, &newer);
    let _watcher = slot.watch(Source::File(path.clone())).expect("a watcher");
    event(&mut events, refused(Stage::Trust)).await;
    std::fs::write(
        folder.path().join("plugin.wasm.minisig"),
        signer.sign(&newer),
    )
    .expect("a file");
    event(&mut events, serving("0.2.0")).await;
}
