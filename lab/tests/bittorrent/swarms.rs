//! Swarms of hundreds: what the design promises of rarest first and tit for tat, in figures.

use std::sync::LazyLock;

use hexad_lab::scenarios::bittorrent::{SwarmPlan, SwarmReport, swarm};

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
