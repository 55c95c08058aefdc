//! BitTorrent: a flash crowd at one seed, with people who take and do not give.

mod capacity;
mod crowd;
mod interests;
mod utp;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use hexad_bittorrent::wire::metainfo::MetainfoBuilder;
use hexad_bittorrent::{BitTorrent, Config, Encryption, Message, Picking, TrackerConfig};
use hexad_content::{Layout, Ranges, Sha1Digest};
use hexad_core::{Link, Operation, Output, Share, Source, Span, Time, What};

use crate::gauge::Gauge;
use crate::outcome::{Axis, Cell, Outcome, Plot, Style, Table};
use crate::scenario::{Parameter, Params, Scenario};
use crate::value::Preset;
use crate::{FetchIds, FetchPlan, Lab, LabConfig, Links, NodeIndex, Purpose, content_of, dice};

pub use capacity::CAPACITY;
pub use crowd::{CROWD, FREE_RIDERS, LAST_COPY};
pub use interests::{CLASSES, INTERESTS};
pub use utp::UTP;

/// The scenario `bittorrent/swarm`.
pub static SWARM: Scenario = Scenario {
    name: "bittorrent/swarm",
    about: "A flash crowd at one seed: how long contributors and free riders take, and how evenly pieces spread",
    nodes: 200,
    parameters: &[
        Parameter { name: "free-riders", default: Preset::Count(20), help: "percent of leechers that give nothing" },
        Parameter { name: "seeds", default: Preset::Count(1), help: "peers that have everything from the start" },
        Parameter { name: "pieces", default: Preset::Count(128), help: "pieces of the torrent" },
        Parameter { name: "piece-bytes", default: Preset::Count(128 << 10), help: "bytes of a piece" },
        Parameter { name: "seed-up", default: Preset::Count(256 << 10), help: "uplink of a seed, bytes a second" },
        Parameter { name: "up", default: Preset::Counts(&[64 << 10, 192 << 10]), help: "uplinks of leechers, bytes a second" },
        Parameter { name: "down", default: Preset::Count(2 << 20), help: "downlink of leechers, bytes a second" },
        Parameter { name: "arrivals", default: Preset::Seconds(10.0), help: "leechers come within so long" },
        Parameter { name: "stay", default: Preset::Switch(false), help: "whoever is complete goes on as a seed" },
        Parameter { name: "picking", default: Preset::Choice(&["rarest-first", "random"]), help: "how leechers choose pieces" },
        Parameter { name: "codec", default: Preset::Switch(false), help: "every message becomes bytes on its way" },
        Parameter { name: "deadline", default: Preset::Seconds(3600.0), help: "the run ends after so long at the latest" },
    ],
    run,
    ..Scenario::PLAIN
};

fn run(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let plan = SwarmPlan {
        seed: params.seed(),
        leechers: params.nodes(),
        free_riders_percent: params.small_count("free-riders"),
        seeds: params.small_count("seeds"),
        pieces: params.small_count("pieces"),
        piece_bytes: params.count("piece-bytes"),
        seed_up_bytes_per_s: params.count("seed-up"),
        up_bytes_per_s: params.counts("up").to_vec(),
        down_bytes_per_s: params.count("down"),
        arrivals: params.span("arrivals"),
        stay: params.switch("stay"),
        random_picking: params.choice("picking") == "random",
        codec: params.switch("codec"),
        deadline: params.span("deadline"),
        threads: params.threads,
    };
    if plan.pieces == 0 || plan.piece_bytes == 0 {
        return Err("a torrent has at least one piece of at least one byte".into());
    }
    let (report, outcome) = swarm_timed(&plan, gauge);
    Ok(tell(&report, outcome))
}

