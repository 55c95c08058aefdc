//! What the peers of a swarm are to each other, as their messages show it: who is interested in whom (BT7), when blocks come (BT8), how soon many can
//! give (BT16), and whom they unchoke whose uplinks differ (BT17).

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hexad_bittorrent::{BitTorrent, Message};
use hexad_core::{ConnId, Endpoint, Input, Link, Map, Output, Span, Time, Verdict};

use super::{Swarm, SwarmPlan, count, seconds};
use crate::event::{In, Out};
use crate::fit::{Fit, median};
use crate::gauge::Gauge;
use crate::lab::Watched;
use crate::outcome::{Axis, Expected, Outcome, Plot, Style, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;
use crate::{Lab, NodeIndex};

const PIECES: Parameter = Parameter { name: "pieces", default: Preset::Count(200), help: "pieces of the torrent" };
const PIECE_BYTES: Parameter = Parameter { name: "piece-bytes", default: Preset::Count(128 << 10), help: "bytes of a piece" };
const SEED_UP: Parameter = Parameter { name: "seed-up", default: Preset::Count(1 << 20), help: "uplink of the seed, bytes a second" };

/// The scenario `bittorrent/interests`.
pub static INTERESTS: Scenario = Scenario {
    name: "bittorrent/interests",
    about: "A flash crowd of equals, message by message: interest, the first blocks and the last, and how the number of those grows who can give",
    nodes: 200,
    parameters: &[
        PIECES,
        PIECE_BYTES,
        SEED_UP,
        Parameter {
            name: "up",
            default: Preset::Count(128 << 10),
            help: "uplink of a leecher, bytes a second; where growth is seen, of the seed too",
        },
    ],
    claims: &[
        Claim { id: "BT7", says: "diversity is close to ideal", source: "Legout 2006" },
        Claim { id: "BT8", says: "the first block is the problem, not the last", source: "Legout 2006" },
        Claim { id: "BT16", says: "capacity doubles in a flash crowd", source: "Yang and de Veciana 2004" },
    ],
    small: &[("nodes", "60")],
    full: &[("nodes", "500")],
    seeds: (1, 3),
    run: interests,
};

/// The scenario `bittorrent/classes`.
pub static CLASSES: Scenario = Scenario {
    name: "bittorrent/classes",
    about: "Three classes of uplinks at a fast seed: whom each of them unchokes",
    nodes: 120,
    parameters: &[
        PIECES,
        PIECE_BYTES,
        SEED_UP,
        Parameter {
            name: "ups",
            default: Preset::Counts(&[20 << 10, 50 << 10, 200 << 10]),
            help: "uplinks of leechers, bytes a second: a class of each",
        },
    ],
    claims: &[Claim { id: "BT17", says: "peers of like bandwidth find each other", source: "Legout 2007" }],
    small: &[("nodes", "60")],
    full: &[("nodes", "300")],
    seeds: (1, 3),
    run: classes,
};

/// Who was together for less has shown nothing.
const TOGETHER_MIN: Span = Span::from_secs(10);
/// The first blocks, and the last.
const BLOCKS: usize = 100;

/// When something was so.
#[derive(Debug, Default)]
struct Spells {
    over: Vec<(Time, Time)>,
    since: Option<Time>,
}

impl Spells {
    fn set(&mut self, is_so: bool, now: Time) {
        match (is_so, self.since) {
            (true, None) => self.since = Some(now),
            (false, Some(since)) => {
                self.over.push((since, now));
                self.since = None;
            }
            _ => {}
        }
    }

    /// For how long, of that time.
    fn within(&self, from: Time, to: Time) -> Span {
        let all = self.over.iter().copied().chain(self.since.map(|since| (since, to)));
        all.map(|(since, until)| until.min(to).since(since.max(from))).sum()
    }
}

/// A connection, as one side sees it.
#[derive(Debug)]
struct Side {
    peer: Option<IpAddr>,
    opened: Time,
    closed: Option<Time>,
    /// This side is interested in the other.
    interested: Spells,
    /// This side unchokes the other.
    unchokes: Spells,
}

/// What was seen of all.
#[derive(Debug, Default)]
struct Trace {
    sides: Map<(u32, ConnId), Side>,
    /// When each node was given a block.
    blocks: Map<u32, Vec<Time>>,
    /// When each node had its first piece.
    first_pieces: Map<u32, Time>,
}

fn ip_of(endpoint: &Endpoint) -> Option<IpAddr> {
    endpoint.socket().map(|socket| socket.ip())
}

impl Trace {
    fn heard(&mut self, now: Time, node: u32, input: &In<BitTorrent>) {
        match input {
            Input::Opened { conn, peer, .. } => {
                let side =
                    Side { peer: ip_of(peer), opened: now, closed: None, interested: Spells::default(), unchokes: Spells::default() };
                self.sides.insert((node, *conn), side);
            }
            Input::Closed(conn, _) => self.closed(now, node, *conn),
            Input::Received(Link::Conn(_), Message::Piece { .. }) => self.blocks.entry(node).or_default().push(now),
            Input::Judged(_, _, Verdict::Good) => {
                self.first_pieces.entry(node).or_insert(now);
            }
            _ => {}
        }
    }

    fn said(&mut self, now: Time, node: u32, output: &Out<BitTorrent>) {
        match output {
            Output::Close(conn, _) => self.closed(now, node, *conn),
            Output::Send(Link::Conn(conn), message) => {
                let Some(side) = self.sides.get_mut(&(node, *conn)) else { return };
                match message {
                    Message::Interested => side.interested.set(true, now),
                    Message::NotInterested => side.interested.set(false, now),
                    Message::Unchoke => side.unchokes.set(true, now),
                    Message::Choke => side.unchokes.set(false, now),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn closed(&mut self, now: Time, node: u32, conn: ConnId) {
        if let Some(side) = self.sides.get_mut(&(node, conn)) {
            side.closed.get_or_insert(now);
        }
    }
}

/// Watches all nodes.
fn watch(lab: &mut Lab<BitTorrent>) -> Arc<Mutex<Trace>> {
    let trace = Arc::new(Mutex::new(Trace::default()));
    let seen = trace.clone();
    lab.watch(move |now, node, watched| {
        let mut trace = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match watched {
            Watched::Heard(input) => trace.heard(now, node, input),
            Watched::Said(output) => trace.said(now, node, output),
        }
    });
    trace
}

/// Two leechers while they were together, after all had left the seed and before either was complete: as the first of them sees it.
struct Pair<'a> {
    side: &'a Side,
    classes: [Option<usize>; 2],
    from: Time,
    to: Time,
}

impl Swarm<'_> {
    fn pairs<'a>(&self, trace: &'a Trace) -> Vec<Pair<'a>> {
        let Some(steady) = self.first_copy_at else { return Vec::new() };
        let leechers: Map<u32, (Option<usize>, Time)> = self
            .leechers
            .iter()
            .map(|leecher| (leecher.node.0, (leecher.class, self.lab.completed_at(leecher.node, leecher.fetch).unwrap_or(self.lab.now()))))
            .collect();
        let by_ip: Map<IpAddr, u32> =
            leechers.keys().filter_map(|&node| Some((ip_of(&self.lab.address(NodeIndex(node)))?, node))).collect();
        let pair = |(&(node, _), side): (&(u32, ConnId), &'a Side)| {
            let (class, complete) = leechers.get(&node)?;
            let (other_class, other_complete) = leechers.get(by_ip.get(&side.peer?)?)?;
            let from = side.opened.max(steady);
            let to = side.closed.unwrap_or(self.lab.now()).min(*complete).min(*other_complete);
            (to.since(from) >= TOGETHER_MIN).then_some(Pair { side, classes: [*class, *other_class], from, to })
        };
        trace.sides.iter().filter_map(pair).collect()
    }
}

fn plan(params: &Params, up_bytes_per_s: Vec<u64>) -> SwarmPlan {
    SwarmPlan {
        seed: params.seed(),
        leechers: params.nodes(),
        free_riders_percent: 0,
        pieces: params.small_count("pieces").max(16),
        piece_bytes: params.count("piece-bytes").max(1),
        seed_up_bytes_per_s: params.count("seed-up").max(1),
        up_bytes_per_s,
        arrivals: Span::from_secs(5),
        ..SwarmPlan::default()
    }
}

/// Runs a swarm, and hands over what was seen of it.
fn seen<'a>(plan: &'a SwarmPlan, gauge: &mut Gauge<'_>, outcome: &mut Outcome) -> (Swarm<'a>, Trace) {
    gauge.phase("set-up");
    let mut swarm = Swarm::new(plan);
    let trace = watch(&mut swarm.lab);
    swarm.transfer(gauge);
    swarm.lab.unwatch();
    outcome.absorb(&swarm.lab);
    let trace = std::mem::take(&mut *trace.lock().unwrap_or_else(PoisonError::into_inner));
    (swarm, trace)
}

