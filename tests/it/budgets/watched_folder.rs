//! A noisy file in a watched place keeps no other file waiting, and is itself looked at in the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use provider_host::registry::{NOTICED_MOST, RegistryEvent, Source, Stage, SwapPolicy, What};
use tokio::sync::broadcast::Receiver;

use crate::swap::{event, slot, variants};

/// How often a noisy file changes.
const BEAT: Duration = Duration::from_millis(20);

/// Something that happens in a folder again and again, until it is dropped.
struct Noise {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Noise {
    fn new(pause: Duration, mut beat: impl FnMut(usize) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            for number in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                beat(number);
                std::thread::sleep(pause);
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// A file with some content whose times change.
    fn touching(path: PathBuf, bytes: &[u8]) -> Self {
        replace(&path, bytes);
        Self::new(BEAT, move |_| touch(&path))
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(
            ended.is_none_or(|ended| ended.is_ok()) || std::thread::panicking(),
            "the noise came to its end"
        );
    }
}

fn touch(path: &Path) {
    let file = std::fs::File::options().append(true).open(path);
    let touched = file.and_then(|file| file.set_modified(SystemTime::now()));
    touched.expect("a file to touch");
}

fn replace(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes).expect("a file");
    std::fs::rename(beside, path).expect("renamed");
}

/// A plugin of another provider.
fn another() -> &'static [u8] {
    crate::check::second()
}

fn serving(version: &'static str) -> impl Fn(&RegistryEvent) -> bool {
    move |one| matches!(one.what, What::Serving(_)) && one.version.as_deref() == Some(version)
}

/// Everything that is told within a while.
async fn told_within(events: &mut Receiver<RegistryEvent>, time: Duration) -> Vec<What> {
    let mut all = Vec::new();
    let end = tokio::time::Instant::now() + time;
    while let Ok(event) = tokio::time::timeout_at(end, events.recv()).await {
        all.push(event.expect("nothing is missed").what);
    }
    all
}

#[tokio::test]
async fn a_file_that_is_touched_every_100_ms_does_not_keep_another_one_waiting() {
    let (_server, registry, slot) = slot(SwapPolicy::new()).await;
    let mut events = registry.subscribe();
    let folder = tempfile::tempdir().expect("a folder");
    let noisy = folder.path().join("noisy.wasm");
    replace(&noisy, b"no component");
    let _noise = Noise::new(Duration::from_millis(100), move |_| touch(&noisy));
    let _watcher = slot
        .watch(Source::Directory(folder.path().to_owned()))
        .expect("a watcher");
    replace(&folder.path().join("a.wasm"), &variants::version("0.2.0"));
    event(&mut events, serving("0.2.0")).await;
    replace(&folder.path().join("b.wasm"), &variants::version("0.3.0"));
    event(&mut events, serving("0.3.0")).await;
}

#[cfg(unix)]
#[tokio::test]
async fn no_noise_of_a_folder_keeps_a_newer_plugin_waiting_or_floods_who_listens() {
    let policy = SwapPolicy::new()
        .with_debounce(Duration::from_millis(100))
        .with_debounce_max(Duration::from_secs(1));
    let (_server, registry, slot) = slot(policy).await;
    let mut events = registry.subscribe();
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);

    let broken = variants::version("0.9.0");
    let (half, old) = (broken[..5_000].to_vec(), variants::version("0.0.1"));
    std::fs::create_dir(at("folder.wasm")).expect("a folder");
    let pipe = std::process::Command::new("mkfifo")
        .arg(at("pipe.wasm"))
        .status();
    assert!(pipe.is_ok_and(|status| status.success()), "a pipe");
    std::os::unix::fs::symlink("/dev/zero", at("device.wasm")).expect("a link");
    std::os::unix::fs::symlink("loop.wasm", at("loop.wasm")).expect("a link");
    let (one, other) = (at("one"), at("other"));
    std::fs::write(&one, another()).expect("a file");
    std::fs::write(&other, &half).expect("a file");
    let names = ["grows", "comes", "turns", "log"].map(|name| at(&format!("{name}.wasm")));
    let [grows, comes, turns, log] = names;
    let log = log.with_extension("log");
    let many: Vec<_> = (0..100)
        .map(|number| at(&format!("many-{number}.wasm")))
        .collect();
    let _noise = [
        Noise::touching(at("no-component.wasm"), b"no component"),
        Noise::touching(at("half.wasm"), &half),
        Noise::touching(at("another.wasm"), another()),
        Noise::touching(at("old.wasm"), &old),
        Noise::new(BEAT, move |number| {
            use std::io::Write as _;
            let file = std::fs::File::options()
                .create(true)
                .append(true)
                .open(&grows);
            let written = file.and_then(|mut file| file.write_all(&vec![0; number]));
            written.expect("a file that grows");
        }),
        Noise::new(BEAT, move |number| {
            let done = match number % 2 {
                0 => std::fs::write(&comes, b"\0asm"),
                _ => std::fs::remove_file(&comes),
            };
            done.expect("a file that comes and goes");
        }),
        Noise::new(BEAT, move |number| {
            let beside = turns.with_extension("link");
            let to = if number % 2 == 0 { &one } else { &other };
            std::os::unix::fs::symlink(to, &beside).expect("a link");
            std::fs::rename(beside, &turns).expect("a link that turns");
        }),
        Noise::new(Duration::from_millis(1), move |number| {
            std::fs::write(&log, number.to_string()).expect("no component's file");
        }),
        Noise::new(BEAT, move |number| {
            let path = &many[number % many.len()];
            std::fs::write(path, number.to_string()).expect("a file of many");
        }),
    ];
    let _watcher = slot
        .watch(Source::Directory(folder.path().to_owned()))
        .expect("a watcher");
    replace(&at("a.wasm"), &variants::version("0.2.0"));
    event(&mut events, serving("0.2.0")).await;
    let told = told_within(&mut events, Duration::from_secs(5)).await;
    let noticed = |what: &&What| matches!(what, What::Noticed { .. });
    let count = told.iter().filter(noticed).count();
    // Two periods of ten seconds can touch these five.
    assert!(count <= 2 * NOTICED_MOST as usize, "{count} times noticed");
    let others = told.iter().filter(|what| !noticed(what)).count();
    assert!(others <= 5, "{told:?}");
    replace(&at("a.wasm"), &variants::version("0.3.0"));
    event(&mut events, serving("0.3.0")).await;
}