fn tell(report: &SwarmReport, mut outcome: Outcome) -> Outcome {
    let mut table = Table::new(
        "groups",
        "What each group of leechers came to",
        &[("group", ""), ("members", ""), ("complete", ""), ("median", "s"), ("mean", "s"), ("given", "MiB"), ("taken", "MiB")],
    );
    for group in &report.groups {
        table.row([
            group.name.as_str().into(),
            group.members.into(),
            group.completed.into(),
            group.median_s.into(),
            group.mean_s.into(),
            mib(group.given_bytes).into(),
            mib(group.taken_bytes).into(),
        ]);
    }
    let mut figures = Table::new("figures", "Figures of the swarm", &[("figure", ""), ("value", ""), ("unit", "")]);
    let first_copy = if report.first_copy_s.is_finite() { Cell::from(report.first_copy_s) } else { Cell::Empty };
    figures.row(["copies of a piece vary, of their mean".into(), report.replication_cv.into(), "".into()]);
    figures.row(["all pieces out of the seed after".into(), first_copy, "s".into()]);
    figures.row(["free riders take longer by a factor of".into(), report.free_rider_ratio().into(), "".into()]);
    figures.row(["blocks sent by who had none".into(), report.unheld.into(), "".into()]);
    figures.row(["messages read differently than sent".into(), report.codec_differences.into(), "".into()]);
    outcome.tables = vec![table, figures];
    let mut plot = Plot::new(
        "completion",
        "When are contributors done, and when free riders?",
        Axis::linear("time since a leecher came", "s"),
        Axis::linear("share of the group that is complete", "%"),
    );
    for group in report.groups.iter().filter(|group| group.members > 0) {
        let share = |number: usize| 100.0 * count(number) / count(group.members);
        let points = group.times_s.iter().enumerate().map(|(number, &time)| (time, share(number + 1)));
        plot.add(group.name.as_str(), Style::Line, points);
    }
    outcome.plots = vec![plot];
    outcome
}

/// A swarm in which everybody arrives at about the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwarmPlan {
    /// Where all randomness comes from.
    pub seed: u64,
    /// Who fetches.
    pub leechers: u32,
    /// How many of a hundred of them give nothing to anybody.
    pub free_riders_percent: u32,
    /// Who has everything from the start.
    pub seeds: u32,
    /// Pieces of the torrent.
    pub pieces: u32,
    /// Bytes of each.
    pub piece_bytes: u64,
    /// The uplink of a seed, bytes a second.
    pub seed_up_bytes_per_s: u64,
    /// The uplinks of leechers, bytes a second: each leecher has one of these.
    pub up_bytes_per_s: Vec<u64>,
    /// Everybody's downlink, bytes a second.
    pub down_bytes_per_s: u64,
    /// Leechers come within so long.
    pub arrivals: Span,
    /// Whoever is complete goes on as a seed.
    pub stay: bool,
    /// Pick pieces at random and not the rarest first: to see what rarest first is good for.
    pub random_picking: bool,
    /// Every message becomes bytes on its way.
    pub codec: bool,
    /// The run ends after so long at the latest.
    pub deadline: Span,
    /// How many threads may run it; changes nothing but the time it takes.
    pub threads: usize,
}

impl Default for SwarmPlan {
    fn default() -> Self {
        Self {
            seed: 1,
            leechers: 200,
            free_riders_percent: 20,
            seeds: 1,
            pieces: 128,
            piece_bytes: 128 << 10,
            seed_up_bytes_per_s: 256 << 10,
            up_bytes_per_s: vec![64 << 10, 192 << 10],
            down_bytes_per_s: 2 << 20,
            arrivals: Span::from_secs(10),
            stay: false,
            random_picking: false,
            codec: false,
            deadline: Span::from_secs(3600),
            threads: 1,
        }
    }
}

/// What a group of leechers came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupReport {
    /// Who they are.
    pub name: String,
    /// How many there are.
    pub members: usize,
    /// How many became complete.
    pub completed: usize,
    /// Seconds to the end: of the median member, or of the whole run where that had not become complete.
    pub median_s: f64,
    /// Seconds that those who became complete took, fastest first.
    pub times_s: Vec<f64>,
    /// The mean, those that did not become complete counted with the length of the run.
    pub mean_s: f64,
    /// Bytes of shares given, by one member on average.
    pub given_bytes: u64,
    /// Bytes of shares received, by one member on average.
    pub taken_bytes: u64,
}

/// What a swarm came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SwarmReport {
    /// The plan's seed.
    pub seed: u64,
    /// Hash over all events.
    pub digest: u64,
    /// How many events there were.
    pub events: u64,
    /// How long the run took in the lab's time, seconds.
    pub virtual_s: f64,
    /// Contributors by uplink, slowest first, then free riders.
    pub groups: Vec<GroupReport>,
    /// Standard deviation of the pieces' copies among leechers over their mean; the mean over the time in which the average leecher that
    /// contributes had between a tenth and nine tenths.
    pub replication_cv: f64,
    /// When every piece had left the seed, seconds.
    pub first_copy_s: f64,
    /// Messages that were read as something else than what was sent (codec on).
    pub codec_differences: u64,
    /// Blocks that were sent by who did not have them; 0 unless there is a bug.
    pub unheld: u64,
    /// Outputs withheld from free riders.
    pub withheld: u64,
}