fn interests(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let up = params.count("up").max(1);
    let crowd = plan(params, vec![up]);
    let (swarm, trace) = seen(&crowd, gauge, &mut outcome);

    let mut shares: Vec<f64> = Vec::new();
    for Pair { side, from, to, .. } in swarm.pairs(&trace) {
        shares.push(seconds(side.interested.within(from, to)) / seconds(to.since(from)));
    }
    outcome.find(
        "BT7",
        "time that a leecher is interested in another, of the time they are together; median",
        Expected::AtLeast(0.9),
        median(&shares),
    );

    let took = |blocks: &[Time]| Some(seconds(blocks.last()?.since(*blocks.first()?)));
    let pace: Vec<(f64, f64)> = trace
        .blocks
        .values()
        .filter(|blocks| blocks.len() >= 2 * BLOCKS)
        .filter_map(|blocks| Some((took(&blocks[..BLOCKS])?, took(&blocks[blocks.len() - BLOCKS..])?)))
        .collect();
    let slower: Vec<f64> = pace.iter().map(|(first, last)| first / last).collect();
    outcome.find(
        "BT8",
        "time between the first hundred blocks over that between the last; median",
        Expected::AtLeast(1.0),
        median(&slower),
    );

    // At a seed no faster than any other: what grows is what leechers give.
    let crowd = SwarmPlan { seed_up_bytes_per_s: up, deadline: Span::from_secs(600), ..crowd };
    let (_, grown) = seen(&crowd, gauge, &mut outcome);
    let mut times: Vec<f64> = grown.first_pieces.values().map(|at| seconds(at.since(Time::ZERO))).collect();
    times.sort_by(f64::total_cmp);
    let curve: Vec<(f64, f64)> = times.iter().enumerate().map(|(number, &at)| (at, count(number + 1))).collect();
    let growth: Vec<(f64, f64)> =
        curve.iter().filter(|(_, can)| (2.0..=f64::from(crowd.leechers) / 2.0).contains(can)).map(|&(at, can)| (at, can.log2())).collect();
    outcome.find(
        "BT16",
        "growth of the number of those who can give, R² of an exponential up to half of all",
        Expected::AtLeast(0.9),
        Fit::explained_growth(&growth),
    );

    let mut table = Table::new("interests", "What was seen of leechers", &[("figure", ""), ("value", ""), ("unit", "")]);
    table.row(["pairs of leechers after the first copy".into(), shares.len().into(), "".into()]);
    table.row(["the first hundred blocks, median".into(), median(&pace.iter().map(|pace| pace.0).collect::<Vec<_>>()).into(), "s".into()]);
    table.row(["the last hundred blocks, median".into(), median(&pace.iter().map(|pace| pace.1).collect::<Vec<_>>()).into(), "s".into()]);
    table.row(["who can give doubles every".into(), (1.0 / Fit::of(&growth).slope).into(), "s".into()]);
    outcome.tables.push(table);
    let mut plot = Plot::new("growth", "How many can give?", Axis::linear("time", "s"), Axis::logarithmic("leechers with a piece", ""));
    plot.add("leechers", Style::Line, curve);
    outcome.plots.push(plot);
    outcome.remarks.push("BT7: pairs of leechers that were together for ten seconds or more after all pieces had left the seed. BT16: at a seed with a leecher's uplink.".into());
    Ok(outcome)
}

