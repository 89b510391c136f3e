//! The files of a watched place: which of them changed, what was read of each, what was refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::settle::{Due, Settling, Times};
use super::stamp::{Stamp, Stamps};
use crate::plugin::MAX_PLUGIN_SIZE;
use crate::registry::folder::{FileContent, Found, MOST_FILES};
use crate::registry::policy::REFUSED_REST;
use crate::registry::stage::{Refusal, Stage};

/// The files of a place.
#[derive(Debug)]
pub(super) struct Files {
    times: Times,
    files: BTreeMap<PathBuf, File>,
    presence: Presence,
}

#[derive(Debug)]
struct File {
    /// None: it was not there at the last scan.
    stamp: Option<Stamp>,
    settling: Settling,
    /// What was read last, and with which signature beside it.
    read: Option<Read>,
    refused: Option<Refused>,
}

#[derive(Debug)]
struct Read {
    content: FileContent,
    signature: Option<Stamp>,
    /// It may be offered: it was whole when it was read.
    counts: bool,
}

/// What was refused, so that it is not tried again and again.
#[derive(Debug)]
struct Refused {
    digest: Arc<str>,
    /// For its signature, which can come later; that signature.
    untrusted: Option<Option<Stamp>>,
    generation: u64,
    at: Instant,
}

/// Whether a place has files, and since when it has none.
#[derive(Debug, Default)]
struct Presence {
    /// Files were looked at, and that they are gone was not told.
    here: bool,
    empty: Option<Instant>,
    told: Option<Instant>,
    /// How often it was told, each time soon after the one before.
    times: u32,
}

/// What a look at a file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It holds something else than at the last look, or has another signature.
    New,
    /// It holds what it held.
    Same,
    /// It keeps changing: it is read once more before it counts.
    Unconfirmed,
}

impl Files {
    pub(super) fn new(times: Times) -> Self {
        Self {
            times,
            files: BTreeMap::new(),
            presence: Presence::default(),
        }
    }

    /// Takes in what is there now. Whether it is to be told that nothing is left.
    pub(super) fn scanned(&mut self, stamps: Stamps, now: Instant) -> bool {
        let gone = self.presence.scanned(stamps.is_empty(), now, &self.times);
        let mut there = stamps.into_files();
        for (path, file) in &mut self.files {
            let stamp = there.remove(path);
            if stamp != file.stamp {
                file.settling.change(now, &self.times);
                file.stamp = stamp;
            }
        }
        let new = there.into_iter().map(|(path, stamp)| {
            let file = File {
                stamp: Some(stamp),
                settling: Settling::new(now),
                read: None,
                refused: None,
            };
            (path, file)
        });
        self.files.extend(new);
        // A file that is replaced by removing it may not be there for a moment.
        let lately = |file: &File| {
            file.settling
                .pending()
                .is_some_and(|at| now < at + self.times.most())
        };
        self.files
            .retain(|_, file| file.stamp.is_some() || lately(file));
        if self.files.len() > 2 * MOST_FILES {
            self.files.retain(|_, file| file.stamp.is_some());
        }
        gone
    }

    /// The files to read now. Those that were read often lately, or that keep changing, come last,
    /// and together only as many as make up one plugin of the largest size: the others do not wait
    /// for them.
    pub(super) fn due(&self, now: Instant) -> Vec<(PathBuf, Due)> {
        let mut calm = Vec::new();
        let mut restless = Vec::new();
        for (path, file) in &self.files {
            let Some(stamp) = &file.stamp else { continue };
            match file.settling.due(now, &self.times) {
                None => {}
                Some(Due::Settled) if !file.settling.is_restless() => {
                    calm.push((path.clone(), Due::Settled));
                }
                Some(due) => restless.push((file.settling.pending(), stamp.bytes(), path, due)),
            }
        }
        restless.sort_by_key(|one| one.0);
        let mut bytes = 0_u64;
        for (_, more, path, due) in restless {
            // What is larger is not read.
            let more = more.min(MAX_PLUGIN_SIZE);
            if bytes > 0 && bytes + more > MAX_PLUGIN_SIZE {
                break;
            }
            bytes += more;
            calm.push((path.clone(), due));
        }
        calm
    }

    /// When a file is to be read, or the place to be called empty, if nothing happens until then.
    pub(super) fn next(&self) -> Option<Instant> {
        let there = self.files.values().filter(|file| file.stamp.is_some());
        let files = there.filter_map(|file| file.settling.next(&self.times));
        files.chain(self.presence.next(&self.times)).min()
    }

