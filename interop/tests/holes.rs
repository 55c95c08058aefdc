//! Holes through NAT (BEP 55): two peers, each behind a NAT of its own that lets nobody in, know each other only from a third one in the open, by peer
//! exchange. It introduces them, and they meet over uTP. Seed and leecher sit behind the NATs; who is between them may move next to nothing.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Result, ensure};
use hexad_interop::{Client as _, Hexad, Libtorrent, Net, Process, Scene, Torrent, Ways, differences, have, until};

/// libtorrent tells of peers once a minute, a dial that leads nowhere takes 16 s.
const PATIENCE: Duration = Duration::from_secs(150);
const BYTES: u64 = 2 << 20;
/// What the one in the open may move in a second, each way: the whole would take it eight minutes.
const RELAYED_BYTES_PER_S: u64 = 4 << 10;

const OPEN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 88, 9, 2), 6881);
const SEED: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 88, 1, 1), 6881);
const LEECH: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 88, 4, 1), 6881);

/// seed 10.88.1.1 ─ NAT 10.88.9.1 ─ bridge, at which the one in the open is 10.88.9.2 ─ NAT 10.88.9.3 ─ leecher 10.88.4.1
struct World {
    seed: Net,
    leech: Net,
    nats: [Net; 2],
    open: Scene,
    torrent: Torrent,
}

impl World {
    fn new() -> Result<Self> {
        let (seed, leech, nats, open) = (Net::new()?, Net::new()?, [Net::new()?, Net::new()?], Scene::new()?);
        open.net.run("ip", &["link", "add", "wide", "type", "bridge"])?;
        open.net.run("ip", &["addr", "add", &format!("{}/24", OPEN.ip()), "dev", "wide"])?;
        open.net.run("ip", &["link", "set", "wide", "up"])?;
        for (home, nat, outside, inner, outer) in [(&seed, &nats[0], "wide-1", 1, 1), (&leech, &nats[1], "wide-2", 4, 3)] {
            home.link(nat, "home", inner)?;
            nat.link(&open.net, outside, 5 + outer)?;
            for net in [nat, &open.net] {
                net.run("ip", &["addr", "flush", "dev", outside])?;
            }
            open.net.run("ip", &["link", "set", outside, "master", "wide"])?;
            nat.run("ip", &["addr", "add", &format!("10.88.9.{outer}/24"), "dev", outside])?;
            nat.translate("home", outside)?;
            home.run("ip", &["route", "add", "default", "via", &format!("10.88.{inner}.2")])?;
        }
        let torrent = open.torrent(BYTES, 64 << 10, &[])?;
        Ok(Self { seed, leech, nats, open, torrent })
    }

    /// One of ours; `more` begins with the verb and what is to be published or fetched. Empty words are left out.
    fn ours(&self, net: &Net, name: &str, at: SocketAddrV4, more: &[&str]) -> Result<Process> {
        let mut command = Hexad::command(net, &self.open.path(""))?;
        command.arg("-vv").args(more.iter().filter(|word| !word.is_empty())).args([
            "--listen",
            &at.to_string(),
            "--no-dht",
            "--no-lsd",
            "--json",
        ]);
        Process::start(command, &self.open.path(""), name)
    }
}

/// Who is to be libtorrent; the leecher is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Foreign {
    Nobody,
    Relay,
    Seed,
}

fn meet(foreign: Foreign, utp: &str) {
    if !have(&["mktorrent", "ip", "nft", "libtorrent", "root"]) {
        return;
    }
    let world = World::new().expect("a stage");
    let outcome = through_the_nats(&world, foreign, utp);
    world.open.explain(outcome).unwrap();
}

fn through_the_nats(world: &World, foreign: Foreign, utp: &str) -> Result<()> {
    let World { open, torrent, .. } = world;
    let (file, open_at) = (torrent.file.to_string_lossy().into_owned(), OPEN.to_string());
    let into = |name: &str| open.path(name).to_string_lossy().into_owned();
    let (mut libtorrents, mut hexads) = (Vec::new(), Vec::new());
    if foreign == Foreign::Relay {
        let mut job = open.leech("relay", torrent);
        (job.at, job.rate_max, job.stays) = (OPEN, Some(RELAYED_BYTES_PER_S), true);
        job.ways = Ways { pex: true, utp: true, ..Ways::default() };
        libtorrents.push(Libtorrent::leech(&job)?);
    } else {
        let rate = RELAYED_BYTES_PER_S.to_string();
        let how = ["fetch", &file, "--into", &into("relay"), "--seed", "--max-down", &rate, "--max-up", &rate, utp];
        let mut relay = world.ours(&open.net, "relay", OPEN, &how)?;
        until(PATIENCE, "a relay that listens", || {
            ensure!(relay.ended()?.is_none(), "the relay has ended");
            Ok(open.net.hears(OPEN).then_some(()))
        })?;
        hexads.push(relay);
    }
    // The seed is told of nobody: whom it dials, it dials because it was introduced.
    if foreign == Foreign::Seed {
        let mut job = open.seed(torrent);
        (job.net, job.at, job.peers) = (&world.seed, SEED, vec![OPEN]);
        job.ways = Ways { pex: false, utp: true, ..Ways::default() };
        libtorrents.push(Libtorrent::seed(&job)?);
    } else {
        let data = torrent.data_folder().to_string_lossy();
        let how = ["publish", "--torrent", &file, "--data", &data, "--peer", &open_at, "--no-pex", utp];
        hexads.push(world.ours(&world.seed, "seed", SEED, &how)?);
    }
    until(PATIENCE, "a seed that speaks with the relay", || Ok((world.nats[0].sent_packets("wide-1") > 10).then_some(())))?;

    let how = ["fetch", &file, "--into", &into("leech"), "--peer", &open_at, utp];
    let mut leech = world.ours(&world.leech, "leech", LEECH, &how)?;
    leech.hear(PATIENCE, "complete", |said| said.contains("\"event\":\"complete\"").then_some(()))?;
    let found = differences(&torrent.data, &open.path("leech").join(torrent.name()), true)?;
    ensure!(found.is_empty(), "{found:?}");
    ensure!(leech.complained().contains("introduction_wanted"), "the leecher has asked nobody");
    let was_told = hexads.iter().any(|one| one.complained().contains("\"introduced\""));
    ensure!(was_told || foreign == Foreign::Seed, "they met, and nobody had introduced them");
    for mut one in hexads {
        ensure!(one.ended()?.is_none(), "somebody has ended before the end");
        one.stop()?;
    }
    for mut one in libtorrents {
        ensure!(one.process().ended()?.is_none(), "libtorrent has ended before the end");
        one.process().stop()?;
    }
    Ok(())
}

#[test]
fn two_of_ours_meet_that_reach_the_third_by_tcp() {
    meet(Foreign::Nobody, "");
}

#[test]
fn two_of_ours_meet_that_reach_the_third_by_utp() {
    meet(Foreign::Nobody, "--utp-first");
}

#[test]
fn libtorrent_introduces_two_of_ours() {
    meet(Foreign::Relay, "--utp-first");
}

#[test]
fn one_of_ours_introduces_another_to_libtorrent() {
    meet(Foreign::Seed, "--utp-first");
}
