//! One download that several networks feed at the same time, on real sockets, each source throttled or held back so that every one gives something.

mod common;

use std::fs;
use std::io::Write as _;
use std::sync::Arc;

use common::sources::{self, slow_way};
use common::{Home, await_that, bytes, chord, door, gnutella, kazaa, kazaa_founder, quiet_bittorrent};
use hexad_api::node::{Daemon, DownloadState, NewDownload};
use hexad_api::{GnutellaMode, NetworkSettings};
use hexad_daemon::open_node;

const FILE_BYTES: usize = 8 << 20;
/// What every source has given before the next comes in.
const SOMETHING: u64 = 256 << 10;

/// A node that offers the film on one network; its home, where it is reached, and the link.
fn source(network: NetworkSettings) -> (Home, Arc<dyn Daemon>, String, String) {
    sources::source(network, FILE_BYTES, 0)
}

fn bytes_from(node: &dyn Daemon, id: u64, network: &str) -> (u64, u64) {
    let detail = node.download(id).expect("a download");
    let from = detail.by_network.into_iter().find(|from| from.name == network);
    from.map_or((0, 0), |from| (from.bytes, from.bad_bytes))
}

fn state(node: &dyn Daemon, id: u64) -> DownloadState {
    node.download(id).expect("a download").download.state
}

/// A node that fetches, from a seed and from a servent over slow ways; of Kazaa it only knows where it is.
fn begun(home: &Home, seed: &str, servent: &str, kazaa_door: &str, link: &str) -> (Arc<dyn Daemon>, u64) {
    let networks = vec![quiet_bittorrent(), gnutella(GnutellaMode::Ultrapeer, &[]), kazaa(kazaa_door)];
    let node = open_node(home.settings(networks, &["bittorrent", "gnutella"])).expect("a node");
    door(&*node, "bittorrent");
    door(&*node, "gnutella");
    let peers = [(seed, 1 << 20), (servent, 1 << 19)].map(|(at, rate)| slow_way(at.parse().expect("an address"), rate).to_string());
    let request = NewDownload { source: link.to_owned(), peers: peers.to_vec(), ..NewDownload::default() };
    let download = node.begin_download(request).expect("a download");
    (node, download.id)
}

#[test]
fn a_file_comes_from_three_networks_at_once_and_who_lies_is_dropped_and_counted() {
    let (_seed_home, _seed, seed, link) = source(quiet_bittorrent());
    let (servent_home, _servent, servent, same) = source(gnutella(GnutellaMode::Ultrapeer, &[]));
    assert_eq!(link, same, "one content has one link");
    let founder_home = Home::new();
    let founder = open_node(founder_home.settings(vec![kazaa_founder()], &["kazaa"])).expect("a node");
    let supernode = door(&*founder, "kazaa");
    let (_leaf_home, _leaf, _, _) = source(kazaa(&supernode));
    let home = Home::new();
    let (node, id) = begun(&home, &seed, &servent, &supernode, &link);
    await_that("both to give", || ["bittorrent", "gnutella"].iter().all(|network| bytes_from(&*node, id, network).0 >= SOMETHING));
    // From here on, what the servent has is something else than it has said.
    let film = servent_home.folder("shared").join("film.mkv");
    fs::OpenOptions::new().write(true).open(&film).and_then(|mut file| file.write_all(&[0xee; FILE_BYTES])).expect("written over");
    assert_ne!(state(&*node, id), DownloadState::Complete);
    await_that("the liar to be found out", || bytes_from(&*node, id, "gnutella").1 > 0);
    // A source that is found later joins in.
    node.join("kazaa").expect("a network");
    await_that("the film to be complete", || state(&*node, id) == DownloadState::Complete);

    let detail = node.download(id).expect("a download");
    let path = detail.download.path.clone().expect("a path");
    assert!(fs::read(path).expect("readable") == bytes(FILE_BYTES, 7), "what has arrived is what was published");
    for network in ["bittorrent", "gnutella", "kazaa"] {
        assert!(bytes_from(&*node, id, network).0 >= SOMETHING, "{network} has given too little: {:?}", detail.by_network);
    }
    let bad: Vec<u64> = ["bittorrent", "gnutella", "kazaa"].map(|network| bytes_from(&*node, id, network).1).to_vec();
    assert!(bad[0] == 0 && bad[1] > 0 && bad[2] == 0, "only one has lied: {bad:?}");
    assert!(bad[1] <= 2 << 20, "it was not asked much longer: {bad:?}");
    assert!(detail.warnings.iter().any(|warning| warning.contains("from gnutella were wrong")), "{:?}", detail.warnings);
}

