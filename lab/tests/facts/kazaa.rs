//! Kazaa's claims, small, and that the codec changes nothing.

use hexad_lab::scenarios::kazaa::{ELECTION, LOSS, SEARCH, SOURCES};
use hexad_lab::{Gauge, Scenario, Silent, Size, test_claims};

fn check(scenario: &Scenario) {
    let report = test_claims(scenario, Size::Small, None, 1, &mut Silent).unwrap();
    for verdict in &report.verdicts {
        let (expected, tolerance) = verdict.expected.words();
        println!("{} {} | {}: expected {expected} {tolerance}, measured {}", verdict.holds, verdict.claim, verdict.row, verdict.mean);
    }
    assert!(report.holds(), "{}: a claim does not hold", scenario.name);
    assert_eq!(report.silent, [""; 0]);
}

#[test]
fn searches_find_more_the_further_they_travel_and_cost_less_than_a_flood() {
    check(&SEARCH);
}

#[test]
fn leaves_find_others_when_their_supernodes_die() {
    check(&LOSS);
}

#[test]
fn several_sources_are_used_at_once() {
    check(&SOURCES);
}

#[test]
fn supernodes_elect_themselves_under_churn() {
    check(&ELECTION);
}

#[test]
fn messages_as_bytes_change_nothing() {
    let short: &[(&str, &str)] = &[("nodes", "60"), ("warm-up", "6min"), ("time", "4min"), ("session", "5min"), ("uptime", "30s")];
    for (scenario, given) in [(&SEARCH, SEARCH.small), (&SOURCES, SOURCES.small), (&ELECTION, short)] {
        let digest = |codec: &'static str| {
            let given = given.iter().copied().chain([("codec", codec)]);
            let params = scenario.params(given).unwrap();
            (scenario.run)(&params, &mut Gauge::new(&mut Silent)).unwrap().digest
        };
        assert_eq!(digest("on"), digest("off"), "{}", scenario.name);
    }
}
