//! Times Kazaa on real sockets of this machine: what `specs/supernodes.md` §5.7 asks for. Run by `cargo xtask bench kazaa`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hexad_content::{Digest, Digests, Layout, Proof, Ranges, Sha1Digest, info};
use hexad_core::transcript::Transcript;
use hexad_core::{Address as _, Dice, Endpoint, Input, Link, Map, OpId, Operation, Progress, Query, Share, ShareId, Shares, Via};
use hexad_driver::Nothing;
use hexad_driver::host::{Events, Handle, Host, HostConfig, HostEvent, NodeKey};
use hexad_kazaa::wire::{Batch, Card, Media, Message, Purpose, Record};
use hexad_kazaa::{Config, Kazaa, Node, Place as _, Reply, Request, Settings, Switch, doors};

type Net = Kazaa<Endpoint>;

/// What an operation has told, and when.
type Told = Vec<(Instant, Progress<Reply<Endpoint>>)>;

/// One process.
struct Peer {
    handle: Handle<Net>,
    events: Events<Net>,
    address: Endpoint,
    last_op: u64,
    /// What was reported and not yet asked for.
    heard: Map<OpId, Told>,
}

impl Peer {
    fn start(settings: Settings, bootstrap: &[Endpoint]) -> Self {
        let key = NodeKey::generate().expect("the system gives randomness");
        let public = key.public();
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let config: Config = Settings { listen, identity: Some(public), ..settings }.into();
        let host = HostConfig { key: Some(key), ..HostConfig::default() };
        let (handle, mut events) = Host::<Net>::start(config, host, Arc::new(Nothing), Arc::new(Nothing));
        handle.start(OpId(1), Operation::Join { bootstrap: bootstrap.to_vec() });
        let (mut address, mut joined) = (None, false);
        while address.is_none() || !joined {
            match events.blocking_recv().expect("the host runs") {
                HostEvent::Bound(doors::KAZAA, at) => address = Some(Endpoint::Key(public, at)),
                HostEvent::Report(OpId(1), Progress::Done) => joined = true,
                HostEvent::Report(OpId(1), other) => panic!("the join has ended: {other:?}"),
                _ => {}
            }
        }
        Self { handle, events, address: address.expect("just seen"), last_op: 1, heard: Map::new() }
    }

    fn begin(&mut self, operation: Operation<Request>) -> OpId {
        self.last_op += 1;
        let op = OpId(self.last_op);
        self.handle.start(op, operation);
        op
    }

    /// Everything reported of an operation until it is done, with the time of each.
    fn end(&mut self, op: OpId) -> Vec<(Instant, Progress<Reply<Endpoint>>)> {
        loop {
            let over = |(_, progress): &(Instant, Progress<_>)| matches!(progress, Progress::Done | Progress::Failed(_));
            if self.heard.get(&op).is_some_and(|reports| reports.iter().any(over)) {
                return self.heard.remove(&op).unwrap_or_default();
            }
            if let HostEvent::Report(of, progress) = self.events.blocking_recv().expect("the host runs") {
                self.heard.entry(of).or_default().push((Instant::now(), progress));
            }
        }
    }

    fn publish(&mut self, shares: &Shares, ids: impl Iterator<Item = u64>) {
        self.handle.set_shares(shares.clone());
        let ops: Vec<OpId> = ids.map(|id| self.begin(Operation::Publish { share: ShareId(id) })).collect();
        for op in ops {
            let reports = self.end(op);
            assert!(matches!(reports.last(), Some((_, Progress::Done))), "{reports:?}");
        }
    }

    /// When a search has found something, if it has.
    fn search(&mut self, word: String) -> Option<Duration> {
        let began = Instant::now();
        let op = self.begin(Operation::Search { query: Query::Words { words: vec![word], wanted: 1 } });
        self.end(op).into_iter().find(|(_, progress)| matches!(progress, Progress::Hit(_))).map(|(at, _)| at - began)
    }

    fn parents(&mut self) -> Vec<Endpoint> {
        let op = self.begin(Operation::Own(Request::Status));
        self.end(op)
            .into_iter()
            .find_map(|(_, progress)| if let Progress::Own(Reply::Standing(standing)) = progress { Some(standing.parents) } else { None })
            .unwrap_or_default()
    }
}

fn share(name: &str, number: u64) -> Share {
    let layout = Layout::single(name.into(), 1 << 16).expect("a small file fits a layout");
    let mut hash = [1; 20];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    let hashes: Arc<[Sha1Digest]> = vec![Sha1Digest(hash)].into();
    let digest = Digest::TorrentV1(info::hash(&info::write(&layout, 1 << 16, &hashes)));
    Share {
        layout: Arc::new(layout),
        digests: [digest].into_iter().collect::<Digests>(),
        proof: Some(Proof::V1Pieces { piece_bytes: 1 << 16, total_bytes: 1 << 16, hashes }),
        held: Ranges::of(0..1 << 16),
        torrent: Bytes::new(),
    }
}

fn row(what: &str, target: &str, measured: &str) {
    println!("| {what} | {target} | {measured} |");
}

fn publishing() {
    const COUNT: u64 = 10_000;
    let supernode = Peer::start(Settings { switch: Switch::Always, ..Settings::default() }, &[]);
    let settings = Settings { switch: Switch::Never, parents: 1, ..Settings::default() };
    let mut leaf = Peer::start(settings, std::slice::from_ref(&supernode.address));
    let shares =
        (0..COUNT).fold(Shares::new(), |shares, number| shares.with(ShareId(number), share(&format!("song {number}.ogg"), number)));
    let began = Instant::now();
    leaf.publish(&shares, 0..COUNT);
    row("publish 10,000 records, signed, until all are acknowledged", "< 1 s", &format!("{:.3} s", began.elapsed().as_secs_f64()));
    leaf.handle.kill();
    supernode.handle.kill();
}

