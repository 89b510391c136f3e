//! Finds the source of a given rustc's standard library among Debian's packages.
//!
//! Debian publishes the sources of several rustc versions side by side as `rust-src`. In goes a version, out comes the
//! package's place on the mirror and its SHA-256. Versions known when this was written are pinned, so that neither the
//! mirror nor the way to it has to be trusted; any other version is looked up in the suites' indices, whose word is
//! taken only over https or from a mirror that the user named.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::fetch;

/// Names a Debian mirror to use, such as `http://mirror.example/debian`.
pub(crate) const MIRROR_VARIABLE: &str = "PROVIDER_DEBIAN_MIRROR";

/// Smallest indices first: a backports index is a thirtieth of sid's.
const SUITES: &[&str] = &[
    "trixie-backports",
    "bookworm-backports",
    "sid",
    "forky",
    "trixie",
    "bookworm",
];

/// An index is at most about 60 MB unpacked; what is far beyond that is not an index.
const INDEX_LIMIT: u64 = 512 << 20;

/// A `rust-src` package on a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    /// Path below the mirror's root.
    pub(crate) path: String,
    /// SHA-256 in lower-case hexadecimal.
    pub(crate) sha256: String,
}

/// rustc version, path on the mirror, SHA-256.
const PINNED: &[(&str, &str, &str)] = &[(
    "1.95.0",
    "pool/main/r/rustc/rust-src_1.95.0+dfsg1-2~bpo13+1_all.deb",
    "7b76db5b880a77f9e52975d2baa6209d2f76d2c9c2789515c3088cb960e2c83b",
)];

/// The mirror to use, and whether the user named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mirror {
    pub(crate) url: String,
    named: bool,
}

impl Mirror {
    /// The mirror of this machine: `$PROVIDER_DEBIAN_MIRROR`, else the first that apt uses.
    pub(crate) fn of_this_machine() -> Result<Self> {
        let named = std::env::var(MIRROR_VARIABLE).ok();
        Self::choose(named.as_deref(), &apt_sources(Path::new("/etc/apt")))
    }

    fn choose(named: Option<&str>, apt: &str) -> Result<Self> {
        let tidy = |url: &str| url.trim().trim_end_matches('/').to_owned();
        if let Some(url) = named.filter(|url| !url.trim().is_empty()) {
            return Ok(Self {
                url: tidy(url),
                named: true,
            });
        }
        let url = apt_mirror(apt).with_context(|| {
            format!(
                "apt has no Debian mirror configured here; set {MIRROR_VARIABLE} to one, such as \
                 http://mirror.example/debian"
            )
        })?;
        Ok(Self {
            url: tidy(url),
            named: false,
        })
    }

    /// Whether what an index says may be believed without a pin.
    fn is_trusted(&self) -> bool {
        self.named || self.url.starts_with("https://")
    }

    /// The address of `path`, with the characters that a URL reserves escaped.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}/{}", self.url, path.replace('+', "%2B"))
    }
}

fn apt_sources(folder: &Path) -> String {
    let mut files = vec![folder.join("sources.list")];
    if let Ok(entries) = std::fs::read_dir(folder.join("sources.list.d")) {
        let mut more: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    let texts = files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok());
    texts.collect::<Vec<_>>().join("\n")
}

/// The first Debian archive in apt's sources, in one-line or deb822 form. Other archives (security, other vendors) do
/// not carry `rust-src`, and are told by their path.
fn apt_mirror(sources: &str) -> Option<&str> {
    sources
        .lines()
        .filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"))
        .flat_map(str::split_whitespace)
        .find(|word| {
            let is_web = word.starts_with("http://") || word.starts_with("https://");
            is_web && word.trim_end_matches('/').ends_with("/debian")
        })
}

/// The `rust-src` package for exactly this rustc.
pub(crate) fn rust_src(version: &str, mirror: &Mirror) -> Result<Package> {
    if let Some((_, path, sha256)) = PINNED.iter().find(|(pinned, ..)| *pinned == version) {
        return Ok(Package {
            path: (*path).to_owned(),
            sha256: (*sha256).to_owned(),
        });
    }
    ensure!(
        mirror.is_trusted(),
        "rustc {version} has no pinned digest here and {} is not https; \
         set {MIRROR_VARIABLE} to a mirror you trust to look it up there",
        mirror.url
    );
    let mut tried = Vec::new();
    for suite in SUITES {
        match look_up(version, mirror, suite) {
            Ok(Some(package)) => return Ok(package),
            Ok(None) => tried.push(format!("{suite}: not there")),
            // With the mirror out of reach, five more time-outs would tell nothing new.
            Err(error) if tried.is_empty() => return Err(error),
            Err(error) => tried.push(format!("{suite}: {error:#}")),
        }
    }
    bail!(
        "no rust-src for rustc {version} on {} ({})",
        mirror.url,
        tried.join("; ")
    )
}

fn look_up(version: &str, mirror: &Mirror, suite: &str) -> Result<Option<Package>> {
    // Architecture-independent packages are listed in every architecture's index, and in `binary-all` where a suite
    // has one, which all of these do.
    let address = mirror.address(&format!("dists/{suite}/main/binary-all/Packages.xz"));
    let packed = fetch::to_memory(&address).with_context(|| format!("fetching {address}"))?;
    let mut index = String::new();
    lzma_rust2::XzReader::new(packed.as_slice(), true)
        .take(INDEX_LIMIT)
        .read_to_string(&mut index)
        .with_context(|| format!("unpacking {address}"))?;
    Ok(select(&index, version))
}