    /// Takes in what a file holds.
    pub(super) fn read(
        &mut self,
        path: &Path,
        due: Due,
        content: FileContent,
        now: Instant,
    ) -> Look {
        let Some(file) = self.files.get_mut(path) else {
            return Look::Same;
        };
        self.presence.here = true;
        let signature = file.stamp.as_ref().and_then(Stamp::signature).cloned();
        let before = file.read.take();
        let same = before.as_ref().is_some_and(|before| {
            before.content.digest == content.digest && before.signature == signature
        });
        // What is no component as a whole is none, whether it changes or not.
        let whole = content.plugin.is_ok();
        let counted = before.as_ref().is_none_or(|before| before.counts);
        let first = due == Due::Overdue && whole && !(same && counted);
        let mut read = Read {
            content,
            signature,
            counts: true,
        };
        if let Some(before) = before.filter(|_| same) {
            // That it was touched makes it no newer.
            read.content.modified = before.content.modified;
        }
        let look = if first && !(same && file.settling.is_unconfirmed()) {
            read.counts = false;
            if file.settling.is_unconfirmed() {
                file.settling.unsteady(now);
            } else {
                file.settling.unconfirmed(now, &self.times);
            }
            Look::Unconfirmed
        } else {
            file.settling.looked(now);
            match same && counted {
                true => Look::Same,
                false => Look::New,
            }
        };
        file.read = Some(read);
        look
    }

    /// The plugins of a provider, the newest first; those of restless files behind all others. A
    /// file that has changed since it was read is none of them.
    pub(super) fn candidates(&self, provider: &str) -> (Vec<Found>, Vec<Found>) {
        let (mut calm, mut restless) = (Vec::new(), Vec::new());
        for (path, file) in &self.files {
            let whole = file.settling.pending().is_none() && file.stamp.is_some();
            let read = file.read.as_ref().filter(|read| whole && read.counts);
            let found = read.and_then(|read| Found::new(path, &read.content, provider));
            match file.settling.is_restless() {
                true => restless.extend(found),
                false => calm.extend(found),
            }
        }
        crate::registry::folder::sort(&mut calm);
        crate::registry::folder::sort(&mut restless);
        (calm, restless)
    }

    /// Whether some file may be a plugin of a provider: it was read and is one, or is not read yet.
    pub(super) fn may_have(&self, provider: &str) -> bool {
        self.files.values().any(|file| {
            let read = file.read.as_ref();
            let ours = |read: &Read| read.content.version_of(provider).is_some();
            file.settling.pending().is_some() || read.is_some_and(ours)
        })
    }

    /// The content of a file that was read and counts.
    pub(super) fn content(&self, path: &Path) -> Option<&FileContent> {
        let read = self.files.get(path)?.read.as_ref()?;
        read.counts.then_some(&read.content)
    }

    /// Whether what a file holds was refused already, where `generation` serves. `looked`: it was
    /// read just now.
    pub(super) fn was_refused(
        &self,
        path: &Path,
        generation: u64,
        looked: bool,
        now: Instant,
    ) -> bool {
        let Some(file) = self.files.get(path) else {
            return false;
        };
        let (Some(read), Some(refused)) = (&file.read, &file.refused) else {
            return false;
        };
        let signature = refused.untrusted.as_ref();
        refused.digest == read.content.digest
            && refused.generation == generation
            && signature.is_none_or(|signature| *signature == read.signature)
            && !(looked && now.duration_since(refused.at) >= REFUSED_REST)
    }

    /// What a file holds was refused.
    pub(super) fn refuse(&mut self, path: &Path, refusal: &Refusal, generation: u64, now: Instant) {
        let Some(file) = self.files.get_mut(path) else {
            return;
        };
        file.refused = file.read.as_ref().map(|read| Refused {
            digest: read.content.digest.clone(),
            untrusted: (refusal.stage() == Stage::Trust).then(|| read.signature.clone()),
            generation,
            at: now,
        });
    }

    /// A file is read again after a while: what was wrong with it passes.
    pub(super) fn again(&mut self, path: &Path, after: Duration, now: Instant) {
        if let Some(file) = self.files.get_mut(path) {
            file.settling.again(now + after);
        }
    }
}