impl SwarmReport {
    /// How much longer free riders took than contributors, by mean times; 1 where there are none.
    #[must_use]
    pub fn free_rider_ratio(&self) -> f64 {
        let Some((riders, givers)) = self.groups.split_last().filter(|(riders, _)| riders.members > 0) else { return 1.0 };
        let members: usize = givers.iter().map(|group| group.members).sum();
        let mean = givers.iter().map(|group| group.mean_s * count(group.members)).sum::<f64>() / count(members.max(1));
        riders.mean_s / mean
    }
}

impl fmt::Display for SwarmReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} · {} events · {:.0} s of virtual time · digest {:016x}", self.seed, self.events, self.virtual_s, self.digest)?;
        writeln!(
            f,
            "{:<28} {:>7} {:>9} {:>9} {:>9} {:>11} {:>11}",
            "group", "members", "complete", "median s", "mean s", "given MiB", "taken MiB"
        )?;
        for group in &self.groups {
            let GroupReport { name, members, completed, median_s, mean_s, .. } = group;
            let (given, taken) = (mib(group.given_bytes), mib(group.taken_bytes));
            writeln!(f, "{name:<28} {members:>7} {completed:>9} {median_s:>9.1} {mean_s:>9.1} {given:>11.1} {taken:>11.1}")?;
        }
        write!(
            f,
            "copies of a piece vary by {:.3} of their mean · all pieces out of the seed after {:.0} s · free riders take {:.1} times as long",
            self.replication_cv,
            self.first_copy_s,
            self.free_rider_ratio()
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[expect(clippy::cast_precision_loss, reason = "a number for people")]
fn count(members: usize) -> f64 {
    members as f64
}

#[expect(clippy::cast_precision_loss, reason = "a number for people")]
fn seconds(span: Span) -> f64 {
    span.as_micros() as f64 / 1e6
}

struct Leecher {
    node: NodeIndex,
    /// Index into the plan's uplinks; `None` gives nothing.
    class: Option<usize>,
    began: Time,
    fetch: FetchIds,
}

struct Swarm<'a> {
    plan: &'a SwarmPlan,
    lab: Lab<BitTorrent>,
    leechers: Vec<Leecher>,
    cv_samples: Vec<f64>,
    first_copy_at: Option<Time>,
}

/// How often copies are counted.
const SAMPLE: Span = Span::from_secs(5);
const TRACKER: NodeIndex = NodeIndex(0);

/// Runs a swarm.
///
/// # Panics
/// When the plan has no pieces or no uplinks.
#[must_use]
pub fn swarm(plan: &SwarmPlan) -> SwarmReport {
    swarm_timed(plan, &mut Gauge::new(&mut crate::Silent)).0
}

fn swarm_timed(plan: &SwarmPlan, gauge: &mut Gauge<'_>) -> (SwarmReport, Outcome) {
    gauge.phase("set-up");
    let mut swarm = Swarm::new(plan);
    swarm.transfer(gauge);
    let mut outcome = Outcome::default();
    outcome.absorb(&swarm.lab);
    (swarm.report(), outcome)
}

