//! Puts a built standard library where rustc looks for it, whole or not at all.
//!
//! In goes a folder of rlibs of one build, out comes the same set in the toolchain's folder for the target, beside a
//! list of what was put there. Only files on such a list are ever taken away again.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// Names the files that this program put into a toolchain, one a line.
const LIST: &str = "installed-by-provider-xtask.txt";

/// Copies the rlibs of `cache` to `libdir` by way of a folder beside it.
pub(crate) fn install(cache: &Path, libdir: &Path) -> Result<()> {
    let target = libdir
        .parent()
        .context("the target's folder has no parent")?;
    fs::create_dir_all(target).map_err(|error| explain(error, cache, libdir))?;
    let staged = target.join(format!("lib.{}.new", std::process::id()));
    let result = stage(cache, &staged).and_then(|()| put(&staged, libdir));
    if staged.exists() {
        // The error that matters is the one in `result`.
        let _ = fs::remove_dir_all(&staged);
    }
    result.map_err(|error| match error.downcast::<std::io::Error>() {
        Ok(error) => explain(error, cache, libdir),
        Err(error) => error,
    })
}

fn stage(cache: &Path, staged: &Path) -> Result<()> {
    fs::create_dir_all(staged)?;
    let mut list = String::new();
    for rlib in rlibs(cache)? {
        let Some(name) = rlib.file_name() else {
            continue;
        };
        fs::copy(&rlib, staged.join(name))?;
        list.push_str(&name.to_string_lossy());
        list.push('\n');
    }
    ensure!(!list.is_empty(), "{} holds no rlib", cache.display());
    Ok(fs::write(staged.join(LIST), list)?)
}

fn put(staged: &Path, libdir: &Path) -> Result<()> {
    // An empty folder may be left of an earlier removal; anything else in it is not ours to touch.
    match fs::remove_dir(libdir) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => bail!(
            "{} holds files but no whole standard library; move them away and run `cargo xtask setup` again",
            libdir.display()
        ),
        Err(error) => return Err(error.into()),
    }
    Ok(fs::rename(staged, libdir)?)
}

/// Takes out of `libdir` what [`install`] put there, for when rustup has brought its own build since. Returns whether
/// there was anything.
pub(crate) fn withdraw(libdir: &Path) -> Result<bool> {
    let list = libdir.join(LIST);
    let Ok(names) = fs::read_to_string(&list) else {
        return Ok(false);
    };
    for name in names.lines().filter(|name| !name.contains(['/', '\\'])) {
        match fs::remove_file(libdir.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error)
                    .with_context(|| format!("removing {name} from {}", libdir.display()));
            }
            _ => {}
        }
    }
    fs::remove_file(list)?;
    Ok(true)
}

/// The rlibs in `folder`.
pub(crate) fn rlibs(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    Ok(paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|kind| kind == "rlib"))
        .collect())
}

fn explain(error: std::io::Error, cache: &Path, libdir: &Path) -> anyhow::Error {
    let (cache, libdir) = (cache.display(), libdir.display());
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => anyhow::anyhow!(
            "the toolchain's folder is not writable ({error}); the standard library is built and lies in {cache}; \
             as a user who may write there: mkdir -p '{libdir}' && cp '{cache}'/*.rlib '{libdir}'/"
        ),
        _ => anyhow::anyhow!("copying {cache} to {libdir}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("xtask-{}-install-{name}", std::process::id()));
        fs::create_dir_all(path.join("cache")).unwrap();
        for file in ["libcore-1.rlib", "libstd.rlib", "libcore-1.rmeta"] {
            fs::write(path.join("cache").join(file), file).unwrap();
        }
        path
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_installed_is_withdrawn_and_nothing_else() {
        let root = scratch("whole");
        let libdir = root.join("target/lib");
        fs::create_dir_all(&libdir).unwrap();
        install(&root.join("cache"), &libdir).unwrap();
        assert_eq!(names(&libdir), [LIST, "libcore-1.rlib", "libstd.rlib"]);
        assert_eq!(names(&root.join("target")), ["lib"]);
        fs::write(libdir.join("libcore-2.rlib"), "rustup's").unwrap();
        assert!(withdraw(&libdir).unwrap());
        assert_eq!(names(&libdir), ["libcore-2.rlib"]);
        assert!(!withdraw(&libdir).unwrap());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_folder_with_other_files_is_left_as_it_is() {
        let root = scratch("other");
        let libdir = root.join("target/lib");
        fs::create_dir_all(&libdir).unwrap();
        fs::write(libdir.join("libcore-9.rlib"), "").unwrap();
        let error = install(&root.join("cache"), &libdir)
            .unwrap_err()
            .to_string();
        assert!(error.contains("move them away"), "{error}");
        assert_eq!(names(&libdir), ["libcore-9.rlib"]);
        assert_eq!(names(&root.join("target")), ["lib"]);
        fs::remove_dir_all(root).unwrap();
    }
}
