//! Kazaa's claims, small, and that the codec changes nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, Layout, Magnet, Proof, Ranges, Sha1Digest, info};
use hexad_core::{Address as _, Endpoint, Operation, Share, Source, Span, What};
use hexad_kazaa::{Kazaa, Settings, Switch};
use hexad_lab::scenarios::kazaa::{ELECTION, LOSS, SEARCH, SOURCES};
use hexad_lab::{Death, FetchPlan, Gauge, Lab, LabConfig, NodeIndex, Scenario, Silent, Size, content_of, test_claims};

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

#[test]
fn leaves_without_their_only_supernode_become_supernodes() {
    let mut lab = village(6, &[]);
    lab.kill(NodeIndex(0), Death::Vanish);
    lab.run_for(Span::from_secs(60));
    let nodes: Vec<_> = (1..=6).map(|leaf| lab.node(NodeIndex(leaf)).unwrap()).collect();
    assert!(nodes.iter().all(|node| node.is_at_home()));
    assert!(nodes.iter().any(|node| node.is_supernode()), "one of them is");
}