impl<'a> Swarm<'a> {
    fn new(plan: &'a SwarmPlan) -> Self {
        let mut lab =
            Lab::<BitTorrent>::new(LabConfig { seed: plan.seed, codec: plan.codec, threads: plan.threads, ..LabConfig::default() });
        let tracker = lab.add_node(tracker());
        debug_assert_eq!(tracker, TRACKER);
        lab.start(tracker, Operation::Join { bootstrap: Vec::new() });
        let share = torrent(plan);
        let content = share.proof.as_ref().map_or(0, content_of);
        for _ in 0..plan.seeds {
            let node = lab.add_node(peer(plan));
            lab.set_links(node, Links { up_bytes_per_s: Some(plan.seed_up_bytes_per_s), down_bytes_per_s: None });
            lab.start(node, Operation::Join { bootstrap: Vec::new() });
            let share = lab.add_share(node, share.clone(), content);
            lab.start(node, Operation::Publish { share });
        }
        lab.run_for(Span::from_secs(5));
        let source = Source { what: What::Torrent(share.torrent), peers: Vec::new() };
        let arrivals_us = u64::try_from(plan.arrivals.as_micros()).unwrap_or(u64::MAX);
        let mut leechers = Vec::new();
        for number in 0..plan.leechers {
            let node = lab.add_node(peer(plan));
            // Spread evenly over all numbers.
            let rides = number * plan.free_riders_percent % 100 < plan.free_riders_percent;
            let class = (number as usize / 2) % plan.up_bytes_per_s.len();
            lab.set_links(node, Links { up_bytes_per_s: Some(plan.up_bytes_per_s[class]), down_bytes_per_s: Some(plan.down_bytes_per_s) });
            let began = lab.now() + Span::from_micros(dice(plan.seed, Purpose::Workload, node.0, 0).below(arrivals_us + 1));
            lab.start_at(began, node, Operation::Join { bootstrap: Vec::new() });
            let fetch = lab.fetch_at(began, node, FetchPlan { source: source.clone(), content, seed: plan.stay });
            leechers.push(Leecher { node, class: (!rides).then_some(class), began, fetch });
        }
        let riders: hexad_core::Set<u32> =
            leechers.iter().filter(|leecher| leecher.class.is_none()).map(|leecher| leecher.node.0).collect();
        if !riders.is_empty() {
            lab.tamper(move |node, output| !matches!(output, Output::Send(Link::Conn(_), Message::Unchoke)) || !riders.contains(&node));
        }
        Self { plan, lab, leechers, cv_samples: Vec::new(), first_copy_at: None }
    }

    /// Runs until all are complete, or to the deadline.
    fn transfer(&mut self, gauge: &mut Gauge<'_>) {
        gauge.phase("transfer");
        let before = self.lab.tally().events;
        let deadline = Time::ZERO + self.plan.deadline;
        loop {
            let unfinished = self.unfinished(|_| true);
            if unfinished == 0 || self.lab.now() >= deadline {
                break;
            }
            self.lab.run_for(SAMPLE);
            self.sample();
            gauge.step(1.0 - count(unfinished) / count(self.plan.leechers as usize), self.lab.tally().events - before);
        }
        gauge.end();
    }

    fn unfinished(&self, which: impl Fn(&Leecher) -> bool) -> usize {
        self.leechers.iter().filter(|leecher| which(leecher) && self.lab.completed_at(leecher.node, leecher.fetch).is_none()).count()
    }

    /// How many pieces no leecher has.
    fn not_out(&self) -> usize {
        let held: Vec<_> = self.leechers.iter().filter_map(|leecher| self.lab.held(leecher.node, leecher.fetch.share)).collect();
        let is_out = |piece: &u64| held.iter().any(|ranges| ranges.contains(piece * self.plan.piece_bytes));
        (0..u64::from(self.plan.pieces)).filter(|piece| !is_out(piece)).count()
    }

    /// Counts the copies of every piece among leechers.
    fn sample(&mut self) {
        let plan = self.plan;
        let mut copies = vec![0_u32; plan.pieces as usize];
        let (mut held, mut givers) = (0, 0);
        for leecher in &self.leechers {
            let Some(ranges) = self.lab.held(leecher.node, leecher.fetch.share) else { continue };
            if leecher.class.is_some() {
                held += ranges.total();
                givers += 1;
            }
            for (piece, copies) in (0..u64::from(plan.pieces)).zip(&mut copies) {
                *copies += u32::from(ranges.contains(piece * plan.piece_bytes));
            }
        }
        let everywhere = u64::from(plan.pieces) * plan.piece_bytes * givers;
        if self.first_copy_at.is_none() && copies.iter().all(|&copies| copies > 0) {
            self.first_copy_at = Some(self.lab.now());
        }
        if held * 10 >= everywhere && held * 10 <= everywhere * 9 {
            let mean = copies.iter().map(|&copies| f64::from(copies)).sum::<f64>() / f64::from(plan.pieces);
            let variance = copies.iter().map(|&copies| (f64::from(copies) - mean).powi(2)).sum::<f64>() / f64::from(plan.pieces);
            self.cv_samples.push(variance.sqrt() / mean);
        }
    }

