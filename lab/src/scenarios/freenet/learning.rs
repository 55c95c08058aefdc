//! A ring lattice learns to be a small world: path lengths, failures, links, what lies where, hops-to-live (FR1, FR3, FR4, FR7, FR8).

use hexad_core::Set;
use hexad_freenet::Settings;

use super::world::{GREETING, Net, SHIPPING_HTL, clustering, mean, shipping, stretches};
use crate::fit::median;
use crate::gauge::Gauge;
use crate::outcome::{Axis, Cell, Expected, Outcome, Plot, Style, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;
use crate::{Death, NodeIndex, Purpose, dice};

/// Percent of forwarders that take the place of the source, as `Settings::paper` has it.
const REPLACE: u64 = 0;

/// `freenet/learning`.
pub static LEARNING: Scenario = Scenario {
    name: "freenet/learning",
    about: "A ring of nodes that know two neighbours on either side learns by random inserts and requests",
    nodes: 1000,
    parameters: &[
        Parameter { name: "steps", default: Preset::Count(5000), help: "inserts and requests" },
        Parameter { name: "every", default: Preset::Count(500), help: "steps between two measurements; the first comes after 100" },
        Parameter { name: "probes", default: Preset::Count(300), help: "probes of each measurement" },
        Parameter { name: "htl", default: Preset::Count(20), help: "hops-to-live of inserts and requests" },
        Parameter { name: "replace", default: Preset::Count(REPLACE), help: "percent of forwarders that take the place of the source" },
        Parameter { name: "probe-htl", default: Preset::Count(500), help: "hops-to-live of probes" },
        Parameter {
            name: "beside",
            default: Preset::Switch(true),
            help: "measure the shipping node as well, which is held against no claim",
        },
    ],
    claims: &[
        Claim { id: "FR1", says: "After learning, a few hops are enough", source: "Clarke et al. 2000" },
        Claim { id: "FR3", says: "A third of all nodes may fail at random", source: "Clarke et al. 2000" },
        Claim {
            id: "FR4",
            says: "The network becomes a small world: some nodes are known to many, neighbours know each other",
            source: "Clarke et al. 2000; Hong 2001",
        },
        Claim { id: "FR7", says: "Keys that are close to each other gather on the same nodes", source: "the user's document" },
        Claim { id: "FR8", says: "More hops-to-live find more, and cost more", source: "the user's document" },
    ],
    small: &[("nodes", "200"), ("steps", "1500"), ("every", "700"), ("probes", "100")],
    full: &[("nodes", "1000"), ("steps", "5000")],
    seeds: (1, 10),
    run,
};

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn run(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let (nodes, seed) = (params.nodes(), params.seed());
    if nodes < 20 {
        return Err("nodes: expected 20 or more".into());
    }
    let (steps, every, probes) = (params.count("steps"), params.count("every").max(1), params.count("probes"));
    let htl = u16::try_from(params.count("htl")).unwrap_or(u16::MAX);
    let far = u16::try_from(params.count("probe-htl")).unwrap_or(u16::MAX);
    let full = nodes >= 1000 && steps >= 5000;
    gauge.phase("set-up");
    let replace = Settings { replace_source: (params.count("replace"), 100), ..Settings::paper() };
    let mut net = Net::ring(nodes, seed, params.threads, replace);
    let mut outcome = Outcome::default();
    let mut table = Table::new(
        "learning",
        "Hops to a key that was inserted",
        &[
            ("steps", ""),
            ("keys", ""),
            ("median", "hops"),
            ("mean", "hops"),
            ("not met", "share"),
            ("entries", "of a table"),
            ("known", "others"),
            ("clustering", "over random"),
            ("at most", "over random"),
            ("spread", "of a store"),
        ],
    );
    let mut curve = Vec::new();
    let mut spreads = Vec::new();
    let mut last = 0.0;
    let mut learnt = f64::NAN;
    gauge.end();
    gauge.phase("learning");
    for stretch in stretches(steps, every) {
        let done = stretch.end;
        net.live(done - stretch.start, htl);
        let ways = net.ways(probes, far);
        let (middle, entries, spread) = (ways.median, entries(&net), spread(&net));
        let knots = Knots::of(&net.neighbours());
        table.row([
            done.into(),
            net.keys.len().into(),
            middle.into(),
            ways.mean.into(),
            ways.lost.into(),
            entries.into(),
            knots.known.into(),
            (knots.clustering / knots.random).into(),
            (1.0 / knots.random).into(),
            spread.into(),
        ]);
        curve.push((done as f64, middle));
        spreads.push(spread);
        if learnt.is_nan() && middle <= 10.0 {
            learnt = knots.clustering / knots.random;
        }
        if done == 100 && full {
            outcome.find_median("FR1", "median hops after 100 steps, median of seeds", Expected::AtLeast(150.0), middle);
        }
        last = middle;
        gauge.step(done as f64 / steps as f64, net.lab.tally().events);
    }
    gauge.end();
    let first = curve.first().map_or(0.0, |point| point.1);
    let most = if full { 10.0 } else { 15.0 };
    outcome.find_median("FR1", format!("median hops after {steps} steps, median of seeds"), Expected::AtMost(most), last);
    if full {
        // In a small network an insert with twenty hops-to-live is nearly everywhere from the start.
        outcome.find("FR1", "median hops at the end over those after 100 steps", Expected::AtMost(0.1), last / first.max(1.0));
        outcome.find(
            "FR4",
            "clustering over that of a random graph, when the median is 10 hops for the first time",
            Expected::AtLeast(10.0),
            learnt,
        );
    }
    outcome.find(
        "FR7",
        "mean distance of the keys of a store over that of random keys, at the end",
        Expected::AtMost(0.8),
        spreads.last().copied().unwrap_or(1.0),
    );
    gauge.phase("looking");
    let graph = net.neighbours();
    links(&graph, &mut outcome);
    hops_to_live(&mut net, probes, &mut outcome);
    failures(&mut net, probes, far, last, &mut outcome);
    gauge.end();
    let mut plot =
        Plot::new("learning", "How far is it to a key?", Axis::linear("inserts and requests", ""), Axis::logarithmic("median", "hops"));
    plot.add("the papers' node", Style::Line, curve);
    outcome.tables.insert(0, table);
    outcome.absorb(&net.lab);
    if params.switch("beside") {
        plot.add("the shipping node", Style::Line, beside(params, gauge, &mut outcome));
    }
    outcome.plots.push(plot);
    Ok(outcome)
}

/// The same with the node that ships. It cannot stand in a ring, since it knows whom it has greeted: all come one after the other, each by three others.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn beside(params: &Params, gauge: &mut Gauge<'_>, outcome: &mut Outcome) -> Vec<(f64, f64)> {
    let (nodes, steps, every, probes) = (params.nodes(), params.count("steps"), params.count("every").max(1), params.count("probes"));
    gauge.phase("shipping node");
    let mut net = Net::empty(params.seed(), params.threads, shipping());
    (0..nodes).for_each(|_| net.arrive());
    let columns = [("steps", ""), ("keys", ""), ("median", "hops"), ("mean", "hops"), ("not met", "share"), ("known", "others")];
    let mut table = Table::new("shipping", "The same with the shipping node: at most 18 hops-to-live", &columns);
    let mut curve = Vec::new();
    for stretch in stretches(steps, every) {
        let done = stretch.end;
        net.live(done - stretch.start, SHIPPING_HTL);
        net.lab.run_for(GREETING);
        let ways = net.ways(probes, SHIPPING_HTL);
        let known = mean(&net.neighbours().iter().map(|others| others.len() as f64).collect::<Vec<_>>());
        table.row([done.into(), net.keys.len().into(), ways.median.into(), ways.mean.into(), ways.lost.into(), known.into()]);
        curve.push((done as f64, ways.median));
        gauge.step(done as f64 / steps as f64, net.lab.tally().events);
    }
    gauge.end();
    outcome.tables.push(table);
    outcome.absorb(&net.lab);
    curve
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn entries(net: &Net) -> f64 {
    let of = |node| net.lab.node(NodeIndex(node)).map(|node| node.table().len() as f64);
    mean(&(0..net.nodes).filter_map(of).collect::<Vec<_>>())
}

/// Mean distance of two keys of one store, over a quarter of the circle, which is that of random keys.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn spread(net: &Net) -> f64 {
    let mut each = Vec::new();
    for node in 0..net.nodes {
        let Some(node) = net.lab.node(NodeIndex(node)) else { continue };
        let places: Vec<_> = node.store().locations().collect();
        let mut sum = 0.0;
        let mut pairs = 0_u32;
        for (at, a) in places.iter().enumerate() {
            for b in &places[at + 1..] {
                sum += a.distance(*b) as f64;
                pairs += 1;
            }
        }
        if pairs > 0 {
            each.push(sum / f64::from(pairs) / (1_u64 << 62) as f64);
        }
    }
    mean(&each)
}