impl Presence {
    fn scanned(&mut self, empty: bool, now: Instant, times: &Times) -> bool {
        if !empty {
            self.empty = None;
            return false;
        }
        self.empty.get_or_insert(now);
        let over = self.next(times).is_some_and(|at| at <= now);
        if over {
            if self
                .told
                .is_none_or(|at| now.duration_since(at) >= times.most())
            {
                self.times = 0;
            }
            self.times = self.times.saturating_add(1);
            self.told = Some(now);
            self.here = false;
        }
        over
    }

    fn next(&self, times: &Times) -> Option<Instant> {
        let empty = self.empty.filter(|_| self.here)?;
        Some(empty + times.settled(self.times))
    }
}

#[cfg(all(test, feature = "embedded-plugin"))]
mod tests {
    use super::*;
    use crate::plugin::EMBEDDED;
    use crate::registry::watch::Source;
    use crate::{Engine, EngineOptions, Error, ErrorKind};

    const DEBOUNCE: Duration = Duration::from_millis(250);
    const MOST: Duration = Duration::from_secs(5);

    /// A folder that is scanned at times of the test's choice.
    struct Folder {
        folder: tempfile::TempDir,
        files: Files,
        engine: Engine,
        now: Instant,
    }

    impl Folder {
        fn new() -> Self {
            let options = EngineOptions {
                max_chats: 4,
                ..EngineOptions::default()
            };
            Self {
                folder: tempfile::tempdir().expect("a folder"),
                files: Files::new(Times::new(DEBOUNCE, MOST)),
                engine: Engine::new(options).expect("an engine"),
                now: Instant::now(),
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        /// Writes a file: another content each time, of another length.
        fn write(&self, name: &str, bytes: &[u8]) {
            std::fs::write(self.path(name), bytes).expect("a file");
        }

        /// Scans a while later, and reads what is due: the names, and what came of it.
        fn after(&mut self, wait: Duration) -> Vec<(String, Look)> {
            self.now += wait;
            let source = Source::Directory(self.folder.path().to_owned());
            let stamps = Stamps::of(&source).expect("a descriptor");
            self.files.scanned(stamps, self.now);
            let mut looks = Vec::new();
            for (path, due) in self.files.due(self.now) {
                let content = FileContent::of(&path, &self.engine);
                let look = self.files.read(&path, due, content, self.now);
                let name = path
                    .file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned();
                looks.push((name, look));
            }
            looks
        }
    }

    fn refusal(stage: Stage) -> Refusal {
        Refusal::new(stage, Error::new(ErrorKind::InvalidPlugin, "no"))
    }

    /// The embedded plugin in bytes of its own.
    fn variant(number: u8) -> Vec<u8> {
        let mut bytes = EMBEDDED.to_vec();
        for _ in 0..=number {
            bytes.extend([0, 6, 4, b'n', b'o', b't', b'e', number]);
        }
        bytes
    }

    #[test]
    fn of_a_thousand_files_the_one_that_changed_is_read() {
        let mut folder = Folder::new();
        for number in 0..1_000 {
            folder.write(&format!("{number}.wasm"), b"no component");
        }
        assert!(folder.after(Duration::ZERO).is_empty());
        assert_eq!(folder.after(DEBOUNCE).len(), 1_000);
        for longer in 0..20 {
            folder.write("7.wasm", &vec![b'x'; 20 + longer]);
            for (name, _) in folder.after(DEBOUNCE) {
                assert_eq!(name, "7.wasm");
            }
        }
        assert!(folder.after(MOST).iter().all(|(name, _)| name == "7.wasm"));
        assert!(folder.after(MOST).is_empty());
        assert_eq!(folder.files.next(), None, "nobody has to look again");
    }

    #[test]
    fn a_file_that_keeps_changing_does_not_keep_another_one_waiting() {
        let mut folder = Folder::new();
        folder.write("honest.wasm", &variant(0));
        let mut noisy = 0;
        for round in 0..40_usize {
            folder.write("noisy.wasm", &vec![b'x'; round + 1]);
            let looks = folder.after(Duration::from_millis(100));
            let honest = looks.iter().any(|(name, _)| name == "honest.wasm");
            assert_eq!(
                honest,
                round == 3,
                "once, at the first scan after the debounce"
            );
            noisy += looks.len() - usize::from(honest);
        }
        assert_eq!(noisy, 0, "four seconds are less than the longest wait");
        let (calm, _) = folder.files.candidates("vllm");
        assert_eq!(calm.len(), 1);
    }

    #[test]
    fn a_component_that_keeps_changing_counts_if_two_looks_find_the_same_bytes() {
        let mut folder = Folder::new();
        let mut looks = Vec::new();
        // Replaced by another one all the time, then touched only.
        for round in 0..200_u8 {
            folder.write(
                "noisy.wasm",
                &variant(if round < 100 { round % 7 } else { 9 }),
            );
            let at = folder.path("noisy.wasm");
            let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(round));
            let file = std::fs::File::options().append(true).open(at).unwrap();
            file.set_modified(time).unwrap();
            for (_, look) in folder.after(Duration::from_millis(100)) {
                looks.push((round, look));
            }
        }
        let counted: Vec<_> = looks
            .iter()
            .filter(|(_, look)| *look != Look::Unconfirmed)
            .collect();
        assert!(counted.iter().all(|(round, _)| *round >= 100), "{looks:?}");
        assert_eq!(counted.iter().filter(|one| one.1 == Look::New).count(), 1);
        assert!(looks.len() <= 2 * 20 / 5 + 2, "{looks:?}");
    }

