//! Reads a Debian binary package: an `ar` archive whose member `data.tar.xz` holds the files.
//!
//! In goes the package as a stream, out come the files under one folder. It is done here rather than by `dpkg-deb`
//! because a machine with nothing but rustup has none. Nothing is written outside the destination.

use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER: usize = 60;

/// Unpacks the files of `package` that lie under `prefix` (no leading slash) into `destination`, with `prefix` itself
/// taken off. Returns how many files were written.
pub(crate) fn unpack(package: impl Read, prefix: &str, destination: &Path) -> Result<usize> {
    let mut package = io::BufReader::new(package);
    let length = find_member(&mut package, "data.tar.xz")?;
    let data = lzma_rust2::XzReader::new(package.take(length), true);
    unpack_tar(data, prefix, destination)
}

/// Moves `archive` to the beginning of the member called `wanted` and returns its length in bytes.
fn find_member(archive: &mut impl Read, wanted: &str) -> Result<u64> {
    let mut magic = [0; MAGIC.len()];
    archive
        .read_exact(&mut magic)
        .context("the package is shorter than an ar archive's magic")?;
    ensure!(&magic == MAGIC, "the package is not an ar archive");
    let mut seen = Vec::new();
    loop {
        let mut header = [0; HEADER];
        if let Err(error) = archive.read_exact(&mut header) {
            ensure!(
                error.kind() == io::ErrorKind::UnexpectedEof,
                "reading the package: {error}"
            );
            bail!(
                "the package has no member {wanted}, only {}",
                seen.join(", ")
            );
        }
        ensure!(
            &header[58..] == b"`\n",
            "a member's header in the package is damaged"
        );
        // GNU ar ends a name with a slash, BSD ar and dpkg do not.
        let name = String::from_utf8_lossy(&header[..16])
            .trim_end()
            .trim_end_matches('/')
            .to_owned();
        let size = String::from_utf8_lossy(&header[48..58]);
        let length: u64 = size
            .trim_end()
            .parse()
            .with_context(|| format!("the size of {name} in the package is {size:?}"))?;
        if name == wanted {
            return Ok(length);
        }
        // Members begin at even offsets.
        let padded = length.saturating_add(length % 2);
        let skipped = io::copy(&mut archive.by_ref().take(padded), &mut io::sink())?;
        ensure!(
            skipped == padded,
            "the package ends within its member {name}"
        );
        seen.push(name);
    }
}

fn unpack_tar(data: impl Read, prefix: &str, destination: &Path) -> Result<usize> {
    let mut files = 0;
    let mut archive = tar::Archive::new(data);
    for entry in archive.entries().context("reading data.tar")? {
        let mut entry = entry.context("reading data.tar")?;
        let path = entry
            .path()
            .context("a file name in data.tar")?
            .into_owned();
        let path = path.strip_prefix(".").unwrap_or(&path);
        let Ok(inside) = path.strip_prefix(prefix) else {
            continue;
        };
        // Sources are plain files; a link could lead out of the destination.
        if !entry.header().entry_type().is_file() {
            continue;
        }
        ensure!(
            inside
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_))),
            "data.tar names a file outside its folder: {}",
            path.display()
        );
        let target = destination.join(inside);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("creating {}", parent.display()))?;
        }
        entry
            .unpack(&target)
            .with_context(|| format!("writing {}", target.display()))?;
        files += 1;
    }
    ensure!(files > 0, "the package has no files under {prefix}");
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, text) in files {
            let mut header = tar::Header::new_gnu();
            // Written raw: the builder itself refuses the hostile names that the reader has to survive.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, text.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn ar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = MAGIC.to_vec();
        for (name, bytes) in members {
            archive.extend(
                format!(
                    "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                    0,
                    0,
                    0,
                    644,
                    bytes.len()
                )
                .bytes(),
            );
            archive.extend(*bytes);
            archive.resize(archive.len().next_multiple_of(2), b'\n');
        }
        archive
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write;
        let mut writer =
            lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn scratch(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("xtask-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn only_the_files_under_the_prefix_are_unpacked() {
        let tar = tar_of(&[
            ("./usr/share/doc/readme", "no"),
            ("./usr/src/rustc-1/library/core/lib.rs", "core"),
            ("./usr/src/rustc-1/library/Cargo.toml", "top"),
            ("./usr/src/rustc-1/library-extra/x", "no"),
        ]);
        // An odd first member makes the second begin after a byte of padding.
        let package = ar_of(&[
            ("debian-binary", b"2.0"),
            ("control.tar.xz", b"x"),
            ("data.tar.xz", &xz(&tar)),
        ]);
        let out = scratch("prefix");
        assert_eq!(
            unpack(package.as_slice(), "usr/src/rustc-1/library", &out).unwrap(),
            2
        );
        assert_eq!(
            std::fs::read_to_string(out.join("core/lib.rs")).unwrap(),
            "core"
        );
        assert_eq!(
            std::fs::read_to_string(out.join("Cargo.toml")).unwrap(),
            "top"
        );
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2);
        std::fs::remove_dir_all(out).unwrap();
    }

    #[test]
    fn a_name_that_climbs_out_of_the_folder_is_refused() {
        let tar = tar_of(&[("./p/../../escaped", "no")]);
        let out = scratch("climb");
        let error = unpack_tar(tar.as_slice(), "p", &out.join("inner")).unwrap_err();
        assert!(error.to_string().contains("outside"), "{error}");
        assert!(!out.join("escaped").exists());
        std::fs::remove_dir_all(out).unwrap();
    }

    #[test]
    fn damaged_packages_are_errors() {
        let truncated = ar_of(&[("debian-binary", b"2.0\n")]);
        let cases: &[(&[u8], &str)] = &[
            (b"", "shorter"),
            (b"not an archive", "not an ar archive"),
            (&truncated, "no member data.tar.xz, only debian-binary"),
            (&truncated[..truncated.len() - 2], "ends within"),
        ];
        for (package, expected) in cases {
            let error = unpack(*package, "p", Path::new("/nonexistent"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