/// How a graph of who knows whom is knotted (Watts and Strogatz 1998; links count both ways).
struct Knots {
    /// Others that a node knows.
    known: f64,
    clustering: f64,
    /// Of a random graph with as many links: the share of all pairs that are linked. No graph has more than one over this times as much.
    random: f64,
}

impl Knots {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn of(graph: &[Set<u32>]) -> Self {
        let nodes = graph.len() as f64;
        let mut pairs: Set<(u32, u32)> = Set::new();
        for (node, others) in graph.iter().enumerate() {
            let node = u32::try_from(node).unwrap_or(0);
            pairs.extend(others.iter().map(|&other| (node.min(other), node.max(other))));
        }
        let random = 2.0 * pairs.len() as f64 / (nodes * (nodes - 1.0));
        let known = mean(&graph.iter().map(|others| others.len() as f64).collect::<Vec<_>>());
        Self { known, clustering: clustering(graph), random }
    }
}

/// FR4.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn links(graph: &[Set<u32>], outcome: &mut Outcome) {
    let nodes = graph.len() as f64;
    let mut known = vec![0_u32; graph.len()];
    graph.iter().flatten().for_each(|&other| known[other as usize] += 1);
    let knots = Knots::of(graph);
    let mut sorted = known.clone();
    sorted.sort_unstable();
    let quantile = |share: f64| f64::from(sorted[((sorted.len() - 1) as f64 * share) as usize]);
    let mut table = Table::new("links", "Whom nodes know, and who knows them", &[("figure", ""), ("value", "")]);
    table.row(["others that a node knows".into(), knots.known.into()]);
    table.row(["nodes that know the median node".into(), quantile(0.5).into()]);
    table.row(["nodes that know the best known in a hundred".into(), quantile(0.99).into()]);
    table.row(["clustering".into(), knots.clustering.into()]);
    table.row(["clustering of a random graph with as many links".into(), knots.random.into()]);
    outcome.tables.push(table);
    outcome.find(
        "FR4",
        "clustering over that of a random graph",
        Expected::AtLeast(if nodes >= 1000.0 { 10.0 } else { 1.0 }),
        knots.clustering / knots.random,
    );
    outcome.find(
        "FR4",
        "known to: best in a hundred over the median",
        Expected::AtLeast(if nodes >= 1000.0 { 2.0 } else { 1.5 }),
        quantile(0.99) / quantile(0.5).max(1.0),
    );
    let mut plot = Plot::new(
        "known",
        "To how many is a node known?",
        Axis::logarithmic("known to so many or more", ""),
        Axis::logarithmic("nodes", ""),
    );
    let points = (1..=sorted.last().copied().unwrap_or(1))
        .map(|count| (f64::from(count), sorted.iter().filter(|&&known| known >= count).count() as f64));
    plot.add("nodes", Style::Line, points);
    outcome.plots.push(plot);
}

