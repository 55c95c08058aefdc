//! Files that move between a few nodes.

use std::sync::Arc;

use hexad_bittorrent::wire::metainfo::{Metainfo, MetainfoBuilder};
use hexad_bittorrent::{BitTorrent, Config, Encryption};
use hexad_content::{Digest, Digests, Layout, Magnet, Ranges, Sha1Digest};
use hexad_core::{Operation, Progress, Share, Source, Span, What};
use hexad_lab::{FetchIds, FetchPlan, Lab, LabConfig, Links, NodeIndex, content_of};

const PIECE: u64 = 256 << 10;

pub fn share(bytes: u64, private: bool) -> (Share, u64) {
    let layout = Arc::new(Layout::single("blue.ogg".into(), bytes).unwrap());
    let hashes = (0..bytes.div_ceil(PIECE)).map(|piece| Sha1Digest([piece as u8; 20])).collect();
    let metainfo = MetainfoBuilder { private, ..MetainfoBuilder::new(layout.clone(), PIECE, hashes) }.build().unwrap();
    let share = Share {
        layout,
        digests: metainfo.digests(),
        proof: Some(metainfo.proof()),
        held: Ranges::of(0..bytes),
        torrent: metainfo.encode().into(),
    };
    let content = content_of(share.proof.as_ref().unwrap());
    (share, content)
}

pub fn config() -> Config {
    Config { listen: Some(([0, 0, 0, 0], 6881).into()), dht: false, pex: false, lsd: false, ..Config::default() }
}

pub fn joined(lab: &mut Lab<BitTorrent>, config: Config) -> NodeIndex {
    let node = lab.add_node(config);
    lab.start(node, Operation::Join { bootstrap: Vec::new() });
    node
}

pub fn magnet(share: &Share) -> What {
    let metainfo = Metainfo::parse(&share.torrent).unwrap();
    let digests: Digests = [Digest::TorrentV1(Sha1Digest(metainfo.info.info_hash))].into_iter().collect();
    What::Magnet(Box::new(Magnet { digests, ..Magnet::default() }))
}

fn finish(lab: &mut Lab<BitTorrent>, node: NodeIndex, fetch: FetchIds) -> f64 {
    let began = lab.now();
    let deadline = began + Span::from_secs(600);
    let complete = lab.run_while(|lab| lab.completed_at(node, fetch).is_none(), deadline);
    assert!(complete, "reports: {:?}\n{:?}", lab.reports(node), lab.tally());
    lab.run_for(Span::from_secs(1));
    assert!(matches!(lab.outcome(node, fetch.op).map(|report| &report.progress), Some(Progress::Done)));
    assert_eq!(lab.tally().unheld, 0);
    lab.completed_at(node, fetch).unwrap().since(began).as_secs_f64()
}

fn moves(codec: bool, encryption: Encryption, by_magnet: bool, bytes: u64) {
    let mut lab = Lab::<BitTorrent>::new(LabConfig { codec, ..LabConfig::default() });
    let config = Config { encryption, ..config() };
    let (share, content) = share(bytes, false);
    let (seed, leecher) = (joined(&mut lab, config.clone()), joined(&mut lab, config));
    lab.set_links(seed, Links { up_bytes_per_s: Some(8 << 20), down_bytes_per_s: None });
    let id = lab.add_share(seed, share.clone(), content);
    let publish = lab.start(seed, Operation::Publish { share: id });
    lab.run_for(Span::from_secs(1));
    assert!(lab.is_done(seed, publish));
    let what = if by_magnet { magnet(&share) } else { What::Torrent(share.torrent.clone()) };
    let source = Source { what, peers: vec![lab.address(seed)] };
    let fetch = lab.fetch(leecher, FetchPlan { source, content, seed: true });
    let seconds = finish(&mut lab, leecher, fetch);
    assert_eq!(lab.held(leecher, fetch.share), Some(&Ranges::of(0..bytes)));
    assert_eq!(lab.traffic(leecher).received_share_bytes, bytes, "nothing comes twice");
    let ideal = bytes as f64 / f64::from(8 << 20);
    assert!(seconds < ideal + 2.0, "{seconds:.1} s where {ideal:.1} s would do");
    assert_eq!(lab.tally().codec_differences + lab.tally().malformed, 0);
    lab.cancel(seed, publish);
    lab.run_for(Span::from_secs(1));
    assert!(matches!(lab.outcome(seed, publish).map(|report| &report.progress), Some(Progress::Ended)));
    assert_eq!(lab.connections(leecher), 0, "a seed that withdraws is gone");
}

