//! Swarms of hundreds: what the design promises of rarest first and tit for tat, in figures.

use std::sync::LazyLock;

use hexad_lab::scenarios::SCENARIOS;
use hexad_lab::scenarios::bittorrent::{CAPACITY, SwarmPlan, SwarmReport, swarm};
use hexad_lab::{Cell, ClaimReport, Silent, Size, find, test_claims};

/// The swarm that several tests look at.
static USUAL: LazyLock<SwarmReport> = LazyLock::new(|| swarm(&SwarmPlan::default()));

#[test]
fn two_hundred_leechers_get_it_and_free_riders_are_served_last() {
    let report = &*USUAL;
    println!("{report}");
    assert_eq!(report.unheld, 0);
    let (riders, givers) = report.groups.split_last().unwrap();
    for group in givers {
        assert_eq!(group.completed, group.members, "{}", group.name);
    }
    assert!(riders.members > 0 && report.withheld > 0, "somebody gives nothing");
    assert!(report.free_rider_ratio() > 1.2, "free riders took {:.2} times as long", report.free_rider_ratio());
}

#[test]
fn whoever_gives_more_is_served_earlier() {
    let report = &*USUAL;
    let [slow, fast, _] = report.groups.as_slice() else { panic!("two uplinks and free riders") };
    assert!(fast.mean_s < slow.mean_s, "{:.0} s with the faster uplink, {:.0} s with the slower", fast.mean_s, slow.mean_s);
}

#[test]
fn rarest_first_spreads_pieces_more_evenly_than_chance() {
    let rarest = &*USUAL;
    let random = swarm(&SwarmPlan { random_picking: true, ..SwarmPlan::default() });
    println!("{rarest}\n{random}");
    assert!(rarest.replication_cv < random.replication_cv * 0.9, "{:.3} against {:.3}", rarest.replication_cv, random.replication_cv);
    assert!(rarest.first_copy_s < random.first_copy_s * 0.75);
}

fn small() -> SwarmPlan {
    SwarmPlan { leechers: 40, pieces: 48, ..SwarmPlan::default() }
}

#[test]
fn one_seed_gives_one_digest_and_another_gives_another() {
    let digest = |seed| swarm(&SwarmPlan { seed, ..small() }).digest;
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

#[test]
fn bytes_on_the_wire_change_nothing() {
    let (plain, coded) = (swarm(&small()), swarm(&SwarmPlan { codec: true, ..small() }));
    assert_eq!(coded.codec_differences, 0);
    assert_eq!(plain.digest, coded.digest);
}

#[test]
fn the_more_want_it_the_more_there_is_and_a_server_gives_what_it_can() {
    let set = [("peers", "1,4,16"), ("pieces", "32"), ("nodes", "16")];
    let run = CAPACITY.execute(&CAPACITY.params(set).unwrap(), &mut Silent).unwrap();
    let rows = &run.outcome.tables[0].rows;
    println!("{rows:?}");
    let figure = |row: usize, column: usize| match rows[row][column] {
        Cell::Number(number) => number,
        ref other => panic!("a number, and not {other:?}"),
    };
    for row in 0..3 {
        assert!(figure(row, 2) <= 256.0 * 1.05, "a server with 256 KiB/s gave {} to {row}", figure(row, 2));
    }
    assert!(figure(2, 2) > 256.0 * 0.8, "its uplink is what bounds it");
    // Four times the peers bring at least twice the throughput, twice.
    assert!(figure(1, 1) > figure(0, 1) * 1.5 && figure(2, 1) > figure(1, 1) * 2.0);
    assert!(figure(2, 1) > figure(2, 2) * 3.0, "sixteen peers have more than three such servers");
}

/// What a scenario finds about its claims, small.
fn claims(name: &str) -> ClaimReport {
    let report = test_claims(find(SCENARIOS, name).unwrap(), Size::Small, None, 1, &mut Silent).unwrap();
    for verdict in &report.verdicts {
        let (expected, tolerance) = verdict.expected.words();
        println!("{} {} | {}: expected {expected} {tolerance}, measured {}", verdict.holds, verdict.claim, verdict.row, verdict.measured);
    }
    assert!(report.silent.is_empty());
    report
}

#[test]
fn everyone_completes_without_a_seed_if_and_only_if_one_copy_is_out() {
    assert!(claims("bittorrent/last-copy").holds());
}

#[test]
fn a_crowd_is_near_the_optimum_and_pieces_are_even() {
    assert!(claims("bittorrent/crowd").holds());
}

#[test]
fn who_gives_nothing_takes_twice_as_long_where_upload_is_scarce() {
    assert!(claims("bittorrent/free-riders").holds());
}

#[test]
fn peers_are_interested_in_each_other_and_the_first_blocks_are_the_slow_ones() {
    assert!(claims("bittorrent/interests").holds());
}

#[test]
fn peers_of_like_bandwidth_find_each_other() {
    assert!(claims("bittorrent/classes").holds());
}

#[test]
fn utp_fills_a_line_that_is_free_and_gives_way_on_one_that_is_not() {
    assert!(claims("bittorrent/utp").holds());
}