/// FR8.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn hops_to_live(net: &mut Net, probes: u64, outcome: &mut Outcome) {
    let mut table = Table::new(
        "hops-to-live",
        "What hops-to-live find and cost",
        &[("hops-to-live", ""), ("met", "share"), ("messages", "of a probe")],
    );
    let mut found = Vec::new();
    for htl in [1_u16, 2, 5, 10, 20, 50] {
        let before = net.lab.tally().of("probe").messages;
        let hops = net.probe(probes, htl.saturating_add(1), &|_| true);
        let met = hops.iter().filter(|hops| **hops <= f64::from(htl)).count() as f64 / probes as f64;
        let messages = (net.lab.tally().of("probe").messages - before) as f64 / probes as f64;
        table.row([u32::from(htl).into(), met.into(), messages.into()]);
        found.push((f64::from(htl), met, messages));
    }
    let at = |htl: f64| found.iter().find(|(of, ..)| (*of - htl).abs() < 0.5).map_or((0.0, 0.0), |(_, met, messages)| (*met, *messages));
    // What the first hops add is more than what the last ones do.
    let (early, late) = ((at(10.0).0 - at(2.0).0) / 8.0, (at(50.0).0 - at(20.0).0) / 30.0);
    outcome.find("FR8", "met with 50 hops-to-live, share", Expected::AtLeast(0.5), at(50.0).0);
    outcome.find(
        "FR8",
        "what a hop-to-live adds from 20 to 50, over what it adds from 2 to 10",
        Expected::AtMost(1.0),
        late / early.max(1e-9),
    );
    outcome.find("FR8", "messages with 50 hops-to-live, of 50", Expected::AtMost(2.0), at(50.0).1 / 50.0);
    outcome.tables.push(table);
}