/// The `rust-src` paragraph of a `Packages` index whose upstream version is exactly `version`; of several, the last,
/// since an index lists a package's versions in rising order.
fn select(index: &str, version: &str) -> Option<Package> {
    index
        .split("\n\n")
        .filter_map(|paragraph| package(paragraph, version))
        .last()
}

fn package(paragraph: &str, version: &str) -> Option<Package> {
    let field = |name: &str| {
        paragraph
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    };
    if field("Package")? != "rust-src" || upstream(field("Version")?) != version {
        return None;
    }
    let (path, sha256) = (field("Filename")?, field("SHA256")?);
    let is_digest = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| Package {
        path: path.to_owned(),
        sha256: sha256.to_ascii_lowercase(),
    })
}

/// `1.95.0` of `1:1.95.0+dfsg1-2~bpo13+1`. A `~beta` stays, so that a pre-release is not taken for the release.
fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let version = version
        .rsplit_once('-')
        .map_or(version, |(before, _)| before);
    version
        .split_once("+dfsg")
        .map_or(version, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "\
Package: rust-doc
Version: 1.95.0+dfsg1-2
Filename: pool/doc.deb
SHA256: 0000000000000000000000000000000000000000000000000000000000000000

Package: rust-src
Source: rustc
Version: 1.94.1+dfsg1-1
Filename: pool/old.deb
SHA256: 1111111111111111111111111111111111111111111111111111111111111111

Package: rust-src
Version: 1.96.0+dfsg1-1
Description: Rust
 Filename: not a field
Filename: pool/first.deb
SHA256: 2222222222222222222222222222222222222222222222222222222222222222

Package: rust-src
Version: 1.96.0+dfsg1-2
Filename: pool/second.deb
SHA256: AAAA222222222222222222222222222222222222222222222222222222222222

Package: rust-src
Version: 1.97.0+dfsg1-2
Filename: pool/short.deb
SHA256: 33
";

    #[test]
    fn the_index_gives_the_package_of_exactly_this_version() {
        let cases = [
            ("1.94.1", Some("pool/old.deb")),
            ("1.96.0", Some("pool/second.deb")),
            ("1.94.0", None),
            ("1.9", None),
            ("1.97.0", None),
        ];
        for (version, expected) in cases {
            let found = select(INDEX, version);
            assert_eq!(
                found.as_ref().map(|package| package.path.as_str()),
                expected,
                "{version}"
            );
        }
        assert!(select(INDEX, "1.96.0").unwrap().sha256.starts_with("aaaa2"));
    }

    #[test]
    fn debian_versions_give_their_upstream_version() {
        let cases = [
            ("1.95.0+dfsg1-2~bpo13+1", "1.95.0"),
            ("1:1.95.0-1", "1.95.0"),
            ("1.95.0~beta.2+dfsg1-1", "1.95.0~beta.2"),
            ("1.95.0", "1.95.0"),
        ];
        for (debian, expected) in cases {
            assert_eq!(upstream(debian), expected, "{debian}");
        }
    }

    #[test]
    fn the_mirror_is_the_named_one_then_apts() {
        let one_line = "# deb http://commented/debian x main\ndeb [arch=amd64] http://near.example/debian/ trixie main\n";
        let deb822 = "Types: deb\nURIs: https://vendor.example/apt\nSuites: x\n\nURIs: http://sec.example/debian-security http://near.example/debian\n";
        let cases = [
            (
                Some("https://mine.example/debian/"),
                one_line,
                Some("https://mine.example/debian"),
            ),
            (Some(" "), one_line, Some("http://near.example/debian")),
            (None, one_line, Some("http://near.example/debian")),
            (None, deb822, Some("http://near.example/debian")),
            (
                None,
                "deb http://archive.ubuntu.example/ubuntu noble main",
                None,
            ),
            (None, "", None),
        ];
        for (named, apt, expected) in cases {
            let chosen = Mirror::choose(named, apt);
            match expected {
                Some(url) => assert_eq!(chosen.unwrap().url, url, "{apt}"),
                None => assert!(
                    chosen.unwrap_err().to_string().contains(MIRROR_VARIABLE),
                    "{apt}"
                ),
            }
        }
    }

    #[test]
    fn an_index_is_believed_only_over_https_or_from_a_named_mirror() {
        let plain = Mirror::choose(None, "deb http://near.example/debian x main").unwrap();
        assert!(!plain.is_trusted());
        let https = Mirror::choose(None, "deb https://near.example/debian x main").unwrap();
        assert!(https.is_trusted());
        let named = Mirror::choose(Some("http://mine.example/debian"), "").unwrap();
        assert!(named.is_trusted());
        let error = rust_src("0.0.1", &plain).unwrap_err().to_string();
        assert!(error.contains(MIRROR_VARIABLE), "{error}");
    }

    #[test]
    fn a_pinned_version_needs_no_index_and_its_address_is_escaped() {
        let mirror = Mirror::choose(Some("http://mine.example/debian"), "").unwrap();
        let package = rust_src("1.95.0", &mirror).unwrap();
        let address = mirror.address(&package.path);
        assert_eq!(
            address,
            "http://mine.example/debian/pool/main/r/rustc/rust-src_1.95.0%2Bdfsg1-2~bpo13%2B1_all.deb"
        );
    }
}