#[test]
fn a_file_moves_from_one_node_to_another() {
    moves(false, Encryption::Off, false, (20 << 20) + 4711);
}

#[test]
fn a_file_moves_as_bytes_on_the_wire_in_clear() {
    moves(true, Encryption::Off, false, (8 << 20) + 4711);
}

#[test]
fn a_file_moves_as_bytes_on_the_wire_obfuscated() {
    moves(true, Encryption::Preferred, false, (8 << 20) + 4711);
}

#[test]
fn a_file_moves_as_bytes_on_the_wire_enciphered() {
    moves(true, Encryption::Required, true, (8 << 20) + 4711);
}

#[test]
fn a_link_is_enough() {
    moves(false, Encryption::Off, true, (8 << 20) + 1);
}

#[test]
fn a_file_of_one_byte_moves() {
    moves(true, Encryption::Preferred, true, 1);
}

#[test]
fn everyone_completes_without_a_seed_once_one_copy_is_out() {
    let mut lab = Lab::<BitTorrent>::new(LabConfig::default());
    let bytes = 8 << 20;
    let (share, content) = share(bytes, false);
    let nodes: Vec<NodeIndex> = (0..5).map(|_| joined(&mut lab, config())).collect();
    for &node in &nodes {
        lab.set_links(node, Links { up_bytes_per_s: Some(512 << 10), down_bytes_per_s: None });
    }
    let (seed, leechers) = nodes.split_first().unwrap();
    let id = lab.add_share(*seed, share.clone(), content);
    lab.start(*seed, Operation::Publish { share: id });
    lab.run_for(Span::from_secs(1));
    let peers: Vec<_> = nodes.iter().map(|&node| lab.address(node)).collect();
    let fetches: Vec<(NodeIndex, FetchIds)> = leechers
        .iter()
        .map(|&node| {
            let source = Source { what: What::Torrent(share.torrent.clone()), peers: peers.clone() };
            (node, lab.fetch(node, FetchPlan { source, content, seed: true }))
        })
        .collect();
    let one_copy = |lab: &Lab<BitTorrent>| {
        let mut all = Ranges::new();
        for &(node, fetch) in &fetches {
            all.insert_all(lab.held(node, fetch.share).unwrap_or(&Ranges::new()));
        }
        all.covers(0..bytes)
    };
    let deadline = lab.now() + Span::from_secs(600);
    assert!(lab.run_while(|lab| !one_copy(lab), deadline));
    assert!(fetches.iter().any(|&(node, fetch)| lab.completed_at(node, fetch).is_none()), "somebody still needs something");
    lab.kill(*seed, hexad_lab::Death::Crash);
    for &(node, fetch) in &fetches {
        finish(&mut lab, node, fetch);
    }
}

#[test]
fn without_a_tracker_a_dht_or_an_address_nobody_is_found() {
    let mut lab = Lab::<BitTorrent>::new(LabConfig::default());
    let (share, content) = share(1 << 20, false);
    let (seed, leecher) = (joined(&mut lab, config()), joined(&mut lab, config()));
    let id = lab.add_share(seed, share.clone(), content);
    lab.start(seed, Operation::Publish { share: id });
    let source = Source { what: What::Torrent(share.torrent), peers: Vec::new() };
    let fetch = lab.fetch(leecher, FetchPlan { source, content, seed: true });
    lab.run_for(Span::from_secs(300));
    assert_eq!((lab.completed_at(leecher, fetch), lab.connections(leecher)), (None, 0));
    assert!(lab.outcome(leecher, fetch.op).is_none(), "it goes on waiting");
}

#[test]
fn the_local_network_is_enough_where_it_may_be_asked() {
    let mut lab = Lab::<BitTorrent>::new(LabConfig::default());
    let (share, content) = share(1 << 20, false);
    let config = Config { lsd: true, ..config() };
    let (seed, leecher) = (joined(&mut lab, config.clone()), joined(&mut lab, config));
    lab.place(seed, 1);
    lab.place(leecher, 1);
    let id = lab.add_share(seed, share.clone(), content);
    lab.start(seed, Operation::Publish { share: id });
    lab.run_for(Span::from_secs(1));
    let source = Source { what: What::Torrent(share.torrent), peers: Vec::new() };
    let fetch = lab.fetch(leecher, FetchPlan { source, content, seed: true });
    finish(&mut lab, leecher, fetch);
}