/// FR3.
fn failures(net: &mut Net, probes: u64, far: u16, before: f64, outcome: &mut Outcome) {
    let mut dice = dice(net.seed, Purpose::Churn, 0, 1);
    let mut order: Vec<u32> = (0..net.nodes).collect();
    dice.shuffle(&mut order);
    let mut table = Table::new("failures", "Hops when nodes have failed", &[("failed", "share"), ("which", ""), ("median", "hops")]);
    table.row([0.0.into(), "none".into(), before.into()]);
    let mut dead = Set::new();
    for percent in [10_usize, 30, 50] {
        for &node in &order[..order.len() * percent / 100] {
            if dead.insert(node) {
                net.lab.kill(NodeIndex(node), Death::Crash);
            }
        }
        let middle = median(&net.probe(probes, far, &|node| !dead.contains(&node)));
        table.row([Cell::from(f64::from(u32::try_from(percent).unwrap_or(0)) / 100.0), "at random".into(), middle.into()]);
        if percent == 30 {
            outcome.find("FR3", "median hops with 30 % failed at random", Expected::AtMost(20.0), middle);
        }
    }
    outcome.tables.push(table);
}

/// `freenet/targets`: the best known half fails.
pub static TARGETS: Scenario = Scenario {
    name: "freenet/targets",
    about: "The half of the nodes that most others know fails, in a network that has learned",
    nodes: 1000,
    parameters: &[
        Parameter { name: "steps", default: Preset::Count(5000), help: "inserts and requests" },
        Parameter { name: "probes", default: Preset::Count(300), help: "probes of each measurement" },
    ],
    claims: &[Claim { id: "FR3", says: "Targeted failures hurt more than random ones", source: "Clarke et al. 2000; Hong 2001" }],
    small: &[("nodes", "200"), ("steps", "1500"), ("probes", "100")],
    full: &[("nodes", "1000"), ("steps", "5000")],
    seeds: (1, 10),
    run: targets,
};

fn targets(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let (nodes, seed, probes) = (params.nodes(), params.seed(), params.count("probes"));
    if nodes < 20 {
        return Err("nodes: expected 20 or more".into());
    }
    let mut outcome = Outcome::default();
    let mut table =
        Table::new("targets", "Hops when half of the nodes have failed", &[("which", ""), ("median", "hops"), ("mean", "hops")]);
    let mut middles = Vec::new();
    for targeted in [false, true] {
        gauge.phase(if targeted { "targeted" } else { "random" });
        let mut net = Net::ring(nodes, seed, params.threads, Settings::paper());
        net.live(params.count("steps"), 20);
        let graph = net.neighbours();
        let mut known = vec![0_u32; graph.len()];
        graph.iter().flatten().for_each(|&other| known[other as usize] += 1);
        let mut order: Vec<u32> = (0..nodes).collect();
        dice(seed, Purpose::Churn, 0, 1).shuffle(&mut order);
        if targeted {
            order.sort_by_key(|&node| std::cmp::Reverse(known[node as usize]));
        }
        let dead: Set<u32> = order[..order.len() / 2].iter().copied().collect();
        dead.iter().for_each(|&node| net.lab.kill(NodeIndex(node), Death::Crash));
        let hops = net.probe(probes, 500, &|node| !dead.contains(&node));
        let (middle, average) = (median(&hops), mean(&hops));
        table.row([if targeted { "best known" } else { "at random" }.into(), middle.into(), average.into()]);
        middles.push(middle);
        outcome.absorb(&net.lab);
        gauge.end();
    }
    outcome.find(
        "FR3",
        "median hops, best known half failed, over random half",
        Expected::AtLeast(if nodes >= 1000 { 1.5 } else { 1.0 }),
        middles[1] / middles[0].max(1.0),
    );
    outcome.tables.push(table);
    Ok(outcome)
}
