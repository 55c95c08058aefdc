//! Napster's claims, small, and that the codec changes nothing.

use hexad_lab::scenarios::napster::{FAILURE, SCALE};
use hexad_lab::{Gauge, Scenario, Silent, Size, test_claims};

fn check(scenario: &'static Scenario) {
    let report = test_claims(scenario, Size::Small, None, 1, &mut Silent).unwrap();
    assert!(report.holds(), "{:#?}", report.verdicts.iter().filter(|verdict| !verdict.holds).collect::<Vec<_>>());
    assert_eq!(report.silent, [""; 0]);
}

#[test]
fn searches_cost_the_same_and_the_server_everything_at_any_size() {
    check(&SCALE);
}

#[test]
fn without_the_server_nothing_is_found_and_what_moves_goes_on() {
    check(&FAILURE);
}

#[test]
fn messages_as_bytes_change_nothing() {
    for scenario in [&SCALE, &FAILURE] {
        let digest = |codec: &'static str| {
            let given = scenario.small.iter().copied().chain([("codec", codec)]);
            let params = scenario.params(given).unwrap();
            (scenario.run)(&params, &mut Gauge::new(&mut Silent)).unwrap().digest
        };
        assert_eq!(digest("on"), digest("off"), "{}", scenario.name);
    }
}
