//! The contract's conformance suite: what is honest passes it, and each of its checks finds a fault.

mod corpus;
mod faults;
mod page;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use provider_host::check::{Check, Options, Recorded, Report, Suite, Verdict, all};
use provider_host::plugin::EMBEDDED;
use provider_host::policy::SandboxLimits;

use crate::hostile::component;
use crate::support::engine;

fn workspace() -> &'static Path {
    let host = Path::new(env!("CARGO_MANIFEST_DIR"));
    host.parent().expect("a workspace")
}

/// The folder of the second provider's exchanges.
pub(crate) fn corpus() -> PathBuf {
    workspace().join("tests/second/corpus")
}

fn recorded(folder: &Path) -> Vec<Recorded> {
    Recorded::load(folder).expect("recordings")
}

/// A component of this workspace.
fn built(package: &str) -> Vec<u8> {
    let file = component::build_package(workspace(), package).expect("a component");
    std::fs::read(file).expect("its bytes")
}

pub(crate) fn second() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| built("second-provider"))
}

/// The second provider with a fault; which one, its configuration says.
pub(crate) fn faulty() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| built("faulty-provider"))
}

/// The plugin that attacks its host; what it does, its configuration says.
pub(crate) fn hostile() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| built("hostile-provider"))
}

/// A suite that is not cut short: the host is not optimized, and other tests run beside it.
fn suite(bytes: &[u8], options: Options) -> Suite {
    let options = options.with_deadline(Duration::from_secs(1_800));
    Suite::new(engine(), bytes, options).expect("a plugin")
}

/// Limits that a plugin without end meets soon.
fn tight() -> SandboxLimits {
    SandboxLimits::new().with_cpu_time_per_call(Duration::from_millis(500))
}

fn name(check: &Check) -> String {
    format!("{}/{}", check.group.name(), check.name)
}

/// Those that did not pass, with their reasons, but for those that may be skipped.
fn not_passed(reports: &[Report], may_skip: &[&str]) -> Vec<String> {
    let allowed = |report: &&Report| match report.verdict {
        Verdict::Passed(cases) => cases > 0,
        Verdict::Skipped(_) => may_skip.contains(&name(report.check).as_str()),
        _ => false,
    };
    let others = reports.iter().filter(|report| !allowed(report));
    others
        .map(|report| {
            let reasons = report.verdict.reasons().join("\n    ");
            format!(
                "{} {}:\n    {reasons}",
                name(report.check),
                report.verdict.name()
            )
        })
        .collect()
}

#[tokio::test]
async fn our_plugin_keeps_the_contract_over_the_exchanges_that_are_built_in() {
    let reports = suite(EMBEDDED, Options::default()).run().await;
    assert_eq!(reports.len(), all().count());
    // What the built-in exchanges decode to is held against every recording elsewhere.
    let broken = not_passed(&reports, &["chat/expected"]);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test]
async fn our_plugin_keeps_the_contract_over_recordings_of_real_servers() {
    let recorded = recorded(&workspace().join("tests/fixtures/vllm"));
    let options = Options::default().with_exchanges(recorded).with_sample(120);
    let broken = not_passed(&suite(EMBEDDED, options).run().await, &[]);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test]
async fn our_plugin_keeps_the_contract_over_the_exchanges_of_bug_reports() {
    let reported = recorded(&workspace().join("tests/fixtures/wild"));
    let options = Options::default().with_exchanges(reported);
    let broken = not_passed(&suite(EMBEDDED, options).run().await, &["chat/expected"]);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test]
async fn a_provider_of_another_protocol_keeps_the_contract() {
    let options = Options::default().with_exchanges(recorded(&corpus()));
    let broken = not_passed(&suite(second(), options).run().await, &[]);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test]
async fn without_exchanges_of_its_protocol_a_provider_is_told_what_was_not_tried() {
    let reports = suite(second(), Options::default()).run().await;
    let mut skipped = 0;
    for report in &reports {
        match &report.verdict {
            Verdict::Failed(reasons) => panic!("{:?}: {reasons:?}", report.check),
            Verdict::Skipped(why) => {
                skipped += 1;
                assert!(!why.is_empty());
            }
            _ => {}
        }
    }
    assert!(skipped > 10, "only {skipped} were skipped");
}
