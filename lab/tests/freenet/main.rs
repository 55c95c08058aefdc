//! What is claimed of Freenet, small enough for every day. `cargo xtask claims freenet --size full` runs the figures of the papers.

mod keys;
mod load;

use hexad_lab::{Silent, Size, find, scenarios::SCENARIOS, test_claims};

/// Runs the claims of a scenario in their small form.
fn check(name: &str) {
    let scenario = find(SCENARIOS, name).expect("the scenario is listed");
    let report = test_claims(scenario, Size::Small, None, 2, &mut Silent).expect("the scenario runs");
    for verdict in &report.verdicts {
        let (expected, tolerance) = verdict.expected.words();
        println!("{} {} | {}: expected {expected} {tolerance}, measured {}", verdict.holds, verdict.claim, verdict.row, verdict.measured);
    }
    assert!(report.holds(), "{name}: a claim does not hold");
}

#[test]
fn learning() {
    check("freenet/learning");
}

#[test]
fn targets() {
    check("freenet/targets");
}

#[test]
fn growth() {
    check("freenet/growth");
}

#[test]
fn memory() {
    check("freenet/memory");
}

#[test]
fn links() {
    check("freenet/links");
}

#[test]
fn swapping() {
    check("freenet/swapping");
}
