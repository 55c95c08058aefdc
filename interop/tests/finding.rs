//! Finding peers without anybody that is told: the DHT, peer exchange, the local network, with a foreign program on either side.

use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::Result;
use hexad_interop::{Hexad, Job, Link, Program, Scene, Torrent, Ways, have, until, write_file};

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
    through_nodes(1, PATIENCE, node, seed, leech);
}

/// Nodes of which the first knows nobody and the others know the first, a seed and a leecher that know them.
fn through_nodes(count: usize, patience: Duration, node: Program, seed: Program, leech: Program) {
    play(&[node, seed, leech], |scene| {
        let torrent = scene.torrent(BYTES, 64 << 10, &[])?;
        let other = other_torrent(scene)?;
        let (mut known, mut nodes) = (Vec::new(), Vec::new());
        for number in 0..count {
            let mut job = scene.seed(&other);
            job.name = format!("node-{number}");
            job.ways.dht = Some(known.iter().take(1).copied().collect());
            nodes.push(node.seed(&job)?);
            known.push(job.at);
        }
        let (mut seeds, mut leeches) = (scene.seed(&torrent), scene.leech("leech", &torrent));
        (seeds.ways.dht, leeches.ways.dht) = (Some(known.clone()), Some(known));
        leeches.link = Link::Magnet;
        let _seed = seed.seed(&seeds)?;
        leech.leech(&leeches)?.complete(patience)?;
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

/// Transmission neither looks for peers nor announces before it knows more than eight nodes, which takes it a while.
const NODES_FOR_TRANSMISSION: usize = 14;

#[test]
fn transmission_finds_hexad_by_nodes_of_hexad() {
    through_nodes(NODES_FOR_TRANSMISSION, PATIENCE_FOR_GOSSIP, Program::Hexad, Program::Hexad, Program::Transmission);
}

#[test]
fn hexad_finds_transmission_by_nodes_of_hexad() {
    through_nodes(NODES_FOR_TRANSMISSION, PATIENCE_FOR_GOSSIP, Program::Hexad, Program::Transmission, Program::Hexad);
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

/// aria2 tells a peer once in a minute, and only of those whom it has itself dialled in the last one: it has to hear of the seed from a tracker, which the
/// leecher does not ask, and after the leecher has come.
#[test]
fn hexad_hears_of_a_seed_from_aria2() {
    play(&[Program::Hexad, Program::Aria2], |scene| {
        let torrent = scene.torrent(BYTES, 64 << 10, &[])?;
        let at = SocketAddrV4::new(scene.net.address(), 6969);
        let announced = Torrent::make(&torrent.data, &scene.path("announced.torrent"), 64 << 10, &[format!("http://{at}/announce")])?;
        let _tracker = Hexad::tracker(&scene.net, at, &scene.path(""))?;
        let pex = Ways { pex: true, ..Ways::default() };
        let tells = Job { ways: pex.clone(), rate_max: Some(TELLERS_BYTES_PER_S), stays: true, ..scene.leech("teller", &announced) };
        let leeches = Job { ways: pex.clone(), peers: vec![tells.at], ..scene.leech("leech", &torrent) };
        let _teller = Program::Aria2.leech(&tells)?;
        let mut leecher = Program::Hexad.leech(&leeches)?;
        until(PATIENCE, "the leecher at the teller", || Ok(scene.net.is_connected(tells.at).then_some(())))?;
        let _seed = Program::Hexad.seed(&Job { ways: pex.clone(), ..scene.seed(&announced) })?;
        leecher.complete(PATIENCE_FOR_GOSSIP)?;
        scene.arrived(&torrent, &leeches)
    });
}
