//! Which inputs are worth keeping in the repository.
//!
//! libFuzzer's own merge keeps whatever reaches one place more: hundreds of files a target. A tenth of them reach nearly as
//! much, and a repository is no place for the rest. So its control file is read, which says what each input reaches, and
//! those are chosen one by one that add most, the shorter of equals.

use std::collections::HashSet;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// Most seeds of one target.
pub(super) const MAX_SEEDS: usize = 48;

/// One input, as the control file tells of it.
#[derive(Debug)]
struct Reached {
    path: PathBuf,
    bytes: u64,
    places: HashSet<u32>,
}

/// Chooses at most `most` inputs from a merge's control file, and says how many of all reached places they reach.
///
/// # Errors
/// It is no control file.
pub(super) fn choose(control: &str, most: usize) -> Result<(Vec<PathBuf>, usize, usize)> {
    let mut inputs = read(control).context("libFuzzer's control file is not understood")?;
    // Shortest first: of equal gains the first one is taken.
    inputs.sort_by(|a, b| (a.bytes, &a.path).cmp(&(b.bytes, &b.path)));
    let all: HashSet<u32> = inputs
        .iter()
        .flat_map(|input| input.places.iter().copied())
        .collect();
    let mut reached = HashSet::new();
    let mut chosen = Vec::new();
    while chosen.len() < most {
        let gain = |input: &Reached| input.places.difference(&reached).count();
        // `max_by_key` gives the last of equals.
        let Some(best) = inputs.iter().rev().max_by_key(|input| gain(input)) else {
            break;
        };
        if gain(best) == 0 {
            break;
        }
        chosen.push(best.path.clone());
        reached.extend(best.places.iter().copied());
    }
    Ok((chosen, reached.len(), all.len()))
}

/// The number of inputs, how many of them are in the first folder, their paths, and then for each by its number `STARTED` with
/// its size, `FT` with what it reached, `COV` with the same by another measure.
fn read(control: &str) -> Result<Vec<Reached>> {
    let mut lines = control.lines();
    let count: usize = lines.next().context("it is empty")?.parse()?;
    lines.next().context("it ends too soon")?;
    let paths = lines.by_ref().take(count);
    let mut inputs: Vec<Reached> = paths
        .map(|path| Reached {
            path: path.into(),
            bytes: 0,
            places: HashSet::new(),
        })
        .collect();
    for line in lines {
        let mut words = line.split(' ');
        let kind = words.next().unwrap_or_default();
        let number: usize = words.next().context("a line without a number")?.parse()?;
        let input = inputs
            .get_mut(number)
            .context("an input that is not listed")?;
        match kind {
            "STARTED" => input.bytes = words.next().context("no size")?.parse()?,
            "FT" => input.places = words.map(str::parse).collect::<Result<_, _>>()?,
            "COV" => {}
            other => bail!("{other}"),
        }
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_adds_most_is_chosen_first_and_the_shorter_of_equals() {
        let control = "4\n0\na\nb\nc\nd\n\
                       STARTED 0 9\nFT 0 1 2 3\nCOV 0 1\nSTARTED 1 5\nFT 1 1 2 3\n\
                       STARTED 2 1\nFT 2 3\nSTARTED 3 2\nFT 3 4\n";
        let (chosen, reached, all) = choose(control, 9).unwrap();
        assert_eq!(chosen, [PathBuf::from("b"), PathBuf::from("d")]);
        assert_eq!((reached, all), (4, 4));
        let (chosen, reached, _) = choose(control, 1).unwrap();
        assert_eq!((chosen.len(), reached), (1, 3));
        assert!(choose("", 1).is_err());
        assert!(choose("1\n0\na\nFT 7 1\n", 1).is_err());
    }
}
