//! Bringing users together.

use hexad_core::Span;

use crate::stage::{Stage, config};

const PATH: &str = "C:\\Music\\Wall\\Wall - Behind.mp3";
const HASH: &str = "0123456789abcdef0123456789abcdef";

/// Bob can be reached, Dora cannot; both share the same.
fn stage() -> Stage {
    let mut stage = Stage::new(config());
    stage.joins("bob", 7001);
    stage.joins("dora", 0);
    stage.joins("carol", 7003);
    stage.joins("fred", 0);
    stage.shares("bob", PATH);
    stage.shares("dora", PATH);
    stage
}

#[track_caller]
fn check(stage: &mut Stage, who: &'static str, number: u16, data: &str, expected: &[(&'static str, &str)]) {
    let heard = stage.says(who, number, data);
    let expected: Vec<(&str, String)> =
        expected.iter().map(|(who, what)| (*who, (*what).replace("PATH", PATH).replace("HASH", HASH))).collect();
    assert_eq!(heard, expected, "{who} {number} {data}");
}

fn with(data: &str) -> String {
    data.replace("PATH", PATH)
}

#[test]
fn a_download_is_asked_for_accepted_and_pointed_to_the_uploader() {
    let mut stage = stage();
    check(&mut stage, "carol", 203, &with("bob \"PATH\""), &[("bob", "607 carol \"PATH\"")]);
    check(&mut stage, "bob", 608, &with("carol \"PATH\""), &[("carol", "204 bob 16777343 7001 \"PATH\" HASH 4")]);
    // It was asked for once.
    check(&mut stage, "bob", 608, &with("carol \"PATH\""), &[]);
    assert_eq!(stage.notes, ["accept_nobody_asked"]);
}

#[test]
fn who_cannot_be_reached_is_asked_to_push() {
    let mut stage = stage();
    check(&mut stage, "carol", 203, &with("dora \"PATH\""), &[("carol", "204 dora 16777343 0 \"PATH\" HASH 4")]);
    check(&mut stage, "carol", 500, &with("dora \"PATH\""), &[("dora", "607 carol \"PATH\"")]);
    check(&mut stage, "dora", 608, &with("carol \"PATH\""), &[("dora", "501 carol 16777343 7003 \"PATH\" HASH 4")]);
    check(&mut stage, "carol", 500, &with("bob \"PATH\""), &[("carol", "404 bob is not firewalled")]);
    check(&mut stage, "fred", 500, &with("dora \"PATH\""), &[("fred", "204 dora 16777343 0 \"PATH\" firewallerror 4")]);
}

#[test]
fn a_refusal_reaches_the_asker_however_it_is_said() {
    let mut stage = stage();
    for number in [609, 11] {
        check(&mut stage, "carol", 203, &with("bob \"PATH\""), &[("bob", "607 carol \"PATH\"")]);
        check(&mut stage, "bob", number, &with("carol \"PATH\""), &[("carol", "206 bob \"PATH\"")]);
    }
    check(&mut stage, "carol", 203, "nobody \"x\"", &[("carol", "206 nobody \"x\"")]);
    check(&mut stage, "carol", 203, "carol \"x\"", &[("carol", "206 carol \"x\"")]);
    // What the index does not know may be known from a direct browse; the owner decides.
    check(&mut stage, "carol", 203, "bob \"C:\\no\\such.mp3\"", &[("bob", "607 carol \"C:\\no\\such.mp3\"")]);
}

#[test]
fn a_queue_is_told_with_the_size_from_the_index() {
    let mut stage = stage();
    check(&mut stage, "carol", 203, &with("bob \"PATH\""), &[("bob", "607 carol \"PATH\"")]);
    check(&mut stage, "bob", 619, &with("carol \"PATH\" 3"), &[("carol", "620 bob \"PATH\" 1234567 3")]);
}

#[test]
fn silence_is_answered_after_a_while_and_so_is_a_departure() {
    let mut stage = stage();
    stage.says("carol", 203, with("bob \"PATH\""));
    assert_eq!(stage.pass(Span::from_secs(30)), []);
    assert_eq!(stage.pass(Span::from_secs(30)), [("carol", with("206 bob \"PATH\""))]);
    stage.says("carol", 203, with("bob \"PATH\""));
    assert_eq!(stage.leaves("bob"), [("carol", with("206 bob \"PATH\""))]);
    assert_eq!(stage.pass(Span::from_secs(600)), []);
}

#[test]
fn requests_that_wait_are_bounded() {
    let mut stage = Stage::new(hexad_napster::ServerConfig { requests_max: 3, ..config() });
    stage.joins("bob", 7001);
    stage.joins("carol", 7003);
    for number in 0..3 {
        assert_eq!(stage.says("carol", 203, format!("bob \"{number}\"")).len(), 1);
    }
    check(&mut stage, "carol", 203, "bob \"x\"", &[("carol", "404 too many requests for files at once"), ("carol", "206 bob \"x\"")]);
    check(&mut stage, "bob", 609, "carol \"1\"", &[("carol", "206 bob \"1\"")]);
    check(&mut stage, "carol", 203, "bob \"x\"", &[("bob", "607 carol \"x\"")]);
}

#[test]
fn lists_go_from_program_to_program() {
    let mut stage = stage();
    check(&mut stage, "carol", 640, "bob", &[("bob", "640 carol")]);
    check(&mut stage, "bob", 641, "carol", &[("carol", "641 bob 16777343 7001")]);
    check(&mut stage, "carol", 640, "dora", &[("dora", "640 carol 16777343 7003")]);
    check(&mut stage, "dora", 642, "carol \"no\"", &[("carol", "642 dora \"no\"")]);
    check(&mut stage, "carol", 640, "nobody", &[("carol", "642 nobody \"user is not online\"")]);
}

#[test]
fn a_port_that_cannot_be_reached_is_reported_to_its_owner() {
    let mut stage = stage();
    check(&mut stage, "carol", 626, "bob", &[("bob", "626 carol")]);
}

#[test]
fn transfers_under_way_are_counted_and_never_below_nothing() {
    let mut stage = stage();
    for number in [219, 218, 218, 221, 220] {
        check(&mut stage, "bob", number, "", &[]);
    }
    check(&mut stage, "carol", 603, "bob", &[("carol", "604 bob \"User\" 0 \" \" \"Active\" 1 2 1 4 \"test 1\"")]);
}
