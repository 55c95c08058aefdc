//! Greedy routing on a circle where some links are long: how long they are decides how far it is (FR9), and how the way grows with the circle (FR10).

use hexad_core::Operation;
use hexad_freenet::{Request, Settings};

use super::world::{Net, item, mean};
use crate::gauge::Gauge;
use crate::outcome::{Axis, Expected, Outcome, Plot, Style, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;
use crate::{Purpose, dice};

/// `freenet/links`.
pub static LINKS: Scenario = Scenario {
    name: "freenet/links",
    about: "Nodes on a circle know their neighbours and some that are far, as far as chance has it or few of them and near ones more often",
    nodes: 8000,
    parameters: &[
        Parameter { name: "long", default: Preset::Count(6), help: "long links of a node, beside two neighbours on either side" },
        Parameter { name: "probes", default: Preset::Count(300), help: "probes of each measurement" },
    ],
    claims: &[
        Claim { id: "FR9", says: "Long links that are long by chance alone lead nowhere fast", source: "Roos 2014" },
        Claim {
            id: "FR10",
            says: "With links of a length as likely as it is short, the way grows with the square of the logarithm",
            source: "Kleinberg 2000",
        },
    ],
    small: &[("nodes", "800"), ("probes", "150")],
    full: &[("nodes", "8000")],
    seeds: (1, 10),
    run,
};

/// How long links are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Law {
    /// Anybody is as likely as anybody else.
    Uniform,
    /// Somebody at a distance d has a chance of 1/d.
    Harmonic,
}

/// The nodes that one knows on a circle of so many: two on either side, and `long` that are farther.
pub(super) fn known(nodes: u32, seed: u64, node: u32, long: u32, law: Law) -> Vec<u32> {
    let mut dice = dice(seed, Purpose::Topology, node, 1);
    let mut known: Vec<u32> = [1, 2, nodes - 1, nodes - 2].map(|step| (node + step) % nodes).to_vec();
    while known.len() < (long + 4) as usize {
        let step = match law {
            Law::Uniform => u32::try_from(dice.below(nodes.into())).unwrap_or(0),
            Law::Harmonic => {
                let half = f64::from(nodes / 2);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a step of at most half of the circle")]
                let step = half.powf(dice.unit()) as u32;
                if dice.chance(1, 2) { step } else { nodes - step }
            }
        };
        let other = (node + step) % nodes;
        if other != node && !known.contains(&other) {
            known.push(other);
        }
    }
    known
}

/// Mean hops between two at random.
fn hops(nodes: u32, long: u32, law: Law, params: &Params, outcome: &mut Outcome) -> f64 {
    let (seed, probes) = (params.seed(), params.count("probes"));
    let mut net = Net::circle(nodes, seed, params.threads, Settings::paper(), |node| known(nodes, seed, node, long, law));
    for number in 0..probes {
        let block = item(seed, number);
        // Whoever stands nearest has it.
        let step = u64::MAX / u64::from(nodes);
        let at = u32::try_from((block.key.location().0 / step + u64::from(block.key.location().0 % step > step / 2)) % u64::from(nodes));
        net.keys.push(block.key);
        net.perform(&[(at.unwrap_or(0), Operation::Own(Request::PutBlock(Box::new(block), 0)))]);
    }
    let hops = net.probe(probes, 500, &|_| true);
    outcome.absorb(&net.lab);
    mean(&hops)
}

fn run(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let (nodes, long) = (params.nodes(), params.small_count("long"));
    if nodes < 100 || !(1..=32).contains(&long) {
        return Err("expected 100 nodes or more, and 1 to 32 long links".into());
    }
    let full = nodes >= 8000;
    let mut outcome = Outcome::default();
    let columns = [("nodes", ""), ("long links", ""), ("by chance", "hops"), ("harmonic", "hops"), ("harmonic · links / log²", "")];
    let mut table = Table::new("links", "Mean hops to whoever has a key", &columns);
    let (mut curves, mut constants) = ([Vec::new(), Vec::new()], Vec::new());
    gauge.phase("routing");
    let sizes = [nodes / 8, nodes / 4, nodes / 2, nodes];
    for (turn, size) in sizes.into_iter().enumerate() {
        let [random, harmonic] = [Law::Uniform, Law::Harmonic].map(|law| hops(size, long, law, params, &mut outcome));
        let constant = harmonic * f64::from(long) / f64::from(size).log2().powi(2);
        table.row([size.into(), long.into(), random.into(), harmonic.into(), constant.into()]);
        curves[0].push((f64::from(size), random));
        curves[1].push((f64::from(size), harmonic));
        constants.push(constant);
        if size == nodes {
            outcome.find(
                "FR9",
                "hops with links by chance over those with harmonic ones",
                Expected::AtLeast(if full { 2.0 } else { 1.2 }),
                random / harmonic,
            );
            outcome.find("FR9", "hops with harmonic links", Expected::AtMost(13.0), harmonic);
            if full {
                outcome.find("FR9", "hops with links by chance", Expected::AtLeast(20.0), random);
            }
        }
        gauge.step(f64::from(u32::try_from(turn + 1).unwrap_or(0)) / 5.0, outcome_events(&outcome));
    }
    let (least, most) = constants.iter().fold((f64::MAX, 0.0_f64), |(least, most), constant| (least.min(*constant), most.max(*constant)));
    outcome.find("FR10", "hops · links / log² of the nodes, most over least of four sizes", Expected::AtMost(1.6), most / least);
    let twice = hops(nodes, 2 * long, Law::Harmonic, params, &mut outcome);
    outcome.find(
        "FR10",
        "hops with twice as many long links over those with as many as there are",
        Expected::AtMost(0.9),
        twice / curves[1][3].1,
    );
    table.row([
        nodes.into(),
        (2 * long).into(),
        "".into(),
        twice.into(),
        (twice * f64::from(2 * long) / f64::from(nodes).log2().powi(2)).into(),
    ]);
    gauge.end();
    let mut plot = Plot::new("links", "How far is it on a larger circle?", Axis::logarithmic("nodes", ""), Axis::linear("mean", "hops"));
    let [random, harmonic] = curves;
    plot.add("long links by chance", Style::Line, random);
    plot.add("harmonic", Style::Line, harmonic);
    outcome.tables.push(table);
    outcome.plots.push(plot);
    Ok(outcome)
}

fn outcome_events(outcome: &Outcome) -> u64 {
    outcome.events
}
