//! The profile file: where it is, who may read it, and how it is replaced.
//!
//! Its permissions are right from the first byte on (created 0600 in a
//! directory 0700), and a write is a rename, so a reader sees the old keys or
//! the new ones and a crash loses neither. A file that others can read is
//! still read, because refusing would not make the key secret again; the
//! reader says so, and the next write repairs it.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::{CredentialError, PATH_VARIABLE, Profiles};
use crate::configuration::Environment;
use crate::file::{self, Links};
use crate::folders::UserFolders;

/// Largest file that is read.
const LARGEST_FILE: u64 = 4 * 1024 * 1024;

/// A profile file, which may not exist yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileFile {
    path: PathBuf,
    /// The directory is this program's own, so its permissions may be set.
    own_directory: bool,
}

impl ProfileFile {
    /// The user's profile file: [`PATH_VARIABLE`], else `auth-profiles.json` in
    /// [`UserFolders::configuration`].
    ///
    /// # Errors
    /// [`CredentialError::NoPlace`] if no home is known.
    pub fn locate(
        environment: &Environment<'_>,
        folders: &UserFolders,
    ) -> Result<Self, CredentialError> {
        let named = environment(PATH_VARIABLE).filter(|value| !value.trim().is_empty());
        if let Some(path) = named {
            return Ok(Self::at(PathBuf::from(path)));
        }
        let folder = folders.configuration();
        Ok(Self {
            path: folder
                .map_err(|_| CredentialError::NoPlace)?
                .join("auth-profiles.json"),
            own_directory: true,
        })
    }