#[test]
fn a_network_that_goes_away_in_the_middle_does_not_stop_the_fetch() {
    let (_seed_home, _seed, seed, link) = source(quiet_bittorrent());
    let (_servent_home, _servent, servent, _) = source(gnutella(GnutellaMode::Ultrapeer, &[]));
    let home = Home::new();
    let (node, id) = begun(&home, &seed, &servent, &format!("{}@127.0.0.1:9", "ab".repeat(32)), &link);
    await_that("both to give", || ["bittorrent", "gnutella"].iter().all(|network| bytes_from(&*node, id, network).0 >= SOMETHING));
    node.leave("bittorrent").expect("a network");
    await_that("the film to be complete", || state(&*node, id) == DownloadState::Complete);
    let detail = node.download(id).expect("a download");
    let path = detail.download.path.clone().expect("a path");
    assert!(fs::read(path).expect("readable") == bytes(FILE_BYTES, 7), "what has arrived is what was published");
    let (from_swarm, from_servent) = (bytes_from(&*node, id, "bittorrent").0, bytes_from(&*node, id, "gnutella").0);
    assert!(from_swarm >= SOMETHING && from_servent >= SOMETHING && from_swarm < FILE_BYTES as u64, "{:?}", detail.by_network);
}

#[test]
fn what_four_networks_bring_at_once_comes_once() {
    const FILM_BYTES: usize = 24 << 20;
    const RATE: u64 = 2 << 20;
    let (_seed_home, _seed, seed, link) = sources::source(quiet_bittorrent(), FILM_BYTES, RATE);
    let (_servent_home, _servent, servent, _) = sources::source(gnutella(GnutellaMode::Ultrapeer, &[]), FILM_BYTES, RATE);
    let (_ring_home, _ring, ring, _) = sources::source(chord(&[]), FILM_BYTES, RATE);
    let (_supernode_home, _supernode, supernode, _) = sources::source(kazaa_founder(), FILM_BYTES, RATE);

    let home = Home::new();
    let names = ["bittorrent", "chord", "gnutella", "kazaa"];
    let networks = vec![quiet_bittorrent(), chord(&[ring]), gnutella(GnutellaMode::Ultrapeer, &[]), kazaa(&supernode)];
    let node = open_node(home.settings(networks, &names)).expect("a node");
    names.iter().for_each(|name| drop(door(&*node, name)));
    let request = NewDownload { source: link, peers: vec![seed, servent], ..NewDownload::default() };
    let id = node.begin_download(request).expect("a download").id;
    await_that("the film to be complete", || state(&*node, id) == DownloadState::Complete);

    let detail = node.download(id).expect("a download");
    let path = detail.download.path.clone().expect("a path");
    assert!(fs::read(path).expect("readable") == bytes(FILM_BYTES, 7), "what has arrived is what was published");
    let from = names.map(|name| bytes_from(&*node, id, name).0);
    let all: u64 = from.iter().sum();
    println!("{all} bytes for {FILM_BYTES}: {from:?} of {names:?}");
    assert!(from.iter().all(|&bytes| bytes >= SOMETHING), "all four give: {from:?} of {names:?}");
    assert!(all * 100 <= FILM_BYTES as u64 * 115, "{all} bytes have come for {FILM_BYTES}: {from:?} of {names:?}");
}
