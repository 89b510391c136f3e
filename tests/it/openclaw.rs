//! Against OpenClaw, point by point.
//!
//! Each recorded run of the real OpenClaw (`tests/fixtures/openclaw`) is done
//! again by the product: the same configuration file, environment and
//! conversation, against a server that answers as the recorded one did. What
//! then differs must be declared ([`declared`]), and what is declared must
//! differ; the tables of `docs/openclaw.md` are made of both ([`page`]).

mod compare;
mod declared;
mod keys;
mod page;
mod product;
mod recorded;
mod server;

use compare::{Found, compare};
use declared::{Case, cases};
use product::Product;

/// A case, what was compared and what differed.
struct Compared {
    case: Case,
    recorded: recorded::Recorded,
    ours: product::Ours,
    points: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_difference_from_a_recorded_openclaw_is_declared_and_every_declared_one_is_there() {
    let product = Product::new();
    let mut wrong = Vec::new();
    let mut all = Vec::new();
    for case in cases() {
        let recorded = recorded::load(case.file);
        let ours = product.run(&recorded).await;
        let (found, points) = compare(&recorded, &ours);
        check(&case, &found, &ours, &mut wrong);
        all.push(Compared {
            case,
            recorded,
            ours,
            points,
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(all.len(), recorded::ALL.len(), "each recording is a case");
    page::check(&all);
}

/// Holds what was found against what is declared. A line of complaint is
/// written as the declaration that is missing or too much.
fn check(case: &Case, found: &[Found], ours: &product::Ours, wrong: &mut Vec<String>) {
    let declared: Vec<_> = case.declared().collect();
    for one in found {
        let same = |d: &&declared::Difference| {
            d.field == one.field && d.theirs == one.theirs && d.ours == one.ours
        };
        if !declared.iter().any(same) {
            wrong.push(format!(
                "{}: not declared: ({:?}, {:?}, {:?})",
                case.file, one.field, one.theirs, one.ours
            ));
        }
    }
    for d in declared {
        let same =
            |one: &Found| d.field == one.field && d.theirs == one.theirs && d.ours == one.ours;
        if !found.iter().any(same) {
            wrong.push(format!(
                "{}: declared and not there: ({:?}, {:?}, {:?})",
                case.file, d.field, d.theirs, d.ours
            ));
        }
    }
    for words in case.says {
        if !ours.message().contains(words) {
            wrong.push(format!(
                "{}: the user does not read {words:?}: {}",
                case.file,
                ours.message()
            ));
        }
    }
}
