//! uTP over a line of 100 ms: with libtorrent, and, as a measurement of the release build, beside TCP. That one is run by hand:
//! `cargo build --release -p hexad-cli && HEXAD_BIN=$PWD/target/release/hexad cargo test --release -p hexad-interop --test delay -- --ignored --nocapture`

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hexad_interop::{Carried, Client as _, Hexad, Job, Line, LineConfig, Net, Program, Scene, Torrent, Ways, have, until};

const PATIENCE: Duration = Duration::from_secs(300);
/// One way.
const DELAY: Duration = Duration::from_millis(50);
const LEFT: Ipv4Addr = Ipv4Addr::new(10, 89, 1, 1);
const RIGHT: Ipv4Addr = Ipv4Addr::new(10, 89, 1, 2);
const MIB: f64 = (1 << 20) as f64;

/// A seed on the left of a line, who sits there, and a place for leechers on the right.
struct World {
    left: Scene,
    right: Net,
    line: Line,
    torrent: Torrent,
}

impl World {
    fn new(bytes: u64, rate: Option<u64>, queue_bytes: u64) -> Result<Self> {
        let (left, right) = (Scene::new()?, Net::new()?);
        let line = Line::lay(&left.net, &right, 1, LineConfig { delay: DELAY, rate, queue_bytes })?;
        let torrent = left.torrent(bytes, 256 << 10, &[])?;
        Ok(Self { left, right, line, torrent })
    }

    /// Seed and leecher of a transfer over uTP or over TCP.
    fn transfer(&self, name: &str, port: u16, utp: bool) -> Result<[Hexad; 2]> {
        let job = |what: &str, ip| Job {
            name: format!("{name}-{what}"),
            at: SocketAddrV4::new(ip, port),
            ways: Ways { utp, ..Ways::default() },
            quiet: true,
            ..self.left.leech(name, &self.torrent)
        };
        let seed = Hexad::seed(&Job { folder: self.torrent.data_folder().to_owned(), ..job("seed", LEFT) })?;
        let peers = vec![SocketAddrV4::new(LEFT, port)];
        let leech = Hexad::leech(&Job { net: &self.right, peers, ..job("leech", RIGHT) })?;
        Ok([seed, leech])
    }

    /// What is carried within `span`, in bytes a second: TCP, uTP; and packets lost.
    fn over(&self, span: Duration) -> Result<(f64, f64, u64)> {
        let (before, began) = (self.line.carried(), Instant::now());
        until(span * 2, "time goes by", || Ok((began.elapsed() >= span).then_some(())))?;
        let (after, seconds) = (self.line.carried(), began.elapsed().as_secs_f64());
        let rate = |of: fn(&Carried) -> u64| (of(&after) - of(&before)) as f64 / seconds;
        Ok((rate(|carried| carried.tcp_bytes), rate(|carried| carried.udp_bytes), after.lost_packets - before.lost_packets))
    }
}

fn is_possible() -> bool {
    have(&["mktorrent", "ip", "root"])
}

/// Bytes a second over an empty line without a bottleneck.
fn alone(bytes: u64, utp: bool) -> Result<f64> {
    let world = World::new(bytes, None, 0)?;
    let outcome = (|| {
        let [seed, mut leech] = world.transfer("alone", 6881, utp)?;
        let taken = leech.complete(PATIENCE)?;
        drop(seed);
        world.left.arrived(&world.torrent, &world.left.leech("alone", &world.torrent))?;
        Ok(bytes as f64 / taken.as_secs_f64())
    })();
    world.left.explain(outcome)
}

/// libtorrent speaks nothing but uTP here, and the line counts what it carries.
fn over_the_line_by_utp(seed: Program, leech: Program) {
    if !have(&[seed.needs(), leech.needs(), &["ip", "root"]].concat()) {
        return;
    }
    let bytes = 4 << 20;
    let world = World::new(bytes, None, 0).unwrap();
    let World { left, right, line, torrent } = &world;
    let outcome = (|| {
        let utp = Ways { utp: true, ..Ways::default() };
        let seeds = Job { at: SocketAddrV4::new(LEFT, 6881), ways: utp.clone(), ..left.seed(torrent) };
        let leeches =
            Job { net: right, at: SocketAddrV4::new(RIGHT, 6881), peers: vec![seeds.at], ways: utp, ..left.leech("leech", torrent) };
        let _seed = seed.seed(&seeds)?;
        let taken = leech.leech(&leeches)?.complete(PATIENCE)?;
        left.arrived(torrent, &leeches)?;
        let Carried { tcp_bytes, udp_bytes, .. } = line.carried();
        eprintln!("{seed} -> {leech}: {:.1} s, {udp_bytes} bytes by UDP, {tcp_bytes} by TCP", taken.as_secs_f64());
        ensure!(udp_bytes > bytes, "{udp_bytes} bytes by UDP");
        ensure!(tcp_bytes < bytes / 100, "{tcp_bytes} bytes by TCP");
        Ok(())
    })();
    left.explain(outcome).unwrap();
}

#[test]
fn libtorrent_takes_from_hexad_by_utp_over_a_long_line() {
    over_the_line_by_utp(Program::Hexad, Program::Libtorrent);
}

#[test]
fn hexad_takes_from_libtorrent_by_utp_over_a_long_line() {
    over_the_line_by_utp(Program::Libtorrent, Program::Hexad);
}

#[test]
#[ignore = "a measurement"]
fn without_loss_utp_is_more_than_half_as_fast_as_tcp() {
    if !is_possible() {
        return;
    }
    for mib in [16, 128] {
        let [tcp, utp] = [false, true].map(|utp| alone(mib << 20, utp).unwrap());
        eprintln!(
            "{mib} MiB at 100 ms without loss: TCP {:.1} MiB/s, uTP {:.1} MiB/s, {:.0} % of it",
            tcp / MIB,
            utp / MIB,
            utp / tcp * 100.0
        );
        assert!(utp > tcp / 2.0, "uTP {utp:.0} B/s, TCP {tcp:.0} B/s");
    }
}

#[test]
#[ignore = "a measurement"]
fn utp_makes_way_for_tcp_at_a_bottleneck_and_comes_back() {
    if !is_possible() {
        return;
    }
    // 200 ms of queue: as much as home routers have at the least.
    let rate = 2 << 20;
    let world = World::new(256 << 20, Some(rate), rate / 5).unwrap();
    let outcome = (|| {
        let mut utp = world.transfer("utp", 6881, true)?;
        world.over(Duration::from_secs(10))?;
        let before = world.over(Duration::from_secs(10))?;
        let mut tcp = world.transfer("tcp", 6882, false)?;
        world.over(Duration::from_secs(10))?;
        let beside = world.over(Duration::from_secs(20))?;
        tcp[1].process().kill()?;
        world.over(Duration::from_secs(10))?;
        let after = world.over(Duration::from_secs(10))?;
        for (when, (tcp, utp, lost)) in [("before", before), ("beside", beside), ("after", after)] {
            eprintln!("{when:>6}: TCP {:.2} MiB/s, uTP {:.2} MiB/s, {lost} packets lost, of 2 MiB/s", tcp / MIB, utp / MIB);
        }
        let whole = rate as f64;
        ensure!(before.1 > whole * 0.7, "alone uTP takes what there is");
        ensure!(beside.0 > whole * 0.7, "beside uTP, TCP takes nearly all");
        ensure!(after.1 > whole * 0.5, "it comes back");
        utp[1].process().kill()
    })();
    world.left.explain(outcome).unwrap();
}
