//! Writes the inputs that the recordings make, a folder a target: `recordings FOLDER`.

use std::fs;
use std::path::PathBuf;

use provider_fuzz::{TARGETS, recordings};

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("a folder"));
    for (target, _) in TARGETS {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        for (name, input) in recordings::inputs(target) {
            fs::write(folder.join(name), input)?;
        }
    }
    Ok(())
}
