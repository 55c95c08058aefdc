//! A network of friends, whose links are given: places begin at random and are swapped until friends stand near each other (FR10, spec A5).

use hexad_core::{OpId, Operation, Set, Span};
use hexad_freenet::{FriendWords, Mode, Request, Settings};

use super::links::{Law, known};
use super::world::Net;
use crate::gauge::Gauge;
use crate::outcome::{Axis, Expected, Outcome, Plot, Style, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;
use crate::{NodeIndex, Purpose, dice};

/// `freenet/swapping`.
pub static SWAPPING: Scenario = Scenario {
    name: "freenet/swapping",
    about: "Friends of friends tend to be friends; places are dealt at random and swapped",
    nodes: 1000,
    parameters: &[
        Parameter { name: "long", default: Preset::Count(2), help: "far friends that each chooses, beside two near ones on either side" },
        Parameter { name: "minutes", default: Preset::Count(120), help: "for which places are swapped" },
        Parameter { name: "keys", default: Preset::Count(200), help: "keys inserted and asked for, before and afterwards" },
    ],
    claims: &[Claim { id: "FR10", says: "Swapping finds places by which greedy routing works", source: "Sandberg 2006" }],
    small: &[("nodes", "120"), ("minutes", "60"), ("keys", "60")],
    full: &[("nodes", "1000"), ("minutes", "240")],
    seeds: (1, 5),
    run,
};

const JOIN_SPAN: Span = Span::from_secs(20);
/// Hops-to-live with which it shows whether places help: not so many that everything is found anyway.
const HTL: u16 = 6;

fn run(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let (nodes, seed, long) = (params.nodes(), params.seed(), params.small_count("long"));
    if nodes < 50 {
        return Err("nodes: expected 50 or more".into());
    }
    let settings = Settings {
        mode: Mode::Darknet(Set::new()),
        on_disk: false,
        listen: None,
        store_blocks: 64,
        cache_blocks: 0,
        trial_every: Span::from_secs(1 << 30),
        ..Settings::default()
    };
    gauge.phase("set-up");
    let mut friends: Vec<Set<u32>> = vec![Set::new(); nodes as usize];
    for node in 0..nodes {
        for other in known(nodes, seed, node, long, Law::Harmonic) {
            friends[node as usize].insert(other);
            friends[other as usize].insert(node);
        }
    }
    let mut net = Net::scattered(nodes, seed, params.threads, settings);
    for node in 0..nodes {
        net.lab.touch(NodeIndex(node), |node_of, _, _| {
            for &other in &friends[node as usize] {
                let _ = node_of.befriend(other, FriendWords::default());
            }
        });
        let _: OpId = net.lab.start(NodeIndex(node), Operation::Join { bootstrap: Vec::new() });
    }
    net.lab.run_for(JOIN_SPAN);
    gauge.end();
    let mut outcome = Outcome::default();
    let columns = [("minutes", ""), ("log2 of the distance", "of friends, mean"), ("found", "share"), ("moves", "of a node, mean")];
    let mut table = Table::new("swapping", "What swapping does", &columns);
    let mut curve = Vec::new();
    let before = (closeness(&net, &friends), found(&mut net, params.count("keys"), 0));
    table.row([0.0.into(), before.0.into(), before.1.into(), 0.0.into()]);
    curve.push((0.0, before.0));
    gauge.phase("swapping");
    let minutes = params.count("minutes").max(4);
    for quarter in 1..=4_u64 {
        net.lab.run_for(Span::from_secs(minutes * 60 / 4));
        let moves: u64 = (0..nodes).filter_map(|node| net.lab.node(NodeIndex(node)).map(|node| node.moves().0)).sum();
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let (moves, minutes) = (moves as f64 / f64::from(nodes), (minutes * quarter) as f64 / 4.0);
        let near = closeness(&net, &friends);
        curve.push((minutes, near));
        let share = if quarter == 4 { found(&mut net, params.count("keys"), 1) } else { f64::NAN };
        let share = if share.is_nan() { "".into() } else { share.into() };
        table.row([minutes.into(), near.into(), share, moves.into()]);
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        gauge.step(quarter as f64 / 4.0, net.lab.tally().events);
    }
    gauge.end();
    let after = curve.last().map_or(0.0, |point| point.1);
    let found_after = found(&mut net, params.count("keys"), 2);
    outcome.find("FR10", "log2 of the distance of friends, afterwards less before", Expected::AtMost(-1.0), after - before.0);
    outcome.find("FR10", "found with 6 hops-to-live, afterwards over before", Expected::AtLeast(1.05), found_after / before.1.max(0.01));
    let mut plot =
        Plot::new("swapping", "How near do friends come?", Axis::linear("minutes", ""), Axis::linear("log2 of the distance", ""));
    plot.add("friends", Style::Line, curve);
    outcome.tables.push(table);
    outcome.plots.push(plot);
    outcome.absorb(&net.lab);
    Ok(outcome)
}

/// Mean logarithm of the distance of two friends, as a part of the circle.
fn closeness(net: &Net, friends: &[Set<u32>]) -> f64 {
    let place = |node: u32| net.lab.node(NodeIndex(node)).and_then(hexad_freenet::Node::location).unwrap_or_default();
    let mut logs = Vec::new();
    for (node, others) in friends.iter().enumerate() {
        let here = place(u32::try_from(node).unwrap_or(0));
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        logs.extend(others.iter().map(|&other| (here.distance(place(other)).max(1) as f64).log2() - 64.0));
    }
    super::world::mean(&logs)
}

/// Inserts fresh keys at random nodes and asks for them at others; which share of them is found.
fn found(net: &mut Net, keys: u64, round: u64) -> f64 {
    let mut dice = dice(net.seed, Purpose::Workload, 7, round);
    let mut who = |net: &Net| u32::try_from(dice.below(net.nodes.into())).unwrap_or(0);
    let mut met = 0_u32;
    for _ in 0..keys {
        let (from, to) = (who(net), who(net));
        let key = net.insert(from, HTL);
        let replies = net.perform(&[(to, Operation::Own(Request::GetBlock(key, HTL)))]);
        met += u32::from(matches!(replies[0], Some(hexad_freenet::Reply::Block(_))));
    }
    f64::from(met) / f64::from(u32::try_from(keys.max(1)).unwrap_or(1))
}
