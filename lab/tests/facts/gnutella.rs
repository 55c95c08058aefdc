//! Gnutella's claims, small, and that the codec changes nothing.

use hexad_lab::scenarios::gnutella::{ANSWERS, DIAMETER, FLOOD, LOSS, STRATEGIES, SUCCESS};
use hexad_lab::{Gauge, Scenario, Silent, Size, test_claims};

fn check(scenario: &'static Scenario) {
    let report = test_claims(scenario, Size::Small, None, 1, &mut Silent).unwrap();
    assert!(report.holds(), "{:#?}", report.verdicts.iter().filter(|verdict| !verdict.holds).collect::<Vec<_>>());
    assert_eq!(report.silent, [""; 0]);
}

#[test]
fn a_gnutella_flood_costs_what_it_costs_on_paper() {
    check(&FLOOD);
}

#[test]
fn gnutella_answers_come_within_twice_the_hops() {
    check(&ANSWERS);
}

#[test]
fn gnutella_hosts_are_near_to_each_other_and_hang_on_the_best_connected() {
    check(&DIAMETER);
    check(&LOSS);
}

#[test]
fn gnutella_searches_succeed_as_often_as_the_formula_says() {
    check(&SUCCESS);
}

#[test]
fn gnutella_walkers_and_rings_save_messages() {
    check(&STRATEGIES);
}

#[test]
fn gnutella_messages_as_bytes_change_nothing() {
    let digest = |codec: &'static str| {
        let given = ANSWERS.small.iter().copied().chain([("nodes", "300"), ("codec", codec)]);
        let params = ANSWERS.params(given).unwrap();
        (ANSWERS.run)(&params, &mut Gauge::new(&mut Silent)).unwrap().digest
    };
    assert_eq!(digest("on"), digest("off"));
}
