//! Finding peers without anybody that is told: the DHT, peer exchange, the local network, with libtorrent on either side.

use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::Result;
use hexad_interop::{Link, Program, Scene, Torrent, Ways, have, write_file};

const PATIENCE: Duration = Duration::from_secs(90);
const BYTES: u64 = 1 << 20;

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

/// Two that are told of nobody, at the first address of the one interface there is: what is said there comes from it.
fn through_the_local_network(seed: Program, leech: Program) {
    play(&[seed, leech], |scene| {
        let torrent = scene.torrent(BYTES, 64 << 10, &[])?;
        let (mut seeds, mut leeches) = (scene.seed(&torrent), scene.leech("leech", &torrent));
        let at = |port| SocketAddrV4::new([10, 77, 0, 1].into(), port);
        (seeds.at, leeches.at) = (at(7001), at(7002));
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
