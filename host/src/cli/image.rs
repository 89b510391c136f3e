//! Images to send: what a file is, by its first bytes and not by its name.

use std::path::Path;

use provider_host::file::{self, FileError, Links};
use provider_host::types;

use super::failure::Failure;

/// Largest image that is read: more than any server takes.
const LARGEST: u64 = 32 << 20;

/// Reads an image file.
pub(super) fn read(path: &Path) -> anyhow::Result<types::Image> {
    let data = file::read(path, LARGEST, Links::Followed).map_err(|error| match error {
        FileError::TooLarge { .. } | FileError::Grown { .. } => Failure::usage(format!(
            "{} is larger than 32 MiB, which no server takes",
            path.display()
        ))
        .hint("make it smaller: a few million pixels are all that a model looks at"),
        error => {
            let (path, remedy) = (path.display(), error.remedy());
            Failure::usage(format!("cannot read {path}: {error}{remedy}"))
                .hint("check the path, and that you may read the file")
        }
    })?;
    let Some(media_type) = media_type(&data) else {
        return Err(Failure::usage(format!(
            "{} is not a PNG, JPEG, GIF or WebP image",
            path.display()
        ))
        .hint("its first bytes count, not its name: convert it to one of these")
        .into());
    };
    Ok(types::Image {
        media_type: media_type.to_owned(),
        data,
    })
}

/// The media type of an image, by its signature.
fn media_type(data: &[u8]) -> Option<&'static str> {
    match data {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_its_first_bytes() {
        let cases: [(&[u8], Option<&str>); 8] = [
            (b"\x89PNG\r\n\x1a\nrest", Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF89a", Some("image/gif")),
            (b"GIF87a.", Some("image/gif")),
            (b"RIFF\x01\x02\x03\x04WEBPVP8 ", Some("image/webp")),
            (b"RIFF\x01\x02\x03\x04WAVE", None),
            (b"\x89PNG", None),
            (b"", None),
        ];
        for (data, expected) in cases {
            assert_eq!(media_type(data), expected, "{data:?}");
        }
    }

    #[test]
    fn a_file_that_is_no_image_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.png");
        std::fs::write(&path, "text").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.ends_with("a.png is not a PNG, JPEG, GIF or WebP image"));
        assert!(read(&directory.path().join("gone.png")).is_err());
    }
}
