//! Kazaa's claims, small, and that the codec changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, Layout, Magnet, Proof, Ranges, Sha1Digest, info};
use hexad_core::{Address as _, Endpoint, Operation, Progress, Query, Share, Source, Span, What};
use hexad_kazaa::{Kazaa, Settings, Switch};
use hexad_lab::scenarios::kazaa::{ELECTION, LOSS, SEARCH, SOURCES};
use hexad_lab::{Death, FetchPlan, Gauge, Lab, LabConfig, NodeIndex, Scenario, Silent, Size, State, content_of, test_claims};

fn check(scenario: &'static Scenario) {
    let report = test_claims(scenario, Size::Small, None, 1, &mut Silent).unwrap();
    for verdict in &report.verdicts {
        let (expected, tolerance) = verdict.expected.words();
        println!("{} {} | {}: expected {expected} {tolerance}, measured {}", verdict.holds, verdict.claim, verdict.row, verdict.measured);
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

fn share() -> Share {
    let layout = Layout::single("blue.ogg".into(), 1 << 20).unwrap();
    let hashes: Arc<[Sha1Digest]> = (0..16).map(|part| Sha1Digest([part; 20])).collect();
    let digest = Digest::TorrentV1(info::hash(&info::write(&layout, 1 << 16, &hashes)));
    Share {
        layout: Arc::new(layout),
        digests: [digest].into_iter().collect(),
        proof: Some(Proof::V1Pieces { piece_bytes: 1 << 16, total_bytes: 1 << 20, hashes }),
        held: Ranges::of(0..1 << 20),
        torrent: Bytes::new(),
    }
}

/// A supernode and some leaves, of which some are behind translators.
fn village(leaves: u32, behind: &[u32]) -> Lab<Kazaa<u32>> {
    let mut lab = Lab::<Kazaa<u32>>::new(LabConfig::default());
    let settings = Settings { listen: Some(SocketAddr::from(([0, 0, 0, 0], 6881))), ..Settings::default() };
    lab.add_node(Settings { switch: Switch::Always, ..settings.clone() }.into());
    lab.start(NodeIndex(0), Operation::Join { bootstrap: Vec::new() });
    let first = lab.add_nodes(leaves, settings.into());
    for leaf in first.0..first.0 + leaves {
        lab.set_nat(NodeIndex(leaf), behind.contains(&leaf));
        lab.start(NodeIndex(leaf), Operation::Join { bootstrap: vec![Endpoint::of_lab_node(0)] });
    }
    lab.run_for(Span::from_secs(60));
    lab
}

#[test]
fn who_is_behind_a_translator_is_found_out_and_gives_all_the_same() {
    let mut lab = village(6, &[1, 2]);
    for leaf in 1..=6 {
        let reachable = lab.node(NodeIndex(leaf)).unwrap().standing(lab.now()).reachable;
        assert_eq!(reachable, Some(leaf > 2), "leaf {leaf}");
    }
    let share = share();
    let content = content_of(share.proof.as_ref().unwrap());
    let id = lab.add_share(NodeIndex(1), share.clone(), content);
    lab.start(NodeIndex(1), Operation::Publish { share: id });
    lab.run_for(Span::from_secs(5));
    // One who can be reached is come to; for one who cannot, the supernode passes on.
    for (asker, pushes, relays) in [(3, 1, 0), (2, 1, 1)] {
        let magnet = Magnet { digests: share.digests.clone(), ..Magnet::default() };
        let source = Source { what: What::Magnet(Box::new(magnet)), peers: Vec::new() };
        let fetch = lab.fetch(NodeIndex(asker), FetchPlan { source, content, seed: false });
        let until = lab.now() + Span::from_secs(60);
        assert!(lab.run_while(|lab| lab.completed_at(NodeIndex(asker), fetch).is_none(), until), "leaf {asker}");
        assert_eq!(lab.tally().of("push_order").messages, pushes, "leaf {asker}");
        assert_eq!(lab.tally().of("relay_order").messages, relays, "leaf {asker}");
        lab.run_for(Span::from_secs(2));
    }
}

/// Whether everybody has a supernode, and all supernodes are linked with each other, over others or directly.
fn islands(lab: &Lab<Kazaa<u32>>, nodes: &[u32]) -> Result<usize, String> {
    let mut island: BTreeMap<u32, u32> = nodes.iter().map(|&node| (node, node)).collect();
    for &number in nodes {
        let node = lab.node(NodeIndex(number)).unwrap();
        if !node.is_supernode() && !node.parents().any(|parent| lab.node(NodeIndex(*parent)).is_some_and(hexad_kazaa::Node::is_supernode)) {
            return Err(format!("leaf {number} has no supernode"));
        }
        let others: Vec<u32> = node.parents().chain(node.links()).copied().filter(|other| island.contains_key(other)).collect();
        for other in others {
            let (from, to) = (island[&number], island[&other]);
            island.values_mut().filter(|name| **name == from).for_each(|name| *name = to);
        }
    }
    Ok(island.values().collect::<BTreeSet<_>>().len())
}

fn supernodes(lab: &Lab<Kazaa<u32>>, nodes: &[u32]) -> usize {
    nodes.iter().filter(|node| lab.node(NodeIndex(**node)).is_some_and(hexad_kazaa::Node::is_supernode)).count()
}

/// Everybody but the owner finds what the owner publishes.
fn all_find_what_one_publishes(lab: &mut Lab<Kazaa<u32>>, owner: u32, others: &[u32]) {
    let share = share();
    let content = content_of(share.proof.as_ref().unwrap());
    let id = lab.add_share(NodeIndex(owner), share, content);
    lab.start(NodeIndex(owner), Operation::Publish { share: id });
    lab.run_for(Span::from_secs(5));
    for &node in others {
        let query = Query::Words { words: vec!["blue".into()], wanted: 1 };
        let op = lab.start(NodeIndex(node), Operation::Search { query });
        lab.run_for(Span::from_secs(15));
        let found = lab.reports(NodeIndex(node)).iter().any(|report| report.op == op && matches!(report.progress, Progress::Hit(_)));
        assert!(found, "node {node} finds nothing");
    }
}

#[test]
fn leaves_without_their_only_supernode_gather_around_its_heir() {
    for death in [Death::Vanish, Death::Crash] {
        let mut lab = village(6, &[]);
        lab.kill(NodeIndex(0), death);
        lab.run_for(Span::from_secs(30));
        let all = [1, 2, 3, 4, 5, 6];
        assert_eq!(islands(&lab, &all), Ok(1));
        assert_eq!(supernodes(&lab, &all), 1, "the heir is enough for six");
        all_find_what_one_publishes(&mut lab, 6, &[1, 2, 3, 4, 5]);
    }
}

#[test]
fn leaves_whose_supernode_dies_with_its_heirs_find_each_other() {
    let mut lab = village(8, &[1, 2]);
    // Whoever has come first after one heir after the other was lost.
    lab.kill(NodeIndex(0), Death::Vanish);
    let mut left: Vec<u32> = (1..=8).collect();
    for _ in 0..3 {
        lab.run_for(Span::from_secs(40));
        assert_eq!(islands(&lab, &left), Ok(1), "of {left:?}");
        let heir = *left.iter().find(|node| lab.node(NodeIndex(**node)).is_some_and(hexad_kazaa::Node::is_supernode)).unwrap();
        lab.kill(NodeIndex(heir), Death::Vanish);
        left.retain(|node| *node != heir);
    }
    lab.run_for(Span::from_secs(40));
    assert_eq!(islands(&lab, &left), Ok(1), "of {left:?}");
}

#[test]
fn a_supernode_and_its_heirs_may_die_at_once() {
    let mut lab = village(8, &[1, 2]);
    let heirs: Vec<u32> = lab.node(NodeIndex(0)).unwrap().heirs().copied().collect();
    assert!(!heirs.is_empty() && heirs.iter().all(|heir| *heir > 2), "heirs can be reached: {heirs:?}");
    for node in heirs.iter().chain([&0]) {
        lab.kill(NodeIndex(*node), Death::Vanish);
    }
    let left: Vec<u32> = (1..=8).filter(|node| !heirs.contains(node)).collect();
    lab.run_for(Span::from_secs(120));
    // Nobody who is left knows anybody else who is; but the first supernode's address is known to all.
    lab.restart(NodeIndex(0), State::Lost);
    lab.start(NodeIndex(0), Operation::Join { bootstrap: Vec::new() });
    lab.run_for(Span::from_secs(120));
    let all: Vec<u32> = left.iter().copied().chain([0]).collect();
    assert_eq!(islands(&lab, &all), Ok(1));
}