    #[test]
    fn a_name_that_comes_and_goes_is_read_and_forgotten() {
        let mut folder = Folder::new();
        let mut looks = 0;
        for round in 0..120_usize {
            let path = folder.path("noisy.wasm");
            match round % 2 {
                0 => folder.write("noisy.wasm", &vec![b'x'; round + 1]),
                _ => std::fs::remove_file(path).unwrap(),
            }
            looks += folder.after(Duration::from_millis(100)).len();
        }
        assert!((1..=3).contains(&looks), "{looks}");
        for round in 0..3_000_usize {
            let name = format!("{round}.wasm");
            folder.write(&name, b"x");
            assert!(folder.after(Duration::from_millis(1)).is_empty());
            std::fs::remove_file(folder.path(&name)).unwrap();
        }
        assert!(folder.files.files.len() <= 2 * MOST_FILES);
        folder.after(MOST);
        assert!(folder.files.files.is_empty());
    }

    #[test]
    fn bytes_that_were_refused_are_tried_again_after_a_minute_or_under_another_plugin() {
        let mut folder = Folder::new();
        folder.write("a.wasm", &variant(0));
        folder.after(Duration::ZERO);
        folder.after(DEBOUNCE);
        let (path, at) = (folder.path("a.wasm"), folder.now);
        assert!(!folder.files.was_refused(&path, 1, true, at));
        folder.files.refuse(&path, &refusal(Stage::SelfTest), 1, at);
        let later = at + REFUSED_REST;
        assert!(folder.files.was_refused(&path, 1, true, at + MOST));
        assert!(
            folder.files.was_refused(&path, 1, false, later),
            "nobody touched it"
        );
        assert!(!folder.files.was_refused(&path, 1, true, later));
        assert!(!folder.files.was_refused(&path, 2, false, at + MOST));
        folder.write("a.wasm", &variant(1));
        folder.after(DEBOUNCE);
        folder.after(MOST);
        assert!(
            !folder.files.was_refused(&path, 1, true, folder.now),
            "other bytes"
        );
    }

    #[cfg(feature = "signatures")]
    #[test]
    fn a_file_whose_signature_was_refused_is_tried_again_with_another_one() {
        let mut folder = Folder::new();
        folder.write("a.wasm", &variant(0));
        folder.after(Duration::ZERO);
        folder.after(DEBOUNCE);
        let (path, at) = (folder.path("a.wasm"), folder.now);
        folder.files.refuse(&path, &refusal(Stage::Trust), 1, at);
        assert!(folder.files.was_refused(&path, 1, true, at));
        folder.write("a.wasm.minisig", b"a signature");
        folder.after(Duration::ZERO);
        folder.after(MOST);
        assert!(!folder.files.was_refused(&path, 1, true, at));
    }

    #[test]
    fn a_place_that_is_empty_for_a_moment_has_lost_nothing() {
        let mut folder = Folder::new();
        let empty = || Stamps::default();
        folder.write("a.wasm", b"x");
        folder.after(Duration::ZERO);
        folder.after(DEBOUNCE);
        let at = folder.now;
        assert!(!folder.files.scanned(empty(), at));
        assert_eq!(folder.files.next(), Some(at + DEBOUNCE));
        folder.after(Duration::from_millis(100));
        assert!(!folder.files.scanned(empty(), at + DEBOUNCE));
        assert!(folder.files.scanned(empty(), at + 2 * DEBOUNCE));
        assert!(
            !folder.files.scanned(empty(), at + 3 * DEBOUNCE),
            "told once"
        );
    }
}
