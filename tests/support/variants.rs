//! The embedded component in other bytes: newer, older, of another contract, of another provider, and broken.

use provider_host::plugin::{EMBEDDED, MANIFEST_SECTION};

/// The version of the embedded plugin.
pub(crate) const VERSION: &str = "0.1.0";

/// Another version of the plugin, of the same length: in the section, and in the copy that the code reads.
pub(crate) fn version(version: &str) -> Vec<u8> {
    assert_eq!(version.len(), VERSION.len());
    let quoted = |version: &str| format!("\"version\":\"{version}\"");
    replaced(EMBEDDED.to_vec(), quoted(VERSION), quoted(version), 2)
}

/// Another version in the section alone: it says something else when it runs.
pub(crate) fn lying(version: &str) -> Vec<u8> {
    let mut bytes = EMBEDDED.to_vec();
    let old = format!("\"version\":\"{VERSION}\"");
    let section = find(&bytes, MANIFEST_SECTION.as_bytes(), 0).expect("the section");
    let at = find(&bytes, old.as_bytes(), section).expect("its version");
    let new = format!("\"version\":\"{version}\"");
    bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
    bytes
}

/// The same plugin speaking another version of the contract, of the same length.
pub(crate) fn contract(version: &str) -> Vec<u8> {
    let mut bytes = EMBEDDED.to_vec();
    let mut at = 0;
    let mut count = 0;
    while let Some(found) = find(&bytes, b"llm:provider/", at) {
        at = found + 1;
        let name = bytes[found..].iter().position(|byte| *byte == b'@');
        let version_at = found + name.expect("a version") + 1;
        if bytes[version_at..].starts_with(b"0.1.0") {
            bytes[version_at..version_at + 5].copy_from_slice(version.as_bytes());
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
    bytes
}

/// The same plugin under another id, of the same length.
pub(crate) fn named(id: &str) -> Vec<u8> {
    let quoted = |id: &str| format!("\"id\":\"{id}\"");
    replaced(EMBEDDED.to_vec(), quoted("vllm"), quoted(id), 2)
}

/// A build that fits the contract and has lost a word that it reads answers by. The compiler makes
/// numbers of the word `finish_reason`: its first eight bytes are the constant of an instruction.
pub(crate) fn deaf() -> Vec<u8> {
    let (old, new) = (constant(*b"finish_r"), constant(*b"finish_R"));
    replaced(EMBEDDED.to_vec(), old, new, 1)
}

/// Eight bytes as WebAssembly writes them in an instruction: as a signed number in LEB128.
fn constant(bytes: [u8; 8]) -> Vec<u8> {
    let mut rest = i64::from_le_bytes(bytes);
    let mut written = Vec::new();
    loop {
        let low = u8::try_from(rest & 0x7f).expect("seven bits");
        rest >>= 7;
        let is_last = rest == 0 && low & 0x40 == 0 || rest == -1 && low & 0x40 != 0;
        if is_last {
            written.push(low);
            return written;
        }
        written.push(low | 0x80);
    }
}

/// The embedded plugin with a custom section more: it does the same and has another digest.
#[allow(dead_code, reason = "not every user of these needs it")]
pub(crate) fn noted(note: &str) -> Vec<u8> {
    let mut bytes = EMBEDDED.to_vec();
    let name = "note";
    let length = 1 + name.len() + note.len();
    assert!(length < 128, "one byte of length");
    bytes.extend([0, u8::try_from(length).expect("short")]);
    bytes.push(u8::try_from(name.len()).expect("short"));
    bytes.extend(name.as_bytes());
    bytes.extend(note.as_bytes());
    bytes
}

fn replaced(
    mut bytes: Vec<u8>,
    old: impl AsRef<[u8]>,
    new: impl AsRef<[u8]>,
    least: usize,
) -> Vec<u8> {
    let (old, new) = (old.as_ref(), new.as_ref());
    assert_eq!(old.len(), new.len());
    let mut count = 0;
    let mut at = 0;
    while let Some(found) = find(&bytes, old, at) {
        bytes[found..found + old.len()].copy_from_slice(new);
        at = found + old.len();
        count += 1;
    }
    assert!(
        count >= least,
        "{old:?} stands {count} times in the component"
    );
    bytes
}

fn find(bytes: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let at = rest.windows(what.len()).position(|window| window == what)?;
    Some(from + at)
}