    /// A profile file at a path of the caller's choice. Directories that are
    /// missing are made readable by the owner only; one that exists is left as
    /// it is.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self {
            path,
            own_directory: false,
        }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the profiles; a file that does not exist holds none.
    ///
    /// # Errors
    /// [`CredentialError::Read`] or [`CredentialError::Shape`].
    pub fn load(&self) -> Result<Profiles, CredentialError> {
        let bytes = match file::read(&self.path, LARGEST_FILE, Links::Followed) {
            Ok(bytes) => bytes,
            Err(error) if error.is_absence() => return Ok(Profiles::empty()),
            Err(error) => {
                return Err(CredentialError::Read {
                    file: self.path.clone(),
                    cause: format!("{error}{}", error.remedy()),
                });
            }
        };
        let shape = |cause: String| CredentialError::Shape {
            file: self.path.clone(),
            cause,
        };
        let text = String::from_utf8(bytes).map_err(|_| shape(String::from("not UTF-8 text")))?;
        if text.trim().is_empty() {
            return Ok(Profiles::empty());
        }
        Profiles::parse(&text).map_err(shape)
    }

    /// Whether others than its owner may read the file, which its user should
    /// be told. `None` if all is well, if there is no file, and on systems
    /// without such permissions.
    #[must_use]
    pub fn exposed(&self) -> Option<String> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&self.path).ok()?.permissions().mode() & 0o777;
            (mode & 0o077 != 0).then(|| {
                format!(
                    "{} can be read by others (mode {mode:04o}): run chmod 600 on it, \
                     and change the keys if the machine is shared",
                    self.path.display()
                )
            })
        }
        #[cfg(not(unix))]
        None
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// [`CredentialError::Write`]; the old file is then as it was.
    pub fn save(&self, profiles: &Profiles) -> Result<(), CredentialError> {
        self.replace(profiles.to_text().as_bytes())
            .map_err(|error| CredentialError::Write {
                file: self.path.clone(),
                cause: error.to_string(),
            })
    }

    fn replace(&self, content: &[u8]) -> std::io::Result<()> {
        // A link to the file stays a link.
        let target = match std::fs::canonicalize(&self.path) {
            Ok(target) => target,
            Err(error) if error.kind() == ErrorKind::NotFound => self.path.clone(),
            Err(error) => return Err(error),
        };
        let directory = match target.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        };
        self.make_directory(directory)?;
        // Created 0600 on Unix, in the same file system as its target.
        let mut file = tempfile::Builder::new()
            .prefix(".auth-profiles-")
            .tempfile_in(directory)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(&target).map_err(|error| error.error)?;
        Ok(())
    }

    fn make_directory(&self, directory: &Path) -> std::io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
            builder.mode(0o700).create(directory)?;
            if self.own_directory {
                let mode = std::fs::Permissions::from_mode(0o700);
                std::fs::set_permissions(directory, mode)?;
            }
            Ok(())
        }
        #[cfg(not(unix))]
        builder.create(directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_the_variables_then_xdg_then_home() {
        type Variables<'a> = &'a [(&'a str, &'a str)];
        let cases: [(Variables<'_>, Option<&str>); 5] = [
            (
                &[
                    (PATH_VARIABLE, "/k/p.json"),
                    ("XDG_CONFIG_HOME", "/x"),
                    ("HOME", "/h"),
                ],
                Some("/k/p.json"),
            ),
            (
                &[("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")],
                Some("/x/provider-host/auth-profiles.json"),
            ),
            (
                &[("XDG_CONFIG_HOME", "relative"), ("HOME", "/h")],
                Some("/h/.config/provider-host/auth-profiles.json"),
            ),
            (
                &[(PATH_VARIABLE, " "), ("HOME", "/h")],
                Some("/h/.config/provider-host/auth-profiles.json"),
            ),
            (&[], None),
        ];
        for (variables, expected) in cases {
            let environment = |name: &str| {
                variables
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| String::from(*value))
            };
            let folders = UserFolders::of(&environment);
            let found = ProfileFile::locate(&environment, &folders).ok();
            assert_eq!(
                found.as_ref().map(|file| file.path()),
                expected.map(Path::new),
                "{variables:?}"
            );
        }
    }

    #[test]
    fn a_file_that_does_not_exist_holds_no_keys() {
        let directory = tempfile::tempdir().unwrap();
        let file = ProfileFile::at(directory.path().join("none.json"));
        assert!(file.load().unwrap().credentials().is_empty());
        assert_eq!(file.exposed(), None);
    }

    #[test]
    fn a_broken_file_is_an_error_and_is_not_overwritten_by_reading() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p.json");
        std::fs::write(&path, "{oops").unwrap();
        let error = ProfileFile::at(path.clone()).load().unwrap_err();
        assert!(error.to_string().contains("not JSON (line 1"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{oops");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_written_is_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().display().to_string();
        let environment = |name: &str| (name == "XDG_CONFIG_HOME").then(|| base.clone());
        let folders = UserFolders::of(&environment);
        let file = ProfileFile::locate(&environment, &folders).unwrap();
        let mut profiles = Profiles::empty();
        profiles.set("vllm", "a-secret").unwrap();
        file.save(&profiles).unwrap();
        let own = file.path().parent().unwrap();
        assert_eq!((mode(file.path()), mode(own)), (0o600, 0o700));
        assert_eq!(file.exposed(), None);

        // Somebody opened both up: the reader says so, the next write repairs.
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::set_permissions(own, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(file.exposed().unwrap().contains("mode 0644"));
        assert_eq!(
            file.load().unwrap().credential("vllm").unwrap().key(),
            "a-secret"
        );
        file.save(&profiles).unwrap();
        assert_eq!((mode(file.path()), mode(own)), (0o600, 0o700));
        assert_eq!(std::fs::read_dir(own).unwrap().count(), 1, "no leftovers");
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_of_the_users_own_choice_keeps_its_permissions() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let file = ProfileFile::at(directory.path().join("new/keys.json"));
        file.save(&Profiles::empty()).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(directory.path()), 0o755);
        assert_eq!(mode(&directory.path().join("new")), 0o700);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_the_file_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().join("real.json");
        let link = directory.path().join("link.json");
        std::fs::write(&real, "{}").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut profiles = Profiles::empty();
        profiles.set("vllm", "k").unwrap();
        ProfileFile::at(link.clone()).save(&profiles).unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(
            std::fs::read_to_string(&real)
                .unwrap()
                .contains("vllm:default")
        );
    }
}
