use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digests, Layout, Proof, Ranges, Sha1Digest};
use hexad_core::{Description, Endpoint, Operation, Share, Source, Span, Time, What};
use hexad_lab::{FetchIds, FetchPlan, Lab, LabConfig, Links, NodeIndex, content_of};

use crate::echo::{Config, Echo};
use crate::world::ten_ms;

const PIECE: u64 = 64 << 10;

fn description(pieces: u8) -> Description {
    let total = u64::from(pieces) * PIECE;
    let hashes: Vec<Sha1Digest> = (0..pieces).map(|piece| Sha1Digest([piece; 20])).collect();
    Description {
        layout: Arc::new(Layout::single("blue.ogg".into(), total).unwrap()),
        proof: Some(Proof::V1Pieces { piece_bytes: PIECE, total_bytes: total, hashes: hashes.into() }),
        digests: Digests::new(),
        torrent: Bytes::new(),
        private: false,
    }
}

struct Swarm {
    lab: Lab<Echo<Endpoint>>,
    fetches: Vec<(NodeIndex, FetchIds)>,
    shares: Vec<hexad_core::ShareId>,
    total: u64,
}

/// `seeds` nodes that have everything and then `leechers` that fetch it from all of them.
fn swarm(config: LabConfig, seeds: u32, leechers: u32, links: Links) -> Swarm {
    let description = description(32);
    let proof = description.proof.clone().unwrap();
    let content = content_of(&proof);
    let total = description.layout.total_bytes();
    let mut lab = Lab::new(config);
    lab.add_nodes(seeds + leechers, Config { description: Some(description.clone()), ..Config::default() });
    for node in 0..seeds + leechers {
        lab.start(NodeIndex(node), Operation::Join { bootstrap: Vec::new() });
        lab.set_links(NodeIndex(node), links);
    }
    let mut shares = Vec::new();
    for node in (0..seeds).map(NodeIndex) {
        let share = Share {
            layout: description.layout.clone(),
            digests: Digests::new(),
            proof: Some(proof.clone()),
            held: Ranges::of(0..total),
            torrent: Bytes::new(),
        };
        let share = lab.add_share(node, share, content);
        lab.start(node, Operation::Publish { share });
        shares.push(share);
    }
    lab.run_for(Span::from_millis(1));
    let source = Source { what: What::Locator("blue.ogg".into()), peers: (0..seeds).map(|node| lab.address(NodeIndex(node))).collect() };
    let fetches = (seeds..seeds + leechers)
        .map(|node| (NodeIndex(node), lab.fetch(NodeIndex(node), FetchPlan { source: source.clone(), content, seed: false })))
        .collect();
    Swarm { lab, fetches, shares, total }
}

impl Swarm {
    fn run(&mut self) {
        let fetches = self.fetches.clone();
        assert!(self.lab.run_while(
            |lab| fetches.iter().any(|&(node, fetch)| lab.completed_at(node, fetch).is_none()),
            Time::ZERO + Span::from_secs(1000)
        ));
        self.lab.run_for(Span::from_secs(1));
    }

    fn seconds(&self, leecher: usize) -> f64 {
        let (node, fetch) = self.fetches[leecher];
        self.lab.completed_at(node, fetch).unwrap().as_micros() as f64 / 1e6
    }
}

fn close_to(came: f64, expected: f64) {
    assert!((came / expected - 1.0).abs() < 0.1, "expected about {expected}, came {came}");
}

#[test]
fn bytes_that_are_fetched_are_proven_and_counted() {
    let mut swarm = swarm(ten_ms(), 2, 1, Links::UNLIMITED);
    swarm.run();
    let (node, fetch) = swarm.fetches[0];
    assert_eq!(swarm.lab.held(node, fetch.share), Some(&Ranges::of(0..swarm.total)));
    assert_eq!(swarm.lab.traffic(node).received_share_bytes, swarm.total);
    assert_eq!(swarm.lab.traffic(NodeIndex(0)).sent_share_bytes, swarm.total / 2);
    assert_eq!(swarm.lab.node(NodeIndex(0)).unwrap().sent_bytes, swarm.total / 2, "the node hears of all that left");
    assert_eq!(swarm.lab.tally().unheld, 0);
}

#[test]
fn an_uplink_is_shared_fairly_and_no_faster_than_it_is() {
    let rate = 1 << 20;
    let mut swarm = swarm(ten_ms(), 1, 4, Links { up_bytes_per_s: Some(rate), down_bytes_per_s: None });
    swarm.run();
    let all = (4 * swarm.total) as f64 / rate as f64;
    for leecher in 0..4 {
        close_to(swarm.seconds(leecher), all);
    }
}

#[test]
fn a_downlink_takes_no_more_than_it_can() {
    let rate = 1 << 20;
    let mut swarm = swarm(ten_ms(), 4, 1, Links { up_bytes_per_s: None, down_bytes_per_s: Some(rate) });
    swarm.run();
    close_to(swarm.seconds(0), swarm.total as f64 / rate as f64);
}

#[test]
fn a_slow_receiver_does_not_hold_up_the_others() {
    let mut swarm =
        swarm(LabConfig { window_bytes: 64 << 10, ..ten_ms() }, 1, 2, Links { up_bytes_per_s: Some(1 << 20), down_bytes_per_s: None });
    swarm.lab.set_links(swarm.fetches[0].0, Links { up_bytes_per_s: None, down_bytes_per_s: Some(64 << 10) });
    swarm.run();
    close_to(swarm.seconds(0), swarm.total as f64 / 65536.0);
    close_to(swarm.seconds(1), swarm.total as f64 / f64::from((1 << 20) - (64 << 10)));
}

#[test]
fn a_node_is_told_when_a_full_queue_has_room_again() {
    let mut swarm = swarm(ten_ms(), 1, 1, Links { up_bytes_per_s: Some(1 << 20), down_bytes_per_s: None });
    swarm.run();
    assert_eq!(swarm.lab.node(NodeIndex(0)).unwrap().rooms, 1);
}

#[test]
fn lies_are_found_and_counted() {
    let mut swarm = swarm(ten_ms(), 2, 1, Links::UNLIMITED);
    let liar = NodeIndex(0);
    let share = swarm.shares[0];
    swarm.lab.lie(liar, share, Ranges::of(0..PIECE));
    swarm.run();
    assert!(swarm.lab.fired().lied > 0);
    let (node, fetch) = swarm.fetches[0];
    assert_eq!(swarm.lab.held(node, fetch.share), Some(&Ranges::of(0..swarm.total)));
    assert_eq!(swarm.lab.engine(node).unwrap().counters().bad_bytes, PIECE);
}

#[test]
fn bytes_and_pretended_bytes_make_the_same_world() {
    let links = Links { up_bytes_per_s: Some(1 << 20), down_bytes_per_s: Some(2 << 20) };
    let digest = |codec| {
        let mut swarm = swarm(LabConfig { codec, ..LabConfig::default() }, 3, 5, links);
        swarm.run();
        assert_eq!(swarm.lab.tally().codec_differences + swarm.lab.tally().malformed, 0);
        swarm.lab.digest()
    };
    assert_eq!(digest(false), digest(true));
}