fn classes(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let ups = params.counts("ups").to_vec();
    if ups.len() < 2 {
        return Err(format!("expected two classes of uplinks or more (ups), came {}", ups.len()));
    }
    let mut outcome = Outcome::default();
    let plan = plan(params, ups.clone());
    let (swarm, trace) = seen(&plan, gauge, &mut outcome);
    // Seconds unchoked, and together, by the classes of who gives and who is given to.
    let mut unchoked = vec![vec![0.0; ups.len()]; ups.len()];
    let mut together = unchoked.clone();
    for Pair { side, classes, from, to } in swarm.pairs(&trace) {
        let [Some(giver), Some(taker)] = classes else { continue };
        unchoked[giver][taker] += seconds(side.unchokes.within(from, to));
        together[giver][taker] += seconds(to.since(from));
    }
    let own = |of: &[Vec<f64>], class: usize| of[class][class] / of[class].iter().sum::<f64>();
    let mut table = Table::new(
        "classes",
        "Time unchoked inside the own class, of all time unchoked",
        &[("uplink", "KiB/s"), ("own class", ""), ("by chance", ""), ("over chance", "")],
    );
    let mut over_chance = Vec::new();
    for (class, up) in ups.iter().enumerate() {
        let (share, chance) = (own(&unchoked, class), own(&together, class));
        over_chance.push(share / chance);
        table.row([(up >> 10).into(), share.into(), chance.into(), (share / chance).into()]);
    }
    outcome.tables.push(table);
    let mean = over_chance.iter().sum::<f64>() / count(over_chance.len());
    outcome.find("BT17", "time unchoked inside the own class over chance, mean of the classes", Expected::AtLeast(1.5), mean);
    outcome.remarks.push("BT17: of pairs of leechers after all pieces had left the seed. Chance is the share of the own class in the time that they were together.".into());
    Ok(outcome)
}