#[tokio::test]
async fn a_plugin_that_is_touched_all_the_time_serves_after_the_longest_wait() {
    let policy = SwapPolicy::new()
        .with_debounce(Duration::from_millis(200))
        .with_debounce_max(Duration::from_millis(800));
    let (_server, registry, slot) = slot(policy).await;
    let mut events = registry.subscribe();
    let folder = tempfile::tempdir().expect("a folder");
    for source in ["file", "folder"] {
        let place = folder.path().join(source);
        std::fs::create_dir(&place).expect("a folder");
        let path = place.join("a.wasm");
        let (version, source) = match source {
            "file" => ("0.2.0", Source::File(path.clone())),
            _ => ("0.3.0", Source::Directory(place)),
        };
        let _noise = Noise::touching(path, &variants::version(version));
        let _watcher = slot.watch(source).expect("a watcher");
        event(&mut events, serving(version)).await;
    }
}

#[tokio::test]
async fn a_file_that_is_written_for_longer_than_the_longest_wait_is_taken_when_it_is_whole() {
    let policy = SwapPolicy::new()
        .with_debounce(Duration::from_millis(200))
        .with_debounce_max(Duration::from_millis(600));
    let (_server, registry, slot) = slot(policy).await;
    let mut events = registry.subscribe();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plugin.wasm");
    let _watcher = slot.watch(Source::File(path.clone())).expect("a watcher");
    let whole = variants::version("0.2.0");
    let written = std::thread::spawn(move || {
        use std::io::Write as _;
        let mut file = std::fs::File::create(path).expect("a file");
        for piece in whole.chunks(whole.len() / 100) {
            file.write_all(piece).expect("a piece of it");
            std::thread::sleep(BEAT);
        }
    });
    let refused = |one: &RegistryEvent| {
        assert!(!matches!(one.what, What::Serving(_)), "half a file serves");
        matches!(
            &one.what,
            What::Refused {
                stage: Stage::Read,
                ..
            }
        )
    };
    event(&mut events, refused).await;
    assert!(!written.is_finished(), "it was looked at in the middle");
    event(&mut events, serving("0.2.0")).await;
    written.join().expect("a whole file");
}

#[tokio::test]
async fn bytes_that_were_refused_or_rolled_back_are_not_tried_again_because_they_are_touched() {
    let policy = SwapPolicy::new()
        .with_debounce(Duration::from_millis(10))
        .with_debounce_max(Duration::from_millis(200));
    let (_server, registry, slot) = slot(policy).await;
    let mut events = registry.subscribe();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plugin.wasm");
    let _watcher = slot.watch(Source::File(path.clone())).expect("a watcher");
    let is_refused = |what: &What| matches!(what, What::Refused { .. });
    let contents = [
        b"no component".to_vec(),
        variants::version("0.0.1"),
        another().to_vec(),
    ];
    for bytes in contents {
        let _noise = Noise::touching(path.clone(), &bytes);
        event(&mut events, |one| is_refused(&one.what)).await;
        let told = told_within(&mut events, Duration::from_millis(1_500)).await;
        assert!(told.is_empty(), "{told:?}");
    }
    replace(&path, &variants::version("0.2.0"));
    event(&mut events, serving("0.2.0")).await;
    slot.roll_back().expect("what served before");
    let noise = Noise::touching(path.clone(), &variants::version("0.2.0"));
    event(&mut events, |one| is_refused(&one.what)).await;
    let told = told_within(&mut events, Duration::from_millis(1_500)).await;
    assert!(told.is_empty(), "{told:?}");
    drop(noise);
    replace(&path, &variants::version("0.3.0"));
    event(&mut events, serving("0.3.0")).await;
}