/// Resident memory of this process, bytes.
fn memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).unwrap_or(0) << 10
}

/// A supernode on a table, whose leaves say what real ones say.
fn memory() {
    let before = memory_bytes();
    let mut node = Transcript::new(Node::<Endpoint>::new(Settings::default().into()), 1);
    node.hears(Input::Start(OpId(1), Operation::Join { bootstrap: Vec::new() }));
    node.hears(Input::Bound(doors::KAZAA, Ok(SocketAddr::from(([0, 0, 0, 0], 6881)))));
    let mut dice = Dice::counter(1, 1);
    for leaf in 0..150_u32 {
        let (peer, conn) = (Endpoint::of_lab_node(leaf + 1), node.accepted());
        node.hears(Input::Opened { conn, peer: peer.clone(), via: Via::Accepted(doors::KAZAA) });
        let purpose = Purpose::Leaf(Card { willing: false, uplink_kbps: 1000, uptime_s: 0 });
        node.hears(Input::Received(Link::Conn(conn), Message::Hello(Endpoint::of_lab_node(200), purpose)));
        for part in 0..2_u32 {
            let records = (0..250_u32).map(|at| {
                let number = part * 250 + at;
                let digest = Digest::TorrentV1(Sha1Digest(dice.bytes()));
                let name =
                    format!("artist {} - album {} - {number:03} some title {}.ogg", dice.below(2000), dice.below(5000), dice.below(20_000));
                Record { number, digest, others: Vec::new(), size_bytes: 5_000_000, media: Media::Audio, name, tags: Vec::new() }
            });
            let mut batch = Batch { sequence: part.into(), unix_s: 1, signature: [0; 64], records: records.collect() };
            batch.signature = peer.pretend(&batch.signed_bytes()).expect("a lab node signs");
            node.hears(Input::Received(Link::Conn(conn), Message::Publish(Box::new(batch))));
        }
    }
    let records = node.node.index().map_or(0, hexad_kazaa::node::Index::len);
    assert_eq!(records, 75_000);
    #[expect(clippy::cast_precision_loss, reason = "megabytes for people")]
    let grown = memory_bytes().saturating_sub(before) as f64 / 1e6;
    row("a supernode's state with 150 leaves of 500 files", "< 100 MB", &format!("{grown:.0} MB"));
}

fn town() {
    const SUPERNODES: usize = 5;
    const LEAVES: usize = 100;
    const FILES: u64 = 5;
    let mut bootstrap: Vec<Endpoint> = Vec::new();
    let mut supernodes = Vec::new();
    for _ in 0..SUPERNODES {
        let supernode = Peer::start(Settings { switch: Switch::Always, ..Settings::default() }, &bootstrap);
        bootstrap.push(supernode.address.clone());
        supernodes.push(supernode);
    }
    let mut leaves = Vec::new();
    for leaf in 0..LEAVES {
        let settings = Settings { switch: Switch::Never, parents: 1, ..Settings::default() };
        let mut peer = Peer::start(settings, &bootstrap[leaf % SUPERNODES..=leaf % SUPERNODES]);
        let ids = || (0..FILES).map(move |file| leaf as u64 * FILES + file);
        let shares = ids().fold(Shares::new(), |shares, id| shares.with(ShareId(id), share(&format!("file f{id} of it.ogg"), id)));
        peer.publish(&shares, ids());
        leaves.push(peer);
    }
    let mut dice = Dice::counter(2, 2);
    let (mut times, mut asked) = (Vec::new(), 0_u32);
    for _ in 0..1000 {
        let (asker, owner) = (dice.index(LEAVES).unwrap_or(0), dice.index(LEAVES).unwrap_or(0));
        if asker != owner {
            asked += 1;
            times.extend(leaves[asker].search(format!("f{}", owner as u64 * FILES + dice.below(FILES))));
        }
    }
    times.sort_unstable();
    let found = f64::from(u32::try_from(times.len()).unwrap_or(0)) / f64::from(asked) * 100.0;
    row("files found by a search, 5 supernodes and 100 leaves", "> 99 %", &format!("{found:.2} % of {asked}"));
    let at = |percent: usize| times.get(times.len() * percent / 100).map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    row("first hit of a search, over 1 to 3 hops", "< 50 ms", &format!("median {:.2} ms, 99 % {:.2} ms", at(50), at(99)));
    // One supernode dies without a word; its leaves find another one each.
    let victim = supernodes.pop().expect("there are five");
    let orphans: Vec<usize> = (0..LEAVES).filter(|&leaf| leaves[leaf].parents().contains(&victim.address)).collect();
    victim.handle.kill();
    let died = Instant::now();
    let mut slowest = Duration::ZERO;
    for &leaf in &orphans {
        while leaves[leaf].parents().iter().all(|parent| *parent == victim.address) && died.elapsed() < Duration::from_secs(60) {
            #[expect(clippy::disallowed_methods, reason = "a node tells its parents only when it is asked")]
            std::thread::sleep(Duration::from_millis(5));
        }
        slowest = slowest.max(died.elapsed());
    }
    row(&format!("all {} leaves of a killed supernode have another", orphans.len()), "< 5 s", &format!("{:.2} s", slowest.as_secs_f64()));
    leaves.into_iter().chain(supernodes).for_each(|peer| peer.handle.kill());
}

fn main() {
    println!("| what | target | measured |");
    println!("|---|---|---|");
    memory();
    publishing();
    town();
}
