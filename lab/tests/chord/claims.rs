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
fn hops() {
    check("chord/hops");
}

#[test]
fn tables() {
    check("chord/tables");
}

#[test]
fn failures() {
    check("chord/failures");
}

#[test]
fn stretch() {
    check("chord/stretch");
}

#[test]
fn load() {
    check("chord/load");
}

#[test]
fn survival() {
    check("chord/survival");
}

#[test]
fn churn() {
    check("chord/churn");
}

#[test]
fn halflife() {
    check("chord/halflife");
}

#[test]
fn partition() {
    check("chord/partition");
}

#[test]
fn join() {
    check("chord/join");
}

#[test]
fn gap() {
    check("chord/gap");
}

#[test]
fn rules() {
    check("chord/rules");
}

#[test]
fn index() {
    check("chord/index");
}

#[test]
fn attackers() {
    check("chord/attackers");
}
