//! Finding peers without anybody that is told: the DHT, peer exchange, the local network, with a foreign program on either side.

use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::Result;
use hexad_interop::{Job, Link, Program, Scene, Torrent, Ways, have, write_file};

const PATIENCE: Duration = Duration::from_secs(90);
/// Programs tell of peers once in 60 s or 90 s.
const PATIENCE_FOR_GOSSIP: Duration = Duration::from_secs(200);
const BYTES: u64 = 1 << 20;
/// What one who is to introduce others may move in a second, each way: the whole would take it four minutes. Once it had all, the seed would leave it.
const TELLERS_BYTES_PER_S: u64 = 4_000;

fn play(needs: &[Program], act: impl FnOnce(&Scene) -> Result<()>) {
    let needs: Vec<&str> = needs.iter().flat_map(|program| program.needs()).copied().collect();
    if have(&needs) {
        let scene = Scene::new().expect("a stage");
        let outcome = act(&scene);
        scene.explain(outcome).unwrap();
    }
}

/// A node that knows nobody, a seed and a leecher that know the node only.
fn through_the_dht(node: Program, seed: Program, leech: Program) {
    play(&[node, seed, leech], |scene| {
        let torrent = scene.torrent(BYTES, 64 << 10, &[])?;
        let other = other_torrent(scene)?;
        let mut first = scene.seed(&other);
        first.name = "node".into();
        first.ways.dht = Some(Vec::new());
        let _node = node.seed(&first)?;
        let (mut seeds, mut leeches) = (scene.seed(&torrent), scene.leech("leech", &torrent));
        (seeds.ways.dht, leeches.ways.dht) = (Some(vec![first.at]), Some(vec![first.at]));
        leeches.link = Link::Magnet;
        let _seed = seed.seed(&seeds)?;
        leech.leech(&leeches)?.complete(PATIENCE)?;
        scene.arrived(&torrent, &leeches)
    });
}

/// Something else to seed.
fn other_torrent(scene: &Scene) -> Result<Torrent> {
    let data = scene.path("other").join("other.bin");
    write_file(&data, 7, 1 << 16)?;
    Torrent::make(&data, &scene.path("other.torrent"), 32 << 10, &[])
}

#[test]
fn hexad_finds_libtorrent_by_a_node_of_libtorrent() {
    through_the_dht(Program::Libtorrent, Program::Libtorrent, Program::Hexad);
}

#[test]
fn libtorrent_finds_hexad_by_a_node_of_hexad() {
    through_the_dht(Program::Hexad, Program::Hexad, Program::Libtorrent);
}

#[test]
fn hexad_finds_hexad_by_a_node_of_libtorrent() {
    through_the_dht(Program::Libtorrent, Program::Hexad, Program::Hexad);
}

#[test]
fn libtorrent_finds_libtorrent_by_a_node_of_hexad() {
    through_the_dht(Program::Hexad, Program::Libtorrent, Program::Libtorrent);
}

#[test]
fn hexad_finds_aria2_by_a_node_of_hexad() {
    through_the_dht(Program::Hexad, Program::Aria2, Program::Hexad);
}

#[test]
fn aria2_finds_hexad_by_a_node_of_hexad() {
    through_the_dht(Program::Hexad, Program::Hexad, Program::Aria2);
}

#[test]
fn hexad_finds_hexad_by_a_node_of_aria2() {
    through_the_dht(Program::Aria2, Program::Hexad, Program::Hexad);
}

#[test]
fn hexad_finds_hexad_by_a_node_of_transmission() {
    through_the_dht(Program::Transmission, Program::Hexad, Program::Hexad);
}

/// Two that are told of nobody, at the first address of the one interface there is: what is said there comes from it.
fn through_the_local_network(seed: Program, leech: Program) {
    play(&[seed, leech], |scene| {
        let torrent = scene.torrent(BYTES, 64 << 10, &[])?;
        let (mut seeds, mut leeches) = (scene.seed(&torrent), scene.leech("leech", &torrent));
        let at = |port| SocketAddrV4::new([10, 77, 0, 1].into(), port);
        (seeds.at, leeches.at) = (at(7001), at(7002));
        // Transmission goes where the system's routes lead.
        scene.net.run("ip", &["route", "add", "224.0.0.0/4", "dev", "lo", "src", "10.77.0.1"])?;
        let ways = Ways { lsd: true, ..Ways::default() };
        (seeds.ways, leeches.ways) = (ways.clone(), ways);
        leeches.link = Link::Magnet;
        let _seed = seed.seed(&seeds)?;
        leech.leech(&leeches)?.complete(PATIENCE)?;
        scene.arrived(&torrent, &leeches)
    });
}

#[test]
fn hexad_finds_hexad_in_the_local_network() {
    through_the_local_network(Program::Hexad, Program::Hexad);
}

#[test]
fn hexad_finds_libtorrent_in_the_local_network() {
    through_the_local_network(Program::Libtorrent, Program::Hexad);
}

#[test]
fn libtorrent_finds_hexad_in_the_local_network() {
    through_the_local_network(Program::Hexad, Program::Libtorrent);
}

#[test]
fn hexad_finds_aria2_in_the_local_network() {
    through_the_local_network(Program::Aria2, Program::Hexad);
}

#[test]
fn aria2_finds_hexad_in_the_local_network() {
    through_the_local_network(Program::Hexad, Program::Aria2);
}

#[test]
fn hexad_finds_transmission_in_the_local_network() {
    through_the_local_network(Program::Transmission, Program::Hexad);
}

#[test]
fn transmission_finds_hexad_in_the_local_network() {
    through_the_local_network(Program::Hexad, Program::Transmission);
}

/// A seed that dials the teller, and a leecher whom the teller knows: where one of ours can be told whom to dial, it dials. The teller moves next to nothing,
/// so what arrives comes from the seed, of whom only the teller knew.
fn through_a_peer(teller: Program, leech: Program) {
    play(&[teller, leech], |scene| {
        let torrent = scene.torrent(BYTES, 64 << 10, &[])?;
        let pex = Ways { pex: true, ..Ways::default() };
        let job = |name| Job { ways: pex.clone(), ..scene.leech(name, &torrent) };
        let (mut tells, mut leeches) = (job("teller"), job("leech"));
        (tells.rate_max, tells.stays) = (Some(TELLERS_BYTES_PER_S), true);
        let (_teller, mut leecher);
        if leech == Program::Hexad {
            leeches.peers = vec![tells.at];
            _teller = teller.leech(&tells)?;
            leecher = leech.leech(&leeches)?;
        } else {
            tells.peers = vec![leeches.at];
            leecher = leech.leech(&leeches)?;
            _teller = teller.leech(&tells)?;
        }
        // The seed is told nothing of the leecher, so that it is the leecher who has to hear of it.
        let seeds = Job { peers: vec![tells.at], ..scene.seed(&torrent) };
        let _seed = Program::Hexad.seed(&seeds)?;
        leecher.complete(PATIENCE_FOR_GOSSIP)?;
        scene.arrived(&torrent, &leeches)
    });
}

#[test]
fn transmission_hears_of_a_seed_from_hexad() {
    through_a_peer(Program::Hexad, Program::Transmission);
}

#[test]
fn hexad_hears_of_a_seed_from_transmission() {
    through_a_peer(Program::Transmission, Program::Hexad);
}

#[test]
fn aria2_hears_of_a_seed_from_hexad() {
    through_a_peer(Program::Hexad, Program::Aria2);
}
