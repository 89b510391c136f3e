//! Parts of pages that are made from what the tests compute.
//!
//! A block stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. With `UPDATE_DOCS=1` it is rewritten; without, it
//! must be as computed.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Several tests hold blocks of one file.
static FILES: Mutex<()> = Mutex::new(());

/// Holds a block of a page against what it must be, or writes it. `page` is a path from the workspace's root.
pub(crate) fn block(page: &str, name: &str, text: &str) {
    let _alone = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let whole = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"));
    let begin = format!("<!-- {name}:begin -->\n");
    let end = format!("<!-- {name}:end -->");
    let (head, rest) = whole
        .split_once(&begin)
        .unwrap_or_else(|| panic!("{page} has no line {begin:?}"));
    let (stands, tail) = rest
        .split_once(&end)
        .unwrap_or_else(|| panic!("{page} has no {end:?}"));
    let computed = format!("\n{text}\n");
    if stands == computed {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{head}{begin}{computed}{end}{tail}")).expect("the page");
        return;
    }
    let differs = stands
        .lines()
        .zip(computed.lines())
        .find(|(stands, computed)| stands != computed);
    panic!(
        "{page}, block {name}, is not what the test computes (UPDATE_DOCS=1 rewrites it); the first line that \
         differs: {differs:?}"
    );
}
