//! Who becomes a supernode while everybody comes and goes (KZ5, and the election itself).

use std::collections::BTreeMap;

use hexad_core::{Address as _, Endpoint, Operation, Span, Time};
use hexad_kazaa::{Kazaa, Settings};

use super::town::{float, is_at_home, settings};
use crate::gauge::Gauge;
use crate::outcome::{Axis, Expected, Outcome, Plot, Style, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;
use crate::{Death, Lab, LabConfig, NodeIndex, Purpose, State, dice};

/// The scenario `kazaa/election`.
pub static ELECTION: Scenario = Scenario {
    name: "kazaa/election",
    about: "Nodes that come and go, and elect their supernodes themselves: how many there are, and how long leaves are without one",
    nodes: 1000,
    parameters: &[
        Parameter { name: "session", default: Preset::Seconds(3600.0), help: "mean time that a node stays, exponentially spread" },
        Parameter { name: "warm-up", default: Preset::Seconds(3600.0), help: "before anything is measured" },
        Parameter { name: "time", default: Preset::Seconds(3600.0), help: "how long is measured" },
        Parameter { name: "leaves-target", default: Preset::Count(60), help: "leaves that a supernode should have" },
        Parameter { name: "parents", default: Preset::Count(2), help: "supernodes of a leaf" },
        Parameter { name: "links", default: Preset::Count(40), help: "links that a supernode wants to others" },
        Parameter {
            name: "weak-percent",
            default: Preset::Count(50),
            help: "nodes that may not be supernodes: slow, metered, or behind a translator",
        },
        Parameter { name: "uptime", default: Preset::Seconds(600.0), help: "how long a node is there before it may be a supernode" },
        Parameter { name: "ping", default: Preset::Seconds(10.0), help: "how often a leaf looks whether its supernodes are there" },
        Parameter { name: "codec", default: Preset::Switch(false), help: "every message becomes bytes on its way" },
    ],
    claims: &[
        Claim {
            id: "KZ5",
            says: "the overlay is as it was measured: 40 to 60 links of a supernode, 60 to 150 leaves, links that last about half an hour",
            source: "Liang, Kumar, Ross 2004",
        },
        Claim {
            id: "KZE1",
            says: "under churn the share of supernodes stays within a factor 1.5 of its target",
            source: "issue 6, mission K3",
        },
        Claim { id: "KZE2", says: "no leaf is without a supernode for more than 30 s (99 %)", source: "issue 6" },
    ],
    small: &[("nodes", "300"), ("leaves-target", "20"), ("links", "8"), ("warm-up", "40min"), ("time", "30min"), ("uptime", "5min")],
    full: &[("nodes", "10k"), ("warm-up", "90min"), ("time", "90min")],
    // A small world has less than thirty supernodes: from one to the next the age of links is 8 to 14 minutes.
    seeds: (5, 3),
    run: election,
};

/// How often the world is looked at.
const LOOK: Span = Span::from_secs(1);
/// Who has died is there again after so long, as somebody else.
const AWAY: Span = Span::from_secs(60);
/// Nodes that everybody is told to begin with.
const KNOWN: usize = 3;

fn lifetime(seed: u64, node: u32, life: u64, mean: Span) -> Span {
    let unit = dice(seed, Purpose::Churn, node, life).unit();
    mean.mul_f64(-(1.0 - unit).max(1e-9).ln())
}

/// How long each leaf that has lost all its supernodes has been without, and whether it has ever had one in this life.
#[derive(Default)]
struct Watch {
    homeless: BTreeMap<u32, Time>,
    settled: Vec<bool>,
    waits: Vec<f64>,
}

impl Watch {
    fn look(&mut self, lab: &Lab<Kazaa<u32>>, counted: bool) -> (usize, usize, usize) {
        let (mut supernodes, mut alive, mut leaves) = (0, 0, 0);
        for number in 0..lab.node_count() {
            let Some(node) = lab.node(NodeIndex(number)) else {
                self.homeless.remove(&number);
                self.settled[number as usize] = false;
                continue;
            };
            alive += 1;
            if node.is_supernode() {
                supernodes += 1;
                leaves += node.leaves();
            }
            if is_at_home(lab, node) {
                self.settled[number as usize] = true;
                if let Some(since) = self.homeless.remove(&number)
                    && counted
                {
                    self.waits.push(lab.now().since(since).as_secs_f64());
                }
            } else if self.settled[number as usize] {
                self.homeless.entry(number).or_insert(lab.now());
            }
        }
        (supernodes, alive, leaves)
    }
}

fn election(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let (nodes, seed, mean) = (params.nodes(), params.seed(), params.span("session"));
    let (target_leaves, parents) = (params.count("leaves-target"), params.count("parents"));
    let links = usize::try_from(params.count("links")).unwrap_or(1);
    let base = Settings {
        leaves_target: usize::try_from(target_leaves).unwrap_or(1),
        leaves_max: usize::try_from(target_leaves * 5 / 2).unwrap_or(1),
        parents: usize::try_from(parents).unwrap_or(1),
        links_target: links,
        links_max: links * 3 / 2,
        uptime_min: params.span("uptime"),
        ping_every: params.span("ping"),
        ..settings()
    };
    let config = LabConfig { seed, codec: params.switch("codec"), threads: params.threads, keep_reports: false, ..LabConfig::default() };
    let mut lab = Lab::<Kazaa<u32>>::new(config);
    // A third of the weak ones are slow, a third metered, a third behind a translator.
    let weak = params.count("weak-percent");
    let slow = Settings { uplink_kbps: 200, ..base.clone() };
    let metered = Settings { metered: true, ..base.clone() };
    for node in 0..nodes {
        let mut chance = dice(seed, Purpose::Topology, node, 7);
        let is_weak = node >= 3 && chance.chance(weak, 100);
        let kind = chance.below(3);
        let config = match (is_weak, kind) {
            (true, 0) => slow.clone(),
            (true, 1) => metered.clone(),
            _ => Settings { uplink_kbps: 2_000 + u32::try_from(chance.below(20_000)).unwrap_or(0), ..base.clone() },
        };
        let index = lab.add_node(config.into());
        lab.set_nat(index, is_weak && kind == 2);
    }
    // Everybody comes in the first half of the warm-up; each stays its time, goes, and somebody else comes in its place.
    let warm_up = params.span("warm-up");
    let end = Time::ZERO + warm_up + params.span("time");
    let micros = |span: Span| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    let mut agenda: BTreeMap<(Time, u32), bool> = BTreeMap::new();
    for node in 0..nodes {
        let at = Span::from_micros(dice(seed, Purpose::Churn, node, 0).below(micros(warm_up / 2).max(1)));
        agenda.insert((if node == 0 { Time::ZERO } else { Time::ZERO + Span::from_secs(1) + at }, node), true);
    }
    let mut lives = vec![0_u64; nodes as usize];
    let mut watch = Watch { settled: vec![false; nodes as usize], ..Watch::default() };
    let (mut shares, mut curve) = (Vec::new(), Vec::new());
    let (mut degrees, mut each) = (Vec::new(), Vec::new());
    let target = float(parents) / float(target_leaves + parents);
    gauge.phase("churn");
    let mut look_at = Time::ZERO + LOOK;
    let mut alive_supernodes: Vec<u32> = vec![0];
    let mut seconds = 0_u64;
    while lab.now() < end {
        let next = agenda.first_key_value().map_or(end, |((at, _), _)| *at).min(look_at).min(end);
        lab.run_until(next);
        while let Some(entry) = agenda.first_entry().filter(|entry| entry.key().0 <= next) {
            let ((_, number), comes) = entry.remove_entry();
            let node = NodeIndex(number);
            let life = &mut lives[number as usize];
            if comes {
                *life += 1;
                let mut chance = dice(seed, Purpose::Churn, number, *life * 4 + 1);
                let mut known: Vec<Endpoint> = Vec::new();
                if number != 0 || *life > 1 {
                    for _ in 0..KNOWN {
                        let some = chance.index(alive_supernodes.len()).map(|at| alive_supernodes[at]);
                        known.extend(some.filter(|some| *some != number).map(Endpoint::of_lab_node));
                    }
                }
                if *life > 1 {
                    lab.restart(node, State::Lost);
                }
                lab.start(node, Operation::Join { bootstrap: known });
                agenda.insert((next + lifetime(seed, number, *life * 4 + 2, mean), number), false);
            } else {
                // Half of all close their connections, and half are gone without a word.
                let death = if dice(seed, Purpose::Churn, number, *life * 4 + 3).chance(1, 2) { Death::Crash } else { Death::Vanish };
                lab.kill(node, death);
                agenda.insert((next + AWAY, number), true);
            }
        }
        if next < look_at {
            continue;
        }
        look_at = look_at + LOOK;
        seconds += 1;
        let measured = lab.now() >= Time::ZERO + warm_up;
        let (supernodes, alive, leaves) = watch.look(&lab, measured);
        if seconds.is_multiple_of(30) {
            alive_supernodes = (0..nodes).filter(|node| lab.node(NodeIndex(*node)).is_some_and(hexad_kazaa::Node::is_supernode)).collect();
            curve.push((lab.now().as_micros() as f64 / 60e6, float(supernodes) / float(alive.max(1)) / target));
            lab.take_reports();
            gauge.step(lab.now().as_micros() as f64 / end.as_micros() as f64, lab.tally().events);
        }
        if measured {
            shares.push(float(supernodes) / float(alive.max(1)));
            if seconds.is_multiple_of(60) {
                each.push(float(leaves) / float(supernodes.max(1)));
                let links: usize = alive_supernodes
                    .iter()
                    .filter_map(|node| lab.node(NodeIndex(*node)))
                    .map(|node| node.link_ages(lab.now()).count())
                    .sum();
                degrees.push(float(links) / float(alive_supernodes.len().max(1)));
            }
        }
    }
    gauge.end();
    // Those who are still without count with the time so far.
    let now = lab.now();
    watch.waits.extend(watch.homeless.values().map(|since| now.since(*since).as_secs_f64()));
    watch.waits.sort_by(f64::total_cmp);
    let ages: Vec<f64> = (0..nodes)
        .filter_map(|node| lab.node(NodeIndex(node)))
        .flat_map(|node| node.link_ages(now).map(|age| age.as_secs_f64() / 60.0).collect::<Vec<_>>())
        .collect();
    let mean_of = |values: &[f64]| values.iter().sum::<f64>() / float(values.len().max(1));
    let least = shares.iter().copied().fold(f64::INFINITY, f64::min) / target;
    let most = shares.iter().copied().fold(0.0, f64::max) / target;
    let p99 = watch.waits.get(watch.waits.len() * 99 / 100).or(watch.waits.last()).copied().unwrap_or(0.0);
    let without = float(watch.homeless.values().filter(|since| now.since(**since) > Span::from_secs(30)).count());
    outcome.find("KZE1", "share of supernodes over its target, at least", Expected::AtLeast(1.0 / 1.5), least);
    outcome.find("KZE1", "share of supernodes over its target, at most", Expected::AtMost(1.5), most);
    outcome.find("KZE2", "time without any supernode, 99 % of all losses, s", Expected::AtMost(30.0), p99);
    outcome.find("KZE2", "leaves without a supernode for more than 30 s at the end", Expected::exactly(0.0), without);
    let wanted = float(links);
    outcome.find(
        "KZ5",
        "links of a supernode, over those it wants",
        Expected::Between(0.8, 1.5),
        mean_of(&degrees) / wanted.min(float(alive_supernodes.len() - 1)),
    );
    outcome.find(
        "KZ5",
        "leaves of a supernode, over those it should have",
        Expected::Between(1.0 / 1.5, 1.5),
        mean_of(&each) / float(target_leaves),
    );
    // The mean age of what is open equals the mean life where lives are exponential.
    outcome.find("KZ5", "age of an open link of supernodes, mean, min", Expected::Between(10.0, 35.0), mean_of(&ages));
    let mut table = Table::new("election", "Supernodes that elect themselves", &[("figure", ""), ("value", ""), ("unit", "")]);
    table.row(["supernodes, as part of all, target".into(), (target * 100.0).into(), "%".into()]);
    table.row(["supernodes, as part of all, mean".into(), (mean_of(&shares) * 100.0).into(), "%".into()]);
    table.row(["least over target".into(), least.into(), "".into()]);
    table.row(["most over target".into(), most.into(), "".into()]);
    table.row(["leaves of a supernode, mean".into(), mean_of(&each).into(), "".into()]);
    table.row(["links of a supernode, mean".into(), mean_of(&degrees).into(), "".into()]);
    table.row(["age of a link, mean".into(), mean_of(&ages).into(), "min".into()]);
    table.row(["times that a leaf lost all its supernodes".into(), watch.waits.len().into(), "".into()]);
    table.row(["without any, median".into(), watch.waits.get(watch.waits.len() / 2).copied().unwrap_or(0.0).into(), "s".into()]);
    table.row(["without any, 99 %".into(), p99.into(), "s".into()]);
    table.row(["without any, longest".into(), watch.waits.last().copied().unwrap_or(0.0).into(), "s".into()]);
    outcome.tables.push(table);
    let mut plot = Plot::new(
        "election",
        "How many supernodes elect themselves?",
        Axis::linear("time", "min"),
        Axis::linear("share of supernodes over its target", ""),
    );
    plot.add("share", Style::Line, curve);
    outcome.plots.push(plot);
    outcome.absorb(&lab);
    if lab.tally().codec_differences > 0 {
        return Err(format!("{} messages were read as something else", lab.tally().codec_differences));
    }
    Ok(outcome)
}