    fn report(&self) -> SwarmReport {
        let plan = self.plan;
        let named = |class: usize| format!("contributors, {} KiB/s up", plan.up_bytes_per_s[class] >> 10);
        let mut groups: Vec<GroupReport> = (0..plan.up_bytes_per_s.len()).map(|class| self.group(named(class), Some(class))).collect();
        groups.push(self.group("free riders".into(), None));
        let tally = self.lab.tally();
        SwarmReport {
            seed: plan.seed,
            digest: self.lab.digest(),
            events: tally.events,
            virtual_s: seconds(self.lab.now().since(Time::ZERO)),
            groups,
            replication_cv: self.cv_samples.iter().sum::<f64>() / count(self.cv_samples.len().max(1)),
            first_copy_s: self.first_copy_at.map_or(f64::INFINITY, |at| seconds(at.since(Time::ZERO))),
            codec_differences: tally.codec_differences + tally.malformed,
            unheld: tally.unheld,
            withheld: tally.fired.withheld,
        }
    }

    fn group(&self, name: String, class: Option<usize>) -> GroupReport {
        let members: Vec<&Leecher> = self.leechers.iter().filter(|leecher| leecher.class == class).collect();
        let ended = |leecher: &&Leecher| self.lab.completed_at(leecher.node, leecher.fetch);
        let mut times: Vec<f64> =
            members.iter().map(|leecher| seconds(ended(leecher).unwrap_or(self.lab.now()).since(leecher.began))).collect();
        times.sort_by(f64::total_cmp);
        let mut times_s: Vec<f64> = members.iter().filter_map(|leecher| Some(seconds(ended(leecher)?.since(leecher.began)))).collect();
        times_s.sort_by(f64::total_cmp);
        let average = |total: u64| total / (members.len() as u64).max(1);
        GroupReport {
            name,
            members: members.len(),
            completed: members.iter().filter(|leecher| ended(leecher).is_some()).count(),
            median_s: times.get(times.len() / 2).copied().unwrap_or_default(),
            mean_s: times.iter().sum::<f64>() / count(times.len().max(1)),
            times_s,
            given_bytes: average(members.iter().map(|leecher| self.lab.traffic(leecher.node).sent_share_bytes).sum()),
            taken_bytes: average(members.iter().map(|leecher| self.lab.traffic(leecher.node).received_share_bytes).sum()),
        }
    }
}

fn tracker() -> Config {
    let tracker = TrackerConfig {
        udp: Some(([0, 0, 0, 0], 6969).into()),
        torrents_max: 10,
        torrent_peers_max: 10_000,
        interval: Span::from_secs(1800),
        peer_expiry: Span::from_secs(3600),
        requests_per_minute_max: 100,
    };
    Config { listen: None, dht: false, pex: false, lsd: false, tracker: Some(tracker), ..Config::default() }
}

fn peer(plan: &SwarmPlan) -> Config {
    let listen = Some(([0, 0, 0, 0], 6881).into());
    let picking = if plan.random_picking { Picking::Random } else { Picking::RarestFirst };
    Config { listen, encryption: Encryption::Off, dht: false, pex: false, lsd: false, picking, ..Config::default() }
}

/// A torrent whose piece hashes stand for those of real bytes.
fn torrent(plan: &SwarmPlan) -> Share {
    let total = u64::from(plan.pieces) * plan.piece_bytes;
    let layout = Arc::new(Layout::single("swarm.bin".into(), total).expect("a plan's pieces fit a layout"));
    let hashes = (0..plan.pieces).map(|piece| Sha1Digest(dice(plan.seed, Purpose::Topology, u32::MAX, piece.into()).bytes())).collect();
    let mut builder = MetainfoBuilder::new(layout.clone(), plan.piece_bytes, hashes);
    builder.tiers = vec![vec!["udp://11.0.0.0:6969/announce".into()]];
    let metainfo = builder.build().expect("as many hashes as pieces");
    Share {
        layout,
        digests: [hexad_content::Digest::TorrentV1(Sha1Digest(metainfo.info.info_hash))].into_iter().collect(),
        proof: Some(metainfo.proof()),
        held: Ranges::of(0..total),
        torrent: Bytes::from(metainfo.encode()),
    }
}
