//! Transfers: one seed and one leecher, one seed and four. The clock runs from the start of the leecher's process until it says that
//! all is there (or ends, for those that end then). aria2 and Transmission cannot be told whom to dial, so whoever feeds them is
//! met through opentracker, and the clock does not start before the tracker knows the seed.

use super::{PATIENCE, PIECE_LENGTH, Player, Sample, between, warm};
use anyhow::Result;
use hexad_interop::{
    Client, Cost, Job, Line, LineConfig, Net, Process, Program, Scene, Torrent, Ways, await_seed, start_opentracker, until,
};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

/// How many leechers a swarm has.
const LEECHERS: usize = 4;

/// How long a packet is under way over a long line.
const DELAY: Duration = Duration::from_millis(50);

/// So many bytes on the wire mean that a payload is moving.
const UNDER_WAY_BYTES: u64 = 2 << 20;

/// One seed, one leecher.
pub fn pair(seed: Player, leech: Player, size: u64) -> Result<Sample> {
    let scene = Scene::new()?;
    let tracked = !dials(leech);
    scene.explain(play(&scene, seed, leech, 1, size, tracked))
}

/// One seed and four leechers of the same program, which stay until the last has everything; all meet through opentracker.
pub fn swarm(player: Player, size: u64) -> Result<Sample> {
    let scene = Scene::new()?;
    scene.explain(play(&scene, player, player, LEECHERS, size, true))
}

/// One seed and one leecher of the same program over a line that is 50 ms long each way, and has no bottleneck.
pub fn delayed(player: Player, utp: bool, size: u64) -> Result<Sample> {
    let (scene, far) = (Scene::new()?, Net::new()?);
    scene.explain(play_far(&scene, &far, player, utp, size))
}

fn play_far(scene: &Scene, far: &Net, player: Player, utp: bool, size: u64) -> Result<Sample> {
    let _line = Line::lay(&scene.net, far, 1, LineConfig { delay: DELAY, rate: None, queue_bytes: 64 << 20 })?;
    let torrent = scene.torrent(size, PIECE_LENGTH, &[])?;
    let [near_end, far_end] = [1, 2].map(|host| SocketAddrV4::new(Ipv4Addr::new(10, 89, 1, host), 6881));
    let ways = Ways { utp, ..Ways::default() };
    let seeding = Job { at: near_end, ways: ways.clone(), ..job(scene.seed(&torrent), player) };
    let mut source = player.program().seed(&seeding)?;
    warm(&scene.path(""), size)?;
    let before = source.process().cost();
    let leeching = Job { net: far, at: far_end, peers: vec![near_end], ways, ..job(scene.leech("leech", &torrent), player) };
    let mut leecher = player.program().leech(&leeching)?;
    let wall = leecher.complete(PATIENCE)?;
    let (cost, seed_cost) = (leecher.process().cost(), between(source.process(), before));
    leecher.process().stop()?;
    compare(scene, &torrent, &[leeching])?;
    Ok(Sample { wall_s: wall.as_secs_f64(), moving_s: None, cost, seed: Some(seed_cost), failure: None })
}

fn play(scene: &Scene, seed: Player, leech: Player, leechers: usize, size: u64, tracked: bool) -> Result<Sample> {
    let at = scene.tracker_address();
    let announce = tracked.then(|| format!("http://{at}/announce"));
    let torrent = scene.torrent(size, PIECE_LENGTH, announce.as_slice())?;
    let _tracker: Option<Process> =
        if tracked { Some(start_opentracker(&scene.net, at, &[&torrent.info_hash], &scene.path(""))?) } else { None };
    let seeding = job(scene.seed(&torrent), seed);
    let seed_at = seeding.at;
    let mut source = seed.program().seed(&seeding)?;
    if tracked {
        await_seed(&scene.net, at, &torrent.info_hash, Duration::from_secs(60))?;
    }
    warm(&scene.path(""), size * leechers as u64)?;

    let before = source.process().cost();
    let moved = scene.net.moved_bytes();
    let jobs: Vec<Job<'_>> = (0..leechers)
        .map(|number| {
            let mut leeching = job(scene.leech(&format!("leech{number}"), &torrent), leech);
            leeching.stays = leechers > 1;
            if dials(leech) {
                leeching.peers = vec![seed_at];
            }
            leeching
        })
        .collect();
    let began = Instant::now();
    let mut clients: Vec<Box<dyn Client>> = jobs.iter().map(|job| leech.program().leech(job)).collect::<Result<_>>()?;
    let mut under_way = None;
    let mut taken = vec![None; clients.len()];
    until(PATIENCE, "everybody has everything", || {
        if under_way.is_none() && scene.net.moved_bytes() - moved > UNDER_WAY_BYTES {
            under_way = Some(began.elapsed());
        }
        for (client, taken) in clients.iter_mut().zip(&mut taken) {
            if taken.is_none() {
                *taken = client.complete(Duration::ZERO).ok();
                if taken.is_none() && client.process().ended()?.is_some_and(|(status, _)| !status.success()) {
                    client.complete(Duration::ZERO)?;
                }
            }
        }
        Ok(taken.iter().all(Option::is_some).then_some(()))
    })?;
    // Processes of one swarm start one after the other; its clock starts with the first.
    let wall = if leechers == 1 { taken[0].unwrap_or_default() } else { began.elapsed() };
    let costs: Vec<Cost> = clients.iter_mut().map(|client| client.process().cost()).collect();
    let seed_cost = between(source.process(), before);
    for client in &mut clients {
        client.process().stop()?;
    }
    compare(scene, &torrent, &jobs)?;
    Ok(Sample {
        wall_s: wall.as_secs_f64(),
        moving_s: under_way.map(|under_way| wall.saturating_sub(under_way).as_secs_f64()),
        cost: sum(&costs),
        seed: Some(seed_cost),
        failure: None,
    })
}

/// CPU of all, memory of the largest.
fn sum(costs: &[Cost]) -> Cost {
    costs.iter().fold(Cost::default(), |all, one| Cost {
        user_s: all.user_s + one.user_s,
        system_s: all.system_s + one.system_s,
        rss_peak_bytes: all.rss_peak_bytes.max(one.rss_peak_bytes),
    })
}

fn compare(scene: &Scene, torrent: &Torrent, jobs: &[Job<'_>]) -> Result<()> {
    jobs.iter().try_for_each(|job| scene.arrived(torrent, job))
}

fn job(mut job: Job<'_>, player: Player) -> Job<'_> {
    (job.tuned, job.quiet) = (player.is_tuned(), true);
    job
}

fn dials(player: Player) -> bool {
    matches!(player.program(), Program::Hexad | Program::Libtorrent)
}
